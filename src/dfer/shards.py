"""Shards: Arrow files (IPC, uncompressed) that hold many packed clips, a record batch each, and are memory-mapped.

    name      what the clip is called in its shard; `shard-00003.arrow#name` is its path
    id        as in the manifest
    shape     frames, height, width, channels
    changed   when its source last changed, ns since 1970
    crc32     of the pixels
    pixels    uint8, in the order of the shape

Every reader of Arrow opens them; the schema's metadata say `dfer.shard: 1`. Everything is checked against the file when
a shard is opened, and the pixels of a clip against their checksum when a process first reads it.

A shard of JPEGs has `jpegs` in place of `pixels`, a list of JPEG files, one a frame. Its metadata say `dfer.shard: 2`
and `dfer.jpeg`, their quality. The checksum is that of their lengths (int64, little-endian), and of all files in a row.
"""

from __future__ import annotations

import contextlib
import itertools
import math
import re
import struct
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from dfer.errors import DferError, shortened
from dfer.files import require_file

Frames = npt.NDArray[np.uint8]
SUFFIX = ".arrow"
PLACE = re.compile(rf"(.+{re.escape(SUFFIX)})#([A-Za-z0-9_.-]+)", re.DOTALL)
"""The path of a clip in a shard."""
KEY, QUALITY, PIXELS, JPEGS = "dfer.shard", "dfer.jpeg", 1, 2
"""Keys of the metadata; versions of shards of pixels and of JPEGs."""
START = 8
"""Bytes before the first message of an Arrow file."""
WIDEST = 8192
"""Pixels of an edge."""
UNREADABLE = (OSError, ValueError, TypeError, IndexError, OverflowError, MemoryError, StopIteration, struct.error)
"""What a damaged file may raise beside Arrow's own errors."""
AGAIN = "`dfer prepare --pack` packs it anew"


@dataclass(frozen=True)
class Jpegs:
    """The frames of a clip as JPEG files; `dfer.video.jpegs` decodes them.

    Attributes:
        files: T of them, (bytes,) uint8; views of the shard.
        shape: (T, H, W, C) of the frames.
        source: shard and clip, for messages.
    """

    files: tuple[Frames, ...]
    shape: tuple[int, ...]
    source: str = ""

    def __len__(self) -> int:
        return len(self.files)

    @property
    def nbytes(self) -> int:
        """Bytes of all files."""
        return sum(self.lengths.tolist())

    @property
    def lengths(self) -> npt.NDArray[np.int64]:
        """(T,) bytes of each file."""
        return np.array([file.nbytes for file in self.files], dtype="<i8")


Packed = Frames | Jpegs
Add = Callable[[str, str, Packed, int], None]
"""Adds a clip to a shard: its name there, its id, its frames (T, H, W, C), and when its source last changed, ns."""


@dataclass(frozen=True)
class Row:
    """A clip in a shard.

    Attributes:
        id: as in the manifest.
        frames: (T, H, W, C) uint8, or as JPEGs; views of the file.
        changed: when its source last changed, ns.
        crc32: what the checksum was.
        jpeg: the quality of JPEGs, 0 for pixels.
    """

    id: str
    frames: Packed
    changed: int
    crc32: int
    jpeg: int = 0

    @property
    def sound(self) -> bool:
        """Whether the frames are what was written."""
        return checksum(self.frames) == self.crc32


def checksum(frames: Packed) -> int:
    """CRC-32 of pixels, or of the lengths of JPEGs and the JPEGs."""
    if not isinstance(frames, Jpegs):
        return zlib.crc32(frames.data)
    found = zlib.crc32(frames.lengths.data)
    for file in frames.files:
        found = zlib.crc32(file.data, found)
    return found


def place_in_shard(path: Path) -> tuple[Path, str] | None:
    """The shard and the name of a clip in it; None for a path that leads to no shard.

    >>> place_in_shard(Path("dfew/shard-00003.arrow#00017"))
    (PosixPath('dfew/shard-00003.arrow'), '00017')
    """
    found = PLACE.fullmatch(str(path))
    return (Path(found[1]), found[2]) if found else None


