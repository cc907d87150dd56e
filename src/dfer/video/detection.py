"""Where the faces of one picture are: what a detector is, and an adapter for one whose weights a user has.

The default one is `dfer.video.mtcnn.Mtcnn`.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import cv2
import numpy as np
import numpy.typing as npt

from dfer.errors import DferError

Frames = npt.NDArray[np.uint8]
Points = npt.NDArray[np.float64]


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


class YuNet:
    """OpenCV's face detector YuNet, with a model file that the user has (face_detection_yunet_*.onnx).

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
        self.long_side = long_side

    def __call__(self, frame: Frames) -> list[Face]:
        """See `Detector`."""
        picture, shrink = shrunk(frame, self.long_side)
        self._network.setInputSize((picture.shape[1], picture.shape[0]))
        _, rows = self._network.detect(cv2.cvtColor(picture, cv2.COLOR_RGB2BGR))
        found = np.empty((0, 15)) if rows is None else np.asarray(rows, dtype=np.float64)
        return [Face(row[:4] / shrink, float(row[14]), row[4:14].reshape(5, 2) / shrink) for row in found]


def shrunk(frame: Frames, long_side: int) -> tuple[Frames, float]:
    """A picture whose longer side has at most `long_side` pixels, and its scale, 0..1."""
    scale = min(1.0, long_side / max(frame.shape[:2]))
    if scale == 1:
        return frame, scale
    height, width = (max(1, round(side * scale)) for side in frame.shape[:2])
    return np.asarray(cv2.resize(frame, (width, height), interpolation=cv2.INTER_AREA), dtype=np.uint8), scale
