"""A run that is killed with SIGKILL and resumed ends in the same weights, bit for bit."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from .toy import toy_manifest

pytestmark = pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="SIGKILL is a POSIX signal")

SCRIPT = """
import os, signal, sys
from pathlib import Path
import torch
torch.set_num_threads(1)
from dfer.datasets import Manifest
from dfer.training import fit as fitting
from tests.training.toy import toy_recipe
import importlib
module = importlib.import_module("dfer.training.fit")
module.CHECKPOINT_SECONDS = 0.0 if sys.argv[4] == "every step" else 1e9
data, folder, kill_at = Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3])

class Killer:
    def begin(self, run):
        pass
    def step(self, step):
        if step.number == kill_at:
            os.kill(os.getpid(), signal.SIGKILL)
    def epoch(self, row):
        pass

module.fit(toy_recipe(), Manifest.read(data), folder, fold=1, resume=True, progress=Killer())
"""


def train(data: Path, folder: Path, kill_at: int, states: str = "every step") -> int:
    root = Path(__file__).resolve().parents[2]
    environment = os.environ | {"PYTHONPATH": str(root), "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-c", SCRIPT, str(data), str(folder), str(kill_at), states]
    return subprocess.run(command, env=environment, capture_output=True, timeout=300).returncode


@pytest.mark.slow
def test_a_killed_run_resumes_to_the_same_bits(tmp_path: Path) -> None:
    data = toy_manifest(tmp_path / "toy")
    assert train(data, tmp_path / "whole", kill_at=-1) == 0
    expected = (tmp_path / "whole" / "model" / "model.safetensors").read_bytes()
    log = [json.loads(line) for line in (tmp_path / "whole" / "metrics.jsonl").read_text().splitlines()]
    steps = log[-1]["step"]
    assert steps > 9 and len(log) == 3
    folder = tmp_path / "killed"
    # In the second epoch with only the first one's state on disk; then in the third, with one of every step.
    for kill_at, states in ((steps // 3 + 2, "epochs"), (steps - 1, "every step")):
        assert train(data, folder, kill_at, states) == -signal.SIGKILL
        assert not (folder / "train.json").exists()
    assert train(data, folder, -1) == 0
    assert (folder / "model" / "model.safetensors").read_bytes() == expected
    again = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    drop = {"seconds"}
    assert [{k: v for k, v in row.items() if k not in drop} for row in again] == [
        {k: v for k, v in row.items() if k not in drop} for row in log
    ]
