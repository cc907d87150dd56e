"""Where a network puts clips: the inputs of its last linear layer, and their two principal components.

A network may use its last layer for each frame of a clip; its inputs are then averaged over them.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

Floats = npt.NDArray[np.float64]

MOST_FEATURES = 2048
"""Of a clip; a layer that has more is not looked at."""
DECIMALS = 3
"""Of a place, whose largest coordinate is 1."""


@dataclass
class Features:
    """What the last linear layer was given: a table (B, F) for each call of the network; None: it cannot be told."""

    calls: list[Tensor | None] = field(default_factory=list)

    def places(self, *, every: int = 1) -> Floats | None:
        """(N, 2) the clips on the two principal components of their features; None where those cannot be told.

        Args:
            every: of so many calls for the same clips the first one counts.
        """
        tables = [table for table in self.calls[::every] if table is not None]
        if not tables or len(tables) < len(self.calls[::every]):
            return None
        features = torch.cat(tables).numpy()
        return principal(features) if np.isfinite(features).all() else None


@contextmanager
def watched(network: nn.Module, emotions: int) -> Iterator[Features]:
    """Within, note the features of every call of a network that answers with logits (B, emotions)."""
    found, last = Features(), [torch.empty(0)]

    def note(_: nn.Module, given: tuple[Any, ...], __: Tensor) -> None:
        last[0] = given[0]

    def end(_: nn.Module, __: tuple[Any, ...], logits: Tensor) -> None:
        clips, width = len(logits), last[0].shape[-1]
        known = 0 < width <= MOST_FEATURES and last[0].numel() % (clips * width) == 0
        table = last[0].reshape(clips, -1, width).mean(dim=1) if known else None
        found.calls.append(None if table is None else table.double().cpu())
        last[0] = torch.empty(0)

    heads = [each for each in network.modules() if isinstance(each, nn.Linear) and each.out_features == emotions]
    hooks = [*(head.register_forward_hook(note) for head in heads), network.register_forward_hook(end)]
    try:
        yield found
    finally:
        for hook in hooks:
            hook.remove()


def principal(features: Floats) -> Floats:
    """(N, F) -> (N, 2) on their two principal components, scaled so that the largest coordinate is 1.

    The largest coordinate of each component is positive, so that the same features give the same map.
    """
    centred = features - features.mean(axis=0)
    _, axes = np.linalg.eigh(centred.T @ centred)
    places = np.zeros((len(features), 2))
    for k, axis in enumerate(axes.T[::-1][:2]):
        along = centred @ axis
        places[:, k] = along * np.sign(along[np.abs(along).argmax()])
    return (places / (np.abs(places).max() or 1.0)).round(DECIMALS)
