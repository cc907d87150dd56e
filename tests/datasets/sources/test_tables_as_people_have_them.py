"""Tables as people have them: merged cells, sheets, formulas, titles, shares, voters without an emotion, near names."""

from __future__ import annotations

import gzip
import shutil
import unicodedata
import zipfile
from pathlib import Path
from typing import Any

import openpyxl
import pandas as pd
import pytest

from dfer.datasets import Manifest, read_source
from dfer.errors import DferError

from .trees import write_files
from .vote_writers import write_xlsx

TWO = [["clip", "happy", "sad", "neutral"], ["001.mp4", 6, 0, 4], ["002.mp4", 1, 8, 1]]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    write_files(tmp_path, "{0}.mp4", ["001", "002", "003"])  # type: ignore[list-item]
    return tmp_path


def csv(folder: Path, text: str, **options: str) -> Manifest:
    (folder / "t.csv").write_text(text, encoding="utf-8")
    return read_source("table", folder / "t.csv", **options)


def votes(manifest: Manifest) -> dict[str, dict[str, float]]:
    """Clip -> emotion or other -> count, without zeros."""
    table = manifest.table.filter(regex="^(votes|other)_").fillna(0)
    rows = {str(clip): row for clip, row in zip(manifest.table["path"], table.to_dict("records"), strict=True)}
    return {
        clip.removesuffix(".mp4"): {str(k).removeprefix("votes_"): v for k, v in row.items() if v}
        for clip, row in rows.items()
    }


def labels(manifest: Manifest) -> list[str]:
    return list(manifest.table["label"])


@pytest.fixture
def case(shared_data: Path, folder: Path) -> Any:
    """Reads a table of the cases that other tools' users reported."""

    def read(name: str, file: str, **options: str) -> Manifest:
        shutil.copy(next((shared_data / "cases").glob(f"{name}*")) / file, folder / file)
        return read_source("table", folder / file, **options)

    return read


class TestCases:
    def test_a_merged_clip_name_stands_for_all_its_rows(self, case: Any) -> None:
        found = votes(case("20", "votes.xlsx"))
        assert found == {"001": {"happy": 2, "neutral": 1}, "002": {"sad": 2, "happy": 1}}

    def test_a_hidden_sheet_is_not_read_and_it_is_said(self, case: Any, caplog: pytest.LogCaptureFixture) -> None:
        assert votes(case("22", "hidden.xlsx")) == {
            "001": {"happy": 6, "neutral": 4},
            "002": {"happy": 1, "sad": 8, "neutral": 1},
        }
        assert "read sheet 'current', 2 of 2; not read: 'old' (hidden); -O sheet=NAME" in caplog.text
        assert votes(case("22", "hidden.xlsx", sheet="old"))["001"] == {"happy": 1, "sad": 1, "neutral": 1}

    def test_of_two_sheets_one_is_read_and_the_other_named(self, case: Any, caplog: pytest.LogCaptureFixture) -> None:
        assert set(votes(case("22", "twosheets.xlsx"))) == {"001"}
        assert "1 of 2; not read: 'batch2'" in caplog.text
        assert set(votes(case("22", "twosheets.xlsx", sheet="BATCH2"))) == {"002"}
        with pytest.raises(DferError, match=r"no sheet 'batch3' \(did you mean 'batch2'\?\); expected one of Sheet"):
            case("22", "twosheets.xlsx", sheet="batch3")

    def test_excel_s_own_first_line_is_no_header(self, case: Any) -> None:
        assert votes(case("23", "votes.csv"))["002"] == {"happy": 1, "sad": 8, "neutral": 1}

    def test_a_label_is_the_majority_of_all_voters(self, case: Any) -> None:
        manifest = case("26", "votes.csv")
        assert labels(manifest) == ["", "sad"] and manifest.table["other_unknown"].tolist() == [6, 0]

    def test_percentages_are_found_out(self, case: Any, caplog: pytest.LogCaptureFixture) -> None:
        case("27", "votes.csv")
        assert "every row sums to 99 to 100, as percentages do" in caplog.text and "-O voters=10" in caplog.text
        soft = case("27", "votes.csv", values="shares")
        assert soft.soft[0].tolist() == pytest.approx([0.6, 0.4, 0]) and list(soft.emotions) == [
            "happy",
            "neutral",
            "sad",
        ]
        with pytest.raises(
            DferError, match=r"\(003\.mp4\) give no whole numbers of 10 voters, such as 3\.3, 3\.3, 3\.3"
        ):
            case("27", "votes.csv", voters="10")


