"""The command line: `dfer synth | prepare | train | evaluate | demo`. Verbs only; what they do lives elsewhere.

Bad input is one line on stderr and exit code 2; a clip that is left out is named, counted and said. Libraries
are imported inside the verbs, so that `dfer --help` is quick.
"""

from __future__ import annotations

import logging
import os
import sys
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.logging import RichHandler
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table
from rich.text import Text
from typer.core import TyperGroup

from dfer.errors import DferError, listed
from dfer.version import __version__

if TYPE_CHECKING:
    from dfer.datasets import Manifest


class _Verbs(TyperGroup):
    """The verbs; Ctrl-C in any of them is exit code 130 and a line on what to do."""

    def invoke(self, ctx: Any) -> Any:
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt as interrupt:
            goes_on = ctx.invoked_subcommand == "train"
            errors.print("interrupted" + ("; --resume goes on from the last saved state" if goes_on else ""))
            raise typer.Exit(130) from interrupt


app = typer.Typer(
    cls=_Verbs,
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
console = Console()
errors = Console(stderr=True)


def main() -> None:
    """Run the command line; exit code 0, 1 (a bug), 2 (bad input, or a disk that fails) or 130 (interrupted)."""
    # Read when torch loads. Its threads spin while they wait for each other; for this short a time it costs nothing on
    # an idle machine, and where another process wants a core training is several times as fast as by default.
    os.environ.setdefault("GOMP_SPINCOUNT", "10000")
    debug = "--debug" in sys.argv
    sys.argv = [argument for argument in sys.argv if argument != "--debug"]
    console.quiet = os.environ.get("RANK", "0") != "0"  # of several processes of torchrun, one speaks
    logging.basicConfig(
        level=logging.DEBUG if debug else logging.WARNING,
        format="%(message)s",
        handlers=[RichHandler(console=errors, show_time=False, show_path=False, markup=False)],
    )
    for noisy in ("matplotlib", "PIL", "libav"):
        logging.getLogger(noisy).setLevel(logging.ERROR)
    try:
        app()
    except (DferError, OSError) as error:
        if debug:
            raise
        errors.print(Text.assemble(("error:", "bold red"), f" {_one_line(error)}"), soft_wrap=True)
        sys.exit(2)


def _one_line(error: DferError | OSError) -> str:
    text = str(error)
    if isinstance(error, OSError) and error.strerror:
        text = error.strerror if error.filename is None else f"{error.filename}: {error.strerror}"
    return " ".join(text.splitlines())


def _show_version(wanted: bool) -> None:
    if wanted:
        console.print(f"dfer {__version__}", highlight=False)
        raise typer.Exit


@app.callback()
def options(
    _version: Annotated[
        bool,
        typer.Option("--version", help="Show the version and exit.", is_eager=True, callback=_show_version),
    ] = False,
    _debug: Annotated[bool, typer.Option("--debug", help="Show a traceback for every error, and log more.")] = False,
) -> None:
    """Dynamic facial expression recognition when people do not agree.

    Your data: prepare, then train, then evaluate. No data yet: demo, or synth and then the same three.
    """


def _say(text: str) -> None:
    """A line on stdout as it is."""
    console.print(text, markup=False, highlight=False, soft_wrap=True)


def _bar() -> Progress:
    return Progress(
        TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn(),
        TextColumn("{task.fields[note]}"),
        console=console, transient=not console.is_terminal, disable=not console.is_terminal,
    )  # fmt: skip


class _Counter:
    """A progress bar as the callback `(done, total)` that the library's long jobs call."""

    def __init__(self, what: str) -> None:
        self.bar, self.what = _bar(), what
        self.task = self.bar.add_task(what, total=None, note="")

    def __enter__(self) -> _Counter:
        self.bar.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.bar.stop()

    def __call__(self, done: int, total: int) -> None:
        self.bar.update(self.task, completed=done, total=total)


class TrainingBar:
    """Steps, loss, clips a second and time left; a line every so many epochs. The `Progress` of `dfer.training.fit`."""

    def __init__(self, what: str, *, every: int = 1) -> None:
        self.bar, self.every = _bar(), every
        self.task = self.bar.add_task(what, total=None, note="")

    def __enter__(self) -> TrainingBar:
        self.bar.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.bar.stop()

    def step(self, done: int, total: int, loss: float, clips_per_second: float) -> None:
        """See `dfer.training.fit.Progress`."""
        self.bar.update(self.task, completed=done, total=total, note=f"loss {loss:.3f}  {clips_per_second:.0f} clips/s")

    def epoch(self, row: dict[str, Any]) -> None:
        """See `dfer.training.fit.Progress`."""
        if row["epoch"] % self.every:
            return
        scores = "  ".join(f"{name} {row[name]:.3f}" for name in ("val_war", "val_uar", "val_kl") if name in row)
        self.bar.console.print(
            f"epoch {row['epoch']:>3}  loss {row['train_loss']:.3f}  {scores}  {row['seconds']:.0f} s",
            highlight=False,
        )


@app.command()
def synth(
    out: Annotated[Path, typer.Argument(help="The folder to write.")],
    clips: Annotated[int, typer.Option(help="Number of clips, at least 35.")] = 600,
    seed: Annotated[int, typer.Option(help="The same seed draws the same pixels and votes.")] = 0,
    size: Annotated[int, typer.Option(help="Height and width of the frames in pixels.")] = 96,
    workers: Annotated[int | None, typer.Option(min=1, help="Processes that draw; by default one a core.")] = None,
) -> None:
    """Draw a made-up data set of faces with votes, in DFEW's layout."""
    from dfer.datasets.synthetic import synthesise

    with _Counter("drawing clips") as progress:
        synthesise(out, clips=clips, seed=seed, size=size, workers=workers, progress=progress)
    _say(f"{clips} synthetic clips in {out}; next: dfer prepare dfew {out}")


@app.command()
def prepare(
    source: Annotated[str, typer.Argument(help="The reader: dfew, ferplus, folder or table.")],
    root: Annotated[Path, typer.Argument(help="The data set's folder; for table, the file.")],
    out: Annotated[
        Path | None,
        typer.Option("--out", "-o", help="The manifest to write, .csv or .parquet; by default data/SOURCE.csv."),
    ] = None,
    pack: Annotated[
        int,
        typer.Option(
            min=0,
            help="Decode every clip once to square frames of this many pixels, kept beside the manifest; 0: don't.",
        ),
    ] = 0,
    grey: Annotated[bool, typer.Option("--grey", help="Pack grey frames instead of colour.")] = False,
    workers: Annotated[int | None, typer.Option(min=1, help="Processes that pack; by default one a core.")] = None,
    option: Annotated[
        list[str] | None, typer.Option("--option", "-O", help="An option of the reader, key=value; may be repeated.")
    ] = None,
) -> None:
    """Read a data set into a manifest: one table, one row a clip, with its votes, fold and person."""
    from dfer.datasets import Manifest, read_source

    options = dict(_key_value(text) for text in option or [])
    path = out or Path("data") / f"{source}.csv"
    if path.suffix not in (".csv", ".parquet"):
        raise DferError(f"expected --out to end in .csv or .parquet, got {path}")
    manifest = read_source(source, root, **options)
    if pack:
        manifest = _pack(manifest, path.with_suffix(""), pack, grey, workers)
    manifest.write(path)
    _show_manifest(Manifest.read(path), path)


def _pack(manifest: Manifest, folder: Path, size: int, grey: bool, workers: int | None) -> Manifest:
    from dfer.datasets.pack import pack

    with _Counter("packing clips") as progress:
        packed, failures = pack(manifest, folder, size=size, grey=grey, workers=workers, progress=progress)
    if len(failures):
        lines = [f"left out {len(failures)} clips that could not be read, see {folder}/failures.csv:"]
        lines += [f"  {row.id}: {row.reason}" for row in failures.head(5).itertuples()]
        errors.print("\n".join(lines), markup=False, highlight=False, soft_wrap=True)
    return packed


def _key_value(text: str) -> tuple[str, str]:
    key, equals, value = text.partition("=")
    if not equals:
        raise DferError(f"expected --option key=value, got {text!r}")
    return key, value


def _show_manifest(manifest: Manifest, path: Path) -> None:
    table = Table(title=f"{len(manifest)} clips in {escape(str(path))}", title_justify="left")
    for column in ("emotion", "single label", "votes"):
        table.add_column(column, justify="left" if column == "emotion" else "right")
    votes = manifest.votes
    for index, name in enumerate(manifest.emotions):
        share = votes[:, index][~(votes != votes).any(axis=1)].sum()
        table.add_row(name, str(int((manifest.labels == index).sum())), f"{share:.0f}")
    console.print(table)
    _say(f"without a single label: {int((manifest.labels < 0).sum())}")
    folds = [f"fold {fold}: {int((manifest.table['fold'] == fold).sum())}" for fold in manifest.folds]
    splits = manifest.table["split"].value_counts()
    parts = folds or [f"{name}: {count}" for name, count in splits.items() if name]
    _say("test clips, " + ", ".join(folds) if folds else "clips, " + (", ".join(parts) or "no folds, no splits"))
    for reason, count in manifest.left_out.items():
        _say(f"left out {count}: {reason}")


@app.command()
def train(
    recipe: Annotated[
        Path, typer.Argument(help="A recipe's file, or the name of one that comes with dfer, such as demo.")
    ],
    data: Annotated[Path, typer.Option(help="The manifest that `dfer prepare` wrote.")],
    out: Annotated[Path | None, typer.Option("--out", "-o", help="The run's folder; by default runs/RECIPE.")] = None,
    fold: Annotated[str, typer.Option(help="The number of a fold, or all.")] = "all",
    set_: Annotated[
        list[str] | None,
        typer.Option("--set", help="Override a key of the recipe, such as optim.lr=1e-4; may be repeated."),
    ] = None,
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on with a run that was broken off; finished folds stay as they are.")
    ] = False,
) -> None:
    """Train by a recipe, one model a fold; the test part stays closed."""
    from dfer.datasets import Manifest
    from dfer.training import load_recipe, train_folds

    resolved = load_recipe(recipe, set_ or [])
    folder = out or Path("runs") / recipe.stem
    folds = _folds(Manifest.read(data), fold)
    with TrainingBar(recipe.stem) as progress:
        train_folds(resolved, data, folder, folds=folds, resume=resume, progress=progress)
    _say(f"{len(folds)} model{'s' if len(folds) > 1 else ''} trained in {folder}; next: dfer evaluate {folder}")


