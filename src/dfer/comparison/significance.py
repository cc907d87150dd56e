"""How much of a number is chance: bootstrap intervals, McNemar's and Welch's test, and care with many of them.

Conventions: sums over clips are bootstrapped by drawing clips with replacement and summing again. Where clips come in
groups (of one person or film), whole groups are drawn instead: clips of one person are not as much evidence as clips of
as many people. Differences between runs are tested in `dfer.comparison.sign_flips`.

All of it is about the choice of test clips. What another seed, or other training clips, would do is seen only in
runs that differ in these: `mean_and_deviation`, `welch`.

References:
    Efron and Tibshirani, "An introduction to the bootstrap", 1993: percentile intervals. Field and Welsh,
    "Bootstrapping clustered data", JRSS B 2007: groups.
    McNemar, "Note on the sampling error of the difference between correlated proportions", Psychometrika 1947.
    Holm, "A simple sequentially rejective multiple test procedure", Scand. J. Statistics 1979.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.stats import binomtest, ttest_ind_from_stats

from dfer.errors import DferError

Floats = NDArray[np.float64]

DRAWS = 10_000
CONFIDENCE = 0.95
CELLS = 4_000_000
"""Weights held at a time, 32 MB; the numbers do not depend on it."""


class McNemar(NamedTuple):
    """Clips that only the first, and only the second run got right, and the two-sided exact p value."""

    first: int
    second: int
    p: float


def bootstrap(
    table: ArrayLike, generator: np.random.Generator, *, draws: int = DRAWS, groups: ArrayLike | None = None
) -> Floats:
    """Sums over clips, for many samples of clips.

    Args:
        table: (N, C) what each clip adds to each sum.
        generator: draws the clips, N a sample, or as many groups as there are.
        draws: how many samples.
        groups: (N,) names; clips of one name are drawn together, "" is a group of its own for each clip.

    Returns:
        (draws, C).

    Raises:
        DferError: no clips or draws, or groups of another number.
    """
    rows = np.asarray(table, dtype=np.float64)
    if rows.ndim != 2 or not len(rows) or draws < 1:
        raise DferError(f"expected a table (N, C) of at least one clip and 1 draw or more, got {rows.shape}, {draws}")
    if groups is not None:
        rows = _summed(rows, np.asarray(groups, dtype=object).astype(str))
    count = len(rows)
    sums = np.empty((draws, rows.shape[1]))
    weights = np.empty((min(draws, max(1, CELLS // count)), count))
    for start in range(0, draws, len(weights)):
        part = weights[: draws - start]
        for row, drawn in zip(part, generator.integers(0, count, part.shape), strict=True):
            row[:] = np.bincount(drawn, minlength=count)
        # how often each clip was drawn, as a matrix: then the sums of all these samples are one product
        np.matmul(part, rows, out=sums[start : start + len(part)])
    return sums


def interval(values: ArrayLike, confidence: float = CONFIDENCE) -> tuple[float, float] | None:
    """The middle `confidence` of bootstrapped values; None where some are undefined.

    >>> interval(range(101), 0.5)
    (25.0, 75.0)
    """
    sample = np.asarray(values, dtype=np.float64)
    if not len(sample) or np.isnan(sample).any():
        return None
    low, high = np.quantile(sample, [(1 - confidence) / 2, (1 + confidence) / 2])
    return float(low), float(high)


def mcnemar(first: ArrayLike, second: ArrayLike) -> McNemar:
    """Are two runs right equally often? By the clips that one of them alone gets right, which a fair coin would halve.

    Exact (binomial) for any number of clips.

    Args:
        first: (N,) whether the first run got each clip right.
        second: (N,) whether the second did.

    Raises:
        DferError: lengths that differ.

    >>> mcnemar([True] * 8 + [False] * 2, [False] * 7 + [True] * 3)
    McNemar(first=7, second=2, p=0.1796875)
    """
    one, other = np.asarray(first, dtype=bool), np.asarray(second, dtype=bool)
    if one.shape != other.shape or one.ndim != 1:
        raise DferError(f"expected both runs on the same clips, got {one.shape} and {other.shape}")
    alone, against = int((one & ~other).sum()), int((other & ~one).sum())
    p = float(binomtest(alone, alone + against).pvalue) if alone + against else 1.0
    return McNemar(alone, against, p)


def holm(p_values: Sequence[float | None]) -> list[float | None]:
    """p values corrected for their number: the chance of one false alarm among them stays below the level.

    None (a test that could not be made) stays None and does not count.

    >>> holm([0.01, 0.04, None, 0.03])
    [0.03, 0.06, None, 0.06]
    """
    known = sorted((p, place) for place, p in enumerate(p_values) if p is not None)
    corrected: list[float | None] = [None] * len(p_values)
    highest = 0.0
    for rank, (p, place) in enumerate(known):
        highest = max(highest, min(1.0, (len(known) - rank) * p))
        corrected[place] = highest
    return corrected


def mean_and_deviation(values: Sequence[float | None]) -> tuple[float | None, float | None]:
    """Mean and standard deviation (n - 1) over seeds or folds; one value has no deviation.

    None among the values makes both None: the mean of the others would be of other folds.

    >>> mean_and_deviation([0.7]), mean_and_deviation([1.0, 3.0])
    ((0.7, None), (2.0, 1.4142135623730951))
    """
    known = [value for value in values if value is not None and not np.isnan(value)]
    if not values or len(known) < len(values):
        return None, None
    return float(np.mean(known)), float(np.std(known, ddof=1)) if len(known) > 1 else None


def welch(first: Sequence[float | None], second: Sequence[float | None]) -> float | None:
    """p value of Welch's t test between the scores of two cells' seeds.

    None with less than two seeds in either, or without any spread. With two or three seeds it sees large differences
    only.
    """
    (mean, spread), (other, other_spread) = mean_and_deviation(first), mean_and_deviation(second)
    if spread is None or other_spread is None or spread + other_spread == 0:
        return None
    found = ttest_ind_from_stats(mean, spread, len(first), other, other_spread, len(second), equal_var=False)
    return float(found.pvalue)


def _summed(rows: Floats, names: NDArray[np.str_]) -> Floats:
    """The sums of each group, (G, C)."""
    if names.shape != rows.shape[:1]:
        raise DferError(f"expected a group for each of {len(rows)} clips, got {names.shape}")
    known = names != ""
    found, members = np.unique(names[known], return_inverse=True)
    group = np.empty(len(rows), dtype=np.int64)
    group[known] = members
    group[~known] = len(found) + np.arange(int((~known).sum()))
    sums = np.zeros((len(found) + int((~known).sum()), rows.shape[1]))
    np.add.at(sums, group, rows)
    return sums
