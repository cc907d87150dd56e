"""Index arithmetic: in range, in time order, each frame from its own segment, and what happens to short clips."""

from __future__ import annotations

import inspect
import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dfer.errors import DferError
from dfer.video import jittered, uniform, windows
from dfer.video.sampling import SHORT_RULES

lengths = st.integers(1, 2000)
counts = st.integers(1, 64)
rules = st.sampled_from(SHORT_RULES)
seeds = st.integers(0, 2**32 - 1)


@settings(deadline=None)
@given(lengths, counts, rules, seeds)
def test_indices_are_whole_in_range_and_as_many_as_asked_for(n: int, t: int, short: str, seed: int) -> None:
    for indices in (uniform(n, t, short=short), jittered(n, t, np.random.default_rng(seed), short=short)):
        assert indices.shape == (t,) and indices.dtype == np.int64
        assert indices.min() >= 0 and indices.max() < n


@settings(deadline=None)
@given(lengths, counts, st.sampled_from(["stretch", "hold"]), seeds)
def test_frames_keep_their_order_in_time(n: int, t: int, short: str, seed: int) -> None:
    for indices in (uniform(n, t, short=short), jittered(n, t, np.random.default_rng(seed), short=short)):
        assert (np.diff(indices) >= 0).all()
        assert n < t or (np.diff(indices) > 0).all(), "no frame twice where there are enough"


@settings(deadline=None)
@given(lengths, counts)
def test_uniform_takes_the_middle_of_each_segment(n: int, t: int) -> None:
    middles = [math.floor((k + Fraction(1, 2)) * Fraction(n, t)) for k in range(t)]
    assert uniform(n, t).tolist() == middles


@settings(deadline=None)
@given(lengths, counts, seeds)
def test_jitter_stays_within_its_segment(n: int, t: int, seed: int) -> None:
    edges = [math.floor(k * Fraction(n, t)) for k in range(t + 1)]
    for index, first, end in zip(jittered(n, t, np.random.default_rng(seed)), edges, edges[1:], strict=False):
        assert first <= index < max(end, first + 1)


def test_jitter_reaches_every_frame_of_a_segment_equally_often() -> None:
    generator = np.random.default_rng(0)
    seen = np.stack([jittered(12, 3, generator) for _ in range(4000)])
    counts = np.stack([np.bincount(seen[:, k], minlength=12)[4 * k : 4 * k + 4] for k in range(3)])
    assert counts.sum() == 12000 and np.abs(counts - 1000).max() < 5 * np.sqrt(1000 * 0.75)


def test_uniform_takes_no_randomness_and_jittered_takes_it_as_an_argument() -> None:
    assert list(inspect.signature(uniform).parameters) == ["n", "t", "short"]
    np.random.seed(0)  # noqa: NPY002
    before = np.random.get_state()[1].tolist()  # noqa: NPY002
    uniform(100, 16)
    jittered(100, 16, np.random.default_rng(1))
    assert np.random.get_state()[1].tolist() == before  # noqa: NPY002


@settings(deadline=None)
@given(lengths, counts, seeds)
def test_the_same_generator_gives_the_same_frames(n: int, t: int, seed: int) -> None:
    one, other = (jittered(n, t, np.random.default_rng(seed)) for _ in range(2))
    assert np.array_equal(one, other)


@pytest.mark.parametrize(
    ("n", "short", "expected"),
    [
        (1, "stretch", [0, 0, 0, 0, 0]),
        (2, "stretch", [0, 0, 1, 1, 1]),
        (3, "stretch", [0, 0, 1, 2, 2]),
        (3, "hold", [0, 1, 2, 2, 2]),
        (3, "loop", [0, 1, 2, 0, 1]),
        (5, "hold", [0, 1, 2, 3, 4]),
        (5, "loop", [0, 1, 2, 3, 4]),
        (10, "loop", [1, 3, 5, 7, 9]),
    ],
)
def test_short_clips_are_stretched_held_or_looped_as_asked(n: int, short: str, expected: list[int]) -> None:
    assert uniform(n, 5, short=short).tolist() == expected
    if n < 5:  # a short clip leaves nothing to jitter but within a frame
        jitter = jittered(n, 5, np.random.default_rng(0), short=short)
        assert set(jitter) == set(expected) if short == "stretch" else jitter.tolist() == expected


@pytest.mark.parametrize(("n", "t"), [(0, 4), (4, 0), (-1, 4)])
def test_a_clip_without_frames_and_a_sample_without_frames_are_refused(n: int, t: int) -> None:
    with pytest.raises(DferError, match=rf"at least one frame in the clip and one to sample, got {n} and {t}"):
        uniform(n, t)
    with pytest.raises(DferError, match=r"at least one frame"):
        jittered(n, t, np.random.default_rng(0))
    with pytest.raises(DferError, match=r"at least one frame"):
        windows(n, t, 1)


def test_an_unknown_rule_and_a_stride_of_nothing_are_refused() -> None:
    with pytest.raises(DferError, match=r"short cannot be 'pad'; expected one of stretch, hold, loop"):
        uniform(3, 5, short="pad")
    with pytest.raises(DferError, match=r"a stride of at least 1 frame, got 0"):
        windows(10, 4, 0)


@settings(deadline=None)
@given(lengths, counts, st.integers(1, 100))
def test_windows_are_consecutive_frames_that_start_at_the_stride_and_end_with_the_clip(
    n: int, length: int, stride: int
) -> None:
    found = windows(n, length, stride)
    assert found.shape[1] == length and found.min() == 0 and found.max() == n - 1
    if n <= length:
        assert found.tolist() == [[min(k, n - 1) for k in range(length)]]
    else:
        starts = list(range(0, n - length + 1, stride))
        starts += [n - length] if starts[-1] != n - length else []
        assert found.tolist() == [list(range(start, start + length)) for start in starts]
