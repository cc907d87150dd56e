"""Augmentation of batches of clips: geometry, colour, blur, erasing.

Whatever is drawn is drawn once for a clip and is the same in each of its frames: a crop that jumps from frame to
frame would look like motion. Crop, flip and rotation are one affine map and so one resampling.

Motion blur and defocus stand beside ambiguity as the enemies that MIDAS was made against: faces in films move and
fall out of focus.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from dfer.augment.drawn import MOVING, SHARP, UNFOCUSED, Drawn
from dfer.augment.tensors import on_tensors
from dfer.errors import DferError

OUTSIDE = 0.01
"""How far a value may lie outside of [0, 1]: interpolation overshoots."""


@dataclass(frozen=True)
class Augment:
    """Clip-consistent augmentation; every part is off by default.

    Attributes:
        crop: least and greatest share of the area that a random resized crop keeps, each in (0, 1].
        aspect: the greatest ratio of the crop's sides, from 1 to 100.
        flip: probability of a horizontal flip.
        rotation: greatest angle of a rotation to either side, degrees, in [0, 180].
        colour: strength of brightness, contrast and (for colour clips) saturation jitter, in [0, 1).
        grey: probability that a clip loses its colour.
        erase: probability that a rectangle of 2-20 % of the area is filled with the clip's mean.
        motion_blur: probability of blur along a line of up to `blur_size` of the width, at any angle.
        defocus: probability of blur by a disc whose diameter is up to `blur_size` of the width. A clip gets at most one
            kind of blur, so the two probabilities must not sum to more than 1.
        blur_size: the greatest size of either blur, a share of the frame's width in (0, 0.5].
    """

    crop: tuple[float, float] = (1.0, 1.0)
    aspect: float = 4 / 3
    flip: float = 0.0
    rotation: float = 0.0
    colour: float = 0.0
    grey: float = 0.0
    erase: float = 0.0
    motion_blur: float = 0.0
    defocus: float = 0.0
    blur_size: float = 0.12

    def __post_init__(self) -> None:
        if len(self.crop) != 2 or not 0 < self.crop[0] <= self.crop[1] <= 1:
            raise DferError(f"expected augment.crop = [least, greatest] in (0, 1], got {list(self.crop)}")
        for name in ("flip", "grey", "erase", "motion_blur", "defocus"):
            if not 0 <= getattr(self, name) <= 1:
                raise DferError(f"expected augment.{name} to be a probability in [0, 1], got {getattr(self, name)}")
        if self.motion_blur + self.defocus > 1:
            raise DferError(
                "expected augment.motion_blur + augment.defocus <= 1, for a clip gets one or the other, "
                f"got {self.motion_blur} and {self.defocus}"
            )
        if not 0 <= self.colour < 1 or not 0 < self.blur_size <= 0.5 or not 1 <= self.aspect <= 100:
            raise DferError(
                "expected augment.colour in [0, 1), augment.blur_size in (0, 0.5] and augment.aspect from 1 to 100, "
                f"got {self.colour}, {self.blur_size} and {self.aspect}"
            )
        if not 0 <= self.rotation <= 180:
            raise DferError(f"expected augment.rotation in [0, 180] degrees, got {self.rotation}")

    def __call__(self, clips: Tensor, *, size: int | None = None, generator: torch.Generator | None = None) -> Tensor:
        """Augment a batch.

        Args:
            clips: (B, C, T, H, W) floating point in [0, 1], C = 3 (RGB) or 1.
            size: height and width that come out, of the centre square of frames that are not square; None keeps the
                clips' own height and width.
            generator: of any device; None is torch's global one of the CPU.

        Returns:
            (B, C, T, size, size) or, without a size, (B, C, T, H, W), floating point in [0, 1]; the clips that came in
            are not written to.
        """
        if not isinstance(clips, Tensor):
            raise DferError(f"expected clips as a tensor, got {type(clips).__name__}; torch.from_numpy makes one")
        if clips.ndim != 5 or not clips.is_floating_point():
            raise DferError(f"expected float clips (B, C, T, H, W) in [0, 1], got {tuple(clips.shape)} {clips.dtype}")
        if clips.numel():
            low, high = (float(value) for value in torch.aminmax(clips.detach()))
            if not (low >= -OUTSIDE and high <= 1 + OUTSIDE):  # True for NaN, too
                raise DferError(f"expected clips in [0, 1], got {low:g} to {high:g}; augment before anything is scaled")
        return on_tensors(clips, self.draw(len(clips), generator), size)

    def draw(self, clips: int, generator: torch.Generator | None = None) -> Drawn:
        """Draw what is done to so many clips; `dfer.augment.frames` does it to uint8 frames.

        Args:
            clips: how many.
            generator: of any device; None is torch's global one of the CPU.
        """
        draw = _Draw(clips, generator)
        geometry = {
            "area": draw.uniform(*self.crop),
            "ratio": torch.exp(draw.uniform(-math.log(self.aspect), math.log(self.aspect))),
            "across": draw.uniform(-1, 1),
            "down": draw.uniform(-1, 1),
            "mirrored": draw.happens(self.flip),
            "angle": draw.uniform(-1, 1) * math.radians(self.rotation),
        }
        brightness, contrast, saturation = (1 + draw.uniform(-self.colour, self.colour) for _ in range(3))
        saturation = torch.where(draw.happens(self.grey), torch.zeros(()), saturation)
        extent, angle, chance = draw.uniform(0.25, 1) * self.blur_size, draw.uniform(0, math.pi), draw.uniform(0, 1)
        unfocused = torch.where(chance < self.motion_blur + self.defocus, UNFOCUSED, SHARP)
        return Drawn(
            **geometry, brightness=brightness, contrast=contrast, saturation=saturation,
            blur=torch.where(chance < self.motion_blur, MOVING, unfocused), extent=extent, blur_angle=angle,
            hole=self._hole(draw),
        )  # fmt: skip

    def _hole(self, draw: _Draw) -> Tensor:
        """(B, 2, 2): first and last edge of rows and of columns; the same where nothing is erased."""
        area, ratio = draw.uniform(0.02, 0.2), torch.exp(draw.uniform(-0.7, 0.7))
        across, down = draw.uniform(0, 1), draw.uniform(0, 1)
        sides = torch.stack([(area * ratio).sqrt(), (area / ratio).sqrt()], dim=1)
        start = torch.stack([down, across], dim=1) * (1 - sides)
        return torch.stack([start, start + sides * draw.happens(self.erase)[:, None]], dim=2)


class _Draw:
    """One number a clip at a time, always drawn, so that switching one part off leaves the others' draws alone."""

    def __init__(self, size: int, generator: torch.Generator | None) -> None:
        self.size, self.generator = size, generator

    def uniform(self, low: float, high: float) -> Tensor:
        return low + (high - low) * self._rand()

    def happens(self, probability: float) -> Tensor:
        return self._rand() < probability

    def _rand(self) -> Tensor:
        device = self.generator.device if self.generator else None
        return torch.rand(self.size, generator=self.generator, device=device).cpu()
