"""What a check says of a data set, and the case it looks at."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from dfer.datasets import Manifest
from dfer.datasets.published import Published
from dfer.doctor.disk import OnDisk
from dfer.doctor.pictures import Pictures
from dfer.errors import listed

VERDICTS = ("fault", "note", "ok", "unchecked")
"""Training or testing on it misleads; to be known; sound; the data that the check needs are not there."""


@dataclass(frozen=True)
class Finding:
    """What one check found.

    Attributes:
        verdict: one of `VERDICTS`.
        found: what is the case, with the first five culprits and their count; where unchecked, why.
        advice: what to do, "" for nothing.
        clips: the ids of all culprits.
        check: what was looked at; the list of checks gives it.
    """

    verdict: str
    found: str
    advice: str = ""
    clips: tuple[str, ...] = ()
    check: str = ""


@dataclass(frozen=True)
class Case:
    """A data set on the table.

    Attributes:
        manifest: its N clips.
        published: what its authors say of it, None where nothing is known.
        disk: what lies on disk for each clip, N; None where nobody looked.
        copies: (N,) clips of the same content share a number, -1 for one of its own; None where nobody looked.
        pictures: what decoding shows; None where nobody looked.
    """

    manifest: Manifest
    published: Published | None = None
    disk: Sequence[OnDisk] | None = None
    copies: Sequence[int] | NDArray[np.int64] | None = None
    pictures: Pictures | None = None

    def ids(self, wrong: ArrayLike) -> tuple[str, ...]:
        """The ids of the clips where `wrong` (N,) is true."""
        return tuple(self.manifest.table["id"][np.asarray(wrong, dtype=bool)].tolist())


def count(number: int, noun: str) -> str:
    """A number and its noun.

    >>> count(1, "clip"), count(1200, "clip")
    ('1 clip', '1,200 clips')
    """
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def named(clips: Iterable[object], noun: str = "clip") -> str:
    """How many there are, and the first five.

    >>> named(["a", "b"])
    '2 clips (a, b)'
    """
    names = list(clips)
    return f"{count(len(names), noun)} ({listed(names)})"
