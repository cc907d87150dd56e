"""How sure a network must be to name an emotion, so that it names another one than most people would rarely enough.

A card holds, for each of some levels of the confidence, how many clips that the network was not trained on reach it,
and for how many of these the emotion that is named is not the one that most voters chose. A clip without a majority
counts as wrong whatever is named. The levels are tested downwards from a few that enough clips reach, each by an exact
binomial bound on the risk, until one fails ("fixed sequence, several starts"). So with a probability of `1 - FAILURE`
the risk of the last level that passed is at most the one that was asked for, on clips drawn like these. It promises
nothing for other people, cameras or light.

References: Angelopoulos, Bates, Candes, Jordan and Lei: "Learn then Test", Annals of Applied Statistics 2025, section
3; Clopper and Pearson, Biometrika 26, 1934. Selective prediction with such a bound: Geifman and El-Yaniv, NeurIPS 2017.
"""

from __future__ import annotations

from typing import Literal

import numpy as np
import numpy.typing as npt
from scipy.stats import beta

from dfer.errors import DferError

Floats = npt.NDArray[np.float64]
Table = dict[Literal["confidence", "named", "wrong"], tuple[float, ...]]
"""Levels of the confidence, increasing; how many clips reach each; for how many of these another emotion is named."""

FAILURE = 0.1
"""How likely it is, at most, that the risk is higher than was asked for: by bad luck with the clips it is fitted on."""
STARTS = (1, 4, 16)
"""A sequence of tests starts at the highest level that this many times as many clips reach as prove the risk if all of
them are right; each has its share of `FAILURE`."""
LEVELS = (-1.0, *(round(0.02 * step, 2) for step in range(50)))
"""They are fixed beforehand, so that they do not depend on the clips. Everything is named from the first one on."""


def confidence(probs: Floats, shown: Floats | None = None) -> Floats:
    """How far the emotion that is named is ahead of the next one, (N,), -1..1.

    Args:
        probs: (N, K) in the population that the network was trained for, where they are calibrated.
        shown: (N, K) in the one that is answered for, whose most probable emotion is named; None: the same.

    >>> confidence(np.array([[0.7, 0.2, 0.1]]), np.array([[0.5, 0.2, 0.3]])).round(3).tolist()
    [0.5]
    """
    rows, named = np.arange(len(probs)), (probs if shown is None else shown).argmax(axis=1)
    others = probs.copy()
    others[rows, named] = 0.0
    return np.asarray(probs[rows, named] - others.max(axis=1))


def held_out(sure: Floats, wrong: npt.NDArray[np.bool_]) -> Table:
    """The table of some clips that the network was not trained on.

    Args:
        sure: (N,) the confidence.
        wrong: (N,) whether another emotion is named than the one that most voters chose.
    """
    reached = [sure >= level for level in LEVELS]
    return {
        "confidence": LEVELS,
        "named": tuple(int(rows.sum()) for rows in reached),
        "wrong": tuple(int(wrong[rows].sum()) for rows in reached),
    }


def least_confidence(table: Table, risk: float, *, failure: float = FAILURE) -> float:
    """The lowest confidence that keeps to a risk.

    Args:
        table: see `held_out`.
        risk: how often, at most, another emotion is named than most people would, above 0 and below 1.
        failure: how likely it is, at most, that it is higher.

    Raises:
        DferError: the risk is none, or lower than the clips can prove.
    """
    if not 0 < risk < 1:
        raise DferError(
            f"expected a risk above 0 and below 1, got {risk:g}; 0.1 names a wrong emotion once in ten times"
        )
    named, wrong = (np.array(table[key], dtype=np.float64) for key in ("named", "wrong"))
    without_error = np.log(failure / len(STARTS)) / np.log1p(-risk)  # so many clips prove the risk if all are right
    reached = [np.flatnonzero(named >= times * without_error) for times in STARTS]
    starts = sorted({int(levels[-1]) for levels in reached if len(levels)})
    bounds = np.where(named > 0, beta.ppf(1 - failure / len(STARTS), wrong + 1, np.maximum(named - wrong, 1e-9)), 1.0)
    passed = [start for start in starts if bounds[start] <= risk]
    if not passed:
        raise DferError(
            f"a risk of {risk:g} cannot be proved with the {int(named.max(initial=0))} held-out clips of this model; "
            "ask for a higher one"
        )
    level = passed[0]
    while level > 0 and bounds[level - 1] <= risk:
        level -= 1
    return float(table["confidence"][level])
