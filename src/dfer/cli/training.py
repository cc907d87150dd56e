"""Verbs on runs: `dfer train | evaluate | demo`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.table import Table

from dfer.cli.allowing import Allow
from dfer.cli.app import app
from dfer.cli.naming import run_names
from dfer.cli.terminal import Counter, TrainingBar, cell, console, say
from dfer.cli.tracking import Track
from dfer.errors import DferError, listed, shortened

if TYPE_CHECKING:
    from dfer.datasets import Manifest
    from dfer.reports.contents import Report
    from dfer.training import Recipe


@app.command()
def train(
    recipe: Annotated[
        Path, typer.Argument(help="A recipe: a file, or the name of one that comes with dfer, such as demo.")
    ],
    data: Annotated[
        Path | None, typer.Option(help="The manifest that `dfer prepare` wrote.", show_default=False)
    ] = None,
    out: Annotated[
        Path | None, typer.Option("--out", "-o", help="The folder for the run; by default runs/RECIPE.")
    ] = None,
    fold: Annotated[str, typer.Option(help="The number of a fold, or all of them.")] = "all",
    init: Annotated[
        str | None,
        typer.Option(
            help="Trained weights to start from: faces, the folder of a model or of a run, a .safetensors or .pth "
            "file, or a name of the Hugging Face Hub in the local cache.",
        ),
    ] = None,
    set_: Annotated[
        list[str] | None,
        typer.Option("--set", help="Change a key of the recipe, such as optim.lr=1e-4; may be repeated."),
    ] = None,
    show: Annotated[
        bool, typer.Option("--show", help="Show the whole recipe with a sentence on each key; train nothing.")
    ] = False,
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on with a run that was interrupted; finished folds stay as they are.")
    ] = False,
    track: Track = None,
) -> None:
    """Train a model for each fold by a recipe; the test part is not read."""
    from dfer.training import load_recipe

    resolved = load_recipe(recipe, set_ or [])
    if init == "":
        raise DferError("--init is empty; expected faces, the folder of a model or of a run, or a file of weights")
    if init is not None:
        start = resolved.init.model_copy(update={"weights": init})
        resolved = resolved.model_copy(update={"init": start})
    if show:
        from dfer.training.described import explained

        for line in explained(resolved).splitlines():
            say(line)
        return
    if data is None:
        raise DferError("expected clips to train on: add --data and the manifest that `dfer prepare` wrote")
    from dfer.datasets import Manifest
    from dfer.experiments import fold_name, train_folds

    folder = out or Path("runs") / recipe.stem
    manifest = Manifest.read(data)
    folds = folds_of(manifest, fold)
    if resume and not any((folder / fold_name(each)).exists() for each in folds):
        say(f"{folder} holds nothing to go on with; a new run begins")
    with TrainingBar(recipe.stem, root=folder, track=track or []) as progress:
        train_folds(resolved, manifest, folder, folds=folds, resume=resume, progress=progress)
    models = f"{len(folds)} model{'s' if len(folds) > 1 else ''}"
    say(f"{models} trained in {folder}; next: dfer evaluate {folder}{_also(resolved)}")


def _also(recipe: Recipe) -> str:
    """What the other verbs need to be told of a network of one's own."""
    return f" --allow {recipe.model.name.partition(':')[0]}" if ":" in recipe.model.name else ""


def folds_of(manifest: Manifest, wanted: str) -> list[int | None]:
    wanted = shortened(wanted, 40)
    if not manifest.folds:
        if wanted not in ("all", "split"):
            raise DferError(f"this manifest has a train and a test split, no folds; leave --fold {wanted} out")
        return [None]
    if wanted == "all":
        return list(manifest.folds)
    if wanted not in map(str, manifest.folds):
        raise DferError(f"expected --fold all or one of {listed(manifest.folds, limit=20)}, got {wanted}")
    return [int(wanted)]


