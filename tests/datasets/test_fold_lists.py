"""Lists of a split in the source's own format: what is written is what our own readers read back."""

from __future__ import annotations

import shutil
from pathlib import Path

import pandas as pd
import pytest

from dfer.datasets import Manifest, read_source
from dfer.datasets.fold_lists import write_fold_lists
from dfer.datasets.sources import ferv39k, lists, mafw
from dfer.datasets.splits import Plan, split_manifest
from dfer.errors import DferError
from dfer.labels import CREMA_D, FERV39K, MAFW

from .sources.trees import write_dfew, write_frames

FERV39K_IDS = [f"{scene}/{emotion}/{number:04d}" for scene in ("Action", "War") for emotion in ("Happy", "Sad", "Fear")
               for number in (7, 10, 267)]  # fmt: skip


def parts(manifest: Manifest) -> dict[str, tuple[object, str]]:
    """Clip -> fold and split."""
    table = manifest.table
    return {
        clip: (None if fold is pd.NA else fold, split)
        for clip, fold, split in zip(table["id"], table["fold"], table["split"], strict=True)
    }


def labels(manifest: Manifest) -> dict[str, str]:
    return dict(zip(manifest.table["id"], manifest.table["label"], strict=True))


def clips_of(root: Path, ids: list[str], folder: str, **columns: list[str]) -> pd.DataFrame:
    """Rows of clips that are there as folders of frames."""
    for name in ids:
        write_frames(root / folder / name, ["1.jpg", "2.jpg"])
    return pd.DataFrame({"id": ids, "path": [f"{folder}/{name}" for name in ids], "kind": "frames"}).assign(**columns)


def ferv39k_manifest(root: Path) -> Manifest:
    emotions = [name.split("/")[1].lower() for name in FERV39K_IDS]
    rows = clips_of(root, FERV39K_IDS, "2_ClipsforFaceCrop", label=emotions)
    return Manifest.build(rows, emotions=FERV39K, root=root, source="ferv39k")


def mafw_manifest(root: Path) -> Manifest:
    ids = [f"{number:05d}" for number in range(1, 23)]
    rows = clips_of(root, ids, "data/faces", label=[*MAFW] * 2)
    return Manifest.build(rows, emotions=MAFW, root=root, source="mafw")


# -- DFEW ---------------------------------------------------------------------------------------------------------


def test_dfews_lists_count_labels_from_one_and_give_back_the_folds(tmp_path: Path) -> None:
    root = write_dfew(tmp_path / "dfew")
    manifest = split_manifest(read_source("dfew", root), Plan(folds=2, seed=1))
    shutil.rmtree(root / "EmoLabel_DataSplit")
    files, unnamed = write_fold_lists(manifest, root)
    assert len(files) == 4 and unnamed == 2  # clips 8 and 9 have no single label
    again = read_source("dfew", root)
    single = {clip for clip, label in labels(manifest).items() if label}
    expected = {clip: part if clip in single else (None, "") for clip, part in parts(manifest).items()}
    assert parts(again) == expected and labels(again) == labels(manifest)
    text = (root / "EmoLabel_DataSplit" / "test(single-labeled)" / "set_1.csv").read_text()
    assert text.startswith("video_name,label\n") and all(line.split(",")[1] in "1234567" for line in text.split()[1:])
    everything = "".join(path.read_text() for path in files)
    assert "02522,6" in everything  # the published example: Disgust is 6


# -- FERV39k ------------------------------------------------------------------------------------------------------


def test_ferv39ks_lists_have_names_and_no_header_and_give_back_the_split(tmp_path: Path) -> None:
    manifest = split_manifest(ferv39k_manifest(tmp_path), Plan(test=0.3, val=0.2))
    write_fold_lists(manifest, tmp_path)
    lines = (tmp_path / "4_setups" / "All_scenes" / "train_All.csv").read_text().splitlines()
    assert all(line.split()[1] == line.split("/")[1] for line in lines)
    again = ferv39k.read(tmp_path)
    assert parts(again) == parts(manifest) and labels(again) == labels(manifest)


