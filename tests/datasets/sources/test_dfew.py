"""DFEW in every layout that is known, and every way in which its tables can be wrong."""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from dfer.datasets import Manifest, read_source
from dfer.datasets.sources import SOURCES
from dfer.errors import DferError
from dfer.labels import DFEW
from dfer.video import open_clip

from .trees import (
    DFEW_CLIPS,
    DFEW_NAMES,
    DFEW_TESTED,
    README_HEADER,
    write_annotation,
    write_dfew,
    write_faces,
    write_files,
    write_frames,
    write_lists,
    write_sixteen,
)

IDS = [f"{number:05d}" for number in sorted(DFEW_CLIPS)]
SINGLE = [number for number, (_, label) in sorted(DFEW_CLIPS.items()) if label]


def read(root: Path, **options: str) -> Manifest:
    return read_source("dfew", root, **options)


def changed(number: int, votes: tuple[object, ...], label: object = 0) -> dict[int, tuple[tuple[object, ...], object]]:
    """The annotation with one row changed."""
    return {**DFEW_CLIPS, number: (votes, label)}


def assert_is_the_tree(manifest: Manifest) -> None:
    """Every clip has its own votes, label and fold, by the hand-written table."""
    assert manifest.table["id"].tolist() == IDS
    assert manifest.emotions == DFEW and manifest.source == "dfew"
    assert manifest.votes.tolist() == [list(DFEW_CLIPS[int(clip)][0]) for clip in IDS]
    assert manifest.table["label"].tolist() == [DFEW_NAMES[DFEW_CLIPS[int(clip)][1]] for clip in IDS]
    assert_folds_are_the_trees(manifest)


def assert_folds_are_the_trees(manifest: Manifest) -> None:
    folds = {number: fold for fold, numbers in DFEW_TESTED.items() for number in numbers}
    ids = manifest.table["id"].astype(int)
    expected = [folds.get(number) for number in ids]
    assert [None if pd.isna(fold) else fold for fold in manifest.table["fold"]] == expected


def test_the_official_tree_is_read_with_votes_labels_folds_and_frame_counts(tmp_path: Path) -> None:
    manifest = read(write_dfew(tmp_path))
    assert_is_the_tree(manifest)
    assert set(manifest.table["kind"]) == {"frames"} and set(manifest.table["frames"]) == {2}
    assert manifest.table["path"][0] == "Clip/clip_224x224/00001" and manifest.left_out == {}


def test_votes_are_joined_on_the_clip_number_whatever_the_order_of_the_rows(tmp_path: Path) -> None:
    write_dfew(tmp_path)
    write_annotation(tmp_path, order=[12, 1, 16372, 9, 2522, 3, 8, 2, 5, 4])
    assert_is_the_tree(read(tmp_path))


def test_the_headers_of_the_files_and_of_their_readme_mean_the_same(tmp_path: Path) -> None:
    write_dfew(tmp_path)
    write_annotation(tmp_path, header=README_HEADER)
    assert_is_the_tree(read(tmp_path))


def test_vote_columns_are_told_by_their_names_not_by_their_places(tmp_path: Path) -> None:
    path = write_annotation(write_dfew(tmp_path))
    table = pd.read_excel(path)
    table[table.columns[::-1]].assign(remark="a column of somebody's own").to_excel(path, index=False)
    assert_is_the_tree(read(tmp_path))


def test_clips_without_a_single_label_are_kept_trained_on_and_never_tested(tmp_path: Path) -> None:
    manifest = read(write_dfew(tmp_path))
    ambiguous = manifest.table["id"].isin(["00008", "00009"]).to_numpy()
    assert (manifest.labels[ambiguous] == -1).all() and manifest.table["fold"][ambiguous].isna().all()
    for fold in (1, 2):
        train, test = manifest.partition(fold)
        assert train[ambiguous].all() and not test[ambiguous].any()
        assert manifest.table["id"][test].astype(int).tolist() == sorted(DFEW_TESTED[fold])


