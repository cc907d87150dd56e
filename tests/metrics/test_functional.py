"""Every score against scikit-learn, scipy or a hand-worked row; perfect and constant predictions first."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats
from scipy.spatial import distance as spatial
from scipy.spatial.distance import jensenshannon
from sklearn import metrics as reference

from dfer.errors import DferError
from dfer.metrics.functional import (
    EPSILON,
    brier,
    canberra,
    chebyshev,
    clark,
    confusion,
    cosine,
    cross_entropy,
    dirichlet_multinomial,
    entropy_correlation,
    intersection,
    js_divergence,
    kl_divergence,
    no_majority_auroc,
    recall,
    top_k,
    uar,
    war,
)

DISTANCES = (cross_entropy, kl_divergence, js_divergence, brier, chebyshev, clark, canberra)


@st.composite
def judged(draw: st.DrawFn) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(probs, labels, shares) of 1-30 clips and 3-8 emotions; shares of ten votes, so many are 0."""
    generator = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    rows, emotions = draw(st.integers(1, 30)), draw(st.integers(3, 8))
    probs = generator.dirichlet(np.full(emotions, draw(st.sampled_from([0.2, 1.0, 5.0]))), rows)
    shares = generator.multinomial(10, generator.dirichlet(np.full(emotions, 0.5)), rows) / 10
    return probs, generator.integers(0, emotions, rows), shares


def test_perfect_predictions_have_perfect_scores() -> None:
    labels = np.array([0, 1, 2, 2])
    probs = np.eye(3)[labels]
    assert war(probs, labels) == uar(probs, labels) == top_k(probs, labels) == 1
    assert confusion(probs, labels).tolist() == [[1, 0, 0], [0, 1, 0], [0, 0, 2]]
    for distance in DISTANCES:
        assert distance(probs, probs) == pytest.approx(np.zeros(4), abs=1e-10)


def test_constant_predictions_earn_the_share_of_their_class_and_chance_uar() -> None:
    labels = np.array([0, 0, 0, 1, 2])
    probs = np.tile([0.5, 0.3, 0.2], (5, 1))
    assert war(probs, labels) == 0.6
    assert uar(probs, labels) == pytest.approx(1 / 3)
    assert top_k(probs, labels) == 0.8
    assert confusion(probs, labels).tolist() == [[3, 0, 0], [1, 0, 0], [1, 0, 0]]


@given(judged())
def test_scores_against_labels_are_scikit_learns(case: tuple[np.ndarray, np.ndarray, np.ndarray]) -> None:
    probs, labels, _ = case
    guess, every = probs.argmax(axis=1), list(range(probs.shape[1]))
    assert war(probs, labels) == pytest.approx(reference.accuracy_score(labels, guess))
    shown = reference.recall_score(labels, guess, labels=np.unique(labels), average="macro", zero_division=0)
    assert uar(probs, labels) == pytest.approx(shown)
    recalls = reference.recall_score(labels, guess, labels=every, average=None, zero_division=np.nan)
    assert recall(probs, labels) == pytest.approx(recalls, nan_ok=True)
    assert np.array_equal(confusion(probs, labels), reference.confusion_matrix(labels, guess, labels=every))
    for k in (1, 2):
        assert top_k(probs, labels, k) == reference.top_k_accuracy_score(labels, probs, k=k, labels=every)


@given(judged())
def test_distances_to_the_votes_are_scipys(case: tuple[np.ndarray, np.ndarray, np.ndarray]) -> None:
    probs, _, shares = case
    probs = 0.999 * probs + 0.001 / probs.shape[1]  # nothing below EPSILON, which scipy does not have
    kl = stats.entropy(shares, probs, axis=1)
    assert kl_divergence(probs, shares) == pytest.approx(kl, abs=1e-9)
    assert cross_entropy(probs, shares) == pytest.approx(kl + stats.entropy(shares, axis=1), abs=1e-9)
    assert js_divergence(probs, shares) == pytest.approx(jensenshannon(shares, probs, axis=1) ** 2, abs=1e-9)
    assert brier(probs, shares) == pytest.approx(np.linalg.norm(probs - shares, axis=1) ** 2)


