"""A timeline as a file: what is written comes back, and what does not fit together is refused by name."""

from __future__ import annotations

import json
import math
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dfer import DferError
from dfer.inference import Person, Segment, Timeline
from dfer.inference.flaws import bits
from dfer.inference.flaws import names as flaw_names
from dfer.inference.timeline_reading import _from_arrow
from dfer.inference.writers import SUFFIXES, CsvStyle, write
from dfer.labels import EmotionSet
from dfer.tables import read_csv

from .toy import EMOTIONS, toy_person, toy_timeline

AS_DOCUMENTED = {
    "format": "dfer.timeline/1",
    "video": "clip.mp4",
    "start_s": 0.0,
    "duration_s": 0.4,
    "cuts_s": [],
    "emotions": ["angry", "disgust", "sad"],
    "people": [
        {
            "id": 0,
            "times_s": [0.0, 0.1, 0.2, 0.3],
            "probs": [[0.5, 0.25, 0.25], [0.7, 0.2, 0.1], None, [0.0, 0.0, 1.0]],
            "boxes": [[1.0, 2.0, 30.0, 40.0], [2.0, 2.0, 30.0, 40.0], None, [3.0, 2.0, 30.0, 40.0]],
            "flaws": ["", "small dark", None, "blurred"],
            "segments": [{"start_s": 0.0, "apex_s": 0.1, "end_s": 0.2, "emotion": "angry", "score": 0.7}],
            "overall": [0.4, 0.2, 0.4],
        }
    ],
}


def test_the_json_is_as_documented(tmp_path: Path) -> None:
    toy_timeline().save(tmp_path / "out.json")
    assert json.loads((tmp_path / "out.json").read_text(encoding="utf-8")) == AS_DOCUMENTED


def test_the_page_on_the_format_shows_a_timeline_that_is_read_and_written_as_it_stands() -> None:
    page = (Path(__file__).resolve().parents[2] / "docs" / "timeline.md").read_text(encoding="utf-8")
    shown = json.loads(page.split("```json\n")[1].split("```")[0])
    assert Timeline.from_dict(shown).to_dict() == shown


def test_what_is_written_comes_back(tmp_path: Path) -> None:
    toy_timeline().save(tmp_path / "out.json")
    read = Timeline.load(tmp_path / "out.json")
    assert read.to_dict() == AS_DOCUMENTED and read.emotions == EMOTIONS
    (person,) = read.people
    assert person.seen.tolist() == [True, True, False, True] and np.isnan(person.boxes[2]).all()
    assert person.flaws.tolist() == [0, 5, 0, 2]


@given(st.integers(0, 2**32 - 1), st.integers(0, 40), st.integers(1, 3))
def test_any_timeline_comes_back(seed: int, count: int, people: int) -> None:
    generator = np.random.default_rng(seed)

    def person(id_: int) -> Person:
        probs, boxes = generator.dirichlet(np.ones(3), count), np.abs(generator.normal(100, 50, (count, 4)))
        away = generator.random(count) < 0.3
        probs[away], boxes[away] = np.nan, np.nan
        flaws = np.where(away, 0, generator.integers(0, 16, count)).astype(np.uint8)
        return Person(id_, np.cumsum(0.01 + generator.random(count)), probs, boxes, flaws, (), np.full(3, np.nan))

    folk = tuple(person(id_) for id_ in range(people))
    written = Timeline("ünï 中.mp4", 1.0, EMOTIONS, folk, cuts_s=(0.25, 0.5)).to_dict()
    assert Timeline.from_dict(json.loads(json.dumps(written))).to_dict() == written


