"""What every network asks of the clips it is shown."""

from __future__ import annotations

from torch import Tensor

from dfer.errors import DferError


def require_clips(clips: Tensor, channels: int) -> None:
    """Refuse what is not a batch of clips (B, C, T, H, W) of `channels` channels.

    Raises:
        DferError: another number of axes or of channels, or an empty axis.
    """
    if clips.ndim != 5 or clips.shape[1] != channels or 0 in clips.shape:
        raise DferError(
            f"the network expects clips (batch, {channels} channels, frames, height, width), got {tuple(clips.shape)}"
        )
