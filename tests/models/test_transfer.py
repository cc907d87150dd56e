"""Starting from trained weights: what is taken over, by name, and what is refused."""

from __future__ import annotations

import argparse
import io
import pickle
import sys
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from tests.bait import Bait
from torch import Tensor, nn

from dfer import DferError, EmotionSet, create_model, load_checkpoint
from dfer.models import Card, save_checkpoint
from dfer.models.transfer import Source, Target, head_of, read_source, start_from, unprefixed
from dfer.video import Preprocessing

OPTIONS: dict[str, dict[str, Any]] = {
    "frame_gru": {"widths": [4, 8], "hidden": 6}, "m3dfel": {"width": 8, "bag": 2, "instance_length": 2},
    "r3d18": {"width": 4}, "tiny3d": {"width": 4},
}  # fmt: skip
SHOWN = Preprocessing(frames=4, size=16).to_dict()
SOURCE = EmotionSet("source", ("happy", "sad", "neutral", "fear"))


def built(name: str = "tiny3d", emotions: int = 4, seed: int = 0, **options: Any) -> nn.Module:
    torch.manual_seed(seed)
    return create_model(name, emotions, **OPTIONS[name] | options)


def started(
    source: Source, emotions: EmotionSet, *, name: str = "tiny3d", **how: Any
) -> tuple[nn.Module, nn.Module, str]:
    """The network, as it was before, and what was told."""
    network, before = (built(name, len(emotions), seed=1) for _ in range(2))
    target = Target(name, OPTIONS[name], emotions, head_of(network, built(name, len(emotions) + 1)))
    return network, before, start_from(network, source, target, **how).told


def from_card(state: dict[str, Tensor], name: str = "tiny3d", **options: Any) -> Source:
    return Source("model", state, Card(name, OPTIONS[name] | options, SOURCE, SHOWN))


@pytest.mark.parametrize(
    ("name", "keys"),
    [("frame_gru", {"head.weight", "head.bias"}), ("tiny3d", {"head.weight", "head.bias"}),
     ("r3d18", {"fc.weight", "fc.bias"}), ("m3dfel", {"fc.weight", "fc.bias"})],
)  # fmt: skip
@pytest.mark.parametrize("emotions", [4, 8])
def test_the_head_is_found_also_where_other_layers_are_as_wide_as_there_are_emotions(
    name: str, keys: set[str], emotions: int
) -> None:
    assert head_of(built(name, emotions), built(name, emotions + 1)) == dict.fromkeys(keys, 0)


@pytest.mark.parametrize(
    "emotions",
    [
        ("happy", "sad", "neutral", "fear"), ("fear", "neutral", "sad", "happy"), ("sad", "pain", "happy"),
        ("pain", "Happiness", "boredom", "sad", "fear", "neutral", "anger"),
    ],
)  # fmt: skip
@pytest.mark.parametrize("name", OPTIONS)
def test_emotions_are_taken_over_by_name(name: str, emotions: tuple[str, ...]) -> None:
    trained = built(name, 4)
    network, before, told = started(from_card(trained.state_dict(), name), EmotionSet("mine", emotions), name=name)
    ours, fresh, its = network.state_dict(), before.state_dict(), trained.state_dict()
    head = "fc" if name in ("r3d18", "m3dfel") else "head"
    order = {"happy": 0, "Happiness": 0, "sad": 1, "neutral": 2, "fear": 3}
    for row, emotion in enumerate(emotions):
        for part in (f"{head}.weight", f"{head}.bias"):
            wanted = its[part][order[emotion]] if emotion in order else fresh[part][row]
            assert torch.equal(ours[part][row], wanted), (emotion, part)
    rest = [key for key in ours if not key.startswith(f"{head}.")]
    assert all(torch.equal(ours[key], its[key]) for key in rest)
    unknown = [emotion for emotion in emotions if emotion not in order]
    assert all(emotion in told for emotion in emotions) and ("afresh" in told) == bool(unknown)


