"""A timeline as one page (HTML): the film, and for each person the bands of the emotions, numbers and segments.

The page holds the film itself where that is small, or a small copy where browsers do not play it; a larger film is
played from beside the page. How it looks is in `templates` and in `dfer.pages`.
"""

from __future__ import annotations

import base64
import hashlib
import logging
import os
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any
from urllib.parse import quote

import numpy as np

from dfer.errors import DferError
from dfer.files import write_text
from dfer.inference import flaws as quality_flaws
from dfer.inference.bands import clock, pieces
from dfer.inference.doubts import KINDS
from dfer.inference.summary import NOBODY, PersonSummary, strongest, summarise
from dfer.inference.thumbnails import Thumbnail, choose_peaks, thumbnails
from dfer.inference.timeline import Person, Timeline
from dfer.pages import STRIP_FRAMES, Frame, emotion_colours, filmstrip, render
from dfer.video.browsers import played_type, small_copy
from dfer.video.decoding import is_video
from dfer.video.stream import Span, stream

logger = logging.getLogger(__name__)

MOST_PEOPLE, MOST_SEGMENTS, MOST_FACES = 30, 200, 9
"""On a page, of a person and of a person."""
MOST_ROWS = 600
"""Times of a person's bands; of more, means are drawn."""
EMBEDDED = 12 * 2**20
"""A film of at most so many bytes is put into the page; it takes a third more there."""
COPIED_S = 180.0
"""A film that browsers do not play is copied small into the page up to this length, seconds."""
TICKS = 6
"""Marks of the time axis; so few fit on a phone."""
STEPS_S = (0.1, 0.2, 0.5, 1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200)


@dataclass(frozen=True)
class Film:
    """How a page shows its film.

    Attributes:
        source: of the player: a data URI or a relative address; "" for none.
        note: what a reader should know about it; "" for nothing.
        strip: pictures of it, see `dfer.pages.filmstrip`; None where there are none.
    """

    source: str
    note: str
    strip: dict[str, Any] | None


def write_page(timeline: Timeline, path: Path) -> None:
    """Write the page; the film is looked for where the timeline says that it is.

    Raises:
        UnwritableError: the system refuses.
    """
    write_text(path, to_page(timeline, film_of(timeline, path.parent)))


def to_page(timeline: Timeline, film: Film) -> str:
    """The page as HTML."""
    found = [(person, summarise(person, timeline)) for person in timeline.people]
    longest = sorted(found, key=lambda pair: -pair[1].seen_s)[:MOST_PEOPLE]
    shown = sorted(longest, key=lambda pair: pair[0].id)
    peaks = {
        person.id: choose_peaks(person, timeline.emotions.emotions, timeline.duration_s, MOST_FACES)
        for person, _ in shown
    }
    faces = thumbnails(timeline, peaks)
    script = files("dfer.inference").joinpath("templates", "timeline.js").read_text(encoding="utf-8")
    left_out = len(found) - len(shown)
    return render(
        "dfer.inference",
        "timeline.html.jinja",
        kind="timeline",
        title=Path(timeline.video).name,
        verdict=_verdict(timeline),
        facts=_facts(timeline, found),
        emotions=list(emotion_colours(timeline.emotions.emotions).items()),
        film=film,
        seconds=round(timeline.duration_s, 4),
        ticks=ticks(timeline.duration_s),
        people=[_person(person, summary, timeline, faces.get(person.id, [])) for person, summary in shown],
        left_out=f"{left_out} people who are seen for less long are not shown." if left_out else "",
        script=script,
        script_hash=base64.b64encode(hashlib.sha256(script.encode()).digest()).decode(),
    )


# --- the film


