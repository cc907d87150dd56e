"""Subtitles: one emotion a cue, the strongest of those that show, long enough to be read."""

from __future__ import annotations

import re
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dfer.inference import Segment
from dfer.inference.segments import find_segments
from dfer.inference.subtitles import to_srt
from dfer.inference.timeline import Timeline

from .toy import EMOTIONS, toy_person


def timeline(probs: list[list[float]], segments: tuple[Segment, ...], *, step_s: float = 0.5) -> Timeline:
    """One person, a row every `step_s`."""
    count = len(probs)
    person = toy_person(
        times=np.arange(count) * step_s, probs=np.array(probs), boxes=np.ones((count, 4)),
        flaws=np.zeros(count, np.uint8), segments=segments,
    )  # fmt: skip
    return Timeline("clip.mp4", count * step_s, EMOTIONS, (person,))


def test_where_two_segments_overlap_the_stronger_one_is_shown_with_its_mean() -> None:
    rows = [[0.8, 0.0, 0.2], [0.6, 0.0, 0.4], [0.46, 0.0, 0.54], [0.1, 0.0, 0.9]]
    segments = (Segment(0.0, 0.0, 1.5, "angry", 0.8), Segment(0.5, 1.5, 2.0, "sad", 0.9))
    assert to_srt(timeline(rows, segments)) == (
        "1\n00:00:00,000 --> 00:00:01,000\nangry 70%\n\n"  # (0.8 + 0.6) / 2
        "2\n00:00:01,000 --> 00:00:02,000\nsad 72%\n"  # (0.54 + 0.9) / 2
    )


def test_a_row_counts_for_as_long_as_it_holds() -> None:
    person = toy_person(
        times=np.array([0.0, 3.0]), probs=np.array([[0.9, 0.0, 0.1], [0.5, 0.0, 0.5]]), boxes=np.ones((2, 4)),
        flaws=np.zeros(2, np.uint8), segments=(Segment(0.0, 0.0, 4.0, "angry", 0.9),),
    )  # fmt: skip
    assert "angry 80%" in to_srt(Timeline("a.mp4", 4.0, EMOTIONS, (person,))), "(3 * 0.9 + 1 * 0.5) / 4"


def test_what_could_not_be_read_goes_to_its_neighbour() -> None:
    rows = [[0.9, 0.0, 0.1]] * 5 + [[0.4, 0.0, 0.6]] * 2 + [[0.9, 0.0, 0.1]] * 5
    segments = (Segment(0.0, 0.0, 1.2, "angry", 0.9), Segment(0.4, 0.5, 0.8, "sad", 0.6))
    text = to_srt(timeline(rows, segments, step_s=0.1))
    assert text.count("-->") == 1 and "00:00:00,000 --> 00:00:01,200\nangry 82%" in text


def test_a_cue_of_its_own_that_is_too_short_is_left_out() -> None:
    segments = (Segment(0.0, 0.0, 0.2, "angry", 0.9),)
    assert to_srt(timeline([[0.9, 0.0, 0.1]] * 10, segments, step_s=0.1)) == ""


def test_people_have_cues_of_their_own_and_pauses_stay() -> None:
    both = [toy_person(id_, segments=(Segment(id_, id_, id_ + 2, "sad", 0.9),)) for id_ in (0, 1)]
    text = to_srt(Timeline("a.mp4", 4.0, EMOTIONS, tuple(both)))
    cues = re.findall(r"(\S+) --> (\S+)\n(.*)\n", text)
    assert [(begin, end, line.split(": ")[0]) for begin, end, line in cues] == [
        ("00:00:00,000", "00:00:02,000", "person 0"), ("00:00:01,000", "00:00:03,000", "person 1"),
    ]  # fmt: skip


@given(st.integers(0, 2**32 - 1), st.floats(0.03, 0.4))
def test_every_cue_has_one_emotion_and_can_be_read(seed: int, step_s: float) -> None:
    generator = np.random.default_rng(seed)
    probs = generator.dirichlet(np.ones(3) / 3, 60)
    probs[generator.random(60) < 0.1] = np.nan
    times = np.cumsum(generator.uniform(0.5, 1.5, 60) * step_s)
    end_s = float(times[-1]) + step_s
    segments = find_segments(times, probs, EMOTIONS.emotions, end_s=end_s)
    person = toy_person(
        times=times, probs=probs, boxes=np.ones((60, 4)), flaws=np.zeros(60, np.uint8), segments=segments
    )
    text = to_srt(Timeline("a.mp4", end_s, EMOTIONS, (person,)))
    cues = [block.split("\n") for block in text.split("\n\n") if block]
    spans = []
    for number, (index, span, line, *rest) in enumerate(cues, 1):
        assert index == str(number) and not [each for each in rest if each]
        assert re.fullmatch(r"(angry|disgust|sad) \d+%", line)
        begin, end = (seconds(text) for text in span.split(" --> "))
        spans.append((begin, end))
        assert end - begin >= 0.3 - 1e-9
        inside = [one for one in segments if one.start_s < end and begin < one.end_s]
        assert line.split()[0] in {one.emotion for one in inside}
    assert all(former[1] <= latter[0] + 1e-9 for former, latter in pairwise(spans)), "one at a time"


def seconds(text: str) -> float:
    hours, minutes, rest = text.replace(",", ".").split(":")
    return int(hours) * 3600 + int(minutes) * 60 + float(rest)


def test_hours_are_written_as_players_read_them() -> None:
    segments = (Segment(3661.5, 3662.0, 3663.0, "sad", 0.9),)
    person = toy_person(segments=segments)
    text = to_srt(Timeline("a.mp4", 3700.0, EMOTIONS, (person,)))
    assert "01:01:01,500 --> 01:01:03,000" in text and seconds("01:01:01,500") == pytest.approx(3661.5)
