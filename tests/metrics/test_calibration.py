"""Calibration against a hand-worked table and a plain loop; a temperature known beforehand is found."""

from __future__ import annotations

import json
import runpy
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.optimize import minimize
from scipy.special import log_softmax, softmax
from sklearn.calibration import calibration_curve

from dfer.comparison.remedies import FEWEST_FOR_REJECT, FEWEST_FOR_TAU
from dfer.errors import DferError
from dfer.metrics.calibration import (
    FEWEST_FOR_TEMPERATURE,
    FEWEST_FOR_VECTOR,
    LARGEST_SHIFT,
    TEMPERATURES,
    apply_temperature,
    classwise_ece,
    ece,
    fit_temperature,
    fit_vector_scaling,
    reliability,
    vote_ece,
    vote_reliability,
)


def two_class(confidences: list[float]) -> np.ndarray:
    """Predictions of emotion 0 with these confidences."""
    return np.array([[value, 1 - value] for value in confidences])


def loop_ece(probs: np.ndarray, labels: np.ndarray, bins: int) -> float:
    """The definition, bin by bin."""
    total = 0.0
    for number in range(bins):
        inside = [row for row in range(len(probs)) if number / bins < probs[row].max() <= (number + 1) / bins]
        if inside:
            accuracy = np.mean([probs[row].argmax() == labels[row] for row in inside])
            confidence = np.mean([probs[row].max() for row in inside])
            total += len(inside) / len(probs) * abs(accuracy - confidence)
    return total


def test_perfect_certain_predictions_have_no_error() -> None:
    labels = np.array([0, 1, 2])
    assert ece(np.eye(3), labels) == ece(np.eye(3), labels, equal="mass") == 0


def test_constant_predictions_have_one_bin_whose_gap_is_the_error() -> None:
    probs, labels = two_class([0.8] * 10), np.array([0] * 6 + [1] * 4)
    for equal in ("width", "mass"):
        assert ece(probs, labels, equal=equal) == pytest.approx(0.2)
        (full,) = [part for part in reliability(probs, labels, equal=equal) if part.count]
        assert (full.count, full.accuracy) == (10, 0.6)
        assert full.confidence == pytest.approx(0.8)


def test_ece_worked_by_hand() -> None:
    # bins of 0.2: (0.4, 0.6] holds .55 (wrong): gap .55; (0.6, 0.8] holds .65 .75 (one right): gap |.5 - .7|;
    # (0.8, 1] holds .9 .95 1 (all right): gap |1 - .95|; so (1 x .55 + 2 x .2 + 3 x .05) / 6
    probs, labels = two_class([0.55, 0.65, 0.75, 0.9, 0.95, 1.0]), np.array([1, 0, 1, 0, 0, 0])
    assert ece(probs, labels, bins=5) == pytest.approx((0.55 + 0.4 + 0.15) / 6)
    # halves of equal mass: .55 .65 .75 (one right): gap |1/3 - .65|; .9 .95 1: gap .05
    assert ece(probs, labels, bins=2, equal="mass") == pytest.approx(((0.65 - 1 / 3) + 0.05) / 2)


def test_the_reliability_table_covers_all_clips_and_marks_empty_bins() -> None:
    table = reliability(two_class([0.55, 0.95, 1.0]), np.array([0, 1, 0]))
    assert len(table) == 15 and sum(part.count for part in table) == 3
    assert [part.low for part in table[1:]] == [part.high for part in table[:-1]]
    assert (table[0].low, table[-1].high) == (0, 1)
    assert (table[-1].count, table[-1].accuracy) == (2, 0.5)
    assert all(np.isnan([part.confidence, part.accuracy]).all() for part in table if part.count == 0)


@given(st.integers(0, 2**32 - 1), st.integers(1, 60), st.integers(1, 20))
def test_ece_is_the_definition_and_ignores_the_order_of_rows(seed: int, rows: int, bins: int) -> None:
    generator = np.random.default_rng(seed)
    probs, labels = generator.dirichlet(np.ones(4), rows), generator.integers(0, 4, rows)
    assert ece(probs, labels, bins=bins) == pytest.approx(loop_ece(probs, labels, bins))
    rounded = (probs * 8).round() / 8 + 1e-3 / 4  # many equal confidences
    order = generator.permutation(rows)
    for equal in ("width", "mass"):
        value = ece(rounded, labels, bins=bins, equal=equal)
        assert value == pytest.approx(ece(rounded[order], labels[order], bins=bins, equal=equal))
        assert 0 <= value <= 1.01


def test_bins_of_equal_mass_hold_equally_many_clips() -> None:
    generator = np.random.default_rng(0)
    table = reliability(generator.dirichlet(np.ones(7), 300), generator.integers(0, 7, 300), equal="mass")
    assert [part.count for part in table] == [20] * 15
    assert all(part.low < part.confidence <= part.high and part.high <= next_.low for part, next_ in pairwise(table))


def test_without_clips_the_error_is_nan_and_the_table_empty() -> None:
    nobody = np.zeros((0, 3)), np.zeros(0, dtype=int)
    for equal in ("width", "mass"):
        assert np.isnan(ece(*nobody, equal=equal))
        assert [part.count for part in reliability(*nobody, equal=equal)] == [0] * 15


