"""A pretrained network on each frame, then one of four ways to make one row of the frames'; also for stills (T = 1).

    create_model("frame_encoder", num_classes=7, encoder="dlib_face", temporal="gru")

It is freshly initialised; `dfer train --init` starts it from published weights, see docs/models.md.
"""

from __future__ import annotations

from typing import Any, Literal

import torch
from torch import Tensor, nn

from dfer.models.clips import frames_of, require_clips
from dfer.models.encoders import ENCODERS
from dfer.models.options import Share, Width

LEAST_SIDE = 16
"""Height and width of a frame, pixels."""
MOST_FRAMES = 1_024
"""How many frames the transformer tells apart; longer clips are refused by it."""


class Mean(nn.Module):
    """The mean over time, which no order of the frames changes."""

    def forward(self, rows: Tensor) -> Tensor:
        """(B, T, features) -> (B, features)."""
        return rows.mean(dim=1)


class Attention(nn.Module):
    """A weighted mean, with weights that a linear layer reads off each frame; no order of the frames changes it."""

    def __init__(self, features: int) -> None:
        super().__init__()
        self.weigh = nn.Linear(features, 1)

    def forward(self, rows: Tensor) -> Tensor:
        """(B, T, features) -> (B, features)."""
        return (torch.softmax(self.weigh(rows), dim=1) * rows).sum(dim=1)


class Gru(nn.Module):
    """A GRU in both directions, then attention."""

    def __init__(self, features: int, hidden: int) -> None:
        super().__init__()
        self.gru = nn.GRU(features, hidden, batch_first=True, bidirectional=True)
        self.pool = Attention(2 * hidden)

    def forward(self, rows: Tensor) -> Tensor:
        """(B, T, features) -> (B, 2 hidden)."""
        pooled: Tensor = self.pool(self.gru(rows)[0])
        return pooled


class Transformer(nn.Module):
    """Two layers of a transformer with learned places, then the mean."""

    def __init__(self, features: int, hidden: int, dropout: float) -> None:
        super().__init__()
        self.narrow = nn.Linear(features, hidden)
        self.places = nn.Parameter(torch.empty(1, MOST_FRAMES, hidden).normal_(std=0.02))
        heads = max(1, hidden // 64)
        layer = nn.TransformerEncoderLayer(
            hidden, heads, 4 * hidden, dropout, activation="gelu", batch_first=True, norm_first=True
        )
        self.layers = nn.TransformerEncoder(layer, 2, nn.LayerNorm(hidden), enable_nested_tensor=False)

    def forward(self, rows: Tensor) -> Tensor:
        """(B, T, features) -> (B, hidden)."""
        found: Tensor = self.layers(self.narrow(rows) + self.places[:, : rows.shape[1]])
        return found.mean(dim=1)


def _temporal(kind: str, features: int, *, hidden: int, dropout: float) -> tuple[nn.Module, int]:
    """The temporal part, and how many features it makes of a frame's."""
    if kind == "gru":
        return Gru(features, hidden), 2 * hidden
    if kind == "transformer":
        return Transformer(features, hidden, dropout), hidden
    return Attention(features) if kind == "attention" else Mean(), features


class FrameEncoder(nn.Module):
    """An encoder for each frame, a temporal part, a linear layer; frames of any H and W from 16 pixels.

    Args:
        num_classes: K.
        in_channels: C; grey frames are shown to the encoder as three equal channels.
        encoder: for the frames: "dlib_face" or "mobilenet_v2", see `dfer.models.encoders`.
        temporal: "mean" or "attention", which no order of the frames changes, "gru" or "transformer".
        hidden: width of the GRU in each direction, or of the transformer, there a multiple of 64 if above it.
        dropout: probability of dropout before the linear layer and in the transformer.
    """

    def __init__(
        self, num_classes: int, *, in_channels: int = 3,
        encoder: Literal["dlib_face", "mobilenet_v2"] = "dlib_face",
        temporal: Literal["mean", "attention", "gru", "transformer"] = "mean",
        hidden: Width = 128, dropout: Share = 0.3,
    ) -> None:  # fmt: skip
        super().__init__()
        self.in_channels = in_channels
        chosen = ENCODERS[encoder]
        self.encoder: Any = chosen.build()
        self.temporal, features = _temporal(temporal, chosen.features, hidden=hidden, dropout=dropout)
        self.dropout = nn.Dropout(dropout)
        self.head = nn.Linear(features, num_classes)

    def stages(self) -> list[nn.Module]:
        """Where features may be mixed, see `dfer.models.manifold`."""
        return [*self.encoder.stages(), self.head]

    def forward(self, clips: Tensor) -> Tensor:
        """Clips (B, C, T, H, W) -> logits (B, K)."""
        require_clips(clips, self.in_channels, least=LEAST_SIDE)
        frames = frames_of(clips)
        features = self.encoder(frames.expand(-1, 3, -1, -1) if self.in_channels == 1 else frames)
        rows = features.view(clips.shape[0], clips.shape[2], -1)
        logits: Tensor = self.head(self.dropout(self.temporal(rows)))
        return logits
