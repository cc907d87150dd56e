"""R3D-18, with the state-dict keys and shapes of torchvision's `r3d_18`, so that its published weights load.

References:
    Tran et al.: "A Closer Look at Spatiotemporal Convolutions for Action Recognition", CVPR 2018. The weights that
    torchvision publishes are of Kinetics-400; they expect RGB in [0, 1] minus (0.43216, 0.394666, 0.37645), divided by
    (0.22803, 0.22145, 0.216989).
"""

from __future__ import annotations

import logging
from pathlib import Path

import torch
from torch import Tensor, nn

from dfer.models.clips import require_clips
from dfer.models.options import Width
from dfer.models.weights import fit_weights, read_weights

logger = logging.getLogger(__name__)

DEPTHS = (2, 2, 2, 2)


class Block(nn.Module):
    """Two 3x3x3 convolutions with batch norm and a shortcut."""

    def __init__(self, channels: int, width: int, *, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Sequential(
            nn.Conv3d(channels, width, 3, stride, 1, bias=False), nn.BatchNorm3d(width), nn.ReLU(inplace=True)
        )
        self.conv2 = nn.Sequential(nn.Conv3d(width, width, 3, 1, 1, bias=False), nn.BatchNorm3d(width))
        self.downsample: nn.Module | None = None
        if stride != 1 or channels != width:
            self.downsample = nn.Sequential(nn.Conv3d(channels, width, 1, stride, bias=False), nn.BatchNorm3d(width))

    def forward(self, clips: Tensor) -> Tensor:
        """(B, C, T, H, W) -> (B, width, T', H', W')."""
        shortcut = clips if self.downsample is None else self.downsample(clips)
        return torch.relu(self.conv2(self.conv1(clips)) + shortcut)


class R3d(nn.Module):
    """The network up to its pooled features (B, 8 width), and `fc` behind them; any T, H and W.

    Args:
        num_classes: K; 0 leaves `fc` out, and the features come back.
        in_channels: C.
        width: channels of the stem; 64 in the paper.
    """

    def __init__(self, num_classes: int, *, in_channels: int = 3, width: int = 64) -> None:
        super().__init__()
        self.in_channels = in_channels
        self.stem = nn.Sequential(
            nn.Conv3d(in_channels, width, (3, 7, 7), (1, 2, 2), (1, 3, 3), bias=False),
            nn.BatchNorm3d(width),
            nn.ReLU(inplace=True),
        )
        channels = width
        for stage, depth in enumerate(DEPTHS):
            planes = width * 2**stage
            blocks = [
                Block(channels if block == 0 else planes, planes, stride=2 if stage and not block else 1)
                for block in range(depth)
            ]
            setattr(self, f"layer{stage + 1}", nn.Sequential(*blocks))
            channels = planes
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


def r3d18(num_classes: int, *, in_channels: int = 3, width: Width = 64, weights: str | Path | None = None) -> R3d:
    """R3D-18.

    Args:
        num_classes: K.
        in_channels: C.
        width: channels of the stem; 64 is the published network.
        weights: a local file with published weights, .pth or .safetensors, see `load_weights`.
    """
    network = R3d(num_classes, in_channels=in_channels, width=width)
    if weights:
        load_weights(network, Path(weights))
    return network


def load_weights(network: R3d, path: Path) -> None:
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
