"""The frames of a clip in another order, or one of them alone: what is left of an answer tells whether time was used.

Conventions: frames are (T, H, W, C) uint8 and come back so, of the same shape.

Reference: the three orders are those of the temporal audit of Wang, Li and Wang, arXiv 2609.17130 (2026). Which frame
is the peak is our own choice, for theirs is not known to us.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

Frames = NDArray[np.uint8]
Order = Callable[[Frames, np.random.Generator], Frames]


def shuffled(frames: Frames, generator: np.random.Generator) -> Frames:
    """All frames, in an order that is drawn."""
    return frames[generator.permutation(len(frames))]


def backwards(frames: Frames, _: np.random.Generator) -> Frames:
    """The last frame first."""
    return frames[::-1].copy()


def peak_repeated(frames: Frames, _: np.random.Generator) -> Frames:
    """The frame that is furthest from the clip's mean picture, in the sum of squares, for all of the time.

    It depends on the pictures alone, so that all networks see the same one.
    """
    pictures = frames.reshape(len(frames), -1).astype(np.float64)
    peak = int(((pictures - pictures.mean(axis=0)) ** 2).sum(axis=1).argmax())
    return np.repeat(frames[peak : peak + 1], len(frames), axis=0)


ORDERS: dict[str, Order] = {"shuffled": shuffled, "reversed": backwards, "peak repeated": peak_repeated}
