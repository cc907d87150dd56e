"""MAFW: votes or a distribution, single and compound labels, folds in two encodings; everything by name."""

from __future__ import annotations

import codecs
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from dfer.datasets import Manifest, read_source
from dfer.datasets.published import PUBLISHED
from dfer.errors import DferError
from dfer.labels import MAFW

from .mafw_trees import (
    MAFW_CLIPS,
    NAMES,
    write_annotation,
    write_mafw,
    write_mafw_frames,
    write_mafw_lists,
    write_multi_set,
    write_sheet,
    write_single_set,
)
from .trees import write_dfew, write_files

IDS = ["00001", "00025", "00151", "02000", "03747", "05000", "07001", "10045"]
LABELS = ["angry", "angry", "happy", "sad", "", "contempt", "disappointment", "surprise"]
FOLDS = [1, 1, 1, 2, None, 2, 2, 2]
COUNTS = np.array([[row[0].get(name, 0) for name in NAMES] for row in MAFW_CLIPS.values()], dtype=float)
LIST = "Train & Test Set/single/no_caption/set_1/train.txt"


def read(root: Path, **options: str) -> Manifest:
    return read_source("mafw", root, **options)


def assert_is_the_tree(manifest: Manifest) -> None:
    """All clips with their counts; the one without a single label is never tested."""
    assert manifest.table["id"].tolist() == IDS and manifest.table["label"].tolist() == LABELS
    assert [None if pd.isna(fold) else fold for fold in manifest.table["fold"]] == FOLDS
    assert np.array_equal(manifest.votes, COUNTS)
    assert manifest.emotions == MAFW and manifest.source == "mafw"


def test_tables_lists_and_frames_come_together_by_the_clips_number(tmp_path: Path) -> None:
    manifest = read(write_mafw(tmp_path))
    assert_is_the_tree(manifest)
    assert manifest.left_out == {} and "soft_from" not in manifest.table
    assert manifest.table["path"][4] == "data/frames/03747" and set(manifest.table["frames"]) == {2}
    assert manifest.table["invalid"].tolist() == ["0"] * 8


def test_rows_and_columns_may_come_in_any_order(tmp_path: Path) -> None:
    path = write_mafw(tmp_path) / "Labels/annotation.xlsx"
    table = pd.read_excel(path)
    table.sample(frac=1, random_state=1)[["surprise", *sorted(set(table) - {"surprise"})]].to_excel(path, index=False)
    assert_is_the_tree(read(tmp_path))


def test_shares_are_a_distribution_and_never_votes(tmp_path: Path) -> None:
    write_mafw(tmp_path)
    write_annotation(tmp_path, shares=True)
    manifest = read(tmp_path)
    assert manifest.table["label"].tolist() == LABELS
    assert np.isnan(manifest.votes).all()
    np.testing.assert_allclose(manifest.soft, COUNTS / 11, atol=1e-12)
    assert set(manifest.table["soft_from"]) == {"published distribution"}


@pytest.mark.parametrize("scale", [100, 1 / 11 + 1e-4])
def test_percentages_and_rounded_shares_are_distributions_too(tmp_path: Path, scale: float) -> None:
    write_mafw(tmp_path)
    path = tmp_path / "Labels/annotation.xlsx"
    table = pd.read_excel(path)
    table[list(NAMES)] = table[list(NAMES)] * scale
    table.to_excel(path, index=False)
    manifest = read(tmp_path)
    np.testing.assert_allclose(manifest.soft, COUNTS / 11, atol=1e-12)
    assert np.isnan(manifest.votes).all()


def test_a_clip_without_numbers_has_no_distribution_and_without_a_label_it_is_left_out(tmp_path: Path) -> None:
    empty = MAFW_CLIPS | {25: ({}, "anger", ""), 3747: ({}, "", "")}
    write_mafw(tmp_path)
    write_annotation(tmp_path, shares=True, clips=empty)
    manifest = read(tmp_path)
    assert manifest.left_out == {"clip on disk without distribution or label": 1}
    row = manifest.table.set_index("id").loc["00025"]
    assert row["label"] == "angry" and row["soft_from"] == "" and np.isnan(manifest.soft[1]).all()


def test_what_stands_under_invalid_is_kept_as_it_stands(tmp_path: Path) -> None:
    path = write_mafw(tmp_path) / "Labels/annotation.xlsx"
    table = pd.read_excel(path).astype({"invalid": object})
    table.loc[:2, "invalid"] = [-1, 0.93, None]
    table.to_excel(path, index=False)
    assert read(tmp_path).table["invalid"].tolist()[:4] == ["-1", "0.93", "", "0"]


