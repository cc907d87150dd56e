"""The verb `dfer estimate`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from dfer.cli.app import app
from dfer.cli.clustering import Ray
from dfer.cli.terminal import TrainingBar, say
from dfer.cli.tracking import Track

if TYPE_CHECKING:
    from dfer.datasets import Manifest


@app.command()
def estimate(
    recipe: Annotated[Path, typer.Argument(help="A recipe: a file, or the name of one that comes with dfer.")],
    data: Annotated[Path, typer.Option(help="A manifest whose clips have labels.")],
    out: Annotated[
        Path, typer.Option("--out", "-o", help="The manifest to write, with the estimates in columns soft_EMOTION.")
    ],
    folds: Annotated[
        int, typer.Option(help="The number of folds; the models that estimate a fold are trained on the others.")
    ] = 5,
    models: Annotated[
        int, typer.Option(help="The number of models for each fold; their predictions are averaged.")
    ] = 1,
    weight: Annotated[float, typer.Option(help="The weight of the given label in the soft label, from 0 to 1.")] = 0.5,
    fold: Annotated[
        int | None, typer.Option(help="If the manifest has folds: estimate the training part of this fold only.")
    ] = None,
    runs: Annotated[
        Path | None, typer.Option(help="The folder for the models; by default runs/estimate_RECIPE.")
    ] = None,
    set_: Annotated[
        list[str] | None,
        typer.Option("--set", help="Change a key of the recipe, such as optim.lr=1e-4; may be repeated."),
    ] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on with a command that was interrupted.")] = False,
    track: Track = None,
    ray: Ray = None,
) -> None:
    """Estimate soft labels for clips with one label and no votes, by models that never saw the clip."""
    from dfer.cluster import on_cluster
    from dfer.datasets import Manifest
    from dfer.datasets.manifest import check_suffix
    from dfer.experiments.estimate import Estimation, estimate_labels
    from dfer.training import load_recipe

    check_suffix(out)  # not after hours of training
    plan = Estimation(recipe.stem, folds=folds, models=models, weight=weight, fold=fold)
    resolved, manifest = load_recipe(recipe, set_ or []), Manifest.read(data)
    folder = runs or Path("runs") / f"estimate_{recipe.stem}"
    with on_cluster(ray), TrainingBar(recipe.stem, root=folder, track=track or []) as progress:
        estimated = estimate_labels(resolved, manifest, folder, plan=plan, resume=resume, progress=progress)
    estimated.write(out)
    _show(estimated)
    say(f"next: dfer train {recipe} --data {out} --set labels.rule=given")


def _show(manifest: Manifest) -> None:
    """How many clips have an estimate, why others have none, and where the estimates come from."""
    done, train = manifest.estimated, (manifest.table["split"] == "train").to_numpy()
    say(f"estimated {done.sum()} clips; no estimate for {(~train).sum()} outside the training part")
    if (train & ~done).any():
        say(f"no estimate for {(train & ~done).sum()} of the training part that have no single label")
    same = manifest.soft[done].argmax(axis=1) == manifest.labels[done]
    say(f"the given label is the strongest emotion in {same.mean():.1%} of them")
    for origin, count in manifest.table["soft_from"][done].value_counts().items():
        say(f"{count}: {origin}")
