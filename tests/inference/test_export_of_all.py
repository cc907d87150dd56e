"""Every network exports, and ONNX Runtime gives the probabilities that torch gives."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from dfer.inference.export import export_onnx
from dfer.inference.network import onnx_network, torch_network
from dfer.labels import EmotionSet
from dfer.models import Card, create_model, save_checkpoint
from dfer.models.registry import BUILT_IN
from dfer.video import Preprocessing

for needed in ("onnx", "onnxscript", "onnxruntime"):
    pytest.importorskip(needed)

FIVE = EmotionSet("five", ("a", "b", "c", "d", "e"))
PLAIN = {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 32, "image_size": 32}
CASES: dict[str, tuple[str, dict[str, Any], int, int]] = {
    "former_dfer": ("former_dfer", {"width": 4}, 3, 48),
    "frame_encoder": ("frame_encoder", {"temporal": "gru", "hidden": 8}, 2, 32),
    "frame_gru": ("frame_gru", {"widths": [4, 8], "hidden": 6}, 3, 24),
    "frame_transformer": ("frame_transformer", {"width": 4}, 3, 32),
    "frame_vit": ("frame_vit", {"features": 16, "depth": 1, "heads": 2, "layers": 1}, 2, 32),
    "hub_frames, clip": ("hub_frames", {"config": PLAIN | {"model_type": "clip_vision_model", "patch_size": 8}}, 2, 32),
    "hub_frames, convnext": (
        "hub_frames", {"config": {"model_type": "convnext", "hidden_sizes": [4, 8, 8, 16], "depths": [1] * 4}}, 2, 32,
    ),
    "hub_frames, dinov2": (
        "hub_frames", {"config": PLAIN | {"model_type": "dinov2", "patch_size": 8}, "layers": 1}, 2, 32,
    ),
    "hub_frames, vit": ("hub_frames", {"config": PLAIN | {"model_type": "vit", "patch_size": 8}}, 2, 48),
    "m3dfel": ("m3dfel", {"width": 4, "bag": 2, "instance_length": 2}, 4, 24),
    "mae_dfer": ("mae_dfer", {"features": 8, "depth": 1, "heads": 2, "frames": 4}, 4, 160),
    "mc3_18": ("mc3_18", {"width": 4}, 4, 24),
    "r2plus1d_18": ("r2plus1d_18", {"width": 4}, 4, 24),
    "r3d18": ("r3d18", {"width": 4}, 4, 24),
    "resnet18_lstm": ("resnet18_lstm", {"width": 4, "hidden": 8}, 3, 32),
    "tiny3d": ("tiny3d", {"width": 4}, 4, 24),
    "videomae": ("videomae", {"features": 16, "depth": 1, "heads": 2}, 4, 32),
}  # fmt: skip
"""Network, options, frames and size."""


def pictures(count: int, frames: int, size: int) -> np.ndarray:
    coarse = torch.rand(count * frames, 3, 5, 5, generator=torch.Generator().manual_seed(count))
    smooth = torch.nn.functional.interpolate(coarse, size=(size, size), mode="bilinear")
    return (smooth.view(count, frames, 3, size, size).permute(0, 1, 3, 4, 2) * 255).to(torch.uint8).numpy()


def alive(network: nn.Module, shown: np.ndarray) -> nn.Module:
    """Statistics of real batches in the batch norms, and a last layer that tells clips apart."""
    clips = torch.from_numpy(shown).permute(0, 4, 1, 2, 3) / 255
    with torch.no_grad():
        for _ in range(10):
            network.train()(clips)
        logits, last = network.eval()(clips), [each for each in network.modules() if isinstance(each, nn.Linear)][-1]
        scale = 0.5 / logits.std(dim=0).mean()
        last.bias.copy_(scale * (last.bias - logits.mean(dim=0)))
        last.weight.mul_(scale)
        assert torch.allclose(network(clips).std(dim=0).mean(), torch.tensor(0.5), atol=1e-2)
    return network


@pytest.mark.slow
@pytest.mark.parametrize("case", CASES)
def test_onnx_and_torch_differ_by_less_than_a_ten_thousandth(case: str, tmp_path: Path) -> None:
    name, options, frames, size = CASES[case]
    if name == "hub_frames" and importlib.util.find_spec("transformers") is None:
        pytest.skip("the network is built by transformers, which is not installed")
    torch.manual_seed(0)
    network = alive(create_model(name, 5, **options), pictures(8, frames, size))
    card = Card(name, options, FIVE, Preprocessing(frames=frames, size=size).to_dict())
    save_checkpoint(tmp_path, network, card)
    export_onnx(tmp_path)
    shown = pictures(3, frames, size)
    ours, theirs = torch_network(network, card)(shown), onnx_network(tmp_path / "model.onnx")(shown)
    assert np.abs(ours - theirs).max() < 1e-4
    assert np.ptp(ours, axis=0).max() > 0.02, "the network tells clips apart, or the comparison proves nothing"


def test_no_network_is_left_out() -> None:
    assert {name for name, *_ in CASES.values()} == set(BUILT_IN)
