"""A grid of recipes x seeds x folds on one folder, by one process or by as many as look into it, and then compared.

    OUT/CELL/seed0/fold1/...      a run as `dfer train` leaves it
    OUT/CELL/seed0/fold1/claim    an empty file that the process that is at it has locked

A process takes the next run that is neither finished nor locked. The system lifts the lock of a process that ends in
any way. So what was killed is picked up from its last state by whoever comes next, and a grid is resumed by the command
that began it.
"""

from __future__ import annotations

import contextlib
import itertools
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from filelock import FileLock, Timeout

from dfer.comparison.cells import Comparison, Cost, compare
from dfer.datasets import Manifest
from dfer.errors import DferError, listed
from dfer.experiments.attributes import groups_of
from dfer.experiments.runs import fold_name, require_same_data, saved_predictions, train_folds, training_constants
from dfer.experiments.spread import Job, train_jobs
from dfer.models import name_model
from dfer.reports import write_comparison
from dfer.training.config import Recipe, load_recipe
from dfer.training.progress import Progress
from dfer.training.record import Record, read_summary

CLAIM = "claim"
"""The file that a process locks while it trains a run, in its folder, or compares the grid."""
MOST_CELLS = 10_000
"""Of a grid; each is a training run or more."""


def grid(recipes: Sequence[Path], axes: Sequence[str], overrides: Sequence[str] = ()) -> dict[str, Recipe]:
    """The cells of a grid by name: every recipe with every combination of the axes' values.

    Args:
        recipes: files, or names of recipes that come with dfer.
        axes: "key=value,value,..." as the recipe writes them; a bare word is a text, "off" switches a table off, and a
            whole table is a value too: `midas=off,{alpha=0.4},{alpha=0.8}`.
        overrides: "key=value" for all cells.

    Raises:
        DferError: a recipe or value that is none, an axis without values, a key that is given twice, a seed, or two
            cells of one name or of one recipe.
    """
    parsed = [_axis(text) for text in axes]
    if (count := len(recipes) * math.prod(len(values) for _, values in parsed)) > MOST_CELLS:
        raise DferError(f"expected a grid of at most {MOST_CELLS} cells, got {count}; give fewer values to --grid")
    _refuse_twice([key for key, _ in parsed], [text.partition("=")[0].strip() for text in overrides])
    short = [key.rpartition(".")[2] for key, _ in parsed]
    names = [key if short.count(last) > 1 else last for last, (key, _) in zip(short, parsed, strict=True)]
    cells: dict[str, Recipe] = {}
    named: dict[str, str] = {}
    for recipe, values in itertools.product(recipes, itertools.product(*(values for _, values in parsed))):
        parts = [] if len(recipes) == 1 and values else [recipe.stem]
        parts += [f"{name}={value}" for name, value in zip(names, values, strict=True)]
        name = " ".join(parts)
        if name in cells:
            raise DferError(f"two cells of the grid are called '{name}'; give each recipe and value once")
        chosen = [f"{key}={value}" for (key, _), value in zip(parsed, values, strict=True)]
        cells[name] = load_recipe(recipe, [*overrides, *chosen])
        other = named.setdefault(cells[name].model_copy(update={"seed": 0}).toml(), name)
        if other != name:
            raise DferError(f"the cells '{other}' and '{name}' of the grid are one recipe; leave one of them out")
        name_model(cells[name].model.name)  # runs that are finished will be loaded without being trained here
    return cells


def _refuse_twice(axes: Sequence[str], fixed: Sequence[str]) -> None:
    """Raises where of two values of a key one alone would count."""
    twice = dict.fromkeys(key for key in axes if [*axes, *fixed].count(key) > 1)
    if twice:
        raise DferError(f"{listed(twice)} is given twice, by --grid and by another --grid or --set; give it once")
    if "seed" in (*axes, *fixed):
        raise DferError("the seeds of a grid are given by --seeds, such as --seeds 0,1,2; leave seed out of the others")


