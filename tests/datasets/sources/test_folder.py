"""A folder per class: names to emotions, splits, kinds of clips, and what is no clip."""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path

import pytest

from dfer.datasets import Manifest, read_source
from dfer.errors import DferError
from dfer.labels import DFEW

from .trees import write_dfew, write_files, write_frames


def read(root: Path, **options: str) -> Manifest:
    return read_source("folder", root, **options)


def test_folders_become_emotions_by_name_whatever_their_spelling(tmp_path: Path) -> None:
    for name in ("Happiness", "sad", "ANGER"):
        write_files(tmp_path / name, "{0}.mp4", [2, 10])
    manifest = read(tmp_path)
    assert manifest.table["id"].tolist() == [
        *("ANGER/2.mp4", "ANGER/10.mp4"),
        *("Happiness/2.mp4", "Happiness/10.mp4"),
        *("sad/2.mp4", "sad/10.mp4"),
    ]
    assert manifest.table["label"].tolist() == ["angry"] * 2 + ["happy"] * 2 + ["sad"] * 2
    assert list(manifest.emotions) == ["angry", "happy", "sad"], "in the order of the smallest known set, CREMA-D's"


def test_folders_are_the_classes_no_more_and_no_fewer(tmp_path: Path) -> None:
    for name in ("surprise", "happy"):
        write_files(tmp_path / name, "{0}.mp4", [1])
    assert list(read(tmp_path).emotions) == ["happy", "surprise"]
    for name in ("sad", "neutral", "angry", "fear"):
        write_files(tmp_path / name, "{0}.mp4", [1])
    assert list(read(tmp_path).emotions) == ["happy", "sad", "neutral", "angry", "surprise", "fear"]
    write_files(tmp_path / "disgust", "{0}.mp4", [1])
    assert read(tmp_path).emotions == DFEW
    for name in ("calm", "anxiety"):  # no known set has both
        write_files(tmp_path / name, "{0}.mp4", [1])
    assert list(read(tmp_path).emotions) == [*DFEW, "anxiety", "calm"]


def test_folders_called_by_own_abbreviations_are_mapped(tmp_path: Path) -> None:
    for name in ("NTR", "sup", "happy"):
        write_files(tmp_path / name, "{0}.mp4", [1])
    manifest = read(tmp_path, map="ntr=neutral,sup=surprise")
    assert manifest.table["label"].tolist() == ["neutral", "happy", "surprise"]
    assert list(manifest.emotions) == ["happy", "neutral", "surprise"]


