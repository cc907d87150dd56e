"""Kernels of blur: motion along a line, defocus by a disc."""

from __future__ import annotations

import math

import torch
from torch import Tensor


def line_kernels(length: Tensor, angle: Tensor, width: int) -> Tensor:
    """Motion blur: lines of `length` (B,) pixels at `angle` (B,) radians -> (B, k, k) kernels that sum to one."""
    x, y = _kernel_grid(length, width)
    cos, sin = torch.cos(angle)[:, None, None], torch.sin(angle)[:, None, None]
    along, across = x * cos + y * sin, y * cos - x * sin
    beyond = (along.abs() - (length / 2)[:, None, None]).clamp(min=0)
    return _normalised((1 - torch.hypot(beyond, across)).clamp(min=0))


def disc_kernels(diameter: Tensor, width: int) -> Tensor:
    """Defocus: discs of `diameter` (B,) pixels -> (B, k, k) kernels that sum to one."""
    x, y = _kernel_grid(diameter, width)
    return _normalised(((diameter / 2)[:, None, None] + 0.5 - torch.hypot(x, y)).clamp(0, 1))


def _kernel_grid(extent: Tensor, width: int) -> tuple[Tensor, Tensor]:
    radius = min(math.ceil(float(extent.max()) / 2), (width - 1) // 2)
    steps = torch.arange(-radius, radius + 1, dtype=torch.float32)
    return steps[None, None, :], steps[None, :, None]


def _normalised(kernels: Tensor) -> Tensor:
    return kernels / kernels.sum(dim=(1, 2), keepdim=True)
