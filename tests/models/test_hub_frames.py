"""Image networks of the Hub on frames: small random ones, written and read by transformers; nothing is downloaded."""

from __future__ import annotations

import json
import pickle
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from dfer import DferError, EmotionSet, create_model, load_checkpoint
from dfer.models import Card, mixed_inside, save_checkpoint
from dfer.models import hub as module
from dfer.models.hub_frames import require_config
from dfer.video import Preprocessing

WITHOUT = "the networks are built by transformers, which is not installed"
transformers = pytest.importorskip("transformers", reason=WITHOUT)

PLAIN = {"hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 32}
CONFIGS: dict[str, dict[str, Any]] = {
    "vit": PLAIN | {"image_size": 32, "patch_size": 8},
    "dinov2": PLAIN | {"image_size": 28, "patch_size": 7, "mlp_ratio": 2},
    "convnext": {"hidden_sizes": [4, 8, 8, 16], "depths": [1, 1, 2, 1]},
    "clip_vision_model": PLAIN | {"image_size": 32, "patch_size": 8},
}
TWO = EmotionSet("two", ("yes", "no"))


def written(kind: str, folder: Path, **changed: Any) -> nn.Module:
    """A random image network in a folder, as transformers writes it."""
    torch.manual_seed(0)
    network = transformers.AutoModel.from_config(transformers.AutoConfig.for_model(kind, **CONFIGS[kind] | changed))
    with torch.no_grad():
        for value in network.parameters():
            value.copy_(torch.randn(value.shape) * 0.2)
    network.save_pretrained(folder)
    eval_: nn.Module = network.eval()
    return eval_


@pytest.mark.parametrize("kind", CONFIGS)
def test_a_frame_has_the_features_that_transformers_gives(kind: str, tmp_path: Path) -> None:
    theirs, clips = written(kind, tmp_path), torch.rand(2, 3, 3, 32, 32)
    network = create_model("hub_frames", 2, weights=tmp_path).eval()
    with torch.no_grad():
        answers = [theirs(clips[:, :, frame]) for frame in range(3)]
        token = kind in ("vit", "dinov2")
        rows = [answer.last_hidden_state[:, 0] if token else answer.pooler_output for answer in answers]
        mean = nn.functional.layer_norm(torch.stack(rows).mean(dim=0), (16,))
        assert torch.allclose(network(clips), network.get_submodule("fc")(mean), atol=1e-4)


@pytest.mark.parametrize("kind", CONFIGS)
def test_clips_of_other_sizes_and_a_transformer_over_time_work_and_learn(kind: str, tmp_path: Path) -> None:
    written(kind, tmp_path)
    network = create_model("hub_frames", 2, weights=str(tmp_path), layers=1, drop_path=0.0)
    clips = torch.rand(2, 3, 5, 64, 64, generator=torch.Generator().manual_seed(0))
    network.eval()(clips).square().sum().backward()
    without = [key for key, value in network.named_parameters() if value.grad is None]
    assert without == []
    with torch.no_grad():
        assert not torch.allclose(network(clips), network(clips.flip(2)), atol=1e-6)


@pytest.mark.parametrize("kind", CONFIGS)
def test_a_checkpoint_is_read_without_the_folder_that_it_started_from(kind: str, tmp_path: Path) -> None:
    written(kind, tmp_path / "image")
    network = create_model("hub_frames", 2, weights=tmp_path / "image", layers=1).eval()
    shown = Preprocessing(frames=2, size=32)
    save_checkpoint(
        tmp_path / "model", network, Card("hub_frames", {"weights": "gone", "layers": 1}, TWO, shown.to_dict())
    )
    (tmp_path / "image").rename(tmp_path / "elsewhere")
    read, card = load_checkpoint(tmp_path / "model")
    clips = torch.rand(1, 3, 2, 32, 32)
    with torch.no_grad():
        assert torch.equal(read(clips), network(clips))
    assert "weights" not in card.options and card.options["config"]["model_type"] == kind


def test_an_image_tower_is_taken_out_of_a_whole_clip(tmp_path: Path) -> None:
    torch.manual_seed(0)
    towers = {"vision_config": CONFIGS["clip_vision_model"], "text_config": PLAIN | {"vocab_size": 50}}
    clip = transformers.CLIPModel(transformers.CLIPConfig(**towers, projection_dim=8)).eval()
    clip.save_pretrained(tmp_path)
    network, clips = create_model("hub_frames", 2, weights=tmp_path).eval(), torch.rand(1, 3, 1, 32, 32)
    with torch.no_grad():
        pooled = clip.vision_model(clips[:, :, 0]).pooler_output
        assert torch.allclose(network.get_submodule("encoder")(clips[:, :, 0]), pooled, atol=1e-5)


def test_a_network_with_a_last_layer_of_its_own_gives_its_body(tmp_path: Path) -> None:
    torch.manual_seed(0)
    config = transformers.ViTConfig(**CONFIGS["vit"], num_labels=5)
    theirs = transformers.ViTForImageClassification(config).eval()
    theirs.save_pretrained(tmp_path)
    network, clips = create_model("hub_frames", 2, weights=tmp_path).eval(), torch.rand(1, 3, 1, 32, 32)
    with torch.no_grad():
        row = network.get_submodule("encoder")(clips[:, :, 0])
        assert torch.allclose(theirs.classifier(row), theirs(clips[:, :, 0]).logits, atol=1e-5)


def test_grey_frames_are_three_equal_channels(tmp_path: Path) -> None:
    written("vit", tmp_path)
    torch.manual_seed(0)
    grey = create_model("hub_frames", 2, in_channels=1, weights=tmp_path).eval()
    torch.manual_seed(0)
    colour = create_model("hub_frames", 2, weights=tmp_path).eval()
    clips = torch.rand(2, 1, 2, 32, 32)
    with torch.no_grad():
        assert torch.equal(grey(clips), colour(clips.expand(-1, 3, -1, -1, -1)))


@pytest.mark.parametrize("kind", CONFIGS)
def test_its_layers_are_stages(kind: str) -> None:
    network = create_model("hub_frames", 2, config=CONFIGS[kind] | {"model_type": kind}, layers=1).eval()
    stages: list[nn.Module] = network.stages()  # type: ignore[operator, assignment]
    assert len(stages) == (4 if kind == "convnext" else 2) + 2

    class Swapped:
        lam = torch.zeros(2)

        def carry(self, values: torch.Tensor) -> torch.Tensor:
            return values.flip(0)

    clips, swapped = torch.rand(2, 3, 2, 32, 32), set()
    with torch.no_grad():
        plain = network(clips)
        for seed in range(20):
            with mixed_inside(network, Swapped(), generator=torch.Generator().manual_seed(seed)):
                swapped.add(torch.allclose(network(clips), plain.flip(0), atol=1e-5))
    assert swapped == {True}, "before whatever stage the clips are swapped, the answers are"


def test_orders_to_run_code_are_passed_over(tmp_path: Path) -> None:
    written("vit", tmp_path)
    config = json.loads((tmp_path / "config.json").read_text())
    config |= {"auto_map": {"AutoModel": "harm.Net"}, "attn_implementation": "someone/kernel", "_name_or_path": "x/y"}
    (tmp_path / "config.json").write_text(json.dumps(config))
    (tmp_path / "harm.py").write_text("raise SystemExit('it ran')")
    network = create_model("hub_frames", 2, weights=tmp_path)
    assert network.encoder.model.config._attn_implementation in ("sdpa", "eager")  # type: ignore[union-attr]
    kept = require_config(config, "it")
    assert not {"auto_map", "attn_implementation", "_name_or_path"} & set(kept)


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"model_type": "bert"}, r"expected a model_type of vit, .* or clip, got bert"),
        ({"model_type": None}, "got None"),
        ({"num_hidden_layers": 10**9}, "at most 256 layers, got 1000000000"),
        ({"num_hidden_layers": "many"}, r"expected numbers of layers, got \['many'\]"),
        ({"patch_size": 0}, "makes no vit"),
        ({"hidden_act": "harm"}, "makes no vit"),
        ({"hidden_size": 2**20, "intermediate_size": 2**20}, "expected at most 1000000000 weights"),
        ({"num_channels": 1}, "expected a network for colour"),
    ],
)
def test_configs_of_other_networks_are_one_sentence(changed: dict[str, Any], said: str) -> None:
    with pytest.raises(DferError, match=said) as caught:
        create_model("hub_frames", 2, config={"model_type": "vit"} | CONFIGS["vit"] | changed)
    assert "\n" not in str(caught.value)


