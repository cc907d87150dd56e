"""Face clips of raw video: whose face, how written, what is left out, and what a killed run leaves behind."""

from __future__ import annotations

import errno
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from dfer.arrays import open_array
from dfer.datasets import Manifest
from dfer.datasets import pack as packing
from dfer.datasets.face_clips import cut_faces, main_face
from dfer.errors import DferError
from dfer.labels import DFEW
from dfer.video import open_clip, open_faces
from tests.forked import dfer
from tests.video.films import noise, write_video
from tests.video.people import ColourDetector, picture


def raw(root: Path) -> Manifest:
    """A video of red, who is there longer, and of blue; one of blue alone; an array; one without a face; no video."""
    root.mkdir(parents=True)
    both = [{"blue": (200, 60), "red": (30 + k, 60)} if k < 6 else {"red": (30 + k, 60)} for k in range(20)]
    write_video(root / "both.mkv", np.stack([picture(places) for places in both]))
    write_video(root / "late.mkv", np.stack([picture({"blue": (150, 60)} if k > 4 else {}) for k in range(12)]))
    np.save(root / "array.npy", np.stack([picture({"green": (100, 50)})] * 3))
    write_video(root / "nobody.mkv", np.stack([picture({})] * 7))
    (root / "text.mkv").write_text("no film")
    rows = {
        "id": ["both", "Late/1", "array", "nobody", "text"],
        "path": ["both.mkv", "late.mkv", "array.npy", "nobody.mkv", "text.mkv"],
        "kind": ["video", "video", "array", "video", "video"],
        "label": ["happy", "sad", "happy", "sad", "sad"],
        "group": ["a", "b", "", "a", "b"],
    }
    return Manifest.build(pd.DataFrame(rows), emotions=DFEW, root=root, source="table", left_out={"torn": 2})


@pytest.mark.usefixtures("in_threads")
def test_every_clip_becomes_one_of_its_main_face_with_all_that_is_known_about_it(tmp_path: Path) -> None:
    manifest = raw(tmp_path / "raw")
    cut, _ = cut_faces(manifest, tmp_path / "faces", size=48, detector=ColourDetector)
    assert cut.table["id"].tolist() == ["both", "Late/1", "array"] and set(cut.table["kind"]) == {"array"}
    assert cut.table["frames"].tolist() == [20, 7, 3], "frames without the face are left out"
    assert cut.table["group"].tolist() == ["a", "b", ""] and cut.root == tmp_path / "faces"
    clips = [open_array(cut.resolve(path)) for path in cut.table["path"]]
    assert [clip.shape for clip in clips] == [(20, 48, 48, 3), (7, 48, 48, 3), (3, 48, 48, 3)]
    assert [clip[:, 16:32, 16:32].mean(axis=(0, 1, 2)).argmax() for clip in clips] == [0, 2, 1], "red, blue, green"


@pytest.mark.usefixtures("in_threads")
def test_clips_without_a_face_and_clips_that_cannot_be_read_are_named_and_counted_apart(tmp_path: Path) -> None:
    cut, failures = cut_faces(raw(tmp_path / "raw"), tmp_path / "faces", size=48, detector=ColourDetector)
    assert cut.left_out == {"torn": 2, "no face found": 1, "clip cannot be read": 1}
    told = failures.set_index("id")["reason"]
    assert "nobody.mkv: no face found in 7 frames" in told["nobody"] and "text.mkv: decoding failed" in told["text"]
    assert pd.read_csv(tmp_path / "faces/failures.csv").equals(failures)


@pytest.mark.usefixtures("in_threads")
def test_grey_clips_have_one_channel(tmp_path: Path) -> None:
    cut, _ = cut_faces(raw(tmp_path / "raw"), tmp_path / "faces", size=48, grey=True, detector=ColourDetector)
    assert {open_array(cut.resolve(path)).shape[1:] for path in cut.table["path"]} == {(48, 48, 1)}


@pytest.mark.usefixtures("in_threads")
def test_folders_of_frames_are_named_as_in_dfew_and_hold_the_same_faces(tmp_path: Path) -> None:
    manifest = raw(tmp_path / "raw")
    manifest = manifest.select(np.array([True, False, False, False, False]))
    manifest.table["id"] = "00001"
    packed, _ = cut_faces(manifest, tmp_path / "packed", size=48, detector=ColourDetector)
    cut, _ = cut_faces(manifest, tmp_path / "faces", size=48, kind="frames", detector=ColourDetector)
    folder = tmp_path / "faces/00001"
    assert sorted(path.name for path in folder.iterdir()) == [f"00001_{k:05d}.jpg" for k in range(1, 21)]
    assert cut.table.loc[0, ["path", "kind", "frames"]].tolist() == ["00001", "frames", 20]
    expected = open_array(packed.resolve(packed.table["path"][0])).astype(int)
    read = open_clip(cut.resolve("00001"), "frames").read(np.arange(20))
    assert np.abs(read - expected).mean() < 4, "but for JPEG"


@pytest.mark.usefixtures("in_threads")
@pytest.mark.parametrize("kind", ["array", "frames"])
def test_what_was_cut_is_taken_as_it_is_unless_its_source_or_the_size_changed(tmp_path: Path, kind: str) -> None:
    manifest = raw(tmp_path / "raw").select(np.array([True, True, False, False, False]))
    made: list[ColourDetector] = []

    def detector() -> ColourDetector:
        made.append(ColourDetector())
        return made[-1]

    def detected() -> list[bool]:
        made.clear()
        cut, _ = cut_faces(manifest, tmp_path / "faces", size=size, kind=kind, detector=detector)
        assert cut.table["frames"].tolist() == [20, 7]
        return [bool(one.calls) for one in made]

    size = 48
    assert detected() == [True, True] and detected() == []
    os.utime(tmp_path / "raw/late.mkv", ns=(0, 1_000_000_000))
    assert detected() == [True] and detected() == []
    size = 40
    assert detected() == [True, True] and detected() == []


