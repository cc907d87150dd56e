"""The procedural face: one frame from a person, action units and a pose.

Face units as in `identity`: crown at y = -1, chin at y = +1. Features lie on a rounded surface that the pose turns
in depth (2.5-D); the skull's outline and the hair only lean with it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from dfer.datasets.synthetic.expressions import UNITS
from dfer.datasets.synthetic.identity import Colour, Identity
from dfer.datasets.synthetic.sketch import Curve, Picture, Sheet, disc, mix, ribbon, smooth, taper

SCALE = 0.385
"""Face unit / picture width: a head fills most of its crop, as in the face crops of DFEW."""
DEPTH = 0.55
"""How far the middle of the face stands out, in face units."""

WHITE = np.array([250.0, 247.0, 244.0])
DARK = np.array([38.0, 26.0, 28.0])
MOUTH = np.array([96.0, 26.0, 34.0])
TONGUE = np.array([206.0, 98.0, 98.0])
TEETH = np.array([252.0, 249.0, 242.0])
ROSE = np.array([196.0, 72.0, 78.0])
BRACKET = np.linspace(-1, 1, 21)


class Pose(NamedTuple):
    """Where a head is and where it looks: angles in radians, shifts in face units, blink 0 open .. 1 shut."""

    yaw: float = 0.0
    pitch: float = 0.0
    roll: float = 0.0
    shift_x: float = 0.0
    shift_y: float = 0.0
    scale: float = 1.0
    gaze_x: float = 0.0
    gaze_y: float = 0.0
    blink: float = 0.0


@dataclass(frozen=True)
class Scene:
    """What stays the same in a clip: background (size, size, 3) uint8 RGB, light from the left (-1) or right (1)."""

    background: Picture
    light: float = -0.6
    warmth: float = 0.0


def draw(person: Identity, units: ArrayLike, pose: Pose, scene: Scene) -> Picture:
    """One frame.

    Args:
        person: who.
        units: (A,) activations of `UNITS`.
        pose: of the head.
        scene: background and light; its background gives the size.

    Returns:
        (size, size, 3) uint8 RGB.
    """
    return _Face(person, units, pose, scene).picture()


class _Face:
    def __init__(self, person: Identity, units: ArrayLike, pose: Pose, scene: Scene) -> None:
        activations = np.asarray(units, dtype=np.float64).tolist()
        self.au = {int(unit[2:]): value for unit, value in zip(UNITS, activations, strict=True)}
        self.who, self.pose, self.scene = person, pose, scene
        self.sheet = Sheet(scene.background)
        self.unit = self.sheet.size * SCALE * pose.scale
        self.jaw_drop = 0.13 * self.au[26]
        self.shadow = mix(person.skin, np.array([120.0, 50.0, 50.0]), 0.35) * 0.86
        self.outline = self._leaning(self._skull())

    # --- from face units to pixels

    def _place(self, x: NDArray[np.float64], y: NDArray[np.float64]) -> Curve:
        pose, size = self.pose, self.sheet.size
        cos, sin = np.cos(pose.roll), np.sin(pose.roll)
        x, y = x, y - 1.0  # a head rolls about its neck
        x, y = cos * x - sin * y + pose.shift_x, sin * x + cos * y + 1.0 + pose.shift_y
        return np.stack([0.5 * size + self.unit * x, 0.49 * size + self.unit * y], axis=1)

    def _on_face(self, points: ArrayLike, lift: float = 0.0) -> Curve:
        """Points on the rounded front of the face; `lift` stands out from it (a nose) or sinks in."""
        x, y = np.asarray(points, dtype=np.float64).T
        z = DEPTH * np.sqrt(np.maximum(1 - (x / 0.9) ** 2 - (y / 1.35) ** 2, 0.0)) + lift
        pose = self.pose
        return self._place(
            x * np.cos(pose.yaw) + z * np.sin(pose.yaw), y * np.cos(pose.pitch) + z * np.sin(pose.pitch)
        )

    def _leaning(self, points: ArrayLike, depth: float | NDArray[np.float64] | None = None) -> Curve:
        """Points of an outline, which a turn shifts by their depth but does not foreshorten."""
        x, y = np.asarray(points, dtype=np.float64).T
        z = np.clip(0.14 + 0.2 * y, -0.1, 0.3) if depth is None else depth
        return self._place(x + z * np.sin(self.pose.yaw), y + z * np.sin(self.pose.pitch))

    def _both(self, points: list[tuple[float, float]]) -> list[Curve]:
        """A shape on the right of the picture, and its mirror image."""
        right = np.asarray(points)
        return [right, right * (-1, 1)]

    def _stroke(self, points: list[tuple[float, float]] | Curve, width: float, lift: float = 0.0) -> Curve:
        """A smooth line on the face that thins at both ends; `width` in face units."""
        line = smooth(points, samples=5)
        return self._on_face(ribbon(line, width * taper(len(line), 0.25, 1.0, 0.25)), lift)

    # --- the layers, from back to front

    def picture(self) -> Picture:
        hair = _Hair(self)
        hair.behind()
        self._body()
        self._ears()
        self.sheet.fill(self.outline, self.who.skin)
        self._shading()
        self._folds()
        self.sheet.shade(self.outline, self._light())
        self._mouth()
        self._nose()
        for side in (-1, 1):
            self._eye(side)
        hair.front()
        for side in (-1, 1):
            self._brow(side)
        if self.who.glasses:
            self._glasses()
        return self.sheet.finished()

    def _skull(self) -> Curve:
        w, jaw, drop = self.who.width, self.who.jaw, self.jaw_drop
        wide = 0.05 * self.au[12] + 0.03 * self.au[20] - 0.02 * self.au[26]
        angle = np.linspace(np.pi, 2 * np.pi, 13)
        top = np.stack([w * np.cos(angle), -0.08 + 0.92 * np.sin(angle)], axis=1)
        right = [(w * 0.985, 0.2), (w * 0.91 + wide * 0.5, 0.47 + drop * 0.2), (jaw + wide, 0.73 + drop * 0.6),
                 (jaw * 0.62, 0.92 + drop), (jaw * 0.24, 1.0 + drop)]  # fmt: skip
        left = [(-x, y) for x, y in reversed(right)]
        return smooth(np.concatenate([top, right, left]), closed=True, samples=4)

    def _body(self) -> None:
        sheet, who = self.sheet, self.who
        lean = Pose(shift_x=self.pose.shift_x * 0.6, shift_y=self.pose.shift_y * 0.6, scale=self.pose.scale)
        head, self.pose = self.pose, lean
        neck = [(-0.33, 0.5), (0.33, 0.5), (0.34, 1.0), (0.44, 1.16), (0.3, 1.4), (-0.3, 1.4), (-0.44, 1.16), (-0.34, 1.0)]
        shoulders = [(-1.75, 1.9), (-1.45, 1.46), (-0.95, 1.27), (-0.42, 1.1), (-0.28, 1.2), (0.0, 1.3), (0.28, 1.2),
                     (0.42, 1.1), (0.95, 1.27), (1.45, 1.46), (1.75, 1.9)]  # fmt: skip
        collar = smooth([(-0.43, 1.09), (-0.28, 1.21), (0.0, 1.32), (0.28, 1.21), (0.43, 1.09)])
        sheet.fill(self._leaning(smooth(neck, closed=True), 0.0), mix(who.skin, self.shadow, 0.3))
        under = self._leaning(smooth([(-0.5, 0.6), (0.5, 0.6), (0.3, 1.1), (0.0, 1.18 + self.jaw_drop * 0.6), (-0.3, 1.1)], closed=True), 0.0)
        sheet.clipped(self._leaning(smooth(neck, closed=True), 0.0), lambda s: s.fill(under, mix(who.skin, self.shadow, 0.75)))
        sheet.fill(self._leaning(smooth(shoulders), 0.0), who.shirt)
        sheet.fill(self._leaning(ribbon(collar, 0.06), 0.0), who.shirt * 0.86)
        self.pose = head

    def _ears(self) -> None:
        for side in (-1, 1):
            w = self.who.width
            ear = [(w - 0.16, -0.16), (w + 0.07, -0.2), (w + 0.14, -0.1), (w + 0.11, 0.08), (w + 0.05, 0.22), (w - 0.16, 0.24)]
            inner = [(w + 0.0, -0.08), (w + 0.075, -0.11), (w + 0.085, -0.03), (w + 0.045, 0.1), (w + 0.0, 0.12)]
            for points, ink in ((ear, mix(self.who.skin, self.shadow, 0.18)), (inner, mix(self.who.skin, self.shadow, 0.6))):
                shape = smooth(np.array(points) * (side, 1), closed=True)
                self.sheet.fill(self._leaning(shape, -0.16), ink)

    def _light(self) -> NDArray[np.float32]:
        """(size, size) brightness of a rounded head under a light from above and one side."""
        low, high = self.outline.min(axis=0), self.outline.max(axis=0)
        middle, radius = (low + high) / 2, (high - low) / 2
        x = ((np.arange(self.sheet.size) - middle[0]) / radius[0]).astype(np.float32)
        y = ((np.arange(self.sheet.size) - middle[1]) / radius[1]).astype(np.float32)
        bulge = np.sqrt(np.maximum(1.06 - (x**2)[None, :] * 0.9 - (y**2)[:, None] * 0.7, 0.0))
        lambert = 0.62 * bulge + np.float32(0.3 * self.scene.light) * x[None, :] - 0.16 * y[:, None]
        return np.clip(0.6 + 0.62 * lambert, 0.68, 1.02).astype(np.float32)

    def _shading(self) -> None:
        """Broad soft shades: sockets, cheeks, the side of the nose, under the lip, a beard."""
        au, who, soft = self.au, self.who, 0.06 * self.unit
        dark = [(self._on_face(smooth([(0.16, -0.2), (0.34, -0.3), (0.52, -0.16), (0.34, -0.06)], closed=True) * (s, 1)), 0.45 + 0.3 * au[4])
                for s in (-1, 1)]  # fmt: skip
        side = -np.sign(self.scene.light)
        dark.append((self._on_face(np.array([(0.02, -0.15), (0.12, -0.1), (0.17, 0.27), (0.04, 0.3)]) * (side, 1), 0.1), 0.4))
        lower = 0.75 + self.jaw_drop * 0.9
        dark.append((self._on_face(disc(0.0, lower, 0.15, 0.035)), 0.5 + 0.3 * au[17]))
        dark.append((self._on_face(disc(0.0, 0.37, 0.1, 0.03)), 0.4))
        self.sheet.tint(dark, (0.84, 0.74, 0.72), soft)
        cheek = 0.3 - 0.07 * max(au[6], 0.6 * au[12])
        blush = [(self._on_face(disc(s * 0.47, cheek, 0.17, 0.12)), min(1.0, who.blush + 0.4 * au[12])) for s in (-1, 1)]
        blush.append((self._on_face(disc(0.0, who.nose_length - 0.02, 0.12, 0.09), 0.15), 0.5))
        self.sheet.tint(blush, (1.0, 0.82, 0.8), 0.09 * self.unit)
        gleam = [(self._on_face(disc(s * 0.44, cheek - 0.09, 0.1, 0.055)), 0.3 + 0.6 * au[6]) for s in (-1, 1)]
        gleam.append((self._on_face(disc(0.0, -0.55, 0.3, 0.12)), 0.5))
        gleam.append((self._on_face(disc(0.0, 0.93 + self.jaw_drop, 0.12, 0.06)), 0.5))
        self.sheet.tint(gleam, (1.06, 1.07, 1.08), 0.07 * self.unit)
        if who.beard:
            self.sheet.tint([(self._on_face(self._beard()), who.beard)], tuple(0.35 + 0.4 * who.hair / 255), 0.03 * self.unit)

    def _beard(self) -> Curve:
        drop = self.jaw_drop
        right = [(0.0, 0.42), (0.2, 0.44), (0.36, 0.56), (0.52, 0.42), (0.7, 0.05), (0.95, 0.1), (0.9, 0.8), (0.45, 1.25 + drop)]
        return np.array([*right, *[(-x, y) for x, y in reversed(right[1:])]])

    def _folds(self) -> None:
        """Fine lines that come with the units."""
        au, s = self.au, self._stroke
        smile, sneer = au[12], max(au[10], au[9])
        lines: list[tuple[Curve, float]] = []
        for m in (-1, 1):
            mirrored = [
                ([(0.16, 0.24), (0.3, 0.36), (0.36 + 0.07 * smile, 0.52)], 0.035, 0.2 + 0.65 * max(smile, sneer, 0.5 * au[20])),
                ([(0.55, -0.07), (0.64, -0.12)], 0.03, 0.8 * au[6]),
                ([(0.56, -0.02), (0.66, -0.01)], 0.03, 0.8 * au[6]),
                ([(0.2, 0.1), (0.34, 0.135), (0.47, 0.09)], 0.03, 0.25 + 0.6 * max(au[6], au[7])),
                ([(0.045, -0.4), (0.055, -0.28)], 0.03, 0.75 * au[4]),
                ([(0.03, -0.13), (0.1, -0.17)], 0.035, au[9]),
                ([(0.03, -0.05), (0.12, -0.09)], 0.035, au[9]),
                ([(0.3, 0.66), (0.335, 0.72), (0.34, 0.79)], 0.035, 0.55 * au[15]),
                ([(0.06, 0.84), (0.12, 0.81)], 0.03, 0.7 * au[17]),
            ]
            lines += [(s(np.array(points) * (m, 1), width), strength) for points, width, strength in mirrored]
        raised = min(au[1], 0.3 + au[2])
        lines += [(s([(-0.36, y), (0.0, y - 0.03), (0.36, y)], 0.03), 0.75 * raised) for y in (-0.6, -0.51)]
        self.sheet.tint(lines, (0.72, 0.56, 0.54), 0.016 * self.unit)

    def _nose(self) -> None:
        who, au = self.who, self.au
        tip, wing = who.nose_length, who.nose_width * (1 + 0.15 * au[9] + 0.1 * au[12])
        up = 0.035 * max(au[9], 0.5 * au[10])
        line = mix(who.skin, self.shadow, 0.9) * 0.92
        for m in (-1, 1):
            curve = np.array([(wing * 0.86, tip - 0.06 - up), (wing * 1.08, tip - 0.005 - up), (wing * 0.8, tip + 0.045 - up)])
            self.sheet.fill(self._stroke(curve * (m, 1), 0.026, 0.08), line)
            self.sheet.fill(self._stroke(np.array([(wing * 0.28, tip + 0.055), (wing * 0.5, tip + 0.035 - up * 0.5), (wing * 0.74, tip + 0.06 - up)]) * (m, 1), 0.036, 0.1), line * 0.72)
        self.sheet.fill(self._on_face(disc(0.02 * np.sign(self.scene.light) * 1.0, tip - 0.05, 0.032, 0.022), 0.2), mix(who.skin, WHITE, 0.45))

    def _eye(self, side: int) -> None:
        who, au, pose, t = self.who, self.au, self.pose, BRACKET
        width = 0.178 * who.eye_size
        open_up = 0.118 * (1 + 0.5 * au[5] - 0.42 * au[7] * (1 - 0.5 * au[5]) - 0.2 * au[6] - 0.22 * au[9] - 0.12 * au[4] * (1 - au[5]))
        open_down = 0.078 * (1 + 0.15 * au[5] - 0.75 * au[6] - 0.5 * au[7] * (1 - 0.5 * au[5]) - 0.35 * au[9])
        slant = 0.45 * au[4] * (1 - 0.8 * au[1]) - 0.4 * au[1] * max(0.0, 1 - au[2])
        upper = open_up * who.eye_size * (1 - t**2) ** 0.7 * (1 + slant * t)
        lower = open_down * who.eye_size * (1 - t**2) ** 0.8 - 0.02 * au[6] * (1 - t**2)
        lower = np.maximum(lower, -0.6 * upper)
        upper = upper * (1 - pose.blink) - lower * 0.9 * pose.blink
        x, rise = side * (who.eye_apart + width * t), -(who.eye_tilt + 0.012 * (1 - au[1])) * t
        top, bottom = np.stack([x, rise - upper - 0.04], axis=1), np.stack([x, rise + lower - 0.04], axis=1)
        lid = self._on_face(top)
        whole = np.concatenate([lid, self._on_face(bottom)[::-1]])

        def paint(sheet: Sheet) -> None:
            sheet.fill(whole, mix(WHITE, self.shadow, 0.3))
            sheet.fill(whole + (0, 0.045 * self.unit), WHITE)
            radius = 0.098 * who.eye_size
            x, y = side * (who.eye_apart - 0.01) + 0.07 * pose.gaze_x, -0.05 + 0.05 * pose.gaze_y
            for scale, ink in ((1.0, who.iris * 0.62), (0.86, who.iris), (0.5, DARK)):
                sheet.fill(self._on_face(disc(x, y, radius * scale)), ink)
            sheet.fill(self._on_face(disc(x, y + 0.5 * radius, 0.5 * radius, 0.3 * radius)), mix(who.iris, WHITE, 0.25))
            sheet.fill(self._on_face(disc(x, y, radius * 0.5)), DARK)
            glint = 0.035 * (np.sign(self.scene.light) or 1)
            sheet.fill(self._on_face(disc(x + glint, y - 0.035, 0.026)), WHITE + 5)

        if pose.blink < 0.9:
            self.sheet.clipped(whole, paint)
        heavy = (0.03 + 0.014 * who.lashes) * np.interp(t, [-1, -0.5, 0.7, 1], [0.3, 0.8, 1.15, 0.8])
        lash = top.copy()
        if who.lashes:
            lash[-3:] += np.array([(0.0, 0.0), (0.012 * side, -0.012), (0.04 * side, -0.035)])
        self.sheet.fill(self._on_face(ribbon(lash, heavy)), DARK)
        crease = top[3:-1] - (0, 0.045 + 0.01 * au[5])
        self.sheet.fill(self._on_face(ribbon(crease, 0.014 * taper(len(crease), 0.3, 1, 0.4))), mix(who.skin, self.shadow, 0.75))
        self.sheet.fill(self._on_face(ribbon(bottom[4:], 0.012)), mix(who.skin, self.shadow, 0.95) * 0.85)

    def _brow(self, side: int) -> None:
        who, au = self.who, self.au
        base = -0.325 - who.brow_height
        inner = base - 0.13 * au[1] + 0.1 * au[4] * (1 - 0.55 * au[1]) + 0.05 * au[9]
        middle = base - 0.04 - 0.05 * au[1] - 0.11 * au[2] + 0.055 * au[4] + 0.03 * au[9]
        outer = base + 0.035 - 0.11 * au[2] + 0.03 * au[4] * (1 - au[1]) + 0.03 * au[1] * (1 - au[2])
        squeeze = 0.04 * au[4]
        apart = who.eye_apart
        points = [(apart - 0.19 - squeeze, inner), (apart - 0.05 - squeeze * 0.5, (inner + middle) / 2 - 0.01), (apart + 0.08, middle), (apart + 0.21, outer)]
        line = smooth(np.array(points) * (side, 1), samples=5)
        widths = 0.07 * who.brow_weight * np.interp(np.linspace(0, 1, len(line)), [0, 0.12, 0.55, 1], [0.55, 0.95, 0.85, 0.15])
        ink = np.minimum(mix(who.hair * 0.8, DARK, 0.25), who.skin * 0.5)
        self.sheet.fill(self._on_face(ribbon(line, widths), 0.03), ink)

    def _mouth(self) -> None:
        who, au, t = self.who, self.au, BRACKET
        wide_open = au[26] * (1 - 0.8 * min(au[12], 1.0)) * (1 - 0.8 * min(au[20], 1.0))
        half = who.mouth_width * (1 + 0.36 * au[12] + 0.34 * au[20] - 0.2 * au[24] - 0.1 * au[17] - 0.2 * wide_open)
        level = 0.57 - 0.02 * au[10]
        gap = 0.05 * au[25] * (1 + 0.4 * au[20] + 0.5 * au[10] + 0.7 * au[12]) + 1.9 * self.jaw_drop * min(1.0, 0.3 + au[25])
        corner = level - 0.008 - 0.125 * au[12] + 0.1 * au[15] + 0.04 * au[20] + 0.42 * gap * (wide_open + 0.6 * au[20])
        corner += 0.02 * au[17]
        seam = level + 0.02 * au[12] - 0.03 * au[17] * (1 + 0.5 * au[15]) - 0.015 * au[15]
        round_off = np.sqrt(np.maximum(1 - np.abs(t) ** 2.2, 0))
        arch = (1 - wide_open) * (1 - np.abs(t) ** 2) + wide_open * round_off
        sneer = au[10] * (0.05 - 0.012 * np.cos(2 * np.pi * t)) * (1 - t**4)
        upper = corner + (seam - 0.2 * gap - corner) * arch - sneer
        bowl = (1 - wide_open) * (1 - np.abs(t) ** (2.4 + au[20])) + wide_open * round_off
        lower = corner + (seam + 0.8 * gap - corner) * bowl - sneer * (0.75 if gap < 0.02 else 0.2)
        lower = np.maximum(lower, upper)
        thick = who.lip * (1 - 0.62 * au[24]) * (1 - 0.3 * au[12]) * (1 - 0.2 * au[20])
        bow = 0.062 * thick * (1 - 0.35 * au[10]) * (1 - t**2) ** 0.6 * (1 - 0.22 * np.exp(-((t / 0.16) ** 2)))
        pout = 0.085 * thick * (1 + 0.25 * au[17]) * (1 - t**2) ** 0.75
        x = half * t

        def at(y: NDArray[np.float64]) -> Curve:
            return self._on_face(np.stack([x, y], axis=1), 0.04)

        lips = mix(who.skin * 0.82, ROSE, 0.42)
        self.sheet.fill(np.concatenate([at(upper - bow), at(lower + pout)[::-1]]), lips * 0.9)
        self.sheet.fill(np.concatenate([at(lower), at(lower + pout)[::-1]]), mix(lips, WHITE, 0.1))
        shine = (np.abs(t) < 0.5).nonzero()[0]
        gloss = self._on_face(ribbon(np.stack([x, lower + 0.45 * pout], axis=1)[shine], 0.018 * thick * taper(len(shine), 0.1, 1, 0.1)), 0.04)
        self.sheet.fill(gloss, mix(lips, WHITE, 0.38))
        if gap > 0.012:
            self._inside(at, upper, lower, gap)
        else:
            self.sheet.fill(self._on_face(ribbon(np.stack([x, upper], axis=1), 0.024 * taper(len(t), 0.8, 1, 0.8)), 0.04), mix(lips * 0.5, MOUTH, 0.4))
        for m in (0, -1):
            self.sheet.fill(self._on_face(disc(x[m], (upper[m] + lower[m]) / 2, 0.02 + 0.006 * au[12]), 0.04), mix(who.skin * 0.6, MOUTH, 0.35))

    def _inside(self, at, upper, lower, gap) -> None:  # type: ignore[no-untyped-def]
        au = self.au
        hole = np.concatenate([at(upper), at(lower)[::-1]])
        self.sheet.fill(hole, MOUTH)
        height = lower - upper
        clench = min(1.0, max(au[20], au[10], 0) * 1.3) * max(0.0, 1 - 1.3 * au[26])
        teeth = min(1.0, 20 * gap) * np.minimum(height * (0.62 + 0.3 * clench), 0.085 * (0.55 + 0.45 * max(au[12], au[10], au[20])))
        tongue = np.clip(height - 0.1, 0, 0.12) * (1 - BRACKET**4)

        def paint(sheet: Sheet) -> None:
            if au[26] > 0.25:
                sheet.fill(np.concatenate([at(lower - tongue), at(lower + 0.02)[::-1]]), TONGUE)
            sheet.fill(np.concatenate([at(upper - 0.02), at(upper + teeth)[::-1]]), TEETH)
            if clench > 0.3:
                sheet.fill(np.concatenate([at(lower - height * 0.36 * clench), at(lower + 0.02)[::-1]]), TEETH * 0.95)

        self.sheet.clipped(hole, paint)

    def _glasses(self) -> None:
        apart, ink = self.who.eye_apart, DARK * 1.2
        rims = [disc(s * apart, -0.03, 0.25, 0.22) for s in (-1, 1)]
        for rim in rims:
            self.sheet.fill(self._on_face(ribbon(np.concatenate([rim, rim[:2]]), 0.03), 0.08), ink)
        bridge = smooth([(-apart + 0.24, -0.07), (0.0, -0.11), (apart - 0.24, -0.07)])
        self.sheet.fill(self._on_face(ribbon(bridge, 0.03), 0.1), ink)
        for s in (-1, 1):
            arm = self._on_face([(s * (apart + 0.24), -0.08), (s * (apart + 0.24), -0.05)], 0.08)
            end = self._leaning([(s * self.who.width, -0.06), (s * self.who.width, -0.1)], -0.1)
            self.sheet.fill(np.concatenate([arm, end]), ink)


class _Hair:
    """Hair behind and in front of a face, by style."""

    def __init__(self, face: _Face) -> None:
        self.face, self.style, self.w = face, face.who.style, face.who.width
        self.ink = face.who.hair
        self.dark = face.who.hair * 0.78
        self.shine = mix(face.who.hair, WHITE, 0.16)

    def _cap(self, bulge: float, low: float, lift: float = 0.0) -> Curve:
        """The skull's top grown by `bulge`, from temple to temple at y = `low`."""
        start = np.arcsin(np.clip((low + 0.08) / -(0.92 + bulge), -1, 1))
        angle = np.linspace(np.pi + start, 2 * np.pi - start, 33)
        return np.stack([(self.w + bulge) * np.cos(angle), -0.08 + (0.92 + bulge + lift) * np.sin(angle)], axis=1)

    def _mirrored(self, right: list[tuple[float, float]]) -> Curve:
        return smooth(np.array([*right, *[(-x, y) for x, y in reversed(right)]]), closed=True)

    def behind(self) -> None:
        face, w = self.face, self.w
        shapes = {
            "bob": [(0.4, -1.0), (w + 0.12, -0.6), (w + 0.2, 0.0), (w + 0.2, 0.5), (w + 0.1, 0.8), (0.5, 0.86)],
            "long": [(0.4, -1.0), (w + 0.12, -0.6), (w + 0.2, 0.1), (w + 0.22, 0.8), (w + 0.28, 1.4), (0.5, 1.6)],
            "curtains": [(0.4, -1.0), (w + 0.1, -0.6), (w + 0.14, 0.0), (w + 0.1, 0.35), (0.6, 0.5)],
        }  # fmt: skip
        if self.style in shapes:
            face.sheet.fill(face._leaning(self._mirrored(shapes[self.style]), -0.15), self.dark)
        if self.style == "bun":
            face.sheet.fill(face._leaning(disc(0.0, -1.1, 0.27, 0.23), -0.1), self.dark)
        if self.style == "curly":
            self._curls(self._cap(0.1, 0.2)[::2], 0.2, self.dark)

    def _curls(self, line: Curve, radius: float, ink: Colour) -> None:
        for i, (x, y) in enumerate(line):
            self.face.sheet.fill(self.face._leaning(disc(x, y, radius * (1 + 0.12 * np.sin(2.3 * i))), -0.05), ink)

    def front(self) -> None:
        face, w = self.face, self.w
        hairline: dict[str, list[tuple[float, float]]] = {
            "short": [(w - 0.02, -0.1), (w - 0.08, -0.32), (0.52, -0.52), (0.2, -0.56), (-0.2, -0.68), (-0.5, -0.52), (-w + 0.08, -0.32), (-w + 0.02, -0.1)],
            "bob": [(w + 0.04, 0.1), (w - 0.1, -0.2), (0.55, -0.44), (0.2, -0.5), (-0.2, -0.5), (-0.55, -0.44), (-w + 0.1, -0.2), (-w - 0.04, 0.1)],
            "curly": [(w, -0.25), (0.6, -0.5), (0.3, -0.66), (0.0, -0.7), (-0.3, -0.66), (-0.6, -0.5), (-w, -0.25)],
            "long": [(w + 0.05, 0.45), (w - 0.08, 0.0), (0.6, -0.36), (0.3, -0.62), (-0.12, -0.84), (-0.45, -0.5), (-w + 0.1, -0.1), (-w - 0.05, 0.45)],
            "quiff": [(w - 0.02, -0.12), (w - 0.06, -0.42), (0.56, -0.55), (0.42, -0.72), (0.1, -0.62), (-0.3, -0.66), (-0.56, -0.6), (-w + 0.08, -0.4), (-w + 0.02, -0.12)],
            "bun": [(w - 0.01, -0.1), (w - 0.1, -0.36), (0.5, -0.62), (0.0, -0.72), (-0.5, -0.62), (-w + 0.1, -0.36), (-w + 0.01, -0.1)],
            "buzz": [(w - 0.01, -0.18), (w - 0.1, -0.4), (0.5, -0.62), (0.0, -0.68), (-0.5, -0.62), (-w + 0.1, -0.4), (-w + 0.01, -0.18)],
            "curtains": [(w + 0.03, 0.2), (w - 0.06, -0.1), (0.56, -0.4), (0.2, -0.62), (0.0, -0.86), (-0.2, -0.62), (-0.56, -0.4), (-w + 0.06, -0.1), (-w - 0.03, 0.2)],
        }  # fmt: skip
        line = hairline[self.style]
        bulge = {"buzz": 0.012, "quiff": 0.05, "short": 0.05}.get(self.style, 0.07)
        cap = self._cap(bulge, line[-1][1], 0.02)
        if self.style == "quiff":
            cap = smooth([(-w - 0.02, -0.12), (-w - 0.03, -0.45), (-0.68, -0.78), (-0.45, -1.0), (-0.1, -1.12), (0.3, -1.2),
                          (0.62, -1.12), (0.72, -0.86), (w + 0.02, -0.45), (w + 0.02, -0.12)])  # fmt: skip
        depth = np.concatenate([np.full(len(cap), -0.02), 0.22 * (1 - np.minimum(np.abs(smooth(line)[:, 0]) / w, 1.0) ** 2) - 0.02])
        whole = np.concatenate([cap, smooth(line)])
        ink = mix(self.ink, face.who.skin, 0.35) if self.style == "buzz" else self.ink
        outline = face._leaning(whole, depth)
        face.sheet.fill(outline, ink)
        if self.style == "curly":
            self._curls(self._cap(0.0, -0.25)[1:-1:2], 0.17, self.ink)
            self._curls(np.array([(0.45, -0.64), (0.2, -0.74), (-0.05, -0.75), (-0.3, -0.72), (-0.52, -0.6)]), 0.13, self.ink)
            return
        side = np.sign(face.scene.light) or 1.0
        arc = np.stack([side * 0.72 * self.w * np.cos(np.linspace(0.3, 1.35, 12)), -0.2 - 0.68 * np.sin(np.linspace(0.3, 1.35, 12))], axis=1)
        gleam = face._leaning(ribbon(arc, 0.07 * taper(12, 0.1, 1, 0.1)), 0.1)
        face.sheet.clipped(outline, lambda sheet: sheet.fill(gleam, mix(ink, WHITE, 0.14)))
