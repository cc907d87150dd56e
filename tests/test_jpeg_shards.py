"""Shards of JPEGs: any library decodes what lies in them, every verb reads them, and damage is named and refused."""

from __future__ import annotations

import io
import json
import os
import struct
import zlib
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from dfer.arrays import open_array
from dfer.datasets import Manifest
from dfer.datasets.pack import pack
from dfer.doctor import examine
from dfer.doctor.disk import look
from dfer.errors import DferError
from dfer.labels import EmotionSet
from dfer.shards import Jpegs, open_row, read_shard, shard_writer
from dfer.video import open_clip
from dfer.video.jpegs import encode

from .test_cli import here

TOY = EmotionSet("toy", ("happy", "sad"))
ROOT = Path(__file__).parents[1]
FILMS = ("1001_DFA_HAP_XX.flv", "1001_DFA_NEU_XX.flv")
Frames = np.ndarray[Any, np.dtype[np.uint8]]


def smooth(seed: int, length: int = 5, size: int = 24, channels: int = 3) -> Frames:
    """Frames that JPEG keeps well."""
    small = np.random.default_rng(seed).integers(0, 256, (length, 3, 3, channels), np.uint8)
    frames = [cv2.resize(frame, (size, size), interpolation=cv2.INTER_CUBIC) for frame in small]
    return np.stack(frames).reshape(length, size, size, channels)


def write(path: Path, count: int = 3, quality: int = 90) -> list[Frames]:
    """A shard of clips c0, c1, ... of 5, 6, ... frames; the last one is grey."""
    clips = [smooth(k, 5 + k, channels=1 if k == count - 1 else 3) for k in range(count)]
    with shard_writer(path, jpeg=quality) as add:
        for k, clip in enumerate(clips):
            add(f"c{k}", f"clip {k}", encode(clip, quality), 1_000 + k)
    return clips


def rows_of(path: Path) -> tuple[dict[bytes, bytes], list[dict[str, Any]]]:
    with pa.memory_map(str(path)) as file:
        table = pa.ipc.open_file(file).read_all()
    return table.schema.metadata, table.to_pylist()


def hostile(path: Path, files: list[bytes], shape: tuple[int, ...] = (2, 24, 24, 3)) -> Path:
    """A shard whose checksum is right, of files that somebody else made; the path of its clip."""
    held = tuple(np.frombuffer(file, np.uint8) for file in files)
    with shard_writer(path, jpeg=90) as add:
        add("x", "the clip", Jpegs(held, shape), 0)
    return path.with_name(f"{path.name}#x")


def packed(folder: Path, **options: Any) -> Manifest:
    """The example films, packed."""
    rows = pd.DataFrame({"id": ["one", "two"], "path": FILMS, "kind": "video", "label": ["happy", "sad"]})
    films = Manifest.build(rows, emotions=TOY, root=ROOT / "examples" / "crema_d")
    return pack(films, folder, size=48, **options)[0]


def test_a_reader_of_arrow_and_a_decoder_of_jpeg_that_know_nothing_of_dfer_get_the_clips(tmp_path: Path) -> None:
    clips = write(tmp_path / "shard-00000.arrow", quality=93)
    metadata, rows = rows_of(tmp_path / "shard-00000.arrow")
    assert metadata == {b"dfer.shard": b"2", b"dfer.jpeg": b"93"}
    assert list(rows[0]) == ["name", "id", "shape", "changed", "crc32", "jpegs"]
    for row, clip in zip(rows, clips, strict=True):
        pictures = [Image.open(io.BytesIO(data)) for data in row["jpegs"]]
        assert {picture.format for picture in pictures} == {"JPEG"}
        shown = np.stack([np.asarray(picture) for picture in pictures]).reshape(row["shape"])
        assert np.abs(shown.astype(int) - clip).mean() < 2
        lengths = struct.pack(f"<{len(clip)}q", *map(len, row["jpegs"]))
        assert row["crc32"] == zlib.crc32(lengths + b"".join(row["jpegs"]))
        opened = open_clip(tmp_path / f"shard-00000.arrow#{row['name']}", "array", fps=10)
        order = np.array([len(clip) - 1, 0, 0])
        assert np.abs(opened.read(order).astype(int) - shown[order]).max() <= 1, "two decoders, one picture"


