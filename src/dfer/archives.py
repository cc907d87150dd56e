"""Zip archives that somebody else may have made: members are looked at before they are read, and read within limits."""

from __future__ import annotations

import lzma
import struct
import zipfile
import zlib
from pathlib import Path

from dfer.errors import DferError, shortened
from dfer.files import require_file

MEGABYTE = 2**20
LARGEST = 64 * MEGABYTE
"""Bytes of a member as it is read, unless its reader says otherwise."""
MOST_MEMBERS = 2_000_000
FAULTS = (
    zipfile.BadZipFile, zlib.error, lzma.LZMAError, struct.error,
    OSError, EOFError, KeyError, ValueError, RuntimeError, NotImplementedError,
)  # fmt: skip
"""What the readers of archives raise: also of a password, and of compression that Python does not know."""


def open_archive(path: Path, what: str = "a zip archive") -> zipfile.ZipFile:
    """An archive, opened; whoever opens it closes it; `what` is what an error calls it.

    Raises:
        DferError: it is no file, or no archive that can be read.
    """
    require_file(path)
    try:
        archive = zipfile.ZipFile(path)
    except FAULTS as error:
        raise DferError(f"{path} cannot be read as {what}: {reason(error)}; get it again") from error
    if len(archive.filelist) > MOST_MEMBERS:
        archive.close()
        raise DferError(f"{path}: expected at most {MOST_MEMBERS:,} members, got {len(archive.filelist):,}")
    return archive


def read_member(archive: zipfile.ZipFile, name: str, *, largest: int = LARGEST) -> bytes:
    """A member of an archive, whole.

    Args:
        archive: that is open.
        name: of the member.
        largest: the bytes that it may have.

    Raises:
        DferError: it is missing, larger, or damaged (its checksum is wrong); names archive and member.
    """
    place = f"{archive.filename}/{shortened(name)}"
    try:
        member = archive.getinfo(name)
        if member.file_size > largest:
            told = f"expected at most {largest / MEGABYTE:.0f} MB, got {member.file_size / MEGABYTE:.0f} MB"
            raise DferError(f"{place}: {told}")
        return archive.read(member)
    except DferError:
        raise
    except FAULTS as error:
        raise DferError(f"{place} cannot be read: {reason(error)}") from error


def reason(error: BaseException) -> str:
    """What went wrong, in a few words."""
    if isinstance(error, KeyError):
        return "it is not in the archive"
    return shortened((isinstance(error, OSError) and error.strerror) or str(error) or repr(error), 200)
