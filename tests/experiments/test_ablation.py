"""Grids: what their cells are, who trains what, and that a killed one goes on."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from filelock import FileLock, Timeout

from dfer import DferError, Manifest
from dfer.documents import jsonable
from dfer.experiments import ablation
from dfer.experiments.ablation import Job, grid, jobs, train_grid
from dfer.experiments.runs import trained_folds
from tests import forked
from tests.training.toy import toy_manifest

RECIPE = """
[data]
validation = 0
[labels]
rule = "frequency"
[input]
frames = 2
size = 16
[midas]
alpha = 0.8
[model]
name = "tiny3d"
width = 4
[optim]
epochs = 1
warmup_epochs = 0
batch = 8
"""
TWO_BY_TWO = ["labels.rule=hard,frequency", "midas=off,{alpha=0.4}"]


@pytest.fixture
def recipe(tmp_path: Path) -> Path:
    path = tmp_path / "small.toml"
    path.write_text(RECIPE, encoding="utf-8")
    return path


@pytest.fixture
def data(tmp_path: Path) -> Path:
    return toy_manifest(tmp_path / "clips")


def test_cells_are_every_combination_named_by_what_differs(recipe: Path) -> None:
    cells = grid([recipe], TWO_BY_TWO, ["optim.lr=1e-3"])
    assert list(cells) == [
        "rule=hard midas=off", "rule=hard midas={alpha=0.4}", "rule=frequency midas=off",
        "rule=frequency midas={alpha=0.4}",
    ]  # fmt: skip
    chosen = [(cell.labels.rule, cell.midas and cell.midas.alpha, cell.optim.lr) for cell in cells.values()]
    assert chosen == [(rule, alpha, 1e-3) for rule in ("hard", "frequency") for alpha in (None, 0.4)]


def test_two_recipes_and_keys_that_end_alike_keep_their_names(recipe: Path, tmp_path: Path) -> None:
    other = tmp_path / "other.toml"
    other.write_text(RECIPE.replace("width = 4", "width = 8"), encoding="utf-8")
    cells = grid([recipe, other], ["model.name=tiny3d", "loss.name=js,focal"])
    assert list(cells) == [
        f"{stem} model.name=tiny3d loss.name={loss}" for stem in ("small", "other") for loss in ("js", "focal")
    ]
    assert list(grid([recipe, other], [])) == ["small", "other"]


def test_lists_and_texts_with_commas_are_one_value(recipe: Path) -> None:
    cells = grid([recipe], ["augment.crop=[0.5, 1.0],[0.9, 1.0]"])
    assert [cell.augment.crop for cell in cells.values()] == [(0.5, 1.0), (0.9, 1.0)]


@pytest.mark.parametrize("axis", ["midas", "midas.alpha=", "=1,2", "midas.alpha=,"])
def test_an_axis_without_values_is_refused(recipe: Path, axis: str) -> None:
    with pytest.raises(DferError, match="expected --grid key=value,value"):
        grid([recipe], [axis])


def test_a_grid_without_end_is_refused_at_once() -> None:
    axes = [f"optim.epochs={','.join(map(str, range(1, 12)))}"] * 20
    with pytest.raises(DferError, match="a grid of at most 10000 cells, got 672749994932560009201; give fewer"):
        grid([Path("demo")], axes)


def test_the_same_value_twice_and_an_unknown_key_are_refused(recipe: Path) -> None:
    with pytest.raises(DferError, match=r"two cells of the grid are called 'alpha=0\.4'"):
        grid([recipe], ["midas.alpha=0.4,0.4"])
    with pytest.raises(DferError, match="did you mean 'alpha'"):
        grid([recipe], ["midas.alfa=0.4"])


@pytest.mark.parametrize(
    ("axes", "overrides", "told"),
    [
        (["optim.lr=1e-3,2e-3", "optim.lr=3e-3"], [], r"optim\.lr is given twice"),
        (
            ["optim.lr=1e-3,2e-3"],
            ["optim.lr = 1e-4"],
            r"optim\.lr is given twice, by --grid and by another",
        ),
        (["seed=1,2"], [], "the seeds of a grid are given by --seeds"),
        (["optim.lr=1e-3,2e-3"], ["seed=7"], "the seeds of a grid are given by --seeds"),
        (["optim.lr=1e-3,0.001"], [], r"the cells 'lr=1e-3' and 'lr=0\.001' of the grid are one recipe"),
        (["midas={alpha=0.3},{alpha=0.8}", "midas.alpha=0.2,0.4"], [], "are one recipe"),
    ],
)
def test_what_would_not_count_and_one_recipe_under_two_names_are_refused(
    recipe: Path, axes: list[str], overrides: list[str], told: str
) -> None:
    with pytest.raises(DferError, match=told):
        grid([recipe], axes, overrides)


def test_two_files_of_one_recipe_are_refused_whatever_their_seeds(recipe: Path, tmp_path: Path) -> None:
    (tmp_path / "copy.toml").write_text("seed = 5\n" + RECIPE, encoding="utf-8")
    with pytest.raises(DferError, match="the cells 'small' and 'copy' of the grid are one recipe"):
        grid([recipe, tmp_path / "copy.toml"], [])


def test_finished_runs_of_another_recipe_or_other_data_are_refused_before_any_training(
    recipe: Path, data: Path, tmp_path: Path
) -> None:
    manifest = Manifest.read(data)
    axes, fold = ["midas=off,{alpha=0.4}"], manifest.folds[0]
    train_grid(jobs(grid([recipe], axes[:1]), tmp_path / "out", seeds=[0], folds=[fold]), manifest)
    before = sorted(tmp_path.glob("out/*/*"))
    changed = jobs(grid([recipe], axes, ["optim.lr=0.5"]), tmp_path / "out", seeds=[1, 0], folds=[fold])
    with pytest.raises(DferError, match=r"seed0.*another recipe.*optim\.lr \(.* there, 0\.5 here\)"):
        train_grid(changed, manifest)
    table = manifest.table.assign(fold=manifest.table["fold"].replace({1: 2, 2: 1}))
    Manifest.build(table, emotions=manifest.emotions, root=manifest.root).write(data)
    with pytest.raises(DferError, match="was trained on other clips, votes or folds"):
        train_grid(jobs(grid([recipe], axes), tmp_path / "out", seeds=[1, 0], folds=[fold]), Manifest.read(data))
    assert sorted(tmp_path.glob("out/*/*")) == before, "nothing was trained"


def test_a_run_has_its_own_folder_and_seed(recipe: Path, tmp_path: Path) -> None:
    runs = jobs(grid([recipe], TWO_BY_TWO), tmp_path / "out", seeds=[3, 5], folds=[1, 2])
    every = [job for cell in runs.values() for seed in cell for job in seed]
    assert len({(job.folder, job.fold) for job in every}) == 16
    assert {job.recipe.seed for job in every} == {3, 5}
    assert all(job.folder.name == f"seed{job.recipe.seed}" for job in every)


def test_names_that_would_share_a_folder_are_refused(recipe: Path, tmp_path: Path) -> None:
    cells = {"a b": grid([recipe], [])["small"], "a:b": grid([recipe], [])["small"]}
    with pytest.raises(DferError, match="would share a folder"):
        jobs(cells, tmp_path, seeds=[0], folds=[None])


def test_the_grid_is_trained_compared_and_left_as_it_is_when_run_again(
    recipe: Path, data: Path, tmp_path: Path
) -> None:
    folds = Manifest.read(data).folds[:2]
    runs = jobs(grid([recipe], ["labels.rule=hard,frequency"]), tmp_path / "out", seeds=[0, 1], folds=folds)
    assert train_grid(runs, Manifest.read(data)) == []
    assert all(job.finished for cell in runs.values() for seed in cell for job in seed)
    comparison = ablation.compare_grid(runs, Manifest.read(data), tmp_path / "out")
    assert [cell.seeds for cell in comparison.cells] == [2, 2]
    took = [json.loads(path.read_text())["seconds"] for path in (tmp_path / "out" / "rule=hard").rglob("train.json")]
    cost = comparison.cells[0].cost
    assert cost.runs == len(took) == 4 and cost.seconds == pytest.approx(sum(took), abs=0.05)
    assert json.loads((tmp_path / "out" / "compare.json").read_text())["cells"] == jsonable(comparison.cells)
    with FileLock(tmp_path / "out" / ablation.CLAIM):  # another process that finished at the same time compares
        read = Manifest.read(data)
        waiting = threading.Thread(target=ablation.compare_grid, args=(runs, read, tmp_path / "out"), daemon=True)
        waiting.start()
        waiting.join(0.5)
        assert waiting.is_alive()
    waiting.join(60)
    assert not waiting.is_alive()
    before = {path: path.stat().st_mtime_ns for path in (tmp_path / "out").rglob("*.safetensors")}
    assert train_grid(runs, Manifest.read(data)) == []
    assert {path: path.stat().st_mtime_ns for path in before} == before


def one_job(recipe: Path, data: Path, out: Path) -> Job:
    fold = Manifest.read(data).folds[0]
    return jobs(grid([recipe], []), out, seeds=[0], folds=[fold])["small"][0][0]


def claim_of(job: Job) -> Path:
    claim = job.folder / f"fold{job.fold}" / "claim"
    claim.parent.mkdir(parents=True)
    return claim


HOLDER = """
import sys, time
from filelock import FileLock
with FileLock(sys.argv[1]):
    print("held", flush=True)
    time.sleep(300)
