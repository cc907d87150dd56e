"""Every random draw of a run is a function of (seed, what it is for, where the run stands).

Nothing is carried from step to step, so there is no generator state to save: a run that was killed and resumed
draws what the uninterrupted run draws, and a change in one purpose leaves the others alone.
"""

from __future__ import annotations

from enum import IntEnum

import numpy as np


class Purpose(IntEnum):
    """What a draw is for. The numbers are part of what a seed means: never reorder."""

    WEIGHTS = 0
    VALIDATION = 1
    ORDER = 2
    JITTER = 3
    AUGMENT = 4
    MIX = 5
    MODEL = 6


def stream(seed: int, purpose: Purpose, *place: int) -> int:
    """A seed for one purpose at one place (epoch, step, process, row), in [0, 2**63)."""
    return int(np.random.SeedSequence([seed, purpose, *place]).generate_state(1, np.uint64)[0] >> np.uint64(1))
