"""Label spaces as data: ordered names of emotions, and the way from one space to another by name.

Conventions: an emotion is known by its canonical name (lower case: happy, sad, neutral, angry, surprise,
disgust, fear, contempt, anxiety, helplessness, disappointment, calm); a position means nothing without its
`EmotionSet`. Spellings that mean the same in every data set ("happiness", "Anger") are understood by every
set; abbreviations that mean something in one source only ("A" in CREMA-D) are aliases of that set alone.

References: orders and spellings follow each source's own files: DFEW (Jiang et al., ACM MM 2020), FERV39k
(Wang et al., CVPR 2022), MAFW (Liu et al., ACM MM 2022), CREMA-D (Cao et al., IEEE TAFFC 2014), FER+
(Barsoum et al., ICMI 2016), RAVDESS (Livingstone and Russo, PLoS ONE 2018).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
from numpy.typing import ArrayLike, NDArray

from dfer.errors import DferError, listed, nearest, not_known, require_known

MOST_EMOTIONS = 1000
"""Of a data set, a network or a timeline: a table has three columns for each, and what is told of pairs of emotions
grows with their square."""
SPELLINGS: dict[str, str] = {
    "happiness": "happy", "joy": "happy", "joyful": "happy",
    "sadness": "sad",
    "anger": "angry",
    "surprised": "surprise",
    "disgusted": "disgust",
    "fearful": "fear", "afraid": "fear", "scared": "fear",
    "contemptuous": "contempt",
    "anxious": "anxiety",
    "helpless": "helplessness",
    "disappointed": "disappointment",
}  # fmt: skip
"""Other spellings -> canonical name, in any data set."""


@dataclass(frozen=True)
class EmotionSet:
    """The emotions of a data set, a model or a report, in order.

    Two sets are equal when they list the same emotions in the same order, whatever their names and aliases.

    Attributes:
        name: what the set is called in messages and files.
        emotions: the K names in order; column k of votes, targets and probs belongs to emotions[k].
        aliases: further spellings -> emotion, understood by this set alone.

    Raises:
        DferError: no emotion, one named twice, or an alias that leads nowhere or hides an emotion.

    >>> DFEW.index("Happiness"), DFEW.canonical("7fear"), "contempt" in DFEW
    (0, 'fear', False)
    """

    name: str = field(compare=False)
    emotions: tuple[str, ...]
    aliases: Mapping[str, str] = field(default_factory=dict, compare=False)

    __pydantic_config__ = {"extra": "forbid"}  # noqa: RUF012 (pydantic reads it; it is no field)

    def __post_init__(self) -> None:
        object.__setattr__(self, "emotions", tuple(self.emotions))
        folded = [_fold(emotion) for emotion in self.emotions]
        if not folded or "" in folded:
            raise DferError(f"emotion set '{self.name}': expected names, got {listed(map(repr, self.emotions))}")
        twice = sorted(emotion for emotion, count in Counter(folded).items() if count > 1)
        if twice:
            raise DferError(f"emotion set '{self.name}' names an emotion twice: {listed(twice)}")
        names, spelt = set(self.emotions), set(folded)
        wrong = [
            f"{alias} -> {emotion}"
            for alias, emotion in self.aliases.items()
            if emotion not in names or (_fold(alias) in spelt and _fold(alias) != _fold(emotion))
        ]
        if wrong:
            raise DferError(
                f"emotion set '{self.name}': an alias must lead to one of its emotions and not be "
                f"the name of another one; wrong: {listed(wrong)}"
            )

    def __len__(self) -> int:
        return len(self.emotions)

    def __iter__(self) -> Iterator[str]:
        return iter(self.emotions)

    def __getitem__(self, position: int) -> str:
        return self.emotions[position]

    def __contains__(self, name: object) -> bool:
        return isinstance(name, str) and self._find(name) is not None

    @cached_property
    def _positions(self) -> dict[str, int]:
        """Folded spelling -> position; a name wins over an alias, an alias over a shared spelling."""
        positions = {_shared(emotion): k for k, emotion in enumerate(self.emotions)}
        own = {emotion: k for k, emotion in enumerate(self.emotions)}
        positions |= {_fold(alias): own[emotion] for alias, emotion in self.aliases.items()}
        return positions | {_fold(emotion): k for k, emotion in enumerate(self.emotions)}

    def _find(self, name: str) -> int | None:
        position = self._positions.get(_fold(name))
        return self._positions.get(_shared(name)) if position is None else position

    def index(self, name: str) -> int:
        """The position of an emotion, by name or alias, in any case.

        Raises:
            DferError: the set has no such emotion; the message gives the nearest name and what is known.
        """
        position = self._find(name)
        if position is None:
            hint = nearest(_fold(name), [*self.emotions, *self.aliases, *SPELLINGS])
            raise DferError(
                f"emotion set '{self.name}' has no emotion '{name}'{hint}; expected one of {listed(self.emotions, 12)}"
            )
        return position

    def canonical(self, name: str) -> str:
        """The set's own name for an emotion given by name or alias; raises as `index` does."""
        return self.emotions[self.index(name)]

    def mapping_to(self, other: EmotionSet) -> NDArray[np.int64]:
        """Where each emotion of this set lies in another one, by name.

        Returns:
            (K,) positions in `other`: `other[mapping[k]]` means the same as `self[k]`.

        Raises:
            DferError: `other` lacks some of the emotions; the message names them.

        >>> DFEW.mapping_to(FERPLUS).tolist()
        [1, 3, 0, 4, 2, 5, 6]
        """
        positions = _positions_in(self, other)
        lacking = [emotion for emotion, position in zip(self, positions, strict=True) if position < 0]
        if lacking:
            raise DferError(
                f"emotion set '{other.name}' ({listed(other, 12)}) lacks {listed(lacking)} of '{self.name}'; "
                "choose a set that has them, or drop them explicitly"
            )
        return positions