def film_of(timeline: Timeline, folder: Path) -> Film:
    """How the film is shown in a page that lies in `folder`."""
    path = Path(timeline.video)
    if not path.exists():
        return Film("", f"The film is not here: {timeline.video} was not found when this page was made.", None)
    strip = _strip(timeline)
    if not path.is_dir() and not is_video(path):
        return Film("", "", strip)
    kind = None if timeline.rotate else played_type(path)
    size = path.stat().st_size
    if kind and size <= EMBEDDED:
        return Film(_data(path.read_bytes(), kind), "", strip)
    if kind:
        note = (
            f"The film has {size / 2**20:.0f} MB and is not in this page: it is played from {path.name}, which must "
            "stay where it is beside the page."
        )
        return Film(_address(path, folder), note, strip)
    if timeline.duration_s > COPIED_S:
        return Film("", "Browsers do not play this kind of film; dfer predict -o film.mp4 writes one they play.", strip)
    try:
        copy = small_copy(path, timeline.duration_s + 0.001, fps=timeline.fps, rotate=timeline.rotate)
    except DferError as error:
        logger.warning("the page is without its film: %s", error)
        return Film("", "The film could not be read again when this page was made.", strip)
    return Film(_data(copy, "video/mp4"), "A small copy: browsers do not play the film as it is.", strip)


def _data(data: bytes, kind: str) -> str:
    return f"data:{kind};base64,{base64.b64encode(data).decode()}"


def _address(path: Path, folder: Path) -> str:
    """The address of a film as seen from a page's folder."""
    try:
        return quote(os.fsencode(Path(os.path.relpath(path.resolve(), folder.resolve())).as_posix()))
    except ValueError:  # another drive
        return path.resolve().as_uri()


def _strip(timeline: Timeline) -> dict[str, Any] | None:
    """Pictures at even distances in time, each from the middle of its part."""
    parts = (np.arange(STRIP_FRAMES) + 0.5) * timeline.duration_s / STRIP_FRAMES
    frames: list[Frame] = []
    try:
        for time_s in parts.tolist() if timeline.duration_s else [0.0]:
            shown = next(stream(timeline.video, span=Span(time_s), fps=timeline.fps, rotate=timeline.rotate))
            frames.append(shown.pixels)
    except (DferError, StopIteration) as error:
        logger.warning("pictures of the film are missing in its page: %s", error)
    return filmstrip(timeline.video, frames) if frames else None


# --- what is said and drawn


def _verdict(timeline: Timeline) -> str:
    if not timeline.people:
        return f"{NOBODY[0].upper()}{NOBODY[1:]} in this film."
    count = len(timeline.people)
    said = strongest(timeline)
    return f"{count} {'person is' if count == 1 else 'people are'} seen" + (f": {said}." if said else ".")


def _facts(timeline: Timeline, found: list[tuple[Person, PersonSummary]]) -> list[tuple[str, str]]:
    return [
        ("length", clock(timeline.duration_s)),
        ("people", str(len(found))),
        ("seen for", " · ".join(clock(summary.seen_s) for _, summary in found[:MOST_PEOPLE]) or "–"),
        ("segments", str(sum(len(person.segments) for person, _ in found))),
    ]


def ticks(duration_s: float) -> list[tuple[float, str]]:
    """Places of the marks of the time axis, percent, and their texts.

    >>> ticks(10.0)
    [(0.0, '0 s'), (20.0, '2 s'), (40.0, '4 s'), (60.0, '6 s'), (80.0, '8 s')]
    """
    if not duration_s:
        return []
    step = next((step for step in STEPS_S if step * TICKS >= duration_s), duration_s / TICKS)
    times = [step * number for number in range(TICKS + 1) if step * number <= 0.95 * duration_s]
    return [(round(100 * time_s / duration_s, 2), clock(time_s)) for time_s in times]


def _person(person: Person, summary: PersonSummary, timeline: Timeline, faces: list[Thumbnail]) -> dict[str, Any]:
    shade = emotion_colours(timeline.emotions.emotions)
    return {
        "id": person.id,
        "label": person.label,
        "said": f"seen for {clock(summary.seen_s)}",
        "faces": [_face(face, shade) for face in faces],
        "bands": _bands(person, timeline, shade),
        "doubts": _doubts(person, timeline),
        "cuts": [round(1000 * cut_s / (timeline.duration_s or 1), 1) for cut_s in timeline.cuts_s],
        "rows": _rows(summary, timeline, shade),
        "quality": _quality(summary),
        "doubt": _told_doubt(summary),
        "segments": [
            {
                "time": round(segment.apex_s, 3),
                "span": f"{_moment(segment.start_s)} – {_moment(segment.end_s)}",
                "emotion": segment.says,
                "shade": "none" if segment.doubt else shade[segment.emotion],
                "score": "" if segment.doubt else f"{segment.score:.0%}",
            }
            for segment in person.segments[:MOST_SEGMENTS]
        ],
        "more": max(len(person.segments) - MOST_SEGMENTS, 0),
    }


