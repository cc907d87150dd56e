"""How well a face can be seen: size, sharpness, brightness and pose, each a plain number with a range."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from dfer.video.alignment import TEMPLATE, moved, similarity

Frames = npt.NDArray[np.uint8]
Points = npt.NDArray[np.float64]

MEASURED_AT = 96
"""Crops are brought to this size, pixels, before sharpness is measured: it depends on the size."""


@dataclass(frozen=True)
class Quality:
    """How well a face can be seen in one frame.

    Attributes:
        size: side of the face, the square root of its box's area, pixels of the video.
        sharpness: see `sharpness`, 0 and up.
        brightness: mean luma of the crop, 0..255.
        yaw: see `pose`, -1..1.
        roll: see `pose`, degrees, -180..180.
    """

    size: float
    sharpness: float
    brightness: float
    yaw: float
    roll: float


def measure(crop: Frames, box: Points, landmarks: Points) -> Quality:
    """The quality of a face from its aligned crop (S, S, 3) RGB, its box (4,) and landmarks (5, 2) in the frame."""
    luma = np.asarray(cv2.cvtColor(crop, cv2.COLOR_RGB2GRAY), dtype=np.uint8)
    yaw, roll = pose(landmarks)
    side = float(np.sqrt(max(box[2] * box[3], 0.0)))
    return Quality(side, sharpness(luma), float(luma.mean()), yaw, roll)


def sharpness(luma: Frames) -> float:
    """The variance of the Laplacian of a grey crop (S, S) at 96 x 96 pixels, 0 and up.

    A face that was enlarged is as blurred as one out of focus, and measures so. Reference: Pech-Pacheco et al., Diatom
    Autofocusing in Brightfield Microscopy: a Comparative Study, ICPR 2000.
    """
    how = cv2.INTER_AREA if luma.shape[0] > MEASURED_AT else cv2.INTER_LINEAR
    small = cv2.resize(luma, (MEASURED_AT, MEASURED_AT), interpolation=how)
    return float(cv2.Laplacian(small, cv2.CV_32F).var())


def pose(landmarks: Points) -> tuple[float, float]:
    """How a head is turned and tilted, from five landmarks (5, 2).

    Returns:
        Yaw, -1..1: where the nose lies between the two sides of the face, 0 in the middle, 1 on the side at the
        picture's right (a head turned by about 60° to there) or beyond it; and roll, degrees, -180..180, positive when
        the head is tilted clockwise in the picture.
    """
    matrix = similarity(landmarks, TEMPLATE)
    roll = float(-np.degrees(np.arctan2(matrix[1, 0], matrix[0, 0])))
    x = moved(matrix, landmarks)[:, 0]
    left, right = (x[0] + x[3]) / 2, (x[1] + x[4]) / 2
    half = max((right - left) / 2, 1e-6)
    return float(np.clip((x[2] - (left + right) / 2) / half, -1, 1)), roll
