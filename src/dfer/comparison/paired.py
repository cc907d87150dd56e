"""Cells side by side on the same clips: the interval of each score, tests between cells, and which one is first.

This is the one place where runs are tested: reports, comparisons and robustness all come here. A cell is one recipe,
run once or several times; its score is the mean over its runs. Where a cell has several runs (seeds, or the same clips
spoilt in several ways), all of them are swapped together with those of the other cell.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from dfer.comparison.sign_flips import Halves, Interval, halves, share_interval, sign_test, units_of
from dfer.comparison.significance import CONFIDENCE, DRAWS, holm, mcnemar
from dfer.comparison.sums import SUMMED, Parts, parts
from dfer.metrics.predictions import Predictions
from dfer.metrics.scores import BY_KEY

TESTED = ("war", "uar", "kl", "ece")
"""The scores that are tested between cells; the others get intervals alone, so that the family stays small."""
SHARES = ("war", "uar")
"""Their own intervals are Wilson's: a share of 100 % leaves something open, too."""
BOUNDED = {"war": 1.0, "uar": 1.0, "ece": 1.0}
"""The largest value of scores whose intervals might reach beyond it."""

Cell = Sequence[Predictions]


@dataclass(frozen=True)
class Difference:
    """A cell's score less another's: its interval, and the two-sided p value of "no difference"; None: undefined."""

    difference: float | None
    interval: Interval | None
    p: float | None


@dataclass(frozen=True)
class Tested(Difference):
    """A difference whose p value was corrected by Holm for all tests of its family, `holm`; None: not tested."""

    holm: float | None


@dataclass(frozen=True)
class Rival(Tested):
    """The cell `name` less the first one."""

    name: str


@dataclass(frozen=True)
class Standing:
    """Which cell is first in a score, by name, and how far each other one lies behind."""

    first: str
    tests: list[Rival]


@dataclass(frozen=True)
class Judged:
    """What a set of cells supports.

    Attributes:
        scores: of each cell, {score: value}.
        intervals: of each cell, {score: interval}.
        differences: (a, b) -> {score: b less a}, for the pairs that were asked for.
    """

    scores: list[dict[str, float]]
    intervals: list[dict[str, Interval | None]]
    differences: dict[tuple[int, int], dict[str, Difference]]


def judge(
    cells: Sequence[Cell], pairs: Sequence[tuple[int, int]], *, groups: NDArray[np.object_] | None = None,
    draws: int = DRAWS, seed: int = 0,
) -> Judged:  # fmt: skip
    """Intervals of all cells and differences of some pairs, for the scores `SUMMED`.

    Args:
        cells: at least one; all runs on the same clips, in the same order.
        pairs: (a, b) positions of cells: b less a is tested.
        groups: (N,) the person or film of each clip, "" unknown: they are swapped whole.
        draws: random halves; see `dfer.comparison.sign_flips`.
        seed: of the draws.

    Raises:
        DferError: runs on other clips.
    """
    generator = np.random.default_rng(seed)
    units = units_of(len(cells[0][0]), groups, generator)
    of_cells = [parts(runs, units) for runs in cells]
    columns = [part.values for part in of_cells] + [of_cells[b].values - of_cells[a].values for a, b in pairs]
    weights = np.tile(of_cells[0].weights, len(columns))
    drawn = halves(np.hstack(columns), weights, generator, draws=draws)
    size, labelled = len(SUMMED), int(cells[0][0].labelled.sum())
    intervals = [
        _own(part, drawn, place * size, clips=None if groups is None else labelled * len(runs))
        for place, (part, runs) in enumerate(zip(of_cells, cells, strict=True))
    ]
    differences = {}
    for place, (a, b) in enumerate(pairs, len(cells)):
        differences[a, b] = _differences(of_cells[a], of_cells[b], drawn, place * size, draws=draws)
        exact = _exact_war(cells[a], cells[b]) if groups is None else None
        if exact is not None:
            differences[a, b]["war"] = replace(differences[a, b]["war"], p=exact)
    totals = drawn.totals.reshape(-1, size)[: len(cells)].tolist()
    return Judged([dict(zip(SUMMED, row, strict=True)) for row in totals], intervals, differences)


