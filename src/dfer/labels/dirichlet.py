"""Priors over the emotions of a clip that are learned from other clips' votes: one Dirichlet, or a mixture of some.

The votes of a clip are drawn from a distribution of its own, and those distributions from the prior: counts are then
Dirichlet-multinomial. alpha (K,) holds the prior's shares and its strength at once: alpha / sum(alpha) is what is
expected of a clip that nobody saw, sum(alpha) is how many votes that weighs. A single Dirichlet says the same of
every clip; a mixture knows kinds of clips, clear ones of each emotion and blends of some, and the votes tell which
kind a clip is likely to be. Votes are whole numbers here.

References:
    Minka, "Estimating a Dirichlet distribution", 2000 (revised 2012), eq. 55: the fixed point for Dirichlet-multinomial
    counts. It finds the shares of alpha quickly and its strength slowly where voters differ little more than by chance.
    So for a single Dirichlet the likeliest strength is looked for after each step.
    Levin and Reeds, "Compound multinomial likelihood functions are unimodal", Annals of Statistics 5, 1977: there is
    one likeliest strength.
    Sjölander et al., "Dirichlet mixtures: a method for improved detection of weak but significant protein sequence
    homology", CABIOS 1996: mixtures of Dirichlets as priors over counts, by expectation-maximisation.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.optimize import brentq
from scipy.special import gammaln, psi

from dfer.errors import DferError
from dfer.labels.votes import check_votes

Floats = NDArray[np.float64]

STRENGTHS = (1e-3, 1e3)
"""The least and the most that a learned prior weighs, in votes. Votes that always agree (or no more than by chance)
have no best alpha, and beyond these limits the soft labels hardly change."""
PANELS = 100
"""A learned prior may weigh so many times the largest panel, where that is more than `STRENGTHS` allows."""
FLOOR = 1e-2
"""The least alpha of a mixture: no kind of clip rules an emotion out for good because its few clips did not show it."""
TOLERANCE, GAIN = 1e-9, 1e-5
"""Relative change of alpha, and gain of a clip's mean log-likelihood in nats, below which learning stops."""
STEPS, ROUNDS, ROUND_STEPS = 20_000, 300, 20
"""Most steps of the fixed point; most rounds of expectation-maximisation, and steps within one of them."""


@dataclass(frozen=True)
class Prior:
    """A mixture of M Dirichlets over K emotions; M = 1 is a single Dirichlet.

    Attributes:
        weights: (M,) how common each kind of clip is; sums to one.
        alphas: (M, K), in votes.
    """

    weights: Floats
    alphas: Floats

    @classmethod
    def single(cls, alpha: Floats) -> Prior:
        """One Dirichlet for all clips."""
        return cls(np.ones(1), np.asarray(alpha, dtype=np.float64)[None])

    def log_likelihoods(self, votes: Floats) -> Floats:
        """(N, M) log of how likely each kind makes each clip's votes, in one stated order of the voters."""
        counts = _Counts.of(votes)
        result = np.empty((len(votes), len(self.alphas)))
        for kind, alpha in enumerate(self.alphas):
            each, panels = _log_rising(alpha, counts.values), _log_rising(alpha.sum(keepdims=True), counts.totals)
            result[:, kind] = each[np.arange(len(alpha)), counts.place].sum(axis=1) - panels[0, counts.panel]
        return result

    def kinds(self, votes: Floats) -> Floats:
        """(N, M) the probability that a clip with these votes is of each kind; rows sum to one.

        Votes for an emotion that nobody chose when the prior was learned may be impossible under every kind. Then they
        say nothing of the kind.

        Raises:
            DferError: votes that are no whole counts.
        """
        joint = self._joint(_whole(votes))
        possible = np.isfinite(joint).any(axis=1, keepdims=True)
        return _normalised(np.where(possible, joint, np.log(self.weights.clip(1e-300))))

    def _joint(self, votes: Floats) -> Floats:
        """(N, M) log of how likely a clip is of a kind and has these votes."""
        return np.asarray(self.log_likelihoods(votes) + np.log(self.weights.clip(1e-300)))  # a kind may die out

    def mean(self, votes: Floats, kinds: Floats | None = None) -> Floats:
        """(N, K) what is expected of a clip given its votes: each kind's (n + alpha) / (N + sum alpha), weighted."""
        kinds = self.kinds(votes) if kinds is None else kinds
        means = np.stack([_shares(votes + alpha) for alpha in self.alphas], axis=1)
        return np.asarray((kinds[:, :, None] * means).sum(axis=1))


