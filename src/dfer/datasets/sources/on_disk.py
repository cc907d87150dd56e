"""Clips on disk, looked up by the names that lists give them, in whichever folders the lists' authors had them.

A listed name finds its clip by its trailing parts: `/home/someone/faces/train/Sad/0010` is `train/Sad/0010` or
`Sad/0010` under the folder that is searched. The last part needs no suffix, or may have another one than the file,
and a number may be padded or not: `7`, `007`, `007.avi` and a folder `007` are one clip.
"""

from __future__ import annotations

import logging
import os
import posixpath
import re
import unicodedata
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd

from dfer.errors import DferError, listed
from dfer.video.folders import KINDS, kind_of
from dfer.video.frames import images_in

logger = logging.getLogger(__name__)

CROWD = 64
"""A folder with more folders in it than this holds clips, not parts of a data set, and is not searched further."""


class ClipOnDisk(NamedTuple):
    """A clip on disk: its path relative to what was searched, its kind ("" = none), and its frames (NaN = unknown)."""

    path: str
    kind: str
    frames: float


NOWHERE = ClipOnDisk("", "", np.nan)


class Disk:
    """The clips under a folder."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self._folders: dict[str, dict[str, list[str]]] = {}

    def find(self, name: str) -> ClipOnDisk | None:
        """The clip with exactly these parts below the folder, None if there is none.

        Raises:
            DferError: several files are it, such as 7.avi and 7.mp4.
        """
        folder, _, last = name.rpartition("/")
        names = self.names(folder).get(clip_key(last), [])
        clips = [self._clip(f"{folder}/{own}" if folder else own) for own in (n for n in names if n == last)]
        clips = clips or [self._clip(f"{folder}/{own}" if folder else own) for own in names]
        clips = [clip for clip in clips if clip.kind]
        if len(clips) > 1:
            raise DferError(f"'{name}' may be one of {listed(clip.path for clip in clips)} in {self.root}; keep one")
        return clips[0] if clips else None

    def find_all(self, names: Sequence[str]) -> pd.DataFrame:
        """The clips of one list, by their trailing parts.

        Its author's own folders, the leading parts that are to be cut off, are the same in all rows of a list: the
        number that finds most clips is taken, of several the smallest.

        Returns:
            Columns path ("" = not there), kind and frames, in the order of `names`.
        """
        parts = [_parts(name) for name in names]
        cuts = Counter(cut for row in parts for cut in range(len(row)) if self._holds(row[cut:]))
        best = min(cuts, key=lambda cut: (-cuts[cut], cut), default=0)
        found = [self.find("/".join(row[best:])) if row[best:] else None for row in parts]
        return pd.DataFrame([clip or NOWHERE for clip in found], columns=list(ClipOnDisk._fields))

    def names(self, folder: str) -> dict[str, list[str]]:
        """What lies in a folder below the root: `clip_key` -> names; nothing where there is no such folder."""
        if folder not in self._folders:
            keyed: dict[str, list[str]] = {}
            if (self.root / folder).is_dir():
                with os.scandir(self.root / folder) as entries:
                    names = sorted(entry.name for entry in entries if entry.name[0] != ".")
                for name in names:
                    keyed.setdefault(clip_key(name), []).append(name)
            self._folders[folder] = keyed
        return self._folders[folder]

    def _holds(self, parts: Sequence[str]) -> bool:
        return clip_key(parts[-1]) in self.names("/".join(parts[:-1]))

    def _clip(self, path: str) -> ClipOnDisk:
        whole = self.root / path
        if whole.is_dir():
            return ClipOnDisk(path, "frames", len(images_in(whole)))
        return ClipOnDisk(path, kind_of(whole), np.nan)


def keep_found(rows: pd.DataFrame, folder: Path, advice: str) -> tuple[pd.DataFrame, dict[str, int]]:
    """The rows of lists whose clips are on disk, and reason -> how many are not.

    Args:
        rows: columns clip (for messages), path, kind and frames, a row a clip.
        folder: where they were looked for.
        advice: what to do when none is there.

    Raises:
        DferError: none is there.
    """
    reasons = {"no clip on disk": rows["kind"] == "", "folder without a frame": rows["frames"] == 0}
    for reason, wrong in reasons.items():
        if wrong.all():
            raise DferError(
                f"none of the {len(rows)} clips of the lists is in {folder} ({reason}): {listed(rows['clip'])}; "
                f"{advice}"
            )
        if wrong.any():
            logger.warning("left out %d clips, %s: %s", wrong.sum(), reason, listed(rows["clip"][wrong]))
    found = ~pd.concat(reasons, axis=1).any(axis=1)
    return rows[found], {reason: int(wrong.sum()) for reason, wrong in reasons.items()}


def clip_id(path: str) -> str:
    """A path without the suffix of a clip: the same for 00001.avi and a folder of frames 00001.

    >>> clip_id("train/00001.avi"), clip_id("train/v1.2")
    ('train/00001', 'train/v1.2')
    """
    stem, suffix = os.path.splitext(path)  # noqa: PTH122 - a Path of each of 40,000 names takes seconds
    return stem if suffix.lower() in KINDS else path


def clip_key(name: str) -> str:
    """What names of one clip have in common: without the suffix of a clip, and a number without its padding.

    >>> clip_key("007.avi"), clip_key("7"), clip_key("0_5_011.mp4"), clip_key("v1.2")
    ('7', '7', '0_5_011', 'v1.2')
    """
    stem = clip_id(unicodedata.normalize("NFC", name))
    return (stem.lstrip("0") or "0") if stem.isdecimal() else stem


def _parts(name: str) -> list[str]:
    """The parts of a path, of whichever system, without drive and leading dots."""
    path = posixpath.normpath(re.sub("^[A-Za-z]:", "", name.replace("\\", "/")))
    return [part for part in path.split("/") if part not in ("", ".", "..")]
