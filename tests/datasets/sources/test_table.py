"""Tables of one's own: counts and answers, CSV and Excel, and the real votes on CREMA-D's faces."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from dfer.datasets import Manifest, read_source
from dfer.errors import DferError
from dfer.labels import CREMA_D, agreement, entropy

from .trees import write_files, write_frames

WIDE = pd.DataFrame(
    {
        "clip": ["a.mp4", "b", "c"],
        "Person": ["007", "NA", ""],
        "Happiness": [6, 0, 2],
        "sad": [4, 10, 8],
        "surprise": [0, 0, 0],
        "remark": ["dark, blurred", "", "007"],
    }
)


def read(root: Path, **options: str) -> Manifest:
    return read_source("table", root, **options)


def write(folder: Path, table: pd.DataFrame, name: str = "votes.csv", **options: Any) -> Path:
    """A table, and the clips a.mp4, b.mp4 and a folder of frames c beside it."""
    write_files(folder, "{0}.mp4", ["a", "b"])  # type: ignore[list-item]
    write_frames(folder / "c", ["1.png"])
    path = folder / name
    if path.suffix == ".xlsx":
        table.to_excel(path, index=False, **options)
    else:
        table.to_csv(path, index=False, **options)
    return path


def assert_is_wide(manifest: Manifest) -> None:
    assert list(manifest.emotions) == ["happy", "sad", "surprise"], "those of the table, in DFEW's order"
    assert manifest.source == "table" and manifest.left_out == {}
    assert manifest.table["id"].tolist() == ["a.mp4", "b", "c"]
    assert manifest.table["path"].tolist() == ["a.mp4", "b.mp4", "c"]
    assert manifest.table["kind"].tolist() == ["video", "video", "frames"]
    assert manifest.table["group"].tolist() == ["007", "NA", ""]
    assert manifest.votes.tolist() == [[6, 4, 0], [0, 10, 0], [2, 8, 0]]
    remarks = ["" if pd.isna(remark) else remark for remark in manifest.table["remark"]]
    assert remarks == ["dark, blurred", "", "007"]


@pytest.mark.parametrize("name", ["votes.csv", "votes.xlsx"])
def test_counts_a_row_a_clip_are_read_with_all_other_columns(tmp_path: Path, name: str) -> None:
    assert_is_wide(read(write(tmp_path, WIDE, name)))


@pytest.mark.parametrize(
    "options", [{"sep": ";"}, {"sep": "\t"}, {"encoding": "utf-8-sig"}, {"lineterminator": "\r\n"}]
)
def test_semicolons_tabs_byte_order_marks_and_line_ends_do_not_matter(tmp_path: Path, options: dict[str, str]) -> None:
    assert_is_wide(read(write(tmp_path, WIDE, **options)))


@pytest.mark.parametrize("prefix", ["votes_", "vote_"])
def test_vote_columns_may_carry_a_prefix(tmp_path: Path, prefix: str) -> None:
    names = {"Happiness": f"{prefix}happy", "sad": f"{prefix}sad", "surprise": f"{prefix}surprise"}
    assert_is_wide(read(write(tmp_path, WIDE.rename(columns=names))))


def test_rows_with_more_cells_than_the_header_are_refused_not_shifted(tmp_path: Path) -> None:
    path = write(tmp_path, WIDE)
    header, *lines = path.read_text(encoding="utf-8").splitlines()
    path.write_text("\n".join([header, *(f"{line},5" for line in lines)]), encoding="utf-8")
    with pytest.raises(DferError, match=r"more cells in its rows than names in its header, in rows 2-4"):
        read(path)
    path.write_text("\n".join([header, *(f"{line}," for line in lines)]), encoding="utf-8")
    assert_is_wide(read(path))  # an empty cell too many at the end moves nothing


def test_numbers_as_ids_are_written_without_a_fraction(tmp_path: Path) -> None:
    write_files(tmp_path, "{0}.mp4", [7, 12])
    table = pd.DataFrame({"clip": [7, 12.0], "happy": [6.0, 0], "sad": [4, 10], "fold": [1, None]})
    table.to_excel(tmp_path / "votes.xlsx", index=False)
    manifest = read(tmp_path / "votes.xlsx")
    assert manifest.table["id"].tolist() == ["7", "12"] and manifest.table["path"].tolist() == ["7.mp4", "12.mp4"]
    assert manifest.table["fold"].tolist() == [1, pd.NA]


def test_an_excel_cell_that_says_na_is_a_name(tmp_path: Path) -> None:
    write_files(tmp_path, "{0}.mp4", ["NA"])  # type: ignore[list-item]
    pd.DataFrame({"clip": ["NA"], "happy": [3], "sad": [1]}).to_excel(tmp_path / "votes.xlsx", index=False)
    assert read(tmp_path / "votes.xlsx").table["id"].tolist() == ["NA"]


def test_answers_a_row_each_are_counted(tmp_path: Path) -> None:
    answers = [("b", "r1", "Sadness"), ("a.mp4", "r1", "happy"), ("b", "r2", "sad"), ("a.mp4", "r2", "surprised")]
    manifest = read(write(tmp_path, pd.DataFrame(answers, columns=["Clip", "Rater", "Emotion"])))
    assert manifest.table["id"].tolist() == ["b", "a.mp4"]
    assert list(manifest.emotions) == ["happy", "sad", "surprise"]
    assert manifest.votes.tolist() == [[0, 2, 0], [1, 0, 1]]
    assert manifest.table["label"].tolist() == ["sad", ""]  # one of two is no majority


def test_answers_without_an_emotion_are_left_out_and_counted(tmp_path: Path) -> None:
    answers = [("a.mp4", 1, "happy"), ("a.mp4", 2, ""), ("b", 1, "sad"), ("b", 2, " "), ("b", 3, "sad")]
    manifest = read(write(tmp_path, pd.DataFrame(answers, columns=["clip", "rater", "response"])))
    assert manifest.left_out == {"answer without an emotion": 2}
    assert manifest.votes.sum(axis=1).tolist() == [1, 2]


def test_answers_need_no_rater_and_may_carry_what_is_known_about_the_clip(tmp_path: Path) -> None:
    answers = [("a.mp4", "happy", "x", "Training"), ("a.mp4", "sad", "x", "Training"), ("b", "sad", "y", "test")]
    manifest = read(write(tmp_path, pd.DataFrame(answers, columns=["clip", "answer", "actor", "usage"])))
    assert manifest.table["group"].tolist() == ["x", "y"] and manifest.table["split"].tolist() == ["train", "test"]
    assert list(manifest.emotions) == ["happy", "sad"] and manifest.votes.tolist() == [[1, 1], [0, 1]]


def test_answers_whose_clip_is_described_in_two_ways_are_refused(tmp_path: Path) -> None:
    answers = [("a.mp4", 1, "happy", "x"), ("a.mp4", 2, "sad", "y"), ("b", 1, "sad", "z")]
    path = write(tmp_path, pd.DataFrame(answers, columns=["clip", "rater", "emotion", "actor"]))
    with pytest.raises(DferError, match=r"rows of one clip differ in their group, in 1 clips: a\.mp4"):
        read(path)


def test_a_rater_who_answers_twice_counts_twice_and_it_is_said(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    answers = [("a.mp4", 1, "happy"), ("a.mp4", 1, "sad"), ("b", 1, "sad")]
    manifest = read(write(tmp_path, pd.DataFrame(answers, columns=["clip", "rater", "emotion"])))
    assert manifest.votes.sum(axis=1).tolist() == [2, 1]
    assert "1 answers are a rater's second to a clip; all count: a.mp4" in caplog.text


@pytest.mark.parametrize(
    "table",
    [
        pd.DataFrame({"clip": ["a", "b"], "rater": [1, 1], "emotion": ["happy", "surpris_"]}),
        pd.DataFrame({"clip": ["a", "b"], "label": ["happy", "surpris_"]}),
        pd.DataFrame({"clip": ["a", "b"], "votes_happy": [1, 2], "votes_surpris_": [3, 4]}),
    ],
)
def test_an_unknown_emotion_is_refused_with_the_nearest_spelling(tmp_path: Path, table: pd.DataFrame) -> None:
    with pytest.raises(DferError, match=r"'surpris_' \(did you mean 'surprise'\?\)"):
        read(write(tmp_path, table))


def test_a_column_that_is_nearly_an_emotion_is_not_counted_and_it_is_said(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    manifest = read(write(tmp_path, WIDE.rename(columns={"surprise": "fearr"})))
    assert list(manifest.emotions) == ["happy", "sad"] and manifest.votes.sum() == 30
    assert "not counted as votes: 'fearr' (did you mean 'fear'?)" in caplog.text


def test_columns_that_may_be_votes_and_are_not_counted_are_said(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    table = WIDE.assign(blissful=[1, 2, 3], seconds=[1.5, 2.5, 1.0], frames=[7, 8, 9])
    assert read(write(tmp_path, table), emotions="happy,sad").votes.sum() == 30
    assert caplog.text.count("not counted as votes: 'surprise', 'blissful'\n") == 1


def test_letters_are_emotions_where_a_set_has_them_all(tmp_path: Path) -> None:
    table = pd.DataFrame({"clip": ["a", "b"], **{letter: [3, k] for k, letter in enumerate("ADFHNS", 1)}})
    manifest = read(write(tmp_path, table))
    assert manifest.emotions == CREMA_D and manifest.votes.tolist() == [[3] * 6, [1, 2, 3, 4, 5, 6]]


def test_shares_are_a_distribution_of_ones_own_and_never_votes(tmp_path: Path) -> None:
    table = pd.DataFrame({"clip": ["a", "b", "c"], "soft_joy": [0.75, None, 0], "soft_sad": [0.25, None, 1]})
    manifest = read(write(tmp_path, table.assign(label=["", "fear", ""])))
    assert list(manifest.emotions) == ["fear", "happy", "sad"] and np.isnan(manifest.votes).all()
    expected = [[0, 0.75, 0.25], [np.nan] * 3, [0, 0, 1]]
    np.testing.assert_array_equal(manifest.soft, expected)
    own = "distribution in the user's own table"
    assert manifest.table["soft_from"].tolist() == [own, "", own]
    told = read(write(tmp_path, table[::2].assign(soft_from="ten students")))
    assert told.table["soft_from"].tolist() == ["ten students"] * 2
    with pytest.raises(DferError, match=r"1 of 2 clips have votes that are fractional .*-O values=shares"):
        read(write(tmp_path, pd.DataFrame({"clip": ["a", "b"], "happy": [0.5, 1], "sad": [0.5, 0]})))


def test_labels_alone_suffice(tmp_path: Path) -> None:
    manifest = read(write(tmp_path, pd.DataFrame({"file": ["a.mp4", "b.mp4"], "emotion": ["Joy", "fear"]})))
    assert manifest.table["label"].tolist() == ["happy", "fear"] and np.isnan(manifest.votes).all()


def test_emotions_of_ones_own_are_counted_when_they_are_named(tmp_path: Path) -> None:
    table = pd.DataFrame({"clip": ["a", "b"], "bored": [3, 0], "happy": [0, 5], "label": ["bored", ""]})
    manifest = read(write(tmp_path, table), emotions="happy,bored")
    assert list(manifest.emotions) == ["happy", "bored"]
    assert manifest.votes.tolist() == [[0, 3], [5, 0]] and manifest.labels.tolist() == [1, -1]


def test_an_emotion_that_was_not_offered_has_no_votes_and_a_clip_without_counts_keeps_its_label(tmp_path: Path) -> None:
    table = pd.DataFrame({"clip": ["a", "b"], "happy": [2, None], "sad": [1, None], "label": ["", "angry"]})
    manifest = read(write(tmp_path, table))
    assert manifest.votes[0].sum() == 3 and np.isnan(manifest.votes[1]).all()
    assert manifest.table["label"].tolist() == ["", "angry"]


def test_a_letter_beside_whole_names_is_a_column_of_ones_own(tmp_path: Path) -> None:
    table = pd.DataFrame({"clip": ["a", "b"], "happy": [2, 3], "sad": [1, 0], "n": [3, 3]})
    manifest = read(write(tmp_path, table))
    assert manifest.votes.sum() == 6 and manifest.table["n"].tolist() == ["3", "3"]


def test_columns_that_mean_the_same_are_refused(tmp_path: Path) -> None:
    table = pd.DataFrame({"clip": ["a"], "happy": [2], "joy": [1]})
    with pytest.raises(DferError, match=r"columns that mean the same: happy, joy; keep one of them"):
        read(write(tmp_path, table))
    table = pd.DataFrame({"clip": ["a"], "happy": [2], "Group": ["x"], "group": ["y"]})
    with pytest.raises(DferError, match=r"columns that mean the same: group"):
        read(write(tmp_path, table))


@pytest.mark.parametrize(
    ("cell", "fault"),
    [
        ("-1", r"1 of 3 clips have votes that are negative: 'b'"),
        ("1.5", r"1 of 3 clips have votes that are fractional \(b\)"),
        ("", r"1 of 3 clips have votes that are NaN: 'b'"),
        ("many", r"1 clips have something in votes_sad that is not a number.*: 'b'"),
        ("inf", r"1 of 3 clips have votes that are infinite: 'b'"),
        ("0", r"1 clips have not one vote .*'b'"),
    ],
)
def test_counts_that_cannot_be_are_refused_with_their_clip(tmp_path: Path, cell: str, fault: str) -> None:
    with pytest.raises(DferError, match=fault):
        read(write(tmp_path, WIDE.assign(sad=["4", cell, "8"])))


def test_a_clip_named_twice_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DferError, match=r"2 clips have an id that is not unique: 'b'; keep one row of each clip"):
        read(write(tmp_path, pd.concat([WIDE, WIDE[1:2]])))


def test_clips_that_are_not_on_disk_are_left_out_named_and_counted(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    manifest = read(write(tmp_path, pd.DataFrame({"clip": ["a", "gone"], "happy": [1, 1], "sad": [1, 2]})))
    assert manifest.table["id"].tolist() == ["a"] and manifest.left_out == {"no clip on disk": 1}
    assert "left out 1 clips that are not in" in caplog.text and "gone" in caplog.text


def test_paths_may_lie_in_folders_archives_and_elsewhere_with_either_slash(tmp_path: Path) -> None:
    path = write(tmp_path / "clips", WIDE).rename(tmp_path / "votes.csv")
    with pytest.raises(DferError, match=r"none of the 3 clips .*a\.mp4, b, c\); say where they are: --option clips="):
        read(path)
    assert read(path, clips=str(tmp_path / "clips")).root == tmp_path / "clips"
    (tmp_path / "faces.zip").touch()
    WIDE.assign(path=["clips/a.mp4", "clips\\b.mp4", "faces.zip/x/1.png"]).to_csv(path, index=False)
    manifest = read(path)
    assert manifest.table["path"].tolist() == ["clips/a.mp4", "clips/b.mp4", "faces.zip/x/1.png"]
    assert manifest.table["kind"].tolist() == ["video", "video", "image"]
    with pytest.raises(DferError, match=r"expected clips to be the folder .*there is no folder .*nowhere"):
        read(path, clips=str(tmp_path / "nowhere"))


def test_a_name_that_fits_two_files_is_refused(tmp_path: Path) -> None:
    path = write(tmp_path, WIDE)
    (tmp_path / "b.avi").touch()
    with pytest.raises(DferError, match=r"'b' may be one of b\.avi, b\.mp4 in .*; keep one"):
        read(path)


@pytest.mark.parametrize(
    ("name", "data", "fault"),
    [
        ("votes.csv", b"", r"votes\.csv is empty; expected a \.csv or \.xlsx with a row a clip"),
        ("votes.csv", b"clip,happy\ncaf\xe9,3\n", r"votes\.csv is not in UTF-8; save it anew"),
        ("votes.csv", b"a,b\n1,2,3\n4,5,6,7\n", r"more cells in its rows than names .* in rows 2-3"),
        ("votes.csv", b'clip,happy\n"a,3\n', r"cannot be read as a table \(row 2: .*are quotation marks closed"),
        ("votes.xlsx", b"PK\x03\x04 no archive", r"votes\.xlsx cannot be read as a table"),
        ("votes.csv", b"happy,sad\n3,4\n", r"expected a column that names the clip \(id, clip, .*; found happy, sad"),
        ("votes.csv", b"clip,size\na,4\n", r"found neither counts nor labels in the columns size"),
        ("votes.csv", b"clip,happy\n", r"votes\.csv has a header and no row"),
        ("votes.csv", "clip,happy\na,3\n".encode("utf-16-le"), r"1 clips|none of the|cannot be read|expected a column"),
        ("votes.csv", b"clip,a,n\na,1,2\n", r"the columns a, n may be letters of emotions .* some are missing"),
    ],
)
def test_what_is_no_table_of_clips_is_refused(tmp_path: Path, name: str, data: bytes, fault: str) -> None:
    (tmp_path / name).write_bytes(data)
    with pytest.raises(DferError, match=fault):
        read(tmp_path / name)


def test_answers_that_all_name_no_emotion_are_refused(tmp_path: Path) -> None:
    table = pd.DataFrame({"clip": ["a", "b"], "rater": [1, 1], "emotion": ["", ""]})
    with pytest.raises(DferError, match="no answer names an emotion; 2: answer without an emotion"):
        read(write(tmp_path, table))


def test_a_folder_is_no_table(tmp_path: Path) -> None:
    with pytest.raises(DferError, match=r"expected a \.csv or \.xlsx .*; got the folder"):
        read(tmp_path)


def test_the_real_votes_on_crema_d_faces_are_read_clip_by_clip(shared_data: Path, tmp_path: Path) -> None:
    table = pd.read_csv(shared_data / "crema_d/processedResults/tabulatedVotes.csv", index_col=0)
    faces = table[table.index // 100000 == 2]
    own = faces[["fileName", *"ADFHNS"]].assign(actor=faces["fileName"].str[:4])
    for name in faces["fileName"]:
        (tmp_path / f"{name}.flv").touch()
    own.to_csv(tmp_path / "faces.csv", index=False)
    manifest = read(tmp_path / "faces.csv")
    assert len(manifest) == 7442 and manifest.emotions == CREMA_D and manifest.left_out == {}
    assert manifest.table["id"].tolist() == faces["fileName"].tolist()
    assert np.array_equal(manifest.votes.sum(axis=1), faces["numResponses"])
    assert agreement(manifest.votes).mean() == pytest.approx(0.701, abs=5e-4)
    assert entropy(manifest.votes).mean() == pytest.approx(0.390, abs=5e-4)
    assert manifest.table["group"].nunique() == 91 and set(manifest.table["kind"]) == {"video"}


def test_the_six_real_clips_get_the_votes_that_people_gave_them(shared_data: Path, tmp_path: Path) -> None:
    table = pd.read_csv(shared_data / "crema_d/processedResults/tabulatedVotes.csv", index_col=0)
    one = table[(table.index // 100000 == 2) & table["fileName"].str.startswith("1001_")]
    one.to_excel(tmp_path / "faces.xlsx", index=False)
    manifest = read(tmp_path / "faces.xlsx", clips=str(shared_data / "crema_d/VideoFlash"))
    votes = dict(zip(manifest.table["id"].str[9:12], manifest.votes.astype(int).tolist(), strict=True))
    assert votes == {  # angry disgust fear happy neutral sad
        "ANG": [5, 2, 0, 0, 3, 0],
        "DIS": [6, 2, 0, 0, 2, 0],
        "FEA": [1, 3, 2, 0, 2, 1],
        "HAP": [0, 0, 0, 7, 2, 0],
        "NEU": [1, 0, 0, 0, 9, 0],
        "SAD": [0, 1, 1, 0, 7, 0],
    }
    assert manifest.left_out == {"no clip on disk": len(one) - 6}


def test_without_a_column_of_labels_more_than_half_of_the_votes_give_one(tmp_path: Path) -> None:
    for name in "abc":
        (tmp_path / f"{name}.mp4").touch()
    (tmp_path / "t.csv").write_text("clip,happy,sad,neutral\na,6,4,0\nb,5,5,0\nc,0,1,2\n", encoding="utf-8")
    assert read_source("table", tmp_path / "t.csv").table["label"].tolist() == ["happy", "", "neutral"]
    assert read_source("table", tmp_path / "t.csv", label="none").table["label"].tolist() == ["", "", ""]
    with pytest.raises(DferError, match="'majority' or 'none'"):
        read_source("table", tmp_path / "t.csv", label="most")


@pytest.mark.parametrize("reader", ["table", "lists"])
def test_what_is_no_file_is_refused_at_once(tmp_path: Path, reader: str) -> None:
    os.mkfifo(tmp_path / "t.csv")
    for place, told in ((tmp_path / "t.csv", "a named pipe"), (Path("/dev/zero"), "a device")):
        with pytest.raises(DferError, match=f"expected a file, got {told}"):
            read_source(reader, place)


@pytest.mark.parametrize(
    ("data", "told"),
    [
        (b"," * 50_000_001, r"at most 50,000,000 cells"),
        (b"clip,happy,sad\n" + b"1," * 5000, r"row 2 goes beyond the limits of a table"),
        (b"<a>" * 10_000_001, r"at most 10,000,000 tags"),
        (b"[" * 100_000, r"inside each other up to 32 times"),
        (b'[{"id": ' + b"9" * 5000 + b"}]", r"cannot be read as JSON"),
    ],
)
def test_tables_of_too_many_cells_are_refused(tmp_path: Path, data: bytes, told: str) -> None:
    (tmp_path / "t.csv").write_bytes(data)
    with pytest.raises(DferError, match=rf"t\.csv.*{told}") as raised:
        read_source("table", tmp_path / "t.csv")
    assert len(str(raised.value)) <= 500
