"""Cells side by side: exact tests of single runs, of seeds as wholes and of groups; who is first; and the level."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy import stats

from dfer.comparison.paired import TESTED, judge, standings
from dfer.comparison.sums import SUMMED
from dfer.metrics import Predictions, score
from tests.metrics.toy import toy_predictions


def by_scipy(differences: np.ndarray) -> float:
    """The exact two-sided p value of all signs."""
    found = stats.permutation_test(
        (differences, np.zeros(len(differences))), lambda x, y: np.sum(x - y), permutation_type="samples",
        n_resamples=np.inf,
    )  # fmt: skip
    return float(found.pvalue)


def divergences(runs: list[Predictions]) -> np.ndarray:
    """The mean over runs of each clip's KL, by scipy."""
    return np.asarray(np.mean([stats.entropy(run.shares, run.probs, axis=1) for run in runs], axis=0))


def test_war_of_single_runs_is_mcnemars_test_and_kl_the_test_of_all_signs() -> None:
    one, other = toy_predictions(1, clips=300), toy_predictions(2, clips=300)
    p = judge([[one], [other]], [(0, 1)]).differences[0, 1]["war"].p
    alone, against = (one.right & ~other.right).sum(), (other.right & ~one.right).sum()
    assert p == pytest.approx(stats.binomtest(int(alone), int(alone + against)).pvalue)
    few = [run.select(np.arange(300) < 10) for run in (one, other)]
    found = judge([[few[0]], [few[1]]], [(0, 1)]).differences[0, 1]["kl"]
    assert found.p == pytest.approx(by_scipy(divergences([few[1]]) - divergences([few[0]])))


@pytest.mark.parametrize(("first", "second"), [((1, 2), (3, 4)), ((1,), (2, 3, 4)), ((1, 2, 3), (4, 5))])
def test_seeds_are_swapped_together_however_many_there_are(first: tuple[int, ...], second: tuple[int, ...]) -> None:
    cells = [[toy_predictions(seed, clips=9) for seed in seeds] for seeds in (first, second)]
    found = judge(cells, [(0, 1)]).differences[0, 1]
    assert found["kl"].p == pytest.approx(by_scipy(divergences(cells[1]) - divergences(cells[0])))
    right = [np.mean([run.right for run in runs], axis=0) for runs in cells]
    assert found["war"].p == pytest.approx(by_scipy(right[1] - right[0]))
    again = judge([cells[0][::-1], cells[1][::-1]], [(0, 1)]).differences[0, 1]
    assert [again[key].p for key in TESTED] == pytest.approx([found[key].p for key in TESTED])


def test_groups_are_swapped_whole() -> None:
    one, other = toy_predictions(1, clips=80), toy_predictions(2, clips=80)
    groups = np.array([f"p{number % 9}" for number in range(80)], dtype=object)
    found = judge([[one], [other]], [(0, 1)], groups=groups).differences[0, 1]
    gaps = divergences([other]) - divergences([one])
    assert found["kl"].p == pytest.approx(
        by_scipy(np.array([gaps[groups == name].sum() for name in sorted(set(groups))]))
    )
    right = other.right.astype(float) - one.right
    assert found["war"].p == pytest.approx(
        by_scipy(np.array([right[groups == name].sum() for name in sorted(set(groups))]))
    )


def test_a_run_beside_itself_differs_in_nothing() -> None:
    run = toy_predictions(1, clips=200)
    for cells in ([[run], [run]], [[run, run], [run]]):
        for key, found in judge(cells, [(0, 1)]).differences[0, 1].items():
            assert found.difference == pytest.approx(0, abs=1e-12) and found.p == 1, key
            assert found.interval == pytest.approx((0, 0), abs=1e-12)


def test_scores_of_cells_are_the_means_over_their_runs() -> None:
    runs = [toy_predictions(seed) for seed in (1, 2)]
    found = judge([runs], []).scores[0]
    assert found == pytest.approx({key: np.mean([score(run)[key] for run in runs]) for key in SUMMED})