@pytest.mark.parametrize(
    ("area", "rows", "told"),
    [
        (
            "B2:B3",
            [["clip", "happy", "sad"], ["001", 6, 1], ["002", None, 2]],
            "B2:B3 .'6' in the column happy. is one",
        ),
        ("A2:B2", [["clip", "happy", "sad"], ["001", None, 1], ["002", 3, 2]], "A2:B2 are merged over several columns"),
        (
            "C3:C4",
            [["clip", "rater", "emotion"], ["001", "a", "sad"], ["001", "b", "sad"], ["002", "a", None]],
            "C3:C4 .'sad' in the column emotion. is one cell of 2 clips, 001, 002",
        ),
    ],
)
def test_a_merged_cell_of_two_clips_or_columns_is_refused_by_name(
    folder: Path, area: str, rows: list[list[object]], told: str
) -> None:
    book = openpyxl.Workbook()
    for row in rows:
        book.active.append(row)
    book.active.merge_cells(area)
    book.save(folder / "t.xlsx")
    with pytest.raises(DferError, match=told):
        read_source("table", folder / "t.xlsx")


def test_a_person_or_a_rater_may_be_merged_over_the_rows_of_several_clips(folder: Path) -> None:
    book = openpyxl.Workbook()
    sheet = book.active
    for row in [["person", "clip", "happy", "sad"], ["anna", "001", 2, 1], [None, "002", 1, 2], ["ben", "003", 3, 0]]:
        sheet.append(row)
    sheet.merge_cells("A2:A3")
    book.save(folder / "t.xlsx")
    assert read_source("table", folder / "t.xlsx").table["group"].tolist() == ["anna", "anna", "ben"]
    book = openpyxl.Workbook()
    for row in [["rater", "clip", "emotion"], ["r1", "001", "sad"], [None, "002", "happy"], ["r2", "001", "sad"]]:
        book.active.append(row)
    book.active.merge_cells("A2:A3")
    book.save(folder / "t.xlsx")
    assert votes(read_source("table", folder / "t.xlsx")) == {"001": {"sad": 2}, "002": {"happy": 1}}


def test_a_rater_s_merged_cell_that_overlaps_two_clips_merged_cells_is_refused(folder: Path) -> None:
    book = openpyxl.Workbook()
    rows = [
        ["clip", "rater", "emotion"],
        ["001", "a", "sad"],
        [None, "b", "sad"],
        ["002", None, "sad"],
        [None, "c", "sad"],
    ]
    for row in rows:
        book.active.append(row)
    for area in ("A2:A3", "A4:A5", "B3:B4"):
        book.active.merge_cells(area)
    book.save(folder / "t.xlsx")
    with pytest.raises(DferError, match=r"B3:B4 .'b' in the column rater. is one cell of 2 clips"):
        read_source("table", folder / "t.xlsx")


def test_answers_under_a_clip_that_is_named_once_are_refused_with_their_rows(folder: Path) -> None:
    text = "clip,rater,emotion\n001,a,sad\n,b,sad\n,c,happy\n002,a,sad\n,b,sad\n"
    with pytest.raises(
        DferError, match=r"3 answers without a clip: rows 3-4, 6; if cells were merged, read the \.xlsx"
    ):
        csv(folder, text)


def test_a_formula_without_a_value_is_refused_with_its_cell(folder: Path) -> None:
    write_xlsx(folder / "t.xlsx", [["clip", "happy", "sad"], ["001", "=2+3", 1], ["002", 3, "=SUM(B3:B3)"]])
    with pytest.raises(DferError, match=r"sheet 'Sheet': B2, C3 are formulas without a value"):
        read_source("table", folder / "t.xlsx")


