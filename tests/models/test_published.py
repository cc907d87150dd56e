"""Published weights find their places. The names and shapes are typed in from the published code, not from ours."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from tests.models.test_resnet18 import published as of_resnet18
from tests.models.test_video_resnet import of_mc3, of_r2plus1d
from tests.models.test_video_resnet import published as of_r3d18
from torch import Tensor, nn

from dfer import DferError, create_model
from dfer.labels import EmotionSet
from dfer.models.transfer import Target, head_of, read_source, start_from

SEVEN = EmotionSet("seven", ("happy", "sad", "neutral", "angry", "surprise", "disgust", "fear"))
Shapes = dict[str, tuple[int, ...]]


def linear(name: str, out: int, into: int, *, bias: bool = True) -> Shapes:
    return {f"{name}.weight": (out, into)} | ({f"{name}.bias": (out,)} if bias else {})


def norm(name: str, width: int) -> Shapes:
    return {f"{name}.weight": (width,), f"{name}.bias": (width,)}


def of_former_dfer() -> Shapes:
    """Modules S_Former, T_Former and ST_Former of the published code."""

    def transformer(name: str, depth: int, features: int, hidden: int) -> Shapes:
        shapes: Shapes = {}
        for layer in range(depth):
            first, second = f"{name}.layers.{layer}.0.fn", f"{name}.layers.{layer}.1.fn"
            shapes |= norm(f"{first}.norm", features) | linear(f"{first}.fn.to_qkv", 3 * features, features, bias=False)
            shapes |= linear(f"{first}.fn.to_out.0", features, features) | norm(f"{second}.norm", features)
            shapes |= linear(f"{second}.fn.net.0", hidden, features) | linear(f"{second}.fn.net.3", features, hidden)
        return shapes

    resnet = {f"s_former.{key}": shape for key, shape in of_resnet18().items() if not key.startswith("fc.")}
    spatial = {"s_former.pos_embedding": (1, 49, 256)} | transformer("s_former.spatial_transformer", 1, 256, 512)
    temporal: Shapes = {"t_former.cls_token": (1, 1, 512), "t_former.pos_embedding": (1, 17, 512)}
    temporal |= transformer("t_former.spatial_transformer", 3, 512, 1024)
    return resnet | spatial | temporal | linear("fc", 7, 512)


def of_m3dfel() -> Shapes:
    """The published code: all children of torchvision's R3D-18 but the last, an LSTM, attention, DMIN, and a conv."""
    parts = {"stem": 0, "layer1": 1, "layer2": 2, "layer3": 3, "layer4": 4}
    shapes: Shapes = {
        f"features.{parts[key.partition('.')[0]]}.{key.partition('.')[2]}": shape
        for key, shape in of_r3d18().items()
        if not key.startswith("fc.")
    }
    for layer, into in ((0, 512), (1, 1024)):
        for way in ("", "_reverse"):
            shapes |= {f"lstm.weight_ih_l{layer}{way}": (2048, into), f"lstm.weight_hh_l{layer}{way}": (2048, 512)}
            shapes |= {f"lstm.bias_{part}_l{layer}{way}": (2048,) for part in ("ih", "hh")}
    shapes |= linear("to_qkv", 3072, 1024, bias=False)
    shapes |= {
        "norm.weight": (1, 1024, 1),
        "norm.bias": (1, 1024, 1),
        "norm.mean_weight": (2,),
        "norm.var_weight": (2,),
    }
    return shapes | {"pwconv.weight": (1, 4, 3), "pwconv.bias": (1,)} | linear("fc", 7, 1024)


def of_videomae(features: int = 768, depth: int = 12, prefix: str = "") -> Shapes:
    """The blocks of the published code, fine-tuned or, under `encoder.`, pretrained."""
    shapes: Shapes = {f"{prefix}patch_embed.proj.weight": (features, 3, 2, 16, 16)}
    shapes |= {f"{prefix}patch_embed.proj.bias": (features,)}
    for layer in range(depth):
        name = f"{prefix}blocks.{layer}"
        shapes |= norm(f"{name}.norm1", features) | {f"{name}.attn.{part}_bias": (features,) for part in "qv"}
        shapes |= linear(f"{name}.attn.qkv", 3 * features, features, bias=False)
        shapes |= linear(f"{name}.attn.proj", features, features) | norm(f"{name}.norm2", features)
        shapes |= linear(f"{name}.mlp.fc1", 4 * features, features) | linear(f"{name}.mlp.fc2", features, 4 * features)
    return shapes


