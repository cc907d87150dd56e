"""The verb on saved predictions: `dfer compare`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.table import Table

from dfer.cli.app import app
from dfer.cli.naming import run_names
from dfer.cli.terminal import cell, console, say
from dfer.errors import DferError, listed

if TYPE_CHECKING:
    from dfer.comparison.cells import Comparison


@app.command()
def compare(
    runs: Annotated[
        list[str],
        typer.Argument(
            metavar="RUN...",
            help="Folders of evaluated runs, or tables of predictions; NAME=RUN,RUN,RUN puts seeds together. "
            "All others are compared with the first.",
        ),
    ],
    out: Annotated[
        Path | None, typer.Option("--out", "-o", help="The folder for the page; by default that of the first run.")
    ] = None,
    data: Annotated[
        Path | None,
        typer.Option(help="The manifest; intervals are then over persons or films instead of clips."),
    ] = None,
    seed: Annotated[int, typer.Option(min=0, help="The seed of the random draws of the tests.")] = 0,
) -> None:
    """Compare runs by their saved predictions, with intervals and tests; write compare.json and compare.html."""
    from dfer import comparison, reports
    from dfer.comparison.constant import read_constants
    from dfer.datasets import Manifest
    from dfer.experiments.attributes import groups_of

    cells = _cells(runs)
    groups = None if data is None else groups_of(Manifest.read(data))
    tables = {name: [comparison.read_run(path) for path in paths] for name, paths in cells.items()}
    first = next(iter(cells.values()))[0]
    constants = read_constants(first, next(iter(tables.values()))[0].emotions)
    found = comparison.compare(tables, groups=groups, constants=constants, seed=seed)
    folder = out or (first if first.is_dir() else first.parent)
    reports.write_comparison(found, folder)
    show_comparison(found, folder / "compare.html")


def _cells(arguments: list[str]) -> dict[str, list[Path]]:
    """Name -> the runs of a cell."""
    bare = [text for text in arguments if "=" not in text or Path(text).exists()]
    names, cells = iter(run_names([Path(text) for text in bare])), {}
    for text in arguments:
        if text in bare:
            cells[next(names)] = [Path(text)]
        else:
            name, _, paths = text.partition("=")
            cells[name] = [Path(path) for path in paths.split(",") if path]
    run_names([path for paths in cells.values() for path in paths])  # refuses one that is there twice
    if len(cells) < len(arguments) or "" in cells or not all(cells.values()):
        raise DferError(f"expected runs with different names, RUN or NAME=RUN,RUN; got {listed(arguments)}")
    return cells


def show_comparison(comparison: Comparison, page: Path) -> None:
    """The main scores on the terminal, the sentence, and where the page is."""
    from dfer.comparison.paired import TESTED
    from dfer.metrics.scores import BY_KEY
    from dfer.reports import findings

    scores = [BY_KEY[key] for key in TESTED]
    table = Table(title=f"{comparison.clips.all} common test clips, 95 % intervals", title_justify="left")
    table.add_column("run", overflow="fold")
    for score in scores:
        table.add_column(f"{score.name} {score.arrow}", justify="right")
    for one in comparison.cells:
        found = [(score, one.scores[score.key]) for score in scores]
        table.add_row(
            cell(one.name),
            *(f"{score.text(it.value)}\n{findings.between(score, it.interval)}" for score, it in found),
        )
    for row in comparison.constants:
        table.add_row(cell(row.name), *(score.text(row[score.key]) for score in scores), style="dim")
    console.print(table)
    say(findings.conclusion(comparison))
    for sentence in findings.caveats(comparison):
        say(sentence)
    say(f"page: {page}")