def test_a_file_without_names_of_emotions_gives_no_head_though_the_number_is_the_same() -> None:
    trained = built()
    network, before, told = started(Source("w.pth", trained.state_dict()), SOURCE)
    assert torch.equal(network.head.weight, before.head.weight) and "starts afresh" in told
    assert torch.equal(network.stem[0].weight, trained.stem[0].weight)


def test_a_label_space_with_nothing_in_common_starts_with_a_fresh_head_and_says_so() -> None:
    mine = EmotionSet("pain", ("no pain", "pain"))
    network, before, told = started(from_card(built().state_dict()), mine)
    assert torch.equal(network.head.weight, before.head.weight)
    assert "starts afresh, for it knows none of no pain, pain" in told


WRAPPED: dict[str, Callable[[dict[str, Tensor]], dict[str, Any]]] = {
    "bare": lambda state: state,
    "state_dict": lambda state: {"epoch": 3, "state_dict": state, "optimizer": {"state": {}, "lr": 0.1}},
    "model": lambda state: {"model": state, "args": {"lr": 0.1}},
    "two deep": lambda state: {"model": {"state_dict": state}},
    "module.": lambda state: {"state_dict": {f"module.{key}": value for key, value in state.items()}},
    "lightning": lambda state: {"state_dict": {f"model.{k}": v for k, v in state.items()}, "loops": {}, "epoch": 1},
    "compiled and parallel": lambda state: {f"module._orig_mod.{key}": value for key, value in state.items()},
    "no counters": lambda state: {key: value for key, value in state.items() if "num_batches" not in key},
    "half precision": lambda state: {k: v.half() if v.is_floating_point() else v for k, v in state.items()},
}


@pytest.mark.parametrize("kind", WRAPPED)
def test_files_of_all_usual_forms_are_read(tmp_path: Path, kind: str) -> None:
    trained = built()
    torch.save(WRAPPED[kind](trained.state_dict()), tmp_path / "w.pth")
    network, _, _ = started(read_source(tmp_path / "w.pth"), SOURCE)
    weight = trained.blocks[2].conv1[0].weight
    assert torch.equal(network.blocks[2].conv1[0].weight, weight.half().float() if "half" in kind else weight)


def test_safetensors_and_the_name_of_a_shipped_model_and_a_run_are_read(tmp_path: Path) -> None:
    trained = built()
    save_file({key: value.contiguous() for key, value in trained.state_dict().items()}, tmp_path / "w.safetensors")
    assert read_source(tmp_path / "w.safetensors").card is None
    save_checkpoint(tmp_path / "run" / "fold2" / "model", trained, Card("tiny3d", OPTIONS["tiny3d"], SOURCE, SHOWN))
    read = read_source(tmp_path / "run")
    assert read.card is not None and torch.equal(read.state["head.bias"], trained.head.bias)
    shipped, card = load_checkpoint("faces")
    assert read_source("faces").card == card and read_source("faces").state.keys() == shipped.state_dict().keys()


@pytest.mark.parametrize("writer", ["torch", "torch, old format", "pickle"])
@pytest.mark.parametrize("name", ["w.pth", "w.bin", "w.ckpt", "w.safetensors"])
def test_a_pickle_with_code_in_it_is_refused_and_does_not_run(tmp_path: Path, writer: str, name: str) -> None:
    trap, path = tmp_path / "sprung", tmp_path / name
    harm = {"state_dict": built().state_dict(), "hook": Bait(trap)}
    if writer == "pickle":
        path.write_bytes(pickle.dumps(harm))
    else:
        torch.save(harm, path, _use_new_zipfile_serialization=writer == "torch")
    with pytest.raises(DferError, match="cannot read weights") as caught:
        read_source(path)
    assert not trap.exists() and "\n" not in str(caught.value)
    if writer == "torch":
        torch.load(io.BytesIO(path.read_bytes()), weights_only=False)
        assert trap.exists(), "the bait would have worked"


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("pointer.pth", b"version https://git-lfs.github.com/spec/v1\noid sha256:12\n", "a git-LFS pointer.*lfs pull"),
        ("page.pt", b"\n <!DOCTYPE html><title>404</title>", "a web page"),
        ("keras.bin", b"\x89HDF\r\n\x1a\n" + bytes(64), "an HDF5 file"),
        ("array.ckpt", b"\x93NUMPY\x01\x00v\x00{}", "an array of NumPy"),
        ("graph.onnx", b"\x08\x07\x12\x07pytorch\x1a\x012", "no file of torch, or it is damaged"),
        ("page.safetensors", b"<html>moved</html>", "a web page"),
        ("nothing.pth", b"", "it is empty"),
        ("notes.pth", b"ask Ben\nfor it", "it is a text that begins 'ask Ben"),
    ],
)  # fmt: skip
def test_what_is_taken_for_weights_is_told_by_its_beginning(
    tmp_path: Path, name: str, content: bytes, said: str
) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(DferError, match=f"cannot read weights from .*{name}: .*{said}") as caught:
        read_source(tmp_path / name)
    assert "weights_only" not in str(caught.value), "nobody is told to run the code in a file"


