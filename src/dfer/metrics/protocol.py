"""From a predictions table to the numbers of a report.

Conventions: scores against labels (WAR, UAR, recall, confusion, top-2, reliability, ECE, risk and coverage) are over
the clips with a single label, `n` of them; scores against votes (the distances, Dirichlet-multinomial, entropy
correlation, AUROC of "no majority", ECE against votes) are over the clips with votes, `n_votes` of them, whose shares
are the targets. Numbers are pooled over folds; the folds' own numbers, their mean and standard deviation (n - 1) stand
beside them, None where a fold lacks one. Strata are those of `dfer.labels.STRATA`, by the agreement of the votes.

What is undefined is None in these results, never NaN.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dfer.errors import DferError, listed
from dfer.labels import STRATA, entropy, strata
from dfer.metrics import functional as metrics
from dfer.metrics.calibration import Bin, classwise_ece, ece, reliability, vote_ece, vote_reliability
from dfer.metrics.ceiling import Panel, annotators_ceiling
from dfer.metrics.predictions import Predictions
from dfer.metrics.selective import aurc, risk_at, risk_coverage

AVERAGED = ("war", "uar", "kl", "js", "ece")
"""The scores that get a mean and a standard deviation over folds."""
COVERAGES = 20
"""Points of the risk-coverage curve that the report keeps, at even distances up to all clips."""

Floats = NDArray[np.float64]
Function = Callable[[Floats, Any], float]


def _mean_of(distance: Callable[[Floats, Floats], Floats]) -> Function:
    """The mean over clips of what `distance` says of each; NaN without clips."""
    return lambda probs, shares: float(distance(probs, shares).mean()) if len(probs) else math.nan


def _of_risk(function: Callable[..., float], *arguments: float) -> Function:
    """A score of confidences and mistakes, as one of predictions and labels."""
    return lambda probs, labels: function(probs.max(axis=1), probs.argmax(axis=1) != labels, *arguments)


AGAINST_LABELS: dict[str, Function] = {
    "war": metrics.war,
    "uar": metrics.uar,
    "top2": partial(metrics.top_k, k=2),
    "ece": ece,
    "ece_mass": partial(ece, equal="mass"),
    "classwise_ece": classwise_ece,
    "aurc": _of_risk(aurc),
    "risk90": _of_risk(risk_at, 0.9),
    "risk80": _of_risk(risk_at, 0.8),
}
"""Scores by their key in the report; of (n, K) predictions and (n,) labels."""
AGAINST_VOTES: dict[str, Function] = {
    "cross_entropy": _mean_of(metrics.cross_entropy),
    "kl": _mean_of(metrics.kl_divergence),
    "js": _mean_of(metrics.js_divergence),
    "brier": _mean_of(metrics.brier),
    "chebyshev": _mean_of(metrics.chebyshev),
    "clark": _mean_of(metrics.clark),
    "canberra": _mean_of(metrics.canberra),
    "cosine": _mean_of(metrics.cosine),
    "intersection": _mean_of(metrics.intersection),
    "entropy_correlation": metrics.entropy_correlation,
    "no_majority_auroc": metrics.no_majority_auroc,
    "vote_ece": vote_ece,
}
"""Of (n_votes, K) predictions and shares of votes."""
AGAINST_COUNTS: dict[str, Function] = {"dirichlet_multinomial": _mean_of(metrics.dirichlet_multinomial)}
"""Of (n_votes, K) predictions and counts of votes."""


@dataclass(frozen=True)
class Scores:
    """How some clips were judged: a whole test part, or a fold, stratum or group of it.

    Attributes:
        n: clips with a single label, which the scores against labels are over.
        n_votes: clips with votes, which the scores against votes are over.
        values: the scores that were asked for, by key; `dfer.metrics.scores.BY_KEY` says what each means, its unit or
            range and which direction is better. `scores["war"]` is short for `scores.values["war"]`.
        absent: emotions without a labelled clip, which UAR leaves out.
    """

    n: int
    n_votes: int
    values: Mapping[str, float | None]
    absent: list[str]

    def __getitem__(self, key: str) -> float | None:
        return self.values[key]

    def as_dict(self) -> dict[str, Any]:
        """For JSON, where the scores stand among the other fields."""
        told = dict(vars(self))
        return {**told.pop("values"), **told}


@dataclass(frozen=True)
class FoldScores(Scores):
    """Of the test part of one fold; 0 stands for that of a split."""

    fold: int


@dataclass(frozen=True)
class StratumScores(Scores):
    """Of the clips whose voters agree from `low` to below `high`, 0 to 1: a stratum of `dfer.labels.STRATA`."""

    name: str
    low: float
    high: float


@dataclass(frozen=True)
class Coverage:
    """The share of the clips that are answered, the surest, and of the wrong answers among these; 0 to 1."""

    coverage: float
    risk: float


@dataclass(frozen=True)
class Summary(Scores):
    """All numbers of a run's predictions, pooled over folds.

    Attributes:
        recall: {emotion: share of its clips that are right, 0 to 1}.
        kl_by_label: {emotion: mean KL of the clips with this label, nats}.
        confusion: (K, K) counts; the row is the label, the column the prediction.
        reliability, vote_reliability: bins of confidence, against labels and against votes.
        risk_coverage: up to `COVERAGES` points, the last one with all clips.
        ceiling: the annotators' own scores, see `annotators_ceiling`; None where they were not asked for.
        strata, folds: the scores of each.
        mean, sd: over folds, of the scores `AVERAGED`; `sd` is None with one fold.
    """

    recall: dict[str, float | None]
    kl_by_label: dict[str, float | None]
    confusion: list[list[int]]
    reliability: list[Bin]
    vote_reliability: list[Bin]
    risk_coverage: list[Coverage]
    ceiling: dict[str, Panel] | None
    strata: list[StratumScores]
    folds: list[FoldScores]
    mean: dict[str, float | None] | None
    sd: dict[str, float | None] | None


@dataclass(frozen=True)
class GalleryClip:
    """A clip that people disagree on.

    Attributes:
        id: of the clip.
        votes: {emotion: count}.
        entropy: of the votes, 0 to 1.
        probs: {name of the run: K probabilities}.
    """

    id: str
    votes: dict[str, float]
    entropy: float
    probs: dict[str, list[float]]


def score(predictions: Predictions, *, people: bool = True) -> Summary:
    """All numbers of a run.

    Args:
        predictions: of all its folds.
        people: whether the annotators' own scores are wanted, too (`ceiling`).
    """
    labelled, voted = predictions.labelled, predictions.voted
    probs, labels = predictions.probs[labelled], predictions.labels[labelled]
    folds = [
        FoldScores(**vars(measure(predictions.select(predictions.fold == fold))), fold=fold)
        for fold in np.unique(predictions.fold).tolist()
    ]
    table = np.array([[fold[key] for key in AVERAGED] for fold in folds], dtype=np.float64)
    of_strata = strata(predictions.votes)
    by_label = [measure(predictions.select(predictions.labels == k), ["kl"])["kl"] for k in range(probs.shape[1])]
    return Summary(
        **vars(measure(predictions, [*AGAINST_LABELS, *AGAINST_VOTES, *AGAINST_COUNTS])),
        recall=dict(zip(predictions.emotions, _known(metrics.recall(probs, labels)), strict=True)),
        kl_by_label=dict(zip(predictions.emotions, by_label, strict=True)),
        confusion=metrics.confusion(probs, labels).tolist(),
        reliability=reliability(probs, labels),
        vote_reliability=vote_reliability(predictions.probs[voted], predictions.shares[voted]),
        risk_coverage=_curve(probs, labels),
        ceiling=annotators_ceiling(predictions.votes, labelled) if people else None,
        strata=[
            StratumScores(**vars(measure(predictions.select(of_strata == k))), **stratum._asdict())
            for k, stratum in enumerate(STRATA)
        ],
        folds=folds,
        mean=dict(zip(AVERAGED, _known(table.mean(axis=0)), strict=True)) if folds else None,
        sd=dict(zip(AVERAGED, _known(table.std(axis=0, ddof=1)), strict=True)) if len(folds) > 1 else None,
    )


def gallery(predictions: Mapping[str, Predictions], *, count: int = 12) -> list[GalleryClip]:
    """The clips that people disagree on most, with what each cell says of them.

    Args:
        predictions: name of the cell -> its predictions; only clips that all cells have are shown.
        count: at most so many.

    Returns:
        The highest entropy of the votes first, equals by id.

    Raises:
        DferError: cells with different emotions.
    """
    if not predictions:
        return []
    first, *others = predictions.values()
    for other in others:
        if other.emotions != first.emotions:
            raise DferError(
                f"expected cells with the same emotions, got {listed(first.emotions, 12)} "
                f"and {listed(other.emotions, 12)}"
            )
    rows = {name: dict(zip(part.ids, part.probs, strict=True)) for name, part in predictions.items()}
    doubt = entropy(first.votes).round(10)  # equal votes in another order are equally ambiguous
    shown = [row for row in np.flatnonzero(first.voted) if all(first.ids[row] in part for part in rows.values())]
    shown.sort(key=lambda row: (-doubt[row], first.ids[row]))
    return [
        GalleryClip(
            id=first.ids[row],
            votes=dict(zip(first.emotions, first.votes[row].tolist(), strict=True)),
            entropy=float(doubt[row]),
            probs={name: part[first.ids[row]].tolist() for name, part in rows.items()},
        )
        for row in shown[:count]
    ]


def measure(predictions: Predictions, keys: Sequence[str] = AVERAGED) -> Scores:
    """Some scores of some clips.

    Args:
        predictions: of a whole test part, a fold, a stratum, a group.
        keys: of `AGAINST_LABELS`, `AGAINST_VOTES` and `AGAINST_COUNTS`.
    """
    labelled, voted = predictions.labelled, predictions.voted
    judged = (predictions.probs[labelled], predictions.labels[labelled])
    probs = predictions.probs[voted]
    ways = (
        (AGAINST_LABELS, *judged),
        (AGAINST_VOTES, probs, predictions.shares[voted]),
        (AGAINST_COUNTS, probs, predictions.votes[voted]),
    )
    values = [functions[key](rows, others) for key in keys for functions, rows, others in ways if key in functions]
    recalls = metrics.recall(*judged)
    absent = [emotion for emotion, value in zip(predictions.emotions, recalls, strict=True) if math.isnan(value)]
    return Scores(int(labelled.sum()), int(voted.sum()), dict(zip(keys, _known(values), strict=True)), absent)


def _curve(probs: Floats, labels: NDArray[np.int64]) -> list[Coverage]:
    """The risk-coverage curve at `COVERAGES` points."""
    coverage, risk = risk_coverage(probs.max(axis=1), probs.argmax(axis=1) != labels)
    kept = np.unique(np.ceil(np.arange(1, COVERAGES + 1) * len(risk) / COVERAGES).astype(np.int64) - 1)
    return [Coverage(float(coverage[k]), float(risk[k])) for k in kept] if len(risk) else []


def _known(values: Iterable[float]) -> list[float | None]:
    """The numbers, None for NaN."""
    return [None if math.isnan(value) else float(value) for value in values]