def _folds(manifest: Manifest, wanted: str) -> list[int | None]:
    if not manifest.folds:
        if wanted not in ("all", "split"):
            raise DferError(f"this manifest has a train and a test split, no folds; leave --fold {wanted} out")
        return [None]
    if wanted == "all":
        return list(manifest.folds)
    if not wanted.isdigit() or int(wanted) not in manifest.folds:
        raise DferError(f"expected --fold all or one of {listed(manifest.folds, limit=20)}, got {wanted}")
    return [int(wanted)]


@app.command()
def evaluate(
    runs: Annotated[list[Path], typer.Argument(help="Folders of runs; the report puts them side by side.")],
    out: Annotated[
        Path | None, typer.Option("--out", "-o", help="Folder of the report; by default that of the (first) run.")
    ] = None,
    fold: Annotated[
        str | None, typer.Option(help="The number of a fold, or all; by default those that are trained.")
    ] = None,
    data: Annotated[Path | None, typer.Option(help="The manifest, if it is not where training found it.")] = None,
) -> None:
    """Read the test part once, score it, and write report.json and report.html."""
    from dfer.training.runs import evaluate_runs, manifest_of

    for run in runs:
        if not run.is_dir():
            raise DferError(f"expected the folder of a run of `dfer train`, got {run}")
    path = data or manifest_of(runs)
    folds = None
    if fold is not None:
        from dfer.datasets import Manifest

        folds = _folds(Manifest.read(path), fold)
    names = {run.resolve().name: run for run in runs}
    if len(names) < len(runs):
        raise DferError(f"expected runs with different names, got {listed(runs)}")
    report = evaluate_runs(names, out or runs[0], data=path, folds=folds)
    show_report(report, (out or runs[0]) / "report.html")