def test_each_fold_of_ferv39k_is_a_set_up_of_its_own(tmp_path: Path) -> None:
    manifest = split_manifest(ferv39k_manifest(tmp_path), Plan(folds=3))
    write_fold_lists(manifest, tmp_path)
    for fold in (1, 2, 3):
        again = ferv39k.read(tmp_path, setup=f"fold_{fold}")
        tested = {clip for clip, (_, split) in parts(again).items() if split == "test"}
        assert tested == {clip for clip, (number, _) in parts(manifest).items() if number == fold}
        assert len(again) == len(manifest)


# -- MAFW ---------------------------------------------------------------------------------------------------------


def test_mafws_lists_have_the_nouns_of_its_authors_and_give_back_the_folds(tmp_path: Path) -> None:
    manifest = split_manifest(mafw_manifest(tmp_path), Plan(folds=2))
    write_fold_lists(manifest, tmp_path)
    place = tmp_path / "Train & Test Set" / "single" / "no_caption"
    lines = [line for path in place.glob("set_1/*.txt") for line in path.read_text().splitlines()]
    assert "00001.mp4 anger" in lines and "00004.mp4 happiness" in lines and "00006.mp4 sadness" in lines
    assert "00010.mp4 helplessness" in lines and len(lines) == 22
    again = mafw.read(tmp_path)
    assert parts(again) == parts(manifest) and labels(again) == labels(manifest)


# -- any other ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("plan", [Plan(folds=3), Plan(test=0.25), Plan(test=0.25, val=0.25)])
def test_the_lists_of_any_other_source_are_read_by_the_reader_of_lists(tmp_path: Path, plan: Plan) -> None:
    ids = [f"1001_DFA, no. {number}_é" for number in range(12)]  # commas, blanks and accents
    rows = clips_of(tmp_path / "clips", ids, "VideoFlash", label=[*CREMA_D] * 2)
    manifest = Manifest.build(rows, emotions=CREMA_D, root=tmp_path / "clips", source="crema_d")
    manifest = split_manifest(manifest, plan)
    write_fold_lists(manifest, tmp_path / "lists")
    again = lists.read(tmp_path / "lists", clips=str(tmp_path / "clips"))
    assert again.table["path"].str.startswith("VideoFlash/").all()
    ours = {f"VideoFlash/{clip}": part for clip, part in parts(manifest).items()}
    assert dict(zip(again.table["path"], parts(again).values(), strict=True)) == ours
    assert dict(zip(again.table["path"], again.table["label"], strict=True)) == {
        f"VideoFlash/{clip}": label for clip, label in labels(manifest).items()
    }


# -- refusals -----------------------------------------------------------------------------------------------------


def test_lists_that_are_there_are_not_written_over(tmp_path: Path) -> None:
    manifest = split_manifest(mafw_manifest(tmp_path), Plan(folds=2))
    official = tmp_path / "Train & Test Set" / "single" / "no_caption" / "set_2" / "test.txt"
    official.parent.mkdir(parents=True)
    official.write_text("00001.mp4 anger\n")
    with pytest.raises(DferError, match=r"1 lists are there already: .*set_2.test\.txt; choose a folder without"):
        write_fold_lists(manifest, tmp_path)
    assert official.read_text() == "00001.mp4 anger\n" and not official.with_name("train.txt").exists()


def test_a_manifest_without_parts_has_no_lists(tmp_path: Path) -> None:
    with pytest.raises(DferError, match="none has a fold"):
        write_fold_lists(mafw_manifest(tmp_path), tmp_path)


def test_names_that_a_spreadsheet_would_run_come_back(tmp_path: Path) -> None:
    ids = ["=1+1", "@a", "-b", "+c", "'=d", "'tis", "e", "f"]
    rows = clips_of(tmp_path, ids, ".", label=["happy", "sad"] * 4, split=["train"] * 4 + ["test"] * 4)
    rows["path"] = ids
    manifest = Manifest.build(rows, emotions=CREMA_D, root=tmp_path)
    write_fold_lists(manifest, tmp_path / "lists")
    text = (tmp_path / "lists/train.csv").read_text()
    assert [line.split(",")[0] for line in text.splitlines()] == ["path", "'=1+1", "'@a", "'-b", "'+c"]
    assert labels(lists.read(tmp_path / "lists", clips=str(tmp_path))) == labels(manifest)
