"""From frames to what a network takes, and how it is asked: in training, evaluation, prediction and ONNX alike.

Which frames these are, of which size and colours, says `dfer.video.preprocessing`.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from dfer.errors import DferError
from dfer.video.preprocessing import Preprocessing


def require_clips(clips: Tensor, channels: int, *, least: int = 1) -> None:
    """Refuse what is not a batch of clips (B, C, T, H, W) of `channels` channels, H and W from `least` pixels.

    Raises:
        DferError: another number of axes or of channels, an empty axis, or pictures that are too small.
    """
    if clips.ndim != 5 or clips.shape[1] != channels or 0 in clips.shape:
        raise DferError(
            f"the network expects clips (batch, {channels} channels, frames, height, width), got {tuple(clips.shape)}"
        )
    height, width = clips.shape[-2:]
    if min(height, width) < least:
        raise DferError(
            f"the network expects frames of at least {least} x {least} pixels, got {height} x {width}; set input.size"
        )


def to_floats(frames: Tensor) -> Tensor:
    """Frames of any shape, uint8 from 0 to 255 -> float32 from 0 to 1."""
    return frames.float().div_(255)


def to_network(clips: Tensor, preprocessing: Preprocessing) -> Tensor:
    """Clips (B, C, T, H, W) in [0, 1] -> what the network takes: (clips - mean) / std, by channel."""
    mean, std = (
        torch.tensor(values).to(clips).view(1, -1, 1, 1, 1) for values in (preprocessing.mean, preprocessing.std)
    )
    return (clips - mean) / std


def middle(clips: Tensor, share: float) -> Tensor:
    """The middle of clips (B, C, T, H, W), this share of their sides, enlarged to their size."""
    top, left = (round(side * (1 - share) / 2) for side in clips.shape[-2:])
    if not top and not left:
        return clips
    height, width = clips.shape[-2:]
    frames = frames_of(clips[..., top : height - top, left : width - left])
    large = nn.functional.interpolate(frames, (height, width), mode="bilinear", align_corners=False)
    return large.view(clips.shape[0], clips.shape[2], *large.shape[1:]).transpose(1, 2)


def answer(network: nn.Module, frames: Tensor, preprocessing: Preprocessing) -> Tensor:
    """Logits (B, K) of clips (B, C, T, H, W) uint8.

    With `mirror`, they are the mean of those of the clip and of its mirror image: a mirrored face shows the same
    emotion, and a network's answers to the two err in part independently. With `centre`, the network sees the middle.
    """
    clips = to_network(middle(to_floats(frames), preprocessing.centre), preprocessing)
    logits: Tensor = network(clips)
    return (logits + network(clips.flip(-1))) / 2 if preprocessing.mirror else logits


def frames_of(clips: Tensor) -> Tensor:
    """The frames of clips (B, C, T, H, W) as pictures (B T, C, H, W), a clip's one after the other."""
    return clips.transpose(1, 2).flatten(0, 1)