def of_mae_dfer(features: int = 512, depth: int = 16, prefix: str = "") -> Shapes:
    """The parameters that the published log of DFEW lists."""
    shapes: Shapes = {f"{prefix}lg_region_tokens": (8, features)}
    shapes |= {f"{prefix}patch_embed.proj.weight": (features, 3, 2, 16, 16)}
    shapes |= {f"{prefix}patch_embed.proj.bias": (features,)}
    for layer in range(depth):
        for step in ("first", "second", "third"):
            name = f"{prefix}blocks.{layer}.{step}_attn"
            shapes |= norm(f"{name}_norm0", features) | {f"{name}.{part}_bias": (features,) for part in "qv"}
            shapes |= linear(f"{name}.q", features, features, bias=False)
            shapes |= linear(f"{name}.kv", 2 * features, features, bias=False)
            shapes |= linear(f"{name}.proj", features, features)
        name = f"{prefix}blocks.{layer}"
        shapes |= norm(f"{name}.third_attn_norm1", features) | norm(f"{name}.norm2", features)
        shapes |= linear(f"{name}.mlp.fc1", 4 * features, features) | linear(f"{name}.mlp.fc2", features, 4 * features)
    return shapes


def of_timm(features: int = 768, depth: int = 12) -> Shapes:
    """timm's VisionTransformer without its last layer."""
    shapes: Shapes = {"cls_token": (1, 1, features), "pos_embed": (1, 197, features)}
    shapes |= {"patch_embed.proj.weight": (features, 3, 16, 16), "patch_embed.proj.bias": (features,)}
    for layer in range(depth):
        name = f"blocks.{layer}"
        shapes |= norm(f"{name}.norm1", features) | linear(f"{name}.attn.qkv", 3 * features, features)
        shapes |= linear(f"{name}.attn.proj", features, features) | norm(f"{name}.norm2", features)
        shapes |= linear(f"{name}.mlp.fc1", 4 * features, features) | linear(f"{name}.mlp.fc2", features, 4 * features)
    return shapes


def of_s2d() -> Shapes:
    """The published code: a ViT-B/16 whose last norm is `ln_post`, prompts from landmarks, and adapters."""
    shapes = of_timm() | norm("ln_post", 768) | linear("head.fc_cls", 7, 768)
    shapes |= {"temporal_embedding": (1, 16, 768), "patch_embed_prompt.proj.weight": (768, 128, 1, 1)}
    shapes |= {"patch_embed_prompt.proj.bias": (768,)} | norm("prompt_norms.0", 768)
    shapes |= {"prompt_blocks.0.conv0_0.weight": (8, 768, 1, 1), "prompt_blocks.0.fovea.smooth": (1,)}
    return shapes | linear("prompt_blocks.0.TMA.T_Adapter.attn.qkv", 576, 192, bias=False)


MAE: Shapes = {"mask_token": (1, 1, 512), "decoder_pos_embed": (1, 197, 512), "decoder_embed.weight": (512, 768),
               "decoder_blocks.0.norm1.weight": (512,), "decoder_pred.bias": (768,)}  # fmt: skip
"""Of what the pretraining of MAE adds."""


def decoder(features: int, depth: int) -> Shapes:
    """What pretraining adds."""
    shapes = {f"decoder.{key}": shape for key, shape in of_videomae(features, depth).items() if "patch" not in key}
    shapes |= {"mask_token": (1, 1, features), "encoder_to_decoder.weight": (features, 2 * features)}
    shapes |= norm("decoder.norm", features) | linear("decoder.head", 1536, features)
    return shapes | norm("encoder.norm", 2 * features)


def of_transformers(features: int = 768, depth: int = 12) -> Shapes:
    """VideoMAEForVideoClassification of transformers 5."""
    shapes: Shapes = {"videomae.embeddings.patch_embeddings.projection.weight": (features, 3, 2, 16, 16)}
    shapes |= {"videomae.embeddings.patch_embeddings.projection.bias": (features,)}
    for layer in range(depth):
        name = f"videomae.encoder.layer.{layer}"
        for part in ("query", "key", "value"):
            shapes |= linear(f"{name}.attention.attention.{part}", features, features, bias=part != "key")
        shapes |= linear(f"{name}.attention.output.dense", features, features)
        shapes |= linear(f"{name}.intermediate.dense", 4 * features, features)
        shapes |= linear(f"{name}.output.dense", features, 4 * features)
        shapes |= norm(f"{name}.layernorm_before", features) | norm(f"{name}.layernorm_after", features)
    return shapes | norm("fc_norm", features) | linear("classifier", 400, features)


def made_up(shapes: Shapes) -> dict[str, Tensor]:
    """Each tensor with a value of its own, and views of one number, which take no memory."""
    state = {}
    for place, (key, shape) in enumerate(shapes.items()):
        state[key] = torch.tensor(0.001 * (place + 1)).expand(shape) if shape else torch.tensor(3)
    return state


