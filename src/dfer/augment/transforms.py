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
import torch.nn.functional as F
from torch import Tensor

from dfer.errors import DferError

LUMA = (0.299, 0.587, 0.114)  # ITU-R BT.601 weights of red, green and blue in grey


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
        if clips.ndim != 5 or not clips.is_floating_point():
            raise DferError(f"expected float clips (B, C, T, H, W) in [0, 1], got {tuple(clips.shape)} {clips.dtype}")
        draw = _Draw(len(clips), generator)
        clips = self._geometry(clips, (size, size) if size else (clips.shape[-2], clips.shape[-1]), draw)
        clips = self._colour(clips, draw)
        clips = self._blur(clips, draw)
        return self._erase(clips, draw)

    def _geometry(self, clips: Tensor, size: tuple[int, int], draw: _Draw) -> Tensor:
        """Random resized crop, rotation and flip as one affine map, sampled once.

        The map goes from the output, in units of half its sides, to pixels of the frame, so that a rotation is one in
        frames that are not square, too; the crop lies in the largest rectangle of the output's shape.
        """
        height, width = clips.shape[-2:]
        fit = min(width / size[1], height / size[0])
        across, down = fit * size[1] / width, fit * size[0] / height  # of the frame; 1 if it has the output's shape
        wide, high = across * width / height, down * height / width  # in units of the other side, for the rotation
        area = draw.uniform(*self.crop)
        ratio = torch.exp(draw.uniform(-math.log(self.aspect), math.log(self.aspect)))
        ratio = ratio.clamp(area, 1 / area)  # neither side longer than the frame's
        scale_x, scale_y = (area * ratio).sqrt(), (area / ratio).sqrt()
        shift_x, shift_y = (1 - scale_x) * draw.uniform(-1, 1), (1 - scale_y) * draw.uniform(-1, 1)
        mirror = 1 - 2 * draw.happens(self.flip).float()
        angle = draw.uniform(-1, 1) * math.radians(self.rotation)
        untouched = self.crop == (1.0, 1.0) and not self.flip and not self.rotation and size == (height, width)
        if untouched:
            return clips
        cos, sin = torch.cos(angle), torch.sin(angle)
        rows = torch.stack([
            torch.stack([scale_x * cos * mirror * across, -scale_y * sin * high, shift_x * across], dim=1),
            torch.stack([scale_x * sin * mirror * wide, scale_y * cos * down, shift_y * down], dim=1),
        ], dim=1).to(clips)  # fmt: skip
        batch, channels, frames = clips.shape[:3]
        grid = F.affine_grid(rows, [batch, 1, *size], align_corners=False)
        flat = clips.reshape(batch, channels * frames, height, width)
        moved = F.grid_sample(flat, grid, mode="bilinear", padding_mode="reflection", align_corners=False)
        return moved.view(batch, channels, frames, *size)

    def _colour(self, clips: Tensor, draw: _Draw) -> Tensor:
        """Brightness, contrast, saturation and loss of colour, each one factor a clip."""
        brightness, contrast, saturation = (1 + draw.uniform(-self.colour, self.colour) for _ in range(3))
        grey = draw.happens(self.grey)
        if self.colour:
            mean = clips.mean(dim=(1, 2, 3, 4), keepdim=True)
            clips = torch.lerp(mean, clips, _per_clip(contrast, clips)) * _per_clip(brightness, clips)
        if clips.shape[1] == 3 and (self.colour or self.grey):
            luma = torch.einsum("bcthw,c->bthw", clips, torch.tensor(LUMA).to(clips))[:, None]
            keep = torch.where(grey, torch.zeros(()), saturation)
            clips = torch.lerp(luma.expand_as(clips), clips, _per_clip(keep, clips))
        return clips.clamp(0, 1) if self.colour else clips

    def _blur(self, clips: Tensor, draw: _Draw) -> Tensor:
        """Motion blur for some clips, defocus for some of the others."""
        extent = draw.uniform(0.25, 1) * self.blur_size * clips.shape[-1]
        angle = draw.uniform(0, math.pi)
        chance = draw.uniform(0, 1)
        moving = chance < self.motion_blur
        unfocused = ~moving & (chance < self.motion_blur + self.defocus)
        blurred = moving | unfocused
        if not blurred.any():
            return clips
        kernels = torch.where(
            moving[:, None, None],
            line_kernels(extent, angle, clips.shape[-1]),
            disc_kernels(extent, clips.shape[-1]),
        )
        chosen = blurred.nonzero()[:, 0].to(clips.device)
        result = clips.clone()
        result[chosen] = _convolve(clips[chosen], kernels[blurred].to(clips))
        return result

    def _erase(self, clips: Tensor, draw: _Draw) -> Tensor:
        """A rectangle, the same in each frame, filled with the clip's mean."""
        area, ratio = draw.uniform(0.02, 0.2), torch.exp(draw.uniform(-0.7, 0.7))
        across, down = draw.uniform(0, 1), draw.uniform(0, 1)
        erased = draw.happens(self.erase)
        if not erased.any():
            return clips
        height, width = clips.shape[-2:]
        inside = []
        for length, share, place in (
            (height, (area * ratio).sqrt(), down),
            (width, (area / ratio).sqrt(), across),
        ):
            positions = (torch.arange(length) + 0.5) / length
            start = (place * (1 - share))[:, None]
            inside.append((positions >= start) & (positions < start + share[:, None]))
        hole = inside[0][:, :, None] & inside[1][:, None, :] & erased[:, None, None]
        mean = clips.mean(dim=(2, 3, 4), keepdim=True)
        return torch.where(hole.to(clips.device)[:, None, None], mean, clips)


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


