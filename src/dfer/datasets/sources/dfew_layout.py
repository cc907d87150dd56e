"""DFEW on disk: where its lists and clips lie, however the archives were unpacked.

Known ways to lay out the clips, all with the clip's number as name, padded or not, and at any depth:
    clip_224x224/00001/00001_00001.jpg      faces, every frame (also jpg_256, or data in the authors' repository)
    clip_224x224_16f/00001/1.jpg ... 16.jpg faces, 16 frames; not padded, so in natural order (also clip_224x16f)
    clip_224x224_avi/00001.avi              faces as video
    original/1.mp4                          whole pictures
"""

from __future__ import annotations

import itertools
import logging
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from dfer.video.folders import walk
from dfer.video.frames import natural_key

logger = logging.getLogger(__name__)

LAYOUTS = {
    "clip_224x224": ("clip_224x224", "jpg_256", "data"),
    "clip_224x224_16f": ("clip_224x224_16f", "clip_224x16f"),
    "clip_224x224_avi": ("clip_224x224_avi",),
    "original": ("original",),
}
"""Layout -> the names its folder goes by; in the order in which "auto" takes them: faces before whole pictures."""
DEPTH = 6
"""How many folders deep it is searched; nested archives need 4."""
PEEK = 20
"""Entries of a folder that are looked at to see whether it holds clips; there may be 16,000 of them."""


class Survey(NamedTuple):
    """What one walk through the folders finds; several of a kind are the reader's to judge."""

    annotations: list[Path]
    lists: list[tuple[str, int, Path]]
    groups: list[Path]
    clips: dict[str, list[Path]]


def survey(root: Path) -> Survey:
    """Find annotation.xlsx, the lists (train or test, fold, file), groups.csv, and folders of clips by their name."""
    found = Survey([], [], [], {})
    for folder, names in _walk(root, DEPTH, found.clips):
        for name in sorted(names, key=natural_key):
            lower = name.lower()
            fold = re.search(r"set_?(\d+)", lower)
            part = re.search("train|test", lower) or re.search("train|test", folder.name.lower())
            if re.fullmatch(r"annotation\.(xlsx|csv)", lower):
                found.annotations.append(folder / name)
            elif lower == "groups.csv":
                found.groups.append(folder / name)
            elif lower.endswith((".csv", ".txt")) and fold and part:
                found.lists.append((part.group(), int(fold.group(1)), folder / name))
    return found


def _walk(root: Path, depth: int, clips: dict[str, list[Path]]) -> Iterator[tuple[Path, list[str]]]:
    """Folders with the names of their files; folders of clips go to `clips` and are not entered."""
    for folder, folders, files in walk(root, depth=depth):
        yield folder, files
        for name in list(folders):
            if _holds_clips(folder / name):
                clips.setdefault(name.lower(), []).append(folder / name)
                folders.remove(name)


def _holds_clips(folder: Path) -> bool:
    """Whether a folder has the name of a layout and numbered entries (not once more a folder of that name)."""
    if not any(folder.name.lower() in names for names in LAYOUTS.values()):
        return False
    with os.scandir(folder) as entries:
        return any(Path(entry.name).stem.isdecimal() for entry in itertools.islice(entries, PEEK))
