"""Two groups of films: how far the mean distributions of what they show differ, and whether by more than chance.

The film is the unit: its people and its frames are no independent cases. Conventions: rows (N, K), one a film, each the
mean distribution of a film. The test draws the groups anew: it supposes that films were put into groups independently
of each other. Its p value holds its level exactly, also for few films, where it cannot be small.
"""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from dfer.errors import DferError

Floats = NDArray[np.float64]

DRAWS = 9999
"""Groupings that are drawn where there are more than that; of fewer, all are looked at."""
BOOTSTRAPS = 2000
LEVEL = 0.95


@dataclass(frozen=True)
class Difference:
    """Two groups of films.

    Attributes:
        means: (2, K) the mean distribution of each group.
        intervals: (2, K, 2) percentile intervals of level `LEVEL` of those, by drawing films; NaN for a single film.
        p: of the hypothesis that the groups do not differ in their mean distributions.
        exact: whether all groupings were looked at.
    """

    means: Floats
    intervals: Floats
    p: float
    exact: bool


def compare_films(one: ArrayLike, other: ArrayLike, *, seed: int = 0) -> Difference:
    """Compare two groups of films.

    Args:
        one: (N, K) rows that sum to one.
        other: (M, K) likewise.
        seed: of the groupings and of the films that are drawn.

    Raises:
        DferError: a group without films, or groups of different emotions.
    """
    groups = [np.asarray(rows, dtype=np.float64) for rows in (one, other)]
    if any(rows.ndim != 2 or not len(rows) for rows in groups) or groups[0].shape[1] != groups[1].shape[1]:
        raise DferError(f"expected two groups of films (N, K), got {groups[0].shape} and {groups[1].shape}")
    generator = np.random.default_rng(seed)
    intervals = np.stack([_interval(rows, generator) for rows in groups])
    p, exact = _p(np.concatenate(groups), len(groups[0]), generator)
    return Difference(np.stack([rows.mean(axis=0) for rows in groups]), intervals, p, exact)


def _interval(rows: Floats, generator: np.random.Generator) -> Floats:
    if len(rows) < 2:
        return np.full((rows.shape[1], 2), np.nan)
    drawn = rows[generator.integers(0, len(rows), (BOOTSTRAPS, len(rows)))].mean(axis=1)
    return np.asarray(np.quantile(drawn, [(1 - LEVEL) / 2, (1 + LEVEL) / 2], axis=0).T)


def _p(rows: Floats, first: int, generator: np.random.Generator) -> tuple[float, bool]:
    """The share of groupings whose means are at least as far apart, and whether all were looked at."""
    count = len(rows)
    exact = math.comb(count, first) <= DRAWS
    if exact:
        chosen = np.array(list(itertools.combinations(range(count), first)))
    else:
        chosen = np.array([generator.permutation(count)[:first] for _ in range(DRAWS)])
    sums, total = rows[chosen].sum(axis=1), rows.sum(axis=0)
    apart = np.square(sums / first - (total - sums) / (count - first)).sum(axis=1)
    own = np.square(rows[:first].mean(axis=0) - rows[first:].mean(axis=0)).sum()
    as_far = int((apart >= own - 1e-12).sum())  # equal sums may differ by rounding
    return (as_far / len(apart) if exact else (as_far + 1) / (len(apart) + 1)), exact
