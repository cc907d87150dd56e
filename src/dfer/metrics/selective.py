"""What a model gains by saying "I don't know": risk against coverage, its area, and a rule to reject by.

Conventions: `confidence (N,)` says how sure the model is of each clip, in any unit, higher is surer (the largest
probability, say, or minus the entropy); `loss (N,)` is what its answer costs: 1 for wrong and 0 for right, or the
share of voters who disagree with it. The surest clips are accepted first. Coverage is the share of clips that are
accepted, risk their mean loss. Clips of equal confidence come in any order: risk is the mean over these orders, so
that no number depends on the order of the rows.

References:
    El-Yaniv and Wiener, "On the foundations of noise-free selective classification", JMLR 2010.
    Geifman and El-Yaniv, "Selective classification for deep neural networks", NeurIPS 2017; Geifman, Uziel and
    El-Yaniv, "Bias-reduced uncertainty estimation for deep neural classifiers", ICLR 2019: AURC.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from dfer.errors import DferError, listed

Floats = NDArray[np.float64]


def risk_coverage(confidence: ArrayLike, loss: ArrayLike) -> tuple[Floats, Floats]:
    """Coverage 1/N, 2/N ... 1 and the risk at each, (N,) both.

    Raises:
        DferError: lengths that differ, or NaN.

    >>> coverage, risk = risk_coverage([0.9, 0.6, 0.8, 0.7], [0, 1, 0, 1])
    >>> risk.round(3).tolist()
    [0.0, 0.0, 0.333, 0.5]
    """
    sure, cost = _checked(confidence, loss)
    # with a clip's loss goes the mean loss of those that are as sure: its expectation over their orders
    _, group = np.unique(-sure, return_inverse=True)
    mean = np.bincount(group, cost) / np.maximum(np.bincount(group), 1)
    accepted = np.arange(1, len(sure) + 1)
    return accepted / max(len(sure), 1), np.cumsum(mean[np.sort(group)]) / accepted


def aurc(confidence: ArrayLike, loss: ArrayLike) -> float:
    """Area under the risk-coverage curve: the mean risk over the N coverages; lower is better, NaN without clips.

    Args:
        confidence: (N,) how sure the model is of each clip.
        loss: (N,) what each prediction costs, such as 0 if it is right and 1 if it is wrong.

    Raises:
        DferError: lengths that differ, or NaN.
    """
    _, risk = risk_coverage(confidence, loss)
    return float(risk.mean()) if len(risk) else np.nan


def risk_at(confidence: ArrayLike, loss: ArrayLike, coverage: float) -> float:
    """The risk of the surest `coverage` of the clips, at least that share and one clip; NaN without clips.

    Args:
        confidence: (N,) how sure the model is of each clip.
        loss: (N,) what each prediction costs.
        coverage: a share of the clips, above 0 and up to 1.

    Raises:
        DferError: lengths that differ, NaN, or a coverage out of range.

    >>> risk_at([0.9, 0.6, 0.8, 0.7], [0, 1, 0, 1], 0.5)
    0.0
    """
    if not 0 < coverage <= 1:
        raise DferError(f"expected a coverage above 0 and up to 1, got {coverage}")
    covered, risk = risk_coverage(confidence, loss)
    if not len(risk):
        return np.nan
    return float(risk[np.searchsorted(covered, coverage - 1e-9)])  # 0.9 of ten clips is nine, whatever the rounding


def fit_threshold(confidence: ArrayLike, loss: ArrayLike, *, risk: float) -> float:
    """The lowest confidence at which those that are at least as sure cost `risk` or less on average.

    Fit it on the validation part only; then reject the clips below it. It promises that risk for validation clips,
    not for others.

    Returns:
        A confidence that occurs, or infinity where no threshold keeps the risk so low: reject everything.

    Raises:
        DferError: lengths that differ, NaN, or a risk below 0.

    >>> fit_threshold([0.9, 0.6, 0.8, 0.7], [0, 1, 0, 1], risk=0.4)
    0.7
    """
    if not risk >= 0:
        raise DferError(f"expected a risk of 0 or more, got {risk}")
    sure, cost = _checked(confidence, loss)
    levels, group = np.unique(-sure, return_inverse=True)
    clips = np.bincount(group, minlength=len(levels)).cumsum()
    costs = np.bincount(group, cost, minlength=len(levels)).cumsum()
    kept = np.flatnonzero(costs / clips <= risk + 1e-9)  # 29 of 100 is a risk of 0.29, whatever the rounding
    return float(-levels[kept[-1]]) if len(kept) else np.inf


def _checked(confidence: ArrayLike, loss: ArrayLike) -> tuple[Floats, Floats]:
    sure, cost = np.asarray(confidence, dtype=np.float64), np.asarray(loss, dtype=np.float64)
    if sure.ndim != 1 or sure.shape != cost.shape:
        raise DferError(f"expected a confidence and a loss for each clip, got shapes {sure.shape} and {cost.shape}")
    wrong = np.flatnonzero(np.isnan(sure) | np.isnan(cost))
    if len(wrong):
        raise DferError(f"NaN in the confidence or loss of {len(wrong)} of {len(sure)} clips: rows {listed(wrong)}")
    return sure, cost
