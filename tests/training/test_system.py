"""`dfer doctor --system`: what a bug report needs, and whether gradients are right here."""

from __future__ import annotations

import json
from importlib.metadata import version
from pathlib import Path

import pytest
import torch
from typer.testing import CliRunner

from dfer.cli import app, terminal
from dfer.models.registry import BUILT_IN
from dfer.training import system
from dfer.training.gradients import Layer
from dfer.training.system import Proof


@pytest.fixture
def one_network(monkeypatch: pytest.MonkeyPatch) -> None:
    """Only the smallest network, so that a test does not prove all of them."""
    monkeypatch.setattr(system, "CLIPS", {"tiny3d": system.CLIPS["tiny3d"]})


def test_every_network_has_clips_to_be_proved_on() -> None:
    assert sorted({*system.CLIPS, "hub_frames"}) == sorted(BUILT_IN)  # its layers are those of frame_vit


@pytest.mark.usefixtures("one_network")
def test_the_verb_names_versions_processor_threads_and_the_precision_that_is_proved(tmp_path: Path) -> None:
    result = CliRunner().invoke(app, ["doctor", "--system", "--json", str(tmp_path / "system.json")])
    assert result.exit_code == 0, result.output
    found = json.loads((tmp_path / "system.json").read_text())
    assert found["versions"]["torch"] == torch.__version__
    assert found["versions"]["numpy"] == version("numpy")
    assert 1 <= found["threads"] <= found["cores"]
    assert [proof["network"] for proof in found["proofs"]] == ["tiny3d"]
    assert found["sound"] is True
    for word in ("tiny3d", "right", torch.__version__, "cores that dfer may use"):
        assert word in result.output


@pytest.mark.usefixtures("one_network")
def test_wrong_gradients_are_named_and_end_with_exit_code_1(monkeypatch: pytest.MonkeyPatch) -> None:
    wrong = Layer(torch.conv3d, ((1, 2, 3, 4, 5), (6, 2, 3, 3, 3), None), ())
    monkeypatch.setattr(system, "wrong_gradients", lambda *_: [str(wrong)])
    monkeypatch.setattr(terminal.console, "_width", 200)
    result = CliRunner().invoke(app, ["doctor", "--system"])
    assert result.exit_code == 1
    assert "wrong: conv3d (input 1 x 2 x 3 x 4 x 5" in result.output
    assert "do not train these networks on this machine" in result.output


def test_auto_takes_what_is_proved() -> None:
    assert Proof("net", 3, [], []).precision == "bf16"
    assert Proof("net", 3, ["a"], []).precision == "fp32"
    assert Proof("net", 3, None, []).precision == "fp32"
    assert Proof("net", 3, [], ["a"]).precision == "none"


@pytest.mark.parametrize("arguments", [["doctor"], ["doctor", "data.csv", "--system"]])
def test_a_manifest_or_the_machine_never_both(arguments: list[str]) -> None:
    result = CliRunner().invoke(app, arguments)
    assert result.exit_code != 0
    assert "expected a manifest to check, or --system to check this machine" in str(result.exception)
