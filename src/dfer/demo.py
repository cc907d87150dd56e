"""The demo: the whole method on the embedded data set, from drawing faces to the report.

Four cells, {hard, soft} × {plain, MIDAS}, that differ in nothing else: the same clips, network, schedule and seed. Few
people are trained on, for many epochs, and four times as many are tested, so that differences can be told from chance.
It runs the same readers, trainer and report as real data does; the cells are trained side by side, one thread each.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Mapping
from concurrent.futures import FIRST_EXCEPTION, wait
from contextlib import AbstractContextManager
from pathlib import Path

from dfer.augment import Midas
from dfer.datasets import Manifest, read_source
from dfer.datasets.pack import pack
from dfer.datasets.synthetic import synthesise
from dfer.errors import DferError, listed
from dfer.experiments import evaluate_runs, train_folds
from dfer.files import is_unfinished, sole_owner
from dfer.machine import usable_cores
from dfer.processes import worker_pool
from dfer.reports.contents import Report
from dfer.training import Recipe, load_recipe
from dfer.training.record import LOG
from dfer.version import __version__

CLIPS = 2000
DRAWN_SIZE = 64
"""Pixels at which the clips are drawn."""
TRAINED_FOLD = 1
"""The people of this fold of DFEW's layout are trained on; those of the four others are tested."""
FRAME_SIZE = 56
"""Pixels at which the clips are packed; the recipe crops its input from that."""
NOTE = (
    "The faces are drawn and the votes are simulated. This page shows how the method works and what a report looks "
    "like; no number on it says anything about people, and none is a result on DFEW."
)
MARK = "demo.json"
"""Lies in a folder that `dfer demo` made, and that it may therefore make anew."""
LOOK = 0.5
"""Seconds between two looks at how far the cells are."""

Counter = Callable[[str], AbstractContextManager[Callable[[int, int], None]]]


def four_cells(recipe: Recipe) -> dict[str, Recipe]:
    """{hard, soft} × {plain, MIDAS} of a recipe, by name; MIDAS as the recipe has it, else the default."""
    mixing = recipe.midas or Midas()
    labels = {"hard labels": recipe.labels.hard(), "soft labels": recipe.labels}
    return {
        name + suffix: recipe.model_copy(update={"labels": label, "midas": midas})
        for name, label in labels.items()
        for suffix, midas in (("", None), (" + MIDAS", mixing))
    }


def run_demo(out: Path, *, seed: int, say: Callable[[str], None], counter: Counter) -> Report:
    """Run the demo into `out`, anew each time.

    Args:
        out: folder; gets `dfew/` (the made-up data set), `clips.csv`, a run a cell, `report.html`, `report.json`.
        seed: of faces, votes, weights and mixing; the same seed gives the same table.
        say: prints a line.
        counter: makes a progress bar.

    Returns:
        The report.

    Raises:
        DferError: `out` holds something that is not a demo, or cannot be written.
    """
    with sole_owner(out):
        return _run(out, seed, say, counter)


def _run(out: Path, seed: int, say: Callable[[str], None], counter: Counter) -> Report:
    _clear(out, seed)
    say(f"1/4  drawing {CLIPS} synthetic clips, with ten votes each, in DFEW's layout: {out / 'dfew'}")
    with counter("drawing") as progress:
        synthesise(out / "dfew", clips=CLIPS, seed=seed, size=DRAWN_SIZE, progress=progress)
    say("2/4  reading them as any DFEW, and packing the frames")
    with counter("packing") as progress:
        packed, _ = pack(read_source("dfew", out / "dfew"), out / "frames", size=FRAME_SIZE, progress=progress)
    few_to_train_on(packed).write(out / "clips.csv")
    manifest = Manifest.read(out / "clips.csv")
    recipe = load_recipe(Path("demo")).model_copy(update={"seed": seed})
    cells = four_cells(recipe)
    runs = {name: out / _folder(name) for name in cells}
    say(f"3/4  training: {listed(cells)}")
    with counter("training") as progress:
        _train({folder: cells[name] for name, folder in runs.items()}, manifest, progress)
    say("4/4  reading the test part, once, and writing the report")
    return evaluate_runs(runs, out, manifest=manifest, note=NOTE)


def few_to_train_on(manifest: Manifest) -> Manifest:
    """The clips with a split: the people of one fold are trained on, all others are tested."""
    table = manifest.table.copy()
    trained = set(table.loc[(table["fold"] == TRAINED_FOLD).fillna(False), "group"])
    table["split"] = ["train" if person in trained else "test" for person in table["group"]]
    table["fold"] = table["fold"].mask(table["fold"].notna())
    return manifest.with_table(table)


def _train(runs: Mapping[Path, Recipe], manifest: Manifest, progress: Callable[[int, int], None]) -> None:
    """Train the cells side by side, as many at a time as there are cores."""
    epochs = sum(recipe.optim.epochs for recipe in runs.values())
    with worker_pool(min(len(runs), usable_cores())) as pool:
        jobs = [pool.submit(train_folds, recipe, manifest, folder, folds=[None]) for folder, recipe in runs.items()]
        while True:
            done, open_jobs = wait(jobs, timeout=LOOK, return_when=FIRST_EXCEPTION)
            progress(sum(_epochs_logged(folder) for folder in runs), epochs)
            for job in done:
                job.result()  # its error is ours
            if not open_jobs:
                return


def _epochs_logged(folder: Path) -> int:
    log = folder / "split" / LOG
    return len(log.read_bytes().splitlines()) if log.exists() else 0


def _folder(cell: str) -> str:
    return cell.replace(" + ", "_").replace(" ", "_").lower()


def _clear(out: Path, seed: int) -> None:
    """Make `out` an empty folder, if nothing but a former demo is lost by it."""
    if seed < 0:
        raise DferError(f"expected a seed of 0 or more, got {seed}")
    own = {MARK, "dfew", "frames", "clips.csv", "report.html", "report.json", *map(_folder, four_cells(Recipe()))}
    there = {entry.name for entry in out.iterdir()} if out.is_dir() else set()
    foreign = sorted(name for name in there - own if not is_unfinished(name))
    if foreign or (there and MARK not in there):
        told = f" (it holds {listed(foreign)})" if foreign else ""
        raise DferError(f"{out} is in use and was not made by `dfer demo`{told}; choose another folder with --out")
    try:
        out.mkdir(parents=True, exist_ok=True)
        for name in sorted(there - {MARK}):  # the mark goes last: a demo that is killed here can be run again
            shutil.rmtree(out / name) if (out / name).is_dir() else (out / name).unlink()
        (out / MARK).write_text(json.dumps({"seed": seed, "version": __version__}) + "\n", encoding="utf-8")
    except OSError as error:
        raise DferError(f"cannot write {out}: {error.strerror}") from error
