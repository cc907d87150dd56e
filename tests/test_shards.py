"""Shards: every reader of Arrow opens them, each process maps them, and a fault of one is named in a sentence."""

from __future__ import annotations

import multiprocessing
import os
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dfer.arrays import open_array
from dfer.datasets import Manifest
from dfer.doctor.disk import look
from dfer.doctor.duplicates import exact
from dfer.errors import DferError
from dfer.labels import DFEW
from dfer.shards import open_row, read_shard, shard_writer
from dfer.video import open_clip
from dfer.video.folders import kind_of

Frames = np.ndarray[Any, np.dtype[np.uint8]]


def frames(seed: int, length: int = 5, size: int = 16, channels: int = 3) -> Frames:
    return np.random.default_rng(seed).integers(0, 256, (length, size, size, channels), np.uint8)


def write(path: Path, count: int = 4) -> list[Frames]:
    """A shard of clips c0, c1, ... of 5, 6, ... frames; the last one is grey."""
    clips = [frames(k, 5 + k, channels=1 if k == count - 1 else 3) for k in range(count)]
    with shard_writer(path) as add:
        for k, clip in enumerate(clips):
            add(f"c{k}", f"clip {k}", clip, 1_000 + k)
    return clips


def flip(path: Path, place: int) -> None:
    data = bytearray(path.read_bytes())
    data[place] ^= 4
    path.write_bytes(data)


def test_a_reader_of_arrow_that_knows_nothing_of_dfer_gets_the_clips(tmp_path: Path) -> None:
    clips = write(tmp_path / "shard-00000.arrow")
    with pa.memory_map(str(tmp_path / "shard-00000.arrow")) as file:
        table = pa.ipc.open_file(file).read_all()
    assert table.column_names == ["name", "id", "shape", "changed", "crc32", "pixels"]
    assert table["id"].to_pylist() == ["clip 0", "clip 1", "clip 2", "clip 3"]
    for row, clip in zip(table.to_pylist(), clips, strict=True):
        assert np.array_equal(np.frombuffer(row["pixels"], np.uint8).reshape(row["shape"]), clip)


def test_a_place_in_a_shard_is_a_packed_clip_wherever_one_is_taken(tmp_path: Path) -> None:
    clips = write(tmp_path / "shard-00000.arrow")
    for k, clip in enumerate(clips):
        place = tmp_path / f"shard-00000.arrow#c{k}"
        assert kind_of(place) == "array" and look(place, "array").frames == len(clip)
        opened = open_clip(place, "array", fps=10)
        assert len(opened) == len(clip) and opened.times[1] == pytest.approx(0.1)
        assert np.array_equal(opened.read(np.array([4, 0, 4])), clip[[4, 0, 4]])
    with pytest.raises(ValueError, match="read-only"):
        open_array(tmp_path / "shard-00000.arrow#c0")[0] = 0
    assert look(tmp_path / "gone.arrow#c0", "array").fault == "missing"


def test_the_doctor_finds_the_same_clip_in_two_shards(tmp_path: Path) -> None:
    write(tmp_path / "a.arrow")
    write(tmp_path / "b.arrow", count=2)
    paths = ["a.arrow#c0", "a.arrow#c1", "b.arrow#c0", "a.arrow#c2"]
    rows = pd.DataFrame({"id": list("wxyz"), "path": paths, "kind": "array", "label": "happy"})
    manifest = Manifest.build(rows, emotions=DFEW, root=tmp_path)
    doubles = exact(manifest, [look(manifest.resolve(path), "array") for path in paths])
    assert doubles[0] == doubles[2] >= 0 and doubles[1] == doubles[3] == -1


def test_pixels_are_mapped_and_not_copied(tmp_path: Path) -> None:
    clip = frames(0, length=40, size=200)
    with shard_writer(tmp_path / "a.arrow") as add:
        add("a", "a", clip, 0)
    before = pa.total_allocated_bytes()
    assert np.array_equal(open_row(tmp_path / "a.arrow", "a"), clip)
    assert pa.total_allocated_bytes() - before < clip.nbytes / 100


@pytest.mark.parametrize("clip", [0, 2])
def test_a_flipped_byte_is_named_with_clip_and_shard_and_the_others_are_read(tmp_path: Path, clip: int) -> None:
    path = tmp_path / "shard-00007.arrow"
    clips = write(path)
    flip(path, path.read_bytes().index(clips[clip].tobytes()) + 77)
    with pytest.raises(DferError, match=rf"shard-00007\.arrow: the pixels of clip clip {clip} are damaged.*anew$"):
        open_row(path, f"c{clip}")
    assert all(np.array_equal(open_row(path, f"c{k}"), clips[k]) for k in range(4) if k != clip)


@settings(max_examples=60, deadline=None)
@given(share=st.floats(0, 1, exclude_max=True))
def test_a_shard_that_is_cut_short_is_one_sentence(tmp_path_factory: pytest.TempPathFactory, share: float) -> None:
    path = tmp_path_factory.mktemp("cut") / "shard-00000.arrow"
    write(path, count=2)
    data = path.read_bytes()
    path.write_bytes(data[: int(share * len(data))])
    with pytest.raises(
        DferError, match=r"shard-00000\.arrow: not a shard that can be read: .*; `dfer prepare"
    ) as caught:
        open_row(path, "c0")
    assert len(str(caught.value).splitlines()) == 1


