"""Which frames of a clip are looked at: pure index arithmetic, no randomness but what is handed in.

Conventions: a clip of n frames gives (t,) int64 indices in [0, n), in time order. A clip with fewer frames than t is
handled by a named rule: "stretch" repeats frames evenly (default), "hold" repeats the last one, "loop" starts again.

`uniform` and `jittered` are two functions, not a flag: what is evaluated cannot be random by accident. Jitter stays
within its segment, so frames keep their order (segment sampling of Wang et al., TSN, ECCV 2016).
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from dfer.errors import DferError, require_known

Indices = npt.NDArray[np.int64]
SHORT_RULES = ("stretch", "hold", "loop")


def uniform(n: int, t: int, *, short: str = "stretch") -> Indices:
    """The middle frame of each of t equal segments of n frames.

    >>> uniform(10, 4).tolist(), uniform(2, 4).tolist(), uniform(2, 4, short="hold").tolist()
    ([1, 3, 6, 8], [0, 0, 1, 1], [0, 1, 1, 1])
    """
    _check(n, t, short)
    segments = np.arange(t, dtype=np.int64)
    if n < t and short != "stretch":
        return _repeated(n, t, short)
    return (2 * segments + 1) * n // (2 * t)


def jittered(n: int, t: int, generator: np.random.Generator, *, short: str = "stretch") -> Indices:
    """One random frame of each of t equal segments of n frames, in time order; for training only."""
    _check(n, t, short)
    if n < t and short != "stretch":
        return _repeated(n, t, short)
    edges = np.arange(t + 1, dtype=np.int64) * n // t
    # Where there are fewer frames than segments, an empty segment takes the frame it begins with.
    last = np.maximum(edges[1:], edges[:-1] + 1)
    return generator.integers(edges[:-1], last, dtype=np.int64)


def windows(n: int, length: int, stride: int) -> Indices:
    """Windows of `length` frames every `stride` frames, (W, length); the last one ends with the clip's last frame.

    >>> windows(7, 4, 2).tolist()
    [[0, 1, 2, 3], [2, 3, 4, 5], [3, 4, 5, 6]]
    """
    _check(n, length, "hold")
    if stride < 1:
        raise DferError(f"expected a stride of at least 1 frame, got {stride}")
    if n <= length:
        return uniform(n, length, short="hold")[None]
    starts = list(range(0, n - length + 1, stride))
    if starts[-1] != n - length:
        starts.append(n - length)
    return np.array(starts, dtype=np.int64)[:, None] + np.arange(length, dtype=np.int64)


def _repeated(n: int, t: int, short: str) -> Indices:
    steps = np.arange(t, dtype=np.int64)
    return steps % n if short == "loop" else np.minimum(steps, n - 1)


def _check(n: int, t: int, short: str) -> None:
    if n < 1 or t < 1:
        raise DferError(f"expected at least one frame in the clip and one to sample, got {n} and {t}")
    require_known("short cannot be", short, SHORT_RULES)