@given(st.integers(0, 2**32 - 1), st.integers(0, 30))
def test_files_of_all_kinds_that_are_read_hold_the_same(seed: int, count: int) -> None:
    generator = np.random.default_rng(seed)
    probs, boxes = generator.dirichlet(np.ones(3) / 9, count), generator.normal(0, 9, (count, 4))
    boxes[:, 2:] = np.abs(boxes[:, 2:])
    away = generator.random(count) < 0.3
    probs[away], boxes[away] = np.nan, np.nan
    flaws = np.where(away, 0, generator.integers(0, 16, count)).astype(np.uint8)
    files = tuple(f"2024-01-0{index}.png" for index in range(count))
    # texts that look like dates, numbers or JSON, and whole numbers among fractions
    segments = (Segment(0, 1, 2, "sad", 0.5), Segment(0.25, 1.5, 2, "angry", 1))
    person = Person(7, np.arange(count) / 3, probs, boxes, flaws, segments, np.array([1, 0, 0.0]), files, "12:00")
    timeline = Timeline("2024-01-01", 10.0, EMOTIONS, (person,), fps=3.0, rotate=90, cuts_s=(1.0, 2.5))
    timeline = replace(timeline, one_view_s=((0.0, 1.5), (1.5, 2.25)), start_s=0.25)
    with tempfile.TemporaryDirectory() as folder:
        for name in ("out.json", "out.parquet", "odd.JSON"):
            timeline.save(Path(folder) / name)
            read = Timeline.load(Path(folder) / name)
            assert read.to_dict() == timeline.to_dict() and read.people[0].files == files
            assert (read.one_view_s, read.start_s) == (timeline.one_view_s, timeline.start_s)
        text = (Path(folder) / "out.json").read_text(encoding="utf-8")
        assert json.loads(text) == timeline.to_dict()
        (Path(folder) / "pretty.json").write_text(json.dumps(json.loads(text), indent=2))
        assert Timeline.load(Path(folder) / "pretty.json").to_dict() == timeline.to_dict()


def test_a_file_of_an_earlier_version_starts_where_the_first_person_is_told() -> None:
    values = toy_timeline(toy_person(times=np.array([4.0, 4.1, 4.2, 4.3]))).to_dict()
    del values["start_s"]
    assert Timeline.from_dict(values).start_s == 4.0


def test_large_files_are_read_without_an_object_for_each_number(tmp_path: Path) -> None:
    toy_timeline(toy_person(0), toy_person(1)).save(tmp_path / "out.json")
    read = _from_arrow((tmp_path / "out.json").read_bytes(), source="out.json")
    assert read is not None and read.to_dict() == toy_timeline(toy_person(0), toy_person(1)).to_dict()


def test_a_video_without_a_face_is_a_timeline_without_people(tmp_path: Path) -> None:
    empty = Timeline("clip.mp4", 2.0, EMOTIONS, ())
    for name in ("out.json", "out.csv", "out.srt", "out.parquet", "out.html"):
        empty.save(tmp_path / name)
    assert Timeline.load(tmp_path / "out.json").people == Timeline.load(tmp_path / "out.parquet").people == ()
    assert (tmp_path / "out.srt").read_text() == "" and len(pd.read_csv(tmp_path / "out.csv")) == 0


def test_what_a_reader_does_not_know_is_skipped_and_flaws_may_lack() -> None:
    values = json.loads(json.dumps(AS_DOCUMENTED))
    values["more"] = values["people"][0]["more"] = 1
    del values["people"][0]["flaws"]
    (person,) = Timeline.from_dict(values).people
    assert person.flaws.tolist() == [0, 0, 0, 0]


def segment(**changes: Any) -> Any:
    return {"start_s": 0, "apex_s": 0.1, "end_s": 0.2, "emotion": "sad", "score": 1} | changes


def damaged(**changes: Any) -> Any:
    values = json.loads(json.dumps(AS_DOCUMENTED))
    values["people"][0] |= changes
    return values


