"""Around the face: what is behind it, and what the camera does to it."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from dfer.datasets.synthetic.identity import SHIRTS, colour
from dfer.datasets.synthetic.scripts import Script
from dfer.datasets.synthetic.sketch import Picture, Sheet, ellipse, mix, resized

BACKGROUNDS = (
    ("#F6E7D8", "#E3C3A6"), ("#DCE8EE", "#AFC8D6"), ("#E8E1F0", "#C2B3D8"), ("#E4EEDD", "#B6CDA9"),
    ("#F7DFDA", "#E0A89D"), ("#FBEFC9", "#E8C878"), ("#7C93A8", "#45596E"), ("#9BB5A6", "#587768"),
)  # fmt: skip
"""Colours at the top and the bottom."""


def background(size: int, rng: np.random.Generator) -> Picture:
    """A soft gradient with lights out of focus, (size, size, 3) uint8 RGB."""
    top, bottom = (colour(code) for code in BACKGROUNDS[int(rng.integers(len(BACKGROUNDS)))])
    down = np.linspace(0, 1, size)[:, None, None]
    sheet = Sheet(np.rint(top + (bottom - top) * down + np.zeros((1, size, 1))).astype(np.uint8))
    for _ in range(int(rng.integers(3, 8))):
        x, y, radius = rng.uniform(0, size), rng.uniform(0, 0.8 * size), size * rng.uniform(0.05, 0.16)
        ink = mix(mix(top, bottom, y / size), np.full(3, 255.0), rng.uniform(0.1, 0.4))
        sheet.fill(ellipse(x, y, radius), ink)
    return _blurred(sheet.finished(), size * 0.022)


class Camera:
    """How a clip is taken: exposure and colour cast, and the flaws of its script; the same for all its frames."""

    def __init__(self, script: Script, rng: np.random.Generator) -> None:
        self.flaws, self.rng = script.flaws, rng
        self.cast = rng.uniform(0.92, 1.05) * (1 + np.clip(rng.normal(0, 0.025, 3), -0.03, 0.03))
        self.angle, self.side = rng.uniform(0, np.pi), rng.choice([-1, 1])
        self.cover = colour(SHIRTS[int(rng.integers(len(SHIRTS)))])

    def take(self, frame: Picture) -> Picture:
        """The frame as it is recorded, (size, size, 3) uint8 RGB."""
        size, flaws = frame.shape[0], self.flaws
        if "covered" in flaws:
            frame = self._behind_something(frame)
        if "defocus" in flaws:
            frame = _blurred(frame, size * 0.028 * flaws["defocus"])
        if "motion" in flaws:
            frame = np.asarray(cv2.filter2D(frame, -1, _streak(size * 0.13 * flaws["motion"], self.angle)), np.uint8)
        if "low_res" in flaws:
            small = round(size * (0.5 - 0.28 * flaws["low_res"]))
            frame = resized(resized(frame, small, cv2.INTER_AREA), size, cv2.INTER_CUBIC)
        light = self.cast * (1 - 0.68 * flaws.get("dark", 0.0))
        exposed = frame * light
        if "noise" in flaws:
            grain = self.rng.normal(0, 13 * flaws["noise"], (size, size, 4))
            exposed = exposed + grain[..., :1] + 0.5 * grain[..., 1:]
        return np.clip(np.rint(exposed), 0, 255).astype(np.uint8)

    def _behind_something(self, frame: Picture) -> Picture:
        """Somebody's shoulder, out of focus, before a part of the mouth and the cheek."""
        size, reach = frame.shape[0], 0.3 + 0.1 * self.flaws["covered"]
        sheet = Sheet(frame)
        outline = ellipse(size * (0.5 + self.side * 0.24), size * 1.02, size * 0.42, size * reach)
        sheet.fill(outline, self.cover * 0.8)
        soft = _blurred(sheet.finished(), size * 0.02)
        mask = np.zeros(frame.shape[:2], dtype=np.float32)
        cv2.fillPoly(mask, [np.rint(outline).astype(np.int32)], 1.0)
        share = np.clip(cv2.GaussianBlur(mask, (0, 0), size * 0.025) * 2, 0, 1)[..., None]
        return np.rint(frame + (soft - frame.astype(np.float32)) * share).astype(np.uint8)


def _blurred(frame: Picture, width: float) -> Picture:
    return np.asarray(cv2.GaussianBlur(frame, (0, 0), width), dtype=np.uint8)


def _streak(length: float, angle: float) -> NDArray[np.float32]:
    """The kernel of a straight movement during the exposure."""
    reach = max(1, int(np.ceil(length / 2)))
    kernel = np.zeros((2 * reach + 1, 2 * reach + 1), dtype=np.float32)
    steps = np.linspace(-length / 2, length / 2, 8 * reach)
    rows, columns = (np.rint(reach + steps * part).astype(int) for part in (np.sin(angle), np.cos(angle)))
    np.add.at(kernel, (rows, columns), 1.0)
    kernel /= kernel.sum()
    return kernel