@pytest.mark.parametrize("options", [{"bins": 0}, {"equal": "height"}])
def test_other_ways_to_cut_are_refused(options: dict) -> None:
    with pytest.raises(DferError, match="expected 1 bin or more of equal"):
        ece(two_class([0.9]), [0], **options)


@pytest.mark.parametrize("temperature", [0.3, 1.0, 2.5])
def test_the_temperature_that_made_the_targets_is_found(temperature: float) -> None:
    logits = np.random.default_rng(2).normal(0, 3, (400, 7))
    targets = softmax(logits / temperature, axis=1)
    assert fit_temperature(logits, targets) == pytest.approx(temperature, rel=1e-4)
    shifted = log_softmax(logits, axis=1)  # log-probabilities are logits, too
    assert fit_temperature(shifted, targets) == pytest.approx(temperature, rel=1e-4)


def test_no_temperature_of_a_fine_grid_is_better_than_the_one_fitted() -> None:
    generator = np.random.default_rng(3)
    logits = generator.normal(0, 4, (200, 5))
    targets = np.eye(5)[np.where(generator.random(200) < 0.6, logits.argmax(axis=1), generator.integers(0, 5, 200))]

    def loss(temperature: float) -> float:
        return float(-np.log((apply_temperature(logits, temperature) * targets).sum(axis=1)).mean())

    fitted = fit_temperature(logits, targets)
    assert fitted > 1  # sure of itself, and right 6-7 times in ten
    assert loss(fitted) <= min(loss(value) for value in np.geomspace(*TEMPERATURES, 2000)) + 1e-9
    before, after = apply_temperature(logits, 1), apply_temperature(logits, fitted)
    assert np.array_equal(before.argmax(axis=1), after.argmax(axis=1))


def test_a_model_that_is_too_sure_by_a_factor_becomes_calibrated() -> None:
    generator = np.random.default_rng(4)
    logits = generator.normal(0, 5, (5000, 7))
    labels = np.array([generator.choice(7, p=row) for row in softmax(logits / 2.5, axis=1)])
    fitted = fit_temperature(logits, np.eye(7)[labels])
    assert fitted == pytest.approx(2.5, rel=0.05)
    assert ece(apply_temperature(logits, 1), labels) > 0.15 > 0.03 > ece(apply_temperature(logits, fitted), labels)


def test_a_model_that_is_never_wrong_gets_the_lowest_temperature() -> None:
    rows = np.tile(np.eye(3), (40, 1))
    assert fit_temperature(rows, rows) == pytest.approx(TEMPERATURES[0], rel=0.01)


def test_a_temperature_needs_clips_finite_logits_and_is_positive() -> None:
    for clips in (0, 2, 5, 99):
        with pytest.raises(
            DferError, match=f"expected 100 validation clips or more to fit a temperature on, got {clips}"
        ):
            fit_temperature(np.zeros((clips, 3)), np.full((clips, 3), 1 / 3))
    with pytest.raises(DferError, match="infinite"):
        fit_temperature([[-np.inf, 0.0]], [[0.0, 1.0]])
    with pytest.raises(DferError, match="above 0"):
        apply_temperature([[1.0, 2.0]], 0)


def test_a_confidence_on_an_edge_belongs_to_the_bin_below() -> None:
    table = reliability(two_class([0.5, 0.75, 0.8]), [0, 0, 0], bins=4)
    assert [part.count for part in table] == [0, 1, 1, 1]


@pytest.mark.parametrize(("equal", "strategy"), [("width", "uniform"), ("mass", "quantile")])
def test_classwise_error_is_the_mean_of_the_emotions_own_by_scikit_learns_curve(equal: str, strategy: str) -> None:
    generator = np.random.default_rng(5)
    probs, labels = generator.dirichlet(np.ones(4), 500), generator.integers(0, 4, 500)
    errors = []
    for emotion in range(4):
        share, confidence = calibration_curve(labels == emotion, probs[:, emotion], n_bins=15, strategy=strategy)
        low, high = (0, 1) if equal == "width" else (probs[:, emotion].min(), probs[:, emotion].max())
        edges = (
            np.linspace(low, high, 16) if equal == "width" else np.quantile(probs[:, emotion], np.linspace(0, 1, 16))
        )
        count = np.histogram(probs[:, emotion], bins=edges)[0]
        errors.append((count[count > 0] * np.abs(share - confidence)).sum() / 500)
    # scikit-learn puts a quantile itself into the upper bin, here it is in the lower one: a clip a bin
    assert classwise_ece(probs, labels, equal=equal) == pytest.approx(
        np.mean(errors), abs=1e-9 if equal == "width" else 0.003
    )


def test_classwise_error_by_hand() -> None:
    # "it is happy" is said with .8, .8 and is right once; "it is sad" with .2, .2, and is right once
    assert classwise_ece(two_class([0.8, 0.8]), [0, 1]) == pytest.approx((0.3 + 0.3) / 2)
    assert np.isnan(classwise_ece(np.zeros((0, 3)), np.zeros(0, dtype=int)))


