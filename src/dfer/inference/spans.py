"""Stretches of a timeline's rows: where the face is there, and where something holds."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]

SHORTEST_S = 0.3
"""From onset to offset; what is shorter is left out. Expressions on a face last 0.5 to 4 s, says Matsumoto (2011)."""
GAP_S = 0.5
"""So long a face may be out of sight, seconds, without ending a segment or a network's window."""


def pieces(times: Floats, ends: Floats, seen: npt.NDArray[np.bool_]) -> list[npt.NDArray[np.int64]]:
    """The rows with a face, cut where it was away for longer than `GAP_S`."""
    rows = np.flatnonzero(seen)
    away = times[rows[1:]] - ends[rows[:-1]] > GAP_S
    return [piece for piece in np.split(rows, np.flatnonzero(away) + 1) if len(piece)]


def runs(flags: npt.NDArray[np.bool_]) -> list[tuple[int, int]]:
    """First row, and the row after the last one, of each stretch of True.

    >>> runs(np.array([True, False, True, True]))
    [(0, 1), (2, 4)]
    """
    edges = np.flatnonzero(np.diff(flags.astype(np.int8), prepend=0, append=0))
    return list(zip(edges[::2].tolist(), edges[1::2].tolist(), strict=True))
