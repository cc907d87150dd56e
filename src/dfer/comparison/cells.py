"""Two or more runs on the same test clips: their scores, how far chance moves them, and tests between them.

Conventions: a cell is one recipe, run once or with several seeds; its score is the mean over its runs. Cells are
compared with the first one, the baseline. Intervals and p values are about the choice of test clips, with the runs as
they are (see `dfer.comparison.sign_flips`); the deviation over seeds stands beside them, and Welch's test where both
cells have several. Two conventions for folds are in use and both are given: "pooled" scores all folds' predictions at
once, "averaged" is the mean of the folds' scores. Intervals and tests are for the pooled ones.

All tests between cells are one family in Holm's correction.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from dfer.comparison.alignment import aligned, group_names
from dfer.comparison.constant import Constant, ConstantScores, beyond, pairs_with, references
from dfer.comparison.paired import TESTED, Difference, Judged, Tested, judge
from dfer.comparison.sign_flips import Interval
from dfer.comparison.significance import CONFIDENCE, DRAWS, McNemar, holm, mcnemar, mean_and_deviation, welch
from dfer.comparison.sums import SUMMED
from dfer.comparison.support import answers_of, group_count
from dfer.errors import DferError
from dfer.metrics.ceiling import Panel, annotators_ceiling
from dfer.metrics.predictions import Predictions
from dfer.metrics.protocol import AVERAGED, Coverage, score
from dfer.metrics.scores import ALL_SCORES
from dfer.version import __version__

FORMAT = "dfer.compare/1"


@dataclass(frozen=True)
class Clips:
    """How many clips were compared, how many have a label or votes, and how many groups they are; None: not known."""

    all: int
    labelled: int
    voted: int
    groups: int | None


@dataclass(frozen=True)
class CellScore:
    """A score of a cell: the mean over its runs, their standard deviation, its interval, and each run's own."""

    value: float | None
    deviation: float | None
    interval: Interval | None
    runs: list[float | None]


@dataclass(frozen=True)
class Averaged:
    """A score as the mean of the folds' scores, and their standard deviation."""

    mean: float | None
    deviation: float | None


@dataclass(frozen=True)
class Cost:
    """What all runs of a cell took together: their number and seconds; and the weights of one."""

    runs: int
    seconds: float
    parameters: int


@dataclass(frozen=True)
class ComparedCell:
    """One cell of a comparison.

    Attributes:
        name: of the cell.
        seeds: how many runs it has.
        folds: of a run.
        answers: how many emotions it ever gives.
        scores: {score: pooled over folds}, all of `ALL_SCORES`.
        averaged: {score: averaged over folds}, those of `AVERAGED`.
        risk_coverage: of its first run.
        beyond_constant: {score: difference to the constant answer that is tested in it}.
        cost: of its training, where it is known.
    """

    name: str
    seeds: int
    folds: int
    answers: int
    scores: dict[str, CellScore]
    averaged: dict[str, Averaged]
    risk_coverage: list[Coverage]
    beyond_constant: dict[str, Difference]
    cost: Cost | None = None

    def as_dict(self) -> dict[str, object]:
        """For JSON, where an unknown cost is left out."""
        return {key: value for key, value in vars(self).items() if key != "cost" or value}


@dataclass(frozen=True)
class Change(Tested):
    """A score of a cell less that of the baseline, and the p value of Welch's test over the seeds.

    Of scores that are not in `SUMMED` only the difference is known, of those that are not `TESTED` the interval, too.
    """

    welch: float | None


@dataclass(frozen=True)
class Pair:
    """The cell `name` less the baseline `against`, by score; McNemar's test where both are single runs."""

    name: str
    against: str
    scores: dict[str, Change]
    mcnemar: McNemar | None

    def as_dict(self) -> dict[str, object]:
        """For JSON, where of each score is told what can be known of it."""
        return vars(self) | {
            "scores": {
                key: vars(test)
                if key in TESTED
                else {name: getattr(test, name) for name in ("difference", "interval")[: 1 + (key in SUMMED)]}
                for key, test in self.scores.items()
            },
            "mcnemar": self.mcnemar and self.mcnemar._asdict(),
        }


@dataclass(frozen=True)
class Comparison:
    """What a comparison says.

    Attributes:
        emotions: in order.
        absent: those without a labelled clip.
        clips: that all runs have.
        left_out: {run: ids of its clips that another lacks}.
        draws, seed: of the tests.
        baseline: name of the first cell, which the others are compared with.
        ceiling: the annotators' own scores.
        constants: what constant answers score.
        cells: the baseline first.
        comparisons: one for each other cell.
        confidence: of the intervals.
        format, version: of the file.
    """

    emotions: list[str]
    absent: list[str]
    clips: Clips
    left_out: dict[str, list[str]]
    draws: int
    seed: int
    baseline: str
    ceiling: dict[str, Panel]
    constants: list[ConstantScores]
    cells: list[ComparedCell]
    comparisons: list[Pair]
    confidence: float = CONFIDENCE
    format: str = FORMAT
    version: str = __version__


