"""Video files as frames, one at a time. The decoder (PyAV) is imported in `dfer.video` only.

What is read is what a player shows: the stream that it chooses, at the times of its clock (`dfer.video.clock`), turned
and shaped as it is displayed (`dfer.video.picture`). The contents of a file decide what it is, not its name.
"""

from __future__ import annotations

import contextlib
import itertools
import logging
import math
from collections.abc import Callable, Iterator
from functools import cached_property, partial
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from dfer.errors import DferError
from dfer.files import require_file
from dfer.video.animation import animated, is_animated
from dfer.video.clock import MICROSECONDS, Clock, believed, read_head
from dfer.video.limits import most_pixels, require_size
from dfer.video.opening import (
    NO_FILM,
    PICTURE_FORMATS,
    chosen_stream,
    decoding,
    is_joined,
    open_container,
    packets_of,
    peeked,
)
from dfer.video.picture import Display
from dfer.video.wholeness import fault_of, is_whole_matroska

logger = logging.getLogger(__name__)

Frames = npt.NDArray[np.uint8]
SILENT_END_S = 1.0
"""A video whose frames end so much earlier than it says, seconds, is said to be cut off."""
SLACK_S = 0.1
"""What a file says of its length, and the times of its frames, are rounded to less than this, seconds."""


class DecodedFrame:
    """A frame, and when it is shown; its pixels are made when they are asked for.

    Attributes:
        time_s: seconds from the film's start.
        size: width and height in which the frame is stored, pixels.
    """

    def __init__(self, time_s: float, size: tuple[int, int], pixels: Callable[[], Frames]) -> None:
        self.time_s, self.size = time_s, size
        self._pixels = pixels

    @cached_property
    def pixels(self) -> Frames:
        """(H, W, 3) uint8 RGB, as displayed."""
        return self._pixels()


def check_file(path: Path) -> None:
    """Raises a DferError where there is no file that could be a video, or nothing in it."""
    if not require_file(path):
        raise DferError(f"{path}: the file is empty")


def is_video(path: Path) -> bool:
    """Whether a file's contents are moving pictures, whatever its name says; False where there is no file."""
    if is_animated(path):
        return True
    with peeked(path) as container, contextlib.suppress(DferError), decoding(path):
        if container is None or not container.streams.video:
            return False
        if not container.format.name.endswith(PICTURE_FORMATS):
            return not int(chosen_stream(path, container).disposition) & NO_FILM
        packets = (packet for packet in packets_of(container, container.streams.video[0]) if packet.size)
        return container.format.name != "image2" and len(list(itertools.islice(packets, 2))) > 1
    return False


def is_picture(path: Path) -> bool:
    """Whether a file's contents are a still picture that the decoder knows."""
    with peeked(path) as container:
        return (
            container is not None
            and container.format.name.endswith(PICTURE_FORMATS)
            and (
                container.format.name != "svg_pipe"  # lines, no pixels
            )
        )


def length_s(path: Path) -> float | None:
    """How long a video says that it is, seconds, for a look ahead; None where it does not say, or is no video."""
    with peeked(path) as container:
        return believed(container.duration / MICROSECONDS) if container and container.duration else None


class Film:
    """The frames of a video, one at a time: an iterable of `DecodedFrame`.

    Args:
        path: the file.
        start_s: frames may be left out before this time, where the file allows to jump there.
        tolerant: go on after damaged data, and end where it cannot be gone on, with a warning that counts.
        fps: frames a second of a file without a clock; None: as its stream says, with a warning.

    Attributes:
        end_s: when the last frame has been shown, seconds; known after the last frame, infinite before.
    """

    def __init__(self, path: Path, *, start_s: float = 0.0, tolerant: bool = False, fps: float | None = None) -> None:
        self.path, self.start_s, self.tolerant, self.fps = path, start_s, tolerant, fps
        self.end_s = math.inf

    def __iter__(self) -> Iterator[DecodedFrame]:
        check_file(self.path)
        return self._painted() if is_animated(self.path) else self._decoded()

    def _decoded(self) -> Iterator[DecodedFrame]:
        count = 0

        def told() -> str:
            return f"after {count} frames" if count else "not a video that can be opened"

        with decoding(self.path, told), _track(self.path, self.start_s, self.fps) as track:
            for shown in track.frames(tolerant=self.tolerant):
                yield shown
                count += 1
            self.end_s = track.end()
            track.tell(count)

    def _painted(self) -> Iterator[DecodedFrame]:
        end_s = 0.0
        try:
            for frame in animated(self.path):
                height, width = frame.pixels.shape[:2]
                yield DecodedFrame(frame.time_s, (width, height), partial(np.asarray, frame.pixels))
                end_s = frame.end_s
        except DferError as error:
            if not self.tolerant or not end_s:
                raise
            logger.warning("%s; the rest is left out", error)
        self.end_s = end_s


