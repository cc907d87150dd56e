"""Balanced drawing and weighing: against class frequencies, scikit-learn, and scipy's general solvers."""

from __future__ import annotations

import logging

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import linprog, minimize
from sklearn.utils.class_weight import compute_class_weight

from dfer.training.balance import class_weights, clip_shares


def votes(seed: int, clips: int, emotions: int) -> np.ndarray:
    """Shares of ten votes, of rare and of frequent emotions."""
    generator = np.random.default_rng(seed)
    probs = generator.dirichlet(np.linspace(0.1, 0.6, emotions), clips)
    return np.array([generator.multinomial(10, row) for row in probs]) / 10


def reachable(targets: np.ndarray) -> bool:
    """Whether some weights of 0 or more make the mean target even, by linear programming."""
    equal = np.vstack([targets.T, np.ones(len(targets))])
    wanted = np.append(np.full(targets.shape[1], 1 / targets.shape[1]), 1.0)
    return bool(linprog(np.zeros(len(targets)), A_eq=equal, b_eq=wanted).success)


def test_six_clear_and_four_undecided_clips_are_balanced_by_the_undecided_alone() -> None:
    targets = np.array([[1.0, 0.0]] * 6 + [[0.5, 0.5]] * 4)
    shares = clip_shares(targets)
    assert shares @ targets == pytest.approx([0.5, 0.5], abs=1e-4)
    assert shares[6:] == pytest.approx([0.25] * 4, abs=1e-4)


def test_one_hot_clips_are_drawn_by_inverse_class_frequency() -> None:
    labels = np.repeat([0, 1, 2, 4], [20, 12, 8, 1])
    shares = clip_shares(np.eye(6)[labels])  # two emotions are shown by nobody
    counts = np.bincount(labels)
    assert shares == pytest.approx(1 / (4 * counts[labels]), rel=1e-4)


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 10_000), clips=st.integers(30, 200), emotions=st.integers(2, 8))
def test_the_mean_target_is_even_wherever_linear_programming_finds_that_it_can_be(
    seed: int, clips: int, emotions: int
) -> None:
    targets = votes(seed, clips, emotions)
    shares = clip_shares(targets)
    assert (shares >= 0).all() and shares.sum() == pytest.approx(1)
    if (targets.sum(axis=0) > 0).all() and reachable(targets):
        assert shares @ targets == pytest.approx(np.full(emotions, 1 / emotions), abs=1e-4)


def test_of_all_shares_that_balance_those_of_greatest_entropy_are_taken() -> None:
    targets = np.array([[0.9, 0.1], [0.7, 0.3], [0.6, 0.4], [0.2, 0.8], [0.4, 0.6]])
    reference = minimize(
        lambda w: float((w * np.log(w)).sum()), np.full(5, 0.2), method="SLSQP", bounds=[(1e-9, 1)] * 5,
        constraints=[{"type": "eq", "fun": lambda w: w @ targets - 0.5}], options={"ftol": 1e-14, "maxiter": 500},
    ).x  # fmt: skip
    assert clip_shares(targets) == pytest.approx(reference, abs=1e-4)


def test_where_nothing_balances_the_nearest_mean_is_taken_and_said(caplog: pytest.LogCaptureFixture) -> None:
    targets = np.array([[0.9, 0.1], [0.6, 0.4], [0.6, 0.4]])
    with caplog.at_level(logging.WARNING):
        shares = clip_shares(targets)
    assert shares == pytest.approx([0, 0.5, 0.5], abs=1e-4)
    assert "no choice of clips shows all emotions equally often" in caplog.text and "0.6, 0.4" in caplog.text
    assert "1 of 3 clips are drawn less than once in 100 epochs" in caplog.text


def test_the_nearest_of_three_emotions_is_that_of_a_general_solver() -> None:
    targets = np.array([[0.8, 0.1, 0.1], [0.5, 0.4, 0.1], [0.5, 0.1, 0.4], [1.0, 0.0, 0.0]])
    nearest = minimize(
        lambda w: float(((w @ targets - 1 / 3) ** 2).sum()), np.full(4, 0.25), method="SLSQP", bounds=[(0, 1)] * 4,
        constraints=[{"type": "eq", "fun": lambda w: w.sum() - 1}], options={"ftol": 1e-14},
    ).x @ targets  # fmt: skip
    assert clip_shares(targets) @ targets == pytest.approx(nearest, abs=1e-3)


def test_balanced_targets_are_drawn_evenly_and_without_a_word(caplog: pytest.LogCaptureFixture) -> None:
    assert clip_shares(np.eye(7)) == pytest.approx(np.full(7, 1 / 7)) and not caplog.text


def test_smoothing_changes_no_share() -> None:
    targets = votes(3, 50, 4)
    assert clip_shares(0.9 * targets + 0.1 / 4) == pytest.approx(clip_shares(targets), abs=1e-4)


def test_class_weights_are_scikit_learns_for_labels_and_give_soft_labels_equal_mass() -> None:
    labels = np.repeat([0, 1, 2], [20, 12, 8])
    reference = compute_class_weight("balanced", classes=np.arange(3), y=labels)
    assert class_weights(np.eye(3)[labels]) == pytest.approx(reference)
    soft = np.array([[1.0, 0.0, 0.0]] * 6 + [[0.5, 0.5, 0.0]] * 4)
    weights = class_weights(soft)
    assert (weights * soft).sum(axis=0) == pytest.approx([5, 5, 0])
