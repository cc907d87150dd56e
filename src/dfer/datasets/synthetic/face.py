"""The procedural face: one frame from a person, action units and a pose, layer upon layer from back to front.

Shapes are given in face units (see `head`); what a unit does to a shape stands where the shape is drawn.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from dfer.datasets.synthetic.expressions import UNITS
from dfer.datasets.synthetic.hair import hair_behind, hair_on_top
from dfer.datasets.synthetic.head import Head, Pose
from dfer.datasets.synthetic.identity import DARK, WHITE, Colour, Identity
from dfer.datasets.synthetic.mouth import mouth
from dfer.datasets.synthetic.sketch import (
    Curve,
    Picture,
    Sheet,
    ellipse,
    mirrored,
    mix,
    ribbon,
    smooth,
    taper,
)

T = np.linspace(-1, 1, 21)
"""Along an eye, from the inner corner to the outer one."""
WARMTH = np.array([0.24, -0.02, -0.12], dtype=np.float32)
"""By how much a shadow on skin favours red, green and blue."""


class Scene(NamedTuple):
    """What stays the same in a clip: background (size, size, 3) uint8 RGB, light from the left (-1) to right (1)."""

    background: Picture
    light: float = -0.6


def draw(who: Identity, units: ArrayLike, pose: Pose, scene: Scene) -> Picture:
    """One frame.

    Args:
        who: the person.
        units: (A,) activations of `UNITS`.
        pose: of the head.
        scene: background and light; its background gives the size.

    Returns:
        (size, size, 3) uint8 RGB.
    """
    au = dict(zip(UNITS, np.asarray(units, dtype=np.float64).tolist(), strict=True))
    sheet = Sheet(scene.background)
    head = Head(who, au, pose, sheet.size)
    hair_behind(sheet, head)
    _body(sheet, head)
    _ears(sheet, head)
    sheet.fill(head.skull, who.skin)
    _shades(sheet, head, scene.light)
    _folds(sheet, head)
    sheet.shade(head.skull, _roundness(head, scene.light))
    mouth(sheet, head)
    _nose(sheet, head, scene.light)
    for side in (-1, 1):
        _eye(sheet, head, side, scene.light)
    hair_on_top(sheet, head, scene.light)
    for side in (-1, 1):
        _brow(sheet, head, side)
    if who.glasses:
        _glasses(sheet, head)
    return sheet.finished()


def _body(sheet: Sheet, head: Head) -> None:
    who = head.who
    half_neck = [(0.33, 0.5), (0.34, 1.0), (0.44, 1.16), (0.3, 1.4)]
    shoulder = [(0.0, 1.3), (0.28, 1.2), (0.42, 1.1), (0.95, 1.27), (1.45, 1.46), (1.75, 1.9)]
    half_collar = [(0.0, 1.32), (0.28, 1.21), (0.43, 1.09)]
    chin = [(0.5, 0.6), (0.3, 1.1), (0.0, 1.18 + 0.6 * head.jaw_drop), (-0.3, 1.1), (-0.5, 0.6)]
    neck = head.beside(smooth(np.concatenate([half_neck, mirrored(half_neck)]), closed=True))
    below_chin = head.beside(smooth(chin, closed=True))
    sheet.fill(neck, mix(who.skin, who.shadow, 0.3))
    sheet.clipped(neck, lambda inside: inside.fill(below_chin, mix(who.skin, who.shadow, 0.75)))
    sheet.fill(head.beside(smooth(np.concatenate([mirrored(shoulder), shoulder[1:]]))), who.shirt)
    collar = smooth(np.concatenate([mirrored(half_collar), half_collar[1:]]))
    sheet.fill(head.beside(ribbon(collar, 0.06)), who.shirt * 0.86)


def _ears(sheet: Sheet, head: Head) -> None:
    w, skin, shadow = head.who.width, head.who.skin, head.who.shadow
    ear = [
        (w - 0.16, -0.16),
        (w + 0.07, -0.2),
        (w + 0.14, -0.1),
        (w + 0.11, 0.08),
        (w + 0.05, 0.22),
        (w - 0.16, 0.24),
    ]
    inner = [(w, -0.08), (w + 0.075, -0.11), (w + 0.085, -0.03), (w + 0.045, 0.1), (w, 0.12)]
    for points, ink in ((ear, mix(skin, shadow, 0.18)), (inner, mix(skin, shadow, 0.6))):
        for shape in (points, mirrored(points)):
            sheet.fill(head.leaning(smooth(shape, closed=True), -0.16), ink)


def _roundness(head: Head, light: float) -> NDArray[np.float32]:
    """(size, size, 3) gain of a rounded head under a light from above and one side; its shadows are warm."""
    low, high = head.skull.min(axis=0), head.skull.max(axis=0)
    x, y = (2 * np.arange(head.size)[:, None] - low - high).T / (high - low)[:, None]
    bulge: NDArray[np.float64] = np.sqrt(np.maximum(1.06 - 0.9 * x[None, :] ** 2 - 0.7 * y[:, None] ** 2, 0.0))
    brightness = 0.6 + 0.62 * (0.62 * bulge + 0.3 * light * x[None, :] - 0.16 * y[:, None])
    grey = np.clip(brightness, 0.68, 1.02).astype(np.float32)[..., None]
    gain: NDArray[np.float32] = grey * (1 + (1 - grey) * WARMTH)
    return gain


def _shades(sheet: Sheet, head: Head, light: float) -> None:
    """Broad and soft: sockets, the far side of the nose, under lip and nose, blush, gleams, a beard."""
    au, who, disc = head.au, head.who, head.disc
    socket = smooth([(0.16, -0.2), (0.34, -0.3), (0.52, -0.16), (0.34, -0.06)], closed=True)
    far_side = np.array([(0.02, -0.15), (0.12, -0.1), (0.17, 0.27), (0.04, 0.3)]) * (-np.sign(light), 1)
    dark = [(head.on_face(shape), 0.45 + 0.3 * au[4]) for shape in (socket, mirrored(socket))]
    dark.append((head.on_face(far_side, 0.1), 0.4))
    dark.append((disc(0.0, 0.75 + 0.9 * head.jaw_drop, 0.15, 0.035), 0.5 + 0.3 * au[17]))
    dark.append((disc(0.0, 0.37, 0.1, 0.03), 0.4))
    sheet.tint(dark, (0.84, 0.74, 0.72), 0.06 * head.unit)
    cheek = 0.3 - 0.07 * max(au[6], 0.6 * au[12])
    blush = [(disc(side * 0.47, cheek, 0.17, 0.12), min(1.0, who.blush + 0.4 * au[12])) for side in (-1, 1)]
    blush.append((disc(0.0, who.nose_length - 0.02, 0.12, 0.09, lift=0.15), 0.5))
    sheet.tint(blush, (1.0, 0.82, 0.8), 0.09 * head.unit)
    gleam = [(disc(side * 0.44, cheek - 0.09, 0.1, 0.055), 0.3 + 0.6 * au[6]) for side in (-1, 1)]
    gleam += [(disc(0.0, -0.55, 0.3, 0.12), 0.5), (disc(0.0, 0.93 + head.jaw_drop, 0.12, 0.06), 0.5)]
    sheet.tint(gleam, (1.06, 1.07, 1.08), 0.07 * head.unit)
    if who.beard:
        half = [(0.0, 0.42), (0.2, 0.44), (0.36, 0.56), (0.52, 0.42), (0.7, 0.05), (0.95, 0.1), (0.9, 0.8),
                (0.45, 1.25 + head.jaw_drop)]  # fmt: skip
        beard = head.on_face(np.concatenate([half, mirrored(half)]))
        red, green, blue = ((0.42 + 0.42 * who.hair / 255) * (1.06, 0.99, 0.95)).tolist()
        sheet.tint([(beard, who.beard)], (red, green, blue), 0.03 * head.unit)


def _folds(sheet: Sheet, head: Head) -> None:
    """Fine lines that come with the units: beside nose and eyes, between and above the brows, about the chin."""
    au = head.au
    smile = au[12]
    fold = max(smile, au[9], au[10], 0.5 * au[20])
    pairs = [
        ([(0.16, 0.24), (0.3, 0.36), (0.36 + 0.07 * smile, 0.52)], 0.2 + 0.65 * fold),
        ([(0.55, -0.07), (0.64, -0.12)], 0.8 * au[6]),
        ([(0.56, -0.02), (0.66, -0.01)], 0.8 * au[6]),
        ([(0.2, 0.1), (0.34, 0.135), (0.47, 0.09)], 0.25 + 0.6 * max(au[6], au[7])),
        ([(0.05, -0.42), (0.042, -0.33), (0.055, -0.25)], 0.75 * au[4]),
        ([(0.1, -0.02), (0.16, 0.06), (0.17, 0.14)], 0.8 * au[9]),
        ([(0.3, 0.66), (0.335, 0.72), (0.34, 0.79)], 0.55 * au[15]),
        ([(0.06, 0.84), (0.12, 0.81)], 0.7 * au[17]),
    ]
    lines = [(head.stroke(shape, 0.033), s) for points, s in pairs for shape in (points, mirrored(points)) if s > 0.02]
    wrinkles = [[(-0.115, y - 0.035), (0.0, y + 0.01), (0.115, y - 0.035)] for y in (-0.15, -0.08, -0.01)]
    lines += [(head.stroke(shape, 0.03, 0.06), 0.8 * au[9]) for shape in wrinkles if au[9] > 0.02]
    raised = 0.75 * min(au[1], 0.3 + au[2])
    lines += [(head.stroke([(-0.36, y), (0.0, y - 0.03), (0.36, y)], 0.03), raised) for y in (-0.6, -0.51)]
    sheet.tint(lines, (0.72, 0.56, 0.54), 0.016 * head.unit)


def _nose(sheet: Sheet, head: Head, light: float) -> None:
    who, au = head.who, head.au
    tip, wide = who.nose_length, who.nose_width * (1 + 0.15 * au[9] + 0.1 * au[12])
    up = 0.035 * max(au[9], 0.5 * au[10])
    ink = mix(who.skin, who.shadow, 0.9) * 0.92
    wing = [(0.86 * wide, tip - 0.06 - up), (1.08 * wide, tip - 0.005 - up), (0.8 * wide, tip + 0.045 - up)]
    nostril = [
        (0.28 * wide, tip + 0.055),
        (0.5 * wide, tip + 0.035 - 0.5 * up),
        (0.74 * wide, tip + 0.06 - up),
    ]
    for shape in (wing, mirrored(wing)):
        sheet.fill(head.stroke(shape, 0.026, 0.08), ink)
    for shape in (nostril, mirrored(nostril)):
        sheet.fill(head.stroke(shape, 0.036, 0.1), ink * 0.72)
    sheet.fill(head.disc(0.02 * np.sign(light), tip - 0.05, 0.032, 0.022, lift=0.2), mix(who.skin, WHITE, 0.45))


def _lids(head: Head, side: int) -> tuple[Curve, Curve]:
    """The edges of the upper and the lower lid, (21, 2) each, from the inner corner to the outer one."""
    who, au, blink = head.who, head.au, head.pose.blink
    tight = au[7] * (1 - 0.5 * min(au[5], 1.0))
    above = 1 + 0.5 * au[5] - 0.42 * tight - 0.2 * au[6] - 0.22 * au[9] - 0.12 * au[4] * (1 - min(au[5], 1.0))
    below = 1 + 0.15 * au[5] - 0.75 * au[6] - 0.5 * tight - 0.35 * au[9]
    slant = 0.45 * au[4] * (1 - 0.8 * au[1]) - 0.4 * au[1] * max(0.0, 1 - au[2])
    upper = 0.118 * max(above, 0.15) * who.eye_size * (1 - T**2) ** 0.7 * (1 + slant * T)
    lower = 0.078 * below * who.eye_size * (1 - T**2) ** 0.8 - 0.02 * au[6] * (1 - T**2)
    lower = np.maximum(lower, -0.6 * upper)
    upper = upper * (1 - blink) - lower * 0.9 * blink
    x = side * (who.eye_apart + 0.178 * who.eye_size * T)
    y = -0.04 - (who.eye_tilt + 0.012 * (1 - au[1])) * T
    return np.stack([x, y - upper], axis=1), np.stack([x, y + lower], axis=1)


def _eye(sheet: Sheet, head: Head, side: int, light: float) -> None:
    who, pose = head.who, head.pose
    top, bottom = _lids(head, side)
    opening = head.on_face(np.concatenate([top, bottom[::-1]]))
    radius = 0.098 * who.eye_size
    x, y = side * (who.eye_apart - 0.01) + 0.07 * pose.gaze_x, -0.05 + 0.05 * pose.gaze_y

    def ball(inside: Sheet) -> None:
        inside.fill(opening, mix(WHITE, who.shadow, 0.3))
        inside.fill(opening + np.array([0.0, 0.045 * head.unit]), WHITE)
        inside.fill(head.disc(x, y, radius), who.iris * 0.62)
        inside.fill(head.disc(x, y, 0.86 * radius), who.iris)
        inside.fill(head.disc(x, y + 0.5 * radius, 0.5 * radius, 0.3 * radius), mix(who.iris, WHITE, 0.25))
        inside.fill(head.disc(x, y, 0.5 * radius), DARK)
        inside.fill(head.disc(x + 0.035 * np.sign(light), y - 0.035, 0.026), WHITE)

    if pose.blink < 0.9:
        sheet.clipped(opening, ball)
    lash, heavy = top.copy(), np.interp(T, [-1, -0.5, 0.7, 1], [0.3, 0.8, 1.15, 0.8]) * 0.03
    if who.lashes:
        heavy *= 1.45
        lash[-2:] += np.array([(0.012 * side, -0.012), (0.04 * side, -0.035)])
    sheet.fill(head.on_face(ribbon(lash, heavy)), DARK)
    crease = top[3:-1] - (0, 0.045 + 0.01 * head.au[5])
    sheet.fill(head.on_face(ribbon(crease, 0.014 * taper(len(crease), 0.3, 1, 0.4))), mix(who.skin, who.shadow, 0.75))
    sheet.fill(head.on_face(ribbon(bottom[4:], 0.012)), mix(who.skin, who.shadow, 0.95) * 0.85)


def _brow(sheet: Sheet, head: Head, side: int) -> None:
    who, au = head.who, head.au
    rest, apart, squeeze = -0.325 - who.brow_height, who.eye_apart, 0.04 * au[4]
    inner = rest - 0.15 * au[1] + 0.1 * au[4] * (1 - 0.75 * au[1]) + 0.05 * au[9]
    middle = rest - 0.04 - 0.05 * au[1] - 0.085 * au[2] + 0.055 * au[4] + 0.03 * au[9]
    outer = rest + 0.035 - 0.105 * au[2] + 0.03 * au[4] * (1 - au[1]) + 0.03 * au[1] * (1 - au[2] + au[4])
    points = [(apart - 0.19 - squeeze, inner), (apart - 0.05 - 0.5 * squeeze, (inner + middle) / 2 - 0.01),
              (apart + 0.08, middle), (apart + 0.21, outer)]  # fmt: skip
    line = smooth(np.array(points) * (side, 1), samples=5)
    along = np.linspace(0, 1, len(line))
    widths = 0.07 * who.brow_weight * np.interp(along, [0, 0.12, 0.55, 1], [0.55, 0.95, 0.85, 0.15])
    ink: Colour = np.minimum(mix(who.hair * 0.8, DARK, 0.25), who.skin * 0.5)
    sheet.fill(head.on_face(ribbon(line, widths), 0.03), ink)


def _glasses(sheet: Sheet, head: Head) -> None:
    apart, ink = head.who.eye_apart, DARK * 1.2
    for side in (-1, 1):
        rim = ellipse(side * apart, -0.03, 0.25, 0.22)
        sheet.fill(head.on_face(ribbon(np.concatenate([rim, rim[:1]]), 0.03), 0.08), ink)
        arm = head.on_face([(side * (apart + 0.24), -0.08), (side * (apart + 0.24), -0.05)], 0.08)
        hinge = head.leaning([(side * head.who.width, -0.06), (side * head.who.width, -0.1)], -0.1)
        sheet.fill(np.concatenate([arm, hinge]), ink)
    bridge = smooth([(-apart + 0.24, -0.07), (0.0, -0.11), (apart - 0.24, -0.07)])
    sheet.fill(head.on_face(ribbon(bridge, 0.03), 0.1), ink)
