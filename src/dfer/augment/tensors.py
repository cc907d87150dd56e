"""What was drawn, applied to float tensors (B, C, T, H, W) in [0, 1] on any device: the whole batch at once."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from dfer.augment.drawn import LUMA, SHARP, Drawn


def on_tensors(clips: Tensor, drawn: Drawn, size: int | None) -> Tensor:
    """Augmented clips (B, C, T, size, size), or of their own height and width without a size."""
    clips = _move(clips, drawn, (size, size) if size else (clips.shape[-2], clips.shape[-1]))
    clips = _colour(clips, drawn)
    clips = _blur(clips, drawn)
    return _erase(clips, drawn)


def _move(clips: Tensor, drawn: Drawn, size: tuple[int, int]) -> Tensor:
    """Crop, rotation and flip, sampled once."""
    batch, channels, frames, height, width = clips.shape
    if size == (height, width) and not drawn.moves:
        return clips
    maps = drawn.maps((height, width), size).to(clips)
    grid = F.affine_grid(maps, [batch, 1, *size], align_corners=False)
    flat = clips.reshape(batch, channels * frames, height, width)
    moved = F.grid_sample(flat, grid, mode="bilinear", padding_mode="reflection", align_corners=False)
    return moved.view(batch, channels, frames, *size)


def _colour(clips: Tensor, drawn: Drawn) -> Tensor:
    """Contrast around the clip's mean, brightness, saturation."""
    brightness, contrast, saturation = drawn.brightness, drawn.contrast, drawn.saturation
    brightens = bool((brightness != 1).any() or (contrast != 1).any())
    if brightens:
        mean = clips.mean(dim=(1, 2, 3, 4), keepdim=True)
        clips = torch.lerp(mean, clips, _per_clip(contrast, clips)) * _per_clip(brightness, clips)
    if clips.shape[1] == 3 and (saturation != 1).any():
        luma = torch.einsum("bcthw,c->bthw", clips, torch.tensor(LUMA).to(clips))[:, None]
        clips = torch.lerp(luma.expand_as(clips), clips, _per_clip(saturation, clips))
    return clips.clamp(0, 1) if brightens else clips


def _blur(clips: Tensor, drawn: Drawn) -> Tensor:
    """Each blurred clip with its own kernel, borders continued."""
    rows = (drawn.blur != SHARP).nonzero()[:, 0]
    if not len(rows):
        return clips
    kernels = drawn.kernels(rows, clips.shape[-1]).to(clips)
    rows = rows.to(clips.device)
    some = clips[rows]
    planes = some.flatten(1, 2).transpose(0, 1)
    padded = F.pad(planes, [kernels.shape[-1] // 2] * 4, mode="replicate")
    blurred = F.conv2d(padded, kernels[:, None], groups=len(rows))
    result = clips.clone()
    result[rows] = blurred.transpose(0, 1).reshape(some.shape)
    return result


def _erase(clips: Tensor, drawn: Drawn) -> Tensor:
    """A rectangle, the same in each frame, filled with the clip's mean."""
    inside = []
    for axis, length in enumerate(clips.shape[-2:]):
        positions = (torch.arange(length) + 0.5) / length
        first, last = drawn.hole[:, axis, :1], drawn.hole[:, axis, 1:]
        inside.append((positions >= first) & (positions < last))
    hole = (inside[0][:, :, None] & inside[1][:, None, :]).to(clips.device)
    if not hole.any():
        return clips
    mean = clips.mean(dim=(2, 3, 4), keepdim=True)
    return torch.where(hole[:, None, None], mean, clips)


def _per_clip(values: Tensor, clips: Tensor) -> Tensor:
    return values.to(clips).view(-1, 1, 1, 1, 1)
