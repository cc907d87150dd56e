"""From a predictions table to the numbers of a report.

Conventions: scores against labels (WAR, UAR, recall, confusion, top-2, reliability, ECE, risk and coverage) are over
the clips with a single label, `n` of them; scores against votes (the distances, Dirichlet-multinomial, entropy
correlation, AUROC of "no majority", ECE against votes) are over the clips with votes, `n_votes` of them, whose shares
are the targets. Numbers are pooled over folds; the folds' own numbers, their mean and standard deviation (n - 1) stand
beside them, None where a fold lacks one. Strata are those of `dfer.labels.STRATA`, by the agreement of the votes.

Everything here is ready for JSON: what is undefined is None, never NaN.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dfer.errors import DferError, listed
from dfer.labels import STRATA, entropy, strata
from dfer.metrics import functional as metrics
from dfer.metrics.calibration import classwise_ece, ece, reliability, vote_ece, vote_reliability
from dfer.metrics.ceiling import annotators_ceiling
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


def score(predictions: Predictions, *, people: bool = True) -> dict[str, Any]:
    """All numbers of one cell of the report.

    Args:
        predictions: of all its folds.
        people: whether the annotators' own scores are wanted, too ("ceiling").

    Returns:
        `n`, `n_votes`, the scores of `AGAINST_LABELS` and `AGAINST_VOTES`, `dirichlet_multinomial` (of counts),
        `recall` {emotion: number}, `kl_by_label` {emotion: mean KL of the clips with this label}, `absent` (emotions
        without a labelled clip, left out of UAR), `confusion` (rows are true), `reliability` and `vote_reliability`
        (bins), `risk_coverage` (points), `ceiling` (the annotators' own scores), `strata`, `folds`, `mean` and `sd`
        (over folds; `sd` is None with one fold).
    """
    folds = [
        {"fold": fold, **measure(predictions.select(predictions.fold == fold))}
        for fold in np.unique(predictions.fold).tolist()
    ]
    table = np.array([[fold[key] for key in AVERAGED] for fold in folds], dtype=np.float64)
    mean = dict(zip(AVERAGED, table.mean(axis=0), strict=True)) if folds else None
    sd = dict(zip(AVERAGED, table.std(axis=0, ddof=1), strict=True)) if len(folds) > 1 else None
    of_strata = strata(predictions.votes)
    parts = [
        {**stratum._asdict(), **measure(predictions.select(of_strata == position))}
        for position, stratum in enumerate(STRATA)
    ]
    whole = measure(predictions, [*AGAINST_LABELS, *AGAINST_VOTES]) | _tables(predictions)
    if people:
        whole["ceiling"] = annotators_ceiling(predictions.votes, predictions.labelled)
    result: dict[str, Any] = jsonable({**whole, "strata": parts, "folds": folds, "mean": mean, "sd": sd})
    return result


def cell(
    name: str, predictions: Predictions, *, labels: str, mix: str, run: str,
    curves: Sequence[Mapping[str, Any]], training: Mapping[str, Any],
) -> dict[str, Any]:  # fmt: skip
    """One cell of the report: what was done, and the scores of its predictions.

    Args:
        name: what the cell is called, such as "soft labels + MIDAS".
        predictions: of all its folds.
        labels: "hard" or "soft".
        mix: "midas" or "none".
        run: name of the run's folder.
        curves: one a fold, {"fold", "epochs": [lines of metrics.jsonl]}.
        training: epochs, clips, seconds, left_out, parameters, model.
    """
    described: dict[str, Any] = jsonable({"name": name, "labels": labels, "mix": mix, "run": run})
    return described | score(predictions) | {"curves": jsonable(curves), "training": jsonable(training)}


def gallery(predictions: Mapping[str, Predictions], *, count: int = 12) -> list[dict[str, Any]]:
    """The clips that people disagree on most, with what each cell says of them.

    Args:
        predictions: name of the cell -> its predictions; only clips that all cells have are shown.
        count: at most so many.

    Returns:
        {"id", "votes" {emotion: count}, "entropy" (0 to 1), "probs" {cell: K numbers}} for each, the highest
        entropy of the votes first, equals by id.

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
        {
            "id": first.ids[row],
            "votes": dict(zip(first.emotions, first.votes[row].tolist(), strict=True)),
            "entropy": float(doubt[row]),
            "probs": {name: part[first.ids[row]].tolist() for name, part in rows.items()},
        }
        for row in shown[:count]
    ]


def jsonable(value: Any) -> Any:
    """Dicts, lists, numbers and texts that JSON knows, from numpy's; NaN and infinity become None."""
    if isinstance(value, Mapping):
        return {str(key): jsonable(item) for key, item in value.items()}
    if isinstance(value, np.ndarray | np.generic):
        return jsonable(value.tolist())
    if isinstance(value, list | tuple):
        return [jsonable(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def measure(predictions: Predictions, keys: Sequence[str] = AVERAGED) -> dict[str, Any]:
    """Some scores of some clips, NaN where undefined.

    Args:
        predictions: of a whole test part, a fold, a stratum, a group.
        keys: of `AGAINST_LABELS` and `AGAINST_VOTES`.

    Returns:
        `n` (labelled clips), `n_votes` (those with votes), the scores by key, `absent` (emotions without a labelled
        clip).
    """
    labelled, voted = predictions.labelled, predictions.voted
    judged = (predictions.probs[labelled], predictions.labels[labelled])
    compared = (predictions.probs[voted], predictions.shares[voted])
    numbers = {
        key: AGAINST_LABELS[key](*judged) if key in AGAINST_LABELS else AGAINST_VOTES[key](*compared) for key in keys
    }
    recalls = metrics.recall(*judged)
    absent = [emotion for emotion, value in zip(predictions.emotions, recalls, strict=True) if math.isnan(value)]
    return {"n": int(labelled.sum()), "n_votes": int(voted.sum()), **numbers, "absent": absent}


def _tables(predictions: Predictions) -> dict[str, Any]:
    """What is not one number."""
    labelled, voted = predictions.labelled, predictions.voted
    judged = (predictions.probs[labelled], predictions.labels[labelled])
    compared = (predictions.probs[voted], predictions.shares[voted])
    counts = (predictions.probs[voted], predictions.votes[voted])
    coverage, risk = risk_coverage(judged[0].max(axis=1), judged[0].argmax(axis=1) != judged[1])
    kept = np.unique(np.ceil(np.arange(1, COVERAGES + 1) * len(risk) / COVERAGES).astype(np.int64) - 1)
    by_label = {
        emotion: measure(predictions.select(predictions.labels == place), ["kl"])["kl"]
        for place, emotion in enumerate(predictions.emotions)
    }
    return {
        "recall": dict(zip(predictions.emotions, metrics.recall(*judged).tolist(), strict=True)),
        "kl_by_label": by_label,
        "confusion": metrics.confusion(*judged),
        "dirichlet_multinomial": _mean_of(metrics.dirichlet_multinomial)(*counts),
        "reliability": [asdict(part) for part in reliability(*judged)],
        "vote_reliability": [asdict(part) for part in vote_reliability(*compared)],
        "risk_coverage": [{"coverage": coverage[k], "risk": risk[k]} for k in kept] if len(risk) else [],
    }