def test_an_address_is_not_fetched() -> None:
    with pytest.raises(DferError, match=r"https://example\.org/w\.pth is an address; nothing is fetched"):
        read_source("https://example.org/w.pth")


def test_a_whole_network_in_a_file_is_named_and_not_built(tmp_path: Path) -> None:
    torch.save(nn.Linear(3, 3), tmp_path / "whole.pth")
    with pytest.raises(DferError, match=r"it holds torch\.nn\.modules\.linear\.Linear, .* not run; .*state_dict\(\)"):
        read_source(tmp_path / "whole.pth")


@pytest.mark.filterwarnings("error")
def test_a_network_of_torchscript_is_one_sentence(tmp_path: Path) -> None:
    path = tmp_path / "script.pt"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.jit.save(torch.jit.script(nn.Linear(3, 3)), str(path))
    with pytest.raises(DferError, match=r"script\.pt: it is a network of TorchScript; .*state_dict\(\)"):
        read_source(path)


@pytest.mark.parametrize(
    ("state", "found"),
    [
        ({7: torch.ones(2)}, r"7 \(strided tensor on cpu\)"),
        ({"a.weight": torch.eye(3).to_sparse()}, r"a\.weight \(sparse_coo tensor on cpu\)"),
        ({"a.weight": torch.empty(3, device="meta")}, r"a\.weight \(strided tensor on meta\)"),
        ({"best": 0.7, "epoch": 4}, r"best \(float\), epoch \(int\)"),
    ],
)
def test_what_is_no_ordinary_tensor_with_a_name_is_named(
    tmp_path: Path, state: dict[object, object], found: str
) -> None:
    torch.save(state, tmp_path / "odd.pth")
    with pytest.raises(DferError, match=f"expected ordinary tensors by name, .*found {found}"):
        read_source(tmp_path / "odd.pth")


@pytest.mark.parametrize(("name", "said"), [("gone.pth", "No such file"), ("gone.safetensors", "No such file")])
def test_a_file_that_is_missing_is_no_name_of_a_model(tmp_path: Path, name: str, said: str) -> None:
    with pytest.raises(DferError, match=f"{name} cannot be read: {said}"):
        read_source(tmp_path / name)


# -- what does not fit ----------------------------------------------------------------------------------------------


def refusal(source: Source, **how: Any) -> str:
    with pytest.raises(DferError) as caught:
        started(source, SOURCE, **how)
    assert "\n" not in str(caught.value) and len(str(caught.value)) < 700
    return str(caught.value)


def test_another_architecture_is_one_sentence() -> None:
    said = refusal(from_card(built("r3d18").state_dict(), "r3d18"))
    assert 'model is a r3d18, and the recipe\'s network a tiny3d; set model.name to "r3d18"' in said
    assert "does not fit tiny3d: 0 of its" in refusal(Source("w.pth", built("frame_gru").state_dict()))


def test_another_width_lists_shapes_and_options() -> None:
    said = refusal(from_card(built(width=8).state_dict(), width=8))
    assert "of another shape: stem.0.weight (8, 3, 1, 5, 5) instead of (4, 3, 1, 5, 5)" in said
    assert "its options differ: width=8 there and 4 in the recipe" in said


