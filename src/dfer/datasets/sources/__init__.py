"""Readers: a data set's folders -> Manifest, one module each.

Every reader has `read(root, **options) -> Manifest`, `recognise(root) -> bool` and `EXPECTED`, what it looks for in
words. Options are text, as the command line gives them.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

from dfer.datasets.manifest import Manifest
from dfer.datasets.sources import dfew, ferplus, folder, table
from dfer.errors import DferError, listed
from dfer.labels.emotions import nearest

SOURCES: dict[str, ModuleType] = {"dfew": dfew, "ferplus": ferplus, "folder": folder, "table": table}
"""The readers by name; published data sets before the general ones, which fit more."""
GENERAL = ("folder", "table")


def read_source(name: str, root: Path, **options: str) -> Manifest:
    """Read a data set.

    Args:
        name: a key of `SOURCES`.
        root: its folder (for `table`: the file).
        **options: the reader's own, as its `read` documents them.

    Raises:
        DferError: no such reader, option or folder; another data set than the reader's; anything wrong in it.
    """
    if name not in SOURCES:
        raise DferError(f"no reader '{name}'{nearest(name, SOURCES)}; there are {listed(SOURCES)}")
    read: Callable[..., Manifest] = SOURCES[name].read
    known = list(inspect.signature(read).parameters)[1:]
    for option in options:
        if option not in known:
            hint = nearest(option, known)
            raise DferError(f"the reader {name} has no option '{option}'{hint}; it has {listed(known)}")
    root = Path(root)
    if not root.exists():
        raise DferError(f"{root} does not exist; the reader {name} expects {SOURCES[name].EXPECTED}")
    try:
        _check_recognised(name, root)
        return read(root, **options)
    except OSError as error:
        raise DferError(f"{error.filename or root} cannot be read: {error.strerror or error}") from error
    except UnicodeEncodeError as error:
        raise DferError(f"{root} holds a name that is not in UTF-8, {error.object!r}; rename it") from error


def _check_recognised(name: str, root: Path) -> None:
    """Raises when the folder is another data set's, or does not look like this one's."""
    fitting = [other for other, module in SOURCES.items() if module.recognise(root)]
    # the general readers say better themselves what they miss, and may be told emotions that nobody else knows
    if name in fitting or (not fitting and name in GENERAL):
        return
    hint = f"; it looks like {fitting[0]}: `dfer prepare {fitting[0]} {root}`" if fitting else ""
    raise DferError(f"{root} does not look like {name}: expected {SOURCES[name].EXPECTED}; found {_found(root)}{hint}")


def _found(root: Path) -> str:
    if root.is_file():
        return "a file"
    return listed(sorted(entry.name for entry in root.iterdir())) or "an empty folder"
