"""Checkpoints: what comes back, what is refused, and what a kill leaves behind."""

from __future__ import annotations

import io
import json
import os
import pickle
import re
import resource
import shutil
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from safetensors.torch import load_file, save_file
from tests.bait import Bait

from dfer import DferError, EmotionSet, create_model
from dfer.labels import DFEW, FERPLUS
from dfer.models import Card, load_checkpoint, require_emotions, save_checkpoint
from dfer.video import Preprocessing

PREPROCESSING = Preprocessing(frames=8, size=48, mean=(0.43216, 0.394666, 0.37645), std=(0.22803, 0.22145, 0.216989))
GREY = Preprocessing(frames=8, size=48, grey=True)
OPTIONS: dict[str, dict[str, Any]] = {
    "frame_gru": {"widths": [4, 8], "hidden": 6, "in_channels": 1},
    "m3dfel": {"width": 4, "bag": 2, "instance_length": 4},
    "r3d18": {"width": 4},
    "tiny3d": {"width": 4},
}


def card(name: str = "tiny3d", emotions: EmotionSet = DFEW, **changes: Any) -> Card:
    shown = GREY if OPTIONS[name].get("in_channels") == 1 else PREPROCESSING
    values = {"options": OPTIONS[name], "preprocessing": shown.to_dict()} | changes
    return Card(name, values.pop("options"), emotions, values.pop("preprocessing"), **values)


def trained(name: str = "tiny3d", seed: int = 0) -> torch.nn.Module:
    """A network whose weights and batch statistics are its own."""
    torch.manual_seed(seed)
    model = create_model(name, 7, **OPTIONS[name])
    model.train()(shown(name))
    return model.eval()


