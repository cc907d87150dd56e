"""Soft labels from more than counts: grades of intensity, and distributions that somebody else made."""

from __future__ import annotations

import numpy as np
import pytest

from dfer.errors import DferError
from dfer.labels import soft_labels


def test_weighted_votes_count_as_much_as_their_grade() -> None:
    soft = soft_labels([[6, 4, 0], [1, 1, 8]], "weighted", weights=[[20, 80, np.nan], [50, 0, 25]])
    assert np.allclose(soft, [[120 / 440, 320 / 440, 0], [50 / 250, 0, 200 / 250]])


def test_equal_grades_change_nothing_and_grades_of_nothing_discard_the_clip() -> None:
    votes = [[6, 4], [3, 7]]
    assert np.allclose(soft_labels(votes, "weighted", weights=np.full((2, 2), 37.0)), soft_labels(votes))
    soft = soft_labels(votes, "weighted", weights=[[0, 0], [1, 1]])
    assert np.isnan(soft[0]).all() and np.allclose(soft[1], [0.3, 0.7])


def test_a_vote_without_a_grade_is_refused_with_its_clip() -> None:
    with pytest.raises(DferError, match=r"1 of 2 clips have votes without a weight of 0 or more: 'b'"):
        soft_labels([[6, 4], [3, 7]], "weighted", weights=[[1, 1], [np.nan, 1]], ids=["a", "b"])
    with pytest.raises(DferError, match="without a weight of 0 or more"):
        soft_labels([[6, 4]], "weighted", weights=[[1, -1]])


def test_a_given_distribution_stays_as_it_is_or_is_mixed_with_the_votes() -> None:
    votes, soft = [[6, 4, 0], [0, 5, 5]], [[0.2, 0.3, 0.5], [1.0, 0.0, 0.0]]
    assert np.array_equal(soft_labels(votes, "given", soft=soft), soft)
    assert np.allclose(soft_labels(votes, "given", soft=soft, weight=0.25)[0], [0.5, 0.375, 0.125])
    assert np.allclose(soft_labels(votes, "given", soft=soft, weight=0), soft_labels(votes))


def test_a_clip_without_a_given_distribution_is_discarded() -> None:
    soft = soft_labels([[6, 4], [3, 7]], "given", soft=[[np.nan, np.nan], [0.5, 0.5]], weight=0.5)
    assert np.isnan(soft[0]).all() and np.allclose(soft[1], [0.4, 0.6])


@pytest.mark.parametrize(
    "row", [[0.7, 0.5], [0.4, 0.4], [1.2, -0.2], [np.nan, 1.0], [0.5, np.nan], [0.0, 0.0], [np.inf, 0.0], [0.5, 0.5001]]
)
def test_a_given_row_that_is_no_distribution_is_refused_with_its_clip(row: list[float]) -> None:
    with pytest.raises(DferError, match=r"1 of 3 clips have soft labels that do not sum to one: 'b'"):
        soft_labels([[6, 4]] * 3, "given", soft=[[0.5, 0.5], row, [np.nan, np.nan]], ids=["a", "b", "c"])


def test_a_given_row_may_have_the_rounding_errors_of_single_precision() -> None:
    soft = np.full((1, 7), 1 / 7, dtype=np.float32)
    assert np.allclose(soft_labels([[1] * 7], "given", soft=soft), 1 / 7)


def test_an_infinite_grade_is_refused() -> None:
    with pytest.raises(DferError, match="1 of 1 clips have votes with an infinite weight"):
        soft_labels([[6, 4]], "weighted", weights=[[np.inf, 1]])


@pytest.mark.parametrize("prior", ["uniform", "class", "learned", "per_class", [0.5, 0.5]])
def test_kinds_are_of_a_mixture_alone(prior: object) -> None:
    with pytest.raises(DferError, match='kinds=3 is of the prior "mixture"'):
        soft_labels([[6, 4], [1, 9]], "dirichlet", prior=prior, kinds=3)


@pytest.mark.parametrize(("rule", "option"), [("weighted", "weights"), ("given", "soft")])
def test_a_rule_that_needs_a_table_says_so_and_refuses_one_of_another_shape(rule: str, option: str) -> None:
    with pytest.raises(DferError, match=f"rule '{rule}' needs {option}"):
        soft_labels([[6, 4]], rule)
    with pytest.raises(DferError, match=rf"expected {option} of the votes' shape \(1, 2\), got \(2, 2\)"):
        soft_labels([[6, 4]], rule, **{option: np.ones((2, 2))})


@pytest.mark.parametrize("weight", [-0.1, 1.1, float("nan")])
def test_the_weight_of_a_given_distribution_lies_between_0_and_1(weight: float) -> None:
    with pytest.raises(DferError, match="weight must be"):
        soft_labels([[6, 4]], "given", soft=[[0.5, 0.5]], weight=weight)
