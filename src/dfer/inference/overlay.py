"""A timeline drawn into its video: a box around each face, its emotion, and bars of all of them beside it.

The video is decoded once more; between frames that were looked at, boxes and bars go over evenly. Times are those of
the video, or begin at 0 with the part that was looked at. The sound of that part is kept.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt

from dfer.errors import DferError
from dfer.files import replacing
from dfer.inference.doubts import said
from dfer.inference.lettering import Colour, mask, tint
from dfer.inference.timeline import Person, Timeline
from dfer.pages import bright_colours
from dfer.video.detection import shrunk
from dfer.video.stream import Span, TimedFrame, stream
from dfer.video.writing import Timed, write_video

Frames = npt.NDArray[np.uint8]
Floats = npt.NDArray[np.float64]

LONG_SIDE = 1920
"""A larger video is shrunk to this, pixels."""
SHORT_SIDE = 480
"""A smaller one is enlarged to this: letters must be legible."""
UNIT, UNIT_LONG = 360, 960
"""Letters and lines are made for a picture whose short, or long, side has so many pixels, and grow with it."""
ROW, LETTERS, NAMES, BARS, MARGIN = 13, 11, 64, 66, 8
"""Of the panel of bars, in those units: heights of a row and its letters, widths of names, of bars, of the margins."""
TAG, TAG_LETTERS = 17, 13
"""Heights of the words on top of a face and of their letters, in those units."""
LEGIBLE = 0.6
"""Words are made smaller, to be no wider than this share of the picture, or than `WIDER` faces, down to `LEAST`."""
WIDER = 2.0
LEAST = 10
"""Height of the smallest letters, pixels."""
SMALLER = (1.0, 0.75, 0.5, 0.35)
"""Where bars find no room, smaller ones are tried."""
PAPER: Colour = (18, 20, 24)
WHITE: Colour = (255, 255, 255)
PALE: Colour = (176, 182, 190)
UNNAMED: Colour = (110, 116, 124)
"""Of a face whose emotion is not named."""
SHADE = 190
"""How dense the paper behind words and bars is, 0..255."""


@dataclass(frozen=True)
class Rectangle:
    """Pixels of the picture."""

    left: int
    top: int
    right: int
    bottom: int

    def meets(self, other: Rectangle) -> bool:
        """Whether they share a pixel."""
        return (
            self.left < other.right and other.left < self.right and self.top < other.bottom and other.top < self.bottom
        )

    def shared(self, other: Rectangle) -> int:
        """How many pixels they share."""
        wide = min(self.right, other.right) - max(self.left, other.left)
        tall = min(self.bottom, other.bottom) - max(self.top, other.top)
        return max(wide, 0) * max(tall, 0)


@dataclass(frozen=True, eq=False)
class DrawnFace:
    """A face as it is drawn: the person's number, the box in the picture, probs (K,), the place in `KINDS`."""

    id: int
    box: Rectangle
    probs: Floats
    kind: int = 0


def write_overlay(timeline: Timeline, path: Path) -> None:
    """Write the part of the video that was looked at, with all that was read in it.

    Raises:
        DferError: the video cannot be read again, or the file not be written.
    """
    if not Path(timeline.video).exists():
        raise DferError(f"{timeline.video} cannot be drawn into: expected the video that the timeline is of")
    first_s = next(_frames(timeline)).time_s
    whole = next(stream(timeline.video, fps=timeline.fps)).time_s >= first_s
    begin_s = 0.0 if whole else first_s

    def drawn() -> Iterator[Timed]:
        for shown in _frames(timeline):
            picture, scale = _sized(shown.pixels)
            draw_faces(picture, list(faces_at(timeline, shown.time_s, scale)), timeline)
            yield picture, shown.time_s - begin_s, shown.end_s - begin_s

    sound = (Path(timeline.video), begin_s, math.inf if _is_last(timeline) else timeline.duration_s)
    with replacing(path) as partial:
        write_video(partial, drawn, sound=sound)


def _frames(timeline: Timeline) -> Iterator[TimedFrame]:
    """Those that were looked at, and those between them."""
    return stream(timeline.video, span=_span(timeline), fps=timeline.fps, rotate=timeline.rotate)


def _is_last(timeline: Timeline) -> bool:
    """Whether no frame comes after those that were looked at."""
    span = Span(start_s=timeline.duration_s + 0.001)
    try:
        return next(stream(timeline.video, span=span, fps=timeline.fps), None) is None
    except DferError:
        return True


