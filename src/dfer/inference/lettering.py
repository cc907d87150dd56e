"""Words in pictures: OpenCV's own letters are lines and know no Unicode, so matplotlib draws them, each word once."""

from __future__ import annotations

import math
from functools import lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt
from matplotlib.backends import backend_agg
from matplotlib.font_manager import FontProperties

Frames = npt.NDArray[np.uint8]
Colour = tuple[int, int, int]

RENDERER: Any = backend_agg.RendererAgg
POINTS = 72
"""Dots an inch, so that a point is a pixel."""


@lru_cache(maxsize=512)
def mask(text: str, height: int, *, bold: bool = False) -> Frames:
    """A line of text as (h, w) uint8, 255 where it is inked; h is the same for all texts of a height."""
    font = FontProperties(family="DejaVu Sans", size=height * 0.72, weight="bold" if bold else "normal")
    ruler = RENDERER(1, 1, POINTS)
    _, tall, below = ruler.get_text_width_height_descent("Ágj|", font, False)
    width, _, _ = ruler.get_text_width_height_descent(text, font, False)
    renderer = RENDERER(math.ceil(width) + 2, math.ceil(tall) + 2, POINTS)
    context = renderer.new_gc()
    context.set_foreground("black")
    renderer.draw_text(context, 1, math.ceil(tall - below) + 1, text, font, 0)
    return np.asarray(renderer.buffer_rgba())[:, :, 3].copy()


def write(
    picture: Frames, text: str, place: tuple[int, int], height: int, *, colour: Colour, bold: bool = False
) -> int:
    """Write a line of text into (H, W, 3), its upper left corner at (x, y); returns its width in pixels.

    What lies beyond the edges is cut off.
    """
    ink = mask(text, height, bold=bold)
    tint(picture, place, ink, colour)
    return int(ink.shape[1])


def tint(picture: Frames, place: tuple[int, int], ink: Frames, colour: Colour) -> None:
    """Lay a colour over a picture (H, W, 3), as densely as `ink (h, w)` says, its upper left corner at (x, y)."""
    x, y = place
    left, top = max(x, 0), max(y, 0)
    right, bottom = min(x + ink.shape[1], picture.shape[1]), min(y + ink.shape[0], picture.shape[0])
    if left >= right or top >= bottom:
        return
    part = picture[top:bottom, left:right]
    share = ink[top - y : bottom - y, left - x : right - x, None].astype(np.uint16)
    part[:] = (part * (255 - share) + np.array(colour, np.uint16) * share) // 255
