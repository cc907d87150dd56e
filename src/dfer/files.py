"""Reading files within a limit, and writing them in one go: a failure leaves the former file, or none, never half."""

from __future__ import annotations

import contextlib
import errno
import hashlib
import os
import re
import secrets
import shutil
import stat
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path

from filelock import FileLock, Timeout

from dfer.errors import DferError, UnwritableError, listed

KINDS = {
    stat.S_IFREG: "a file", stat.S_IFLNK: "a link", stat.S_IFDIR: "a folder", stat.S_IFIFO: "a named pipe",
    stat.S_IFSOCK: "a socket",
}  # fmt: skip
STEM, SUFFIX = 30, 20
"""Characters of a file's name that the name of its unfinished form begins with, and of the longest suffix that it has;
a name of 255 bytes, of four bytes a character, is the longest of most systems."""
LEFTOVER = re.compile(r"\..*\.[0-9a-f]{24}\.partial(\.[^.]*)?", re.DOTALL)
"""The name of an unfinished file."""
_leftovers: dict[Path, list[str]] = {}
"""Folder -> the unfinished files that were in it when it was first written to."""


def require_file(path: Path) -> int:
    """The bytes of a file; what is no file is refused before it is opened: a pipe would wait, a device never end.

    Raises:
        DferError: it is missing, cannot be looked at, or is a folder, a pipe, a socket or a device.
    """
    try:
        found = path.stat()
    except (OSError, ValueError) as error:  # ValueError: a null character in the name
        told = error.strerror if isinstance(error, OSError) else str(error)
        raise DferError(f"{path} cannot be read: {told}; expected a file") from error
    if not stat.S_ISREG(found.st_mode):
        raise DferError(f"{path}: expected a file, got {KINDS.get(stat.S_IFMT(found.st_mode), 'a device')}")
    return found.st_size


def keep_inputs(outputs: Iterable[str | Path], inputs: Iterable[str | Path]) -> None:
    """Raises a DferError where a file to write is one that is read, under whatever name."""
    kept = {os.path.realpath(path) for path in inputs}  # Path.resolve fails where a link leads to itself
    spoilt = [path for path in outputs if os.path.realpath(path) in kept]
    if spoilt:
        raise DferError(f"{listed(spoilt)} is read, and would be written over; choose another name for what is written")


def read_bytes(path: Path, largest: int) -> bytes:
    """A whole file, of at most so many bytes.

    Raises:
        DferError: as `require_file`; it is larger; it cannot be read.
    """
    size = require_file(path)
    if size > largest:
        raise DferError(f"{path}: expected at most {largest / 2**20:.0f} MB, got {size / 2**20:.0f} MB")
    try:
        with path.open("rb") as file:
            return file.read(largest)
    except OSError as error:
        raise DferError(f"{path} cannot be read: {error.strerror}") from error


def is_unfinished(name: str) -> bool:
    """Whether a file is called as `replacing` calls an unfinished one."""
    return LEFTOVER.fullmatch(name) is not None


@contextlib.contextmanager
def replacing(path: Path, *, folder: bool = False, advice: str = "choose another place") -> Iterator[Path]:
    """A new, empty place beside `path` to write to, which takes its name at the end of the block.

    The folder of `path` is made. The place has a name that nobody can guess and the suffix of `path`, for writers that
    go by it; what was written when the block fails is removed, and what a killed process left is removed by the next
    that writes the same file. A link to a file is replaced, and the file that it leads to is left alone. The mode of a
    file that is replaced is kept.

    Args:
        path: the file that is wanted.
        folder: a folder is wanted instead; a former one is removed just before the new one takes its place.
        advice: what to do when it cannot be written.

    Raises:
        UnwritableError: the system refuses (no permission, a full disk), or another process is writing this file.
        DferError: no file can be there: it is a folder, a pipe or a device, or a link to one, or its name is too long.
    """
    path = Path(path)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with _only_writer(path, advice):
            mode = _mode_of(path, folder, advice)
            _remove_leftovers(path)
            partial = _reserved(path, folder, mode)
            try:
                yield partial
                if mode is not None:
                    partial.chmod(mode)
                if folder:
                    shutil.rmtree(path, ignore_errors=True)
                partial.replace(path)
            finally:
                _remove(partial)
    except OSError as error:
        told = error.strerror or str(error)
        if isinstance(error, FileExistsError):  # what a file in the place of a folder is to mkdir
            told = f"{error.filename} is a file, not a folder"
        kind = DferError if error.errno == errno.ENAMETOOLONG else UnwritableError
        raise kind(f"cannot write {path}: {told}; {advice}") from error


