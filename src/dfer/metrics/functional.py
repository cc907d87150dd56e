"""Scores of predictions against labels and against the votes: pure functions on arrays.

Conventions: `probs (N, K)` come first, then what they are judged against: `labels (N,)`, positions from 0 to
K - 1, or `shares (N, K)`, the votes of each clip divided by their number. Scores against shares refuse rows that do
not sum to one, such as counts or logits; scores against labels use the order of the K numbers only. The emotions are
the K columns, so the class list never shrinks to what happens to occur. Information is in nats, 0 log 0 = 0. The
predicted emotion is the most probable one, the first of equals. What is undefined (no clip, an emotion that no clip
shows) is NaN. A term 0/0 of Clark or Canberra is 0: an emotion that neither the model nor anybody names adds nothing,
so an added emotion that nobody sees leaves them as they are.

References:
    WAR (accuracy) and UAR (mean recall) as in Jiang et al., "DFEW: a large-scale database for recognizing
    dynamic facial expressions in the wild", ACM MM 2020. Where an emotion has no clip, its recall is
    undefined and UAR is the mean of the others; `recall` says which they are.
    Lin, "Divergence measures based on the Shannon entropy", IEEE Trans. Information Theory 1991:
    Jensen-Shannon divergence.
    Geng, "Label distribution learning", IEEE Trans. Knowledge and Data Engineering 2016: Chebyshev, Clark,
    Canberra, cosine and intersection, the usual six together with KL.
    Mosimann, "On the compound multinomial distribution", Biometrika 1962: the Dirichlet-multinomial.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import betaln, gammaln, rel_entr, xlogy
from scipy.stats import mannwhitneyu, spearmanr

from dfer.errors import DferError, listed, refuse
from dfer.labels import agreement, check_votes, entropy

Floats = NDArray[np.float64]
Labels = NDArray[np.int64]

EPSILON = 1e-12
"""Probabilities below this count as this in cross-entropy and KL: votes for what the model rules out cost at
most 27.6 nats, not infinity."""
SUM_TOLERANCE = 1e-4
"""How far a row of probabilities or shares may be from one: about what printing four or five digits costs."""
PRECISION = 10.0
"""How many votes a prediction weighs in `dirichlet_multinomial`, unless told otherwise: a panel of the usual size."""


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
    return counts.diagonal() / np.where(clips > 0, clips, np.nan)


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

    Raises:
        DferError: as the other scores, or a k that is no whole number from 1.
    """
    if not isinstance(k, int | np.integer) or k < 1:
        raise DferError(f"expected a whole number of emotions from 1, got k={k}")
    rows, positions = against_labels(probs, labels)
    best = np.argsort(-rows, axis=1, kind="stable")[:, :k]
    return _mean((best == positions[:, None]).any(axis=1))


def cross_entropy(probs: ArrayLike, shares: ArrayLike) -> Floats:
    """-Σ y log p of each clip, (N,), in nats; p from `EPSILON` up. It is KL plus the votes' entropy."""
    rows, wanted = _distributions(probs, shares)
    return np.asarray(-xlogy(wanted, rows.clip(EPSILON)).sum(axis=1))


def kl_divergence(probs: ArrayLike, shares: ArrayLike) -> Floats:
    """KL(votes || prediction) = Σ y log(y / p) of each clip, (N,), in nats; p from `EPSILON` up.

    >>> kl_divergence([[0.5, 0.5], [0.3, 0.7]], [[1.0, 0.0], [0.3, 0.7]]).round(4).tolist()
    [0.6931, 0.0]
    """
    rows, wanted = _distributions(probs, shares)
    return np.asarray(rel_entr(wanted, rows.clip(EPSILON)).sum(axis=1).clip(0.0))  # rounding may fall below 0


def js_divergence(probs: ArrayLike, shares: ArrayLike) -> Floats:
    """Jensen-Shannon divergence of each clip, (N,), from 0 to log 2 = 0.69 nats; symmetric."""
    rows, wanted = _distributions(probs, shares)
    middle = (rows + wanted) / 2
    both = rel_entr(rows, middle) + rel_entr(wanted, middle)
    return np.asarray((both.sum(axis=1) / 2).clip(0.0, np.log(2)))


def brier(probs: ArrayLike, shares: ArrayLike) -> Floats:
    """Brier score Σ (p - y)² of each clip against its votes, (N,), from 0 to 2."""
    rows, wanted = _distributions(probs, shares)
    return np.asarray(np.square(rows - wanted).sum(axis=1))


