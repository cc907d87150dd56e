"""A timeline as a figure: the emotions as stacked bands over time, a row a person, with the face at the peaks.

Drawn with matplotlib, without a display and without pyplot; the same timeline gives the same file.
"""

from __future__ import annotations

import base64
import html
import io
import warnings
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
import numpy.typing as npt
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.text import Text
from matplotlib.ticker import FuncFormatter, MaxNLocator, MultipleLocator

from dfer.errors import printable
from dfer.files import replacing
from dfer.inference.bands import clock, pieces
from dfer.inference.segments import Segment
from dfer.inference.thumbnails import Thumbnail, choose_peaks, thumbnails
from dfer.inference.timeline import Person, Timeline
from dfer.pages import bright_colours

Floats = npt.NDArray[np.float64]

MOST_PEOPLE = 6
"""Rows of a figure: those who are seen longest."""
MOST_PEAKS = 9
"""Thumbnails of a row."""
NAMED = 0.005
"""An emotion that nowhere is more likely than this is not in the legend: its band is too thin to be seen."""
LEGEND_ROW = 0.17
"""Height of a row of the legend, inches."""
LEGEND_MARK, LEGEND_LETTER = 0.34, 0.072
"""Widths of an entry of the legend without its name, and of a letter of it, inches."""
WIDTH, LEFT, RIGHT, TOP, BOTTOM = 8.0, 1.35, 0.32, 0.66, 0.5
"""Of the figure and its margins, inches."""
BAND, FACE, GAP = 1.0, 0.62, 0.3
"""Heights of a row's bands and of its thumbnails, and the distance between rows, inches."""
LETTERS = 13
"""Of a name that is written beside a row."""
STEPS_S = (15, 30, 60, 120, 300, 600, 900, 1800, 3600)
"""Between the marks of the time axis of a longer video."""
MOST_TICKS = 9
STYLE: Any = {
    "text.parse_math": False,
    "font.family": "DejaVu Sans",
    "font.size": 8.5,
    "svg.hashsalt": "dfer",
    "axes.linewidth": 0.6,
}
INK, SOFT = "#1a1d21", "#5a626b"
SUFFIX_METADATA: dict[str, dict[str, Any]] = {
    ".svg": {"Date": None, "Creator": "dfer"},
    ".pdf": {"CreationDate": None, "Creator": "dfer"},
    ".png": {"Software": "dfer"},
}


