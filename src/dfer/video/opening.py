"""Files as the decoder opens them: whatever their names, without a network; and the stream that players choose."""

from __future__ import annotations

import contextlib
import itertools
from collections.abc import Callable, Iterator
from functools import lru_cache
from pathlib import Path
from typing import Any

from dfer.errors import DferError, shortened
from dfer.video.clock import BACK_S, is_counted
from dfer.video.limits import refuse_large_picture
from dfer.video.playlists import is_playlist, open_playlist

COVER = 1 << 10
"""What FFmpeg calls the picture that a file of sound is shown with."""
NO_FILM = 1 << 10 | 1 << 11 | 1 << 20
"""Dispositions (of FFmpeg) of streams that no player plays: attached pictures, timed thumbnails, still images."""
DEFAULT = 1
"""Disposition of the stream that a player chooses."""
PICTURE_FORMATS = ("image2", "_pipe")
"""How the names of the formats end that hold one picture, or pictures one behind the other."""
TEXT_FORMATS = ("tty", "bin", "xbin", "adf", "idf")
"""Formats that make a picture of any text."""


def open_container(path: Path) -> Any:
    """A file as the decoder opens it, whatever characters are in its name."""
    import av

    if is_playlist(path):
        return open_playlist(path)
    refuse_large_picture(path)
    # what a file refers to is read from files only
    return av.open(f"file:{path}", options={"protocol_whitelist": "file,crypto,data"}, metadata_errors="replace")


@contextlib.contextmanager
def decoding(path: Path, told: Callable[[], str] = lambda: "not a video that can be opened") -> Iterator[None]:
    """Makes a `DferError` of whatever the decoder and its Python side raise of a damaged file.

    Args:
        path: the file.
        told: says how far it was read.
    """
    import av

    try:
        yield
    except DferError:
        raise
    # ValueError: a text that is not UTF-8; LookupError: a stream that is not there
    except (av.FFmpegError, OSError, ValueError, ArithmeticError, LookupError, MemoryError) as error:
        reason = getattr(error, "strerror", None) or str(error) or "out of memory"
        raise DferError(f"{path}: decoding failed, {told()}: {shortened(reason, 200)}") from error


@contextlib.contextmanager
def peeked(path: Path) -> Iterator[Any]:
    """What the decoder makes of a file; None where that is nothing, or no file: a pipe can be opened only once."""
    with contextlib.ExitStack() as stack:
        container = None
        with contextlib.suppress(DferError), decoding(path):
            container = stack.enter_context(open_container(path)) if path.is_file() else None
        yield None if container is not None and container.format.name in TEXT_FORMATS else container


def packets_of(container: Any, stream: Any) -> Iterator[Any]:
    """The packets of a stream, in the order in which they lie in the file, and an empty one at the end."""
    # where another stream begins late in the file, PyAV fails after the last packet
    with contextlib.suppress(IndexError):
        yield from container.demux(stream)


def chosen_stream(path: Path, container: Any) -> Any:
    """The stream that a player chooses: no picture of the film's cover, moving, marked as the default, the largest."""

    def worth(stream: Any) -> tuple[bool, bool, bool, int]:
        code = stream.codec_context
        flags = int(stream.disposition)
        return not flags & NO_FILM, stream.frames != 1, bool(flags & DEFAULT), code.width * code.height

    known = [stream for stream in container.streams.video if stream.codec_context is not None]
    if not known:
        raise DferError(f"{path}: the file has no video stream")
    if all(int(stream.disposition) & COVER for stream in known):
        raise DferError(f"{path}: the file has no video stream, only a picture of its cover")
    return max(known, key=worth)


@lru_cache(maxsize=64)
def is_joined(path: Path, _changed: int) -> bool:
    """Whether the times in a file go back, as they do where files were joined, or cannot be read to the end."""
    with peeked(path) as container, contextlib.suppress(DferError), decoding(path):
        if container is None or is_counted(container):
            return False
        stream = chosen_stream(path, container)
        packets = packets_of(container, stream)
        counts = (float(packet.dts * stream.time_base) for packet in packets if packet.dts is not None)
        return any(later < earlier - BACK_S for earlier, later in itertools.pairwise(counts))
    return True
