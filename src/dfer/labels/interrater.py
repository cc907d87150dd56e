"""Agreement between raters over a whole data set, from counts alone: Fleiss' kappa and Krippendorff's alpha.

Conventions: `votes (N, K)` are counts, one row a clip; panels may differ in size from clip to clip. 1 is perfect
agreement, 0 is what raters who answer at random with the same shares of emotions would reach, below 0 is less than
that. NaN where it is undefined: no clip with two votes, or nobody ever names a second emotion. Rows without votes
(zeros or NaN) are passed over.

Both see counts only: neither knows which rater gave which answer, so a careless rater lowers them like anyone's doubt.

References:
    Fleiss, "Measuring nominal scale agreement among many raters", Psychological Bulletin 76, 1971.
    Gwet, "Handbook of inter-rater reliability", 4th edition, 2014, chapter 2: kappa for panels of varying size.
    Krippendorff, "Computing Krippendorff's alpha-reliability", University of Pennsylvania, 2011.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from dfer.labels.blocks import by_blocks, chosen
from dfer.labels.votes import check_votes

Floats = NDArray[np.float64]


def fleiss_kappa(votes: ArrayLike) -> float:
    """Fleiss' kappa, in Gwet's generalisation to panels of varying size.

    The observed agreement is the mean over the clips with two votes or more of the share of pairs of raters that agree.
    The agreement by chance is the sum of the squared mean shares of the emotions, over all clips with a vote. A clip
    counts once, however many people saw it.

    Raises:
        DferError: votes that are no counts.

    >>> round(fleiss_kappa([[3, 0], [0, 3], [2, 1]]), 4)
    0.55
    """
    counts = _counts(votes)
    pairs = chosen(counts, counts.sum(axis=1) >= 2)
    if not len(pairs):
        return np.nan
    panel = pairs.sum(axis=1)
    observed = (by_blocks(_agreeing, pairs) / (panel * (panel - 1))).mean()
    shares = (counts / counts.sum(axis=1, keepdims=True)).mean(axis=0)
    return _beyond_chance(observed, float(np.square(shares).sum()))


def krippendorff_alpha(votes: ArrayLike) -> float:
    """Krippendorff's alpha for nominal answers.

    1 - D_o / D_e: the disagreement among the raters of a clip over that among all answers of the data set, whichever
    clip they were given to. A clip counts by its number of votes; one with a single vote says nothing.

    Raises:
        DferError: votes that are no counts.

    >>> round(krippendorff_alpha([[3, 0], [0, 3], [2, 1]]), 4)
    0.6
    """
    counts = _counts(votes)
    counts = chosen(counts, counts.sum(axis=1) >= 2)
    if not len(counts):
        return np.nan
    panel, of_emotion, total = counts.sum(axis=1), counts.sum(axis=0), counts.sum()
    agreeing = (by_blocks(_agreeing, counts) / (panel - 1)).sum() / total
    by_chance = (of_emotion * (of_emotion - 1)).sum() / (total * (total - 1))
    return _beyond_chance(agreeing, by_chance)


def _counts(votes: ArrayLike) -> Floats:
    """The rows with a vote."""
    table = np.asarray(votes, dtype=np.float64)
    if table.ndim == 2:
        table = chosen(table, ~np.isnan(table).all(axis=1))
    counts = check_votes(table)
    return chosen(counts, counts.sum(axis=1) > 0)


def _agreeing(counts: Floats) -> Floats:
    """(N,) pairs of raters of a clip who agree, each counted from both sides."""
    return np.asarray((counts * (counts - 1)).sum(axis=1))


def _beyond_chance(observed: float, by_chance: float) -> float:
    """How much of the way from chance to perfect agreement was gone."""
    # an emotion that all name leaves nothing to agree on: no rounding error may turn 0 / 0 into a number
    return float((observed - by_chance) / (1 - by_chance)) if 1 - by_chance > 1e-12 else np.nan
