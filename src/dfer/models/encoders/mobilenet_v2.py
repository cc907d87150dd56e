"""MobileNetV2, with the state-dict keys and shapes of torchvision's `mobilenet_v2`, so that its weights load.

References:
    Sandler et al.: "MobileNetV2: Inverted Residuals and Linear Bottlenecks", CVPR 2018, Table 2. torchvision's weights
    are of ImageNet, 71.88 % top-1; they expect RGB in [0, 1] minus `MEAN`, divided by `STD`.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

STAGES = ((1, 16, 1, 1), (6, 24, 2, 2), (6, 32, 3, 2), (6, 64, 4, 2), (6, 96, 3, 1), (6, 160, 3, 2), (6, 320, 1, 1))
"""Expansion, channels, number of blocks and the first one's stride, of each stage."""
FEATURES = 1280
MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


def convolution(channels: int, width: int, kernel: int, *, stride: int = 1, groups: int = 1) -> nn.Sequential:
    """A convolution that keeps height and width but for its stride, batch norm, and ReLU6."""
    return nn.Sequential(
        nn.Conv2d(channels, width, kernel, stride, kernel // 2, groups=groups, bias=False), nn.BatchNorm2d(width),
        nn.ReLU6(inplace=True),
    )  # fmt: skip


class InvertedResidual(nn.Module):
    """Widened by a 1x1 convolution, filtered for each channel, narrowed by a linear one; a shortcut where it fits."""

    def __init__(self, channels: int, width: int, *, expansion: int, stride: int) -> None:
        super().__init__()
        self.shortcut = stride == 1 and channels == width
        inner = channels * expansion
        widened = [convolution(channels, inner, 1)] if expansion > 1 else []
        self.conv = nn.Sequential(
            *widened, convolution(inner, inner, 3, stride=stride, groups=inner),
            nn.Conv2d(inner, width, 1, bias=False), nn.BatchNorm2d(width),
        )  # fmt: skip

    def forward(self, features: Tensor) -> Tensor:
        """(N, channels, H, W) -> (N, width, H, W), or half of H and W."""
        found: Tensor = self.conv(features)
        return features + found if self.shortcut else found


class MobileNetV2(nn.Module):
    """RGB pictures (N, 3, H, W) -> features (N, 1280); H and W from 32 pixels. 2.22 M weights.

    Args:
        num_classes: of a linear layer behind them, as in the published weights (1,000); 0 leaves it out.
    """

    features: nn.Sequential

    def __init__(self, num_classes: int = 0) -> None:
        super().__init__()
        layers: list[nn.Module] = [convolution(3, 32, 3, stride=2)]
        channels = 32
        for expansion, width, count, stride in STAGES:
            for block in range(count):
                layers.append(InvertedResidual(channels, width, expansion=expansion, stride=1 if block else stride))
                channels = width
        self.features = nn.Sequential(*layers, convolution(channels, FEATURES, 1))
        self.classifier = nn.Sequential(nn.Dropout(0.2), nn.Linear(FEATURES, num_classes)) if num_classes else None
        for layer in self.modules():
            if isinstance(layer, nn.Conv2d):
                nn.init.kaiming_normal_(layer.weight, mode="fan_out")
        self.to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    def stages(self) -> list[nn.Module]:
        """Its blocks; the first convolution is before them."""
        return list(self.features)[1:]

    def forward(self, pictures: Tensor) -> Tensor:
        """One row of features, or of logits, a picture."""
        found: Tensor = self.features(pictures.contiguous(memory_format=torch.channels_last)).mean(dim=(2, 3))
        if self.classifier:
            found = self.classifier(found)
        return found
