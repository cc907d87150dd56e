"""Learned priors: maximum likelihood against scipy, known alpha from simulation, and what they do to soft labels."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy import optimize, special, stats

from dfer.errors import DferError
from dfer.labels import soft_labels
from dfer.labels.dirichlet import STRENGTHS, Prior, learn_dirichlet, learn_mixture, learn_per_class, most_voted

PANELS = arrays(np.int64, st.tuples(st.integers(2, 30), st.just(4)), elements=st.integers(0, 6)).filter(
    lambda votes: bool((votes.sum(axis=1) > 0).all() and (votes.sum(axis=1) > 1).any())
)


def drawn(alpha: list[float], clips: int, seed: int, panel: int = 10) -> np.ndarray:
    """Counts of clips whose distributions come from a Dirichlet."""
    generator = np.random.default_rng(seed)
    return generator.multinomial(panel, generator.dirichlet(alpha, clips)).astype(float)


def log_likelihood(alpha: np.ndarray, votes: np.ndarray) -> float:
    return float(stats.dirichlet_multinomial.logpmf(votes.astype(int), alpha, votes.astype(int).sum(axis=1)).sum())


def derivative(alpha: np.ndarray, votes: np.ndarray) -> np.ndarray:
    """Of a clip's mean log-likelihood, by log alpha."""
    own = special.psi(votes + alpha) - special.psi(alpha)
    shared = special.psi(votes.sum(axis=1) + alpha.sum()) - special.psi(alpha.sum())
    return np.asarray(alpha * (own - shared[:, None]).mean(axis=0))


@pytest.mark.parametrize("alpha", [[0.3, 0.2, 0.5], [4.0, 1.0, 2.0, 0.5]])
def test_the_learned_dirichlet_is_the_maximum_that_scipy_finds(alpha: list[float]) -> None:
    votes = drawn(alpha, 300, seed=1)
    found = optimize.minimize(lambda logs: -log_likelihood(np.exp(logs), votes), np.zeros(len(alpha)), tol=1e-10)
    assert np.allclose(learn_dirichlet(votes).alphas[0], np.exp(found.x), rtol=1e-4)


def test_panels_of_any_size_are_taken_as_they_are() -> None:
    votes = np.vstack([drawn([0.5, 1.0, 0.3], 150, 2, panel) for panel in (1, 3, 12, 60)])
    found = optimize.minimize(lambda logs: -log_likelihood(np.exp(logs), votes), np.zeros(3), tol=1e-10)
    assert np.allclose(learn_dirichlet(votes).alphas[0], np.exp(found.x), rtol=1e-4)


@pytest.mark.parametrize(
    ("strength", "clips", "panel", "emotions"),
    [(0.3, 50, 10, 3), (30, 60, 12, 7), (300, 2000, 10, 7), (200, 100, 10, 40)],
)
def test_no_alpha_is_likelier_even_where_voters_differ_hardly_more_than_by_chance(
    strength: float, clips: int, panel: int, emotions: int
) -> None:
    votes = drawn([strength / emotions] * emotions, clips, seed=15, panel=panel)
    alpha = learn_dirichlet(votes).alphas[0]
    assert STRENGTHS[0] * 1.01 < alpha.sum() < STRENGTHS[1] * 0.99
    assert np.abs(derivative(alpha, votes)).max() < 1e-8


def test_the_strength_may_grow_with_the_panel_and_counts_may_be_huge() -> None:
    fair = np.random.default_rng(13).multinomial(100_000, [0.5, 0.3, 0.2], 200)  # voters differ by chance alone
    soft = soft_labels([[600, 400, 0]], "dirichlet", prior="learned", learned_from=fair)
    assert np.allclose(soft, [[0.5, 0.3, 0.2]], atol=0.003)
    millions = drawn([0.6, 0.3, 0.9], 100, seed=14, panel=1000) * 1_000_000
    assert np.abs(derivative(learn_dirichlet(millions).alphas[0], millions)).max() < 1e-6


def test_votes_for_an_emotion_that_the_prior_never_saw_count_as_they_are() -> None:
    seen, clip = drawn([0.5, 0.8], 60, seed=15), np.array([[0.0, 0.0, 3.0]])
    seen = np.hstack([seen, np.zeros((60, 1))])
    alpha = learn_dirichlet(seen).alphas[0]
    soft = soft_labels(clip, "dirichlet", prior="learned", learned_from=seen)
    assert np.allclose(soft, (clip + alpha) / (3 + alpha.sum()))
    two = Prior(np.array([0.3, 0.7]), np.array([[1.0, 1.0, 0.0], [2.0, 5.0, 0.0]]))
    assert np.allclose(two.kinds(clip), [[0.3, 0.7]])


