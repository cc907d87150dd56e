"""Scores as functions of sums over clips: what each clip adds, and what the sums make.

So the scores of ten thousand samples of clips are one matrix product and a few divisions. With each clip taken once
they are the numbers of `metrics` and `calibration`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dfer.errors import DferError
from dfer.evaluation import metrics
from dfer.evaluation.calibration import BINS
from dfer.evaluation.predictions import Predictions

Floats = NDArray[np.float64]

DISTANCES = {
    "cross_entropy": metrics.cross_entropy,
    "kl": metrics.kl_divergence,
    "js": metrics.js_divergence,
    "brier": metrics.brier,
}
"""Scores that are a mean over the clips with votes."""
SUMMED = ("war", "uar", *DISTANCES, "ece")
"""The scores of `scores_of_sums`; the others (rank correlations, areas) are no functions of sums."""


@dataclass(frozen=True, eq=False)
class Contributions:
    """What each of N clips adds to the sums behind the scores of R runs.

    Attributes:
        table: (N, C); labelled clips of each emotion (K columns), clips with votes (1), then for each run: right
            ones of each emotion (K), distances, and right less confidence in each bin of ECE.
        runs: R.
        emotions: K.
    """

    table: Floats
    runs: int
    emotions: int


def contributions(runs: Sequence[Predictions]) -> Contributions:
    """What the clips of some runs add; all runs on the same clips, in the same order.

    Raises:
        DferError: no runs, or runs on other clips.
    """
    if not runs or any(not np.array_equal(run.ids, runs[0].ids) for run in runs):
        raise DferError("expected at least one run, and all of them on the same clips in the same order")
    first = runs[0]
    shown = np.eye(len(first.emotions) + 1)[first.labels][:, :-1]  # label -1 is the last row, which is cut off
    columns = [shown, first.voted[:, None], *(_of_run(run, shown) for run in runs)]
    return Contributions(np.hstack(columns), len(runs), len(first.emotions))


def scores_of_sums(sums: Floats, of: Contributions) -> dict[str, Floats]:
    """The scores of each run in each sample.

    Args:
        sums: (S, C) of the columns of `of.table`.
        of: whose sums they are.

    Returns:
        {score: (S, R)} for `SUMMED`; NaN where a sample has no clip that the score is about.
    """
    shown, voted = sums[:, : of.emotions], sums[:, of.emotions]
    labelled = shown.sum(axis=1)
    parts = sums[:, of.emotions + 1 :].reshape(len(sums), of.runs, -1)
    right, distances, gaps = np.split(parts, [of.emotions, of.emotions + len(DISTANCES)], axis=2)
    recalls = _divided(right, shown[:, None, :])
    present = (shown > 0).sum(axis=1)
    scores = {
        "war": _divided(right.sum(axis=2), labelled[:, None]),
        "uar": _divided(np.nansum(recalls, axis=2), present[:, None]),
        "ece": _divided(np.abs(gaps).sum(axis=2), labelled[:, None]),
    }
    means = _divided(distances, voted[:, None, None])
    scores |= {key: means[:, :, place] for place, key in enumerate(DISTANCES)}
    return {key: scores[key] for key in SUMMED}


def _of_run(run: Predictions, shown: Floats) -> Floats:
    """A run's own columns, (N, K + distances + bins)."""
    confidence = run.probs.max(axis=1)
    right = run.probs.argmax(axis=1) == run.labels
    distances = np.zeros((len(run), len(DISTANCES)))
    for place, distance in enumerate(DISTANCES.values()):
        distances[run.voted, place] = distance(run.probs[run.voted], run.shares[run.voted])
    edges = np.linspace(0.0, 1.0, BINS + 1)
    bins = np.eye(BINS)[np.searchsorted(edges[1:-1], confidence, side="left")]
    gaps = bins * np.where(run.labelled, right - confidence, 0.0)[:, None]
    return np.hstack([shown * right[:, None], distances, gaps])


def _divided(values: Floats, by: Floats) -> Floats:
    return values / np.where(by > 0, by, np.nan)
