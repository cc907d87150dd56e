"""Readers: a data set's folders -> Manifest, one file each."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

from dfer.datasets.manifest import Manifest
from dfer.datasets.sources import dfew, ferplus, folder, table
from dfer.errors import DferError
from dfer.labels.emotions import nearest

SOURCES: dict[str, ModuleType] = {"dfew": dfew, "ferplus": ferplus, "folder": folder, "table": table}
"""Each has `read(root, **options) -> Manifest` and `recognise(root) -> bool`."""


def read_source(name: str, root: Path, **options: Any) -> Manifest:
    """Read a data set.

    Args:
        name: a key of `SOURCES`.
        root: its folder (for `table`: the file).
        **options: the reader's own, as its `read` documents them.

    Raises:
        DferError: no such reader, option or folder; another data set than the reader's; anything wrong in it.
    """
    if name not in SOURCES:
        raise DferError(f"no reader '{name}'{nearest(name, SOURCES)}; there are {', '.join(SOURCES)}")
    read: Callable[..., Manifest] = SOURCES[name].read
    known = list(inspect.signature(read).parameters)[1:]
    for option in options:
        if option not in known:
            raise DferError(
                f"reader {name} has no option '{option}'{nearest(option, known)}; it has {', '.join(known) or 'none'}"
            )
    root = Path(root)
    if not root.exists():
        raise DferError(f"{root} does not exist; expected the folder of the data set")
    if not SOURCES[name].recognise(root):
        fitting = [other for other, module in SOURCES.items() if module.recognise(root)]
        hint = f"; it looks like {fitting[0]}: dfer prepare {fitting[0]} {root}" if fitting else ""
        raise DferError(
            f"{root} does not look like {name}: expected {SOURCES[name].EXPECTED}, found {_found(root)}{hint}"
        )
    return read(root, **options)


def _found(root: Path) -> str:
    if root.is_file():
        return "a file"
    names = sorted(entry.name for entry in root.iterdir())
    return ", ".join(names[:6]) + (", ..." if len(names) > 6 else "") if names else "an empty folder"