@pytest.mark.parametrize("learn", [learn_dirichlet, learn_per_class, lambda votes: learn_mixture(votes, 3)])
def test_clips_without_a_vote_teach_nothing(learn: Callable[[np.ndarray], Prior]) -> None:
    votes = drawn([0.5, 1.0, 0.7], 40, seed=16)
    alone, among = learn(votes), learn(np.vstack([votes, np.zeros((200, 3))]))
    assert np.allclose(alone.alphas, among.alphas) and np.allclose(alone.weights, among.weights)


@pytest.mark.parametrize("kinds", [2, 8])
def test_every_round_of_the_mixture_raises_the_likelihood(monkeypatch: pytest.MonkeyPatch, kinds: int) -> None:
    votes, reached = drawn([0.5] * 4, 120, seed=17), []
    counts = votes.astype(int)
    for rounds in range(1, 15):
        monkeypatch.setattr("dfer.labels.dirichlet.ROUNDS", rounds)
        prior = learn_mixture(votes, kinds)
        by_kind = np.stack([stats.dirichlet_multinomial.logpmf(counts, alpha, 10) for alpha in prior.alphas], axis=1)
        reached.append(special.logsumexp(by_kind, axis=1, b=prior.weights).mean())
    assert np.diff(reached).min() > -1e-9 and reached[-1] > reached[0]


@pytest.mark.parametrize("value", [np.nan, np.inf, -1.0])
def test_votes_that_cannot_be_are_named_as_what_they_are(value: float) -> None:
    words = {"nan": "NaN", "inf": "infinite", "-1.0": "negative"}[str(value)]
    with pytest.raises(DferError, match=f"1 of 2 clips have votes that are {words}"):
        learn_dirichlet([[3, 1], [value, 2]])


def test_a_known_alpha_is_recovered_from_many_clips() -> None:
    alpha = [0.6, 0.25, 1.2, 0.1]
    assert np.allclose(learn_dirichlet(drawn(alpha, 20_000, seed=3)).alphas[0], alpha, rtol=0.05)


def test_votes_that_always_agree_give_next_to_no_prior_and_those_of_one_coin_a_strong_one() -> None:
    unanimous = np.repeat(10 * np.eye(3), 20, axis=0)
    assert learn_dirichlet(unanimous).alphas.sum() == pytest.approx(STRENGTHS[0], rel=0.2)
    equal = np.tile([[5.0, 5.0]], (50, 1))
    assert learn_dirichlet(equal).alphas.sum() == pytest.approx(STRENGTHS[1])


def test_an_emotion_that_nobody_chose_gets_no_share_of_the_learned_prior() -> None:
    votes = np.hstack([drawn([0.5, 0.5], 50, seed=4), np.zeros((50, 1))])
    assert learn_dirichlet(votes).alphas[0, 2] == 0


def test_a_prior_is_not_learned_from_single_or_fractional_votes() -> None:
    with pytest.raises(DferError, match="none of 3 clips has two votes"):
        learn_dirichlet(np.eye(3))
    with pytest.raises(DferError, match="fractional"):
        learn_dirichlet(np.array([[1.5, 2.5]]))
    with pytest.raises(DferError, match="fractional"):
        soft_labels([[1.5, 2.0]], "dirichlet", prior="mixture", learned_from=[[3, 1], [1, 4]], allow_fractional=True)


def test_likelihoods_of_a_prior_are_those_of_scipy_but_for_the_orders_of_the_voters() -> None:
    votes, prior = drawn([0.5, 1, 2], 20, seed=5), Prior(np.array([0.3, 0.7]), np.array([[0.2, 3, 1], [5, 0.5, 0.5]]))
    orders = special.gammaln(11) - special.gammaln(votes + 1).sum(axis=1)
    for kind, alpha in enumerate(prior.alphas):
        wanted = stats.dirichlet_multinomial.logpmf(votes.astype(int), alpha, 10) - orders
        assert np.allclose(prior.log_likelihoods(votes)[:, kind], wanted)


def test_the_posterior_mean_of_a_mixture_is_that_of_sampling_from_it() -> None:
    prior = Prior(np.array([0.4, 0.6]), np.array([[4.0, 1.0, 0.5], [0.3, 0.3, 2.0]]))
    votes, generator = np.array([[3.0, 1.0, 2.0]]), np.random.default_rng(0)
    kinds = generator.choice(2, 400_000, p=prior.weights)
    gammas = generator.standard_gamma(prior.alphas[kinds])
    shares = gammas / gammas.sum(axis=1, keepdims=True)
    weights = np.prod(shares ** votes[0], axis=1)
    assert np.allclose(prior.mean(votes)[0], weights @ shares / weights.sum(), atol=3e-3)


