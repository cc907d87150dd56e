"""A timeline as a file: what is written comes back, and what does not fit together is refused by name."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dfer import DferError
from dfer.inference import Person, Segment, Timeline
from dfer.inference import timeline as module
from dfer.inference.flaws import bits, names

from .toy import EMOTIONS, toy_person, toy_timeline

AS_DOCUMENTED = {
    "format": "dfer.timeline/1",
    "video": "clip.mp4",
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
        probs, boxes = generator.dirichlet(np.ones(3), count), generator.normal(100, 50, (count, 4))
        away = generator.random(count) < 0.3
        probs[away], boxes[away] = np.nan, np.nan
        flaws = np.where(away, 0, generator.integers(0, 16, count)).astype(np.uint8)
        return Person(id_, np.cumsum(0.01 + generator.random(count)), probs, boxes, flaws, (), np.full(3, np.nan))

    folk = tuple(person(id_) for id_ in range(people))
    written = Timeline("ünï 中.mp4", 1.0, EMOTIONS, folk, cuts_s=(0.25, 0.5)).to_dict()
    assert Timeline.from_dict(json.loads(json.dumps(written))).to_dict() == written


def test_a_video_without_a_face_is_a_timeline_without_people(tmp_path: Path) -> None:
    empty = Timeline("clip.mp4", 2.0, EMOTIONS, ())
    for name in ("out.json", "out.csv", "out.srt"):
        empty.save(tmp_path / name)
    assert Timeline.load(tmp_path / "out.json").people == ()
    assert (tmp_path / "out.srt").read_text() == "" and len(pd.read_csv(tmp_path / "out.csv")) == 0


def test_what_a_reader_does_not_know_is_skipped_and_flaws_may_lack() -> None:
    values = json.loads(json.dumps(AS_DOCUMENTED))
    values["more"] = values["people"][0]["more"] = 1
    del values["people"][0]["flaws"]
    (person,) = Timeline.from_dict(values).people
    assert person.flaws.tolist() == [0, 0, 0, 0]


def damaged(**changes: Any) -> Any:
    values = json.loads(json.dumps(AS_DOCUMENTED))
    values["people"][0] |= changes
    return values


@pytest.mark.parametrize(
    ("values", "told"),
    [
        (AS_DOCUMENTED | {"format": "dfer.timeline/2"}, "expected the format dfer.timeline/1, got dfer.timeline/2"),
        ([], "got None"),
        ({key: value for key, value in AS_DOCUMENTED.items() if key != "emotions"}, "is damaged: emotions"),
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
    ],
)
def test_what_does_not_fit_together_is_refused_by_name(values: Any, told: str, tmp_path: Path) -> None:
    (tmp_path / "out.json").write_text(json.dumps(values))
    with pytest.raises(DferError) as raised:
        Timeline.load(tmp_path / "out.json")
    assert told in str(raised.value) and "out.json" in str(raised.value)


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


def test_subtitles_name_all_that_shows_at_a_time(tmp_path: Path) -> None:
    first = toy_person(0, segments=(Segment(0, 1, 2, "sad", 0.9), Segment(1, 2, 3661.5, "angry", 0.6)))
    toy_timeline(first).save(tmp_path / "out.srt")
    assert (tmp_path / "out.srt").read_text() == (
        "1\n00:00:00,000 --> 00:00:01,000\nsad 90%\n\n"
        "2\n00:00:01,000 --> 00:00:02,000\nsad 90%\nangry 60%\n\n"
        "3\n00:00:02,000 --> 01:01:01,500\nangry 60%\n"
    )


def test_subtitles_tell_people_apart_and_leave_pauses(tmp_path: Path) -> None:
    people = (
        toy_person(0, segments=(Segment(0, 0, 1, "sad", 0.9),)),
        toy_person(1, segments=(Segment(2, 2, 3, "sad", 0.8),)),
    )
    toy_timeline(*people).save(tmp_path / "out.srt")
    text = (tmp_path / "out.srt").read_text()
    assert "person 0: sad 90%" in text and "00:00:02,000 --> 00:00:03,000\nperson 1: sad 80%" in text
    assert text.count("-->") == 2


def test_another_suffix_is_refused_and_nothing_is_written(tmp_path: Path) -> None:
    with pytest.raises(DferError, match=r"\.json, \.csv, \.srt.*got .*out\.xml"):
        toy_timeline().save(tmp_path / "out.xml")
    assert list(tmp_path.iterdir()) == []


def test_every_suffix_that_is_promised_is_of_one_kind() -> None:
    assert set(module.SUFFIXES) == {".json", ".csv", ".srt", ".png", ".svg", ".pdf", ".mp4"}


@pytest.mark.parametrize("flags", range(16))
def test_flaws_have_names_and_back(flags: int) -> None:
    assert bits(names(flags)) == flags
