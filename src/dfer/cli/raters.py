"""A verb on answers: `dfer raters`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.table import Table

from dfer.cli.app import app
from dfer.cli.data import key_values
from dfer.cli.terminal import cell, console, say
from dfer.errors import DferError, listed, require_known
from dfer.files import keep_inputs

if TYPE_CHECKING:
    from dfer.datasets import Manifest
    from dfer.labels.annotators import Consensus

SHOWN = 20
"""Raters in the table on the terminal; the page has them all."""


@app.command()
def raters(
    answers: Annotated[
        Path,
        typer.Argument(
            help="A table with a row for each vote (clip, rater, emotion), or the export of an annotation tool."
        ),
    ],
    data: Annotated[Path | None, typer.Option(help="The manifest whose clips get soft labels.")] = None,
    out: Annotated[
        Path | None, typer.Option("--out", "-o", help="The manifest to write, .csv or .parquet, if --data is given.")
    ] = None,
    model: Annotated[
        str,
        typer.Option(help="How votes become soft labels: majority, dawid_skene, one_coin, mace, glad or distribution."),
    ] = "dawid_skene",
    page: Annotated[Path | None, typer.Option(help="Write a page about the raters, to this .html file.")] = None,
    emotions: Annotated[
        str,
        typer.Option(
            help="The emotions to choose from: a known set, or names in order; by default those that were chosen."
        ),
    ] = "",
    map_: Annotated[str, typer.Option("--map", help="What abbreviations mean, such as ntr=neutral,sup=surprise.")] = "",
    repeats: Annotated[
        str,
        typer.Option(
            help="Which votes count if a rater voted on a clip several times: last or all; by default all if most "
            "clips were asked several times, else last."
        ),
    ] = "",
    option: Annotated[
        list[str] | None,
        typer.Option("--option", "-O", help="sheet=NAME of an Excel file, emotions=... or map=...; may be repeated."),
    ] = None,
    column: Annotated[
        list[str] | None,
        typer.Option(help="The name of a column: clip=NAME, rater=NAME or emotion=NAME; may be repeated."),
    ] = None,
    where: Annotated[
        list[str] | None, typer.Option(help="Read only the rows with this value: COLUMN=VALUE; may be repeated.")
    ] = None,
    seed: Annotated[int, typer.Option(min=0, help="The seed of a model that begins at random: mace.")] = 0,
) -> None:
    """Judge the raters, and make soft labels from their votes."""
    from dfer.datasets import Manifest
    from dfer.datasets.answers import read_answers
    from dfer.datasets.manifest import check_suffix
    from dfer.datasets.sources.label_space import Vocabulary, parse_map
    from dfer.labels.annotators import consensus

    if (data is None) != (out is None):
        raise DferError("--data and --out go together: the manifest that is read, and the copy that gets soft labels")
    if page is not None and page.suffix.lower() != ".html":
        raise DferError(f"expected --page to end in .html, got {page}")
    keep_inputs([path for path in (out, page) if path], [answers])
    manifest = None
    if data is not None and out is not None:  # not after minutes of fitting
        check_suffix(out)
        manifest = Manifest.read(data)
    columns, rows = key_values(column, "--column"), key_values(where, "--where")
    given = {"sheet": "", "emotions": "", "map": ""}
    for key, value in key_values(option, emotions=emotions, map=map_).items():
        require_known("raters has no option", key, given)
        given[key] = value
    words = Vocabulary(given["emotions"], parse_map(given["map"]))
    found = read_answers(answers, words=words, sheet=given["sheet"], columns=columns, where=rows, repeats=repeats)
    if found.repeated:
        say("a rater's several answers to one clip all count; --repeats last takes the last ones only")
    agreed = consensus(found, model, seed=seed)
    _show(agreed)
    if manifest is not None and out is not None:
        _write(agreed, manifest, out)
    if page is not None:
        from dfer.doctor.raters_page import write_raters_page

        write_raters_page(page, agreed, source=answers.name)
        say(f"page: {page}")


def _show(agreed: Consensus) -> None:
    """The raters, worst first, and what was not read."""
    from dfer.labels.annotators import MODELS
    from dfer.labels.reliability import FEWEST, judged, worst_first

    ordered = worst_first(agreed.raters)
    told = f", the {SHOWN} worst" if len(ordered) > SHOWN else ""
    title = f"{len(ordered)} raters, {len(agreed.clips)} clips, {agreed.model}{told}"
    table = Table(title=title, title_justify="left")
    for name in ("rater", "answers", "agreement", "chance", "kappa", "skill"):
        table.add_column(name, justify="left" if name == "rater" else "right")
    for name in ("leans to", "takes most often", "careless"):
        table.add_column(name)
    for row in ordered.head(SHOWN).to_dict("records"):
        numbers = [row[name] for name in ("agreement", "chance", "kappa", "skill")]
        shown = [f"{value:.2f}" if value == value else "–" for value in numbers]  # NaN differs from itself
        words = [row[name] for name in ("leans_to", "takes", "careless")]
        table.add_row(cell(row["rater"]), str(row["answers"]), *shown, *map(cell, words))
    console.print(table)
    say("agreement: mean share of the others who said the same; kappa: beyond chance; skill: " + MODELS[agreed.model])
    kappa = ordered["kappa"].dropna()
    if len(kappa):
        ends = f"{kappa.min():.2f} to {kappa.max():.2f}, median {kappa.median():.2f}"
        best = listed(ordered.sort_values("kappa", ascending=False)["rater"], 3)
        say(f"kappa of the raters: {ends}; most in line with the others: {best}")
    suspects = ordered[ordered["careless"] != ""]
    tried = judged(ordered["compared"])
    if tried.any():
        names = f" ({listed(suspects['rater'])})" if len(suspects) else ""
        say(f"careless: {len(suspects)} of {tried.sum()}{names}")
    if not tried.all():
        say(f"not judged: {(~tried).sum()} with fewer than {FEWEST} answers to clips that others answered too")
    for reason, count in agreed.left_out.items():
        say(f"left out {count}: {reason}")


def _write(agreed: Consensus, manifest: Manifest, out: Path) -> None:
    from dfer.datasets.answers import join

    joined = join(manifest, agreed)
    joined.manifest.write(out)
    with_soft = len(joined.manifest) - len(joined.without_answers)
    say(f"{with_soft} of {len(joined.manifest)} clips in {out} have soft labels; train with labels.rule=given")
    for what, names in (("clips without answers", joined.without_answers), ("clips that it lacks", joined.unknown)):
        if names:
            say(f"{what}: {len(names)} ({listed(names)})")
