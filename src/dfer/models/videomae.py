"""VideoMAE: a vision transformer over the cubes of a clip, with the state-dict keys of its published code.

References:
    Tong et al.: "VideoMAE: Masked Autoencoders are Data-Efficient Learners for Self-Supervised Video Pre-Training",
    NeurIPS 2022. `--init` reads the published weights, pretrained or fine-tuned, those of Hugging Face, and those of
    S4D (Chen et al., "Static for Dynamic", TAFFC 2025) without its adapters. They expect RGB in [0, 1] minus `MEAN`,
    divided by `STD`, 16 frames of 224 x 224 (S4D: 160 x 160). The field trains them with a rate that falls from layer
    to layer (`optim.layer_decay = 0.75`) and drop path.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import Annotated

from pydantic import Field
from torch import Tensor, nn

from dfer.errors import DferError
from dfer.models.clips import require_clips
from dfer.models.options import Share, Width
from dfer.models.transformer import Layer, Style, drop_paths, waves

TUBE, PATCH = 2, 16
"""Frames of a cube, and its height and width, pixels."""
MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


class VideoMae(nn.Module):
    """VideoMAE for classes; 86.2 M weights (ViT-B). T is even or 1; H and W are multiples of 16.

    Args:
        num_classes: K.
        in_channels: C.
        features: of a token; 384 (ViT-S), 768 (ViT-B), 1,024 (ViT-L).
        depth: layers; 12, 12, 24.
        heads: of each attention, of which `features` is a multiple; 6, 12, 16.
        drop_path: how often the last layer is left out in training; earlier ones less often.
    """

    def __init__(
        self, num_classes: int, *, in_channels: int = 3, features: Width = 768,
        depth: Annotated[int, Field(ge=1, le=64)] = 12, heads: Annotated[int, Field(ge=1, le=64)] = 12,
        drop_path: Share = 0.1,
    ) -> None:  # fmt: skip
        super().__init__()
        require_heads("videomae", features, heads)
        self.in_channels = in_channels
        self.patch_embed = cubes(in_channels, features)
        style = Style(heads=heads, bias="queries and values")
        self.blocks = nn.Sequential(*(Layer(features, style, drop_path=rate) for rate in drop_paths(drop_path, depth)))
        self.fc_norm = nn.LayerNorm(features, eps=style.eps)
        self.head = nn.Linear(features, num_classes)
        initialise(self)

    def stages(self) -> list[nn.Module]:
        """Where features may be mixed, see `dfer.models.manifold`."""
        return [*self.blocks, self.head]

    def forward(self, clips: Tensor) -> Tensor:
        """Clips (B, C, T, H, W) -> logits (B, K)."""
        require_clips(clips, self.in_channels)
        tokens = self.patch_embed(whole_cubes(clips, "videomae")).flatten(2).transpose(1, 2)
        tokens = self.blocks(tokens + waves(tokens.shape[1], tokens.shape[2], tokens))
        found: Tensor = self.head(self.fc_norm(tokens.mean(dim=1)))
        return found


def cubes(channels: int, features: int) -> nn.Sequential:
    """A linear map of each cube of a clip to a token."""
    projection = nn.Conv3d(channels, features, (TUBE, PATCH, PATCH), (TUBE, PATCH, PATCH))
    return nn.Sequential(OrderedDict(proj=projection))


def initialise(network: nn.Module) -> None:
    """Linear layers as the published code begins with them."""
    for module in network.modules():
        if isinstance(module, nn.Linear):
            nn.init.trunc_normal_(module.weight, std=0.02)
            if module.bias is not None:
                nn.init.zeros_(module.bias)


def whole_cubes(clips: Tensor, model: str) -> Tensor:
    """The clips, a still twice as a cube has two frames.

    Raises:
        DferError: frames, height or width that are no whole number of cubes.
    """
    length, height, width = clips.shape[2:]
    if (length > 1 and length % TUBE) or height % PATCH or width % PATCH:
        raise DferError(
            f"{model} expected an even number of frames, and a height and a width that are multiples of {PATCH}, got "
            f"{length} x {height} x {width}; set input.frames and input.size"
        )
    return clips.expand(-1, -1, TUBE, -1, -1) if length == 1 else clips


def require_heads(model: str, features: int, heads: int) -> None:
    """Refuse features that cannot be split between the heads.

    Raises:
        DferError: names both.
    """
    if features % heads:
        raise DferError(f"model {model}: expected features that are a multiple of heads = {heads}, got {features}")
