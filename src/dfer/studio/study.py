"""What raters are asked in a study: the emotions, the texts, how many votes a clip gets, practice and checks."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from dfer.documents import checked
from dfer.errors import DferError, listed
from dfer.labels import EmotionSet
from dfer.labels.allocation import ByNeed, EveryClip

MOST_CHOICES = 30
"""Emotions that fit on a page."""
LONGEST_TEXT = 10_000
"""Characters of the instructions."""
NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,39}")
"""Of a study; it is part of addresses and of the name of its file."""


@dataclass(frozen=True)
class Choice:
    """An emotion as it is stored, and as raters read it; they read the name where nothing is said."""

    name: str
    shown: str = ""


@dataclass(frozen=True)
class Practice:
    """A clip that raters see first.

    Attributes:
        clip: its name.
        emotions: votes that are fine; empty: any.
        feedback: what a rater reads after the vote.
    """

    clip: str
    emotions: tuple[str, ...] = ()
    feedback: str = ""


@dataclass(frozen=True)
class Study:
    """A study as its owner defines it.

    Attributes:
        title: that raters read.
        choices: the emotions, in the order of the keys 1, 2, ...
        instructions, thanks: texts before the first and after the last clip; "": the usual ones in its language.
        plan: how many votes a clip gets.
        several: a rater may choose several emotions for a clip.
        strength: a rater says how strongly each chosen emotion shows.
        cannot_tell: a rater may say that it cannot be told.
        practice: clips that come first and do not count.
        repeat_every: after so many clips one of them is shown again, to see whether the rater is consistent; 0: never.
        break_every: after so many clips the page proposes a break; 0: never.
        seed: of the orders in which raters see the clips.
        language: of the texts; the fixed words of the raters' pages are those of `dfer.studio.words`.
    """

    title: str
    choices: tuple[Choice, ...]
    instructions: str = ""
    thanks: str = ""
    plan: EveryClip | ByNeed = field(default_factory=EveryClip)
    several: bool = False
    strength: bool = False
    cannot_tell: bool = True
    practice: tuple[Practice, ...] = ()
    repeat_every: int = 0
    break_every: int = 0
    seed: int = 0
    language: str = "en"

    __pydantic_config__ = {"extra": "forbid"}  # noqa: RUF012 (pydantic reads it; it is no field)

    def __post_init__(self) -> None:
        if not 2 <= len(self.choices) <= MOST_CHOICES:
            raise DferError(f"expected 2 to {MOST_CHOICES} emotions to choose from, got {len(self.choices)}")
        emotions = self.emotions
        for text, most in ((self.title, 200), (self.instructions, LONGEST_TEXT), (self.thanks, LONGEST_TEXT)):
            if len(text) > most:
                raise DferError(f"expected a text of at most {most} characters, got {len(text)}")
        if not self.title.strip():
            raise DferError("a study has no title; give it one")
        if min(self.repeat_every, self.break_every, self.seed) < 0:
            raise DferError("expected repeat_every, break_every and seed of 0 or more")
        if not re.fullmatch("[A-Za-z]{2,3}(-[A-Za-z0-9]{2,8})*", self.language):
            raise DferError(f"expected a language such as en or pt-BR, got {self.language!r}")
        unknown = [name for each in self.practice for name in each.emotions if name not in emotions]
        if unknown:
            raise DferError(f"practice clips name emotions that cannot be chosen: {listed(unknown)}")

    @property
    def emotions(self) -> EmotionSet:
        """The names that votes are stored by, in order."""
        return EmotionSet("study", tuple(choice.name for choice in self.choices))

    def to_dict(self) -> dict[str, Any]:
        """Plain values, as `from_dict` reads them."""
        return asdict(self)


def from_dict(values: object, source: str = "the study") -> Study:
    """The inverse of `Study.to_dict`.

    Raises:
        DferError: an unknown key or a value that does not fit; names it.
    """
    study = checked(Study, values, source)
    for choice in study.choices:
        if any(not letter.isprintable() for letter in choice.name + choice.shown) or len(choice.name) > 80:
            raise DferError(f"{source}: expected the name of an emotion as up to 80 letters, got {choice.name!r}")
    return study


def clean_vote(study: Study, emotions: Mapping[str, float | None]) -> dict[str, float | None]:
    """The emotions of a vote under the study's names, in its order.

    Raises:
        DferError: an emotion that cannot be chosen, several or none where that is not allowed, or a strength that is
            missing or not in 0..1.
    """
    known = study.emotions
    named = {known.canonical(name): value for name, value in emotions.items()}
    if not named and not study.cannot_tell:
        raise DferError("expected an emotion; this study has no 'cannot tell'")
    if len(named) > 1 and not study.several:
        raise DferError(f"expected one emotion, got {listed(named)}")
    for name, value in named.items():
        if study.strength != (value is not None) or (value is not None and not 0 <= value <= 1):
            wanted = "a strength from 0 to 1" if study.strength else "no strength"
            raise DferError(f"expected {wanted} for {name}, got {value}")
    return {name: named[name] for name in known if name in named}
