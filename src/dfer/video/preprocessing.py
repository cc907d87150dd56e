"""From a clip to what a network sees: which frames, how large, in which colours, how scaled.

Training, evaluation and prediction all pass through here; the values travel in the checkpoint's card, so that a
model is never shown frames of another kind than it was trained on.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from numbers import Integral
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from dfer.documents import checked
from dfer.errors import DferError, listed, require_known
from dfer.video.frames import Clip
from dfer.video.sampling import SHORT_RULES

Frames = npt.NDArray[np.uint8]
MOST_FRAMES = LARGEST_SIZE = 4_096
SMALLEST_SIZE = 8
MOST_PIXELS = 2**24
"""Of all frames of a clip together, such as 64 frames of 512 x 512: 200 MB of memory for the input alone."""
LARGEST_MEAN = LARGEST_STD = 1_000.0
SMALLEST_STD = 1e-6


@dataclass(frozen=True)
class Preprocessing:
    """What is done to a clip before a network sees it.

    Attributes:
        frames: T, the number of frames sampled from a clip.
        size: height and width, pixels, of the square frames.
        grey: one channel (luma) instead of RGB.
        short: what to do with clips of fewer than T frames, see `dfer.video.sampling`.
        mean: what is subtracted from pixel values in [0, 1]; one value, or one for each channel.
        std: what pixel values are then divided by; one value, or one for each channel.
        mirror: a trained network also sees the mirror image, and its prediction is the mean of both logits. This is
            more accurate and costs twice the computation. It has no effect in training; see `augment.flip`.
        centre: the share of each frame's side, from 0.5 to 1, that a trained network sees: its middle, enlarged to the
            whole. Crops in training are smaller than the frame, so they show a face larger (Touvron et al., Fixing the
            train-test resolution discrepancy, NeurIPS 2019). It has no effect in training; see `augment.crop`.
    """

    frames: int = 16
    size: int = 112
    grey: bool = False
    short: str = "stretch"
    mean: tuple[float, ...] = (0.0,)
    std: tuple[float, ...] = (1.0,)
    mirror: bool = False
    centre: float = 1.0

    __pydantic_config__ = {"extra": "forbid", "allow_inf_nan": False}  # noqa: RUF012 (pydantic reads it; it is no field)

    def __post_init__(self) -> None:
        for name in ("mean", "std"):  # a card in JSON has lists
            object.__setattr__(self, name, tuple(getattr(self, name)))
        for name in ("frames", "size"):
            if not isinstance(getattr(self, name), Integral):
                raise DferError(f"expected a whole number of {name}, got {getattr(self, name)!r}")
            object.__setattr__(self, name, int(getattr(self, name)))  # NumPy's have no JSON
        require_known("short cannot be", self.short, SHORT_RULES)
        if not 1 <= self.frames <= MOST_FRAMES or not SMALLEST_SIZE <= self.size <= LARGEST_SIZE:
            raise DferError(
                f"expected 1 to {MOST_FRAMES} frames of {SMALLEST_SIZE} to {LARGEST_SIZE} pixels, got {self.frames} of "
                f"{self.size}"
            )
        if self.frames * self.size**2 > MOST_PIXELS:
            raise DferError(
                f"expected at most {MOST_PIXELS} pixels in the frames of a clip, got {self.frames} frames of "
                f"{self.size} x {self.size}; lower frames or size"
            )
        if not 0.5 <= self.centre <= 1:
            raise DferError(f"expected a centre from 0.5 to 1, got {self.centre}")
        for name in ("mean", "std"):
            if len(getattr(self, name)) not in (1, self.channels):
                wanted = "one value" if self.grey else "1 or 3 values"
                raise DferError(f"expected {wanted} in {name}, got {listed(getattr(self, name))}")
        if not all(SMALLEST_STD <= value <= LARGEST_STD for value in self.std):
            raise DferError(f"expected std > 0, from {SMALLEST_STD:g} to {LARGEST_STD:g}, got {self.std}")
        if not all(abs(value) <= LARGEST_MEAN for value in self.mean):  # False for NaN, too
            raise DferError(f"expected a mean of finite numbers of at most {LARGEST_MEAN:g}, got {self.mean}")

    @property
    def channels(self) -> int:
        """C, 1 or 3."""
        return 1 if self.grey else 3

    def to_dict(self) -> dict[str, Any]:
        """Plain values for a checkpoint's card; `from_card` restores it."""
        return asdict(self)

    @classmethod
    def from_card(cls, values: Mapping[str, Any]) -> Preprocessing:
        """What `to_dict` gave, as a checkpoint's card has it.

        Raises:
            DferError: an unknown key, the nearest is named; or a value that cannot be.
        """
        return checked(cls, dict(values), "preprocessing of the model's card.json")

    def read(self, clip: Clip, indices: npt.NDArray[np.int64], *, size: int | None = None) -> Frames:
        """The frames at `indices` as (T, size, size, C) uint8; `size` None is the network's own."""
        return self.shown(clip.read(indices, least=size or self.size), size=size)

    def shown(self, frames: Frames, *, size: int | None = None) -> Frames:
        """Frames (T, H, W, C) of any size as (T, size, size, C) in the network's colours."""
        return resize_square(frames, size or self.size, grey=self.grey)


def resize_square(frames: Frames, size: int, *, grey: bool = False) -> Frames:
    """Cut the centre square out of (T, H, W, C) frames and resize it to (T, size, size, C).

    Area interpolation when frames shrink, bilinear when they grow. With `grey`, RGB becomes one channel of luma (ITU-R
    BT.601).
    """
    height, width = frames.shape[1:3]
    side = min(height, width)
    top, left = (height - side) // 2, (width - side) // 2
    frames = frames[:, top : top + side, left : left + side]
    channels = 1 if grey else frames.shape[3]
    if side == size and channels == frames.shape[3]:
        return np.ascontiguousarray(frames)
    how = cv2.INTER_AREA if size < side else cv2.INTER_LINEAR
    resized = np.empty((len(frames), size, size, channels), np.uint8)
    for index, frame in enumerate(frames):
        square = frame if side == size else cv2.resize(frame, (size, size), interpolation=how)
        if channels < frames.shape[3]:
            square = cv2.cvtColor(np.ascontiguousarray(square), cv2.COLOR_RGB2GRAY)
        resized[index] = square.reshape(size, size, channels)
    return resized
