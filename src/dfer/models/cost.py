"""What a network costs: weights, floating-point operations, and how many clips a second it reads on this machine."""

from __future__ import annotations

import time
from dataclasses import dataclass

import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

SECONDS = 0.5
"""For so long speed is measured, and for one clip at least."""


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
        with FlopCounterMode(display=False) as counter:  # which is also the first run, slower than others
            network(shown)
        runs, begin = 0, time.perf_counter()
        while not runs or time.perf_counter() - begin < SECONDS:
            network(shown)
            runs += 1
        speed = runs / (time.perf_counter() - begin)
    return Cost(sum(weight.numel() for weight in network.parameters()), counter.get_total_flops(), speed)
