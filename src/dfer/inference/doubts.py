"""Where a timeline names no emotion, and why: people would disagree, or the picture does not show enough.

Two scores of each row, 0..1, and a verdict. *Mixed*: the share of people who would not choose the most probable
emotion, in the population that the network was trained for, where it says how votes are shared out. *Cannot tell*: how
strongly the picture is corrupted, see `dfer.video.legibility`. `benchmarks/uncertainty.py` measures both.

Conventions: as in `dfer.inference.segments`; scores are NaN where there is no face.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from dfer.inference.spans import SHORTEST_S, pieces, runs

Floats = npt.NDArray[np.float64]
Kinds = npt.NDArray[np.uint8]

KINDS = ("", "mixed", "cannot tell")
"""The verdicts 0, 1 and 2; the first one: an emotion is named."""
MIXED = 0.4
"""From this score of "mixed" on, it is more likely than not that more than three in ten people dissent: half of the
pictures of FER+'s validation part that have this score are "ambiguous" (`dfer.labels.STRATA`); see
benchmarks/uncertainty.py."""
CANNOT_TELL = 0.5
"""From this score on, a picture is nearer to the strongest corruption than to none."""


@dataclass(frozen=True, eq=False)
class Doubts:
    """The scores and verdicts of a person's rows.

    Attributes:
        mixed: (T,) how much people would disagree, 0..1.
        cannot_tell: (T,) how little the picture allows to tell, 0..1.
        kinds: (T,) positions in `KINDS`.
    """

    mixed: Floats
    cannot_tell: Floats
    kinds: Kinds

    def at(self, rows: npt.NDArray[np.int64], absent: npt.NDArray[np.bool_] | None = None) -> Doubts:
        """Those of some rows, in their order; nothing where there is no face any more."""
        mixed, cannot_tell, kinds = self.mixed[rows], self.cannot_tell[rows], self.kinds[rows]
        if absent is not None:
            mixed[absent], cannot_tell[absent], kinds[absent] = np.nan, np.nan, 0
        return Doubts(mixed, cannot_tell, kinds)

    def followed_by(self, other: Doubts) -> Doubts:
        """The rows of both, one after the other."""
        pairs = ((self.mixed, other.mixed), (self.cannot_tell, other.cannot_tell))
        mixed, cannot_tell = (np.concatenate(pair) for pair in pairs)
        return Doubts(mixed, cannot_tell, np.concatenate([self.kinds, other.kinds]))


@dataclass(frozen=True)
class Abstaining:
    """How sure the network must be to name an emotion.

    Attributes:
        risk: of naming another emotion than most people would, at most; see `dfer.models.abstention`.
        least: the confidence that keeps to it, see `dfer.models.abstention.confidence`.
    """

    risk: float
    least: float


@dataclass(frozen=True)
class Stretch:
    """A stretch of time in which no emotion is named, seconds: the place of the verdict in `KINDS`, and its words."""

    start_s: float
    end_s: float
    kind: int
    says: str


def judged(mixed: Floats, cannot_tell: Floats, named: npt.NDArray[np.bool_] | None = None) -> Doubts:
    """Scores with their verdicts.

    Args:
        mixed: (T,).
        cannot_tell: (T,).
        named: (T,) where the risk that was asked for allows to name an emotion; None: where the score of "mixed" does.
    """
    disagreed = mixed >= MIXED if named is None else ~named
    kinds = np.where(cannot_tell >= CANNOT_TELL, 2, np.where(disagreed & ~np.isnan(mixed), 1, 0))
    return Doubts(mixed, cannot_tell, kinds.astype(np.uint8))


def stretches(
    times: Floats, probs: Floats, doubts: Doubts | None, emotions: tuple[str, ...], *, end_s: float
) -> tuple[Stretch, ...]:
    """The stretches of a person's rows that are in doubt for one reason for `SHORTEST_S` or longer."""
    if doubts is None:
        return ()
    found, ends = [], np.append(times[1:], end_s)
    for piece in pieces(times, ends, ~np.isnan(probs[:, 0])):
        for kind in (1, 2):
            for first, last in runs(doubts.kinds[piece] == kind):
                start, end = float(times[piece[first]]), float(ends[piece[last - 1]])
                if end - start >= SHORTEST_S - 0.001:
                    words = said(kind, probs[piece[first:last]].mean(axis=0), emotions)
                    found.append(Stretch(start, end, kind, words))
    return tuple(sorted(found, key=lambda stretch: stretch.start_s))


def said(kind: int, probs: Floats, emotions: tuple[str, ...]) -> str:
    """A verdict in words, with the two most probable emotions where people would disagree.

    >>> said(1, np.array([0.4, 0.1, 0.5]), ("sad", "happy", "neutral")), said(2, np.ones(2) / 2, ("sad", "happy"))
    ('mixed: neutral/sad', 'cannot tell')
    """
    if kind != 1 or len(emotions) < 2:
        return KINDS[kind]
    first, second = np.argsort(-probs, kind="stable")[:2].tolist()
    return f"mixed: {emotions[first]}/{emotions[second]}"


@dataclass(frozen=True)
class Verdict:
    """Some rows taken together.

    Attributes:
        mixed: the mean score, 0..1.
        cannot_tell: likewise.
        says: why no emotion is named; "" where one is, for half of the time or longer.
    """

    mixed: float
    cannot_tell: float
    says: str


def verdict_of(doubts: Doubts, probs: Floats, weights: Floats, emotions: tuple[str, ...]) -> Verdict:
    """The verdict on rows (n,) that all have a face, by the time for which each holds, `weights (n,)`."""
    if not weights.any():  # a single picture lasts for no time
        weights = np.ones(len(weights))
    shares = np.bincount(doubts.kinds, weights, len(KINDS)) / weights.sum()
    mixed, cannot_tell = (float(np.average(each, weights=weights)) for each in (doubts.mixed, doubts.cannot_tell))
    kind = 0 if shares[0] >= 0.5 else 1 + int(shares[1:].argmax())
    return Verdict(mixed, cannot_tell, said(kind, np.average(probs, axis=0, weights=weights), emotions))
