"""What goes wrong with video in the wild, in five strengths, to see how far a model's answers hold.

Conventions: frames are (T, H, W, C) uint8 and come back so, of the same shape; severity is 1 (mild) to 5 (severe);
extents are relative to the shorter side of a frame, so that a severity means the same at every size. What is drawn is
drawn once a clip, from the generator that is handed in: the same generator gives the same pixels.

References: the idea and the five severities are those of Hendrycks and Dietterich, "Benchmarking Neural Network
Robustness to Common Corruptions and Perturbations", ICLR 2019; the strengths are our own, for faces.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from dfer.errors import DferError, require_known

Frames = NDArray[np.uint8]
Corruption = Callable[[Frames, int, np.random.Generator], Frames]

SEVERITIES = (1, 2, 3, 4, 5)

BLUR = (0.04, 0.08, 0.12, 0.18, 0.25)
"""Length of a motion, or diameter of a disc out of focus, over the frame's side."""
SCALE = (0.6, 0.4, 0.28, 0.2, 0.14)
"""Side of the picture after shrinking, over its side before."""
NOISE = (0.04, 0.08, 0.12, 0.18, 0.26)
"""Standard deviation of Gaussian noise, over the range of values."""
QUALITY = (40, 25, 15, 8, 4)
"""Of a JPEG, 0 to 100."""
LIGHT = (0.6, 0.42, 0.3, 0.2, 0.12)
"""Light that is left; the sensor's noise stays."""
SENSOR = 0.015
"""Standard deviation of that noise, over the range of values."""
COVERED = (0.08, 0.16, 0.25, 0.36, 0.5)
"""Share of the picture's area that is covered."""
DROPPED = (0.2, 0.4, 0.6, 0.75, 0.9)
"""Share of frames that do not arrive."""


def corrupt(frames: Frames, name: str, severity: int, generator: np.random.Generator) -> Frames:
    """One corruption of one clip.

    Args:
        frames: (T, H, W, C) uint8, C = 1 or 3; not written to.
        name: a key of `CORRUPTIONS`.
        severity: 1 to 5.
        generator: where angles, places and noise come from.

    Returns:
        (T, H, W, C) uint8.

    Raises:
        DferError: no such corruption or severity, or no frames.
    """
    corruption = CORRUPTIONS[known_corruption(name)]
    if severity not in SEVERITIES:
        raise DferError(f"expected a severity from 1 to 5, got {severity}")
    if frames.ndim != 4 or frames.dtype != np.uint8 or not frames.size:
        raise DferError(f"expected frames (T, H, W, C) of uint8, got {frames.dtype} of shape {frames.shape}")
    return corruption(frames, severity, generator)


def known_corruption(name: str) -> str:
    """The name itself, if it is a key of `CORRUPTIONS`.

    Raises:
        DferError: there is no such corruption; the nearest is named.
    """
    require_known("no corruption", name, CORRUPTIONS)
    return name


def motion_blur(frames: Frames, severity: int, generator: np.random.Generator) -> Frames:
    """A straight motion of the camera, in one direction for the whole clip."""
    length, angle = BLUR[severity - 1] * _side(frames), generator.uniform(0, np.pi)
    x, y = _grid(length)
    along, across = x * np.cos(angle) + y * np.sin(angle), y * np.cos(angle) - x * np.sin(angle)
    kernel = (1 - np.hypot((np.abs(along) - length / 2).clip(min=0), across)).clip(min=0)
    return _filtered(frames, kernel)


def defocus(frames: Frames, severity: int, _: np.random.Generator) -> Frames:
    """Every point becomes a disc."""
    diameter = BLUR[severity - 1] * _side(frames)
    x, y = _grid(diameter)
    return _filtered(frames, (diameter / 2 + 0.5 - np.hypot(x, y)).clip(0, 1))


