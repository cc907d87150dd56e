"""A part of a film as a film of its own (.mp4): the same pictures in the same size, each shown as long as before, and
the sound of that part."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from dfer.files import replacing
from dfer.video.stream import Span, stream
from dfer.video.writing import Timed, write_video


def cut(source: Path, out: Path, *, start_s: float, end_s: float, rotate: int = 0) -> None:
    """Write a part of a film.

    Args:
        source: the film.
        out: the new film, .mp4; one that is there is replaced.
        start_s: the new film begins with the first picture from this time on, seconds; with the one before it where
            that stays long, see `dfer.video.stream.Span`.
        end_s: the new film ends at this time, or where the old one ends.
        rotate: degrees by which pictures are turned clockwise.

    Raises:
        DferError: the film cannot be read, or shows nothing in this part.
    """

    def frames() -> Iterator[Timed]:
        for number, frame in enumerate(stream(source, span=Span(start_s, end_s), rotate=rotate)):
            yield frame.pixels, frame.time_s - start_s if number else 0.0, frame.end_s - start_s

    with replacing(out) as partial:
        write_video(partial, frames, sound=(source, start_s, end_s))