def test_sheets_without_a_table_are_passed_over_and_several_tables_asked_about(folder: Path) -> None:
    notes = [["how it was made"], ["by ten people"]]
    write_xlsx(folder / "t.xlsx", notes, TWO)
    assert votes(read_source("table", folder / "t.xlsx"))["001"] == {"happy": 6, "neutral": 4}
    write_xlsx(folder / "t.xlsx", notes, TWO, TWO)
    with pytest.raises(DferError, match=r"'Sheet' holds no table, and batch2, batch3 may be meant; .*-O sheet=NAME"):
        read_source("table", folder / "t.xlsx")
    write_xlsx(folder / "t.xlsx", TWO, hidden=())
    book = openpyxl.load_workbook(folder / "t.xlsx")
    book.create_sheet("empty")
    book.save(folder / "t.xlsx")
    assert votes(read_source("table", folder / "t.xlsx"))["002"] == {"happy": 1, "sad": 8, "neutral": 1}
    with pytest.raises(DferError, match=r"t\.csv has no sheets; leave out -O sheet=x"):
        csv(folder, "clip,happy\n001,2\n", sheet="x")


def test_only_hidden_sheets_are_not_read_unless_one_is_named(folder: Path) -> None:
    write_xlsx(folder / "t.xlsx", TWO, [["x"]], hidden=(0,))
    book = openpyxl.load_workbook(folder / "t.xlsx")
    book["batch2"]["A1"] = None
    book.save(folder / "t.xlsx")
    with pytest.raises(DferError, match=r"only hidden sheets, Sheet; say which to read: -O sheet=NAME"):
        read_source("table", folder / "t.xlsx")
    assert len(read_source("table", folder / "t.xlsx", sheet="Sheet")) == 2


def test_titles_and_comments_above_the_header_are_said_and_passed_over(
    folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    found = csv(folder, '# exported in May\n"Votes, second round",,\n,,\nclip,happy,sad\n001,3,1\n')
    assert votes(found) == {"001": {"happy": 3, "sad": 1}}
    assert "the lines above the header are not read: 'Votes, second round'" in caplog.text


@pytest.mark.parametrize("word", ["other", "None", "unknown", "not a face", "NF", "Don't know", "cannot tell", "n/a"])
def test_answers_that_name_no_emotion_are_voters_and_no_votes(folder: Path, word: str) -> None:
    rows = [
        ("001", "a", "happy"),
        ("001", "b", "happy"),
        *(("001", rater, word) for rater in "cd"),
        ("002", "a", "sad"),
    ]
    found = csv(folder, "clip,rater,emotion\n" + "".join(",".join(row) + "\n" for row in rows))
    assert list(found.emotions) == ["happy", "sad"] and labels(found) == ["", "sad"]
    other = found.table.filter(regex="^other_")
    assert other.shape[1] == 1 and other.iloc[0, 0] == 2


@pytest.mark.parametrize("column", ["other", "unknown", "Not a face", "none", "other_unsure"])
def test_columns_of_answers_that_name_no_emotion_are_voters(folder: Path, column: str) -> None:
    found = csv(folder, f"clip,happy,sad,{column}\n001,3,1,4\n002,3,2,0\n")
    assert labels(found) == ["", "happy"] and found.table.filter(regex="^other_").to_numpy().tolist() == [[4], [0]]


def test_a_class_of_that_name_stays_a_class_where_the_user_says_so(folder: Path) -> None:
    found = csv(folder, "clip,happy,other\n001,3,4\n002,3,2\n", emotions="happy,other")
    assert labels(found) == ["other", "happy"] and list(found.emotions) == ["happy", "other"]


def test_a_clip_of_which_nobody_named_an_emotion_is_left_out_and_counted(folder: Path) -> None:
    found = csv(folder, "clip,happy,sad,unknown\n001,0,0,9\n002,3,2,0\n")
    assert votes(found) == {"002": {"happy": 3, "sad": 2}}
    assert found.left_out == {"clip without a vote for an emotion": 1}


@pytest.mark.parametrize(
    ("column", "yes", "no"),
    [
        ("AssignmentStatus", "Rejected", "Approved"),
        ("status", "rejected", ""),
        ("accepted", "no", "yes"),
        ("excluded", "1", "0"),
    ],
)
def test_rejected_answers_are_counted_as_voters_only(folder: Path, column: str, yes: str, no: str) -> None:
    rows = [("happy", no), ("happy", no), ("sad", yes), ("gibberish", yes)]
    text = f"clip,rater,emotion,{column}\n" + "".join(f"001,r{k},{e},{s}\n" for k, (e, s) in enumerate(rows))
    found = csv(folder, text)
    assert votes(found) == {"001": {"happy": 2, "other_rejected": 2}} and labels(found) == [""]
    kept = csv(folder, text + f"002,r1,sad,{no}x\n", where=f"{column}={no}") if no else None
    assert kept is None or (votes(kept) == {"001": {"happy": 2}} and labels(kept) == ["happy"])


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("clip,happy,sad\n001,.6,.4\n002,1,0\n", "every row sums to 1, as shares do"),
        ("clip;happy;sad\n001;0,6;0,4\n002;1;0\n", "every row sums to 1, as shares do"),
        ("clip,happy,sad\n001,66.7,33.3\n002,50,50\n", "every row sums to 100, as percentages do"),
        ("clip,happy,sad\n001,60%,40%\n002,50 %,50 %\n", "every row sums to 100, as percentages do"),
        ("clip,happy,sad,unknown\n001,.5,.25,.25\n002,1,0,0\n", "every row sums to 1, as shares do"),
        ("clip,emotion,count\n001,happy,0.5\n001,sad,0.5\n002,sad,1\n", "every row sums to 1, as shares do"),
    ],
)
def test_shares_are_refused_with_advice_that_works(folder: Path, text: str, told: str) -> None:
    with pytest.raises(
        DferError, match=rf"votes that are fractional.*{told}.*-O voters=10.*-O values=shares"
    ) as caught:
        csv(folder, text)
    assert "001" in str(caught.value)
    soft = csv(folder, text, values="shares").soft
    assert soft.sum(axis=1).tolist() == pytest.approx([1, 1])