@pytest.mark.parametrize(
    ("values", "told"),
    [
        (AS_DOCUMENTED | {"format": "dfer.timeline/2"}, "expected the format dfer.timeline/1, got dfer.timeline/2"),
        ([], "got None"),
        ({key: value for key, value in AS_DOCUMENTED.items() if key != "emotions"}, "emotions: Field required"),
        (damaged(times_s=[0.0, 0.1, 0.1, 0.3]), "person 0: expected times that increase"),
        (damaged(times_s=[0.0]), "person 0 has 1 times but 4 probs"),
        (damaged(probs=[[1.0], [1.0], None, [1.0]]), "expected rows of 3 numbers, got 1, 1, 1"),
        (damaged(probs=[[0.5, 0.5, 0.5]] * 2 + [None, [0, 0, 1]]), "sum to one, got 1.5, 1.5, 1.0"),
        (damaged(boxes=[None] * 4), "null in probs and boxes at the same times"),
        (damaged(flaws=["ugly", "", None, ""]), "unknown flaw 'ugly'"),
        (damaged(overall=[1.0]), "overall: expected rows of 3"),
        (damaged(overall=[0.5, 0.5, 0.5]), "expected overall of 0 or more that sum to one, got 1.5"),
        (damaged(times_s=[0.0, 0.1, float("nan"), 0.3]), "person 0: expected times that increase"),
        (damaged(times_s=[0.0, 0.1, 0.2, float("inf")]), "person 0: expected times that increase"),
        (damaged(probs=[[1.5, -0.5, 0.0]] * 2 + [None, [0, 0, 1]]), "probabilities of 0 or more that sum to one"),
        (damaged(probs=[[float("nan"), 0.5, 0.5]] * 2 + [None, [0, 0, 1]]), "person 0: expected "),
        (
            damaged(segments=[{"start_s": 0, "apex_s": 0, "end_s": 0, "emotion": "joy", "score": 1}]),
            "segments name joy, not among angry, disgust, sad",
        ),
        (damaged(id="x"), "people.0.id"),
        (damaged(id=10**30), "people.0.id"),
        (
            damaged(boxes=[[0, 0, 1e999, 1], [0, 0, 1, 1], None, [0, 0, 1, 1]]),
            "expected boxes of pixels up to 1,000,000",
        ),
        (damaged(boxes=[[0, 0, 1, -1], [0, 0, 1, 1], None, [0, 0, 1, 1]]), "width and height from 0"),
        (
            damaged(boxes=[[0, 0, None, 1], [0, 0, 1, 1], None, [0, 0, 1, 1]]),
            "boxes.0.2: it should be a valid number",
        ),
        (damaged(times_s=[-1.0, 0.1, 0.2, 0.3]), "from 0 to 100,000,000 seconds"),
        (damaged(times_s=[0.0, 0.1, 0.2, 1e30]), "from 0 to 100,000,000 seconds"),
        (damaged(segments=[segment(start_s=2)]), "expected start_s, apex_s and end_s in this order"),
        (damaged(segments=[segment(end_s=0.05)]), "expected start_s, apex_s and end_s in this order"),
        (damaged(segments=[segment(end_s=1e999)]), "segments.0.end_s"),
        (damaged(segments=[segment(score=7)]), "segments.0.score"),
        (damaged(name="a\0b"), "people.0.name: expected text without a null character"),
        (AS_DOCUMENTED | {"duration_s": 1e999}, "duration_s"),
        (AS_DOCUMENTED | {"duration_s": -1}, "duration_s"),
        (AS_DOCUMENTED | {"cuts_s": [2, 1]}, "cuts_s: expected times that increase"),
        (AS_DOCUMENTED | {"one_view_s": [[0, 2], [1, 3]]}, "one_view_s: expected spans one after the other"),
        (AS_DOCUMENTED | {"one_view_s": [[2, 1]]}, "one_view_s: expected spans one after the other"),
        (AS_DOCUMENTED | {"one_view_s": [[0, 1, 2]]}, "one_view_s.0"),
        (AS_DOCUMENTED | {"people": AS_DOCUMENTED["people"] * 2}, "expected people with an id each, got 0, 0"),
        (AS_DOCUMENTED | {"emotions": [f"e{k}" for k in range(1001)]}, "emotions: List should have at most 1000"),
        (AS_DOCUMENTED | {"emotions": ["sad", "sad", "angry"]}, "names an emotion twice: sad"),
        (AS_DOCUMENTED | {"video": [[[[]]]]}, "video"),
        (AS_DOCUMENTED | {"video": "\ud800"}, "not valid Unicode"),
    ],
)
def test_what_does_not_fit_together_is_refused_by_name(values: Any, told: str, tmp_path: Path) -> None:
    (tmp_path / "out.json").write_text(json.dumps(values))
    with pytest.raises(DferError) as raised:
        Timeline.load(tmp_path / "out.json")
    assert told in str(raised.value) and "out.json" in str(raised.value) and len(str(raised.value)) <= 500


