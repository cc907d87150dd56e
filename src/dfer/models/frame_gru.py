"""A small 2-D network on each frame, then a GRU and attention over time; also for stills (T = 1).

The usual CNN + RNN of the field's baselines (ResNet18 + GRU) at a size that a CPU can train.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

import torch
from pydantic import Field
from torch import Tensor, nn

from dfer.models.clips import require_clips
from dfer.models.options import Share, Width


class Residual2d(nn.Module):
    """Two 3x3 convolutions with batch norm and a shortcut (He et al., CVPR 2016)."""

    def __init__(self, channels: int, width: int, *, stride: int = 1) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(channels, width, 3, stride, 1, bias=False)
        self.norm1 = nn.BatchNorm2d(width)
        self.conv2 = nn.Conv2d(width, width, 3, 1, 1, bias=False)
        self.norm2 = nn.BatchNorm2d(width)
        same = stride == 1 and channels == width
        self.shortcut: nn.Module = nn.Identity() if same else nn.Sequential(
            nn.Conv2d(channels, width, 1, stride, bias=False), nn.BatchNorm2d(width)
        )  # fmt: skip

    def forward(self, features: Tensor) -> Tensor:
        """One block."""
        hidden = torch.relu(self.norm1(self.conv1(features)))
        return torch.relu(self.norm2(self.conv2(hidden)) + self.shortcut(features))


class FrameGru(nn.Module):
    """Residual encoder for each frame, bidirectional GRU, attention pooling, a linear layer; any T, H and W.

    About 1.06 M weights, 0.89 M of them in the encoder.

    Args:
        num_classes: K.
        in_channels: C.
        widths: channels of the residual stages; each halves height and width.
        depth: residual blocks in each stage.
        stem_stride: stride of the first convolution; 2 is about three times as fast, and sees fine details less well.
        hidden: width of the GRU, in each direction; 0 leaves it out (stills need none) and pools the frames.
        dropout: probability of dropout before the linear layer.
    """

    def __init__(
        self, num_classes: int, *, in_channels: int = 3,
        widths: Annotated[Sequence[Width], Field(min_length=1, max_length=12)] = (32, 64, 128, 192),
        depth: Annotated[int, Field(ge=1, le=64)] = 1, stem_stride: Annotated[int, Field(ge=1, le=16)] = 1,
        hidden: Annotated[int, Field(ge=0, le=4_096)] = 96, dropout: Share = 0.3,
    ) -> None:  # fmt: skip
        super().__init__()
        self.in_channels = in_channels
        layers: list[nn.Module] = [
            nn.Conv2d(in_channels, widths[0], 3, stem_stride, 1, bias=False), nn.BatchNorm2d(widths[0]),
            nn.ReLU(inplace=True),
        ]  # fmt: skip
        channels = widths[0]
        for width in widths:
            for block in range(depth):
                layers.append(Residual2d(channels, width, stride=1 if block else 2))
                channels = width
        self.encoder = nn.Sequential(*layers)
        self.gru = nn.GRU(channels, hidden, batch_first=True, bidirectional=True) if hidden else None
        features = 2 * hidden or channels
        self.attention = nn.Linear(features, 1)
        self.dropout = nn.Dropout(dropout)
        self.head = nn.Linear(features, num_classes)
        self.encoder.to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    def stages(self) -> list[nn.Module]:
        """Where features may be mixed, see `dfer.models.manifold`."""
        return [*list(self.encoder)[3:], self.head]

    def forward(self, clips: Tensor) -> Tensor:
        """Clips (B, C, T, H, W) -> logits (B, K)."""
        require_clips(clips, self.in_channels)
        size, channels, length, height, width = clips.shape
        frames = clips.transpose(1, 2).reshape(size * length, channels, height, width)
        features = self.encoder(frames.contiguous(memory_format=torch.channels_last)).mean(dim=(2, 3))
        features = features.view(size, length, -1)
        if self.gru is not None:
            features, _ = self.gru(features)
        weights = torch.softmax(self.attention(features), dim=1)
        return self.head(self.dropout((weights * features).sum(dim=1)))  # type: ignore[no-any-return]
