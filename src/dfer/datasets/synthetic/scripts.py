"""What is to be played in each clip, by whom, and what will be wrong with the picture.

Every emotion has its share of the clips of each fold and at least one clear clip there; the rest is drawn. The shares
follow DFEW's imbalance.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np

FOLDS = 5
SHARES = {
    "happy": 0.26,
    "sad": 0.19,
    "neutral": 0.10,
    "angry": 0.17,
    "surprise": 0.12,
    "disgust": 0.06,
    "fear": 0.10,
}
"""Emotion -> share of the scripts. Weak clips of any script are often seen as neutral."""
KINDS = {"single": 0.58, "weak": 0.14, "blend": 0.15, "change": 0.13}
"""Kind of script -> share, apart from neutral ones and the clear ones."""
NEIGHBOURS = {"happy": ("surprise", "neutral"), "sad": ("fear", "angry", "neutral"), "angry": ("disgust", "sad"),
              "surprise": ("fear", "happy"), "disgust": ("angry", "sad"), "fear": ("surprise", "sad")}  # fmt: skip
"""Emotion -> those that it blends into or gives way to."""
FLAWS = ("motion", "defocus", "low_res", "dark", "noise", "turned", "covered")
"""What may be wrong with a picture, each with a strength of 0..1."""


class Role(NamedTuple):
    """A clip's place in the data set: its number, the person, the fold (of both), the emotion, whether plain."""

    number: int
    identity: int
    fold: int
    emotion: str
    clear: bool


@dataclass(frozen=True)
class Script:
    """What is played: `kind` clear, single, weak, blend, change or neutral; `second` is "" but for two emotions."""

    kind: str
    first: str
    second: str = ""
    strength: float = 1.0
    speech: float = 0.0
    frames: int = 24
    flaws: dict[str, float] = field(default_factory=dict)

    def __str__(self) -> str:
        return f"{self.kind} {self.first}" + (f"+{self.second}" if self.second else "")


def cast(clips: int, seed: int) -> list[Role]:
    """The roles of a data set, in order of their number 1..clips; no person is in two folds."""
    rng = np.random.default_rng(np.random.SeedSequence(seed))
    people = max(2, min(10, clips // 60))
    roles = []
    for fold, numbers in enumerate(np.array_split(rng.permutation(clips) + 1, FOLDS), 1):
        emotions = list(SHARES) + _quota(len(numbers) - len(SHARES), rng)
        for place, (number, emotion) in enumerate(zip(numbers.tolist(), emotions, strict=True)):
            identity = fold - 1 + FOLDS * (place % people)
            roles.append(Role(number, identity, fold, emotion, clear=place < len(SHARES)))
    return sorted(roles)


def _quota(count: int, rng: np.random.Generator) -> list[str]:
    """Emotions by their shares, as exactly as whole clips allow, in random order."""
    exact = np.array(list(SHARES.values())) * count
    whole = np.floor(exact).astype(int)
    whole[np.argsort(whole - exact, kind="stable")[: count - whole.sum()]] += 1
    emotions = np.repeat(list(SHARES), whole)
    return [str(emotion) for emotion in rng.permutation(emotions)]


def write_script(role: Role, rng: np.random.Generator) -> Script:
    """Fill in what the role leaves open."""
    frames = int(rng.integers(16, 33))
    if role.clear:
        return Script("clear", role.emotion, frames=frames)
    speech = float(rng.uniform(0.4, 1.0)) if rng.random() < (0.6 if role.emotion == "neutral" else 0.2) else 0.0
    flaws = {}
    if rng.random() < 0.45:
        for flaw in rng.choice(FLAWS, int(rng.integers(1, 3)), replace=False):
            flaws[str(flaw)] = round(float(rng.uniform(0.3, 1.0)), 2)
    if role.emotion == "neutral":
        return Script("neutral", "neutral", "", 1.0, speech, frames, flaws)
    kind = str(rng.choice(list(KINDS), p=list(KINDS.values())))
    strength = float(rng.uniform(0.22, 0.5) if kind == "weak" else rng.uniform(0.65, 1.05))
    second = str(rng.choice(NEIGHBOURS[role.emotion])) if kind in ("blend", "change") else ""
    return Script(kind, role.emotion, second, round(strength, 2), speech, frames, flaws)
