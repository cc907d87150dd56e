"""Moving pictures that the video decoder does not know: animated WebP. Read one frame at a time."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from dfer.errors import DferError
from dfer.video.limits import require_size

Frames = npt.NDArray[np.uint8]

HEAD = 21
"""Bytes up to the flags of an extended WebP file."""
MOVES = 0x02
"""The flag of an animation."""
UNSAID_S = 0.1
"""A frame that says it is shown for no time at all is shown for so long, seconds, as browsers do."""


@dataclass(frozen=True, eq=False)
class Painted:
    """A frame (H, W, 3) uint8 RGB, and from when to when it is shown, seconds."""

    time_s: float
    end_s: float
    pixels: Frames


def is_animated(path: Path) -> bool:
    """Whether a file is an animated WebP."""
    if not path.is_file():
        return False
    try:
        with path.open("rb") as file:
            head = file.read(HEAD)
    except OSError:  # who reads it says why
        return False
    return len(head) == HEAD and head[:4] == b"RIFF" and head[8:16] == b"WEBPVP8X" and bool(head[20] & MOVES)


def animated(path: Path) -> Iterator[Painted]:
    """The frames of an animated WebP."""
    from PIL import Image

    time_s, number = 0.0, 0
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of pictures that are large, and within our limit
            opened = Image.open(path)
        with opened as image:
            require_size(*image.size, path)
            for number in range(getattr(image, "n_frames", 1)):
                image.seek(number)
                pixels = np.asarray(image.convert("RGB"), dtype=np.uint8)
                end_s = time_s + (image.info.get("duration", 0) / 1000 or UNSAID_S)
                yield Painted(time_s, end_s, pixels)
                time_s = end_s
    except DferError:
        raise
    except Exception as error:  # Pillow's readers raise whatever damaged data make them raise
        raise DferError(f"{path}: decoding failed, after {number} frames: {error}") from error
