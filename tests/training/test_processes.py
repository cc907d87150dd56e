"""Real processes: some that train together, and one whose memory is watched."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest
from safetensors.numpy import load_file

from dfer import DferError, Manifest, models
from dfer.training import Begun, Recipe, Step, fit, loop, recipe_from
from dfer.training.record import Epoch
from tests.forked import exit_codes

from .toy import Linear, toy_manifest, toy_recipe

pytestmark = pytest.mark.slow

ROOT = Path(__file__).resolve().parents[2]

SHARED = """
import sys
from pathlib import Path
from tests.training.test_processes import train_shared
train_shared(Path(sys.argv[1]), Path(sys.argv[2]), -1)
"""
"""A program for torchrun."""


def torchrun(program: Path, *arguments: object) -> subprocess.CompletedProcess[str]:
    """A program in two processes of torchrun."""
    launch = ("-m", "torch.distributed.run", "--standalone", "--nproc_per_node", "2")
    command = [sys.executable, *launch, str(program), *map(str, arguments)]
    paths = [str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(paths), "OMP_NUM_THREADS": "1"}
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=300)


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return toy_manifest(tmp_path_factory.mktemp("toy"), clips=24)


def told(folder: Path, *words: object) -> None:
    """Adds a line to what this process said."""
    with folder.with_name(f"{folder.name}.{os.environ.get('RANK', '0')}.told").open("a") as file:
        print(*words, file=file)


def said(folder: Path, rank: int = 0) -> list[str]:
    """The lines that a process said."""
    path = folder.with_name(f"{folder.name}.{rank}.told")
    return path.read_text().splitlines() if path.exists() else []


class Watch:
    """Progress of a training that says where it begins; one process may be killed at a step."""

    def __init__(self, folder: Path, stop: int, victim: int) -> None:
        self.folder, self.stop, self.victim = folder, stop, str(victim)

    def begin(self, run: Begun) -> None:
        told(self.folder, "begins at", run.step)

    def step(self, step: Step) -> None:
        if step.number == self.stop and os.environ.get("RANK") == self.victim:
            os.kill(os.getpid(), signal.SIGKILL)

    def epoch(self, _: Epoch) -> None:
        """An epoch was made."""


def train_shared(data: Path, folder: Path, stop: int) -> None:
    """Go on with a run; says of each epoch that it begins the rows of its batches."""
    read = loop.batches

    def spy(dataset: Any, rows: Any, **options: Any) -> Any:
        told(folder, json.dumps(rows))
        return read(dataset, rows, **options)

    loop.batches = spy
    recipe = toy_recipe(data={"subset": "all"}, optim={"batch": 4})
    fit(recipe, Manifest.read(data), folder, fold=1, resume=True, progress=Watch(folder, stop, 1))


def shares(folder: Path, rank: int) -> list[list[list[int]]]:
    """For each epoch that a process began, its rows of each batch."""
    return [json.loads(line) for line in said(folder, rank) if line.startswith("[")]


def test_two_processes_share_each_batch_and_resume_together(data: Path, tmp_path: Path) -> None:
    """One of two is killed in the second epoch, after the first one's state; torchrun starts those that go on."""
    folder, program = tmp_path / "run", tmp_path / "train.py"
    assert exit_codes(train_shared, data, folder, 5, processes=2)[1] == -signal.SIGKILL
    assert (folder / "state.safetensors").exists() and not (folder / "train.json").exists()
    program.write_text(SHARED, encoding="utf-8")
    done = torchrun(program, data, folder)
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


def linear(**sections: dict[str, Any]) -> Recipe:
    """A network whose sums do not depend on who computes them, but for the last bits."""
    models.register_model("linear", Linear)
    common = {"input": {"frames": 4, "size": 16}, "model": {"name": "linear"}}
    return recipe_from(common | sections)


def train_weighed(data: Path, folder: Path, batches: tuple[int, ...]) -> None:
    """Tries to train with one batch size after the other."""
    for batch in batches:
        recipe = linear(
            data={"subset": "all", "validation": 0.0}, loss={"class_weights": "balanced"},
            optim={"name": "sgd", "lr": 1e-3, "min_lr": 1e-3, "warmup_epochs": 0, "epochs": 2, "batch": batch,
                   "precision": "fp32"},
        )  # fmt: skip
        try:
            fit(recipe, Manifest.read(data), folder / str(batch), fold=1)
        except DferError as error:
            told(folder, error)