def compare(
    cells: Mapping[str, Sequence[Predictions]],
    *,
    groups: Mapping[str, str] | None = None,
    constants: Mapping[int, Constant] | None = None,
    draws: int = DRAWS,
    seed: int = 0,
) -> Comparison:
    """Everything that a comparison says; what is undefined is None, never NaN.

    Args:
        cells: name -> the predictions of its runs, one a seed; two cells or more, the first is the baseline.
        groups: clip -> person or film; whole groups are swapped then.
        constants: of each fold's training part, in the emotions of the first run; None takes the test part's own.
        draws: random halves of the clips or groups, see `dfer.comparison.sign_flips`.
        seed: of the draws.

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
    beyond_constants = beyond(fixed, judged, len(cells))
    told = [
        _cell(name, part, judged.intervals[place], beyond_constants[place])
        for place, (name, part) in enumerate(zip(cells, parts, strict=True))
    ]
    shown = set(runs[0].labels.tolist())
    return Comparison(
        emotions=list(runs[0].emotions),
        absent=[emotion for place, emotion in enumerate(runs[0].emotions) if place not in shown],
        clips=Clips(len(runs[0]), int(runs[0].labelled.sum()), int(runs[0].voted.sum()), group_count(drawn)),
        left_out=left_out, draws=draws, seed=seed, baseline=told[0].name,
        ceiling=annotators_ceiling(runs[0].votes, runs[0].labelled),
        constants=[constant.row() for constant in fixed], cells=told,
        comparisons=_pairs(told, [_mcnemar(parts[0], part) for part in parts[1:]], judged),
    )  # fmt: skip


def _named(cells: Mapping[str, Sequence[Predictions]]) -> dict[str, Predictions]:
    """Every run by itself, as messages call it."""
    return {
        name if len(runs) == 1 else f"{name}, run {number}": run
        for name, runs in cells.items()
        for number, run in enumerate(runs, 1)
    }


def _cell(
    name: str, parts: Sequence[Predictions], intervals: Mapping[str, Interval | None],
    beyond_constant: dict[str, Difference],
) -> ComparedCell:  # fmt: skip
    """One cell's own numbers."""
    runs = [score(part, people=False) for part in parts]
    scores = {}
    for key in (wanted.key for wanted in ALL_SCORES):
        seeds = [run[key] for run in runs]
        value, spread = mean_and_deviation(seeds)
        scores[key] = CellScore(value, spread, intervals.get(key), seeds)
    means = [run.mean or {} for run in runs]
    deviation = (runs[0].sd if len(runs) == 1 else None) or {}  # over folds, and of one seed: never of both
    averaged = {
        key: Averaged(mean_and_deviation([mean.get(key) for mean in means])[0], deviation.get(key)) for key in AVERAGED
    }
    return ComparedCell(
        name=name, seeds=len(runs), folds=len(runs[0].folds), answers=answers_of(parts), scores=scores,
        averaged=averaged, risk_coverage=runs[0].risk_coverage, beyond_constant=beyond_constant,
    )  # fmt: skip


def _pairs(cells: Sequence[ComparedCell], of_runs: Sequence[McNemar | None], judged: Judged) -> list[Pair]:
    """Each cell less the first; the p values of all of them are one family."""
    first, *others = cells
    tests = {(place, key): judged.differences[0, place][key] for place in range(1, len(cells)) for key in TESTED}
    corrected = dict(zip(tests, holm([test.p for test in tests.values()]), strict=True))
    found = []
    for place, (cell, right) in enumerate(zip(others, of_runs, strict=True), 1):
        scores = {}
        for key, old in first.scores.items():
            new, test = cell.scores[key], judged.differences[0, place].get(key, Difference(None, None, None))
            scores[key] = Change(
                difference=None if old.value is None or new.value is None else new.value - old.value,
                interval=test.interval, p=test.p if key in TESTED else None, holm=corrected.get((place, key)),
                welch=welch(old.runs, new.runs) if key in TESTED else None,
            )  # fmt: skip
        found.append(Pair(cell.name, first.name, scores, right))
    return found


def _mcnemar(first: Sequence[Predictions], second: Sequence[Predictions]) -> McNemar | None:
    """The clips that one of two runs alone got right; None where a cell has several runs."""
    if len(first) > 1 or len(second) > 1:
        return None
    return mcnemar(first[0].right, second[0].right)
