"""Tests and intervals of scores that are sums over units: what random halves of the units say.

Two runs are compared unit by unit (a unit is a clip, or all clips of one person or film). If the runs do not differ,
each unit might as well have given its difference the other sign. So all signs are drawn anew, many times, and the p
value is how often the summed difference is then as far from 0 as it is. It asks no more than that the differences lie
symmetrically about 0, it is exact for any number of units where the runs could be swapped, and units on which the runs
do not differ do not count. For the right and wrong clips of two runs it is McNemar's test.

A sum whose signs are drawn is as far from 0 as the true one if, and only if, the half of the units whose sign was
turned has a sum of 0 or beyond. The same for a difference δ instead of 0 says: if the mean over that half is δ or
beyond. So the means over random halves ("typical values", Hartigan) are all there is to know: the p value is the share
of them beyond 0, and the interval holds the middle 95 % of them: those differences that the test does not refuse. Test
and interval never disagree. With fewer than six units no p value is below 0.05, and no interval is given.

References:
    Fisher, "The design of experiments", 1935, and Pitman, JRSS supplement 1937: randomisation tests.
    Hartigan, "Using subsample values as typical values", JASA 1969: the interval.
    Phipson and Smyth, "Permutation p-values should never be zero", Stat. Appl. Genet. Mol. Biol. 2010: (1 + m) / (1 +
    n) of drawn arrangements.
    Canay, Romano and Shaikh, "Randomization tests under an approximate symmetry assumption", Econometrica 2017: few
    groups of unequal size.
    Wilson, JASA 1927; Korn and Graubard, "Confidence intervals for proportions with small expected number of positive
    counts estimated from survey data", Survey Methodology 1998: shares, with an effective number of clips.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import stats

from dfer.comparison.significance import CELLS, CONFIDENCE
from dfer.errors import DferError

Floats = NDArray[np.float64]
Interval = tuple[float, float]

MOST_UNITS = 20_000
"""More units are dealt into so many at random, and swapped together: the test stays exact, and costs no more time."""
SAME = 1e-9
"""Sums that differ by less, relative to all that is summed, are equal: another order of the terms moves them so far."""


class Tested(NamedTuple):
    """Two-sided p value of "no difference", and the interval of what the difference may be; None: not to be told."""

    p: float | None
    interval: Interval | None


@dataclass(frozen=True, eq=False)
class Halves:
    """The means over halves of the units, each half beside its complement.

    Attributes:
        totals: (C,), of all units.
        means: (2 B, C) over the units of a half; NaN where it has none with a weight.
        every: whether these are all halves there are, each once.
    """

    totals: Floats
    means: Floats
    every: bool

    def test(self, column: int, *, margin: float = 0.0) -> Tested:
        """Test and interval of a column.

        Args:
            column: which one.
            margin: differences up to this are none, and the interval is wider by it on both sides.
        """
        total, means = float(self.totals[column]), self.means[:, column]
        if np.isnan(total):
            return Tested(None, None)
        itself = 0 if self.every else 1  # the arrangement that was observed is among all of them, not among the drawn
        count = len(means) // 2 + itself
        if abs(total) <= margin:
            p = 1.0
        else:
            toward = np.nan_to_num(means if total > 0 else -means, nan=-np.inf)
            p = min(1.0, (itself + int((toward <= margin).sum())) / count)
        refused = int(np.ceil((1 - CONFIDENCE) * count - itself - 1e-9))  # so many halves beyond δ, and it is kept
        return Tested(p, _middle(means, refused, margin))


def halves(values: ArrayLike, weights: ArrayLike, generator: np.random.Generator, *, draws: int) -> Halves:
    """The means over random halves of the units, or over all of them where there are no more than `draws`.

    Args:
        values: (U, C) what each unit adds to each total.
        weights: (U, C) what it would add to a total of one.
        generator: draws the halves.
        draws: how many, each with its complement.

    Raises:
        DferError: no units or draws.
    """
    table, shares = np.asarray(values, dtype=np.float64), np.asarray(weights, dtype=np.float64)
    if table.ndim != 2 or table.shape != shares.shape or not len(table) or draws < 1:
        raise DferError(
            f"expected values and weights (U, C) of one unit or more, and 1 draw or more, got {table.shape}"
        )
    totals = table.sum(axis=0)
    known = ~np.isnan(totals)
    distinct, place = np.unique(np.where(known, shares, 0.0), axis=1, return_inverse=True)
    every = len(table) <= int(np.log2(draws)) + 1
    both = np.hstack([np.where(known, table, 0.0), distinct])
    sums = _all_halves(both) if every else _drawn_halves(both, generator, draws)
    inside, weight = sums[:, : len(totals)], sums[:, len(totals) :][:, place.ravel()]
    tolerance = SAME * np.abs(both[:, : len(totals)]).sum(axis=0)
    inside[np.abs(inside) <= tolerance] = 0.0
    rest = np.where(known, totals, 0.0) - inside
    rest[np.abs(rest) <= tolerance] = 0.0
    means = np.vstack([_divided(inside, weight), _divided(rest, 1 - weight)])
    return Halves(totals, np.where(known, means, np.nan), every)


def sign_test(differences: ArrayLike, *, most: int) -> float | None:
    """The p value of `Halves.test` by all arrangements of the units that differ; None if these are more than `most`."""
    found = np.asarray(differences, dtype=np.float64)
    tolerance = SAME * np.abs(found).sum()
    found = found[np.abs(found) > tolerance]
    if not len(found):
        return 1.0
    if len(found) > int(np.log2(most)) + 1:
        return None
    sums = np.abs(found.sum() - 2 * _all_halves(found[:, None])[:, 0])
    return float((sums >= abs(found.sum()) - tolerance).mean())


def share_interval(values: ArrayLike, weights: ArrayLike, *, clips: int | None = None) -> Interval | None:
    """The interval of a share (WAR, UAR): Wilson's, with as many clips as would vary as much.

    Never outside [0, 1], and of some width where all units are right or all are wrong: what varies not at all counts as
    the units' effective number, 1 / Σ weights².

    Args:
        values: (U,) what each unit adds.
        weights: (U,) what it would add if all of it were right.
        clips: of groups, how many predictions they hold, which is the most that they count for; Student's quantile is
            taken then, of one less than the groups' effective number. None where a unit is a clip.
    """
    added, shares = np.asarray(values, dtype=np.float64), np.asarray(weights, dtype=np.float64)
    share = float(np.clip(added.sum(), 0.0, 1.0))
    if np.isnan(share):
        return None
    spread = float(np.square(added - share * shares).sum())
    quantile, least = stats.norm.ppf((1 + CONFIDENCE) / 2), 1 / float(np.square(shares).sum())
    if clips is not None:
        if least < 1 + 1e-9:
            return 0.0, 1.0
        spread *= least / (least - 1)
        quantile = stats.t.ppf((1 + CONFIDENCE) / 2, least - 1)
    size = share * (1 - share) / spread if spread > 1e-12 * least else least
    if clips is not None:
        size = min(size, float(clips))
    return wilson(share, size, quantile=float(quantile))


def wilson(share: float, size: float, *, quantile: float | None = None) -> Interval:
    """Wilson's interval of a share of `size` clips, which need not be a whole number.

    >>> [round(end, 2) for end in wilson(0.8, 10)]
    [0.49, 0.94]
    """
    square = (stats.norm.ppf((1 + CONFIDENCE) / 2) if quantile is None else quantile) ** 2 / size
    middle = (share + square / 2) / (1 + square)
    half = np.sqrt(square * share * (1 - share) + square**2 / 4) / (1 + square)
    return float(np.clip(middle - half, 0.0, share)), float(np.clip(middle + half, share, 1.0))


def units_of(clips: int, groups: ArrayLike | None, generator: np.random.Generator) -> NDArray[np.int64]:
    """The unit of each clip, (N,): itself, or its group; "" is a group of its own for each clip.

    More than `MOST_UNITS` are dealt into so many at random.
    """
    units = np.arange(clips)
    if groups is not None:
        names = np.asarray(groups, dtype=object).astype(str)
        if names.shape != (clips,):
            raise DferError(f"expected a group for each of {clips} clips, got {names.shape}")
        known = names != ""
        found, members = np.unique(names[known], return_inverse=True)
        units[known] = members
        units[~known] = len(found) + np.arange(int((~known).sum()))
    count = int(units.max()) + 1
    if count > MOST_UNITS:
        units = generator.permutation(count)[units] % MOST_UNITS
    return units


def _all_halves(table: Floats) -> Floats:
    """The sums (2^(U - 1), C) over every half that lacks the last unit: the others are their complements."""
    sums = np.zeros((1, table.shape[1]))
    for row in table[:-1]:
        sums = np.vstack([sums, sums + row])
    return sums


def _drawn_halves(table: Floats, generator: np.random.Generator, draws: int) -> Floats:
    """The sums (draws, C) over halves in which each unit is with a chance of one half."""
    count = len(table)
    sums = np.empty((draws, table.shape[1]))
    step = max(1, CELLS // count)
    for start in range(0, draws, step):
        size = min(step, draws - start)
        bits = np.frombuffer(generator.bytes(size * -(-count // 8)), dtype=np.uint8).reshape(size, -1)
        np.matmul(np.unpackbits(bits, axis=1, count=count).astype(np.float64), table, out=sums[start : start + size])
    return sums


def _divided(sums: Floats, weights: Floats) -> Floats:
    return sums / np.where(weights > SAME, weights, np.nan)


def _middle(means: Floats, refused: int, margin: float) -> Interval | None:
    """The values that fewer than `refused` halves lie beyond, on either side; None where no end is known."""
    if refused < 1:
        return None
    low = np.partition(np.nan_to_num(means, nan=-np.inf), refused - 1)[refused - 1] - margin
    high = -np.partition(np.nan_to_num(-means, nan=-np.inf), refused - 1)[refused - 1] + margin
    return (float(low), float(high)) if np.isfinite([low, high]).all() else None
