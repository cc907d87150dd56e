"""Verbs on saved predictions and pages: `dfer report | tables | figures | calibrate`."""

from __future__ import annotations

from enum import Enum
from pathlib import Path
from typing import Annotated

import typer

from dfer.cli.allowing import Allow
from dfer.cli.app import app
from dfer.cli.naming import run_names
from dfer.cli.terminal import say
from dfer.cli.training import show_report
from dfer.errors import DferError, listed


class FigureForm(str, Enum):
    """What `dfer figures` writes."""

    svg = "svg"
    pdf = "pdf"
    png = "png"


@app.command()
def report(
    tables: Annotated[
        list[Path],
        typer.Argument(help="Tables of predictions, .csv or .parquet: id, label or votes_EMOTION, and prob_EMOTION."),
    ],
    out: Annotated[
        Path | None, typer.Option("--out", "-o", help="The folder for the report; by default that of the first table.")
    ] = None,
    data: Annotated[
        Path | None, typer.Option(help="The manifest; intervals are then over persons or films instead of clips.")
    ] = None,
) -> None:
    """Score predictions of any network; write report.json and report.html."""
    from dfer.comparison.constant import read_constants
    from dfer.datasets import Manifest
    from dfer.experiments.attributes import groups_of
    from dfer.metrics import Predictions
    from dfer.reports.contents import DataSet
    from dfer.reports.given import report_on

    read = {name: Predictions.read(path) for name, path in zip(run_names(tables), tables, strict=True)}
    groups = None if data is None else groups_of(Manifest.read(data))
    folder = out or tables[0].parent
    first = next(iter(read.values()))
    described = DataSet(listed(tables, 3), len(first))
    constants = read_constants(tables[0], first.emotions)
    told = report_on(read, folder, data=described, groups=groups, constants=constants)
    show_report(told, folder / "report.html")


@app.command("tables")
def print_tables(
    runs: Annotated[
        list[Path], typer.Argument(help="Folders of evaluated runs, or report.json, compare.json, robustness.json.")
    ],
    latex: Annotated[bool, typer.Option("--latex", help="Print LaTeX, for the package booktabs.")] = False,
    csv: Annotated[bool, typer.Option("--csv", help="Print comma-separated values.")] = False,
    markdown: Annotated[bool, typer.Option("--markdown", help="Print Markdown; this is the default.")] = False,
) -> None:
    """Print the tables of reports and comparisons for a paper."""
    from dfer.reports.tables import FORMS, tables_of

    chosen = [name for name, wanted in (("latex", latex), ("csv", csv), ("markdown", markdown)) if wanted]
    if len(chosen) > 1:
        raise DferError(f"expected one of --latex, --csv and --markdown, got {listed(f'--{name}' for name in chosen)}")
    lines = FORMS[chosen[0] if chosen else "markdown"]
    for number, table in enumerate(tables_of(runs)):
        say(*([""] * bool(number)), *lines(table))


@app.command()
def figures(
    run: Annotated[Path, typer.Argument(help="The folder of an evaluated run, or its report.json.")],
    out: Annotated[
        Path | None,
        typer.Option("--out", "-o", help="The folder for the figures; by default `figures` beside the report."),
    ] = None,
    form: Annotated[FigureForm, typer.Option("--format", help="The format of the files.")] = FigureForm.svg,
) -> None:
    """Draw confusion, reliability and training curves of a report as files for a paper."""
    from dfer.reports.drawings import write_figures

    path = run / "report.json" if run.is_dir() else run
    if run.is_dir() and not path.exists():
        raise DferError(f"{run} holds no report.json; run `dfer evaluate {run}` first")
    written = write_figures(path, out or path.parent / "figures", form=form.value)
    for file in written:
        say(str(file))


@app.command()
def calibrate(
    model: Annotated[
        Path, typer.Argument(help="A model's folder (RUN/fold1/model), or a table of predictions (.csv, .parquet).")
    ],
    fit: Annotated[
        Path, typer.Option(help="Predictions of the same model for clips that it was not trained on: validation.csv.")
    ],
    out: Annotated[
        Path, typer.Option("--out", "-o", help="The calibrated model's folder, or the calibrated table, to write.")
    ],
    _allow: Allow = None,
) -> None:
    """Fit one temperature on validation clips, so that probabilities agree with the votes or labels."""
    from dfer.experiments.tempering import calibrate_model, calibrate_table

    found = (calibrate_model if model.is_dir() else calibrate_table)(model, fit, out)
    say(f"temperature {found.temperature:.3f}, fitted on {found.clips} clips; on these clips:")
    for key, name in (("kl", "KL"), ("vote_ece", "ECE against votes"), ("ece", "ECE against labels")):
        before, after = found.before[key], found.after[key]
        if before is not None and after is not None:  # None: no clip has votes, or a label
            say(f"  {name}: {before:.3f} before, {after:.3f} after")
    say(f"written: {out}")