def started(model: str, state: dict[str, Tensor], tmp_path: Path, **options: Any) -> tuple[nn.Module, str]:
    """A network started from a file, and what is told."""
    torch.save({"epoch": 3, "state_dict": {f"module.{key}": value for key, value in state.items()}}, tmp_path / "w.pth")
    network = create_model(model, len(SEVEN), **options)
    with torch.device("meta"):  # only its shapes are looked at
        other = create_model(model, len(SEVEN) + 1, **options)
    head = head_of(network, other)
    found = start_from(network, read_source(tmp_path / "w.pth"), Target(model, options, SEVEN, head))
    return network, found.told


WHOLE: dict[str, tuple[str, Shapes, int]] = {
    "torchvision's MC3-18": ("mc3_18", of_mc3(), 0),
    "torchvision's R(2+1)D-18": ("r2plus1d_18", of_r2plus1d(), 0),
    "Former-DFER": ("former_dfer", of_former_dfer(), 0),
    "M3DFEL": ("m3dfel", of_m3dfel(), 0),
    "VideoMAE, fine-tuned": ("videomae", of_videomae() | norm("fc_norm", 768) | linear("head", 400, 768), 0),
    "VideoMAE, pretrained": ("videomae", of_videomae(prefix="encoder.") | decoder(384, 4), 2),
    "VideoMAE of transformers": ("videomae", of_transformers(), 0),
    "MAE-DFER, fine-tuned": ("mae_dfer", of_mae_dfer() | norm("fc_norm", 512) | linear("head", 7, 512), 0),
    "MAE-DFER, pretrained": ("mae_dfer", of_mae_dfer(prefix="encoder.") | decoder(256, 4), 2),
}
"""Which network, the names and shapes of the file, and how many of ours it cannot have."""


@pytest.mark.slow
@pytest.mark.parametrize("published", WHOLE)
def test_published_weights_fill_the_whole_network_but_its_last_layer(published: str, tmp_path: Path) -> None:
    model, shapes, lacking = WHOLE[published]
    state = made_up(shapes)
    network, told = started(model, state, tmp_path)
    ours = {key: value for key, value in network.state_dict().items() if not key.endswith("num_batches_tracked")}
    head = [key for key in ours if key.startswith(("fc.", "head."))]
    assert len(head) == 2
    assert f": {len(ours) - 2 - lacking} of {len(ours) - 2} weights" in told and "missing" not in told
    assert ("start afresh, for the file has none: fc_norm.weight, fc_norm.bias" in told) == (lacking > 0)
    values = {round(value.flatten()[0].item(), 6) for value in state.values() if value.ndim}
    loaded = [key for key in ours if key not in head and not (lacking and key.startswith("fc_norm"))]
    for key in loaded:
        assert round(ours[key].flatten()[0].item(), 6) in values, key
    ends = [tuple(round(ours[key].flatten()[place].item(), 6) for place in (0, -1)) for key in loaded]
    assert len(set(ends)) == len(ends), "each tensor has a place of its own"


def test_the_names_lead_to_the_right_places(tmp_path: Path) -> None:
    state = made_up(of_former_dfer())
    network, _ = started("former_dfer", state, tmp_path)
    ours, name = network.state_dict(), "former.spatial_transformer.layers"
    for key, theirs in (
        ("places", "s_former.pos_embedding"), ("times", "t_former.pos_embedding"), ("token", "t_former.cls_token"),
        ("encoder.layer3.0.downsample.1.running_var", "s_former.layer3.0.downsample.1.running_var"),
        ("spatial.0.norm2.bias", f"s_{name}.0.1.fn.norm.bias"),
        ("temporal.2.mlp.fc2.bias", f"t_{name}.2.1.fn.fn.net.3.bias"),
        ("temporal.1.attn.proj.weight", f"t_{name}.1.0.fn.fn.to_out.0.weight"),
        ("spatial.0.attn.qkv.weight", f"s_{name}.0.0.fn.fn.to_qkv.weight"),
    ):  # fmt: skip
        assert torch.equal(ours[key], state[theirs]), key


@pytest.mark.parametrize("model", ["resnet18_lstm", "frame_transformer", "former_dfer"])
def test_a_resnet_of_imagenet_starts_the_encoder_and_the_rest_starts_afresh(model: str, tmp_path: Path) -> None:
    state = made_up(of_resnet18())
    torch.manual_seed(0)
    network, told = started(model, state, tmp_path)
    ours = network.state_dict()
    assert "(torchvision's ResNet-18): 100 of " in told and "2 of the file are left out: fc.weight" in told
    for key, value in state.items():
        if not key.startswith("fc.") and value.ndim:  # counters of batches are not read
            assert torch.equal(ours[f"encoder.{key}"], value), key


