"""Upright crops of faces, all framed alike: eyes, nose and mouth lie where they lie in FER+ on average.

A face is turned, scaled and moved, never sheared or mirrored, so that its five landmarks come as near as possible (in
least squares) to a template. Reference: Umeyama, Least-Squares Estimation of Transformation Parameters Between Two
Point Patterns, IEEE TPAMI 13(4), 1991; in two dimensions and without mirroring its solution is one complex number.
"""

from __future__ import annotations

import cv2
import numpy as np
import numpy.typing as npt

Frames = npt.NDArray[np.uint8]
Points = npt.NDArray[np.float64]

TEMPLATE: Points = np.array([[0.313, 0.386], [0.687, 0.386], [0.5, 0.601], [0.346, 0.782], [0.654, 0.782]])
"""Where the landmarks lie in a crop, shares of its side: two eyes, nose, two corners of the mouth. The medians of the
default detector's landmarks over 2,645 faces of FER2013's training part, made symmetric (`benchmarks/framing.py`): a
crop holds the face from above the brows to below the chin, as FER+'s 48 x 48 pictures do."""
TEMPLATE_IN_BOX: Points = np.array([[0.268, 0.388], [0.732, 0.388], [0.5, 0.591], [0.308, 0.765], [0.692, 0.765]])
"""The same in a detector's box, shares of its width and height: for detectors without landmarks."""


def similarity(points: Points, targets: Points) -> Points:
    """The turn, scale and move that brings (n, 2) points nearest to their targets, as a (2, 3) matrix.

    >>> similarity(np.array([[0.0, 0.0], [1.0, 0.0]]), np.array([[5.0, 5.0], [5.0, 7.0]])).round(6).tolist()
    [[0.0, -2.0, 5.0], [2.0, 0.0, 5.0]]
    """
    here, there = points @ (1, 1j), targets @ (1, 1j)
    middle, spread = here.mean(), here - here.mean()
    turn = np.vdot(spread, there) / max(np.vdot(spread, spread).real, np.finfo(float).tiny)
    move = there.mean() - turn * middle
    return np.array([[turn.real, -turn.imag, move.real], [turn.imag, turn.real, move.imag]])


def moved(matrix: Points, points: Points) -> Points:
    """(n, 2) points after a (2, 3) matrix."""
    return points @ matrix[:, :2].T + matrix[:, 2]


def landmarks_in(box: Points) -> Points:
    """Where the five landmarks of an upright face lie on average in a box (x, y, width, height)."""
    return box[:2] + TEMPLATE_IN_BOX * box[2:]


def align(frame: Frames, landmarks: Points, size: int, *, template: Points = TEMPLATE) -> Frames:
    """The crop of a face, (size, size, 3); beyond the picture's edge its border is drawn on.

    Args:
        frame: (H, W, 3) uint8.
        landmarks: (5, 2) pixels of the frame.
        size: height and width of the crop, pixels.
        template: (5, 2) where the landmarks come to lie in the crop, shares of its side.
    """
    matrix = similarity(landmarks, template * size)
    scale = float(np.hypot(matrix[0, 0], matrix[1, 0]))
    if scale < 0.5:  # bilinear interpolation would skip pixels
        frame, matrix = _shrunk(frame, matrix, size)
    crop = cv2.warpAffine(frame, matrix, (size, size), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    return np.asarray(crop, dtype=np.uint8)


def _shrunk(frame: Frames, matrix: Points, size: int) -> tuple[Frames, Points]:
    """The part of a frame that a crop is made of, shrunk to about the crop's scale, and the matrix for it."""
    scale = float(np.hypot(matrix[0, 0], matrix[1, 0]))
    back = np.asarray(cv2.invertAffineTransform(matrix), dtype=np.float64)
    corners = moved(back, np.array([[0, 0], [size, 0], [size, size], [0, size]], float))
    height, width = frame.shape[:2]
    left, top = (int(value) for value in np.clip(corners.min(axis=0) - 2 / scale, 0, (width - 1, height - 1)))
    right, bottom = (
        int(value) for value in np.clip(corners.max(axis=0) + 2 / scale, (left + 1, top + 1), (width, height))
    )
    columns, rows = (max(1, round((last - first) * scale)) for first, last in ((left, right), (top, bottom)))
    small = cv2.resize(frame[top:bottom, left:right], (columns, rows), interpolation=cv2.INTER_AREA)
    # From the middle of a small pixel to the middle of those it stands for.
    wide, high = (right - left) / columns, (bottom - top) / rows
    whole = np.array([[wide, 0, left + (wide - 1) / 2], [0, high, top + (high - 1) / 2], [0, 0, 1]])
    return np.asarray(small, dtype=np.uint8), matrix @ whole
