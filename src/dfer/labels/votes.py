"""Votes: what they may be, the one emotion that they single out, and hard labels as rows.

Conventions: `votes (N, K)` are counts, one row a clip, one column an emotion; they are kept as they are and
turned into targets at the last moment, by the rules of `rules`. A hard label is a position, -1 where there is none.

References:
    Barsoum, Zhang, Canton Ferrer and Zhang, "Training deep networks for facial expression recognition with
    crowd-sourced label distribution", ICMI 2016: FER+ and its outlier rule.
    Szegedy et al., "Rethinking the Inception architecture for computer vision", CVPR 2016: label smoothing.
"""

from __future__ import annotations

from collections.abc import Collection
from numbers import Real

import numpy as np
from numpy.typing import ArrayLike, NDArray

from dfer.errors import DferError, listed, refuse, require_known, shortened
from dfer.labels.blocks import by_blocks, chosen

Floats = NDArray[np.float64]
Ids = Collection[object] | None

ROUNDING = 1e-9
"""Fractional votes that differ by this share or less are equal: .1 + .2 is not .3 to a computer."""
MOST_VOTES = 10**9
"""Of one clip for one emotion."""
PER_CENT = 1.0
"""How far rounded percentages may sum from 100."""


def check_votes(votes: ArrayLike, ids: Ids = None, *, allow_fractional: bool = False) -> Floats:
    """Votes as a float64 table, or an error that names the clips whose votes cannot be.

    Args:
        votes: (N, K) counts.
        ids: N names of clips for messages; without them clips are called by their row.
        allow_fractional: accept published distributions or weighted votes.

    Returns:
        (N, K) float64, a copy.

    Raises:
        DferError: another shape, NaN, infinite, negative, more than `MOST_VOTES` or (unless allowed) fractional votes.
    """
    try:
        table = np.array(votes, dtype=np.float64)
    except (TypeError, ValueError, OverflowError) as error:
        raise DferError(f"expected votes (N, K) as numbers: {shortened(str(error))}") from error
    if table.ndim != 2 or table.shape[1] == 0:
        raise DferError(f"expected votes (N, K), a row a clip and a column an emotion, got {table.shape}")
    if ids is not None and len(ids) != len(table):
        raise DferError(f"{len(table)} rows of votes came with {len(ids)} ids")
    advice = "give every emotion a count, or leave these clips out"
    refuse_clips(np.isnan(table), "have votes that are NaN", advice, ids)
    refuse_clips(np.isinf(table), "have votes that are infinite", "counts are finite", ids)
    refuse_clips(table < 0, "have votes that are negative", "counts start at 0", ids)
    refuse_clips(table > MOST_VOTES, f"have more than {MOST_VOTES:,} votes", "are these counts?", ids)
    if not allow_fractional:
        advice = "counts are whole; shares are a distribution (columns soft_X), or pass allow_fractional=True"
        refuse_clips(by_blocks(lambda rows: rows % 1 != 0, table), "have votes that are fractional", advice, ids)
    return table


def hard_labels(votes: ArrayLike, ties: str = "error", *, ids: Ids = None) -> NDArray[np.int64]:
    """The most voted emotion of each clip.

    Args:
        votes: (N, K) votes, whole or fractional.
        ties: for clips whose top is shared: "error" refuses them, "drop" gives -1, "first" takes the emotion
            that comes first in the emotion set.
        ids: N names of clips for messages.

    Returns:
        (N,) positions, -1 = dropped.

    Raises:
        DferError: votes that cannot be, a clip without a single vote, a tie under "error", an unknown policy.
    """
    require_known("ties cannot be", ties, ("error", "drop", "first"))
    table = check_votes(votes, ids, allow_fractional=True)
    refuse_empty(table, None, ids)
    top = _at_top(table)
    tied = top.sum(axis=1) > 1
    if ties == "error":
        refuse_clips(tied[:, None], "have several emotions with most votes", "choose ties='drop' or ties='first'", ids)
    return np.where(tied & (ties == "drop"), -1, top.argmax(axis=1)).astype(np.int64)


def single_label(
    votes: ArrayLike, *, share: float = 0.6, inclusive: bool = True, other: ArrayLike | None = None
) -> NDArray[np.int64]:
    """The one emotion that holds a stated share of all votes.

    The defaults are DFEW's rule, as its annotation column shows it: six of ten votes suffice. The majority of
    FER+ is `without_lone_votes`, then share=0.5 and inclusive=False with what is left of its other columns.

    Args:
        votes: (N, K) votes.
        share: of all votes, those in `other` included; 0 to 1.
        inclusive: whether exactly that share suffices.
        other: (N, M) votes that name no emotion.

    Returns:
        (N,) positions, -1 = no emotion holds the share, two hold it, or there are no votes.

    >>> single_label([[6, 4, 0], [5, 4, 1], [0, 0, 0]]).tolist()
    [0, -1, -1]
    """
    in_range("share", share, 0.0, 1.0)
    table = check_votes(votes, allow_fractional=True)
    top, at_top = table.max(axis=1), _at_top(table)
    total = table.sum(axis=1) + other_votes(other, len(table)).sum(axis=1)
    held = top / np.where(total > 0, total, 1.0)
    enough = held >= share - ROUNDING if inclusive else held > share + ROUNDING
    return np.where(enough & (top > 0) & (at_top.sum(axis=1) == 1), at_top.argmax(axis=1), -1).astype(np.int64)


