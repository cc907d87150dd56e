"""What is drawn of a timeline, in plots and pages alike: the bands of the emotions, and times as one reads them."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from dfer.inference.timeline import Person

Floats = npt.NDArray[np.float64]

MOST_ROWS = 1500
"""Times that are drawn; of more, means are."""


def pieces(person: Person, duration_s: float, *, most: int = MOST_ROWS) -> list[tuple[Floats, Floats]]:
    """Times and probs of each stretch with a face, thinned to `most` rows in all; it ends where its last row does.

    A single picture, which lasts for no time, is drawn a second wide.
    """
    seen = np.flatnonzero(person.seen)
    rows_a_bin = max(1, math.ceil(len(seen) / most))
    ends_s = np.append(person.times[1:], max(duration_s, *person.times[-1:]) or 1.0)
    found = []
    for stretch in np.split(seen, np.flatnonzero(np.diff(seen) > 1) + 1):
        if not len(stretch):
            continue
        parts = np.array_split(stretch, max(1, math.ceil(len(stretch) / rows_a_bin)))
        times = np.array([person.times[part].mean() for part in parts])
        probs = np.array([person.probs[part].mean(axis=0) for part in parts])
        ends = [person.times[stretch[0]], ends_s[stretch[-1]]]
        found.append((np.concatenate([ends[:1], times, ends[1:]]), np.concatenate([probs[:1], probs, probs[-1:]])))
    return found


def clock(seconds: float) -> str:
    """Seconds as one reads them.

    >>> clock(2.4), clock(95), clock(3725)
    ('2.4 s', '1:35', '1:02:05')
    """
    if seconds < 60:
        return f"{seconds:.3g} s"
    whole = round(seconds)
    minutes = f"{whole // 60 % 60:02}:{whole % 60:02}"
    return f"{whole // 3600}:{minutes}" if whole >= 3600 else minutes.lstrip("0")
