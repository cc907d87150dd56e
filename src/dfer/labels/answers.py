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

from dfer.errors import DferError, listed, nearest
from dfer.labels.emotions import EmotionSet

Positions = NDArray[np.int64]


@dataclass(frozen=True)
class Answers:
    """Answers about clips, each rater's at most once a clip. Made by `build`, which says what becomes of the others.

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
        cls, clips: Iterable[object], raters: Iterable[object], said: Iterable[object], emotions: EmotionSet
    ) -> Answers:
        """Answers from three columns of one length, a row an answer.

        Rows without a clip, a rater or an emotion (empty, None, NaN or pandas.NA) are left out. Of a rater's several
        answers to one clip the last counts, as people correct themselves. Both are counted.

        Raises:
            DferError: columns that differ in length, an answer that is none of the emotions, or no answer.

        >>> two = EmotionSet("two", ("happy", "sad"))
        >>> told = Answers.build(["a", "a", "b"], ["x", "y", "x"], ["Happy", "sad", ""], two)
        >>> told.clips, told.votes.tolist(), told.left_out
        (('a',), [[1.0, 1.0]], {'answer without an emotion': 1})
        """
        columns = [_texts(column) for column in (clips, raters, said)]
        lengths = [len(column) for column in columns]
        if len(set(lengths)) > 1:
            raise DferError(
                f"expected as many clips as raters and answers, got {lengths[0]}, {lengths[1]}, {lengths[2]}"
            )
        left_out: Counter[str] = Counter()
        positions = _positions(columns[2], emotions)
        kept: dict[tuple[str, str], int] = {}
        for clip, rater, answer in zip(*columns, strict=True):
            lacking = "a clip" if not clip else "a rater" if not rater else "an emotion" if not answer else ""
            if lacking:
                left_out[f"answer without {lacking}"] += 1
                continue
            left_out["earlier answer of a rater to the same clip"] += (clip, rater) in kept
            kept[clip, rater] = positions[answer]
        if not kept:
            told = "".join(f"; left out {count}: {reason}" for reason, count in left_out.items() if count)
            raise DferError(f"there is no answer with a clip, a rater and an emotion in this table{told}")
        order = sorted(kept)
        clip_names, clip_of = np.unique([clip for clip, _ in order], return_inverse=True)
        rater_names, rater_of = np.unique([rater for _, rater in order], return_inverse=True)
        return cls(
            emotions, tuple(clip_names.tolist()), tuple(rater_names.tolist()), clip_of, rater_of,
            np.array([kept[pair] for pair in order]), {reason: n for reason, n in left_out.items() if n},
        )  # fmt: skip

    def __len__(self) -> int:
        return len(self.clip)

    @property
    def votes(self) -> NDArray[np.float64]:
        """(N, K) how many raters gave each answer."""
        counts = np.zeros((len(self.clips), len(self.emotions)))
        np.add.at(counts, (self.clip, self.emotion), 1.0)
        return counts


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
        f"'{name}'{nearest(name.lower(), emotions)} ({count})"
        for name, count in counted.items()
        if name not in emotions
    ]
    if unknown:
        raise DferError(
            f"answers that are none of the emotions {listed(emotions, 12)}: {listed(unknown)}; name all emotions that "
            "could be answered, in order, or leave these rows out"
        )
    return {name: emotions.index(name) for name in counted}
