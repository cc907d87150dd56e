"""Files that appear in one go: what goes wrong on the way leaves the former one, or none, never half of one."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

from dfer.errors import UnwritableError


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
