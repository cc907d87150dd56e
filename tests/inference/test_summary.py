"""A row a video and person: against sums done by hand, and read back by other programs."""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np
import openpyxl
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dfer import DferError
from dfer.inference import Person, Segment
from dfer.inference.summary import Summary, strongest, summarise, write_summary
from dfer.inference.timeline import Timeline
from dfer.inference.writers import CsvStyle
from dfer.tables import read_csv

from .toy import EMOTIONS, toy_person, toy_timeline


def uneven() -> Person:
    """Seen from 0 to 3 s and from 4 to 5 s: rows that hold for 1, 2 and 1 s."""
    return toy_person(
        3,
        times=np.array([0.0, 1.0, 3.0, 4.0]),
        probs=np.array([[0.6, 0.3, 0.1], [0.2, 0.5, 0.3], [np.nan] * 3, [0.1, 0.8, 0.1]]),
        boxes=np.array([[1.0] * 4, [1.0] * 4, [np.nan] * 4, [1.0] * 4]),
        flaws=np.array([1, 0, 0, 5], dtype=np.uint8),
        segments=(Segment(0, 0, 1, "angry", 0.6), Segment(1, 2, 3, "disgust", 0.5), Segment(4, 4, 5, "disgust", 0.8)),
    )


def test_a_person_is_summed_up_by_the_time_for_which_rows_hold() -> None:
    found = summarise(uneven(), Timeline("a.mp4", 5.0, EMOTIONS, (uneven(),)))
    assert found.seen_s == pytest.approx(4.0)
    assert found.shares == pytest.approx([1 / 4, 3 / 4, 0])
    assert found.events.tolist() == [1, 2, 0]
    assert found.usable == pytest.approx(1 / 3)
    assert found.flaws == pytest.approx([2 / 3, 0, 1 / 3, 0]), "small, blurred, dark, turned"


def test_a_single_picture_lasts_for_no_time_and_has_shares_all_the_same() -> None:
    person = toy_person(times=np.array([0.0]), probs=np.array([[0.2, 0.7, 0.1]]), boxes=np.ones((1, 4)),
                        flaws=np.zeros(1, np.uint8), segments=())  # fmt: skip
    found = summarise(person, Timeline("a.png", 0.0, EMOTIONS, (person,)))
    assert found.seen_s == 0 and found.shares.tolist() == [0, 1, 0]


def test_someone_who_is_never_seen_has_no_shares() -> None:
    person = toy_person(probs=np.full((4, 3), np.nan), overall=np.full(3, np.nan), segments=())
    summary = Summary()
    summary.add(toy_timeline(person))
    (row,) = summary.to_dataframe().to_dict("records")
    assert row["seen_s"] == 0 and np.isnan(row["share_sad"]) and row["strongest"] == "" and np.isnan(row["usable"])


def test_the_strongest_are_said_of_those_who_are_seen_longest() -> None:
    assert strongest(toy_timeline(toy_person(0))) == "angry 40%"
    brief = toy_person(0, times=np.array([4.6, 4.7, 4.8, 4.9]))
    people = (brief, toy_person(1), toy_person(2), uneven())
    said = strongest(Timeline("a.mp4", 5.0, EMOTIONS, people))
    assert said == "person 1 angry 40%, person 2 angry 40%, person 3 angry 40% and 1 more"


@pytest.fixture
def summary() -> Summary:
    gathered = Summary()
    gathered.add(Timeline("=1+1.mp4", 5.0, EMOTIONS, (uneven(), toy_person(5))))
    gathered.add(Timeline("ünï\x07.mp4", 2.5, EMOTIONS, ()))
    gathered.fail(Path("gone.mp4"), DferError("gone.mp4: expected a video file,\nfound nothing"))
    return gathered


