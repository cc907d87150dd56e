"""What each clip adds to a score, so that the score of many clips is a sum.

Conventions: a unit is what is drawn or swapped as a whole: a clip, or all clips of one person or film. WAR, UAR and the
mean distances are sums over clips once the clips of each emotion are counted. ECE is the sum of the bins' absolute
gaps; with the sign of each bin's gap as it is, it is a sum over clips, too. A cell of several runs has the mean of its
runs' scores, and of what a unit adds to them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dfer.errors import DferError
from dfer.metrics import functional as metrics
from dfer.metrics.calibration import BINS
from dfer.metrics.predictions import Predictions

Floats = NDArray[np.float64]
Units = NDArray[np.int64]

DISTANCES = {
    "cross_entropy": metrics.cross_entropy,
    "kl": metrics.kl_divergence,
    "js": metrics.js_divergence,
    "brier": metrics.brier,
}
"""Scores that are a mean over the clips with votes."""
SUMMED = ("war", "uar", *DISTANCES, "ece")
"""The scores that are sums over clips, in the order of the columns; the others (rank correlations, areas) are none."""


@dataclass(frozen=True, eq=False)
class Parts:
    """What each of U units adds to the scores `SUMMED` of a cell.

    Attributes:
        values: (U, S); each column sums to the score, NaN where the score is undefined.
        weights: (U, S), the unit's share of the clips that the score is about; each column sums to one. UAR's clips
            weigh as much as they count there: each emotion alike.
        noise: (S,), what chance alone adds to the score of a model that is right on average: 0, but for ECE.
    """

    values: Floats
    weights: Floats
    noise: Floats


def parts(runs: Sequence[Predictions], units: Units) -> Parts:
    """What the units add to the scores of a cell.

    Args:
        runs: of the cell; all on the same clips, in the same order.
        units: (N,) the unit of each clip, 0 to U - 1.

    Raises:
        DferError: no runs, or runs on other clips.
    """
    if not runs or any(not np.array_equal(run.ids, runs[0].ids) for run in runs):
        raise DferError("expected at least one run, and all of them on the same clips in the same order")
    weights = _weights(runs[0])
    values, noise = np.zeros((units.max() + 1, len(SUMMED))), 0.0
    for run in runs:
        added, of_run = _of_run(run, weights, units)
        values += added / len(runs)
        noise += of_run / len(runs)
    floor = np.zeros(len(SUMMED))
    floor[SUMMED.index("ece")] = noise
    return Parts(values, _summed(weights, units), floor)


def _weights(run: Predictions) -> Floats:
    """(N, S), NaN in the columns of scores that are undefined."""
    shown = np.bincount(run.labels[run.labelled], minlength=len(run.emotions))
    each = np.append(np.where(shown > 0, 1 / np.maximum(shown, 1), 0.0) / max(int((shown > 0).sum()), 1), 0.0)
    by_clip = {
        "war": run.labelled / (run.labelled.sum() or np.nan),
        "uar": each[run.labels] if run.labelled.any() else np.full(len(run), np.nan),
        "votes": run.voted / (run.voted.sum() or np.nan),
    }
    return np.column_stack(
        [by_clip["votes" if key in DISTANCES else "uar" if key == "uar" else "war"] for key in SUMMED]
    )


def _of_run(run: Predictions, weights: Floats, units: Units) -> tuple[Floats, float]:
    """What the units add to a run's scores, (U, S), and the noise of its ECE."""
    confidence, right = run.probs.max(axis=1), run.probs.argmax(axis=1) == run.labels
    columns = {"war": right.astype(np.float64), "uar": right.astype(np.float64)}
    for key, distance in DISTANCES.items():
        columns[key] = np.zeros(len(run))
        columns[key][run.voted] = distance(run.probs[run.voted], run.shares[run.voted])
    bins = np.searchsorted(np.linspace(0.0, 1.0, BINS + 1)[1:-1], confidence, side="left")
    gaps = np.where(run.labelled, right - confidence, 0.0)
    columns["ece"] = np.sign(np.bincount(bins, gaps, minlength=BINS))[bins] * gaps
    values = _summed(np.column_stack([columns[key] for key in SUMMED]) * weights, units)
    return values, _noise(gaps, bins, units) / max(int(run.labelled.sum()), 1)


def _noise(gaps: Floats, bins: Units, units: Units) -> float:
    """The mean absolute sum of the bins' gaps (N,) if their signs were drawn by lot, unit by unit."""
    size = units.max() + 1
    of_each = np.bincount(units * BINS + bins, gaps, minlength=size * BINS).reshape(size, BINS)
    return float(np.sqrt(2 / np.pi) * np.sqrt(np.square(of_each).sum(axis=0)).sum())


def _summed(columns: Floats, units: Units) -> Floats:
    """The sums of each unit, (U, S)."""
    return np.column_stack([np.bincount(units, column) for column in columns.T])
