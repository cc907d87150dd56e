"""Shards: Arrow files (IPC, uncompressed) that hold many packed clips, a record batch each, and are memory-mapped.

    name      what the clip is called in its shard; `shard-00003.arrow#name` is its path
    id        as in the manifest
    shape     frames, height, width, channels
    changed   when its source last changed, ns since 1970
    crc32     of the pixels
    pixels    uint8, in the order of the shape

Every reader of Arrow opens them; the schema's metadata say `dfer.shard: 1`. Everything is checked against the file when
a shard is opened, and the pixels of a clip against their checksum when a process first reads it.
"""

from __future__ import annotations

import contextlib
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
Add = Callable[[str, str, Frames, int], None]
"""Adds a clip to a shard: its name there, its id, its frames (T, H, W, C), and when its source last changed, ns."""
KEY, VERSION = "dfer.shard", 1
START = 8
"""Bytes before the first message of an Arrow file."""
WIDEST = 8192
"""Pixels of an edge."""
UNREADABLE = (OSError, ValueError, TypeError, IndexError, OverflowError, MemoryError, StopIteration, struct.error)
"""What a damaged file may raise beside Arrow's own errors."""
AGAIN = "`dfer prepare --pack` packs it anew"


@dataclass(frozen=True)
class Row:
    """A clip in a shard.

    Attributes:
        id: as in the manifest.
        frames: (T, H, W, C) uint8, a view of the file.
        changed: when its source last changed, ns.
        crc32: what the checksum of the pixels was.
    """

    id: str
    frames: Frames
    changed: int
    crc32: int

    @property
    def sound(self) -> bool:
        """Whether the pixels are what was written."""
        return zlib.crc32(self.frames.data) == self.crc32


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


def open_row(shard: Path, name: str) -> Frames:
    """The frames of a clip, (T, H, W, C) uint8, memory-mapped.

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
def shard_writer(path: Path) -> Iterator[Add]:
    """Writes a new shard; it is whole when the block ends."""
    import pyarrow as pa

    schema = _schema(pa)
    with path.open("wb") as file, pa.ipc.new_file(file, schema.with_metadata({KEY: str(VERSION)})) as writer:

        def add(name: str, identifier: str, frames: Frames, changed: int) -> None:
            pixels = np.ascontiguousarray(frames)
            values = [name], [identifier], [list(pixels.shape)], [changed], [zlib.crc32(pixels.data)]
            columns = [pa.array(value, kind) for value, kind in zip(values, schema.types[:-1], strict=True)]
            ends = pa.py_buffer(np.array([0, pixels.nbytes], np.int64))
            columns.append(pa.Array.from_buffers(pa.large_binary(), 1, [None, ends, pa.py_buffer(pixels)]))
            writer.write_batch(pa.record_batch(columns, schema=schema))

        yield add


def _schema(pa: Any) -> Any:
    return pa.schema([
        pa.field("name", pa.string(), nullable=False), pa.field("id", pa.string(), nullable=False),
        pa.field("shape", pa.list_(pa.int32(), 4), nullable=False), pa.field("changed", pa.int64(), nullable=False),
        pa.field("crc32", pa.uint32(), nullable=False), pa.field("pixels", pa.large_binary(), nullable=False),
    ])  # fmt: skip


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
            _require_schema(shard, reader.schema, pa)
            return dict(map(_row, _batches(file, reader, pa))), set()
    except (*UNREADABLE, pa.ArrowException) as error:
        told = shortened(" ".join(str(error).split()) or "out of memory", 200)
        raise DferError(f"{shard}: not a shard that can be read: {told}; {AGAIN}") from error


def _batches(file: Any, reader: Any, pa: Any) -> Iterator[Any]:
    """The record batches as they lie in the file; a compressed one is refused before memory is taken for it."""
    file.seek(START)
    messages = pa.ipc.MessageReader.open_stream(file)
    messages.read_next_message()  # the schema
    for number in range(reader.num_record_batches):
        message = messages.read_next_message()
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


def _require_schema(shard: Path, schema: Any, pa: Any) -> None:
    version = (schema.metadata or {}).get(KEY.encode(), b"").decode("latin-1")
    if version.isdecimal() and int(version) > VERSION:
        raise DferError(
            f"{shard} is a shard of version {shortened(version, 20)}, and this dfer reads version {VERSION}; "
            "update dfer, or pack the clips again"
        )
    if version != str(VERSION) or not schema.equals(_schema(pa)):
        raise ValueError(f"expected the metadata {KEY}: {VERSION} and the columns {', '.join(_schema(pa).names)}")


def _row(batch: Any) -> tuple[str, Row]:
    batch.validate(full=True)
    if len(batch) != 1 or any(column.null_count for column in batch.columns):
        raise ValueError(f"expected one clip in each record batch, found {len(batch)}")
    name, identifier, shape, changed, crc32 = (column[0].as_py() for column in batch.columns[:-1])
    _, ends, values = batch.columns[-1].buffers()  # a scalar would copy them
    begin, end = np.frombuffer(ends, np.int64)[batch.columns[-1].offset :][:2]
    pixels = np.frombuffer(values, np.uint8)[begin:end]
    if not all(0 < edge <= most for edge, most in zip(shape, (2**31, WIDEST, WIDEST, 3), strict=True)) or shape[3] == 2:
        raise ValueError(f"expected frames, height, width and 1 or 3 channels, found {shape}")
    if len(pixels) != math.prod(shape):
        raise ValueError(f"{shape} takes {math.prod(shape)} bytes, the clip has {len(pixels)}")
    return name, Row(identifier, pixels.reshape(shape), changed, crc32)
