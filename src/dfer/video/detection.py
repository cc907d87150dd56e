"""Where the faces of one picture are: what a detector is, and an adapter for one whose weights a user has.

The default one is `dfer.video.mtcnn.Mtcnn`.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Protocol, runtime_checkable

import cv2
import numpy as np
import numpy.typing as npt

from dfer.errors import DferError

Frames = npt.NDArray[np.uint8]
Points = npt.NDArray[np.float64]

OVERLAP = 0.5
"""Two boxes that share more of their union than this show one face ..."""
INSIDE = 0.6
"""... and so do two of which one shares more of its own area than this: there is no second face inside a face."""


@dataclass(frozen=True, eq=False)
class Face:
    """A face in one picture.

    Attributes:
        box: (4,) x, y, width, height, pixels of the picture; it may reach beyond the picture's edge.
        score: how sure the detector is, 0..1.
        landmarks: (5, 2) x, y, pixels: the eye on the picture's left, the eye on its right, nose, the mouth's left
            corner, its right corner (as the picture shows them); None where a detector gives no points.

    Raises:
        DferError: other shapes, a number that is not finite, or a box without an area.
    """

    box: Points
    score: float
    landmarks: Points | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "box", np.asarray(self.box, dtype=np.float64))
        points = np.empty((5, 2)) if self.landmarks is None else np.asarray(self.landmarks, dtype=np.float64)
        if self.landmarks is not None:
            object.__setattr__(self, "landmarks", points)
        fits = self.box.shape == (4,) and points.shape == (5, 2)
        finite = np.isfinite([*self.box.ravel(), self.score]).all()
        if not fits or not finite or not (self.landmarks is None or np.isfinite(points).all()):
            raise DferError(
                f"expected of a detector a finite box (4,), score and landmarks (5, 2), got {self.box.shape} "
                f"{self.box.tolist()}, {self.score} and {points.shape}"
            )
        if min(self.box[2:]) <= 0 or (self.landmarks is not None and not np.ptp(points, axis=0).any()):
            raise DferError(
                f"expected of a detector a box with an area, and points that differ, got {self.box.tolist()} and "
                f"{points.tolist()}"
            )


class Detector(Protocol):
    """Anything that finds faces in a picture."""

    def __call__(self, frame: Frames) -> list[Face]:
        """The faces of one (H, W, 3) uint8 RGB picture."""


@runtime_checkable
class QuickDetector(Detector, Protocol):
    """A detector that can make use of where faces were a moment ago; what it is for is its speed."""

    def near(self, frame: Frames, boxes: list[Points]) -> list[Face]:
        """The faces, of any size, that are about where faces were before, boxes (x, y, width, height)."""

    def others(self, frame: Frames, known: list[Face], *, thorough: bool) -> list[Face]:
        """The faces beside those that are known already.

        Args:
            frame: (H, W, 3) uint8 RGB.
            known: faces that need not be found again.
            thorough: faces of every size, else, in less time, those that are large for the picture.
        """


class YuNet:
    """OpenCV's face detector YuNet, with a model file that the user has (face_detection_yunet_*.onnx).

    A picture is shrunk to `long_side` before it is searched: the smallest face that is found grows with the picture.

    Reference: Wu, Peng and Yu, YuNet: A Tiny Millisecond-level Face Detector, Machine Intelligence Research 20, 2023.

    Raises:
        DferError: no such file, or none that OpenCV's FaceDetectorYN takes.
    """

    def __init__(self, model: Path, *, score: float = 0.8, long_side: int = 640) -> None:
        if not Path(model).is_file():
            raise DferError(f"{model}: expected the model file of YuNet, found nothing")
        try:
            self._network = cv2.FaceDetectorYN.create(str(model), "", (320, 320), score)
        except cv2.error as error:
            raise DferError(f"{model}: not a model that OpenCV's FaceDetectorYN takes: {error.err}") from error
        self.model, self.score, self.long_side = model, score, long_side

    def __reduce__(self) -> tuple[object, ...]:
        return partial(
            YuNet, self.model, score=self.score, long_side=self.long_side
        ), ()  # the network cannot be pickled

    def __call__(self, frame: Frames) -> list[Face]:
        """See `Detector`."""
        picture, shrink = shrunk(frame, self.long_side)
        self._network.setInputSize((picture.shape[1], picture.shape[0]))
        _, rows = self._network.detect(cv2.cvtColor(picture, cv2.COLOR_RGB2BGR))
        found = np.empty((0, 15)) if rows is None else np.asarray(rows, dtype=np.float64)
        return [Face(row[:4] / shrink, float(row[14]), row[4:14].reshape(5, 2) / shrink) for row in found]


def distinct(faces: list[Face]) -> list[Face]:
    """The faces without those that show the same face as a surer one, the surest first."""
    faces = sorted(faces, key=lambda face: -face.score)
    boxes = [face.box for face in faces]
    same, kept = one_face(boxes, boxes), list[int]()
    for index in range(len(faces)):
        if not same[index, kept].any():
            kept.append(index)
    return [faces[index] for index in kept]


def one_face(boxes: list[Points], others: list[Points], *, most: float = OVERLAP) -> npt.NDArray[np.bool_]:
    """(n, m) whether two boxes (x, y, width, height) share so much that they show one face.

    Args:
        boxes: n of them.
        others: m.
        most: how much of their union the boxes of two faces may share, 0..1.
    """
    shared, areas, other_areas = _shared(boxes, others)
    together = areas[:, None] + other_areas - shared
    return (shared > most * together) | (shared > INSIDE * np.minimum(areas[:, None], other_areas))


def covered(boxes: list[Points]) -> Points:
    """(n,) the largest share of each box's area that lies in one of the others, 0..1."""
    shared, areas, _ = _shared(boxes, boxes)
    np.fill_diagonal(shared, 0)
    return np.asarray(shared.max(axis=1, initial=0) / areas)


def overlaps(boxes: list[Points], others: list[Points]) -> Points:
    """(n, m) intersections over unions of boxes (x, y, width, height).

    >>> overlaps([np.array([0, 0, 2, 2])], [np.array([1, 0, 2, 2])]).round(3).tolist()
    [[0.333]]
    """
    shared, areas, other_areas = _shared(boxes, others)
    return shared / (areas[:, None] + other_areas - shared)


def _shared(boxes: list[Points], others: list[Points]) -> tuple[Points, Points, Points]:
    """The areas (n, m) that boxes share, and those (n,) and (m,) of the boxes themselves."""
    one, other = (np.array(each, dtype=np.float64).reshape(-1, 4) for each in (boxes, others))
    low = np.maximum(one[:, None, :2], other[:, :2])
    high = np.minimum((one[:, :2] + one[:, 2:])[:, None], other[:, :2] + other[:, 2:])
    areas, other_areas = one[:, 2:].prod(axis=1), other[:, 2:].prod(axis=1)
    return np.maximum(high - low, 0).prod(axis=2), areas, other_areas


def shrunk(frame: Frames, long_side: int) -> tuple[Frames, float]:
    """A picture whose longer side has at most `long_side` pixels, and its scale, 0..1."""
    scale = min(1.0, long_side / max(frame.shape[:2]))
    if scale == 1:
        return frame, scale
    height, width = (max(1, round(side * scale)) for side in frame.shape[:2])
    return np.asarray(cv2.resize(frame, (width, height), interpolation=cv2.INTER_AREA), dtype=np.uint8), scale
