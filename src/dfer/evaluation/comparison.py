"""Two or more runs on the same test clips: their scores, how far chance moves them, and tests between them.

Conventions: a cell is one recipe, run once or with several seeds; its score is the mean over its runs. Cells are
compared with the first one, the baseline. Intervals and p values are about the drawing of test clips, with the runs as
they are; the deviation over seeds stands beside them, and Welch's test where both cells have several. Two conventions
for folds are in use and both are given: "pooled" scores all folds' predictions at once, "averaged" is the mean of the
folds' scores. Intervals and tests are for the pooled ones.

All tests of a comparison are one family in Holm's correction.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dfer.errors import DferError
from dfer.evaluation.alignment import aligned, group_names
from dfer.evaluation.ceiling import annotators_ceiling
from dfer.evaluation.predictions import Predictions
from dfer.evaluation.protocol import AVERAGED, jsonable, score
from dfer.evaluation.scores import ALL_SCORES
from dfer.evaluation.significance import (
    CONFIDENCE,
    DRAWS,
    bootstrap,
    centred,
    holm,
    interval,
    mcnemar,
    mean_and_deviation,
    p_value,
    welch,
)
from dfer.evaluation.sums import SUMMED, contributions, scores_of_sums
from dfer.version import __version__

Floats = NDArray[np.float64]

FORMAT = "dfer.compare/1"
TESTED = ("war", "uar", "kl", "ece")
"""The scores that are tested between cells; the others get intervals alone, so that the family stays small."""


def compare(
    cells: Mapping[str, Sequence[Predictions]],
    *,
    groups: Mapping[str, str] | None = None,
    draws: int = DRAWS,
    seed: int = 0,
) -> dict[str, Any]:
    """Everything that a comparison says, ready for JSON: what is undefined is None, never NaN.

    Args:
        cells: name -> the predictions of its runs, one a seed; two cells or more, the first is the baseline.
        groups: clip -> person or film; whole groups are drawn then.
        draws: samples of the bootstrap.
        seed: of the bootstrap.

    Returns:
        "format", "version", "emotions", "absent" (those without a labelled clip), "baseline";
        "clips": of the common ones "all", "labelled", "voted", "groups"; "left_out": {run: ids that another lacks};
        "draws", "seed", "confidence" of the bootstrap; "ceiling": see `dfer.evaluation.ceiling`;
        "cells": each "name", "seeds" (how many runs), "folds", "answers" (how many emotions it ever gives), "scores"
        {score: "value", "deviation" over seeds, "interval", "runs"}, "averaged" {score: "mean", "deviation" over
        folds}, "risk_coverage" (of its first run);
        "comparisons": each "name", "against", "mcnemar" (of single runs), "scores" {score: "difference", "interval",
        "p", "holm", "welch"}, the latter four where the score has them.

    Raises:
        DferError: fewer than two cells, runs that cannot be compared (see `aligned`), or groups that are not known.
    """
    if len(cells) < 2 or not all(cells.values()):
        raise DferError(f"expected two runs or more to compare, got {len(cells)}; name each folder or table")
    common, left_out = aligned(_named(cells))
    runs = list(common.values())
    owner = np.repeat(np.arange(len(cells)), [len(part) for part in cells.values()])
    parts = [[runs[k] for k in np.flatnonzero(owner == place)] for place in range(len(cells))]
    drawn = None if groups is None else group_names(runs[0].ids, groups)
    sampled = _sampled(runs, owner, drawn, draws=draws, seed=seed)
    told = [_cell(name, part, _column(sampled, k)) for k, (name, part) in enumerate(zip(cells, parts, strict=True))]
    pairs = [
        _pair(told, place, sampled) | {"mcnemar": _mcnemar(parts[0], parts[place])} for place in range(1, len(told))
    ]
    _correct(pairs)
    result: dict[str, Any] = jsonable(
        {
            "format": FORMAT, "version": __version__, **_of_clips(runs[0], drawn), "left_out": left_out,
            "draws": draws, "seed": seed, "confidence": CONFIDENCE, "baseline": told[0]["name"],
            "cells": told, "comparisons": pairs,
        }
    )  # fmt: skip
    return result


def _named(cells: Mapping[str, Sequence[Predictions]]) -> dict[str, Predictions]:
    """Every run by itself, as messages call it."""
    return {
        name if len(runs) == 1 else f"{name}, run {number}": run
        for name, runs in cells.items()
        for number, run in enumerate(runs, 1)
    }


def _of_clips(run: Predictions, groups: NDArray[np.object_] | None) -> dict[str, Any]:
    """What is the same for all runs: the clips and what people said of them."""
    shown = set(run.labels.tolist())
    return {
        "emotions": list(run.emotions),
        "absent": [emotion for place, emotion in enumerate(run.emotions) if place not in shown],
        "clips": {
            "all": len(run), "labelled": int(run.labelled.sum()), "voted": int(run.voted.sum()),
            "groups": None if groups is None else len(set(groups[groups != ""])) + int((groups == "").sum()),
        },
        "ceiling": annotators_ceiling(run.votes, run.labelled),
    }  # fmt: skip


def _sampled(
    runs: Sequence[Predictions], owner: NDArray[np.int64], groups: Any, *, draws: int, seed: int
) -> dict[str, Floats]:
    """The cells' scores in each sample of clips, {score: (draws, cells)}: the mean over the runs of a cell."""
    parts = contributions(runs)
    sums = bootstrap(parts.table, np.random.default_rng(seed), draws=draws, groups=groups)
    mean = np.eye(owner.max() + 1)[owner] / np.bincount(owner)
    whole = scores_of_sums(parts.table.sum(axis=0, keepdims=True), parts)
    sampled = scores_of_sums(sums, parts)
    return {key: centred(sampled[key] @ mean, whole[key][0] @ mean) for key in SUMMED}