@pytest.mark.parametrize(
    ("text", "options", "counts"),
    [
        ("clip,happy,sad\n001,60,40\n002,10,90\n", {"voters": "10"}, [[6, 4], [1, 9]]),
        ("clip,happy,sad\n001,.6,.4\n002,.1,.9\n", {"voters": "10"}, [[6, 4], [1, 9]]),
        ("clip,happy,sad\n001,33,67\n002,67,33\n", {"voters": "3"}, [[1, 2], [2, 1]]),
        ("clip,happy,sad,n\n001,33.3,66.7,3\n002,25,75,4\n", {"voters": "N"}, [[1, 2], [1, 3]]),
        ("clip,happy,sad\n001,60,40\n002,10,90\n", {"values": "counts"}, [[60, 40], [10, 90]]),
    ],
)
def test_the_number_of_voters_makes_counts_of_shares(
    folder: Path, text: str, options: dict[str, str], counts: list[list[int]], caplog: pytest.LogCaptureFixture
) -> None:
    assert csv(folder, text, **options).votes.tolist() == counts
    assert "percentages" not in caplog.text


def test_shares_of_voters_without_an_emotion_are_people_too(folder: Path) -> None:
    found = csv(folder, "clip,happy,sad,unknown\n001,30,10,60\n002,0,80,20\n", voters="10")
    assert votes(found) == {"001": {"happy": 3, "sad": 1, "other_unknown": 6}, "002": {"sad": 8, "other_unknown": 2}}
    assert labels(found) == ["", "sad"]


def test_counts_that_cannot_be_shares_are_not_made_shares(folder: Path) -> None:
    text = "clip,happy,sad\n001,6,4\n002,1,3\n"
    with pytest.raises(DferError, match=r"expected shares that sum to 100; those of 2 clips do not .001, 002."):
        csv(folder, text, values="shares")
    with pytest.raises(DferError, match=r"expected voters to be a number from 1 or a column .* got 'many'"):
        csv(folder, "clip,happy,sad\n001,60,40\n", voters="many")
    with pytest.raises(DferError, match=r"values: it should be .*, got .share. .did you mean .shares."):
        csv(folder, text, values="share")