def chebyshev(probs: ArrayLike, shares: ArrayLike) -> Floats:
    """The largest |y - p| of each clip, (N,), from 0 to 1."""
    rows, wanted = _distributions(probs, shares)
    return np.asarray(np.abs(rows - wanted).max(axis=1))


def clark(probs: ArrayLike, shares: ArrayLike) -> Floats:
    """Clark's distance sqrt(Σ ((y - p) / (y + p))²) of each clip, (N,), from 0 to sqrt(K); 0/0 is 0.

    Any probability above 0, however small, for an emotion without votes adds 1 under the root.
    """
    return np.asarray(np.sqrt(np.square(_relative_gaps(probs, shares)).sum(axis=1)))


def canberra(probs: ArrayLike, shares: ArrayLike) -> Floats:
    """Canberra distance Σ |y - p| / (y + p) of each clip, (N,), from 0 to K; 0/0 is 0, as in `clark`."""
    return np.asarray(_relative_gaps(probs, shares).sum(axis=1))


def cosine(probs: ArrayLike, shares: ArrayLike) -> Floats:
    """Cosine of the angle between prediction and votes of each clip, (N,), from 0 to 1; higher is better."""
    rows, wanted = _distributions(probs, shares)
    lengths = np.linalg.norm(rows, axis=1) * np.linalg.norm(wanted, axis=1)
    return np.asarray(((rows * wanted).sum(axis=1) / lengths).clip(0.0, 1.0))


def intersection(probs: ArrayLike, shares: ArrayLike) -> Floats:
    """What prediction and votes have in common, Σ min(y, p), of each clip, (N,), from 0 to 1; higher is better.

    >>> intersection([[0.7, 0.2, 0.1]], [[0.6, 0.4, 0.0]]).round(9).tolist()
    [0.8]
    """
    rows, wanted = _distributions(probs, shares)
    return np.asarray(np.minimum(rows, wanted).sum(axis=1))


def dirichlet_multinomial(probs: ArrayLike, votes: ArrayLike, *, precision: float = PRECISION) -> Floats:
    """-log probability of each clip's counts under a Dirichlet-multinomial, (N,), in nats.

    Unlike a distance to shares it knows that 60 of 100 votes are firmer evidence than 6 of 10. The number of ways
    to order the votes is included, so that the probabilities of all counts of a panel sum to one.

    Args:
        probs: (N, K) predictions; from `EPSILON` up.
        votes: (N, K) counts, not shares; a clip without votes has 0. Fractional ones are taken as they are.
        precision: α = precision · p; above 0. What a model that gives no more than p does not say: how sure it is
            that the panel's long-run answer is p. Towards infinity the votes are drawn from p itself.

    >>> dirichlet_multinomial([[0.1, 0.2, 0.7]], [[1, 2, 7]], precision=10).round(4).tolist()
    [2.8873]
    """
    if not 0 < precision < np.inf:
        raise DferError(f"expected a finite precision above 0, got {precision}")
    rows, counts = _paired(probs, check_votes(votes, allow_fractional=True))
    _refuse_other_sums(rows, "probabilities")
    alpha, total = precision * rows.clip(EPSILON), counts.sum(axis=1)
    ways = gammaln(total + 1) - gammaln(counts + 1).sum(axis=1)
    return np.asarray(_log_rising(alpha.sum(axis=1), total) - ways - _log_rising(alpha, counts).sum(axis=1))


def entropy_correlation(probs: ArrayLike, shares: ArrayLike) -> float:
    """Spearman's rank correlation of the predictions' entropy with the votes', -1 to 1.

    High when the model is in doubt where people disagree. NaN where either does not vary: nothing to rank.
    """
    rows, wanted = _distributions(probs, shares)
    # rounded, lest the noise of the last digits be ranked where entropies are really equal
    guessed, voted = entropy(rows).round(10), entropy(wanted).round(10)
    if len(rows) == 0 or np.ptp(guessed) == 0 or np.ptp(voted) == 0:
        return np.nan
    return float(spearmanr(guessed, voted).statistic)


def no_majority_auroc(probs: ArrayLike, shares: ArrayLike) -> float:
    """How well the predictions' entropy tells the clips without a majority from the others: area under the ROC, 0 to 1.

    A clip has no majority when no emotion has more than half of its votes. 0.5 is chance; NaN where all clips have
    a majority, or none has.
    """
    rows, wanted = _distributions(probs, shares)
    split = agreement(wanted) <= 0.5
    if split.all() or not split.any():
        return np.nan
    doubt = entropy(rows).round(10)
    # the U statistic counts the pairs in which the clip without a majority has the higher entropy, equal ones half
    pairs = split.sum() * (~split).sum()
    return float(mannwhitneyu(doubt[split], doubt[~split], method="asymptotic").statistic / pairs)