@pytest.mark.parametrize(("style", "options"), [
    (CsvStyle(), {}), (CsvStyle(";", ","), {"sep": ";", "decimal": ","}), (CsvStyle("\t"), {"sep": "\t"}),
])  # fmt: skip
def test_a_table_is_read_back_by_pandas(
    summary: Summary, style: CsvStyle, options: dict[str, str], tmp_path: Path
) -> None:
    write_summary(summary, tmp_path / "out.csv", style=style)
    table = pd.read_csv(tmp_path / "out.csv", keep_default_na=True, **options)
    assert table["video"].tolist() == ["'=1+1.mp4"] * 2 + ["ünï\x07.mp4", "gone.mp4"]
    assert table["duration_s"][:3].tolist() == [5, 5, 2.5] and np.isnan(table["duration_s"][3])
    assert table["person"][:2].tolist() == [3, 5] and table["seen_s"][:3].tolist() == [4.0, 4.9, 0.0]
    assert table["share_disgust"][0] == 0.75 and table["events_disgust"][0] == 2 and table["mean_angry"][0] == 0.4
    assert table["usable"][0] == pytest.approx(0.3333) and table["small"][0] == pytest.approx(0.6667)
    assert table["note"][2:].tolist() == ["no face was found", "gone.mp4: expected a video file, found nothing"]


def test_a_workbook_has_numbers_as_numbers_and_texts_as_texts(summary: Summary, tmp_path: Path) -> None:
    write_summary(summary, tmp_path / "out.xlsx")
    head, *rows = openpyxl.load_workbook(tmp_path / "out.xlsx").active.iter_rows()
    names = [cell.value for cell in head]
    first = dict(zip(names, rows[0], strict=True))
    assert names[:5] == ["video", "duration_s", "person", "seen_s", "strongest"] and len(rows) == 4
    assert first["video"].value == "'=1+1.mp4" and first["video"].data_type == "s", "no formula"
    assert first["seen_s"].value == 4 and first["share_disgust"].value == 0.75 and first["person"].data_type == "n"
    assert rows[3][names.index("seen_s")].value is None


def test_totals_count_everybody(summary: Summary) -> None:
    videos, shares = summary.totals()
    assert videos == "3 videos, 1 could not be read, 1 without a face; 2 people seen for 8.9 s"
    # angry: 1 of 4 s and 0.2 of 4.9 s; disgust: 3 of 4 s; sad: the 4.7 s from 0.3 s on
    assert shares == "share of time (segments): sad 53% (0), disgust 34% (2), angry 13% (2)"


def test_nobody_at_all_is_a_table_too(tmp_path: Path) -> None:
    write_summary(Summary(), tmp_path / "out.csv")
    assert len(pd.read_csv(tmp_path / "out.csv")) == 0 and Summary().totals() == ["0 videos; 0 people seen for 0.0 s"]


@settings(deadline=None, max_examples=30)
@given(
    video=st.one_of(
        st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), min_size=1, max_size=20),
        st.sampled_from(["=1+1", "'=1", "@x", "-1", "\tx", "\rx", "a,\nb", "\x1b[31m", "\u202eabc", "x" * 999]),
    )
)
def test_hostile_names_come_back_and_none_begins_as_a_formula(video: str) -> None:
    gathered = Summary()
    gathered.add(Timeline(video, 5.0, EMOTIONS, (toy_person(5),)))
    with tempfile.TemporaryDirectory() as folder:
        write_summary(gathered, Path(folder, "out.csv"))
        _, table = read_csv(Path(folder, "out.csv"), lambda _: "any")
        assert table["video"].to_pylist() == [video]
        write_summary(gathered, Path(folder, "out.xlsx"))
        cell = openpyxl.load_workbook(Path(folder, "out.xlsx")).active["A2"]
        assert cell.data_type == "s" and cell.value[0] not in "=+-@\t\r"


def test_a_film_whose_name_is_no_unicode_has_its_row(tmp_path: Path) -> None:
    gathered = Summary()
    gathered.add(Timeline("\udcff.mp4", 5.0, EMOTIONS, (toy_person(5),)))
    gathered.fail(Path("\udcfe.mp4"), DferError("\udcfe.mp4: damaged"))
    for name in ("out.csv", "out.xlsx"):
        write_summary(gathered, tmp_path / name)
    assert "\n\\udcff.mp4,5.0," in (tmp_path / "out.csv").read_text()
