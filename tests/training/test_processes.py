"""Real processes: two that train together, and one whose memory is watched."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file

from .toy import toy_manifest

pytestmark = pytest.mark.slow

ROOT = Path(__file__).resolve().parents[2]

TRAIN = """
import json, os, sys
from pathlib import Path
from dfer import DferError, Manifest
from dfer.training import fit
from tests.training.toy import toy_recipe

data, folder, batch, stop_at = Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4])

class Watch:
    def begin(self, run):
        pass
    def step(self, step):
        if step.number == stop_at:
            os._exit(9)
    def epoch(self, row):
        pass

from dfer.training import loop
read = loop.batches
def spy(dataset, rows, **options):
    with open(f"{folder}.{os.environ['RANK']}.rows", "a") as file:
        print(json.dumps(rows), file=file)
    return read(dataset, rows, **options)
loop.batches = spy

try:
    fit(toy_recipe(data={"subset": "all"}, optim={"batch": batch}), Manifest.read(data), folder, fold=1, resume=True,
        progress=Watch())
except DferError as error:
    print("error:", error)
    sys.exit(2)
"""

MEMORY = """
import os, sys
from pathlib import Path
import psutil
from dfer import Manifest
from dfer.training import fit
from tests.training.toy import toy_recipe

class Watch:
    def begin(self, run):
        pass
    def step(self, step):
        pass
    def epoch(self, row):
        print(row.epoch, psutil.Process().memory_info().rss, len(os.listdir("/proc/self/fd")), flush=True)

recipe = toy_recipe(data={"subset": "all"}, optim={"epochs": 15})
fit(recipe, Manifest.read(Path(sys.argv[1])), Path(sys.argv[2]), fold=1, progress=Watch())
"""

WEIGHED = """
import sys
from pathlib import Path
from dfer import DferError, Manifest, models
from dfer.training import fit, recipe_from
from tests.training.toy import Linear

models.register_model("linear", Linear)
def recipe(batch):
    return recipe_from({
        "data": {"subset": "all", "validation": 0.0}, "input": {"frames": 4, "size": 16}, "model": {"name": "linear"},
        "loss": {"class_weights": "balanced"},
        "optim": {"name": "sgd", "lr": 1e-3, "min_lr": 1e-3, "warmup_epochs": 0, "epochs": 2, "batch": batch,
                  "precision": "fp32"},
    })

data, folder = Manifest.read(Path(sys.argv[1])), Path(sys.argv[2])
for batch in map(int, sys.argv[3:]):
    try:
        fit(recipe(batch), data, folder / str(batch), fold=1)
    except DferError as error:
        print(f"error: {error}", flush=True)
"""
"""Tries to train with one batch size after the other."""


def environment() -> dict[str, str]:
    paths = [str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])]
    return os.environ | {"PYTHONPATH": os.pathsep.join(paths), "OMP_NUM_THREADS": "1"}


def run(script: Path, text: str, *arguments: object, launch: tuple[str, ...] = ()) -> subprocess.CompletedProcess[str]:
    script.write_text(text, encoding="utf-8")
    command = [sys.executable, *launch, str(script), *map(str, arguments)]
    return subprocess.run(command, env=environment(), capture_output=True, text=True, timeout=300)


def processes(count: int) -> tuple[str, ...]:
    """What starts so many processes that train together; one needs nothing."""
    return ("-m", "torch.distributed.run", "--standalone", "--nproc_per_node", str(count)) if count > 1 else ()


TWO = processes(2)


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return toy_manifest(tmp_path_factory.mktemp("toy"), clips=24)


def shares(folder: Path, rank: int) -> list[list[list[int]]]:
    """For each epoch that a process began, its rows of each batch."""
    lines = folder.with_name(f"{folder.name}.{rank}.rows").read_text().splitlines()
    return [json.loads(line) for line in lines]


def test_two_processes_share_each_batch_and_resume_together(data: Path, tmp_path: Path) -> None:
    folder = tmp_path / "run"
    # Killed in the second epoch, after the first one's state; every process exits by itself.
    killed = run(tmp_path / "train.py", TRAIN, data, folder, 4, 5, launch=TWO)
    assert killed.returncode != 0 and (folder / "state.safetensors").exists(), killed.stderr[-2000:]
    assert not (folder / "train.json").exists()
    done = run(tmp_path / "train.py", TRAIN, data, folder, 4, -1, launch=TWO)
    assert done.returncode == 0, done.stderr[-2000:]
    summary = json.loads((folder / "train.json").read_text())
    assert (summary["processes"], summary["clips"]) == (2, 12)
    log = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    assert [(row["epoch"], row["step"]) for row in log] == [(1, 3), (2, 6), (3, 9)]
    ours, theirs = shares(folder, 0), shares(folder, 1)
    assert len(ours) == len(theirs) == 4  # epochs 1 and 2, then 2 again and 3
    assert ours[1] == ours[2] and theirs[1] == theirs[2]
    for mine, other in zip(ours, theirs, strict=True):
        assert [(len(a), len(b)) for a, b in zip(mine, other, strict=True)] == [(2, 2)] * 3
        together = sum(mine + other, [])  # noqa: RUF017
        assert len(set(together)) == 12
    weights = load_file(folder / "model" / "model.safetensors")
    assert all(np.isfinite(value).all() for value in weights.values())


def test_two_processes_weigh_emotions_and_log_the_loss_as_one_does(data: Path, tmp_path: Path) -> None:
    """And refuse a batch that they cannot share evenly, before they make a folder."""
    told = {}
    for name, launch, batches in (("one", (), [4]), ("two", TWO, [1, 5, 4])):
        done = run(tmp_path / "weighed.py", WEIGHED, data, tmp_path / name, *batches, launch=launch)
        assert done.returncode == 0, done.stderr[-2000:]
        told[name] = done.stdout
    runs = [tmp_path / name / "4" for name in ("one", "two")]
    assert json.loads((runs[1] / "train.json").read_text())["processes"] == 2
    one, two = (load_file(folder / "model" / "model.safetensors") for folder in runs)
    assert all(np.allclose(one[key], two[key], rtol=1e-4, atol=1e-7) for key in one)
    logs = [
        [json.loads(line)["train_loss"] for line in (folder / "metrics.jsonl").read_text().splitlines()]
        for folder in runs
    ]
    assert len(logs[0]) == 2 and logs[1] == pytest.approx(logs[0], rel=1e-5)
    assert "error" not in told["one"] and told["two"].count("error: ") == 4
    for batch in (1, 5):
        said = f"error: a batch of {batch} clips cannot be shared evenly by 2 processes; set optim.batch"
        assert told["two"].count(said) == 2  # both processes may write into one line
        assert not (tmp_path / "two" / str(batch)).exists()


WORLDS = """
import os, sys
from pathlib import Path
from dfer import Manifest, models
from dfer.training import fit, recipe_from
from tests.training.toy import Linear

