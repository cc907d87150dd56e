"""The file of 8 bits, and the loss that is told of it, computed again from the two files."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from dfer import DferError
from dfer.inference import Predictor
from dfer.inference import quantise as module
from dfer.inference.quantise import Int8, export_int8
from dfer.labels import EmotionSet
from dfer.models import Card, create_model, save_checkpoint
from dfer.video import Preprocessing

for needed in ("onnx", "onnxscript", "onnxruntime"):
    pytest.importorskip(needed)

FIVE = EmotionSet("five", ("a", "b", "c", "d", "e"))


def pictures(count: int) -> np.ndarray:
    """Clips that are smooth, as pictures are."""
    coarse = torch.rand(count * 2, 3, 5, 5, generator=torch.Generator().manual_seed(count))
    smooth = torch.nn.functional.interpolate(coarse, size=(24, 24), mode="bilinear").view(count, 2, 3, 24, 24)
    return (smooth.permute(0, 1, 3, 4, 2) * 255).to(torch.uint8).numpy()


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> Int8:
    """A network whose batch norms have seen something, and whose answers differ, in 8 bits."""
    torch.manual_seed(0)
    network = create_model("frame_gru", 5, widths=[8, 16], hidden=8)
    shown = torch.from_numpy(pictures(8)).permute(0, 4, 1, 2, 3) / 255
    with torch.no_grad():
        for _ in range(10):
            network(shown)
        network.get_submodule("head").bias.sub_(network.eval()(shown).mean(dim=0))  # type: ignore[operator, union-attr]
    card = Card("frame_gru", {"widths": [8, 16], "hidden": 8}, FIVE, Preprocessing(frames=2, size=24).to_dict())
    card.calibration["temperature"] = 0.01
    folder = tmp_path_factory.mktemp("model")
    save_checkpoint(folder, network.eval(), card)
    return export_int8(folder, pictures(40))


def test_the_loss_is_that_of_the_two_files_on_the_clips_that_were_not_used_to_fit(told: Int8) -> None:
    import onnxruntime

    rest = pictures(40)[1::2]
    exact, rounded = (
        np.concatenate([
            onnxruntime.InferenceSession(str(told.path.with_name(name))).run(None, {"pictures": clip[None]})[0]
            for clip in rest
        ])
        for name in ("model.onnx", "model.int8.onnx")
    )  # fmt: skip
    assert told.clips == 20 and np.ptp(exact, axis=0).max() > 0.05, "the network tells clips apart"
    assert told.same == pytest.approx((exact.argmax(axis=1) == rounded.argmax(axis=1)).mean())
    assert told.largest == pytest.approx(np.abs(exact - rounded).max()) and 0 < told.largest < 0.2
    assert told.divergence == pytest.approx((exact * np.log(exact / rounded)).sum(axis=1).mean(), abs=1e-6)
    sizes = [told.path.with_name(name).stat().st_size for name in ("model.int8.onnx", "model.onnx")]
    assert told.size == pytest.approx(sizes[0] / sizes[1]) and told.speed > 0
    for part in ("on 20 clips that it was not fitted to", f"{told.same:.1%} keep", f"{told.size:.0%} of the size"):
        assert part in str(told)


def test_its_weights_have_8_bits_and_the_card_lies_in_it(told: Int8) -> None:
    import onnx

    graph = onnx.load(str(told.path))
    kept = {value.name: value.data_type for value in graph.graph.initializer}
    rounded = [kind for name, kind in kept.items() if name.endswith("_quantized")]
    assert len(rounded) > 5 and set(rounded) <= {onnx.TensorProto.INT8, onnx.TensorProto.UINT8, onnx.TensorProto.INT32}
    (card,) = (entry.value for entry in graph.metadata_props if entry.key == "card")
    assert card == (told.path.parent / "card.json").read_text(encoding="utf-8")


def test_predict_takes_it_where_it_is_asked_for_and_not_unasked(told: Int8) -> None:
    shown = pictures(3)
    answers = {
        runtime: Predictor.from_pretrained(told.path.parent, device="cpu", runtime=runtime).network(shown)
        for runtime in ("auto", "onnx", "int8")
    }
    assert np.array_equal(answers["auto"], answers["onnx"]) and not np.allclose(
        answers["int8"], answers["onnx"], atol=1e-6
    )
    assert np.allclose(answers["int8"], answers["onnx"], atol=0.2)


def test_too_few_clips_are_refused(told: Int8) -> None:
    with pytest.raises(DferError, match="fitted and measured on at least 16 clips, got 15"):
        export_int8(told.path.parent, pictures(15))


def test_what_cannot_be_rounded_leaves_the_former_file(told: Int8, monkeypatch: pytest.MonkeyPatch) -> None:
    from onnxruntime import quantization

    before = told.path.read_bytes()

    def broken(*_: object, **__: object) -> None:
        raise ValueError("no such operator\nand more")

    monkeypatch.setattr(quantization, "quantize_static", broken)
    with pytest.raises(DferError, match=r"cannot be rounded to 8 bits: no such operator and more; use model\.onnx"):
        export_int8(told.path.parent, pictures(16))
    assert told.path.read_bytes() == before
    assert {path.name for path in told.path.parent.iterdir()} == {
        "card.json", "model.onnx", "model.safetensors", "model.int8.onnx",
    }  # fmt: skip


def test_divergence_by_hand() -> None:
    wanted, found = np.array([[0.5, 0.5], [1.0, 0.0]]), np.array([[0.25, 0.75], [1.0, 0.0]])
    by_hand = (0.5 * np.log(2) + 0.5 * np.log(2 / 3)) / 2
    assert module._divergence(wanted, found) == pytest.approx(by_hand)
