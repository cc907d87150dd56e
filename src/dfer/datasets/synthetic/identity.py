"""Who is drawn: proportions, skin, hair, eyes and clothes of a made-up person.

Lengths are in face units: the origin lies between the eyes' outer thirds, the crown at y = -1 and the chin at
y = +1, x to the right of the picture, y down. Colours are RGB, 0..255.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Colour = NDArray[np.float64]
"""(3,) RGB, 0..255."""

SKINS = ("#FBDCC6", "#F4C8A6", "#E8B28A", "#D79C70", "#BC8058", "#A06A48", "#855638", "#6E452F")
HAIRS = ("#2A2326", "#463028", "#6B4430", "#96633C", "#C4904E", "#E0BC7E", "#B4552F", "#8F8F96", "#34344A")
IRISES = ("#5A3A22", "#3D2A1E", "#6E7F3E", "#4A7FA6", "#5F8F83", "#8A6A34")
SHIRTS = ("#3E6C8F", "#C2554A", "#E0A33A", "#4E8268", "#6B5A8E", "#D98A78", "#34495E", "#EDE6DA")
STYLES = ("short", "bob", "curly", "long", "quiff", "bun", "buzz", "curtains")


WHITE = np.array([250.0, 247.0, 244.0])
DARK = np.array([38.0, 26.0, 28.0])


@dataclass(frozen=True)
class Identity:
    """The lasting traits of a person; `meet` makes one."""

    skin: Colour
    hair: Colour
    iris: Colour
    shirt: Colour
    style: str
    width: float
    jaw: float
    eye_size: float
    eye_apart: float
    eye_tilt: float
    brow_height: float
    brow_weight: float
    nose_width: float
    nose_length: float
    mouth_width: float
    lip: float
    blush: float
    beard: float
    glasses: bool
    lashes: bool

    @property
    def shadow(self) -> Colour:
        """The skin in shadow."""
        return (0.65 * self.skin + 0.35 * np.array([120.0, 50.0, 50.0])) * 0.86


def colour(code: str) -> Colour:
    """'#RRGGBB' as (3,) RGB, 0..255."""
    return np.array([int(code[i : i + 2], 16) for i in (1, 3, 5)], dtype=np.float64)


def meet(identity: int, seed: int = 0) -> Identity:
    """The person with this number in the town of this seed; neighbours in number look different."""
    rng = np.random.default_rng(np.random.SeedSequence(seed, spawn_key=(identity,)))
    style = STYLES[(identity * 3 + int(rng.integers(2))) % len(STYLES)]
    skin = (identity * 5 + 1 + int(rng.integers(3))) % len(SKINS)
    hairs = HAIRS if skin < 3 else HAIRS[:2] if skin > 4 else HAIRS[:3]
    bearded = style in ("short", "quiff", "buzz") and rng.random() < 0.45

    def trait(mean: float, spread: float) -> float:
        return float(mean + spread * np.clip(rng.normal(), -1.7, 1.7))

    return Identity(
        skin=colour(SKINS[skin]) + rng.normal(0, 2.5, 3),
        hair=colour(hairs[int(rng.integers(len(hairs)))]),
        iris=colour(IRISES[int(rng.integers(len(IRISES) if skin < 5 else 2))]),
        shirt=colour(SHIRTS[int(rng.integers(len(SHIRTS)))]),
        style=style,
        width=trait(0.76, 0.03),
        jaw=trait(0.54, 0.05),
        eye_size=trait(1.0, 0.06),
        eye_apart=trait(0.335, 0.014),
        eye_tilt=trait(0.0, 0.014),
        brow_height=trait(0.0, 0.02),
        brow_weight=trait(1.0, 0.2),
        nose_width=trait(0.115, 0.014),
        nose_length=trait(0.29, 0.025),
        mouth_width=trait(0.245, 0.014),
        lip=trait(1.0, 0.18),
        blush=trait(0.5, 0.2),
        beard=float(rng.uniform(0.35, 0.8)) if bearded else 0.0,
        glasses=bool(rng.random() < 0.15),
        lashes=style in ("bob", "long", "bun", "curly") and bool(rng.random() < 0.8),
    )
