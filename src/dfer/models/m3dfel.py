"""M3DFEL: a clip as a bag of short instances, the network that MIDAS was set against.

Each instance of 4 frames passes through R3D-18; a BiLSTM and self-attention relate the instances; dynamic
multi-instance normalisation (DMIN) balances them; a convolution over the bag makes one vector of them.

References:
    Wang et al.: "Rethinking the Learning Paradigm for Dynamic Facial Expression Recognition", CVPR 2023.
    Where text and published code leave a choice we follow the code: in DMIN "instance-wise" statistics are taken over
    the instances of a bag for each feature, with the unbiased variance, and attention has no output projection. Our own
    choices: a batch of one works, `width`, and bags and instances of other sizes.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import torch
from pydantic import Field
from torch import Tensor, nn

from dfer.errors import DferError
from dfer.models.clips import require_clips
from dfer.models.options import Width
from dfer.models.video_resnet import VideoResnet, load_weights

HEADS = 8


class Dmin(nn.Module):
    """Dynamic multi-instance normalisation of (B, M, D).

    Each feature's mean and variance over the M instances (unbiased), and those over all instances and features of the
    bag, are mixed by learned weights that sum to one; an affine map over D follows.
    """

    def __init__(self, features: int, eps: float = 1e-5) -> None:
        super().__init__()
        self.weight, self.bias = nn.Parameter(torch.ones(features)), nn.Parameter(torch.zeros(features))
        self.mean_mix, self.var_mix = nn.Parameter(torch.ones(2)), nn.Parameter(torch.ones(2))
        self.eps = eps

    def forward(self, bags: Tensor) -> Tensor:
        """(B, M, D) -> (B, M, D)."""
        mean_mix, var_mix = torch.softmax(self.mean_mix, dim=0), torch.softmax(self.var_mix, dim=0)
        bags = bags.to(self.weight.dtype)  # bf16 has too few digits for variances of four numbers
        var, mean = torch.var_mean(bags, dim=1, keepdim=True)
        bag_mean = mean.mean(dim=2, keepdim=True)
        bag_var = var.mean(dim=2, keepdim=True) + mean.var(dim=2, keepdim=True, correction=0)
        mean = mean_mix[0] * mean + mean_mix[1] * bag_mean
        var = var_mix[0] * var + var_mix[1] * bag_var
        return (bags - mean) / torch.sqrt(var + self.eps) * self.weight + self.bias


class M3dfel(nn.Module):
    """M3DFEL; 46.8 M weights at width 64, of which a clip of 16 frames uses R3D-18 on four instances; any H and W.

    Args:
        num_classes: K.
        in_channels: C.
        bag: M, the number of instances in a clip, at least 2.
        instance_length: frames in an instance; T must be `bag` times this number.
        width: channels of the stem of the R3D-18; 64 is the published network, fewer suit a CPU.
        weights: a local file of torchvision's `r3d_18` weights for the R3D-18; its last layer is not used.
    """

    def __init__(
        self, num_classes: int, *, in_channels: int = 3, bag: Annotated[int, Field(ge=2, le=1_024)] = 4,
        instance_length: Annotated[int, Field(ge=1, le=4_096)] = 4, width: Width = 64,
        weights: str | Path | None = None,
    ) -> None:  # fmt: skip
        super().__init__()
        self.in_channels, self.bag, self.instance_length = in_channels, bag, instance_length
        self.backbone = VideoResnet(0, in_channels=in_channels, width=width)
        if weights:
            load_weights(self.backbone, Path(weights))
        features = 8 * width
        self.lstm = nn.LSTM(features, features, num_layers=2, batch_first=True, bidirectional=True)
        self.queries_keys_values = nn.Linear(2 * features, 6 * features, bias=False)
        self.norm = Dmin(2 * features)
        self.pool = nn.Conv1d(bag, 1, 3, padding=1)
        self.fc = nn.Linear(2 * features, num_classes)

    def stages(self) -> list[nn.Module]:
        """Where features may be mixed, see `dfer.models.manifold`."""
        return [*self.backbone.stages()[:-1], self.lstm, self.fc]

    def forward(self, clips: Tensor) -> Tensor:
        """Clips (B, C, bag x instance_length, H, W) -> logits (B, K)."""
        require_clips(clips, self.in_channels)
        size, channels, length, height, width = clips.shape
        if length != self.bag * self.instance_length:
            raise DferError(
                f"m3dfel expected {self.bag * self.instance_length} frames (a bag of {self.bag} instances of "
                f"{self.instance_length}), got {length}; set input.frames or the model's bag"
            )
        instances = clips.reshape(size, channels, self.bag, self.instance_length, height, width).transpose(1, 2)
        features = self.backbone(instances.reshape(size * self.bag, channels, -1, height, width))
        related, _ = self.lstm(features.view(size, self.bag, -1))
        gate = torch.sigmoid(self.norm(self._attend(related)))
        pooled = self.pool(related * gate)[:, 0]
        return self.fc(pooled)  # type: ignore[no-any-return]

    def _attend(self, bags: Tensor) -> Tensor:
        """Multi-head self-attention over the instances, (B, M, D) -> (B, M, D)."""
        size, count, features = bags.shape
        queries, keys, values = (
            part.view(size, count, HEADS, features // HEADS).transpose(1, 2)
            for part in self.queries_keys_values(bags).chunk(3, dim=2)
        )
        attended = nn.functional.scaled_dot_product_attention(queries, keys, values)
        return attended.transpose(1, 2).reshape(size, count, features)
