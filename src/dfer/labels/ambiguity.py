"""How far the voters agree: entropy, margin, agreement, and the three strata that every report uses.

Conventions: `rows (N, K)` are votes or probabilities; each row is divided by its sum first, so both give the
same answer. A row without votes (zeros or NaN) has no ambiguity: its answer is NaN, or stratum -1.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from dfer.errors import DferError
from dfer.labels.blocks import by_blocks

Floats = NDArray[np.float64]


class Stratum(NamedTuple):
    """Clips whose agreement lies in [low, high); the last one upwards includes 1."""

    name: str
    low: float
    high: float


STRATA = (Stratum("clear", 0.9, 1.0), Stratum("mixed", 0.7, 0.9), Stratum("ambiguous", 0.0, 0.7))
"""The strata by agreement, clearest first: at most one voter in ten dissents, up to three in ten, more.

The cuts are fixed, so that reports compare, and the same for any number of emotions. With panels of ten, a
quarter or more of the clips falls into each: of CREMA-D's faces 25/30/46 %, of FER+ 39/27/33 %. Six votes of
ten are "ambiguous" and still a label in DFEW, so accuracy exists in every stratum.
"""


def entropy(rows: ArrayLike) -> Floats:
    """Entropy of each row over log K: (N,) from 0, all agree, to 1, as many votes for every emotion.

    >>> entropy([[5, 5, 0, 0], [10, 0, 0, 0]]).tolist()
    [0.5, 0.0]
    """
    return by_blocks(_entropy, np.asarray(rows, dtype=np.float64))


def margin(rows: ArrayLike) -> Floats:
    """The largest share less the second largest, (N,) from 0, a tie, to 1."""
    ordered = np.sort(_shares(rows), axis=1)
    second = ordered[:, -2] if ordered.shape[1] > 1 else 0.0
    return ordered[:, -1] - second


def agreement(rows: ArrayLike) -> Floats:
    """The share of the most voted emotion, (N,) from 1 / K to 1, rounded to 12 digits.

    Shares that were divided before may sum to a little more or less than one. Without rounding, 0.5 could come out as
    more than a half.

    >>> agreement([[0.5, 0.1, 0.1, 0.1, 0.1, 0.1]]).tolist()
    [0.5]
    """
    return by_blocks(lambda block: _shares(block).max(axis=1).round(12), np.asarray(rows, dtype=np.float64))


def emotions_with_votes(votes: ArrayLike, minimum: float = 1) -> NDArray[np.int64]:
    """How many emotions have at least `minimum` votes, (N,); votes are counts here, not shares."""
    enough = np.asarray(votes, dtype=np.float64) >= minimum
    return np.asarray(enough.sum(axis=1), dtype=np.int64)


def strata(rows: ArrayLike) -> NDArray[np.int64]:
    """The position in `STRATA` of each row's agreement, (N,); -1 for a row without votes.

    >>> [STRATA[k].name for k in strata([[9, 1, 0], [7, 3, 0], [5, 5, 0]])]
    ['clear', 'mixed', 'ambiguous']
    """
    agreed = agreement(rows)
    positions = np.select([agreed >= stratum.low for stratum in STRATA], range(len(STRATA)), default=-1)
    return positions.astype(np.int64)


def _entropy(rows: Floats) -> Floats:
    shares = _shares(rows)
    information = -np.log(shares, out=np.zeros_like(shares), where=shares > 0)
    normalised = (shares * information).sum(axis=1) / np.log(max(shares.shape[1], 2))
    return np.asarray(normalised.clip(0.0, 1.0))  # a uniform row may exceed 1 by a rounding error


def _shares(rows: ArrayLike) -> Floats:
    """Each row over its sum; all NaN where there is none.

    Raises:
        DferError: rows of another shape, or negative values.
    """
    table = np.asarray(rows, dtype=np.float64)
    if table.ndim != 2 or table.shape[1] == 0:
        raise DferError(f"expected votes or probabilities (N, K), got shape {table.shape}")
    if (table < 0).any():
        raise DferError("expected votes or probabilities of 0 or more, got negative ones")
    total = table.sum(axis=1, keepdims=True)
    return table / np.where(total > 0, total, np.nan)
