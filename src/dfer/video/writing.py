"""Frames to a video file (.mp4), each shown at its own time. Sound is not kept."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from dfer.errors import DferError

Frames = npt.NDArray[np.uint8]

CLOCK = Fraction(1, 90_000)
"""Times are rounded to this, seconds."""
CODECS: dict[str, dict[str, str]] = {
    "libx264": {"crf": "20", "preset": "veryfast"},
    "mpeg4": {"qscale": "3"},
}
"""The best one that the decoder's library was built with is used."""


class VideoWriter:
    """Writes a video; to be used as a context, for only its end makes the file whole.

    Args:
        path: the file, .mp4.
        height: of the frames, pixels; an odd one loses its last row, for colours are stored by two.
        width: likewise.

    Raises:
        DferError: frames that cannot be a video.
    """

    def __init__(self, path: Path, height: int, width: int) -> None:
        import av

        self.height, self.width = height // 2 * 2, width // 2 * 2
        if not self.height or not self.width:
            raise DferError(f"{path}: expected frames of at least 2 x 2 pixels, got {height} x {width}")
        name = next(codec for codec in CODECS if codec in av.codecs_available)
        self._container = av.open(str(path), "w", options={"movflags": "faststart"})
        stream: Any = self._container.add_stream(name, options=CODECS[name])
        stream.height, stream.width, stream.pix_fmt = self.height, self.width, "yuv420p"
        stream.codec_context.time_base = CLOCK
        self._stream = stream
        self._last = -1

    def __enter__(self) -> VideoWriter:
        return self

    def __exit__(self, *_: object) -> None:
        with _told(), self._container:
            if self._last >= 0:
                self._container.mux(self._stream.encode())

    def write(self, frame: Frames, time_s: float) -> None:
        """The next frame, (H, W, 3) uint8 RGB, and when it is shown, seconds from the beginning."""
        import av

        picture = av.VideoFrame.from_ndarray(np.ascontiguousarray(frame[: self.height, : self.width]), format="rgb24")
        self._last = max(round(time_s / CLOCK), self._last + 1)
        picture.pts, picture.time_base = self._last, CLOCK
        with _told():
            self._container.mux(self._stream.encode(picture))


@contextlib.contextmanager
def _told() -> Iterator[None]:
    """What the encoder meets on the disk, as the OSError that it is."""
    import av

    try:
        yield
    except av.FFmpegError as error:
        raise OSError(error.errno, error.strerror) from error
