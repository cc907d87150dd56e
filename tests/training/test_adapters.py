"""Adapters of low rank: their arithmetic, what is trained, and what is kept."""

from __future__ import annotations

import logging
import re
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from dfer import DferError, create_model, load_checkpoint
from dfer.datasets import Manifest
from dfer.documents import parse_toml
from dfer.models import Card, registry, save_checkpoint
from dfer.training import Recipe, fit, loop, recipe_from
from dfer.training.adapters import adapt, merged, require_called
from dfer.training.config import Lora
from dfer.training.described import explained
from dfer.training.learner import Learner
from dfer.training.record import read_log, read_summary
from dfer.video.preprocessing import Preprocessing

from .test_cached import Stop
from .toy import EMOTIONS, toy_manifest, toy_recipe

WITHOUT = "adapters are made by peft, which is not installed"
VIT = {"features": 8, "heads": 2, "depth": 2, "layers": 1}


@pytest.fixture
def peft() -> None:
    pytest.importorskip("peft", reason=WITHOUT)


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Manifest:
    return Manifest.read(toy_manifest(tmp_path_factory.mktemp("data"), clips=24))


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkpoint to start from."""
    folder = tmp_path_factory.mktemp("source")
    torch.manual_seed(3)
    shown = Preprocessing(frames=4, size=16)
    save_checkpoint(
        folder, create_model("frame_vit", 3, **VIT), Card("frame_vit", dict(VIT), EMOTIONS, shown.to_dict())
    )
    return folder


def recipe(source: Path | str, *, lora: dict[str, Any], **sections: dict[str, Any]) -> Recipe:
    values: dict[str, dict[str, Any]] = {
        "model": {"name": "frame_vit", **VIT}, "init": {"weights": str(source)}, "lora": lora,
        "optim": {"threads": 1}, **sections,
    }  # fmt: skip
    return toy_recipe(**values)


def drawn(network: nn.Module) -> nn.Module:
    """With adapters that do something, as after training."""
    for name, weight in network.named_parameters():
        if "lora_" in name:
            nn.init.normal_(weight, std=0.3)
    return network


class Layers(nn.Module):
    """A layer of each kind, and one in groups."""

    def __init__(self, emotions: int = 3) -> None:
        super().__init__()
        self.volume, self.picture = nn.Conv3d(3, 4, (1, 2, 2), bias=False), nn.Conv2d(4, 6, 3, stride=2, padding=1)
        self.line, self.grouped = nn.Conv1d(6, 8, 2), nn.Conv1d(8, 8, 1, groups=8)
        self.flat, self.head = nn.Linear(8, 5), nn.Linear(5, emotions)

    def forward(self, clips: Tensor) -> Tensor:
        maps = self.picture(torch.tanh(self.volume(clips)).mean(dim=2))
        rows = self.grouped(self.line(torch.tanh(maps).flatten(2))).mean(dim=2)
        answer: Tensor = self.head(torch.tanh(self.flat(rows)))
        return answer


def test_a_merged_weight_is_the_former_one_and_alpha_by_rank_of_b_times_a(peft: None) -> None:
    torch.manual_seed(0)
    network = Layers()
    before = {name: weight.detach().clone() for name, weight in network.named_parameters()}
    adapt(network, Lora(rank=2, alpha=6.0, layers=("volume", "picture", "line", "flat")))
    factors = {name: weight.detach() for name, weight in drawn(network).named_parameters() if "lora_" in name}
    after = dict(merged(network).named_parameters())
    assert list(after) == list(before) and len(factors) == 8
    for layer in ("volume", "picture", "line", "flat"):
        down, up = (factors[f"{layer}.lora_{which}.default.weight"] for which in ("A", "B"))
        change = torch.einsum("or,ri...->oi...", up.flatten(1), down)  # B is a convolution of one pixel
        assert torch.allclose(after[f"{layer}.weight"], before[f"{layer}.weight"] + 6 / 2 * change, atol=1e-6)
        assert not torch.allclose(after[f"{layer}.weight"], before[f"{layer}.weight"], atol=1e-2)
    same = [name for name in before if torch.equal(before[name], after[name])]
    assert same == [name for name in before if name.endswith("bias") or name.split(".")[0] in ("grouped", "head")]


def test_a_layer_s_adapter_computes_what_the_paper_says(peft: None) -> None:
    torch.manual_seed(0)
    network = nn.Sequential(nn.Linear(5, 4), nn.Linear(4, 3))
    rows, plain = torch.randn(7, 5), nn.Linear(5, 4)
    plain.load_state_dict(network[0].state_dict())
    adapt(network, Lora(rank=3, alpha=12.0, layers=("0",)))
    assert torch.equal(network[0](rows), plain(rows)), "B begins at nought"
    drawn(network)
    down, up = network[0].lora_A["default"].weight, network[0].lora_B["default"].weight
    assert (down.shape, up.shape) == ((3, 5), (4, 3))
    assert torch.allclose(network[0](rows), plain(rows) + 12 / 3 * (rows @ down.T @ up.T), atol=1e-5)


HUB = {"hidden_size": 8, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 16, "image_size": 32}
NETWORKS: list[tuple[str, dict[str, Any], tuple[str, ...], int]] = [
    ("frame_vit", VIT, (), 4),
    ("videomae", {"features": 8, "heads": 2, "depth": 2}, (), 4),
    ("mae_dfer", {"features": 8, "heads": 2, "depth": 1, "frames": 4}, (), 9),
    ("former_dfer", {"width": 4, "frames": 4}, (), 8),
    ("frame_transformer", {"width": 4}, ("encoder.*conv*",), 17),
    ("r3d18", {"width": 4}, ("layer?.0.conv1.0",), 4),
    ("frame_encoder", {"encoder": "mobilenet_v2"}, ("encoder.*",), 35),
    ("hub_frames", {"config": {"model_type": "vit", "patch_size": 16, **HUB}}, (), 8),
    ("hub_frames", {"config": {"model_type": "clip_vision_model", "patch_size": 16, **HUB}}, (), 8),
]


@pytest.mark.parametrize(("name", "options", "layers", "count"), NETWORKS, ids=lambda each: str(each)[:18])
def test_the_merged_network_computes_what_the_adapted_one_does(
    name: str, options: dict[str, Any], layers: tuple[str, ...], count: int, peft: None
) -> None:
    torch.manual_seed(0)
    network = create_model(name, 3, **options)
    names = list(network.state_dict())
    size = 160 if name == "mae_dfer" else 32
    adapt(network, Lora(rank=2, layers=layers))
    require_called(network, (3, 4, size, size))
    drawn(network).double().eval()
    kept, clips = merged(network), torch.randn(2, 3, 4, size, size).double()
    assert list(kept.state_dict()) == names
    assert sum(key.endswith("lora_A.default.weight") for key in network.state_dict()) == count
    with torch.no_grad():
        assert (kept(clips) - network(clips)).abs().max() <= 1e-9


def test_only_adapters_and_what_stands_behind_them_are_trained(
    peft: None, data: Manifest, source: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    with caplog.at_level(logging.INFO):
        fit(recipe(source, lora={"rank": 2}), data, tmp_path, fold=1)
    before, after = load_file(source / "model.safetensors"), load_file(tmp_path / "model" / "model.safetensors")
    assert before.keys() == after.keys()
    moved = {key for key in before if not torch.equal(before[key], after[key])}
    adapted = {f"encoder.blocks.{block}.attn.{part}.weight" for block in (0, 1) for part in ("qkv", "proj")}
    assert {key for key in moved if key.startswith("encoder.")} == adapted
    assert {"fc.weight", "time.layers.0.attn.qkv.weight", "time.token"} <= moved
    for key in adapted:
        assert torch.linalg.matrix_rank(after[key] - before[key], atol=1e-5) <= 2
    # (8 + 24) 2 + (8 + 8) 2 in each of two layers; 624 over time, 27 in the last layer.
    assert read_summary(tmp_path).trained == 2 * 96 + 624 + 27
    whole = sum(weight.numel() for weight in before.values())
    assert read_summary(tmp_path).parameters == whole
    assert "in 4 layers: encoder.blocks.0.attn.qkv, " in caplog.text
    monkeypatch.setitem(sys.modules, "peft", None)
    network, card = load_checkpoint(tmp_path)
    assert card.recipe["lora"]["rank"] == 2 and not any("lora" in key for key in network.state_dict())


def test_what_is_kept_was_judged(peft: None, data: Manifest, source: Path, tmp_path: Path) -> None:
    from dfer.training.predict import validation_scores

    made = recipe(source, lora={"rank": 2}, optim={"ema": 0.5, "threads": 1, "epochs": 2})
    fit(made, data, tmp_path, fold=1)
    rows = loop.choose_clips(made, data, 1).validation
    network, _ = load_checkpoint(tmp_path)
    assert validation_scores(network, data, rows, made)["val_kl"] == pytest.approx(read_log(tmp_path)[-1].val_kl)


def test_a_run_with_adapters_goes_on_to_the_same_bits(
    peft: None, data: Manifest, source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(loop, "CHECKPOINT_SECONDS", 0.0)
    made = recipe(source, lora={"rank": 2, "dropout": 0.3})
    fit(made, data, tmp_path / "whole", fold=1)
    with pytest.raises(KeyboardInterrupt):
        fit(made, data, tmp_path / "parts", fold=1, progress=Stop(4))
    fit(made, data, tmp_path / "parts", fold=1, resume=True)
    name = "model/model.safetensors"
    assert (tmp_path / "parts" / name).read_bytes() == (tmp_path / "whole" / name).read_bytes()


def test_an_adapter_learns_at_the_rate_of_its_layer(peft: None, source: Path) -> None:
    made = recipe(source, lora={"rank": 2}, optim={"layer_decay": 0.5})
    network = create_model("frame_vit", 3, **VIT)
    adapt(network, made.lora or Lora())
    learner = Learner(made, loop._accelerator(), network, lambda *_: torch.zeros(1), steps_per_epoch=1)
    shares = {id(weight): group["share"] for group in learner.optimizer.param_groups for weight in group["params"]}
    names = {name: shares[id(weight)] for name, weight in network.named_parameters() if id(weight) in shares}
    # Layers: two blocks, one over time, the last one.
    assert names["encoder.blocks.0.attn.qkv.lora_A.default.weight"] == 0.5**3
    assert names["encoder.blocks.1.attn.qkv.lora_B.default.weight"] == 0.5**2
    assert names["fc.weight"] == 1 and "encoder.norm.weight" not in names


@pytest.mark.parametrize(
    ("lora", "said"),
    [
        ({"layers": ["encoder.*atn*"]}, r"in front of the last one is called encoder\.\*atn\*.*blocks\.0\.attn"),
        ({"layers": ["encoder.blocks.0.attn.qvk"]}, r"did you mean 'encoder\.blocks\.0\.attn\.qkv'"),
        ({"layers": ["fc"]}, "no layer in front of the last one is called fc"),
        ({"rank": 9}, r"lora\.rank is 9, and the weights of encoder\.blocks\.0\.attn\.qkv have a rank of 8 at most"),
        ({"rank": 0}, r"lora\.rank.* greater than or equal to 1, got 0"),
        ({"dropout": 1.0}, r"lora\.dropout.* less than 1"),
        ({"alpha": 0}, r"lora\.alpha.* greater than 0"),
        ({"rnak": 4}, r"lora\.rnak.*rank"),
    ],
)  # fmt: skip
def test_what_cannot_be_adapted_is_one_sentence(
    lora: dict[str, Any], said: str, peft: None, data: Manifest, source: Path, tmp_path: Path
) -> None:
    with pytest.raises(DferError, match=said) as caught:
        fit(recipe(source, lora=lora), data, tmp_path / "run", fold=1)
    assert "\n" not in str(caught.value)


def test_a_network_without_attention_says_which_layers_it_has(peft: None) -> None:
    with pytest.raises(DferError, match=r"is called \*att\*; linear layers and convolutions without groups are stem"):
        adapt(create_model("r3d18", 3, width=4), Lora())


def test_weights_that_start_afresh_are_not_left_untrained(
    peft: None, data: Manifest, source: Path, tmp_path: Path
) -> None:
    state = load_file(source / "model.safetensors")
    del state["encoder.blocks.1.norm1.weight"]
    save_file(state, tmp_path / "w.safetensors")
    made = recipe(tmp_path / "w.safetensors", lora={})
    made = made.model_copy(update={"init": made.init.model_copy(update={"partial": True})})
    with pytest.raises(DferError, match=r"1 of them start afresh: encoder\.blocks\.1\.norm1\.weight; start from"):
        fit(made, data, tmp_path / "run", fold=1)


def test_a_network_that_was_not_trained_is_refused(data: Manifest, tmp_path: Path) -> None:
    with pytest.raises(DferError, match=r"frame_vit would start from random weights, .* with --init"):
        fit(recipe("", lora={}), data, tmp_path, fold=1)


@pytest.mark.parametrize("init", [{"freeze": ["encoder"]}, {"freeze": ["encoder"], "cache": 1}])
def test_adapters_and_frozen_layers_exclude_each_other(init: dict[str, Any]) -> None:
    with pytest.raises(DferError, match=r"leave init\.freeze and init\.cache out"):
        recipe_from({"lora": {}, "init": init})


def test_layers_whose_weights_are_read_past_them_are_refused(peft: None, monkeypatch: pytest.MonkeyPatch) -> None:
    network = create_model("frame_encoder", 3, encoder="mobilenet_v2", temporal="transformer", hidden=64)
    adapt(network, Lora(layers=("temporal.layers.layers.0.linear1", "temporal.layers.layers.*.self_attn.out_proj")))
    with pytest.raises(
        DferError, match=r"0\.self_attn\.out_proj.*1\.self_attn\.out_proj cannot have adapters"
    ) as caught:
        require_called(network, (3, 2, 32, 32))
    assert "linear1" not in str(caught.value)


def test_without_peft_one_sentence_says_how_to_install_it(
    data: Manifest, source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "peft", None)
    with pytest.raises(DferError, match=r"lora needs peft: pip install 'dfer\[peft\]'"):
        fit(recipe(source, lora={}), data, tmp_path, fold=1)


def test_a_recipe_without_the_table_or_with_off_has_none() -> None:
    assert recipe_from({}).lora is None and recipe_from({"lora": "off"}).lora is None
    assert recipe_from({"lora": {}}).lora == Lora(rank=8, alpha=16.0)


def test_own_networks_may_have_read_weights_themselves(
    peft: None, data: Manifest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(registry, "_REGISTERED", {"layers": Layers})
    made = toy_recipe(
        model={"name": "layers"}, lora={"rank": 2, "layers": ["volume"]}, optim={"epochs": 1, "threads": 1}
    )
    fit(made, data, tmp_path, fold=1)
    # (3 * 2 * 2 + 4) 2 in the adapter; what stands behind it is trained whole.
    behind = sum(weight.numel() for name, weight in Layers().named_parameters() if not name.startswith("volume"))
    assert read_summary(tmp_path).trained == 32 + behind


def test_the_recipe_that_is_shown_says_what_each_key_means_and_reads_back() -> None:
    made = recipe_from({"lora": {"rank": 4, "layers": ["encoder.*"]}})
    shown = explained(made)
    assert re.search(r"# The rank of each adapter.*\nrank = 4\n", shown)
    assert recipe_from(parse_toml(shown, "shown")) == made
    assert 'lora = "off"' in explained(recipe_from({}))