@pytest.mark.parametrize(
    "pattern",
    [
        "EmoLabel_DataSplit/{part}(single_labeled)/set_{fold}.csv",
        "EmoLabel_DataSplit/{part}_single-labeled/set_{fold}.csv",
        "DFEW-part1/DFEW/EmoLabel_DataSplit/{part}(single-labeled)/set_{fold}.csv",
        "EmoLabel_DataSplit/EmoLabel_DataSplit/{part}(single-labeled)/set_{fold}.csv",
        "single_label/label/single_{part}set_{fold}.csv",
        "{part}_set_{fold}.csv",
    ],
)
def test_lists_are_found_however_their_folders_are_spelt_and_nested(tmp_path: Path, pattern: str) -> None:
    write_annotation(tmp_path)
    write_faces(tmp_path / "Clip" / "clip_224x224")
    write_lists(tmp_path, pattern=pattern)
    assert_is_the_tree(read(tmp_path))


@pytest.mark.parametrize("name", ["{0}", "{0:05d}", "{0:05d}.mp4", "Clip/original/{0}.mp4"])
def test_clips_of_the_lists_are_numbers_padded_or_not_with_a_suffix_or_not(tmp_path: Path, name: str) -> None:
    write_lists(write_dfew(tmp_path), name=name)
    assert_is_the_tree(read(tmp_path))


