"""The vision transformer on frames against that of transformers, and the published count."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from tests.models.test_published import started

from dfer import DferError, create_model
from dfer.models.frame_vit import Vit


def test_it_has_as_many_parameters_as_the_published_networks() -> None:
    for features, heads, published in (
        (768, 12, 86_567_656),
        (384, 6, 22_050_664),
    ):  # with 1,000 classes, timm's counts
        with torch.device("meta"):
            network = Vit(3, features, depth=12, heads=heads, drop_path=0.0)
        count = sum(value.numel() for value in network.parameters())
        assert count == published - (1000 * features + 1000)


def test_it_computes_what_transformers_computes(tmp_path: Path) -> None:
    transformers = pytest.importorskip("transformers", reason="the reference is transformers, which is not installed")
    torch.manual_seed(0)
    config = transformers.ViTConfig(
        hidden_size=16, num_hidden_layers=2, num_attention_heads=2, intermediate_size=64, layer_norm_eps=1e-6
    )
    theirs = transformers.ViTModel(config, add_pooling_layer=False).eval()
    with torch.no_grad():
        for value in theirs.parameters():
            value.copy_(torch.randn(value.shape) * 0.3)
    theirs.save_pretrained(tmp_path)  # under the names that the Hub has
    from safetensors.torch import load_file

    their = load_file(tmp_path / "model.safetensors")
    names = {"attention.output.dense": "attn.proj", "layernorm_before": "norm1", "layernorm_after": "norm2",
             "intermediate.dense": "mlp.fc1", "output.dense": "mlp.fc2"}  # fmt: skip
    state = {
        "cls_token": their["embeddings.cls_token"], "pos_embed": their["embeddings.position_embeddings"],
    }  # fmt: skip
    for part in ("weight", "bias"):
        state[f"patch_embed.proj.{part}"] = their[f"embeddings.patch_embeddings.projection.{part}"]
        state[f"norm.{part}"] = their[f"layernorm.{part}"]
        for layer in range(2):
            name = f"encoder.layer.{layer}"
            parts = [their[f"{name}.attention.attention.{each}.{part}"] for each in ("query", "key", "value")]
            state[f"blocks.{layer}.attn.qkv.{part}"] = torch.cat(parts)
            for old, new in names.items():
                state[f"blocks.{layer}.{new}.{part}"] = their[f"{name}.{old}.{part}"]
    ours, _ = started("frame_vit", state, tmp_path, features=16, depth=2, heads=2)
    pictures = torch.rand(2, 3, 224, 224)
    with torch.no_grad():
        wanted = theirs(pictures).last_hidden_state[:, 0]
        assert torch.allclose(ours.eval().get_submodule("encoder")(pictures), wanted, atol=1e-4)


def test_pictures_of_no_whole_number_of_patches_are_refused() -> None:
    network = create_model("frame_vit", 5, features=16, depth=1, heads=2)
    with pytest.raises(DferError, match=r"multiples of 16, got 33 x 32; set input\.size"):
        network(torch.rand(1, 3, 1, 33, 32))
    with pytest.raises(DferError, match="a multiple of heads = 3, got 16"):
        create_model("frame_vit", 5, features=16, heads=3)
