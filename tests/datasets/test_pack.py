"""Packing: the same frames in the same order, bad clips named and counted, and going on after a stop."""

from __future__ import annotations

import contextlib
import errno
import os
import re
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dfer.arrays import open_array
from dfer.datasets import Manifest
from dfer.datasets import pack as module
from dfer.datasets.pack import pack, safe_name
from dfer.errors import DferError
from dfer.files import sole_owner
from dfer.labels import DFEW
from dfer.shards import holding_file, shard_writer
from dfer.video import open_clip

from ..video.films import noise, write_video
from .sources.trees import write_frames


def clips(root: Path) -> Manifest:
    """A clip of each kind: a video of noise, three grey frames, one image, an array."""
    root.mkdir(parents=True, exist_ok=True)
    write_video(root / "film.mkv", noise(5, 24, 32))
    write_frames(root / "frames", ["1.png", "2.png", "10.png"], size=20)
    write_frames(root, ["still.png"], size=20)
    np.save(root / "array.npy", noise(4, 16, 16))
    rows = {
        "id": ["film", "Frames/1", "still", "array"],
        "path": ["film.mkv", "frames", "still.png", "array.npy"],
        "kind": ["video", "frames", "image", "array"],
        "group": ["a", "b", "", "a"],
        "fold": [1, 2, None, 1],
        "label": ["happy", "", "", "sad"],
        "votes_happy": [6, 5, 3, 0],
        **{f"votes_{name}": [4, 5, 3, 9] for name in list(DFEW)[1:]},
        "own": ["x", "y", "z", "x"],
    }
    return Manifest.build(pd.DataFrame(rows), emotions=DFEW, root=root, source="table", left_out={"torn": 2})


def test_clips_of_every_kind_become_square_arrays_with_all_that_is_known_about_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    manifest = clips(tmp_path / "clips")
    monkeypatch.chdir(tmp_path)
    packed, failures = pack(manifest, Path("packed"), size=16, workers=1)
    assert failures.empty and packed.root == tmp_path / "packed"
    assert packed.table["frames"].tolist() == [5, 3, 1, 4] and set(packed.table["kind"]) == {"array"}
    unchanged = packed.table.columns.difference(["path", "kind", "frames"])
    pd.testing.assert_frame_equal(packed.table[unchanged], manifest.table[unchanged])
    assert (packed.emotions, packed.source, packed.left_out) == (DFEW, "table", {"torn": 2})
    frames = [open_array(packed.resolve(path)) for path in packed.table["path"]]
    assert [clip.shape for clip in frames] == [(length, 16, 16, 3) for length in (5, 3, 1, 4)]
    assert (frames[1].reshape(3, -1) == [[10], [20], [30]]).all(), "1, 2, 10: in natural order"
    assert (frames[2] == 10).all() and np.array_equal(frames[3], noise(4, 16, 16))
    assert sorted(path.suffix for path in (tmp_path / "packed").iterdir()) == [".arrow"] * 4 + [".csv"]


@pytest.mark.usefixtures("in_threads")
def test_a_packed_video_holds_its_own_centre_square_in_colour_or_in_grey(tmp_path: Path) -> None:
    manifest = clips(tmp_path / "clips").select(np.array([True, False, False, False]))
    square = noise(5, 24, 32)[:, :, 4:28]
    for grey in (False, True):
        packed, _ = pack(manifest, tmp_path / f"packed {grey}", size=24, grey=grey)
        clip = open_clip(packed.resolve(packed.table["path"][0]), "array")
        read = clip.read(np.arange(len(clip))).astype(float)
        luma = square @ np.array([0.299, 0.587, 0.114])
        assert np.abs(read - (luma[..., None] if grey else square)).max() <= 0.51


@pytest.mark.usefixtures("in_threads")
def test_clips_that_cannot_be_read_are_named_left_out_and_counted(tmp_path: Path) -> None:
    manifest = clips(tmp_path / "clips")
    (tmp_path / "clips/film.mkv").write_text("no film")
    (tmp_path / "clips/still.png").unlink()
    packed, failures = pack(manifest, tmp_path / "packed", size=16)
    assert packed.table["id"].tolist() == ["Frames/1", "array"]
    assert packed.left_out == {"torn": 2, "clip cannot be read": 2}
    written = pd.read_csv(tmp_path / "packed/failures.csv")
    assert sorted(written["id"]) == sorted(failures["id"]) == ["film", "still"]
    told = written.set_index("id")["reason"]
    assert "film.mkv: decoding failed" in told["film"] and "still.png cannot be read" in told["still"]


