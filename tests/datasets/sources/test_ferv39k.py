"""FERV39k: clips known by scene, emotion and number; set-ups; labels that must be what the path says."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest

from dfer.datasets import Manifest, read_source
from dfer.errors import DferError
from dfer.labels import FERV39K

from .list_trees import (
    DFEW_ORDER,
    FERV39K_CLIPS,
    write_ferv39k,
    write_lines,
    write_numbers,
    write_scenes,
    write_setup,
)
from .trees import write_files

ALL = "4_setups/All_scenes"


def read(root: Path, **options: str) -> Manifest:
    return read_source("ferv39k", root, **options)


def assert_is_the_tree(manifest: Manifest) -> None:
    """Every clip has the part of the hand-written table, and the label and scene of its path."""
    table = manifest.table.set_index("id")
    assert table["split"].to_dict() == FERV39K_CLIPS
    assert table["label"].to_dict() == {clip: clip.split("/")[1].lower() for clip in FERV39K_CLIPS}
    assert table["scene"].to_dict() == {clip: clip.split("/")[0] for clip in FERV39K_CLIPS}
    assert manifest.emotions == FERV39K and manifest.source == "ferv39k" and manifest.folds == []


def test_the_official_tree_is_read_whole_and_the_first_line_is_no_header(tmp_path: Path) -> None:
    manifest = read(write_ferv39k(tmp_path))
    assert_is_the_tree(manifest)
    assert (
        manifest.left_out == {} and set(manifest.table["frames"]) == {2} and set(manifest.table["kind"]) == {"frames"}
    )
    row = manifest.table.set_index("id").loc["War/Sad/0267"]
    assert row["path"] == "2_ClipsforFaceCrop/War/Sad/0267" and manifest.resolve(row["path"]).is_dir()
    train, test = manifest.partition()
    assert (train.sum(), test.sum()) == (6, 3)


@pytest.mark.parametrize(
    "place",
    [
        "FERV39k/2_ClipsforFaceCrop",
        "2_ClipsforFaceCrop/2_ClipsforFaceCrop",
        "Image/CropFace/2_ClipsforFaceCrop",
        "2_ClipsforFaceCrop-002/2_ClipsforFaceCrop",
        "my clips",
        ".",
    ],
)
def test_the_folder_of_clips_may_be_nested_or_renamed(tmp_path: Path, place: str) -> None:
    write_setup(tmp_path / "drive-download-1-003" / ALL)
    write_scenes(tmp_path / place)
    assert_is_the_tree(read(tmp_path))


def test_the_parts_of_an_archive_are_one_data_set_and_second_copies_are_counted(tmp_path: Path) -> None:
    write_setup(tmp_path / ALL)
    clips = list(FERV39K_CLIPS)
    write_scenes(tmp_path / "2_ClipsforFaceCrop-001", clips[:5])
    write_scenes(tmp_path / "2_ClipsforFaceCrop-002", clips[4:])
    manifest = read(tmp_path)
    assert_is_the_tree(manifest)
    assert manifest.left_out == {"second copy of a clip": 1}


def test_faces_come_before_whole_pictures_which_can_be_asked_for(tmp_path: Path) -> None:
    write_scenes(write_ferv39k(tmp_path) / "Original/3_ClipsforScenImages", frames=3)
    assert set(read(tmp_path).table["frames"]) == {2}
    assert set(read(tmp_path, clips="3_ClipsforScenImages").table["frames"]) == {3}
    with pytest.raises(DferError, match=r"a folder of clips 'films', found 2_ClipsforFaceCrop, 3_Clips.*-O clips=NAME"):
        read(tmp_path, clips="films")


def test_clips_may_be_videos(tmp_path: Path) -> None:
    write_setup(tmp_path / ALL)
    for clip in FERV39K_CLIPS:
        write_files(tmp_path / "clips" / Path(clip).parent, f"{Path(clip).name}.mp4", [0])
    manifest = read(tmp_path)
    assert_is_the_tree(manifest)
    assert set(manifest.table["kind"]) == {"video"} and manifest.table["frames"].isna().all()


def test_every_set_up_can_be_asked_for_alone_or_by_its_folder(tmp_path: Path) -> None:
    write_ferv39k(tmp_path)
    action = read(tmp_path, setup="22_scenes/Action")
    assert set(action.table["id"]) == {"Action/Happy/0267", "Action/Sad/0267"}
    assert action.left_out == {"clip on disk that the lists do not name": 7}
    assert read(tmp_path, setup="action").table["id"].tolist() == action.table["id"].tolist()
    assert set(read(tmp_path, setup="22_scenes").table["scene"]) == {"Action", "War"}
    with pytest.raises(
        DferError,
        match=r"setup=NAME: no lists of 'All_scene' \(did you mean 'All_scenes'\?\)",
    ):
        read(tmp_path, setup="All_scene")


def test_pairs_of_lists_in_one_folder_are_set_ups_of_their_own(tmp_path: Path) -> None:
    write_scenes(tmp_path / "2_ClipsforFaceCrop")
    for scene in ("Action", "War"):
        clips = {clip: part for clip, part in FERV39K_CLIPS.items() if clip.startswith(scene)}
        write_setup(tmp_path / "4_setups/22_scenes", clips, name=f"{{part}}_{scene}.csv")
    assert set(read(tmp_path, setup="22_scenes/War").table["scene"]) == {"War"}
    with pytest.raises(DferError, match=r"no lists of 'All_scenes'.*ion, 22_scenes/War"):
        read(tmp_path)


def test_a_tree_without_lists_is_refused(tmp_path: Path) -> None:
    write_scenes(tmp_path / "2_ClipsforFaceCrop")
    with pytest.raises(DferError, match=r"no lists of 'All_scenes'; expected none"):
        read(tmp_path)


@pytest.mark.parametrize("header", ["path,id", ""])
def test_alphabetical_numbers_of_s2d_are_read_by_the_names_in_their_paths_and_it_is_said(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, header: str
) -> None:
    write_scenes(tmp_path / "2_ClipsforFaceCrop")
    write_numbers(tmp_path / "annotation", header=header)
    assert_is_the_tree(read(tmp_path))
    assert "0 angry, 1 disgust, 2 fear, 3 happy, 4 neutral, 5 sad, 6 surprise (S2D on FERV39k" in caplog.text


@pytest.mark.parametrize("base", [0, 1])
def test_numbers_in_dfews_order_are_read_from_either_base(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, base: int
) -> None:
    write_scenes(tmp_path / "2_ClipsforFaceCrop")
    write_numbers(tmp_path / "annotation", DFEW_ORDER, base=base)
    assert_is_the_tree(read(tmp_path))
    assert f"{base} happy, {base + 1} sad" in caplog.text and "(DFEW from 1" in caplog.text


def test_numbers_of_two_orders_in_one_set_up_are_refused(tmp_path: Path) -> None:
    write_scenes(tmp_path / "2_ClipsforFaceCrop")
    write_numbers(tmp_path / "annotation")
    other = tmp_path / "other"
    write_numbers(other, DFEW_ORDER)
    shutil.copy(other / "test.csv", tmp_path / "annotation/test.csv")
    shutil.rmtree(other)
    with pytest.raises(DferError, match=r"do not go together: 0 stands for angry, happy; .* mixed from two orders"):
        read(tmp_path)


def test_a_label_that_contradicts_its_path_is_refused_with_its_clip(tmp_path: Path) -> None:
    write_ferv39k(tmp_path)
    path = tmp_path / ALL / "train_All.csv"
    path.write_text(path.read_text().replace("War/Sad/0267 Sad", "War/Sad/0267 Happy"))
    with pytest.raises(DferError, match=r"label of 1 of 9 clips is not the emotion in their path: War/Sad/0267"):
        read(tmp_path)


def test_numbers_that_one_clip_in_many_breaks_are_refused_with_that_clip(tmp_path: Path) -> None:
    write_scenes(tmp_path / "2_ClipsforFaceCrop", ["Action/Happy/0001"])
    lines = [f"Action/{name}/{k:04d},{DFEW_ORDER.index(name)}" for name in ("Happy", "Sad") for k in range(1, 11)]
    write_lines(tmp_path / "train.csv", [*lines, "Action/Sad/0099,0"])
    with pytest.raises(
        DferError, match=r"label of 1 of 21 clips is not the emotion in .*Action/Sad/0099; correct these"
    ):
        read(tmp_path)


@pytest.mark.parametrize("clip", ["Happy/0267", "0267", "Party/Happy/0267", "Action/Bored/0267"])
def test_a_clip_without_its_scene_and_emotion_is_refused_for_numbers_repeat(tmp_path: Path, clip: str) -> None:
    write_ferv39k(tmp_path)
    write_lines(tmp_path / ALL / "test_All.csv", [f"{clip} Happy"])
    with pytest.raises(DferError, match=rf"expected clips as Scene/Emotion/number.* 1 of 1 lines found {clip}"):
        read(tmp_path)


def test_a_clip_in_train_and_test_is_refused(tmp_path: Path) -> None:
    write_ferv39k(tmp_path)
    with (tmp_path / ALL / "test_All.csv").open("a") as file:
        file.write("\nWar/Sad/0267 Sad\n")
    with pytest.raises(DferError, match=r"1 clips are in the train and the test list: War/Sad/0267"):
        read(tmp_path)


def test_what_is_missing_empty_doubled_or_unlisted_is_counted_and_named(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    root = write_ferv39k(tmp_path)
    faces = root / "2_ClipsforFaceCrop"
    shutil.rmtree(faces / "War/Happy/0010")
    for frame in (faces / "Crime/Fear/0005").iterdir():
        frame.unlink()
    (faces / "Crime/Fear/Thumbs.db").touch()
    write_scenes(faces, ["School/Happy/0001"])
    with (tmp_path / ALL / "test_All.csv").open("a") as file:
        file.write("\nAction/Sad/0267 Sad\n")
    manifest = read(tmp_path)
    assert len(manifest) == 7 and manifest.left_out == {
        "no clip on disk": 1,
        "folder without a frame": 1,
        "clip on disk that the lists do not name": 1,
        "second row of a clip in a list": 1,
    }
    assert "no clip on disk: War/Happy/0010" in caplog.text and "School/Happy/0001" in caplog.text


def test_a_tree_of_which_no_clip_is_listed_is_refused(tmp_path: Path) -> None:
    write_setup(tmp_path / ALL)
    write_scenes(tmp_path / "faces", ["School/Happy/0001"])
    with pytest.raises(DferError, match=r"none of the 9 clips of the lists is in .*Action/Sad/0267, "):
        read(tmp_path)


def test_windows_paths_byte_order_marks_and_line_ends_do_not_matter(tmp_path: Path) -> None:
    write_ferv39k(tmp_path)
    for path in (tmp_path / ALL).iterdir():
        lines = path.read_text().replace("/", "\\").replace("\n", "\r\n")
        path.write_bytes(b"\xef\xbb\xbf" + lines.encode() + b"\r\n\r\n")
    assert_is_the_tree(read(tmp_path))


def test_another_data_set_is_refused_and_ferv39k_is_recognised_for_it(tmp_path: Path) -> None:
    root = write_ferv39k(tmp_path)
    with pytest.raises(DferError, match=re.escape(f"it looks like ferv39k: `dfer prepare ferv39k {root}`")):
        read_source("dfew", root)
