"""What the numbers of a report say, in careful words: which run leads in what, by how much, and what is not known.

Conventions: a run leads where a test tells it from every other run (see `dfer.comparison.paired.standings`). Undefined
numbers (None) are printed as "–" and lead in nothing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from dfer.comparison.paired import TESTED, Rival, Standing, supported
from dfer.comparison.remedies import Posthoc, Unfitted
from dfer.comparison.sign_flips import wilson
from dfer.comparison.subgroups import LENGTH, Gap
from dfer.errors import listed
from dfer.metrics.scores import BY_KEY, IN_GRID, Score
from dfer.pages import SPACE, UNDEFINED
from dfer.reports.contents import Cell

Standings = Mapping[str, Standing]

WORDS = ("No", "One", "Two", "Three", "Four", "Five", "Six", "Seven", "Eight", "Nine", "Ten", "Eleven", "Twelve")
PLAIN = "none"
"""What a cell's "mix" says when clips are not mixed."""


@dataclass(frozen=True)
class Lead:
    """What the runs `names`, alone or together, lead in: "the highest WAR (87.6 %)" and so on."""

    names: list[str]
    verb: str
    what: list[str]

    def __str__(self) -> str:
        return f"{joined(self.names)} {self.verb} {joined(self.what)}."


@dataclass(frozen=True)
class Grid:
    """Four cells as rows of labels and columns of mixing, and what a step along each side changes."""

    rows: list[str]
    columns: list[str]
    cells: list[list[Cell]]
    steps: list[tuple[str, str, list[str]]]


def joined(parts: Sequence[str]) -> str:
    """As a sentence lists them.

    >>> joined(["a"]), joined(["a", "b", "c"])
    ('a', 'a, b and c')
    """
    return " and ".join(filter(None, [", ".join(parts[:-1]), parts[-1] if parts else ""]))


def leading(standings: Standings | None, score: Score) -> list[str]:
    """The first in a score, and those that no test tells from it; none where that is all of them."""
    standing = (standings or {}).get(score.key)
    if standing is None or not any(supported(test) for test in standing.tests):
        return []
    return [standing.first, *(test.name for test in standing.tests if not supported(test))]


def interval(right: int, clips: int) -> tuple[float, float] | None:
    """Wilson's 95 % interval of a share, 0 to 1; None without clips.

    It is about the drawing of test clips alone: another seed or other training clips may move a score further.

    >>> [round(end, 2) for end in interval(8, 10)]
    [0.49, 0.94]
    """
    return wilson(right / clips, clips) if clips else None


def right(cell: Cell) -> int:
    """How many labelled clips the cell got right."""
    return sum(row[position] for position, row in enumerate(cell.confusion))


def war_interval(cell: Cell) -> str:
    """The interval of WAR in percent, "62.6–78.7"; "–" without clips."""
    ends = war_ends(cell)
    return f"{100 * ends[0]:.1f}–{100 * ends[1]:.1f}" if ends else UNDEFINED


def war_ends(cell: Cell) -> Sequence[float] | None:
    """The interval of WAR, 0 to 1: over groups where they are known, else of as many clips."""
    if cell.intervals is not None:
        return cell.intervals["war"]
    return interval(right(cell), cell.n)


def title(cells: Sequence[Cell]) -> str:
    """How many runs on how many clips."""
    count = WORDS[len(cells)] if len(cells) < len(WORDS) else str(len(cells))
    clips = span([cell.n or cell.n_votes for cell in cells])
    return f"{count} run{'s' * (len(cells) != 1)}, judged on {clips} test clip{'s' * (clips != '1')}"


def leads(cells: Sequence[Cell], standings: Standings | None) -> list[Lead]:
    """Who leads in the main scores, as far as the clips tell; with one run, its scores."""
    if len(cells) == 1:
        known = [score for score in IN_GRID if cells[0][score.key] is not None]
        scores = [f"{score.name} {score.text(cells[0][score.key])}{score.unit}" for score in known]
        return [Lead([cells[0].name], "has", scores)] if scores else []
    found: dict[tuple[str, ...], list[str]] = {}
    for score in IN_GRID:
        if first := leading(standings, score):
            ahead = [cell for cell in cells if cell.name in first]
            values = [score.text(cell[score.key]) + score.unit for cell in ahead]
            alone = f"the {_most(score)} ({values[0]}; {_next(score, (standings or {})[score.key].tests)})"
            several = f"{score.name} ({listed(values, 12)})"
            found.setdefault(tuple(cell.name for cell in ahead), []).append(alone if len(first) == 1 else several)
    return [
        Lead(list(names), "has" if len(names) == 1 else "are ahead of the others, and not told apart, in", what)
        for names, what in sorted(found.items(), key=lambda lead: len(lead[0]))  # those that are told apart first
    ]


