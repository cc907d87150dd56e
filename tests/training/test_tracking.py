"""Trackers: what TensorBoard's own reader finds afterwards, also of a run that was broken off; and bad names."""

from __future__ import annotations

import contextlib
import json
import sys
import types
from pathlib import Path
from typing import Any

import pytest

from dfer import DferError, Manifest
from dfer.training import Begun, Step, fit
from dfer.training.record import Epoch
from dfer.training.tracking import Tracking

from .toy import toy_recipe

RECIPE = {"optim": {"epochs": 4, "batch": 8}, "data": {"subset": "all"}}


class Stopped(BaseException):
    pass


class Until:
    """A `Progress` that tracks, and breaks the run off after so many steps."""

    def __init__(self, tracking: Tracking, steps: int) -> None:
        self.tracking, self.steps = tracking, steps
        self.begin = tracking.begin
        self.epoch = tracking.epoch

    def step(self, step: Step) -> None:
        if step.number == self.steps:
            raise Stopped


def scalars(folder: Path) -> dict[str, list[tuple[int, float]]]:
    """Name -> (step, value), as TensorBoard shows them."""
    reader = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    events = reader.EventAccumulator(str(folder / "tensorboard"))
    events.Reload()
    return {name: [(each.step, each.value) for each in events.Scalars(name)] for name in events.Tags()["scalars"]}


def logged(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]


def test_tensorboard_shows_the_numbers_of_each_epoch_once_also_of_a_run_that_was_broken_off(
    toy: Manifest, tmp_path: Path
) -> None:
    pytest.importorskip("tensorboard")
    recipe = toy_recipe(**RECIPE)
    for name, stops in (("whole", [10**6]), ("broken", [4, 10**6])):
        for stop in stops:
            tracking = Tracking(["tensorboard"])
            with contextlib.suppress(Stopped):
                fit(recipe, toy, tmp_path / name, fold=1, resume=True, progress=Until(tracking, stop))
            tracking.close()
        seen, rows = scalars(tmp_path / name), logged(tmp_path / name)
        for key in ("train_loss", "lr", "val_kl"):
            assert seen[key] == [(row["step"], pytest.approx(row[key], rel=1e-5)) for row in rows]


def test_weights_and_biases_goes_on_with_the_same_run(
    toy: Manifest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[tuple[str, Any]] = []

    class Run:
        def log(self, values: dict[str, Any], step: int) -> None:
            calls.append(("log", (values["epoch"], step)))

        def finish(self) -> None:
            calls.append(("finish", None))

    wandb = types.ModuleType("wandb")
    wandb.init = lambda **given: calls.append(("init", given)) or Run()  # type: ignore[attr-defined]
    wandb.config = types.SimpleNamespace(update=lambda values, **_: calls.append(("config", values)))  # type: ignore[attr-defined]
    wandb.__spec__ = types.SimpleNamespace(name="wandb")  # type: ignore[assignment]
    monkeypatch.setitem(sys.modules, "wandb", wandb)
    tracking = Tracking(["wandb"])
    for step in (0, 3):
        tracking.begin(Begun(tmp_path / "runs" / "fold1", 1, toy_recipe(**RECIPE), step))
    tracking.epoch(Epoch(2, 6, 1.5, 1e-3, 10.0))
    tracking.close()
    inits = [given for name, given in calls if name == "init"]
    assert [name for name, _ in calls] == ["init", "config", "finish", "init", "config", "log", "finish"]
    assert inits[0] == inits[1] and inits[0]["name"] == "runs/fold1" and inits[0]["resume"] == "allow"
    assert ("log", (2, 6)) in calls
    assert calls[1][1]["optim.epochs"] == 4


@pytest.mark.parametrize("name", ["tensorbord", "mlflow", ""])
def test_an_unknown_tracker_is_refused_and_those_that_there_are_are_named(name: str) -> None:
    with pytest.raises(DferError, match=r"no tracker .* expected one of tensorboard, wandb"):
        Tracking([name])


def test_a_tracker_that_is_not_installed_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda _: None)
    with pytest.raises(DferError, match=r"needs the package wandb: pip install 'dfer\[wandb\]'"):
        Tracking(["wandb"])
