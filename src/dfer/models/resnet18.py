"""ResNet-18 for pictures, with the state-dict keys and shapes of torchvision's `resnet18`, so that its weights load.

References:
    He et al.: "Deep Residual Learning for Image Recognition", CVPR 2016. torchvision's weights are of ImageNet, 69.76 %
    top-1; they expect RGB in [0, 1] minus `MEAN`, divided by `STD`.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

DEPTHS = (2, 2, 2, 2)
MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


class Block(nn.Module):
    """Two 3x3 convolutions with batch norm and a shortcut."""

    def __init__(self, channels: int, width: int, *, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(channels, width, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.conv2 = nn.Conv2d(width, width, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(width)
        self.downsample: nn.Module | None = None
        if stride != 1 or channels != width:
            self.downsample = nn.Sequential(nn.Conv2d(channels, width, 1, stride, bias=False), nn.BatchNorm2d(width))

    def forward(self, maps: Tensor) -> Tensor:
        """(N, channels, H, W) -> (N, width, H', W')."""
        shortcut = maps if self.downsample is None else self.downsample(maps)
        hidden = torch.relu(self.bn1(self.conv1(maps)))
        return torch.relu(self.bn2(self.conv2(hidden)) + shortcut)


class Resnet18(nn.Module):
    """Pictures (N, C, H, W) -> features (N, 8 width), or logits; any H and W.

    Args:
        num_classes: of a linear layer behind the features, as in the published weights (1,000); 0 leaves it out.
        in_channels: C.
        width: channels of the stem; 64 in the paper.
    """

    def __init__(self, num_classes: int = 0, *, in_channels: int = 3, width: int = 64) -> None:
        super().__init__()
        self.features = 8 * width
        self.conv1 = nn.Conv2d(in_channels, width, 7, 2, 3, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        channels = width
        for stage, depth in enumerate(DEPTHS):
            planes, blocks = width * 2**stage, []
            for block in range(depth):
                blocks.append(Block(channels, planes, stride=2 if stage and not block else 1))
                channels = planes
            setattr(self, f"layer{stage + 1}", nn.Sequential(*blocks))
        self.fc = nn.Linear(channels, num_classes) if num_classes else nn.Identity()
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
        self.to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    def stages(self) -> list[nn.Module]:
        """Its four stages; the stem is before them."""
        return [self.get_submodule(f"layer{stage + 1}") for stage in range(len(DEPTHS))]

    def stem(self, pictures: Tensor) -> Tensor:
        """(N, C, H, W) -> (N, width, H / 4, W / 4), rounded up."""
        pictures = pictures.contiguous(memory_format=torch.channels_last)
        hidden = torch.relu(self.bn1(self.conv1(pictures)))
        return nn.functional.max_pool2d(hidden, 3, 2, 1)

    def forward(self, pictures: Tensor) -> Tensor:
        """One row of features, or of logits, a picture."""
        maps = self.stem(pictures)
        for stage in self.stages():
            maps = stage(maps)
        found: Tensor = self.fc(maps.mean(dim=(2, 3)))
        return found
