"""ResNet-18 on each frame and an LSTM over time: the baseline of the field's tables ("ResNet18+LSTM").

References:
    The row is in Jiang et al.: "DFEW: A Large-Scale Database for Recognizing Dynamic Facial Expressions in the Wild",
    ACM MM 2020, and in Wang et al.: "FERV39k", CVPR 2022; neither says how wide the LSTM is. `--init` starts the
    ResNet-18 from torchvision's weights of ImageNet.
"""

from __future__ import annotations

from typing import Annotated

from pydantic import Field
from torch import Tensor, nn

from dfer.models.clips import frames_of, require_clips
from dfer.models.options import Share, Width
from dfer.models.resnet18 import Resnet18


class Resnet18Lstm(nn.Module):
    """ResNet-18, an LSTM, and a linear layer on its last state; any T, H and W. 13.3 M weights.

    Args:
        num_classes: K.
        in_channels: C.
        width: channels of the ResNet's stem; 64 is the published network.
        hidden: width of the LSTM.
        layers: of the LSTM.
        dropout: probability of dropout before the linear layer.
    """

    def __init__(
        self, num_classes: int, *, in_channels: int = 3, width: Width = 64,
        hidden: Width = 512, layers: Annotated[int, Field(ge=1, le=16)] = 1, dropout: Share = 0.0,
    ) -> None:  # fmt: skip
        super().__init__()
        self.in_channels = in_channels
        self.encoder = Resnet18(in_channels=in_channels, width=width)
        self.lstm = nn.LSTM(self.encoder.features, hidden, num_layers=layers, batch_first=True)
        self.dropout = nn.Dropout(dropout)
        self.fc = nn.Linear(hidden, num_classes)

    def stages(self) -> list[nn.Module]:
        """Where features may be mixed, see `dfer.models.manifold`."""
        return [*self.encoder.stages(), self.lstm, self.fc]

    def forward(self, clips: Tensor) -> Tensor:
        """Clips (B, C, T, H, W) -> logits (B, K)."""
        require_clips(clips, self.in_channels)
        rows = self.encoder(frames_of(clips)).view(clips.shape[0], clips.shape[2], -1)
        states, _ = self.lstm(rows)
        return self.fc(self.dropout(states[:, -1]))  # type: ignore[no-any-return]
