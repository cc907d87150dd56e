"""Clips that are known by number, as DFEW's and MAFW's are: in tables and lists, and on disk.

"2522", "02522", "02522.mp4" and a folder 02522 are one clip.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from dfer.errors import DferError, listed
from dfer.video.folders import KINDS
from dfer.video.frames import images_in

logger = logging.getLogger(__name__)


def clip_numbers(names: pd.Series[Any], path: Path) -> pd.Index[Any]:
    """The clips' numbers, of names padded or not, with a folder before or a suffix behind or not; each once.

    Args:
        names: a column of a table or list.
        path: its file, for messages.

    Raises:
        DferError: a name that is no number, or a clip twice.
    """
    stems = names.astype(str).str.strip().str.replace(r"^.*[/\\]", "", regex=True)
    stems = stems.str.replace(r"\.\w+$", "", regex=True)
    wrong = names[~stems.str.fullmatch(r"[0-9]{1,18}").to_numpy(dtype=bool)].map(repr).unique()
    if len(wrong):
        raise DferError(f"{path}: expected clip numbers; found {listed(wrong)}")
    numbers = pd.Index(stems.astype(int), name="number")
    twice = numbers[numbers.duplicated()].unique()
    if len(twice):
        raise DferError(f"{path} names {len(twice)} clips twice: {listed(twice)}; keep one row of each")
    return numbers


def find_layout(
    root: Path, folders: Mapping[str, Sequence[Path]], layouts: Mapping[str, Sequence[str]], wanted: str
) -> tuple[str, pd.DataFrame, int]:
    """The clips of one layout.

    Args:
        root: what paths are relative to.
        folders: folders of clips by their name.
        layouts: layout -> the names that its folder goes by.
        wanted: one of them, or "auto": the first that is there.

    Returns:
        The layout, its clips as `find_numbered` gives them, and how many further copies were passed over.

    Raises:
        DferError: it is not there.
    """
    there = {layout: name for layout, names in layouts.items() for name in names[::-1] if name in folders}
    if not there or wanted not in ("auto", *there):
        what = f"the clips as {wanted}" if there else f"a folder of clips ({listed(layouts)})"
        raise DferError(f"expected {what} under {root}; found {listed(there) or 'none'}")
    layout = next(iter(there)) if wanted == "auto" else wanted
    if len(there) > 1 and wanted == "auto":
        logger.info("taking the clips of %s; also there: %s", layout, listed(list(there)[1:]))
    return layout, *find_numbered(root, folders[there[layout]])


def find_numbered(root: Path, folders: Sequence[Path]) -> tuple[pd.DataFrame, int]:
    """The clips in some folders, of which the first of a number counts.

    Returns:
        Columns path (relative to the root), kind and frames (Int64, empty for a video: unknown) by number; and how many
        further copies were passed over.
    """
    rows = [row for folder in folders for row in _numbered(root, folder)]
    table = pd.DataFrame(rows, columns=["number", "path", "kind", "frames"]).set_index("number")
    again = table.index.duplicated()
    return table[~again].astype({"frames": "Int64"}), int(again.sum())


def _numbered(root: Path, place: Path) -> Iterator[tuple[int, str, str, float]]:
    """Number, path, kind and number of frames (NaN: unknown) of the clips in a folder."""
    prefix = place.relative_to(root).as_posix()
    with os.scandir(place) as scan:
        entries = sorted(scan, key=lambda entry: entry.name)
    for entry in entries:
        stem, suffix = Path(entry.name).stem, Path(entry.name).suffix
        if not stem.isdecimal():
            continue
        if entry.is_dir():
            yield int(stem), f"{prefix}/{entry.name}", "frames", len(images_in(entry.path))
        elif KINDS.get(suffix.lower()) == "video":
            yield int(stem), f"{prefix}/{entry.name}", "video", np.nan