def against_labels(probs: ArrayLike, labels: ArrayLike) -> tuple[Floats, Labels]:
    """Both as arrays that belong together.

    Raises:
        DferError: other shapes, NaN, or labels that are no whole numbers from 0 to K - 1 (so -1, no label, too).
    """
    rows, positions = _finite(probs), as_numbers(labels, "labels")
    if positions.shape != rows.shape[:1]:
        raise DferError(f"expected a label for each of {len(rows)} predictions, got shape {positions.shape}")
    wrong = np.unique(positions[~((positions >= 0) & (positions < rows.shape[1]) & (positions % 1 == 0))])
    if len(wrong):
        raise DferError(
            f"expected whole labels from 0 to {rows.shape[1] - 1}, got {listed(f'{label:g}' for label in wrong)}; "
            "leave out the clips that have no label"
        )
    return rows, positions.astype(np.int64)


def against_shares(probs: ArrayLike, shares: ArrayLike) -> tuple[Floats, Floats]:
    """Both as arrays that belong together.

    Args:
        probs: (N, K) probabilities, or logits: only their shape is checked, and that they are finite.
        shares: (N, K) rows that sum to one, within `SUM_TOLERANCE`.

    Raises:
        DferError: other shapes, NaN (a clip without votes: leave it out), or rows of shares that do not sum to one.
    """
    rows, wanted = _paired(probs, shares)
    _refuse_other_sums(wanted, "shares of votes")
    return rows, wanted


def _distributions(probs: ArrayLike, shares: ArrayLike) -> tuple[Floats, Floats]:
    """As `against_shares`, and the probabilities sum to one too."""
    rows, wanted = against_shares(probs, shares)
    _refuse_other_sums(rows, "probabilities")
    return rows, wanted


def _paired(probs: ArrayLike, others: ArrayLike) -> tuple[Floats, Floats]:
    rows, wanted = _finite(probs), _finite(others)
    if rows.shape != wanted.shape:
        raise DferError(f"expected shares of votes of shape {rows.shape}, as the predictions, got {wanted.shape}")
    return rows, wanted


def _refuse_other_sums(rows: Floats, what: str) -> None:
    """Raises where a row is no distribution."""
    wrong = (rows < 0).any(axis=1) | (np.abs(rows.sum(axis=1) - 1) > SUM_TOLERANCE)
    fault = f"hold no {what} of 0 or more that sum to 1"
    refuse(wrong, range(len(rows)), fault, of=f"of {len(rows)} rows", advice="divide each row by its sum")


def _log_rising(alpha: Floats, counts: Floats) -> Floats:
    """log Γ(alpha + n) - log Γ(alpha), exact for large alpha too, where the difference of the two would be lost."""
    some = counts > 0
    count = np.where(some, counts, 1.0)
    return np.where(some, gammaln(count) - betaln(alpha, count), 0.0)


def _relative_gaps(probs: ArrayLike, shares: ArrayLike) -> Floats:
    """|y - p| / (y + p), (N, K); 0/0 is 0."""
    rows, wanted = _distributions(probs, shares)
    both = rows + wanted
    return np.abs(rows - wanted) / np.where(both > 0, both, 1.0)


def as_numbers(values: ArrayLike, what: str) -> Floats:
    """Numbers as float64; of a tensor also in half precision, with a gradient, or on another device.

    Raises:
        DferError: something that is no number.
    """
    tensor: Any = values
    try:
        return np.asarray(tensor.detach().cpu().double() if hasattr(tensor, "detach") else values, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise DferError(f"expected {what} as numbers: {error}") from error


def _finite(values: ArrayLike) -> Floats:
    rows = as_numbers(values, "rows (N, K)")
    if rows.ndim != 2 or rows.shape[1] == 0:
        raise DferError(f"expected rows (N, K), one a clip and a column an emotion, got shape {rows.shape}")
    refuse(~np.isfinite(rows).all(axis=1), range(len(rows)), "are NaN or infinite", of=f"of {len(rows)} rows")
    return rows


def _mean(values: NDArray[np.bool_]) -> float:
    return float(values.mean()) if len(values) else np.nan
