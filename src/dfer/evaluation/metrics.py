"""Scores of predictions against labels and against the votes: pure functions on arrays.

Conventions: `probs (N, K)` come first, then what they are judged against: `labels (N,)`, positions from 0 to
K - 1, or `shares (N, K)`, the votes of each clip divided by their number. The emotions are the K columns, so
the class list never shrinks to what happens to occur. Information is in nats, 0 log 0 = 0. The predicted
emotion is the most probable one, the first of equals. What is undefined (no clip, an emotion that no clip
shows) is NaN.

References:
    WAR (accuracy) and UAR (mean recall) as in Jiang et al., "DFEW: a large-scale database for recognizing
    dynamic facial expressions in the wild", ACM MM 2020. Where an emotion has no clip, its recall is
    undefined and UAR is the mean of the others; `recall` says which they are.
    Lin, "Divergence measures based on the Shannon entropy", IEEE Trans. Information Theory 1991:
    Jensen-Shannon divergence.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import rel_entr, xlogy
from scipy.stats import spearmanr

from dfer.errors import DferError, listed
from dfer.labels import entropy

Floats = NDArray[np.float64]
Labels = NDArray[np.int64]

EPSILON = 1e-12
"""Probabilities below this count as this in cross-entropy and KL: votes for what the model rules out cost at
most 27.6 nats, not infinity."""


def war(probs: ArrayLike, labels: ArrayLike) -> float:
    """Weighted average recall: the share of clips that are right, 0 to 1.

    >>> war([[0.8, 0.2], [0.6, 0.4], [0.3, 0.7]], [0, 1, 1])
    0.6666666666666666
    """
    rows, positions = against_labels(probs, labels)
    return _mean(rows.argmax(axis=1) == positions)


def uar(probs: ArrayLike, labels: ArrayLike) -> float:
    """Unweighted average recall: the mean of the recalls, 0 to 1, over the emotions that have a clip.

    >>> uar([[0.8, 0.2], [0.6, 0.4], [0.3, 0.7]], [0, 1, 1])
    0.75
    """
    recalls = recall(probs, labels)
    shown = recalls[~np.isnan(recalls)]
    return float(shown.mean()) if len(shown) else np.nan


def recall(probs: ArrayLike, labels: ArrayLike) -> Floats:
    """The share of each emotion's clips that are right, (K,); NaN for an emotion without a clip."""
    counts = confusion(probs, labels)
    clips = counts.sum(axis=1)
    return np.asarray(counts.diagonal() / np.where(clips > 0, clips, np.nan))


def confusion(probs: ArrayLike, labels: ArrayLike) -> NDArray[np.int64]:
    """Counts (K, K): the row is the true emotion, the column the predicted one."""
    rows, positions = against_labels(probs, labels)
    size = rows.shape[1]
    # counted here: scikit-learn's own refuses a table without clips, and a stratum may have none
    pairs = np.bincount(positions * size + rows.argmax(axis=1), minlength=size * size)
    return pairs.reshape(size, size).astype(np.int64)


def top_k(probs: ArrayLike, labels: ArrayLike, k: int = 2) -> float:
    """The share of clips whose label is among the k most probable emotions, 0 to 1.

    Equal probabilities are taken in the emotions' order, as in `war`, so that `top_k(k=1)` is `war`
    (scikit-learn's function of this name takes the last of equals).
    """
    rows, positions = against_labels(probs, labels)
    best = np.argsort(-rows, axis=1, kind="stable")[:, :k]
    return _mean((best == positions[:, None]).any(axis=1))


def cross_entropy(probs: ArrayLike, shares: ArrayLike) -> Floats:
    """-Σ y log p of each clip, (N,), in nats; p from `EPSILON` up. It is KL plus the votes' entropy."""
    rows, wanted = against_shares(probs, shares)
    return np.asarray(-xlogy(wanted, rows.clip(EPSILON)).sum(axis=1))


