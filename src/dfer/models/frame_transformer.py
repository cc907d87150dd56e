"""ResNet-18 on each frame and a transformer over time.

The plain form of what the field builds: an encoder for frames whose features a transformer relates, with a token that
gathers the clip. Places in time are told apart by sines and cosines, so that clips may have any length.

References:
    Vaswani et al.: "Attention Is All You Need", NeurIPS 2017; Dosovitskiy et al.: "An Image is Worth 16x16 Words", ICLR
    2021 (the token). `--init` starts the ResNet-18 from torchvision's weights of ImageNet.
"""

from __future__ import annotations

from typing import Annotated, Any

import torch
from pydantic import Field
from torch import Tensor, nn

from dfer.models.clips import frames_of, require_clips
from dfer.models.options import Share, Width
from dfer.models.resnet18 import Resnet18
from dfer.models.transformer import Layer, Style, drop_paths, waves

Layers = Annotated[int, Field(ge=0, le=64)]
"""Of a transformer over time; 0 leaves time out: the mean of the frames."""


class OverTime(nn.Module):
    """Rows (B, T, features) -> one row a clip, by transformer layers over the frames and a token, or by their mean."""

    def __init__(self, features: int, layers: int, *, drop_path: float) -> None:
        super().__init__()
        style = Style(heads=next(heads for heads in (8, 4, 2, 1) if features % heads == 0), ratio=2)
        self.token = nn.Parameter(0.02 * torch.randn(1, 1, features)) if layers else None
        self.layers = nn.Sequential(*(Layer(features, style, drop_path=rate) for rate in drop_paths(drop_path, layers)))
        self.norm = nn.LayerNorm(features)

    def forward(self, rows: Tensor) -> Tensor:
        """(B, T, features) -> (B, features)."""
        if self.token is None:
            pooled = rows.mean(dim=1)
        else:
            rows = rows + waves(rows.shape[1], rows.shape[2], rows)
            pooled = self.layers(torch.cat((self.token.expand(rows.shape[0], -1, -1), rows), dim=1))[:, 0]
        found: Tensor = self.norm(pooled)
        return found


class FrameTransformer(nn.Module):
    """ResNet-18, transformer layers over the frames and a token, a linear layer; any T, H and W. 15.4 M weights.

    Args:
        num_classes: K.
        in_channels: C.
        width: channels of the ResNet's stem; 64 is the published network.
        layers: of the transformer; 0 leaves time out: the mean of the frames.
        drop_path: how often the last layer of the transformer is left out in training; earlier ones less often.
        dropout: probability of dropout before the linear layer.
    """

    def __init__(
        self, num_classes: int, *, in_channels: int = 3, width: Width = 64,
        layers: Layers = 2, drop_path: Share = 0.1, dropout: Share = 0.0,
    ) -> None:  # fmt: skip
        super().__init__()
        self.in_channels = in_channels
        self.encoder: Any = Resnet18(in_channels=in_channels, width=width)
        self.time = OverTime(8 * width, layers, drop_path=drop_path)
        self.dropout = nn.Dropout(dropout)
        self.fc = nn.Linear(8 * width, num_classes)

    def stages(self) -> list[nn.Module]:
        """Where features may be mixed, see `dfer.models.manifold`."""
        return [*self.encoder.stages(), *self.time.layers, self.fc]

    def forward(self, clips: Tensor) -> Tensor:
        """Clips (B, C, T, H, W) -> logits (B, K)."""
        require_clips(clips, self.in_channels)
        rows = self.encoder(frames_of(clips)).view(clips.shape[0], clips.shape[2], -1)
        found: Tensor = self.fc(self.dropout(self.time(rows)))
        return found