def standings(
    cells: Mapping[str, Cell], keys: Sequence[str] = TESTED, *, lowest: bool = False,
    groups: NDArray[np.object_] | None = None, draws: int = DRAWS, seed: int = 0,
) -> dict[str, Standing]:  # fmt: skip
    """Which cell is first in each score, and how sure that is.

    Args:
        cells: name -> its runs; two cells or more.
        keys: of scores.
        lowest: look for the worst instead of the best.
        groups, draws, seed: as `judge`.

    Returns:
        {score: standing}, without undefined scores. The tests of all of them are one family.
    """
    names, runs = list(cells), list(cells.values())
    scores = judge(runs, [], draws=1).scores
    first = {
        key: max(range(len(names)), key=lambda place, key=key: _merit(key, scores[place][key], lowest))  # type: ignore[misc]
        for key in keys
        if not np.isnan(scores[0][key])
    }
    pairs = [(top, place) for top in dict.fromkeys(first.values()) for place in range(len(names)) if place != top]
    judged = judge(runs, pairs, groups=groups, draws=draws, seed=seed)
    found = [(key, a, b) for key, top in first.items() for a, b in pairs if a == top]
    tests = [judged.differences[a, b][key] for key, a, b in found]
    told: dict[str, Standing] = {key: Standing(names[top], []) for key, top in first.items()}
    for (key, _, b), test, corrected in zip(found, tests, holm([test.p for test in tests]), strict=True):
        told[key].tests.append(Rival(**vars(test), holm=corrected, name=names[b]))
    return told


def supported(test: Tested) -> bool:
    """Whether a tested difference is more than the choice of clips explains."""
    return test.holm is not None and test.holm < 1 - CONFIDENCE - 1e-12


def _merit(key: str, score: float, lowest: bool) -> float:
    return score if BY_KEY[key].higher_is_better != lowest else -score


def _own(part: Parts, drawn: Halves, column: int, *, clips: int | None) -> dict[str, Interval | None]:
    """The intervals of a cell's own scores; its columns of `drawn` begin at `column`."""
    found: dict[str, Interval | None] = {}
    for place, key in enumerate(SUMMED):
        if key in SHARES:
            found[key] = share_interval(part.values[:, place], part.weights[:, place], clips=clips)
            continue
        between = drawn.test(column + place).interval
        # some of a score that cannot be negative may be noise
        if between is not None:
            between = max(0.0, between[0] - float(part.noise[place])), min(BOUNDED.get(key, np.inf), between[1])
        found[key] = between
    return found


def _differences(first: Parts, second: Parts, drawn: Halves, column: int, *, draws: int) -> dict[str, Difference]:
    """The second cell less the first; the columns of the pair in `drawn` begin at `column`."""
    found = {}
    for place, key in enumerate(SUMMED):
        margin = float(abs(second.noise[place] - first.noise[place]))
        p, between = drawn.test(column + place, margin=margin)
        if p is not None and not margin:
            exact = sign_test(second.values[:, place] - first.values[:, place], most=draws)
            p = p if exact is None else exact
        bound = BOUNDED.get(key, np.inf)
        between = between and (max(-bound, between[0]), min(bound, between[1]))
        total = float(drawn.totals[column + place])
        found[key] = Difference(None if np.isnan(total) else total, between, p)
    return found


def _exact_war(first: Cell, second: Cell) -> float | None:
    """McNemar's p value of two single runs; None where a cell has several."""
    if len(first) > 1 or len(second) > 1 or not first[0].labelled.any():
        return None
    return mcnemar(first[0].right, second[0].right).p
