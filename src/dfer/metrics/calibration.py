"""Does "70 % sure" mean right seven times in ten? Reliability, its errors, and how to mend them.

Conventions: as in `metrics`; a prediction's confidence is its largest probability. A bin holds confidences in
(low, high], the first one also its low end; a bin without clips has confidence and accuracy NaN. Bins of equal
"width" cut [0, 1] evenly; those of equal "mass" are cut at quantiles of the confidences, so that they have about
as many clips each; equal confidences are never parted, whatever the order of the rows.

Against votes, being right is a matter of degree: the share of voters who gave the predicted emotion, which is how
often a voter drawn at random would agree. All clips with votes count there, not only those with a single label.

References:
    Guo, Pleiss, Sun and Weinberger, "On calibration of modern neural networks", ICML 2017: ECE with
    15 bins of equal width, temperature scaling, vector scaling.
    Nixon et al., "Measuring calibration in deep learning", CVPR workshops 2019: bins of equal mass.
    Kull et al., "Beyond temperature scaling", NeurIPS 2019: the error of each class.
    Baan et al., "Stop measuring calibration when humans disagree", EMNLP 2022: why labels alone mislead here.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.optimize import minimize, minimize_scalar
from scipy.special import log_softmax, softmax

from dfer.errors import DferError
from dfer.metrics.functional import against_labels, against_shares, as_numbers

Floats = NDArray[np.float64]

BINS = 15
TEMPERATURES = (0.05, 20.0)
"""Where a temperature is looked for; a model that is never wrong would want 0, and gets a low one."""
FEWEST_FOR_TEMPERATURE = 100
"""Validation clips. On so many, 95 of 100 temperatures fitted to labels are right within a third; on ten clips they may
be wrong by a factor of two, on five by a factor of eight (benchmarks/temperature.py)."""
FEWEST_FOR_VECTOR = 200
"""Validation clips, for seven emotions or so; on fewer, its 2 K numbers cost more than they mend (same place)."""
LARGEST_SHIFT = 20.0
"""Of an emotion's logit in vector scaling; an emotion that no validation clip shows would want minus infinity."""


@dataclass(frozen=True)
class Bin:
    """Clips with a confidence in (low, high]: their mean confidence, accuracy and number."""

    low: float
    high: float
    confidence: float
    accuracy: float
    count: int


def reliability(probs: ArrayLike, labels: ArrayLike, *, bins: int = BINS, equal: str = "width") -> list[Bin]:
    """The reliability diagram as a table, lowest confidence first.

    Args:
        probs: (N, K) predictions.
        labels: (N,) positions.
        bins: how many.
        equal: "width" or "mass".

    Raises:
        DferError: predictions and labels that do not belong together, no bins, or another way to cut.
    """
    rows, positions = against_labels(probs, labels)
    return _table(rows.max(axis=1), rows.argmax(axis=1) == positions, bins, equal)


def vote_reliability(probs: ArrayLike, shares: ArrayLike, *, bins: int = BINS, equal: str = "width") -> list[Bin]:
    """As `reliability`, with the share of voters who gave the predicted emotion in the place of right or wrong."""
    rows, wanted = against_shares(probs, shares)
    agreed = np.take_along_axis(wanted, rows.argmax(axis=1)[:, None], axis=1)[:, 0]
    return _table(rows.max(axis=1), agreed, bins, equal)


def ece(probs: ArrayLike, labels: ArrayLike, *, bins: int = BINS, equal: str = "width") -> float:
    """Expected calibration error: mean |accuracy - confidence| of the bins, weighted by clips, 0 to 1.

    NaN without clips.

    >>> round(ece([[0.9, 0.1], [0.9, 0.1]], [0, 1]), 3)
    0.4
    """
    return _error(reliability(probs, labels, bins=bins, equal=equal))


def vote_ece(probs: ArrayLike, shares: ArrayLike, *, bins: int = BINS, equal: str = "width") -> float:
    """Expected calibration error against a voter drawn at random, 0 to 1; NaN without clips.

    A prediction that equals the votes has 0 here, and is under-confident by `ece` of the most voted emotion.

    >>> vote_ece([[0.7, 0.3], [0.7, 0.3]], [[0.8, 0.2], [0.6, 0.4]])
    0.0
    """
    return _error(vote_reliability(probs, shares, bins=bins, equal=equal))


def classwise_ece(probs: ArrayLike, labels: ArrayLike, *, bins: int = BINS, equal: str = "width") -> float:
    """Mean over the K emotions of the calibration error of "it is this one", 0 to 1; NaN without clips.

    Every probability counts here, not only the largest; most are small and right, so the number is, too.
    """
    rows, positions = against_labels(probs, labels)
    errors = [_error(_table(rows[:, emotion], positions == emotion, bins, equal)) for emotion in range(rows.shape[1])]
    return float(np.mean(errors))


def fit_temperature(logits: ArrayLike, targets: ArrayLike) -> float:
    """The temperature at which softmax(logits / temperature) has the least cross-entropy to the targets.

    Fit it on the validation part only. Logarithms of probabilities serve as logits.

    Args:
        logits: (N, K).
        targets: (N, K) rows that sum to one: one-hot labels or shares of votes.

    Returns:
        A temperature within `TEMPERATURES`; above 1 where the model is too sure.

    Raises:
        DferError: fewer rows than `FEWEST_FOR_TEMPERATURE`, NaN, or shapes that differ.
    """
    rows, wanted = against_shares(logits, targets)
    require_clips("a temperature", len(rows), FEWEST_FOR_TEMPERATURE)
    return best_temperature(rows, wanted)


