"""When each frame of a film is shown: seconds from the film's start, increasing, whatever the container writes.

Containers keep time in three ways:

    stamped     every frame carries its time (MP4, Matroska, MPEG, OGG, GIF, ...). The container's start is taken off.
    ordered     packets carry the time of decoding only (AVI). Frames come out in the order of showing, so that the n-th
                frame takes the n-th smallest of the packets' times.
    counted     there is no time at all (raw H.264, MPEG-2, MJPEG, ...). Frames are counted at the stream's rate.

A stamped clock may jump: files that were joined begin anew, and a receiver may have lost its signal. Times go on
without the jump, as in a player.
"""

from __future__ import annotations

import heapq
import logging
from pathlib import Path
from typing import Any

logger = logging.getLogger(__name__)

MICROSECONDS = 1_000_000
"""In a second: the unit of a container's start and length."""
HEAD, HEAD_BYTES = 17, 2**24
"""So many packets with a time are looked at before the first frame, but no more than this many bytes of them: a frame
that is shown first lies at most 16 packets behind the first one."""
MOST_HEAD = 1000
"""After so many packets without a time a stream is said to have none."""
NO_TIMESTAMPS, JOINABLE = 128, 512
"""Flags of formats (of FFmpeg): no times are stored; files can be joined by writing one behind the other."""
TICK_S = 0.0002
"""Two frames of one time are shown so much apart, seconds: times are written with four decimals."""
FURTHEST_S = 1e10
"""A time further from zero than this, three centuries, is no time but damage."""
BACK_S = 1.0
"""A clock that goes back further than this begins anew; a smaller step back is a fault of one frame."""
LEAP_S = 60.0
"""A clock that leaps further ahead than this, in a format whose files can be joined, begins anew."""
PRIMING_S = 1.0
"""A container that starts less than this before zero has sound there that is never heard."""
GUESSED_RATE = 25.0
"""Frames a second where even the stream says nothing."""


def believed(time_s: float) -> float | None:
    """A time that a file states, seconds; None for one that is damage.

    >>> believed(1.5), believed(-1e17)
    (1.5, None)
    """
    return time_s if abs(time_s) <= FURTHEST_S else None


def is_counted(container: Any) -> bool:
    """Whether a container stores no times at all."""
    return bool(container.format.flags & NO_TIMESTAMPS) or container.format.name.endswith("_pipe")