def test_videos_images_arrays_and_folders_of_frames_are_clips_and_the_rest_is_counted(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    happy = tmp_path / "happy"
    write_frames(happy / "a", ["1.jpg"])
    for name in ("b.MP4", "c.png", "d.npy", "e.txt", ".DS_Store", "._b.MP4"):
        (happy / name).touch()
    (happy / "f").mkdir()
    (happy / "g").mkdir()
    (happy / "g/._1.jpg").touch()
    (happy / "g/notes.txt").touch()
    manifest = read(tmp_path)
    kinds = dict(zip(manifest.table["path"], manifest.table["kind"], strict=True))
    assert kinds == {"happy/a": "frames", "happy/b.MP4": "video", "happy/c.png": "image", "happy/d.npy": "array"}
    assert manifest.left_out == {"neither video nor image": 2, "folder without a frame": 1}
    told = {record.getMessage() for record in caplog.records}
    assert told == {
        *(f"left out happy/{name}: neither video nor image" for name in ("e.txt", "g/notes.txt")),
        *(f"left out happy/{name}: hidden" for name in (".DS_Store", "._b.MP4", "g/._1.jpg")),
        "left out happy/f: folder without a frame",
    }


@pytest.mark.parametrize(("names", "split"), [(("train", "test"), "test"), (("Training", "Validation"), "val")])
def test_splits_are_read_where_they_are(tmp_path: Path, names: tuple[str, str], split: str) -> None:
    for name in names:
        write_files(tmp_path / name / "happy", "{0}.mp4", [1])
        write_files(tmp_path / name / "sad", "{0}.mp4", [1])
    manifest = read(tmp_path)
    assert sorted(manifest.table["split"]) == sorted(["train", "train", split, split])
    assert manifest.table["id"].is_unique and manifest.folds == []
    assert set(manifest.table["label"]) == {"happy", "sad"}


def test_clips_in_no_folder_of_an_emotion_are_named_and_counted(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    for name in ("train", "test", "PrivateTest"):
        write_files(tmp_path / name / "happy", "{0}.mp4", [1])
        write_files(tmp_path / name / "sad", "{0}.mp4", [1])
    write_files(tmp_path, "{0}.mp4", [7])
    write_files(tmp_path / "test", "{0}.mp4", [8])
    manifest = read(tmp_path)
    assert len(manifest) == 4 and manifest.left_out == {"in no folder of an emotion": 4}
    for path in ("PrivateTest/happy/1.mp4", "PrivateTest/sad/1.mp4", "7.mp4", "test/8.mp4"):
        assert f"left out {path}: in no folder of an emotion" in caplog.text


def test_the_second_files_of_a_mac_are_no_class(tmp_path: Path) -> None:
    for name in ("happy", "sad", "__MACOSX/happy"):
        write_files(tmp_path / name, "{0}.mp4", [1])
    manifest = read(tmp_path)
    assert manifest.table["path"].tolist() == ["happy/1.mp4", "sad/1.mp4"] and not manifest.left_out


def test_folders_called_by_numbers_are_mapped_as_the_message_says(tmp_path: Path) -> None:
    for name in ("0", "1"):
        write_files(tmp_path / name, "{0}.mp4", [1])
    with pytest.raises(DferError, match=r"say what they stand for: --map 0=happy and so on$"):
        read(tmp_path)
    assert read(tmp_path, map="0=happy,1=sad").table["label"].tolist() == ["happy", "sad"]


def test_emotions_that_nobody_else_knows_are_named_in_order(tmp_path: Path) -> None:
    for name in ("bored", "happy"):
        write_files(tmp_path / name, "{0}.mp4", [1])
    manifest = read(tmp_path, emotions="happy, bored")
    assert list(manifest.emotions) == ["happy", "bored"] and manifest.labels.tolist() == [1, 0]
    with pytest.raises(DferError, match=r"no known set of emotions has all of bored, happy; in none at all: 'bored'"):
        read(tmp_path)
    with pytest.raises(DferError, match=r"no emotion 'bored'"):
        read(tmp_path, emotions="dfew")
    with pytest.raises(DferError, match=r"no emotion set 'dfw' \(did you mean 'dfew'\?\)"):
        read(tmp_path, emotions="dfw")


def test_a_misspelt_folder_is_named_with_the_nearest_emotion(tmp_path: Path) -> None:
    write_files(tmp_path / "happy", "{0}.mp4", [1])
    write_files(tmp_path / "surpris_", "{0}.mp4", [1])
    with pytest.raises(DferError, match=r"'surpris_' \(did you mean 'surprise'\?\); say what they stand for, --map"):
        read(tmp_path)


def test_a_root_without_classes_clips_or_anything_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DferError, match=r"has no folders: expected a folder for each emotion"):
        read(tmp_path)
    (tmp_path / "happy").mkdir()
    with pytest.raises(DferError, match=r"no clip in the folders of"):
        read(tmp_path)
    with pytest.raises(DferError, match=r"nowhere does not exist"):
        read(tmp_path / "nowhere")
    (tmp_path / "film.mp4").touch()
    with pytest.raises(DferError, match=r"expected a folder for each emotion.*; got the file .*film\.mp4"):
        read(tmp_path / "film.mp4")


def test_a_published_data_set_and_a_table_are_refused_with_a_hint(tmp_path: Path) -> None:
    with pytest.raises(DferError, match=r"does not look like folder: .*it looks like dfew: `dfer prepare dfew "):
        read(write_dfew(tmp_path / "dfew"))
    (tmp_path / "votes.csv").touch()
    with pytest.raises(DferError, match=r"found a file; it looks like table: `dfer prepare table "):
        read(tmp_path / "votes.csv")


@pytest.mark.skipif(sys.platform != "linux", reason="other systems have no file names that are not text")
def test_a_file_name_that_is_not_text_is_refused_in_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "happy").mkdir()
    Path(os.fsdecode(os.fsencode(tmp_path) + b"/happy/x\xe9.mp4")).touch()
    # pandas 2 keeps what pandas 3 refuses, so that the manifest says it
    said = (
        r"holds a name that is not in UTF-8, .*x.*; rename it"
        r"|1 clips have what is no valid Unicode in id: .*happy/x.*; rename them"
    )
    with pytest.raises(DferError, match=said):
        read(tmp_path)


def test_films_of_every_name_are_clips_of_folders_and_of_tables(shared_data: Path, tmp_path: Path) -> None:
    case = shared_data / "cases" / "14-table-denies-files"
    if not case.is_dir():
        pytest.skip("no films of all kinds beside the checkout")
    happy = tmp_path / "clips" / "happy"
    (happy / "session").mkdir(parents=True)
    names = {"00001.MTS": "00001.MTS", "c.3gp": "c.3gp", "session/film": "c.3gp", "README": "README"}
    for name, source in names.items():
        shutil.copy(case / source, happy / name)
    manifest = read(tmp_path / "clips")
    assert dict(zip(manifest.table["path"], manifest.table["kind"], strict=True)) == dict.fromkeys(
        ("happy/00001.MTS", "happy/c.3gp", "happy/session/film"), "video"
    )
    assert manifest.left_out == {"neither video nor image": 1}
    table = read_source("table", case / "votes.csv").table
    assert table["path"].tolist() == ["00001.MTS", "c.3gp"] and set(table["kind"]) == {"video"}
