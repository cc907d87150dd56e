"""The sound of a film, for another file of it: copied packet by packet where MP4 takes it, else encoded anew as AAC."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

from dfer.errors import DferError
from dfer.video.clock import Clock, read_head
from dfer.video.opening import chosen_stream, decoding, is_joined, open_container, packets_of, peeked

logger = logging.getLogger(__name__)

COPIED = ("aac", "mp3", "ac3", "eac3", "alac", "flac", "opus")
"""Codecs that an MP4 file takes and players know there."""
RATES = (8000, 11025, 12000, 16000, 22050, 24000, 32000, 44100, 48000)
"""Samples a second that AAC takes; another rate becomes the last one of them."""
BIT_RATE = 128_000


@dataclass(frozen=True)
class SoundTrack:
    """The sound of a film, as a player plays it.

    Attributes:
        path: the film.
        container: as the decoder opened it; to be closed.
        stream: of the container.
        origin_s: what is taken off of its times, as it is of those of the frames, seconds.
    """

    path: Path
    container: Any
    stream: Any
    origin_s: float


def open_sound(path: Path) -> SoundTrack | None:
    """The sound of a film, from its beginning; None where it has none.

    Raises:
        DferError: the film cannot be read; or its clock jumps, or it has none, so that it is not known where the sound
            belongs.
    """
    with decoding(path), peeked(path) as container:
        if container is None or _best(container) is None or not container.streams.video:
            return None
        stream = chosen_stream(path, container)
        clock = Clock(path, container, stream, read_head(packets_of(container, stream)), fps=None)
        if clock.counted or (clock.joinable and is_joined(path, path.stat().st_mtime_ns)):
            raise DferError("its clock jumps, or it has none, so that it is not known where the sound belongs")
        again = open_container(path)
        return SoundTrack(path, again, _best(again), clock.origin_s)


def _best(container: Any) -> Any:
    """The sound that a player chooses, of those whose codec is known; None where there is none."""
    known = [stream for stream in container.streams.audio if stream.codec_context is not None]
    best = container.streams.best("audio")
    return best if best in known else next(iter(known), None)


class Sound:
    """The sound of a part of a film, to be written beside its pictures.

    Args:
        source: all of the film's sound; closed in the end.
        start_s: of the part, seconds from the film's start; what is heard then comes at time 0.
        end_s: of the part; infinite: all of the sound is kept, also what comes after the last frame.
        out: the container that is written; a stream is added to it.
    """

    def __init__(self, source: SoundTrack, start_s: float, end_s: float, out: Any) -> None:
        self.source, self.start_s, self.end_s = source, start_s, end_s
        self._stream: Any
        self._packets: Iterator[Any]
        self._next: Any = None
        stream = source.stream
        if stream.codec_context.codec.canonical_name in COPIED:
            self._stream = out.add_stream_from_template(stream)
            self._packets = self._copied()
        else:
            rate = stream.rate if stream.rate in RATES else RATES[-1]
            layout = "mono" if stream.codec_context.channels == 1 else "stereo"
            self._stream = out.add_stream("aac", rate=rate, layout=layout)
            self._stream.bit_rate = BIT_RATE
            self._packets = self._encoded(rate, layout)

    def until(self, time_s: float) -> Iterator[Any]:
        """The packets of the new file that begin before a time, seconds from the start of the part."""
        try:
            while True:
                with decoding(self.source.path, lambda: "in its sound"):
                    self._next = self._next or next(self._packets, None)
                if self._next is None or self._next.dts * self._next.time_base >= time_s:
                    return
                packet, self._next = self._next, None
                yield packet
        except DferError as error:
            logger.warning("%s: its sound is left out from here on: %s", self.source.path, error)
            self._packets = iter(())

    def close(self) -> None:
        self.source.container.close()

    def _read(self) -> Iterator[tuple[Any, int]]:
        """The packets of the part, each with the stamp of the part's start in its own unit."""
        stream = self.source.stream
        unit, origin_s = float(stream.time_base), self.source.origin_s
        zero = round((self.start_s + origin_s) / unit)
        for packet in packets_of(self.source.container, stream):
            if packet.pts is None or packet.dts is None:
                continue
            # a decoder needs the packet before the first one that is heard
            if self.start_s and packet.pts + 2 * packet.duration <= zero:
                continue
            if packet.pts * unit - origin_s >= self.end_s:
                return
            yield packet, zero

    def _copied(self) -> Iterator[Any]:
        former: int | None = None
        for packet, zero in self._read():
            packet.pts, packet.dts = packet.pts - zero, packet.dts - zero
            if former is not None and packet.dts <= former:
                continue  # a file that is damaged there; MP4 has times that increase
            former = packet.dts
            packet.stream = self._stream
            yield packet

    def _encoded(self, rate: int, layout: str) -> Iterator[Any]:
        import av

        resampler = av.AudioResampler(format="fltp", layout=layout, rate=rate)
        written: int | None = None  # the sample that comes next; a pause in the film stays one
        for frame in self._decoded():
            for part in resampler.resample(frame):
                start = written or 0
                if part.pts is not None and part.time_base is not None:
                    stamp = round(part.pts * part.time_base * rate)
                    start = stamp if written is None else max(written, stamp)
                part.pts, part.time_base = start, Fraction(1, rate)
                written = start + part.samples
                yield from self._stream.encode(part)
        yield from self._stream.encode(None)

    def _decoded(self) -> Iterator[Any]:
        import av

        damaged = 0
        for packet, zero in self._read():
            try:
                frames = packet.decode()
            except av.FFmpegError:
                damaged += 1
                continue
            for frame in frames:
                if frame.pts is not None:
                    frame.pts -= zero
                yield frame
        if damaged:
            logger.warning("%s: left out %d damaged pieces of its sound", self.source.path, damaged)
