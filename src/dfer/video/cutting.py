"""A part of a film as a film of its own (.mp4): the same pictures in the same size, each shown as long as before, and
the sound of that part."""

from __future__ import annotations

import math
import re
import zlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from dfer.errors import DferError
from dfer.files import replacing
from dfer.video.decoding import length_s
from dfer.video.frames import images_in
from dfer.video.opening import peeked
from dfer.video.stream import Span, stream
from dfer.video.writing import Timed, write_video

LONGEST_NAME = 60
"""Characters that a clip's name takes of its film's."""
HEAD_BYTES = 2**20
"""A film is known again by its size and this much of its beginning."""
MARK = "dfer clip"
"""How the comment begins that says which film a clip was cut from."""


def cut(source: Path, out: Path, *, start_s: float, end_s: float, rotate: int = 0, mark: str = "") -> None:
    """Write a part of a film.

    Args:
        source: the film.
        out: the new film, .mp4; one that is there is replaced.
        start_s: the new film begins with the first picture from this time on, seconds; with the one before it where
            that stays long, see `dfer.video.stream.Span`.
        end_s: the new film ends at this time, or where the old one ends.
        rotate: degrees by which pictures are turned clockwise.
        mark: a comment that is written into the file.

    Raises:
        DferError: the film cannot be read, or shows nothing in this part.
    """

    def frames() -> Iterator[Timed]:
        for number, frame in enumerate(stream(source, span=Span(start_s, end_s), rotate=rotate)):
            yield frame.pixels, frame.time_s - start_s if number else 0.0, frame.end_s - start_s

    with replacing(out) as partial:
        write_video(partial, frames, sound=(source, start_s, end_s), comment=mark)


def mark_of(film: Path, rotate: int = 0) -> str:
    """What the clips of a film, or a folder of frames, turned by `rotate` degrees, say of where they are from."""
    pictures = sorted((entry.name, entry.stat().st_size) for entry in images_in(film)) if film.is_dir() else []
    first = film / pictures[0][0] if pictures else film
    with first.open("rb") as file:
        head = file.read(HEAD_BYTES)
    return f"{MARK} {zlib.crc32(repr((rotate, pictures, first.stat().st_size)).encode() + head):08x}"


@dataclass(frozen=True)
class Part:
    """A clip that a film can be cut into.

    Attributes:
        film: its path.
        name: of the clip's file.
        start_s, end_s: where it lies in the film.
        rotate, mark: as `cut` takes them.
    """

    film: Path
    name: str
    start_s: float
    end_s: float
    rotate: int = 0
    mark: str = ""

    def is_there(self, folder: Path) -> bool:
        """Whether the clip lies in a folder.

        Raises:
            DferError: a clip of this name was cut from another film, or turned otherwise.
        """
        path = folder / self.name
        if not path.is_file():
            return False
        with peeked(path) as container:
            mark = container.metadata.get("comment", "") if container is not None else ""
        if mark.startswith(MARK) and mark != self.mark:
            raise DferError(
                f"{path} was cut from another film than {self.film}, or turned otherwise; choose another --out"
            )
        return True

    def cut(self, folder: Path) -> None:
        """Write the clip into a folder; see `cut` for the errors."""
        span = {"start_s": self.start_s, "end_s": self.end_s}
        cut(self.film, folder / self.name, **span, rotate=self.rotate, mark=self.mark)


def clip_name(film: str, start_s: float, end_s: float) -> str:
    """The name of a clip, of letters, digits, - and _ alone; a checksum tells films whose names become alike.

    >>> clip_name("Anna.mov", 4.0, 8.0)
    'Anna_4.00-8.00.mp4'
    >>> clip_name("day 1/Anna.mov", 4.0, 8.0)
    'day_1_Anna_27ee8ebe_4.00-8.00.mp4'
    """
    stem = str(Path(film).with_suffix(""))
    plain = re.sub("[^A-Za-z0-9_-]+", "_", stem).strip("_")[-LONGEST_NAME:] or "film"
    if plain != stem:
        plain += f"_{zlib.crc32(stem.encode('utf-8', 'surrogateescape')):08x}"
    return f"{plain}_{start_s:.2f}-{end_s:.2f}.mp4"


def window_parts(film: Path, name: str, *, length: float, every: float, shortest: float) -> list[Part]:
    """Parts of one length, one after the other; the last one ends with the film, if it is long enough.

    Args:
        film: its path.
        name: what the clips are called after.
        length: seconds of a part.
        every: seconds from the beginning of a part to that of the next.
        shortest: parts that would be shorter are left out.

    Raises:
        DferError: the film cannot be read.
    """
    end_s = length_s(film)
    if end_s is None:  # it does not say, or cannot be read
        end_s = max((frame.end_s for frame in stream(film)), default=0.0)
    starts = (number * every for number in range(math.ceil(end_s / every)))
    spans = [(start_s, min(start_s + length, end_s)) for start_s in starts]
    return _parts(film, name, spans, shortest)


def segment_parts(film: Path, spans: Iterable[tuple[float, float]], *, shortest: float, rotate: int = 0) -> list[Part]:
    """A part for each span (start, end), seconds, that is long enough.

    Raises:
        DferError: the film is not where it was.
    """
    if not film.exists():
        raise DferError(f"{film}, the film of a timeline, is not there; give the film itself, or put it back")
    return _parts(film, film.name, spans, shortest, rotate)


def _parts(film: Path, name: str, spans: Iterable[tuple[float, float]], shortest: float, rotate: int = 0) -> list[Part]:
    mark = mark_of(film, rotate)
    return [
        Part(film, clip_name(name, start_s, end_s), start_s, end_s, rotate, mark)
        for start_s, end_s in spans
        if end_s - start_s >= shortest
    ]
