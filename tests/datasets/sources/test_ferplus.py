"""FER+ as folders, as archives and as one table beside its images; its majority rule by hand; the real files."""

from __future__ import annotations

import csv
import hashlib
import io
import shutil
import zipfile
from pathlib import Path

import cv2
import numpy as np
import pandas as pd
import pytest

from dfer.datasets import Manifest, read_source
from dfer.errors import DferError
from dfer.labels import FERPLUS
from dfer.video import open_clip

from .trees import FERPLUS_IMAGES, write_dfew, write_ferplus, write_frames, write_vote_table


def read(root: Path, **options: str) -> Manifest:
    return read_source("ferplus", root, **options)


def in_one_folder(tmp_path: Path, folder: str) -> Path:
    """All images in one folder, and fer2013new.csv beside it."""
    write_ferplus(tmp_path / "parts")
    root = tmp_path / "fer"
    (root / folder).mkdir(parents=True)
    for path in (tmp_path / "parts").rglob("*.png"):
        path.rename(root / folder / path.name)
    write_vote_table(root)
    return root


def assert_is_the_tree(manifest: Manifest, splits: tuple[str, ...] = ("train", "train", "val", "val", "test")) -> None:
    """Image 2, not a face, is left out; labels by hand: lone votes go, then more than half of the rest."""
    assert manifest.table["id"].tolist() == [f"fer{number:07d}" for number in (0, 1, 3, 4, 5)]
    assert manifest.emotions == FERPLUS and manifest.source == "ferplus"
    # 4 of 4 + 3 + 2 is no majority; 9 of 9; 6 of 10; 5 of 10 is half, no more; contempt has 8 of 10
    assert manifest.table["label"].tolist() == ["", "happy", "neutral", "", "contempt"]
    votes = manifest.table.loc[:, "votes_neutral":"votes_contempt"]  # type: ignore[misc]
    assert votes.to_numpy().tolist() == [list(FERPLUS_IMAGES[number][1][:8]) for number in (0, 1, 3, 4, 5)]
    assert manifest.table["other_unknown"].tolist() == [0, 0, 0, 3, 0]
    assert manifest.table["other_not_face"].tolist() == [0, 0, 0, 2, 0]
    assert tuple(manifest.table["split"]) == splits
    for row, brightness in zip(manifest.table.itertuples(), (0, 10, 30, 40, 50), strict=True):
        image = open_clip(manifest.resolve(str(row.path)), str(row.kind)).read(np.array([0]))
        assert image.shape == (1, 48, 48, 3) and (image == brightness).all()


@pytest.mark.parametrize("zipped", [False, True])
def test_folders_and_archives_give_the_same_clips(tmp_path: Path, zipped: bool) -> None:
    manifest = read(write_ferplus(tmp_path / "fer", zipped=zipped))
    assert_is_the_tree(manifest)
    assert manifest.left_out == {"no vote for an emotion": 1}
    assert manifest.table["path"][0] == f"FER2013Train{'.zip/FER2013Train' if zipped else ''}/fer0000000.png"


def test_an_archive_may_hold_its_files_deeper_and_the_litter_of_a_mac(tmp_path: Path) -> None:
    write_ferplus(tmp_path / "fer", zipped=True)
    path = tmp_path / "fer/FER2013Train.zip"
    with zipfile.ZipFile(path) as archive:
        files = {name: archive.read(name) for name in archive.namelist()}
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("__MACOSX/data/FER2013Train/._fer0000000.png", b"litter")
        for name, data in files.items():
            archive.writestr(f"data/{name}", data)
    assert_is_the_tree(read(tmp_path / "fer"))


def test_the_vote_table_stands_in_for_missing_label_files(tmp_path: Path) -> None:
    write_ferplus(tmp_path / "fer")
    write_vote_table(tmp_path / "fer")
    for path in (tmp_path / "fer").rglob("label.csv"):
        path.unlink()
    manifest = read(tmp_path / "fer")
    assert_is_the_tree(manifest)
    assert manifest.left_out == {"no vote for an emotion": 1, "row without an image name": 1}


