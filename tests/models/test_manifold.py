"""Mixing inside a network."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from dfer import Midas, create_model, list_models
from dfer.models import mixed_inside

OPTIONS: dict[str, dict[str, int]] = {
    "frame_encoder": {},
    "former_dfer": {"width": 8},
    "frame_transformer": {"width": 8},
    "frame_vit": {"features": 16, "depth": 2, "heads": 2, "drop_path": 0.0},
    "m3dfel": {"width": 8},
    "mc3_18": {"width": 8},
    "r2plus1d_18": {"width": 8},
    "r3d18": {"width": 8},
    "resnet18_lstm": {"width": 8},
    "tiny3d": {"width": 4},
    "frame_gru": {},
    "mae_dfer": {"features": 8, "heads": 2, "depth": 3, "drop_path": 0.0},
    "videomae": {"features": 16, "heads": 2, "depth": 3, "drop_path": 0.0},
}


@pytest.mark.parametrize("name", [name for name in list_models() if name != "hub_frames"])  # it has a test of its own
def test_every_network_mixes_before_each_of_its_stages_and_is_itself_again_afterwards(name: str) -> None:
    torch.manual_seed(0)
    network = create_model(name, 7, **OPTIONS[name]).eval()
    side = 160 if name == "mae_dfer" else 32
    clips, targets = torch.rand(4, 3, 16, side, side), torch.eye(7)[:4]
    stages = network.stages()
    assert len(stages) == len(set(stages)) > 2 and all(stage in set(network.modules()) for stage in stages)
    plain = network(clips)
    mixed = Midas(layer="hidden")(clips, targets, generator=torch.Generator().manual_seed(0))
    seen = set()
    for seed in range(12 * len(stages)):
        with mixed_inside(network, mixed, generator=torch.Generator().manual_seed(seed)):
            logits = network(mixed.clips)
        assert logits.shape == plain.shape and not torch.allclose(logits, plain, atol=1e-6)
        seen.add(tuple(logits.flatten().tolist()))
    assert len(seen) == len(stages)
    assert torch.equal(network(clips), plain)


class Linear(nn.Module):
    """Mixing before or after a linear layer is the same thing."""

    def __init__(self) -> None:
        super().__init__()
        self.one, self.two = nn.Linear(5, 4, bias=False), nn.Linear(4, 3, bias=False)

    def stages(self) -> list[nn.Module]:
        return [self.one, self.two]

    def forward(self, clips: torch.Tensor) -> torch.Tensor:
        size, frames = clips.shape[:2]
        return self.two(self.one(clips.reshape(size * frames, 5))).view(size, frames, 3)


def test_the_frames_of_a_clip_are_mixed_with_those_of_its_partner() -> None:
    network, clips = Linear(), torch.rand(3, 2, 5)
    hidden = Midas(layer="hidden")(clips, torch.eye(3), generator=torch.Generator().manual_seed(5))
    shown = Midas()(clips, torch.eye(3), generator=torch.Generator().manual_seed(5))
    for seed in range(4):
        with mixed_inside(network, hidden, generator=torch.Generator().manual_seed(seed)):
            inside = network(hidden.clips)
        assert torch.allclose(inside, network(shown.clips), atol=1e-6)


def test_an_error_inside_leaves_no_hook() -> None:
    network, clips = Linear(), torch.rand(3, 2, 5)
    mixed = Midas(layer="hidden")(clips, torch.eye(3))
    with pytest.raises(RuntimeError), mixed_inside(network, mixed, generator=torch.Generator()):
        raise RuntimeError
    assert not any(module._forward_pre_hooks for module in network.modules())