@given(judged())
def test_label_distribution_distances_are_scipys(case: tuple[np.ndarray, np.ndarray, np.ndarray]) -> None:
    probs, _, shares = case
    pairs = list(zip(probs, shares, strict=True))
    assert chebyshev(probs, shares) == pytest.approx([spatial.chebyshev(p, y) for p, y in pairs])
    assert canberra(probs, shares) == pytest.approx([spatial.canberra(p, y) for p, y in pairs])
    assert cosine(probs, shares) == pytest.approx([1 - spatial.cosine(p, y) for p, y in pairs], abs=1e-9)
    # two distributions share what their city-block distance leaves: 1 - L1 / 2
    assert intersection(probs, shares) == pytest.approx([1 - spatial.cityblock(p, y) / 2 for p, y in pairs])


def test_clark_and_canberra_by_hand_and_nought_over_nought_is_nought() -> None:
    # (.7 - .6) / 1.3, (.2 - .4) / .6, and 0 / 0 for the emotion that nobody names
    probs, shares = [[0.7, 0.3, 0.0]], [[0.6, 0.4, 0.0]]
    assert canberra(probs, shares) == pytest.approx([0.1 / 1.3 + 0.1 / 0.7])
    assert clark(probs, shares) == pytest.approx([np.sqrt((0.1 / 1.3) ** 2 + (0.1 / 0.7) ** 2)])
    assert clark([[0.7, 0.3]], [[0.6, 0.4]]) == pytest.approx(clark(probs, shares))


def test_perfect_predictions_have_everything_in_common_with_the_votes() -> None:
    shares = np.array([[0.1, 0.2, 0.7], [1.0, 0.0, 0.0]])
    assert cosine(shares, shares) == pytest.approx([1, 1])
    assert intersection(shares, shares) == pytest.approx([1, 1])
    assert cosine([[0.0, 1.0]], [[1.0, 0.0]]).tolist() == intersection([[0.0, 1.0]], [[1.0, 0.0]]).tolist() == [0]


def test_dirichlet_multinomial_has_the_published_values() -> None:
    shares, counts = [[0.1, 0.2, 0.7]], [[1, 2, 7]]
    assert dirichlet_multinomial(shares, counts, precision=10) == pytest.approx([2.8873], abs=5e-5)
    assert dirichlet_multinomial(shares, counts, precision=100) == pytest.approx([2.2286], abs=5e-5)
    assert kl_divergence(shares, shares) == pytest.approx([0])


@given(judged(), st.floats(0.5, 200))
def test_dirichlet_multinomial_is_scipys(case: tuple[np.ndarray, np.ndarray, np.ndarray], precision: float) -> None:
    probs, _, shares = case
    probs = 0.99 * probs + 0.01 / probs.shape[1]
    counts = (shares * 10).round().astype(int)
    expected = [-stats.dirichlet_multinomial.logpmf(c, precision * p, 10) for c, p in zip(counts, probs, strict=True)]
    assert dirichlet_multinomial(probs, counts, precision=precision) == pytest.approx(expected, rel=1e-6, abs=1e-8)


def test_dirichlet_multinomial_tends_to_the_multinomial_and_knows_how_many_voted() -> None:
    shares = np.array([[0.1, 0.2, 0.7]])
    assert dirichlet_multinomial(shares, shares * 10, precision=1e7) == pytest.approx(
        [-stats.multinomial.logpmf([1, 2, 7], 10, shares[0])], abs=1e-4
    )
    wrong = [[0.4, 0.4, 0.2]]
    few, many = (dirichlet_multinomial(wrong, shares * count, precision=50) for count in (10, 100))
    assert many > few  # the same shares, ten times the evidence against it
    assert dirichlet_multinomial(shares, [[0, 0, 0]]) == pytest.approx([0], abs=1e-9)
    assert np.isfinite(dirichlet_multinomial([[1.0, 0.0]], [[0, 10]])).all()


@pytest.mark.parametrize("precision", [0, -1, np.inf, np.nan])
def test_a_precision_is_positive_and_finite(precision: float) -> None:
    with pytest.raises(DferError, match="finite precision above 0"):
        dirichlet_multinomial([[0.5, 0.5]], [[1, 1]], precision=precision)


@pytest.mark.parametrize("precision", [1e6, 1e9, 1e12, 1e15, 1e30, 1e300])
def test_dirichlet_multinomial_keeps_its_digits_towards_the_multinomial(precision: float) -> None:
    probs, votes = np.array([[0.1, 0.2, 0.7], [0.5, 0.5, 0.0]]), [[1, 2, 7], [0, 0, 0]]
    limit = -stats.multinomial.logpmf(votes[0], 10, probs[0])
    found = dirichlet_multinomial(probs, votes, precision=precision)
    assert found[0] == pytest.approx(limit, abs=200 / precision + 1e-9) and found[1] == 0


