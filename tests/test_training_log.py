"""What a training says: a plain log of a line every half minute, and nothing that moves a cursor."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from dfer.cli.terminal import TrainingBar, duration
from dfer.training import Begun, Step
from dfer.training.record import Epoch
from tests.forked import dfer

from .training.toy import toy_manifest, toy_recipe


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def run(clock: Clock, *, epochs: int, steps: int, seconds: float) -> Iterator[Step | Epoch]:
    """The steps and epochs of a run whose steps take so long."""
    for epoch in range(1, epochs + 1):
        for step in range(1, steps + 1):
            clock.now += seconds
            number = (epoch - 1) * steps + step
            yield Step(number, epochs * steps, epoch, epochs, 1.25, 64.0, (epochs * steps - number) * seconds)
        yield Epoch(epoch, epoch * steps, 1.5, 1e-3, clock.now, val_war=0.5)


def lines(tmp_path: Path, capsys: pytest.CaptureFixture[str], *, epochs: int, steps: int, seconds: float) -> list[str]:
    clock = Clock()
    with TrainingBar("faces", root=tmp_path, clock=clock) as bar:
        recipe = toy_recipe(optim={"epochs": epochs})
        bar.begin(Begun(tmp_path / "fold2", 2, recipe, 0))
        for told in run(clock, epochs=epochs, steps=steps, seconds=seconds):
            bar.step(told) if isinstance(told, Step) else bar.epoch(told)
    return capsys.readouterr().out.splitlines()


def test_long_epochs_get_a_line_every_half_minute(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    said = lines(tmp_path, capsys, epochs=2, steps=100, seconds=2.0)
    assert said[0] == "fold2  epoch   1  loss 1.250  step 15/200  64 clips/s  6 min left"
    assert "fold2  epoch   1  loss 1.500  val_war 0.500  200 s" in said
    assert said[-1] == "fold2  epoch   2  loss 1.500  val_war 0.500  400 s"
    assert 400 / 30 - 1 <= len(said) <= 400 / 30 + 3


def test_a_run_that_trains_some_of_the_weights_says_how_many(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with TrainingBar("faces", root=tmp_path) as bar:
        for trained in (1200, 5300):
            bar.begin(Begun(tmp_path / "fold2", 2, toy_recipe(), 0, trained=trained, weights=5300))
    assert capsys.readouterr().out.splitlines() == ["fold2  trains 1,200 of 5,300 weights"]


def test_short_epochs_get_a_line_every_half_minute_too(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    said = lines(tmp_path, capsys, epochs=300, steps=4, seconds=0.1)
    assert said[0].startswith("fold2  epoch   1") and said[-1].startswith("fold2  epoch 300")
    assert 5 <= len(said) <= 8


def test_only_the_first_of_several_processes_speaks(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RANK", "1")
    assert lines(tmp_path, capsys, epochs=2, steps=2, seconds=20.0) == []


def test_the_log_of_a_real_training_in_a_file_has_no_control_characters(tmp_path: Path) -> None:
    data = toy_manifest(tmp_path / "toy", clips=12, folds=2)
    recipe = tmp_path / "quick.toml"
    recipe.write_text(toy_recipe(optim={"epochs": 2}).toml())
    done = dfer("train", recipe, "--data", data, "-o", tmp_path / "run", folder=tmp_path)
    said = done.stdout
    assert done.returncode == 0, done.stderr
    assert all(character.isprintable() or character == "\n" for character in said)
    assert [line.split("  loss")[0] for line in said.splitlines()[:4]] == [
        f"fold{fold}  epoch   {epoch}" for fold in (1, 2) for epoch in (1, 2)
    ]


@pytest.mark.parametrize(
    ("seconds", "told"), [(0.4, "0 s"), (99, "99 s"), (100, "2 min"), (3600, "60 min"), (6000, "1 h 40 min")]
)
def test_times_are_told_as_people_tell_them(seconds: float, told: str) -> None:
    assert duration(seconds) == told
