"""Large tables a block of rows at a time: what is computed on the way is never as large as the table."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

BLOCK = 2**16
"""Rows of a block."""


def by_blocks(function: Callable[[NDArray[Any]], NDArray[Any]], table: NDArray[Any]) -> NDArray[Any]:
    """`function(table)`, computed a block of rows at a time.

    Args:
        function: gives one row (or number) for each row of what it gets, whatever the other rows are.
        table: (N, ...).

    >>> by_blocks(lambda rows: rows.sum(axis=1), np.ones((3, 2))).tolist()
    [2.0, 2.0, 2.0]
    """
    return np.concatenate([function(table[start : start + BLOCK]) for start in range(0, max(len(table), 1), BLOCK)])


def chosen(table: NDArray[Any], mask: ArrayLike) -> NDArray[Any]:
    """The rows where `mask` (N,) is true, one behind the other; the table itself where that is all of them."""
    rows = np.asarray(mask, dtype=np.bool_)
    return np.ascontiguousarray(table if rows.all() else table[rows])  # sums depend on the order in memory
