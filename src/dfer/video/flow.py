"""How faces move from one picture to the next, by optical flow; and whether the scene was cut in between.

Of a grid of points in a face's middle, each is followed forwards and back again; those that come back to where they
began vote for one turn, scale and move of the whole face. It follows the head, not the mouth, costs a tenth of a
detection, and trembles less than one. References: Lucas and Kanade, IJCAI 1981; Kalal, Mikolajczyk and Matas,
Forward-Backward Error: Automatic Detection of Tracking Failures, ICPR 2010.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from dfer.video.alignment import moved
from dfer.video.detection import shrunk

Frames = npt.NDArray[np.uint8]
Points = npt.NDArray[np.float64]
Ends = npt.NDArray[np.float32]

LONG_SIDE = 480
"""Flow is computed in pictures of this size, pixels."""
GRID = 7
"""Points in a row, and rows of them, in a face."""
MARGIN = 0.15
"""The points keep this share of the box's sides away from its edge, where the background is."""
RETURN_ERROR = 1.0
"""A point that comes back this far from where it began, pixels of the small picture, was not followed."""
AGREEING = 0.5
"""The share of a face's points that must agree on its motion, or it is lost."""
LIKE = 0.4
"""Two pictures whose outlines correlate less than this show two scenes."""


@dataclass(frozen=True, eq=False)
class Grey:
    """A picture made small and grey for flow, and its scale, 0..1."""

    pixels: Frames
    scale: float

    @classmethod
    def of(cls, frame: Frames) -> Grey:
        """From (H, W, 3) uint8 RGB."""
        grey = np.asarray(cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY), dtype=np.uint8)
        return cls(*shrunk(grey, LONG_SIDE))


def motions(former: Grey, latter: Grey, boxes: list[Points]) -> list[Points | None]:
    """For each box (x, y, width, height, pixels of the frame) its face's motion as a (2, 3) matrix, None if lost."""
    if not boxes:
        return []
    steps = np.linspace(MARGIN, 1 - MARGIN, GRID)
    shares = np.stack(np.meshgrid(steps, steps), axis=-1).reshape(-1, 2)
    starts = np.concatenate([(box[:2] + shares * box[2:]) * former.scale for box in boxes]).astype(np.float32)
    ends, there = _followed(former, latter, starts)
    back, again = _followed(latter, former, ends)
    good = there & again & (np.linalg.norm(back - starts, axis=1) < RETURN_ERROR)
    count = len(shares)
    return [
        _motion(starts[k : k + count][good[k : k + count]], ends[k : k + count][good[k : k + count]], former.scale)
        for k in range(0, len(starts), count)
    ]


def _followed(former: Grey, latter: Grey, points: Ends) -> tuple[Ends, npt.NDArray[np.bool_]]:
    flow: Any = cv2.calcOpticalFlowPyrLK  # its stub asks for the array that is wanted back
    ends, found, _ = flow(former.pixels, latter.pixels, points, None, winSize=(11, 11), maxLevel=3)
    return ends, found[:, 0] > 0


def _motion(starts: Ends, ends: Ends, scale: float) -> Points | None:
    needed = AGREEING * GRID**2
    if len(starts) < needed:
        return None
    found, agree = cv2.estimateAffinePartial2D(starts, ends, method=cv2.RANSAC, ransacReprojThreshold=1.0)
    if found is None or np.sum(agree) < needed:
        return None
    matrix = np.asarray(found, dtype=np.float64)
    matrix[:, 2] /= scale
    return matrix


def moved_box(matrix: Points, box: Points) -> Points:
    """A box whose middle moves and whose sides scale with a motion; it stays upright."""
    middle = moved(matrix, (box[:2] + box[2:] / 2)[None])[0]
    sides = box[2:] * np.hypot(matrix[0, 0], matrix[1, 0])
    return np.concatenate([middle - sides / 2, sides])


def is_cut(former: Grey, latter: Grey) -> bool:
    """Whether two pictures in a row show different scenes; a flash of light or a moving camera is no cut."""
    if former.pixels.shape != latter.pixels.shape:
        return True
    outlines = []
    for picture in (former, latter):
        small = cv2.resize(picture.pixels, (32, 18), interpolation=cv2.INTER_AREA).astype(np.float64).ravel()
        outlines.append(small - small.mean())
    one, other = outlines
    # Uniform pictures, but for noise of a grey level: alike among themselves, and a cut against any other.
    norms = [np.linalg.norm(outline) / np.sqrt(len(outline)) for outline in outlines]
    if min(norms) < 1:
        return bool(max(norms) >= 4)
    return float(one @ other / np.linalg.norm(one) / np.linalg.norm(other)) < LIKE
