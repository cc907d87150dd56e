"""Where no emotion is named, and why: verdicts, stretches, segments, files and what people read."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from dfer import DferError, Timeline
from dfer.inference import Person
from dfer.inference.abstention import abstaining
from dfer.inference.corrections import Mark, Merge, Split, corrected
from dfer.inference.doubts import CANNOT_TELL, MIXED, Doubts, judged, stretches, verdict_of
from dfer.inference.people import merged
from dfer.inference.segments import find_segments
from dfer.inference.subtitles import to_srt
from dfer.inference.summary import Summary
from dfer.models import Card
from dfer.video import Preprocessing

from .toy import EMOTIONS, film, toy_person, toy_predictor, toy_timeline

NAMES = EMOTIONS.emotions
LOW, HIGH = 0.1, 0.9


def doubtful(mixed: list[float], cannot_tell: list[float], top: list[int] | None = None) -> Person:
    """Rows a tenth of a second apart, all with a face; `top`: the most probable emotion of each, at 0.6."""
    count = len(mixed)
    probs = np.full((count, 3), 0.2)
    probs[np.arange(count), top or [0] * count] = 0.6
    times, doubts = np.arange(count) / 10, judged(np.array(mixed), np.array(cannot_tell))
    return Person(
        0, times, probs, np.tile([1.0, 2, 30, 40], (count, 1)), np.zeros(count, np.uint8),
        find_segments(times, probs, NAMES, end_s=count / 10, doubts=doubts), probs.mean(axis=0), doubts=doubts,
    )  # fmt: skip


def timeline_of(person: Person) -> Timeline:
    return replace(toy_timeline(person), duration_s=len(person.times) / 10)


def test_the_picture_counts_before_the_people() -> None:
    mixed = np.array([MIXED - 0.01, MIXED, MIXED, LOW, np.nan])
    picture_ = np.array([LOW, LOW, CANNOT_TELL, CANNOT_TELL, np.nan])
    assert judged(mixed, picture_).kinds.tolist() == [0, 1, 2, 2, 0]
    named = np.array([False, True, True, True, False])
    assert judged(mixed, picture_, named).kinds.tolist() == [1, 0, 2, 2, 0]


def test_a_stretch_lasts_and_says_which_two() -> None:
    person = doubtful([LOW, *[HIGH] * 4, LOW, HIGH, LOW], [LOW] * 8, top=[0, 2, 2, 2, 1, 0, 0, 0])
    (found,) = timeline_of(person).stretches(person)
    assert (found.start_s, found.end_s, found.says) == (pytest.approx(0.1), pytest.approx(0.5), "mixed: sad/disgust")


def test_no_stretch_spans_an_absence() -> None:
    times = np.array([0.0, 0.2, 1.0, 1.2])
    probs = np.full((4, 3), 1 / 3)
    doubts = judged(np.full(4, LOW), np.full(4, HIGH))
    whole = stretches(times, probs, doubts, NAMES, end_s=1.4)
    assert [(found.start_s, found.end_s, found.says) for found in whole] == [(0.0, 1.4, "cannot tell")]
    away = np.array([0.0, 0.3, 0.4, 1.2, 1.5])
    rows = np.vstack([probs[:2], [[np.nan] * 3], probs[:2]])
    doubts = judged(np.array([LOW, LOW, np.nan, LOW, LOW]), np.array([HIGH, HIGH, np.nan, HIGH, HIGH]))
    apart = stretches(away, rows, doubts, NAMES, end_s=1.8)
    assert [(found.start_s, found.end_s) for found in apart] == [(0.0, 0.4), (1.2, 1.8)]


def test_a_segment_says_why_it_names_nothing_if_that_is_so_for_most_of_it() -> None:
    (most,) = doubtful([HIGH] * 3 + [LOW] * 2, [LOW] * 5).segments
    assert (most.emotion, most.doubt, most.says) == ("angry", "mixed: angry/disgust", "mixed: angry/disgust")
    assert most.mixed == pytest.approx((3 * HIGH + 2 * LOW) / 5) and most.cannot_tell == pytest.approx(LOW)
    (half,) = doubtful([HIGH] * 2 + [LOW] * 2, [LOW] * 4).segments
    assert half.doubt == "" and half.says == "angry"
    (picture_,) = doubtful([HIGH] * 2 + [LOW] * 3, [LOW] * 2 + [HIGH] * 3).segments
    assert picture_.doubt == "cannot tell"


def test_rows_count_for_as_long_as_they_hold() -> None:
    doubts = judged(np.array([LOW, HIGH]), np.array([LOW, LOW]))
    verdict = verdict_of(doubts, np.array([[0.5, 0.5, 0], [0, 0.5, 0.5]]), np.array([1.0, 3.0]), NAMES)
    assert verdict.mixed == pytest.approx((LOW + 3 * HIGH) / 4) and verdict.says == "mixed: disgust/sad"
    picture_ = verdict_of(doubts, np.ones((2, 3)) / 3, np.zeros(2), NAMES)
    assert picture_.mixed == pytest.approx((LOW + HIGH) / 2) and not picture_.says


@pytest.mark.parametrize("suffix", [".json", ".parquet"])
def test_files_keep_scores_verdicts_and_the_risk(tmp_path: Path, suffix: str) -> None:
    doubts = Doubts(
        np.array([0.1234, 0.9, np.nan, 0.2]), np.array([0.0, 1.0, np.nan, 0.7]), np.array([0, 1, 0, 2], np.uint8)
    )
    timeline = replace(toy_timeline(toy_person(doubts=doubts)), abstain=0.05)
    timeline.save(tmp_path / f"a{suffix}")
    read = Timeline.load(tmp_path / f"a{suffix}")
    found = read.people[0].doubts
    assert found is not None and read.abstain == 0.05
    for name in ("mixed", "cannot_tell", "kinds"):
        np.testing.assert_array_equal(getattr(found, name), getattr(doubts, name))
    assert Timeline.from_dict(timeline.to_dict()).to_dict() == timeline.to_dict()
    assert read.to_dict() == timeline.to_dict()


def test_a_file_says_it_all_in_words(tmp_path: Path) -> None:
    timeline = timeline_of(doubtful([HIGH] * 5, [LOW] * 5))
    timeline.save(tmp_path / "a.json")
    (person,) = json.loads((tmp_path / "a.json").read_text())["people"]
    assert person["doubt"] == ["mixed"] * 5 and person["mixed"] == [HIGH] * 5 and person["cannot_tell"] == [LOW] * 5
    assert person["segments"][0]["doubt"] == "mixed: angry/disgust"
    assert person["overall_doubt"] == {"mixed": HIGH, "cannot_tell": LOW, "says": "mixed: angry/disgust"}
    assert person["stretches"] == [{"start_s": 0.0, "end_s": 0.5, "says": "mixed: angry/disgust"}]
    table = timeline.to_dataframe()
    assert table["doubt"].tolist() == ["mixed"] * 5 and table["mixed"].tolist() == [HIGH] * 5


def test_a_file_of_an_earlier_version_has_no_doubts() -> None:
    old = toy_timeline().to_dict()
    assert not {"mixed", "cannot_tell", "doubt", "stretches", "overall_doubt"} & set(old["people"][0])
    person = Timeline.from_dict(old).people[0]
    assert person.doubts is None and person.segments[0].doubt == "" and not toy_timeline().stretches(person)


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"mixed": [0.1, 0.2, None, 1.5]}, "mixed and cannot_tell from 0 to 1"),
        ({"cannot_tell": [0.1, None, None, 0.5]}, "mixed and cannot_tell from 0 to 1"),
        ({"doubt": ["", "", None, "perhaps"]}, "unknown doubt perhaps"),
        ({"doubt": ["", "", "mixed", ""]}, "null where probs are"),
        ({"mixed": [0.1, 0.2]}, "has 4 times but"),
    ],
)
def test_doubts_that_cannot_be_are_refused(change: dict[str, object], told: str) -> None:
    doubts = Doubts(np.array([0.1, 0.2, np.nan, 0.3]), np.array([0.1, 0.2, np.nan, 0.3]), np.zeros(4, np.uint8))
    values = toy_timeline(toy_person(doubts=doubts)).to_dict()
    values["people"][0] |= change
    with pytest.raises(DferError, match=told):
        Timeline.from_dict(values)


def test_subtitles_say_it_where_there_is_no_segment_either() -> None:
    person = doubtful([LOW] * 4 + [HIGH] * 4 + [LOW] * 4, [LOW] * 8 + [HIGH] * 4)
    flat = person.probs.copy()
    flat[4:] = [0.3, 0.45, 0.25]  # no emotion is likely
    person = replace(
        person, probs=flat, segments=find_segments(person.times, flat, NAMES, end_s=1.2, doubts=person.doubts)
    )
    texts = to_srt(timeline_of(person)).split("\n")[2::4]
    assert texts == ["angry 60%", "mixed: disgust/angry", "cannot tell"]


def test_people_who_are_divided_and_merged_keep_their_doubts() -> None:
    timeline = timeline_of(doubtful([LOW] * 5 + [HIGH] * 5, [LOW] * 10))
    parts = corrected(timeline, [Split(0, 0.45)])
    assert [bool(part.doubts.kinds.any()) for part in parts.people if part.doubts] == [False, True]
    (whole,) = merged(parts, [0, 1]).people
    assert whole.doubts is not None and whole.doubts.kinds[whole.seen].tolist() == [0] * 5 + [1] * 5
    assert corrected(parts, [Merge([0, 1])]).people[0].segments == whole.segments
    marked = corrected(timeline, [Mark(0, 0.5, 1.0, "sad")]).people[0].segments[-1]
    assert marked.says == "sad", "somebody looked"


def test_a_summary_has_the_shares_of_time() -> None:
    summary = Summary()
    summary.add(timeline_of(doubtful([HIGH] * 4 + [LOW] * 6, [LOW] * 8 + [HIGH] * 2)))
    (row,) = summary.to_dataframe().to_dict("records")
    assert row["mixed"] == pytest.approx(0.4) and row["cannot_tell"] == pytest.approx(0.2)
    summary = Summary()
    summary.add(toy_timeline())
    assert "mixed" not in summary.to_dataframe()


def test_the_page_hatches_and_the_overlay_names_nothing(tmp_path: Path) -> None:
    timeline = timeline_of(doubtful([HIGH] * 5, [LOW] * 5))
    timeline.save(tmp_path / "a.html")
    text = (tmp_path / "a.html").read_text()
    assert 'class="doubt mixed" style="--left:0.0%;--width:100.0%" title="mixed: angry/disgust' in text
    assert 'class="doubt' not in _page(toy_timeline(), tmp_path)


def _page(timeline: Timeline, folder: Path) -> str:
    timeline.save(folder / "b.html")
    return (folder / "b.html").read_text()


def test_a_film_that_is_read_has_both_scores(tmp_path: Path) -> None:
    timeline = toy_predictor()(film(tmp_path / "a.mkv", [{"red": (20.0, 40.0)}] * 10))
    (person,) = timeline.people
    assert person.doubts is not None and timeline.abstain is None
    # the toy network says what share of the patch is red
    assert person.doubts.mixed == pytest.approx(1 - person.probs.max(axis=1), abs=1e-6)
    assert ((person.doubts.cannot_tell >= 0) & (person.doubts.cannot_tell <= 1)).all()


def test_mixed_does_not_depend_on_the_population(tmp_path: Path) -> None:
    card = Card("tiny3d", {}, EMOTIONS, Preprocessing(frames=1, size=48).to_dict(), prior=(0.7, 0.2, 0.1))
    path = film(tmp_path / "a.mkv", [{"red": (20.0, 40.0)}] * 3)
    seen = []
    for prior in ("trained", "uniform"):
        predictor = toy_predictor(prior=prior, card=card)
        seen.append(predictor(path).people[0])
    assert abs(seen[0].probs - seen[1].probs).max() > 0.05
    assert seen[0].doubts.mixed == pytest.approx(seen[1].doubts.mixed)


def test_a_risk_that_is_asked_for_decides(tmp_path: Path) -> None:
    table = {"confidence": (-1.0, 0.95), "named": (1000, 500), "wrong": (500, 0)}
    card = Card("tiny3d", {}, EMOTIONS, Preprocessing(frames=1, size=48).to_dict(), abstention=table)
    path = film(tmp_path / "a.mkv", [{"red": (20.0, 40.0)}] * 10)
    careful = toy_predictor(card=card, abstain=0.1)(path)
    bold = toy_predictor(card=card, abstain=0.6)(path)
    assert careful.abstain == 0.1 and set(careful.people[0].doubts.kinds.tolist()) <= {1, 2}
    assert 1 not in bold.people[0].doubts.kinds
    assert Timeline.from_dict(careful.to_dict()).abstain == 0.1


def test_a_risk_is_refused_where_nothing_was_counted_or_in_another_view() -> None:
    card = Card("tiny3d", {}, EMOTIONS, Preprocessing().to_dict())
    with pytest.raises(DferError, match=r"--abstain needs votes that the model was not trained on.*dfer calibrate"):
        abstaining(card, "trained", 0.1)
    table = {"confidence": (0.0,), "named": (1000,), "wrong": (10,)}
    with pytest.raises(DferError, match="was proved for --prior trained, not for uniform"):
        abstaining(replace(card, abstention=table), "uniform", 0.1)
    assert abstaining(replace(card, abstention=table), "trained", 0.1).least == 0.0