@contextlib.contextmanager
def sole_owner(folder: Path) -> Iterator[None]:
    """A folder, there or not yet, that this process alone works in until the block ends, or the process does.

    Raises:
        UnwritableError: another process works in it.
    """
    with _locked(folder.resolve()) as ours:
        if not ours:
            raise UnwritableError(f"another process works in {folder}; wait for its end, or choose another folder")
        yield


@contextlib.contextmanager
def _only_writer(path: Path, advice: str) -> Iterator[None]:
    with _locked(path.parent.resolve() / path.name) as ours:
        if not ours:
            raise UnwritableError(f"another process is writing {path}; {advice}")
        yield


@contextlib.contextmanager
def _locked(path: Path) -> Iterator[bool]:
    """Whether this process alone holds the lock of a path; a lock ends with the process that holds it.

    The locks lie in a private folder, where nobody can plant links and none is left beside the user's files. They hold
    for the processes of one user on one machine.
    """
    home = Path(tempfile.gettempdir()) / f"dfer-locks-{getattr(os, 'getuid', lambda: 0)()}"
    try:
        home.mkdir(mode=0o700, exist_ok=True)
        found = home.lstat()
        private = stat.S_ISDIR(found.st_mode) and (os.name != "posix" or found.st_uid == os.getuid())
    except OSError:
        private = False
    if not private:  # without a place for locks everything else still works
        yield True
        return
    lock = FileLock(home / hashlib.sha256(os.fsencode(path)).hexdigest())
    try:
        lock.acquire(timeout=0)
    except Timeout:
        yield False
        return
    except OSError:
        yield True
        return
    try:
        yield True
    finally:
        with contextlib.suppress(OSError):
            Path(lock.lock_file).unlink(missing_ok=True)
        lock.release()


def _mode_of(path: Path, folder: bool, advice: str) -> int | None:
    """The mode of the file that is replaced; None where there is none, or a link that is replaced."""
    try:
        found = path.lstat().st_mode
    except FileNotFoundError:
        return None
    if stat.S_ISLNK(found) and not folder:
        if not path.exists() or path.is_file():
            return None
        found = path.stat().st_mode  # /dev/stdout is a link to a device: as little to be replaced as that
    if stat.S_IFMT(found) == (stat.S_IFDIR if folder else stat.S_IFREG):
        return stat.S_IMODE(found)
    told = KINDS.get(stat.S_IFMT(found), "a device")
    raise DferError(f"cannot write {path}: it is {told}; {advice}")


def _reserved(path: Path, folder: bool, mode: int | None) -> Path:
    """A new file or folder with a name of its own; never one that is there, or where a link leads."""
    begin, end = _unfinished(path)
    place = path.with_name(f"{begin}{secrets.token_hex(8)}{end}")
    if folder:
        place.mkdir()
    else:
        flags = os.O_CREAT | os.O_EXCL | os.O_WRONLY | getattr(os, "O_NOFOLLOW", 0)
        os.close(os.open(place, flags, 0o666 if mode is None else mode | 0o600))
    return place


def _unfinished(path: Path) -> tuple[str, str]:
    """How the names of unfinished forms of a file, and of no other file, begin and end."""
    mark = hashlib.sha256(os.fsencode(path.name)).hexdigest()[:8]
    return f".{path.stem[:STEM]}.{mark}", f".partial{path.suffix if len(path.suffix) <= SUFFIX else ''}"


def _remove_leftovers(path: Path) -> None:
    """Remove what processes that were killed while they wrote this file left; its lock is held, so nobody writes it.

    A folder is searched once, for a data set has many files in one.
    """
    if path.parent not in _leftovers:
        with contextlib.suppress(OSError):
            names = [entry.name for entry in os.scandir(path.parent) if ".partial" in entry.name]
            _leftovers[path.parent] = [name for name in names if is_unfinished(name)]
    begin, end = _unfinished(path)
    for name in _leftovers.get(path.parent, []):
        if name.startswith(begin) and name.endswith(end):
            _remove(path.with_name(name))


def search_anew() -> None:
    """Look for leftovers in every folder again: a process that worked beside this one was killed."""
    _leftovers.clear()


def _remove(place: Path) -> None:
    with contextlib.suppress(OSError):
        if place.is_dir() and not place.is_symlink():
            shutil.rmtree(place)
        else:
            place.unlink(missing_ok=True)


def write_text(path: Path, text: str, *, advice: str = "choose another place") -> None:
    """Write a text in one go, as UTF-8; a name of a file that is not valid Unicode in it becomes an escape.

    Raises:
        UnwritableError: as `replacing`.
    """
    with replacing(path, advice=advice) as partial:
        partial.write_text(text, encoding="utf-8", errors="backslashreplace")
