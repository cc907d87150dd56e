"""Priors over the emotions of a clip that are learned from other clips' votes: one Dirichlet, or a mixture of some.

The votes of a clip are drawn from a distribution of its own, and those distributions from the prior: counts are then
Dirichlet-multinomial. alpha (K,) holds the prior's shares and its strength at once: alpha / sum(alpha) is what is
expected of a clip that nobody saw, sum(alpha) is how many votes that weighs. A single Dirichlet says the same of
every clip; a mixture knows kinds of clips, clear ones of each emotion and blends of some, and the votes tell which
kind a clip is likely to be. Votes are whole numbers here.

References:
    Minka, "Estimating a Dirichlet distribution", 2000 (revised 2012), eq. 55: the fixed point for Dirichlet-multinomial
    counts. With whole counts its differences of digamma functions are sums of 1 / (alpha + j), so the counts need not
    be kept, only how many clips have more than j votes.
    Sjölander et al., "Dirichlet mixtures: a method for improved detection of weak but significant protein sequence
    homology", CABIOS 1996: mixtures of Dirichlets as priors over counts, by expectation-maximisation.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dfer.errors import DferError

Floats = NDArray[np.float64]

STRENGTHS = (1e-3, 1e3)
"""What a learned prior may weigh, in votes: beyond, votes that agree always (or no more than by chance) have no best
alpha, and the soft labels no longer change."""
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
        counts = votes.astype(np.int64)
        top = int(counts.sum(axis=1).max(initial=0))
        result = np.empty((len(votes), len(self.alphas)))
        for kind, alpha in enumerate(self.alphas):
            each, both = _log_rising(alpha, top), _log_rising(alpha.sum(keepdims=True), top)
            result[:, kind] = each[np.arange(len(alpha)), counts].sum(axis=1) - both[0, counts.sum(axis=1)]
        return result

    def kinds(self, votes: Floats) -> Floats:
        """(N, M) the probability that a clip with these votes is of each kind; rows sum to one.

        Raises:
            DferError: fractional votes.
        """
        _refuse_fractional(votes)
        return _normalised(self._joint(votes))

    def _joint(self, votes: Floats) -> Floats:
        """(N, M) log of how likely a clip is of a kind and has these votes."""
        return np.asarray(self.log_likelihoods(votes) + np.log(self.weights.clip(1e-300)))  # a kind may die out

    def mean(self, votes: Floats, kinds: Floats | None = None) -> Floats:
        """(N, K) what is expected of a clip given its votes: each kind's (n + alpha) / (N + sum alpha), weighted."""
        kinds = self.kinds(votes) if kinds is None else kinds
        means = np.stack([_shares(votes + alpha) for alpha in self.alphas], axis=1)
        return np.asarray((kinds[:, :, None] * means).sum(axis=1))


def learn_dirichlet(votes: Floats) -> Prior:
    """The Dirichlet under which the votes are likeliest.

    Args:
        votes: (N, K) whole counts.

    Returns:
        A prior of one kind. An emotion that nobody chose has alpha 0.

    Raises:
        DferError: no clip has two votes, which strength is learned from, or votes are fractional.

    >>> votes = np.array([[9, 1], [7, 3], [2, 8], [10, 0], [1, 9]])
    >>> learn_dirichlet(votes).alphas.round(3).tolist()
    [[0.794, 0.542]]
    """
    _check(votes)
    return Prior.single(_fit(votes, np.ones(len(votes)), np.ones(votes.shape[1]), STEPS))


def learn_per_class(votes: Floats) -> Prior:
    """A Dirichlet for the clips that voted most for each emotion; where there are none, that of all clips.

    A clip's votes then choose its prior and are weighed against it: they are used twice, so that the soft labels lean
    towards the most voted emotion. A mixture has the same purpose without that.

    Returns:
        A prior of K kinds; kind k belongs to emotion k.

    Raises:
        DferError: as `learn_dirichlet`.
    """
    whole, member = learn_dirichlet(votes).alphas[0], most_voted(votes)
    several = votes.sum(axis=1) > 1
    alphas = [_fit(votes, mine, whole, STEPS) if mine[several].any() else whole for mine in member.T]
    return Prior(member.mean(axis=0), np.array(alphas))