def line_kernels(length: Tensor, angle: Tensor, width: int) -> Tensor:
    """Motion blur: lines of `length` (B,) pixels at `angle` (B,) radians -> (B, k, k) kernels that sum to one."""
    x, y = _kernel_grid(length, width)
    cos, sin = torch.cos(angle)[:, None, None], torch.sin(angle)[:, None, None]
    along, across = x * cos + y * sin, y * cos - x * sin
    beyond = (along.abs() - (length / 2)[:, None, None]).clamp(min=0)
    return _normalised((1 - torch.hypot(beyond, across)).clamp(min=0))


def disc_kernels(diameter: Tensor, width: int) -> Tensor:
    """Defocus: discs of `diameter` (B,) pixels -> (B, k, k) kernels that sum to one."""
    x, y = _kernel_grid(diameter, width)
    return _normalised(((diameter / 2)[:, None, None] + 0.5 - torch.hypot(x, y)).clamp(0, 1))


def _kernel_grid(extent: Tensor, width: int) -> tuple[Tensor, Tensor]:
    radius = min(math.ceil(float(extent.max()) / 2), (width - 1) // 2)
    steps = torch.arange(-radius, radius + 1, dtype=torch.float32)
    return steps[None, None, :], steps[None, :, None]


def _normalised(kernels: Tensor) -> Tensor:
    return kernels / kernels.sum(dim=(1, 2), keepdim=True)


def _convolve(clips: Tensor, kernels: Tensor) -> Tensor:
    """Each clip (n, C, T, H, W) with its own kernel (n, k, k), borders continued."""
    count, channels, frames, height, width = clips.shape
    radius = kernels.shape[-1] // 2
    planes = clips.reshape(count, channels * frames, height, width).transpose(0, 1)
    padded = F.pad(planes, [radius] * 4, mode="replicate")
    blurred = F.conv2d(padded, kernels[:, None], groups=count)
    return blurred.transpose(0, 1).reshape(clips.shape)


def _per_clip(values: Tensor, clips: Tensor) -> Tensor:
    return values.to(clips).view(-1, 1, 1, 1, 1)