@pytest.mark.usefixtures("in_threads")
def test_a_packing_without_a_single_readable_clip_is_refused(tmp_path: Path) -> None:
    manifest = clips(tmp_path / "clips").select(np.array([True, False, False, False]))
    (tmp_path / "clips/film.mkv").write_text("no film")
    with pytest.raises(DferError, match=r"no clip in this manifest; left out 2: torn; left out 1: clip cannot be read"):
        pack(manifest, tmp_path / "packed", size=16)
    assert "film" in (tmp_path / "packed/failures.csv").read_text()


@pytest.mark.usefixtures("in_threads")
@pytest.mark.parametrize("size", [1, 7, 4097, 10**9])
def test_frames_that_no_network_takes_are_refused_before_any_is_decoded(size: int, tmp_path: Path) -> None:
    with pytest.raises(DferError, match=f"expected frames of 8 to 4096 pixels, got {size}"):
        pack(clips(tmp_path / "clips"), tmp_path / "packed", size=size)
    assert not (tmp_path / "packed").exists()


@pytest.mark.parametrize("short", ["numpy", "opencv"])
def test_a_clip_that_does_not_fit_into_memory_is_named_and_the_others_are_packed(
    short: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, in_threads: None
) -> None:
    """Three petabytes are more than any machine gives."""
    manifest, whole = clips(tmp_path / "clips"), module.resize_square

    def resized(frames: np.ndarray, size: int, **options: bool) -> np.ndarray:
        if len(frames) != 3:
            return whole(frames, size, **options)
        return np.empty((10**8, 10**7, 3)) if short == "numpy" else cv2.resize(frames[0], (10**7, 10**8))

    monkeypatch.setattr(module, "resize_square", resized)
    packed, failures = pack(manifest, tmp_path / "packed", size=16, workers=1)
    assert 0 < len(packed) < len(manifest) and len(packed) + len(failures) == len(manifest)
    assert failures["reason"].str.contains("frames of 16 x 16 pixels take more memory than is free").all()


def test_a_stopped_packing_goes_on_where_it_stopped(tmp_path: Path) -> None:
    manifest = clips(tmp_path / "clips")
    packed, _ = pack(manifest, tmp_path / "packed", size=16)
    places = [packed.resolve(path) for path in packed.table["path"]]
    whole = [open_array(place).copy() for place in places]
    shards = [holding_file(place) for place in places]
    kept = shards[0].stat().st_mtime_ns
    shards[1].unlink()
    shards[2].write_bytes(shards[2].read_bytes()[:200])
    data = bytearray(shards[3].read_bytes())
    data[data.index(whole[3].tobytes()) + 100] ^= 1  # a bit of a pixel
    shards[3].write_bytes(data)
    again, failures = pack(manifest, tmp_path / "packed", size=16)
    assert failures.empty and again.table["frames"].tolist() == [5, 3, 1, 4]
    assert again.table["path"][0] == packed.table["path"][0] and shards[0].stat().st_mtime_ns == kept
    for path, clip in zip(again.table["path"], whole, strict=True):
        assert np.array_equal(open_array(again.resolve(path)), clip)
    assert len(list((tmp_path / "packed").glob("*.arrow"))) == 4, "damaged shards are gone"


@pytest.mark.usefixtures("in_threads")
def test_a_stopped_packing_ends_in_the_bytes_of_one_that_was_not(tmp_path: Path) -> None:
    manifest = clips(tmp_path / "clips")
    for name in ("whole", "stopped"):
        pack(manifest, tmp_path / name, size=16)
    whole = {path.name: path.read_bytes() for path in (tmp_path / "whole").iterdir()}
    for number in (1, 3):
        (tmp_path / f"stopped/shard-{number:05d}.arrow").unlink()
    pack(manifest, tmp_path / "stopped", size=16)
    assert {path.name: path.read_bytes() for path in (tmp_path / "stopped").iterdir()} == whole


@pytest.mark.usefixtures("in_threads")
def test_new_clips_go_into_further_shards_and_clips_of_another_manifest_stay(tmp_path: Path) -> None:
    manifest = clips(tmp_path / "clips")
    one, _ = pack(manifest.select(np.array([True, True, False, False])), tmp_path / "packed", size=16)
    both, _ = pack(manifest, tmp_path / "packed", size=16)
    assert both.table["path"][:2].tolist() == one.table["path"].tolist()
    pack(manifest.select(np.array([False, False, True, False])), tmp_path / "packed", size=16)
    for packed in (one, both):
        assert all(len(open_array(packed.resolve(path))) for path in packed.table["path"])