def _sized(frame: Frames) -> tuple[Frames, float]:
    """A copy of a frame in a size in which letters can be read, and its scale."""
    if min(frame.shape[:2]) < SHORT_SIDE:
        scale = SHORT_SIDE / min(frame.shape[:2])
        scale = min(scale, LONG_SIDE / max(frame.shape[:2]))
        larger = cv2.resize(frame, None, fx=scale, fy=scale, interpolation=cv2.INTER_CUBIC)
        return np.asarray(larger, dtype=np.uint8), scale
    picture, scale = shrunk(frame, LONG_SIDE)
    return picture.copy(), scale


def _span(timeline: Timeline) -> Span:
    return Span(start_s=max(0.0, timeline.start_s - 0.001), end_s=max(timeline.duration_s, timeline.start_s + 0.001))


def faces_at(timeline: Timeline, time_s: float, scale: float) -> Iterator[DrawnFace]:
    """Everybody who is seen at a time, seconds; boxes are scaled to the picture."""
    for person in timeline.people:
        row = _row_at(person, time_s)
        if row is not None:
            box, probs, kind = row
            left, top, width, height = (box * scale).tolist()
            corners = Rectangle(round(left), round(top), round(left + width), round(top + height))
            yield DrawnFace(person.id, corners, probs, kind)


def _row_at(person: Person, time_s: float) -> tuple[Floats, Floats, int] | None:
    """Box and probs between the two rows around a time, and the verdict of the earlier one; None where one of them is
    without a face."""
    if not person.times[0] - 0.001 <= time_s:
        return None
    after = min(int(np.searchsorted(person.times, time_s)), len(person.times) - 1)
    before = max(after - 1, 0)
    step = person.times[after] - person.times[before]
    share = 1.0 if not step else float(np.clip((time_s - person.times[before]) / step, 0, 1))
    if share > 0.99:
        before = after
    rows = [np.concatenate([person.boxes[row], person.probs[row]]) for row in (before, after)]
    mixed = rows[0] + share * (rows[1] - rows[0])
    kind = 0 if person.doubts is None else int(person.doubts.kinds[before])
    return None if np.isnan(mixed).any() else (mixed[:4], mixed[4:], kind)


def rgb(colour: str) -> tuple[int, int, int]:
    """Red, green and blue, 0..255, of #rrggbb.

    >>> rgb("#c08a00")
    (192, 138, 0)
    """
    red, green, blue = bytes.fromhex(colour[1:])
    return red, green, blue


def draw_faces(picture: Frames, faces: list[DrawnFace], timeline: Timeline) -> None:
    """Draw into a picture (H, W, 3) uint8: boxes, names, and bars where there is room for them."""
    emotions = timeline.emotions.emotions
    unit = _unit(picture, len(emotions))
    shade = [rgb(colour) for colour in bright_colours(emotions).values()]
    known = {person.id: person.name or str(person.id) for person in timeline.people}
    several = len(known) > 1 or any(person.name for person in timeline.people)
    taken = [face.box for face in faces]
    for face in faces:
        top = int(face.probs.argmax())
        line = max(1, round(1.6 * unit))
        corners = (face.box.left, face.box.top), (face.box.right, face.box.bottom)
        colour = UNNAMED if face.kind else shade[top]
        cv2.rectangle(picture, *corners, colour, line, cv2.LINE_AA)
        told = said(face.kind, face.probs, emotions) or f"{emotions[top]} {face.probs[top]:.0%}"
        taken.append(_tag(picture, f"{known[face.id]}  " * several + told, face.box, unit, colour))
    for face in faces:
        sizes = [unit * share for share in SMALLER if share == 1 or LETTERS * unit * share >= LEAST]
        panels = ((_room(face.box, taken, picture, size, len(emotions)), size) for size in sizes)
        panel, size = next(((panel, size) for panel, size in panels if panel is not None), (None, unit))
        if panel is None and len(faces) == 1:  # a face that fills the picture
            panel = max(_corners(picture, unit, len(emotions)), key=lambda corner: -corner.shared(face.box))
        if panel is not None:
            taken.append(panel)
            _bars(picture, panel, size, [*zip(emotions, face.probs.tolist(), shade, strict=True)])


def _unit(picture: Frames, count: int) -> float:
    """Pixels of a unit: as large as the picture allows, so that a panel of bars fits into it."""
    height, width = picture.shape[:2]
    wanted = max(min(height, width) / UNIT, max(height, width) / UNIT_LONG)
    panel = 0.9 * min(height / (ROW * count + MARGIN), width / (NAMES + BARS + MARGIN))
    return float(max(0.5, min(wanted, panel)))


