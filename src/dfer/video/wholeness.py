"""Where a file is cut off or damaged, in formats whose readers pass over it in silence.

A reader that meets damage looks for the next part that it knows, or ends; neither is an error. Matroska, WebM, GIF and
FLV do not say how many frames they hold, so their parts are followed here, from the first to the last.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from functools import lru_cache
from io import BufferedReader
from pathlib import Path

MATROSKA, GIF, FLV = b"\x1aE\xdf\xa3", b"GIF8", b"FLV\x01"
"""How the files begin."""
SEGMENT, CLUSTER = 0x18538067, 0x1F43B675
"""Elements of Matroska whose contents are followed; the others are passed over as a whole."""
IN_SEGMENT = (0x114D9B74, 0x1549A966, 0x1654AE6B, 0x1C53BB6B, 0x1941A469, 0x1043A770, 0x1254C367)
IN_CLUSTER = (0xE7, 0x5854, 0xA7, 0xAB, 0xA3, 0xA0, 0xAF)
ELEMENTS = {0x1A45DFA3, SEGMENT, CLUSTER, *IN_SEGMENT, *IN_CLUSTER, 0xEC, 0xBF}
"""Names of elements (RFC 9559, section 5); the first is the file's head, the last two may be anywhere."""
LONGEST_HEAD = 4 + 8
"""Bytes of an element's name and size."""
EXTENSION, IMAGE, TRAILER = 0x21, 0x2C, 0x3B
"""How the blocks of a GIF begin (GIF89a specification, appendix A)."""
TAGS = (8, 9, 18)
"""Sound, picture and data (Adobe Flash Video File Format Specification 10.1, E.4.1)."""


class _BrokenError(Exception):
    """A part goes on beyond the end, or is none that is known."""


def fault_of(path: Path) -> str:
    """What is wrong with a Matroska, WebM, GIF or FLV file, in words; "" where nothing is, and for other formats.

    A file that is no longer there when all of it was read has no fault.
    """
    try:
        state = path.stat()
        return _fault_of(path, state.st_size, state.st_mtime_ns)
    except OSError:
        return ""


def is_whole_matroska(path: Path) -> bool:
    """Whether a file is Matroska or WebM, says how long it is, and is whole."""
    if fault_of(path):
        return False
    with contextlib.suppress(OSError, _BrokenError), path.open("rb") as file:
        if file.read(4) == MATROSKA:
            _, start, size = _element(file, 0)
            return _element(file, start + (size or 0))[2] is not None
    return False


@lru_cache(maxsize=64)
def _fault_of(path: Path, end: int, _changed: int) -> str:
    with path.open("rb") as file:
        parts = {MATROSKA: _elements, GIF: _blocks, FLV: _tags}.get(file.read(4))
        if parts is None:
            return ""
        place = 0
        try:
            for place in parts(file, end):  # noqa: B007 (what the last one is)
                pass
        except _BrokenError:
            return f"it is cut off or damaged at byte {place:,} of {end:,}, and frames may be missing from there on"
    return ""


def _read(file: BufferedReader, place: int, count: int) -> bytes:
    file.seek(place)
    found = file.read(count)
    if len(found) < count:
        raise _BrokenError
    return found


def _elements(file: BufferedReader, end: int) -> Iterator[int]:
    """Where each element of Matroska begins."""
    place, begun = 0, False
    while place != end or not begun:
        yield place
        name, start, size = _element(file, place)
        if name not in ELEMENTS or (size is None and name not in (SEGMENT, CLUSTER)):
            raise _BrokenError
        begun |= name == SEGMENT
        if name == SEGMENT and size is not None:
            end = min(end, start + size)
        place = start if name in (SEGMENT, CLUSTER) else start + (size or 0)
        if place > end:
            raise _BrokenError


def _element(file: BufferedReader, place: int) -> tuple[int, int, int | None]:
    """The name of the element at a place, where its contents begin, and their size; None: not known.

    The number of leading zeros of the first byte of a name or size says how many bytes follow it; a size of ones only
    stands for one that is not known.
    """
    file.seek(place)
    head = file.read(LONGEST_HEAD)
    first = 9 - head[0].bit_length() if head else LONGEST_HEAD
    both = first + 9 - head[first].bit_length() if first < len(head) else LONGEST_HEAD
    if both > len(head):
        raise _BrokenError
    unknown = (1 << 7 * (both - first)) - 1
    size = int.from_bytes(head[first:both], "big") & unknown
    return int.from_bytes(head[:first], "big"), place + both, None if size == unknown else size


def _blocks(file: BufferedReader, _end: int) -> Iterator[int]:
    """Where each block of a GIF begins."""

    def colours(flags: int) -> int:
        """Bytes of a table of colours."""
        return 3 << (flags & 7) + 1 if flags & 0x80 else 0

    place = 13 + colours(_read(file, 10, 1)[0])
    while (kind := _read(file, place, 1)[0]) != TRAILER:
        yield place
        if kind not in (EXTENSION, IMAGE):
            raise _BrokenError
        place += 2 if kind == EXTENSION else 11 + colours(_read(file, place + 9, 1)[0])
        while size := _read(file, place, 1)[0]:
            place += 1 + size
        place += 1


def _tags(file: BufferedReader, end: int) -> Iterator[int]:
    """Where each tag of an FLV begins; behind each its size is written again, or 0."""
    place = int.from_bytes(_read(file, 5, 4), "big") + 4
    while place != end:
        yield place
        head = _read(file, place, 4)
        size = 11 + int.from_bytes(head[1:], "big")
        again = int.from_bytes(_read(file, place + size, 4), "big")
        if head[0] & 0x1F not in TAGS or again not in (0, size):
            raise _BrokenError
        place += size + 4
