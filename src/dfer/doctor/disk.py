"""What lies on disk for each clip, without decoding: is it there, whole by both its ends, and numbered in order?

A file that was not downloaded (empty, a git-LFS pointer, a web page that says "not found") has the name of a clip and
is none; a file that was cut off lacks its end. Both are seen in the few bytes at either end, which costs a fraction of
decoding. What is damaged in the middle is found by `pictures`.
"""

from __future__ import annotations

import itertools
import os
import re
import zipfile
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from dfer.archives import open_archive, read_member
from dfer.arrays import open_array
from dfer.datasets import Manifest
from dfer.datasets.sources.named_clips import POINTER
from dfer.errors import DferError
from dfer.shards import holding_file
from dfer.video.decoding import is_picture, is_video
from dfer.video.frames import IMAGE_SUFFIXES, images_in, natural_key

Progress = Callable[[int, int], None]
ENDS = 64
"""Bytes that are read at either end of a file."""
SIGNATURES = (
    (0, b"\xff\xd8\xff"), (0, b"\x89PNG"), (0, b"GIF8"), (0, b"BM"), (0, b"II*\0"), (0, b"MM\0*"), (0, b"RIFF"),
    (4, b"ftyp"), (4, b"moov"), (4, b"mdat"), (4, b"wide"), (4, b"free"), (4, b"skip"),
    (0, b"\x1aE\xdf\xa3"), (0, b"FLV"), (0, b"\0\0\1"), (0, b"0&\xb2u"),
)  # fmt: skip
"""Where and how files of pictures and videos begin: JPEG, PNG, GIF, BMP, TIFF, WebP and AVI, MP4 and MOV, Matroska and
WebM, FLV, MPEG, WMV. The suffix does not count: decoders do not look at it either."""
NEITHER = "neither picture nor video by its first bytes"
LAST = {b"\xff\xd8\xff": b"\xff\xd9", b"\x89PNG": b"IEND"}
"""How a file begins -> what stands at its end."""


@dataclass(frozen=True, slots=True)
class OnDisk:
    """A clip as it lies there.

    Attributes:
        fault: why it cannot be used, "" for nothing found.
        numbering: what is odd about the numbers of its frames, "" for nothing.
        frames: how many it has, 0 where only decoding tells.
        sizes: the same for clips whose files have the same sizes in bytes.
    """

    fault: str = ""
    numbering: str = ""
    frames: int = 0
    sizes: int = 0


def survey(manifest: Manifest, progress: Progress | None = None) -> list[OnDisk]:
    """What lies on disk for each clip, in the order of the rows."""
    found = []
    rows = manifest.table[["path", "kind"]].itertuples(index=False, name=None)
    for done, (path, kind) in enumerate(rows, 1):
        found.append(look(manifest.resolve(path), kind))
        if progress is not None:
            progress(done, len(manifest))
    return found


def look(path: Path, kind: str) -> OnDisk:
    """What lies on disk for one clip."""
    try:
        if kind == "frames":
            return _folder(path)
        if kind == "array":
            return _array(path)
        return _file(path)
    except OSError as error:
        return OnDisk(fault="missing" if isinstance(error, FileNotFoundError) else f"unreadable: {error.strerror}")
    except KeyError:
        return OnDisk(fault="missing in its archive")
    except DferError as error:
        return OnDisk(fault=f"damaged archive: {error}")


def frame_names(folder: Path) -> list[tuple[str, int]]:
    """Name and size in bytes of a folder's frames, in the order of time."""
    frames = [(entry.name, entry.stat().st_size) for entry in images_in(folder)]
    return sorted(sorted(frames), key=lambda frame: natural_key(frame[0]))


def numbering(names: Sequence[str]) -> str:
    """What is odd about the numbers of frames that are in natural order, "" for nothing.

    A constant step is no gap: frames may be every fourth of a video.

    >>> numbering(["1.jpg", "2.jpg", "10.jpg"]), numbering(["1.jpg", "5.jpg", "9.jpg"])
    ('a gap in the numbers', '')
    """
    found = [re.findall(r"\d+", os.path.splitext(name)[0]) for name in names]  # noqa: PTH122 - faster than a Path
    if len(names) < 2:
        return ""
    if not all(found):
        return "a frame without a number"
    numbers = [int(parts[-1]) for parts in found]
    steps = Counter(after - before for before, after in itertools.pairwise(numbers))
    if min(steps) < 1:
        return "a number twice" if min(steps) == 0 else "not in the order of their numbers"
    return "a gap in the numbers" if len(steps) > 1 else ""


