"""Answers: who said what of which clip; the long table that rater models are fitted to.

Conventions: A answers of R raters about N clips. Clips and raters are known by their names, as text, and counted in the
order of those; the order of the rows plays no part, but for a rater's repeated answers to one clip.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from dfer.errors import DferError, listed, nearest, require_known
from dfer.labels.emotions import EmotionSet

Positions = NDArray[np.int64]

EARLIER = "earlier answer of a rater to the same clip"
REPEATS = ("last", "all", "")


@dataclass(frozen=True)
class Answers:
    """Answers about clips. Made by `build`, which says which of a rater's several answers to one clip are here.

    Attributes:
        emotions: the K emotions that could be answered.
        clips: N names, sorted.
        raters: R names, sorted.
        clip: (A,) positions in `clips`, ascending.
        rater: (A,) positions in `raters`.
        emotion: (A,) positions in `emotions`.
        left_out: reason -> how many answers of the source are not here.
    """

    emotions: EmotionSet
    clips: tuple[str, ...]
    raters: tuple[str, ...]
    clip: Positions
    rater: Positions
    emotion: Positions
    left_out: Mapping[str, int] = field(default_factory=dict)

    @classmethod
    def build(
        cls,
        clips: Iterable[object],
        raters: Iterable[object],
        said: Iterable[object],
        emotions: EmotionSet,
        *,
        repeats: str = "last",
    ) -> Answers:
        """Answers from three columns of one length, a row an answer.

        Rows without a clip, a rater or an emotion (empty, None, NaN or pandas.NA) are left out and counted.

        Args:
            clips: names.
            raters: names.
            said: emotions by name.
            emotions: that could be answered.
            repeats: of a rater's several answers to one clip, "last" keeps the last, as people correct themselves, and
                counts the others as left out; "all" keeps all, as where each was asked anew; "" keeps all where more
                than half of the pairs of rater and clip have several, else the last.

        Raises:
            DferError: columns that differ in length, an answer that is none of the emotions, or no answer.

        >>> two = EmotionSet("two", ("happy", "sad"))
        >>> told = Answers.build(["a", "a", "b"], ["x", "y", "x"], ["Happy", "sad", ""], two)
        >>> told.clips, told.votes.tolist(), told.left_out
        (('a',), [[1.0, 1.0]], {'answer without an emotion': 1})
        """
        require_known("repeats cannot be", repeats, REPEATS)
        columns = [_texts(column) for column in (clips, raters, said)]
        lengths = [len(column) for column in columns]
        if len(set(lengths)) > 1:
            raise DferError(
                f"expected as many clips as raters and answers, got {lengths[0]}, {lengths[1]}, {lengths[2]}"
            )
        kept, left_out = _by_pair(columns, emotions)
        if repeats == "last" or (not repeats and sum(len(several) > 1 for several in kept.values()) <= len(kept) / 2):
            left_out[EARLIER] = sum(len(several) - 1 for several in kept.values())
            kept = {pair: several[-1:] for pair, several in kept.items()}
        order = [(*pair, answer) for pair in sorted(kept) for answer in kept[pair]]
        clip_names, clip_of = np.unique([clip for clip, _, _ in order], return_inverse=True)
        rater_names, rater_of = np.unique([rater for _, rater, _ in order], return_inverse=True)
        return cls(
            emotions, tuple(clip_names.tolist()), tuple(rater_names.tolist()), clip_of, rater_of,
            np.array([answer for _, _, answer in order]), {reason: n for reason, n in left_out.items() if n},
        )  # fmt: skip

    def __len__(self) -> int:
        return len(self.clip)

    @property
    def repeated(self) -> bool:
        """Whether some rater has several answers to one clip here."""
        pairs = self.clip * len(self.raters) + self.rater
        return len(np.unique(pairs)) < len(pairs)

    @property
    def votes(self) -> NDArray[np.float64]:
        """(N, K) how often each answer was given."""
        counts = np.zeros((len(self.clips), len(self.emotions)))
        np.add.at(counts, (self.clip, self.emotion), 1.0)
        return counts


def _by_pair(columns: list[list[str]], emotions: EmotionSet) -> tuple[dict[tuple[str, str], list[int]], Counter[str]]:
    """(clip, rater) -> the positions of the emotions that were answered, in order; and what was left out."""
    left_out: Counter[str] = Counter()
    positions = _positions(columns[2], emotions)
    kept: dict[tuple[str, str], list[int]] = {}
    for clip, rater, answer in zip(*columns, strict=True):
        lacking = "a clip" if not clip else "a rater" if not rater else "an emotion" if not answer else ""
        if lacking:
            left_out[f"answer without {lacking}"] += 1
            continue
        kept.setdefault((clip, rater), []).append(positions[answer])
    if not kept:
        told = "".join(f"; left out {count}: {reason}" for reason, count in left_out.items() if count)
        raise DferError(f"there is no answer with a clip, a rater and an emotion in this table{told}")
    return kept, left_out


def _texts(column: Iterable[object]) -> list[str]:
    """The values as text, "" for what pandas holds to be missing."""
    import pandas as pd

    values = pd.Series(list(column), dtype=object)
    return ["" if missing else str(value).strip() for value, missing in zip(values, values.isna(), strict=True)]


def _positions(said: list[str], emotions: EmotionSet) -> dict[str, int]:
    """Answer -> position of its emotion, for all that are not empty; raises when one is no emotion."""
    counted = Counter(said)
    counted.pop("", None)
    unknown = [
        f"'{name}'{nearest(name, emotions)} ({count})" for name, count in counted.items() if name not in emotions
    ]
    if unknown:
        raise DferError(
            f"answers that are none of the emotions {listed(emotions, 12)}: {listed(unknown)}; name all emotions that "
            "could be answered, in order (-O emotions=happy,sad,...), or say what they stand for (--map word=emotion)"
        )
    return {name: emotions.index(name) for name in counted}
