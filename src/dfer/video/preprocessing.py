"""From a clip to what a network sees: which frames, how large, in which colours, how scaled.

Training, evaluation and prediction all pass through here; the values travel in the checkpoint's card, so that a
model is never shown frames of another kind than it was trained on.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
from pydantic import TypeAdapter, ValidationError

from dfer.errors import DferError, listed, nearest
from dfer.video.frames import Clip
from dfer.video.sampling import SHORT_RULES

Frames = npt.NDArray[np.uint8]


@dataclass(frozen=True)
class Preprocessing:
    """What is done to a clip before a network sees it.

    Attributes:
        frames: T, the number of frames sampled from a clip.
        size: height and width, pixels, of the square frames.
        grey: one channel (luma) instead of RGB.
        short: what to do with clips of fewer than T frames, see `dfer.video.sampling`.
        mean: subtracted from pixel values in [0, 1]; one value, or one a channel.
        std: what they are then divided by; likewise.
        mirror: a trained network is also asked about the mirror image, and the mean of its logits counts: steadier
            answers for twice the computation. Without effect in training, where `augment.flip` shows either.
    """

    frames: int = 16
    size: int = 112
    grey: bool = False
    short: str = "stretch"
    mean: tuple[float, ...] = (0.0,)
    std: tuple[float, ...] = (1.0,)
    mirror: bool = False

    def __post_init__(self) -> None:
        for name in ("mean", "std"):  # a card in JSON has lists
            object.__setattr__(self, name, tuple(getattr(self, name)))
        if self.short not in SHORT_RULES:
            raise DferError(f"expected short to be one of {', '.join(SHORT_RULES)}, got {self.short!r}")
        if self.frames < 1 or self.size < 8:
            raise DferError(f"expected at least 1 frame of 8 pixels, got {self.frames} of {self.size}")
        for name in ("mean", "std"):
            if len(getattr(self, name)) not in (1, self.channels):
                raise DferError(f"expected 1 or {self.channels} values in {name}, got {getattr(self, name)}")
        if not all(0 < value < np.inf for value in self.std):
            raise DferError(f"expected std > 0, got {self.std}")
        if not np.isfinite(self.mean).all():
            raise DferError(f"expected a mean of finite numbers, got {self.mean}")

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
        known = [each.name for each in fields(cls)]
        for key in values:
            if key not in known:
                raise DferError(
                    f"unknown key '{key}'{nearest(str(key), known)} in the preprocessing of the model's card.json; "
                    f"known: {listed(known, 12)}"
                )
        try:
            return TypeAdapter(cls).validate_python(dict(values))
        except ValidationError as error:
            first = error.errors()[0]
            place = ".".join(["preprocessing", *map(str, first["loc"])])
            reason = first["msg"].removeprefix("Value error, ")
            raise DferError(f"the model's card.json: {place}: {reason}, got {first['input']!r}") from error

    def read(self, clip: Clip, indices: npt.NDArray[np.int64], *, size: int | None = None) -> Frames:
        """The frames at `indices` as (T, size, size, C) uint8; `size` None is the network's own."""
        frames = resize_square(clip.read(indices), size or self.size)
        return to_grey(frames) if self.grey else frames


def resize_square(frames: Frames, size: int) -> Frames:
    """Cut the centre square out of (T, H, W, C) frames and resize it to (T, size, size, C).

    Area interpolation when frames shrink, bilinear when they grow.
    """
    height, width = frames.shape[1:3]
    side = min(height, width)
    top, left = (height - side) // 2, (width - side) // 2
    frames = frames[:, top : top + side, left : left + side]
    if side == size:
        return np.ascontiguousarray(frames)
    how = cv2.INTER_AREA if size < side else cv2.INTER_LINEAR
    resized = np.empty((len(frames), size, size, frames.shape[3]), np.uint8)
    for index, frame in enumerate(frames):
        resized[index] = cv2.resize(frame, (size, size), interpolation=how).reshape(size, size, -1)
    return resized


def to_grey(frames: Frames) -> Frames:
    """(T, H, W, 3) RGB -> (T, H, W, 1) luma (ITU-R BT.601); one channel stays as it is."""
    if frames.shape[3] == 1:
        return frames
    grey = np.empty((*frames.shape[:3], 1), np.uint8)
    for index, frame in enumerate(frames):
        grey[index, :, :, 0] = cv2.cvtColor(np.ascontiguousarray(frame), cv2.COLOR_RGB2GRAY)
    return grey
