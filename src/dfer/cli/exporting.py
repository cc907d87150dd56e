"""Verbs on one model: `dfer explain | export`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from dfer.cli.allowing import Allow
from dfer.cli.app import app
from dfer.cli.predict import seconds
from dfer.cli.terminal import say
from dfer.errors import DferError

if TYPE_CHECKING:
    from dfer.inference.quantise import Int8


@app.command()
def explain(
    model: Annotated[str, typer.Argument(help="The folder of a checkpoint or of a run, or default.")],
    video: Annotated[Path, typer.Argument(help="A film, an image or a folder of frames.")],
    out: Annotated[Path, typer.Option("--out", "-o", help="The film to write, .mp4.")],
    emotion: Annotated[
        str | None, typer.Option(help="Explain the probability of this emotion.", show_default="the one that is named")
    ] = None,
    start: Annotated[str, typer.Option(help="Begin at this time: seconds, min:s or h:min:s.")] = "0",
    end: Annotated[str | None, typer.Option(help="Stop before this time.")] = None,
    _allow: Allow = None,
) -> None:
    """Colour the parts of each face in a video that the answer depends on (by gradients)."""
    from dfer.inference.saliency import explain as explained
    from dfer.video.stream import Span

    span = Span(seconds(start), None if end is None else seconds(end))
    count = explained(model, video, out, emotion=emotion, span=span)
    say(f"{video}: {count} faces coloured -> {out}")


@app.command()
def export(
    model: Annotated[Path, typer.Argument(help="The folder of a checkpoint or of a run, or default.")],
    int8: Annotated[
        bool,
        typer.Option("--int8", help="Also write a file with 8-bit numbers and say what it loses; needs --data."),
    ] = False,
    data: Annotated[
        Path | None, typer.Option(help="A manifest, for --int8: it is fitted and measured on up to 256 of its clips.")
    ] = None,
    _allow: Allow = None,
) -> None:
    """Write a model as ONNX, checked against torch; predict then uses it on a CPU where it is faster."""
    from dfer.inference.export import export_onnx
    from dfer.models import model_folder

    if int8 != (data is not None):
        raise DferError("--int8 and --data go together: int8 is fitted and measured on clips of a manifest")
    if data is None:
        path, difference = export_onnx(model_folder(model))
        say(f"{path}: differs from torch by at most {difference:.1g}")
    else:
        say(str(_export_int8(model_folder(model), data)))


def _export_int8(folder: Path, data: Path) -> Int8:
    from dfer.datasets import Manifest
    from dfer.inference.quantise import export_int8
    from dfer.models.checkpoint import read_card
    from dfer.training.clips import spread
    from dfer.video.preprocessing import Preprocessing

    card = read_card(folder)
    return export_int8(folder, spread(Manifest.read(data), Preprocessing.from_card(card.preprocessing), most=256))
