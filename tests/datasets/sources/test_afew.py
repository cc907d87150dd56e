"""AFEW: videos or faces by part and emotion, a test part without labels, names that say the label once more."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from dfer.datasets import Manifest, read_source
from dfer.errors import DferError
from dfer.labels import DFEW

from .list_trees import AFEW_CLIPS, write_afew, write_afew_faces
from .trees import write_files, write_frames

NO_LABEL = "clip of the test part, whose label is not published"


def read(root: Path) -> Manifest:
    return read_source("afew", root)


def assert_is_the_tree(manifest: Manifest) -> None:
    """Every clip of the hand-written table, with its folder's label; Val is what is tested on."""
    table = manifest.table.set_index("id")
    assert table["label"].to_dict() == {clip.lower(): label for clip, label in AFEW_CLIPS.items()}
    assert table["split"].to_dict() == {name: "train" if name[0] == "t" else "test" for name in table.index}
    assert manifest.emotions == DFEW and manifest.emotions.name == "afew" and manifest.source == "afew"


@pytest.mark.parametrize("part", ["{0}", "AFEW/{0}", "{0}_AFEW", "{0}_AFEW/{0}_AFEW", "EmotiW 2019/AFEW/{0}"])
def test_videos_are_read_with_val_as_the_test_part_and_the_test_part_left_out(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, part: str
) -> None:
    manifest = read(write_afew(tmp_path, part=part))
    assert_is_the_tree(manifest)
    assert set(manifest.table["kind"]) == {"video"} and manifest.left_out == {NO_LABEL: 2}
    assert "Val is the test part, validation is cut from Train" in caplog.text
    assert manifest.resolve(manifest.table["path"][0]).is_file()


def test_faces_with_set_and_label_in_their_names_are_the_same_clips(tmp_path: Path) -> None:
    manifest = read(write_afew_faces(tmp_path))
    assert_is_the_tree(manifest)
    assert set(manifest.table["kind"]) == {"frames"} and set(manifest.table["frames"]) == {2}
    assert "train/Disgust/0_5_011756043" in set(manifest.table["path"])


def test_a_name_whose_label_is_not_its_folders_is_refused(tmp_path: Path) -> None:
    write_frames(write_afew_faces(tmp_path) / "train/Disgust/0_1_000000123", ["1.jpg"])
    with pytest.raises(
        DferError, match=r"0_1_000000123: the folder says disgust, label 1 of the name sad \(from 0: happy"
    ):
        read(tmp_path)


def test_a_test_part_with_labels_is_the_test_part(tmp_path: Path) -> None:
    write_afew(tmp_path, clips=[*AFEW_CLIPS, "Test/Sad/000000001"])
    manifest = read(tmp_path)
    assert manifest.table["split"].value_counts().to_dict() == {"train": 3, "val": 2, "test": 1}
    assert manifest.left_out == {NO_LABEL: 2}


def test_empty_folders_and_other_files_are_counted(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    root = write_afew(tmp_path)
    (root / "Train/Angry/000000001").mkdir()
    (root / "Train/Angry/readme.txt").touch()
    (root / "Train/Angry/000149120.txt").touch()
    (root / "Train/Angry/.DS_Store").touch()
    (root / "Train/Angry/0_7_000149120.avi").touch()
    manifest = read(root)
    assert_is_the_tree(manifest)
    assert manifest.left_out == {
        NO_LABEL: 2,
        "folder without a frame": 1,
        "neither video nor folder of a clip": 2,
        "clip whose name is none of AFEW's": 1,
    }
    assert "left out Train/Angry/readme.txt" in caplog.text


def test_videos_beside_their_faces_are_refused_as_doubles(tmp_path: Path) -> None:
    write_afew(tmp_path / "AFEW")
    write_afew_faces(tmp_path / "AFEW_Face")
    with pytest.raises(
        DferError, match=r"5 clips are there more than once, such as AFEW.*; give the folder of the videos"
    ):
        read(tmp_path)


def test_a_folder_per_class_of_other_clips_is_not_taken_for_afew(tmp_path: Path) -> None:
    for part in ("Train", "Val"):
        write_files(tmp_path / part / "Happy", "{0}.mp4", [1, 2])
    with pytest.raises(DferError, match=re.escape(f"looks like folder: `dfer prepare folder {tmp_path}`")):
        read(tmp_path)