@settings(max_examples=150, deadline=None)
@given(place=st.floats(0, 1, exclude_max=True))
def test_whatever_byte_is_flipped_a_clip_is_as_it_was_or_refused(
    tmp_path_factory: pytest.TempPathFactory, place: float
) -> None:
    path = tmp_path_factory.mktemp("flip") / "shard-00000.arrow"
    with shard_writer(path) as add:
        add("a", "a", frames(0, 1, 2), 5)
    flip(path, int(place * path.stat().st_size))
    try:
        read = open_row(path, "a")
    except DferError:
        return
    assert np.array_equal(read, frames(0, 1, 2)), "the bit has no meaning"


def test_a_newer_version_is_told_from_damage(tmp_path: Path) -> None:
    write(tmp_path / "a.arrow")
    with pa.memory_map(str(tmp_path / "a.arrow")) as file:
        table = pa.ipc.open_file(file).read_all()
    for metadata, told in (
        ({"dfer.shard": "3"}, "is a shard of version 3, and this dfer reads versions 1 and 2; update dfer"),
        ({}, "not a shard that can be read: expected the metadata dfer.shard: 1"),
    ):
        with (
            pa.OSFile(str(tmp_path / "b.arrow"), "wb") as file,
            pa.ipc.new_file(file, table.schema.with_metadata(metadata)) as writer,
        ):
            writer.write_table(table)
        with pytest.raises(DferError, match=told):
            read_shard(tmp_path / "b.arrow")


@pytest.mark.parametrize(
    ("shape", "pixels"), [((1, 2, 2, 3), 11), ((1, 2, 2, 2), 8), ((0, 2, 2, 3), 0), ((-1, 2, -2, 3), 12)]
)
def test_rows_that_contradict_themselves_are_refused(tmp_path: Path, shape: tuple[int, ...], pixels: int) -> None:
    write(tmp_path / "a.arrow")
    with pa.memory_map(str(tmp_path / "a.arrow")) as file:
        schema = pa.ipc.open_file(file).schema
    row = {"name": ["x"], "id": ["x"], "shape": [list(shape)], "changed": [0], "crc32": [0], "pixels": [b"0" * pixels]}
    with pa.OSFile(str(tmp_path / "b.arrow"), "wb") as file, pa.ipc.new_file(file, schema) as writer:
        writer.write_table(pa.table(row, schema=schema))
    with pytest.raises(DferError, match="not a shard that can be read"):
        open_row(tmp_path / "b.arrow", "x")


@pytest.mark.parametrize("codec", ["zstd", "lz4"])
def test_a_compressed_shard_is_refused_before_it_takes_memory(codec: str, tmp_path: Path) -> None:
    """200 MB of black frames in some kilobytes."""
    shard, shape = tmp_path / "shard-00000.arrow", (1000, 256, 256, 3)
    with shard_writer(shard) as add:
        add("black", "black", np.zeros(shape, np.uint8), 0)
    with pa.memory_map(str(shard)) as file:
        whole = pa.ipc.open_file(file).read_all()
    small = tmp_path / "small.arrow"
    with pa.OSFile(str(small), "wb") as file:
        options = pa.ipc.IpcWriteOptions(compression=codec)
        with pa.ipc.new_file(file, whole.schema, options=options) as writer:
            writer.write_table(whole)
    assert small.stat().st_size < shard.stat().st_size / 100
    before = pa.total_allocated_bytes()
    with pytest.raises(DferError, match=f"{small}: not a shard that can be read: record batch 0 is compressed"):
        read_shard(small)
    assert pa.total_allocated_bytes() - before < 10**6


def test_a_manifest_of_another_packing_is_one_sentence(tmp_path: Path) -> None:
    write(tmp_path / "a.arrow", count=2)
    with pytest.raises(
        DferError, match=r"a\.arrow has no clip 'c3' among its 2: the manifest belongs to another packing"
    ):
        open_row(tmp_path / "a.arrow", "c3")


def test_a_shard_that_takes_the_place_of_another_is_read_anew(tmp_path: Path) -> None:
    write(tmp_path / "a.arrow", count=1)
    former = open_row(tmp_path / "a.arrow", "c0").copy()
    with shard_writer(tmp_path / "b.arrow") as add:
        add("c0", "clip 0", 255 - former, 0)
    os.utime(tmp_path / "b.arrow", ns=(0, 5))
    (tmp_path / "b.arrow").replace(tmp_path / "a.arrow")
    assert np.array_equal(open_row(tmp_path / "a.arrow", "c0"), 255 - former)


def _total(place: Path) -> int:
    return int(open_array(place).sum())


@pytest.mark.parametrize("method", ["spawn", "fork"])
def test_processes_read_a_shard_that_their_parent_has_opened(tmp_path: Path, method: str) -> None:
    if method not in multiprocessing.get_all_start_methods():
        pytest.skip(f"this system cannot {method}")
    clips = write(tmp_path / "a.arrow")
    places = [tmp_path / f"a.arrow#c{k}" for k in range(4)]
    expected = [int(clip.sum()) for clip in clips]
    assert [_total(place) for place in places] == expected
    with multiprocessing.get_context(method).Pool(2) as pool:
        assert pool.map(_total, places) == expected