def map_columns(
    values: ArrayLike, source: EmotionSet, target: EmotionSet, *, missing: str = "error"
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Move the columns of votes or probabilities from one label space to another, by name.

    An emotion that only the target has becomes a column of zeros. Rows are not normalised again: a row that
    lost mass is the caller's to judge.

    Args:
        values: (N, K) votes, targets or probabilities in the order of `source`.
        source: the label space that the columns are in.
        target: the label space wanted, of L emotions.
        missing: "error" refuses a source that has emotions which the target lacks; "drop" leaves them out.

    Returns:
        (N, L) values in the order of `target`, and (N,) the mass that each row lost.

    Raises:
        DferError: values of another shape, an unknown `missing`, or emotions missing under "error".
    """
    table = np.asarray(values, dtype=np.float64)
    if table.ndim != 2 or table.shape[1] != len(source):
        raise DferError(f"expected values (N, {len(source)}) for '{source.name}', got shape {table.shape}")
    require_known("missing cannot be", missing, ("error", "drop"))
    positions = source.mapping_to(target) if missing == "error" else _positions_in(source, target)
    # a product, not an assignment: two emotions of the source may be one of the target ("joy" and "happy")
    to_target = (positions[:, None] == np.arange(len(target))).astype(np.float64)
    return table @ to_target, table[:, positions < 0].sum(axis=1)


def emotion_set(name: str) -> EmotionSet:
    """A known label space by its name, in any case.

    Raises:
        DferError: no such space; the message gives the nearest name and the known ones.
    """
    known = KNOWN.get(name.strip().lower().replace("-", "_"))
    if known is None:
        raise not_known("no emotion set", name, KNOWN)
    return known


def _fold(name: str) -> str:
    return name.strip().casefold()


def _shared(name: str) -> str:
    return SPELLINGS.get(_fold(name), _fold(name))


def _positions_in(source: EmotionSet, target: EmotionSet) -> NDArray[np.int64]:
    found = [target._find(emotion) for emotion in source]
    return np.array([-1 if position is None else position for position in found], dtype=np.int64)


_SEVEN = ("happy", "sad", "neutral", "angry", "surprise", "disgust", "fear")

DFEW = EmotionSet("dfew", _SEVEN, {f"{number}{emotion}": emotion for number, emotion in enumerate(_SEVEN, 1)})
"""Class numbers 1..7 of its csv files; the vote columns of annotation.xlsx are spelt 1happy ... 7fear."""

FERV39K = EmotionSet("ferv39k", _SEVEN)
"""Its files hold names, never numbers; this order is the one that most published list files use (some are
alphabetical), so numbers from elsewhere must say their order."""

MAFW = EmotionSet(
    "mafw",
    ("angry", "disgust", "fear", "happy", "neutral", "sad", "surprise",
     "contempt", "anxiety", "helplessness", "disappointment"),
)  # fmt: skip
"""Class numbers 1..11 of its annotation files."""

CREMA_D = EmotionSet(
    "crema_d",
    ("angry", "disgust", "fear", "happy", "neutral", "sad"),
    {"a": "angry", "d": "disgust", "f": "fear", "h": "happy", "n": "neutral", "s": "sad",
     "ang": "angry", "dis": "disgust", "fea": "fear", "hap": "happy", "neu": "neutral"},
)  # fmt: skip
"""Column letters A D F H N S of its vote table, and the acted emotion ANG ... SAD in its file names."""

FERPLUS = EmotionSet("ferplus", ("neutral", "happy", "surprise", "sad", "angry", "disgust", "fear", "contempt"))
"""Columns of fer2013new.csv; its further columns unknown and NF (not a face) name no emotion."""

RAVDESS = EmotionSet("ravdess", ("neutral", "calm", "happy", "sad", "angry", "fear", "disgust", "surprise"))
"""Emotion codes 01..08 of its file names."""

KNOWN: dict[str, EmotionSet] = {known.name: known for known in (DFEW, FERV39K, MAFW, CREMA_D, FERPLUS, RAVDESS)}
"""The known label spaces by name."""
