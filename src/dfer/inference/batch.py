"""Which videos are meant by what a user named, and where their timelines go."""

from __future__ import annotations

import contextlib
import glob
import logging
import os
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate
from pathlib import Path

from dfer.errors import DferError, listed, not_known
from dfer.files import keep_inputs
from dfer.inference.summary import SUFFIXES as SUMMARIES
from dfer.inference.writers import SUFFIXES
from dfer.video.decoding import length_s
from dfer.video.folders import survey
from dfer.video.frames import files_read, natural_key
from dfer.video.playlists import refuse_address
from dfer.video.stream import FPS

logger = logging.getLogger(__name__)

PACKED = "packed clip, which has no clock"
PICTURE_S = 0.5
"""A picture is searched as long as so many seconds of film are."""
NAME = "{name}"
"""Stands for the name of a video in the path of an output."""


@dataclass(frozen=True)
class Video:
    """Something to read.

    Attributes:
        path: a video, an image, or a folder of frames.
        name: of its outputs; it may have folders in it.
    """

    path: Path
    name: str


def find_videos(named: Sequence[Path]) -> list[Video]:
    """The videos that are meant: files, folders (of videos, at any depth, or of the frames of one), patterns (*.mp4).

    What is not there is kept, so that it is told of in its turn. What lies in a folder and is not read is named.

    Raises:
        DferError: a pattern that nothing fits, an address on a network, a folder without anything that can be read.
    """
    found: list[tuple[Path, Path]] = []
    for path in named:
        refuse_address(path)
        if glob.has_magic(str(path)) and not path.exists():
            matches = sorted(glob.glob(str(path), recursive=True), key=natural_key)  # noqa: PTH207 (absolute patterns, too)
            if not matches:
                raise DferError(f"{path}: nothing fits this pattern")
            found += [each for match in matches for each in _inside(Path(match))]
        else:
            found += _inside(path)
    unique: dict[Path, tuple[Path, Path]] = {}
    for path, name in found:
        unique.setdefault(_place(path), (path, name))
    ways = _told_apart({place: name for place, (_, name) in unique.items()})
    plain = [str(way.with_suffix("")) for way in ways]
    count = Counter(plain)
    # clip.mp4 and clip.mov side by side
    names = [stem if count[stem] == 1 else str(way) for stem, way in zip(plain, ways, strict=True)]
    return [Video(path, name) for (path, _), name in zip(unique.values(), names, strict=True)]


def _place(path: Path) -> Path:
    """Where a file lies, whatever way leads to its folder. A link is not followed: its own name is that of the film."""
    return path.resolve() if path.name in ("", "..") else path.parent.resolve() / path.name


def _told_apart(names: Mapping[Path, Path]) -> list[Path]:
    """The name of each path. Those of one name, such as day1/a.mp4 and day2/a.mp4, keep the folders that differ."""
    alike: dict[Path, list[Path]] = {}
    for place, name in names.items():
        alike.setdefault(name, []).append(place)
    shared = {name: os.path.commonpath([place.parent for place in places]) for name, places in alike.items()}
    return [name if len(alike[name]) == 1 else place.relative_to(shared[name]) for place, name in names.items()]


def _inside(path: Path) -> list[tuple[Path, Path]]:
    """Paths with their names: what a folder holds by its way in it, everything else by its own name."""
    if not path.is_dir():
        return [(path, Path(path.name))]
    read = []
    for found in survey(path):
        if found.kind and found.kind != "array":
            way = Path(path.resolve().name) if found.path == path else found.path.relative_to(path)
            read.append((found.path, way))
        else:
            logger.warning("left out %s: %s", found.path, found.reason or PACKED)
    if not read:
        raise DferError(f"{path}: the folder holds no video and no picture")
    return read


def last_longer(videos: Sequence[Video], limit_s: float) -> bool:
    """Whether videos last longer in all than so many seconds, as far as their files say."""
    return any(total_s > limit_s for total_s in accumulate(_about_s(video.path) for video in videos))


def _about_s(path: Path) -> float:
    if path.is_dir():
        with contextlib.suppress(OSError):
            return sum(1 for _ in path.iterdir()) / FPS
    return length_s(path) or PICTURE_S


def split_outs(named: Sequence[Path], videos: Sequence[Video], outs: Sequence[Path]) -> tuple[list[Path], list[Path]]:
    """The files that hold a row a video and person, and the other outputs.

    A .csv is such a summary where a folder of videos or several videos are read and it has no {name} in it; else it is
    the table of the one video. An .xlsx always is.
    """
    several = len(videos) > 1 or [video.path for video in videos] != list(named)
    summaries = [
        out
        for out in dict.fromkeys(outs)
        if NAME not in str(out)
        and not out.is_dir()
        and out.suffix.lower() in SUMMARIES
        and (several or out.suffix.lower() not in SUFFIXES)
    ]
    return summaries, [out for out in outs if out not in summaries]


def destinations(
    videos: Sequence[Video], outs: Sequence[Path], formats: Sequence[str] = ()
) -> dict[Video, tuple[Path, ...]]:
    """The files to write for each video.

    Args:
        videos: all of them.
        outs: files of a suffix in `SUFFIXES`, for one video; paths with {name} in them; or folders.
        formats: suffixes of the files in those folders; json by default.

    Raises:
        DferError: a format that cannot be written, one file for several videos or twice, or a video itself.
    """
    wanted = [f".{text.lower().removeprefix('.')}" for text in formats]
    for suffix, text in zip(wanted, formats, strict=True):
        if suffix not in SUFFIXES:
            raise not_known("no format", text, [each[1:] for each in SUFFIXES])
    places = {video: tuple(path for out in outs for path in _paths(video, out, wanted)) for video in videos}
    if formats and not any(_is_folder(out) for out in outs):
        raise DferError("--format says what to write into a folder; name one with -o")
    paths = [path for each in places.values() for path in each]
    twice = [path for path, count in Counter(paths).items() if count > 1]
    if twice:
        raise DferError(f"several outputs would be {listed(twice)}; use a folder, or {NAME} in the path")
    keep_inputs(paths, (file for video in videos for file in files_read(video.path)))
    return places


def _is_folder(out: Path) -> bool:
    return out.is_dir() or not out.suffix


def _paths(video: Video, out: Path, formats: list[str]) -> list[Path]:
    if NAME not in str(out) and _is_folder(out):
        return [out / f"{video.name}{suffix}" for suffix in formats or [".json"]]
    if out.suffix.lower() not in SUFFIXES:
        raise DferError(f"{out}: expected a file {', '.join(SUFFIXES)}, an .xlsx (a row a person), or a folder")
    return [Path(str(out).replace(NAME, video.name))]
