"""What each rater of a study sees next: practice first, then clips in an order of their own, now and then one again."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from dfer.datasets.vote_files import Clip
from dfer.labels.allocation import Board, Positions, own_order
from dfer.labels.dirichlet import Floats, Prior, learn_mixture
from dfer.processes import worker_pool
from dfer.shards import holding_file
from dfer.studio.store import COUNTED, PRACTISED, REPEATED, Cast, Store
from dfer.studio.study import Practice, Study

logger = logging.getLogger(__name__)

AWAY_S = 120.0
"""A rater who has had a clip for longer is not waited for."""
APART = 3
"""A clip is shown again as a check only after so many others."""
STEPS = ("vote", "repeat", "practice")
"""What a page calls `COUNTED`, `REPEATED` and `PRACTISED`, in that order."""


@dataclass(frozen=True)
class Step:
    """What a rater sees next.

    Attributes:
        kind: one of `STEPS`, or "done".
        clip: its number; None where nothing is left.
        done: clips that this rater has voted on.
        proposed_break: whether this is a moment for a break.
    """

    kind: str
    clip: int | None
    done: int
    proposed_break: bool = False


class Session:
    """A study at work. Safe to use from several threads.

    Args:
        store: of its votes.
        root: what the paths of clips are relative to.
    """

    def __init__(self, store: Store, root: Path) -> None:
        self.store, self.root = store, root
        self._lock = threading.RLock()
        self._learning = threading.Lock()
        self._away: dict[int, tuple[int, float]] = {}
        self.vanished: set[int] = set()
        self.refresh()

    def refresh(self) -> None:
        """Read the study and all votes anew, as after a change of its definition."""
        with self._lock:
            self.study: Study = self.store.study()
            self.version = self.store.version
            self.clips: dict[int, Clip] = self.store.clips
            practice = {each.clip for each in self.study.practice}
            numbers = {clip.name: number for number, clip in self.clips.items()}
            self.practice: dict[int, Practice] = {numbers[each.clip]: each for each in self.study.practice}
            self.asked = [number for number, clip in self.clips.items() if clip.name not in practice]
            self._row = {number: row for row, number in enumerate(self.asked)}
            votes, people = np.zeros((len(self.asked), len(self.study.choices))), np.zeros(len(self.asked), np.int64)
            for vote in self.store.votes():
                row = self._row.get(numbers[vote.clip])
                if row is not None:
                    votes[row] += self._counts(vote.emotions)
                    people[row] += 1
            self.board = Board(votes, people, self.study.plan)
            self._voted: dict[int, dict[int, dict[str, float | None]]] = {}
            self._orders: dict[int, Positions] = {}
            self._numbers: dict[tuple[int, int], int] = {}

    def path(self, clip: int) -> Path:
        """Where a clip lies."""
        return self.root / self.clips[clip].path

    def next_step(self, rater: int) -> Step:
        """What a rater sees now; the same when asked again before a vote."""
        with self._lock:
            voted, done = self._votes_of(rater), len(self._votes_of(rater))
            practised = self.store.voted(rater, PRACTISED) if self.practice and not done else {}
            waiting = [clip for clip in self.practice if clip not in practised] if not done else []
            if waiting:
                return Step("practice", waiting[0], done)
            paused = bool(self.study.break_every and done and done % self.study.break_every == 0)
            again = self._repeated(rater, list(voted))
            if again is not None:
                return Step("repeat", again, done)
            clip = self._next_clip(rater, voted)
            return Step("done" if clip is None else "vote", clip, done, paused and clip is not None)

    def add(self, rater: int, cast: Cast) -> bool:
        """Store a vote, and count it; False where it was stored already. Raises as `Store.add`."""
        with self._lock:
            self._votes_of(rater)  # as they are before this vote
        number = self.store.add(rater, cast)  # without the lock: others' votes are written meanwhile, or with it
        with self._lock:
            row, last = self._row.get(cast.clip), self._numbers.get((rater, cast.clip), 0)
            if cast.occasion == COUNTED and row is not None and number > last:
                former = self._votes_of(rater).get(cast.clip)
                stored = {self.study.emotions.canonical(name): value for name, value in cast.emotions.items()}
                if former is not None:
                    self.board.add(row, -self._counts(former), people=-1)
                self.board.add(row, self._counts(stored))
                self._votes_of(rater)[cast.clip] = stored
                self._numbers[rater, cast.clip] = number
                self._away.pop(rater, None)
        return number > 0

    def occasion(self, rater: int, clip: int, kind: str) -> int:
        """As what a vote on a clip counts: what the page says, where that can be."""
        if clip in self.practice:
            return PRACTISED
        with self._lock:
            return REPEATED if kind == "repeat" and clip in self._votes_of(rater) else COUNTED

    def forget(self, rater: int) -> int:
        """Delete a rater and their votes; returns how many votes those were."""
        with self._lock:
            count = self.store.forget(rater)
            self._away.pop(rater, None)
            self.refresh()
            return count

    def learn(self) -> None:
        """Learn the prior of the allocation where there are enough new votes; one thread at a time does.

        A process of its own computes it, so that nobody's vote waits meanwhile.
        """
        if self.board.is_due and self._learning.acquire(blocking=False):
            try:
                self.board.learn(_learn_elsewhere)
            finally:
                self._learning.release()

    def _votes_of(self, rater: int) -> dict[int, dict[str, float | None]]:
        if rater not in self._voted:
            self._voted[rater] = self.store.voted(rater)
        return self._voted[rater]

    def _repeated(self, rater: int, voted: list[int]) -> int | None:
        """The clip that is due to be shown again, the first that was voted on of those that were not yet."""
        every = self.study.repeat_every
        if not every or len(voted) <= APART:
            return None
        repeated = self.store.voted(rater, REPEATED)
        if len(voted) // every <= len(repeated):
            return None
        early = [clip for clip in voted[:-APART] if clip not in repeated and self._is_there(clip)]
        return early[0] if early else None

    def _next_clip(self, rater: int, voted: Mapping[int, object]) -> int | None:
        now = time.monotonic()
        self._away = {other: (row, at) for other, (row, at) in self._away.items() if now - at < AWAY_S}
        held = self._away.get(rater)
        if held is not None and self._is_there(self.asked[held[0]]):
            return self.asked[held[0]]
        seen = {self._row[clip] for clip in (*voted, *self.vanished) if clip in self._row}
        if rater not in self._orders:
            self._orders[rater] = own_order(len(self.asked), self.study.seed, rater)
        order = self._orders[rater]
        while len(order):
            away = [row for other, (row, _) in self._away.items() if other != rater]
            row = self.board.next_clip(order, seen, away)
            if row is None:
                return None
            if self._is_there(self.asked[row]):
                self._away[rater] = row, now
                return self.asked[row]
            seen.add(row)
        return None

    def _is_there(self, clip: int) -> bool:
        """Whether a clip's file is still there; those that are not are kept in `vanished`."""
        there = holding_file(self.path(clip)).exists()
        (self.vanished.discard if there else self.vanished.add)(clip)
        return there

    def _counts(self, emotions: Mapping[str, float | None]) -> Floats:
        return np.array([float(choice.name in emotions) for choice in self.study.choices])


def _learn_elsewhere(votes: Floats, kinds: int) -> Prior:
    with worker_pool(1) as pool:
        return pool.submit(learn_mixture, votes, kinds).result()