def test_lists_inside_each_other_without_end_are_refused(tmp_path: Path) -> None:
    (tmp_path / "out.json").write_text('{"format": "dfer.timeline/1", "video": ' + "[" * 100_000)
    with pytest.raises(DferError, match=r"out\.json: expected lists and objects inside each other up to 32 times"):
        Timeline.load(tmp_path / "out.json")


names = st.one_of(
    st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), min_size=1, max_size=20),
    st.sampled_from(
        ["=1+1", "'=1", "@x", "-1", "\tx", "\rx", 'a"b', "a,b\nc", "\x1b[31m", "\u202eabc", "😀", "x" * 999]
    ),
)


@settings(deadline=None, max_examples=40)
@given(video=names, name=names, file=names, emotions=st.lists(names, min_size=3, max_size=3))
def test_hostile_names_come_back(video: str, name: str, file: str, emotions: list[str]) -> None:
    space = EmotionSet("odd", tuple(f"{text}!{k}" for k, text in enumerate(emotions)))
    files = tuple(f"{file}{k}" for k in range(4))
    person = replace(toy_person(), name=name, files=files, segments=(Segment(0, 0, 1, space[1], 0.5),))
    timeline = Timeline(video, 0.4, space, (person,))
    with tempfile.TemporaryDirectory() as folder:
        for suffix in (".json", ".parquet"):
            timeline.save(Path(folder, f"out{suffix}"))
            read = Timeline.load(Path(folder, f"out{suffix}"))
            assert read.to_dict() == timeline.to_dict() and read.people[0].files == files
        timeline.save(Path(folder, "out.csv"))
        _, table = read_csv(Path(folder, "out.csv"), lambda column: "text" if column in ("file", "name") else "any")
        assert table["file"].to_pylist() == list(files) and set(table["name"].to_pylist()) == {name}
        assert table.column_names[2:5] == list(space)


def test_a_name_of_a_film_that_is_no_unicode_is_written_as_an_escape(tmp_path: Path) -> None:
    odd = toy_timeline(replace(toy_person(), files=("\udcff1", "2", "3", "4")), video="\udcff.mp4")
    for name in ("out.json", "out.parquet", "out.csv"):
        odd.save(tmp_path / name)
    for name in ("out.json", "out.parquet"):
        read = Timeline.load(tmp_path / name)
        assert read.video == "\\udcff.mp4" and read.people[0].files[0] == "\\udcff1"


def test_an_emotion_that_is_called_as_a_column_has_no_table(tmp_path: Path) -> None:
    timeline = Timeline("a.mp4", 0.4, EmotionSet("odd", ("x", "sad", "y")), (replace(toy_person(), segments=()),))
    timeline.save(tmp_path / "out.json")
    assert Timeline.load(tmp_path / "out.json").to_dict() == timeline.to_dict()
    for name in ("out.csv", "out.parquet"):
        with pytest.raises(DferError, match=r"a column of the table is called as the emotion x, y; save it as \.json"):
            timeline.save(tmp_path / name)


@pytest.mark.parametrize("text", ["", "{", "\x00\xff", "NaN"])
def test_a_file_that_is_no_json_is_refused(text: str, tmp_path: Path) -> None:
    (tmp_path / "out.json").write_bytes(text.encode("latin-1"))
    with pytest.raises(DferError, match=r"out\.json"):
        Timeline.load(tmp_path / "out.json")