def require_clips(what: str, clips: int, fewest: int) -> None:
    """Refuse to fit on fewer clips than tell anything."""
    if clips < fewest:
        raise DferError(
            f"expected {fewest} validation clips or more to fit {what} on, got {clips}; hold more out of training "
            "with data.validation"
        )


def best_temperature(rows: Floats, wanted: Floats) -> float:
    """`fit_temperature` on however few clips."""

    def loss(log_temperature: float) -> float:
        return float(-(wanted * log_softmax(rows / np.exp(log_temperature), axis=1)).sum() / len(rows))

    # on a log scale the loss has one minimum, and halving is as far as doubling
    found = minimize_scalar(loss, bounds=np.log(TEMPERATURES), method="bounded", options={"xatol": 1e-6})
    return float(np.exp(found.x))


def apply_temperature(logits: ArrayLike, temperature: float) -> Floats:
    """softmax(logits / temperature) of each row.

    Args:
        logits: (N, K); logarithms of probabilities will do.
        temperature: above 0; above 1 makes the model less sure.

    Returns:
        (N, K) float64 rows that sum to one.

    Raises:
        DferError: a temperature that is not above 0.
    """
    if not temperature > 0:
        raise DferError(f"expected a temperature above 0, got {temperature}")
    return np.asarray(softmax(as_numbers(logits, "logits") / temperature, axis=1))


@dataclass(frozen=True, eq=False)
class VectorScaling:
    """softmax(weights · logits + bias), elementwise: (K,) each."""

    weights: Floats
    bias: Floats

    def apply(self, logits: ArrayLike) -> Floats:
        """Logits (N, K), or logarithms of probabilities, to probabilities (N, K)."""
        return np.asarray(softmax(as_numbers(logits, "logits") * self.weights + self.bias, axis=1))


def fit_vector_scaling(logits: ArrayLike, targets: ArrayLike) -> VectorScaling:
    """The weight and shift of each emotion's logit with the least cross-entropy to the targets.

    Fit it on the validation part only. It has 2 K numbers where a temperature has one: it can mend an emotion that
    is named too often, and needs the clips to tell. Unlike a temperature it may change which emotion is the most
    probable one.

    Args:
        logits: (N, K); logarithms of probabilities will do, though the weights are not the same then.
        targets: (N, K) rows that sum to one.

    Returns:
        Weights from 0 to 1 / `TEMPERATURES`[0], and shifts within ± `LARGEST_SHIFT`.

    Raises:
        DferError: fewer rows than `FEWEST_FOR_VECTOR`, NaN, or shapes that differ.
    """
    rows, wanted = against_shares(logits, targets)
    require_clips("vector scaling", len(rows), FEWEST_FOR_VECTOR)
    return best_vector_scaling(rows, wanted)


def best_vector_scaling(rows: Floats, wanted: Floats) -> VectorScaling:
    """`fit_vector_scaling` on however few clips."""
    size = rows.shape[1]

    def loss(numbers: Floats) -> tuple[float, Floats]:
        logs = log_softmax(rows * numbers[:size] + numbers[size:], axis=1)
        gap = (np.exp(logs) - wanted) / len(rows)
        return float(-(wanted * logs).sum() / len(rows)), np.concatenate([(gap * rows).sum(axis=0), gap.sum(axis=0)])

    start = np.concatenate([np.full(size, 1 / best_temperature(rows, wanted)), np.zeros(size)])
    bounds = [(0.0, 1 / TEMPERATURES[0])] * size + [(-LARGEST_SHIFT, LARGEST_SHIFT)] * size
    found = minimize(loss, start, jac=True, bounds=bounds, method="L-BFGS-B", options={"maxiter": 1000, "ftol": 1e-12})
    return VectorScaling(found.x[:size], found.x[size:])


def _table(confidence: Floats, right: NDArray[np.bool_] | Floats, bins: int, equal: str) -> list[Bin]:
    """`right` (N,) is 0 or 1, or a degree between."""
    if bins < 1 or equal not in ("width", "mass"):
        raise DferError(f"expected 1 bin or more of equal 'width' or 'mass', got {bins} of equal '{equal}'")
    shares = np.linspace(0.0, 1.0, bins + 1)
    edges = shares if equal == "width" or not len(confidence) else np.quantile(confidence, shares)
    place = np.searchsorted(edges[1:-1], confidence, side="left")
    count = np.bincount(place, minlength=bins)
    clips = np.where(count > 0, count, np.nan)
    mean_confidence = np.bincount(place, confidence, minlength=bins) / clips
    accuracy = np.bincount(place, right, minlength=bins) / clips
    columns = (edges[:-1], edges[1:], mean_confidence, accuracy, count)
    return [Bin(*row) for row in zip(*(column.tolist() for column in columns), strict=True)]


def _error(table: list[Bin]) -> float:
    total = sum(part.count for part in table)
    gaps = sum(part.count * abs(part.accuracy - part.confidence) for part in table if part.count)
    return gaps / total if total else np.nan
