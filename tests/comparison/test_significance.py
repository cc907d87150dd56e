"""Chance: the bootstrap against scipy's and a loop, tests against scipy's and hand-worked ones."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from dfer.comparison import significance
from dfer.comparison.significance import bootstrap, holm, interval, mcnemar, mean_and_deviation, welch
from dfer.errors import DferError


def generator(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def test_bootstrap_is_a_loop_over_the_same_draws() -> None:
    table = generator(1).random((30, 4))
    drawn = generator(5).integers(0, 30, (50, 30))
    assert bootstrap(table, generator(5), draws=50) == pytest.approx(table[drawn].sum(axis=1))


def test_the_draws_do_not_depend_on_how_many_are_held_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    table = generator(1).random((31, 2))
    whole = bootstrap(table, generator(), draws=101)
    monkeypatch.setattr(significance, "CELLS", 31 * 7)
    assert bootstrap(table, generator(), draws=101) == pytest.approx(whole)


def test_the_interval_of_a_mean_is_scipys_bootstrap() -> None:
    values = generator(2).exponential(size=200)
    ours = interval(bootstrap(values[:, None], generator(), draws=20_000)[:, 0] / 200)
    scipys = stats.bootstrap((values,), np.mean, n_resamples=20_000, method="percentile", rng=generator(1))
    assert ours == pytest.approx(tuple(scipys.confidence_interval), abs=0.01)


def test_groups_are_drawn_whole() -> None:
    table, groups = np.array([[1.0], [2.0], [4.0], [8.0], [16.0]]), ["a", "b", "a", "", ""]
    drawn = generator(3).integers(0, 4, (40, 4))
    sums = np.array([5.0, 2.0, 8.0, 16.0])  # a, b, and the clips whose group is not known
    assert bootstrap(table, generator(3), draws=40, groups=groups)[:, 0] == pytest.approx(sums[drawn].sum(axis=1))


def test_clips_of_few_people_leave_more_open_than_as_many_of_many() -> None:
    skill = np.repeat(generator(4).random(20), 50)  # 20 people with 50 clips each
    right = (generator(5).random(1000) < skill)[:, None].astype(float)
    people = np.repeat(np.arange(20), 50).astype(str)
    alone = bootstrap(right, generator(), draws=2000).std() / 1000
    together = bootstrap(right, generator(), draws=2000, groups=people).std() / 1000
    assert alone == pytest.approx(np.sqrt(right.mean() * (1 - right.mean()) / 1000), rel=0.05)
    assert together == pytest.approx(right.reshape(20, 50).mean(axis=1).std() / np.sqrt(20), rel=0.1)
    assert together > 2 * alone


@pytest.mark.parametrize(("table", "draws"), [(np.zeros((0, 2)), 10), (np.zeros(3), 10), (np.zeros((3, 1)), 0)])
def test_nothing_to_draw_is_refused(table: np.ndarray, draws: int) -> None:
    with pytest.raises(DferError, match="at least one clip"):
        bootstrap(table, generator(), draws=draws)
    with pytest.raises(DferError, match="a group for each of 3"):
        bootstrap(np.zeros((3, 1)), generator(), groups=["a"])


def test_without_values_or_with_undefined_ones_there_is_no_interval() -> None:
    assert interval([]) is None and interval([1.0, np.nan]) is None


def test_mcnemar_is_the_binomial_test_of_the_clips_that_one_run_alone_got_right() -> None:
    first = np.array([1] * 40 + [1] * 15 + [0] * 6 + [0] * 9, dtype=bool)
    second = np.array([1] * 40 + [0] * 15 + [1] * 6 + [0] * 9, dtype=bool)
    found = mcnemar(first, second)
    assert (found.first, found.second) == (15, 6)
    assert found.p == pytest.approx(2 * stats.binom.cdf(6, 21, 0.5))
    # with many clips it is the chi-squared test of the textbook, with its correction for continuity
    many = mcnemar(np.repeat(first, 20), np.repeat(second, 20))
    assert many.p == pytest.approx(stats.chi2.sf((abs(300 - 120) - 1) ** 2 / 420, 1), rel=0.5, abs=1e-12)


def test_mcnemar_of_runs_that_are_right_on_the_same_clips_is_one() -> None:
    assert mcnemar([True, False], [True, False]) == (0, 0, 1)
    assert mcnemar([], []).p == 1
    with pytest.raises(DferError, match="same clips"):
        mcnemar([True], [True, False])


@given(st.lists(st.floats(0, 1), min_size=1, max_size=8))
def test_holm_is_the_step_down_rule_at_every_level(values: list[float]) -> None:
    corrected = holm(list(values))
    for level in (0.01, 0.05, 0.2, 0.7):
        refused = set()
        for rank, place in enumerate(sorted(range(len(values)), key=lambda k: values[k])):
            if values[place] > level / (len(values) - rank):
                break
            refused.add(place)
        near = {k for k, p in enumerate(corrected) if p is not None and abs(p - level) < 1e-9}
        assert {k for k, p in enumerate(corrected) if p is not None and p <= level} - near == refused - near


def test_holm_by_hand_leaves_out_what_could_not_be_tested() -> None:
    # .01 x 3, .02 x 2 (not below the one before), .5 x 1
    assert holm([0.5, None, 0.01, 0.02]) == [0.5, None, pytest.approx(0.03), pytest.approx(0.04)]
    assert holm([]) == [] and holm([0.9, 0.8]) == [1.0, 1.0]


def test_one_seed_has_no_deviation_and_a_missing_score_no_mean() -> None:
    assert mean_and_deviation([0.7, 0.8, 0.9]) == (pytest.approx(0.8), pytest.approx(0.1))
    assert mean_and_deviation([0.7]) == (0.7, None)
    assert (
        mean_and_deviation([0.7, None]) == mean_and_deviation([0.7, np.nan]) == mean_and_deviation([]) == (None, None)
    )


def test_welch_is_scipys_and_needs_two_seeds_of_each() -> None:
    first, second = [0.70, 0.71, 0.72], [0.75, 0.73]
    gap, errors = np.mean(second) - np.mean(first), np.var(first, ddof=1) / 3 + np.var(second, ddof=1) / 2
    degrees = errors**2 / ((np.var(first, ddof=1) / 3) ** 2 / 2 + (np.var(second, ddof=1) / 2) ** 2 / 1)
    assert welch(first, second) == pytest.approx(2 * stats.t.sf(gap / np.sqrt(errors), degrees))
    assert welch([0.7], second) is None and welch(first, [0.7, None]) is None and welch([0.7, 0.7], [0.7, 0.7]) is None