@contextlib.contextmanager
def _track(path: Path, start_s: float, fps: float | None) -> Iterator[_Track]:
    """The track of a file that is shown, jumped in where that can be done."""
    track = _Track(path, fps)
    try:
        if start_s > 0 and not track.jump(start_s):
            track.close()  # a jump that failed leaves some formats in the middle of nowhere
            track = _Track(path, fps)
        yield track
    finally:
        track.close()


class _Track:
    """A container, the stream of it that is shown, and its clock."""

    def __init__(self, path: Path, fps: float | None) -> None:
        self.path, self.container = path, open_container(path)
        try:
            self.stream = chosen_stream(path, self.container)
            code = self.stream.codec_context
            require_size(code.width, code.height, path)
            code.options = {"max_pixels": str(most_pixels())}  # where the size changes on the way
            self._packets = packets_of(self.container, self.stream)
            self._head = read_head(self._packets)
            self.clock = Clock(path, self.container, self.stream, self._head, fps=fps)
        except BaseException:
            self.close()
            raise
        self.jumped = self.resized = False
        self.packets = self.keys = self.damaged = 0
        self.marked_packets = self.marked_frames = 0
        self.fault: Exception | None = None

    def close(self) -> None:
        self.container.close()

    def frames(self, *, tolerant: bool) -> Iterator[DecodedFrame]:
        """The frames in the order in which they are shown."""
        display: Display | None = None
        first = (0, 0)
        for picture in self._pictures(tolerant=tolerant):
            time_s = self.clock.time(picture)
            if time_s is None:
                continue
            size = (picture.width, picture.height)
            if display is None:
                display, first = Display(picture, self.stream.sample_aspect_ratio), size
            self.resized |= size != first
            self.marked_frames += picture.is_corrupt
            yield DecodedFrame(time_s, size, partial(self._pixels, display, picture))

    def _pixels(self, display: Display, picture: Any) -> Frames:
        with decoding(self.path, lambda: f"the frame at {picture.time or 0:g} s has no colours that are known"):
            return display.pixels(picture)

    def _pictures(self, *, tolerant: bool) -> Iterator[Any]:
        """What the decoder makes of each packet; what it cannot decode is counted."""
        import av

        packets = itertools.chain(self._head, self._packets)
        while True:
            packet = None
            try:
                packet = next(packets, None)
                if packet is not None:
                    self.packets += packet.size > 0
                    self.keys += packet.is_keyframe
                    self.marked_packets += packet.is_corrupt
                    self.clock.enter(packet)
                pictures = packet.decode() if packet is not None else []
            except av.FFmpegError as error:
                if not tolerant:
                    raise
                self.damaged, self.fault = self.damaged + 1, error
                if packet is not None:
                    self.clock.drop(packet)
                continue
            yield from pictures
            if packet is None:
                return

    def jump(self, start_s: float) -> bool:
        """Go to the last frame before `start_s` from which decoding can begin; False if the file cannot.

        What follows is tried first: in some formats a jump lands too late. In a file that was joined of several a time
        says nothing about the place.
        """
        import av

        if self.clock.counted or (self.clock.joinable and is_joined(self.path, self.path.stat().st_mtime_ns)):
            return False
        try:
            place = int((start_s + self.clock.origin_s) / self.stream.time_base)
            self.container.seek(place, stream=self.stream)
            packets = packets_of(self.container, self.stream)
            first = next((picture for packet in packets for picture in packet.decode()), None)
            self.container.seek(place, stream=self.stream)
        except (av.FFmpegError, OverflowError):  # OverflowError: later than any time that a file can hold
            return False
        if first is None or first.time is None or first.time - self.clock.origin_s > start_s:
            return False
        self._head, self._packets = [], packets_of(self.container, self.stream)
        self.jumped = True
        return True

    def end(self) -> float:
        """When the last of all frames has been shown, seconds.

        The end that the file states holds where the file is whole, or where the last frame would not be shown longer
        than any one before it; else the file was rather cut off.
        """
        promised_s = self._promised_s()
        if promised_s is None or (self.jumped and not self._is_whole()):
            return self.clock.end(None)
        stays_s = promised_s - (self.clock.last_s or 0.0)
        usual = stays_s <= self.clock.longest_s + SLACK_S
        return self.clock.end(promised_s if usual or self._is_whole() else None)

    def _promised_s(self) -> float | None:
        """The end of the stream as the file states it, else that of the whole if there is no sound; None: unknown."""
        stream, clock = self.stream, self.clock
        if clock.counted:
            return None
        if stream.duration:
            start_s = 0.0 if stream.start_time is None else float(stream.start_time * stream.time_base)
            return believed(start_s + float(stream.duration * stream.time_base) - clock.origin_s)
        return None if self.container.streams.audio else self._whole_s()

    def _whole_s(self) -> float | None:
        """The end of film and sound as the file states it; it counts from the clock's zero."""
        length = self.container.duration
        return believed(length / MICROSECONDS - self.clock.origin_s) if length and not self.clock.counted else None

    def _is_whole(self) -> bool:
        """Whether it is certain that the file was not cut off."""
        if self.jumped:  # then its packets were not counted, but many formats say where each lies
            ends = [entry.pos + entry.size for entry in self.stream.index_entries]
            return bool(0 < self.stream.frames <= len(ends) and max(ends) <= self.path.stat().st_size)
        return 0 < self.stream.frames <= self.packets or is_whole_matroska(self.path)

    def tell(self, count: int) -> None:
        """Warn of what was left out, assumed or is missing; raise what left no frame at all."""
        if not count and not self.keys and self.packets:
            raise DferError(
                f"{self.path}: the video has no frame: none of its {self.packets} packets is a key frame, from which "
                "decoding can begin; it was cut out of a longer one without its beginning"
            )
        if not count and self.fault is not None:
            raise self.fault
        self.clock.tell()
        if self.resized:
            logger.warning("%s: the size of its frames changes; all are scaled to that of the first", self.path)
        if self.damaged:
            pieces = f"{self.damaged} damaged piece{'s' * (self.damaged > 1)}"
            logger.warning("%s: left out %s between its %d frames", self.path, pieces, count)
        elif not self.jumped and (missing := self._missing(count)):
            logger.warning("%s: %s", self.path, missing)
        elif not self.jumped and (marked := max(self.marked_packets, self.marked_frames)):
            told = "%s: the decoder marks %d of its %d frames as damaged; others may be missing between them"
            logger.warning(told, self.path, marked, count)

    def _missing(self, count: int) -> str:
        """What a file promises and does not hold, by its number of packets, length or parts; "" if it holds all."""
        clock, promised_s = self.clock, self._promised_s() or self._whole_s()
        fault = fault_of(self.path)
        if promised_s is None or clock.last_s is None or self._is_whole():
            return fault
        short_s = promised_s - clock.last_s
        trimmed = self.container.format.name.startswith("mov") and short_s <= clock.longest_s + SLACK_S
        if self.packets < self.stream.frames and not trimmed:
            return f"{count} of its {self.stream.frames} frames are there; it is cut off, or made of few that stay long"
        if not self.stream.frames and short_s > max(SILENT_END_S, clock.longest_s):
            told = f"its frames end at {clock.last_s:.1f} s of {promised_s:.1f}"
            return f"{told}; {fault or 'it is cut off, or its last frame or its sound goes on'}"
        return fault
