"""The layer that the transformers here are made of, and what they add to tokens so that places and times differ.

The names of its weights are those of timm and VideoMAE, so that published weights load by name.

References:
    Vaswani et al.: "Attention Is All You Need", NeurIPS 2017; Xiong et al.: "On Layer Normalization in the Transformer
    Architecture", ICML 2020 (norms before the parts); Huang et al.: "Deep Networks with Stochastic Depth", ECCV 2016
    (drop path).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn


@dataclass(frozen=True)
class Style:
    """In what published transformers differ.

    Attributes:
        heads: of each attention.
        ratio: how many times wider than the tokens the perceptron is.
        bias: which of queries, keys and values have one.
        gelu: exact, or by the tanh formula.
        eps: of the norms.
    """

    heads: int
    ratio: int = 4
    bias: Literal["none", "queries and values", "all"] = "all"
    gelu: Literal["none", "tanh"] = "none"
    eps: float = 1e-6


class Attention(nn.Module):
    """Multi-head self-attention of tokens."""

    def __init__(self, features: int, style: Style) -> None:
        super().__init__()
        self.heads = style.heads
        self.qkv = nn.Linear(features, 3 * features, bias=style.bias == "all")
        separate = style.bias == "queries and values"
        self.q_bias = nn.Parameter(torch.zeros(features)) if separate else None
        self.v_bias = nn.Parameter(torch.zeros(features)) if separate else None
        self.proj = nn.Linear(features, features)

    def forward(self, tokens: Tensor) -> Tensor:
        """(B, N, features) -> (B, N, features)."""
        parts: Tensor = self.qkv(tokens)
        if self.q_bias is not None and self.v_bias is not None:
            bias = torch.cat((self.q_bias, torch.zeros_like(self.v_bias), self.v_bias))
            parts = parts + bias.to(parts)
        found: Tensor = self.proj(attend(*parts.chunk(3, dim=-1), heads=self.heads))
        return found


def attend(queries: Tensor, keys: Tensor, values: Tensor, *, heads: int) -> Tensor:
    """Scaled dot-product attention of queries (B, N, features) to keys and values (B, M, features), head by head."""

    def split(part: Tensor) -> Tensor:
        return part.reshape(*part.shape[:2], heads, -1).transpose(1, 2)

    found = nn.functional.scaled_dot_product_attention(split(queries), split(keys), split(values))
    return found.transpose(1, 2).flatten(2)


class Perceptron(nn.Module):
    """Two linear layers with GELU between them."""

    def __init__(self, features: int, style: Style) -> None:
        super().__init__()
        self.fc1 = nn.Linear(features, style.ratio * features)
        self.act = nn.GELU(approximate=style.gelu)
        self.fc2 = nn.Linear(style.ratio * features, features)

    def forward(self, tokens: Tensor) -> Tensor:
        """(..., features) -> (..., features)."""
        found: Tensor = self.fc2(self.act(self.fc1(tokens)))
        return found


class DropPath(nn.Module):
    """In training, leave a branch out for some rows, and scale it for the others so that its mean stays.

    Args:
        rate: the probability that it is left out.
    """

    def __init__(self, rate: float) -> None:
        super().__init__()
        self.rate = rate

    def forward(self, branch: Tensor) -> Tensor:
        """(B, ...) -> (B, ...)."""
        if not self.training or not self.rate:
            return branch
        kept = torch.rand(branch.shape[0], *[1] * (branch.ndim - 1), device=branch.device) >= self.rate
        return branch.mul(kept.to(branch.dtype)).div(1 - self.rate)


class Layer(nn.Module):
    """Attention and a perceptron, each with a norm before it and a shortcut around it."""

    def __init__(self, features: int, style: Style, *, drop_path: float = 0.0) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(features, eps=style.eps)
        self.attn = Attention(features, style)
        self.norm2 = nn.LayerNorm(features, eps=style.eps)
        self.mlp = Perceptron(features, style)
        self.drop_path = DropPath(drop_path)

    def forward(self, tokens: Tensor) -> Tensor:
        """(B, N, features) -> (B, N, features)."""
        tokens = tokens + self.drop_path(self.attn(self.norm1(tokens)))
        found: Tensor = tokens + self.drop_path(self.mlp(self.norm2(tokens)))
        return found


def drop_paths(most: float, depth: int) -> list[float]:
    """The rate of each layer: from 0 in the first to `most` in the last."""
    return [most * layer / max(depth - 1, 1) for layer in range(depth)]


def waves(count: int, features: int, like: Tensor) -> Tensor:
    """(count, features): sines and cosines that tell places apart, without weights.

    Of place p the even features 2 i are sin(p / 10000^(2 i / features)), the odd ones behind them the cosine.
    """
    places = torch.arange(count, dtype=torch.float64, device=like.device)[:, None]
    steps = torch.arange(features, dtype=torch.float64, device=like.device)
    angles = places / 10_000 ** (2 * torch.div(steps, 2, rounding_mode="floor") / features)
    return torch.where(steps % 2 == 0, angles.sin(), angles.cos()).to(like.dtype)