def test_chance_that_makes_one_calibration_error_larger_is_not_called_a_difference() -> None:
    """Two calibrated models: one says the truth, the other knows nothing and has a single bin, so less noise."""
    draw, alarms = np.random.default_rng(3), 0
    for _ in range(100):
        probs = draw.dirichlet(np.ones(3), 400)
        labels = (draw.random((400, 1)) > probs.cumsum(axis=1)).sum(axis=1).clip(max=2)
        none = np.full(probs.shape, np.nan)
        knows = Predictions(np.arange(400), np.ones(400), labels, probs, none, [""] * 400, ("a", "b", "c"))  # type: ignore[arg-type]
        nothing = replace(knows, probs=np.full(probs.shape, 1 / 3))
        p = judge([[nothing], [knows]], [(0, 1)], draws=199).differences[0, 1]["ece"].p
        alarms += p is not None and p < 0.05
    assert alarms <= stats.binom.ppf(0.999, 100, 0.05)


def test_too_sure_and_too_unsure_by_as_much_is_not_called_a_difference() -> None:
    draw, alarms = np.random.default_rng(4), 0
    for _ in range(100):
        labels = (draw.random(400) > 0.7).astype(int)
        table = [np.column_stack([np.full(400, sure), np.full(400, 1 - sure)]) for sure in (0.8, 0.6)]
        runs = [
            Predictions(np.arange(400), np.ones(400), labels, probs, np.full((400, 2), np.nan), [""] * 400, ("a", "b"))  # type: ignore[arg-type]
            for probs in table
        ]
        p = judge([[runs[0]], [runs[1]]], [(0, 1)], draws=199).differences[0, 1]["ece"].p
        alarms += p is not None and p < 0.05
    assert alarms <= stats.binom.ppf(0.999, 100, 0.05)


def test_the_first_is_told_from_those_that_it_beats_and_from_no_others() -> None:
    good, also, bad = toy_predictions(1, clips=400), toy_predictions(2, clips=400), toy_predictions(3, clips=400)
    bad = replace(bad, probs=np.roll(bad.probs, 1, axis=1))
    found = standings({"a": [bad], "b": [good], "c": [also]})
    for key in ("war", "uar", "kl"):
        tests = {test.name: test for test in found[key].tests}
        assert found[key].first in ("b", "c") and set(tests) == {"a", "b", "c"} - {found[key].first}
        assert tests["a"].holm < 0.05 and tests["a"].holm >= tests["a"].p
        other = tests["c" if found[key].first == "b" else "b"]
        assert other.holm > 0.05
    assert standings({"a": [bad], "b": [good]}, ["war"], lowest=True)["war"].first == "a"


def equal_models(draw: np.random.Generator, clips: int) -> list[Predictions]:
    """The truth of each clip, seen through noise of the same strength twice."""
    truth = draw.dirichlet(np.full(4, 0.4), clips) + 0.01
    votes = draw.multinomial(10, truth / truth.sum(axis=1, keepdims=True)).astype(float)
    found = []
    for _ in range(2):
        noisy = truth * np.exp(draw.normal(0, 1, truth.shape))
        probs = noisy / noisy.sum(axis=1, keepdims=True)
        labels = votes.argmax(axis=1)
        found.append(Predictions(np.arange(clips), np.ones(clips), labels, probs, votes, [""] * clips, tuple("abcd")))  # type: ignore[arg-type]
    return found


@pytest.mark.parametrize("clips", [20, 120])
def test_equal_models_are_called_different_about_as_often_as_the_level_says(clips: int) -> None:
    draw, alarms = np.random.default_rng(clips), []
    for _ in range(400):
        one, other = equal_models(draw, clips)
        tests = judge([[one], [other]], [(0, 1)], draws=199).differences[0, 1]
        alarms.append([(tests[key].p or 0) < 0.05 for key in TESTED])
    by_war, by_uar, by_kl, by_ece = np.mean(alarms, axis=0)
    most = stats.binom.ppf(0.999, 400, 0.05) / 400
    assert max(by_war, by_uar, by_kl, by_ece) <= most
    assert by_kl >= stats.binom.ppf(0.001, 400, 0.04) / 400  # and it is no test that never alarms


def test_intervals_of_equal_models_hold_the_true_difference() -> None:
    draw, held = np.random.default_rng(9), []
    for _ in range(300):
        one, other = equal_models(draw, 60)
        tests = judge([[one], [other]], [(0, 1)], draws=199).differences[0, 1]
        held.append([low <= 0 <= high for low, high in (tests[key].interval or (0, 0) for key in TESTED)])
    assert (np.mean(held, axis=0) >= stats.binom.ppf(0.001, 300, 0.95) / 300).all()
