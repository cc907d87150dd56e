"""Whose face it is: a network turns a face into 128 numbers, and those of one person lie near each other.

The network is dlib's face-recognition network: 29 convolutions in residual blocks (He et al., Deep Residual Learning
for Image Recognition, CVPR 2016), trained so that faces of one person lie less than 0.6 apart (King, Dlib-ml, JMLR 10,
2009; dlib_face_recognition_resnet_model_v1, CC0). OpenCV computes it. `tools/face_embedding.py` made its file.

A look is such a row of 128 numbers. Looks are kept in memory while a video is read, and written nowhere.
"""

from __future__ import annotations

from collections.abc import Callable
from importlib.resources import files
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt

from dfer.errors import DferError
from dfer.video.alignment import align
from dfer.video.quality import sharpness

Frames = npt.NDArray[np.uint8]
Points = npt.NDArray[np.float64]
Look = npt.NDArray[np.float32]
Embed = Callable[[Frames, list[Points]], list[Look | None]]
"""A frame (H, W, 3) uint8 RGB and landmarks (5, 2) of faces in it -> a look (D,) of each, None if it is not clear."""

SAME = 0.5
"""Faces whose looks lie nearer than this are one person's; `benchmarks/identity.py` measures the errors."""
OTHER = 0.6
"""Faces whose looks lie further apart than this are two people's; in between, place and colours decide."""
CLEAR = 10.0
"""Sharpness, see `dfer.video.quality.sharpness`, below which a face is too blurred or too dark to tell whose it is."""
MOST_LOOKS = 8
"""That are kept of a person."""
SIDE, BATCH = 150, 32
"""Pixels of a face as the network sees it, and faces that it sees at once."""
MEAN, SCALE = (122.782, 117.001, 104.298), 256.0
TEMPLATE: Points = np.array([[0.317, 0.311], [0.670, 0.311], [0.493, 0.510], [0.336, 0.687], [0.651, 0.687]])
"""Where the five landmarks lie in such a picture, shares of its side: those of dlib's mean face, of 68 points, of which
the eyes are means, with its margin of a quarter."""


class Embedder:
    """The network; an `Embed`.

    Raises:
        DferError: its file is missing or damaged.
    """

    def __init__(self, path: Path | None = None) -> None:
        path = path or Path(str(files("dfer.video"))) / "weights" / "face_embedding.onnx"
        self.path = path
        if not path.is_file():
            raise DferError(f"{path}: expected the network that tells people apart, found nothing; install dfer again")
        try:
            self._network = cv2.dnn.readNetFromONNX(str(path))
        except cv2.error as error:
            raise DferError(f"{path}: the network that tells people apart is damaged; install dfer again") from error

    def __reduce__(self) -> tuple[object, ...]:
        return Embedder, (self.path,)  # the network cannot be pickled

    def __call__(self, frame: Frames, landmarks: list[Points]) -> list[Look | None]:
        """See `Embed`; D is 128."""
        looks: list[Look | None] = [None] * len(landmarks)
        for start in range(0, len(landmarks), BATCH):
            chips = {
                index: align(frame, landmarks[index], SIDE, template=TEMPLATE)
                for index in range(start, min(start + BATCH, len(landmarks)))
            }
            clear = [index for index, chip in chips.items() if is_clear(chip)]
            if clear:
                faces = np.stack([chips[index] for index in clear]) - np.array(MEAN, np.float32)
                self._network.setInput((faces / np.float32(SCALE)).transpose(0, 3, 1, 2))
                for index, look in zip(clear, np.asarray(self._network.forward(), np.float32), strict=True):
                    looks[index] = look.copy()
        return looks


def is_clear(chip: Frames) -> bool:
    """Whether a face (S, S, 3) can be seen well enough to tell whose it is."""
    return sharpness(np.asarray(cv2.cvtColor(chip, cv2.COLOR_RGB2GRAY), np.uint8)) >= CLEAR


class Gallery:
    """What is known of one person's face: some looks, none at first, that differ as much as can be."""

    def __init__(self) -> None:
        self.looks: list[Look] = []

    def add(self, look: Look) -> None:
        """One more; of the two that are most alike, the older one makes room for it."""
        self.looks.append(look)
        if len(self.looks) > MOST_LOOKS:
            table = np.stack(self.looks)
            apart = np.linalg.norm(table[:, None] - table, axis=2) + np.diag(np.full(len(table), np.inf))
            del self.looks[min(np.unravel_index(int(apart.argmin()), apart.shape))]

    def distance(self, look: Look | None) -> float:
        """To the most alike; NaN where nothing can be said."""
        if look is None or not self.looks:
            return float("nan")
        return float(np.linalg.norm(np.stack(self.looks) - look, axis=1).min())