def jobs(
    cells: Mapping[str, Recipe], out: Path, *, seeds: Sequence[int], folds: Sequence[int | None]
) -> dict[str, list[list[Job]]]:
    """The runs of each cell: a list a seed, of a job a fold."""
    folders = {name: out / re.sub(r"[^\w=.,+-]+", "_", name) for name in cells}
    if len(set(folders.values())) < len(folders):
        raise DferError(f"cells of the grid would share a folder: {listed(folders)}; name their values differently")
    return {
        name: [
            [Job(folders[name] / f"seed{seed}", recipe.model_copy(update={"seed": seed}), fold) for fold in folds]
            for seed in seeds
        ]
        for name, recipe in cells.items()
    }


def train_grid(runs: Mapping[str, list[list[Job]]], manifest: Manifest, progress: Progress | None = None) -> list[Job]:
    """Train what nobody has trained; every cell's first seed comes before any cell's second.

    Args:
        runs: as `jobs` gives them.
        manifest: the clips, as read from a file.
        progress: told of every step and epoch.

    Returns:
        The jobs that other processes are still at.

    Raises:
        DferError: a run that is there has another recipe or was trained on other data; or as `train_folds`.
    """
    by_seed = zip(*runs.values(), strict=True)
    todo = [job for of_a_seed in by_seed for of_a_cell in of_a_seed for job in of_a_cell]
    for job in todo:  # not after hours of training
        Record(job.folder / fold_name(job.fold), writes=False).require_recipe(job.recipe)
        if job.finished:
            require_same_data(job.folder, manifest, job.fold)
    train_jobs(_train_unclaimed, [job for job in todo if not job.finished], manifest, progress)
    return [job for job in todo if not job.finished]


def _train_unclaimed(job: Job, manifest: Manifest, progress: Progress | None) -> None:
    """Train a run, unless another process is at it."""
    claim = job.folder / fold_name(job.fold) / CLAIM
    claim.parent.mkdir(parents=True, exist_ok=True)
    with contextlib.suppress(Timeout), FileLock(claim, timeout=0):
        if not job.finished:  # another process may have finished it since
            train_folds(job.recipe, manifest, job.folder, folds=[job.fold], resume=True, progress=progress)


def compare_grid(runs: Mapping[str, list[list[Job]]], manifest: Manifest, out: Path) -> Comparison:
    """Read every run's test parts, and write compare.json and compare.html.

    Args:
        runs: as `jobs` gives them, all finished; the first cell is the baseline.
        manifest: the clips, as read from a file.
        out: the folder of the page.

    Returns:
        The comparison, each cell with its cost.
    """
    with FileLock(out / CLAIM):  # who trained the last run together with us reads the same test parts
        return _compared(runs, manifest, out)


def _compared(runs: Mapping[str, list[list[Job]]], manifest: Manifest, out: Path) -> Comparison:
    cells = {
        name: [saved_predictions(part[0].folder, manifest, [job.fold for job in part]) for part in seeds]
        for name, seeds in runs.items()
    }
    groups = groups_of(manifest)
    folds = [job.fold for job in next(iter(runs.values()))[0]]
    comparison = compare(
        cells, groups=groups if any(groups.values()) else None, constants=training_constants(manifest, folds)
    )
    costs = [_cost([job for part in seeds for job in part]) for seeds in runs.values()]
    judged = [replace(cell, cost=cost) for cell, cost in zip(comparison.cells, costs, strict=True)]
    comparison = replace(comparison, cells=judged)
    write_comparison(comparison, out)
    return comparison


def _cost(jobs: Sequence[Job]) -> Cost:
    """What all runs of a cell took together."""
    summaries = [read_summary(job.folder / fold_name(job.fold)) for job in jobs]
    return Cost(len(jobs), round(sum(summary.seconds for summary in summaries), 1), summaries[0].parameters)


def _axis(text: str) -> tuple[str, list[str]]:
    """Key and values of "key=value,value"; commas within brackets or quotes are of a value."""
    key, equals, rest = text.partition("=")
    values = [value.strip() for value in re.findall(r"(?:[^,\[\]{}\"]|\[[^\]]*\]|\{[^}]*\}|\"[^\"]*\")+", rest)]
    if not equals or not key.strip() or not values or not all(values):
        raise DferError(f"expected --grid key=value,value, such as --grid midas.alpha=0.2,0.8, got {text!r}")
    return key.strip(), values
