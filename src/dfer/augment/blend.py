"""MIDAS and its relatives as one thing: how much of each pixel of each frame a mixed clip keeps of the clip itself.

x̃ = W x_i + (1 - W) x_j,   ỹ = w y_i + (1 - w) y_j,   w = the mean of W

MIDAS itself, like mixup, has one W = λ for all pixels of all frames. A blend draws W for a λ (B,) from [0, 1]; W is
(B, 1, T, H, W) or broadcasts to it, on the device of λ; the generator may be of another one. Where W is 0 or 1 only,
whole pixels are pasted, and their share may differ a little from 1 - λ: w is what was really kept.

References:
    spatial: CutMix (Yun et al., ICCV 2019), one box for all frames; spatial VideoMix.
    temporal, cuboid: temporal and spatio-temporal VideoMix (Yun et al., arXiv 2012.03457).
    fade: λ(t) along a straight line, after the fade-type mixing of Kim et al. (arXiv 2008.05721).
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

Shape = tuple[int, int, int]
"""Frames, height and width of the clips."""
Blend = Callable[[Tensor, Shape, torch.Generator], Tensor]


def fade(lam: Tensor, shape: Shape, generator: torch.Generator) -> Tensor:
    """From the one clip towards the other, or back: λ(t) on a straight line whose mean is λ, as steep as fits."""
    direction = 2 * torch.randint(2, lam.shape, generator=generator, device=generator.device).to(lam) - 1
    steepest = torch.minimum(lam, 1 - lam) * direction
    along = (torch.linspace(-1, 1, shape[0]) if shape[0] > 1 else torch.zeros(1)).to(lam)
    return (lam[:, None] + steepest[:, None] * along).clamp(0, 1).view(-1, 1, shape[0], 1, 1)


def spatial(lam: Tensor, shape: Shape, generator: torch.Generator) -> Tensor:
    """A box of the partner, the same in all frames, of 1 - λ of the area."""
    side = (1 - lam).sqrt()
    _, height, width = shape
    pasted = _span(side, height, generator)[:, :, None] & _span(side, width, generator)[:, None, :]
    return (~pasted)[:, None, None].to(lam)


def temporal(lam: Tensor, shape: Shape, generator: torch.Generator) -> Tensor:
    """A run of whole frames of the partner, 1 - λ of the clip's."""
    return (~_span(1 - lam, shape[0], generator)).view(-1, 1, shape[0], 1, 1).to(lam)


def cuboid(lam: Tensor, shape: Shape, generator: torch.Generator) -> Tensor:
    """A box in a run of frames, of 1 - λ of the clip's volume."""
    side = (1 - lam) ** (1 / 3)
    times, rows, columns = (_span(side, length, generator) for length in shape)
    pasted = times[:, :, None, None] & rows[:, None, :, None] & columns[:, None, None, :]
    return (~pasted)[:, None].to(lam)


BLENDS: dict[str, Blend] = {
    "fade": fade,
    "spatial": spatial,
    "temporal": temporal,
    "cuboid": cuboid,
}


def _span(share: Tensor, length: int, generator: torch.Generator) -> Tensor:
    """(B, length) whether a position lies in a run of `share` of the length, at a random place."""
    count = (share * length).round()
    place = torch.rand(share.shape, generator=generator, device=generator.device).to(share)
    start = ((length - count + 1) * place).floor()
    positions = torch.arange(length, device=share.device)
    return (positions >= start[:, None]) & (positions < (start + count)[:, None])
