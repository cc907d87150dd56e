"""Soft-label rules and hard-label policies against hand-worked tables and scipy."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy import special
from sklearn.preprocessing import LabelBinarizer

from dfer.errors import DferError
from dfer.labels import (
    RULES,
    check_votes,
    hard_labels,
    one_hot,
    single_label,
    smooth_labels,
    soft_labels,
    without_lone_votes,
)

VOTES = np.array([[6, 4, 0], [1, 2, 7], [10, 0, 0]])
TABLES = arrays(np.int64, st.tuples(st.integers(1, 6), st.integers(2, 8)), elements=st.integers(0, 20)).filter(
    lambda votes: bool((votes.sum(axis=1) > 0).all())
)


def options_of(rule: str, votes: np.ndarray) -> dict[str, object]:
    """What a rule needs in order to take any votes."""
    even = np.full(votes.shape, 1 / max(votes.shape[1], 1))
    ties = {"ties": "drop"}
    return {"smooth": ties, "hard": ties, "weighted": {"weights": even}, "given": {"soft": even}}.get(rule, {})


def test_frequency_is_the_share_of_votes() -> None:
    assert np.allclose(soft_labels(VOTES), [[0.6, 0.4, 0], [0.1, 0.2, 0.7], [1, 0, 0]])


def test_dirichlet_with_a_uniform_prior_adds_a_part_of_a_vote_to_each_emotion() -> None:
    expected = [[7 / 13, 5 / 13, 1 / 13], [2 / 13, 3 / 13, 8 / 13], [11 / 13, 1 / 13, 1 / 13]]
    assert np.allclose(soft_labels(VOTES, "dirichlet", strength=3), expected)


def test_dirichlet_with_the_class_prior_adds_the_shares_of_all_votes() -> None:
    expected = (VOTES + 2 * np.array([17, 6, 7]) / 30) / 12
    assert np.allclose(soft_labels(VOTES, "dirichlet", strength=2, prior="class"), expected)


def test_dirichlet_trusts_six_hundred_of_a_thousand_more_than_six_of_ten() -> None:
    few, many = soft_labels([[6, 4], [600, 400]], "dirichlet", strength=2, prior=[0.0, 1.0])[:, 0]
    assert few == pytest.approx(6 / 12) and many == pytest.approx(600 / 1002)


@pytest.mark.parametrize("prior", ["klass", [0.5, 0.5], [0.5, 0.6, -0.1], [0.5, 0.5, 0.5], [np.nan, 0.5, 0.5]])
def test_a_prior_that_is_none_is_refused(prior: object) -> None:
    with pytest.raises(DferError, match=r"prior (cannot|must) be"):
        soft_labels(VOTES, "dirichlet", prior=prior)


@pytest.mark.parametrize("temperature", [0.5, 1.0, 4.0])
def test_softmax_agrees_with_scipy(temperature: float) -> None:
    counts = special.softmax(VOTES / temperature, axis=1)
    shares = special.softmax(VOTES / 10 / temperature, axis=1)
    assert np.allclose(soft_labels(VOTES, "softmax", temperature=temperature), counts)
    assert np.allclose(soft_labels(VOTES, "softmax", temperature=temperature, of="frequency"), shares)


def test_softmax_of_shares_and_of_counts_are_the_figures_known_for_seven_emotions() -> None:
    unanimous, split = [10, 0, 0, 0, 0, 0, 0], [6, 4, 0, 0, 0, 0, 0]
    shares = soft_labels([unanimous, split], "softmax", of="frequency")
    counts = soft_labels([unanimous, split], "softmax")
    assert np.allclose(shares[:, :3], [[0.312, 0.115, 0.115], [0.219, 0.179, 0.12]], atol=6e-4)
    assert np.allclose(counts[:, :2], [[1.0, 0.0], [0.871, 0.118]], atol=6e-4)


def test_softmax_of_large_counts_and_small_temperatures_stays_finite() -> None:
    assert np.allclose(soft_labels([[5000, 4999]], "softmax", temperature=1e-3), [[1, 0]])


def test_ferplus_zeroes_lone_votes_and_shares_the_rest() -> None:
    assert np.allclose(soft_labels([[6, 3, 1, 0]], "ferplus"), [[6 / 9, 3 / 9, 0, 0]])


def test_ferplus_discards_clips_whose_top_answer_is_no_emotion() -> None:
    votes = [[4, 0, 1], [4, 2, 0], [1, 1, 1], [0, 0, 0]]
    other = [[5, 0], [0, 4], [1, 0], [0, 10]]
    soft = soft_labels(votes, "ferplus", other=other)
    assert np.isnan(soft[[0, 2, 3]]).all(), "top is unknown; lone votes only; not a face"
    assert np.allclose(soft[1], [4 / 6, 2 / 6, 0]), "an emotion wins a tie with unknown"


def test_the_majority_of_ferplus_counts_other_votes_and_no_lone_votes() -> None:
    votes, other = without_lone_votes([[4, 3, 1], [4, 3, 0], [5, 1, 1]], [[1, 0], [1, 2], [5, 0]])
    assert votes.tolist() == [[4, 3, 0], [4, 3, 0], [5, 0, 0]] and other.tolist() == [[0, 0], [0, 2], [5, 0]]
    assert single_label(votes, share=0.5, inclusive=False, other=other).tolist() == [0, -1, -1]


def test_smooth_is_the_hard_label_with_label_smoothing() -> None:
    assert np.allclose(soft_labels(VOTES, "smooth", epsilon=0.3)[0], [0.8, 0.1, 0.1])
    assert np.allclose(smooth_labels([[0.6, 0.4]], 0.5), [[0.55, 0.45]])


def test_hard_is_the_one_hot_row_of_the_majority() -> None:
    expected = LabelBinarizer().fit([0, 1, 2]).transform(VOTES.argmax(axis=1))
    assert np.array_equal(soft_labels(VOTES, "hard"), expected)
    assert np.array_equal(one_hot([0, 2, 0], 3), expected)


def test_ties_are_refused_dropped_or_given_to_the_first_as_asked() -> None:
    votes = [[5, 5, 0], [0, 1, 9]]
    with pytest.raises(DferError, match=r"1 of 2 clips have several emotions with most votes: '00007'; choose"):
        hard_labels(votes, ids=["00007", "00008"])
    assert hard_labels(votes, "drop").tolist() == [-1, 2]
    assert hard_labels(votes, "first").tolist() == [0, 2]
    with pytest.raises(DferError, match=r"ties cannot be 'fist' \(did you mean 'first'\?\); expected one of error"):
        hard_labels(votes, "fist")


@pytest.mark.parametrize("rule", ["hard", "smooth"])
def test_a_dropped_tie_is_a_row_of_nan_and_a_refused_one_is_named(rule: str) -> None:
    soft = soft_labels([[5, 5], [1, 9]], rule, ties="drop")
    assert np.isnan(soft[0]).all() and np.isfinite(soft[1]).all()
    with pytest.raises(DferError, match="votes: 'b'; choose"):
        soft_labels([[1, 9], [5, 5]], rule, ids=["a", "b"])


def test_dfew_labels_clips_with_six_of_ten_votes() -> None:
    votes = [[0, 6, 4, 0, 0, 0, 0], [5, 4, 1, 0, 0, 0, 0], [5, 5, 0, 0, 0, 0, 0], [0] * 7]
    assert single_label(votes).tolist() == [1, -1, -1, -1]
    assert single_label(votes, inclusive=False).tolist() == [-1, -1, -1, -1]
    assert single_label(votes, share=0.5).tolist() == [1, 0, -1, -1]


@pytest.mark.parametrize(
    ("row", "fault"),
    [
        ([1, np.nan], "NaN"),
        ([1, np.inf], "infinite"),
        ([-1, 2], "negative"),
        ([0.5, 1], "fractional"),
        ([0, 0], "no vot"),
    ],
)
def test_votes_that_cannot_be_are_refused_with_their_clips(row: list[float], fault: str) -> None:
    with pytest.raises(DferError, match=f"1 of 3 clips have .*{fault}.*: 'second'"):
        soft_labels([[3, 1], row, [2, 2]], ids=["first", "second", "third"])


def test_only_the_first_five_culprits_are_named_and_the_rest_counted() -> None:
    with pytest.raises(DferError, match=r"8 of 8 clips .* 'row 0', 'row 1', 'row 2', 'row 3', 'row 4' and 3 more"):
        check_votes(np.full((8, 2), -1))


@pytest.mark.parametrize("votes", [[1, 2], [["a", "b"]], [[1, 2], [3]], np.zeros((2, 0)), np.zeros((1, 2, 3))])
def test_votes_that_are_no_table_of_numbers_are_refused(votes: object) -> None:
    with pytest.raises(DferError, match=r"expected votes \(N, K\)"):
        check_votes(votes)


def test_ids_that_do_not_fit_the_votes_are_refused() -> None:
    with pytest.raises(DferError, match="3 rows of votes came with 2 ids"):
        check_votes(VOTES, ["a", "b"])


def test_published_distributions_pass_when_allowed() -> None:
    assert np.allclose(soft_labels([[0.3, 0.3]], allow_fractional=True), [[0.5, 0.5]])


def test_rounding_errors_of_fractional_votes_neither_break_a_tie_nor_take_a_label_away() -> None:
    tied = [[0.1 + 0.2, 0.3, 0.4 - 0.2], [0.3, 0.1 + 0.2, 0.2]]  # .1 + .2 > .3
    assert hard_labels(tied, "drop").tolist() == [-1, -1] and hard_labels(tied, "first").tolist() == [0, 0]
    assert single_label(tied, share=0.3).tolist() == [-1, -1]
    six_of_ten = [[0.6, rest / 100, (40 - rest) / 100] for rest in range(40)]
    assert set(single_label(six_of_ten).tolist()) == {0}
    assert set(
        single_label([[0.5, rest / 100, (50 - rest) / 100] for rest in range(1, 50)], share=0.5, inclusive=False)
    ) == {-1}


def test_a_misspelt_rule_or_option_is_refused_with_the_nearest_name() -> None:
    with pytest.raises(DferError, match=r"'frequenzy' \(did you mean 'frequency'\?\)"):
        soft_labels(VOTES, "frequenzy")
    with pytest.raises(DferError, match=r"softmax has no option 'temperatuur' \(did you mean 'temperature'\?\)"):
        soft_labels(VOTES, "softmax", temperatuur=2)
    with pytest.raises(DferError, match="frequency has no option 'strength'; expected none"):
        soft_labels(VOTES, strength=1)


@pytest.mark.parametrize(
    ("rule", "option", "value"),
    [
        ("dirichlet", "strength", -1),
        ("dirichlet", "strength", float("nan")),
        ("softmax", "temperature", 0),
        ("softmax", "temperature", "hot"),
        ("softmax", "of", "votes"),
        ("smooth", "epsilon", 1.5),
        ("ferplus", "other", [[1, 0]]),
    ],
)
def test_an_option_out_of_its_range_is_refused(rule: str, option: str, value: object) -> None:
    with pytest.raises(DferError, match=option):
        soft_labels(VOTES, rule, **{option: value})


@pytest.mark.parametrize(
    ("labels", "message"), [([3], "got 3"), ([-2], "got -2"), ([0.0], "float64"), ([[0]], "shape")]
)
def test_labels_out_of_range_have_no_one_hot_row(labels: list, message: str) -> None:
    with pytest.raises(DferError, match=message):
        one_hot(labels, 3)


@pytest.mark.parametrize("rule", RULES)
def test_an_empty_table_gives_an_empty_table(rule: str) -> None:
    assert soft_labels(np.zeros((0, 7)), rule, **options_of(rule, np.zeros((0, 7)))).shape == (0, 7)


@pytest.mark.parametrize("rule", RULES)
@given(votes=TABLES)
def test_rows_sum_to_one_or_are_discarded_whole_and_the_votes_are_not_touched(rule: str, votes: np.ndarray) -> None:
    before = votes.copy()
    soft = soft_labels(votes, rule, **options_of(rule, votes))
    discarded = np.isnan(soft).any(axis=1)
    assert np.isnan(soft[discarded]).all()
    assert np.allclose(soft[~discarded].sum(axis=1), 1) and (soft[~discarded] >= 0).all()
    assert soft.dtype == np.float64 and soft.shape == votes.shape and np.array_equal(votes, before)


@pytest.mark.parametrize("rule", RULES)
@given(votes=TABLES, data=st.data())
def test_permuting_the_emotions_permutes_the_columns(rule: str, votes: np.ndarray, data: st.DataObject) -> None:
    order = data.draw(st.permutations(range(votes.shape[1])))
    options = options_of(rule, votes)
    there, here = soft_labels(votes[:, order], rule, **options), soft_labels(votes, rule, **options)
    assert np.allclose(there, here[:, order], equal_nan=True)


@given(votes=TABLES, factor=st.integers(2, 50))
def test_frequency_depends_on_shares_alone(votes: np.ndarray, factor: int) -> None:
    assert np.allclose(soft_labels(votes), soft_labels(votes * factor))


@given(votes=TABLES)
def test_dirichlet_runs_from_the_shares_to_the_prior(votes: np.ndarray) -> None:
    assert np.array_equal(soft_labels(votes, "dirichlet", strength=0), soft_labels(votes))
    assert np.allclose(soft_labels(votes, "dirichlet", strength=1e12), 1 / votes.shape[1])


@given(votes=TABLES)
def test_a_share_above_half_is_the_same_emotion_as_the_hard_label(votes: np.ndarray) -> None:
    single, most = single_label(votes, share=0.5, inclusive=False), hard_labels(votes, "drop")
    assert np.array_equal(single >= 0, 2 * votes.max(axis=1) > votes.sum(axis=1))
    assert np.array_equal(single[single >= 0], most[single >= 0])