@app.command()
def evaluate(
    runs: Annotated[
        list[Path],
        typer.Argument(
            help="Folders of runs; the report puts them side by side. With the --data of another data set, folders of "
            "models: they predict all its clips, and emotions are mapped by name."
        ),
    ],
    out: Annotated[
        Path | None, typer.Option("--out", "-o", help="The folder for the report; by default that of the first run.")
    ] = None,
    fold: Annotated[
        str | None, typer.Option(help="The number of a fold, or all; by default all that are trained.")
    ] = None,
    data: Annotated[
        Path | None, typer.Option(help="The manifest, if it is not where training found it, or of another data set.")
    ] = None,
    by: Annotated[
        list[str] | None,
        typer.Option(help="Also give scores by group of this column of the manifest, such as age; may be repeated."),
    ] = None,
    _allow: Allow = None,
) -> None:
    """Read the test part once, score it, and write report.json and report.html."""
    from dfer.experiments.runs import evaluate_runs

    if all((run / "card.json").is_file() for run in runs):
        _evaluate_elsewhere(runs, data, out, fold, by)
        return
    names, manifest, folds = _named_runs(runs, data, fold)
    report = evaluate_runs(names, out or runs[0], manifest=manifest, folds=folds, by=by or ())
    if by:
        from dfer.reports.verdict import of_gaps

        say(of_gaps(report.cells))
    show_report(report, (out or runs[0]) / "report.html")


def _evaluate_elsewhere(
    models: list[Path], data: Path | None, out: Path | None, fold: str | None, by: list[str] | None
) -> None:
    from dfer.experiments.elsewhere import evaluate_elsewhere

    if data is None or out is None:
        raise DferError(f"{models[0]} is a model: name the manifest with --data and the report's folder with --out")
    if fold or by:
        raise DferError("expected --fold and --by with folders of runs; a model is judged on all clips of --data")
    report = evaluate_elsewhere(dict(zip(run_names(models), models, strict=True)), data, out)
    show_report(report, out / "report.html")


@app.command()
def robustness(
    runs: Annotated[list[Path], typer.Argument(help="Folders of runs; all others are compared with the first.")],
    out: Annotated[
        Path | None, typer.Option("--out", "-o", help="The folder for the page; by default that of the first run.")
    ] = None,
    fold: Annotated[
        str | None, typer.Option(help="The number of a fold, or all; by default all that are trained.")
    ] = None,
    data: Annotated[Path | None, typer.Option(help="The manifest, if it is not where training found it.")] = None,
    only: Annotated[
        list[str] | None,
        typer.Option(help="Only this corruption, such as motion_blur; may be repeated; by default all eight."),
    ] = None,
    temporal: Annotated[
        bool,
        typer.Option(
            "--temporal",
            help="Shuffle and reverse the frames and repeat the peak instead: does the network use time? Writes "
            "temporal.json and temporal.html.",
        ),
    ] = False,
    _allow: Allow = None,
) -> None:
    """Read the test part with blur, noise, darkness and so on; write robustness.json and robustness.html."""
    if temporal:
        if only:
            raise DferError("--only names corruptions of pictures; --temporal changes their order: leave one out")
        _temporal(runs, out or runs[0], data, fold)
        return
    from dfer.experiments.robustness import corrupted_runs
    from dfer.metrics.scores import BY_KEY
    from dfer.reports.robustness_page import conclusion
    from dfer.video.corruptions import CORRUPTIONS, known_corruption

    names, manifest, folds = _named_runs(runs, data, fold)
    chosen = [known_corruption(name) for name in only or CORRUPTIONS]
    with Counter("corrupted test parts") as progress:
        result = corrupted_runs(names, out or runs[0], manifest=manifest, folds=folds, names=chosen, progress=progress)
    table = Table(title=f"{result.clips} test clips, {len(chosen)} corruptions", title_justify="left")
    table.add_column("run", overflow="fold")
    for name in ("WAR clean", "WAR corrupted ↑", "KL clean", "KL corrupted ↓", "corruption error ↓"):
        table.add_column(name, justify="right")
    for run in result.runs:
        scores = [BY_KEY[key].text(part[key]) for key in ("war", "kl") for part in (run.clean, run.mean)]
        error = "–" if run.corruption_error is None else f"{run.corruption_error:.3f}"
        table.add_row(cell(run.name), *scores, error)
    for row in result.constants:
        war, kl = (BY_KEY[key].text(row[key]) for key in ("war", "kl"))
        table.add_row(cell(row.name), war, war, kl, kl, "", style="dim")
    console.print(table)
    say(conclusion(result))
    say(f"page: {(out or runs[0]) / 'robustness.html'}")


