"""The list files of the field's own code: ways to write a line, what numbers mean, where clips lie, who is tested."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from dfer.datasets import Manifest, read_source
from dfer.errors import DferError
from dfer.labels import DFEW, MAFW

from .list_trees import (
    AFEW_CLIPS,
    ALPHABETICAL,
    DFEW_ORDER,
    FERV39K_CLIPS,
    LISTED,
    write_afew_faces,
    write_fold_lists,
    write_lines,
    write_numbers,
    write_scenes,
    write_setup,
    write_split_lists,
)
from .trees import write_faces, write_files

SEVEN = tuple(name.lower() for name in DFEW_ORDER)
NUMBERS = [int(clip) for clip in LISTED]


def read(root: Path, **options: str) -> Manifest:
    return read_source("lists", root, **options)


def faces(root: Path, numbers: list[int] = NUMBERS) -> Path:
    """A folder of face clips 00001 ... of two frames each."""
    write_faces(root, numbers)
    return root


def assert_is_split(manifest: Manifest) -> None:
    """Every clip has its own label and part, by the hand-written table."""
    table = manifest.table.set_index("id")
    assert table["label"].to_dict() == {clip: emotion for clip, (emotion, _) in LISTED.items()}
    assert table["split"].to_dict() == {clip: "test" if fold == 2 else "train" for clip, (_, fold) in LISTED.items()}
    assert manifest.emotions == DFEW and manifest.folds == [] and np.isnan(manifest.votes).all()


LINES = {
    "path frames label, absolute": ("{part}.txt", "/home/user/datasets/DFEW_Face/{name} 144 {label}", ""),
    "path frames label, with spaces": ("set_{part}.txt", "/home/some user/DFEW Face/{name} 144 {label}", ""),
    "path frames label, with a header": ("{part}.txt", "faces/{name} 144 {label}", "path frames label"),
    "path label, with a space": ("{part}.csv", "/data/faces/{name} {label}", ""),
    "path,label without a header": ("{part}.csv", "/data/faces/{name},{label}", ""),
    "path,id": ("Annotation/{part}.csv", "jpg_256/{name},{label}", "path,id"),
    "video_name,label": ("{part}list01.csv", "{name},{label}", "video_name,label"),
    "video_name,label as floats": ("{part}.csv", "{name},{label}.0", "video_name,label"),
    "path,frames,label": ("{part}.csv", "D:\\faces\\{name},99,{label}", ""),
    "more columns": ("{part}.csv", "7,{label},x,{name}", ",label,remark,video_name"),
    "semicolons": ("{part}.csv", "{name};{label}", "Path;Label"),
    "tabs": ("{part}.txt", "{name}\t{label}", ""),
    "videos": ("{part}.txt", "{name}.mp4 {label}", ""),
    "relative": ("{part}/list.txt", "../clips/{name} {label}", ""),
}


@pytest.mark.parametrize("base", [0, 1])
@pytest.mark.parametrize("written", LINES)
def test_every_way_to_write_a_line_is_read_with_numbers_from_0_or_1(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, written: str, base: int
) -> None:
    pattern, line, header = LINES[written]
    write_split_lists(tmp_path / "lists", pattern=pattern, line=line, order=SEVEN, base=base, header=header)
    manifest = read(tmp_path / "lists", clips=str(faces(tmp_path / "own")), emotions="dfew")
    assert_is_split(manifest)
    assert manifest.left_out == {} and f"labels count from {base}: {base} happy" in caplog.text
    assert set(manifest.table["frames"]) == {2}, "somebody else's frame counts are not ours"
    assert manifest.root == tmp_path / "own" and manifest.resolve(manifest.table["path"][0]).is_dir()


def test_labels_may_be_names_and_need_no_order(tmp_path: Path) -> None:
    write_split_lists(faces(tmp_path), line="{name}.mp4 {label}", pattern="{part}.txt")
    assert_is_split(read(tmp_path))


def test_labels_of_ones_own_are_mapped(tmp_path: Path) -> None:
    write_split_lists(faces(tmp_path), line="{name}.mp4 {label}", pattern="{part}.txt")
    for path in tmp_path.glob("*.txt"):
        path.write_text(path.read_text().replace(" happy", " Freude"))
    with pytest.raises(DferError, match="--map word=emotion"):
        read(tmp_path)
    assert_is_split(read(tmp_path, map="freude=happy"))


@pytest.mark.parametrize("name", ["{0}", "{0}.mp4", "clips/{0}.avi"])
def test_names_with_or_without_suffix_find_folders_and_videos_padded_or_not(tmp_path: Path, name: str) -> None:
    write_split_lists(tmp_path, name=name)
    write_files(tmp_path, "{0}.webm", NUMBERS)
    manifest = read(tmp_path)
    assert sorted(manifest.table["path"]) == sorted(f"{number}.webm" for number in NUMBERS)
    assert dict(zip(manifest.table["path"], manifest.table["label"], strict=True))["2522.webm"] == "disgust"
    assert set(manifest.table["kind"]) == {"video"}


def test_a_name_that_may_be_one_of_several_files_is_refused(tmp_path: Path) -> None:
    write_split_lists(faces(tmp_path / "clips").parent)
    write_files(tmp_path / "clips", "{0:05d}.mp4", [1])
    assert read(tmp_path, clips=str(tmp_path / "clips")).table["kind"].eq("frames").all(), "the exact name counts"
    shutil.move(tmp_path / "clips/00001", tmp_path / "clips/1")
    with pytest.raises(DferError, match=r"'00001' may be one of 00001\.mp4, 1 in .*clips; keep one"):
        read(tmp_path, clips=str(tmp_path / "clips"))


FOLDS = {
    "Former-DFER and DFER-CLIP": ("DFEW_set_{fold}_{part}.txt", "/home/user/DFEW_Face/{0} 144 {1}"),
    "official folders": ("{part}(single-labeled)/set_{fold}.csv", "{0},{1}"),
    "folders of folds": ("single/set_{fold}/{part}.txt", "{0} {1}"),
    "S2D": ("{part}_set_{fold}.csv", "{0},{1}"),
    "fold in words": ("fold{fold}/{part}.csv", "{0} {1}"),
    "counted from 0": ("split0{fold}_{part}.csv", "{0} {1}"),
}


@pytest.mark.parametrize("who", FOLDS)
def test_folds_are_told_by_the_names_of_files_and_folders(tmp_path: Path, who: str) -> None:
    pattern, line = FOLDS[who]
    write_fold_lists(tmp_path / "lists", pattern=pattern, line=line, order=SEVEN)
    manifest = read(tmp_path / "lists", clips=str(faces(tmp_path / "own")), emotions="dfew")
    assert manifest.table.set_index("id")["fold"].to_dict() == {clip: fold for clip, (_, fold) in LISTED.items()}
    assert set(manifest.table["split"]) == {""} and manifest.left_out == {}


def test_folds_that_count_from_0_are_moved_up_and_it_is_said(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    write_fold_lists(faces(tmp_path), pattern="set_{fold}_{part}.txt", line="{0} {1}", order=SEVEN)
    for part in ("train", "test"):
        (tmp_path / f"set_2_{part}.txt").rename(tmp_path / f"set_0_{part}.txt")
    manifest = read(tmp_path, emotions="dfew")
    moved = {clip: fold % 2 + 1 for clip, (_, fold) in LISTED.items()}
    assert manifest.table.set_index("id")["fold"].to_dict() == moved
    assert "set_0 becomes fold 1" in caplog.text


def test_numbers_without_an_order_are_refused_with_the_orders_that_are_in_use(tmp_path: Path) -> None:
    write_split_lists(faces(tmp_path), order=SEVEN)
    with pytest.raises(DferError) as caught:
        read(tmp_path)
    told = str(caught.value)
    assert "numbers 0 to 6, and nothing says what they mean" in told and "-O emotions=dfew" in told
    assert "happy, sad, neutral, angry, surprise, disgust, fear (DFEW" in told
    assert "angry, disgust, fear, happy, neutral, sad, surprise (S2D on FERV39k" in told and "MAFW" not in told


def test_the_four_orders_of_eleven_emotions_are_told_apart_from_those_of_seven(tmp_path: Path) -> None:
    write_lines(tmp_path / "train.csv", [f"{n:05d}.mp4,{n}" for n in range(11)])
    with pytest.raises(
        DferError, match=r"numbers 0 to 10.*\(MAFW from 1.*\(DFER-CLIP on MAFW.*\(S2D on MAFW"
    ) as caught:
        read(tmp_path)
    assert "S2D on FERV39k" not in str(caught.value)
    # S2D's own table of MAFW: Anger 0, Anxiety 1, contempt 2, Disappointment 3, ..., Surprise 10
    spelt = (
        "Anger, Anxiety, contempt, Disappointment, Disgust, Fear, Happiness, Helplessness, Neutral, Sadness, Surprise"
    )
    write_files(tmp_path, "{0:05d}.mp4", list(range(11)))
    manifest = read(tmp_path, emotions=spelt)
    assert manifest.emotions == MAFW, "the known set of these names, whatever the order in which numbers count"
    assert manifest.table["label"].tolist()[:4] == ["angry", "anxiety", "contempt", "disappointment"]


def test_emotions_in_an_order_of_ones_own_are_read_and_numbered_by_name(tmp_path: Path) -> None:
    write_split_lists(faces(tmp_path), order=SEVEN[::-1])
    assert_is_split(read(tmp_path, emotions=", ".join(SEVEN[::-1])))
    with pytest.raises(DferError, match=r"labels of the 3 emotions happy, sad, bored .* found 0 to 6"):
        read(tmp_path, emotions="happy,sad,bored")
    with pytest.raises(DferError, match=r"no emotion set 'dfw'"):
        read(tmp_path, emotions="dfw")


def test_a_base_that_is_not_plain_is_asked_for(tmp_path: Path) -> None:
    faces(tmp_path)
    write_lines(tmp_path / "train.csv", ["00001,1", "00002,2", "00003,6"])
    with pytest.raises(
        DferError, match=r"labels from 1 to 6 of 7 emotions may count from 0 or from 1; .*-O base=0 or 1"
    ):
        read(tmp_path, emotions="dfew")
    assert read(tmp_path, emotions="dfew", base="1").table["label"].tolist() == ["happy", "sad", "disgust"]
    assert read(tmp_path, emotions="dfew", base="0").table["label"].tolist() == ["sad", "neutral", "fear"]
    with pytest.raises(DferError, match=r"base: it should be '', '0' or '1', got '2'"):
        read(tmp_path, emotions="dfew", base="2")
    write_lines(tmp_path / "test.csv", ["00004,0", "00005,7"])
    with pytest.raises(DferError, match=r"count all from 0 or all from 1; found 0 to 7: .* lists of two bases"):
        read(tmp_path, emotions="dfew")


def test_names_in_the_paths_give_the_order_of_s2ds_and_former_dfers_ferv39k(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    clips = write_scenes(tmp_path / "clips")
    for who, order in (("S2D on FERV39k", ALPHABETICAL), ("DFEW from 1; Former-DFER", DFEW_ORDER)):
        write_numbers(tmp_path / who[:3], order)
        table = read(tmp_path / who[:3], clips=str(clips)).table.set_index("id")
        assert table["label"].to_dict() == {clip: clip.split("/")[1].lower() for clip in FERV39K_CLIPS}
        assert table["split"].to_dict() == FERV39K_CLIPS
        assert who in caplog.text


def test_an_order_that_contradicts_the_names_in_the_paths_is_refused_and_the_right_one_told(tmp_path: Path) -> None:
    write_numbers(write_scenes(tmp_path))
    with pytest.raises(
        DferError, match=r"is not the emotion in their path: .*by the paths, the labels mean 0 angry, 1 "
    ):
        read(tmp_path, emotions="dfew")


def test_the_official_lists_of_ferv39k_are_read_whole(tmp_path: Path) -> None:
    write_setup(write_scenes(tmp_path))
    assert read(tmp_path).table.set_index("id")["split"].to_dict() == FERV39K_CLIPS


def test_a_folder_that_all_paths_share_is_not_taken_for_their_emotion(tmp_path: Path) -> None:
    write_split_lists(faces(tmp_path), name="/data/surprise/{0}", order=SEVEN)
    assert_is_split(read(tmp_path, emotions="dfew"))


def test_former_dfers_lists_of_afew_are_read_and_validation_is_what_is_tested(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    write_afew_faces(tmp_path / "faces")
    for part in ("Train", "Val"):
        clips = [clip.split("/") for clip in AFEW_CLIPS if clip.startswith(part)]
        base = f"/home/user/datasets/AFEW_Face/{part.lower()}"
        labels = [(emotion, DFEW_ORDER.index(emotion), number) for _, emotion, number in clips]
        lines = [f"{base}/{name}/{int(part == 'Val')}_{label}_{number} 79 {label}" for name, label, number in labels]
        write_lines(tmp_path / "lists" / f"AFEW_{part.lower()}.txt", lines)
    table = read(tmp_path / "lists", clips=str(tmp_path / "faces")).table
    assert dict(zip(table["id"].str[-9:], table["label"], strict=True)) == {k[-9:]: v for k, v in AFEW_CLIPS.items()}
    assert table["split"].value_counts().to_dict() == {"train": 3, "test": 2}
    assert "the validation list is the test part" in caplog.text


def test_a_validation_list_that_is_the_test_list_is_left_out_and_counted(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    write_split_lists(faces(tmp_path))
    shutil.copy(tmp_path / "test.csv", tmp_path / "val.csv")
    manifest = read(tmp_path)
    assert_is_split(manifest)
    assert manifest.left_out == {"row of a validation list that is the test list": 4}
    assert "the validation list is the test list" in caplog.text


def test_a_validation_list_of_its_own_is_kept_and_one_that_overlaps_the_test_list_is_refused(tmp_path: Path) -> None:
    write_split_lists(faces(tmp_path, [*NUMBERS, 7]))
    write_lines(tmp_path / "val.csv", ["00007,sad"])
    assert read(tmp_path).table.set_index("id")["split"]["00007"] == "val"
    write_lines(tmp_path / "val.csv", ["00007,sad", "00005,surprise"])
    with pytest.raises(DferError, match=r"1 of 2 clips of a validation list are in the test list too: 00005"):
        read(tmp_path)
    write_lines(tmp_path / "val.csv", ["00001,sad"])
    with pytest.raises(DferError, match=r"1 clips are in the val and the train list: 00001"):
        read(tmp_path)


def test_validation_lists_of_folds_are_training_and_copies_of_the_test_lists_are_left_out(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    write_fold_lists(faces(tmp_path, [*NUMBERS, 7]), pattern="set_{fold}_{part}.txt", line="{0} {1}", order=SEVEN)
    shutil.copy(tmp_path / "set_1_test.txt", tmp_path / "set_1_val.txt")
    write_lines(tmp_path / "set_2_val.txt", ["00007 0"])
    manifest = read(tmp_path, emotions="dfew")
    assert manifest.left_out == {
        "row of a validation list that is the test list": 4,
        "single label but in neither list of fold 1 (not left out: trained on)": 1,
    }
    assert manifest.table.set_index("id")["fold"].isna().to_dict()["00007"] and "read as training" in caplog.text


def test_a_clip_in_train_and_test_in_two_test_folds_or_with_two_labels_is_refused(tmp_path: Path) -> None:
    write_split_lists(faces(tmp_path))
    with (tmp_path / "test.csv").open("a") as file:
        file.write("\n1.mp4,sad")
    with pytest.raises(DferError, match=r"1 clips are in the train and the test list: 00001"):
        read(tmp_path)
    with (tmp_path / "train.csv").open("a") as file:
        file.write("\n00002,sad")
    with pytest.raises(DferError, match=r"1 clips have different labels in different lists: 00002"):
        read(tmp_path)
    other = faces(tmp_path / "folds")
    write_fold_lists(other, pattern="set_{fold}_{part}.txt", line="{0} {1}", order=SEVEN)
    write_lines(other / "set_3_test.txt", ["00005 4"])
    with pytest.raises(DferError, match=r"test folds overlap: 1 clips .* two folds: 00005"):
        read(other, emotions="dfew")


def test_lists_of_several_data_sets_in_one_folder_are_asked_about_and_chosen_by_name(tmp_path: Path) -> None:
    lists = write_split_lists(tmp_path / "DFEW_and_AFEW", pattern="DFEW_{part}.txt", line="{name} 9 {label}")
    write_lines(lists / "AFEW_train.txt", ["a 9 happy"])
    write_lines(lists / "MAFW_set_1_train.txt", ["a 9 anger"])
    clips = str(faces(tmp_path / "clips"))
    with pytest.raises(DferError, match=r"lists with folds beside lists without.*-O only="):
        read(lists, clips=clips)
    (lists / "MAFW_set_1_train.txt").unlink()
    with pytest.raises(
        DferError, match=r"two train lists: .*AFEW_train\.txt and .*DFEW_train\.txt; say which .*-O only="
    ):
        read(lists, clips=clips)
    assert_is_split(read(lists, clips=clips, only="dfew_"))
    with pytest.raises(DferError, match=r"has no list whose name says train, val or test and has 'rafdb'"):
        read(lists, clips=clips, only="rafdb")


def test_one_list_alone_is_read_and_without_a_part_in_its_name_it_has_none(tmp_path: Path) -> None:
    write_split_lists(faces(tmp_path), pattern="{part}.txt", line="{name} {label}")
    assert read(tmp_path / "train.txt").table["split"].tolist() == ["train"] * 4
    (tmp_path / "train.txt").rename(tmp_path / "clips.txt")
    assert read(tmp_path / "clips.txt").table["split"].tolist() == [""] * 4


def test_clips_are_found_by_as_many_trailing_parts_as_most_of_the_list_shares(tmp_path: Path) -> None:
    """A folder further down may hold a clip of the same number, which is another one."""
    clips = faces(tmp_path / "clips/faces", [1, 2])
    write_faces(tmp_path / "clips", [3])
    write_lines(tmp_path / "train.csv", [f"/a/b/faces/0000{n},happy" for n in (1, 2, 3)])
    manifest = read(tmp_path / "train.csv", clips=str(clips.parent))
    assert manifest.table["path"].tolist() == ["faces/00001", "faces/00002"]
    assert manifest.left_out == {"no clip on disk": 1}


def test_a_folder_too_far_down_in_which_clips_of_several_scenes_would_be_one_is_refused(tmp_path: Path) -> None:
    write_scenes(tmp_path / "clips")
    write_setup(tmp_path / "lists")
    with pytest.raises(DferError, match=r"1 clips in .*Action stand for several of the lists, such as Sad/0267 "):
        read(tmp_path / "lists", clips=str(tmp_path / "clips/Action"))
    write_lines(tmp_path / "train.txt", ["Action/Sad/0267 Sad", "War/Sad/0267 Sad"])
    with pytest.raises(
        DferError,
        match=r"1 clips in .*Sad stand for several of the lists, such as 0267 for Action/Sad/0267, War/Sad/0267",
    ):
        read(tmp_path / "train.txt", clips=str(tmp_path / "clips/Action/Sad"))


def test_missing_empty_and_doubled_clips_are_counted_and_named(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    write_split_lists(faces(tmp_path, NUMBERS[1:]))
    for frame in (tmp_path / "00002").iterdir():
        frame.unlink()
    with (tmp_path / "train.csv").open("a") as file:
        file.write("\n00003,neutral\n00003,neutral")
    manifest = read(tmp_path)
    assert manifest.left_out == {
        "no clip on disk": 1,
        "folder without a frame": 1,
        "second row of a clip in a list": 2,
    }
    assert "left out 1 clips, no clip on disk: 00001" in caplog.text


def test_lists_without_their_clips_say_where_to_point(tmp_path: Path) -> None:
    write_split_lists(tmp_path, name="/home/user/{0}")
    with pytest.raises(DferError, match=r"none of the 8 clips .*/home/user/00005, .*begin: -O clips=FOLDER"):
        read(tmp_path)
    with pytest.raises(DferError, match=r"there is no folder .*nowhere"):
        read(tmp_path, clips=str(tmp_path / "nowhere"))


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("", "found an empty file"),
        ("\n \n", "found an empty file"),
        ("video_name,label\n", "found 'video_name,label' and 0 lines more"),
        ("00001\n00002\n", "found '00001' and 1 lines more"),
        ("00001,sad\n00002\n", "found|cells of the first"),
        ("00001,sad\n00002,happy,9\n", r"1 lines have not the 2 cells of the first one: line 2"),
        ("00001,sad\n,happy\n", "1 lines name no clip"),
        ("00001,sad\n00002,\n", "no known set of emotions has all of , sad|found ''"),
        ("00001,1\n00002,\n", "beside numbers there are ''"),
        ("00001,1\n00002,1.5\n", r"beside numbers there are '1\.5'"),
        ("00001,1\n00002,nan\n", r"beside numbers there are 'nan'"),
        ("00001,1\n00002,-1\n", r"found -1 to 1|nothing says"),
        ("00001,sad\n00002,hapy\n", r"'hapy' \(did you mean 'happy'\?\)"),
        ("00001.mp4 anger_disgust\n", r"none at all: 'anger_disgust'"),
        ("a\tangry\tcaption\tcaption\n", r"expected lines of path and label.* found 'a,angry,caption,caption'"),
    ],
)
def test_what_is_no_list_is_refused_by_name(tmp_path: Path, text: str, fault: str) -> None:
    faces(tmp_path)
    path = write_lines(tmp_path / "train.csv", [text])
    with pytest.raises(DferError, match=fault):
        read(path)


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "gb18030"])
def test_names_in_other_scripts_and_encodings_find_their_clips(tmp_path: Path, encoding: str) -> None:
    write_files(tmp_path / "用户", "表情{0}.mp4", [1, 2])
    write_lines(tmp_path / "train.txt", [f"/数据/用户/表情{n}.mp4 30 happy" for n in (1, 2)], encoding=encoding)
    assert read(tmp_path).table["path"].tolist() == ["用户/表情1.mp4", "用户/表情2.mp4"]


def test_a_quotation_mark_in_a_name_does_not_swallow_the_lines_behind_it(tmp_path: Path) -> None:
    write_files(tmp_path, "{0}.mp4", ["a", "b", "c"])  # type: ignore[list-item]
    write_lines(tmp_path / "train.csv", ['"a.mp4,happy', "b.mp4,sad", "c.mp4,sad"])
    with pytest.raises(DferError, match=r"2 lines have not the 1 cells of the first one: line 2, 3"):
        read(tmp_path)


def test_a_folder_without_lists_is_refused(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("nothing")
    with pytest.raises(DferError, match=r"has no list whose name says train, val or test$"):
        read(tmp_path)


def test_a_real_size_list_is_read_in_the_order_of_the_file(tmp_path: Path) -> None:
    write_files(tmp_path, "{0}.mp4", list(range(1, 3001)))
    names = [SEVEN[n % 7] for n in range(1, 3001)]
    write_lines(tmp_path / "train.txt", [f"/x/y/z/{n:05d}.mp4 {name}" for n, name in enumerate(names, 1)])
    table = read(tmp_path).table
    assert table["path"].tolist() == [f"{n}.mp4" for n in range(1, 3001)] and table["label"].tolist() == names
    assert isinstance(table, pd.DataFrame) and table["id"].is_unique
