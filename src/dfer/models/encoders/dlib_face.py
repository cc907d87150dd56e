"""dlib's face-recognition network without its last layer: a residual network that knows faces.

References:
    Davis King, dlib_face_recognition_resnet_model_v1 (2017; the weights are CC0): a ResNet of 29 convolutions, half as
    wide as that of He et al. (CVPR 2016), trained on three million faces of 150 x 150 pixels; 99.38 % on LFW. We
    compute what it computes, on pictures of any size.
    The layout of the weights is that of the npm package @vladmandic/face-api (MIT).

dlib follows each convolution by a scale and a shift for each channel, without normalising: a batch norm of mean 0 and
variance 1. Trained like that, such a batch norm begins with statistics that are far from those of its input, and the
first steps destroy the weights. `calibrate` writes the statistics of real faces into it, and takes them back out in
its scale and shift, so that the network computes the same and can be trained.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from dfer.documents import checked, read_json
from dfer.errors import DferError, listed, shortened
from dfer.files import read_bytes

WIDTHS = (32, 32, 32, 64, 64, 64, 64, 128, 128, 128, 256, 256, 256, 256)
DOWN = (3, 7, 10, 13)
"""Which of the blocks halve height and width."""
NAMES = (
    "conv32_1", "conv32_2", "conv32_3", "conv64_down", "conv64_1", "conv64_2", "conv64_3", "conv128_down",
    "conv128_1", "conv128_2", "conv256_down", "conv256_1", "conv256_2", "conv256_down_out",
)  # fmt: skip
"""The blocks in the published file, in their order."""
FEATURES = 256
MEAN, STD = (122.782 / 255, 117.001 / 255, 104.298 / 255), (256 / 255,) * 3
"""What dlib takes off red, green and blue in [0, 1], and divides them by."""
MANIFEST = "face_recognition_model-weights_manifest.json"
LARGEST = 2**28
"""Bytes of the file of weights; the published one has 6 MB."""
PARTS = ("conv/filters", "conv/bias", "scale/weights", "scale/biases")
EPSILON = 1e-5
"""What batch norm adds to a variance."""

Floats = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Packing:
    """How numbers were made bytes."""

    dtype: str
    scale: float
    min: float


@dataclass(frozen=True)
class Entry:
    """A tensor in the file."""

    name: str
    shape: tuple[int, ...]
    dtype: str
    quantization: Packing | None = None


@dataclass(frozen=True)
class Group:
    """The tensors of some files, one after the other."""

    weights: list[Entry]
    paths: list[str]


class Block(nn.Module):
    """Two 3x3 convolutions with batch norm and a shortcut without weights.

    A block that halves its input has a first convolution of stride 2 without padding, and a mean over 2 x 2 pixels as
    its shortcut. What is smaller of the two, in pixels or in channels, is filled up with zeros.
    """

    def __init__(self, channels: int, width: int, *, down: bool) -> None:
        super().__init__()
        self.down = down
        self.conv1 = nn.Conv2d(channels, width, 3, 1 + down, 1 - down, bias=False)
        self.norm1 = nn.BatchNorm2d(width)
        self.conv2 = nn.Conv2d(width, width, 3, 1, 1, bias=False)
        self.norm2 = nn.BatchNorm2d(width)

    def forward(self, features: Tensor) -> Tensor:
        """(N, channels, H, W) -> (N, width, H, W), or half of H and W, at least one pixel."""
        shortcut = features
        if self.down:
            features = _filled(features, (max(features.shape[2], 3), max(features.shape[3], 3)))
            shortcut = F.avg_pool2d(shortcut, 2, ceil_mode=min(shortcut.shape[2:]) < 2)
        inner = self.norm2(self.conv2(torch.relu(self.norm1(self.conv1(features)))))
        missing = inner.shape[1] - shortcut.shape[1]
        if missing:
            shortcut = F.pad(shortcut, (0, 0, 0, 0, 0, missing))
        size = (max(inner.shape[2], shortcut.shape[2]), max(inner.shape[3], shortcut.shape[3]))
        return torch.relu(_filled(inner, size) + _filled(shortcut, size))


def _filled(features: Tensor, size: tuple[int, int]) -> Tensor:
    """Zeros below and at the right, up to a height and width."""
    below, right = size[0] - features.shape[2], size[1] - features.shape[3]
    return F.pad(features, (0, right, 0, below)) if below or right else features


class DlibFace(nn.Module):
    """RGB pictures (N, 3, H, W), in dlib's scale (`MEAN`, `STD`) -> features (N, 256); H and W from 11 pixels.

    5.55 M weights. Pictures of 150 pixels are what it was trained on.
    """

    features = FEATURES

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(3, 32, 7, 2, bias=False), nn.BatchNorm2d(32), nn.ReLU(), nn.MaxPool2d(3, 2))
        channels = (32, *WIDTHS)
        self.blocks = nn.Sequential(*(Block(channels[k], width, down=k in DOWN) for k, width in enumerate(WIDTHS)))
        for layer in self.modules():
            if isinstance(layer, nn.Conv2d):
                nn.init.kaiming_normal_(layer.weight, mode="fan_out")
        self.to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    def stages(self) -> list[nn.Module]:
        """The blocks; the stem is before them."""
        return list(self.blocks)

    def forward(self, pictures: Tensor) -> Tensor:
        """One row of features a picture."""
        found: Tensor = self.blocks(self.stem(pictures.contiguous(memory_format=torch.channels_last)))
        return found.mean(dim=(2, 3))


def read_published(folder: str | Path) -> tuple[dict[str, Tensor], Tensor]:
    """The published weights for `DlibFace`, and the matrix (256, 128) that makes embeddings of its features.

    Args:
        folder: with `MANIFEST` and the .bin file that it names.

    Returns:
        A state dict whose batch norms have mean 0 and variance 1, see `calibrate`; and the matrix.

    Raises:
        DferError: files that are missing, damaged, or of another network.
    """
    tensors, state = read_tensors(folder), dict[str, Tensor]()
    layers = {"conv32_down": ("stem.0", "stem.1")} | {
        f"{name}/conv{k}": (f"blocks.{place}.conv{k}", f"blocks.{place}.norm{k}")
        for place, name in enumerate(NAMES)
        for k in (1, 2)
    }
    wanted = {f"{name}/{part}" for name in layers for part in PARTS} | {"fc"}
    if differing := sorted(wanted ^ set(tensors)):
        raise DferError(f"{folder} is not dlib's face network: {listed(differing, 4)} is missing or unknown")
    for name, (convolution, norm) in layers.items():
        filters, bias, scale, shift = (torch.from_numpy(tensors[f"{name}/{part}"]) for part in PARTS)
        state |= {
            f"{convolution}.weight": filters.permute(3, 2, 0, 1).contiguous(),
            f"{norm}.weight": scale,
            f"{norm}.bias": bias * scale + shift,
            f"{norm}.running_mean": torch.zeros_like(scale),
            f"{norm}.running_var": torch.ones_like(scale) - EPSILON,
        }
    return state, torch.from_numpy(tensors["fc"])


def read_tensors(folder: str | Path) -> dict[str, Floats]:
    """The tensors of the published files by name; those that are stored as bytes stand for byte * scale + min.

    Raises:
        DferError: a file that is missing, damaged, or not as long as the manifest says.
    """
    described = checked(list[Group], read_json(Path(folder) / MANIFEST, finite=True), str(Path(folder) / MANIFEST))
    tensors, offset = dict[str, Floats](), 0
    data = b"".join(read_bytes(Path(folder) / Path(path).name, LARGEST) for each in described for path in each.paths)
    for entry in (entry for group in described for entry in group.weights):
        kind, count = np.dtype(np.uint8 if entry.quantization else np.float32), math.prod(entry.shape)
        if offset + count * kind.itemsize > len(data):
            raise DferError(f"{folder}: the file of weights ends within {shortened(entry.name)}; copy it again")
        values = np.frombuffer(data, kind, count, offset).reshape(entry.shape).astype(np.float32)
        packing = entry.quantization
        tensors[entry.name] = values * np.float32(packing.scale) + np.float32(packing.min) if packing else values
        offset += count * kind.itemsize
    if offset != len(data):
        raise DferError(f"{folder}: expected {offset} bytes of weights, found {len(data)}; copy the files again")
    return tensors


def calibrate(network: nn.Module, pictures: Tensor) -> None:
    """Give each batch norm the mean and variance of what it is shown, and take both back out in its scale and shift.

    The network computes what it computed before, up to rounding. Layers behind see the same as before, so one pass is
    enough.

    Args:
        network: changed in place; left in the mode in which it was.
        pictures: (N, 3, H, W) of the kind that it will be trained on; some hundreds are enough.
    """

    def fold(norm: nn.BatchNorm2d, inputs: tuple[Tensor], _: Tensor) -> None:
        seen = inputs[0].double()
        mean, variance = seen.mean(dim=(0, 2, 3)), seen.var(dim=(0, 2, 3), unbiased=False)
        buffers = dict(norm.named_buffers())
        former_mean, former_variance = buffers["running_mean"].double(), buffers["running_var"].double()
        scale = norm.weight.double() / (former_variance + norm.eps).sqrt()
        norm.bias.copy_(norm.bias.double() + scale * (mean - former_mean))
        norm.weight.copy_(scale * (variance + norm.eps).sqrt())
        buffers["running_mean"].copy_(mean)
        buffers["running_var"].copy_(variance)

    training = network.training
    hooks = [each.register_forward_hook(fold) for each in network.modules() if isinstance(each, nn.BatchNorm2d)]
    try:
        with torch.no_grad():
            network.eval()(pictures)
    finally:
        network.train(training)
        for hook in hooks:
            hook.remove()