@pytest.mark.parametrize(("first", "title"), [("name", ""), ("clip", "Single expressions of MAFW"), ("Name", "x")])
def test_the_header_of_the_single_set_is_found(tmp_path: Path, first: str, title: str) -> None:
    write_mafw(tmp_path)
    write_single_set(tmp_path, first=first, title=title)
    assert_is_the_tree(read(tmp_path))


def test_class_numbers_that_count_from_zero_are_read_as_such_and_said(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    write_mafw(tmp_path)
    write_single_set(tmp_path, base=0)
    assert_is_the_tree(read(tmp_path))
    assert "single-set.xlsx counts labels from 0" in caplog.text


def test_tables_alone_suffice_and_then_there_are_no_folds(tmp_path: Path) -> None:
    write_annotation(tmp_path)
    write_single_set(tmp_path)
    write_mafw_frames(tmp_path / "frames")
    manifest = read(tmp_path)
    assert manifest.table["label"].tolist() == LABELS and manifest.folds == []


@pytest.mark.parametrize("captions", [False, True])
@pytest.mark.parametrize("place", ["Train & Test Set", "split", "MAFW/Train & Test Set"])
def test_lists_alone_suffice_with_captions_or_without(tmp_path: Path, captions: bool, place: str) -> None:
    write_mafw_lists(tmp_path, captions=captions, place=place)
    write_files(tmp_path / "data/clips", "{:05d}.mp4", MAFW_CLIPS)
    manifest = read(tmp_path)
    assert manifest.table["id"].tolist() == [name for name in IDS if name != "03747"]
    assert manifest.table["label"].tolist() == [label for label in LABELS if label]
    assert manifest.table["fold"].tolist() == [fold for fold in FOLDS if fold]
    assert set(manifest.table["kind"]) == {"video"} and np.isnan(manifest.votes).all()
    assert manifest.left_out == {"clip on disk without distribution or label": 1}


def test_the_lists_of_labels_with_captions_stand_in_for_the_tables(tmp_path: Path) -> None:
    write_annotation(tmp_path)
    lines = [f"{n:05d}.mp4 {row[1]} 他笑 He laughs" for n, row in MAFW_CLIPS.items() if row[1]]
    (tmp_path / "Labels/single_label.txt").write_bytes("\n".join(lines).encode("gb18030"))
    write_mafw_frames(tmp_path / "frames")
    assert read(tmp_path).table["label"].tolist() == LABELS


def test_a_byte_order_mark_and_windows_line_ends_do_no_harm(tmp_path: Path) -> None:
    path = write_mafw(tmp_path) / LIST
    path.write_bytes(codecs.BOM_UTF8 + path.read_bytes().replace(b"\n", b"\r\n") + b"\r\n\r\n")
    assert_is_the_tree(read(tmp_path))


def test_compound_clips_have_a_text_and_no_label(tmp_path: Path) -> None:
    manifest = read(write_mafw(tmp_path), classes="compound")
    table = manifest.table
    assert table["compound"].tolist() == ["", "angry_disgust", "", "sad_helplessness", "fear_surprise", "", "", ""]
    assert table["label"].tolist() == ["angry", "", "happy", "", "", "contempt", "disappointment", "surprise"]
    assert table["fold"].tolist() == [1, 1, 1, 2, 1, 2, 2, 2] and np.array_equal(manifest.votes, COUNTS)


def test_a_compound_clip_of_which_nothing_else_is_known_is_even_over_its_parts(tmp_path: Path) -> None:
    write_mafw_lists(tmp_path, "compound")
    write_mafw_frames(tmp_path / "frames")
    manifest = read(tmp_path, classes="compound")
    row = dict(zip(MAFW, manifest.soft[1], strict=True))
    assert row == dict.fromkeys(MAFW, 0.0) | {"angry": 0.5, "disgust": 0.5}
    assert manifest.table["soft_from"].tolist()[:2] == ["", "compound label, even over its parts"]
    assert np.isnan(manifest.soft[0]).all() and np.isnan(manifest.votes).all()


def test_compound_labels_of_the_table_need_no_lists(tmp_path: Path) -> None:
    write_annotation(tmp_path, shares=True)
    write_single_set(tmp_path)
    write_multi_set(tmp_path)
    write_mafw_frames(tmp_path / "frames")
    table = read(tmp_path, classes="compound").table
    assert table["compound"].tolist() == ["", "angry_disgust", "", "sad_helplessness", "fear_surprise", "", "", ""]
    assert set(table["soft_from"]) == {"published distribution"}


def test_faces_are_taken_before_frames_and_clips_unless_they_are_asked_for(tmp_path: Path) -> None:
    write_mafw(tmp_path)
    write_mafw_frames(tmp_path / "data/faces", suffix="jpg")
    write_files(tmp_path / "data/clips", "{}.mp4", MAFW_CLIPS)
    assert read(tmp_path).table["path"][0] == "data/faces/00001"
    assert read(tmp_path, clips="frames").table["path"][0] == "data/frames/00001"
    videos = read(tmp_path, clips="clips")
    assert videos.table["path"][0] == "data/clips/1.mp4"
    assert_is_the_tree(videos)


def test_clips_that_are_missing_empty_or_twice_there_are_counted(tmp_path: Path) -> None:
    write_mafw(tmp_path)
    frames = tmp_path / "data/frames"
    for path in [*(frames / "00001").iterdir(), *(frames / "00025").iterdir()]:
        path.unlink()
    (frames / "00001").rmdir()
    write_mafw_frames(tmp_path / "part2/frames", [151, 9999])
    manifest = read(tmp_path)
    assert manifest.table["id"].tolist() == IDS[2:]
    assert manifest.left_out == {
        "no clip on disk": 1,
        "folder without a frame": 1,
        "clip on disk without distribution or label": 1,
        "second copy of a clip": 1,
    }


def test_single_labels_that_a_folds_lists_pass_over_are_said(tmp_path: Path) -> None:
    path = write_mafw(tmp_path) / LIST
    path.write_text("\n".join(line for line in path.read_text().splitlines() if "05000" not in line))
    assert read(tmp_path).left_out == {"single label but in neither list of fold 1 (not left out: trained on)": 1}


@pytest.mark.parametrize(
    ("old", "new", "fault"),
    [
        ("02000.mp4 sadness", "02000.mp4 sorrow", r"expected labels of angry, .*; found 'sorrow'"),
        ("02000.mp4 sadness", "02000.mp4", r"expected lines such as '00025.mp4 anger'; found '02000.mp4'"),
        ("02000.mp4 sadness", "two.mp4 sadness", r"expected clip numbers; found 'two.mp4'"),
        ("02000.mp4", "05000.mp4", r"names 1 clips twice: 5000"),
        ("02000.mp4 sadness", "00001.mp4 anger", r"1 clips are in the train and the test list of one fold"),
        ("02000.mp4 sadness", "02000.mp4 fear", r"1 clips have different labels in different lists: 2000"),
    ],
)
def test_a_damaged_list_is_refused(tmp_path: Path, old: str, new: str, fault: str) -> None:
    path = write_mafw(tmp_path) / LIST
    assert old in path.read_text()
    path.write_text(path.read_text().replace(old, new))
    with pytest.raises(DferError, match=fault):
        read(tmp_path)


@pytest.mark.parametrize("content", [b"", b"\n\n", "02000.mp4 sadness".encode("utf-16")])
def test_an_empty_list_or_one_that_is_no_text_is_refused(tmp_path: Path, content: bytes) -> None:
    (write_mafw(tmp_path) / LIST).write_bytes(content)
    with pytest.raises(DferError, match=r"train\.txt: expected"):
        read(tmp_path)


def test_lists_with_numbers_are_refused_because_four_orders_are_in_use(tmp_path: Path) -> None:
    (write_mafw(tmp_path) / LIST).write_text("02000.mp4 5\n05000.mp4 7\n")
    with pytest.raises(DferError, match=r"labels by name.*four orders are in use: .*`dfer prepare lists`"):
        read(tmp_path)


def test_lists_in_another_order_than_the_table_are_refused_and_it_is_said_what_differs(tmp_path: Path) -> None:
    write_mafw(tmp_path)
    alphabetical = sorted(NAMES)
    path = tmp_path / "Labels/single-set.xlsx"
    table = pd.read_excel(path)
    table["single_label"] = [alphabetical.index(NAMES[number - 1]) + 1 for number in table["single_label"]]
    table.to_excel(path, index=False)
    with pytest.raises(DferError, match=r"different labels to 5 of 7 clips: .*another order: what the lists call"):
        read(tmp_path)


def test_one_label_that_differs_is_refused_by_clip(tmp_path: Path) -> None:
    write_mafw(tmp_path)
    path = tmp_path / "Labels/single-set.xlsx"
    table = pd.read_excel(path)
    table.loc[0, "single_label"] = 2
    table.to_excel(path, index=False)
    with pytest.raises(DferError, match=r"different labels to 1 of 7 clips: 1;"):
        read(tmp_path)


def test_labels_that_the_distribution_contradicts_are_refused(tmp_path: Path) -> None:
    write_mafw(tmp_path)
    path = tmp_path / "Labels/annotation.xlsx"
    table = pd.read_excel(path)
    table["clip"] = table["clip"].to_numpy()[::-1]
    table.to_excel(path, index=False)
    with pytest.raises(DferError, match=r"of 7 single-labelled clips has not the greatest share in annotation.xlsx"):
        read(tmp_path)


@pytest.mark.parametrize(
    ("label", "fault"),
    [
        ("1,12", r"class numbers from 1 to 11; found '12'"),
        (1.2, r"class numbers from 1 to 11; found '1\.2'"),  # a spreadsheet took the comma for a decimal one
        (None, r"class numbers from 1 to 11; found ''"),
        ("0,11", r"labels from 0 to 11: some count from 0, others from 1"),
    ],
)
def test_class_numbers_that_cannot_be_are_refused(tmp_path: Path, label: object, fault: str) -> None:
    write_mafw(tmp_path)
    rows = [["00025.mp4", "1,2"], ["02000.mp4", label]]
    write_sheet(tmp_path / "Labels/multi-set.xlsx", ["clip", "multi_label"], rows)
    with pytest.raises(DferError, match=fault):
        read(tmp_path, classes="compound")


@pytest.mark.parametrize(
    ("column", "cell", "fault"),
    [
        ("anger", -1, r"cells below 0 or no numbers in 1 clips: 1"),
        ("anger", "nine", r"cells below 0 or no numbers in 1 clips: 1"),
        ("clip", "00025.mp4", r"names 1 clips twice: 25"),
        ("clip", "first", r"expected clip numbers; found 'first'"),
    ],
)
def test_a_damaged_distribution_is_refused(tmp_path: Path, column: str, cell: object, fault: str) -> None:
    path = write_mafw(tmp_path) / "Labels/annotation.xlsx"
    table = pd.read_excel(path).astype({column: object})
    table.loc[0, column] = cell
    table.to_excel(path, index=False)
    with pytest.raises(DferError, match=fault):
        read(tmp_path)


@pytest.mark.parametrize("name", ["annotation.xlsx", "single-set.xlsx"])
def test_a_truncated_or_foreign_table_is_refused_by_name(tmp_path: Path, name: str) -> None:
    path = write_mafw(tmp_path) / "Labels" / name
    data = path.read_bytes()
    path.write_bytes(data[: len(data) // 2])
    with pytest.raises(DferError, match=rf"{name} cannot be read as a table"):
        read(tmp_path)
    write_sheet(path, ["a", "b"], [[1, 2]])
    with pytest.raises(DferError, match=rf"{name}: no header with a column clip or name"):
        read(tmp_path)
    write_sheet(path, ["clip", "anger"], [["00001.mp4", 2]])
    with pytest.raises(DferError, match=rf"{name}: expected a column"):
        read(tmp_path)


def test_two_tables_of_a_kind_are_refused(tmp_path: Path) -> None:
    write_mafw(tmp_path)
    write_single_set(tmp_path / "old")
    with pytest.raises(DferError, match=r"more than one table of a kind: .*; keep one of them"):
        read(tmp_path)


def test_what_is_missing_is_said(tmp_path: Path) -> None:
    write_single_set(tmp_path)
    with pytest.raises(DferError, match=r"expected a folder of clips \(faces, frames, clips\) under .*; found none"):
        read(tmp_path)
    write_mafw_frames(tmp_path / "frames", [9999])
    with pytest.raises(DferError, match=r"none of the 7 labelled clips is on disk .*; on disk: 9999"):
        read(tmp_path)
    with pytest.raises(DferError, match=r"expected the clips as faces under .*; found frames"):
        read(tmp_path, clips="faces")
    with pytest.raises(DferError, match=r"no compound labels under"):
        read(tmp_path, classes="compound")
    with pytest.raises(DferError, match=r"classes: it should be 'single' or 'compound', got 'multi'"):
        read(tmp_path, classes="multi")


def test_mafw_and_dfew_are_told_apart(tmp_path: Path) -> None:
    with pytest.raises(DferError, match=r"does not look like mafw: .*; it looks like dfew: `dfer prepare dfew"):
        read(write_dfew(tmp_path / "dfew"))
    with pytest.raises(
        DferError, match=r"expected a folder of clips \(clip_224x224.*; it looks like mafw: `dfer prepare mafw"
    ):
        read_source("dfew", write_mafw(tmp_path / "mafw"))


def test_the_published_counts_add_up() -> None:
    known = PUBLISHED["mafw"]
    assert set(known.per_class) == set(MAFW) and sum(known.per_class.values()) == known.single == 9172
    assert all(train + test == known.single for train, test in known.folds.values())
    assert sum(test for _, test in known.folds.values()) == known.single
