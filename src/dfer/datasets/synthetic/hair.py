"""Hair, by style: what lies behind the head and what lies on it."""

from __future__ import annotations

import numpy as np

from dfer.datasets.synthetic.head import Head
from dfer.datasets.synthetic.identity import WHITE, Colour
from dfer.datasets.synthetic.sketch import Curve, Sheet, ellipse, mirrored, mix, ribbon, smooth, taper

SKULL = {"buzz": 0.012, "short": 0.05}
"""Style -> how thick the hair is on the skull, in face units; 0.07 for the others."""

BEHIND: dict[str, list[tuple[float, float]]] = {
    "bob": [(0.4, -1.0), (0.88, -0.6), (0.96, 0.0), (0.96, 0.5), (0.86, 0.8), (0.5, 0.86)],
    "long": [(0.4, -1.0), (0.88, -0.6), (0.96, 0.1), (0.98, 0.8), (1.04, 1.4), (0.5, 1.6)],
    "curtains": [(0.4, -1.0), (0.86, -0.6), (0.9, 0.0), (0.86, 0.35), (0.6, 0.5)],
}
"""Style -> right half of what hangs behind, for a head of width 0.76."""

LINES: dict[str, list[tuple[float, float]]] = {
    "short": [(0.74, -0.1), (0.68, -0.32), (0.52, -0.52), (0.2, -0.56), (-0.2, -0.68), (-0.5, -0.52), (-0.68, -0.32),
              (-0.74, -0.1)],
    "bob": [(0.8, 0.1), (0.66, -0.2), (0.55, -0.48), (0.2, -0.56), (-0.2, -0.56), (-0.55, -0.48), (-0.66, -0.2),
            (-0.8, 0.1)],
    "curly": [(0.76, -0.25), (0.6, -0.5), (0.3, -0.66), (0.0, -0.7), (-0.3, -0.66), (-0.6, -0.5), (-0.76, -0.25)],
    "long": [(0.79, 0.16), (0.69, -0.06), (0.6, -0.36), (0.3, -0.62), (-0.12, -0.84), (-0.45, -0.5), (-0.67, -0.14),
             (-0.79, 0.16)],
    "quiff": [(0.74, -0.12), (0.7, -0.42), (0.56, -0.55), (0.42, -0.72), (0.1, -0.62), (-0.3, -0.66), (-0.56, -0.6),
              (-0.68, -0.4), (-0.74, -0.12)],
    "bun": [(0.75, -0.1), (0.66, -0.36), (0.5, -0.62), (0.0, -0.72), (-0.5, -0.62), (-0.66, -0.36), (-0.75, -0.1)],
    "buzz": [(0.75, -0.18), (0.66, -0.4), (0.5, -0.62), (0.0, -0.68), (-0.5, -0.62), (-0.66, -0.4), (-0.75, -0.18)],
    "curtains": [(0.79, 0.2), (0.7, -0.1), (0.56, -0.4), (0.2, -0.62), (0.0, -0.86), (-0.2, -0.62), (-0.56, -0.4),
                 (-0.7, -0.1), (-0.79, 0.2)],
}  # fmt: skip
"""Style -> the hairline from right to left, for a head of width 0.76."""

QUIFF = [(-0.78, -0.12), (-0.79, -0.45), (-0.68, -0.78), (-0.45, -1.0), (-0.1, -1.12), (0.3, -1.2), (0.62, -1.12),
         (0.72, -0.86), (0.78, -0.45), (0.78, -0.12)]  # fmt: skip


def hair_behind(sheet: Sheet, head: Head) -> None:
    """What shows behind head and neck."""
    style, ink = head.who.style, head.who.hair * 0.78
    if style in BEHIND:
        half = np.array(BEHIND[style]) * (head.who.width / 0.76, 1)
        sheet.fill(head.leaning(smooth(np.concatenate([half, mirrored(half)]), closed=True), -0.15), ink)
    elif style == "bun":
        sheet.fill(head.leaning(ellipse(0.0, -1.05, 0.27, 0.23), -0.1), ink)
    elif style == "curly":
        _curls(sheet, head, _cap(head.who.width, 0.08, 0.2)[::3], 0.2, ink)


def hair_on_top(sheet: Sheet, head: Head, light: float) -> None:
    """What lies on the head, down to the hairline, with a gleam on the side of the light."""
    who, style = head.who, head.who.style
    fit = (who.width / 0.76, 1)
    line = smooth(np.array(LINES[style]) * fit)
    cap = smooth(np.array(QUIFF) * fit) if style == "quiff" else _cap(who.width, SKULL.get(style, 0.07), line[-1, 1])
    onto_forehead = 0.22 * (1 - np.minimum(np.abs(line[:, 0]) / who.width, 1.0) ** 2) - 0.02
    depth = np.concatenate([np.full(len(cap), -0.02), onto_forehead])
    outline = head.leaning(np.concatenate([cap, line]), depth)
    ink = mix(who.hair, who.skin, 0.35) if style == "buzz" else who.hair
    sheet.fill(outline, ink)
    if style == "curly":
        _curls(sheet, head, _cap(who.width, -0.02, -0.25)[1:-1:3], 0.17, ink)
        fringe = [(0.45, -0.68), (0.2, -0.78), (-0.05, -0.79), (-0.3, -0.76), (-0.52, -0.64)]
        _curls(sheet, head, np.array(fringe), 0.13, ink)
        return
    angle = np.linspace(0.3, 1.35, 12)
    arc = np.stack([np.sign(light) * 0.72 * who.width * np.cos(angle), -0.2 - 0.68 * np.sin(angle)], axis=1)
    gleam = head.leaning(ribbon(arc, 0.07 * taper(12, 0.1, 1, 0.1)), 0.1)
    sheet.clipped(outline, lambda inside: inside.fill(gleam, mix(ink, WHITE, 0.14)))


def _cap(width: float, thick: float, low: float) -> Curve:
    """The skull's top grown by `thick`, from temple to temple at y = `low`."""
    start = np.arcsin(np.clip((low + 0.08) / -(0.92 + thick), -1, 1))
    angle = np.linspace(np.pi + start, 2 * np.pi - start, 49)
    return np.stack([(width + thick) * np.cos(angle), -0.08 + (0.94 + thick) * np.sin(angle)], axis=1)


def _curls(sheet: Sheet, head: Head, line: Curve, radius: float, ink: Colour) -> None:
    for i, (x, y) in enumerate(line):
        sheet.fill(head.leaning(ellipse(x, y, radius * (1 + 0.12 * np.sin(2.3 * i))), -0.05), ink)
