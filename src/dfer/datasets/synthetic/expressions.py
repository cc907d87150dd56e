"""What a face does: action units, the emotions they belong to, and how they come and go.

`units (..., A)` are activations of the action units in `UNITS`, 0 = rest, 1 = plain to see. Time within a clip runs
from 0 to 1.

References:
    Ekman, Friesen and Hager, "Facial Action Coding System", 2002: the units.
    Friesen and Ekman, "EMFACS-7", 1983: which of them belong to which emotion; the strengths are our own.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from dfer.datasets.synthetic.head import Pose
from dfer.datasets.synthetic.scripts import Script

Floats = NDArray[np.float64]

UNITS = (1, 2, 4, 5, 6, 7, 9, 10, 12, 15, 17, 20, 24, 25, 26)
"""The A action units, by FACS number, in order: inner and outer brow raiser, brow lowerer, upper lid raiser, cheek
raiser, lid tightener; nose wrinkler, upper lip raiser, lip corner puller and depressor, chin raiser, lip stretcher,
lip pressor, lips part, jaw drop."""

PATTERNS: dict[str, tuple[dict[int, float], ...]] = {
    "happy": ({6: 0.9, 12: 1.0, 25: 0.8, 26: 0.35}, {6: 0.7, 12: 0.95}),
    "sad": ({1: 1.0, 4: 0.6, 15: 1.0, 17: 0.6}, {1: 0.9, 4: 0.4, 7: 0.3, 15: 0.8, 25: 0.25}),
    "neutral": ({},),
    "angry": (
        {4: 1.0, 5: 0.5, 7: 0.7, 17: 0.3, 24: 1.0},
        {4: 1.0, 7: 0.8, 9: 0.2, 10: 0.7, 20: 0.3, 25: 0.8, 26: 0.2},
    ),
    "surprise": ({1: 1.0, 2: 1.0, 5: 0.8, 25: 0.9, 26: 1.0}, {1: 0.9, 2: 0.9, 5: 0.7, 25: 0.7, 26: 0.7}),
    "disgust": (
        {4: 0.5, 7: 0.6, 9: 1.0, 10: 0.9, 15: 0.5, 17: 0.6},
        {4: 0.4, 6: 0.4, 7: 0.5, 9: 0.9, 10: 1.0, 25: 0.6},
    ),
    "fear": (
        {1: 1.0, 2: 0.6, 4: 0.7, 5: 1.0, 20: 1.0, 25: 0.7},
        {1: 1.0, 2: 0.5, 4: 0.6, 5: 0.9, 20: 0.7, 25: 0.8, 26: 0.5},
    ),
}
"""Emotion -> its variants, each unit -> activation at full strength."""

SPEECH = {17: 0.25, 20: 0.2, 25: 0.75, 26: 0.45}
"""Units that talking moves."""
BEARING = {"sad": (0.0, 0.09, 0.55), "surprise": (0.0, -0.06, 0.0), "fear": (0.05, -0.04, 0.0),
           "disgust": (0.12, 0.03, 0.2), "angry": (0.0, 0.05, 0.0), "happy": (0.0, -0.02, 0.0)}  # fmt: skip
"""Yaw and pitch (radians) and downward gaze that go with an emotion at full strength."""

CLOSE = 1.15
"""How much larger than in a portrait a head is in a clip: a face crop."""


class Performance(NamedTuple):
    """A played script: `units (T, A)`, the part of them that is `speech (T, A)`, and a pose a frame."""

    units: Floats
    speech: Floats
    poses: list[Pose]


def activations(pattern: dict[int, float]) -> Floats:
    """(A,) units of a pattern that names some of them."""
    return np.array([pattern.get(unit, 0.0) for unit in UNITS])


def perform(script: Script, rng: np.random.Generator) -> Performance:
    """Play a script once.

    Args:
        script: what to play.
        rng: source of the player's own timing, strength and movement.

    Returns:
        As many frames as the script asks for.
    """
    time = np.linspace(0, 1, script.frames)
    units = np.zeros((script.frames, len(UNITS)))
    bearing = np.zeros((script.frames, 3))
    for emotion, envelope in _envelopes(script, time, rng):
        variants = PATTERNS[emotion]
        peak = activations(variants[int(rng.integers(len(variants)))]) * np.clip(
            rng.normal(1, 0.1, len(UNITS)), 0.7, 1.2
        )
        units += envelope[:, None] * peak
        bearing += envelope[:, None] * np.array(BEARING.get(emotion, (0.0, 0.0, 0.0)))
    syllables = np.abs(
        np.sin(2 * np.pi * (rng.uniform(2, 3.2) * time + rng.random()) + 1.2 * np.sin(9 * time + rng.uniform(0, 6)))
    )
    speech = script.speech * syllables[:, None] * activations(SPEECH)
    idle = (
        0.05 * np.abs(rng.normal(size=len(UNITS))) * np.sin(np.pi * (time[:, None] * 1.3 + rng.random(len(UNITS)))) ** 2
    )
    talking = np.maximum(units, speech + 0.5 * units)
    return Performance(
        units=np.clip(talking + idle, 0, 1.15), speech=talking - units, poses=_poses(script, bearing, time, rng)
    )


def _envelopes(script: Script, time: Floats, rng: np.random.Generator) -> list[tuple[str, Floats]]:
    """Each emotion of a script with its strength over time: onset, apex, offset."""
    quick = 0.5 if script.first in ("surprise", "fear") else 1.0
    onset, rise = rng.uniform(-0.15, 0.15), quick * rng.uniform(0.15, 0.3)
    offset, fall, drop = rng.uniform(0.6, 1.1), rng.uniform(0.2, 0.4), rng.uniform(0.3, 1.0)
    if script.kind == "change":
        onset, offset, fall, drop = -rise, rng.uniform(0.3, 0.5), 0.25, 1.0
    first = script.strength * _ease((time - onset) / rise) * (1 - drop * _ease((time - offset) / fall))
    if script.kind == "change":
        return [(script.first, first), (script.second, script.strength * _ease((time - offset) / fall))]
    if script.kind == "blend":
        share = rng.uniform(0.42, 0.68)
        return [
            (script.first, first * min(1.0, 1.35 * share)),
            (script.second, first * min(1.0, 1.35 * (1 - share))),
        ]
    return [(script.first, first)]


def _ease(time: Floats) -> Floats:
    t: Floats = np.clip(time, 0, 1)
    return t * t * (3 - 2 * t)


def _poses(script: Script, bearing: Floats, time: Floats, rng: np.random.Generator) -> list[Pose]:
    """A head that drifts, eyes that jump and blink."""
    turned = script.flaws.get("turned", 0.0)

    def drift(spread: float, sway: float) -> Floats:
        swing = np.sin(2 * np.pi * (rng.uniform(0.3, 0.9) * time + rng.random()))
        return float(np.clip(rng.normal(), -2, 2)) * spread + sway * rng.uniform(0.3, 1) * swing

    yaw = drift(0.07, 0.04) + rng.choice([-1, 1]) * (bearing[:, 0] + turned * rng.uniform(0.3, 0.5))
    pitch = drift(0.035, 0.03) + bearing[:, 1] + turned * rng.uniform(-0.12, 0.12)
    jump = rng.random() < time
    (before_x, after_x), (before_y, after_y) = np.clip(rng.normal(0, 0.35, (2, 2)), -0.8, 0.8)
    gaze_x, gaze_y = np.where(jump, before_x, after_x), np.where(jump, before_y, after_y)
    blink = np.zeros(len(time))
    for moment in rng.choice(len(time), int(rng.integers(0, 3)), replace=False):
        blink = np.maximum(blink, np.clip(1.25 - 0.6 * np.abs(np.arange(len(time)) - moment), 0, 1))
    columns = [yaw, pitch, drift(0.035, 0.025), drift(0.015, 0.015), drift(0.015, 0.012),
               CLOSE + drift(0.02, 0.01), gaze_x, 0.5 * gaze_y + bearing[:, 2], blink]  # fmt: skip
    return [Pose(*map(float, values)) for values in np.stack(columns, axis=1)]
