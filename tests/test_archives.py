"""Archives of strangers: members are read within limits, and a wrong checksum is a fault with a name."""

from __future__ import annotations

import zipfile
from pathlib import Path

import pytest

from dfer.archives import open_archive, read_member
from dfer.errors import DferError


def write(path: Path, **members: bytes) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    return path


def test_a_member_is_read_and_a_missing_one_is_named(tmp_path: Path) -> None:
    with open_archive(write(tmp_path / "a.zip", one=b"1", two=b"")) as archive:
        assert (read_member(archive, "one"), read_member(archive, "two")) == (b"1", b"")
        with pytest.raises(DferError, match=r"a\.zip/three cannot be read: it is not in the archive"):
            read_member(archive, "three")


def test_a_member_that_would_be_large_is_refused_before_it_is_read(tmp_path: Path) -> None:
    path = write(tmp_path / "a.zip", zeros=bytes(300 * 2**20))
    assert path.stat().st_size < 2**20
    with (
        open_archive(path) as archive,
        pytest.raises(DferError, match=r"a\.zip/zeros: expected at most 64 MB, got 300"),
    ):
        read_member(archive, "zeros")


def test_a_wrong_checksum_is_refused_with_the_member(tmp_path: Path) -> None:
    path = write(tmp_path / "a.zip", one=b"one", other=b"other")
    with zipfile.ZipFile(path) as archive:
        crc = archive.getinfo("one").CRC.to_bytes(4, "little")
    path.write_bytes(path.read_bytes().replace(crc, bytes(4)))
    with open_archive(path) as archive:
        with pytest.raises(DferError, match=r"a\.zip/one cannot be read: Bad CRC-32"):
            read_member(archive, "one")
        assert read_member(archive, "other") == b"other"


def test_what_is_no_archive_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.zip").write_bytes(b"PK\x03\x04 no archive")
    with pytest.raises(DferError, match=r"a\.zip cannot be read as a zip archive: .*; get it again"):
        open_archive(tmp_path / "a.zip")
    with pytest.raises(DferError, match=r"expected a file, got a folder"):
        open_archive(tmp_path)
