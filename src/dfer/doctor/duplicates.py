"""Clips that are there twice: the same bytes, or nearly the same pictures.

Conventions: who belongs together is told by a number each, (N,): clips of one number are doubles of each other, -1 has
none. Files are read in pieces, so that memory does not grow with them, and only as far as needed: sizes are compared
first, then a few bytes, then everything.
"""

from __future__ import annotations

import hashlib
import io
from collections import defaultdict
from collections.abc import Callable, Hashable, Iterator, Sequence
from pathlib import Path
from typing import IO, Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from dfer.archives import read_member
from dfer.arrays import open_array
from dfer.datasets import Manifest
from dfer.datasets.columns import texts
from dfer.doctor.disk import OnDisk, Progress, archive_of, frame_names, opened
from dfer.shards import Jpegs

Codes = NDArray[np.int64]
Bits = NDArray[np.bool_]

PIECE = 2**20
"""Bytes that are read at once."""
SAMPLE = 4096
"""Bytes from the beginning, the middle and the end of a file that are compared before all of it is read."""
NEAR = 0.03125
"""Share of the bits in which near-duplicates may differ."""
SPOT = 0.3
"""Standard deviations by which any spot of their small pictures may differ. A clip that was encoded once more, smaller
and darker, differs by 0.1 from itself; expressions of an actor before one wall, whose bits agree, by 0.4 to 1."""
PAIRS = 8192
"""Pairs whose small pictures are compared at once."""
BLOCK = 1024
"""Clips that are compared with the others at once: 64 MB of distances for 16,000 clips."""


def exact(manifest: Manifest, disk: Sequence[OnDisk], progress: Progress | None = None) -> Codes:
    """Clips of one kind that hold the same bytes; of a folder all frames in order, whatever their names.

    Args:
        manifest: N clips.
        disk: of `survey`, N; clips with a fault are passed over.
        progress: called with how many of the clips that may be doubles are read, and how many they are.

    Returns:
        (N,) numbers of doubles, -1 for none.
    """
    paths, kinds = manifest.table["path"].array, texts(manifest.table["kind"])
    groups = [[row for row in range(len(manifest)) if not disk[row].fault]]
    groups = _split(groups, lambda row: (kinds[row], disk[row].frames, disk[row].sizes))
    groups = _split(groups, lambda row: digest(manifest.resolve(paths[row]), kinds[row], whole=False))
    read, total = 0, sum(map(len, groups))

    def content(row: int) -> bytes:
        nonlocal read
        read += 1
        if progress is not None:
            progress(read, total)
        return digest(manifest.resolve(paths[row]), kinds[row])

    return _numbered(_split(groups, content), len(manifest))


def digest(path: Path, kind: str, *, whole: bool = True) -> bytes:
    """BLAKE2b of what a clip holds, or (not `whole`) of `SAMPLE` bytes at three places of it."""
    hashed = hashlib.blake2b(digest_size=16)
    for size, file in _files(path, kind, whole):
        with file:
            if whole:
                while piece := file.read(PIECE):
                    hashed.update(piece)
            else:
                for place in (0, size // 2, max(size - SAMPLE, 0)):
                    file.seek(place)
                    hashed.update(file.read(SAMPLE))
            hashed.update(size.to_bytes(8, "little"))  # where one frame ends and the next begins
    return hashed.digest()


def near(rows: Codes, bits: Bits, small: NDArray[np.float16], length: int) -> Codes:
    """Clips that look nearly the same: hashes that differ in few bits, and small pictures that differ nowhere by much.

    Args:
        rows: (M,) the clips that have a hash; not those of plain or unreadable pictures.
        bits: (M, b) their hashes, of `pictures.difference_hash`.
        small: (M, p) their small pictures, of `pictures.small_picture`.
        length: N, the number of all clips.

    Returns:
        (N,) numbers of doubles, -1 for none; nearness is passed on from one to the next.
    """
    signs = np.where(bits, 1, -1).astype(np.float32)
    # two rows of signs that differ in d of b bits have the product b - 2 d: a matrix product compares all with all
    least = bits.shape[1] * (1 - 2 * NEAR)
    pairs = [np.empty((2, 0), dtype=np.int64)]
    for start in range(0, len(rows), BLOCK):
        alike = signs[start : start + BLOCK] @ signs[start:].T >= least - 0.5
        found = np.stack(np.nonzero(np.triu(alike, 1))) + start
        for piece in np.array_split(found, range(PAIRS, found.shape[1], PAIRS), axis=1):
            apart = np.abs(small[piece[0]] - small[piece[1]]).max(axis=1, initial=0.0)
            pairs.append(piece[:, apart <= SPOT])
    first, second = np.concatenate(pairs, axis=1)
    graph = coo_array((np.ones(len(first)), (first, second)), shape=(len(rows), len(rows)))
    _, component = connected_components(graph, directed=False)
    groups: dict[int, list[int]] = defaultdict(list)
    for row, number in zip(rows.tolist(), component.tolist(), strict=True):
        groups[number].append(row)
    return _numbered([group for group in groups.values() if len(group) > 1], length)


def same(values: Sequence[str] | pd.Series[Any] | NDArray[np.object_]) -> Codes:
    """Which of N texts are equal, (N,) numbers; -1 for one that no other is equal to, and for ""."""
    codes, different = pd.factorize(pd.Series(values, copy=False))
    several = (np.bincount(codes, minlength=len(different)) > 1) & np.asarray(different != "")
    return np.where(several, several.cumsum() - 1, -1)[codes]


def _files(path: Path, kind: str, whole: bool) -> Iterator[tuple[int, IO[bytes]]]:
    """Size and content of a clip's files; of a folder that is not wanted whole, the frame in the middle."""
    if kind == "frames":
        frames = frame_names(path)
        for name, size in frames if whole else frames[len(frames) // 2 :][:1]:
            yield size, (path / name).open("rb")
        return
    if kind == "array":
        packed = open_array(path)
        pixels = np.concatenate(packed.files) if isinstance(packed, Jpegs) else np.ascontiguousarray(packed)
        yield pixels.nbytes, io.BytesIO(pixels.data)
        return
    archive = archive_of(path)
    if archive is None:
        yield path.stat().st_size, path.open("rb")
    else:
        data = read_member(opened(archive), path.relative_to(archive).as_posix())
        yield len(data), io.BytesIO(data)


def _split(groups: Sequence[Sequence[int]], key: Callable[[int], Hashable]) -> list[list[int]]:
    """Groups of rows that share a key as well; rows that are alone then are left out."""
    parted = []
    for group in groups:
        by_key: dict[Hashable, list[int]] = defaultdict(list)
        for row in group:
            by_key[key(row)].append(row)
        parted += [rows for rows in by_key.values() if len(rows) > 1]
    return parted


def _numbered(groups: Sequence[Sequence[int]], length: int) -> Codes:
    codes = np.full(length, -1, dtype=np.int64)
    for number, group in enumerate(groups):
        codes[list(group)] = number
    return codes
