"""A timeline drawn into its video: a box around each face, its emotion, and bars of all of them beside it.

The video is decoded once more; between frames that were looked at, boxes and bars go over evenly. Times are those of
the video, or begin at 0 with the part that was looked at. Sound is not kept.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt

from dfer.errors import DferError
from dfer.files import replacing
from dfer.inference.colours import colours, rgb
from dfer.inference.lettering import Colour, tint, write
from dfer.inference.timeline import Person, Timeline
from dfer.video.detection import shrunk
from dfer.video.stream import Span, stream
from dfer.video.writing import VideoWriter

Frames = npt.NDArray[np.uint8]
Floats = npt.NDArray[np.float64]

LONG_SIDE = 1920
"""A larger video is shrunk to this, pixels."""
SHORT_SIDE = 480
"""A smaller one is enlarged to this: letters must be legible."""
UNIT = 360
"""Letters and lines are made for a picture of this height, pixels, and grow with it."""
PAPER: Colour = (18, 20, 24)
WHITE: Colour = (255, 255, 255)
PALE: Colour = (176, 182, 190)
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


@dataclass(frozen=True, eq=False)
class Shown:
    """A face as it is drawn: the person's number, the box in the picture, probs (K,)."""

    id: int
    box: Rectangle
    probs: Floats


def write_overlay(timeline: Timeline, path: Path) -> None:
    """Write the part of the video that was looked at, with all that was read in it.

    Raises:
        DferError: the video cannot be read again, or the file not be written.
    """
    if not Path(timeline.video).exists():
        raise DferError(f"{timeline.video} cannot be drawn into: expected the video that the timeline is of")
    frames = stream(timeline.video, span=_span(timeline), fps=timeline.fps, rotate=timeline.rotate)
    first = next(frames)
    whole = next(stream(timeline.video, fps=timeline.fps)).time_s >= first.time_s
    begin_s = 0.0 if whole else first.time_s
    height, width = _sized(first.pixels)[0].shape[:2]
    with replacing(path) as partial, VideoWriter(partial, height, width) as writer:
        for shown in chain([first], frames):
            picture, scale = _sized(shown.pixels)
            draw_faces(picture, list(faces_at(timeline, shown.time_s, scale)), timeline)
            writer.write(picture, shown.time_s - begin_s, shown.end_s - begin_s)


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
    start_s = min((float(person.times[0]) for person in timeline.people), default=0.0)
    return Span(start_s=max(0.0, start_s - 0.001), end_s=max(timeline.duration_s, start_s + 0.001))


def faces_at(timeline: Timeline, time_s: float, scale: float) -> Iterator[Shown]:
    """Everybody who is seen at a time, seconds; boxes are scaled to the picture."""
    for person in timeline.people:
        row = _row_at(person, time_s)
        if row is not None:
            box, probs = row
            left, top, width, height = (box * scale).tolist()
            corners = Rectangle(round(left), round(top), round(left + width), round(top + height))
            yield Shown(person.id, corners, probs)


def _row_at(person: Person, time_s: float) -> tuple[Floats, Floats] | None:
    """Box and probs between the two rows around a time; None where one of them is without a face."""
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
    return None if np.isnan(mixed).any() else (mixed[:4], mixed[4:])


def draw_faces(picture: Frames, faces: list[Shown], timeline: Timeline) -> None:
    """Draw into a picture (H, W, 3) uint8: boxes, names, and bars where there is room for them."""
    unit = max(0.5, picture.shape[0] / UNIT)
    emotions = timeline.emotions.emotions
    shade = [rgb(colour) for colour in colours(emotions).values()]
    known = {person.id: person.name or str(person.id) for person in timeline.people}
    several = len(known) > 1 or any(person.name for person in timeline.people)
    taken = [face.box for face in faces]
    for face in faces:
        top = int(face.probs.argmax())
        line = max(1, round(1.6 * unit))
        corners = (face.box.left, face.box.top), (face.box.right, face.box.bottom)
        cv2.rectangle(picture, *corners, shade[top], line, cv2.LINE_AA)
        words = f"{known[face.id]}  " * several + f"{emotions[top]} {face.probs[top]:.0%}"
        _tag(picture, words, face.box, unit, shade[top])
    for face in faces:
        panel = _room(face.box, taken, picture, unit, len(emotions))
        if panel is not None:
            taken.append(panel)
            _bars(picture, panel, unit, [*zip(emotions, face.probs.tolist(), shade, strict=True)])


def _tag(picture: Frames, words: str, box: Rectangle, unit: float, colour: Colour) -> None:
    """The emotion on a ground of its colour, on top of the box, or inside where there is no room."""
    height = round(13 * unit)
    measured = np.zeros((1, 1, 3), np.uint8)
    width = write(measured, words, (0, 0), height, colour=WHITE, bold=True) + round(8 * unit)
    tall = round(17 * unit)
    top = box.top - tall if box.top >= tall else max(box.top, 0)
    left = min(max(box.left - max(1, round(0.8 * unit)), 0), max(picture.shape[1] - width, 0))
    tint(picture, (left, top), np.full((tall, width), 255, np.uint8), colour)
    write(picture, words, (left + round(4 * unit), top + round(1.5 * unit)), height, colour=WHITE, bold=True)


def _room(box: Rectangle, taken: list[Rectangle], picture: Frames, unit: float, count: int) -> Rectangle | None:
    """A place for the bars beside a face that covers no other one; None if there is none."""
    width, height, gap = round(138 * unit), round((13 * count + 8) * unit), round(6 * unit)
    top = min(max(box.top, gap), picture.shape[0] - height - gap)
    for left in (box.right + gap, box.left - gap - width):
        place = Rectangle(left, top, left + width, top + height)
        inside = place.left >= 0 and place.right <= picture.shape[1] and place.top >= 0
        if inside and not any(place.meets(other) for other in taken):
            return place
    return None


def _bars(picture: Frames, panel: Rectangle, unit: float, rows: list[tuple[str, float, Colour]]) -> None:
    size = (panel.bottom - panel.top, panel.right - panel.left)
    tint(picture, (panel.left, panel.top), np.full(size, SHADE, np.uint8), PAPER)
    start, full = panel.left + round(64 * unit), round(66 * unit)
    best = max(share for _, share, _ in rows)
    for position, (name, share, colour) in enumerate(rows):
        y = panel.top + round((4 + 13 * position) * unit)
        ink = WHITE if share == best else PALE
        write(picture, name, (panel.left + round(6 * unit), y), round(11 * unit), colour=ink)
        tall, long = round(7 * unit), round(full * share)
        middle = y + round(3 * unit)
        tint(picture, (start, middle), np.full((tall, full), 40, np.uint8), WHITE)
        if long:
            tint(picture, (start, middle), np.full((tall, long), 255, np.uint8), colour)