class Clock:
    """The times of one stream's frames.

    Args:
        path: for messages.
        container: as the decoder opened it.
        stream: of the container.
        head: the first packets; `read_head` gives them.
        fps: frames a second of a stream that has no clock; None: the stream's own rate, with a warning.
    """

    def __init__(self, path: Path, container: Any, stream: Any, head: list[Any], *, fps: float | None) -> None:
        self.path, self._unit = path, float(stream.time_base)
        shown = [self._seconds(packet.pts) for packet in head if not packet.is_discard]
        stamps = [stamp_s for stamp_s in shown if stamp_s is not None]
        decoded = (self._seconds(packet.dts) for packet in head)
        counts = [stamp_s for stamp_s in decoded if stamp_s is not None]
        self.counted = is_counted(container) or not (stamps or counts)
        self.ordered = not self.counted and (container.format.name == "avi" or not stamps)
        self.joinable = bool(container.format.flags & JOINABLE)
        self.origin_s = 0.0 if self.counted else _origin(container, counts if self.ordered else stamps)
        self.rate = fps or float(stream.guessed_rate or stream.average_rate or GUESSED_RATE)
        self.given = fps is not None
        self.last_s: float | None = None
        self.longest_s = 0.0
        self.jumps = self.early = 0
        self._step_s = self._gap_s = 1 / self.rate
        self._shift_s = 0.0
        self._waiting: list[int] = []

    def enter(self, packet: Any) -> None:
        """The next packet that the decoder is given."""
        if self.ordered and packet.dts is not None:
            heapq.heappush(self._waiting, packet.dts)

    def drop(self, packet: Any) -> None:
        """A packet that the decoder could make nothing of."""
        if packet.dts in self._waiting:
            self._waiting.remove(packet.dts)
            heapq.heapify(self._waiting)

    def time(self, picture: Any) -> float | None:
        """Seconds at which the next frame is shown; None for one before the film's start."""
        lasts_s = float(picture.duration * picture.time_base) if picture.duration and picture.time_base else 0.0
        if self.counted:
            step_s = 1 / self.rate if self.given or picture.interlaced_frame or not lasts_s else lasts_s
            time_s = 0.0 if self.last_s is None else self.last_s + self._step_s
        else:
            step_s = lasts_s or self._step_s
            stamp_s = self._seconds(heapq.heappop(self._waiting) if self.ordered and self._waiting else picture.pts)
            if stamp_s is None and self.last_s is None:
                self.early += 1
                return None
            if stamp_s is None:
                time_s = float(self.last_s or 0.0) + self._step_s
            else:
                time_s = self._later(stamp_s - self.origin_s)
        if self.last_s is not None:
            self._gap_s = time_s - self.last_s
            self.longest_s = max(self.longest_s, self._gap_s)
        self.last_s, self._step_s = time_s, step_s
        return time_s

    def _seconds(self, stamp: int | None) -> float | None:
        """A time of the stream; None where there is none, or one that cannot be meant."""
        return None if stamp is None else believed(stamp * self._unit)

    def _later(self, stamp_s: float) -> float:
        """A frame's time, brought behind that of the frame before it."""
        time_s = stamp_s + self._shift_s
        if self.last_s is None:
            return max(time_s, 0.0)
        if self.last_s - time_s > BACK_S or (self.joinable and time_s - self.last_s > LEAP_S):
            self._shift_s += self.last_s + self._gap_s - time_s
            self.jumps += 1
            return self.last_s + self._gap_s
        if time_s < self.last_s - TICK_S:  # a decoder's guess between two times that the file holds
            return self.last_s + self._step_s
        return max(time_s, self.last_s + TICK_S)

    def end(self, promised_s: float | None) -> float:
        """When the last frame has been shown: at the promised end, if there is one, else after its own duration.

        Formats that can be joined store no durations; there it stays for as long as the frame before it.
        """
        last_s = self.last_s or 0.0
        if promised_s is not None and promised_s > last_s + TICK_S:
            return promised_s
        return last_s + (self._gap_s if self.joinable and not self.counted else self._step_s)

    def tell(self) -> None:
        """Say what was assumed or left out."""
        if self.counted and not self.given and self.last_s:
            logger.warning("%s: the file has no clock; %g frames a second are assumed", self.path, 1 / self._step_s)
        if self.early:
            logger.warning("%s: left out %d frames without a time before the film's start", self.path, self.early)
        if self.jumps:
            places = f"{self.jumps} place{'s' * (self.jumps > 1)}"
            logger.warning("%s: its clock jumps in %s, as where files were joined; times go on", self.path, places)


def read_head(packets: Any) -> list[Any]:
    """The first packets, so many that the film's start is among them."""
    head: list[Any] = []
    stamped = size = 0
    for packet in packets:
        head.append(packet)
        stamped += packet.pts is not None and not packet.is_discard
        size += packet.size
        if stamped >= HEAD or (stamped and size > HEAD_BYTES) or len(head) >= MOST_HEAD:
            break
    return head


def _origin(container: Any, stamps: list[float]) -> float:
    """What is taken off of all times: the container's start, or that of a frame shortly before it."""
    start_s = None if container.start_time is None else believed(container.start_time / MICROSECONDS)
    if start_s is None:
        return min(stamps)
    if -PRIMING_S < start_s < 0:
        start_s = 0.0
    first_s = min((stamp_s for stamp_s in stamps if stamp_s > start_s - LEAP_S), default=start_s)
    # the start is rounded to microseconds
    return first_s if first_s < start_s + 2 / MICROSECONDS else start_s
