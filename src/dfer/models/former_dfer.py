"""Former-DFER: a ResNet-18 with a transformer over the places of a frame, then a transformer over the frames.

References:
    Zhao, Liu: "Former-DFER: Dynamic Facial Expression Recognition Transformer", ACM MM 2021, and its published code and
    weights (DFEW, five folds; RGB in [0, 1] as they are, 16 frames of 112 x 112), which `--init` reads. Where text and
    code leave a choice we follow the code: one layer in the CS-Former, between the third and fourth stage, three in the
    T-Former, GELU by the tanh formula. Our own choices: `width`, fewer frames, and pictures of other sizes, for which
    the learned places of the 7 x 7 grid are interpolated.
"""

from __future__ import annotations

from typing import Annotated

import torch
from pydantic import Field
from torch import Tensor, nn

from dfer.errors import DferError
from dfer.models.clips import frames_of, require_clips
from dfer.models.resnet18 import Resnet18
from dfer.models.transformer import Layer, Style

GRID = 7
"""Rows and columns of the third stage's maps for frames of 112 x 112."""
STYLE = Style(heads=8, ratio=2, bias="none", gelu="tanh", eps=1e-5)


class FormerDfer(nn.Module):
    """Former-DFER; 18.0 M weights at width 64; T up to `frames`, any H and W.

    Args:
        num_classes: K.
        in_channels: C.
        frames: T at most; 16 is the published network.
        width: channels of the ResNet's stem, an even number; 64 is the published network.
    """

    def __init__(
        self, num_classes: int, *, in_channels: int = 3, frames: Annotated[int, Field(ge=1, le=4_096)] = 16,
        width: Annotated[int, Field(ge=2, le=4_096, multiple_of=2)] = 64,
    ) -> None:  # fmt: skip
        super().__init__()
        self.in_channels, self.frames = in_channels, frames
        self.encoder = Resnet18(in_channels=in_channels, width=width)
        self.places = nn.Parameter(torch.randn(1, GRID * GRID, 4 * width))
        self.spatial = nn.Sequential(Layer(4 * width, STYLE))
        self.token = nn.Parameter(torch.randn(1, 1, 8 * width))
        self.times = nn.Parameter(torch.randn(1, frames + 1, 8 * width))
        self.temporal = nn.Sequential(*(Layer(8 * width, STYLE) for _ in range(3)))
        self.fc = nn.Linear(8 * width, num_classes)

    def stages(self) -> list[nn.Module]:
        """Where features may be mixed, see `dfer.models.manifold`."""
        first, second, third, fourth = self.encoder.stages()
        return [first, second, third, self.spatial, fourth, self.temporal, self.fc]

    def forward(self, clips: Tensor) -> Tensor:
        """Clips (B, C, T, H, W) -> logits (B, K)."""
        require_clips(clips, self.in_channels)
        size, length = clips.shape[0], clips.shape[2]
        if length > self.frames:
            raise DferError(
                f"former_dfer expected at most {self.frames} frames, got {length}; set input.frames or model.frames"
            )
        rows = self._features(frames_of(clips)).view(size, length, -1)
        tokens = torch.cat((self.token.expand(size, -1, -1), rows), dim=1) + self.times[:, : length + 1]
        found: Tensor = self.fc(self.temporal(tokens)[:, 0])
        return found

    def _features(self, pictures: Tensor) -> Tensor:
        """The CS-Former: pictures (N, C, H, W) -> features (N, 8 width)."""
        first, second, third, fourth = self.encoder.stages()
        maps: Tensor = third(second(first(self.encoder.stem(pictures))))
        rows, columns = maps.shape[2:]
        tokens = self.spatial(maps.flatten(2).transpose(1, 2) + self._places(rows, columns))
        maps = fourth(tokens.transpose(1, 2).reshape(maps.shape[0], -1, rows, columns))
        return maps.mean(dim=(2, 3))

    def _places(self, rows: int, columns: int) -> Tensor:
        """(1, rows columns, 4 width)."""
        if (rows, columns) == (GRID, GRID):
            return self.places
        grid = self.places.transpose(1, 2).reshape(1, -1, GRID, GRID)
        resized = nn.functional.interpolate(grid, size=(rows, columns), mode="bilinear", align_corners=False)
        return resized.flatten(2).transpose(1, 2)
