"""The ONNX file and torch give the same numbers; one that does not is not kept."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from dfer import DferError, EmotionSet
from dfer.inference import export as module
from dfer.inference.network import TorchNetwork, choose_network, onnx_network, torch_network
from dfer.labels import DFEW
from dfer.models import Card, create_model, load_checkpoint, register_model, save_checkpoint
from dfer.video import Preprocessing
from tests.training.toy import Linear

for needed in ("onnx", "onnxscript", "onnxruntime"):
    pytest.importorskip(needed)


@pytest.fixture(scope="module", params=[{}, {"mirror": True}, {"centre": 0.8}], ids=["plain", "mirror", "centre"])
def folder(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A network whose batch norms have seen something, so that its logits differ."""
    torch.manual_seed(0)
    model = create_model("frame_gru", 7, widths=[8, 16], hidden=8)
    with torch.no_grad():
        for _ in range(5):
            model(torch.rand(8, 3, 4, 24, 24))
    preprocessing = Preprocessing(frames=4, size=24, mean=(0.3, 0.4, 0.5), std=(0.2, 0.3, 0.4), **request.param)
    card = Card("frame_gru", {"widths": [8, 16], "hidden": 8}, DFEW, preprocessing.to_dict())
    card.calibration["temperature"] = 0.2
    path = tmp_path_factory.mktemp("model")
    save_checkpoint(path, model.eval(), card)
    module.export_onnx(path)
    return path


@pytest.mark.parametrize("batch", [1, 2, 7])
def test_both_runtimes_give_the_same_numbers_for_any_batch(folder: Path, batch: int) -> None:
    pictures = np.random.default_rng(batch).integers(0, 256, (batch, 4, 24, 24, 3), dtype=np.uint8)
    model, card = load_checkpoint(folder)
    ours, theirs = torch_network(model, card)(pictures), onnx_network(folder / "model.onnx")(pictures)
    assert ours.shape == (batch, 7) and np.allclose(ours, theirs, atol=1e-5)
    assert np.allclose(ours.sum(axis=1), 1, atol=1e-5) and np.ptp(ours, axis=1).min() > 0.01
    mirrored = torch_network(model, card)(pictures[:, :, :, ::-1].copy())
    assert np.allclose(ours, mirrored, atol=1e-5) == card.preprocessing["mirror"]


def test_the_card_lies_in_the_file(folder: Path) -> None:
    import onnx

    (entry,) = (entry for entry in onnx.load(str(folder / "model.onnx")).metadata_props if entry.key == "card")
    assert entry.value == (folder / "card.json").read_text(encoding="utf-8")


def test_a_runtime_is_chosen_where_there_are_two(folder: Path) -> None:
    model, card = load_checkpoint(folder)
    pictures = np.zeros((1, 4, 24, 24, 3), np.uint8)
    auto, onnx, ours = (
        choose_network(folder, model, card, device="cpu", runtime=name)(pictures) for name in ("auto", "onnx", "torch")
    )
    assert np.allclose(auto, onnx, atol=1e-5) and np.allclose(auto, ours, atol=1e-5)


@pytest.mark.parametrize(("frames", "mirror", "chosen"), [(1, True, "torch"), (1, False, "onnx"), (4, True, "onnx")])
def test_a_network_that_films_show_two_views_in_turns_stays_in_torch(
    tmp_path: Path, frames: int, mirror: bool, chosen: str
) -> None:
    card = Card("tiny3d", {}, DFEW, Preprocessing(frames=frames, size=24, mirror=mirror).to_dict())
    model = create_model("tiny3d", 7).eval()
    save_checkpoint(tmp_path, model, card)
    module.export_onnx(tmp_path)
    found = choose_network(tmp_path, model, card, device="auto", runtime="auto")
    assert isinstance(found, TorchNetwork) == (chosen == "torch" or torch.cuda.is_available())
    assert not isinstance(choose_network(tmp_path, model, card, device="auto", runtime="onnx"), TorchNetwork)


def test_a_file_of_other_weights_or_another_card_is_not_used(
    folder: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    pictures = np.random.default_rng(0).integers(0, 256, (1, 4, 24, 24, 3), dtype=np.uint8)
    former, card = load_checkpoint(folder)
    other = create_model(card.model, 7, **card.options).eval()
    backwards = EmotionSet("backwards", tuple(reversed(tuple(DFEW))))
    for model, told in ((other, card), (former, replace(card, emotions=backwards, answer=()))):
        place = Path(shutil.copytree(folder, tmp_path / told.emotions.name))
        save_checkpoint(place, model, told)
        caplog.clear()
        auto = choose_network(place, model, told, device="cpu", runtime="auto")(pictures)
        assert np.allclose(auto, torch_network(model, told)(pictures), atol=1e-7)
        assert "model.onnx was not made of the card.json and model.safetensors beside it" in caplog.text
        with pytest.raises(DferError, match="make it anew with dfer export"):
            choose_network(place, model, told, device="cpu", runtime="onnx")
        with pytest.raises(DferError, match=r"has no model\.int8\.onnx; dfer export --int8 --data writes it"):
            choose_network(place, model, told, device="cpu", runtime="int8")
        module.export_onnx(place)
        choose_network(place, model, told, device="cpu", runtime="onnx")


def test_a_file_that_differs_from_torch_is_not_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    register_model("linear", Linear)
    card = Card("linear", {}, DFEW, Preprocessing(frames=4, size=16).to_dict())
    folder = tmp_path / "model"
    save_checkpoint(folder, create_model("linear", 7).eval(), card)
    module.export_onnx(folder)
    before = (folder / "model.onnx").read_bytes()
    monkeypatch.setattr(module, "TOLERANCE", -1.0)
    with pytest.raises(DferError, match="differs from torch by"):
        module.export_onnx(folder)
    assert (folder / "model.onnx").read_bytes() == before
    assert {path.name for path in folder.iterdir()} == {"card.json", "model.onnx", "model.safetensors"}


def test_a_damaged_onnx_file_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "model.onnx").write_bytes(b"no network")
    with pytest.raises(DferError, match=r"model\.onnx is missing, damaged or not an ONNX file"):
        onnx_network(tmp_path / "model.onnx")


def test_what_is_no_checkpoint_is_not_exported(tmp_path: Path) -> None:
    with pytest.raises(DferError, match="not a checkpoint"):
        module.export_onnx(tmp_path)


def test_what_is_not_installed_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(module.importlib.util, "find_spec", lambda _: None)
    with pytest.raises(DferError, match=r"export needs onnx, onnxscript, onnxruntime: pip install 'dfer\[onnx\]'"):
        module.export_onnx(tmp_path)


class Counts(torch.nn.Module):
    """A network that asks for the size of a batch in a way that the exporter takes for a fixed number."""

    def __init__(self, emotions: int) -> None:
        super().__init__()
        self.head = torch.nn.Linear(3 * 4 * 24 * 24, emotions)

    def forward(self, clips: torch.Tensor) -> torch.Tensor:
        return self.head(clips.reshape(len(clips), -1))


def test_a_network_that_exports_for_one_size_of_batch_alone_is_told_why(tmp_path: Path) -> None:
    register_model("counts", Counts)
    torch.manual_seed(0)
    card = Card("counts", {}, DFEW, Preprocessing(frames=4, size=24).to_dict())
    save_checkpoint(tmp_path, create_model("counts", 7).eval(), card)
    with pytest.raises(DferError, match=r"must use clips\.shape\[0\], for len\(clips\)") as caught:
        module.export_onnx(tmp_path)
    assert "\n" not in str(caught.value) and not (tmp_path / "model.onnx").exists()