def test_a_mixture_of_one_is_the_single_dirichlet() -> None:
    votes = drawn([0.5, 0.8, 0.3], 400, seed=6)
    assert np.allclose(learn_mixture(votes, 1).alphas, learn_dirichlet(votes).alphas, rtol=1e-2)


def test_a_mixture_finds_kinds_of_clips_and_comes_closer_to_the_truth_than_one_prior_or_none() -> None:
    generator = np.random.default_rng(7)
    kinds = np.array([[20, 1, 1, 1], [1, 20, 1, 1], [1, 1, 20, 1], [0.5, 0.5, 10, 10]])
    truth = np.vstack([generator.dirichlet(alpha, 400) for alpha in kinds])
    votes = generator.multinomial(10, truth).astype(float)
    off = {
        prior: special.rel_entr(truth, soft_labels(votes, "dirichlet", prior=prior).clip(1e-12)).sum(axis=1).mean()
        for prior in ("uniform", "learned", "per_class", "mixture")
    }
    assert off["mixture"] < off["per_class"] < off["learned"] and off["mixture"] < 0.7 * off["learned"]
    prior, counts = learn_mixture(votes, 8), votes.astype(int)
    by_kind = np.stack([stats.dirichlet_multinomial.logpmf(counts, alpha, 10) for alpha in prior.alphas], axis=1)
    assert special.logsumexp(by_kind, axis=1, b=prior.weights).sum() > log_likelihood(
        learn_dirichlet(votes).alphas[0], votes
    )


def test_per_class_priors_are_those_of_the_clips_that_voted_most_for_the_class() -> None:
    votes = np.vstack([drawn([5, 1, 1], 200, 8), drawn([1, 6, 0.5], 200, 9), drawn([0.5, 1, 9], 200, 10)])
    votes = votes[most_voted(votes).max(axis=1) == 1]  # no ties
    top = votes.argmax(axis=1)
    soft = soft_labels(votes, "dirichlet", prior="per_class")
    for emotion in range(3):
        mine = votes[top == emotion]
        alpha = learn_dirichlet(mine).alphas[0]
        assert np.allclose(soft[top == emotion], (mine + alpha) / (10 + alpha.sum()), rtol=1e-4)


def test_a_tied_clip_takes_the_mean_of_its_classes_priors_and_a_class_without_clips_that_of_all() -> None:
    votes = np.array([[6, 4, 0], [7, 3, 0], [2, 8, 0], [3, 7, 0], [5, 5, 0], [9, 0, 1]], dtype=float)
    prior = learn_per_class(votes)
    assert np.allclose(prior.alphas[2], learn_dirichlet(votes).alphas[0])
    single = [Prior.single(alpha).mean(votes[4:5])[0] for alpha in prior.alphas[:2]]
    assert np.allclose(soft_labels(votes, "dirichlet", prior="per_class")[4], np.mean(single, axis=0))


def test_what_is_learned_comes_from_the_votes_that_are_named() -> None:
    train, clip = drawn([0.3, 3.0], 500, seed=11), [[5, 5]]
    alpha = learn_dirichlet(train).alphas[0]
    soft = soft_labels(clip, "dirichlet", prior="learned", learned_from=train)
    assert np.allclose(soft, (np.array(clip) + alpha) / (10 + alpha.sum()))
    pooled = soft_labels(clip, "dirichlet", prior="class", strength=4, learned_from=train)
    assert np.allclose(pooled, (np.array(clip) + 4 * train.sum(axis=0) / train.sum()) / 14)


def test_a_learned_prior_takes_no_strength_and_a_mixture_no_kinds_below_zero() -> None:
    with pytest.raises(DferError, match='"learned" brings its own strength, got strength=2'):
        soft_labels([[3, 1]], "dirichlet", prior="learned", strength=2)
    with pytest.raises(DferError, match="kinds"):
        soft_labels([[3, 1]], "dirichlet", prior="mixture", kinds=-1)
    with pytest.raises(DferError, match="one kind of clips or more"):
        learn_mixture(np.array([[3.0, 1.0]]), 0)


@pytest.mark.parametrize("prior", ["learned", "per_class", "mixture"])
@settings(max_examples=30)
@given(votes=PANELS)
def test_learned_soft_labels_are_distributions_whatever_the_votes(prior: str, votes: np.ndarray) -> None:
    soft = soft_labels(votes, "dirichlet", prior=prior)
    assert np.isfinite(soft).all() and (soft >= 0).all() and np.allclose(soft.sum(axis=1), 1)


@settings(max_examples=20)
@given(votes=PANELS)
def test_the_order_of_the_clips_changes_nothing(votes: np.ndarray) -> None:
    there, here = (soft_labels(rows, "dirichlet", prior="mixture", kinds=3) for rows in (votes[::-1], votes))
    assert np.allclose(there[::-1], here, atol=1e-8)
