"""Mixing inside a network: what `Midas(layer="hidden")` asks for.

References: Verma et al., "Manifold Mixup: Better Representations by Interpolating Hidden States", ICML 2019.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Protocol

import torch
from torch import Tensor, nn


class Mixing(Protocol):
    """What is known of a mixed batch, see `dfer.augment.Mixed`."""

    @property
    def lam(self) -> Tensor:
        """(B,)."""

    def carry(self, values: Tensor) -> Tensor:
        """Values (B, ...) mixed as the clips were."""


@contextmanager
def mixed_inside(network: nn.Module, mixed: Mixing, *, generator: torch.Generator) -> Iterator[None]:
    """Within, the network mixes its features before one of its stages, which is drawn.

    Args:
        network: with a method `stages`, the modules before which it may be; features there are (B n, ...), a clip's n
            rows (its frames, its instances) one after the other.
        mixed: how clips are mixed; the network is shown them as they are.
        generator: where the stage comes from.
    """
    stages: Callable[[], list[nn.Module]] = network.stages  # type: ignore[assignment]
    place = int(torch.randint(len(stages()), (), generator=generator, device=generator.device))

    def mix(_: nn.Module, inputs: tuple[Any, ...]) -> tuple[Any, ...]:
        features: Tensor = inputs[0]
        parts = features.reshape(len(mixed.lam), -1, *features.shape[1:])
        return (mixed.carry(parts).reshape(features.shape), *inputs[1:])

    handle = stages()[place].register_forward_pre_hook(mix)
    try:
        yield
    finally:
        handle.remove()
