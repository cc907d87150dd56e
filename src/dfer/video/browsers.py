"""Which films a browser plays, and a small copy of those that it does not."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from dfer.video.detection import shrunk
from dfer.video.opening import peeked
from dfer.video.stream import Span, stream
from dfer.video.writing import Timed, write_video

PLAYED = {
    "video/mp4": ("mp4", ("h264", "av1", "vp9"), ("aac", "mp3", "opus", "flac")),
    "video/webm": ("webm", ("vp8", "vp9", "av1"), ("opus", "vorbis")),
}
"""Kind of file: a word in the name of the format, and the codecs of pictures and of sound that all browsers play."""
PIXELS = ("yuv420p", "yuvj420p")
LONG_SIDE = 480
"""Of a small copy, pixels."""


def played_type(path: Path) -> str | None:
    """The media type of a film that browsers play as it is; None for others, and where there is none."""
    with peeked(path) as container:
        if container is None or len(container.streams.video) != 1:
            return None
        for kind, (word, pictures, sounds) in PLAYED.items():
            if word in container.format.name.split(",") and _fits(container, pictures, sounds):
                return kind
    return None


def _fits(container: Any, pictures: tuple[str, ...], sounds: tuple[str, ...]) -> bool:
    code = container.streams.video[0].codec_context
    if code is None or any(each.codec_context is None for each in container.streams.audio):
        return False
    heard = all(each.codec_context.codec.canonical_name in sounds for each in container.streams.audio)
    return heard and code.codec.canonical_name in pictures and code.pix_fmt in PIXELS


def small_copy(source: Path, end_s: float, *, fps: float | None = None, rotate: int = 0) -> bytes:
    """A film, or a folder of frames, up to a time as a small MP4 that browsers play, with its sound.

    Raises:
        DferError: it cannot be read.
    """

    def frames() -> Iterator[Timed]:
        for frame in stream(source, span=Span(end_s=end_s), fps=fps, rotate=rotate):
            yield shrunk(frame.pixels, LONG_SIDE)[0], frame.time_s, frame.end_s

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "copy.mp4"
        write_video(path, frames, sound=(source, 0.0, end_s))
        return path.read_bytes()
