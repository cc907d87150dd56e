"""What a network costs: weights, floating-point operations, and how many clips a second it reads on this machine."""

from __future__ import annotations

import copy
import time
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

SECONDS = 0.5
"""For so long speed is measured, and for one clip at least, after a first one unless that alone takes as long."""


@dataclass(frozen=True)
class Cost:
    """Of one clip.

    Attributes:
        weights: that are trained.
        flops: operations of convolutions and matrix products; a multiplication and an addition are two.
        clips_per_second: read one by one, on this machine, with the threads that torch has.
    """

    weights: int
    flops: int
    clips_per_second: float


def cost_of(network: nn.Module, clip: tuple[int, int, int, int]) -> Cost:
    """Measure a network on a clip of this size.

    Args:
        network: left in evaluation mode.
        clip: (C, T, H, W).
    """
    shown = torch.rand(1, *clip, generator=torch.Generator().manual_seed(0))
    network.eval()
    with torch.no_grad():
        operations = _operations(network, shown)
        begin = time.perf_counter()
        network(shown)  # slower than others: memory is new
        first = time.perf_counter() - begin
        runs, begin = 0, time.perf_counter()
        while first < SECONDS and (not runs or time.perf_counter() - begin < SECONDS):
            network(shown)
            runs += 1
        speed = runs / (time.perf_counter() - begin) if runs else 1 / first
    return Cost(sum(weight.numel() for weight in network.parameters()), operations, speed)


def _operations(network: nn.Module, shown: Tensor) -> int:
    """Counted on tensors without memory, which takes no time; with memory where a network reads its numbers."""
    try:
        with FlopCounterMode(display=False) as counter:
            copy.deepcopy(network).to("meta")(shown.to("meta"))
    except Exception:  # the code of somebody else may raise anything
        with FlopCounterMode(display=False) as counter:
            network(shown)
    total: int = counter.get_total_flops()
    return total
