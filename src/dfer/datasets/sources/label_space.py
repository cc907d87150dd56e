"""From the words of a data set to its emotions: exactly those that it names, in the order of a known set.

A word is an emotion by its name, by a common spelling or as the user maps it (`--map ntr=neutral`). Some words are
answers and name no emotion ("other", "unknown", "not a face"): they count as voters, not as votes for an emotion.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from dfer.errors import DferError, listed, nearest
from dfer.labels import KNOWN, EmotionSet, emotion_set
from dfer.labels.emotions import SPELLINGS

NO_EMOTION = {
    **dict.fromkeys(("other", "others", "other emotion", "something else", "else"), "other"),
    **dict.fromkeys(("none", "no emotion", "none of these", "none of the above", "nothing"), "none"),
    **dict.fromkeys(
        ("unknown", "unsure", "not sure", "dont know", "do not know", "dk", "idk", "can not tell"), "unknown"
    ),
    **dict.fromkeys(("can not say", "can not decide", "unclear", "uncertain", "undecided", "ambiguous"), "unknown"),
    **dict.fromkeys(("n/a", "na", "?", "i dont know", "i do not know"), "unknown"),
    **dict.fromkeys(("nf", "not a face", "not face", "no face", "noface", "face not visible"), "not_face"),
}
"""An answer that names no emotion -> the end of the manifest's column, such as other_unknown."""
REJECTED = "rejected"
"""The end of the column that counts answers which the source itself rejected."""


@dataclass(frozen=True)
class Vocabulary:
    """What the words of one table mean.

    Attributes:
        emotions: a known set or names in order, as the user gives them, or "".
        own: the user's abbreviations, folded -> what they stand for.
    """

    emotions: str = ""
    own: Mapping[str, str] = field(default_factory=dict)

    def translate(self, word: str) -> str:
        """A word in full: what it is mapped to, or itself."""
        return self.own.get(word.strip().casefold(), word.strip())

    def other(self, word: str) -> str:
        """Which kind of answer without an emotion a word is, "" for none; the user's own emotions come first."""
        word = self.translate(word)
        return "" if word in self._chosen else NO_EMOTION.get(_plain(word), "")

    def __contains__(self, word: object) -> bool:
        """Whether a word is an answer: an emotion, or one of those that name none."""
        if not isinstance(word, str):
            return False
        full = self.translate(word)
        return bool(self.other(word)) or full in self._chosen or known(full) or word.strip().casefold() in self.own

    def space(self, words: Iterable[str]) -> EmotionSet:
        """The emotions of a data set that has these words; see `choose_emotions`."""
        return choose_emotions(self.emotions, map(self.translate, words), allowed=self.own.values())

    @property
    def _chosen(self) -> Iterable[str]:
        return choose_emotions(self.emotions, []) if self.emotions else ()


def parse_map(text: str) -> dict[str, str]:
    """Abbreviations as the command line gives them.

    Raises:
        DferError: something without "=", or one abbreviation with two meanings.

    >>> parse_map("ntr=neutral, SUP=surprise")
    {'ntr': 'neutral', 'sup': 'surprise'}
    """
    own: dict[str, str] = {}
    for pair in filter(None, (part.strip() for part in text.split(","))):
        word, equals, meaning = (part.strip() for part in pair.partition("="))
        if not (word and equals and meaning):
            raise DferError(f"expected --map word=emotion,word=emotion, got '{pair}'")
        if own.setdefault(word.casefold(), meaning) != meaning:
            raise DferError(f"--map gives '{word}' two meanings: {own[word.casefold()]} and {meaning}")
    return own


def choose_emotions(wanted: str, names: Iterable[str], *, allowed: Iterable[str] = ()) -> EmotionSet:
    """The set that is asked for, or exactly the emotions that the data names.

    Their order is that of the smallest known set that has them all, else that of all known sets one after the other.

    Args:
        wanted: the name of a known set, names of emotions in order with commas between, or "".
        names: what the data calls its emotions.
        allowed: names that are emotions because the user says so.

    Raises:
        DferError: no such set, or a name that no known set has; the message gives the nearest ones.

    >>> list(choose_emotions("", ["Neutral", "joy", "sad"]))
    ['happy', 'neutral', 'sad']
    """
    parts = tuple(part.strip() for part in wanted.split(",") if part.strip())
    if parts:
        return emotion_set(wanted) if len(parts) == 1 and not _is_single(parts[0]) else EmotionSet("own", parts)
    names, own = list(dict.fromkeys(names)), EmotionSet("all", _all_emotions(allowed))
    if not names:
        raise DferError("nothing here names an emotion")
    fitting = [space for space in KNOWN.values() if all(name in space for name in names)]
    space = min(fitting, key=len) if fitting else own
    strange = [name for name in names if name not in space]
    if strange:
        unknown = listed(f"'{name}'{nearest(name, _spelt())}" for name in strange)
        told = f"no known set of emotions has all of {listed(names, 12)}; in none at all: {unknown}"
        told += "; say what they stand for"
        if all(map(str.isdecimal, strange)):
            raise DferError(f"{told}: --map {strange[0]}=happy and so on")
        raise DferError(f"{told}, --map word=emotion, or name all emotions in order, -O emotions=happy,sad,...")
    chosen = {space.canonical(name) for name in names}
    emotions = tuple(emotion for emotion in space if emotion in chosen)
    if len(emotions) == len(space) and fitting:
        return space
    aliases = {alias: emotion for alias, emotion in space.aliases.items() if emotion in chosen}
    return EmotionSet("own", emotions, aliases)


def known(name: str) -> bool:
    """Whether a name is an emotion in some known set."""
    return any(name in space for space in KNOWN.values())


def _all_emotions(allowed: Iterable[str]) -> tuple[str, ...]:
    """All emotions of the known sets, and those that the user allows."""
    emotions = dict.fromkeys(emotion for space in KNOWN.values() for emotion in space)
    everything = EmotionSet("all", tuple(emotions))
    more = dict.fromkeys(name for name in allowed if name not in everything and _plain(name) not in NO_EMOTION)
    return (*emotions, *more)


def _spelt() -> set[str]:
    return {word for space in KNOWN.values() for word in space} | set(SPELLINGS)


def _is_single(word: str) -> bool:
    """Whether one word is an emotion and not the name of a set: then it is a set of one."""
    return word.lower().replace("-", "_") not in KNOWN and known(word)


def _plain(word: str) -> str:
    """A word in lower case, without apostrophes, with single spaces.

    >>> _plain("Can't_tell"), _plain("Don’t  know.")
    ('can not tell', 'dont know')
    """
    text = re.sub("can(no|['’])t", "can not", word.casefold()).replace("_", " ")
    return " ".join(re.sub("[’'`]", "", text).split()).rstrip(".")