def test_clips_in_several_spellings_are_one_and_it_is_said(folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    (folder / "a").mkdir()
    (folder / "003.mp4").rename(folder / "a/003.mp4")
    names = ["001", "1", "001.mp4", "./001", "001.MP4", "a/003.mp4", "003", "a\\3"]
    rows = "".join(f"{name},r{k},happy\n" for k, name in enumerate(names))
    assert votes(csv(folder, "clip,rater,emotion\n" + rows)) == {"001": {"happy": 5}, "a/003": {"happy": 3}}
    assert "taken for one: 001 and 1 and 001.mp4 and ./001 and 001.MP4; a/003.mp4 and a\\3 and 003" in caplog.text


def test_two_files_are_two_clips_however_near_their_names(folder: Path) -> None:
    write_files(folder, "{0}.mp4", ["1"])  # type: ignore[list-item]
    found = csv(folder, "clip,rater,emotion\n001.mp4,a,happy\n1.mp4,a,sad\n001,b,happy\n1,b,sad\n")
    assert votes(found) == {"001": {"happy": 2}, "1": {"sad": 2}}


def test_a_name_that_may_be_one_of_two_clips_is_refused(folder: Path) -> None:
    for name in ("a", "b"):
        (folder / name).mkdir()
        shutil.copy(folder / "001.mp4", folder / name / "007.mp4")
    with pytest.raises(DferError, match=r"the clip '007' may be one of a/007, b/007; give each clip with its folder"):
        csv(folder, "clip,rater,emotion\na/007,r,sad\nb/007,r,sad\n007,q,sad\n")


def test_a_table_of_counts_with_a_clip_under_two_names_is_refused_with_its_rows(folder: Path) -> None:
    with pytest.raises(DferError, match=r"'001', '1\.mp4' are one clip, in rows 2, 4; keep one row"):
        csv(folder, "clip,happy,sad\n001,1,2\n002,3,1\n1.mp4,1,1\n")


def test_persons_under_several_names_are_one_group(folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    found = csv(folder, "clip,person,happy,sad\n001,P1,1,2\n002,p01,3,1\n003,P2,1,1\n")
    assert found.table["group"].tolist() == ["P1", "P1", "P2"]
    assert "groups whose names are nearly the same are taken for one: P1 and p01" in caplog.text


def test_raters_with_nearly_the_same_name_are_said(folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    csv(folder, "clip,rater,emotion\n001,anna,sad\n001,Anna ,sad\n002,r1,sad\n002,R01,sad\n")
    assert "nearly the same count as different ones: anna and Anna; r1 and R01" in caplog.text


def test_own_abbreviations_are_mapped_in_answers_columns_and_labels(folder: Path) -> None:
    own = {"map": "ntr=neutral, SUP=surprise,weiß nicht=unknown"}
    found = csv(folder, "clip,rater,emotion\n001,a,NTR\n001,b,sup\n001,c,sup\n002,a,weiß nicht\n002,b,ntr\n", **own)
    assert votes(found) == {"001": {"neutral": 1, "surprise": 2}, "002": {"neutral": 1, "other_unknown": 1}}
    found = csv(folder, "clip,ntr,sup,label\n001,3,1,ntr\n002,0,2,\n", **own)
    assert votes(found) == {"001": {"neutral": 3, "surprise": 1}, "002": {"surprise": 2}} and labels(found) == [
        "neutral",
        "",
    ]
    assert list(csv(folder, "clip,rater,emotion\n001,a,brd\n002,a,sad\n", map="brd=bored").emotions) == ["sad", "bored"]
    with pytest.raises(DferError, match=r"expected --map word=emotion,word=emotion, got 'ntr'"):
        csv(folder, "clip,happy\n001,3\n", map="ntr")
    with pytest.raises(DferError, match=r"--map gives 'A' two meanings: angry and afraid"):
        csv(folder, "clip,happy\n001,3\n", map="a=angry,A=afraid")


def test_the_classes_are_those_of_the_table(folder: Path) -> None:
    assert list(csv(folder, "clip,happy,sad,neutral\n001,3,1,0\n").emotions) == ["happy", "neutral", "sad"]
    assert list(csv(folder, "clip,happy,sad,neutral\n001,3,1,0\n", emotions="dfew").emotions)[:3] == [
        "happy",
        "sad",
        "neutral",
    ]
    assert len(csv(folder, "clip,calm,anxiety\n001,3,1\n").emotions) == 2, "no known set has both"


def test_a_file_that_lies_there_and_is_no_film_has_a_reason_that_is_true(folder: Path) -> None:
    (folder / "c.xyz").touch()
    with pytest.raises(DferError, match=r"none of the 1 clips .*\(neither video nor image: c\.xyz\)"):
        csv(folder, "clip,happy,sad\nc.xyz,1,5\n")
    found = csv(folder, "clip,happy,sad\nc.xyz,1,5\n001,3,1\ngone,1,1\n")
    assert found.left_out == {"neither video nor image": 1, "no clip on disk": 1}


def test_a_hidden_row_is_read_and_it_is_said(folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    write_xlsx(folder / "t.xlsx", TWO)
    book = openpyxl.load_workbook(folder / "t.xlsx")
    book.active.row_dimensions[3].hidden = True
    book.save(folder / "t.xlsx")
    assert set(votes(read_source("table", folder / "t.xlsx"))) == {"001", "002"}
    assert "1 hidden or filtered rows are read like the others" in caplog.text
    book.active.column_dimensions["C"].hidden = True
    book.save(folder / "t.xlsx")
    assert votes(read_source("table", folder / "t.xlsx"))["002"] == {"happy": 1, "sad": 8, "neutral": 1}
    assert "hidden columns are read like the others: C" in caplog.text


def test_a_header_of_two_rows_is_read_by_its_second(folder: Path) -> None:
    rows = [["clip", "votes", None, None], [None, "happy", "sad", "neutral"], ["001", 6, 0, 4], ["002", 1, 8, 1]]
    write_xlsx(folder / "t.xlsx", rows)
    book = openpyxl.load_workbook(folder / "t.xlsx")
    book.active.merge_cells("A1:A2")
    book.active.merge_cells("B1:D1")
    book.save(folder / "t.xlsx")
    assert votes(read_source("table", folder / "t.xlsx"))["002"] == {"happy": 1, "sad": 8, "neutral": 1}


def test_a_formula_with_a_value_is_its_value(folder: Path) -> None:
    """openpyxl writes no values of formulas, so the value is put into the sheet's XML."""
    write_xlsx(folder / "t.xlsx", [["clip", "happy", "sad"], ["001", "=2+3", 1]])
    with zipfile.ZipFile(folder / "t.xlsx") as old, zipfile.ZipFile(folder / "u.xlsx", "w") as new:
        for name in old.namelist():
            new.writestr(
                name,
                old.read(name)
                .replace(b"<f>2+3</f><v />", b"<f>2+3</f><v>5</v>")
                .replace(b"<f>2+3</f><v></v>", b"<f>2+3</f><v>5</v>"),
            )
    assert votes(read_source("table", folder / "u.xlsx")) == {"001": {"happy": 5, "sad": 1}}


def parquet() -> bytes:
    """A Parquet file, as pandas writes it."""
    return bytes(pd.DataFrame({"clip": ["001"], "happy": [1]}).to_parquet())


@pytest.mark.parametrize("name", ["t.csv", "t.xls", "t"])
def test_an_excel_file_is_read_whatever_it_is_called(folder: Path, name: str) -> None:
    write_xlsx(folder / "t.xlsx", [["clip", "happy", "sad"], ["001", 5, 1]])
    (folder / "t.xlsx").rename(folder / name)
    assert votes(read_source("table", folder / name)) == {"001": {"happy": 5, "sad": 1}}


@pytest.mark.parametrize(
    ("data", "told"),
    [
        (b"\xd0\xcf\x11\xe0 old", r"an Excel file of the old kind \(\.xls\); save the table in it as \.xlsx or"),
        (gzip.compress(b"clip,happy\n001,1\n"), r"is compressed with gzip; save the table in it as \.xlsx or \.csv"),
        (parquet(), r"is a Parquet file; save the table"),
        (b"<votes><vote/></votes>", r"is XML, and neither ELAN's nor CVAT's \(its first element is <votes>\)"),
        (b"<annotations><meta></annotations>", r"is damaged XML"),
        (b'<!DOCTYPE a [<!ENTITY b "c">]><a>&b;</a>', r"defines entities"),
        (b'{"a": 1}', r"is JSON, and not an export of Label Studio"),
        (b'[{"a": 1}', r"cannot be read as JSON"),
        (b"clip,happy,happy\n001,1,2\n", r"has columns of one name: happy; rename all but one"),
        (b"clip,emotion,count\n001,happy,3\n001,sad,many\n", r"expected numbers from 0 in the column count; see row 3"),
    ],
)
def test_files_of_other_kinds_are_refused_in_a_sentence(folder: Path, data: bytes, told: str) -> None:
    (folder / "t.csv").write_bytes(data)
    with pytest.raises(DferError, match=told):
        read_source("table", folder / "t.csv")


def test_a_single_emotion_beside_columns_of_unknown_words_is_refused(folder: Path) -> None:
    with pytest.raises(
        DferError, match=r"a single emotion is counted, neutral; .*'Freude', 'Trauer'.*--map word=emotion"
    ):
        csv(folder, "clip,Freude,Trauer,Neutral\n001,6,0,4\n002,0,7,3\n")
    assert labels(csv(folder, "clip,Freude,Trauer,Neutral\n001,6,0,4\n002,0,7,3\n", map="Freude=happy,Trauer=sad")) == [
        "happy", "sad"
    ]  # fmt: skip


def test_names_are_found_whichever_way_their_letters_are_composed(tmp_path: Path) -> None:
    """A Mac writes the name of a file with its accents apart; tables have them in one."""
    for number, form in enumerate(("NFC", "NFD")):
        place, other = tmp_path / str(number), ("NFD", "NFC")[number]
        place.mkdir()
        (place / unicodedata.normalize(form, "müller.mp4")).touch()
        (place / "anna.mp4").touch()
        names = unicodedata.normalize(other, "müller,6,0\nanna,0,6\n")
        (place / "votes.csv").write_text(f"clip,happy,sad\n{names}", encoding="utf-8")
        manifest = read_source("table", place / "votes.csv")
        assert sorted(manifest.table["label"]) == ["happy", "sad"]
        assert all((place / path).exists() for path in manifest.table["path"])


class TestThousands:
    @pytest.mark.parametrize("cell", ["1,000", "2.500", "12,000", "100.000"])
    @pytest.mark.parametrize(
        "text",
        ["clip;happy;sad\n001.mp4;{};3\n002.mp4;5;6\n", "clip;emotion;count\n001.mp4;happy;{}\n001.mp4;sad;3\n"],
    )
    def test_a_separator_of_thousands_is_refused(self, folder: Path, text: str, cell: str) -> None:
        bare = cell.replace(",", "").replace(".", "")
        with pytest.raises(DferError, match=rf"without a separator of thousands, got '{cell}'; write {bare} "):
            csv(folder, text.format(cell))

    @pytest.mark.parametrize("mark", [",", "."])
    def test_where_another_cell_has_decimals_it_is_one(self, folder: Path, mark: str) -> None:
        text = "clip;happy;sad\n001.mp4;1.000;0.000\n002.mp4;4.000;6.000\n".replace(".000", f"{mark}000")
        assert votes(csv(folder, text)) == {"001": {"happy": 1}, "002": {"happy": 4, "sad": 6}}

    def test_shares_that_are_asked_for_are_shares(self, folder: Path) -> None:
        manifest = csv(folder, "clip;happy;sad\n001.mp4;1,000;0\n002.mp4;0;1,000\n", values="shares")
        assert manifest.table.filter(regex="^soft_(happy|sad)$").max().tolist() == [1, 1]


def test_counts_of_one_emotion_in_two_rows_are_added_up_and_it_is_said(
    folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    found = csv(folder, "clip,emotion,count\n001.mp4,happy,3\n001.mp4,sad,1\n001.mp4,happy,2\n002.mp4,sad,4\n")
    assert votes(found) == {"001": {"happy": 5, "sad": 1}, "002": {"sad": 4}}
    assert "several rows count the same emotion of the same clip; their counts are added: 001.mp4" in caplog.text
