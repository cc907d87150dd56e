"""The mouth: lips, corners, opening, teeth and tongue."""

from __future__ import annotations

import numpy as np

from dfer.datasets.synthetic.head import Head
from dfer.datasets.synthetic.identity import WHITE, Colour
from dfer.datasets.synthetic.sketch import Curve, Sheet, mix, ribbon, taper

INSIDE = np.array([96.0, 26.0, 34.0])
TONGUE = np.array([206.0, 98.0, 98.0])
TEETH = np.array([252.0, 249.0, 242.0])
ROSE = np.array([196.0, 72.0, 78.0])
SHUT = 0.012
"""Gap between the lips, in face units, up to which a seam is drawn and no opening."""

T = np.linspace(-1, 1, 21)
"""Along the mouth, from corner to corner."""


def mouth(sheet: Sheet, head: Head) -> None:
    """Draw the mouth as the units shape it."""
    who, au = head.who, head.au
    x, upper, lower, gap = _edges(head)
    thick = who.lip * (1 - 0.62 * au[24]) * (1 - 0.3 * au[12]) * (1 - 0.2 * au[20])
    bow = 0.062 * thick * (1 - 0.35 * au[10]) * (1 - T**2) ** 0.6 * (1 - 0.22 * np.exp(-((T / 0.16) ** 2)))
    pout = 0.085 * thick * (1 + 0.25 * au[17]) * (1 - T**2) ** 0.75
    red = mix(who.skin * 0.82, ROSE, 0.5)

    def between(above: Curve, below: Curve) -> Curve:
        return head.on_face(np.concatenate([np.stack([x, above], 1), np.stack([x, below], 1)[::-1]]), 0.04)

    def line(y: Curve, width: Curve, part: slice = slice(None)) -> Curve:
        return head.on_face(ribbon(np.stack([x, y], axis=1)[part], width), 0.04)

    sheet.fill(between(upper - bow, lower + pout), red * 0.9)
    sheet.fill(between(lower, lower + pout), mix(red, WHITE, 0.1))
    middle = slice(6, 15)
    sheet.fill(line(lower + 0.45 * pout, 0.018 * thick * taper(9, 0.1, 1, 0.1), middle), mix(red, WHITE, 0.38))
    if gap <= SHUT:
        sheet.fill(line(upper, 0.024 * taper(len(T), 0.8, 1, 0.8)), mix(red * 0.5, INSIDE, 0.4))
    else:
        hole = between(upper, lower)
        shapes = [(between(upper + top * (lower - upper), upper + bottom * (lower - upper)), ink)
                  for top, bottom, ink in _behind_lips(lower - upper, gap, au)]  # fmt: skip
        sheet.fill(hole, INSIDE)
        sheet.clipped(hole, lambda inside: inside.fill_all(shapes))
    round_mouth = _gasp(au)
    for corner in (0, -1):
        y = float(upper[corner] + lower[corner]) / 2
        sheet.fill(
            head.disc(x[corner], y, (0.014 + 0.008 * au[12]) * (1 - 0.7 * round_mouth), lift=0.04),
            mix(who.skin * 0.6, INSIDE, 0.35),
        )


def _edges(head: Head) -> tuple[Curve, Curve, Curve, float]:
    """x (21,), y of the upper and of the lower lip's inner edge (21,), and the gap between the lips."""
    au = head.au
    drop = head.jaw_drop * min(1.0, 0.3 + au[25])
    gap = 0.05 * au[25] * (1 + 1.3 * au[20] + 0.9 * au[10] + 0.7 * au[12]) + 2.1 * drop
    gap += 0.05 * max(0.0, au[10] - 0.4) * (1 - au[24])
    gasp = _gasp(au)
    broad = 0.36 * au[12] + 0.4 * au[20] - 0.14 * au[24] - 0.1 * au[17] - 0.26 * gasp
    level = 0.57 - 0.02 * au[10]
    corner = level - 0.008 - 0.125 * au[12] + 0.1 * au[15] + 0.02 * au[17] + 0.04 * au[20]
    corner += 0.03 * au[24] + 0.035 * au[9]
    corner += 0.42 * gap * (gasp + 0.6 * au[20])
    seam = level + 0.02 * au[12] - 0.03 * au[17] * (1 + 0.5 * au[15]) - 0.015 * au[15]
    round_off = np.sqrt(np.maximum(1 - np.abs(T) ** 2.2, 0))
    arch = (1 - gasp) * (1 - T**2) + gasp * round_off
    bowl = (1 - gasp) * (1 - np.abs(T) ** (2.4 + au[20])) + gasp * round_off
    sneer = au[10] * (0.05 - 0.012 * np.cos(2 * np.pi * T)) * (1 - T**4)
    upper = corner + (seam - 0.2 * gap - corner) * arch - sneer
    lower = corner + (seam + 0.8 * gap - corner) * bowl - sneer * (0.75 if gap < 0.02 else 0.2)
    return head.who.mouth_width * (1 + broad) * T, upper, np.maximum(lower, upper), gap


def _gasp(au: dict[int, float]) -> float:
    """How round the opening is: a jaw that drops, and no smile or stretch that pulls at the corners."""
    return min(1.0, au[26]) * (1 - 0.8 * min(au[12], 1.0)) * (1 - 0.8 * min(au[20], 1.0))


def _behind_lips(height: Curve, gap: float, au: dict[int, float]) -> list[tuple[Curve, Curve, Colour]]:
    """Tongue and teeth: from and to which share of the opening's height, and their colour."""
    tall = np.maximum(height, 1e-6)
    clench = min(1.0, 1.3 * max(au[20], au[10])) * max(0.0, 1 - 1.3 * au[26])
    bared = 0.04 + 0.045 * max(au[12], au[10], au[20]) - 0.015 * au[26]
    teeth = min(1.0, 20 * gap) * np.minimum(0.62 + 0.3 * clench, bared / tall)
    tongue = np.clip(height - 0.13, 0, 0.1) * (1 - T**2) / tall
    rows = [(np.full(len(T), -0.1), teeth, TEETH)]
    if au[26] > 0.25:
        rows.insert(0, (1 - tongue, np.full(len(T), 1.1), TONGUE))
    if clench > 0.3:
        rows.append((np.full(len(T), 1 - 0.36 * clench), np.full(len(T), 1.1), TEETH * 0.95))
    return rows