def holding_file(path: Path) -> Path:
    """The file that a clip lies in: its shard, else the path itself."""
    place = place_in_shard(path)
    return place[0] if place else path


def open_row(shard: Path, name: str) -> Packed:
    """The frames of a clip, (T, H, W, C) uint8 or as JPEGs, memory-mapped.

    Raises:
        DferError: the shard cannot be read, has no such clip, or the pixels are not what was written.
    """
    rows, sound = _opened(shard)
    if name not in rows:
        raise DferError(
            f"{shard} has no clip {shortened(name)!r} among its {len(rows)}: the manifest belongs to another packing; "
            "write it anew with `dfer prepare --pack`"
        )
    if name not in sound:
        if not rows[name].sound:
            raise DferError(
                f"{shard}: the pixels of clip {rows[name].id} are damaged, their checksum is wrong; {AGAIN}"
            )
        sound.add(name)
    return rows[name].frames


def read_shard(shard: Path) -> dict[str, Row]:
    """The clips of a shard by name; their checksums are not looked at.

    Raises:
        DferError: it is no shard, cut short, damaged, or of a newer version.
    """
    return _opened(shard)[0]


@contextlib.contextmanager
def shard_writer(path: Path, *, jpeg: int = 0) -> Iterator[Add]:
    """Writes a new shard; it is whole when the block ends.

    Args:
        path: of the shard.
        jpeg: the quality of the JPEGs that are added; 0 for pixels.
    """
    import pyarrow as pa

    schema = _schema(pa, jpeg)
    with path.open("wb") as file, pa.ipc.new_file(file, schema.with_metadata(_metadata(jpeg))) as writer:

        def add(name: str, identifier: str, frames: Packed, changed: int) -> None:
            held = frames if isinstance(frames, Jpegs) else np.ascontiguousarray(frames)
            values = [name], [identifier], [list(held.shape)], [changed], [checksum(held)]
            columns = [pa.array(value, kind) for value, kind in zip(values, schema.types[:-1], strict=True)]
            columns.append(_column(pa, held))
            writer.write_batch(pa.record_batch(columns, schema=schema))

        yield add


def _column(pa: Any, frames: Packed) -> Any:
    """The frames of one clip as a column of one row."""
    if isinstance(frames, Jpegs):
        return pa.array([[file.tobytes() for file in frames.files]], pa.list_(_file(pa)))
    ends = pa.py_buffer(np.array([0, frames.nbytes], np.int64))
    return pa.Array.from_buffers(pa.large_binary(), 1, [None, ends, pa.py_buffer(frames)])


def _metadata(jpeg: int) -> dict[str, str]:
    return {KEY: str(JPEGS), QUALITY: str(jpeg)} if jpeg else {KEY: str(PIXELS)}


def _schema(pa: Any, jpeg: int) -> Any:
    pixels = pa.field("pixels", pa.large_binary(), nullable=False)
    jpegs = pa.field("jpegs", pa.list_(_file(pa)), nullable=False)
    return pa.schema([
        pa.field("name", pa.string(), nullable=False), pa.field("id", pa.string(), nullable=False),
        pa.field("shape", pa.list_(pa.int32(), 4), nullable=False), pa.field("changed", pa.int64(), nullable=False),
        pa.field("crc32", pa.uint32(), nullable=False), jpegs if jpeg else pixels,
    ])  # fmt: skip


def _file(pa: Any) -> Any:
    return pa.field("jpeg", pa.large_binary(), nullable=False)


def _opened(shard: Path) -> tuple[dict[str, Row], set[str]]:
    """The clips of a shard, and the names of those whose checksum was right; kept as long as the file is the same."""
    size = require_file(shard)
    return _kept(shard, size, shard.stat().st_mtime_ns)


@cache
def _kept(shard: Path, _size: int, _changed: int) -> tuple[dict[str, Row], set[str]]:
    import pyarrow as pa

    try:
        with pa.memory_map(str(shard)) as file:
            reader = pa.ipc.open_file(file)
            jpeg = _require_schema(shard, reader.schema, pa)
            return {
                name: row for batch in _batches(file, reader, pa) for name, row in [_row(shard, batch, jpeg)]
            }, set()
    except (*UNREADABLE, pa.ArrowException) as error:
        told = shortened(" ".join(str(error).split()) or "out of memory", 200)
        raise DferError(f"{shard}: not a shard that can be read: {told}; {AGAIN}") from error