@pytest.mark.usefixtures("in_threads")
def test_clips_packed_in_another_size_or_colour_are_packed_anew(tmp_path: Path) -> None:
    manifest = clips(tmp_path / "clips")
    for size, grey in ((16, False), (12, False), (12, True)):
        packed, _ = pack(manifest, tmp_path / "packed", size=size, grey=grey)
        shapes = {open_array(packed.resolve(path)).shape[1:] for path in packed.table["path"]}
        assert shapes == {(size, size, 1 if grey else 3)}


@pytest.mark.usefixtures("in_threads")
def test_progress_counts_up_to_all_clips(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "CHUNK", 1)
    told: list[tuple[int, int]] = []
    pack(clips(tmp_path / "clips"), tmp_path / "packed", size=16, progress=lambda *done: told.append(done))
    assert told == [(1, 4), (2, 4), (3, 4), (4, 4)]


def test_a_place_that_cannot_be_written_is_told_in_one_sentence(tmp_path: Path) -> None:
    manifest = clips(tmp_path / "clips")
    (tmp_path / "file").touch()
    with pytest.raises(DferError, match=r"cannot write packed clips to .*file.deeper: Not a directory; what"):
        pack(manifest, tmp_path / "file/deeper", size=16, workers=1)


@pytest.mark.usefixtures("in_threads")
def test_a_full_disk_keeps_what_was_packed_and_leaves_no_half_of_a_clip(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    manifest = clips(tmp_path / "clips")
    room = iter(range(9))

    @contextlib.contextmanager
    def fill(path: Path, *, jpeg: int) -> Iterator[object]:
        with shard_writer(path, jpeg=jpeg) as add:
            yield add
            if next(room):
                raise OSError(errno.ENOSPC, "No space left on device")

    with (
        monkeypatch.context() as patch,
        pytest.raises(DferError, match=r"cannot write .*: No space left .*; .*run it again"),
    ):
        patch.setattr(module, "shard_writer", fill)
        pack(manifest, tmp_path / "packed", size=16, workers=1)
    assert [path.name for path in (tmp_path / "packed").iterdir()] == ["shard-00000.arrow"]
    packed, failures = pack(manifest, tmp_path / "packed", size=16)
    assert len(packed) == 4 and failures.empty


@pytest.mark.usefixtures("in_threads")
def test_a_packed_manifest_survives_the_disk(tmp_path: Path) -> None:
    packed, _ = pack(clips(tmp_path / "clips"), tmp_path / "packed", size=16)
    packed.write(tmp_path / "packed/manifest.csv")
    (tmp_path / "packed").rename(tmp_path / "moved")
    read = Manifest.read(tmp_path / "moved/manifest.csv")
    assert read.root == tmp_path / "moved" and read.table["frames"].tolist() == [5, 3, 1, 4]
    assert [len(open_array(read.resolve(path))) for path in read.table["path"]] == [5, 3, 1, 4]


def words() -> Iterator[str]:
    yield from ("00001", "clip_7", "A", "a", "happy/1.mp4", "happy\\1.mp4", "..", ".", "CON", "é", "e\u0301", "a" * 300)


def test_file_names_of_different_clips_differ_even_where_case_does_not_matter() -> None:
    made = [safe_name(word).lower() for word in words()]
    assert len(set(made)) == len(made) and made[:2] == ["00001", "clip_7"]


@settings(deadline=None)
@given(st.lists(st.text(min_size=1), min_size=2, max_size=2, unique=True))
def test_any_name_gives_a_file_name_that_every_system_takes(names: list[str]) -> None:
    one, other = map(safe_name, names)
    assert re.fullmatch(r"[A-Za-z0-9_-]+(\.[0-9a-f]{10})?", one) and len(one) <= 104
    assert one.lower() != other.lower()


def test_a_clip_whose_source_changed_is_packed_anew(tmp_path: Path) -> None:
    for value, moment in ((10, 1_000_000_000), (200, 2_000_000_000)):
        np.save(tmp_path / "a.npy", np.full((3, 8, 8, 3), value, np.uint8))
        os.utime(tmp_path / "a.npy", ns=(moment, moment))
        rows = pd.DataFrame({"id": ["a"], "path": ["a.npy"], "kind": ["array"], "label": ["happy"]})
        manifest = Manifest.build(rows, emotions=DFEW, root=tmp_path)
        packed, _ = pack(manifest, tmp_path / "packed", size=8, workers=1)
        assert open_array(packed.resolve(packed.table["path"][0])).max() == value


def test_of_two_packings_into_one_folder_the_second_is_refused(tmp_path: Path, in_threads: None) -> None:
    manifest = clips(tmp_path / "from")
    with sole_owner(tmp_path / "packed"), pytest.raises(DferError, match=r"another process works in .*packed"):
        pack(manifest, tmp_path / "packed", size=16)
    packed, _ = pack(manifest, tmp_path / "packed", size=16)
    assert len(packed)