@given(st.integers(0, 2**32 - 1))
def test_error_against_votes_is_that_of_every_voter_as_a_clip(seed: int) -> None:
    generator = np.random.default_rng(seed)
    probs = generator.dirichlet(np.ones(4), 30)
    counts = generator.multinomial(10, generator.dirichlet(np.ones(4)), 30)
    voters = np.repeat(np.arange(30), 10)
    answers = np.concatenate([np.repeat(np.arange(4), row) for row in counts])
    assert vote_ece(probs, counts / 10) == pytest.approx(ece(probs[voters], answers))
    parts = vote_reliability(probs, counts / 10)
    assert [part.count * 10 for part in parts] == [part.count for part in reliability(probs[voters], answers)]


def test_a_prediction_of_the_votes_is_calibrated_for_voters_and_too_unsure_for_the_majority() -> None:
    shares = np.random.default_rng(0).multinomial(10, [0.6, 0.3, 0.1], 300) / 10
    assert vote_ece(shares, shares) == pytest.approx(0, abs=1e-12)
    assert ece(shares, shares.argmax(axis=1)) > 0.2
    assert np.isnan(vote_ece(np.zeros((0, 3)), np.zeros((0, 3))))


def test_the_vector_scaling_that_made_the_targets_is_found() -> None:
    generator = np.random.default_rng(6)
    logits, weights, bias = generator.normal(0, 2, (600, 5)), generator.uniform(0.3, 2, 5), generator.normal(0, 1, 5)
    found = fit_vector_scaling(logits, softmax(logits * weights + bias, axis=1))
    assert found.weights == pytest.approx(weights, rel=1e-2)
    assert found.bias - found.bias.mean() == pytest.approx(bias - bias.mean(), abs=1e-2)  # a shift of all is none


def test_no_other_optimiser_finds_a_better_vector_scaling() -> None:
    generator = np.random.default_rng(7)
    logits = generator.normal(0, 3, (250, 3))
    chances = softmax(logits / 2 + np.array([1, 0, 0]), axis=1)
    targets = np.array([generator.multinomial(10, row) for row in chances]) / 10

    def loss(numbers: np.ndarray) -> float:
        return float(-(targets * log_softmax(logits * numbers[:3] + numbers[3:], axis=1)).sum(axis=1).mean())

    found = fit_vector_scaling(logits, targets)
    other = minimize(
        loss, np.r_[np.ones(3), np.zeros(3)], method="Nelder-Mead", options={"maxiter": 20000, "maxfev": 20000}
    )
    assert loss(np.r_[found.weights, found.bias]) <= other.fun + 1e-5
    assert found.apply(logits).sum(axis=1) == pytest.approx(np.ones(250))


def test_vector_scaling_is_at_least_as_good_as_a_temperature_and_mends_a_shift() -> None:
    generator = np.random.default_rng(8)
    logits = generator.normal(0, 2, (3000, 4))
    labels = np.array([generator.choice(4, p=row) for row in softmax(logits, axis=1)])
    shifted, targets = logits + np.array([2, 0, 0, 0]), np.eye(4)[labels]  # the first emotion is named too often
    by_temperature = apply_temperature(shifted, fit_temperature(shifted, targets))
    by_vector = fit_vector_scaling(shifted, targets).apply(shifted)
    losses = [-np.log((rows * targets).sum(axis=1)).mean() for rows in (by_temperature, by_vector)]
    assert losses[1] < losses[0] - 0.1
    assert classwise_ece(by_vector, labels) < classwise_ece(by_temperature, labels) / 2


def test_vector_scaling_of_an_emotion_without_a_clip_stays_finite_and_none_is_refused() -> None:
    logits = np.random.default_rng(9).normal(0, 1, (250, 3))
    found = fit_vector_scaling(logits, np.eye(3)[[0, 1] * 125])
    assert np.abs(found.bias).max() <= LARGEST_SHIFT and np.isfinite(found.apply(logits)).all()
    with pytest.raises(DferError, match="expected 200 validation clips or more to fit vector scaling on, got 0"):
        fit_vector_scaling(np.zeros((0, 3)), np.zeros((0, 3)))


def test_the_fewest_clips_are_those_that_the_benchmark_found(monkeypatch: pytest.MonkeyPatch) -> None:
    folder = Path(__file__).parents[2] / "benchmarks"
    told = json.loads((folder / "results" / "temperature.json").read_text(encoding="utf-8"))
    enough = told["enough"]
    assert max(enough["temperature, labels"], enough["temperature, votes"]) == FEWEST_FOR_TEMPERATURE
    assert (enough["vector"], enough["tau"], enough["reject"]) == (FEWEST_FOR_VECTOR, FEWEST_FOR_TAU, FEWEST_FOR_REJECT)
    monkeypatch.syspath_prepend(str(folder))
    missed = runpy.run_path(str(folder / "temperature.py"))["missed"]
    for clips in (20, 100):
        again = np.quantile([missed(clips, np.random.default_rng(seed), votes=False) for seed in range(200)], 0.95)
        assert again == pytest.approx(told["table"]["temperature, labels"][str(clips)], rel=0.25)