def shown(name: str = "tiny3d") -> torch.Tensor:
    channels = OPTIONS[name].get("in_channels", 3)
    return torch.rand(2, channels, 8, 32, 32, generator=torch.Generator().manual_seed(1))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A good checkpoint."""
    save_checkpoint(tmp_path / "model", trained(), card())
    return tmp_path / "model"


def edit(folder: Path, **changes: Any) -> None:
    path = folder / "card.json"
    path.write_text(json.dumps(json.loads(path.read_text(encoding="utf-8")) | changes), encoding="utf-8")


def edit_weights(folder: Path, change: Callable[[dict[str, torch.Tensor]], object]) -> None:
    state = load_file(folder / "model.safetensors")
    change(state)
    save_file(state, folder / "model.safetensors")


def refusal(folder: Path) -> str:
    with pytest.raises(DferError) as caught:
        load_checkpoint(folder)
    said = str(caught.value)
    assert str(folder) in said, "names the place"
    return said


@pytest.mark.parametrize("name", OPTIONS)
def test_what_was_saved_gives_the_same_logits_when_loaded(tmp_path: Path, name: str) -> None:
    model = trained(name)
    save_checkpoint(tmp_path / "deep" / "model", model, card(name))
    again, _ = load_checkpoint(tmp_path / "deep" / "model")
    assert not again.training
    with torch.no_grad():
        assert torch.equal(again(shown(name)), model(shown(name)))


def test_the_card_holds_emotions_in_order_preprocessing_and_every_option(folder: Path) -> None:
    written = json.loads((folder / "card.json").read_text(encoding="utf-8"))
    assert written["emotions"]["emotions"] == ["happy", "sad", "neutral", "angry", "surprise", "disgust", "fear"]
    assert written["options"] == {"width": 4, "dropout": 0.2}, "defaults are written down"
    _, read = load_checkpoint(folder)
    assert list(read.emotions) == list(DFEW) and read.emotions.name == DFEW.name
    assert read.preprocessing == json.loads(json.dumps(PREPROCESSING.to_dict()))
    assert tuple(Preprocessing(**read.preprocessing).mean) == (0.43216, 0.394666, 0.37645)


def test_data_metrics_and_recipe_travel_along(tmp_path: Path) -> None:
    told = {"data": {"source": "dfew", "clips": 3}, "metrics": {"war": 0.5}, "recipe": {"optim": {"lr": 1e-3}}}
    save_checkpoint(tmp_path, trained(), card(**told))
    _, read = load_checkpoint(tmp_path)
    assert {key: getattr(read, key) for key in told} == told


def test_the_folder_holds_two_files_and_no_pickle(folder: Path) -> None:
    assert sorted(path.name for path in folder.iterdir()) == ["card.json", "model.safetensors"]
    content = (folder / "model.safetensors").read_bytes()
    length = int.from_bytes(content[:8], "little")
    tensors = json.loads(content[8 : 8 + length])
    assert set(tensors) - {"__metadata__"} == set(trained().state_dict()), "8 bytes of length, a JSON header, numbers"


def test_the_file_that_it_started_from_is_not_needed_to_load_it(tmp_path: Path) -> None:
    start = tmp_path / "start.pth"
    torch.save(create_model("r3d18", 7, width=4).state_dict(), start)
    model = create_model("r3d18", 7, width=4, weights=start).eval()
    save_checkpoint(tmp_path / "model", model, card("r3d18", options={"width": 4, "weights": start}))
    start.unlink()
    assert "start.pth" not in (tmp_path / "model" / "card.json").read_text(encoding="utf-8")
    again, _ = load_checkpoint(tmp_path / "model")
    assert torch.equal(again(shown()), model(shown()))


def test_a_card_that_names_a_file_of_weights_does_not_have_it_read(folder: Path, tmp_path: Path) -> None:
    save_checkpoint(folder, trained("r3d18"), card("r3d18"))
    edit(folder, options={"width": 4, "weights": str(tmp_path / "elsewhere.pth")})
    _, read = load_checkpoint(folder)
    assert read.options == {"width": 4}


def test_a_second_save_replaces_the_first(folder: Path) -> None:
    other = trained(seed=1)
    save_checkpoint(folder, other, card(metrics={"epoch": 2}))
    again, read = load_checkpoint(folder)
    assert read.metrics == {"epoch": 2} and torch.equal(again(shown()), other(shown()))


def test_data_with_other_emotions_or_another_order_are_refused_and_both_are_said() -> None:
    require_emotions(card(), EmotionSet("mine", tuple(DFEW)))
    with pytest.raises(DferError, match=r"knows happy, sad, neutral.*data have neutral, happy, surprise.*contempt"):
        require_emotions(card(), FERPLUS)
    turned = EmotionSet("turned", tuple(reversed(list(DFEW))))
    with pytest.raises(
        DferError, match=r"knows happy, sad.*\(dfew\).*data have fear, disgust.*\(turned\), in this order"
    ):
        require_emotions(card(), turned)


def test_a_card_of_no_known_model_is_not_written(tmp_path: Path) -> None:
    wrong = Card("tiny4d", {}, DFEW, {})
    with pytest.raises(DferError, match=r"no model 'tiny4d' \(did you mean 'tiny3d'\?\)"):
        save_checkpoint(tmp_path / "model", trained(), wrong)
    assert not (tmp_path / "model").exists()


# -- damage ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("missing", ["card.json", "model.safetensors"])
def test_half_a_checkpoint_is_refused(folder: Path, missing: str) -> None:
    (folder / missing).unlink()
    assert missing in refusal(folder)


def test_an_empty_folder_and_none_at_all_are_no_checkpoints(tmp_path: Path) -> None:
    assert "is not a checkpoint of dfer" in refusal(tmp_path)
    assert "no model" in refusal(tmp_path / "nowhere")


@pytest.mark.parametrize("share", [0, 0.01, 0.5, 0.99])
@pytest.mark.parametrize("name", ["card.json", "model.safetensors"])
def test_a_file_that_was_cut_off_is_refused(folder: Path, name: str, share: float) -> None:
    path = folder / name
    content = path.read_bytes()
    path.write_bytes(content[: int(share * len(content))])
    assert "damaged" in refusal(folder) or "cannot be read as JSON" in refusal(folder)


@pytest.mark.parametrize("content", [b"\xff\xfe", b"[]", b"null", b"{}", b'"card"', b"{1: 2}"])
def test_a_card_that_is_not_ours_is_refused(folder: Path, content: bytes) -> None:
    (folder / "card.json").write_bytes(content)
    refusal(folder)


def test_a_card_of_another_version_of_the_format_is_refused(folder: Path) -> None:
    edit(folder, format="dfer.checkpoint/2")
    assert "expected the format dfer.checkpoint/1, got dfer.checkpoint/2" in refusal(folder)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"model": "tiny4d"}, "did you mean 'tiny3d'"),
        ({"model": ["tiny3d"]}, "model"),
        ({"options": {"wldth": 4}}, "did you mean 'width'"),
        ({"options": {"width": -1}}, "cannot be built"),
        ({"options": {"num_classes": 3}}, "cannot be built"),
        ({"options": {"name": "r3d18"}}, "cannot be built"),
        ({"options": {"width": 8}}, "do not fit the network"),
        ({"options": [4]}, "options"),
        ({"options": {"width": 4, "in_channels": 1}}, "stem.0.weight (4, 3, 1, 5, 5) instead of (4, 1, 1, 5, 5)"),
        ({"emotions": {"name": "two", "emotions": ["happy", "sad"]}}, "for 2 emotions by its card"),
        ({"emotions": {"name": "one", "emotions": ["happy"]}}, "expected from 2 to 1000 emotions"),
        ({"emotions": {"name": "twice", "emotions": ["happy", "Happy"]}}, "names an emotion twice"),
        ({"emotions": {"name": "none", "emotions": []}}, "expected names"),
        ({"emotions": ["happy", "sad"]}, "emotions"),
        ({"emotions": None}, "emotions"),
        ({"preprocessing": 3}, "preprocessing"),
        ({"preprocessing": {"frames": "happy"}}, "frames: it should be a valid integer, got 'happy'"),
        ({"preprocessing": {"mean": {"a": 1}}}, "mean"),
        ({"preprocessing": {"mean": False}}, "mean"),
        ({"preprocessing": {"std": [True]}}, "std.0"),
        ({"preprocessing": {"frames": 4_096, "size": 4_096}}, "at most 16777216 pixels"),
        ({"preprocessing": {}}, "preprocessing: lacks frames, size, grey, short, mean, std"),
        ({"preprocessing": GREY.to_dict()}, "expects clips (batch, 3 channels"),
        (
            {"emotions": {"name": "many", "emotions": [f"e{k}" for k in range(1_001)]}},
            "expected from 2 to 1000 emotions",
        ),
        ({"emotions": {"name": "list", "emotions": [["happy"], "sad"]}}, "emotions.emotions.0"),
        ({"calibration": {"temperature": "warm"}}, "calibration.temperature"),
        ({"calibration": {"temperature": 0}}, "calibration.temperature"),
        ({"calibration": {"temperature": True}}, "calibration.temperature"),
        ({"calibration": {"temperatures": 1.5}}, "'temperature' or 'temperature_labels'"),
        ({"metrics": {"war": float("nan")}}, "expected finite numbers, got NaN"),
        ({"metrics": {"war": -float("inf")}}, "expected finite numbers, got -Infinity"),
        ({"options": {"width": 4_096}}, "expected at most 1000000000 weights"),
        ({"options": {"width": 10**12}}, "cannot be built"),
        ({"options": {"width": 4.0}}, "cannot be built"),
        ({"modelx": "tiny3d"}, "unknown key modelx (did you mean 'model'?)"),
        ({"version": 3}, "version"),
        ({"data": []}, "data"),
        ({"recipe": "x"}, "recipe"),
        ({"answer": [0.5] * 6}, "the weights are not those of its card.json"),
        ({"answer": [0.5] * 7}, "the weights are not those of its card.json"),
        ({"answer": [2.0] * 7}, "answer.0"),
        ({"format": "x" * 10_000}, "expected the format"),
        ({"x" * 10_000: 1}, "unknown key"),
    ],
)
def test_an_edited_card_is_refused(folder: Path, changes: dict[str, Any], said: str) -> None:
    edit(folder, **changes)
    assert said in refusal(folder) and len(refusal(folder)) <= 500


@pytest.mark.parametrize(
    "content", ["[" * 100_000, '{"format":' * 3_000, '{"format": ' + "9" * 5_000 + "}", '{"a": "\\ud800"}']
)
def test_a_card_beyond_the_limits_is_one_sentence(folder: Path, content: str) -> None:
    (folder / "card.json").write_text(content, encoding="utf-8")
    assert len(refusal(folder)) <= 500


@pytest.mark.parametrize("name", ["card.json", "model.safetensors"])
def test_what_is_no_file_is_refused_at_once(folder: Path, name: str) -> None:
    (folder / name).unlink()
    os.mkfifo(folder / name)
    assert "expected a file, got a named pipe" in refusal(folder)
    (folder / name).unlink()
    (folder / name).symlink_to("/dev/zero")
    assert "expected a file, got a device" in refusal(folder)


def test_a_card_that_asks_for_a_giant_costs_no_memory(folder: Path) -> None:
    save_checkpoint(folder, trained("m3dfel"), card("m3dfel"))
    edit(folder, options={"width": 250, "bag": 2, "instance_length": 4})  # 0.7 billion weights, 3 GB
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    assert "do not fit the network" in refusal(folder)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 500_000, "KB"


# -- what the network says ------------------------------------------------------------------------------------------


def test_a_card_of_an_earlier_version_has_no_answer_and_is_read(folder: Path) -> None:
    written = json.loads((folder / "card.json").read_text(encoding="utf-8"))
    assert len(written.pop("answer")) == 7
    (folder / "card.json").write_text(json.dumps(written), encoding="utf-8")
    model, read = load_checkpoint(folder)
    assert read.answer == () and torch.equal(model(shown()), trained()(shown()))


def test_the_answer_is_that_of_the_network_for_waves_computed_otherwise(folder: Path) -> None:
    """The pattern by NumPy, and softmax by hand."""
    _, read = load_checkpoint(folder)
    waves = (np.sin(0.7 * np.arange(3 * 8 * 32 * 32)).reshape(1, 3, 8, 32, 32) + 1) / 2
    mean, std = (np.reshape(values, (1, 3, 1, 1, 1)) for values in (PREPROCESSING.mean, PREPROCESSING.std))
    with torch.no_grad():
        logits = trained()(torch.from_numpy((waves - mean) / std).float())[0].double().numpy()
    assert np.allclose(read.answer, np.exp(logits) / np.exp(logits).sum(), atol=1e-4)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_weights_of_half_precision_are_known_again(folder: Path, dtype: torch.dtype) -> None:
    def halve(state: dict[str, torch.Tensor]) -> None:
        state.update({key: value.to(dtype) for key, value in state.items() if value.is_floating_point()})

    edit_weights(folder, halve)
    load_checkpoint(folder)


def test_the_weights_of_another_training_are_refused(folder: Path, tmp_path: Path) -> None:
    other = trained(seed=1)
    with torch.no_grad():
        other.get_parameter("head.bias")[3] += 1
    save_checkpoint(tmp_path / "other", other, card())
    shutil.copy(tmp_path / "other" / "model.safetensors", folder)
    assert "the weights are not those of its card.json" in refusal(folder)


def _turned(state: dict[str, torch.Tensor]) -> None:
    state["blocks.0.conv1.1.running_var"][:] = -3.0


def _overflowing(state: dict[str, torch.Tensor]) -> None:
    for key, value in state.items():
        if value.ndim == 5:
            state[key] = torch.full_like(value, 1e30)


@pytest.mark.parametrize("change", [_turned, _overflowing])
@pytest.mark.parametrize("told", [True, False])
def test_finite_weights_that_answer_nan_are_refused(
    folder: Path, change: Callable[[dict[str, torch.Tensor]], object], told: bool
) -> None:
    if not told:
        edit(folder, answer=[])
    edit_weights(folder, change)
    assert re.search("a negative variance: blocks.0.conv1.1|answers are not finite", refusal(folder))


def test_a_network_that_answers_nan_is_not_saved(tmp_path: Path) -> None:
    model = trained()
    with torch.no_grad():
        model.get_buffer("stem.1.running_var").fill_(-1.0)
    with pytest.raises(DferError, match="not finite"):
        save_checkpoint(tmp_path / "model", model, card())
    assert not (tmp_path / "model").exists()


def test_saving_leaves_a_network_in_training_as_it_was(tmp_path: Path) -> None:
    model = trained().train()
    before = {key: value.clone() for key, value in model.state_dict().items()}
    save_checkpoint(tmp_path, model, card())
    assert model.training and all(torch.equal(value, before[key]) for key, value in model.state_dict().items())


NAMES = st.text(min_size=1, max_size=50) | st.sampled_from(
    [
        "\"quotes'",
        "line\nand\rreturn",
        "\x00\x1b[31m",
        "\u202eleft",
        "\N{GRINNING FACE}",
        "=1+1",
        "x" * 100_000,
        "\ud800",
    ]
)


@given(NAMES, st.lists(NAMES, min_size=7, max_size=7), st.dictionaries(NAMES, NAMES | st.floats() | st.integers()))
@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_card_of_any_names_reads_back_the_same_or_is_refused(
    tmp_path: Path, name: str, emotions: list[str], told: dict[str, Any]
) -> None:
    shutil.rmtree(tmp_path / "any", ignore_errors=True)
    try:
        save_checkpoint(tmp_path / "any", trained(), card(emotions=EmotionSet(name, tuple(emotions)), data=told))
    except DferError as error:
        texts = [name, *emotions, *told, *map(str, told.values())]
        twice = len({emotion.strip().casefold() for emotion in emotions} - {""}) < 7
        assert twice or any("\ud800" <= letter <= "\udfff" for text in texts for letter in text), error
        assert not (tmp_path / "any").exists()
        return
    _, read = load_checkpoint(tmp_path / "any")
    assert list(read.emotions) == emotions and read.emotions.name == name
    finite = {
        key: None if isinstance(value, float) and not np.isfinite(value) else value for key, value in told.items()
    }
    assert read.data == finite


def _nan(state: dict[str, torch.Tensor]) -> None:
    state["head.weight"][2, 1] = float("nan")


def _infinite(state: dict[str, torch.Tensor]) -> None:
    state["stem.1.running_var"][0] = float("inf")


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (_nan, "not finite: head.weight"),
        (_infinite, "not finite: stem.1.running_var"),
        (lambda state: state.pop("head.bias"), "missing: head.bias"),
        (lambda state: state.update(extra=torch.zeros(1)), "unknown: extra"),
        (lambda state: state.update({"head.weight": torch.zeros(6, 24)}), "head.weight (6, 24) instead of (7, 24)"),
    ],
)
def test_weights_that_are_not_the_cards_are_refused(
    folder: Path, change: Callable[[dict[str, torch.Tensor]], object], said: str
) -> None:
    edit_weights(folder, change)
    assert said in refusal(folder)


@pytest.mark.parametrize("writer", ["torch", "pickle"])
@pytest.mark.parametrize("name", ["card.json", "model.safetensors"])
def test_nothing_is_unpickled(folder: Path, tmp_path: Path, writer: str, name: str) -> None:
    trap, buffer = tmp_path / "sprung", io.BytesIO()
    if writer == "torch":
        torch.save(Bait(trap), buffer)
    else:
        pickle.dump(Bait(trap), buffer)
    (folder / name).write_bytes(buffer.getvalue())
    refusal(folder)
    assert not trap.exists()
    with suppress(RuntimeError):  # torch finds out too late that a plain pickle is none of its files
        torch.load(io.BytesIO(buffer.getvalue()), weights_only=False)
    assert trap.exists(), "the bait would have worked"


# -- a kill, a full disk --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("moment", ["before", "after"])
@pytest.mark.parametrize("number", [1, 2])
@pytest.mark.parametrize("former", [True, False])
def test_a_kill_at_any_rename_leaves_one_checkpoint_or_none_and_never_a_mixture(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, former: bool, number: int, moment: str
) -> None:
    old, new, calls = trained(seed=0), trained(seed=1), 0
    if former:
        save_checkpoint(tmp_path, old, card(metrics={"epoch": 1}))
    replace = Path.replace

    def killed(self: Path, target: Path) -> Path:
        nonlocal calls
        calls += 1
        if calls < number or moment == "after":
            replace(self, target)
        if calls == number:
            raise KeyboardInterrupt
        return target

    with monkeypatch.context() as patch:
        patch.setattr(Path, "replace", killed)
        with pytest.raises(KeyboardInterrupt):
            save_checkpoint(tmp_path, new, card(metrics={"epoch": 2}))
    assert calls == number
    try:
        model, read = load_checkpoint(tmp_path)
    except DferError as error:
        assert "is not a checkpoint" in str(error)
    else:
        meant = {1: old, 2: new}[read.metrics["epoch"]]
        assert torch.equal(model(shown()), meant(shown()))
    save_checkpoint(tmp_path, new, card(metrics={"epoch": 3}))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["card.json", "model.safetensors"], "the next save heals"


def test_a_kill_while_the_weights_are_written_leaves_the_former_checkpoint(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def killed(_: object, path: Path) -> None:
        path.write_bytes(b"half of the wei")
        raise KeyboardInterrupt

    monkeypatch.setattr("dfer.models.checkpoint.save_file", killed)
    with pytest.raises(KeyboardInterrupt):
        save_checkpoint(folder, trained(seed=1), card())
    model, _ = load_checkpoint(folder)
    assert torch.equal(model(shown()), trained()(shown()))


def test_a_full_disk_is_one_sentence_and_leaves_the_former_checkpoint(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(self: Path, *_: object, **__: object) -> int:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_text", full)
    with pytest.raises(DferError, match=r"cannot write .*No space left on device"):
        save_checkpoint(folder, trained(seed=1), card())
    model, _ = load_checkpoint(folder)
    assert torch.equal(model(shown()), trained()(shown()))


def test_a_place_that_cannot_be_written_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way", encoding="utf-8")
    with pytest.raises(DferError, match=r"cannot write .*Not a directory"):
        save_checkpoint(tmp_path / "file" / "model", trained(), card())
