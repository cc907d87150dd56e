"""Risk and coverage: a curve worked by hand, the mean over the orders of equals, a threshold that keeps its word."""

from __future__ import annotations

from itertools import permutations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dfer.errors import DferError
from dfer.metrics.selective import aurc, fit_threshold, risk_at, risk_coverage


def test_curve_by_hand() -> None:
    # surest first: right, wrong, right, wrong
    coverage, risk = risk_coverage([0.5, 0.9, 0.7, 0.6], [1, 0, 1, 0])
    assert coverage.tolist() == [0.25, 0.5, 0.75, 1]
    assert risk == pytest.approx([0, 1 / 2, 1 / 3, 2 / 4])
    assert aurc([0.5, 0.9, 0.7, 0.6], [1, 0, 1, 0]) == pytest.approx((0 + 1 / 2 + 1 / 3 + 1 / 2) / 4)


def test_a_perfect_order_has_the_least_area_and_the_opposite_the_most() -> None:
    wrong = np.array([0, 0, 0, 1, 1])
    orders = [aurc(order, wrong) for order in permutations(range(5))]
    assert aurc([5, 4, 3, 2, 1], wrong) == pytest.approx(min(orders)) == pytest.approx((1 / 4 + 2 / 5) / 5)
    assert aurc([1, 2, 3, 4, 5], wrong) == pytest.approx(max(orders))


def test_equal_confidences_count_as_the_mean_over_their_orders() -> None:
    sure, wrong = [0.9, 0.7, 0.7, 0.7, 0.2], np.array([1, 0, 1, 1, 0])
    curves = []
    for order in permutations([1, 2, 3]):
        rows = wrong[[0, *order, 4]]
        curves.append(np.cumsum(rows) / np.arange(1, 6))
    assert risk_coverage(sure, wrong)[1] == pytest.approx(np.mean(curves, axis=0))


def test_a_constant_confidence_has_the_same_risk_at_every_coverage() -> None:
    wrong = np.random.default_rng(0).random(50) < 0.3
    assert risk_coverage(np.full(50, 0.4), wrong)[1] == pytest.approx(np.full(50, wrong.mean()))


@given(st.integers(0, 2**32 - 1), st.integers(1, 40))
def test_the_curve_ends_at_the_mean_loss_and_ignores_the_order_of_rows(seed: int, rows: int) -> None:
    generator = np.random.default_rng(seed)
    sure, loss = generator.random(rows).round(1), generator.random(rows)
    coverage, risk = risk_coverage(sure, loss)
    assert coverage[-1] == 1 and risk[-1] == pytest.approx(loss.mean())
    order = generator.permutation(rows)
    assert risk_coverage(sure[order], loss[order])[1] == pytest.approx(risk)
    assert risk_at(sure, loss, 1) == pytest.approx(loss.mean())


def test_risk_at_a_coverage_takes_at_least_that_share() -> None:
    sure, wrong = np.arange(10, 0, -1), np.array([0] * 8 + [1, 1])
    assert risk_at(sure, wrong, 0.8) == 0
    assert risk_at(sure, wrong, 0.9) == pytest.approx(1 / 9)
    assert risk_at(sure, wrong, 0.81) == pytest.approx(1 / 9)
    assert risk_at(sure, wrong, 0.01) == 0
    assert np.isnan(risk_at([], [], 0.9)) and np.isnan(aurc([], []))


@given(st.integers(0, 2**32 - 1), st.integers(1, 40), st.floats(0, 1))
def test_the_threshold_is_the_lowest_that_keeps_the_risk(seed: int, rows: int, risk: float) -> None:
    generator = np.random.default_rng(seed)
    sure, wrong = generator.random(rows).round(1), generator.random(rows) < 0.4
    found = fit_threshold(sure, wrong, risk=risk)
    keeping = [level for level in np.unique(sure) if wrong[sure >= level].mean() <= risk + 1e-12]
    assert found == (min(keeping) if keeping else np.inf)


@pytest.mark.parametrize("clips", [100, 1000, 100_000])
def test_a_risk_that_is_met_exactly_is_met(clips: int) -> None:
    for percent in range(1, 100):
        loss = np.arange(clips) < percent * clips // 100
        assert fit_threshold(np.full(clips, 0.5), loss, risk=percent / 100) == 0.5
        assert fit_threshold(np.full(clips, 0.5), loss, risk=percent / 100 - 1e-7) == np.inf


@pytest.mark.parametrize("risk", [-0.1, np.nan])
def test_a_risk_that_cannot_be_is_refused(risk: float) -> None:
    with pytest.raises(DferError, match="risk of 0 or more"):
        fit_threshold([0.5], [0], risk=risk)


def test_what_has_no_order_is_refused() -> None:
    with pytest.raises(DferError, match="NaN in the confidence or loss of 1 of 2 clips: rows 1"):
        aurc([0.5, np.nan], [0, 1])
    with pytest.raises(DferError, match="shapes"):
        aurc([0.5, 0.6], [0])
    for coverage in (0, 1.1, np.nan):
        with pytest.raises(DferError, match="coverage above 0"):
            risk_at([0.5], [0], coverage)
