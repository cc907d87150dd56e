"""A small video network for the demo, for tests, and for anyone with a CPU.

Residual blocks of (2+1)-D convolutions (Tran et al., CVPR 2018): twice the speed of full 3-D ones on a CPU, at half the
weights. Batch norm and not group norm: in bf16 on a CPU it is the faster of the two, and batches of 32 suffice for it.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from dfer.models.clips import require_clips
from dfer.models.options import Share, Width


def factorised(channels: int, width: int, stride: tuple[int, int]) -> nn.Sequential:
    """A 3x3 convolution in space, then one of 3 frames in time; `stride` in time and in space."""
    time, space = stride
    return nn.Sequential(
        nn.Conv3d(channels, width, (1, 3, 3), (1, space, space), (0, 1, 1), bias=False),
        nn.BatchNorm3d(width),
        nn.ReLU(inplace=True),
        nn.Conv3d(width, width, (3, 1, 1), (time, 1, 1), (1, 0, 0), bias=False),
    )


class Residual3d(nn.Module):
    """Two factorised convolutions with a shortcut."""

    def __init__(self, channels: int, width: int, *, stride: tuple[int, int]) -> None:
        super().__init__()
        time, space = stride
        self.conv1 = factorised(channels, width, stride)
        self.norm1 = nn.BatchNorm3d(width)
        self.conv2 = factorised(width, width, (1, 1))
        self.norm2 = nn.BatchNorm3d(width)
        self.shortcut = nn.Sequential(
            nn.Conv3d(channels, width, 1, (time, space, space), bias=False), nn.BatchNorm3d(width)
        )

    def forward(self, clips: Tensor) -> Tensor:
        """One block, (B, C, T, H, W) -> (B, width, T', H', W')."""
        hidden = torch.relu(self.norm1(self.conv1(clips)))
        return torch.relu(self.norm2(self.conv2(hidden)) + self.shortcut(clips))


class Tiny3d(nn.Module):
    """Stem, three residual blocks, mean over time and space, a linear layer; about 0.3 M weights at width 16.

    Args:
        num_classes: K.
        in_channels: C.
        width: channels after the stem; the blocks have 2, 4 and 6 times as many.
        dropout: probability of dropout before the linear layer.
    """

    def __init__(self, num_classes: int, *, in_channels: int = 3, width: Width = 16, dropout: Share = 0.2) -> None:
        super().__init__()
        self.in_channels = in_channels
        self.stem = nn.Sequential(
            nn.Conv3d(in_channels, width, (1, 5, 5), (1, 2, 2), (0, 2, 2), bias=False),
            nn.BatchNorm3d(width),
            nn.ReLU(inplace=True),
        )
        self.blocks = nn.Sequential(
            Residual3d(width, 2 * width, stride=(1, 2)),
            Residual3d(2 * width, 4 * width, stride=(2, 2)),
            Residual3d(4 * width, 6 * width, stride=(2, 2)),
        )
        self.dropout = nn.Dropout(dropout)
        self.head = nn.Linear(6 * width, num_classes)
        self.to(memory_format=torch.channels_last_3d)  # type: ignore[call-overload]

    def stages(self) -> list[nn.Module]:
        """Where features may be mixed, see `dfer.models.manifold`."""
        return [*self.blocks, self.head]

    def forward(self, clips: Tensor) -> Tensor:
        """Clips (B, C, T, H, W) -> logits (B, K)."""
        require_clips(clips, self.in_channels)
        features = self.stem(clips.contiguous(memory_format=torch.channels_last_3d))
        return self.head(self.dropout(self.blocks(features).mean(dim=(2, 3, 4))))  # type: ignore[no-any-return]
