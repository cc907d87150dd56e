"""A run that is killed with SIGKILL and resumed ends in the same weights, bit for bit."""

from __future__ import annotations

import json
import signal
from pathlib import Path

import pytest
import torch

from dfer.datasets import Manifest
from dfer.training import loop
from tests.forked import Killer, exit_code

from .toy import toy_manifest, toy_recipe

pytestmark = pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="SIGKILL is a POSIX signal")


def train(data: Path, folder: Path, kill_after: int, seconds: float) -> None:
    """Go on with a run, in a process of its own, which saves its state whenever so many seconds have passed."""
    torch.set_num_threads(1)
    loop.CHECKPOINT_SECONDS = seconds
    loop.fit(toy_recipe(), Manifest.read(data), folder, fold=1, resume=True, progress=Killer(kill_after))


@pytest.mark.slow
def test_a_killed_run_resumes_to_the_same_bits(tmp_path: Path) -> None:
    data = toy_manifest(tmp_path / "toy")
    assert exit_code(train, data, tmp_path / "whole", -1, 0.0) == 0
    expected = (tmp_path / "whole" / "model" / "model.safetensors").read_bytes()
    log = [json.loads(line) for line in (tmp_path / "whole" / "metrics.jsonl").read_text().splitlines()]
    steps = log[-1]["step"]
    an_epoch = steps // 3
    assert steps > 9 and len(log) == 3
    folder = tmp_path / "killed"
    # In the second epoch with only the first one's state on disk; from there on, in the third with one of every step.
    for kill_after, seconds in ((an_epoch + 2, 1e9), (steps - 1 - an_epoch, 0.0)):
        assert exit_code(train, data, folder, kill_after, seconds) == -signal.SIGKILL
        assert not (folder / "train.json").exists()
    assert exit_code(train, data, folder, -1, 0.0) == 0
    assert (folder / "model" / "model.safetensors").read_bytes() == expected
    again = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    drop = {"seconds"}
    assert [{k: v for k, v in row.items() if k not in drop} for row in again] == [
        {k: v for k, v in row.items() if k not in drop} for row in log
    ]
