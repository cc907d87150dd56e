"""From a predictions table to the numbers of a report.

Conventions: scores against labels (WAR, UAR, recall, confusion, top-2, reliability, ECE) are over the clips
with a single label, `n` of them; scores against votes (cross-entropy, KL, JS, Brier, entropy correlation) are
over the clips with votes, `n_votes` of them, whose shares are the targets. Numbers are pooled over folds; the
folds' own numbers, their mean and standard deviation (n - 1) stand beside them, None where a fold lacks one.
Strata are those of `dfer.labels.STRATA`, by the agreement of the votes.

Everything here is ready for JSON: what is undefined is None, never NaN.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dfer.errors import DferError, listed
from dfer.evaluation import metrics
from dfer.evaluation.calibration import ece, reliability
from dfer.evaluation.predictions import Predictions
from dfer.labels import STRATA, entropy, strata

AVERAGED = ("war", "uar", "kl", "js", "ece")
"""The scores that get a mean and a standard deviation over folds."""
IN_SHORT = ("n", "n_votes", *AVERAGED, "absent")
"""What is said of a stratum or a fold."""


def score(predictions: Predictions) -> dict[str, Any]:
    """All numbers of one cell of the report.

    Returns:
        `n`, `n_votes`, `war`, `uar`, `recall` {emotion: number}, `absent` (emotions without a labelled clip,
        left out of UAR), `top2`, `confusion` (rows are true), `cross_entropy`, `kl`, `js`, `brier`,
        `entropy_correlation`, `ece`, `reliability` (bins), `strata`, `folds`, `mean` and `sd` (over folds;
        `sd` is None with one fold).
    """
    folds = [
        {"fold": fold, **_in_short(predictions.select(predictions.fold == fold))}
        for fold in np.unique(predictions.fold).tolist()
    ]
    table = np.array([[fold[key] for key in AVERAGED] for fold in folds], dtype=np.float64)
    mean = dict(zip(AVERAGED, table.mean(axis=0), strict=True)) if folds else None
    sd = dict(zip(AVERAGED, table.std(axis=0, ddof=1), strict=True)) if len(folds) > 1 else None
    of_strata = strata(predictions.votes)
    parts = [
        {**stratum._asdict(), **_in_short(predictions.select(of_strata == position))}
        for position, stratum in enumerate(STRATA)
    ]
    result: dict[str, Any] = jsonable(
        {**_numbers(predictions), "strata": parts, "folds": folds, "mean": mean, "sd": sd}
    )
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


def _numbers(predictions: Predictions) -> dict[str, Any]:
    """The scores of one table, NaN where undefined."""
    labelled, voted = predictions.labelled, predictions.voted
    judged = (predictions.probs[labelled], predictions.labels[labelled])
    compared = (predictions.probs[voted], predictions.shares[voted])
    recalls = dict(zip(predictions.emotions, metrics.recall(*judged).tolist(), strict=True))
    return {
        "n": int(labelled.sum()),
        "n_votes": int(voted.sum()),
        "war": metrics.war(*judged),
        "uar": metrics.uar(*judged),
        "recall": recalls,
        "absent": [emotion for emotion, value in recalls.items() if math.isnan(value)],
        "top2": metrics.top_k(*judged, k=2),
        "confusion": metrics.confusion(*judged),
        "cross_entropy": _mean(metrics.cross_entropy(*compared)),
        "kl": _mean(metrics.kl_divergence(*compared)),
        "js": _mean(metrics.js_divergence(*compared)),
        "brier": _mean(metrics.brier(*compared)),
        "entropy_correlation": metrics.entropy_correlation(*compared),
        "ece": ece(*judged),
        "reliability": [asdict(part) for part in reliability(*judged)],
    }


def _in_short(predictions: Predictions) -> dict[str, Any]:
    numbers = _numbers(predictions)
    return {key: numbers[key] for key in IN_SHORT}


def _mean(values: NDArray[np.float64]) -> float:
    return float(values.mean()) if len(values) else math.nan