def _folder(path: Path) -> OnDisk:
    if path.is_file():
        return OnDisk(fault="a file in place of a folder of frames")
    frames = frame_names(path)
    if not frames:
        return OnDisk(fault="folder without a frame")
    faults = ((name, _fault(f"{path}/{name}", size)) for name, size in frames)
    fault = next((f"frame {name}: {fault}" for name, fault in faults if fault), "")
    names = [name for name, _ in frames]
    return OnDisk(fault, numbering(names), len(frames), hash(tuple(size for _, size in frames)))


def _array(path: Path) -> OnDisk:
    size = holding_file(path).stat().st_size
    try:
        frames = open_array(path)
        return OnDisk(frames=len(frames), sizes=frames.nbytes)
    except DferError as error:
        return OnDisk(fault="empty" if not size else str(error).removeprefix(f"{path}: "))


def _file(path: Path) -> OnDisk:
    archive = archive_of(path)
    if archive is not None:
        archive.stat()
        name = path.relative_to(archive).as_posix()
        data = read_member(opened(archive), name) if opened(archive).getinfo(name).file_size else b""
        return OnDisk(_judge(data[:ENDS], data[-ENDS:], len(data)), frames=1, sizes=len(data))
    if path.is_dir():
        return OnDisk(fault="a folder in place of a file")
    size = path.stat().st_size
    still = path.suffix.lower() in IMAGE_SUFFIXES
    fault = _fault(str(path), size) or _cut_box(path, size)
    if fault == NEITHER and (is_video(path) or is_picture(path)):
        fault = ""  # the decoder knows more kinds than have a mark at their beginning
    return OnDisk(fault, frames=int(still), sizes=size)


def archive_of(path: Path) -> Path | None:
    """The zip archive that a path leads into, None for a path of the file system."""
    if ".zip" not in str(path).lower():  # millions of clips have none
        return None
    return next((parent for parent in path.parents if parent.suffix.lower() == ".zip"), None)


@lru_cache(maxsize=8)
def opened(archive: Path) -> zipfile.ZipFile:
    """An archive, opened once."""
    return open_archive(archive)


def _fault(path: str, size: int) -> str:
    """What the ends of a file show, "" for nothing."""
    if not size:
        return "empty"
    with open(path, "rb", buffering=0) as file:  # noqa: PTH123 - 256,000 frames: a Path of each takes seconds
        head = file.read(ENDS)
        if size > ENDS:
            file.seek(-ENDS, os.SEEK_END)
        return _judge(head, file.read(ENDS) if size > ENDS else head, size)


def _judge(head: bytes, tail: bytes, size: int) -> str:
    if not size:
        return "empty"
    if head.startswith(POINTER):
        return "a git-LFS pointer: never downloaded"
    if not any(head[place : place + len(mark)] == mark for place, mark in SIGNATURES):
        return NEITHER
    for first, last in LAST.items():
        if head.startswith(first) and last not in tail:
            return "cut off: its end is missing"
    if head.startswith(b"RIFF") and int.from_bytes(head[4:8], "little") + 8 > size:
        return "cut off: shorter than it says"
    return ""


def _cut_box(path: Path, size: int) -> str:
    """Whether an MP4 or MOV is cut off: boxes reach beyond its end, or the one that says what is in them is missing."""
    place = 0
    names: list[bytes] = []
    with path.open("rb") as file:
        while place + 8 <= size:
            file.seek(place)
            head = file.read(16)
            length, name = int.from_bytes(head[:4], "big"), head[4:8]
            if not names and name not in (b"ftyp", b"moov", b"mdat", b"wide", b"free", b"skip"):
                return ""  # another format
            names.append(name)
            length = int.from_bytes(head[8:16], "big") if length == 1 else length or size - place
            place += max(length, 8)
    return "cut off: shorter than it says" if names and (place > size or b"moov" not in names) else ""
