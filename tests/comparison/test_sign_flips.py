"""Tests and intervals by halves, against scipy's permutation test, the sign test, McNemar's, Wilson's; their level."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from dfer.comparison import sign_flips as module
from dfer.comparison.sign_flips import Halves, halves, share_interval, sign_test, units_of, wilson
from dfer.errors import DferError


def generator(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def of(differences: np.ndarray, *, draws: int = 10_000, seed: int = 0) -> Halves:
    """Halves of differences that are all about one clip each."""
    values = np.asarray(differences, dtype=float)[:, None] / len(differences)
    return halves(values, np.full(values.shape, 1 / len(values)), generator(seed), draws=draws)


def enumerated(differences: np.ndarray) -> float:
    """The p value of all arrangements of signs, one by one."""
    signs = np.array(list(product((1, -1), repeat=len(differences))))
    return float((np.abs(signs @ differences) >= abs(differences.sum()) - 1e-9).mean())


@settings(max_examples=60, deadline=None)
@given(st.lists(st.integers(-3, 3), min_size=1, max_size=10))
def test_of_few_clips_every_arrangement_counts(values: list[int]) -> None:
    differences = np.array(values, dtype=float)
    assert of(differences).test(0).p == pytest.approx(enumerated(differences))
    assert sign_test(differences, most=10_000) == pytest.approx(enumerated(differences))


def test_of_many_clips_the_p_value_is_scipys() -> None:
    for shift in (0.0, 0.1, 0.2, 0.3):
        differences = generator(3).normal(shift, 1, 150)
        wanted = stats.permutation_test(
            (differences, np.zeros(150)), lambda x, y: np.mean(x - y), permutation_type="samples",
            n_resamples=20_000, rng=generator(1),
        )  # fmt: skip
        assert of(differences).test(0).p == pytest.approx(wanted.pvalue, abs=0.015)


@pytest.mark.parametrize(
    ("alone", "against", "both"), [(1, 0, 399), (2, 0, 440), (4, 0, 200), (8, 2, 90), (30, 14, 500)]
)
def test_of_right_and_wrong_it_is_mcnemars_test_for_any_seed(alone: int, against: int, both: int) -> None:
    differences = np.array([1.0] * alone + [-1.0] * against + [0.0] * both)
    wanted = stats.binomtest(alone, alone + against).pvalue
    for seed in range(4):
        assert of(differences, seed=seed).test(0).p == pytest.approx(wanted, abs=0.02)
    exact = sign_test(differences, most=10_000)
    assert exact == (None if alone + against > 14 else pytest.approx(wanted))


@pytest.mark.parametrize("differences", [np.zeros(50), np.zeros(3), np.array([1.0]), np.array([0.3] + [0.0] * 80)])
def test_equal_runs_one_clip_and_one_clip_that_differs_are_no_evidence(differences: np.ndarray) -> None:
    assert sign_test(differences, most=10_000) == 1
    assert of(differences).test(0).p == pytest.approx(1, abs=0.02)


def test_three_clips_that_all_say_the_same_are_little_evidence() -> None:
    found = of(np.array([1.0, 2.0, 3.0])).test(0)
    assert found.p == 0.25 and found.interval is None
    assert of(np.arange(1.0, 6.0)).test(0).interval is None  # five: p = .0625
    six = of(np.arange(1.0, 7.0)).test(0)
    assert six.p == pytest.approx(2 / 64) and six.interval is not None and six.interval[0] > 0


@settings(max_examples=150, deadline=None)
@given(st.integers(0, 10**6), st.integers(1, 60), st.floats(-1.5, 1.5), st.booleans())
def test_interval_and_p_value_never_disagree(seed: int, clips: int, shift: float, whole: bool) -> None:
    draw = generator(seed)
    differences = (
        draw.integers(-1, 2, clips) + (draw.random(clips) < abs(shift) / 3) if whole else draw.normal(shift, 1, clips)
    )
    found = of(np.asarray(differences, dtype=float), draws=999).test(0)
    if found.interval is not None:
        low, high = found.interval
        assert low <= np.mean(differences) + 1e-12 and np.mean(differences) <= high + 1e-12
        assert (low > 0 or high < 0) == (found.p is not None and found.p < 0.05)
    else:
        assert found.p is None or found.p >= 0.05


def test_a_margin_is_no_difference_and_widens_the_interval() -> None:
    drawn = of(generator(5).normal(0.5, 1, 80))
    plain, wide = drawn.test(0), drawn.test(0, margin=0.2)
    assert plain.interval and wide.interval
    assert wide.interval == pytest.approx((plain.interval[0] - 0.2, plain.interval[1] + 0.2))
    assert plain.p is not None and wide.p is not None and wide.p > plain.p
    assert drawn.test(0, margin=0.9).p == 1


def test_the_interval_of_a_mean_is_students_where_that_one_is_right() -> None:
    differences = generator(2).normal(0.3, 1, 60)
    wanted = stats.t.interval(0.95, 59, differences.mean(), stats.sem(differences))
    assert of(differences, draws=20_000).test(0).interval == pytest.approx(wanted, abs=0.02)


def test_undefined_columns_stay_undefined_and_do_not_spoil_others() -> None:
    values = np.column_stack([np.full(30, np.nan), generator().normal(1, 1, 30) / 30])
    found = halves(values, np.column_stack([np.full(30, np.nan), np.full(30, 1 / 30)]), generator(), draws=500)
    assert found.test(0) == (None, None) and found.test(1).p is not None and found.test(1).p < 0.05


def test_the_halves_do_not_depend_on_how_many_are_held_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    differences = generator(1).normal(0.2, 1, 32)
    whole = of(differences, draws=101).means
    monkeypatch.setattr(module, "CELLS", 32 * 7)
    assert of(differences, draws=101).means == pytest.approx(whole)


def test_units_are_groups_clips_of_no_known_group_and_at_most_so_many(monkeypatch: pytest.MonkeyPatch) -> None:
    assert units_of(3, None, generator()).tolist() == [0, 1, 2]
    assert units_of(5, ["b", "a", "b", "", ""], generator()).tolist() == [1, 0, 1, 2, 3]
    with pytest.raises(DferError, match="a group for each of 3 clips"):
        units_of(3, ["a"], generator())
    monkeypatch.setattr(module, "MOST_UNITS", 50)
    dealt = units_of(10_000, None, generator())
    assert np.bincount(dealt).tolist() == [200] * 50


@pytest.mark.parametrize("values", [np.zeros((0, 2)), np.zeros(3)])
def test_nothing_to_draw_is_refused(values: np.ndarray) -> None:
    with pytest.raises(DferError, match="one unit or more"):
        halves(values, values, generator(), draws=10)


@pytest.mark.parametrize(("right", "clips"), [(0, 5), (5, 5), (8, 10), (713, 1000), (1, 1)])
def test_the_interval_of_a_share_of_clips_is_wilsons(right: int, clips: int) -> None:
    values = (np.arange(clips) < right) / clips
    ends = stats.binomtest(right, clips).proportion_ci(0.95, method="wilson")
    assert share_interval(values, np.full(clips, 1 / clips)) == pytest.approx((ends.low, ends.high), abs=1e-9)
    assert wilson(right / clips, clips) == pytest.approx((ends.low, ends.high), abs=1e-9)


def test_groups_widen_the_interval_of_a_share_and_one_group_leaves_all_open() -> None:
    people = np.repeat(generator(4).random(20), 50)  # 20 people with 50 clips each
    right = generator(5).random(1000) < people
    of_each, alike = right.reshape(20, 50).sum(axis=1) / 1000, np.full(20, 1 / 20)
    low, high = share_interval(of_each, alike, clips=1000) or (0, 0)
    half = stats.t.ppf(0.975, 19) * right.reshape(20, 50).mean(axis=1).std(ddof=1) / np.sqrt(20)
    assert (high - low) / 2 == pytest.approx(half, rel=0.15)
    assert share_interval([0.8], [1.0], clips=50) == (0.0, 1.0)
    low, high = share_interval(alike, alike, clips=1000) or (0, 0)  # all right
    assert high == 1 and low == pytest.approx(20 / (20 + stats.t.ppf(0.975, 19) ** 2))


def alarms(draw: np.random.Generator, clips: int, groups: int | None, *, tests: int = 400) -> float:
    """How often a test at 5 % calls equal runs different; few clips differ, and persons differ in how much."""
    found = 0
    for _ in range(tests):
        units = np.arange(clips) if groups is None else draw.integers(0, groups, clips) ** 2 % groups
        taste = draw.normal(0, 1, clips)[units]
        differences = np.where(draw.random(clips) < 0.3, np.sign(draw.normal(taste * (groups is not None), 1)), 0.0)
        values = np.bincount(units, differences / clips)[:, None]
        drawn = halves(values, np.bincount(units)[:, None] / clips, draw, draws=199)
        p = drawn.test(0).p
        found += p is not None and p < 0.05
    return found / tests


@pytest.mark.parametrize(("clips", "groups"), [(3, None), (20, None), (300, None), (300, 20), (40, 1), (300, 7)])
def test_a_false_alarm_is_no_more_frequent_than_its_level_says(clips: int, groups: int | None) -> None:
    rate = alarms(generator(clips), clips, groups)
    assert rate <= stats.binom.ppf(0.999, 400, 0.05) / 400
    assert (groups, clips) not in ((None, 300), (20, 300)) or rate >= stats.binom.ppf(0.001, 400, 0.04) / 400
