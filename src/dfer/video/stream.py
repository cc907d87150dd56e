"""A video as a stream of frames with their times: memory does not grow with its length.

Unlike a `dfer.video.frames.Clip`, which must be whole, a stream goes on after damaged data as long as something can
be decoded, with a warning that counts what was left out: of an hour of film one wants the rest.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import cv2
import numpy as np
import numpy.typing as npt

from dfer.errors import DferError
from dfer.video.decoding import Shown, check_file, decode, is_video
from dfer.video.frames import IMAGE_SUFFIXES, FolderClip, read_image

Frames = npt.NDArray[np.uint8]
ROUNDING_S = 0.001
"""Times are rounded to a file's clock, mostly 1 ms or less: a frame this much too early is not too early."""


@dataclass(frozen=True, eq=False)
class TimedFrame:
    """A frame and when it is shown.

    Attributes:
        time_s: seconds, as the decoder gives them.
        pixels: (H, W, 3) uint8 RGB, upright.
    """

    time_s: float
    pixels: Frames


@dataclass(frozen=True)
class Span:
    """Which part of a video is looked at, and how densely.

    Attributes:
        start_s: frames from this time on, seconds.
        end_s: frames before this time; None: to the end.
        every_s: one frame in so many seconds; 0: every frame.
    """

    start_s: float = 0.0
    end_s: float | None = None
    every_s: float = 0.0

    def __post_init__(self) -> None:
        end_s = np.inf if self.end_s is None else self.end_s
        if not 0 <= self.start_s < end_s:
            raise DferError(f"expected 0 <= start < end in seconds, got {self.start_s} and {self.end_s}")
        if not 0 <= self.every_s < np.inf:
            raise DferError(f"expected one frame every 0 seconds or more, got {self.every_s}")


def stream(source: Path | str | int, *, span: Span | None = None, fps: float = 25.0) -> Iterator[TimedFrame]:
    """The frames of a source, one at a time.

    Args:
        source: a video file, an image, a folder of frames, or the number of a camera.
        span: the part that is wanted; None: all of it.
        fps: frames a second of a folder of frames, which has no clock.

    Raises:
        DferError: at once or on the way: there is no such source, or nothing of it can be decoded.
    """
    span = span or Span()
    if isinstance(source, int):
        return _thinned(_camera(source), span)
    path = Path(source)
    if path.is_dir():
        clip = FolderClip(path, fps)
        return _thinned((TimedFrame(index / fps, read_image(file)) for index, file in enumerate(clip.files)), span)
    if path.suffix.lower() in IMAGE_SUFFIXES and not is_video(path):
        return iter([TimedFrame(0.0, read_image(path))])
    check_file(path)
    return _video(path, span)


def _video(path: Path, span: Span) -> Iterator[TimedFrame]:
    empty = True
    for shown in _thinned(decode(path, start_s=span.start_s, tolerant=True), span):
        empty = False
        yield TimedFrame(shown.time_s, shown.pixels)
    if empty:
        raise DferError(f"{path}: the video has no frame{_told(span)}")


def _told(span: Span) -> str:
    """For a message: the part of a video that is meant, nothing where it is all of it."""
    end = "" if span.end_s is None else f" and before {span.end_s:g} s"
    return f" from {span.start_s:g} s on{end}" if span.start_s or end else ""


def _camera(number: int) -> Iterator[TimedFrame]:
    """The frames of a camera until it stops, with the time since the first one."""
    camera = cv2.VideoCapture(number)
    try:
        if not camera.isOpened():
            raise DferError(f"camera {number} cannot be opened; is it plugged in, and free?")
        begin: float | None = None
        while True:
            given, picture = camera.read()
            if not given:
                return
            now = time.monotonic()
            begin = now if begin is None else begin
            yield TimedFrame(now - begin, np.asarray(cv2.cvtColor(picture, cv2.COLOR_BGR2RGB), dtype=np.uint8))
    finally:
        camera.release()


Timed = TypeVar("Timed", TimedFrame, Shown)


def _thinned(frames: Iterator[Timed], span: Span) -> Iterator[Timed]:
    """The frames of a span, the first one of each step of `every_s`; in whole microseconds, for these add up."""
    every, former = round(span.every_s * 1e6), -1
    for frame in frames:
        if span.end_s is not None and frame.time_s >= span.end_s:
            return
        since = round((frame.time_s + ROUNDING_S - span.start_s) * 1e6)
        step = since // every if every else former + 1
        if since >= 0 and step > former:
            yield frame
            former = step
