"""Whom a clip is mixed with: a random clip of the batch, as in MIDAS and mixup, or one chosen by its soft label.

Conventions: targets are (B, K) rows that sum to one; a pairing gives each clip's partner, (B,) int64, on the device of
the generator, which may be another one than that of the targets. But for "random",
which is a permutation, partners are drawn independently: a clip may serve several times. A clip is its own partner only
where chance ("random") or a batch of one makes it so.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

Pairing = Callable[[Tensor, torch.Generator], Tensor]

SMALL = 1e-3
"""What a candidate weighs that its pairing gives no weight: enough to draw from when all are so."""


def random(targets: Tensor, generator: torch.Generator) -> Tensor:
    """Anyone."""
    return torch.randperm(len(targets), generator=generator, device=generator.device)


def similar(targets: Tensor, generator: torch.Generator) -> Tensor:
    """Rather one whose soft label overlaps: weight 1 - the total variation distance of the labels."""
    return _drawn(1 - _distances(targets), generator)


def different(targets: Tensor, generator: torch.Generator) -> Tensor:
    """Rather one whose soft label is another: weight by the total variation distance of the labels."""
    return _drawn(_distances(targets), generator)


def ambiguous(targets: Tensor, generator: torch.Generator) -> Tensor:
    """Rather one that people disagree on: weight by the entropy of its soft label."""
    entropies = -torch.special.xlogy(targets, targets).sum(dim=1)
    return _drawn(entropies.expand(len(targets), -1), generator)


def rare(targets: Tensor, generator: torch.Generator) -> Tensor:
    """Rather one of emotions that the batch has little of: weight Σ_k y_k / (the batch's mass of k)."""
    mass = targets.sum(dim=0)
    weights = targets @ torch.where(mass > 0, 1 / mass.clamp(min=SMALL), torch.zeros_like(mass))
    return _drawn(weights.expand(len(targets), -1), generator)


PAIRINGS: dict[str, Pairing] = {
    "random": random,
    "similar": similar,
    "different": different,
    "ambiguous": ambiguous,
    "rare": rare,
}


def _distances(targets: Tensor) -> Tensor:
    """(B, B) total variation distances, 0 to 1."""
    return torch.cdist(targets, targets, p=1) / 2


def _drawn(weights: Tensor, generator: torch.Generator) -> Tensor:
    """A partner for each row of (B, B) weights, never the row itself."""
    size = len(weights)
    if size == 1:
        return torch.zeros(1, dtype=torch.int64, device=generator.device)
    own = torch.eye(size, dtype=torch.bool, device=generator.device)
    chances = weights.to(generator.device).clamp(min=SMALL).masked_fill(own, 0)
    return torch.multinomial(chances, 1, generator=generator)[:, 0]
