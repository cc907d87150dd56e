"""Clips that are there twice: by every byte, whatever they are called, and by their look."""

from __future__ import annotations

import zipfile
from pathlib import Path

import cv2
import numpy as np
import psutil
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dfer.datasets import Manifest
from dfer.doctor import duplicates
from dfer.doctor.disk import survey
from dfer.doctor.duplicates import NEAR, digest, exact, near, same
from dfer.doctor.pictures import difference_hash, small_picture
from dfer.video import open_clip, uniform

from ..video.films import noise
from .toy import toy

PNG = bytes(cv2.imencode(".png", noise(1, 32, 32)[0])[1])


def groups(codes: np.ndarray) -> list[list[int]]:
    """The rows of each number, in order."""
    return [np.flatnonzero(codes == code).tolist() for code in sorted(set(codes[codes >= 0].tolist()))]


def files(root: Path, contents: list[bytes], kind: str = "image", suffix: str = ".png") -> Manifest:
    names = [f"{k}{suffix}" for k in range(len(contents))]
    for name, content in zip(names, contents, strict=True):
        (root / name).write_bytes(content)
    return toy(root=root, path=names, kind=[kind] * len(names))


def smooth(seed: int, frames: int = 3, size: int = 96) -> np.ndarray:
    """(T, H, W, 3) pictures with broad light and shade, other ones for every seed."""
    coarse = np.random.default_rng(seed).integers(0, 256, (frames, 6, 6, 3), dtype=np.uint8)
    return np.stack([cv2.resize(frame, (size, size), interpolation=cv2.INTER_CUBIC) for frame in coarse])


def looks(clips: list[np.ndarray]) -> tuple[np.ndarray, np.ndarray, np.ndarray, int]:
    """What `near` takes."""
    bits = [difference_hash(clip) for clip in clips]
    assert all(row is not None for row in bits)
    return np.arange(len(clips)), np.array(bits), np.stack([small_picture(clip) for clip in clips]), len(clips)


@given(st.lists(st.integers(0, 4), max_size=30))
def test_equal_texts_share_a_number_and_others_have_none(values: list[int]) -> None:
    codes = same([str(value) if value else "" for value in values])
    for a, first in enumerate(values):
        assert (codes[a] >= 0) == (first != 0 and values.count(first) > 1)
        for b, second in enumerate(values):
            if codes[a] >= 0 and codes[b] >= 0:
                assert (codes[a] == codes[b]) == (first == second)


def test_the_same_bytes_are_doubles_and_the_same_size_is_not_enough(tmp_path: Path) -> None:
    other = bytearray(PNG)
    other[-20] ^= 1
    manifest = files(tmp_path, [PNG, bytes(other), PNG, PNG + b"\0", PNG])
    assert groups(exact(manifest, survey(manifest))) == [[0, 2, 4]]


def test_a_byte_that_no_sample_reads_makes_a_difference(tmp_path: Path) -> None:
    data = b"RIFF" + bytes(200_000)
    changed = bytearray(data)
    changed[50_000] = 1
    manifest = files(tmp_path, [data, bytes(changed), data], "video", ".avi")
    sampled = [digest(tmp_path / f"{k}.avi", "video", whole=False) for k in range(3)]
    assert len(set(sampled)) == 1, "the sample does not see the difference"
    assert groups(exact(manifest, survey(manifest))) == [[0, 2]]


def test_folders_are_doubles_by_their_frames_in_order_whatever_the_names(tmp_path: Path) -> None:
    frames = [bytes(cv2.imencode(".png", frame)[1]) for frame in noise(3, 8, 8)]
    contents = {"a": frames, "b": frames, "c": frames[::-1], "d": frames[:2], "e": [frames[0], frames[0], frames[2]]}
    for folder, pictures in contents.items():
        (tmp_path / folder).mkdir()
        for k, picture in enumerate(pictures, 9):  # 9, 10, 11: not in the order of their letters
            (tmp_path / folder / f"{folder}{k}.png").write_bytes(picture)
    manifest = toy(root=tmp_path, path=list(contents), kind=["frames"] * 5)
    assert groups(exact(manifest, survey(manifest))) == [[0, 1]]


def test_frames_are_not_run_together(tmp_path: Path) -> None:
    for folder, pieces in {"a": [b"\xff\xd8\xffab", b"c"], "b": [b"\xff\xd8\xffa", b"bc"]}.items():
        (tmp_path / folder).mkdir()
        for k, piece in enumerate(pieces):
            (tmp_path / folder / f"{k}.jpg").write_bytes(piece)
    assert digest(tmp_path / "a", "frames") != digest(tmp_path / "b", "frames")