def _tag(picture: Frames, words: str, box: Rectangle, unit: float, colour: Colour) -> Rectangle:
    """The emotion on a ground of its colour, on top of the box, or inside where there is no room; says where it is."""
    height, width = picture.shape[:2]
    letters = TAG_LETTERS * unit
    wide = mask(words, round(letters), bold=True).shape[1] / letters  # of letters of one pixel
    most = min(max(WIDER * (box.right - box.left), LEGIBLE * LEAST * wide), LEGIBLE * width)
    letters = max(LEAST, min(letters, most / wide))
    unit = letters / TAG_LETTERS
    ink = mask(words, round(letters), bold=True)
    size = (round(TAG * unit), ink.shape[1] + round(8 * unit))
    top = box.top - size[0] if box.top >= size[0] else box.top
    top = max(min(top, height - size[0]), 0)
    left = max(min(box.left - max(1, round(0.8 * unit)), width - size[1]), 0)
    tint(picture, (left, top), np.full(size, 255, np.uint8), colour)
    tint(picture, (left + round(4 * unit), top + round(1.5 * unit)), ink, WHITE)
    return Rectangle(left, top, left + size[1], top + size[0])


def _room(box: Rectangle, taken: list[Rectangle], picture: Frames, unit: float, count: int) -> Rectangle | None:
    """A place for the bars beside a face, or above or below it, that covers no other one; None if there is none."""
    height, width = picture.shape[:2]
    size, gap = _panel(unit, count), round(6 * unit)
    tall, wide = size
    top = max(min(box.top, height - tall - gap), gap)
    left = max(min(box.left, width - wide - gap), gap)
    places = [
        (box.right + gap, top), (box.left - gap - wide, top),
        (left, box.bottom + gap), (left, box.top - gap - tall - round(TAG * unit)),
    ]  # fmt: skip
    for x, y in places:
        place = Rectangle(x, y, x + wide, y + tall)
        inside = x >= 0 and y >= 0 and place.right <= width and place.bottom <= height
        if inside and not any(place.meets(other) for other in taken):
            return place
    return None


def _panel(unit: float, count: int) -> tuple[int, int]:
    """Height and width of the bars, pixels."""
    return round((ROW * count + MARGIN) * unit), round((NAMES + BARS + MARGIN) * unit)


def _corners(picture: Frames, unit: float, count: int) -> list[Rectangle]:
    """The places for the bars in the corners of the picture, those below first."""
    height, width = picture.shape[:2]
    tall, wide = _panel(unit, count)
    gap = min(round(6 * unit), (height - tall) // 2, (width - wide) // 2)
    return [
        Rectangle(left, top, left + wide, top + tall)
        for top in (height - tall - gap, gap)
        for left in (gap, width - wide - gap)
    ]


def _bars(picture: Frames, panel: Rectangle, unit: float, rows: list[tuple[str, float, Colour]]) -> None:
    size = (panel.bottom - panel.top, panel.right - panel.left)
    tint(picture, (panel.left, panel.top), np.full(size, SHADE, np.uint8), PAPER)
    start, full = panel.left + round(NAMES * unit), round(BARS * unit)
    best = max(share for _, share, _ in rows)
    for position, (name, share, colour) in enumerate(rows):
        y = panel.top + round((MARGIN / 2 + ROW * position) * unit)
        ink = WHITE if share == best else PALE
        _name(picture, name, (panel.left + round(6 * unit), y), unit, ink)
        tall, long = round(7 * unit), round(full * share)
        middle = y + round(3 * unit)
        tint(picture, (start, middle), np.full((tall, full), 40, np.uint8), WHITE)
        if long:
            tint(picture, (start, middle), np.full((tall, long), 255, np.uint8), colour)


def _name(picture: Frames, name: str, place: tuple[int, int], unit: float, colour: Colour) -> None:
    """The name of an emotion, in smaller letters if it is a long one."""
    ink = mask(name, round(LETTERS * unit))
    room = round((NAMES - 8) * unit)
    if ink.shape[1] > room:
        size = (room, max(1, round(ink.shape[0] * room / ink.shape[1])))
        ink = np.asarray(cv2.resize(ink, size, interpolation=cv2.INTER_AREA), dtype=np.uint8)
        place = (place[0], place[1] + round((LETTERS * unit - size[1]) / 2))
    tint(picture, place, ink, colour)