@pytest.mark.usefixtures("in_threads")
@pytest.mark.parametrize("kind", ["array", "frames"])
def test_a_full_disk_leaves_no_half_of_a_clip(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str) -> None:
    manifest = raw(tmp_path / "raw").select(np.array([True, False, False, False, False]))
    write, opened = Path.write_bytes, packing.shard_writer

    def fill(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    def fill_up(path: Path, data: bytes) -> int:
        return fill() if path.name.endswith("_00007.jpg") else write(path, data)  # type: ignore[func-returns-value]

    monkeypatch.setattr(packing, "shard_writer", fill)
    monkeypatch.setattr(Path, "write_bytes", fill_up)
    with pytest.raises(DferError, match=r"No space left on device; what was \w+ stays, run it again"):
        cut_faces(manifest, tmp_path / "faces", size=48, kind=kind, detector=ColourDetector)
    assert list((tmp_path / "faces").iterdir()) == []
    monkeypatch.setattr(packing, "shard_writer", opened)
    monkeypatch.setattr(Path, "write_bytes", write)
    cut, _ = cut_faces(manifest, tmp_path / "faces", size=48, kind=kind, detector=ColourDetector)
    assert cut.table["frames"].tolist() == [20]


def test_a_kind_that_cannot_be_written_is_refused(tmp_path: Path) -> None:
    manifest = raw(tmp_path / "raw")
    for kind, grey in (("video", False), ("frames", True)):
        with pytest.raises(DferError, match="expected face clips to be array or frames, grey only as array"):
            cut_faces(manifest, tmp_path / "faces", size=48, kind=kind, grey=grey)


def test_a_real_face_is_cut_as_prediction_will_see_it(shared_data: Path, tmp_path: Path) -> None:
    path = shared_data / "videos/noface_face.mov"
    rows = pd.DataFrame({"id": ["a"], "path": [str(path)], "kind": ["video"], "label": ["happy"]})
    manifest = Manifest.build(rows, emotions=DFEW, root=tmp_path)
    cut, failures = cut_faces(manifest, tmp_path / "faces", size=64, workers=1)
    crops = [face.crop for frame in open_faces(path, size=64) for face in frame.faces]
    assert failures.empty and np.array_equal(open_array(cut.resolve(cut.table["path"][0])), crops)


def test_of_three_real_people_the_one_who_covers_most_is_taken(shared_data: Path) -> None:
    path = shared_data / "videos/face-demographics-walking-and-pause.gif"
    from dfer.video.mtcnn import Mtcnn

    taken = main_face(path, "video", size=64, detector=Mtcnn())
    areas: dict[int, float] = {}
    crops: dict[int, list[np.ndarray]] = {}
    for frame in open_faces(path, size=64):
        for face in frame.faces:
            areas[face.id] = areas.get(face.id, 0) + face.box[2] * face.box[3]
            crops.setdefault(face.id, []).append(face.crop)
    assert np.array_equal(taken, crops[max(areas, key=areas.__getitem__)])


def test_a_run_that_is_killed_goes_on_and_what_it_left_is_whole(shared_data: Path, tmp_path: Path) -> None:
    (tmp_path / "raw/happy").mkdir(parents=True)
    for k in range(4):
        name = "head-pose-face-detection-male.gif"
        (tmp_path / "raw/happy" / f"{k}.gif").write_bytes((shared_data / "videos" / name).read_bytes())
    words = ["prepare", "folder", str(tmp_path / "raw"), "--faces", "48", "--faces-as", "frames", "--workers", "1"]
    words += ["-o", str(tmp_path / "data.csv")]
    command = [sys.executable, "-m", "dfer", *words]
    run = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True)
    folder = tmp_path / "data_faces"
    while run.poll() is None and not list(folder.glob("[!.]*/*.jpg")):
        time.sleep(0.02)
    os.killpg(run.pid, signal.SIGKILL)
    run.wait()
    assert not (tmp_path / "data.csv").exists()
    kept = {path: path.stat().st_mtime_ns for path in folder.glob("[!.]*/*_00001.jpg")}
    assert 1 <= len(kept) < 4 and all(len(list(path.parent.iterdir())) == 62 for path in kept)
    done = dfer(*words, folder=tmp_path)
    assert done.returncode == 0 and "4 clips in" in done.stdout, done.stderr
    manifest = Manifest.read(tmp_path / "data.csv")
    assert manifest.table["frames"].tolist() == [62] * 4 and len(list(folder.glob("*/*.jpg"))) == 4 * 62
    assert {path: path.stat().st_mtime_ns for path in kept} == kept, "not cut twice"


def test_the_command_line_says_what_was_left_out(shared_data: Path, tmp_path: Path) -> None:
    (tmp_path / "raw/happy").mkdir(parents=True)
    (tmp_path / "raw/happy/a.mp4").write_bytes((shared_data / "videos/single_face.mp4").read_bytes())
    write_video(tmp_path / "raw/happy/b.mkv", noise(10))
    words = ("prepare", "folder", tmp_path / "raw", "-o", tmp_path / "d.csv", "--faces", 48)
    done = dfer(*words, folder=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "left out 1: no face found" in done.stdout and "b.mkv: no face found in 10 frames" in done.stderr
    assert Manifest.read(tmp_path / "d.csv").table["frames"].tolist() == [72]
    both = dfer(*words, "--pack", 48, folder=tmp_path)
    assert both.returncode == 2 and "expected --pack or --faces, got both" in both.stderr
