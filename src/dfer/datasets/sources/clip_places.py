"""Where the clips of a table lie, whose rows name them by their path, by their name with a suffix or without."""

from __future__ import annotations

import logging
import os
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pandas as pd

from dfer.datasets.sources.on_disk import Disk
from dfer.datasets.spelling import file_of
from dfer.errors import DferError, listed
from dfer.shards import holding_file
from dfer.video.folders import EMPTY, NEITHER, kind_of

logger = logging.getLogger(__name__)

ABSENT = "no clip on disk"


def lying_at(folder: Path) -> Callable[[str], str]:
    """A function that gives the file of exactly a name, with a suffix or without; "" for none or several."""
    names: dict[Path, dict[str, list[str]]] = {}

    def lies_at(name: str) -> str:
        path = folder / file_of(name)
        parent = path.parent
        if parent not in names:
            names[parent] = {}
            for entry in sorted(entry.name for entry in os.scandir(parent)) if parent.is_dir() else ():
                for key in {entry, os.path.splitext(entry)[0]}:  # noqa: PTH122 - a Path of each of 40,000 takes seconds
                    names[parent].setdefault(key, []).append(entry)
        found = names[parent].get(path.name, [])
        found = [path.name] if path.name in found else found
        return str(parent / found[0]) if len(found) == 1 else ""

    return lies_at


def locate(paths: pd.Series[str], folder: Path) -> pd.DataFrame:
    """Path, kind ("" = cannot be read) and the reason of each clip; a name without a suffix takes that of its file.

    Raises:
        DferError: a name that may be several files, or several names that are one file.
    """
    rows = [_as_named(folder, path) for path in paths.map(file_of)]
    table = pd.DataFrame(rows, columns=["path", "kind", "reason"], index=paths.index)
    absent = table["reason"] == ABSENT
    if absent.any():
        found = Disk(folder).find_all(table["path"][absent].tolist()).set_index(table.index[absent])
        there = found["kind"] != ""
        table.loc[there[there].index, ["path", "kind"]] = found.loc[there, ["path", "kind"]]
        table.loc[there[there].index, "reason"] = ""
    there = table["reason"] == ""
    twice = table["path"].where(there).duplicated(keep=False) & there & ~paths.duplicated(keep=False)
    if twice.any():
        first = table["path"][twice].iloc[0]
        names = listed(paths[twice & (table["path"] == first)])
        raise DferError(
            f"{names} would be one file of {folder}, {first}; let clips be the folder further up, -O clips="
        )
    return table


def _as_named(folder: Path, path: str) -> tuple[str, str, str]:
    whole = folder / path
    if not _exists(whole):
        return path, "", ABSENT
    kind = kind_of(whole)
    return path, kind, "" if kind else EMPTY if whole.is_dir() else NEITHER


def _exists(path: Path) -> bool:
    """Whether a file or folder is there; of a member of an archive, whether the archive is."""
    return holding_file(path).exists() or any(
        parent.suffix.lower() == ".zip" and parent.is_file() for parent in path.parents
    )


def keep_on_disk(rows: pd.DataFrame, folder: Path, root: Path) -> tuple[pd.DataFrame, dict[str, int]]:
    """The rows whose clips can be read, with path and kind, and how many others there are of each reason."""
    named = "path" if "path" in rows else "id"
    places = locate(rows[named], folder)
    rows = rows.assign(path=places["path"], kind=places["kind"])
    lost = places["reason"][places["reason"] != ""]
    if len(lost) and len(lost) == len(rows):
        reasons = listed(f"{reason}: {listed(rows[named][lost.index[lost == reason]])}" for reason in lost.unique())
        raise DferError(
            f"none of the {len(rows)} clips of {root} is in {folder} ({reasons}); say where they are: "
            "--option clips=FOLDER"
        )
    for reason in lost.unique():
        names = rows["id"][lost.index[lost == reason]]
        logger.warning("left out %d clips that are not in %s, %s: %s", len(names), folder, reason, listed(names))
    return rows.drop(index=lost.index), dict(Counter(lost.tolist()))
