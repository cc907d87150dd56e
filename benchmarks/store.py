"""In which format should packed clips lie? Reading in order and at random, size, and what is left of a cut file.

Clips of 16 frames of 160 x 160 RGB, drawn as in `input.py`: a folder of .npy files, Arrow (the shards of dfer), Arrow
with JPEGs inside, Parquet with a row group a clip, and a tar as WebDataset reads it. A clip is read when its frames are
an array in memory. Then each file is cut at nine tenths of its length: whether its reader says so, and how many clips
can still be read. Processor time, one thread; files lie in the cache of the system.
"""

from __future__ import annotations

import contextlib
import io
import random
import tarfile
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq
from results import write_result

from dfer.arrays import open_array
from dfer.errors import DferError
from dfer.shards import open_row, shard_writer

CLIPS, FRAMES, SIZE = 96, 16, 160
ROUNDS = 3
Frames = npt.NDArray[np.uint8]
Read = Callable[[int], Frames]
BUFFER = np.empty((FRAMES, SIZE, SIZE, 3), np.uint8)
FAULTS = (DferError, pa.ArrowException, OSError, tarfile.TarError, ValueError)


@dataclass(frozen=True)
class Format:
    """A way to store clips: what writes them all, and what opens them for reading by their numbers."""

    write: Callable[[Path, list[Frames]], None]
    read: Callable[[Path], Read]
    mapped: bool


def draw() -> Iterator[Frames]:
    generator = np.random.default_rng(0)
    for _ in range(CLIPS):
        soft = generator.integers(0, 256, (12, 12, 3), np.uint8)
        picture = cv2.resize(soft, (SIZE, SIZE), interpolation=cv2.INTER_CUBIC).astype(np.int16)
        moved = np.stack([np.roll(picture, frame, axis=1) for frame in range(FRAMES)])
        yield (moved + generator.normal(0, 2, moved.shape)).clip(0, 255).astype(np.uint8)


def encode(clip: Frames) -> list[bytes]:
    return [cv2.imencode(".jpg", frame, [cv2.IMWRITE_JPEG_QUALITY, 92])[1].tobytes() for frame in clip]


def in_memory(frames: Frames) -> Frames:
    """Mapped frames, copied into memory that is at hand: what reading them costs."""
    np.copyto(BUFFER, frames)
    return BUFFER


def write_npy(place: Path, clips: list[Frames]) -> None:
    place.mkdir()
    for number, clip in enumerate(clips):
        np.save(place / f"{number}.npy", clip)


def write_shard(place: Path, clips: list[Frames]) -> None:
    with shard_writer(place) as add:
        for number, clip in enumerate(clips):
            add(str(number), str(number), clip, 0)


def write_jpegs(place: Path, clips: list[Frames]) -> None:
    schema = pa.schema({"frames": pa.list_(pa.binary())})
    with pa.OSFile(str(place), "wb") as file, pa.ipc.new_file(file, schema) as writer:
        for clip in clips:
            writer.write_batch(pa.record_batch({"frames": [encode(clip)]}, schema=schema))


def read_jpegs(place: Path) -> Read:
    reader = pa.ipc.open_file(pa.memory_map(str(place)))

    def read(number: int) -> Frames:
        frames = reader.get_batch(number)["frames"][0].values
        return np.stack([cv2.imdecode(np.frombuffer(frame.as_buffer(), np.uint8), 1) for frame in frames])

    return read


def write_parquet(place: Path, clips: list[Frames]) -> None:
    schema = pa.schema({"pixels": pa.large_binary()})
    with pq.ParquetWriter(place, schema, compression="none", use_dictionary=False) as writer:
        for clip in clips:
            writer.write_table(pa.table({"pixels": [clip.tobytes()]}, schema=schema), row_group_size=1)


def read_parquet(place: Path) -> Read:
    file = pq.ParquetFile(place, memory_map=True)
    shape = (FRAMES, SIZE, SIZE, 3)

    def read(number: int) -> Frames:
        pixels = file.read_row_group(number, use_threads=False)["pixels"][0].as_buffer()
        return in_memory(np.frombuffer(pixels, np.uint8).reshape(shape))

    return read