@app.command()
def demo(
    out: Annotated[
        Path, typer.Option("--out", "-o", help="Folder of the demo; a former demo in it is replaced.")
    ] = Path("runs/demo"),
    seed: Annotated[int, typer.Option(help="The same seed gives the same table.")] = 0,
) -> None:
    """The whole method in some minutes: draw clips, train {hard, soft} x {plain, MIDAS}, report."""
    from dfer.demo import run_demo

    report = run_demo(
        out,
        seed=seed,
        say=_say,
        counter=_Counter,
        bar=partial(TrainingBar, every=10),
    )
    show_report(report, out / "report.html")


def show_report(report: dict[str, Any], path: Path) -> None:
    """The report's main table on the terminal, and where the page is."""
    table = Table(title="Test scores (pooled over folds)", title_justify="left")
    table.add_column("cell")
    for name in ("clips", "WAR ↑", "UAR ↑", "KL ↓", "JS ↓", "ECE ↓"):
        table.add_column(name, justify="right")
    for cell in report["cells"]:
        percent = [_number(cell[key], 100, 1) for key in ("war", "uar")]
        plain = [_number(cell[key], 1, 3) for key in ("kl", "js", "ece")]
        table.add_row(escape(cell["name"]), str(cell["n"]), *percent, *plain)
    console.print(table)
    _say(f"report: {path}")


def _number(value: float | None, factor: float, digits: int) -> str:
    return "–" if value is None else f"{value * factor:.{digits}f}"