def _column(sampled: Mapping[str, Floats], place: int) -> dict[str, Floats]:
    return {key: values[:, place] for key, values in sampled.items()}


def _cell(name: str, parts: Sequence[Predictions], sampled: Mapping[str, Floats]) -> dict[str, Any]:
    """One cell's own numbers."""
    runs = [score(part) for part in parts]
    scores = {}
    for key in (wanted.key for wanted in ALL_SCORES):
        seeds = [run[key] for run in runs]
        value, spread = mean_and_deviation(seeds)
        ends = interval(sampled[key].clip(0.0)) if key in SUMMED else None
        scores[key] = {"value": value, "deviation": spread, "interval": ends, "runs": seeds}
    deviation = runs[0]["sd"] if len(runs) == 1 else None  # over folds, and of one seed: never of both
    averaged = {
        key: {
            "mean": mean_and_deviation([run["mean"][key] for run in runs])[0],
            "deviation": deviation and deviation[key],
        }
        for key in AVERAGED
    }
    return {
        "name": name, "seeds": len(runs), "folds": len(runs[0]["folds"]),
        "answers": len({answer for part in parts for answer in part.probs.argmax(axis=1).tolist()}),
        "scores": scores, "averaged": averaged,
        "risk_coverage": runs[0]["risk_coverage"],
    }  # fmt: skip


def _pair(cells: Sequence[Mapping[str, Any]], place: int, sampled: Mapping[str, Floats]) -> dict[str, Any]:
    """A cell less the baseline."""
    first, other = cells[0], cells[place]
    scores: dict[str, dict[str, Any]] = {}
    for key, old in first["scores"].items():
        new = other["scores"][key]
        known = old["value"] is not None and new["value"] is not None
        scores[key] = {"difference": new["value"] - old["value"] if known else None}
        if key in SUMMED:
            differences = sampled[key][:, place] - sampled[key][:, 0]
            scores[key] |= {"interval": interval(differences)}
            if key in TESTED:
                scores[key] |= {"p": p_value(differences), "welch": welch(old["runs"], new["runs"])}
    return {"name": other["name"], "against": first["name"], "scores": scores}


def _correct(pairs: Sequence[dict[str, Any]]) -> None:
    """Adds "holm" to every test, all of them together."""
    tests = [pair["scores"][key] for pair in pairs for key in TESTED]
    corrected = holm([None if np.isnan(test["p"]) else test["p"] for test in tests])
    for test, p in zip(tests, corrected, strict=True):
        test["holm"] = p


def _mcnemar(first: Sequence[Predictions], second: Sequence[Predictions]) -> dict[str, Any] | None:
    """The clips that one of two runs alone got right; None where a cell has several runs."""
    if len(first) > 1 or len(second) > 1:
        return None
    right = [run.probs[run.labelled].argmax(axis=1) == run.labels[run.labelled] for run in (first[0], second[0])]
    return mcnemar(*right)._asdict()