def learn_mixture(votes: Floats, kinds: int) -> Prior:
    """The mixture of Dirichlets that makes the votes likeliest, as far as expectation-maximisation finds it.

    It starts from the clips by their two most voted emotions: a kind for each of the most frequent such pairs, and one
    for the rest. Nothing is drawn.

    Args:
        votes: (N, K) whole counts.
        kinds: M, at most: there are no more than there are pairs.

    Raises:
        DferError: as `learn_dirichlet`, or fewer than one kind.
    """
    if kinds < 1:
        raise DferError(f"expected a mixture of one kind of clips or more, got {kinds}")
    start = learn_dirichlet(votes).alphas[0].clip(FLOOR)
    rows, times = np.unique(votes, axis=0, return_counts=True)
    member, alphas, before = _by_pair(rows, times, kinds), None, -np.inf
    for _ in range(ROUNDS):
        starts = np.tile(start, (member.shape[1], 1)) if alphas is None else alphas
        alphas = np.array(
            [_fit(rows, times * of, begin, ROUND_STEPS, FLOOR) for of, begin in zip(member.T, starts, strict=True)]
        )
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


def _fit(votes: Floats, weights: Floats, start: Floats, steps: int, floor: float = 0.0) -> Floats:
    """(K,) alpha by Minka's fixed point, each clip counting as much as `weights` (N,) says."""
    each = np.stack([_more_than(column, weights, int(votes.max())) for column in votes.T])
    total = _more_than(votes.sum(axis=1), weights, int(votes.sum(axis=1).max()))
    alpha, more, most = start, np.arange(each.shape[1]), np.arange(len(total))
    for _ in range(steps):
        voted = np.divide(each, alpha[:, None] + more, out=np.zeros_like(each), where=each > 0).sum(axis=1)
        after = (alpha * voted / max((total / (alpha.sum() + most)).sum(), 1e-300)).clip(floor)
        after *= np.clip(after.sum(), *STRENGTHS) / after.sum()
        done = np.abs(after - alpha).max() <= TOLERANCE * after.max()
        alpha = after
        if done:
            break
    return alpha


def _more_than(counts: Floats, weights: Floats, top: int) -> Floats:
    """(top,) the weight of the clips whose count is more than 0, 1, ... top - 1."""
    having = np.bincount(counts.astype(np.int64), weights, minlength=top + 1)
    return np.asarray(having[::-1].cumsum()[::-1][1:])


def _log_rising(alpha: Floats, top: int) -> Floats:
    """(K, top + 1) log of alpha (alpha + 1) ... (alpha + n - 1) for n = 0 ... top; -inf where alpha is 0."""
    with np.errstate(divide="ignore"):
        steps = np.log(alpha[:, None] + np.arange(top))
    return np.hstack([np.zeros((len(alpha), 1)), steps.cumsum(axis=1)])


def _normalised(logs: Floats) -> Floats:
    """Rows of logs as rows that sum to one."""
    return _shares(np.exp(logs - logs.max(axis=1, keepdims=True)))


def _shares(rows: Floats) -> Floats:
    return np.asarray(rows / rows.sum(axis=1, keepdims=True))


def _check(votes: Floats) -> None:
    """Raises when alpha cannot be learned from these votes."""
    if not len(votes) or votes.sum(axis=1).max() < 2:
        raise DferError(
            f"none of {len(votes)} clips has two votes, so nothing shows how far voters differ; "
            'choose prior="uniform" or "class"'
        )
    _refuse_fractional(votes)


def _refuse_fractional(votes: Floats) -> None:
    if (votes % 1 != 0).any():
        raise DferError('votes are fractional, and a learned prior needs whole counts; choose prior="class"')
