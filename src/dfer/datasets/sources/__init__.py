"""Readers: a data set's folders -> Manifest, one module each.

Every reader has `read(root, **options) -> Manifest`, `recognise(root) -> bool` and `EXPECTED`, what it looks for in
words. Options have types; read_source also takes them as text, as the command line gives them.
"""

from __future__ import annotations

from pathlib import Path
from types import ModuleType
from typing import Any

from dfer.datasets.manifest import Manifest
from dfer.datasets.sources import afew, crema_d, dfew, ferplus, ferv39k, folder, lists, mafw, ravdess, table
from dfer.documents import checked_options
from dfer.errors import LONGEST, DferError, listed, require_known
from dfer.files import require_file

SOURCES: dict[str, ModuleType] = {
    "mafw": mafw,  # before dfew, which has an annotation.xlsx too
    "dfew": dfew,
    "ferv39k": ferv39k,
    "afew": afew,
    "crema_d": crema_d,
    "ravdess": ravdess,
    "ferplus": ferplus,
    "folder": folder,
    "table": table,
    "lists": lists,
}
"""The readers by name; published data sets before the general ones, which fit more."""
GENERAL = ("folder", "table", "lists")


def read_source(name: str, root: Path, **options: Any) -> Manifest:
    """Read a data set.

    Args:
        name: a key of `SOURCES`.
        root: its folder (for `table`: the file).
        **options: the reader's own, as its `read` documents them.

    Returns:
        The clips, with the counts of what was left out.

    Raises:
        DferError: no such reader, option or folder; another data set than the reader's; anything wrong in it.
    """
    require_known("no reader", name, SOURCES)
    given = checked_options(SOURCES[name].read, options, f"options of the reader {name}", strict=False)
    root = Path(root)
    if not root.exists():
        raise DferError(f"{root} does not exist; the reader {name} expects {SOURCES[name].EXPECTED}")
    if not root.is_dir():
        require_file(root)
    try:
        _check_recognised(name, root)
        return _read(name, root, given)
    except OSError as error:
        raise DferError(f"{error.filename or root} cannot be read: {error.strerror or error}") from error
    except UnicodeEncodeError as error:
        raise DferError(f"{root} holds a name that is not in UTF-8, {error.object!r}; rename it") from error


def _check_recognised(name: str, root: Path) -> None:
    """Raises when the folder is another data set's, or does not look like this one's."""
    if SOURCES[name].recognise(root):
        return
    fitting = _others(name, root)
    # the general readers say better themselves what they miss, and may be told emotions that nobody else knows
    if not fitting and name in GENERAL:
        return
    expected, hint = SOURCES[name].EXPECTED, _looks_like(fitting, root)
    raise DferError(f"{root} does not look like {name}: expected {expected}; found {_found(root)}{hint}")


def _read(name: str, root: Path, options: dict[str, Any]) -> Manifest:
    """Reads; what goes wrong is told with the place, and with the data set that it looks like, as MAFW read as DFEW."""
    try:
        manifest: Manifest = SOURCES[name].read(root, **options)
        return manifest
    except DferError as error:
        published = [other for other in _others(name, root) if other not in GENERAL]
        told = f"{error}{_looks_like(published, root)}"
        named = str(root) in told or len(f"{root}: {told}") > LONGEST  # a list of what it may mean is worth more
        raise DferError(told if named else f"{root}: {told}") from error


def _others(name: str, root: Path) -> list[str]:
    """The other readers whose data set a folder looks like."""
    return [other for other, module in SOURCES.items() if other != name and module.recognise(root)]


def _looks_like(names: list[str], root: Path) -> str:
    """For a message: the first of the names and its command, or nothing."""
    return f"; it looks like {names[0]}: `dfer prepare {names[0]} {root}`" if names else ""


def _found(root: Path) -> str:
    if root.is_file():
        return "a file"
    return listed(sorted(entry.name for entry in root.iterdir())) or "an empty folder"