def untold(cells: Sequence[Cell], standings: Standings | None) -> str:
    """Which of the main scores do not tell the runs apart."""
    if len(cells) == 1:
        return ""
    if standings is None:
        return "Nothing was tested, so no run is called the best."
    open_ = [BY_KEY[key].name for key in TESTED if key in standings and not leading(standings, BY_KEY[key])]
    return f"{joined(open_)} {'do' if open_[1:] else 'does'} not tell the runs apart." if open_ else ""


def caveats(cells: Sequence[Cell], groups: int | None = None) -> list[str]:
    """What the differences may come from, as far as the numbers themselves tell.

    Args:
        cells: of the report.
        groups: how many persons or films the tests took for units; None: clips.
    """
    said = [_chance(cells, groups), _seeds(cells), _clips(cells), _votes(cells)]
    return [sentence for sentence in said if sentence]


def absences(cells: Sequence[Cell]) -> list[str]:
    """Which emotions no labelled test clip shows, for all runs at once where they agree."""
    one_for_all = len({tuple(cell.absent) for cell in cells}) == 1
    said = [
        ("" if one_for_all else f"{cell.name}: ", f"o labelled test clip shows {', '.join(cell.absent)}")
        for cell in cells[: 1 if one_for_all else None]
        if cell.absent
    ]
    return [f"{who}{'n' if who else 'N'}{what}; UAR is the mean of the other emotions." for who, what in said]


def grid(cells: Sequence[Cell]) -> Grid | None:
    """The cells as the 2×2 of {hard, soft} × {plain, mixed}; None when they are no such four."""
    labels = sorted({cell.labels for cell in cells})
    mixes = sorted({cell.mix for cell in cells}, key=lambda mix: (mix != PLAIN, mix))
    placed = {(cell.labels, cell.mix): cell for cell in cells}
    if len(cells) != 4 or len(placed) != 4 or (len(labels), len(mixes)) != (2, 2):
        return None
    rows, columns = [f"{label} labels" for label in labels], [mixing(mix) for mix in mixes]
    table = [[placed[label, mix] for mix in mixes] for label in labels]
    steps = [(f"{columns[1]} instead of {columns[0]}", rows[i], table[i][1], table[i][0]) for i in (0, 1)]
    steps += [(f"{rows[1]} instead of {rows[0]}", columns[j], table[1][j], table[0][j]) for j in (0, 1)]
    changes = [
        (step, place, [score.difference(to[score.key], since[score.key]) for score in IN_GRID])
        for step, place, to, since in steps
    ]
    return Grid(rows, columns, table, changes)


def mixing(mix: str) -> str:
    """A cell's "mix" in words."""
    return "plain" if mix == PLAIN else mix.upper()


def span(counts: Sequence[int]) -> str:
    """One number where all are equal, else the range: "118–120"."""
    low, high = min(counts, default=0), max(counts, default=0)
    return f"{low:,}" if low == high else f"{low:,}–{high:,}"


def unmended(cells: Sequence[Cell]) -> list[str]:
    """Why nothing, or not everything, was fitted after training, and for which runs; each reason once."""
    reasons: dict[str, list[str]] = {}
    for cell in cells:
        if isinstance(cell.posthoc, Unfitted):
            reasons.setdefault(f"nothing was fitted after training: {cell.posthoc.why_not}", []).append(cell.name)
        if not isinstance(cell.posthoc, Posthoc):
            continue
        for why in cell.posthoc.refused:
            reasons.setdefault(f"not fitted: {why}", []).append(cell.name)
        if cell.posthoc.balanced:
            why = "no logit adjustment: the loss, its weights or the sampler balanced the emotions already"
            reasons.setdefault(why, []).append(cell.name)
    everywhere = [why for why, names in reasons.items() if len(names) == len(cells)]
    return [
        f"{why[0].upper()}{why[1:]}." if why in everywhere else f"{listed(names, 12)}: {why}."
        for why, names in reasons.items()
    ]


