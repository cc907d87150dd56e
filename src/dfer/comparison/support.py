"""What saved predictions support, for pages with several runs: intervals, who is first, the constant rows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dfer.comparison.alignment import require_listed
from dfer.comparison.constant import Constant, ConstantScores, beyond, pairs_with, references
from dfer.comparison.paired import TESTED, Cell, Difference, Standing, judge, standings
from dfer.comparison.sign_flips import Interval
from dfer.comparison.significance import DRAWS
from dfer.comparison.sums import SUMMED


@dataclass(frozen=True)
class Support:
    """What the clips support of one cell.

    Attributes:
        intervals: {score of `dfer.comparison.sums.SUMMED`: 95 % interval}, None where none is known.
        beyond_constant: {score: difference to the constant answer that is tested in it}.
        answers: how many emotions the cell ever gives.
    """

    intervals: dict[str, Interval | None]
    beyond_constant: dict[str, Difference]
    answers: int


@dataclass(frozen=True)
class Evidence:
    """What the clips support of several cells.

    Attributes:
        standings: {score: who is first}; None with one cell, or with cells on other clips.
        constants: what constant answers to the first cell's clips score.
        cells: by name.
        groups: how many groups were swapped whole; None where each clip stands for itself.
    """

    standings: dict[str, Standing] | None
    constants: list[ConstantScores]
    cells: dict[str, Support]
    groups: int | None


def evidence(
    cells: Mapping[str, Cell], *, groups: Mapping[str, str] | None = None,
    constants: Mapping[int, Constant] | None = None, keys: Sequence[str] = TESTED, draws: int = DRAWS, seed: int = 0,
) -> Evidence:  # fmt: skip
    """Test the cells, each against constant answers and against the first.

    Args:
        cells: name -> its runs, on the same clips; other cells may have other clips.
        groups: clip -> person or film, "" unknown; they are swapped whole. Of no use where none is known.
        constants: of each fold's training part; None takes the clips' own.
        keys: the scores in which a first one is looked for.
        draws, seed: as `dfer.comparison.paired.judge`.
    """
    first = next(iter(cells.values()))[0]
    told = {}
    for name, runs in cells.items():
        if not len(runs[0]):
            told[name] = Support(dict.fromkeys(SUMMED), {}, 0)
            continue
        fixed = references(runs[0], constants)
        judged = judge(
            [runs, *([constant.predictions] for constant in fixed)], pairs_with(fixed, 1),
            groups=known_groups(runs[0].ids, groups), draws=draws, seed=seed,
        )  # fmt: skip
        told[name] = Support(judged.intervals[0], beyond(fixed, judged, 1)[0], answers_of(runs))
    names = known_groups(first.ids, groups)
    alike = len(first) > 0 and all(np.array_equal(run.ids, first.ids) for runs in cells.values() for run in runs)
    ranked = standings(cells, keys, groups=names, draws=draws, seed=seed) if alike and len(cells) > 1 else None
    return Evidence(ranked, [constant.row() for constant in references(first, constants)], told, group_count(names))


def answers_of(runs: Cell) -> int:
    """How many emotions the runs ever give."""
    return len({answer for run in runs for answer in run.probs.argmax(axis=1).tolist()})


def group_count(names: NDArray[np.object_] | None) -> int | None:
    """How many groups there are, of names (N,); "" is a group of its own for each clip. None without names."""
    return None if names is None else len(set(names[names != ""])) + int((names == "").sum())


def known_groups(ids: NDArray[np.object_], groups: Mapping[str, str] | None) -> NDArray[np.object_] | None:
    """The group of each clip, (N,), "" unknown; None where no group of these clips is known.

    Raises:
        DferError: the groups lack a clip.
    """
    if groups:
        require_listed(ids, groups)
    names = np.array([(groups or {}).get(clip, "") for clip in ids], dtype=object)
    return names if (names != "").any() else None