def learn_dirichlet(votes: ArrayLike) -> Prior:
    """The Dirichlet under which the votes are likeliest.

    Args:
        votes: (N, K) whole counts; clips without a vote say nothing.

    Returns:
        A prior of one kind. An emotion that nobody chose has alpha 0.

    Raises:
        DferError: no clip has two votes, which strength is learned from, or votes are no whole counts.

    >>> votes = np.array([[9, 1], [7, 3], [2, 8], [10, 0], [1, 9]])
    >>> learn_dirichlet(votes).alphas.round(3).tolist()
    [[0.794, 0.542]]
    """
    counts = _learnable(votes)
    return Prior.single(_fit(_Counts.of(counts), np.ones(len(counts)), np.ones(counts.shape[1])))


def learn_per_class(votes: ArrayLike) -> Prior:
    """A Dirichlet for the clips that voted most for each emotion; where there are none, that of all clips.

    A clip's votes then choose its prior and are weighed against it: they are used twice, so that the soft labels lean
    towards the most voted emotion. A mixture has the same purpose without that.

    Returns:
        A prior of K kinds; kind k belongs to emotion k.

    Raises:
        DferError: as `learn_dirichlet`.
    """
    counts = _learnable(votes)
    whole, member = learn_dirichlet(counts).alphas[0], most_voted(counts)
    several, occurring = counts.sum(axis=1) > 1, _Counts.of(counts)
    alphas = [_fit(occurring, mine, whole) if mine[several].any() else whole for mine in member.T]
    return Prior(member.mean(axis=0), np.array(alphas))


def learn_mixture(votes: ArrayLike, kinds: int) -> Prior:
    """The mixture of Dirichlets that makes the votes likeliest, as far as expectation-maximisation finds it.

    It starts from the clips by their two most voted emotions: a kind for each of the most frequent such pairs, and one
    for the rest. Nothing is drawn.

    Args:
        votes: (N, K) whole counts; clips without a vote say nothing.
        kinds: M, at most: there are no more than there are pairs.

    Raises:
        DferError: as `learn_dirichlet`, or fewer than one kind.
    """
    if kinds < 1:
        raise DferError(f"expected a mixture of one kind of clips or more, got {kinds}")
    counts = _learnable(votes)
    start = learn_dirichlet(counts).alphas[0].clip(FLOOR)
    rows, times = np.unique(counts, axis=0, return_counts=True)
    occurring, member, alphas, before = _Counts.of(rows), _by_pair(rows, times, kinds), None, -np.inf
    for _ in range(ROUNDS):
        starts = np.tile(start, (member.shape[1], 1)) if alphas is None else alphas
        alphas = np.array([_fit(occurring, times * of, a, FLOOR) for of, a in zip(member.T, starts, strict=True)])
        prior = Prior(times @ member / times.sum(), alphas)
        joint = prior._joint(rows)
        after = float(np.average(np.logaddexp.reduce(joint, axis=1), weights=times))
        if after - before < GAIN:
            break
        member, before = _normalised(joint), after
    return prior


def most_voted(votes: Floats) -> Floats:
    """(N, K) one for the most voted emotion, divided among equals."""
    return _shares((votes == votes.max(axis=1, keepdims=True)).astype(np.float64))


def _by_pair(votes: Floats, times: NDArray[np.int64], kinds: int) -> Floats:
    """(N, M) one-hot: the pair of the most voted emotions, if it is one of the M - 1 most frequent, else the rest."""
    first, second = np.argsort(-votes, axis=1, kind="stable")[:, : min(2, votes.shape[1])].T[[0, -1]]
    pair = first * votes.shape[1] + second
    frequent = np.argsort(-np.bincount(pair, times), kind="stable")[: kinds - 1]
    member = pair[:, None] == frequent
    every = np.column_stack([member, ~member.any(axis=1)])
    return np.asarray(every[:, every.any(axis=0)], dtype=np.float64)


