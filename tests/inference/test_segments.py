"""Smoothing against SciPy, segments and the overall answer against tables worked by hand."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.ndimage import gaussian_filter1d

from dfer.inference.segments import Segment, find_segments, overall, smooth

NAMES = ("happy", "sad")


def rows(*values: float) -> np.ndarray:
    """Two emotions from the first one's probability."""
    happy = np.array(values, dtype=np.float64)
    return np.stack([happy, 1 - happy], axis=1)


def test_smoothing_is_the_gaussian_of_scipy_where_frames_are_even() -> None:
    probs = np.random.default_rng(0).dirichlet([1, 1, 1], 60)
    times = np.arange(60) / 30
    sigma = 0.1 * 30
    above = gaussian_filter1d(probs, sigma, axis=0, mode="constant", truncate=3)
    below = gaussian_filter1d(np.ones(60), sigma, mode="constant", truncate=3)[:, None]
    assert np.allclose(smooth(times, probs, 0.1), above / below)


def test_smoothing_goes_by_time_not_by_row() -> None:
    times = np.array([0.0, 0.1, 5.0])
    smoothed = smooth(times, rows(1, 0, 0.25), 0.1)
    near = np.exp(-0.5)
    assert smoothed[:, 0] == pytest.approx([1 / (1 + near), near / (1 + near), 0.25])


def test_no_face_stays_no_face_and_counts_for_nothing() -> None:
    probs = rows(1, np.nan, 1, np.nan)
    smoothed = smooth(np.arange(4) / 25, probs, 0.2)
    assert np.isnan(smoothed[[1, 3]]).all() and np.allclose(smoothed[[0, 2], 0], 1)


def test_no_smoothing_changes_nothing_and_the_input_is_not_touched() -> None:
    probs = rows(0.2, 0.9, 0.4)
    before = probs.copy()
    assert np.array_equal(smooth(np.arange(3.0), probs, 0.0), before)
    smooth(np.arange(3) / 25, probs, 0.3)
    assert np.array_equal(probs, before)


@given(st.lists(st.floats(0, 1), min_size=1, max_size=30), st.floats(0.01, 1))
def test_smoothed_rows_sum_to_one(values: list[float], sigma: float) -> None:
    smoothed = smooth(np.cumsum(np.full(len(values), 0.04)), rows(*values), sigma)
    assert np.allclose(smoothed.sum(axis=1), 1) and (smoothed >= 0).all()


def test_a_segment_begins_at_the_low_threshold_and_needs_the_high_one() -> None:
    #                0    0.1   0.2   0.3   0.4   0.5   0.6   0.7
    curve = np.array([0.1, 0.36, 0.6, 0.8, 0.4, 0.34, 0.4, 0.4])
    probs = np.stack([curve, np.full(8, 0.1)], axis=1)
    (found,) = find_segments(np.arange(8) / 10, probs, NAMES, end_s=0.8)
    assert found == Segment(0.1, pytest.approx(0.3), 0.5, "happy", 0.8), "until the next row"


def test_what_is_too_short_is_no_segment() -> None:
    curve = rows(0, 0.9, 0.9, 0.9, 0)[:, :1]
    assert find_segments(np.arange(5) * 0.09, curve, NAMES[:1], end_s=0.45) == ()
    (found,) = find_segments(np.arange(5) / 10, curve, NAMES[:1], end_s=0.5)
    assert (found.start_s, found.end_s) == (pytest.approx(0.1), pytest.approx(0.4))


def test_a_short_absence_is_bridged_and_a_long_one_ends_the_segment() -> None:
    probs = rows(0.9, 0.9, 0.9, 0.9, np.nan, 0.9, 0.9, 0.9, 0.9)[:, :1]
    times = np.arange(9) / 10
    assert len(find_segments(times, probs, NAMES[:1], end_s=0.9)) == 1
    times[5:] += 1
    first, second = find_segments(times, probs, NAMES[:1], end_s=1.9)
    assert (first.end_s, second.start_s, second.end_s) == pytest.approx((0.4, 1.5, 1.9))


def test_frames_that_lie_far_apart_are_no_absence() -> None:
    (found,) = find_segments(np.arange(4) * 2.0, rows(0.9, 0.9, 0.9, 0.9)[:, :1], NAMES[:1], end_s=7.5)
    assert (found.start_s, found.end_s) == (0, 7.5)


def test_a_still_of_ten_seconds_is_a_segment_of_ten_seconds() -> None:
    found = find_segments(np.array([0.0, 10, 20]), rows(0.1, 0.9, 0.1), NAMES, end_s=20.04)
    shown = [(segment.emotion, segment.start_s, segment.end_s) for segment in found]
    assert shown == [("sad", 0, 10), ("happy", 10, 20)], "the last still is shown for too short a time"


def test_a_long_still_before_a_short_absence_is_no_absence() -> None:
    times = np.array([0.0, 10, 10.1])
    (found,) = find_segments(times, rows(0.9, np.nan, 0.9)[:, :1], NAMES[:1], end_s=10.2)
    assert (found.start_s, found.end_s) == (0, 10.2)


def test_two_emotions_may_overlap_and_come_in_the_order_of_onsets() -> None:
    probs = rows(0.2, 0.3, 0.45, 0.6, 0.6, 0.7, 0.9)
    assert [found.emotion for found in find_segments(np.arange(7) / 5, probs, NAMES, end_s=1.4)] == ["sad", "happy"]


def test_nobody_at_all_has_no_segments() -> None:
    assert find_segments(np.arange(3.0), np.full((3, 2), np.nan), NAMES, end_s=3.0) == ()
    assert find_segments(np.empty(0), np.empty((0, 2)), NAMES, end_s=0.0) == ()


def test_the_overall_answer_weighs_by_time_and_quality() -> None:
    # rows last 0.1, 0.3 and 0.2 s; the second one counts half: 0.1 * 1 + 0.15 * 0 + 0.2 * 0.5
    times, weights = np.array([0.0, 0.1, 0.4]), np.array([1, 0.5, 1])
    assert overall(times, rows(1, 0, 0.5), weights, end_s=0.6)[0] == pytest.approx(0.2 / 0.45)


def test_a_picture_that_is_shown_for_long_counts_for_as_long() -> None:
    times = np.array([0.0, 0.5, 1.0, 61.0, 61.5])
    assert overall(times, rows(0, 0, 1, 0, 0), np.ones(5), end_s=62.0)[0] == pytest.approx(60 / 62)


def test_the_overall_answer_of_nobody_is_nan() -> None:
    assert np.isnan(overall(np.arange(2.0), np.full((2, 2), np.nan), np.ones(2), end_s=2.0)).all()
    assert overall(np.array([0.0]), rows(0.7), np.ones(1), end_s=0.0)[0] == pytest.approx(0.7)