def test_members_of_archives_are_doubles_too(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.writestr("x.png", PNG)
        archive.writestr("y.png", PNG)
    (tmp_path / "z.png").write_bytes(PNG)
    manifest = toy(root=tmp_path, path=["a.zip/x.png", "z.png", "a.zip/y.png"], kind=["image"] * 3)
    assert groups(exact(manifest, survey(manifest))) == [[0, 1, 2]]


def test_clips_that_cannot_be_read_are_doubles_of_nothing(tmp_path: Path) -> None:
    manifest = files(tmp_path, [b"", b"", PNG])
    assert groups(exact(manifest, survey(manifest))) == []


def test_the_known_doubles_of_ferplus_are_found(shared_data: Path) -> None:
    with zipfile.ZipFile(shared_data / "ferplus/FER2013Valid.zip") as archive:
        names = sorted(name for name in archive.namelist() if name.endswith(".png"))
        contents = [archive.read(name) for name in names]
    manifest = toy(
        root=shared_data / "ferplus", path=[f"FER2013Valid.zip/{name}" for name in names], kind=["image"] * len(names)
    )
    found = groups(exact(manifest, survey(manifest)))
    by_content: dict[bytes, list[int]] = {}
    for row, content in enumerate(contents):
        by_content.setdefault(content, []).append(row)
    assert sorted(found) == sorted(rows for rows in by_content.values() if len(rows) > 1)
    assert found, "the real data have doubles"


def test_memory_does_not_grow_with_the_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(duplicates, "PIECE", 2**16)
    for name in ("a.avi", "b.avi"):
        with (tmp_path / name).open("wb") as file:
            file.write(b"RIFF")
            file.truncate(2**28)
    process = psutil.Process()
    before = process.memory_info().rss
    manifest = toy(root=tmp_path, path=["a.avi", "b.avi"])
    assert groups(exact(manifest, survey(manifest))) == [[0, 1]]
    assert process.memory_info().rss - before < 2**26


def test_a_clip_that_was_encoded_once_more_looks_the_same() -> None:
    def again(clip: np.ndarray, scale: float, quality: int, darker: float) -> np.ndarray:
        small = [cv2.resize(frame, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA) for frame in clip]
        jpegs = [cv2.imencode(".jpg", frame, [cv2.IMWRITE_JPEG_QUALITY, quality])[1] for frame in small]
        return np.stack([(cv2.imdecode(jpeg, cv2.IMREAD_COLOR) * darker).astype(np.uint8) for jpeg in jpegs])

    clips = [smooth(seed) for seed in range(20)]
    copies = [again(clips[3], 0.5, 60, 0.8), again(clips[11], 1.0, 40, 1.0)]
    assert groups(near(*looks([*clips, *copies]))) == [[3, 20], [11, 21]]


def test_clips_that_differ_in_one_frame_do_not_look_the_same() -> None:
    clip = smooth(0)
    other = clip.copy()
    other[1] = smooth(1)[1]
    assert groups(near(*looks([clip, other]))) == []


def test_expressions_of_one_actor_before_one_wall_are_no_doubles(shared_data: Path) -> None:
    paths = sorted((shared_data / "crema_d/VideoFlash").iterdir())
    clips = [clip.read(uniform(len(clip), 3)) for clip in (open_clip(path, "video") for path in paths)]
    rows, bits, small, length = looks(clips)
    pairs = [(bits[a] != bits[b]).mean() for a in range(length) for b in range(a)]
    assert min(pairs) <= NEAR, "their hashes alone would take some for doubles"
    assert groups(near(rows, bits, small, length)) == []


def test_blocks_find_the_pairs_that_a_loop_finds(monkeypatch: pytest.MonkeyPatch) -> None:
    generator = np.random.default_rng(5)
    bits = generator.random((60, 384)) < 0.5
    for copy, of, flipped in ((40, 3, 12), (41, 4, 13), (59, 57, 0), (50, 40, 12)):
        bits[copy] = bits[of]
        bits[copy, :flipped] ^= True
    monkeypatch.setattr(duplicates, "BLOCK", 7)
    monkeypatch.setattr(duplicates, "PAIRS", 1)
    small = np.zeros((60, 4), dtype=np.float16)
    expected = [{a, b} for a in range(60) for b in range(a + 1, 60) if (bits[a] != bits[b]).sum() <= NEAR * 384]
    found = groups(near(np.arange(60), bits, small, 60))
    assert sorted(map(sorted, expected)) == [[3, 40], [3, 50], [40, 50], [57, 59]]
    assert found == [[3, 40, 50], [57, 59]]
    small[59] = 1.0
    assert groups(near(np.arange(60), bits, small, 60)) == [[3, 40, 50]]


def test_plain_pictures_have_no_hash() -> None:
    assert difference_hash(np.full((3, 20, 20, 3), 128, np.uint8)) is None
    assert difference_hash(smooth(0)) is not None
    assert groups(near(np.empty(0, np.int64), np.empty((0, 384), bool), np.empty((0, 768), np.float16), 3)) == []
