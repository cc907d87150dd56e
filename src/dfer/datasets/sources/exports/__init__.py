"""Exports of tools that people answer with, one file a format: all become a row an answer.

Every reader gives a table with the columns clip, rater, emotion (the answer as it was given), status ("rejected" where
the tool says so), left_out (why an answer cannot be read, or ""), and where the tool knows them voted_at (when it was
given) and seconds (how long it took). A format is known by its content, not by its name.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import pandas as pd

from dfer.datasets.sources.column_names import NAMES, plain
from dfer.datasets.sources.label_space import Vocabulary
from dfer.datasets.spelling import SUFFIXES, file_of
from dfer.errors import DferError, listed

SEVERAL = "answer with several emotions"
NOTHING = "answer without an emotion"
FILE_NAME = re.compile(r"[\w./\\:%-]+(?:" + "|".join(re.escape(suffix) for suffix in SUFFIXES) + r")\b", re.IGNORECASE)
"""The name of a film or picture in a text."""
YES = ("true", "1", "yes", "on", "x", "checked")


class Answer(NamedTuple):
    """What one rater said of one clip, as the export has it."""

    clip: str
    rater: str
    emotion: str
    status: str = ""
    left_out: str = ""
    voted_at: str = ""
    seconds: str = ""


def as_frame(answers: Sequence[Answer]) -> pd.DataFrame:
    """A row an answer, cells as text."""
    return pd.DataFrame(answers, columns=list(Answer._fields), dtype=object).replace("", None)


def single(said: Sequence[str], words: Vocabulary) -> tuple[str, str]:
    """The one answer in what a rater gave, and why there is none."""
    given = list(dict.fromkeys(filter(None, (text.strip() for text in said))))
    if (
        len(given) == 1
        and given[0] not in words
        and set(filter(None, map(str.strip, given[0].split(",")))) - {given[0]}
    ):
        parts = [part.strip() for part in given[0].split(",")]
        given = parts if all(part in words for part in parts) else given
    if len(given) > 1:
        return "", SEVERAL
    return (given[0], "") if given else ("", NOTHING)


def longest(spans: Mapping[str, float]) -> tuple[str, str]:
    """The answer that lasts longest, and why there is none."""
    if not spans:
        return "", NOTHING
    most = max(spans.values())
    names = [name for name, span in spans.items() if span >= most * (1 - 1e-9)]
    return (names[0], "") if len(names) == 1 else ("", "several emotions for the same time")


def choose_question(said: Mapping[str, Sequence[str]], words: Vocabulary, place: str) -> str:
    """Which of several questions asks for the emotion: the one whose answers are emotions.

    Args:
        said: question -> all answers to it.
        words: of the user.
        place: the file, for messages.

    Raises:
        DferError: none of them, or several.
    """
    shares = {
        name: sum(word in words for word in given) / len(given)
        for name, given in ((name, [text for text in texts if text.strip()]) for name, texts in said.items())
        if given
    }
    named = [name for name, share in shares.items() if plain(name) in NAMES["emotion"] and share > 0]
    best = [name for name, share in shares.items() if share >= 0.5]
    found = best if len(best) == 1 else named or [name for name, share in shares.items() if share > 0]
    if len(found) == 1:
        return found[0]
    if not found:
        seen = listed(dict.fromkeys(word for texts in said.values() for word in texts if word.strip()), 8)
        raise DferError(
            f"{place}: no question has emotions as its answers; there are {listed(said, 8)} with answers such as "
            f"{seen}; say what they stand for: --map word=emotion"
        )
    raise DferError(f"{place}: emotions are the answers to several questions, {listed(found)}; keep one of them")


def choose_clip(fields: Mapping[str, Sequence[str]], place: str) -> str:
    """Which of several fields names the clip: the one that holds names of films or pictures, else one called so."""
    films = [name for name, texts in fields.items() if any(texts) and all(is_file_name(text) for text in texts if text)]
    called = [name for name in fields if plain(name) in NAMES["id"] and name != "id"]
    found = films if len(films) == 1 else [name for name in called if name in films] or films[:1] or called[:1]
    if not found and len(fields) == 1:
        found = list(fields)
    if not found:
        raise DferError(f"{place}: expected a field that names the clip; found {listed(fields, 12)}")
    return found[0]


def is_file_name(text: str) -> bool:
    """Whether a text is the name or address of a film or picture."""
    return file_of(text).lower().endswith(SUFFIXES)