@pytest.mark.slow
@pytest.mark.parametrize(
    ("what", "shapes", "left"),
    [
        ("a ViT's weights in timm's form", of_timm() | norm("norm", 768) | linear("head", 1000, 768), 2),
        ("a ViT's weights in timm's form", of_timm() | norm("norm", 768) | MAE, 5),
        ("S2D's weights without landmarks and adapters", of_s2d(), 10),
    ],
)
def test_vision_transformers_start_the_encoder_of_frames(what: str, shapes: Shapes, left: int, tmp_path: Path) -> None:
    state = made_up(shapes)
    network, told = started("frame_vit", state, tmp_path)
    ours = network.state_dict()
    assert f"({what}): 150 of 152 weights" in told and f"{left} of the file are left out" in told
    for key in of_timm():
        assert torch.equal(ours[f"encoder.{key}"], state[key]), key
    assert torch.equal(ours["encoder.norm.bias"], state["ln_post.bias" if "ln_post.bias" in state else "norm.bias"])


@pytest.mark.slow
def test_the_file_of_r3d18_starts_the_backbone_of_m3dfel(tmp_path: Path) -> None:
    state = made_up(of_r3d18())
    network, told = started("m3dfel", state, tmp_path)
    ours = network.state_dict()
    assert "(torchvision's R3D-18): 100 of " in told
    read = [key for key, value in state.items() if not key.startswith("fc.") and value.ndim]
    assert all(torch.equal(ours[f"backbone.{key}"], state[key]) for key in read)


def test_of_s4d_the_transformer_is_taken_and_the_adapters_are_left_out(tmp_path: Path) -> None:
    options: dict[str, Any] = {"features": 32, "depth": 2, "heads": 4}
    shapes = of_videomae(32, 2) | norm("fc_norm", 32) | linear("head.image", 7, 32) | linear("head.video", 7, 32)
    for expert in range(2):
        shapes |= linear(f"blocks.1.moe_layer.experts.{expert}.fc1", 8, 32)
    shapes |= linear("blocks.1.moe_layer.router.topkroute_linear", 2, 32)
    _, told = started("videomae", made_up(shapes), tmp_path, **options)
    assert "(S4D's weights without their adapters): 30 of 30 weights" in told
    assert "8 of the file are left out: head.image.weight" in told


def test_queries_keys_and_values_are_joined_in_this_order(tmp_path: Path) -> None:
    options: dict[str, Any] = {"features": 8, "depth": 1, "heads": 2}
    state = made_up(of_transformers(8, 1))
    name = "videomae.encoder.layer.0.attention.attention"
    state = dict(reversed(state.items()))  # whatever the order of the file is
    network, _ = started("videomae", state, tmp_path, **options)
    wanted = torch.cat([state[f"{name}.{part}.weight"] for part in ("query", "key", "value")])
    assert torch.equal(network.state_dict()["blocks.0.attn.qkv.weight"], wanted)
    assert torch.equal(network.state_dict()["blocks.0.attn.v_bias"], state[f"{name}.value.bias"])
    del state[f"{name}.key.weight"]
    with pytest.raises(DferError, match=r"blocks\.0\.attn\.qkv\.weight \(16, 8\) instead of \(24, 8\)"):
        started("videomae", state, tmp_path, **options)
    state[f"{name}.key.weight"] = torch.zeros(8, 7)
    with pytest.raises(DferError, match=r"the parts of blocks\.0\.attn\.qkv\.weight do not fit each other"):
        started("videomae", state, tmp_path, **options)


def test_half_matching_published_weights_are_counted_and_named(tmp_path: Path) -> None:
    state = {key: value for key, value in made_up(of_former_dfer()).items() if ".layers.1." not in key}
    with pytest.raises(
        DferError, match=r"does not fit former_dfer: 136 of its 147 weights match.*11 missing: temporal\.1"
    ):
        started("former_dfer", state, tmp_path)


def test_published_weights_of_another_network_are_refused(tmp_path: Path) -> None:
    for model, shapes, said in (
        ("former_dfer", of_m3dfel(), 'it holds M3DFEL\'s weights, so set model.name to "m3dfel"'),
        ("frame_gru", of_former_dfer(), 'it holds Former-DFER\'s weights, so set model.name to "former_dfer"'),
        ("tiny3d", of_mae_dfer(), 'it holds MAE-DFER\'s weights, so set model.name to "mae_dfer"'),
        ("tiny3d", {"a.weight": (1,)}, "start from another file"),
    ):
        with pytest.raises(DferError, match=rf"does not fit {model}: 0 of its \d+ weights match.*; {said}$"):
            started(model, made_up(shapes), tmp_path)
    with pytest.raises(DferError, match=r"does not fit videomae: .* instead of \(768, 3, 2, 16, 16\)"):
        started("videomae", made_up(of_videomae(384, 12)), tmp_path)
