"""The faces at the peaks of a timeline, cut out of its video once more."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt

from dfer.errors import DferError
from dfer.inference.segments import Segment
from dfer.inference.spans import SHORTEST_S
from dfer.inference.timeline import Person, Timeline
from dfer.video.stream import Span, stream

logger = logging.getLogger(__name__)

Frames = npt.NDArray[np.uint8]

SIDE = 128
"""Height and width of a thumbnail, pixels."""
AROUND = 1.25
"""The side of what is cut out, in sides of the face's box."""
EARLIER_S = 0.001
"""A time that was rounded may lie a little after its frame."""


@dataclass(frozen=True, eq=False)
class Thumbnail:
    """A face at the apex of a segment; (SIDE, SIDE, 3) uint8 RGB."""

    segment: Segment
    pixels: Frames


def thumbnails(timeline: Timeline, peaks: dict[int, list[Segment]]) -> dict[int, list[Thumbnail]]:
    """For each person's id the faces at the apexes of some segments.

    Nothing where the video is not there any more, or was a camera; a warning where it cannot be read again.
    """
    people = {person.id: person for person in timeline.people}
    if not Path(timeline.video).exists():
        return {}
    try:
        return {
            id_: [Thumbnail(segment, _face(timeline, people[id_], segment.apex_s)) for segment in segments]
            for id_, segments in peaks.items()
        }
    except DferError as error:
        logger.warning("no thumbnails: %s", error)
        return {}


def choose_peaks(person: Person, emotions: Sequence[str], duration_s: float, most: int) -> list[Segment]:
    """At most so many segments in the order of time: one of each emotion that occurs, then others that lie apart.

    The surest come first, neutral ones last. An emotion occurs where it has a segment, or where it is the strongest of
    all for as long as a segment lasts.
    """
    ranked = sorted(
        [*person.segments, *_without_segment(person, emotions, duration_s)],
        key=lambda one: (one.emotion == "neutral", -one.score),
    )
    chosen: list[Segment] = []

    def lies_apart(segment: Segment) -> bool:
        return all(abs(segment.apex_s - other.apex_s) >= duration_s / max(most, 1) for other in chosen)

    for emotion in dict.fromkeys(segment.emotion for segment in ranked):
        own = [segment for segment in ranked if segment.emotion == emotion]
        chosen.append(next(filter(lies_apart, own), own[0]))
    for segment in ranked:
        if len(chosen) < most and lies_apart(segment):
            chosen.append(segment)
    return sorted(chosen[:most], key=lambda segment: segment.apex_s)


def _without_segment(person: Person, emotions: Sequence[str], duration_s: float) -> list[Segment]:
    """The peaks of emotions that are the strongest for a while, but never likely enough to have a segment."""
    seen = person.seen
    lasting_s = np.diff(person.times, append=max(duration_s, *person.times[-1:]))[seen]
    strongest = person.probs[seen].argmax(axis=1) if seen.any() else np.zeros(0, np.int64)
    known = {segment.emotion for segment in person.segments}
    found = []
    for k, emotion in enumerate(emotions):
        leads = strongest == k
        if emotion not in known and lasting_s[leads].sum() >= SHORTEST_S:
            rows = np.flatnonzero(seen)[leads]
            apex = int(rows[person.probs[rows, k].argmax()])
            time_s = float(person.times[apex])
            found.append(Segment(time_s, time_s, time_s, emotion, float(person.probs[apex, k])))
    return found


def _face(timeline: Timeline, person: Person, time_s: float) -> Frames:
    seen = np.flatnonzero(person.seen)
    box = person.boxes[seen[np.abs(person.times[seen] - time_s).argmin()]]
    span = Span(start_s=max(0.0, time_s - EARLIER_S))
    frame = next(stream(timeline.video, span=span, fps=timeline.fps, rotate=timeline.rotate)).pixels
    side = max(1, round(float(max(box[2:])) * AROUND))
    left, top = (round(value) for value in (box[:2] + box[2:] / 2 - side / 2).tolist())
    border = max(0, -left, -top, left + side - frame.shape[1], top + side - frame.shape[0])
    if border:
        frame = np.asarray(cv2.copyMakeBorder(frame, border, border, border, border, cv2.BORDER_REPLICATE), np.uint8)
    piece = frame[top + border : top + border + side, left + border : left + border + side]
    how = cv2.INTER_AREA if side > SIDE else cv2.INTER_CUBIC
    return np.asarray(cv2.resize(piece, (SIDE, SIDE), interpolation=how), dtype=np.uint8)