def test_a_byte_order_mark_does_no_harm(tmp_path: Path) -> None:
    (tmp_path / "out.json").write_text(json.dumps(AS_DOCUMENTED), encoding="utf-8-sig")
    assert Timeline.load(tmp_path / "out.json").to_dict() == AS_DOCUMENTED


def test_the_table_has_a_row_for_each_person_and_time(tmp_path: Path) -> None:
    timeline = toy_timeline(toy_person(0), toy_person(3))
    timeline.save(tmp_path / "out.csv")
    table = pd.read_csv(tmp_path / "out.csv", keep_default_na=True)
    head = ["person", "time_s", "angry", "disgust", "sad", "entropy", "x", "y", "width", "height", "flaws", "shot"]
    assert list(table.columns) == head == list(timeline.to_dataframe().columns)
    assert table["person"].tolist() == [0] * 4 + [3] * 4 and table["angry"].isna().sum() == 2
    by_hand = -(0.5 * math.log(0.5) + 2 * 0.25 * math.log(0.25)) / math.log(3)
    assert table["entropy"][0] == pytest.approx(by_hand, abs=1e-4) and table["entropy"][3] == 0
    assert table["flaws"][1] == "small dark" and np.isnan(table["entropy"][2])


def test_a_table_for_excel_in_europe(tmp_path: Path) -> None:
    write(toy_timeline(), tmp_path / "out.csv", style=CsvStyle(";", ","))
    data = (tmp_path / "out.csv").read_bytes()
    assert data.startswith(b"\xef\xbb\xbfperson;time_s;angry;"), "Excel knows UTF-8 by its mark"
    assert b"\n0;0,1;0,7;0,2;0,1;" in data
    table = pd.read_csv(tmp_path / "out.csv", sep=";", decimal=",")
    assert table.equals(pd.DataFrame(toy_timeline().to_dataframe().replace("", np.nan)).astype(table.dtypes))


@pytest.mark.parametrize(("sep", "decimal"), [(",", ","), ("", "."), (";;", "."), ('"', "."), ("a", "."), (";", "x")])
def test_tables_that_nobody_could_read_are_refused(sep: str, decimal: str) -> None:
    with pytest.raises(DferError, match="--csv-"):
        CsvStyle(sep, decimal)


@pytest.mark.parametrize("data", [b"PAR1", b"PAR1" + bytes(40) + b"PAR1"])
def test_a_damaged_parquet_file_is_refused(data: bytes, tmp_path: Path) -> None:
    (tmp_path / "out.parquet").write_bytes(data)
    with pytest.raises(DferError, match=r"out\.parquet cannot be read"):
        Timeline.load(tmp_path / "out.parquet")


def test_a_parquet_file_of_somebody_else_is_refused(tmp_path: Path) -> None:
    pd.DataFrame({"person": [0]}).to_parquet(tmp_path / "out.parquet")
    with pytest.raises(DferError, match=r"out\.parquet: expected the format"):
        Timeline.load(tmp_path / "out.parquet")


def test_another_suffix_is_refused_and_nothing_is_written(tmp_path: Path) -> None:
    with pytest.raises(DferError, match=r"\.json, \.csv, \.srt.*got .*out\.xml"):
        toy_timeline().save(tmp_path / "out.xml")
    assert list(tmp_path.iterdir()) == []


def test_every_suffix_that_is_promised_has_a_writer() -> None:
    assert set(SUFFIXES) == {".json", ".csv", ".parquet", ".srt", ".html", ".png", ".svg", ".pdf", ".mp4"}


@pytest.mark.parametrize("flags", range(16))
def test_flaws_have_names_and_back(flags: int) -> None:
    assert bits(flaw_names(flags)) == flags


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("row", [[1e308, 0.0, 0.0], [1e308, 1e308, 0.0], [-1e308, 1e308, 1.0]])
def test_probabilities_near_the_largest_number_are_refused_without_a_warning(row: list[float]) -> None:
    values = toy_timeline().to_dict()
    values["people"][0]["probs"][0] = row
    with pytest.raises(DferError, match="sum to one"):
        Timeline.from_dict(values)