"""


@pytest.fixture
def holder(recipe: Path, data: Path, tmp_path: Path) -> Iterator[tuple[Job, subprocess.Popen[str]]]:
    """A run, and another process that is at it."""
    job = one_job(recipe, data, tmp_path / "out")
    command = [sys.executable, "-c", HOLDER, str(claim_of(job))]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout and process.stdout.readline() == "held\n"
        yield job, process
        process.kill()


def test_what_a_living_process_is_at_is_left_to_it(holder: tuple[Job, subprocess.Popen[str]], data: Path) -> None:
    job, process = holder
    assert train_grid({"small": [[job]]}, Manifest.read(data)) == [job] and process.poll() is None
    assert trained_folds(job.folder) == []


def test_what_a_killed_process_was_at_is_taken_over_at_once(
    holder: tuple[Job, subprocess.Popen[str]], data: Path
) -> None:
    job, process = holder
    process.kill()
    process.wait()
    assert train_grid({"small": [[job]]}, Manifest.read(data)) == [] and job.finished


def test_while_a_run_is_trained_nobody_else_can_take_it_and_afterwards_all_can(
    recipe: Path, data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = one_job(recipe, data, tmp_path / "out")
    claim, answers = job.folder / f"fold{job.fold}" / "claim", []

    def train(*_: object, **__: object) -> None:
        with pytest.raises(Timeout):
            FileLock(claim, timeout=0, is_singleton=False).acquire()
        answers.append(train_grid({"small": [[job]]}, Manifest.read(data)))
        raise DferError("a run that fails")

    monkeypatch.setattr(ablation, "train_folds", train)
    with pytest.raises(DferError, match="a run that fails"):
        train_grid({"small": [[job]]}, Manifest.read(data))
    assert answers == [[job]]
    FileLock(claim, timeout=0).acquire().lock.release()


@pytest.mark.slow
def test_two_processes_share_a_grid_and_one_that_is_killed_is_taken_over(
    recipe: Path, data: Path, tmp_path: Path
) -> None:
    words = [
        "ablate", str(recipe), "--data", str(data), "-o", str(tmp_path / "out"),
        "--grid", "labels.rule=hard,frequency", "--seeds", "1", "--set", "optim.epochs=3",
    ]  # fmt: skip
    first = forked.begin(forked.as_dfer, *words, folder=tmp_path)
    deadline = time.time() + 60
    while not list((tmp_path / "out").rglob("claim")) and time.time() < deadline:
        time.sleep(0.02)
    first.kill()
    first.join()
    with ThreadPoolExecutor(2) as threads:
        both = [threads.submit(forked.dfer, *words, folder=tmp_path) for _ in range(2)]
    done = [process.result() for process in both]
    assert [process.returncode for process in done] == [0, 0]
    assert any("compare.html" in process.stdout for process in done) and (tmp_path / "out" / "compare.html").exists()
    folds = Manifest.read(data).folds
    for cell in ("rule=hard", "rule=frequency"):
        assert trained_folds(tmp_path / "out" / cell / "seed1") == folds
