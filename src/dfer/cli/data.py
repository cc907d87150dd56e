"""Verbs on data: `dfer synth | prepare`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.table import Table

from dfer.cli.app import app
from dfer.cli.clustering import Ray
from dfer.cli.terminal import Counter, cell, console, errors, say
from dfer.errors import DferError, require_known
from dfer.files import keep_inputs

if TYPE_CHECKING:
    import pandas as pd

    from dfer.datasets import Manifest


@app.command()
def synth(
    out: Annotated[Path, typer.Argument(help="The folder to write to.")],
    clips: Annotated[int, typer.Option(help="The number of clips, at least 35.")] = 600,
    seed: Annotated[int, typer.Option(help="The same seed draws the same pixels and votes.")] = 0,
    size: Annotated[int, typer.Option(help="Height and width of the frames, in pixels.")] = 96,
    workers: Annotated[
        int | None, typer.Option(min=1, help="Number of processes that draw; by default one for each core.")
    ] = None,
) -> None:
    """Draw a data set of made-up faces with votes, in the layout of DFEW."""
    from dfer.datasets.synthetic import synthesise

    with Counter("drawing clips") as progress:
        synthesise(out, clips=clips, seed=seed, size=size, workers=workers, progress=progress)
    say(f"{clips} synthetic clips in {out}; next: dfer prepare dfew {out}")


@app.command()
def prepare(
    source: Annotated[
        str,
        typer.Argument(
            help="The reader: afew, crema_d, dfew, ferplus, ferv39k, mafw, ravdess, or in general folder, lists, table."
        ),
    ],
    root: Annotated[Path, typer.Argument(help="The folder of the data set; for table and lists, a file will do.")],
    out: Annotated[
        Path | None,
        typer.Option("--out", "-o", help="The manifest to write, .csv or .parquet; by default data/SOURCE.csv."),
    ] = None,
    pack: Annotated[
        int,
        typer.Option(
            min=0,
            help="Decode every clip once, to square frames of this many pixels, beside the manifest; 0 packs nothing.",
        ),
    ] = 0,
    faces: Annotated[
        int,
        typer.Option(
            min=0,
            help="For raw video: crop the main face of every clip to this many pixels; 0 crops nothing.",
        ),
    ] = 0,
    faces_as: Annotated[
        str, typer.Option(help="What --faces writes: array (packed clips) or frames (folders of JPEG, as in DFEW).")
    ] = "array",
    grey: Annotated[bool, typer.Option("--grey", help="Pack grey frames instead of colour ones.")] = False,
    jpeg: Annotated[
        int,
        typer.Option(
            min=0,
            max=100,
            help="Pack frames as JPEGs of this quality, such as 95: a fraction of the space; 0 keeps their pixels.",
        ),
    ] = 0,
    workers: Annotated[
        int | None,
        typer.Option(min=1, help="Number of processes that pack or find faces; by default one for each core."),
    ] = None,
    map_: Annotated[
        str,
        typer.Option("--map", help="What abbreviations in tables and folders mean, such as ntr=neutral,sup=surprise."),
    ] = "",
    option: Annotated[
        list[str] | None, typer.Option("--option", "-O", help="An option of the reader, as key=value; may be repeated.")
    ] = None,
    ray: Ray = None,
) -> None:
    """Read a data set into a manifest: a table with a row for each clip, with its votes, fold and person."""
    from dfer.cluster import on_cluster
    from dfer.datasets import Manifest, read_source

    options = key_values(option, map=map_)
    path = out or Path("data") / f"{source}.csv"
    if path.suffix not in (".csv", ".parquet"):
        raise DferError(f"expected --out to end in .csv or .parquet, got {path}")
    if pack and faces:
        raise DferError("expected --pack or --faces, got both; faces are packed as they are cut")
    if ray and not (pack or faces):
        raise DferError("--ray packs clips or finds faces; add --pack or --faces and a size in pixels")
    require_known("--faces-as cannot be", faces_as, ("array", "frames"))
    if faces_as == "frames" and not faces:
        raise DferError("--faces-as says what --faces writes; add --faces and a size in pixels")
    for name, wanted in (("--jpeg", jpeg), ("--grey", grey)):
        if wanted and (not (pack or faces) or faces_as == "frames"):
            raise DferError(
                f"{name} is for packed clips; add --pack or --faces and a size in pixels, without --faces-as frames"
            )
    if source == "folder" and (pack or faces) and path.resolve().is_relative_to(root.resolve()):
        raise DferError(
            f"expected --out outside of {root}, whose folders are emotions, for clips are written beside it; got {path}"
        )
    keep_inputs([path], [root, *options.values(), *(root / value for value in options.values())])
    manifest = read_source(source, root, **options)
    with on_cluster(ray, workers=workers):
        if pack:
            manifest = _pack(manifest, _beside(path, root), size=pack, grey=grey, jpeg=jpeg, workers=workers)
        if faces:
            folder = path.with_name(f"{path.stem}_faces")
            manifest = _cut_faces(manifest, folder, size=faces, kind=faces_as, grey=grey, jpeg=jpeg, workers=workers)
    manifest.write(path)
    _show_manifest(Manifest.read(path), path)


def _beside(path: Path, root: Path) -> Path:
    """Where clips are packed: a folder beside the manifest, of its name, which is not the one that the clips are in."""
    folder = path.with_suffix("")
    taken = folder.resolve() == root.resolve()
    return folder.with_name(f"{folder.name}_packed") if taken else folder


def _pack(manifest: Manifest, folder: Path, **options: Any) -> Manifest:
    from dfer.datasets.pack import pack

    with Counter("packing clips") as progress:
        packed, failures = pack(manifest, folder, progress=progress, **options)
    _show_failures(failures, folder, "that could not be read")
    return packed


def _cut_faces(manifest: Manifest, folder: Path, **options: Any) -> Manifest:
    from dfer.datasets.face_clips import cut_faces

    with Counter("finding faces") as progress:
        cut, failures = cut_faces(manifest, folder, progress=progress, **options)
    _show_failures(failures, folder, "without a face, or that could not be read")
    return cut


def _show_failures(failures: pd.DataFrame, folder: Path, fault: str) -> None:
    if len(failures):
        lines = [f"left out {len(failures)} clips {fault}, see {folder}/failures.csv:"]
        lines += [f"  {row.id}: {row.reason}" for row in failures.head(5).itertuples()]
        errors.print("\n".join(lines), markup=False, highlight=False, soft_wrap=True)


def key_values(texts: list[str] | None, option: str = "--option", **named: str) -> dict[str, str]:
    """What KEY=VALUE says, each key once, beside the keys that have an option of their own ("" for those not given)."""
    found = {key: value for key, value in named.items() if value}
    for text in texts or []:
        key, equals, value = text.partition("=")
        if not equals:
            raise DferError(f"expected {option} key=value, got {text!r}")
        if key in found:
            raise DferError(f"{key} is given twice, as {found[key]!r} and by {option} {text}; give it once")
        found[key] = value
    return found


def _show_manifest(manifest: Manifest, path: Path) -> None:
    table = Table(title=f"{len(manifest)} clips in {cell(str(path))}", title_justify="left")
    for column in ("emotion", "single label", "votes"):
        table.add_column(column, justify="left" if column == "emotion" else "right")
    votes = manifest.votes
    voted = ~(votes != votes).any(axis=1)  # NaN differs from itself
    for index, name in enumerate(manifest.emotions):
        counted = f"{votes[voted, index].sum():.0f}" if voted.any() else "–"
        table.add_row(cell(name), str(int((manifest.labels == index).sum())), counted)
    console.print(table)
    say(f"without a single label: {int((manifest.labels < 0).sum())}")
    others = manifest.table.filter(regex="^other_").sum()
    if others.sum():
        told = ", ".join(f"{str(name).removeprefix('other_')} {count:.0f}" for name, count in others.items() if count)
        say(f"answers that name no emotion, which count as voters: {others.sum():.0f} ({told})")
    if "soft_from" in manifest.table:
        for origin, clips in manifest.table.loc[manifest.table["soft_from"] != "", "soft_from"].value_counts().items():
            say(f"with a distribution that is no votes: {clips} ({origin})")
    folds = [f"fold {fold}: {int((manifest.table['fold'] == fold).sum())}" for fold in manifest.folds]
    splits = manifest.table["split"].value_counts()
    parts = folds or [f"{name}: {count}" for name, count in splits.items() if name]
    untested = "no folds, no splits: `dfer split` cuts them"
    say("test clips, " + ", ".join(folds) if folds else "clips, " + (", ".join(parts) or untested))
    for reason, count in manifest.left_out.items():
        say(f"left out {count}: {reason}")