def kl_divergence(probs: ArrayLike, shares: ArrayLike) -> Floats:
    """KL(votes || prediction) = Σ y log(y / p) of each clip, (N,), in nats; p from `EPSILON` up.

    >>> kl_divergence([[0.5, 0.5], [0.3, 0.7]], [[1.0, 0.0], [0.3, 0.7]]).round(4).tolist()
    [0.6931, 0.0]
    """
    rows, wanted = against_shares(probs, shares)
    return np.asarray(rel_entr(wanted, rows.clip(EPSILON)).sum(axis=1).clip(0.0))  # rounding may fall below 0


def js_divergence(probs: ArrayLike, shares: ArrayLike) -> Floats:
    """Jensen-Shannon divergence of each clip, (N,), from 0 to log 2 = 0.69 nats; symmetric."""
    rows, wanted = against_shares(probs, shares)
    middle = (rows + wanted) / 2
    both = rel_entr(rows, middle) + rel_entr(wanted, middle)
    return np.asarray((both.sum(axis=1) / 2).clip(0.0, np.log(2)))


def brier(probs: ArrayLike, shares: ArrayLike) -> Floats:
    """Brier score Σ (p - y)² of each clip against its votes, (N,), from 0 to 2."""
    rows, wanted = against_shares(probs, shares)
    return np.asarray(np.square(rows - wanted).sum(axis=1))


def entropy_correlation(probs: ArrayLike, shares: ArrayLike) -> float:
    """Spearman's rank correlation of the predictions' entropy with the votes', -1 to 1.

    High when the model is in doubt where people disagree. NaN where either does not vary: nothing to rank.
    """
    rows, wanted = against_shares(probs, shares)
    # rounded, lest the noise of the last digits be ranked where entropies are really equal
    guessed, voted = entropy(rows).round(10), entropy(wanted).round(10)
    if len(rows) == 0 or np.ptp(guessed) == 0 or np.ptp(voted) == 0:
        return np.nan
    return float(spearmanr(guessed, voted).statistic)


def against_labels(probs: ArrayLike, labels: ArrayLike) -> tuple[Floats, Labels]:
    """Both as arrays that belong together.

    Raises:
        DferError: other shapes, NaN, or labels outside 0 ... K - 1 (so -1, no label, too).
    """
    rows, positions = _finite(probs), np.asarray(labels)
    if positions.shape != rows.shape[:1]:
        raise DferError(f"expected a label for each of {len(rows)} predictions, got shape {positions.shape}")
    wrong = np.unique(positions[(positions < 0) | (positions >= rows.shape[1])])
    if len(wrong):
        raise DferError(
            f"expected labels from 0 to {rows.shape[1] - 1}, got {listed(wrong)}; "
            "leave out the clips that have no label"
        )
    return rows, positions.astype(np.int64)


def against_shares(probs: ArrayLike, shares: ArrayLike) -> tuple[Floats, Floats]:
    """Both as arrays that belong together.

    Raises:
        DferError: other shapes, or NaN (a clip without votes: leave it out).
    """
    rows, wanted = _finite(probs), _finite(shares)
    if rows.shape != wanted.shape:
        raise DferError(f"expected shares of votes of shape {rows.shape}, as the predictions, got {wanted.shape}")
    return rows, wanted


def _finite(values: ArrayLike) -> Floats:
    rows = np.asarray(values, dtype=np.float64)
    if rows.ndim != 2 or rows.shape[1] == 0:
        raise DferError(f"expected rows (N, K), one a clip and a column an emotion, got shape {rows.shape}")
    wrong = np.flatnonzero(~np.isfinite(rows).all(axis=1))
    if len(wrong):
        raise DferError(f"NaN or infinite in {len(wrong)} of {len(rows)} rows: {listed(wrong)}")
    return rows


def _mean(values: NDArray[np.bool_]) -> float:
    return float(values.mean()) if len(values) else np.nan