@pytest.mark.parametrize("folder", ["images", "."])
def test_all_images_may_lie_in_one_folder_beside_the_vote_table(tmp_path: Path, folder: str) -> None:
    assert_is_the_tree(read(in_one_folder(tmp_path, folder)))


def test_columns_of_the_vote_table_are_told_by_their_names(tmp_path: Path) -> None:
    path = in_one_folder(tmp_path, "images") / "fer2013new.csv"
    table = pd.read_csv(path)
    table[table.columns[::-1]].to_csv(path, index=False)
    assert_is_the_tree(read(tmp_path / "fer"))
    table.rename(columns={"anger": "boredom"}).to_csv(path, index=False)
    with pytest.raises(DferError, match=r"fer2013new\.csv of FER2013Train: .*no emotion 'boredom'"):
        read(tmp_path / "fer")
    table.drop(columns="NF").to_csv(path, index=False)
    with pytest.raises(DferError, match=r"fer2013new\.csv of FER2013Train: .*other_not_face"):
        read(tmp_path / "fer")


def test_without_test_images_the_validation_part_is_tested_on_and_it_is_said(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    manifest = read(write_ferplus(tmp_path / "fer", parts=["Training", "PublicTest"]))
    assert manifest.table["split"].tolist() == ["train", "train", "test", "test"]
    assert "no images of FER2013Test: FER2013Valid is the test part" in caplog.text


def test_the_test_part_can_be_chosen_and_the_other_is_then_in_no_split(tmp_path: Path) -> None:
    manifest = read(write_ferplus(tmp_path / "fer"), test="FER2013Valid")
    assert_is_the_tree(manifest, ("train", "train", "test", "test", ""))
    with pytest.raises(DferError, match=r"test: it should be '', 'FER2013Test' or 'FER2013Valid', got 'Valid'"):
        read(tmp_path / "fer", test="Valid")


def test_rows_without_an_image_are_counted(tmp_path: Path) -> None:
    write_ferplus(tmp_path / "fer")
    (tmp_path / "fer/FER2013Train/fer0000001.png").unlink()
    manifest = read(tmp_path / "fer")
    assert len(manifest) == 4
    assert manifest.left_out == {"no image on disk": 1, "no vote for an emotion": 1}


@pytest.mark.parametrize(
    ("votes", "fault"),
    [
        ((-1, 11, 0, 0, 0, 0, 0, 0, 0, 0), r"1 of 5 clips have votes that are negative: 'fer0000001'"),
        ((0.5, 9.5, 0, 0, 0, 0, 0, 0, 0, 0), r"1 of 5 clips have votes that are fractional: 'fer0000001'"),
        (("", 10, 0, 0, 0, 0, 0, 0, 0, 0), r"ten counts a row, up to 1,000,000,000; got fer0000001\.png '"),
        ((1, 9, 0, 0, 0, 0, 0, 0, 0), r"ten counts a row, up to 1,000,000,000; got fer0000001\.png '"),
        (("ten", 0, 0, 0, 0, 0, 0, 0, 0, 0), r"label\.csv of FER2013Train: expected a name and ten counts.*'ten'"),
    ],
)
def test_votes_that_cannot_be_are_refused_with_their_image(
    tmp_path: Path, votes: tuple[object, ...], fault: str
) -> None:
    write_ferplus(tmp_path / "fer", {**FERPLUS_IMAGES, 1: ("Training", votes)})
    with pytest.raises(DferError, match=fault):
        read(tmp_path / "fer")


def test_an_image_named_twice_counts_once_and_not_at_all_where_its_rows_differ(tmp_path: Path) -> None:
    write_ferplus(tmp_path / "fer")
    with (tmp_path / "fer/FER2013Train/label.csv").open("a") as file:
        file.write('fer0000000.png,"(0, 0, 48, 48)",4,0,0,1,3,2,0,0,0,0\n')
        file.write('fer0000001.png,"(0, 0, 48, 48)",0,8,2,0,0,0,0,0,0,0\n')
    manifest = read(tmp_path / "fer")
    assert manifest.table["id"].str[-1].tolist() == ["0", "3", "4", "5"]
    assert manifest.left_out == {
        "rows of one image that differ": 2,
        "no vote for an emotion": 1,
        "second row of an image": 1,
    }


def test_a_part_without_votes_or_without_images_is_refused(tmp_path: Path) -> None:
    write_ferplus(tmp_path / "fer")
    (tmp_path / "fer/FER2013Train/label.csv").unlink()
    with pytest.raises(DferError, match=r"FER2013Train has no label\.csv, and there is no fer2013new\.csv in"):
        read(tmp_path / "fer")
    write_vote_table(tmp_path)
    with pytest.raises(DferError, match=r"has fer2013new\.csv but no folder of images fer0000000\.png"):
        read(tmp_path)
    with pytest.raises(DferError, match=r"expected images of FER2013Train and of FER2013Test or FER2013Valid; found F"):
        read(write_ferplus(tmp_path / "half", parts=["Training"]))


def test_a_damaged_archive_is_named(tmp_path: Path) -> None:
    path = write_ferplus(tmp_path / "fer", zipped=True) / "FER2013Valid.zip"
    path.write_bytes(path.read_bytes()[:300])
    with pytest.raises(DferError, match=r"FER2013Valid\.zip cannot be read as a zip archive: .*get it again"):
        read(tmp_path / "fer")


def test_an_image_with_a_wrong_checksum_is_left_out_and_named(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = write_ferplus(tmp_path / "fer", zipped=True) / "FER2013Train.zip"
    whole = len(read(tmp_path / "fer"))
    with zipfile.ZipFile(path) as archive:
        crc = archive.getinfo("FER2013Train/fer0000001.png").CRC.to_bytes(4, "little")
    path.write_bytes(path.read_bytes().replace(crc, bytes(4)))
    manifest = read(tmp_path / "fer")
    assert len(manifest) == whole - 1 and "fer0000001" not in set(manifest.table["id"])
    assert manifest.left_out["image cannot be read"] == 1
    assert "FER2013Train.zip/FER2013Train/fer0000001.png cannot be read: Bad CRC-32" in caplog.text


@pytest.mark.parametrize("count", ["1e300", "1" * 400, "nan", "inf", "²", "1000000001"])
def test_a_count_of_nobodys_size_is_refused(tmp_path: Path, count: str) -> None:
    label = write_ferplus(tmp_path / "fer") / "FER2013Train/label.csv"
    label.write_text(label.read_text() + f'fer0000000.png,"(0, 0, 48, 48)",{count},0,0,0,0,0,0,0,0,0\n')
    with pytest.raises(DferError, match=r"ten counts a row, up to 1,000,000,000; got fer0000000\.png") as raised:
        read(tmp_path / "fer")
    assert len(str(raised.value)) <= 500


def test_another_data_set_an_empty_folder_and_no_folder_are_refused(tmp_path: Path) -> None:
    with pytest.raises(DferError, match=r"does not look like ferplus.*it looks like dfew: `dfer prepare dfew "):
        read(write_dfew(tmp_path / "dfew"))
    write_frames(tmp_path / "own/happy", ["1.png"])
    with pytest.raises(DferError, match=r"it looks like folder"):
        read(tmp_path / "own")
    (tmp_path / "empty").mkdir()
    with pytest.raises(DferError, match=r"expected FER2013Train, .*found an empty folder$"):
        read(tmp_path / "empty")
    with pytest.raises(DferError, match=r"nowhere does not exist"):
        read(tmp_path / "nowhere")


def test_the_real_images_are_all_there_and_every_row_is_accounted_for(shared_data: Path) -> None:
    manifest = read(shared_data / "ferplus")
    rows: list[tuple[str, list[int]]] = []
    images = 0
    for part in ("FER2013Train", "FER2013Valid"):
        with zipfile.ZipFile(shared_data / f"ferplus/{part}.zip") as archive:
            images += sum(name.endswith(".png") for name in archive.namelist())
            for name, _, *votes in csv.reader(io.TextIOWrapper(archive.open(f"{part}/label.csv"), "utf-8")):
                rows.append((name.removesuffix(".png"), [int(count) for count in votes]))
    tested, doubles = pixels(shared_data, "FER2013Valid"), pixels(shared_data, "FER2013Train")
    doubles = {name: content for name, content in doubles.items() if content in set(tested.values())}
    voted = {name: votes for name, votes in rows if sum(votes[:8]) and name not in doubles}
    assert images == 28558 + 3579 == len(rows)
    without = len(rows) - len(voted) - len(doubles)
    assert manifest.left_out == {"no vote for an emotion": without, "double of an image of the test part": len(doubles)}
    assert manifest.table["id"].tolist() == list(voted)
    columns = [f"votes_{emotion}" for emotion in FERPLUS] + ["other_unknown", "other_not_face"]
    assert np.array_equal(manifest.table[columns], list(voted.values()))
    first = open_clip(manifest.resolve(manifest.table["path"][0]), "image").read(np.array([0]))
    assert first.shape == (1, 48, 48, 3) and first.std() > 0
    train, test = manifest.partition()
    assert (train | test).all() and train.sum() + test.sum() == len(manifest)


def pixels(shared_data: Path, part: str) -> dict[str, bytes]:
    """The decoded picture of each image of a part, as a digest."""
    with zipfile.ZipFile(shared_data / f"ferplus/{part}.zip") as archive:
        coded = {Path(name).stem: archive.read(name) for name in archive.namelist() if name.endswith(".png")}
    decoded = {
        name: cv2.imdecode(np.frombuffer(code, np.uint8), cv2.IMREAD_GRAYSCALE).tobytes()
        for name, code in coded.items()
    }
    return {name: hashlib.md5(content).digest() for name, content in decoded.items()}


def test_what_is_tested_is_not_trained_on_and_doubles_are_one_group(tmp_path: Path) -> None:
    root = write_ferplus(tmp_path / "fer")
    train, val, test = (root / part for part in ("FER2013Train", "FER2013Valid", "FER2013Test"))
    shutil.copy(test / "fer0000005.png", train / "fer0000000.png")
    shutil.copy(test / "fer0000005.png", val / "fer0000003.png")
    manifest = read(root)
    assert manifest.table["id"].tolist() == ["fer0000001", "fer0000004", "fer0000005"]
    assert manifest.left_out["double of an image of the test part"] == 2
    shutil.copy(val / "fer0000004.png", train / "fer0000001.png")
    manifest = read(root)
    assert manifest.left_out["double of an image of the validation part"] == 1
    assert manifest.table["id"].tolist() == ["fer0000004", "fer0000005"]


def test_doubles_within_a_part_stay_and_share_a_group(tmp_path: Path) -> None:
    root = write_ferplus(tmp_path / "fer")
    shutil.copy(root / "FER2013Train/fer0000001.png", root / "FER2013Train/fer0000000.png")
    groups = read(root).table.set_index("id")["group"]
    assert groups["fer0000000"] == groups["fer0000001"] and groups.nunique() == len(groups) - 1 and (groups != "").all()


def test_the_real_vote_table_with_its_repeated_and_nameless_rows_is_read(shared_data: Path, tmp_path: Path) -> None:
    table = pd.read_csv(shared_data / "ferplus/fer2013new.csv")
    odd = table["Image name"].isna() | table["Image name"].duplicated(keep=False)
    assert odd.sum() == 173 + 8
    part = pd.concat([table[odd], table[~odd].groupby("Usage").head(3)])
    part.to_csv(tmp_path / "fer2013new.csv", index=False)
    (tmp_path / "images").mkdir()
    for name in part["Image name"].dropna():
        (tmp_path / "images" / name).write_text(name)
    manifest = read(tmp_path)
    assert manifest.left_out == {
        "row without an image name": 173,
        "second row of an image": 3,
        "rows of one image that differ": 2,
    }
    assert manifest.table["split"].value_counts().to_dict() == {"train": 6, "val": 3, "test": 3}
