"""RAVDESS: fields of the file names, one copy of each take, actors as groups and folds."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from dfer.datasets import Manifest, read_source
from dfer.datasets.published import PUBLISHED
from dfer.errors import DferError
from dfer.labels import RAVDESS

from .acted_trees import POINTER, RAVDESS_VIDEO_SPEECH, write_ravdess, write_ravdess_frames, write_videos

LEFT_OUT = {"sound only": 6, "clip with sound": 6, "song": 1}


def read(root: Path, **options: str) -> Manifest:
    return read_source("ravdess", root, **options)


def assert_is_the_tree(manifest: Manifest) -> None:
    """Six takes of speech; labels by hand from the codes."""
    assert manifest.table["id"].tolist() == list(RAVDESS_VIDEO_SPEECH)
    assert manifest.table["label"].tolist() == ["neutral", "calm", "happy", "fear", "disgust", "surprise"]
    assert manifest.emotions == RAVDESS and manifest.source == "ravdess"
    assert manifest.table["group"].tolist() == ["01", "01", "04", "05", "12", "24"]


def test_clips_without_sound_of_speech_are_read_by_default_and_the_rest_is_counted(tmp_path: Path) -> None:
    manifest = read(write_ravdess(tmp_path))
    assert_is_the_tree(manifest)
    assert manifest.left_out == LEFT_OUT and manifest.folds == []
    assert manifest.table["path"][4] == "Actor_12/02-01-07-02-01-01-12.mp4"


def test_what_the_name_says_is_kept(tmp_path: Path) -> None:
    table = read(write_ravdess(tmp_path)).table
    assert table["level"].tolist() == ["normal", "strong", "normal", "normal", "strong", "normal"]
    assert table["statement"].tolist() == ["kids", "dogs", "kids", "dogs", "kids", "kids"]
    assert table["repetition"].tolist() == ["1", "1", "2", "1", "1", "1"]
    assert table["sex"].tolist() == ["Male", "Male", "Female", "Male", "Female", "Female"]
    assert set(table["channel"]) == {"speech"} and set(table["modality"]) == {"video"}


def test_clips_with_sound_are_read_instead_and_never_beside_those_without(tmp_path: Path) -> None:
    manifest = read(write_ravdess(tmp_path), modality="av")
    assert [name[:2] for name in manifest.table["id"]] == ["01"] * 6
    assert manifest.left_out == {"sound only": 6, "clip without sound": 7}
    with pytest.raises(DferError, match=r"modality: it should be 'video' or 'av', got 'both'"):
        read(tmp_path, modality="both")


def test_songs_are_read_when_they_are_asked_for(tmp_path: Path) -> None:
    write_ravdess(tmp_path)
    songs = read(tmp_path, channel="song")
    assert songs.table["id"].tolist() == ["02-02-04-01-01-01-01"] and songs.table["label"].tolist() == ["sad"]
    assert songs.left_out == {"sound only": 6, "clip with sound": 6, "speech": 6}
    assert len(read(tmp_path, channel="both")) == 7


def test_folds_are_four_actors_each_in_order(tmp_path: Path) -> None:
    assert read(write_ravdess(tmp_path), folds="actors").table["fold"].tolist() == [1, 1, 1, 2, 3, 6]


def test_folders_of_frames_and_nested_archives_are_read(tmp_path: Path) -> None:
    frames = read(write_ravdess_frames(tmp_path / "frames"))
    assert_is_the_tree(frames)
    assert set(frames.table["kind"]) == {"frames"} and frames.left_out == {}
    pattern = "ravdess/Video_Speech_Actor_{actor}/Actor_{actor}/{name}.mp4"
    assert_is_the_tree(read_source("ravdess", write_ravdess(tmp_path / "nested", pattern=pattern) / "ravdess"))


def test_one_actors_folder_is_enough(tmp_path: Path) -> None:
    assert len(read(write_ravdess(tmp_path) / "Actor_01")) == 2


def test_second_copies_pointers_and_codes_that_do_not_exist_are_counted(tmp_path: Path) -> None:
    write_ravdess(tmp_path)
    shutil.copytree(tmp_path / "Actor_01", tmp_path / "copy/Actor_01")
    write_videos(tmp_path / "Actor_02", ["02-01-09-01-01-01-02.mp4", "02-01-01-01-01-01-25.mp4"])
    write_videos(tmp_path / "Actor_02", ["02-01-01-01-01-01-02.mp4"], POINTER)
    write_videos(tmp_path / "Actor_02", ["notes.txt", "1.mp4"])
    manifest = read(tmp_path)
    assert_is_the_tree(manifest)
    more = {"name with a code that does not exist": 2, "git-LFS pointer in place of the video": 1}
    assert manifest.left_out == LEFT_OUT | more | {"second copy of a clip": 5}


@pytest.mark.parametrize(
    ("keep", "told"),
    [
        ("01-*.mp4", r"found .*6: clip with sound; read these with --option modality=av"),
        ("03-*.wav", r"no clip of modality video and channel speech .*; found 6: sound only$"),
        ("02-02-*.mp4", r"found 1: song; read these with --option channel=song"),
    ],
)
def test_a_tree_without_the_wanted_clips_says_what_is_there(tmp_path: Path, keep: str, told: str) -> None:
    write_ravdess(tmp_path)
    for path in [path for path in tmp_path.rglob("*.*") if not path.match(keep)]:
        path.unlink()
    with pytest.raises(DferError, match=told):
        read(tmp_path)


def test_another_folder_is_not_taken_for_it(tmp_path: Path) -> None:
    write_videos(tmp_path / "Actor_01", ["happy.mp4"])
    with pytest.raises(DferError, match=r"does not look like ravdess: expected folders Actor_01 \.\.\. Actor_24"):
        read(tmp_path)


def test_another_reader_points_to_this_one(tmp_path: Path) -> None:
    with pytest.raises(DferError, match=r"looks like ravdess: `dfer prepare ravdess"):
        read_source("dfew", write_ravdess(tmp_path))


def test_a_complete_copy_has_the_published_counts(tmp_path: Path) -> None:
    for actor in range(1, 25):
        takes = [f"02-01-{e:02d}-{i:02d}-{s:02d}-{r:02d}-{actor:02d}.mp4" for e in range(1, 9) for i in (1, 2)
                 for s in (1, 2) for r in (1, 2) if (e, i) != (1, 2)]  # fmt: skip
        write_videos(tmp_path / f"Actor_{actor:02d}", takes)
    manifest = read(tmp_path, folds="actors")
    known = PUBLISHED["ravdess"]
    assert len(manifest) == known.clips == 1440
    assert manifest.table["label"].value_counts().to_dict() == known.per_class
    assert known.per_class == dict.fromkeys(RAVDESS, 192) | {"neutral": 96}
    for fold, sizes in known.folds.items():
        assert tuple(int(part.sum()) for part in manifest.partition(fold)) == sizes
