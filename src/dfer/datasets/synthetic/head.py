"""The head in space: from face units to pixels.

Face units as in `identity`: crown at y = -1, chin at y = +1. Features lie on a rounded surface that a pose turns in
depth (2.5-D); the outlines of skull and hair lean with it but are not foreshortened.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from dfer.datasets.synthetic.identity import Identity
from dfer.datasets.synthetic.sketch import Curve, ellipse, mirrored, ribbon, smooth, taper

SCALE = 0.385
"""Face unit / picture width: a head fills most of its crop, as in the face crops of DFEW."""
DEPTH = 0.55
"""How far the middle of the face stands out, in face units."""
FLATNESS = np.array([0.9**-2, 1.35**-2])
"""How slowly the surface falls back to the sides and up and down: 1 / half axis ** 2."""
JAW_DROP = 0.13
"""How far the chin goes down with the jaw (AU26 = 1), in face units."""


class Pose(NamedTuple):
    """Where a head is and where it looks: radians, face units, blink 0 open .. 1 shut, gaze -1 .. 1."""

    yaw: float = 0.0
    pitch: float = 0.0
    roll: float = 0.0
    shift_x: float = 0.0
    shift_y: float = 0.0
    scale: float = 1.0
    gaze_x: float = 0.0
    gaze_y: float = 0.0
    blink: float = 0.0


class Head:
    """Somebody's head with some activations in some pose, before a camera of `size` pixels.

    Attributes:
        au: unit number -> activation.
        unit: pixels a face unit.
        skull: outline in pixels.
    """

    def __init__(self, who: Identity, au: dict[int, float], pose: Pose, size: int) -> None:
        self.who, self.au, self.pose, self.size = who, au, pose, size
        self.unit = size * SCALE * pose.scale
        self.jaw_drop = JAW_DROP * au[26]
        cos, sin = np.cos(pose.roll), np.sin(pose.roll)
        self._rolled = self.unit * np.array([[cos, sin], [-sin, cos]])
        self._neck = np.array([0.5, 0.49]) * size + self.unit * np.array([pose.shift_x, pose.shift_y + 1.0])
        self._turn = np.array([np.sin(pose.yaw), np.sin(pose.pitch)])
        self._shorten = np.array([np.cos(pose.yaw), np.cos(pose.pitch)])
        self.skull = self.leaning(self._skull())

    def on_face(self, points: ArrayLike, lift: float = 0.0) -> Curve:
        """Pixels of points on the rounded front of the face; `lift` stands out from it, as a nose does."""
        flat = np.asarray(points, dtype=np.float64)
        z = DEPTH * np.sqrt(np.maximum(1 - flat**2 @ FLATNESS, 0.0)) + lift
        return self._pixels(flat * self._shorten + z[:, None] * self._turn)

    def leaning(self, points: ArrayLike, depth: float | Curve | None = None) -> Curve:
        """Pixels of an outline, which a turn shifts by its depth (default: more at the chin than at the top)."""
        flat = np.asarray(points, dtype=np.float64)
        z = np.clip(0.14 + 0.2 * flat[:, 1], -0.1, 0.3) if depth is None else np.asarray(depth)
        return self._pixels(flat + z.reshape(-1, 1) * self._turn)

    def beside(self, points: ArrayLike) -> Curve:
        """Pixels of the body, which follows the head a little more than half."""
        still = self._neck - self.unit * np.array([0.4 * self.pose.shift_x, 0.4 * self.pose.shift_y + 1.0])
        return still + self.unit * np.asarray(points, dtype=np.float64)

    def disc(self, x: float, y: float, radius_x: float, radius_y: float | None = None, *, lift: float = 0.0) -> Curve:
        """Pixels of an ellipse on the face."""
        return self.on_face(ellipse(x, y, radius_x, radius_y), lift)

    def stroke(self, points: ArrayLike, width: float, lift: float = 0.0) -> Curve:
        """Pixels of a smooth line on the face that thins at both ends."""
        line = smooth(points, samples=5)
        return self.on_face(ribbon(line, width * taper(len(line), 0.25, 1.0, 0.25)), lift)

    def _pixels(self, points: Curve) -> Curve:
        return (points - (0.0, 1.0)) @ self._rolled + self._neck  # a head rolls about its neck

    def _skull(self) -> Curve:
        w, jaw, drop = self.who.width, self.who.jaw, self.jaw_drop
        wide = 0.05 * self.au[12] + 0.03 * self.au[20] - 0.02 * self.au[26]
        angle = np.linspace(np.pi, 2 * np.pi, 13)
        top = np.stack([w * np.cos(angle), -0.08 + 0.92 * np.sin(angle)], axis=1)
        right = [(w * 0.985, 0.2), (w * 0.91 + wide * 0.5, 0.47 + drop * 0.2), (jaw + wide, 0.73 + drop * 0.6),
                 (jaw * 0.62, 0.92 + drop), (jaw * 0.24, 1.0 + drop)]  # fmt: skip
        return smooth(np.concatenate([top, right, mirrored(right)]), closed=True, samples=4)