def test_half_matching_weights_are_listed_and_taken_over_when_asked_for() -> None:
    state = dict(built().state_dict())
    del state["blocks.2.conv2.0.weight"]
    state["blocks.0.conv1.0.weight"] = torch.zeros(2, 2)
    state["decoder.weight"] = torch.zeros(3)
    said = refusal(Source("w.pth", state))
    for part in ("weights match (stem.0.weight", "1 missing: blocks.2.conv2.0", "1 unexpected: decoder.weight",
                 "1 of another shape: blocks.0.conv1.0.weight (2, 2) instead of", "set init.partial=true"):  # fmt: skip
        assert part in said
    network, before, told = started(Source("w.pth", state), SOURCE, partial=True)
    assert torch.equal(network.blocks[0].conv1[0].weight, before.blocks[0].conv1[0].weight)
    assert torch.equal(network.stem[0].weight, state["stem.0.weight"]) and "1 unexpected" in told


def test_weights_that_are_not_finite_are_refused() -> None:
    state = dict(built().state_dict())
    state["stem.0.weight"] = state["stem.0.weight"] * float("nan")
    assert "not finite: stem.0.weight" in refusal(Source("w.pth", state))


def test_a_student_and_a_teacher_in_one_file_are_not_told_apart_by_chance() -> None:
    state = {f"{who}.{key}": value for who in ("student", "teacher") for key, value in built().state_dict().items()}
    assert "holds several networks that fit, under student., teacher." in refusal(Source("w.pth", state))


class RecorderMeter:
    """As Former-DFER's training has one."""

    def __init__(self) -> None:
        self.epoch_losses = np.zeros((2, 2), np.float32)


@pytest.mark.parametrize("zipped", [True, False])
def test_what_the_fields_trainings_save_beside_the_weights_is_passed_over_and_not_built(
    tmp_path: Path, zipped: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(RecorderMeter, "__module__", "__main__")
    monkeypatch.setattr(sys.modules["__main__"], "RecorderMeter", RecorderMeter, raising=False)
    state = built().state_dict()
    kept = {"args": argparse.Namespace(lr=0.1, gpu="0"), "best_wa": np.float64(0.6), "recorder": RecorderMeter(),
            "best": np.array([0.5]), "epoch": 3}  # fmt: skip
    torch.save({"state_dict": state} | kept, tmp_path / "w.pth", _use_new_zipfile_serialization=zipped)
    monkeypatch.setattr(RecorderMeter, "__setstate__", lambda *_: pytest.fail("it was built"), raising=False)
    found = read_source(tmp_path / "w.pth").state
    assert all(torch.equal(found[key], value) for key, value in state.items())


def test_a_name_that_is_passed_over_carries_no_code(tmp_path: Path) -> None:
    trap = tmp_path / "sprung"

    class Reduced:
        def __reduce__(self) -> tuple[Any, ...]:
            return argparse.Namespace, (), {"hook": Bait(trap)}

    torch.save({"state_dict": built().state_dict(), "args": Reduced()}, tmp_path / "w.pth")
    with pytest.raises(DferError, match="cannot read weights"):
        read_source(tmp_path / "w.pth")
    assert not trap.exists()


def test_a_prefix_is_that_of_the_most_weights() -> None:
    state = {"model.a.weight": torch.zeros(1), "model.b.weight": torch.zeros(1), "loss.weight": torch.zeros(1)}
    assert list(unprefixed(state, ["a.weight", "b.weight"], "w")) == ["a.weight", "b.weight", "loss.weight"]
    assert unprefixed(state, ["model.a.weight"], "w") == state


def test_a_card_with_a_module_in_it_has_nothing_imported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = from_card(built().state_dict())
    assert source.card is not None
    save_checkpoint(tmp_path, built(), source.card)
    text = (tmp_path / "card.json").read_text()
    (tmp_path / "card.json").write_text(text.replace('"tiny3d"', '"canary_of_card:Net"'))
    (tmp_path / "canary_of_card.py").write_text("raise SystemExit")
    monkeypatch.chdir(tmp_path)
    assert "model.name" in refusal(read_source(tmp_path))