def setting(method: str, values: Sequence[float]) -> str:
    """What a remedy was set to, over the folds: "T = 1.21–1.40".

    >>> setting("prior", [1.0, 1.0])
    'τ = 1.00'
    """
    if not values:
        return ""
    ends = dict.fromkeys(f"{value:.2f}" for value in (min(values), max(values)))
    return f"{'T' if method.startswith('temperature') else 'τ'} = {'–'.join(ends)}"


def attribute_name(attribute: str) -> str:
    """A column of the manifest as it is called on a page."""
    return "clip length, frames" if attribute == LENGTH else attribute


def gaps(cells: Sequence[Cell]) -> list[tuple[str, str, Gap]]:
    """The largest gap of each attribute and run, where groups could be compared: run, attribute, gap."""
    return [
        (cell.name, attribute_name(part.attribute), part.gap)
        for cell in cells
        for part in cell.subgroups or []
        if part.gap
    ]


def of_gaps(cells: Sequence[Cell]) -> str:
    """What the gaps support, in a sentence."""
    found, score = gaps(cells), BY_KEY["war"]
    certain = [
        f"{name} by {attribute} (“{gap.high}” {score.text(gap.difference)} points above “{gap.low}”)"
        for name, attribute, gap in found
        if supported(gap)
    ]
    if not found:
        return "No two groups are large enough to be compared."
    if not certain:
        return (
            "No gap in WAR is larger than the choice of clips explains; the intervals say how large one may still be."
        )
    return f"WAR differs by more than the choice of clips explains: {'; '.join(certain)}."


def _most(score: Score) -> str:
    extreme = "highest" if score.higher_is_better else "lowest"
    return f"{extreme} {'KL to the votes' if score.key == 'kl' else score.name}"


def _next(score: Score, tests: Sequence[Rival]) -> str:
    """How far the nearest of the others is, and the interval of that."""
    difference, between = min(
        ((test.difference, test.interval) for test in tests if test.difference is not None),
        key=lambda test: abs(test[0]),
    )
    sizes = sorted(abs(value) for value in between or ())
    ends = f", 95{SPACE}% interval {score.text(sizes[0])} to {score.text(sizes[1])}" if sizes else ""
    points = " points" if score.percent else ""
    side = "lower" if difference < 0 else "higher"
    return f"the next is {score.text(abs(difference))}{points} {side}{ends}"


def _chance(cells: Sequence[Cell], groups: int | None) -> str:
    """What the number of test clips alone leaves open."""
    score = BY_KEY["war"]
    known = [(war, cell) for cell in cells if (war := cell["war"]) is not None]
    if not known:
        return "No test clip has a single label: there is no accuracy, only distances to the votes."
    _, top = max(known, key=lambda pair: pair[0])
    ends = war_ends(top)
    assert ends is not None  # a WAR comes from clips
    people = "" if groups is None else f" of {groups:,} group{'s' * (groups != 1)} (persons, films)"
    return (
        f"With {top.n:,} clips{people}, a WAR of {score.text(top['war'])}{score.unit} has a 95{SPACE}% interval of "
        f"{100 * ends[0]:.1f} to {100 * ends[1]:.1f}{SPACE}%."
    )


def _seeds(cells: Sequence[Cell]) -> str:
    seeds = sorted({str(cell.training.seed) for cell in cells if cell.training})
    if len(cells) == 1 or not seeds:
        return "How far another seed would move the scores was not measured."
    if len(seeds) == 1:
        return f"One seed ({seeds[0]}) for each: how much of a difference comes from the seed alone was not measured."
    return f"Seeds {listed(seeds, 12)}: runs that differ in nothing else show what the seed alone does."


def _clips(cells: Sequence[Cell]) -> str:
    if len({(cell.n, cell.n_votes) for cell in cells}) == 1:
        return ""
    return "The runs were not scored on the same clips; their scores do not compare one to one."


def _votes(cells: Sequence[Cell]) -> str:
    return (
        "" if any(cell.n_votes for cell in cells) else "No test clip has votes: distances to the votes are undefined."
    )
