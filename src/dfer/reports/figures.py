"""Where the marks of the report's charts lie: numbers in, positions out; the templates draw them.

Conventions: positions are in the units of a chart's own drawing, x to the right and y down, rounded to a tenth; in
the recall chart x is in percent of the width, so that it stretches with the page. A run keeps one mark (colour,
shape, dash) in all charts. What is undefined is left out: a line is broken there.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from dfer.comparison.cells import ComparedCell
from dfer.metrics.calibration import Bin
from dfer.metrics.scores import BY_KEY, Score
from dfer.reports.contents import Cell
from dfer.reports.verdict import grid, interval, mixing, span

COLOURS = 6
"""Series colours of the style sheet, c0 to c5."""
WIDTH, HEIGHT = 320, 232
"""Of a panel."""
LEFT, RIGHT, TOP, BOTTOM = 44, 12, 12, 40
"""Margins of a panel, for its numbers and names."""
BARS = 34
"""Height of the bars of counts under a reliability diagram."""
PITCH = 11
"""Pixels from one run's line of the recall chart to the next."""

SMALLEST_SPOT, LARGEST_SPOT = 1.6, 6.0
"""Radius of a clip on a map: all people agree; as many vote for each emotion."""
TINY = 1e-12
"""Numbers nearer to 0 than this are drawn as 0."""

CURVES = {
    "train_loss": "training loss",
    "val_war": "validation WAR, %",
    "val_uar": "validation UAR, %",
    "val_kl": "validation KL, nats",
    "lr": "learning rate",
}
"""Keys of metrics.jsonl that are drawn."""


@dataclass(frozen=True)
class Mark:
    """How a run is drawn: colour c0 ..., shape, filled or hollow, solid or dashed."""

    colour: int
    shape: str = "circle"
    filled: bool = True

    @property
    def classes(self) -> str:
        """Of the style sheet."""
        return f"c{self.colour} {'filled' if self.filled else 'hollow'}"


@dataclass(frozen=True)
class Axis:
    """A straight scale: `low` lies at `start`, `high` at `end`."""

    low: float
    high: float
    start: float
    end: float

    def at(self, value: float) -> float:
        """The position of a value."""
        share = (value - self.low) / (self.high - self.low)
        return round(self.start + share * (self.end - self.start), 1)


@dataclass(frozen=True)
class Line:
    """A run's marks in a panel; pieces of a line as "x,y x,y", broken where a number is missing."""

    name: str
    mark: Mark
    pieces: list[str]
    points: list[tuple[float, float, str]]


@dataclass(frozen=True)
class Panel:
    """A small chart of lines over steps or names."""

    title: str
    summary: str
    x_title: str
    x_ticks: list[tuple[float, list[str]]]
    y_ticks: list[tuple[float, str]]
    lines: list[Line] = field(default_factory=list)


Series = tuple[str, Mark, list[tuple[float, float | None]]]
"""Name, mark and (x, y) of a line."""


def marks(cells: Sequence[Cell]) -> list[Mark]:
    """A mark for each run: in a 2×2 the labels give the colour and mixing fills it, else each has its own."""
    table = grid(cells)
    if table is None:
        return own_marks(len(cells))
    return [
        Mark(table.rows.index(f"{cell.labels} labels"), filled=table.columns.index(mixing(cell.mix)) == 1)
        for cell in cells
    ]