def _moment(time_s: float) -> str:
    """A time, to a tenth of a second in the first minute.

    >>> _moment(0.0667), _moment(95)
    ('0.1 s', '1:35')
    """
    return f"{time_s:.1f} s" if time_s < 60 else clock(time_s)


def _face(face: Thumbnail, shade: dict[str, str]) -> dict[str, Any]:
    emotion = face.segment.emotion
    picture = filmstrip(emotion, [face.pixels])
    return {"uri": picture["uri"], "emotion": emotion, "shade": shade[emotion], "clock": _moment(face.segment.apex_s)}


def _rows(summary: PersonSummary, timeline: Timeline, shade: dict[str, str]) -> list[dict[str, Any]]:
    """A row an emotion, the strongest first; "–" for someone who is never seen."""

    def percent(value: float) -> str:
        return "–" if np.isnan(value) else f"{value:.0%}"

    return [
        {
            "emotion": timeline.emotions[k],
            "shade": shade[timeline.emotions[k]],
            "mean": percent(summary.mean[k]),
            "share": percent(summary.shares[k]),
            "events": int(summary.events[k]) or "–",
        }
        for k in np.argsort(-np.nan_to_num(summary.mean), kind="stable").tolist()
    ]


def _quality(summary: PersonSummary) -> str:
    if np.isnan(summary.usable):
        return "The face is never seen."
    flaws = [
        f"{name} {share:.0%}" for name, share in zip(quality_flaws.FLAWS, summary.flaws, strict=True) if share > 0.005
    ]
    return f"{summary.usable:.0%} of the frames with the face are usable" + (f": {', '.join(flaws)}." if flaws else ".")


def _told_doubt(summary: PersonSummary) -> str:
    """For how much of the time no emotion is named, and why; "" where that is not known."""
    if np.isnan(summary.doubts).any():
        return ""
    mixed, cannot_tell = summary.doubts
    return (
        f"People would disagree (mixed) for {mixed:.0%} of the time; the picture does not tell for {cannot_tell:.0%}."
    )


def _doubts(person: Person, timeline: Timeline) -> list[dict[str, Any]]:
    """Where no emotion is named: left edge and width, percent, the class of the hatching, the words."""
    length_s = max(timeline.duration_s, *person.times[-1:]) or 1.0
    return [
        {
            "left": round(100 * stretch.start_s / length_s, 2),
            "width": round(100 * (stretch.end_s - stretch.start_s) / length_s, 2),
            "kind": KINDS[stretch.kind].replace(" ", "-"),
            "says": f"{stretch.says}, {_moment(stretch.start_s)} – {_moment(stretch.end_s)}",
        }
        for stretch in timeline.stretches(person)
    ]


def _bands(person: Person, timeline: Timeline, shade: dict[str, str]) -> list[tuple[str, str]]:
    """The class of the colour and the outline of each band, in a picture of 1000 x 100, neutral at the bottom."""
    names = list(timeline.emotions)
    order = sorted(range(len(names)), key=lambda k: names[k] != "neutral")
    length_s = max(timeline.duration_s, *person.times[-1:]) or 1.0
    outlines: list[list[str]] = [[] for _ in order]
    for times, probs in pieces(person, timeline.duration_s, most=MOST_ROWS):
        across = times / length_s * 1000
        edges = 100 - 100 * np.cumsum(probs[:, order], axis=1)
        lower = np.full(len(times), 100.0)
        for place in range(len(order)):
            upper = np.clip(edges[:, place], 0, 100)
            there = [f"{x:.1f} {y:.2f}" for x, y in zip(across, upper, strict=True)]
            back = [f"{x:.1f} {y:.2f}" for x, y in zip(across[::-1], lower[::-1], strict=True)]
            outlines[place].append(f"M{'L'.join(there + back)}Z")
            lower = upper
    return [(shade[names[k]], "".join(outline)) for k, outline in zip(order, outlines, strict=True) if outline]
