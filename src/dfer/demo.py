"""The demo: the whole method on the embedded data set, from drawing faces to the report.

Four cells, {hard, soft} × {plain, MIDAS}, that differ in nothing else: the same clips, network, schedule and seed.
It runs the same readers, trainer and report as real data does.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any

import torch

from dfer.augment import Midas
from dfer.datasets import read_source
from dfer.datasets.pack import pack
from dfer.datasets.synthetic import synthesise
from dfer.errors import DferError, listed
from dfer.training import Progress, Recipe, evaluate_runs, load_recipe, train_folds
from dfer.version import __version__

CLIPS = 600
FOLD = 1
FRAME_SIZE = 56
"""Pixels at which the clips are packed; the recipe crops its input from that."""
NOTE = (
    "The faces are drawn and the votes are simulated. This page shows how the method works and what a report looks "
    "like; no number on it says anything about people, and none is a result on DFEW."
)
MARK = "demo.json"
"""Lies in a folder that `dfer demo` made, and that it may therefore make anew."""

Counter = Callable[[str], AbstractContextManager[Callable[[int, int], None]]]
Bar = Callable[[str], AbstractContextManager[Progress]]


def four_cells(recipe: Recipe) -> dict[str, Recipe]:
    """{hard, soft} × {plain, MIDAS} of a recipe, by name; MIDAS as the recipe has it, else the default."""
    mixing = recipe.midas or Midas()
    labels = {"hard labels": recipe.labels.hard(), "soft labels": recipe.labels}
    return {
        name + suffix: recipe.model_copy(update={"labels": label, "midas": midas})
        for name, label in labels.items()
        for suffix, midas in (("", None), (" + MIDAS", mixing))
    }


def run_demo(out: Path, *, seed: int, say: Callable[[str], None], counter: Counter, bar: Bar) -> dict[str, Any]:
    """Run the demo into `out`, anew each time.

    Args:
        out: folder; gets `dfew/` (the made-up data set), `clips.csv`, a run a cell, `report.html`, `report.json`.
        seed: of faces, votes, weights and mixing; the same seed gives the same table.
        say: prints a line.
        counter: makes a progress bar for drawing and packing.
        bar: makes a progress bar for training.

    Returns:
        The report.

    Raises:
        DferError: `out` holds something that is not a demo, or cannot be written.
    """
    _clear(out, seed)
    say(f"1/4  drawing {CLIPS} synthetic clips, with ten votes each, in DFEW's layout: {out / 'dfew'}")
    with counter("drawing") as progress:
        synthesise(out / "dfew", clips=CLIPS, seed=seed, progress=progress)
    say("2/4  reading them as any DFEW, and packing the frames")
    with counter("packing") as progress:
        manifest, _ = pack(read_source("dfew", out / "dfew"), out / "frames", size=FRAME_SIZE, progress=progress)
    data = out / "clips.csv"
    manifest.write(data)
    recipe = load_recipe(Path("demo")).model_copy(update={"seed": seed})
    runs = {}
    with _one_thread():
        for name, cell in four_cells(recipe).items():
            say(f"3/4  training: {name}")
            runs[name] = out / _folder(name)
            with bar(name) as steps:
                train_folds(cell, data, runs[name], folds=[FOLD], progress=steps)
    say(f"4/4  reading the test part of fold {FOLD}, once, and writing the report")
    return evaluate_runs(runs, out, note=NOTE)


def _folder(cell: str) -> str:
    return cell.replace(" + ", "_").replace(" ", "_").lower()


@contextmanager
def _one_thread() -> Iterator[None]:
    """So small a network gains little from a second one, and the table is the same on any number of cores."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


def _clear(out: Path, seed: int) -> None:
    """Make `out` an empty folder, if nothing but a former demo is lost by it."""
    if seed < 0:
        raise DferError(f"expected a seed of 0 or more, got {seed}")
    own = {MARK, "dfew", "frames", "clips.csv", "report.html", "report.json", *map(_folder, four_cells(Recipe()))}
    foreign = sorted({entry.name for entry in out.iterdir()} - own) if out.is_dir() else []
    if foreign or (out.is_dir() and any(out.iterdir()) and not (out / MARK).is_file()):
        told = f" (it holds {listed(foreign)})" if foreign else ""
        raise DferError(f"{out} is in use and was not made by `dfer demo`{told}; choose another folder with --out")
    try:
        if out.is_dir():
            shutil.rmtree(out)
        out.mkdir(parents=True)
        (out / MARK).write_text(json.dumps({"seed": seed, "version": __version__}) + "\n", encoding="utf-8")
    except OSError as error:
        raise DferError(f"cannot write {out}: {error.strerror}") from error