def plot(timeline: Timeline) -> Figure:
    """The figure; see `Timeline.plot`."""
    people = _drawn(timeline)
    peaks = {
        person.id: choose_peaks(person, timeline.emotions.emotions, timeline.duration_s, MOST_PEAKS)
        for person in people
    }
    faces = thumbnails(timeline, peaks)
    with mpl.rc_context(STYLE):
        strip = FACE + 0.22 if any(faces.values()) else 0.0
        row = BAND + strip + GAP
        named = _named(timeline, people)
        columns = _columns(named)
        top = TOP + LEGEND_ROW * (-(-len(named) // columns) - 1 if named else 0)
        height = top + BOTTOM + max(len(people), 1) * row - GAP
        figure = Figure(figsize=(WIDTH, height), dpi=200)
        FigureCanvasAgg(figure)
        _head(figure, timeline, people)
        _legend(figure, timeline, named, columns)
        for position, person in enumerate(people):
            bottom = height - top - position * row - strip - BAND
            axes = figure.add_axes((LEFT / WIDTH, bottom / height, (WIDTH - LEFT - RIGHT) / WIDTH, BAND / height))
            _bands(axes, person, timeline)
            _time_axis(axes, timeline.duration_s, last=position == len(people) - 1)
            _faces(figure, axes, faces.get(person.id, []), timeline)
        if not people:
            figure.text(0.5, 0.45, "no face was found", ha="center", color=SOFT, size=11)
    return figure


def write_plot(timeline: Timeline, path: Path) -> None:
    """Write the figure as .png, .svg or .pdf.

    Raises:
        UnwritableError: the system refuses.
    """
    suffix = path.suffix.lower()
    figure = plot(timeline)
    for text in figure.findobj(Text):  # control codes of a name would be no valid SVG
        text.set_text(printable(text.get_text(), lines=True))
    with replacing(path) as partial, mpl.rc_context(STYLE), warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Glyph .* missing")  # a box stands for a letter that the font lacks
        drawn = io.BytesIO()  # a full disk would meet matplotlib in the middle of its own tidying up
        figure.savefig(drawn, format=suffix[1:], metadata=SUFFIX_METADATA[suffix])
        partial.write_bytes(drawn.getvalue())


def to_html(timeline: Timeline) -> str:
    """The figure as an image in HTML, for notebooks."""
    buffer = io.BytesIO()
    with mpl.rc_context(STYLE):
        plot(timeline).savefig(buffer, format="png", dpi=130, metadata=SUFFIX_METADATA[".png"])
    told = html.escape(f"Emotions over time in {timeline.video}, {len(timeline.people)} people")
    data = base64.b64encode(buffer.getvalue()).decode()
    return f'<img src="data:image/png;base64,{data}" alt="{told}" style="max-width: 100%; width: 52rem">'


def _drawn(timeline: Timeline) -> list[Person]:
    longest = sorted(timeline.people, key=lambda person: -int(person.seen.sum()))[:MOST_PEOPLE]
    return sorted(longest, key=lambda person: person.id)


def _head(figure: Figure, timeline: Timeline, people: list[Person]) -> None:
    """What video it is, and who is not drawn."""
    height = figure.get_figheight()
    left_out = len(timeline.people) - len(people)
    more = f", {left_out} more not drawn" if left_out else ""
    figure.text(LEFT / WIDTH, 1 - 0.24 / height, Path(timeline.video).name, color=INK, size=10, weight="bold")
    count = f"{len(timeline.people)} {'person' if len(timeline.people) == 1 else 'people'}{more}"
    told = f"{clock(timeline.duration_s)}, {count}"
    figure.text(1 - RIGHT / WIDTH, 1 - 0.24 / height, told, color=SOFT, ha="right")


def _named(timeline: Timeline, people: list[Person]) -> list[str]:
    """The emotions whose bands can be seen, however thin."""
    return [
        emotion
        for k, emotion in enumerate(timeline.emotions)
        if any(np.nanmax(person.probs[:, k], initial=0) >= NAMED for person in people)
    ]


def _columns(named: list[str]) -> int:
    """Columns of the legend, so that it fits and its rows are about as long."""
    widest = LEGEND_MARK + LEGEND_LETTER * max(map(len, named), default=0)
    most = max(1, int((WIDTH - LEFT - RIGHT) / widest))
    rows = max(1, -(-len(named) // most))
    return max(1, -(-len(named) // rows))


def _legend(figure: Figure, timeline: Timeline, named: list[str], columns: int) -> None:
    """Which colour is what."""
    shade = bright_colours(timeline.emotions.emotions)
    if named:
        figure.legend(
            handles=[Patch(color=shade[emotion], label=emotion) for emotion in named],
            loc="upper left", bbox_to_anchor=((LEFT - 0.06) / WIDTH, 1 - 0.3 / figure.get_figheight()), ncols=columns,
            frameon=False, handlelength=0.9, handleheight=0.9, columnspacing=1.2, handletextpad=0.4, borderpad=0,
        )  # fmt: skip


def _bands(axes: Any, person: Person, timeline: Timeline) -> None:
    order = sorted(range(len(timeline.emotions)), key=lambda k: timeline.emotions[k] != "neutral")
    shade = bright_colours(timeline.emotions.emotions)
    axes.set_facecolor("#f4f5f6")
    for times, probs in pieces(person, timeline.duration_s):
        axes.stackplot(
            times,
            probs[:, order].T,
            colors=[shade[timeline.emotions[k]] for k in order],
            linewidth=0,
            antialiased=False,
        )
    axes.vlines(timeline.cuts_s, 0, 1, colors=INK, linewidth=0.6, linestyles="dashed")
    axes.set(ylim=(0, 1), yticks=[0, 0.5, 1])
    axes.set_yticklabels(["0", "", "1"], color=SOFT)
    axes.set_ylabel("probability", color=SOFT, labelpad=-2, size=7.5)
    axes.tick_params(length=2, width=0.6, color=SOFT)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    if not np.isnan(person.overall).any():
        top = int(person.overall.argmax())
        name = timeline.emotions[top]
        axes.text(
            -0.065, 0.72, _short(person.label), transform=axes.transAxes, ha="right", color=INK, weight="bold",
            parse_math=False,
        )  # fmt: skip
        axes.text(-0.065, 0.5, name, transform=axes.transAxes, ha="right", color=shade[name])
        axes.text(-0.065, 0.28, f"{person.overall[top]:.0%}", transform=axes.transAxes, ha="right", color=SOFT)


def _short(name: str) -> str:
    """A name that fits beside its row."""
    return name if len(name) <= LETTERS else name[: LETTERS - 1] + "…"


def _time_axis(axes: Any, duration_s: float, *, last: bool) -> None:
    axes.set_xlim(0, duration_s or 1)
    steps = [step for step in STEPS_S if step * MOST_TICKS >= duration_s]
    axes.xaxis.set_major_locator(MultipleLocator(steps[0]) if duration_s > 90 and steps else MaxNLocator(MOST_TICKS))
    axes.xaxis.set_major_formatter(
        FuncFormatter(lambda seconds, _: clock(seconds) if duration_s > 90 else f"{seconds:g}")
    )
    axes.tick_params(axis="x", labelbottom=last, labelcolor=SOFT)
    if not duration_s:
        axes.set_xticks([])
    elif last:
        axes.set_xlabel("time, min:s" if duration_s > 90 else "time, s", color=SOFT, labelpad=2)


def _faces(figure: Figure, axes: Any, faces: list[Thumbnail], timeline: Timeline) -> None:
    """Thumbnails above the bands, as near to their time as they find room, each with a line to it."""
    place = axes.get_position()
    height, shade = figure.get_figheight(), bright_colours(timeline.emotions.emotions)
    width = FACE / WIDTH
    wanted = [place.x0 + place.width * face.segment.apex_s / (timeline.duration_s or 1) for face in faces]
    lefts = spread([middle - width / 2 for middle in wanted], width * 1.08, place.x0, place.x1 - width)
    for face, left, at in zip(faces, lefts, wanted, strict=True):
        bottom = place.y1 + 0.12 / height
        picture = figure.add_axes((left, bottom, width, FACE / height))
        picture.imshow(face.pixels, interpolation="lanczos")
        picture.set(xticks=[], yticks=[])
        for spine in picture.spines.values():
            spine.set(edgecolor=shade[face.segment.emotion], linewidth=1.6)
        _caption(picture, face.segment, shade)
        line = Line2D([left + width / 2, at, at], [bottom, place.y1, place.y1 - 0.1 / height], color=INK, linewidth=0.6)
        figure.add_artist(line)


def _caption(picture: Any, segment: Segment, shade: dict[str, str]) -> None:
    picture.set_title(segment.emotion, size=7.5, color=shade[segment.emotion], pad=2.5)


def spread(wanted: list[float], width: float, low: float, high: float) -> list[float]:
    """Places in order, at least `width` apart and from `low` to `high`, near those that are wanted (increasing).

    >>> spread([0.0, 0.5, 9.9], 1.0, 0.0, 9.0)
    [0.0, 1.0, 9.0]
    """
    places: list[float] = []
    for place in wanted:
        places.append(max(place, low, places[-1] + width if places else low))
    limit = high
    for index in range(len(places) - 1, -1, -1):
        places[index] = min(places[index], limit)
        limit = places[index] - width
    return places
