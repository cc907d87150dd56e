"""MAE-DFER: a transformer whose tokens talk within regions of the clip, and across them through one token a region.

References:
    Sun et al.: "MAE-DFER: Efficient Masked Autoencoder for Self-supervised Dynamic Facial Expression Recognition", ACM
    MM 2023: the LGI-Former, in three steps a layer: within each region, among the region tokens, and from them back to
    all others. Keys and shapes are those of the published code and weights (VoxCeleb2, DFEW, FERV39k, MAFW; 16 frames
    of 160 x 160, RGB in [0, 1] minus `dfer.models.videomae.MEAN`, divided by its `STD`), which `--init` reads.
"""

from __future__ import annotations

import math
from typing import Annotated

import torch
from pydantic import Field
from torch import Tensor, nn

from dfer.errors import DferError
from dfer.models.clips import require_clips
from dfer.models.options import Share, Width
from dfer.models.transformer import DropPath, Perceptron, Style, attend, drop_paths, waves
from dfer.models.videomae import PATCH, TUBE, cubes, initialise, require_heads

REGION = (2, 5, 10)
"""Cubes of a region: in time, down, and across."""


class Attention(nn.Module):
    """Attention of tokens (B, N, features) to a context (B, M, features); queries and values have a bias."""

    def __init__(self, features: int, style: Style) -> None:
        super().__init__()
        self.heads = style.heads
        self.q = nn.Linear(features, features, bias=False)
        self.kv = nn.Linear(features, 2 * features, bias=False)
        self.q_bias, self.v_bias = nn.Parameter(torch.zeros(features)), nn.Parameter(torch.zeros(features))
        self.proj = nn.Linear(features, features)

    def forward(self, tokens: Tensor, context: Tensor) -> Tensor:
        """(B, N, features) -> (B, N, features)."""
        keys, values = self.kv(context).chunk(2, dim=-1)
        found: Tensor = self.proj(attend(self.q(tokens) + self.q_bias, keys, values + self.v_bias, heads=self.heads))
        return found


class Layer(nn.Module):
    """One layer of the LGI-Former, over regions (B, R, 1 + S, features) of which the first token is the region's."""

    def __init__(self, features: int, style: Style, *, drop_path: float = 0.0) -> None:
        super().__init__()
        self.first_attn_norm0 = nn.LayerNorm(features, eps=style.eps)
        self.first_attn = Attention(features, style)
        self.second_attn_norm0 = nn.LayerNorm(features, eps=style.eps)
        self.second_attn = Attention(features, style)
        self.third_attn_norm0 = nn.LayerNorm(features, eps=style.eps)
        self.third_attn_norm1 = nn.LayerNorm(features, eps=style.eps)
        self.third_attn = Attention(features, style)
        self.norm2 = nn.LayerNorm(features, eps=style.eps)
        self.mlp = Perceptron(features, style)
        self.drop_path = DropPath(drop_path)

    def forward(self, regions: Tensor) -> Tensor:
        """(B, R, 1 + S, features) -> (B, R, 1 + S, features)."""
        size, count, length, features = regions.shape
        within = regions.flatten(0, 1)
        normal = self.first_attn_norm0(within)
        within = within + self.drop_path(self.first_attn(normal, normal))
        messengers = within[:, 0].view(size, count, features)
        normal = self.second_attn_norm0(messengers)
        messengers = messengers + self.drop_path(self.second_attn(normal, normal))
        others = within[:, 1:].reshape(size, count * (length - 1), features)
        told = self.third_attn(self.third_attn_norm0(others), self.third_attn_norm1(messengers))
        others = (others + self.drop_path(told)).view(size, count, length - 1, features)
        joined = torch.cat((messengers.unsqueeze(2), others), dim=2).flatten(0, 1)
        found: Tensor = joined + self.drop_path(self.mlp(self.norm2(joined)))
        return found.view(size, count, length, features)


class MaeDfer(nn.Module):
    """MAE-DFER for classes; 84.9 M weights. Clips have `frames` frames of `size` x `size`.

    Args:
        num_classes: K.
        in_channels: C.
        frames: T, a multiple of 4.
        size: H and W, a multiple of 160.
        features: of a token.
        depth: layers.
        heads: of each attention, of which `features` is a multiple.
        drop_path: how often the last layer is left out in training; earlier ones less often.
    """

    fixed_size = True

    def __init__(
        self, num_classes: int, *, in_channels: int = 3,
        frames: Annotated[int, Field(ge=4, le=1_024, multiple_of=TUBE * REGION[0])] = 16,
        size: Annotated[int, Field(ge=160, le=1_600, multiple_of=PATCH * REGION[2])] = 160,
        features: Width = 512, depth: Annotated[int, Field(ge=1, le=64)] = 16,
        heads: Annotated[int, Field(ge=1, le=64)] = 8, drop_path: Share = 0.1,
    ) -> None:  # fmt: skip
        super().__init__()
        require_heads("mae_dfer", features, heads)
        self.in_channels, self.frames, self.size = in_channels, frames, size
        grid = (frames // TUBE, size // PATCH, size // PATCH)
        self.counts = tuple(cells // length for cells, length in zip(grid, REGION, strict=True))
        self.lg_region_tokens = nn.Parameter(torch.empty(math.prod(self.counts), features))
        nn.init.trunc_normal_(self.lg_region_tokens, std=0.02)
        self.patch_embed = cubes(in_channels, features)
        style = Style(heads=heads)
        self.blocks = nn.Sequential(*(Layer(features, style, drop_path=rate) for rate in drop_paths(drop_path, depth)))
        for name, weight in self.blocks[-1].named_parameters():
            if name.startswith("third_attn"):  # what it tells the last layer's other tokens, nobody reads
                weight.requires_grad_(False)
        self.fc_norm = nn.LayerNorm(features, eps=style.eps)
        self.head = nn.Linear(features, num_classes)
        initialise(self)

    def stages(self) -> list[nn.Module]:
        """Where features may be mixed, see `dfer.models.manifold`."""
        return [*self.blocks, self.head]

    def forward(self, clips: Tensor) -> Tensor:
        """Clips (B, C, T, H, W) -> logits (B, K)."""
        require_clips(clips, self.in_channels)
        if tuple(clips.shape[2:]) != (self.frames, self.size, self.size):
            shown, wanted = (" x ".join(map(str, each)) for each in (clips.shape[2:], [self.frames] + 2 * [self.size]))
            raise DferError(f"mae_dfer expected frames {wanted}, got {shown}; set input.frames and input.size")
        regions = self._regions(self.patch_embed(clips))
        tokens = self.lg_region_tokens.expand(clips.shape[0], -1, -1).unsqueeze(2)
        regions = self.blocks(torch.cat((tokens, regions), dim=2))
        found: Tensor = self.head(self.fc_norm(regions[:, :, 0].mean(dim=1)))
        return found

    def _regions(self, maps: Tensor) -> Tensor:
        """Cubes (B, features, T, H, W), told apart by their places, region by region: (B, R, S, features)."""
        size, features = maps.shape[:2]
        tokens = maps.flatten(2).transpose(1, 2)
        tokens = tokens + waves(tokens.shape[1], features, tokens)
        (times, rows, columns), (length, height, width) = self.counts, REGION
        cells = tokens.reshape(size, times, length, rows, height, columns, width, features)
        return cells.permute(0, 1, 3, 5, 2, 4, 6, 7).reshape(size, times * rows * columns, -1, features)
