"""Who sees what next: which clip gets the next vote, and when a clip has enough of them.

Two plans. `EveryClip` asks for the same number of votes on each clip. `ByNeed` gives the next vote to the clip whose
distribution is known least precisely, and asks no more about a clip that is known precisely enough. How precisely it
is known is the standard deviation of its distribution given its votes, under a prior that is learned from the votes on
all clips (`dfer.labels.dirichlet`). So a clip on which three people agree needs fewer votes than one on which they
differ, as far as the other clips say that such agreement lasts.

Conventions: votes (N, K) counts; people (N,) how many people voted on a clip. Someone who names two emotions adds two
counts and is one person; someone who cannot tell adds no count and is one person, too.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dfer.errors import DferError
from dfer.labels.dirichlet import Floats, Prior, learn_mixture

Positions = NDArray[np.int64]

GROWTH = 1.2
"""The prior is learned anew when there are so many times the votes that it was learned from."""
ENOUGH = 20
"""Clips with two votes or more that a prior is learned from; with fewer, every distribution is equally likely."""


@dataclass(frozen=True)
class EveryClip:
    """Every clip gets the same number of votes.

    Attributes:
        votes: of different people, on each clip.
    """

    votes: int = 10

    def __post_init__(self) -> None:
        if self.votes < 1:
            raise DferError(f"expected one vote or more for each clip, got {self.votes}")


@dataclass(frozen=True)
class ByNeed:
    """The next vote goes to the clip whose distribution is known least precisely.

    Attributes:
        precision: a clip is done when the standard deviation of its distribution is at most this, 0..1.
        least: every clip gets so many votes at least.
        most: and so many at most.
    """

    precision: float = 0.15
    least: int = 3
    most: int = 20

    def __post_init__(self) -> None:
        if not 0 < self.precision < 1:
            raise DferError(f"expected a precision between 0 and 1, got {self.precision}")
        if not 1 <= self.least <= self.most:
            raise DferError(f"expected 1 <= least <= most votes for each clip, got {self.least} and {self.most}")


Plan = EveryClip | ByNeed


def uncertainty(votes: Floats, prior: Prior) -> Floats:
    """(N,) how imprecisely the distribution of each clip is known given its votes: its standard deviation, 0..1.

    It is the root of the mean squared distance between the distribution and its posterior mean, the distance being
    Euclidean in the K shares.

    >>> uncertainty(np.array([[0.0, 0.0], [8.0, 0.0], [4.0, 4.0]]), Prior.single(np.ones(2))).round(3).tolist()
    [0.408, 0.128, 0.213]
    """
    kinds = prior.kinds(votes)
    mean, square = np.zeros_like(votes), np.zeros_like(votes)
    for kind, alpha in zip(kinds.T, prior.alphas, strict=True):
        total = (votes + alpha).sum(axis=1, keepdims=True)
        shares = (votes + alpha) / total
        mean += kind[:, None] * shares
        square += kind[:, None] * shares * (shares * total + 1) / (total + 1)
    return np.asarray(np.sqrt((square - mean**2).clip(0.0).sum(axis=1)))


class Board:
    """The votes on N clips so far, and what is still wanted.

    Args:
        votes: (N, K) whole counts.
        people: (N,) how many people voted on each clip.
        plan: how many votes a clip gets.
    """

    def __init__(self, votes: Floats, people: Positions, plan: Plan) -> None:
        self.votes, self.people, self.plan = np.array(votes, np.float64), np.array(people, np.int64), plan
        self._prior = Prior.single(np.ones(self.votes.shape[1]))
        self._learned_from = 0.0
        self._uncertainty = np.zeros(len(self.votes))
        self._judge(slice(None))

    @property
    def uncertainty(self) -> Floats:
        """(N,) see `uncertainty`; 0 under the plan `EveryClip`, which does not ask for it."""
        return self._uncertainty.copy()

    def add(self, clip: int, counts: Floats, people: int = 1) -> None:
        """One person's vote on a clip: counts (K,); negative ones, with people -1, take a vote back."""
        self.votes[clip] += counts
        self.people[clip] += people
        self._judge(slice(clip, clip + 1))

    @property
    def is_due(self) -> bool:
        """Whether `learn` would find enough new votes."""
        several = int((self.votes.sum(axis=1) >= 2).sum())
        return (
            isinstance(self.plan, ByNeed)
            and several >= ENOUGH
            and self.votes.sum() >= GROWTH * max(self._learned_from, 1.0)
        )

    def learn(self, learn: Callable[[Floats, int], Prior] = learn_mixture) -> None:
        """Learn the prior from all votes so far; `learn` does what `learn_mixture` does, such as in another process."""
        votes = self.votes[self.votes.sum(axis=1) > 0]  # a copy: others may vote meanwhile
        prior = learn(votes, 2 * votes.shape[1])
        self._prior, self._learned_from = prior, float(votes.sum())
        self._judge(slice(None))

    @property
    def wanted(self) -> Floats:
        """(N,) how much another vote on each clip is wanted; 0: the clip is done."""
        if isinstance(self.plan, EveryClip):
            return np.where(self.people < self.plan.votes, 1.0, 0.0)
        few = self.people < self.plan.least
        unsure = (self._uncertainty > self.plan.precision) & (self.people < self.plan.most)
        # more than any uncertainty, so that every clip has the fewest votes before one has more
        return np.where(few, 2.0 + self.plan.least - self.people, np.where(unsure, self._uncertainty, 0.0))

    def next_clip(self, order: Positions, seen: Collection[int], away: Iterable[int] = ()) -> int | None:
        """The clip that a rater sees next; None where nothing is left to ask.

        Args:
            order: (N,) the rater's own random order of the clips, which decides between clips of equal need.
            seen: clips that the rater has voted on.
            away: clips that other raters have before them now, once for each rater.
        """
        wanted = self.wanted
        if isinstance(self.plan, EveryClip):
            for clip in away:
                wanted[clip] -= 1.0 / max(1, self.plan.votes - self.people[clip])
        else:
            wanted[list(away)] *= 0.5
        wanted[list(seen)] = 0.0
        best = int(np.argmax(wanted[order] > 1e-9 if isinstance(self.plan, EveryClip) else wanted[order]))
        chosen = int(order[best])
        return chosen if wanted[chosen] > 1e-9 else None

    def _judge(self, rows: slice) -> None:
        if isinstance(self.plan, ByNeed) and len(self.votes):
            self._uncertainty[rows] = uncertainty(self.votes[rows], self._prior)


def own_order(clips: int, seed: int, rater: int) -> Positions:
    """(N,) the random order in which a rater sees the clips of a study: the same whenever it is asked for."""
    return np.random.default_rng([seed, rater]).permutation(clips)
