"""Ambiguity measures against scipy, hand-worked rows and the statistics published with real votes."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy import stats

from dfer.errors import DferError
from dfer.labels import STRATA, agreement, emotions_with_votes, entropy, margin, strata

COUNTS = arrays(np.float64, st.tuples(st.integers(1, 6), st.integers(2, 8)), elements=st.integers(0, 20))


@given(COUNTS)
def test_entropy_agrees_with_scipy_and_is_nan_without_votes(votes: np.ndarray) -> None:
    voted = votes.sum(axis=1) > 0
    expected = stats.entropy(votes[voted], axis=1, base=votes.shape[1])
    assert np.allclose(entropy(votes)[voted], expected)
    assert np.isnan(entropy(votes)[~voted]).all()


@given(COUNTS)
def test_every_measure_is_the_same_for_counts_and_shares_and_within_its_range(votes: np.ndarray) -> None:
    votes = votes + 1
    shares = votes / votes.sum(axis=1, keepdims=True)
    for measure, low in ((entropy, 0), (margin, 0), (agreement, 1 / votes.shape[1])):
        assert np.allclose(measure(votes), measure(shares))
        assert (measure(votes) >= low - 1e-12).all() and (measure(votes) <= 1).all()


def test_unanimous_and_even_votes_are_the_ends_of_every_scale() -> None:
    votes = [[10, 0, 0, 0, 0, 0, 0], [1] * 7]
    assert entropy(votes) == pytest.approx([0, 1])
    assert margin(votes) == pytest.approx([1, 0])
    assert agreement(votes) == pytest.approx([1, 1 / 7])


def test_margin_is_the_lead_of_the_first_over_the_second() -> None:
    assert margin([[1, 6, 3], [5, 5, 0]]) == pytest.approx([0.3, 0])


def test_one_emotion_alone_is_never_ambiguous() -> None:
    assert entropy([[4]]).tolist() == [0] and margin([[4]]).tolist() == [1]


def test_emotions_are_counted_from_a_minimum_of_votes() -> None:
    votes = [[6, 3, 1], [10, 0, 0]]
    assert emotions_with_votes(votes).tolist() == [3, 1]
    assert emotions_with_votes(votes, 2).tolist() == [2, 1]


def test_strata_are_cut_at_one_and_three_dissenters_in_ten() -> None:
    votes = [[10, 0], [9, 1], [8, 2], [7, 3], [6, 4], [5, 5], [0, 0], [np.nan, np.nan]]
    assert strata(votes).tolist() == [0, 0, 1, 1, 2, 2, -1, -1]


def test_distributions_are_in_the_stratum_of_their_counts_whatever_the_rounding_of_their_sum() -> None:
    for first in range(1, 100):
        counts = np.array([[first, rest, 100 - first - rest] for rest in range(101 - first)])
        assert strata(counts / 100).tolist() == strata(counts).tolist()


def test_shares_are_cut_where_their_counts_are() -> None:
    panels = np.array([row for row in np.ndindex(11, 11, 11, 11, 11) if sum(row) == 10])
    shares, top = panels / 10, panels.max(axis=1)
    assert ((agreement(shares) <= 0.5) == (top <= 5)).all()
    assert (strata(shares) == np.select([top >= 9, top >= 7], [0, 1], 2)).all()
    assert agreement([[0.5, 0.1, 0.1, 0.1, 0.1, 0.1]]) == 0.5  # what is added up here is a little less than one


def test_strata_leave_no_gap_from_zero_to_one() -> None:
    assert [stratum.name for stratum in STRATA] == ["clear", "mixed", "ambiguous"]
    assert STRATA[0].high == 1 and STRATA[-1].low == 0
    assert [stratum.low for stratum in STRATA[:-1]] == [stratum.high for stratum in STRATA[1:]]


@pytest.mark.parametrize(("rows", "message"), [([1, 2], "shape"), ([[1, -1]], "negative")])
def test_rows_that_are_no_votes_are_refused(rows: list, message: str) -> None:
    with pytest.raises(DferError, match=message):
        entropy(rows)