models.register_model("linear", Linear)
recipe = recipe_from({
    "data": {"subset": "all", "validation": 0.2}, "input": {"frames": 4, "size": 16}, "model": {"name": "linear"},
    "selection": "val_kl",
    "optim": {"lr": 1e-3, "epochs": 3, "batch": 4, "warmup_epochs": 1, "ema": 0.5, "precision": "fp32"},
})

class Watch:
    def begin(self, run):
        print("begins at", run.step, flush=True)
    def step(self, step):
        if step.number == int(sys.argv[3]) and os.environ.get("RANK") == sys.argv[4]:
            os.kill(os.getpid(), 9)
    def epoch(self, row):
        pass

fit(recipe, Manifest.read(Path(sys.argv[1])), Path(sys.argv[2]), fold=1, resume=True, progress=Watch())
"""
"""A network whose sums do not depend on who computes them, but for the last bits; one process may be killed."""


def curve(folder: Path) -> list[dict[str, float]]:
    """What each epoch says of the loss and of the validation part."""
    rows = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    return [{name: row[name] for name in row if name == "train_loss" or name.startswith("val_")} for row in rows]


def test_four_processes_and_fewer_after_each_kill_train_as_one_does(data: Path, tmp_path: Path) -> None:
    """Same losses, same scores of a validation part that they cannot share evenly, same weights: one of four is killed
    in the second epoch, which ends the others; one of two that go on in the third; one goes on alone."""
    alone = run(tmp_path / "worlds.py", WORLDS, data, tmp_path / "one", -1, 0)
    assert alone.returncode == 0, alone.stderr[-2000:]
    one = json.loads((tmp_path / "one" / "train.json").read_text())
    steps = json.loads((tmp_path / "one" / "metrics.jsonl").read_text().splitlines()[0])["step"]
    assert steps > 1 and one["validation"] % 2 and one["processes"] == 1
    folder = tmp_path / "chain"
    for begun, count in enumerate((4, 2, 1)):
        stop = (begun + 1) * steps + 1 if count > 1 else -1
        done = run(tmp_path / "worlds.py", WORLDS, data, folder, stop, count - 1, launch=processes(count))
        assert f"begins at {begun * steps}\n" in done.stdout, done.stderr[-2000:]
        assert (done.returncode == 0) == (folder / "train.json").exists() == (count == 1)
    for ours, theirs in zip(curve(tmp_path / "one"), curve(folder), strict=True):
        assert {"train_loss", "val_war", "val_uar", "val_kl"} <= ours.keys() and theirs == pytest.approx(ours, rel=1e-4)
    weights, others = (load_file(home / "model" / "model.safetensors") for home in (tmp_path / "one", folder))
    assert all(np.allclose(weights[key], others[key], rtol=1e-3, atol=1e-6) for key in weights)


def test_memory_and_open_files_do_not_grow_with_epochs(data: Path, tmp_path: Path) -> None:
    done = run(tmp_path / "memory.py", MEMORY, data, tmp_path / "run")
    assert done.returncode == 0, done.stderr[-2000:]
    rows = [tuple(map(int, line.split())) for line in done.stdout.splitlines()]
    assert len(rows) == 15
    assert rows[-1][1] - rows[2][1] < 60 * 2**20
    assert rows[-1][2] <= rows[2][2] + 2
