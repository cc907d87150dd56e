"""Clips that are known by their file names, wherever they lie: found, told from stand-ins, doubles counted.

A clip is a video or a folder of frames. What git has in place of a large file that was never downloaded (a git-LFS
pointer, three lines of text) has the name of a video and is none.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

import pandas as pd

from dfer.video.folders import kind_of, walk
from dfer.video.frames import natural_key

DEPTH = 6
"""How many folders deep it is searched."""
POINTER = b"version https://git-lfs"
"""How a git-LFS pointer begins."""
NOT_DOWNLOADED = "git-LFS pointer in place of the video"
NOT_SEEN = "sound or other file in place of a video"
NO_FRAME = "folder without a frame"


class NamedClips(NamedTuple):
    """What is on disk under the names of a data set.

    Attributes:
        table: path (relative to the root) and kind by name, in the order of the names.
        reasons: name -> why there is no clip, of names that have other files only.
        copies: further copies of clips, which were passed over.
    """

    table: pd.DataFrame
    reasons: Mapping[str, str]
    copies: int


def find_named_clips(root: Path, pattern: re.Pattern[str]) -> NamedClips:
    """Find all clips whose names, in capitals and without suffix, are of a pattern; the first in natural order counts.

    Args:
        root: the folder.
        pattern: what a whole name must be.
    """
    clips: dict[str, tuple[str, str]] = {}
    reasons: dict[str, str] = {}
    copies = 0
    for path in _named(root, pattern, DEPTH):
        name, (kind, reason) = path.stem.upper(), _kind(path)
        if reason:
            reasons.setdefault(name, reason)
        elif name in clips:
            copies += 1
        else:
            clips[name] = (path.relative_to(root).as_posix(), kind)
    table = pd.DataFrame.from_dict(clips, orient="index", columns=["path", "kind"]).sort_index()
    return NamedClips(table, {name: reason for name, reason in reasons.items() if name not in clips}, copies)


def is_pointer(path: Path) -> bool:
    """Whether a file is what git has in place of a large file that was not downloaded."""
    with path.open("rb") as file:
        return file.read(len(POINTER)) == POINTER


def _kind(path: Path) -> tuple[str, str]:
    """The kind of a clip, or the reason why it is none."""
    kind = kind_of(path)
    if path.is_dir():
        return kind, "" if kind else NO_FRAME
    if kind != "video":
        return "", NOT_SEEN
    return (kind, NOT_DOWNLOADED) if is_pointer(path) else (kind, "")


def _named(root: Path, pattern: re.Pattern[str], depth: int) -> Iterator[Path]:
    """Files and folders of a pattern, in natural order; folders that are clips are not entered."""
    for folder, folders, files in walk(root, depth=depth):
        for name in sorted([*folders, *files], key=natural_key):
            if pattern.fullmatch(Path(name).stem.upper()):
                yield folder / name
                if name in folders:
                    folders.remove(name)
