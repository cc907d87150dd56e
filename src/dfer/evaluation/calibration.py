"""Does "70 % sure" mean right seven times in ten? Reliability, its error, and one temperature to mend it.

Conventions: as in `metrics`; a prediction's confidence is its largest probability. A bin holds confidences in
(low, high], the first one also its low end; a bin without clips has confidence and accuracy NaN.

References:
    Guo, Pleiss, Sun and Weinberger, "On calibration of modern neural networks", ICML 2017: ECE with
    15 bins of equal width, and temperature scaling.
    Nixon et al., "Measuring calibration in deep learning", CVPR workshops 2019: bins of equal mass.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.optimize import minimize_scalar
from scipy.special import log_softmax, softmax

from dfer.errors import DferError
from dfer.evaluation.metrics import against_labels, against_shares

Floats = NDArray[np.float64]

BINS = 15
TEMPERATURES = (0.05, 20.0)
"""Where a temperature is looked for; a model that is never wrong would want 0, and gets a low one."""


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
        equal: "width" cuts [0, 1] evenly; "mass" cuts at quantiles of the confidences, so that the bins have
            about as many clips each. Equal confidences are never parted, whatever the order of the rows.

    Raises:
        DferError: predictions and labels that do not belong together, no bins, or another way to cut.
    """
    rows, positions = against_labels(probs, labels)
    if bins < 1 or equal not in ("width", "mass"):
        raise DferError(f"expected 1 bin or more of equal 'width' or 'mass', got {bins} of equal '{equal}'")
    confidence = rows.max(axis=1)
    right = rows.argmax(axis=1) == positions
    shares = np.linspace(0.0, 1.0, bins + 1)
    edges = shares if equal == "width" or not len(rows) else np.quantile(confidence, shares)
    place = np.searchsorted(edges[1:-1], confidence, side="left")
    count = np.bincount(place, minlength=bins)
    clips = np.where(count > 0, count, np.nan)
    mean_confidence = np.bincount(place, confidence, minlength=bins) / clips
    accuracy = np.bincount(place, right, minlength=bins) / clips
    columns = (edges[:-1], edges[1:], mean_confidence, accuracy, count)
    return [Bin(*row) for row in zip(*(column.tolist() for column in columns), strict=True)]


def ece(probs: ArrayLike, labels: ArrayLike, *, bins: int = BINS, equal: str = "width") -> float:
    """Expected calibration error: mean |accuracy - confidence| of the bins, weighted by clips, 0 to 1.

    NaN without clips.

    >>> round(ece([[0.9, 0.1], [0.9, 0.1]], [0, 1]), 3)
    0.4
    """
    table = [part for part in reliability(probs, labels, bins=bins, equal=equal) if part.count]
    total = sum(part.count for part in table)
    gaps = sum(part.count * abs(part.accuracy - part.confidence) for part in table)
    return gaps / total if total else np.nan


def fit_temperature(logits: ArrayLike, targets: ArrayLike) -> float:
    """The temperature at which softmax(logits / temperature) has the least cross-entropy to the targets.

    Fit it on the validation part only. Logarithms of probabilities serve as logits.

    Args:
        logits: (N, K).
        targets: (N, K) rows that sum to one: one-hot labels or shares of votes.

    Returns:
        A temperature within `TEMPERATURES`; above 1 where the model is too sure.

    Raises:
        DferError: no rows, NaN, or shapes that differ.
    """
    rows, wanted = against_shares(logits, targets)
    if not len(rows):
        raise DferError("expected validation clips to fit a temperature on, got none")

    def loss(log_temperature: float) -> float:
        return float(-(wanted * log_softmax(rows / np.exp(log_temperature), axis=1)).sum() / len(rows))

    # on a log scale the loss has one minimum, and halving is as far as doubling
    found = minimize_scalar(loss, bounds=np.log(TEMPERATURES), method="bounded", options={"xatol": 1e-6})
    return float(np.exp(found.x))


def apply_temperature(logits: ArrayLike, temperature: float) -> Floats:
    """softmax(logits / temperature), (N, K); a temperature above 0."""
    if not temperature > 0:
        raise DferError(f"expected a temperature above 0, got {temperature}")
    return np.asarray(softmax(np.asarray(logits, dtype=np.float64) / temperature, axis=1))