def without_lone_votes(votes: ArrayLike, other: ArrayLike | None = None) -> tuple[Floats, Floats]:
    """Set every answer that at most one person gave to zero (FER+'s outlier rule).

    Args:
        votes: (N, K) votes.
        other: (N, M) votes that name no emotion; None: there are none.

    Returns:
        (N, K) votes and (N, M) other votes, new arrays of float64.

    Raises:
        DferError: votes that cannot be.

    >>> without_lone_votes([[8, 1, 1]])[0].tolist()
    [[8.0, 0.0, 0.0]]
    """
    table = check_votes(votes, allow_fractional=True)
    rest = other_votes(other, len(table))
    return np.where(table > 1, table, 0.0), np.where(rest > 1, rest, 0.0)


def looks_like_shares(votes: ArrayLike, other: ArrayLike | None = None) -> str:
    """Whether counts may be shares of voters: what they sum to, in words, or "".

    Args:
        votes: (N, K) numbers, NaN where there are none.
        other: (N, M) numbers for answers that name no emotion.

    >>> looks_like_shares([[60, 0, 40], [33, 33, 33]]), looks_like_shares([[0.5, 0.5], [1, 0]])
    ('every row sums to 99 to 100, as percentages do', 'every row sums to 1, as shares do')
    >>> looks_like_shares([[6, 4], [3, 1]]), looks_like_shares([[1, 0], [0, 1]])
    ('', '')
    """
    table = np.asarray(votes, dtype=np.float64)
    given = ~np.isnan(table).all(axis=1)
    numbers = np.nan_to_num(chosen(table if other is None else np.hstack([table, np.asarray(other)]), given))
    totals = numbers.sum(axis=1)
    if not len(totals):
        return ""
    if (np.abs(totals - 100) <= PER_CENT).all():
        ends = sorted({round(float(totals.min())), round(float(totals.max()))})
        return f"every row sums to {' to '.join(map(str, ends))}, as percentages do"
    if (np.abs(totals - 1) <= PER_CENT / 100).all() and (numbers % 1 != 0).any():
        return "every row sums to 1, as shares do"
    return ""


def one_hot(labels: ArrayLike, num_classes: int) -> Floats:
    """Positions (N,) as rows (N, K) of zeros and a one; the row of -1 is all NaN.

    Raises:
        DferError: labels that are not whole numbers from -1 to K - 1 in one dimension.
    """
    positions = np.asarray(labels)
    if positions.ndim != 1 or not np.issubdtype(positions.dtype, np.integer):
        raise DferError(f"expected labels (N,) as integers, got {positions.dtype} of shape {positions.shape}")
    wrong = positions[(positions < -1) | (positions >= num_classes)]
    if wrong.size:
        raise DferError(f"expected labels from -1 to {num_classes - 1}, got {listed(np.unique(wrong))}")
    rows: Floats = np.eye(num_classes)[positions]
    rows[positions < 0] = np.nan
    return rows


def smooth_labels(targets: ArrayLike, epsilon: float) -> Floats:
    """Give each emotion an equal share `epsilon / K` of every target.

    Args:
        targets: (N, K) rows that sum to one, soft or one-hot.
        epsilon: the share that is spread evenly, 0 to 1.

    Returns:
        (N, K) float64, (1 - epsilon) target + epsilon / K.

    Raises:
        DferError: an epsilon out of range.

    >>> smooth_labels([[1, 0]], 0.5).tolist()
    [[0.75, 0.25]]
    """
    in_range("epsilon", epsilon, 0.0, 1.0)
    rows = np.asarray(targets, dtype=np.float64)
    return np.asarray((1.0 - epsilon) * rows + epsilon / rows.shape[1])


def other_votes(other: ArrayLike | None, rows: int) -> Floats:
    """Votes that name no emotion as (N, M), M = 0 when there are none."""
    if other is None:
        return np.zeros((rows, 0))
    votes = check_votes(other, allow_fractional=True)
    if len(votes) != rows:
        raise DferError(f"expected {rows} rows of other votes, as of votes, got {len(votes)}")
    return votes


def refuse_empty(votes: Floats, other: ArrayLike | None, ids: Ids) -> None:
    """Raises when nobody voted on a clip."""
    both = np.hstack([votes, other_votes(other, len(votes))])
    refuse_clips(both.sum(axis=1, keepdims=True) == 0, "have no votes", "leave these clips out", ids)


def _at_top(votes: Floats) -> NDArray[np.bool_]:
    """(N, K) which emotions have the most votes."""
    return np.asarray(votes >= votes.max(axis=1, keepdims=True) * (1 - ROUNDING))


def refuse_clips(wrong: NDArray[np.bool_], fault: str, advice: str, ids: Ids) -> None:
    """Raise where a cell of `wrong` (N, any) is true, naming its clips."""
    names = [f"row {row}" for row in range(len(wrong))] if ids is None else ids
    refuse(wrong.any(axis=1), names, fault, of=f"of {len(wrong)} clips", advice=advice)


def in_range(name: str, value: float, low: float, high: float) -> None:
    """Raises when an option is no finite number in [low, high]."""
    if not isinstance(value, Real) or not low <= value <= high or np.isinf(value):
        raise DferError(f"{name} must be a finite number from {low:g} to {high:g}, got {value!r}")