def _batches(file: Any, reader: Any, pa: Any) -> Iterator[Any]:
    """The record batches as they lie in the file; a compressed one is refused before memory is taken for it."""
    file.seek(START)
    messages = iter(pa.ipc.MessageReader.open_stream(file))
    next(messages, None)  # the schema
    for number, message in zip(range(reader.num_record_batches), messages, strict=True):
        if _is_compressed(message.metadata.to_pybytes()):
            raise ValueError(f"record batch {number} is compressed")
        yield pa.ipc.read_record_batch(message, reader.schema)


def _is_compressed(message: bytes) -> bool:
    """Whether a message (a flatbuffer, as Arrow's Message.fbs has it) holds a record batch with compressed buffers."""

    def number(kind: str, place: int) -> int:
        return int(struct.unpack_from(f"<{kind}", message, place)[0])

    def field(table: int, which: int) -> int:
        """Where a field of a table begins, from the table on; 0 if it is not there."""
        known = table - number("i", table)
        return number("H", known + 4 + 2 * which) if 4 + 2 * which < number("H", known) else 0

    root = number("I", 0)
    header = root + field(root, 2)
    return field(header + number("I", header), 3) > 0


def _require_schema(shard: Path, schema: Any, pa: Any) -> int:
    """The quality of a shard's JPEGs, 0 for pixels; raises where it is no shard."""
    version, quality = ((schema.metadata or {}).get(key.encode(), b"").decode("latin-1") for key in (KEY, QUALITY))
    if re.fullmatch("[0-9]+", version) and int(version[:9]) > JPEGS:
        raise DferError(
            f"{shard} is a shard of version {shortened(version, 20)}, and this dfer reads versions {PIXELS} and "
            f"{JPEGS}; update dfer, or pack the clips again"
        )
    jpeg = int(quality) if version == str(JPEGS) and re.fullmatch("[1-9][0-9]?|100", quality) else 0
    if version != _metadata(jpeg)[KEY] or not schema.equals(_schema(pa, jpeg)):
        raise ValueError(
            f"expected the metadata {KEY}: {PIXELS} and the columns {', '.join(_schema(pa, 0).names)}; "
            f"or {KEY}: {JPEGS}, {QUALITY}: a quality from 1 to 100, and jpegs for pixels"
        )
    return jpeg


def _row(shard: Path, batch: Any, jpeg: int) -> tuple[str, Row]:
    batch.validate(full=True)
    if len(batch) != 1 or any(column.null_count for column in batch.columns):
        raise ValueError(f"expected one clip in each record batch, found {len(batch)}")
    name, identifier, shape, changed, crc32 = (column[0].as_py() for column in batch.columns[:-1])
    if not all(0 < edge <= most for edge, most in zip(shape, (2**31, WIDEST, WIDEST, 3), strict=True)) or shape[3] == 2:
        raise ValueError(f"expected frames, height, width and 1 or 3 channels, found {shape}")
    files = _views(batch.columns[-1].flatten() if jpeg else batch.columns[-1])
    if jpeg:
        if len(files) != shape[0]:
            raise ValueError(f"expected {shape[0]} JPEGs, found {len(files)}")
        return name, Row(identifier, Jpegs(files, tuple(shape), f"{shard}: clip {identifier}"), changed, crc32, jpeg)
    (pixels,) = files
    if len(pixels) != math.prod(shape):
        raise ValueError(f"{shape} takes {math.prod(shape)} bytes, the clip has {len(pixels)}")
    return name, Row(identifier, pixels.reshape(shape), changed, crc32)


def _views(column: Any) -> tuple[Frames, ...]:
    """The cells of a column of bytes, without a copy; a scalar would make one."""
    if column.null_count:
        raise ValueError("expected a file in each cell")
    _, ends, values = column.buffers()
    ends = np.frombuffer(ends, np.int64)[column.offset :][: len(column) + 1].tolist()
    held = np.frombuffer(values or b"", np.uint8)
    return tuple(held[begin:end] for begin, end in itertools.pairwise(ends))
