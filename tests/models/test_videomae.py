"""VideoMAE and MAE-DFER against transformers, the published counts and the published log."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from tests.models.test_published import of_mae_dfer, of_videomae, started
from torch import Tensor

from dfer import DferError, create_model
from dfer.models.cost import cost_of
from dfer.models.videomae import VideoMae
from dfer.training.layers import layers_behind


def test_the_names_and_shapes_are_the_published_ones() -> None:
    for model, shapes, features in (("videomae", of_videomae(), 768), ("mae_dfer", of_mae_dfer(), 512)):
        state = create_model(model, 7).state_dict()
        last = {
            "fc_norm.weight": (features,),
            "fc_norm.bias": (features,),
            "head.weight": (7, features),
            "head.bias": (7,),
        }
        assert {key: tuple(value.shape) for key, value in state.items()} == shapes | last


@pytest.mark.parametrize(
    ("name", "classes", "count", "side", "operations"),
    [("videomae", 400, 86_534_800, 224, 180), ("mae_dfer", 7, 84_878_343, 160, 50)],
)
def test_the_count_and_the_cost_are_the_published_ones(
    name: str, classes: int, count: int, side: int, operations: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    # The count of VideoMAE is that of transformers' checkpoint of Kinetics, that of MAE-DFER is in its published log;
    # the operations, in G multiply-adds, are in the papers.
    network = create_model(name, classes)
    assert sum(value.numel() for value in network.parameters()) == count
    monkeypatch.setattr(type(network), "forward", _on_meta(type(network).forward))
    assert cost_of(network, (3, 16, side, side)).flops / 2e9 == pytest.approx(operations, rel=0.02)


def _on_meta(forward: Any) -> Any:
    """Count, and do not compute: one clip takes seconds."""
    return lambda self, clips: forward(self, clips) if clips.device.type == "meta" else torch.zeros(1, 1)


def test_layer_decay_and_drop_path_are_those_of_the_published_log() -> None:
    network = create_model("mae_dfer", 7)
    behind = layers_behind(network)
    assert 0.75 ** behind["patch_embed.proj.weight"] == pytest.approx(0.00751694681821391)
    assert 0.75 ** behind["blocks.0.first_attn.q_bias"] == pytest.approx(0.010022595757618546)
    assert 0.75 ** behind["blocks.11.mlp.fc2.weight"] == pytest.approx(0.2373046875)
    assert 0.75 ** behind["blocks.15.norm2.weight"] == 0.75 and behind["head.weight"] == 0
    rates = [layer.drop_path.rate for layer in network.get_submodule("blocks")]  # type: ignore[union-attr, attr-defined]
    assert rates[1:3] == pytest.approx([0.006666666828095913, 0.013333333656191826]) and rates[0] == 0


def test_it_computes_what_transformers_computes(tmp_path: Path) -> None:
    transformers = pytest.importorskip("transformers", reason="the reference is transformers, which is not installed")
    torch.manual_seed(0)
    sizes = {"hidden_size": 32, "num_hidden_layers": 3, "num_attention_heads": 4, "intermediate_size": 128}
    config = transformers.VideoMAEConfig(image_size=32, num_frames=4, num_labels=7, layer_norm_eps=1e-6, **sizes)
    theirs = transformers.VideoMAEForVideoClassification(config).eval()
    with torch.no_grad():
        for value in theirs.parameters():
            value.copy_(torch.randn(value.shape) * 0.3)
    ours, _ = started("videomae", theirs.state_dict(), tmp_path, features=32, depth=3, heads=4)
    clips = torch.rand(2, 3, 4, 32, 32)
    with torch.no_grad():
        ours.get_submodule("head").load_state_dict(theirs.classifier.state_dict())
        wanted = theirs(clips.transpose(1, 2)).logits
        assert torch.allclose(ours.eval()(clips), wanted, atol=1e-4)


def test_mae_dfer_computes_what_the_paper_says() -> None:
    """A clip of two regions in time, two down and one across; attention written out by hand."""
    torch.manual_seed(0)
    network = create_model("mae_dfer", 5, frames=8, features=8, depth=2, heads=2).eval()
    with torch.no_grad():
        for value in network.parameters():
            value.copy_(torch.randn(value.shape) * 0.3)
    clips, state = torch.rand(1, 3, 8, 160, 160), network.state_dict()

    def attention(name: str, tokens: Tensor, context: Tensor) -> Tensor:
        queries = tokens @ state[f"{name}.q.weight"].T + state[f"{name}.q_bias"]
        keys, values = (context @ state[f"{name}.kv.weight"].T).split(8, dim=1)
        values = values + state[f"{name}.v_bias"]
        heads = [
            torch.softmax(queries[:, at : at + 4] @ keys[:, at : at + 4].T / 2, dim=1) @ values[:, at : at + 4]
            for at in (0, 4)
        ]
        return F.linear(torch.cat(heads, dim=1), state[f"{name}.proj.weight"], state[f"{name}.proj.bias"])

    def normal(name: str, tokens: Tensor) -> Tensor:
        return F.layer_norm(tokens, (8,), state[f"{name}.weight"], state[f"{name}.bias"], 1e-6)

    cubes = network.get_submodule("patch_embed")(clips)[0]  # (8, 4, 10, 10)
    places = torch.arange(400.0)[:, None] / 10_000 ** (2 * torch.tensor([0, 0, 1, 1, 2, 2, 3, 3]) / 8)
    table = torch.where(torch.arange(8) % 2 == 0, places.sin(), places.cos())
    cubes = cubes.flatten(1).T + table
    cubes = cubes.view(4, 10, 10, 8)
    regions = [cubes[2 * t : 2 * t + 2, 5 * row : 5 * row + 5].reshape(100, 8) for t in (0, 1) for row in (0, 1)]
    regions = [torch.cat((state["lg_region_tokens"][place, None], region)) for place, region in enumerate(regions)]
    for layer in range(2):
        name = f"blocks.{layer}"
        for place, region in enumerate(regions):
            shown = normal(f"{name}.first_attn_norm0", region)
            regions[place] = region + attention(f"{name}.first_attn", shown, shown)
        tokens = torch.stack([region[0] for region in regions])
        shown = normal(f"{name}.second_attn_norm0", tokens)
        tokens = tokens + attention(f"{name}.second_attn", shown, shown)
        context = normal(f"{name}.third_attn_norm1", tokens)
        for place, region in enumerate(regions):
            others = region[1:]
            others = others + attention(f"{name}.third_attn", normal(f"{name}.third_attn_norm0", others), context)
            region = torch.cat((tokens[place, None], others))
            inner = F.linear(
                normal(f"{name}.norm2", region), state[f"{name}.mlp.fc1.weight"], state[f"{name}.mlp.fc1.bias"]
            )
            regions[place] = region + F.linear(
                F.gelu(inner), state[f"{name}.mlp.fc2.weight"], state[f"{name}.mlp.fc2.bias"]
            )
    pooled = normal("fc_norm", torch.stack([region[0] for region in regions]).mean(dim=0))
    expected = F.linear(pooled, state["head.weight"], state["head.bias"])
    with torch.no_grad():
        assert torch.allclose(network(clips)[0], expected, atol=1e-4)


def test_a_still_is_a_clip_that_does_not_move() -> None:
    torch.manual_seed(0)
    network, still = small(), torch.rand(2, 3, 1, 32, 32)
    with torch.no_grad():
        assert torch.equal(network(still), network(still.expand(-1, -1, 2, -1, -1)))


@pytest.mark.parametrize("shape", [(3, 32, 32), (2, 33, 32), (2, 32, 8)])
def test_videomae_refuses_what_is_no_whole_number_of_cubes(shape: tuple[int, int, int]) -> None:
    with pytest.raises(DferError, match=r"multiples of 16, got .*; set input\.frames and input\.size"):
        small()(torch.rand(1, 3, *shape))


@pytest.mark.parametrize("shape", [(8, 160, 160), (16, 112, 112), (16, 160, 176)])
def test_mae_dfer_refuses_clips_of_other_sizes(shape: tuple[int, int, int]) -> None:
    network = create_model("mae_dfer", 5, features=8, depth=1, heads=2)
    with pytest.raises(DferError, match=r"expected frames 16 x 160 x 160, got .*; set input\.frames and input\.size"):
        network(torch.rand(1, 3, *shape))


@pytest.mark.parametrize("model", ["videomae", "mae_dfer"])
def test_features_that_heads_cannot_share_are_refused(model: str) -> None:
    with pytest.raises(DferError, match="a multiple of heads = 5, got 32"):
        create_model(model, 7, features=32, heads=5)


def small() -> VideoMae:
    return VideoMae(5, features=16, depth=2, heads=2).eval()
