"""Windows over a face: every frame is covered, weights are those worked by hand, absences begin anew."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dfer.inference.spans import GAP_S
from dfer.inference.windows import HOP_S, WINDOW_S, Answers, Glances, Window, Windows


def run(size: int, times: list[float], frames: list[int] | None = None) -> list[Window]:
    """All windows over pictures that show the number of their frame."""
    windows, found = Windows(7, size, "stretch"), []
    for frame, time_s in zip(frames or range(len(times)), times, strict=True):
        found += windows.idle(time_s)
        found += windows.push(frame, time_s, np.full((1, 1, 1), frame % 256, np.uint8))
    return [*found, *windows.finish()]


def test_a_network_of_stills_sees_each_frame_once_and_at_once() -> None:
    windows = Windows(7, 1, "stretch")
    for frame in range(5):
        (window,) = windows.push(frame, frame / 25, np.full((2, 2, 1), frame, np.uint8))
        assert window.frames.tolist() == [frame] and window.weights.tolist() == [1]
        assert window.pictures.tolist() == np.full((1, 2, 2, 1), frame).tolist()
        assert windows.waiting is None
    assert list(windows.finish()) == []


def test_a_network_of_clips_sees_overlapping_windows_of_even_length() -> None:
    found = run(16, (np.arange(251) / 25).tolist())
    starts = np.array([window.frames[0] for window in found]) / 25
    assert starts[:5] == pytest.approx(np.arange(5) * HOP_S, abs=0.04 * 5)
    for window in found[:-1]:
        assert (window.frames[-1] - window.frames[0]) / 25 == pytest.approx(WINDOW_S, abs=0.05)
    assert all(len(window.pictures) == 16 for window in found)


def test_the_frames_of_a_window_are_sampled_evenly_in_order() -> None:
    window = run(4, [0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7])[0]
    assert window.pictures.ravel().tolist() == [1, 3, 5, 7], "the middle frame of each quarter"


def test_weights_rise_evenly_to_the_middle() -> None:
    (window,) = run(2, [0.0, 0.5, 1.0, 1.5, 2.0])
    assert window.weights == pytest.approx([0.1, 0.55, 1.0, 0.55, 0.1])


def test_a_face_that_was_away_for_long_begins_anew() -> None:
    found = run(4, [0.0, 0.1, 0.2, 5.0, 5.1], [0, 1, 2, 100, 101])
    assert [window.frames.tolist() for window in found] == [[0, 1, 2], [100, 101]]


@pytest.mark.parametrize("step_s", [5.0, 2.8, 1.0, 0.51])
def test_frames_that_are_far_apart_are_looked_at_one_by_one(step_s: float) -> None:
    found = run(4, [step_s * number for number in range(4)])
    assert [window.frames.tolist() for window in found] == [[0], [1], [2], [3]]
    assert all(len(set(window.pictures.ravel().tolist())) == 1 for window in found), "nobody stands beside another"


@given(st.integers(2, 20), st.lists(st.floats(0.01, 6.0), min_size=1, max_size=60))
def test_no_window_spans_a_gap(size: int, steps: list[float]) -> None:
    times = np.cumsum(steps)
    found = run(size, times.tolist())
    assert {frame for window in found for frame in window.frames.tolist()} == set(range(len(steps)))
    assert all((np.diff(times[window.frames]) <= GAP_S).all() for window in found)


def test_a_short_absence_is_bridged() -> None:
    (window,) = run(4, [0.0, 0.1, 0.4, 0.5], [0, 1, 4, 5])
    assert window.frames.tolist() == [0, 1, 4, 5]


@given(st.integers(1, 20), st.lists(st.floats(0.01, 0.4), min_size=1, max_size=80))
def test_every_frame_is_covered(size: int, steps: list[float]) -> None:
    found = run(size, np.cumsum(steps).tolist())
    assert {frame for window in found for frame in window.frames.tolist()} == set(range(len(steps)))
    assert all((window.weights > 0).all() and len(window.pictures) == size for window in found)


def test_the_answer_of_a_frame_is_the_weighted_mean_and_is_forgotten() -> None:
    answers = Answers()
    pictures = np.zeros((1, 1, 1, 1), np.uint8)
    answers.add(Window(0, np.array([4, 5]), np.array([1.0, 0.5]), pictures), np.array([1.0, 0.0]))
    answers.add(Window(0, np.array([5, 6]), np.array([0.25, 1.0]), pictures), np.array([0.0, 1.0]))
    assert answers.take(0, 5) == pytest.approx([2 / 3, 1 / 3]) and answers.take(0, 4) == pytest.approx([1, 0])
    answers.take(0, 6)
    assert not answers._sums


def test_what_is_waiting_is_what_more_may_be_said_of() -> None:
    windows = Windows(0, 4, "stretch")
    for frame in range(100):
        list(windows.push(frame, frame / 25, np.zeros((1, 1, 1), np.uint8)))
    assert 100 - windows.waiting <= WINDOW_S * 25 + 1, "memory does not grow"


@given(st.lists(st.floats(0.004, 0.09), min_size=1, max_size=80))
def test_some_frames_are_seen_and_the_others_get_the_answers_between(steps: list[float]) -> None:
    times = np.cumsum(steps)
    glances, answers, found = Glances(7, 0.09), Answers(), []
    for frame, next_s in enumerate([*times[1:], times[-1] + 0.05]):
        found += glances.push(frame, times[frame], np.full((1, 2, 1), frame, np.uint8), next_s)
    found += glances.finish()
    seen = [int(window.pictures[0, 0, 0, 0]) for window in found]
    assert np.diff(times[seen], append=times[-1]).max() <= 0.09 + 1e-9, "never further apart"
    if len(seen) > 2:
        assert (times[seen[2:]] - times[seen[:-2]]).min() > 0.09 - 1e-9, "and not oftener than that needs"
    said = np.random.default_rng(0).random(len(found))
    for window, value in zip(found, said, strict=True):
        answers.add(window, np.array([value]))
    got = [answers.take(7, frame)[0] for frame in range(len(times))]
    assert got == pytest.approx(np.interp(times, times[seen], said))


def test_glances_alternate_with_mirror_images_but_where_frames_are_far_apart() -> None:
    glances, found = Glances(7, 0.09), []
    nexts = [0.08, 0.16, 0.24, np.inf, np.inf, 0.88, 0.96, 1.0]
    for frame, time_s in enumerate([0, 0.08, 0.16, 0.24, 0.5, 0.8, 0.88, 0.96]):
        found += glances.push(frame, time_s, np.array([[[1], [2]]], np.uint8), nexts[frame])
    found += glances.finish()
    assert [window.pictures.ravel().tolist()[0] for window in found] == [1, 2, 1, 1, 1, 2, 1, 2]
    assert [window.once for window in found] == [True] * 3 + [False] * 2 + [True] * 3


def test_glances_begin_anew_after_an_absence() -> None:
    glances = Glances(7, 0.09)
    assert not list(glances.push(0, 0.0, np.zeros((1, 1, 1), np.uint8), 0.03))
    assert not list(glances.push(1, 0.03, np.zeros((1, 1, 1), np.uint8), 0.06))
    (window,) = glances.push(60, 2.0, np.zeros((1, 1, 1), np.uint8), 2.03)
    assert window.frames.tolist() == [0, 1] and glances.waiting == 60
    assert [window.frames.tolist() for window in glances.idle(3.0)] == [[60]]
    assert glances.waiting is None and not list(glances.finish()), "everything is said"
