"""Packed clips, (T, H, W, C) uint8: in shards, or as .npy files, whose header is checked before anything is read."""

from __future__ import annotations

import math
import mmap
import re
from pathlib import Path
from typing import Any

import numpy as np

from dfer.errors import DferError, shortened
from dfer.files import require_file
from dfer.shards import Packed, open_row, place_in_shard

MAGIC = b"\x93NUMPY"
LONGEST = 4096
"""Bytes of a header; NumPy writes 128."""
WIDEST = 8192
"""Pixels of an edge."""
HEADER = re.compile(
    r"\{'descr': '\|?u1', 'fortran_order': (True|False), "
    r"'shape': \((\d{1,9}), ?(\d{1,9}), ?(\d{1,9}), ?([13])\),? ?\}\s*",
    re.ASCII,
)
"""As NumPy writes it."""
SIZES = {1: 2, 2: 4, 3: 4}
"""Version of the format -> bytes that hold the length of the header."""


def open_array(path: Path) -> Packed:
    """The frames of a packed clip, (T, H, W, 3 or 1) uint8 or as JPEGs, memory-mapped.

    Raises:
        DferError: it is no file, not of this form, or its length is not what its header says; or as `open_row`.
    """
    place = place_in_shard(path)
    if place:
        return open_row(*place)
    size = require_file(path)
    try:
        with path.open("rb") as file:
            values = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) if size else b""
        header, offset = _header(values[: len(MAGIC) + 2 + 4 + LONGEST])
        shape, order = _shape(header)
    except OSError as error:
        raise DferError(f"{path} cannot be read: {error.strerror}") from error
    except ValueError as error:
        told = shortened(" ".join(str(error).split()))
        raise DferError(f"{path}: not a packed clip that can be read: {told}; pack the clips again") from error
    if size != offset + math.prod(shape):
        told = f"{shape} takes {offset + math.prod(shape)} bytes, the file has {size}"
        raise DferError(f"{path}: not a packed clip that can be read: {told}; pack the clips again")
    return np.frombuffer(values, np.uint8, offset=offset).reshape(shape, order=order)


def _header(start: bytes) -> tuple[str, int]:
    """What the header says, and where the values begin."""
    if not start.startswith(MAGIC) or len(start) < 10 or start[6] not in SIZES:
        raise ValueError("it does not begin as a .npy file does")
    first = 8 + SIZES[start[6]]
    end = first + int.from_bytes(start[8:first], "little")
    if not first < end <= min(first + LONGEST, len(start)):
        raise ValueError(f"expected a header of 1 to {LONGEST} bytes, got {end - first}")
    return start[first:end].decode("latin-1"), end


def _shape(header: str) -> tuple[tuple[int, ...], Any]:
    """The shape, and "C" or "F" for the order of the values."""
    found = HEADER.fullmatch(header)
    edges = tuple(int(edge) for edge in found.groups()[1:]) if found else ()
    if not found or not edges[0] or not all(0 < edge <= WIDEST for edge in edges[1:3]):
        raise ValueError(f"expected (T, H, W, 3 or 1) uint8, found {shortened(header.strip())}")
    return edges, "F" if found[1] == "True" else "C"
