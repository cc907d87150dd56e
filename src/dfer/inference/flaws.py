"""What may be wrong with a picture of a face: the flag beside every row of a timeline.

Flags are small integers of a bit each, so that a video of an hour takes a byte a row.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from dfer.video.quality import Quality

FLAWS = ("small", "blurred", "dark", "turned")
"""Names of the bits 1, 2, 4 and 8."""
SMALL = 40.0
"""Side of the face, pixels: the network's 48 would be mostly invented below."""
BLURRED = 25.0
"""Variance of the Laplacian, see `dfer.video.quality.sharpness`."""
DARK = 40.0
"""Mean luma, 0..255."""
TURNED = 0.6
"""Yaw, 0..1: the nose is more than half way from the middle to the side of the face."""
DISCOUNT = 0.5
"""Each flaw halves a row's weight in the answer for the whole."""


def flaws_of(quality: Quality) -> int:
    """The bits of what is wrong with a face.

    >>> names(flaws_of(Quality(size=30, sharpness=100, brightness=20, yaw=0, roll=0)))
    'small dark'
    """
    wrong = (
        quality.size < SMALL,
        quality.sharpness < BLURRED,
        quality.brightness < DARK,
        abs(quality.yaw) > TURNED,
    )
    return sum(1 << bit for bit, is_wrong in enumerate(wrong) if is_wrong)


def names(flaws: int) -> str:
    """The flaws by name, apart by spaces; "" for none."""
    return " ".join(name for bit, name in enumerate(FLAWS) if flaws >> bit & 1)


def all_names() -> npt.NDArray[np.object_]:
    """(256,) the names for all bits, to look up those of many rows at once."""
    return np.array([names(flaws) for flaws in range(256)], dtype=object)


def bits(text: str) -> int:
    """The inverse of `names`.

    Raises:
        KeyError: an unknown name.
    """
    known = {name: 1 << bit for bit, name in enumerate(FLAWS)}
    return sum({known[name] for name in text.split()})


def weights(flaws: npt.NDArray[np.uint8]) -> npt.NDArray[np.float64]:
    """(T,) weights of rows with these flaws, 1 for none."""
    count = np.unpackbits(flaws[:, None], axis=1).sum(axis=1)
    return np.asarray(DISCOUNT ** count.astype(np.float64))
