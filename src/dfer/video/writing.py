"""Frames to a video file (.mp4), each shown from its own time to its own end, with the sound of another film."""

from __future__ import annotations

import contextlib
import logging
import math
from collections import deque
from collections.abc import Callable, Iterator
from fractions import Fraction
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from dfer.errors import DferError
from dfer.video.opening import decoding
from dfer.video.sound import Sound, open_sound

logger = logging.getLogger(__name__)

Frames = npt.NDArray[np.uint8]

CLOCK = Fraction(1, 90_000)
"""Times are rounded to this, seconds."""
CODECS: dict[str, dict[str, str]] = {
    "libx264": {"crf": "20", "preset": "veryfast", "bf": "0"},
    "mpeg4": {"qscale": "3", "bf": "0"},
}
"""The best one that the decoder's library was built with is used. Frames are stored in the order in which they are
shown, so that each has its own duration."""


Timed = tuple[Frames, float, float]
"""A frame (H, W, 3) uint8 RGB, and from when to when it is shown, seconds from the beginning."""


class _UnfitSoundError(DferError):
    """Sound that the new file does not take."""


def write_video(
    path: Path, frames: Callable[[], Iterator[Timed]], *, sound: tuple[Path, float, float] | None = None,
    comment: str = "",
) -> None:  # fmt: skip
    """Write a video, .mp4, without sound where the sound is damaged, which is said.

    Args:
        path: the file.
        frames: gives all frames, of one size, from the first one on; called again where the sound turns out damaged.
        sound: see `VideoWriter`.
        comment: is written into the file.

    Raises:
        DferError: frames that cannot be a video.
    """
    try:
        _write(path, frames(), sound, comment)
    except _UnfitSoundError as error:
        logger.warning("%s: its sound is not kept: %s", sound and sound[0], error)
        _write(path, frames(), None, comment)


def _write(path: Path, frames: Iterator[Timed], sound: tuple[Path, float, float] | None, comment: str) -> None:
    first = next(frames)
    with VideoWriter(path, *first[0].shape[:2], sound=sound, comment=comment) as writer:
        for frame in chain([first], frames):
            writer.write(*frame)


class VideoWriter:
    """Writes a video; to be used as a context, for only its end makes the file whole.

    Args:
        path: the file, .mp4.
        height: of the frames, pixels; an odd one loses its last row, for colours are stored by two.
        width: likewise.
        sound: the film whose sound is kept, and the part of it, seconds; where that cannot be, it is said.
        comment: is written into the file.

    Raises:
        DferError: frames that cannot be a video.
    """

    def __init__(
        self, path: Path, height: int, width: int, *, sound: tuple[Path, float, float] | None = None, comment: str = ""
    ) -> None:
        import av

        self._path = path
        self.height, self.width = height // 2 * 2, width // 2 * 2
        if not self.height or not self.width:
            raise DferError(f"{path}: expected frames of at least 2 x 2 pixels, got {height} x {width}")
        name = next(codec for codec in CODECS if codec in av.codecs_available)
        self._container = av.open(str(path), "w", options={"movflags": "faststart"})
        self._container.metadata["comment"] = comment
        stream: Any = self._container.add_stream(name, options=CODECS[name])
        stream.height, stream.width, stream.pix_fmt = self.height, self.width, "yuv420p"
        stream.codec_context.time_base = CLOCK
        self._stream = stream
        self._last = -1
        self._ends: deque[int] = deque()
        self._sound = self._with_sound(*sound) if sound else None

    def _with_sound(self, film: Path, start_s: float, end_s: float) -> Sound | None:
        try:
            with decoding(film, lambda: "in its sound"):
                track = open_sound(film)
                return Sound(track, start_s, end_s, self._container) if track else None
        except DferError as error:
            logger.warning("%s: its sound is not kept: %s", film, error)
            return None

    def __enter__(self) -> VideoWriter:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is not None:
            with contextlib.suppress(DferError, OSError), self._told():
                self._container.close()
            return
        with self._told(), self._container:
            if self._last >= 0:
                self._mux(self._stream.encode())
                self._mux_sound(math.inf)
            if self._sound is not None:
                self._sound.close()

    def write(self, frame: Frames, time_s: float, end_s: float) -> None:
        """The next frame, (H, W, 3) uint8 RGB, and from when to when it is shown, seconds from the beginning."""
        import av

        picture = av.VideoFrame.from_ndarray(np.ascontiguousarray(frame[: self.height, : self.width]), format="rgb24")
        self._last = max(round(time_s / CLOCK), self._last + 1)
        picture.pts, picture.time_base = self._last, CLOCK
        self._ends.append(max(self._last + 1, round(end_s / CLOCK) if end_s > time_s else 0))
        with self._told():
            self._mux_sound(time_s)
            self._mux(self._stream.encode(picture))

    def _mux_sound(self, until_s: float) -> None:
        """What is heard before a time; sound and pictures lie side by side in the file."""
        for packet in self._sound.until(until_s) if self._sound is not None else ():
            self._container.mux(packet)

    def _mux(self, packets: list[Any]) -> None:
        for packet in packets:
            packet.duration = self._ends.popleft() - packet.pts
            self._container.mux(packet)

    @contextlib.contextmanager
    def _told(self) -> Iterator[None]:
        """What the encoder meets on the disk, as the OSError that it is; anything else comes of the sound."""
        import av

        try:
            yield
        except av.FFmpegError as error:
            if self._sound is not None and not isinstance(error, OSError):
                raise _UnfitSoundError(error.strerror) from error
            raise OSError(error.errno, error.strerror, str(self._path)) from error
