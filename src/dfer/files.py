"""Reading files within a limit, and writing them in one go: a failure leaves the former file, or none, never half."""

from __future__ import annotations

import contextlib
import stat
from collections.abc import Iterator
from pathlib import Path

from dfer.errors import DferError, UnwritableError

KINDS = {stat.S_IFDIR: "a folder", stat.S_IFIFO: "a named pipe", stat.S_IFSOCK: "a socket"}


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


@contextlib.contextmanager
def replacing(path: Path, *, advice: str = "choose another place") -> Iterator[Path]:
    """A place beside `path` to write to, which takes its name at the end of the block; its folder is made.

    The suffix stays, for writers that go by it. What was written when the block fails is removed.

    Args:
        path: the file that is wanted.
        advice: what to do when it cannot be written.

    Raises:
        UnwritableError: the system refuses (no permission, a full disk).
    """
    path = Path(path)
    partial = path.with_name(f".{path.stem}.partial{path.suffix}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        yield partial
        partial.replace(path)
    except OSError as error:
        told = error.strerror or str(error)
        if isinstance(error, FileExistsError):  # what a file in the place of a folder is to mkdir
            told = f"{error.filename} is a file, not a folder"
        raise UnwritableError(f"cannot write {path}: {told}; {advice}") from error
    finally:
        with contextlib.suppress(OSError):
            partial.unlink(missing_ok=True)


def write_text(path: Path, text: str, *, advice: str = "choose another place") -> None:
    """Write a text in one go, as UTF-8; a name of a file that is not valid Unicode in it becomes an escape.

    Raises:
        UnwritableError: as `replacing`.
    """
    with replacing(path, advice=advice) as partial:
        partial.write_text(text, encoding="utf-8", errors="backslashreplace")
