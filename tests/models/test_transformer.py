"""The parts of our transformers against torch's own, and against formulas worked by hand."""

from __future__ import annotations

import math

import pytest
import torch

from dfer.models.transformer import Attention, DropPath, Layer, Style, drop_paths, waves


def theirs(ours: Layer, features: int, style: Style) -> torch.nn.TransformerEncoderLayer:
    """torch's layer with the weights of ours."""
    gelu = torch.nn.GELU(approximate=style.gelu)
    layer = torch.nn.TransformerEncoderLayer(
        features, style.heads, style.ratio * features, 0.0, activation=gelu, layer_norm_eps=style.eps, batch_first=True,
        norm_first=True,
    )  # fmt: skip
    attention = layer.self_attn
    with torch.no_grad():
        attention.in_proj_weight.copy_(ours.attn.qkv.weight)
        attention.in_proj_bias.zero_()
        if style.bias == "all":
            attention.in_proj_bias.copy_(ours.attn.qkv.bias)
        if style.bias == "queries and values":
            assert ours.attn.q_bias is not None and ours.attn.v_bias is not None
            attention.in_proj_bias[:features].copy_(ours.attn.q_bias)
            attention.in_proj_bias[2 * features :].copy_(ours.attn.v_bias)
    attention.out_proj.load_state_dict(ours.attn.proj.state_dict())
    for name in ("norm1", "norm2"):
        getattr(layer, name).load_state_dict(getattr(ours, name).state_dict())
    layer.linear1.load_state_dict(ours.mlp.fc1.state_dict())
    layer.linear2.load_state_dict(ours.mlp.fc2.state_dict())
    return layer.eval()


@pytest.mark.parametrize(
    "style",
    [
        Style(heads=4),
        Style(heads=2, ratio=2, bias="none", gelu="tanh", eps=1e-5),
        Style(heads=1, bias="queries and values", eps=1e-3),
    ],
)
def test_a_layer_is_that_of_torch(style: Style) -> None:
    torch.manual_seed(0)
    ours, tokens = Layer(16, style).eval(), torch.randn(3, 5, 16)
    with torch.no_grad():
        for value in ours.parameters():
            value.copy_(torch.randn(value.shape) * 0.5)
    # With gradients: without them torch takes a short cut that knows the exact GELU alone.
    assert torch.allclose(ours(tokens), theirs(ours, 16, style)(tokens), atol=1e-5)


def test_the_names_of_a_layer_are_those_that_timm_and_videomae_publish() -> None:
    timm = {f"{part}.{kind}" for part in ("norm1", "attn.qkv", "attn.proj", "norm2", "mlp.fc1", "mlp.fc2")
            for kind in ("weight", "bias")}  # fmt: skip
    assert set(Layer(8, Style(heads=2)).state_dict()) == timm
    videomae = (timm - {"attn.qkv.bias"}) | {"attn.q_bias", "attn.v_bias"}
    assert set(Layer(8, Style(heads=2, bias="queries and values")).state_dict()) == videomae


def test_attention_needs_no_order() -> None:
    torch.manual_seed(0)
    attention, tokens = Attention(8, Style(heads=2)).eval(), torch.randn(1, 4, 8)
    order = [2, 0, 3, 1]
    with torch.no_grad():
        assert torch.allclose(attention(tokens)[:, order], attention(tokens[:, order]), atol=1e-6)


def test_waves_are_those_of_the_formula() -> None:
    table = waves(6, 8, torch.zeros(1, dtype=torch.float64))
    for place in range(6):
        for pair in range(4):
            angle = place / 10_000 ** (2 * pair / 8)
            assert table[place, 2 * pair].item() == pytest.approx(math.sin(angle), abs=1e-12)
            assert table[place, 2 * pair + 1].item() == pytest.approx(math.cos(angle), abs=1e-12)


def test_a_dropped_path_is_nought_for_whole_rows_and_keeps_its_mean() -> None:
    torch.manual_seed(0)
    branch = torch.ones(4_000, 3, 2)
    dropped = DropPath(0.25).train()(branch)
    rows = dropped.flatten(1)
    assert torch.equal(rows.amin(dim=1), rows.amax(dim=1)), "a row is kept or left out as a whole"
    assert set(rows[:, 0].unique().tolist()) == {0.0, torch.tensor(1 / 0.75).item()}
    assert rows.mean().item() == pytest.approx(1, abs=0.04)  # its standard error is .009
    assert torch.equal(DropPath(0.25).eval()(branch), branch) and torch.equal(DropPath(0.0).train()(branch), branch)


def test_drop_path_rises_from_the_first_layer_to_the_last() -> None:
    assert drop_paths(0.3, 4) == pytest.approx([0, 0.1, 0.2, 0.3])
    assert drop_paths(0.3, 1) == [0] and drop_paths(0.3, 0) == []
