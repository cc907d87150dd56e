"""R3D-18, MC3-18 and R(2+1)D-18, with the state-dict keys and shapes of torchvision, so that its weights load.

They differ in their convolutions: over time and picture in one (R3D), over the picture alone from the second stage on
(MC3), or over the picture and then over time (R(2+1)D).

References:
    Tran et al.: "A Closer Look at Spatiotemporal Convolutions for Action Recognition", CVPR 2018. The weights that
    torchvision publishes are of Kinetics-400 (R3D-18: 63.2 % top-1); they expect RGB in [0, 1] minus `MEAN`,
    divided by `STD`, 16 frames of 112 x 112.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor, nn

from dfer.models.clips import require_clips
from dfer.models.options import Width
from dfer.models.weights import fit_weights, read_weights

logger = logging.getLogger(__name__)

DEPTHS = (2, 2, 2, 2)
MEAN, STD = (0.43216, 0.394666, 0.37645), (0.22803, 0.22145, 0.216989)

Convolution = Callable[..., nn.Module]
"""Called with the channels in and out, `middle` and `stride`: a convolution without bias, nothing behind it."""


def joint(channels: int, width: int, *, middle: int, stride: int) -> nn.Module:  # noqa: ARG001 (as the others)
    """3x3x3, over time and picture."""
    return nn.Conv3d(channels, width, 3, stride, 1, bias=False)


def spatial(channels: int, width: int, *, middle: int, stride: int) -> nn.Module:  # noqa: ARG001 (as the others)
    """1x3x3, over the picture; the number of frames stays."""
    return nn.Conv3d(channels, width, (1, 3, 3), (1, stride, stride), (0, 1, 1), bias=False)


def factored(channels: int, width: int, *, middle: int, stride: int) -> nn.Module:
    """1x3x3 over the picture to `middle` channels, then 3x1x1 over time."""
    return nn.Sequential(
        nn.Conv3d(channels, middle, (1, 3, 3), (1, stride, stride), (0, 1, 1), bias=False), nn.BatchNorm3d(middle),
        nn.ReLU(inplace=True), nn.Conv3d(middle, width, (3, 1, 1), (stride, 1, 1), (1, 0, 0), bias=False),
    )  # fmt: skip


class Block(nn.Module):
    """Two convolutions with batch norm and a shortcut."""

    def __init__(self, channels: int, width: int, *, convolution: Convolution, stride: int) -> None:
        super().__init__()
        # So many that a factored convolution has as many weights as the joint one, equation 1 of the paper. torchvision
        # computes them from the block's input for both convolutions.
        middle = (channels * width * 27) // (channels * 9 + 3 * width)
        self.conv1 = nn.Sequential(
            convolution(channels, width, middle=middle, stride=stride), nn.BatchNorm3d(width), nn.ReLU(inplace=True)
        )
        self.conv2 = nn.Sequential(convolution(width, width, middle=middle, stride=1), nn.BatchNorm3d(width))
        self.downsample: nn.Module | None = None
        if stride != 1 or channels != width:
            strides = (1 if convolution is spatial else stride, stride, stride)
            self.downsample = nn.Sequential(nn.Conv3d(channels, width, 1, strides, bias=False), nn.BatchNorm3d(width))

    def forward(self, clips: Tensor) -> Tensor:
        """(B, C, T, H, W) -> (B, width, T', H', W')."""
        shortcut = clips if self.downsample is None else self.downsample(clips)
        return torch.relu(self.conv2(self.conv1(clips)) + shortcut)


def _joint_stem(channels: int, width: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv3d(channels, width, (3, 7, 7), (1, 2, 2), (1, 3, 3), bias=False), nn.BatchNorm3d(width),
        nn.ReLU(inplace=True),
    )  # fmt: skip


def _factored_stem(channels: int, width: int) -> nn.Sequential:
    middle = max(1, 45 * width // 64)  # 45 in the published network
    return nn.Sequential(
        nn.Conv3d(channels, middle, (1, 7, 7), (1, 2, 2), (0, 3, 3), bias=False), nn.BatchNorm3d(middle),
        nn.ReLU(inplace=True), nn.Conv3d(middle, width, (3, 1, 1), 1, (1, 0, 0), bias=False), nn.BatchNorm3d(width),
        nn.ReLU(inplace=True),
    )  # fmt: skip


class VideoResnet(nn.Module):
    """The network up to its pooled features (B, 8 width), and `fc` behind them; any T, H and W.

    Args:
        num_classes: K; 0 leaves `fc` out, and the features come back.
        in_channels: C.
        width: channels of the stem; 64 in the paper.
        convolutions: those of each stage; the first one's kind is the stem's.
    """

    def __init__(
        self, num_classes: int, *, in_channels: int = 3, width: int = 64,
        convolutions: tuple[Convolution, ...] = (joint,) * 4,
    ) -> None:  # fmt: skip
        super().__init__()
        self.in_channels = in_channels
        self.stem = (_factored_stem if convolutions[0] is factored else _joint_stem)(in_channels, width)
        channels = width
        for stage, (depth, convolution) in enumerate(zip(DEPTHS, convolutions, strict=True)):
            planes, blocks = width * 2**stage, []
            for block in range(depth):
                stride = 2 if stage and not block else 1
                blocks.append(Block(channels, planes, convolution=convolution, stride=stride))
                channels = planes
            setattr(self, f"layer{stage + 1}", nn.Sequential(*blocks))
        self.fc = nn.Linear(channels, num_classes) if num_classes else nn.Identity()
        for module in self.modules():
            if isinstance(module, nn.Conv3d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
            elif isinstance(module, nn.Linear):
                nn.init.normal_(module.weight, std=0.01)
                nn.init.zeros_(module.bias)
        self.to(memory_format=torch.channels_last_3d)  # type: ignore[call-overload]

    def stages(self) -> list[nn.Module]:
        """Where features may be mixed, see `dfer.models.manifold`."""
        return [*(self.get_submodule(f"layer{stage + 1}") for stage in range(len(DEPTHS))), self.fc]

    def forward(self, clips: Tensor) -> Tensor:
        """Clips (B, C, T, H, W) -> logits (B, K)."""
        require_clips(clips, self.in_channels)
        hidden = self.stem(clips.contiguous(memory_format=torch.channels_last_3d))
        for stage in range(len(DEPTHS)):
            hidden = self.get_submodule(f"layer{stage + 1}")(hidden)
        return self.fc(hidden.mean(dim=(2, 3, 4)))  # type: ignore[no-any-return]


def r3d18(
    num_classes: int, *, in_channels: int = 3, width: Width = 64, weights: str | Path | None = None
) -> VideoResnet:
    """R3D-18, all convolutions over time and picture; 33.4 M weights for 400 classes.

    Args:
        num_classes: K.
        in_channels: C.
        width: channels of the stem; 64 is the published network.
        weights: a local file with published weights, .pth or .safetensors, see `load_weights`.
    """
    network = VideoResnet(num_classes, in_channels=in_channels, width=width)
    if weights:
        load_weights(network, Path(weights))
    return network


def mc3_18(num_classes: int, *, in_channels: int = 3, width: Width = 64) -> VideoResnet:
    """MC3-18, time in the stem and the first stage, the picture alone behind them; 11.7 M weights for 400 classes.

    Args:
        num_classes: K.
        in_channels: C.
        width: channels of the stem; 64 is the published network.
    """
    kinds = (joint, spatial, spatial, spatial)
    return VideoResnet(num_classes, in_channels=in_channels, width=width, convolutions=kinds)


def r2plus1d_18(num_classes: int, *, in_channels: int = 3, width: Width = 64) -> VideoResnet:
    """R(2+1)D-18, each convolution over the picture and then over time; 31.5 M weights for 400 classes.

    Args:
        num_classes: K.
        in_channels: C.
        width: channels of the stem; 64 is the published network.
    """
    return VideoResnet(num_classes, in_channels=in_channels, width=width, convolutions=(factored,) * 4)


def load_weights(network: VideoResnet, path: Path) -> None:
    """Load weights of torchvision's `r3d_18` from a local file; where K differs, `fc` is left freshly initialised.

    Raises:
        DferError: no such file, not a file of weights, or weights of another network.
    """
    state, own = read_weights(path), network.state_dict()
    fresh = [
        key
        for key in ("fc.weight", "fc.bias")
        if key in state and (key not in own or own[key].shape != state[key].shape)
    ]
    for key in fresh:
        del state[key]
    kept = {key: own[key] for key in fresh if key in own}
    fit_weights(network, state | kept, source=str(path))
    if kept:
        logger.info("%s: its last layer is for other classes; ours starts fresh", path)