def write_tar(place: Path, clips: list[Frames]) -> None:
    with tarfile.open(place, "w") as tar:
        for number, clip in enumerate(clips):
            data = io.BytesIO()
            np.save(data, clip)
            member = tarfile.TarInfo(f"{number:06d}.npy")
            member.size = data.tell()
            data.seek(0)
            tar.addfile(member, data)


def read_tar(place: Path) -> Read:
    tar = tarfile.open(place)  # noqa: SIM115 (it is read for as long as the benchmark runs)
    members = []  # an index: goes through the whole file
    with contextlib.suppress(tarfile.TarError):  # a cut: those in front of it are left
        while member := tar.next():
            members.append(member)

    def read(number: int) -> Frames:
        file = tar.extractfile(members[number])
        assert file is not None
        return in_memory(np.load(io.BytesIO(file.read())))

    return read


FORMATS = {
    ".npy, a file a clip": Format(write_npy, lambda place: lambda k: in_memory(open_array(place / f"{k}.npy")), True),
    "Arrow, uint8 (dfer's shards)": Format(
        write_shard, lambda place: lambda k: in_memory(open_row(place, str(k))), True
    ),
    "Arrow, JPEG": Format(write_jpegs, read_jpegs, True),
    "Parquet, uint8": Format(write_parquet, read_parquet, False),
    "WebDataset (tar of .npy)": Format(write_tar, read_tar, False),
}


def spent(work: Callable[[], object]) -> float:
    begin = time.process_time()
    work()
    return 1000 * (time.process_time() - begin)


def after_a_cut(form: Format, place: Path) -> tuple[bool, int]:
    """Whether the reader of a cut file says that it is damaged, and how many clips it still gives."""
    if place.is_dir():
        cut = place / f"{CLIPS - 1}.npy"
        cut.write_bytes(cut.read_bytes()[: cut.stat().st_size * 9 // 10])
    else:
        cut = place.with_name("cut" + place.suffix)
        cut.write_bytes(place.read_bytes()[: place.stat().st_size * 9 // 10])
    told, readable = False, 0
    try:
        read = form.read(place if place.is_dir() else cut)
        for number in range(CLIPS):
            try:
                read(number)
                readable += 1
            except FAULTS:
                told = True
            except IndexError:  # its index is shorter, and that is all
                break
    except FAULTS:
        told = True
    return told, readable


def measured(form: Format, place: Path, clips: list[Frames]) -> dict[str, float | bool]:
    written = spent(lambda: form.write(place, clips))
    order = list(range(CLIPS))
    shuffled = random.Random(0).sample(order, CLIPS)
    opened = spent(lambda: form.read(place)(0))
    read = form.read(place)
    for number in order:
        assert form.read is read_jpegs or np.array_equal(read(number), clips[number])
    ways = {name: min(spent(lambda row=row: [read(k) for k in row]) for _ in range(ROUNDS)) / CLIPS  # type: ignore[misc]
            for name, row in (("in order", order), ("at random", shuffled))}  # fmt: skip
    size = sum(file.stat().st_size for file in (place.rglob("*") if place.is_dir() else [place]))
    told, readable = after_a_cut(form, place)
    return {
        "KB a clip": round(size / CLIPS / 1000), "ms to write": round(written / CLIPS, 3),
        "ms to open": round(opened, 1),
        **{f"ms {name}": round(value, 3) for name, value in ways.items()},
        "memory-mapped": form.mapped, "cut is told": told, "clips after a cut": readable,
    }  # fmt: skip


def main() -> None:
    cv2.setNumThreads(1)
    pa.set_cpu_count(1)
    clips = list(draw())
    with tempfile.TemporaryDirectory() as folder:
        rows = {
            name: measured(form, Path(folder) / f"{number}.store", clips)
            for number, (name, form) in enumerate(FORMATS.items())
        }
    names = list(next(iter(rows.values())))
    print(f"{'':30}" + "".join(f"{name:>18}" for name in names))
    for name, values in rows.items():
        print(f"{name:30}" + "".join(f"{value!s:>18}" for value in values.values()))
    write_result("store", {"clips": CLIPS, "frames": FRAMES, "size": SIZE, "formats": rows})


if __name__ == "__main__":
    main()
