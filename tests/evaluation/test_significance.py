"""Chance: the bootstrap against scipy's and a loop, tests against scipy's and hand-worked ones, and their level."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from dfer.errors import DferError
from dfer.evaluation import Predictions, significance
from dfer.evaluation.calibration import ece
from dfer.evaluation.metrics import brier, cross_entropy, js_divergence, kl_divergence, uar, war
from dfer.evaluation.significance import (
    bootstrap,
    centred,
    holm,
    interval,
    mcnemar,
    mean_and_deviation,
    p_value,
    welch,
)
from dfer.evaluation.sums import SUMMED, contributions, scores_of_sums

from .toy import toy_predictions


def generator(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def by_metrics(run: Predictions, rows: np.ndarray) -> dict[str, float]:
    """The scores of the clips at `rows`, some of them several times, by the functions that judge one table."""
    labelled, voted = rows[run.labelled[rows]], rows[run.voted[rows]]
    judged, compared = (run.probs[labelled], run.labels[labelled]), (run.probs[voted], run.shares[voted])
    distances = {"cross_entropy": cross_entropy, "kl": kl_divergence, "js": js_divergence, "brier": brier}
    return {
        "war": war(*judged),
        "uar": uar(*judged),
        **{key: float(distance(*compared).mean()) for key, distance in distances.items()},
        "ece": ece(*judged),
    }


def test_scores_of_sums_are_those_of_the_metrics_for_any_sample_of_clips() -> None:
    runs = [toy_predictions(seed, clips=60) for seed in (1, 2)]
    runs[0].votes[:7] = runs[1].votes[:7] = np.nan
    table = contributions(runs)
    for rows in (np.arange(60), generator().integers(0, 60, 60), np.array([20] * 60), generator(1).permutation(60)[:9]):
        weights = np.bincount(rows, minlength=60)
        found = scores_of_sums(weights[None] @ table.table, table)
        assert tuple(found) == SUMMED
        for place, run in enumerate(runs):
            expected = by_metrics(run, rows)
            numbers = {key: found[key][0, place] for key in SUMMED}
            assert numbers == pytest.approx(expected, nan_ok=True)


def test_a_confidence_on_an_edge_is_in_the_bin_of_the_calibration_error() -> None:
    probs = np.array([[0.8, 0.2], [0.85, 0.15], [0.6, 0.4], [0.65, 0.35]])  # .6 and .8 are edges of fifteen bins
    none = np.full(probs.shape, np.nan)
    run = Predictions(np.arange(4), np.ones(4), [1, 0, 1, 0], probs, none, [""] * 4, ("a", "b"))  # type: ignore[arg-type]
    table = contributions([run])
    assert scores_of_sums(table.table.sum(axis=0, keepdims=True), table)["ece"][0, 0] == ece(probs, run.labels)
    assert ece(probs, run.labels) == pytest.approx((0.8 + 0.15 + 0.6 + 0.35) / 4)


def test_without_clips_of_a_kind_its_scores_are_undefined() -> None:
    run = toy_predictions(1, clips=10)
    run.labels[:] = -1
    table = contributions([run])
    found = scores_of_sums(table.table.sum(axis=0, keepdims=True), table)
    assert np.isnan([found[key][0, 0] for key in ("war", "uar", "ece")]).all() and np.isfinite(found["kl"]).all()


def test_runs_on_other_clips_have_no_common_sums() -> None:
    with pytest.raises(DferError, match="same clips in the same order"):
        contributions([toy_predictions(1), toy_predictions(2, ids="other {}")])


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


def test_the_interval_of_a_calibration_error_holds_it_and_a_mean_is_not_moved() -> None:
    draw = generator(8)
    probs = draw.dirichlet(np.ones(4), 400)
    labels = np.array([draw.choice(4, p=row) for row in probs])  # calibrated: the error is small
    none = np.full(probs.shape, np.nan)
    run = Predictions(np.arange(400), np.ones(400), labels, probs, none, [""] * 400, ("a", "b", "c", "d"))  # type: ignore[arg-type]
    table = contributions([run])
    whole = scores_of_sums(table.table.sum(axis=0, keepdims=True), table)
    raw = scores_of_sums(bootstrap(table.table, draw, draws=2000), table)
    error, share = float(whole["ece"][0, 0]), float(whole["war"][0, 0])
    assert raw["ece"].mean() > error + 0.01 and raw["war"].mean() == pytest.approx(share, abs=0.003)
    low, high = interval(centred(raw["ece"], whole["ece"][0])[:, 0]) or (0, 0)
    assert low < error < high
    assert centred(raw["war"], whole["war"][0]) == pytest.approx(raw["war"], abs=0.003)


@pytest.mark.parametrize(("table", "draws"), [(np.zeros((0, 2)), 10), (np.zeros(3), 10), (np.zeros((3, 1)), 0)])
def test_nothing_to_draw_is_refused(table: np.ndarray, draws: int) -> None:
    with pytest.raises(DferError, match="at least one clip"):
        bootstrap(table, generator(), draws=draws)
    with pytest.raises(DferError, match="a group for each of 3"):
        bootstrap(np.zeros((3, 1)), generator(), groups=["a"])


def test_interval_and_p_agree_on_whether_nought_is_out() -> None:
    sample = generator(6).normal(1, 0.5, 9999)
    for shift in np.linspace(-2, 1, 31):
        low, high = interval(sample + shift) or (0, 0)
        p = p_value(sample + shift)
        if abs(p - 0.05) > 0.005:
            assert (low > 0 or high < 0) == (p < 0.05)
    assert p_value(sample + 9) == pytest.approx(2 / 10_000)


def test_equal_runs_and_noise_of_rounding_are_no_difference() -> None:
    assert p_value(np.zeros(100)) == 1
    assert p_value(np.full(100, 1e-17)) == 1
    assert interval([]) is None and interval([1.0, np.nan]) is None and np.isnan(p_value([np.nan]))


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


def test_tests_between_equal_models_raise_a_false_alarm_about_as_often_as_their_level_says() -> None:
    """Two models that err alike on average, 400 times; of 400 tests at 5 %, 20 ± 4.4 are expected to alarm."""
    draw, alarms = generator(7), []
    for _ in range(400):
        pair = equal_models(draw)
        table = contributions(pair)
        whole = scores_of_sums(table.table.sum(axis=0, keepdims=True), table)
        raw = scores_of_sums(bootstrap(table.table, draw, draws=400), table)
        sampled = {key: centred(raw[key], whole[key][0]) for key in SUMMED}
        right = [run.probs.argmax(axis=1) == run.labels for run in pair]
        tests = [p_value(sampled[key][:, 1] - sampled[key][:, 0]) for key in ("war", "uar", "kl", "ece")]
        alarms.append([p <= 0.05 for p in (*tests, mcnemar(*right).p)])
    by_war, by_uar, by_kl, by_ece, by_mcnemar = np.mean(alarms, axis=0)
    for rate in (by_war, by_uar, by_kl):
        assert 0.02 <= rate <= 0.085
    assert by_mcnemar <= 0.085 and by_ece <= 0.085  # exact and biased, in this order: both on the careful side


def equal_models(draw: np.random.Generator, clips: int = 120) -> list[Predictions]:
    """The truth of each clip, seen through noise of the same strength twice."""
    truth = draw.dirichlet(np.full(4, 0.4), clips) + 0.01
    votes = draw.multinomial(10, truth / truth.sum(axis=1, keepdims=True)).astype(float)
    found = []
    for _ in range(2):
        noisy = truth * np.exp(draw.normal(0, 1, truth.shape))
        found.append(
            Predictions(
                ids=np.arange(clips), fold=np.ones(clips), labels=votes.argmax(axis=1),
                probs=noisy / noisy.sum(axis=1, keepdims=True), votes=votes, frames=[""] * clips,
                emotions=("happy", "sad", "neutral", "angry"),
            )
        )  # fmt: skip
    return found