class _Counts(NamedTuple):
    """Votes by the counts that occur, so that a function of them is worked out once for each."""

    values: Floats
    """(V,) the counts of an emotion that occur."""
    place: NDArray[np.int64]
    """(N, K) where in `values` each count is."""
    totals: Floats
    """(T,) the numbers of votes that occur."""
    panel: NDArray[np.int64]
    """(N,) where in `totals` each clip's number is."""

    @classmethod
    def of(cls, votes: Floats) -> _Counts:
        values, place = np.unique(votes, return_inverse=True)
        totals, panel = np.unique(votes.sum(axis=1), return_inverse=True)
        return cls(values, place.reshape(votes.shape), totals, panel)


def _fit(counts: _Counts, weights: Floats, start: Floats, floor: float = 0.0) -> Floats:
    """(K,) alpha by Minka's fixed point, each clip counting as much as `weights` (N,) says.

    Above a floor a few steps are made; without one as many as it takes, each to the likeliest strength.
    """
    each = np.stack([np.bincount(column, weights, len(counts.values)) for column in counts.place.T]).astype(np.float64)
    panels = np.bincount(counts.panel, weights, len(counts.totals))[None].astype(np.float64)
    limits = STRENGTHS[0], max(STRENGTHS[1], PANELS * counts.totals[-1])

    def pulls(alpha: Floats) -> tuple[Floats, Floats]:
        """What draws alpha up (K,) and down (1,): the two parts of the log-likelihood's derivative."""
        return _slopes(alpha, counts.values, each), _slopes(alpha.sum(keepdims=True), counts.totals, panels)

    def stronger(log_strength: float, shares: Floats) -> float:
        """The derivative of the log-likelihood by the logarithm of the strength."""
        alpha = np.exp(log_strength) * shares
        up, down = pulls(alpha)
        return float(alpha @ up - alpha.sum() * down[0])

    alpha = start
    for _ in range(ROUND_STEPS if floor else STEPS):
        up, down = pulls(alpha)
        after = (alpha * up / down.clip(1e-300)).clip(floor)
        shares = after / after.sum()
        strength = after.sum().clip(*limits) if floor else _strength(partial(stronger, shares=shares), limits)
        after = shares * strength
        done = np.abs(after - alpha).max() <= TOLERANCE * after.max()
        alpha = after
        if done:
            break
    return np.asarray(alpha)


def _strength(stronger: Callable[[float], float], limits: tuple[float, float]) -> float:
    """The strength at which the derivative `stronger` is 0, or the limit to which it leads."""
    low, high = np.log(limits)
    if stronger(low) <= 0:
        return limits[0]
    if stronger(high) >= 0:
        return limits[1]
    return float(np.exp(brentq(stronger, low, high, xtol=1e-12)))


def _slopes(alpha: Floats, values: Floats, weights: Floats) -> Floats:
    """(K,) the derivative of `_log_rising` by alpha, summed over the values with their weights (K, V)."""
    above = np.where(alpha > 0, alpha, 1.0)[:, None]  # an emotion that nobody chose has no weights either
    return np.asarray((weights * (psi(above + values) - psi(above))).sum(axis=1))


def _log_rising(alpha: Floats, values: Floats) -> Floats:
    """(K, V) log of alpha (alpha + 1) ... (alpha + n - 1) for n in `values`; -inf where alpha is 0 and n is not."""
    above = np.where(alpha > 0, alpha, 1.0)[:, None]
    return np.where((alpha[:, None] > 0) | (values == 0), gammaln(above + values) - gammaln(above), -np.inf)


def _normalised(logs: Floats) -> Floats:
    """Rows of logs as rows that sum to one."""
    return _shares(np.exp(logs - logs.max(axis=1, keepdims=True)))


def _shares(rows: Floats) -> Floats:
    return np.asarray(rows / rows.sum(axis=1, keepdims=True))


def _learnable(votes: ArrayLike) -> Floats:
    """The clips with a vote; raises when alpha cannot be learned from them."""
    counts = _whole(votes)
    if not len(counts) or counts.sum(axis=1).max() < 2:
        raise DferError(
            f"none of {len(counts)} clips has two votes, so nothing shows how far voters differ; "
            'choose prior="uniform" or "class"'
        )
    return np.asarray(counts[counts.sum(axis=1) > 0])


def _whole(votes: ArrayLike) -> Floats:
    """Votes as whole counts (N, K)."""
    counts = check_votes(votes, allow_fractional=True)
    if (counts % 1 != 0).any():
        raise DferError('votes are fractional, and a learned prior needs whole counts; choose prior="class"')
    return counts