def low_resolution(frames: Frames, severity: int, _: np.random.Generator) -> Frames:
    """Shrunk and enlarged again: a face far away."""
    height, width = frames.shape[1:3]
    small = [max(2, round(side * SCALE[severity - 1])) for side in (width, height)]
    shrunk = (cv2.resize(frame, small, interpolation=cv2.INTER_AREA) for frame in frames)
    return _stacked([cv2.resize(frame, (width, height), interpolation=cv2.INTER_LINEAR) for frame in shrunk], frames)


def noise(frames: Frames, severity: int, generator: np.random.Generator) -> Frames:
    """Gaussian noise, anew in each frame."""
    return _noisy(frames.astype(np.float32), NOISE[severity - 1], generator)


def compression(frames: Frames, severity: int, _: np.random.Generator) -> Frames:
    """Each frame as a JPEG of low quality."""
    options = [cv2.IMWRITE_JPEG_QUALITY, QUALITY[severity - 1]]
    flag = cv2.IMREAD_GRAYSCALE if frames.shape[3] == 1 else cv2.IMREAD_COLOR
    # the order of the colours does not matter to the codec's losses as long as it is that of OpenCV, blue first
    codes = [cv2.imencode(".jpg", np.ascontiguousarray(frame[..., ::-1]), options)[1] for frame in frames]
    decoded = [np.asarray(cv2.imdecode(code, flag)) for code in codes]
    return _stacked(decoded, frames)[..., ::-1]


def darkness(frames: Frames, severity: int, generator: np.random.Generator) -> Frames:
    """Little light, and the noise of a sensor that makes do with it."""
    return _noisy(frames.astype(np.float32) * LIGHT[severity - 1], SENSOR, generator)


def occlusion(frames: Frames, severity: int, generator: np.random.Generator) -> Frames:
    """A grey rectangle at one place for the whole clip: a hand, a cup, a microphone."""
    area, ratio = COVERED[severity - 1], np.exp(generator.uniform(-0.4, 0.4))
    covered = frames.copy()
    spans = []
    for length, share in zip(frames.shape[1:3], (np.sqrt(area * ratio), np.sqrt(area / ratio)), strict=True):
        extent = min(length, max(1, round(share * length)))
        start = int(generator.integers(length - extent + 1))
        spans.append(slice(start, start + extent))
    covered[:, spans[0], spans[1]] = 128
    return covered


def dropped_frames(frames: Frames, severity: int, generator: np.random.Generator) -> Frames:
    """Frames that do not arrive: the last one that did stands still. The first always arrives."""
    arrived = generator.random(len(frames)) >= DROPPED[severity - 1]
    arrived[0] = True
    last = np.maximum.accumulate(np.where(arrived, np.arange(len(frames)), 0))
    return frames[last]


CORRUPTIONS: dict[str, Corruption] = {
    "motion_blur": motion_blur,
    "defocus": defocus,
    "low_resolution": low_resolution,
    "noise": noise,
    "compression": compression,
    "darkness": darkness,
    "occlusion": occlusion,
    "dropped_frames": dropped_frames,
}


def _side(frames: Frames) -> int:
    return int(min(frames.shape[1:3]))


def _grid(extent: float) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Positions x and y of a kernel that holds a shape of `extent` pixels."""
    radius = int(np.ceil(extent / 2 + 0.5))
    steps = np.arange(-radius, radius + 1, dtype=np.float64)
    return steps[None, :], steps[:, None]


def _filtered(frames: Frames, kernel: NDArray[np.float64]) -> Frames:
    weights = kernel / kernel.sum()
    return _stacked([cv2.filter2D(frame, -1, weights, borderType=cv2.BORDER_REPLICATE) for frame in frames], frames)


def _noisy(values: NDArray[np.float32], deviation: float, generator: np.random.Generator) -> Frames:
    drawn = generator.standard_normal(values.shape, dtype=np.float32) * np.float32(255 * deviation)
    return (values + drawn).round().clip(0, 255).astype(np.uint8)


def _stacked(pictures: list[NDArray[Any]], like: Frames) -> Frames:
    """Pictures as frames; OpenCV gives grey ones back without their channel."""
    return np.stack(pictures).reshape(like.shape)
