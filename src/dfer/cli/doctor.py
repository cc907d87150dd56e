"""A verb on data, and on the machine: `dfer doctor`."""

from __future__ import annotations

import json
from contextlib import ExitStack
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.table import Table
from rich.text import Text

from dfer.cli.app import app
from dfer.cli.terminal import Counter, console, say
from dfer.errors import DferError, listed, printable
from dfer.files import keep_inputs, write_text

if TYPE_CHECKING:
    from collections.abc import Callable

    from dfer.doctor import Examination
    from dfer.training.system import System

COLOURS = {"fault": "bold red", "note": "yellow", "ok": "green", "unchecked": "dim"}


@app.command()
def doctor(
    data: Annotated[Path | None, typer.Argument(help="The manifest that `dfer prepare` wrote.")] = None,
    out: Annotated[
        Path | None,
        typer.Option(
            "--out", "-o", help="Write a page with all findings and figures, to a .html file or into a folder."
        ),
    ] = None,
    json_: Annotated[
        str,
        typer.Option(
            "--json", help="Write all findings, with their clips, and the figures as JSON; - writes to the terminal."
        ),
    ] = "",
    decode: Annotated[bool, typer.Option("--decode", help="Also decode one frame of every clip.")] = False,
    near: Annotated[
        bool,
        typer.Option("--near", help="Also decode three frames of every clip, and look for clips that look the same."),
    ] = False,
    faces: Annotated[
        bool, typer.Option("--faces", help="Also decode three frames of every clip, and look for faces in them.")
    ] = False,
    published: Annotated[
        str,
        typer.Option(
            help="The data set to whose published figures it is compared, such as dfew; by default that of the reader."
        ),
    ] = "",
    system: Annotated[
        bool,
        typer.Option(
            "--system",
            help="Instead of a manifest, check this machine: versions, processor, threads, and the precision in which "
            "the networks' gradients are right.",
        ),
    ] = False,
) -> None:
    """Check a manifest against its files and the published figures; exit code 1 if it is not sound."""
    if system == (data is not None):
        raise DferError("expected a manifest to check, or --system to check this machine")
    if data is None:
        _examine_system(json_)
        return
    from dfer.datasets import Manifest
    from dfer.doctor import examine
    from dfer.doctor.page import write_page
    from dfer.doctor.report import as_json, write_report
    from dfer.doctor.statistics import statistics

    keep_inputs([path for path in (json_, out) if path], [data])
    manifest = Manifest.read(data)
    looks = [name for name, wanted in (("decode", decode), ("near", near), ("faces", faces)) if wanted]
    with ExitStack() as stack:
        examination = examine(manifest, published=published, looks=looks, watch=_watch(stack, quiet=json_ == "-"))
    figures = statistics(manifest)
    if json_ == "-":
        typer.echo(as_json(examination, figures), nl=False)
    else:
        _show(examination, figures, data)
    if json_ not in ("", "-"):
        write_report(Path(json_), examination, figures)
    if out is not None:
        page = out if out.suffix.lower() == ".html" else out / "doctor.html"
        write_page(page, examination, figures)
        if json_ != "-":
            say(f"page: {page}")
    if not examination.sound:
        raise typer.Exit(1)


def _examine_system(json_: str) -> None:
    from dfer.training.system import examine_system

    found = examine_system()
    text = json.dumps(asdict(found) | {"sound": found.sound}, indent=1) + "\n"
    if json_ == "-":
        typer.echo(text, nl=False)
    else:
        _show_system(found)
    if json_ not in ("", "-"):
        write_text(Path(json_), text)
    if not found.sound:
        raise typer.Exit(1)


def _show_system(found: System) -> None:
    table = Table(title="This machine", title_justify="left", show_header=False)
    rows = [
        *found.versions.items(), ("platform", found.platform), ("processor", found.processor),
        ("device", found.device), ("cores that dfer may use", str(found.cores)),
        ("threads that training would use now", str(found.threads)),
        ("computes in bf16", "yes" if found.bf16 else "no"),
    ]  # fmt: skip
    for name, value in rows:
        table.add_row(Text(name), Text(value, overflow="fold"))
    console.print(table)
    proofs = Table(title="Gradients, with memory full of garbage", title_justify="left")
    for column in ("network", "layers", "bf16", "fp32", "precision = auto takes"):
        proofs.add_column(column)
    for proof in found.proofs:
        proofs.add_row(
            proof.network, str(proof.layers), _verdict(proof.wrong_bf16), _verdict(proof.wrong_fp32), proof.precision
        )
    console.print(proofs)
    say(
        "All networks can be trained: in the precision of the last column their gradients are right."
        if found.sound
        else "Some gradients are wrong even in fp32: do not train these networks on this machine; try another torch."
    )


def _verdict(wrong: list[str] | None) -> Text:
    if wrong is None:
        return Text("not computed", style="dim")
    return Text(f"wrong: {listed(wrong)}", style="bold red") if wrong else Text("right", style="green")


def _watch(stack: ExitStack, *, quiet: bool) -> Callable[[str], Callable[[int, int], None]]:
    """A progress bar for each thing that is done; none where stdout is for JSON."""
    if quiet:
        return lambda _: lambda _done, _total: None
    return lambda what: stack.enter_context(Counter(what))


def _show(examination: Examination, figures: dict[str, Any], data: Path) -> None:
    """Findings, faults first, then the figures of the votes."""
    from dfer.doctor.page import MARKS, ordered, verdict

    table = Table(title=Text(str(data)), title_justify="left", show_lines=False)
    for column in ("", "check", "found, and → what to do"):
        table.add_column(column, no_wrap=column == "check")
    for finding in ordered(examination.findings):
        found = f"not checked: {finding.found}" if finding.verdict == "unchecked" else finding.found
        colour = COLOURS[finding.verdict]
        text = Text(printable(found), style="dim" if finding.verdict == "unchecked" else "")
        if finding.advice:
            text.append(f"\n→ {finding.advice}", style=colour)
        table.add_row(Text(MARKS[finding.verdict], style=colour), finding.check, text)
    console.print(table)
    if figures["votes"] is not None:
        _show_votes(figures)
    say(verdict(examination))


def _show_votes(figures: dict[str, Any]) -> None:
    votes = figures["votes"]
    raters = ["–" if votes[key] is None else f"{votes[key]:.3f}" for key in ("kappa", "alpha")]
    table = Table(title="Votes", title_justify="left", show_header=False)
    rows = [
        ("votes", f"{votes['responses']:,} on {votes['clips']:,} clips"),
        ("a clip, least / mean / most", f"{votes['least']} / {votes['mean']:.2f} / {votes['most']}"),
        ("mean agreement", f"{votes['agreement']:.3f}"),
        ("mean entropy / log K", f"{votes['entropy']:.3f}"),
        ("unanimous", f"{votes['unanimous']:,}"),
        ("majority of more than half", f"{votes['majority']:,}"),
        ("ties", f"{votes['ties']:,}"),
        ("Fleiss' κ, Krippendorff's α", " / ".join(raters)),
    ]  # fmt: skip
    for source in figures["sources"]:
        name = f"{source['name']} = most voted"
        rows.append((name, f"{source['same']:,} of {source['clips']:,} ({source['share']:.1%})"))
    for name, value in rows:
        table.add_row(Text(name), value)
    console.print(table)
