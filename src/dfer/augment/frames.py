"""What was drawn, applied to uint8 frames on a CPU, and the mixed floats that a network takes made of them in one pass.

Crop, rotation and flip come first and make the frames small; colour is one matrix for all pixels of a clip; blur and
erasing touch the clips that are blurred and erased. All this is uint8. Floats are written once, by the last pass: it
mixes, scales and normalises. `dfer.augment.tensors` does the same to floats; the two differ by rounding.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import cv2
import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from dfer.augment.drawn import LUMA, SHARP, Drawn

Frames = npt.NDArray[np.uint8]


def on_frames(clips: Sequence[Frames], drawn: Drawn, size: int, *, out: Tensor) -> None:
    """Augment clips.

    Args:
        clips: B of (T, H, W, C), all of one shape; they are not written to.
        drawn: for B clips.
        size: height and width that come out.
        out: (B, C, T, size, size) uint8, contiguous, where they are written to.
    """
    frames, *frame, channels = clips[0].shape
    moving = _Moving(drawn, (frame[0], frame[1]), size)
    colours = torch.stack([drawn.brightness, drawn.contrast, drawn.saturation], dim=1).tolist()
    holes = drawn.hole.tolist()
    planes = out.numpy()
    small = np.empty((frames, size, size, channels), np.uint8)
    for row, clip in enumerate(clips):
        moving.move(row, clip, small)
        shown = _colour(small, *colours[row])
        if drawn.blur[row] != SHARP:
            shown = _blur(shown, drawn.kernels(torch.tensor([row]), size)[0].numpy())
        _as_planes(shown, planes[row])
        _erase(planes[row], holes[row])


def mixed_floats(
    planes: Tensor, lam: Tensor, partner: Tensor, *, mean: Sequence[float], std: Sequence[float], out: Tensor
) -> None:
    """λ of each clip and 1 - λ of its partner, from 0 to 1, less the mean, divided by std.

    Args:
        planes: (B, C, T, H, W) uint8.
        lam: (B,) float32.
        partner: (B,) int64.
        mean: 1 or C values.
        std: 1 or C values.
        out: (B, C, T, H, W) float32, contiguous, where they are written to.
    """
    batch, channels, frames, height, width = planes.shape
    pixels, floats = (each.numpy().reshape(batch, channels, frames * height, width) for each in (planes, out))
    scales = np.broadcast_to(1 / (255 * np.asarray(std)), channels)
    offsets = np.broadcast_to(-np.asarray(mean) / np.asarray(std), channels)
    for row, (share, other) in enumerate(zip(lam.tolist(), partner.tolist(), strict=True)):
        for channel, (scale, offset) in enumerate(zip(scales.tolist(), offsets.tolist(), strict=True)):
            cv2.addWeighted(
                pixels[row, channel], share * scale, pixels[other, channel], (1 - share) * scale, offset,
                dst=floats[row, channel], dtype=cv2.CV_32F,
            )  # fmt: skip


class _Moving:
    """Crop, rotation and flip of clips of one shape, sampled once."""

    def __init__(self, drawn: Drawn, frame: tuple[int, int], size: int) -> None:
        self.frame, self.size = frame, (size, size)
        self.crops: list[list[list[int]]] = drawn.crops(frame, self.size).int().tolist()
        self.maps = drawn.pixel_maps(frame, self.size).numpy()
        self.turned, self.mirrored = (drawn.angle != 0).tolist(), drawn.mirrored.tolist()

    def move(self, row: int, clip: Frames, small: Frames) -> None:
        """One clip (T, H, W, C), into `small` (T, size, size, C)."""
        if self.turned[row]:
            flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
            for frame, place in zip(clip, small, strict=True):
                cv2.warpAffine(frame, self.maps[row], self.size, place, flags, cv2.BORDER_REFLECT)
            return
        (left, wide), (top, high) = self.crops[row]
        cropped = clip[:, top : top + high, left : left + wide]
        if (high, wide) == self.size:
            np.copyto(small, cropped)
        else:
            for frame, place in zip(cropped, small, strict=True):
                cv2.resize(frame, self.size, dst=place, interpolation=cv2.INTER_LINEAR)
        if self.mirrored[row]:
            pixels = _pixels(small)
            cv2.flip(pixels, 1, dst=pixels)


def _colour(clip: Frames, brightness: float, contrast: float, saturation: float) -> Frames:
    """Contrast around the clip's mean, brightness and saturation, as one matrix for all pixels."""
    channels = clip.shape[3]
    if brightness == contrast == 1 and (saturation == 1 or channels == 1):
        return clip
    mean = cv2.mean(clip.reshape(len(clip), -1))[0]  # of one channel: forty times as fast as of three
    colours = saturation * np.eye(channels) + (1 - saturation) * np.array([LUMA if channels == 3 else [1.0]] * channels)
    added = np.full(channels, brightness * (1 - contrast) * mean)
    matrix = np.column_stack([brightness * contrast * colours, added])
    return np.asarray(cv2.transform(_pixels(clip), matrix), np.uint8).reshape(clip.shape)


def _blur(clip: Frames, kernel: npt.NDArray[np.float32]) -> Frames:
    frames = [cv2.filter2D(frame, -1, kernel, borderType=cv2.BORDER_REPLICATE) for frame in clip]
    return np.asarray(frames, np.uint8).reshape(clip.shape)


def _as_planes(clip: Frames, planes: Frames) -> None:
    """(T, H, W, C) -> (C, T, H, W), into `planes`."""
    if len(planes) == 1:
        planes[0] = clip[..., 0]
    else:
        cv2.split(_pixels(clip), [_pixels(plane) for plane in planes])


def _erase(planes: Frames, hole: list[list[float]]) -> None:
    """Fill a rectangle, the same in each frame of (C, T, H, W), with the clip's mean."""
    height, width = planes.shape[2:]
    rows, columns = (
        slice(*(math.ceil(edge * length - 0.5) for edge in edges))
        for edges, length in zip(hole, (height, width), strict=True)
    )
    if rows.start < rows.stop and columns.start < columns.stop:
        for plane in planes:
            plane[:, rows, columns] = round(cv2.mean(_pixels(plane))[0])


def _pixels(clip: Frames) -> Frames:
    """The frames (T, H, W, ...) one below the other, as OpenCV takes a picture."""
    return clip.reshape(-1, *clip.shape[2:])