@pytest.mark.parametrize("top", [[0.5, 0.1, 0.1, 0.1, 0.1, 0.1], [0.4, 0.4, 0.2, 0, 0, 0]])
def test_half_of_the_votes_is_no_majority_whatever_the_rounding(top: list[float]) -> None:
    even, sure = [1 / 6] * 6, [0.9, 0.02, 0.02, 0.02, 0.02, 0.02]
    assert no_majority_auroc([even, sure], [top, [0.6, 0.4, 0, 0, 0, 0]]) == 1


def test_auroc_of_no_majority_is_scikit_learns() -> None:
    generator = np.random.default_rng(4)
    shares = generator.multinomial(10, [0.5, 0.3, 0.2], 80) / 10
    probs = generator.dirichlet(np.ones(3), 80).round(1)  # many equal entropies
    probs[:, 0] += 1 - probs.sum(axis=1)
    split = shares.max(axis=1) <= 0.5  # five of ten are no majority
    expected = reference.roc_auc_score(split, stats.entropy(probs.clip(0), axis=1).round(9))
    assert no_majority_auroc(probs.clip(0), shares) == pytest.approx(expected)


def test_auroc_of_no_majority_by_hand_and_undefined_with_one_kind_of_clip() -> None:
    shares = [[0.5, 0.5, 0.0], [1.0, 0.0, 0.0], [0.6, 0.4, 0.0]]
    assert no_majority_auroc([[0.4, 0.4, 0.2], [0.9, 0.1, 0.0], [0.7, 0.3, 0.0]], shares) == 1
    assert no_majority_auroc([[0.7, 0.3, 0.0], [0.9, 0.1, 0.0], [0.4, 0.4, 0.2]], shares) == 0.5
    assert np.isnan(no_majority_auroc(shares[1:], shares[1:])) and np.isnan(no_majority_auroc(shares[:1], shares[:1]))
    assert np.isnan(no_majority_auroc(np.zeros((0, 3)), np.zeros((0, 3))))


@given(judged())
def test_scores_stay_in_their_ranges(case: tuple[np.ndarray, np.ndarray, np.ndarray]) -> None:
    probs, labels, shares = case
    assert 0 <= war(probs, labels) <= top_k(probs, labels) <= 1
    assert 0 <= uar(probs, labels) <= 1
    size = probs.shape[1]
    ends = (-np.log(EPSILON), -np.log(EPSILON), np.log(2), 2, 1, np.sqrt(size), size)
    for distance, end in zip(DISTANCES, ends, strict=True):
        values = distance(probs, shares)
        assert values.shape == labels.shape and (values >= 0).all() and (values <= end + 1e-9).all()
    correlation = entropy_correlation(probs, shares)
    assert np.isnan(correlation) or -1 - 1e-9 <= correlation <= 1 + 1e-9


def test_an_absent_emotion_has_no_recall_and_is_left_out_of_the_mean() -> None:
    probs, labels = np.array([[0.6, 0.2, 0.2], [0.2, 0.2, 0.6], [0.1, 0.1, 0.8]]), np.array([0, 0, 2])
    assert recall(probs, labels) == pytest.approx([0.5, np.nan, 1], nan_ok=True)
    assert uar(probs, labels) == 0.75
    assert confusion(probs, labels).shape == (3, 3)


def test_one_clip_is_enough_and_none_is_nan() -> None:
    assert war([[0.4, 0.6]], [1]) == uar([[0.4, 0.6]], [1]) == 1
    nobody, nothing = np.zeros((0, 3)), np.zeros(0, dtype=int)
    assert np.isnan([war(nobody, nothing), uar(nobody, nothing), top_k(nobody, nothing)]).all()
    assert np.isnan(recall(nobody, nothing)).all() and not confusion(nobody, nothing).any()
    assert all(len(distance(nobody, nobody)) == 0 for distance in DISTANCES)
    assert np.isnan(entropy_correlation(nobody, nobody))


def test_equal_probabilities_are_taken_in_the_emotions_order() -> None:
    probs = np.full((4, 4), 0.25)
    labels = np.array([0, 1, 2, 3])
    assert [top_k(probs, labels, k) for k in (1, 2, 4)] == [0.25, 0.5, 1]
    assert war(probs, labels) == 0.25


def test_brier_js_and_kl_of_opposite_certainties_are_their_largest_values() -> None:
    sure, opposite = [[1.0, 0.0]], [[0.0, 1.0]]
    assert brier(sure, opposite) == pytest.approx([2])
    assert js_divergence(sure, opposite) == pytest.approx([np.log(2)])
    assert kl_divergence(sure, opposite) == cross_entropy(sure, opposite) == pytest.approx([-np.log(1e-12)])