def test_two_processes_weigh_emotions_and_log_the_loss_as_one_does(data: Path, tmp_path: Path) -> None:
    """And refuse a batch that they cannot share evenly, before they make a folder."""
    assert exit_codes(train_weighed, data, tmp_path / "one", (4,)) == [0]
    assert exit_codes(train_weighed, data, tmp_path / "two", (1, 5, 4), processes=2) == [0, 0]
    runs = [tmp_path / name / "4" for name in ("one", "two")]
    assert json.loads((runs[1] / "train.json").read_text())["processes"] == 2
    one, two = (load_file(folder / "model" / "model.safetensors") for folder in runs)
    assert all(np.allclose(one[key], two[key], rtol=1e-4, atol=1e-7) for key in one)
    logs = [
        [json.loads(line)["train_loss"] for line in (folder / "metrics.jsonl").read_text().splitlines()]
        for folder in runs
    ]
    assert len(logs[0]) == 2 and logs[1] == pytest.approx(logs[0], rel=1e-5)
    assert said(tmp_path / "one") == []
    for rank in (0, 1):
        for batch, line in zip((1, 5), said(tmp_path / "two", rank), strict=True):
            refused = f"a batch of {batch} clips cannot be shared evenly by 2 processes; set optim.batch"
            assert line.startswith(refused) and not (tmp_path / "two" / str(batch)).exists()


def go_on(data: Path, folder: Path, stop: int, victim: int) -> None:
    recipe = linear(
        data={"subset": "all", "validation": 0.2},
        optim={"lr": 1e-3, "epochs": 3, "batch": 4, "warmup_epochs": 1, "ema": 0.5, "precision": "fp32"},
    ).model_copy(update={"selection": "val_kl"})
    fit(recipe, Manifest.read(data), folder, fold=1, resume=True, progress=Watch(folder, stop, victim))


def curve(folder: Path) -> list[dict[str, float]]:
    """What each epoch says of the loss and of the validation part."""
    rows = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    return [{name: row[name] for name in row if name == "train_loss" or name.startswith("val_")} for row in rows]


def test_four_processes_and_fewer_after_each_kill_train_as_one_does(data: Path, tmp_path: Path) -> None:
    """Same losses, same scores of a validation part that they cannot share evenly, same weights: one of four is killed
    in the second epoch, which ends the others; one of two that go on in the third; one goes on alone."""
    assert exit_codes(go_on, data, tmp_path / "one", -1, 0) == [0]
    one = json.loads((tmp_path / "one" / "train.json").read_text())
    steps = json.loads((tmp_path / "one" / "metrics.jsonl").read_text().splitlines()[0])["step"]
    assert steps > 1 and one["validation"] % 2 and one["processes"] == 1
    folder = tmp_path / "chain"
    for begun, count in enumerate((4, 2, 1)):
        stop = (begun + 1) * steps + 1 if count > 1 else -1
        codes = exit_codes(go_on, data, folder, stop, count - 1, processes=count)
        assert said(folder)[-1] == f"begins at {begun * steps}"
        assert (codes == [0] * count) == (folder / "train.json").exists() == (count == 1)
        assert (codes[-1] == -signal.SIGKILL) == (count > 1)
    for ours, theirs in zip(curve(tmp_path / "one"), curve(folder), strict=True):
        assert {"train_loss", "val_war", "val_uar", "val_kl"} <= ours.keys() and theirs == pytest.approx(ours, rel=1e-4)
    weights, others = (load_file(home / "model" / "model.safetensors") for home in (tmp_path / "one", folder))
    assert all(np.allclose(weights[key], others[key], rtol=1e-3, atol=1e-6) for key in weights)


class Weigh:
    """Progress of a training that says after each epoch how much memory and how many open files its process has."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def begin(self, _: Begun) -> None:
        """A run begins."""

    def step(self, _: Step) -> None:
        """A step was made."""

    def epoch(self, row: Epoch) -> None:
        told(self.folder, row.epoch, psutil.Process().memory_info().rss, len(list(Path("/proc/self/fd").iterdir())))


def train_long(data: Path, folder: Path) -> None:
    recipe = toy_recipe(data={"subset": "all"}, optim={"epochs": 15})
    fit(recipe, Manifest.read(data), folder, fold=1, progress=Weigh(folder))


def test_memory_and_open_files_do_not_grow_with_epochs(data: Path, tmp_path: Path) -> None:
    assert exit_codes(train_long, data, tmp_path / "run") == [0]
    rows = [tuple(map(int, line.split())) for line in said(tmp_path / "run")]
    assert len(rows) == 15
    assert rows[-1][1] - rows[2][1] < 60 * 2**20
    assert rows[-1][2] <= rows[2][2] + 2