@pytest.mark.usefixtures("in_threads")
@pytest.mark.parametrize("grey", [False, True])
def test_films_are_packed_as_jpegs_that_look_as_their_pixels_do(grey: bool, tmp_path: Path) -> None:
    plain, small = packed(tmp_path / "plain", grey=grey), packed(tmp_path / "small", grey=grey, jpeg=95)
    pixels, jpegs = (
        np.concatenate([open_clip(clips.resolve(path), "array").read(np.arange(4)) for path in clips.table["path"]])
        for clips in (plain, small)
    )
    assert pixels.shape == jpegs.shape == (8, 48, 48, 1 if grey else 3)
    noise = np.square(pixels.astype(float) - jpegs).mean()
    assert 10 * np.log10(255**2 / noise) > 38
    sizes = [sum(file.stat().st_size for file in (tmp_path / name).glob("*.arrow")) for name in ("plain", "small")]
    assert sizes[1] < 0.6 * sizes[0]
    assert small.table["frames"].tolist() == plain.table["frames"].tolist()
    assert all(finding.verdict != "fault" for finding in examine(small, looks=("decode",)).findings)


@pytest.mark.usefixtures("in_threads")
def test_packing_goes_on_and_a_folder_comes_to_have_one_quality(tmp_path: Path) -> None:
    packed(tmp_path, jpeg=80)
    (first, second) = sorted(tmp_path.glob("*.arrow"))
    before = first.read_bytes()
    second.unlink()
    packed(tmp_path, jpeg=80)
    assert first.read_bytes() == before and second.exists(), "what is there is not done again"
    for options, version in (({"jpeg": 60}, b"2"), ({}, b"1"), ({"jpeg": 60}, b"2")):
        packed(tmp_path, **options)
        shards = sorted(tmp_path.glob("*.arrow"))
        told = {(key, value) for shard in shards for key, value in rows_of(shard)[0].items()}
        assert len(shards) == 2 and (b"dfer.shard", version) in told and len(told) == 1 + (version == b"2")
    assert {row.jpeg for shard in tmp_path.glob("*.arrow") for row in read_shard(shard).values()} == {60}


@pytest.mark.parametrize("quality", [-1, 101])
def test_a_quality_that_no_jpeg_has_is_refused(quality: int, tmp_path: Path) -> None:
    with pytest.raises(DferError, match=f"a quality of JPEG from 1 to 100, or 0 to keep pixels, got {quality}"):
        packed(tmp_path, jpeg=quality)


def test_a_flipped_byte_is_named_and_the_clip_is_packed_anew(tmp_path: Path) -> None:
    clips = write(tmp_path / "a.arrow")
    whole = (tmp_path / "a.arrow").read_bytes()
    data = rows_of(tmp_path / "a.arrow")[1][1]["jpegs"][2]
    place = whole.index(data) + len(data) // 2
    (tmp_path / "a.arrow").write_bytes(whole[:place] + bytes([whole[place] ^ 4]) + whole[place + 1 :])
    with pytest.raises(DferError, match=r"a\.arrow: the pixels of clip clip 1 are damaged, .*packs it anew"):
        open_clip(tmp_path / "a.arrow#c1", "array")
    assert "damaged" in look(tmp_path / "a.arrow#c1", "array").fault
    assert len(open_clip(tmp_path / "a.arrow#c0", "array").read(np.arange(5))) == len(clips[0])


@settings(max_examples=150, deadline=None)
@given(place=st.floats(0, 1, exclude_max=True), bit=st.integers(0, 7))
def test_whatever_bit_is_flipped_a_clip_is_as_it_was_or_refused(
    tmp_path_factory: pytest.TempPathFactory, place: float, bit: int
) -> None:
    path = tmp_path_factory.mktemp("flip") / "shard-00000.arrow"
    with shard_writer(path, jpeg=50) as add:
        add("a", "a", encode(smooth(0, 2, 8), 50), 5)
    expected = open_clip(path.with_name(f"{path.name}#a"), "array").read(np.arange(2))
    data = bytearray(path.read_bytes())
    data[int(place * len(data))] ^= 1 << bit
    damaged = path.with_name("shard-00001.arrow")
    damaged.write_bytes(data)
    try:
        read = open_clip(damaged.with_name(f"{damaged.name}#a"), "array").read(np.arange(2))
    except DferError:
        return
    assert np.array_equal(read, expected), "the bit has no meaning"


@pytest.mark.parametrize("quality", [0, 50])
def test_no_byte_of_a_shard_can_be_damaged_so_that_reading_ends_otherwise_than_by_a_sentence(
    quality: int, tmp_path: Path
) -> None:
    path, clip = tmp_path / "a.arrow", smooth(0, 1, 2)
    with shard_writer(path, jpeg=quality) as add:
        add("a", "a", encode(clip, quality) if quality else clip, 5)
    data, refused = path.read_bytes(), 0
    for place, byte in enumerate(data):
        path.write_bytes(data[:place] + bytes([byte ^ 66]) + data[place + 1 :])
        os.utime(path, ns=(0, place))
        try:
            open_row(path, "a")
        except DferError:
            refused += 1
    assert len(data) / 4 < refused < len(data)