def test_weights_that_are_not_those_of_the_config_are_refused(tmp_path: Path) -> None:
    written("vit", tmp_path)
    config = json.loads((tmp_path / "config.json").read_text())
    (tmp_path / "config.json").write_text(json.dumps(config | {"num_hidden_layers": 3}))
    with pytest.raises(DferError, match=r"are not those of its config\.json: .* missing"):
        create_model("hub_frames", 2, weights=tmp_path)


def test_pickles_are_not_read(tmp_path: Path) -> None:
    written("vit", tmp_path)
    (tmp_path / "model.safetensors").unlink()
    trap = tmp_path / "sprung"

    class Bait:
        def __reduce__(self) -> tuple[Any, ...]:
            return Path.touch, (trap,)

    (tmp_path / "pytorch_model.bin").write_bytes(pickle.dumps(Bait()))
    with pytest.raises(DferError, match="makes no vit") as caught:
        create_model("hub_frames", 2, weights=tmp_path)
    assert not trap.exists() and "\n" not in str(caught.value)


def test_a_folder_without_a_network_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DferError, match=r"expected the folder of an image network, with config\.json"):
        create_model("hub_frames", 2, weights=tmp_path)


def test_a_name_of_the_hub_is_looked_for_in_the_cache_alone(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    import socket

    monkeypatch.setattr(socket, "create_connection", lambda *_, **__: pytest.fail("the network was asked"))
    monkeypatch.setattr(socket.socket, "connect", lambda *_: pytest.fail("the network was asked"))
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    with pytest.raises(DferError, match=r"nobody/nothing is no folder here, .*`hf download nobody/nothing`") as caught:
        create_model("hub_frames", 2, weights="nobody/nothing")
    assert "\n" not in str(caught.value)


def test_a_name_that_lies_in_the_cache_is_read(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    import huggingface_hub

    written("vit", tmp_path)
    seen: dict[str, Any] = {}

    def snapshot(name: str, **options: Any) -> str:
        seen.update(options, name=name)
        return str(tmp_path)

    monkeypatch.setattr(huggingface_hub, "snapshot_download", snapshot)
    create_model("hub_frames", 2, weights="owner/name")
    assert seen["name"] == "owner/name" and seen["local_files_only"] is True


def test_the_extra_is_named_where_it_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    def lacking(name: str) -> Any:
        raise ImportError(name)

    monkeypatch.setattr(module.importlib, "import_module", lacking)
    with pytest.raises(DferError, match=r"hub_frames needs transformers: pip install 'dfer\[hub\]'"):
        create_model("hub_frames", 2)
