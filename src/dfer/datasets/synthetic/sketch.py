"""Drawing tools: smooth curves, ribbons, and a sheet on which shapes are filled, shaded and clipped.

Curves are (N, 2) float arrays of x, y. A sheet is drawn larger than it is wanted and reduced by area at the end;
soft shading is painted at the wanted size and multiplied in. Colours are RGB, 0..255.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import lru_cache

import cv2
import numpy as np
from numpy.typing import ArrayLike, NDArray

from dfer.datasets.synthetic.identity import Colour

Curve = NDArray[np.float64]
Picture = NDArray[np.uint8]

OVERSIZE = 3
"""How many times larger than wanted a picture is drawn: nine levels at every edge, on top of OpenCV's own."""
_SUBPIXEL_BITS = 4
_CIRCLE = np.stack([part(np.arange(28) * 2 * np.pi / 28) for part in (np.cos, np.sin)], axis=1)


@lru_cache
def _basis(samples: int) -> NDArray[np.float64]:
    """(samples, 4) Catmull-Rom weights."""
    t = np.arange(samples) / samples
    return 0.5 * np.stack([-t + 2 * t**2 - t**3, 2 - 5 * t**2 + 3 * t**3, t + 4 * t**2 - 3 * t**3, t**3 - t**2], axis=1)


def smooth(points: ArrayLike, *, closed: bool = False, samples: int = 6) -> Curve:
    """A smooth curve through the points (Catmull-Rom)."""
    knots = np.asarray(points, dtype=np.float64)
    if closed:
        knots = np.concatenate([knots[-1:], knots, knots[:2]])
    else:
        knots = np.concatenate([2 * knots[:1] - knots[1:2], knots, 2 * knots[-1:] - knots[-2:-1]])
    windows = np.stack([knots[i : len(knots) - 3 + i] for i in range(4)])
    curve = np.einsum("sk,knc->nsc", _basis(samples), windows).reshape(-1, 2)
    return curve if closed else np.concatenate([curve, knots[-2:-1]])


def ribbon(line: Curve, widths: float | NDArray[np.float64]) -> Curve:
    """The outline of a stroke along `line`, `widths` wide at its points."""
    along = np.concatenate([line[1:2] - line[:1], line[2:] - line[:-2], line[-1:] - line[-2:-1]])
    half = np.asarray(widths) / 2 / np.maximum(np.hypot(along[:, 0], along[:, 1]), 1e-9)
    across = along[:, ::-1] * (-1, 1) * half[:, None]
    return np.concatenate([line + across, (line - across)[::-1]])


@lru_cache
def taper(samples: int, start: float, middle: float, end: float) -> NDArray[np.float64]:
    """(samples,) widths of a stroke that swells and thins; shared, so not to be written to."""
    return np.interp(np.linspace(0, 2, samples), [0, 1, 2], [start, middle, end])


def ellipse(x: float, y: float, radius_x: float, radius_y: float | None = None) -> Curve:
    """An upright ellipse, or a circle."""
    return _CIRCLE * (radius_x, radius_y or radius_x) + (x, y)


def mirrored(points: ArrayLike) -> Curve:
    """The other half of a symmetric curve: x turned round, in reverse order."""
    return (np.asarray(points, dtype=np.float64) * (-1, 1))[::-1]


def mix(one: Colour, other: Colour, share: float) -> Colour:
    """`share` of the other colour in the one."""
    return one + (other - one) * min(max(share, 0.0), 1.0)


class Sheet:
    """A picture in the making.

    Args:
        background: (size, size, 3) uint8 RGB; not touched.
    """

    def __init__(self, background: Picture) -> None:
        self.size = background.shape[0]
        self._picture = resized(background, self.size * OVERSIZE, cv2.INTER_LINEAR)
        self._origin = np.zeros(2, dtype=np.int64)
        self._gain: NDArray[np.float32] = np.ones((self.size, self.size, 3), dtype=np.float32)

    def fill(self, outline: Curve, ink: Colour) -> None:
        """Fill a closed outline, in pixels of the wanted size."""
        _fill(self._picture, outline * OVERSIZE - self._origin, ink)

    def fill_all(self, shapes: Iterable[tuple[Curve, Colour]]) -> None:
        """Fill one outline after the other."""
        for outline, ink in shapes:
            self.fill(outline, ink)

    def tint(self, shapes: list[tuple[Curve, float]], gain: tuple[float, float, float], blur: float) -> None:
        """Note soft shapes that `shade` will multiply in: each channel by `gain` at strength 1.

        Args:
            shapes: outlines with their strengths, 0..1.
            gain: factor for R, G, B; below one darkens, above one lights up.
            blur: width of the soft edge in pixels.
        """
        mask = np.zeros((self.size, self.size), dtype=np.uint8)
        for outline, strength in shapes:
            if strength > 0.02:
                _fill(mask, outline, np.array([255 * min(strength, 1.0)]))
        if blur > 0.3:
            reach = max(1, round(blur))
            cv2.blur(cv2.blur(mask, (2 * reach + 1,) * 2), (reach + 1 | 1,) * 2, dst=mask)
        change = np.array([part - 1 for part in gain], dtype=np.float32) / 255
        self._gain *= 1 + mask[..., None] * change

    def shade(self, within: Curve | None = None, light: NDArray[np.float32] | None = None) -> None:
        """Multiply in what was tinted, inside an outline, and an optional (size, size, 3) light; forget it then."""
        if light is not None:
            self._gain *= light
        if within is not None:
            mask = np.zeros((self.size, self.size), dtype=np.uint8)
            _fill(mask, within, np.array([255.0]))
            inside = np.divide(mask[..., None], 255, dtype=np.float32)
            self._gain = 1 + (self._gain - 1) * inside
        gain = cv2.resize(self._gain, self._picture.shape[:2], interpolation=cv2.INTER_LINEAR)
        self._picture = np.asarray(cv2.multiply(self._picture, gain, dtype=cv2.CV_8U), dtype=np.uint8)
        self._gain = np.ones_like(self._gain)

    def clipped(self, outline: Curve, paint: Callable[[Sheet], None]) -> None:
        """Let `paint` draw, and keep what it drew inside the outline only."""
        large = outline * OVERSIZE - self._origin
        low = np.maximum(np.floor(large.min(axis=0)).astype(int) - 1, 0)
        high = np.minimum(np.ceil(large.max(axis=0)).astype(int) + 2, self._picture.shape[1::-1])
        if (high <= low).any():
            return
        whole, before = self._picture, self._picture[low[1] : high[1], low[0] : high[0]]
        self._picture, self._origin = before.copy(), self._origin + low
        paint(self)
        after, self._picture, self._origin = self._picture, whole, self._origin - low
        mask = np.zeros(before.shape[:2], dtype=np.uint8)
        _fill(mask, large - low, np.array([255.0]))
        share = mask[..., None] / np.float32(255)
        before[:] = np.rint(before + (after - before.astype(np.float32)) * share)

    def finished(self) -> Picture:
        """(size, size, 3) uint8 RGB."""
        return resized(self._picture, self.size, cv2.INTER_AREA)


def resized(picture: Picture, size: int, interpolation: int) -> Picture:
    """(size, size, 3) uint8, with one of OpenCV's interpolations."""
    return np.asarray(cv2.resize(picture, (size, size), interpolation=interpolation), dtype=np.uint8)


def _fill(picture: Picture, outline: Curve, ink: Colour) -> None:
    points = np.rint(outline * (1 << _SUBPIXEL_BITS)).astype(np.int32)
    cv2.fillPoly(picture, [points], ink.tolist(), cv2.LINE_AA, _SUBPIXEL_BITS)
