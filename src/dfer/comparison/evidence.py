"""What saved predictions support, for pages with several runs: intervals, who is first, the constant rows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dfer.comparison.constant import Constant, beyond, pairs_with, references
from dfer.comparison.paired import TESTED, Cell, judge, standings
from dfer.comparison.significance import DRAWS
from dfer.comparison.sums import SUMMED
from dfer.metrics.protocol import jsonable


def evidence(
    cells: Mapping[str, Cell], *, groups: Mapping[str, str] | None = None,
    constants: Mapping[int, Constant] | None = None, keys: Sequence[str] = TESTED, draws: int = DRAWS, seed: int = 0,
) -> dict[str, Any]:  # fmt: skip
    """Everything, ready for JSON.

    Args:
        cells: name -> its runs, on the same clips; other cells may have other clips.
        groups: clip -> person or film, "" unknown; they are swapped whole. Of no use where none is known.
        constants: of each fold's training part; None takes the clips' own.
        keys: the scores in which a first one is looked for.
        draws, seed: as `dfer.comparison.paired.judge`.

    Returns:
        "standings": see `dfer.comparison.paired.standings`; None with one cell, or cells on other clips;
        "constants": rows of scores, of the first cell's clips;
        "cells": {name: "intervals" {score: ends}, "beyond_constant", "answers" (how many emotions it ever gives)};
        "groups": how many groups were swapped whole, None where each clip stands for itself.
    """
    first = next(iter(cells.values()))[0]
    told: dict[str, dict[str, Any]] = {}
    for name, runs in cells.items():
        if not len(runs[0]):
            told[name] = {"intervals": dict.fromkeys(SUMMED), "beyond_constant": {}, "answers": 0}
            continue
        fixed = references(runs[0], constants)
        judged = judge(
            [runs, *([constant.predictions] for constant in fixed)], pairs_with(fixed, 1),
            groups=known_groups(runs[0].ids, groups), draws=draws, seed=seed,
        )  # fmt: skip
        answers = {answer for run in runs for answer in run.probs.argmax(axis=1).tolist()}
        told[name] = {
            "intervals": judged.intervals[0], "beyond_constant": beyond(fixed, judged, 1)[0], "answers": len(answers),
        }  # fmt: skip
    names = known_groups(first.ids, groups)
    alike = len(first) > 0 and all(np.array_equal(run.ids, first.ids) for runs in cells.values() for run in runs)
    ranked = standings(cells, keys, groups=names, draws=draws, seed=seed) if alike and len(cells) > 1 else None
    result: dict[str, Any] = jsonable(
        {
            "standings": ranked,
            "constants": [constant.row() for constant in references(first, constants)],
            "cells": told,
            "groups": None if names is None else len(set(names[names != ""])) + int((names == "").sum()),
        }
    )  # fmt: skip
    return result


def known_groups(ids: NDArray[np.object_], groups: Mapping[str, str] | None) -> NDArray[np.object_] | None:
    """The group of each clip, (N,), "" unknown; None where no group of these clips is known."""
    names = np.array([(groups or {}).get(clip, "") for clip in ids], dtype=object)
    return names if (names != "").any() else None
