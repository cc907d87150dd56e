"""From what a decoder gives to the picture that a player shows: turned, mirrored, with square pixels, in plain colours.

Pixels that are not square become so by enlarging: nothing that was filmed is lost. Those that are nearly square, as a
scaled film's often are, stay as they are: nobody sees the difference, and enlarging costs more than decoding.

High dynamic range (PQ and HLG of ITU-R BT.2100, in the colours of BT.2020) becomes BT.709: diffuse white, 203 cd/m2
(ITU-R BT.2408), stays below the brightest value, and what is brighter is compressed.
"""

from __future__ import annotations

import struct
from fractions import Fraction
from functools import lru_cache
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from dfer.video.limits import require_size

Frames = npt.NDArray[np.uint8]
Floats = npt.NDArray[np.float32]

Matrix = tuple[int, int, int, int]
"""a, b, c, d: what is stored at (x, y) is shown at (a x + c y, b x + d y)."""
BY_ROTATION: dict[int, Matrix] = {1: (0, -1, 1, 0), 2: (-1, 0, 0, -1), 3: (0, 1, -1, 0)}
"""Quarters anticlockwise -> matrix."""
PQ, HLG = 16, 18
"""Transfer characteristics of high dynamic range, as in ITU-T H.273."""
WHITE = 203.0
"""Diffuse white, cd/m2."""
PEAK = 1000.0
"""The brightest light of a display for which HLG is made, cd/m2."""
KNEE = 0.6
"""Light below this part of diffuse white stays as it is; what is brighter is compressed towards 1."""
BITS = 12
"""Of the tables that colours are looked up in."""
TO_709 = np.array([[1.6605, -0.5876, -0.0728], [-0.1246, 1.1329, -0.0083], [-0.0182, -0.1006, 1.1187]], np.float32)
"""Linear light of BT.2020 -> of BT.709 (ITU-R BT.2407)."""
NEARLY = Fraction(1, 100)
"""Pixels whose sides differ by less than this part are taken for square."""
ODDEST = 8
"""Pixels that would be more times as wide as high, or as high as wide, are taken for a mistake."""


class Display:
    """How the frames of one film are displayed.

    Args:
        picture: the first frame, as the decoder gives it; all others get its shape.
        aspect: a pixel's width to its height; None: square.
    """

    def __init__(self, picture: Any, aspect: Fraction | None) -> None:
        from av.video.reformatter import VideoReformatter

        self.width, self.height = _shape(picture.width, picture.height, aspect)
        require_size(self.width, self.height, "the film, with square pixels")
        self._rotation, self._matrix = picture.rotation, matrix_of(picture)
        self._converter = VideoReformatter()  # kept: making one takes longer than converting a small frame

    def pixels(self, picture: Any) -> Frames:
        """A decoded frame as it is shown, (H, W, 3) uint8 RGB."""
        if picture.color_trc in (PQ, HLG):
            pixels = to_plain(self._converted(picture, "rgb48le"), picture.color_trc)
        else:
            pixels = self._converted(picture, "rgb24")
        return np.ascontiguousarray(placed(pixels, self._matrix_of(picture)))

    def _converted(self, picture: Any, layout: str) -> npt.NDArray[Any]:
        """A decoded frame in the size that is displayed and in RGB."""
        converted = self._converter.reformat(picture, self.width, self.height, layout, threads=1)
        return np.asarray(converted.to_ndarray())

    def _matrix_of(self, picture: Any) -> Matrix | None:
        # Looking at what lies beside a frame keeps it in memory for long, so that the next ones are slower to make.
        if picture.rotation != self._rotation:
            self._rotation, self._matrix = picture.rotation, matrix_of(picture)
        return self._matrix


def _shape(width: int, height: int, aspect: Fraction | None) -> tuple[int, int]:
    """Width and height of a picture whose pixels are made square."""
    if not aspect or not Fraction(1, ODDEST) <= aspect <= ODDEST or abs(aspect - 1) < NEARLY:
        return width, height
    return (round(width * aspect), height) if aspect > 1 else (width, round(height / aspect))


def matrix_of(picture: Any) -> Matrix | None:
    """The display matrix of a frame, None: shown as it is stored."""
    try:
        found = next((data for data in picture.side_data if data.type.name == "DISPLAYMATRIX"), None)
    except ValueError:  # beside it lies something that this decoder's Python side does not know
        return BY_ROTATION.get(round(picture.rotation / 90) % 4)
    if found is None:
        return None
    a, b, _, c, d = struct.unpack("5i", bytes(found)[:20])
    return a, b, c, d


def placed(pixels: Frames, matrix: Matrix | None) -> Frames:
    """A picture (H, W, C) turned by quarters and mirrored as its matrix says.

    >>> placed(np.array([[[1], [2]]], np.uint8), (0, 1, -1, 0))[..., 0].tolist()
    [[1], [2]]
    """
    if matrix is None:
        return pixels
    a, b, c, d = matrix
    swapped = abs(b) + abs(c) > abs(a) + abs(d)
    across, down = (c, b) if swapped else (a, d)
    pixels = pixels.swapaxes(0, 1) if swapped else pixels
    return pixels[:: -1 if down < 0 else 1, :: -1 if across < 0 else 1]


def turned(pixels: Frames, degrees: int) -> Frames:
    """A picture turned clockwise by 0, 90, 180 or 270 degrees."""
    return np.ascontiguousarray(np.rot90(pixels, -degrees // 90)) if degrees else pixels


def to_plain(pixels: npt.NDArray[np.uint16], transfer: int) -> Frames:
    """(H, W, 3) RGB of 16 bits in PQ or HLG and BT.2020 -> 8 bits of BT.709."""
    light = _light(transfer)[pixels >> (16 - BITS)]
    mixed = np.clip(cv2.transform(light, TO_709), 0.0, 1.0)
    shown: Frames = _display()[(mixed * (2**BITS - 1) + 0.5).astype(np.uint16)]
    return shown


@lru_cache(maxsize=2)
def _light(transfer: int) -> Floats:
    """Light, 0..1, of each value of a signal: 1 is the brightest that is shown, compressed from `KNEE` on."""
    signal = np.linspace(0, 1, 2**BITS)
    white = (_pq if transfer == PQ else _hlg)(signal) / WHITE
    bright = KNEE + (1 - KNEE) * -np.expm1(-np.maximum(white - KNEE, 0) / (1 - KNEE))
    return np.where(white < KNEE, white, bright).astype(np.float32)


def _pq(signal: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """cd/m2 of a PQ signal 0..1 (ITU-R BT.2100, table 4)."""
    m1, m2, c1, c2, c3 = 2610 / 16384, 2523 / 32, 3424 / 4096, 2413 / 128, 2392 / 128
    root = signal ** (1 / m2)
    return 10_000 * (np.maximum(root - c1, 0) / (c2 - c3 * root)) ** (1 / m1)


def _hlg(signal: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """cd/m2 of an HLG signal 0..1 on a display of `PEAK` (ITU-R BT.2100, table 5, with a gamma of 1.2)."""
    a = 0.17883277
    b, c = 1 - 4 * a, 0.5 - a * np.log(4 * a)
    scene = np.where(signal <= 0.5, signal**2 / 3, (np.exp((signal - c) / a) + b) / 12)
    return PEAK * scene**1.2


@lru_cache(maxsize=1)
def _display() -> Frames:
    """8-bit values of light 0..1, for a display with a gamma of 2.2."""
    return np.round(255 * np.linspace(0, 1, 2**BITS) ** (1 / 2.2)).astype(np.uint8)
