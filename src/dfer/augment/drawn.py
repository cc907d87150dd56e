"""What is drawn for each clip of a batch, and the maps that follow from it: one set of numbers, two ways to apply it.

`dfer.augment.tensors` applies it to float tensors, on any device; `dfer.augment.frames` to uint8 frames, on a CPU.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from dfer.augment.kernels import disc_kernels, line_kernels

LUMA = (0.299, 0.587, 0.114)
"""ITU-R BT.601 weights of red, green and blue in grey; they sum to one."""
SHARP, MOVING, UNFOCUSED = range(3)
"""Kinds of blur."""


@dataclass(frozen=True)
class Drawn:
    """Numbers for B clips, each (B,) on the CPU.

    Attributes:
        area: the share of the frame's area that the crop keeps.
        ratio: the ratio of the crop's sides.
        across, down: where the crop lies, -1 to 1.
        mirrored: whether left and right change places.
        angle: of the rotation, radians.
        brightness, contrast, saturation: factors; 1 changes nothing, saturation 0 takes the colours away.
        blur: SHARP, MOVING or UNFOCUSED.
        extent: the size of the blur, a share of the frame's width.
        blur_angle: the direction of the motion, radians.
        hole: (B, 2, 2) first and last edge of what is erased, of rows and of columns, shares of the frame; empty
            where nothing is.
    """

    area: Tensor
    ratio: Tensor
    across: Tensor
    down: Tensor
    mirrored: Tensor
    angle: Tensor
    brightness: Tensor
    contrast: Tensor
    saturation: Tensor
    blur: Tensor
    extent: Tensor
    blur_angle: Tensor
    hole: Tensor

    @property
    def moves(self) -> bool:
        """Whether any clip is cropped, mirrored or turned."""
        return bool((self.area != 1).any() or self.mirrored.any() or self.angle.any())

    def crops(self, frame: tuple[int, int], size: tuple[int, int]) -> Tensor:
        """(B, 2, 2) whole numbers: left edge and width, top edge and height of each crop, pixels.

        They lie in the largest rectangle of the output's shape, in the middle of the frame.
        """
        ratio = self.ratio.clamp(self.area, 1 / self.area)  # neither side longer than the frame's
        fit = min(frame[1] / size[1], frame[0] / size[0])
        edges = []
        for axis, share, place in (
            (1, (self.area * ratio).sqrt(), self.across),
            (0, (self.area / ratio).sqrt(), self.down),
        ):
            length = (share * fit * size[axis]).round().clamp(min=1)
            free = (fit * size[axis] - length) * place
            edges.append(torch.stack([((frame[axis] - length + free) / 2).round(), length], dim=1))
        return torch.stack(edges, dim=1)

    def maps(self, frame: tuple[int, int], size: tuple[int, int]) -> Tensor:
        """(B, 2, 3) affine maps from the output to the frame, x before y, both from -1 to 1.

        Crop, rotation and flip are one map. It respects the frame's shape, so that a rotation is one in frames that
        are not square, too.
        """
        height, width = frame
        start, length = self.crops(frame, size).unbind(dim=2)
        scale_x, scale_y = (length / torch.tensor([width, height])).unbind(dim=1)
        shift_x, shift_y = ((2 * start + length) / torch.tensor([width, height]) - 1).unbind(dim=1)
        mirror = 1 - 2 * self.mirrored.float()
        cos, sin = torch.cos(self.angle), torch.sin(self.angle)
        return torch.stack([
            torch.stack([scale_x * cos * mirror, -scale_y * sin * height / width, shift_x], dim=1),
            torch.stack([scale_x * sin * mirror * width / height, scale_y * cos, shift_y], dim=1),
        ], dim=1)  # fmt: skip

    def pixel_maps(self, frame: tuple[int, int], size: tuple[int, int]) -> Tensor:
        """(B, 2, 3) float64: `maps` from pixels of the output to pixels of the frame, whose centres are whole."""
        maps = self.maps(frame, size).double()
        half_frame = torch.tensor([frame[1], frame[0]], dtype=torch.float64)[:, None] / 2
        half_size = torch.tensor([size[1], size[0]], dtype=torch.float64) / 2
        turn = maps[:, :, :2] * half_frame / half_size
        shift = (maps[:, :, 2] + 1) * half_frame[:, 0] - 0.5 - turn @ (half_size - 0.5)
        return torch.cat([turn, shift[:, :, None]], dim=2)

    def kernels(self, rows: Tensor, width: int) -> Tensor:
        """(n, k, k) blurs of the clips in `rows` (n,), none of them sharp; each sums to one."""
        extent, moving = self.extent[rows] * width, self.blur[rows] == MOVING
        lines = line_kernels(extent, self.blur_angle[rows], width)
        return torch.where(moving[:, None, None], lines, disc_kernels(extent, width))
