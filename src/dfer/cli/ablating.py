"""The verb on grids of recipes: `dfer ablate`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from dfer.cli.app import app
from dfer.cli.clustering import Ray
from dfer.cli.comparing import show_comparison
from dfer.cli.terminal import TrainingBar, say
from dfer.cli.tracking import Track
from dfer.errors import DferError, require_known, shortened

LONGEST_SEED = 18
"""Digits; a seed is below 2**63."""


@app.command()
def ablate(
    recipes: Annotated[
        list[Path], typer.Argument(metavar="RECIPE...", help="Recipes: files, or names of those that come with dfer.")
    ],
    data: Annotated[Path, typer.Option(help="The manifest that `dfer prepare` wrote.")],
    grid: Annotated[
        list[str] | None,
        typer.Option(
            "--grid",
            "-g",
            help="A key and its values, as key=value,value; may be repeated, and all combinations are trained. A value "
            "may be off or a whole table: midas=off,{alpha=0.4}.",
        ),
    ] = None,
    seeds: Annotated[
        str, typer.Option(help="The seeds, such as 0,1,2; each cell is trained once with each.")
    ] = "0,1,2",
    fold: Annotated[str, typer.Option(help="The number of a fold, or all of them.")] = "all",
    set_: Annotated[
        list[str] | None, typer.Option("--set", help="Change a key of the recipe in all cells; may be repeated.")
    ] = None,
    baseline: Annotated[
        str | None, typer.Option(help="The cell with which the others are compared; by default the first.")
    ] = None,
    out: Annotated[Path, typer.Option("--out", "-o", help="The folder for all runs and the page.")] = Path(
        "runs/ablate"
    ),
    track: Track = None,
    ray: Ray = None,
) -> None:
    """Train a grid of recipes x seeds x folds and compare its cells; the same command goes on where it stopped."""
    from dfer.cli.training import folds_of
    from dfer.cluster import on_cluster
    from dfer.datasets import Manifest
    from dfer.experiments import ablation

    cells = ablation.grid(recipes, grid or [], set_ or [])
    if baseline:
        require_known("the grid has no cell", baseline, cells)
    cells = {name: cells[name] for name in sorted(cells, key=lambda name: name != (baseline or next(iter(cells))))}
    if len(cells) < 2:
        raise DferError("expected a grid of two cells or more; name another recipe, or --grid key=value,value")
    manifest = Manifest.read(data)
    folds = folds_of(manifest, fold)
    runs = ablation.jobs(cells, out, seeds=_seeds(seeds), folds=folds)
    count = sum(len(of_a_seed) for of_a_cell in runs.values() for of_a_seed in of_a_cell)
    say(f"{len(cells)} cells, {count} runs in {out}")
    with on_cluster(ray), TrainingBar("ablate", root=out, every=10, track=track or []) as progress:
        elsewhere = ablation.train_grid(runs, manifest, progress)
    if elsewhere:
        say(f"{len(elsewhere)} runs are still being trained by other processes; run this again for the table")
        return
    show_comparison(ablation.compare_grid(runs, manifest, out), out / "compare.html")


def _seeds(text: str) -> list[int]:
    parts = [part.strip() for part in text.split(",")]
    seeds = [int(part) for part in parts if part.isdecimal() and len(part) <= LONGEST_SEED]
    if len(set(seeds)) < len(parts):
        raise DferError(f"expected --seeds as different whole numbers such as 0,1,2, got {shortened(text)!r}")
    return seeds
