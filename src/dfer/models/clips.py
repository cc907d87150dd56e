"""What every network asks of the clips it is shown, and how it is asked about them."""

from __future__ import annotations

from torch import Tensor, nn

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


def answer(network: nn.Module, clips: Tensor, *, mirror: bool) -> Tensor:
    """Logits (B, K) of clips (B, C, T, H, W); with `mirror`, the mean of those of the clip and of its mirror image.

    A mirrored face shows the same emotion, and a network's answers to the two err in part independently.
    """
    logits: Tensor = network(clips)
    return (logits + network(clips.flip(-1))) / 2 if mirror else logits


def frames_of(clips: Tensor) -> Tensor:
    """The frames of clips (B, C, T, H, W) as pictures (B T, C, H, W), a clip's one after the other."""
    return clips.transpose(1, 2).flatten(0, 1)
