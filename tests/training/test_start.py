"""A run that starts from trained weights, and one whose batches pass in parts."""

from __future__ import annotations

import logging
import os
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from dfer import DferError, EmotionSet, Manifest, create_model, load_checkpoint, register_model
from dfer.models import Card, registry, save_checkpoint
from dfer.training import Recipe, Step, fit, loop, recipe_from
from dfer.video.preprocessing import Preprocessing

from .toy import EMOTIONS, toy_recipe, weights

SOURCE = EmotionSet("source", ("sad", "pain", "happy"))


class Smooth(nn.Module):
    """A network without batch norm and dropout."""

    def __init__(self, emotions: int, width: int = 6) -> None:
        super().__init__()
        self.first, self.head = nn.Conv3d(3, width, 3, 2), nn.Linear(width, emotions)

    def forward(self, clips: Tensor) -> Tensor:
        return self.head(torch.tanh(self.first(clips)).mean((2, 3, 4)))


@pytest.fixture(autouse=True)
def smooth(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(registry, "_REGISTERED", {})
    register_model("smooth", Smooth)


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """A checkpoint of tiny3d that knows two of the toy's three emotions, in another order."""
    torch.manual_seed(5)
    shown = Preprocessing(frames=4, size=16)
    save_checkpoint(tmp_path / "source", create_model("tiny3d", 3), Card("tiny3d", {}, SOURCE, shown.to_dict()))
    return tmp_path / "source"


def begun(recipe: Recipe, toy: Manifest, folder: Path) -> dict[str, Tensor]:
    """The weights that a run begins with."""
    return loop._Run(recipe, toy, folder, 1).learner.network.state_dict()


def recipe(source: object, **sections: dict[str, Any]) -> Recipe:
    sections["init"] = {"weights": str(source)} | sections.get("init", {})
    return toy_recipe(data={"subset": "all", "validation": 0.25}, **sections)


def test_a_run_begins_with_the_weights_of_a_checkpoint_and_its_emotions_by_name(
    toy: Manifest, source: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO, "dfer"):
        ours = begun(recipe(source), toy, tmp_path / "run")
    its, fresh = load_checkpoint(source)[0].state_dict(), begun(recipe(""), toy, tmp_path / "run")
    assert all(torch.equal(ours[key], its[key]) for key in ours if not key.startswith("head"))
    assert tuple(EMOTIONS) == ("happy", "sad", "neutral")
    for row, wanted in enumerate((its["head.weight"][2], its["head.weight"][0], fresh["head.weight"][2])):
        assert torch.equal(ours["head.weight"][row], wanted)
    (told,) = [record.getMessage() for record in caplog.records if "started from" in record.getMessage()]
    assert "the last layer knows happy, sad, and neutral afresh" in told


def test_starting_draws_nothing_so_that_the_rest_of_the_run_is_the_same(toy: Manifest, tmp_path: Path) -> None:
    fit(recipe(""), toy, tmp_path / "plain", fold=1)
    network = create_model("tiny3d", 3)
    network.load_state_dict(begun(recipe(""), toy, tmp_path / "x"))
    save_checkpoint(tmp_path / "start", network, Card("tiny3d", {}, EMOTIONS, recipe("").input.to_dict()))
    fit(recipe(tmp_path / "start"), toy, tmp_path / "started", fold=1)
    first, again = weights(tmp_path / "plain"), weights(tmp_path / "started")
    assert all(torch.equal(value, again[key]) for key, value in first.items())


def test_a_run_goes_on_without_its_source_to_the_same_weights(
    toy: Manifest, source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Killed(BaseException):
        pass

    class Killer:
        def begin(self, run: object) -> None:
            pass

        def step(self, step: Step) -> None:
            if step.number == 5:
                raise Killed

        def epoch(self, row: object) -> None:
            pass

    ours = recipe(
        source, optim={"layer_decay": 0.6, "accumulate": 2}, init={"freeze": ["stem"]}, model={"name": "tiny3d"}
    )
    fit(ours, toy, tmp_path / "whole", fold=1)
    monkeypatch.setattr(loop, "CHECKPOINT_SECONDS", -1.0)
    with pytest.raises(Killed):
        fit(ours, toy, tmp_path / "run", fold=1, progress=Killer())  # type: ignore[arg-type]
    (source / "model.safetensors").unlink()
    fit(ours, toy, tmp_path / "run", fold=1, resume=True)
    whole, again = weights(tmp_path / "whole"), weights(tmp_path / "run")
    assert all(torch.equal(value, again[key]) for key, value in whole.items())


def test_frozen_layers_keep_weights_and_statistics(toy: Manifest, source: Path, tmp_path: Path) -> None:
    fit(recipe(source, init={"freeze": "stem,blocks.0"}, optim={"ema": 0.0}), toy, tmp_path / "run", fold=1)
    before, after = load_checkpoint(source)[0].state_dict(), weights(tmp_path / "run")
    kept = [key for key in after if key.startswith(("stem.", "blocks.0."))]
    assert len(kept) > 15 and all(torch.equal(after[key], before[key]) for key in kept)
    moved = [key for key in after if key not in kept and "num_batches" not in key]
    assert all(not torch.equal(after[key], before[key]) for key in moved if not key.startswith("head"))


@pytest.mark.parametrize("accumulate", [2, 3, 5, 12])
@pytest.mark.parametrize("name", ["adamw", "sgd"])
def test_a_batch_in_parts_trains_as_the_whole_batch_does(
    toy: Manifest, tmp_path: Path, accumulate: int, name: str
) -> None:
    def trained(parts: int) -> dict[str, Tensor]:
        optim = {"name": name, "batch": 12, "accumulate": parts, "epochs": 4, "clip_norm": 1.0, "ema": 0.0, "lr": 1e-3}
        fit(recipe("", model={"name": "smooth"}, optim=optim), toy, tmp_path / str(parts), fold=1)
        return weights(tmp_path / str(parts))

    whole, ours = trained(1), trained(accumulate)
    fresh = begun(recipe("", model={"name": "smooth"}), toy, tmp_path / "x")
    for key, value in whole.items():
        moved = (value - fresh[key]).abs().max()
        assert moved > 0 and (ours[key] - value).abs().max() < 1e-3 * moved


def test_what_cannot_be_done_in_parts_is_one_sentence() -> None:
    with pytest.raises(DferError, match=r"optim.accumulate is 9, above optim.batch = 8; lower it"):
        recipe_from({"optim": {"batch": 8, "accumulate": 9}})
    with pytest.raises(DferError, match=r'midas.layer = "hidden" mixes clips of the whole batch'):
        recipe_from({"optim": {"accumulate": 2}, "midas": {"layer": "hidden"}})


def test_another_scale_or_size_is_told_and_other_channels_are_refused(
    toy: Manifest, source: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    begun(recipe(source, input={"mean": [0.0, 0.0, 0.0], "frames": 6}), toy, tmp_path / "run")
    assert "was trained with" not in caplog.text, "the same scale written otherwise, and another number of frames"
    begun(recipe(source, input={"mean": [0.4], "size": 24}), toy, tmp_path / "run")
    assert "was trained with input.size = 16, input.mean = [0.0]; the recipe shows it other clips" in caplog.text
    with pytest.raises(DferError, match=r"on colour clips and the recipe has input.grey = true; set input.grey=f"):
        begun(recipe(source, input={"grey": True}), toy, tmp_path / "run")


@pytest.mark.parametrize("what", ["nothing", "a pipe", "a text", "another architecture", "half"])
def test_what_cannot_be_started_from_is_one_sentence_before_a_folder_is_made(
    toy: Manifest, source: Path, tmp_path: Path, what: str
) -> None:
    place, said = tmp_path / "w.pth", "cannot read weights"
    if what == "nothing":
        said = "cannot be read: No such file"
    elif what == "a pipe":
        os.mkfifo(place)
        said = "expected a file, got a named pipe"
    elif what == "a text":
        place.write_text("hello")
    elif what == "another architecture":
        torch.save(create_model("frame_gru", 3).state_dict(), place)
        said = "does not fit tiny3d: 0 of its"
    else:
        state = load_file(source / "model.safetensors")
        place = tmp_path / "w.safetensors"
        save_file({key: value for key, value in state.items() if "conv2" not in key}, place)
        said = r"does not fit tiny3d: \d+ of its \d+ weights match .*\d+ missing: .*; set init.partial=true"
    with pytest.raises(DferError, match=said) as caught:
        fit(recipe(place), toy, tmp_path / "run", fold=1)
    assert "\n" not in str(caught.value) and not (tmp_path / "run").exists()


def test_a_network_of_ones_own_that_answers_wrongly_is_refused_before_a_folder_is_made(
    toy: Manifest, tmp_path: Path
) -> None:
    class Squeezed(Smooth):
        def forward(self, clips: Tensor) -> Tensor:
            return super().forward(clips).squeeze()

    register_model("squeezed", Squeezed)
    with pytest.raises(DferError, match=r"model squeezed: expected logits \(1, 3\), a row of 3 a clip.*got \(3,\)"):
        fit(recipe("", model={"name": "squeezed"}), toy, tmp_path / "run", fold=1)
    with pytest.raises(DferError, match=r"smooth has no method stages\(\)"):
        fit(recipe("", model={"name": "smooth"}, midas={"layer": "hidden"}), toy, tmp_path / "run", fold=1)
    assert not (tmp_path / "run").exists()
