"""From frames to the faces in them: detect, track, align, crop. A generator; memory does not grow with the video."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from dfer.errors import DferError
from dfer.video.alignment import align
from dfer.video.detection import Detector, Frames, Points
from dfer.video.identity import Embed
from dfer.video.mtcnn import Mtcnn
from dfer.video.quality import Quality, measure
from dfer.video.stream import Span, TimedFrame, stream
from dfer.video.tracking import Tracker


@dataclass(frozen=True, eq=False)
class TrackedFace:
    """One person's face in one frame.

    Attributes:
        id: the person, 0, 1, ... in the order of appearance, from left to right; the same one over the whole video,
            also after a cut or an absence, where the face is clear enough to tell.
        box: (4,) x, y, width, height, pixels of the frame, smoothed over time; may reach beyond its edge.
        landmarks: (5, 2) as `dfer.video.detection.Face`, smoothed over time.
        score: how sure the last detection was, 0..1.
        detected: found by the detector in this very frame, else followed from an earlier one.
        crop: (size, size, 3) uint8 RGB, upright and aligned, see `dfer.video.alignment`.
        quality: how well it can be seen.
    """

    id: int
    box: Points
    landmarks: Points
    score: float
    detected: bool
    crop: Frames
    quality: Quality


@dataclass(frozen=True, eq=False)
class FaceFrame:
    """One frame of a video and the faces in it; a person who is not seen is not in `faces`.

    Attributes:
        index: 0, 1, ... over the frames that are looked at.
        time_s: seconds from the start of the film.
        frame: (H, W, 3) uint8 RGB.
        faces: in the order of their ids.
        end_s, name: see `dfer.video.stream.TimedFrame`.
        cut: whether another scene begins with this frame.
        renamed: new id -> old id, of people of whom it turned out in this frame that they were there before; they have
            the old id from this frame on.
    """

    index: int
    time_s: float
    frame: Frames
    faces: tuple[TrackedFace, ...]
    end_s: float = math.nan
    name: str = ""
    cut: bool = False
    renamed: Mapping[int, int] = field(default_factory=dict)


def open_faces(
    source: Path | str | int,
    *,
    detector: Detector | None = None,
    size: int = 112,
    people: int | None = None,
    span: Span | None = None,
) -> Iterator[FaceFrame]:
    """The faces of a video, of an image, of a folder of frames or of a camera (an int), frame by frame.

    Args:
        source: see `dfer.video.stream.stream`.
        detector: finds faces in one picture; None: `dfer.video.mtcnn.Mtcnn`.
        size: height and width of the crops, pixels.
        people: how many people at most are followed, the largest faces first; None: all.
        span: which part of the video, and how densely; None: all of it.

    Yields:
        Every frame looked at, in the order of time, also those without a face.

    Raises:
        DferError: the source cannot be read; the message names it.
    """
    return find_faces(stream(source, span=span), detector=detector, size=size, people=people)


def find_faces(
    frames: Iterable[TimedFrame], *, detector: Detector | None = None, embed: Embed | None = None, size: int = 112,
    people: int | None = None,
) -> Iterator[FaceFrame]:  # fmt: skip
    """As `open_faces`, of any frames with increasing times.

    Args:
        frames: in the order of time.
        detector: see `open_faces`.
        embed: tells whose a face is; None: `dfer.video.identity.Embedder`.
        size: see `open_faces`.
        people: likewise.
    """
    if size < 8 or (people is not None and people < 1):
        raise DferError(f"expected crops of at least 8 pixels and at least one person, got {size} and {people}")
    tracker = Tracker(detector or Mtcnn(), embed=embed, people=people)
    return (_face_frame(index, shown, tracker, size) for index, shown in enumerate(frames))


def _face_frame(index: int, shown: TimedFrame, tracker: Tracker, size: int) -> FaceFrame:
    faces = []
    for person in tracker.step(shown.pixels, shown.time_s):
        crop = align(shown.pixels, person.landmarks, size)
        quality = measure(crop, person.box, person.landmarks)
        faces.append(
            TrackedFace(
                person.id, person.box.copy(), person.landmarks.copy(), person.score, person.detected, crop, quality
            )
        )
    return FaceFrame(
        index, shown.time_s, shown.pixels, tuple(faces), shown.end_s, shown.name, tracker.cut, tracker.renamed
    )
