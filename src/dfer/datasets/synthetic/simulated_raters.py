"""The panel: simulated raters who vote on what they perceive in a clip.

A rater looks at some moment more than at the others, sees each action unit with an own gain and with noise (more of
both in a bad picture), discounts what belongs to speech, and names the emotion whose pattern, weak or strong, is
nearest to what was seen, with an own leaning towards some emotions. A few are careless. So votes disagree where the
picture is weak, mixed, changing or spoilt, and agree where it is plain.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from dfer.datasets.synthetic.expressions import PATTERNS, UNITS, Floats, Performance, activations
from dfer.labels import DFEW

RATERS = 40
VOTES_PER_CLIP = 10
LONG_RUN = 50
"""Votes of every rater that the long-run distribution is counted from."""
NOISE = 0.28
"""Standard deviation of a perceived unit in a good picture."""
CAUTION = 2.0
"""Evidence that a rater asks for before calling a face anything but neutral, in units of the noise."""
LEVELS = (0.4, 0.7, 1.0)
"""Strengths at which a rater knows an emotion."""
BLUR_COST = {
    "motion": 0.6,
    "defocus": 0.9,
    "low_res": 0.7,
    "dark": 0.6,
    "noise": 0.4,
    "turned": 0.5,
    "covered": 0.2,
}
"""Flaw -> by how much it raises the noise at strength 1, as a share."""
FADE = {
    "motion": 0.25,
    "defocus": 0.35,
    "low_res": 0.3,
    "dark": 0.25,
    "noise": 0.1,
    "turned": 0.15,
    "covered": 0.1,
}
"""Flaw -> which share of a unit it hides at strength 1."""
COVERED_UNITS = np.array([unit in (15, 17, 20, 24, 25, 26) for unit in UNITS])


class Panel(NamedTuple):
    """R raters: gains (R, A), noise (R,), leanings (R, K) and carelessness (R,), the chance of a vote at random."""

    gains: Floats
    noise: Floats
    leanings: Floats
    careless: Floats


def panel(seed: int) -> Panel:
    """The raters of a data set."""
    rng = np.random.default_rng(np.random.SeedSequence(seed, spawn_key=(2**31,)))
    careless = np.where(np.arange(RATERS) < RATERS // 16, 0.5, 0.02)
    return Panel(
        gains=np.exp(rng.normal(0, 0.15, (RATERS, len(UNITS)))),
        noise=NOISE * np.exp(rng.normal(0, 0.25, RATERS)),
        leanings=rng.normal(0, 0.15, (RATERS, len(DFEW))),
        careless=careless,
    )


def vote(raters: Panel, played: Performance, flaws: dict[str, float], rng: np.random.Generator) -> NDArray[np.int64]:
    """(K,) counts of ten votes by ten of the raters."""
    who = rng.choice(RATERS, VOTES_PER_CLIP, replace=False)
    return np.bincount(_named(raters, who, played, flaws, rng), minlength=len(DFEW))


def long_run(raters: Panel, played: Performance, flaws: dict[str, float], rng: np.random.Generator) -> Floats:
    """(K,) distribution of the votes of the whole panel, asked many times."""
    who = np.tile(np.arange(RATERS), LONG_RUN)
    return np.bincount(_named(raters, who, played, flaws, rng), minlength=len(DFEW)) / len(who)


def _prototypes() -> tuple[Floats, NDArray[np.int64]]:
    """Patterns (P, A) at every level, and the emotion (P,) that each stands for."""
    rows, emotions = [], []
    for k, emotion in enumerate(DFEW):
        for variant in PATTERNS[emotion]:
            for level in LEVELS if variant else (0.0,):
                rows.append(level * activations(variant))
                emotions.append(k)
    return np.stack(rows), np.array(emotions)


PROTOTYPES, MEANINGS = _prototypes()


def _named(
    raters: Panel,
    who: NDArray[np.int64],
    played: Performance,
    flaws: dict[str, float],
    rng: np.random.Generator,
) -> NDArray[np.int64]:
    """(N,) the emotion that each of the raters `who` (N,) names."""
    time = np.linspace(0, 1, len(played.units))
    moment = rng.beta(2.2, 1.6, len(who))
    activity = np.linalg.norm(played.units, axis=1)
    attention = np.exp(1.2 * activity[None, :] - 0.5 * ((time - moment[:, None]) / 0.18) ** 2)
    attention /= attention.sum(axis=1, keepdims=True)
    seen = np.einsum("nt,ta->na", attention, played.units - 0.7 * played.speech)
    seen *= raters.gains[who] * (1 - sum(FADE[flaw] * strength for flaw, strength in flaws.items()) / 1.5)
    noise = raters.noise[who, None] * (1 + sum(BLUR_COST[flaw] * strength for flaw, strength in flaws.items()))
    spoilt = noise * np.where(COVERED_UNITS, 1 + flaws.get("covered", 0.0), 1.0)
    seen = np.maximum(seen + spoilt * rng.normal(size=seen.shape), -0.2)
    distance = (PROTOTYPES**2).sum(axis=1) - 2 * np.einsum("na,pa->np", seen, PROTOTYPES)
    distance -= raters.leanings[who][:, MEANINGS] + CAUTION * noise * (DFEW.index("neutral") == MEANINGS)
    nearest = MEANINGS[np.argmin(distance, axis=1)]
    guess = rng.integers(len(DFEW), size=len(who))
    return np.where(rng.random(len(who)) < raters.careless[who], guess, nearest)
