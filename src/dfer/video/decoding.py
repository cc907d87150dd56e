"""Video files as frames, one at a time. The decoder (PyAV) is imported here, and where video is written, only.

Times are seconds as the decoder gives them; a video's rotation tag is honoured.
"""

from __future__ import annotations

import contextlib
import logging
import re
from collections.abc import Iterator
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from dfer.errors import DferError

logger = logging.getLogger(__name__)

Frames = npt.NDArray[np.uint8]
SILENT_END_S = 1.0
"""A video whose frames end so much earlier than it says, seconds, is said to be cut off."""


def check_file(path: Path) -> None:
    """Raises a DferError where there is no file that could be a video, or nothing in it."""
    if not path.is_file():
        what = "a folder" if path.is_dir() else "a pipe or device" if path.exists() else "nothing"
        raise DferError(f"{path}: expected a video file, found {what}")
    if not path.stat().st_size:
        raise DferError(f"{path}: the file is empty")


class Shown:
    """A frame as the decoder gives it and when it is shown, seconds; its pixels are made when they are asked for."""

    def __init__(self, picture: Any) -> None:
        self.time_s = float(picture.time)
        self._picture = picture

    @cached_property
    def pixels(self) -> Frames:
        """(H, W, 3) uint8 RGB, upright."""
        pixels: Frames = np.asarray(self._picture.to_ndarray(format="rgb24"), dtype=np.uint8)
        return np.ascontiguousarray(np.rot90(pixels, k=round(self._picture.rotation / 90)))


def is_video(path: Path) -> bool:
    """Whether a file's contents are a video, also a GIF, whatever its name says; False where there is none."""
    with _opened(path) as container:
        return container is not None and not re.search("^image2$|_pipe$", container.format.name)


def length_s(path: Path) -> float | None:
    """How long a video says that it is, seconds, for a look ahead; None where it does not say, or is no video."""
    import av

    with _opened(path) as container:
        return container.duration / av.time_base if container and container.duration else None


@contextlib.contextmanager
def _opened(path: Path) -> Iterator[Any]:
    """What the decoder makes of a file; None where that is nothing, or no file: a pipe can be opened only once."""
    import av

    with contextlib.ExitStack() as stack:
        container = None
        with contextlib.suppress(av.FFmpegError, OSError):
            container = stack.enter_context(av.open(str(path))) if path.is_file() else None
        yield container


def decode(path: Path, *, start_s: float = 0.0, tolerant: bool = False) -> Iterator[Shown]:
    """The frames of a video's first video stream, one at a time.

    Args:
        path: the file.
        start_s: frames may be left out before this time, where the file allows to jump there.
        tolerant: go on after damaged data, and end where it cannot be gone on, with a warning that counts.
    """
    import av

    count, size, damaged, last_s = 0, None, 0, 0.0
    try:
        container = av.open(str(path))
        jumped = start_s > 0 and _jump(container, start_s)
        if start_s > 0 and not jumped:
            container.close()  # a jump that failed leaves some formats in the middle of nowhere
            container = av.open(str(path))
        with container:
            if not container.streams.video:
                raise DferError(f"{path}: the file has no video stream")
            stream = container.streams.video[0]
            for picture in _pictures(container, stream, tolerant):
                if picture is None:
                    damaged += 1
                    continue
                if picture.time is None:
                    raise DferError(f"{path}: frame {count} has no time stamp")
                size = size or (picture.width, picture.height)
                if (picture.width, picture.height) != size:
                    raise DferError(f"{path}: expected frames of one size, found {size} and, in frame {count}, another")
                yield Shown(picture)
                count, last_s = count + 1, picture.time
            if damaged:
                pieces = f"{damaged} damaged piece{'s' * (damaged > 1)}"
                logger.warning("%s: left out %s between its %d frames", path, pieces, count)
            elif not jumped and (missing := _missing(container, stream, count, last_s)):
                logger.warning("%s: %s", path, missing)
    except (av.FFmpegError, OSError) as error:
        told = f"after {count} frames" if count else "not a video that can be opened"
        raise DferError(f"{path}: decoding failed, {told}: {error.strerror or error}") from error


def _missing(container: Any, stream: Any, count: int, last_s: float) -> str:
    """What a file promises and does not hold, by its number of frames or else by its length; "" if it holds all."""
    import av

    if count < stream.frames:
        return f"{count} of its {stream.frames} frames are there; it is cut off, or made of few that stay long"
    end_s = ((container.start_time or 0) + (container.duration or 0)) / av.time_base
    if not stream.frames and end_s - last_s > SILENT_END_S:
        return f"its frames end at {last_s:.1f} s of {end_s:.1f}; it is cut off, or its last frame or its sound goes on"
    return ""


def _pictures(container: Any, stream: Any, tolerant: bool) -> Iterator[Any]:
    """What the decoder makes of each packet; None for one that it cannot decode."""
    import av

    packets = container.demux(stream)
    while True:
        try:
            packet = next(packets, None)
            pictures = packet.decode() if packet is not None else []
        except av.InvalidDataError:
            if not tolerant:
                raise
            yield None
            continue
        yield from pictures
        if packet is None:
            return


def _jump(container: Any, start_s: float) -> bool:
    """Go to the last frame before `start_s` from which decoding can begin; False if the file cannot.

    What follows is tried first: in some formats a jump lands too late.
    """
    import av

    if not container.streams.video:
        return False
    stream = container.streams.video[0]
    try:
        container.seek(int(start_s / stream.time_base), stream=stream)
        first = next(container.decode(stream), None)
        container.seek(int(start_s / stream.time_base), stream=stream)
    except av.FFmpegError:
        return False
    return first is not None and first.time is not None and first.time <= start_s