def own_marks(count: int) -> list[Mark]:
    """So many marks, all different up to 24."""
    return [
        Mark(position % COLOURS, ("circle", "square", "triangle")[position // COLOURS % 3], position < COLOURS)
        for position in range(count)
    ]


def recall_rows(cells: Sequence[Cell], emotions: Sequence[str]) -> list[dict[str, Any]]:
    """An emotion's clips and, for each run that has some, its recall and 95 % interval in percent."""
    rows = []
    for place, emotion in enumerate(emotions):
        clips = [sum(cell.confusion[place]) for cell in cells]
        ends = [interval(cell.confusion[place][place], count) for cell, count in zip(cells, clips, strict=True)]
        rows.append(_shares(emotion, span(clips), cells, [cell.recall[emotion] for cell in cells], ends))
    return rows


def group_rows(cells: Sequence[Cell], place: int) -> list[dict[str, Any]]:
    """A group's clips and, for each run, its WAR and 95 % interval in percent, of the attribute at `place`."""
    rows = []
    for groups in zip(*((cell.subgroups or [])[place].groups for cell in cells), strict=True):
        people = [group.persons for group in groups if group.persons is not None]
        clips = span([group.n for group in groups]) + (f" ({span(people)})" if people else "")
        wars, ends = [group["war"] for group in groups], [group.interval for group in groups]
        rows.append(_shares(groups[0].name, clips, cells, wars, ends))
    return rows


def _shares(
    name: str, clips: str, cells: Sequence[Cell], values: Sequence[float | None],
    ends: Sequence[Sequence[float] | None],
) -> dict[str, Any]:  # fmt: skip
    """A row of a chart of shares: a dot for each run that has one, with its interval where that is known."""
    dots = [
        {
            "name": cell.name, "mark": mark, "x": round(100 * value, 1), "y": PITCH * (line + 1),
            "low": round(100 * (between or [value])[0], 1), "high": round(100 * (between or [value])[-1], 1),
        }
        for line, (cell, mark, value, between) in enumerate(zip(cells, marks(cells), values, ends, strict=True))
        if value is not None
    ]  # fmt: skip
    return {"name": name, "clips": clips, "dots": dots, "height": PITCH * (len(cells) + 1)}


def reliability_diagram(bins: Sequence[Bin]) -> dict[str, Any]:
    """Points (confidence, accuracy) with their distance to the diagonal, and a bar of clips for each bin."""
    floor = HEIGHT - BOTTOM - BARS - 10
    x, y = Axis(0, 1, LEFT, WIDTH - RIGHT), Axis(0, 1, floor, TOP)
    filled = [part for part in bins if part.count]
    most = max((part.count for part in filled), default=1)
    height = Axis(0, most, 0, BARS)
    return {
        "floor": floor, "base": HEIGHT - BOTTOM, "ticks": [(x.at(k / 4), y.at(k / 4), f"{25 * k}") for k in range(5)],
        "most": most,
        "points": [
            {
                "x": x.at(part.confidence), "y": y.at(part.accuracy), "diagonal": y.at(part.confidence),
                "said": f"confidence {part.confidence:.0%}, accuracy {part.accuracy:.0%}, {part.count} clips",
            }
            for part in filled
        ],
        "bars": [
            {
                "x": x.at(part.low) + 0.5, "width": round(x.at(part.high) - x.at(part.low) - 1, 1),
                "height": max(height.at(part.count), 1),
            }
            for part in filled
        ],
    }  # fmt: skip


def strata_panels(cells: Sequence[Cell]) -> list[Panel]:
    """WAR and KL by how far the voters agree; none where no clip has votes."""
    panels = []
    for key, title in (("war", "WAR, %"), ("kl", "KL to the votes, nats")):
        series: list[Series] = [
            (cell.name, mark, [(place, part[key]) for place, part in enumerate(cell.strata)])
            for cell, mark in zip(cells, marks(cells), strict=True)
        ]
        counts = [
            span([part.n if key == "war" else part.n_votes for part in parts])
            for parts in zip(*(cell.strata for cell in cells), strict=True)
        ]
        names = [[part.name, f"n = {n}"] for part, n in zip(cells[0].strata, counts, strict=True)]
        panels.append(_panel(title, series, percent=BY_KEY[key].percent, names=names))
    # clips belong to a stratum by their votes: without any, no panel has a number
    return [panel for panel in panels if panel]


def map_panels(cells: Sequence[Cell], emotions: Sequence[str]) -> list[dict[str, Any]]:
    """A square a run and fold with a spot for each clip: its place, radius, the place of its emotion, and words."""
    middle, reach = WIDTH / 2, WIDTH / 2 - LARGEST_SPOT - 1
    panels = []
    for cell in cells:
        for part in cell.maps or []:
            spots = [
                {
                    "x": round(middle + reach * x, 1),
                    "y": round(middle - reach * y, 1),
                    "emotion": emotion,
                    "r": spot_radius(spread),
                    "said": emotions[emotion] + _agreement(spread),
                }
                for x, y, emotion, spread in zip(part.x, part.y, part.emotion, part.entropy, strict=True)
            ]
            fold = f", fold {part.fold}" if part.fold and len(cell.maps or []) > 1 else ""
            shown = f"{len(spots)} of {part.clips}" if len(spots) < part.clips else f"{part.clips}"
            panels.append({"title": f"{cell.name}{fold}", "shown": f"{shown} clips", "size": WIDTH, "spots": spots})
    return panels


def spot_radius(spread: float | None) -> float:
    """Of a clip on a map, by the entropy of its votes."""
    return round(SMALLEST_SPOT + (LARGEST_SPOT - SMALLEST_SPOT) * (spread or 0.0), 1)


def _agreement(spread: float | None) -> str:
    return "" if spread is None else f", entropy of the votes {spread:.2f}"


def curve_panels(cells: Sequence[Cell]) -> list[Panel]:
    """Loss, validation scores and learning rate over epochs, a line a fold; those of which there is a number."""
    panels = []
    for key, title in CURVES.items():
        series: list[Series] = [
            (cell.name, mark, [(line["epoch"] or 0, line.get(key)) for line in curve.epochs])
            for cell, mark in zip(cells, marks(cells), strict=True)
            for curve in cell.curves
        ]
        panels.append(_panel(title, series, percent=title.endswith("%")))
    return [panel for panel in panels if panel]


def risk_panels(cells: Sequence[Cell | ComparedCell], drawn: Sequence[Mark]) -> list[Panel]:
    """The share of wrong answers among the surest clips, a line a run; none where no clip has a label."""
    series: list[Series] = [
        (cell.name, mark, [(round(100 * point.coverage), point.risk) for point in cell.risk_coverage])
        for cell, mark in zip(cells, drawn, strict=True)
    ]
    panel = _panel("wrong among the surest, %", series, percent=True, x_title="surest clips, %")
    return [panel] if panel else []


def severity_panels(
    curves: Mapping[str, Mapping[str, Sequence[float | None]]], severities: Sequence[int], score: Score
) -> list[Panel]:
    """A score over severities, a panel a corruption and a line a run; none where the score is undefined.

    Args:
        curves: {corruption: {name of the run: its score on clean pictures and at each severity}}.
        severities: of the corruptions.
        score: which one it is.
    """
    names = [["clean"], *([str(severity)] for severity in severities)]
    panels = []
    for corruption, runs in curves.items():
        series: list[Series] = [
            (name, mark, list(enumerate(values)))
            for (name, values), mark in zip(runs.items(), own_marks(len(runs)), strict=True)
        ]
        panels.append(_panel(corruption.replace("_", " "), series, percent=score.percent, names=names))
    return [panel for panel in panels if panel]


def ticks(low: float, high: float, count: int = 4) -> list[float]:
    """Round numbers from `low` or below to `high` or above, about `count` steps of 1, 2, 2.5 or 5 times a power of ten.

    >>> ticks(0.13, 0.87)
    [0.0, 0.2, 0.4, 0.6, 0.8, 1.0]
    """
    largest = max(abs(low), abs(high), TINY)
    size = high - low if high - low > 1e-9 * largest else largest  # a flat line gets a scale, too
    raw = size / count if largest > TINY else 1 / count
    power = 10.0 ** math.floor(math.log10(raw))
    step = power * next(factor for factor in (1, 2, 2.5, 5, 10) if factor * power >= raw * 0.999)
    first, last = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
    return [float(f"{number * step:.12g}") for number in range(first, max(last, first + 1) + 1)]


def _panel(
    title: str, series: Sequence[Series], *, percent: bool, names: Sequence[list[str]] = (), x_title: str = "epoch"
) -> Panel | None:
    """Lines over named places, with a mark at each, or over numbers; None without a number to show."""
    scaled: list[Series] = [
        (name, mark, [(x, y * (100 if percent else 1) if y is not None else None) for x, y in row])
        for name, mark, row in series
    ]
    values = [y for _, _, row in scaled for _, y in row if y is not None]
    if not values:
        return None
    y_ticks = ticks(min([*values, 0] if names else values), max(values))
    y = Axis(y_ticks[0], y_ticks[-1], HEIGHT - BOTTOM, TOP)
    x, x_ticks = _across([place for _, _, row in scaled for place, _ in row], names)
    return Panel(
        title=title,
        summary=f"{title}: " + "; ".join(f"{name} {_ends(row)}" for name, _, row in scaled),
        x_title="" if names else x_title,
        x_ticks=x_ticks,
        y_ticks=[(y.at(value), f"{value:g}") for value in y_ticks],
        lines=[_line(name, mark, row, x=x, y=y, marked=bool(names)) for name, mark, row in scaled],
    )


def _across(places: Sequence[float], names: Sequence[list[str]]) -> tuple[Axis, list[tuple[float, list[str]]]]:
    """The axis from left to right and its ticks: the names, or whole numbers."""
    if names:
        inset = (WIDTH - LEFT - RIGHT) / (2 * len(names))
        x = Axis(0, max(len(names) - 1, 1), LEFT + inset, WIDTH - RIGHT - inset)
        return x, [(x.at(place), text) for place, text in enumerate(names)]
    low, high = min(places), max(places)
    x = Axis(low, max(high, low + 1), LEFT, WIDTH - RIGHT - 4)
    inside = [value for value in ticks(low, high) if low < value < high and value == round(value)]
    clear = [value for value in inside if x.at(high) - x.at(value) > 22 and x.at(value) - x.at(low) > 16]
    return x, [(x.at(value), [f"{value:g}"]) for value in sorted({low, *clear, high})]


def _line(name: str, mark: Mark, row: Iterable[tuple[float, float | None]], *, x: Axis, y: Axis, marked: bool) -> Line:
    """The pieces between missing numbers; a number on its own gets a mark, lest it be invisible."""
    pieces: list[list[tuple[float, float, str]]] = [[]]
    for place, value in row:
        if value is None:
            pieces.append([])
        else:
            pieces[-1].append((x.at(place), y.at(value), f"{name}: {value:.3g}"))
    drawn = [" ".join(f"{left},{top}" for left, top, _ in piece) for piece in pieces if len(piece) > 1]
    return Line(name, mark, drawn, [point for piece in pieces if marked or len(piece) == 1 for point in piece])


def _ends(row: Sequence[tuple[float, float | None]]) -> str:
    known = [value for _, value in row if value is not None]
    return f"from {known[0]:.3g} to {known[-1]:.3g}" if known else "unknown"
