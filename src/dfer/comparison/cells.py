"""Two or more runs on the same test clips: their scores, how far chance moves them, and tests between them.

Conventions: a cell is one recipe, run once or with several seeds; its score is the mean over its runs. Cells are
compared with the first one, the baseline. Intervals and p values are about the choice of test clips, with the runs as
they are (see `dfer.comparison.halves`); the deviation over seeds stands beside them, and Welch's test where both cells
have several. Two conventions for folds are in use and both are given: "pooled" scores all folds' predictions at once,
"averaged" is the mean of the folds' scores. Intervals and tests are for the pooled ones.

All tests between cells are one family in Holm's correction.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dfer.comparison.alignment import aligned, group_names
from dfer.comparison.constant import Constant, beyond, pairs_with, references
from dfer.comparison.halves import Interval
from dfer.comparison.paired import TESTED, Difference, correct, judge
from dfer.comparison.significance import CONFIDENCE, DRAWS, mcnemar, mean_and_deviation, welch
from dfer.errors import DferError
from dfer.metrics.ceiling import annotators_ceiling
from dfer.metrics.predictions import Predictions
from dfer.metrics.protocol import AVERAGED, jsonable, score
from dfer.metrics.scores import ALL_SCORES
from dfer.version import __version__

FORMAT = "dfer.compare/1"


def compare(
    cells: Mapping[str, Sequence[Predictions]],
    *,
    groups: Mapping[str, str] | None = None,
    constants: Mapping[int, Constant] | None = None,
    draws: int = DRAWS,
    seed: int = 0,
) -> dict[str, Any]:
    """Everything that a comparison says, ready for JSON: what is undefined is None, never NaN.

    Args:
        cells: name -> the predictions of its runs, one a seed; two cells or more, the first is the baseline.
        groups: clip -> person or film; whole groups are swapped then.
        constants: of each fold's training part, in the emotions of the first run; None takes the test part's own.
        draws: random halves of the clips or groups, see `dfer.comparison.halves`.
        seed: of the draws.

    Returns:
        "format", "version", "emotions", "absent" (those without a labelled clip), "baseline";
        "clips": of the common ones "all", "labelled", "voted", "groups"; "left_out": {run: ids that another lacks};
        "draws", "seed", "confidence" of the tests; "ceiling": see `dfer.metrics.ceiling`;
        "constants": rows of scores, see `dfer.comparison.constant`;
        "cells": each "name", "seeds" (how many runs), "folds", "answers" (how many emotions it ever gives), "scores"
        {score: "value", "deviation" over seeds, "interval", "runs"}, "averaged" {score: "mean", "deviation" over
        folds}, "risk_coverage" (of its first run), "beyond_constant" {score: "difference", "interval", "p"};
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
    fixed = references(runs[0], constants)
    pairs = [(0, place) for place in range(1, len(cells))]
    judged = judge(
        parts + [[constant.predictions] for constant in fixed], pairs + pairs_with(fixed, len(cells)),
        groups=drawn, draws=draws, seed=seed,
    )  # fmt: skip
    told = [
        _cell(name, part, judged.intervals[place]) | {"beyond_constant": tests}
        for place, (name, part, tests) in enumerate(zip(cells, parts, beyond(fixed, judged, len(cells)), strict=True))
    ]
    compared = [
        _pair(told[0], told[place], judged.differences[0, place]) | {"mcnemar": _mcnemar(parts[0], parts[place])}
        for _, place in pairs
    ]
    correct([pair["scores"][key] for pair in compared for key in TESTED])
    result: dict[str, Any] = jsonable(
        {
            "format": FORMAT, "version": __version__, **_of_clips(runs[0], drawn), "left_out": left_out,
            "draws": draws, "seed": seed, "confidence": CONFIDENCE, "baseline": told[0]["name"],
            "constants": [constant.row() for constant in fixed], "cells": told, "comparisons": compared,
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


def _cell(name: str, parts: Sequence[Predictions], intervals: Mapping[str, Interval | None]) -> dict[str, Any]:
    """One cell's own numbers."""
    runs = [score(part, people=False) for part in parts]
    scores = {}
    for key in (wanted.key for wanted in ALL_SCORES):
        seeds = [run[key] for run in runs]
        value, spread = mean_and_deviation(seeds)
        scores[key] = {"value": value, "deviation": spread, "interval": intervals.get(key), "runs": seeds}
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


def _pair(first: Mapping[str, Any], other: Mapping[str, Any], tests: Mapping[str, Difference]) -> dict[str, Any]:
    """A cell less the baseline."""
    scores: dict[str, dict[str, Any]] = {}
    for key, old in first["scores"].items():
        new = other["scores"][key]
        known = old["value"] is not None and new["value"] is not None
        scores[key] = {"difference": new["value"] - old["value"] if known else None}
        if key in tests:
            scores[key] |= {"interval": tests[key].interval}
        if key in TESTED:
            scores[key] |= {"p": tests[key].p, "welch": welch(old["runs"], new["runs"])}
    return {"name": other["name"], "against": first["name"], "scores": scores}


def _mcnemar(first: Sequence[Predictions], second: Sequence[Predictions]) -> dict[str, Any] | None:
    """The clips that one of two runs alone got right; None where a cell has several runs."""
    if len(first) > 1 or len(second) > 1:
        return None
    return mcnemar(first[0].right, second[0].right)._asdict()
