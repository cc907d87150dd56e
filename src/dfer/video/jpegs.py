"""Packed frames as JPEGs: a tenth of the space of their pixels, for the time that decoding takes.

A clip of a shard (`dfer.shards`) that was packed with `--jpeg` is an array of JPEG files, one a frame. They have
colours in full resolution, as the pictures are small. Each is checked by its head before it is decoded.
"""

from __future__ import annotations

import cv2
import numpy as np
import numpy.typing as npt

from dfer.errors import DferError
from dfer.shards import Jpegs
from dfer.video.limits import JPEG, require_decodable

Frames = npt.NDArray[np.uint8]
FLAGS = {1: cv2.IMREAD_GRAYSCALE, 3: cv2.IMREAD_COLOR_RGB}
"""Channels -> what OpenCV decodes to."""
LAST = b"\xff\xd9"
"""How a JPEG ends."""


def encode(frames: Frames, quality: int) -> Jpegs:
    """Frames (T, H, W, 3 or 1) as JPEGs.

    Args:
        frames: uint8, RGB or grey.
        quality: 1 to 100, as libjpeg counts it.
    """
    options = [
        cv2.IMWRITE_JPEG_QUALITY, quality,
        cv2.IMWRITE_JPEG_SAMPLING_FACTOR, cv2.IMWRITE_JPEG_SAMPLING_FACTOR_444,
    ]  # fmt: skip
    pictures = (cv2.cvtColor(frame, cv2.COLOR_RGB2BGR) if frame.shape[2] == 3 else frame for frame in frames)
    return Jpegs(tuple(cv2.imencode(".jpg", picture, options)[1].ravel() for picture in pictures), frames.shape)


def decode(jpegs: Jpegs, indices: npt.NDArray[np.int64]) -> Frames:
    """The frames at `indices`, (n, H, W, C) uint8.

    Raises:
        DferError: a frame is no JPEG of that size, or lacks its end; the message names clip and frame.
    """
    found = {index: _decoded(jpegs, index) for index in dict.fromkeys(indices.tolist())}
    return np.stack([found[index] for index in indices.tolist()])


def _decoded(jpegs: Jpegs, index: int) -> Frames:
    data, (height, width, channels) = jpegs.files[index].tobytes(), jpegs.shape[1:]
    source = f"{jpegs.source}, frame {index}"
    if not data.startswith(JPEG):
        raise DferError(f"{source}: not a JPEG; pack the clips again")
    size = require_decodable(data, source)
    if size != (width, height):
        raise DferError(f"{source}: expected a JPEG of {width} x {height}, got {size[0]} x {size[1]}; pack it again")
    image = None
    if data.endswith(LAST):  # OpenCV shows what there is of a JPEG that was cut off
        image = cv2.imdecode(np.frombuffer(data, np.uint8), FLAGS[channels] | cv2.IMREAD_IGNORE_ORIENTATION)
    if image is None:
        raise DferError(f"{source}: a damaged JPEG; pack the clips again")
    return image.reshape(height, width, channels).astype(np.uint8, copy=False)
