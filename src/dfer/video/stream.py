"""A video as a stream of frames with their times: memory does not grow with its length.

Unlike a `dfer.video.frames.Clip`, which must be whole, a stream goes on after damaged data as long as something can
be decoded, with a warning that counts what was left out: of an hour of film one wants the rest. A frame lasts until the
next one.
"""

from __future__ import annotations

import itertools
import logging
import math
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from numbers import Real
from pathlib import Path
from typing import Any, Protocol, TypeVar

import cv2
import numpy as np
import numpy.typing as npt

from dfer.errors import DferError, listed
from dfer.video.decoding import Film, check_file, is_video
from dfer.video.frames import IMAGE_SUFFIXES, FolderClip, read_image
from dfer.video.listing import times_by_number
from dfer.video.picture import turned
from dfer.video.playlists import refuse_address

logger = logging.getLogger(__name__)

Frames = npt.NDArray[np.uint8]
FPS = 25.0
RATES = (0.001, 10_000.0)
"""Frames a second, at least and at most: times are kept to a tenth of a millisecond."""
"""Frames a second that are assumed of a folder of frames."""
TURNS = (0, 90, 180, 270)
"""Degrees by which pictures can be turned."""
STAYS_S = 0.5
"""A frame that began before a span is looked at where it stays so long in it, seconds, or where there is no other."""
ROUNDING_S = 0.001
"""Times are rounded to a file's clock, mostly 1 ms or less: a frame this much too early is not too early."""


@dataclass(frozen=True, eq=False)
class TimedFrame:
    """A frame and when it is shown.

    Attributes:
        time_s: seconds from the start of the film.
        pixels: (H, W, 3) uint8 RGB, as displayed.
        end_s: when the next frame that is looked at is shown, or the film ends, seconds; NaN: unknown.
        name: of the file that it is from, in a folder of frames.
    """

    time_s: float
    pixels: Frames
    end_s: float = math.nan
    name: str = ""


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


def stream(
    source: Path | str | int, *, span: Span | None = None, fps: float | None = None, rotate: int = 0
) -> Iterator[TimedFrame]:
    """The frames of a source, one at a time.

    Args:
        source: a video file, an image, a folder of frames, or the number of a camera.
        span: the part that is wanted; None: all of it.
        fps: frames a second of a source without a clock, such as a folder of frames. None: as a list beside the frames
            says, else `FPS`, with a warning.
        rotate: turn the pictures clockwise by 0, 90, 180 or 270 degrees.

    Raises:
        DferError: at once or on the way: there is no such source, or nothing of it can be decoded.
    """
    span = span or Span()
    require_rate(fps)
    require_turn(rotate)
    if isinstance(source, int):
        return turn(live(_camera(source), span), rotate)
    refuse_address(source)
    path = Path(source)
    if path.is_dir():
        return turn(_folder(path, span, fps), rotate)
    if path.suffix.lower() in IMAGE_SUFFIXES and not is_video(path):
        return turn(iter([TimedFrame(0.0, read_image(path), 0.0, path.name)]), rotate)
    check_file(path)
    return turn(_video(path, span, fps), rotate)


def require_rate(fps: float | None) -> None:
    """Raises a DferError where a rate is none, or so low or high that times cannot be written down."""
    low, high = RATES
    if fps is not None and not (isinstance(fps, Real) and low <= fps <= high):
        raise DferError(f"expected fps from {low:g} to {high:g}, got {fps!r}")


def require_turn(rotate: int) -> None:
    """Raises a DferError where pictures cannot be turned by so many degrees."""
    if rotate not in TURNS:
        raise DferError(f"expected to rotate by {listed(TURNS)} degrees, got {rotate}")


def turn(frames: Iterator[TimedFrame], rotate: int) -> Iterator[TimedFrame]:
    """The frames turned clockwise by `rotate` degrees."""
    if not rotate:
        return frames
    return (replace(frame, pixels=turned(frame.pixels, rotate)) for frame in frames)


def _video(path: Path, span: Span, fps: float | None) -> Iterator[TimedFrame]:
    empty = True
    film = Film(path, start_s=span.start_s, tolerant=True, fps=fps)
    for frame in _ended(film, span, lambda: film.end_s):
        empty = False
        yield frame
    if empty:
        raise DferError(f"{path}: the video has no frame{_told(span)}")


@dataclass(frozen=True)
class _Picture:
    """A picture of a folder, read when it is asked for."""

    time_s: float
    path: Path

    @property
    def name(self) -> str:
        return self.path.name

    @property
    def pixels(self) -> Frames:
        return read_image(self.path)


