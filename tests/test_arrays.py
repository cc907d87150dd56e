"""Packed clips: NumPy's own files are read, headers that are not true are refused before anything is mapped."""

from __future__ import annotations

import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from dfer.arrays import open_array
from dfer.errors import DferError


def write(path: Path, header: str, values: bytes = bytes(4 * 8 * 8 * 3), version: int = 1) -> Path:
    text = header.encode("latin-1")
    length = struct.pack("<H" if version == 1 else "<I", len(text))
    path.write_bytes(b"\x93NUMPY" + bytes([version, 0]) + length + text + values)
    return path


@pytest.mark.parametrize("shape", [(1, 2, 3, 1), (5, 16, 16, 3)])
@pytest.mark.parametrize("order", ["C", "F"])
@pytest.mark.parametrize("version", [(1, 0), (2, 0), (3, 0)])
def test_what_numpy_writes_is_read(tmp_path: Path, shape: Any, order: Any, version: Any) -> None:
    array = np.asarray(np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8), order=order)
    with (tmp_path / "a.npy").open("wb") as file:
        np.lib.format.write_array(file, array, version=version)
    np.testing.assert_array_equal(open_array(tmp_path / "a.npy"), array)


GOOD = "{'descr': '|u1', 'fortran_order': False, 'shape': (4, 8, 8, 3), }\n"


def test_a_header_of_ones_own_is_read_when_it_is_true(tmp_path: Path) -> None:
    assert open_array(write(tmp_path / "a.npy", GOOD)).shape == (4, 8, 8, 3)
    assert open_array(write(tmp_path / "a.npy", GOOD, version=2)).shape == (4, 8, 8, 3)


@pytest.mark.parametrize(
    "header",
    [
        GOOD.replace("4", "-1"),
        GOOD.replace("4", "True"),
        GOOD.replace("4", "4.0"),
        GOOD.replace("4", "9" * 30),
        GOOD.replace("4", "3"),
        GOOD.replace("4", "5"),
        GOOD.replace("(4, 8, 8, 3)", "(4, 0, 0, 3)"),
        GOOD.replace("(4, 8, 8, 3)", "(768,)"),
        GOOD.replace("(4, 8, 8, 3)", "[4, 8, 8, 3]"),
        GOOD.replace("(4, 8, 8, 3)", "(1, 1, 768, 1)")[:-4],
        GOOD.replace("|u1", "|i1"),
        GOOD.replace("|u1", "|O"),
        GOOD.replace("'|u1'", "[('a', '|u1')]"),
        GOOD.replace("False", "0"),
        GOOD.replace("False", "F4lse"),
        GOOD.replace("'descr'", "'descrse, "),
        GOOD.replace("descr", "other"),
        "__import__('os').abort()",
        "(" * 3000,
        "1" * 4000,
        " " * 5000 + GOOD,
        "",
    ],
)
def test_a_header_that_is_not_true_is_refused(tmp_path: Path, header: str) -> None:
    with pytest.raises(
        DferError, match=r"a\.npy: not a packed clip that can be read: .*; pack the clips again"
    ) as told:
        open_array(write(tmp_path / "a.npy", header))
    assert len(str(told.value)) <= 500


def test_a_header_that_ends_behind_the_file_is_refused(tmp_path: Path) -> None:
    for data in (b"", b"\x93NUMPY", b"\x93NUMPY\x01\x00\xff\xff", b"\x93NUMPY\x09\x00\x05\x00abcde", b"PK\x03\x04"):
        (tmp_path / "a.npy").write_bytes(data)
        with pytest.raises(DferError, match="not a packed clip"):
            open_array(tmp_path / "a.npy")
