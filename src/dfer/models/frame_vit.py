"""A vision transformer on each frame and a transformer over time; the state-dict keys of the first are those of timm.

References:
    Dosovitskiy et al.: "An Image is Worth 16x16 Words", ICLR 2021. `--init` reads ViT-S/16 and ViT-B/16 in timm's form
    (timm, DeiT, DINO, MAE; RGB in [0, 1] scaled as they say, 224 x 224), and those of S2D (Chen et al.: "From Static to
    Dynamic", TAFFC 2024) without its landmarks and adapters.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import Annotated

import torch
from pydantic import Field
from torch import Tensor, nn

from dfer.errors import DferError
from dfer.models.clips import frames_of, require_clips
from dfer.models.frame_transformer import Layers, OverTime
from dfer.models.options import Share, Width
from dfer.models.transformer import Layer, Style, drop_paths
from dfer.models.videomae import PATCH, initialise, require_heads

GRID = 14
"""Rows and columns of patches in a picture of 224 x 224."""


class Vit(nn.Module):
    """Pictures (N, C, H, W) -> features (N, features) of the first token; H and W are multiples of 16.

    Args:
        in_channels: C.
        features: of a token.
        depth: layers.
        heads: of each attention.
        drop_path: how often the last layer is left out in training.
    """

    def __init__(self, in_channels: int, features: int, *, depth: int, heads: int, drop_path: float) -> None:
        super().__init__()
        self.cls_token = nn.Parameter(0.02 * torch.randn(1, 1, features))
        self.pos_embed = nn.Parameter(0.02 * torch.randn(1, 1 + GRID * GRID, features))
        self.patch_embed = nn.Sequential(OrderedDict(proj=nn.Conv2d(in_channels, features, PATCH, PATCH)))
        style = Style(heads=heads)
        self.blocks = nn.Sequential(*(Layer(features, style, drop_path=rate) for rate in drop_paths(drop_path, depth)))
        self.norm = nn.LayerNorm(features, eps=style.eps)
        initialise(self)

    def forward(self, pictures: Tensor) -> Tensor:
        """(N, C, H, W) -> (N, features)."""
        maps = self.patch_embed(pictures)
        places = self._places(maps.shape[2], maps.shape[3])
        tokens = torch.cat((self.cls_token.expand(maps.shape[0], -1, -1), maps.flatten(2).transpose(1, 2)), dim=1)
        found: Tensor = self.norm(self.blocks(tokens + places))[:, 0]
        return found

    def _places(self, rows: int, columns: int) -> Tensor:
        """(1, 1 + rows columns, features): the learned ones, interpolated for pictures of other sizes."""
        if (rows, columns) == (GRID, GRID):
            return self.pos_embed
        grid = self.pos_embed[:, 1:].transpose(1, 2).reshape(1, -1, GRID, GRID)
        resized = nn.functional.interpolate(grid, size=(rows, columns), mode="bilinear", align_corners=False)
        return torch.cat((self.pos_embed[:, :1], resized.flatten(2).transpose(1, 2)), dim=1)


class FrameVit(nn.Module):
    """ViT on each frame, transformer layers over time, a linear layer; 85.8 M weights (ViT-B/16).

    T is any number; H and W are multiples of 16.

    Args:
        num_classes: K.
        in_channels: C.
        features: of a token; 384 (ViT-S), 768 (ViT-B).
        depth: layers of the ViT.
        heads: of each of its attentions, of which `features` is a multiple; 6, 12.
        layers: of the transformer over time; 0 leaves time out: the mean of the frames.
        drop_path: how often the last layers are left out in training; earlier ones less often.
    """

    def __init__(
        self, num_classes: int, *, in_channels: int = 3, features: Width = 768,
        depth: Annotated[int, Field(ge=1, le=64)] = 12, heads: Annotated[int, Field(ge=1, le=64)] = 12,
        layers: Layers = 0, drop_path: Share = 0.1,
    ) -> None:  # fmt: skip
        super().__init__()
        require_heads("frame_vit", features, heads)
        self.in_channels = in_channels
        self.encoder = Vit(in_channels, features, depth=depth, heads=heads, drop_path=drop_path)
        self.time = OverTime(features, layers, drop_path=drop_path)
        self.fc = nn.Linear(features, num_classes)

    def stages(self) -> list[nn.Module]:
        """Where features may be mixed, see `dfer.models.manifold`."""
        return [*self.encoder.blocks, *self.time.layers, self.fc]

    def forward(self, clips: Tensor) -> Tensor:
        """Clips (B, C, T, H, W) -> logits (B, K)."""
        require_clips(clips, self.in_channels)
        height, width = clips.shape[3:]
        if height % PATCH or width % PATCH:
            raise DferError(
                f"frame_vit expected a height and a width that are multiples of {PATCH}, got {height} x {width}; set "
                "input.size"
            )
        rows = self.encoder(frames_of(clips)).view(clips.shape[0], clips.shape[2], -1)
        found: Tensor = self.fc(self.time(rows))
        return found