def jpeg_of(width: int, height: int, data: bytes) -> bytes:
    """A JPEG whose head says another size."""
    place = data.index(b"\xff\xc0") + 5
    return data[:place] + struct.pack(">HH", height, width) + data[place + 4 :]


@pytest.mark.parametrize(
    ("made", "told"),
    [
        (lambda data: jpeg_of(60_000, 60_000, data), "60,?000 x 60,?000|at most"),
        (lambda data: jpeg_of(20_000, 20_000, data), "20,?000 x 20,?000|at most"),
        (lambda data: jpeg_of(24, 25, data), "expected a JPEG of 24 x 24, got 24 x 25"),
        (lambda data: data[:-9], "a damaged JPEG"),
        (lambda data: data[: len(data) // 3], "a damaged JPEG"),
        (lambda data: data[:3], "not an image"),
        (lambda _: b"", "not a JPEG"),
        (lambda _: cv2.imencode(".png", smooth(0)[0])[1].tobytes(), "not a JPEG"),
    ],
)
def test_a_jpeg_that_is_damaged_or_a_bomb_is_refused_with_its_clip(made: Any, told: str, tmp_path: Path) -> None:
    good = encode(smooth(0), 90).files[0].tobytes()
    place = hostile(tmp_path / "a.arrow", [good, made(good)])
    clip = open_clip(place, "array")
    assert len(clip.read(np.array([0]))) == 1, "frames that are whole are read"
    with pytest.raises(DferError, match=rf"a\.arrow: clip the clip, frame 1: .*({told})"):
        clip.read(np.array([1]))


@pytest.mark.parametrize("shape", [(3, 24, 24, 3), (2, 24, 24, 2), (2, 9_000, 24, 3), (0, 24, 24, 3)])
def test_rows_that_contradict_themselves_are_refused(shape: tuple[int, ...], tmp_path: Path) -> None:
    good = encode(smooth(0), 90).files[0].tobytes()
    with pytest.raises(DferError, match="not a shard that can be read"):
        open_array(hostile(tmp_path / "a.arrow", [good, good], shape))


@pytest.mark.parametrize(
    ("metadata", "told"),
    [
        ({"dfer.shard": "3", "dfer.jpeg": "90"}, "of version 3, and this dfer reads versions 1 and 2; update dfer"),
        ({"dfer.shard": "2"}, "a quality from 1 to 100"),
        ({"dfer.shard": "2", "dfer.jpeg": "0"}, "a quality from 1 to 100"),
        ({"dfer.shard": "2", "dfer.jpeg": "101"}, "a quality from 1 to 100"),
        ({"dfer.shard": "1"}, "the columns name, id"),
    ],
)
def test_metadata_that_do_not_fit_are_refused(metadata: dict[str, str], told: str, tmp_path: Path) -> None:
    write(tmp_path / "a.arrow")
    with pa.memory_map(str(tmp_path / "a.arrow")) as file:
        table = pa.ipc.open_file(file).read_all()
    schema = table.schema.with_metadata(metadata)
    with pa.OSFile(str(tmp_path / "b.arrow"), "wb") as file, pa.ipc.new_file(file, schema) as writer:
        writer.write_table(table, max_chunksize=1)
    with pytest.raises(DferError, match=told):
        open_row(tmp_path / "b.arrow", "c0")


@pytest.mark.usefixtures("in_threads")
def test_the_command_packs_as_jpegs_and_the_other_commands_read_them(tmp_path: Path) -> None:
    films = tmp_path / "films"
    for name, film in zip(("happy", "sad"), FILMS, strict=True):
        (films / name).mkdir(parents=True)
        (films / name / film).write_bytes((ROOT / "examples" / "crema_d" / film).read_bytes())
    out = tmp_path / "clips.csv"
    done = here("prepare", "folder", films, "--pack", "48", "--jpeg", "85", "--out", out)
    assert done.code == 0, done.err
    assert {rows_of(shard)[0][b"dfer.jpeg"] for shard in (tmp_path / "clips").glob("*.arrow")} == {b"85"}
    done = here("doctor", out, "--near", "--json", "-")
    found = {finding["check"]: finding["verdict"] for finding in json.loads(done.out)["findings"]}
    assert found["files"] == found["pictures"] == found["doubles"] == found["near doubles"] == "ok"


@pytest.mark.parametrize("options", [["--jpeg", "90"], ["--jpeg", "90", "--faces", "48", "--faces-as", "frames"]])
def test_jpegs_of_what_is_not_packed_are_refused(options: list[str], tmp_path: Path) -> None:
    done = here("prepare", "folder", tmp_path, *options)
    assert done.is_refusal("--jpeg is for packed clips")