def test_lists_that_count_labels_from_0_are_read_as_such_and_it_is_said(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    write_annotation(tmp_path)
    write_faces(tmp_path / "Clip" / "clip_224x224")
    write_lists(tmp_path, pattern="{part}_set_{fold}.csv", name="{0:05d}", base=0)
    assert_is_the_tree(read(tmp_path))
    assert "count labels from 0" in caplog.text


def test_lists_alone_suffice_and_give_labels_without_votes(tmp_path: Path) -> None:
    write_lists(tmp_path, pattern="{part}_set_{fold}.csv", base=0)
    write_faces(tmp_path / "clip_224x224", SINGLE)
    manifest = read(tmp_path)
    assert manifest.table["id"].astype(int).tolist() == SINGLE and np.isnan(manifest.votes).all()
    assert manifest.table["label"].tolist() == [DFEW_NAMES[DFEW_CLIPS[number][1]] for number in SINGLE]
    assert_folds_are_the_trees(manifest)


def test_the_annotation_alone_suffices_and_gives_no_folds(tmp_path: Path) -> None:
    write_annotation(tmp_path)
    write_faces(tmp_path / "clip_224x224")
    manifest = read(tmp_path)
    assert manifest.folds == [] and manifest.table["id"].tolist() == IDS


def test_lists_of_paths_frame_counts_and_labels_from_0_are_read(tmp_path: Path) -> None:
    write_faces(tmp_path / "clip_224x224", SINGLE)
    write_lists(
        tmp_path,
        pattern="annotation/DFEW_set_{fold}_{part}.txt",
        name="/home/some user/DFEW_Face/{0:05d}",
        base=0,
        line="{name} 144 {label}",
        header="",
    )
    manifest = read(tmp_path)
    assert_folds_are_the_trees(manifest)
    assert set(manifest.table["frames"]) == {2}, "somebody else's frame counts are not ours"
    assert manifest.table["label"][0] == "sad"


def test_a_path_in_a_list_may_be_in_any_encoding(tmp_path: Path) -> None:
    write_annotation(tmp_path)
    write_faces(tmp_path / "clip_224x224")
    lines = "/home/用户/DFEW_Face/00001 144 1\n/home/用户/DFEW_Face/00002 30 0\n"
    (tmp_path / "set_1_test.txt").write_bytes(lines.encode("gb18030"))
    assert read(tmp_path).table["fold"].tolist() == [1, 1] + [pd.NA] * 8


def test_lists_without_a_header_and_with_a_byte_order_mark_lose_no_clip(tmp_path: Path) -> None:
    write_annotation(tmp_path)
    write_faces(tmp_path / "clip_224x224")
    (tmp_path / "test_set_1.csv").write_text("2,1.0\n1,2.0\n", encoding="utf-8-sig")
    assert read(tmp_path).table["fold"].tolist() == [1, 1] + [pd.NA] * 8


LAYOUTS: dict[str, tuple[Callable[[Path], None], str, str]] = {
    "Clip/clip_224x224": (write_faces, "frames", "00001"),
    "Clip/Clip/clip_224x224": (write_faces, "frames", "00001"),
    "Clip/clip_224x224/clip_224x224": (write_faces, "frames", "00001"),
    "single_label/data": (write_faces, "frames", "00001"),
    "jpg_256": (write_faces, "frames", "00001"),
    "Clip/clip_224x224_16f": (write_sixteen, "frames", "00001"),
    "Clip/clip_224x16f": (write_sixteen, "frames", "00001"),
    "Clip/clip_224x224_avi": (lambda place: write_files(place, "{0:05d}.avi"), "video", "00001.avi"),
    "Clip/original": (lambda place: write_files(place, "{0}.mp4"), "video", "1.mp4"),
    "DFEW/Clip/Original": (lambda place: write_files(place, "{0:05d}.MP4"), "video", "00001.MP4"),
}


@pytest.mark.parametrize("place", LAYOUTS)
def test_clips_are_found_in_every_layout(tmp_path: Path, place: str) -> None:
    write, kind, name = LAYOUTS[place]
    write(tmp_path / place)
    write_annotation(tmp_path)
    write_lists(tmp_path)
    manifest = read(tmp_path)
    assert_is_the_tree(manifest)
    assert set(manifest.table["kind"]) == {kind} and manifest.table["path"][0] == f"{place}/{name}"
    assert manifest.resolve(manifest.table["path"][0]).exists()


def test_part_folders_are_one_data_set(tmp_path: Path) -> None:
    write_annotation(tmp_path / "DFEW-part1")
    write_lists(tmp_path / "DFEW-part1")
    numbers = sorted(DFEW_CLIPS)
    write_faces(tmp_path / "DFEW-part1/Clip/clip_224x224", numbers[:4])
    write_faces(tmp_path / "DFEW-part2/Clip/clip_224x224", numbers[4:])
    manifest = read(tmp_path)
    assert_is_the_tree(manifest)
    assert manifest.table["path"][9] == "DFEW-part2/Clip/clip_224x224/16372"


def test_the_second_copy_of_a_clip_is_passed_over_and_counted(tmp_path: Path) -> None:
    write_faces(write_dfew(tmp_path) / "DFEW-part2/Clip/clip_224x224", [1, 2])
    manifest = read(tmp_path)
    assert_is_the_tree(manifest)
    assert manifest.left_out == {"second copy of a clip": 2}


def test_sixteen_frames_with_unpadded_names_are_read_in_the_order_of_their_numbers(tmp_path: Path) -> None:
    write_annotation(tmp_path)
    write_sixteen(tmp_path / "Clip/clip_224x224_16f", [1])
    manifest = read(tmp_path)
    row = manifest.table.iloc[0]
    frames = open_clip(manifest.resolve(row["path"]), row["kind"]).read(np.arange(16))
    assert row["frames"] == 16
    assert np.abs(frames.mean(axis=(1, 2, 3)) - np.arange(10, 170, 10)).max() <= 1, "1, 2, 3, not 1, 10, 11"


def test_auto_takes_faces_before_whole_pictures_and_a_layout_can_be_asked_for(tmp_path: Path) -> None:
    write_files(write_dfew(tmp_path) / "Clip/original", "{0}.mp4")
    write_sixteen(tmp_path / "Clip/clip_224x224_16f", [1, 2])
    assert read(tmp_path).table["path"][0] == "Clip/clip_224x224/00001"
    assert read(tmp_path, clips="original").table["path"][0] == "Clip/original/1.mp4"
    assert read(tmp_path, clips="clip_224x224_16f").table["id"].tolist() == ["00001", "00002"]
    with pytest.raises(DferError, match=r"expected the clips as clip_224x224_avi .*found clip_224x224, .*original"):
        read(tmp_path, clips="clip_224x224_avi")
    with pytest.raises(DferError, match=r"clips: it should be 'auto', .* got 'originel' \(did you mean 'original'"):
        read(tmp_path, clips="originel")


def test_missing_face_clips_empty_folders_and_unlabelled_clips_are_counted_and_named(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    write_annotation(tmp_path)
    write_faces(tmp_path / "clip_224x224", [1, 2, 3, 77])
    (tmp_path / "clip_224x224/00004").mkdir()
    (tmp_path / "clip_224x224/00005").mkdir()
    (tmp_path / "clip_224x224/00005/Thumbs.db").touch()
    (tmp_path / "clip_224x224/00005/._00005_00001.jpg").touch()
    manifest = read(tmp_path)
    assert manifest.table["id"].tolist() == ["00001", "00002", "00003"]
    assert manifest.left_out == {
        "no face clip on disk": 5,
        "folder without a frame": 2,
        "clip on disk without votes or label": 1,
    }
    assert "left out 5 clips, no face clip on disk: 8, 9, 12, 2522, 16372" in caplog.text


def test_single_labelled_clips_that_a_folds_lists_pass_over_are_noted(tmp_path: Path) -> None:
    write_dfew(tmp_path)
    (tmp_path / "EmoLabel_DataSplit/train(single-labeled)/set_1.csv").write_text("video_name,label\n5,5\n12,7\n")
    notes = read(tmp_path).left_out
    assert notes == {"single label but in neither list of fold 1 (not left out: trained on)": 2}


def test_groups_are_read_from_groups_csv_or_from_the_file_that_is_named(tmp_path: Path) -> None:
    write_dfew(tmp_path)
    (tmp_path / "groups.csv").write_text("video_name,group\n00002,NA\n1,007\n3.mp4,007\n")
    assert read(tmp_path).table["group"].tolist() == ["007", "NA", "007"] + [""] * 7
    (tmp_path / "films.csv").write_text("Film,Clip\nSolaris,16372\n")
    assert read(tmp_path, groups="films.csv").table["group"][9] == "Solaris"
    (tmp_path / "groups.csv").write_text("number,who\n1,2\n")
    with pytest.raises(DferError, match=r"groups\.csv: expected the columns video_name and group, found number, who"):
        read(tmp_path)


@pytest.mark.parametrize(
    ("votes", "fault"),
    [
        ((0, 0, 0, 0, 0, 0, 0), "not one vote .*'00009'"),
        ((-1, 5, 6, 0, 0, 0, 0), r"1 of 10 clips have votes that are negative: '00009'"),
        ((0.5, 4, 5.5, 0, 0, 0, 0), r"1 of 10 clips have votes that are fractional: '00009'"),
        ((None, 4, 6, 0, 0, 0, 0), r"1 of 10 clips have votes that are NaN: '00009'"),
        (("ten", 4, 6, 0, 0, 0, 0), r"1 of 10 clips have votes that are NaN: '00009'"),
    ],
)
def test_votes_that_cannot_be_are_refused_with_their_clip(
    tmp_path: Path, votes: tuple[object, ...], fault: str
) -> None:
    write_annotation(write_dfew(tmp_path), changed(9, votes))
    with pytest.raises(DferError, match=fault):
        read(tmp_path)


@pytest.mark.parametrize("label", [8, -1, None, "sad", 1.5])
def test_labels_other_than_0_to_7_are_refused(tmp_path: Path, label: object) -> None:
    write_annotation(write_dfew(tmp_path), changed(9, DFEW_CLIPS[9][0], label))
    with pytest.raises(DferError, match=r"annotation\.xlsx have a label that is none of 0 to 7"):
        read(tmp_path)


def test_a_label_that_contradicts_its_votes_is_refused_with_its_clip(tmp_path: Path) -> None:
    write_annotation(write_dfew(tmp_path), changed(2522, DFEW_CLIPS[2522][0], 7))
    with pytest.raises(DferError, match=r"1 of 8 single-labelled clips is not the emotion with most votes \(2522\)"):
        read(tmp_path)


def test_an_annotation_whose_labels_count_from_0_is_recognised(tmp_path: Path) -> None:
    clips = {number: (votes, max(label - 1, 0)) for number, (votes, label) in DFEW_CLIPS.items()}
    write_annotation(write_dfew(tmp_path), clips)
    with pytest.raises(DferError, match=r"the labels seem to count from 0"):
        read(tmp_path)


def test_a_clip_that_the_annotation_names_twice_is_refused(tmp_path: Path) -> None:
    write_annotation(write_dfew(tmp_path), order=[1, 2, 3, 2, 4])
    with pytest.raises(DferError, match=r"annotation\.xlsx names 1 clips twice: 2; keep one row"):
        read(tmp_path)


def test_an_annotation_without_some_column_says_which(tmp_path: Path) -> None:
    path = write_annotation(write_dfew(tmp_path))
    pd.read_excel(path).drop(columns=["7fear", "order"]).to_excel(path, index=False)
    with pytest.raises(DferError, match=r"expected the columns 1happy .* missing: number, votes_fear"):
        read(tmp_path)


def test_a_damaged_annotation_is_named(tmp_path: Path) -> None:
    path = write_annotation(write_dfew(tmp_path))
    path.write_bytes(path.read_bytes()[:2000])
    with pytest.raises(DferError, match=r"annotation\.xlsx cannot be read as a table"):
        read(tmp_path)


def test_two_annotations_and_two_lists_of_one_fold_are_refused(tmp_path: Path) -> None:
    write_lists(write_dfew(tmp_path), pattern="older/{part}_set_{fold}.csv")
    with pytest.raises(DferError, match=r"two test lists of fold 1: .*keep one of them"):
        read(tmp_path)
    write_annotation(tmp_path / "DFEW-part2")
    with pytest.raises(DferError, match=r"more than one annotation"):
        read(tmp_path)


def test_lists_of_mixed_bases_are_refused(tmp_path: Path) -> None:
    write_dfew(tmp_path)
    write_lists(tmp_path, base=0, tested={1: DFEW_TESTED[1], 3: (2,)})
    (tmp_path / "EmoLabel_DataSplit/test(single-labeled)/set_2.csv").write_text("video_name,label\n12,7\n")
    (tmp_path / "EmoLabel_DataSplit/train(single-labeled)/set_2.csv").write_text("video_name,label\n2,1\n")
    with pytest.raises(DferError, match=r"labels from 0 to 7: some count from 0, others from 1"):
        read(tmp_path)


def test_overlapping_test_folds_are_refused(tmp_path: Path) -> None:
    write_lists(write_dfew(tmp_path), tested={1: (1, 2, 3, 4), 2: (5, 12, 2522, 16372, 3)})
    with pytest.raises(DferError, match=r"test folds overlap: 1 clips are in the test lists of two folds: 3$"):
        read(tmp_path)


def test_a_clip_in_the_train_and_the_test_list_of_one_fold_is_refused(tmp_path: Path) -> None:
    write_dfew(tmp_path)
    with (tmp_path / "EmoLabel_DataSplit/train(single-labeled)/set_2.csv").open("a") as file:
        file.write("05,5\n")
    with pytest.raises(DferError, match=r"1 clips are in the train and the test list of one fold \(fold 2\): 5$"):
        read(tmp_path)


def test_a_clip_with_two_labels_in_the_lists_is_refused(tmp_path: Path) -> None:
    write_dfew(tmp_path)
    (tmp_path / "EmoLabel_DataSplit/train(single-labeled)/set_2.csv").write_text("video_name,label\n1,3\n")
    with pytest.raises(DferError, match=r"1 clips have different labels in different lists: 1$"):
        read(tmp_path)


def test_a_clip_twice_in_one_list_is_refused(tmp_path: Path) -> None:
    write_dfew(tmp_path)
    path = tmp_path / "EmoLabel_DataSplit/train(single-labeled)/set_2.csv"
    path.write_text("video_name,label\n1,2\n00001,2\n")
    with pytest.raises(DferError, match=r"set_2\.csv names 1 clips twice: 1; keep one row"):
        read(tmp_path)


@pytest.mark.parametrize("text", ["", "video_name,label\n", "video_name\n1\n2\n", "\n\n"])
def test_a_list_without_a_clip_is_refused_by_name(tmp_path: Path, text: str) -> None:
    write_dfew(tmp_path)
    (tmp_path / "EmoLabel_DataSplit/test(single-labeled)/set_2.csv").write_text(text)
    with pytest.raises(DferError, match=r"test\(single-labeled\)/set_2\.csv"):
        read(tmp_path)


@pytest.mark.parametrize(
    ("row", "fault"),
    [
        ("abc,3", "expected clip numbers; found 'abc'"),
        ("7,8", "have a label that is none of 1 to 7"),
        ("7,", "have a label that is none of 1 to 7"),
        ("7,Sad", "have a label that is none of 1 to 7 .*'Sad'"),
    ],
)
def test_a_row_of_a_list_that_is_none_is_refused(tmp_path: Path, row: str, fault: str) -> None:
    write_dfew(tmp_path)
    (tmp_path / "EmoLabel_DataSplit/test(single-labeled)/set_2.csv").write_text(f"video_name,label\n5,5\n{row}\n")
    with pytest.raises(DferError, match=fault):
        read(tmp_path)


def test_lists_that_use_another_order_of_emotions_are_refused_and_the_order_is_told(tmp_path: Path) -> None:
    write_dfew(tmp_path)
    swapped = {1: 2, 2: 1, 3: 4, 4: 3, 5: 6, 6: 5, 7: 7}
    for path in (tmp_path / "EmoLabel_DataSplit").rglob("*.csv"):
        table = pd.read_csv(path)
        table.assign(label=table["label"].map(swapped)).to_csv(path, index=False)
    with pytest.raises(DferError, match=r"another order of emotions: what the lists call angry is neutral"):
        read(tmp_path)


def test_an_annotation_joined_by_row_number_is_refused_and_the_shift_is_told(tmp_path: Path) -> None:
    numbers = range(1, 21)
    labels = {number: (number * number) % 7 + 1 for number in numbers}
    one_hot = {n: tuple(10 * (label == k) for k in range(1, 8)) for n, label in labels.items()}
    write_annotation(tmp_path, {n - 1: (one_hot[n], labels[n]) for n in numbers} | {20: (one_hot[1], labels[1])})
    write_faces(tmp_path / "clip_224x224", [1])
    rows = "\n".join(f"{n},{label}" for n, label in labels.items())
    (tmp_path / "test_set_1.csv").write_text(f"video_name,label\n{rows}\n")
    with pytest.raises(DferError, match=r"joined by row number: the annotation's clip numbers are shifted by one"):
        read(tmp_path)


def test_clips_of_the_lists_that_the_annotation_lacks_are_refused(tmp_path: Path) -> None:
    write_annotation(write_dfew(tmp_path), {n: row for n, row in DFEW_CLIPS.items() if n != 2522})
    with pytest.raises(DferError, match=r"1 of 8 clips of the lists are not in the annotation: 2522"):
        read(tmp_path)


def test_a_tree_without_clips_or_with_other_clips_is_refused(tmp_path: Path) -> None:
    write_annotation(tmp_path)
    with pytest.raises(DferError, match=r"expected a folder of clips .* found none"):
        read(tmp_path)
    write_faces(tmp_path / "clip_224x224", [70, 71])
    with pytest.raises(DferError, match=r"none of the 10 labelled clips is on disk.*on disk: 70, 71"):
        read(tmp_path)


def test_a_missing_root_another_data_set_and_an_empty_folder_are_refused_with_a_hint(tmp_path: Path) -> None:
    with pytest.raises(DferError, match=r"nowhere does not exist; the reader dfew expects Annotation"):
        read(tmp_path / "nowhere")
    write_frames(tmp_path / "own/happy/a", ["1.jpg"])
    with pytest.raises(DferError, match=r"does not look like dfew.*found happy; it looks like folder: `dfer prepare f"):
        read(tmp_path / "own")
    (tmp_path / "empty").mkdir()
    with pytest.raises(DferError, match=r"does not look like dfew: expected .* found an empty folder$"):
        read(tmp_path / "empty")


def test_an_unknown_reader_or_option_is_refused_with_the_nearest_name(tmp_path: Path) -> None:
    with pytest.raises(DferError, match=r"no reader 'dfw' \(did you mean 'dfew'\?\); expected one of mafw, .*table"):
        read_source("dfw", tmp_path)
    with pytest.raises(DferError, match=r"dfew: unknown key clip \(did you mean 'clips'\?\); known here: clips"):
        read_source("dfew", tmp_path, clip="original")
    published = {"afew", "crema_d", "dfew", "ferplus", "ferv39k", "mafw", "ravdess"}
    assert set(SOURCES) == published | {"folder", "lists", "table"}


def test_a_simulated_data_set_of_three_thousand_clips_is_read_whole(
    shared_data: Path, caplog: pytest.LogCaptureFixture
) -> None:
    root = shared_data / "sim_dfew"
    with caplog.at_level(logging.WARNING):
        manifest = read(root)
    truth = pd.read_csv(root / "truth.csv").set_index("clip")
    votes = pd.crosstab(*pd.read_csv(root / "raters.csv")[["clip", "emotion"]].to_numpy().T)
    ids = manifest.table["id"].astype(int)
    assert len(manifest) == 3000 and manifest.left_out == {} and not caplog.records
    assert np.array_equal(manifest.votes, votes.loc[ids, list(DFEW)])
    people = truth["identity"].loc[ids].to_numpy()
    assert manifest.folds == [1, 2, 3, 4, 5]
    for fold in manifest.folds:
        single = manifest.labels >= 0
        _, test = manifest.partition(fold)
        assert test.any() and not set(people[test]) & set(people[~test & single])
        assert (truth["fold"].loc[ids].to_numpy()[test] == fold).all()