def test_brier_by_hand() -> None:
    # (0.7 - 0.6)^2 + (0.2 - 0.4)^2 + (0.1 - 0)^2 = 0.01 + 0.04 + 0.01
    assert brier([[0.7, 0.2, 0.1]], [[0.6, 0.4, 0.0]]) == pytest.approx([0.06])


def test_nearly_equal_distributions_never_give_a_negative_divergence_or_nan() -> None:
    generator = np.random.default_rng(0)
    shares = generator.dirichlet(np.ones(7), 2000)
    probs = shares * (1 + 1e-15 * generator.standard_normal(shares.shape))
    for divergence in (kl_divergence, js_divergence):
        values = divergence(probs, shares)
        assert (values >= 0).all() and (values < 1e-12).all()


def test_entropy_correlation_is_spearmans() -> None:
    generator = np.random.default_rng(1)
    shares = generator.multinomial(10, [0.5, 0.3, 0.2], 50) / 10
    probs = generator.dirichlet(np.ones(3), 50)
    expected = stats.spearmanr(stats.entropy(probs, axis=1), stats.entropy(shares, axis=1).round(9)).statistic
    assert entropy_correlation(probs, shares) == pytest.approx(expected)
    assert entropy_correlation(shares, shares) == pytest.approx(1)


def test_entropy_correlation_is_undefined_where_either_side_is_constant_but_for_rounding() -> None:
    shares = np.array([[1.0, 0.0], [0.5, 0.5], [0.8, 0.2]])
    level = np.full((3, 2), 0.5) + np.array([[1e-14, -1e-14], [0, 0], [-1e-14, 1e-14]])
    assert np.isnan(entropy_correlation(level, shares))
    assert np.isnan(entropy_correlation(shares, shares[[1, 1, 1]]))
    assert np.isnan(entropy_correlation(shares[:1], shares[:1]))


def test_the_arrays_given_are_not_touched() -> None:
    probs, shares = np.array([[1.0, 0.0]]), np.array([[0.5, 0.5]])
    for score in (*DISTANCES, cosine, intersection, dirichlet_multinomial, entropy_correlation, no_majority_auroc):
        score(probs, shares)
    assert probs.tolist() == [[1, 0]] and shares.tolist() == [[0.5, 0.5]]


@pytest.mark.parametrize(
    ("score", "probs", "target", "message"),
    [
        (war, [[0.5, 0.5]], [-1], "got -1; leave out"),
        (uar, [[0.5, 0.5]], [2], "labels from 0 to 1, got 2"),
        (war, [[0.5, 0.5]], [0, 1], "label for each of 1"),
        (war, [[np.nan, 0.5], [0.5, 0.5]], [0, 0], "1 of 2 rows are NaN or infinite: '0'"),
        (war, [0.5, 0.5], [0, 0], "expected rows"),
        (kl_divergence, [[0.5, 0.5]], [[np.nan, np.nan]], "NaN"),
        (brier, [[0.5, 0.5]], [[1.0, 0.0], [1.0, 0.0]], "as the predictions, got"),
        (war, [[0.5, 0.5]], [0.7], "whole labels from 0 to 1, got 0.7"),
        (uar, [[0.5, 0.5]], [np.nan], "whole labels from 0 to 1, got nan"),
        (war, [[0.5, 0.5]], ["happy"], "labels as numbers"),
        (war, [["a", "b"]], [0], "as numbers"),
        (kl_divergence, [[0.5, 0.5]], [[5.0, 5.0]], "1 of 1 rows hold no shares of votes .* sum to 1: '0'"),
        (brier, [[0.5, 0.5]], [[1.2, -0.2]], "shares of votes of 0 or more"),
        (js_divergence, [[3.0, -2.0]], [[0.5, 0.5]], "probabilities of 0 or more"),
        (entropy_correlation, [[0.6, 0.6]], [[0.5, 0.5]], "probabilities .* sum to 1"),
        (dirichlet_multinomial, [[0.6, 0.6]], [[3, 1]], "probabilities .* sum to 1"),
        (partial(top_k, k=0), [[0.5, 0.5]], [0], "k=0"),
        (partial(top_k, k=-1), [[0.5, 0.5]], [0], "k=-1"),
    ],
)
def test_what_does_not_belong_together_is_refused(
    score: Callable[..., object], probs: list, target: list, message: str
) -> None:
    with pytest.raises(DferError, match=message):
        score(probs, target)