def _folder(path: Path, span: Span, fps: float | None) -> Iterator[TimedFrame]:
    clip = FolderClip(path, fps)
    if clip.listed is None and fps is None and len(clip) > 1:
        logger.warning(
            "%s: a folder of frames has no clock; %g frames a second are assumed; a list of times beside the frames "
            "gives their times, and --fps of dfer predict gives another rate", path, FPS,
        )  # fmt: skip
    times = (
        clip.times
        if clip.listed is not None or fps is not None
        else times_by_number([file.name for file in clip.files], FPS)
    )
    steps = np.diff(times)
    last_s = 1 / (fps or FPS) if clip.listed is None or not len(steps) else float(np.median(steps))
    pictures = (_Picture(time_s, file) for time_s, file in zip(times.tolist(), clip.files, strict=True))
    faults = list[DferError]()
    frames = _ended(pictures, span, lambda: float(times[-1]) + last_s, faults=faults)
    first = next(frames, None)
    if first is None:
        raise faults[0] if faults else DferError(f"{path}: the folder has no frame{_told(span)}")
    return itertools.chain([first], frames, _left_out(path, faults))


def _left_out(path: Path, faults: list[DferError]) -> Iterator[TimedFrame]:
    """No frame, but a warning, for it is asked last."""
    if faults:
        pictures = f"{len(faults)} picture{'s' * (len(faults) > 1)}"
        logger.warning("%s: left out %s that cannot be read: %s", path, pictures, faults[0])
    yield from ()


def _told(span: Span) -> str:
    """For a message: the part of a video that is meant, nothing where it is all of it."""
    end = "" if span.end_s is None else f" and before {span.end_s:g} s"
    return f" from {span.start_s:g} s on{end}" if span.start_s or end else ""


def _camera(number: int) -> Iterator[TimedFrame]:
    """The frames of a camera until it stops, with the time since the first one."""
    if number < 0:
        raise DferError(f"expected the number of a camera, from 0, got {number}")
    camera = cv2.VideoCapture(number)
    try:
        if not camera.isOpened():
            raise DferError(f"camera {number} cannot be opened; is it plugged in, and free?")
        begin, time_s = 0.0, -ROUNDING_S
        while True:
            given, picture = camera.read()
            if not given:
                return
            now = time.monotonic()
            begin = begin or now
            time_s = max(now - begin, time_s + ROUNDING_S)  # times increase, also when they are rounded
            yield TimedFrame(time_s, np.asarray(cv2.cvtColor(picture, cv2.COLOR_BGR2RGB), dtype=np.uint8))
    finally:
        camera.release()


class _Visible(Protocol):
    """A frame whose pixels may be made when they are asked for."""

    @property
    def time_s(self) -> float: ...

    @property
    def pixels(self) -> Frames: ...


Visible = TypeVar("Visible", bound=_Visible)


def live(frames: Iterator[TimedFrame], span: Span) -> Iterator[TimedFrame]:
    """The frames of a span as they come: each is taken to last as long as the one before it did."""
    former_s = None
    for frame in _thinned(frames, span):
        step_s = 0.0 if former_s is None else frame.time_s - former_s
        yield replace(frame, end_s=frame.time_s + step_s)
        former_s = frame.time_s


def _ended(
    frames: Iterable[Visible], span: Span, film_end: Callable[[], float], *, faults: list[DferError] | None = None
) -> Iterator[TimedFrame]:
    """The frames of a span, each with its end; `film_end` is asked after the last one.

    With `faults`, those that cannot be read are left out and gathered there; the frame before such a one stays.
    """
    former: TimedFrame | None = None
    for frame in _thinned(_from_start(frames, span, film_end), span):
        try:
            pixels = frame.pixels
        except DferError as error:
            if faults is None:
                raise
            faults.append(error)
            continue
        if former is not None:
            yield replace(former, end_s=frame.time_s)
        former = TimedFrame(frame.time_s, pixels, name=getattr(frame, "name", ""))
    if former is not None:
        yield replace(former, end_s=min(film_end(), math.inf if span.end_s is None else span.end_s))


@dataclass(frozen=True)
class _Staying:
    """A frame that is still shown when a span begins."""

    frame: Any
    time_s: float

    @property
    def name(self) -> str:
        return str(getattr(self.frame, "name", ""))

    @property
    def pixels(self) -> Frames:
        pixels: Frames = self.frame.pixels
        return pixels


def _from_start(frames: Iterable[Visible], span: Span, film_end: Callable[[], float]) -> Iterator[Visible | _Staying]:
    """The frames from the start of a span on; with the one before it where that stays long, or is all there is."""
    before: Visible | None = None
    for frame in frames:
        if frame.time_s + ROUNDING_S < span.start_s:
            before = frame
            continue
        alone = span.end_s is not None and frame.time_s >= span.end_s
        if before is not None and (alone or frame.time_s - span.start_s >= STAYS_S):
            yield _Staying(before, span.start_s)
        before = None
        yield frame
    if before is not None and film_end() - span.start_s > ROUNDING_S:
        yield _Staying(before, span.start_s)


def _thinned(frames: Iterable[Visible], span: Span) -> Iterator[Visible]:
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