def _temporal(runs: list[Path], out: Path, data: Path | None, fold: str | None) -> None:
    from dfer.experiments.robustness import reordered_runs
    from dfer.metrics.scores import BY_KEY
    from dfer.reports.findings import between
    from dfer.reports.temporal_page import conclusion

    names, manifest, folds = _named_runs(runs, data, fold)
    with Counter("reordered test parts") as progress:
        result = reordered_runs(names, out, manifest=manifest, folds=folds, progress=progress)
    war = BY_KEY["war"]
    table = Table(title=f"{result.clips} test clips, points of WAR lost", title_justify="left")
    table.add_column("run", overflow="fold")
    for name in ("WAR", *result.orders):
        table.add_column(name, justify="right")
    for run in result.runs:
        lost = [loss.losses["war"] for loss in run.losses]
        cells = [f"{war.difference(one.difference, 0.0)} ({between(war, one.interval, signed=True)})" for one in lost]
        table.add_row(cell(run.name), war.text(run.scores["war"]), *cells)
    console.print(table)
    say(conclusion(result))
    say(f"page: {out / 'temporal.html'}")


def _named_runs(
    runs: list[Path], data: Path | None, fold: str | None
) -> tuple[dict[str, Path], Manifest, list[int | None] | None]:
    """Runs by name, their manifest, and the folds that were asked for."""
    from dfer.datasets import Manifest
    from dfer.experiments.runs import manifest_of

    for run in runs:
        if not run.is_dir():
            raise DferError(f"expected the folder of a run of `dfer train`, got {run}")
    manifest = Manifest.read(data or manifest_of(runs))
    folds = None if fold is None else folds_of(manifest, fold)
    return dict(zip(run_names(runs), runs, strict=True)), manifest, folds


@app.command()
def demo(
    out: Annotated[
        Path, typer.Option("--out", "-o", help="The folder for the demo; a former demo in it is replaced.")
    ] = Path("runs/demo"),
    seed: Annotated[int, typer.Option(help="The same seed gives the same table.")] = 1,
) -> None:
    """Run the whole method in five minutes: draw clips, train {hard, soft} x {plain, MIDAS}, write a report."""
    from dfer.demo import run_demo

    report = run_demo(out, seed=seed, say=say, counter=Counter)
    show_report(report, out / "report.html")


def show_report(report: Report, path: Path) -> None:
    """The report's main table on the terminal, and where the page is."""
    from dfer.metrics.scores import BY_KEY

    table = Table(title="Test scores (pooled over folds)", title_justify="left")
    table.add_column("cell", overflow="fold")
    for name in ("clips", "WAR ↑", "UAR ↑", "KL ↓", "JS ↓", "ECE ↓"):
        table.add_column(name, justify="right")
    keys = ("war", "uar", "kl", "js", "ece")
    for run in report.cells:
        table.add_row(cell(run.name), str(run.n), *(BY_KEY[key].text(run[key]) for key in keys))
    for row in report.constants or []:
        table.add_row(cell(row.name), "", *(BY_KEY[key].text(row[key]) for key in keys), style="dim")
    console.print(table)
    for sentence in _verdict(report):
        say(sentence)
    if report.data.note:
        say(report.data.note)
    say(f"report: {path}")


def _verdict(report: Report) -> list[str]:
    """What the clips tell of several runs, and which are no better than a constant."""
    from dfer.reports import findings, verdict

    cells, standings = report.cells, report.standings
    leads = map(str, verdict.leads(cells, standings))
    said = [] if len(cells) == 1 else [*leads, verdict.untold(cells, standings)]
    return [sentence for sentence in (*said, *findings.warnings(cells)) if sentence]
