"""The verb `dfer split`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.table import Table

from dfer.cli.app import app
from dfer.cli.terminal import cell, console, errors, say

if TYPE_CHECKING:
    from dfer.datasets import Manifest


@app.command()
def split(
    data: Annotated[Path, typer.Argument(help="The manifest that `dfer prepare` wrote.")],
    out: Annotated[Path, typer.Option("--out", "-o", help="The manifest to write, .csv or .parquet.")],
    folds: Annotated[int, typer.Option(help="The number of folds.")] = 0,
    test: Annotated[float, typer.Option(help="Instead of folds, cut a test part of this share, such as 0.2.")] = 0.0,
    val: Annotated[
        float, typer.Option(help="With --test, also cut a validation part of this share; 0 leaves it to training.")
    ] = 0.0,
    by: Annotated[
        str, typer.Option(help="The column whose values stay in one part, such as a person or a film.")
    ] = "group",
    stratify: Annotated[str, typer.Option(help="The column whose values are spread evenly over the parts.")] = "label",
    seed: Annotated[int, typer.Option(help="The same clips and seed give the same parts everywhere.")] = 0,
    lists: Annotated[
        Path | None,
        typer.Option(
            help="Also write list files in the source's own format into this folder, for other people's code."
        ),
    ] = None,
) -> None:
    """Cut folds, or a test and a validation part, that share no person and no film."""
    from dfer.datasets import Manifest
    from dfer.datasets.fold_lists import write_fold_lists
    from dfer.datasets.manifest import check_suffix
    from dfer.datasets.splits import Plan, split_manifest

    check_suffix(out)  # not after lists are written
    plan = Plan(folds=folds, test=test, val=val, by=by, stratify=stratify, seed=seed)
    before = Manifest.read(data)
    after = split_manifest(before, plan)
    written = write_fold_lists(after, lists) if lists else None  # first: it refuses lists that are there already
    after.write(out)
    _show_parts(after, out)
    _show_groups(after, by)
    if before.folds or (before.table["split"] != "").any():
        say("the folds or split that the manifest had are replaced; scores are not those of its source's protocol")
    if written:
        files, unnamed = written
        say(f"{len(files)} lists in {lists}; {unnamed} clips without a single label are in none of them")


def _show_parts(manifest: Manifest, path: Path) -> None:
    from dfer.datasets.parts import missing, overview, worst_imbalance

    parts = overview(manifest)
    table = Table(title=f"{len(manifest)} clips in {cell(str(path))}", title_justify="left")
    table.add_column("")
    for part in parts:
        table.add_column(part.name, justify="right")
    table.add_row("clips", *(str(part.clips) for part in parts))
    table.add_row("groups", *(str(part.groups) for part in parts), end_section=True)
    for emotion in manifest.emotions:
        table.add_row(cell(emotion), *(str(part.classes[emotion]) for part in parts))
    console.print(table)
    worst = worst_imbalance(parts)
    say(
        f"worst imbalance: {worst.part} has {worst.share:.1%} of the clips of {worst.emotion}, "
        f"and {worst.expected:.1%} of all clips"
    )
    for name, emotions in missing(parts).items():
        errors.print(f"warning: {name} has no clip of {', '.join(emotions)}", markup=False, soft_wrap=True)


def _show_groups(manifest: Manifest, by: str) -> None:
    alone = int((manifest.table["group"] == "").sum())
    if alone == len(manifest):
        say("no group is known, so the same person may be in two parts; name a column of persons or films with --by")
    elif alone:
        say(f"{alone} clips of no known {by} were each taken as a group of their own")
