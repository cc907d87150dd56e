"""From votes to targets: named rules for soft labels.

Conventions: `votes (N, K)` are counts, one row a clip, one column an emotion. A soft label is a float64 row that sums
to one. A row that a rule discards is all NaN, so that it cannot pass for a target.

References:
    Barsoum, Zhang, Canton Ferrer and Zhang, "Training deep networks for facial expression recognition with
    crowd-sourced label distribution", ICMI 2016: FER+ and its outlier rule.
    See `dirichlet` for learned priors.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from dfer.errors import DferError, listed, require_known
from dfer.labels.dirichlet import learn_dirichlet, learn_mixture, learn_per_class, most_voted
from dfer.labels.votes import (
    Ids,
    check_votes,
    hard_labels,
    in_range,
    one_hot,
    refuse_clips,
    refuse_empty,
    smooth_labels,
    without_lone_votes,
)

Floats = NDArray[np.float64]

TOLERANCE = 1e-6
"""How far the sum of a soft label that is handed over may be from one."""
PRIORS = ("uniform", "class", "learned", "per_class", "mixture")
"""What `dirichlet` knows by name; strength comes with the last three."""


def soft_labels(
    votes: ArrayLike,
    rule: str = "frequency",
    *,
    ids: Ids = None,
    allow_fractional: bool = False,
    **options: Any,
) -> Floats:
    """Targets by a named rule.

    Args:
        votes: (N, K) counts.
        rule: a key of `RULES`: frequency, dirichlet, softmax, ferplus, weighted, given, smooth or hard.
        ids: N names of clips for messages.
        allow_fractional: accept published distributions or weighted votes.
        **options: the rule's own options, as its function documents them.

    Returns:
        (N, K) float64; rows sum to one, a row that the rule discards is all NaN.

    Raises:
        DferError: votes that cannot be, a clip without a vote, or a rule or option that does not exist.

    >>> soft_labels([[6, 4, 0]]).tolist()
    [[0.6, 0.4, 0.0]]
    >>> soft_labels([[6, 4, 0]], "dirichlet", strength=2.0, prior=[0.5, 0.25, 0.25]).round(3).tolist()
    [[0.583, 0.375, 0.042]]
    """
    require_known("no soft-label rule", rule, RULES)
    parameters = inspect.signature(RULES[rule]).parameters
    known = [name for name in parameters if name not in ("votes", "ids")]
    for option in options:
        require_known(f"the soft-label rule {rule} has no option", option, known)
    lacking = [name for name in known if parameters[name].default is inspect.Parameter.empty and name not in options]
    if lacking:
        raise DferError(f"soft-label rule '{rule}' needs {listed(lacking)} (N, K), a row for each clip")
    table = check_votes(votes, ids, allow_fractional=allow_fractional)
    refuse_empty(table, options.get("other"), ids)
    return RULES[rule](table, **({"ids": ids} if "ids" in parameters else {}), **options)


def frequency(votes: Floats) -> Floats:
    """The share of each emotion: n_k / N."""
    shares: Floats = votes / votes.sum(axis=1, keepdims=True)
    return shares


def dirichlet(
    votes: Floats,
    *,
    strength: float | None = None,
    prior: str | Sequence[float] | Floats = "uniform",
    kinds: int = 0,
    learned_from: ArrayLike | None = None,
) -> Floats:
    """The posterior mean of a Dirichlet prior: (n_k + strength prior_k) / (N + strength).

    Args:
        votes: (N, K) counts.
        strength: the weight of the prior, in votes; 1 by default, and 0 is `frequency`. A learned prior brings its
            own.
        prior: K shares that sum to one, or "uniform" (1/K each), "class" (each emotion's share of all votes), "learned"
            (the Dirichlet that makes all votes likeliest), "per_class" (such a Dirichlet for the clips that voted most
            for each emotion; it uses a clip's votes twice), "mixture" (a mixture of Dirichlets, one for each kind of
            clip, and the votes say how likely a clip is of each kind).
        kinds: the greatest number of kinds of clips in the mixture; 0 is two for each emotion.
        learned_from: (M, K) the votes that "class" and its followers are learned from, such as those of the training
            part; by default these.

    Raises:
        DferError: options out of range, or votes that nothing can be learned from.
    """
    source = votes if learned_from is None else check_votes(learned_from, allow_fractional=True)
    in_range("kinds", kinds, 0, 1000)
    if kinds and not (isinstance(prior, str) and prior == "mixture"):
        raise DferError(
            f'kinds={kinds!r} is of the prior "mixture" and does nothing with prior={prior!r}; leave it out'
        )
    if isinstance(prior, str) and prior in PRIORS[2:]:
        if strength is not None:
            raise DferError(f'the prior "{prior}" brings its own strength, got strength={strength!r}; leave it out')
        return _learned(votes, prior, kinds, source)
    weight = 1.0 if strength is None else strength
    in_range("strength", weight, 0.0, np.inf)
    return frequency(votes + weight * _shares_of(prior, source))


def _learned(votes: Floats, prior: str, kinds: int, source: Floats) -> Floats:
    """Posterior means under a prior that is learned from `source`."""
    if prior == "mixture":
        return learn_mixture(source, int(kinds) or 2 * votes.shape[1]).mean(votes)
    if prior == "learned":
        return learn_dirichlet(source).mean(votes)
    return learn_per_class(source).mean(votes, kinds=most_voted(votes))


def _shares_of(prior: str | Sequence[float] | Floats, source: Floats) -> Floats:
    """(K,) the shares that `prior` stands for."""
    classes = source.shape[1]
    if isinstance(prior, str):
        require_known("prior cannot be", prior, PRIORS)
        pooled = np.ones(classes) if prior == "uniform" or not len(source) else source.sum(axis=0)
        return np.asarray(pooled / pooled.sum())
    shares = np.asarray(prior, dtype=np.float64)
    if shares.shape != (classes,) or not (shares >= 0).all() or not np.isclose(shares.sum(), 1.0):
        raise DferError(f"prior must be one of {listed(PRIORS)}, or {classes} shares of sum one, got {prior!r}")
    return shares


def softmax(votes: Floats, *, temperature: float = 1.0, of: str = "counts") -> Floats:
    """exp(x_k / temperature), normalised, where x are the counts or the shares of the votes.

    It matters which: ten equal votes of seven emotions become 1.000 of counts, but 0.312 of shares.

    Args:
        votes: (N, K) counts.
        temperature: of the softmax, above 0; a higher one gives flatter targets.
        of: "counts" or "frequency".
    """
    in_range("temperature", temperature, 1e-6, np.inf)
    require_known("of cannot be", of, ("counts", "frequency"))
    raw = votes if of == "counts" else frequency(votes)
    return frequency(np.exp((raw - raw.max(axis=1, keepdims=True)) / temperature))


def ferplus(votes: Floats, *, other: ArrayLike | None = None) -> Floats:
    """FER+: lone votes are outliers; a clip whose top answer is no emotion is discarded; shares of the rest.

    Its authors' reader trims further when it trains on distributions (it stops at the most voted emotions
    that hold three quarters of the votes, three at most); here every emotion with two votes stays.

    Args:
        votes: (N, K) counts.
        other: (N, M) votes that name no emotion (FER+: unknown, not a face); of equal tops an emotion wins.
    """
    kept, kept_other = without_lone_votes(votes, other)
    top_other = kept_other.max(axis=1, initial=0.0)
    total = kept.sum(axis=1, keepdims=True)
    discarded = (kept.max(axis=1) < top_other) | (total[:, 0] == 0)
    return np.where(discarded[:, None], np.nan, kept / np.where(total > 0, total, 1.0))


def weighted(votes: Floats, *, weights: ArrayLike, ids: Ids = None) -> Floats:
    """n_k w_k over their sum: votes that count as much as the voters' own grading of what they saw.

    A clip whose voters all saw nothing (weights of 0) is discarded.

    Args:
        votes: (N, K) counts.
        weights: (N, K), 0 or more, such as the mean intensity of those who voted for the emotion (CREMA-D's levels);
            may be NaN where nobody did.
        ids: N names of clips for messages.
    """
    strengths = _beside("weights", weights, votes)
    advice = 'use the rule "frequency"'
    refuse_clips((votes > 0) & ~(strengths >= 0), "have votes without a weight of 0 or more", advice, ids)
    refuse_clips((votes > 0) & np.isinf(strengths), "have votes with an infinite weight", advice, ids)
    graded = np.where(votes > 0, votes * strengths, 0.0)
    total = graded.sum(axis=1, keepdims=True)
    return graded / np.where(total > 0, total, np.nan)


def given(votes: Floats, *, soft: ArrayLike, weight: float = 1.0, ids: Ids = None) -> Floats:
    """A distribution that somebody else made: weight soft + (1 - weight) frequency; discarded where there is none.

    Args:
        votes: (N, K) counts, or one-hot rows where there is only a label.
        soft: (N, K) rows that sum to one, or are NaN: a published distribution, raters' posterior, models' estimate.
        weight: of `soft`, 0 to 1.
        ids: N names of clips for messages.
    """
    in_range("weight", weight, 0.0, 1.0)
    rows = _beside("soft", soft, votes)
    is_one = (rows >= 0).all(axis=1) & (np.abs(rows.sum(axis=1) - 1) <= TOLERANCE)
    wrong = ~is_one & ~np.isnan(rows).all(axis=1)
    advice = "give a row of shares of 0 or more, or a row of NaN where there is none"
    refuse_clips(wrong[:, None], "have soft labels that do not sum to one", advice, ids)
    return weight * rows + (1.0 - weight) * frequency(votes)


def _beside(name: str, values: ArrayLike, votes: Floats) -> Floats:
    """A table that goes with the votes, row by row."""
    table = np.asarray(values, dtype=np.float64)
    if table.shape != votes.shape:
        raise DferError(f"expected {name} of the votes' shape {votes.shape}, got {table.shape}")
    return table


def smooth(votes: Floats, *, epsilon: float = 0.1, ties: str = "error", ids: Ids = None) -> Floats:
    """Label smoothing of the most voted emotion; `ties` as in `hard_labels`, "drop" discards the row."""
    return smooth_labels(hard(votes, ties=ties, ids=ids), epsilon)


def hard(votes: Floats, *, ties: str = "error", ids: Ids = None) -> Floats:
    """One-hot of the most voted emotion; `ties` as in `hard_labels`, "drop" discards the row."""
    return one_hot(hard_labels(votes, ties, ids=ids), votes.shape[1])


RULES: dict[str, Callable[..., Floats]] = {
    "frequency": frequency,
    "dirichlet": dirichlet,
    "softmax": softmax,
    "ferplus": ferplus,
    "weighted": weighted,
    "given": given,
    "smooth": smooth,
    "hard": hard,
}
"""Soft-label rules by name; each takes votes that `check_votes` has passed, and its own options."""
