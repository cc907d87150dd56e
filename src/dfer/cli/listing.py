"""Verbs that show what there is: `dfer models | recipes`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.markup import escape
from rich.table import Table

from dfer.cli.allowing import Allow
from dfer.cli.app import app
from dfer.cli.terminal import console, errors
from dfer.errors import DferError

if TYPE_CHECKING:
    from torch import nn

    from dfer.video.preprocessing import Preprocessing


@app.command()
def models(
    names: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[MODEL]...",
            help="Networks, yours as my_module:Net, or folders of checkpoints or runs; by default all that dfer knows.",
            show_default=False,
        ),
    ] = None,
    frames: Annotated[
        int, typer.Option(min=1, help="The number of frames of a clip, for networks that are not trained.")
    ] = 16,
    size: Annotated[
        int, typer.Option(min=8, help="Height and width of the frames in pixels, for networks that are not trained.")
    ] = 112,
    _allow: Allow = None,
) -> None:
    """Show the networks: weights, operations, and the clips that this machine reads in a second."""
    from dfer.models import list_models
    from dfer.models.cost import cost_of
    from dfer.models.registry import foreign_code

    table = Table(title="One clip at a time; a multiplication and an addition are two FLOPs", title_justify="left")
    for name in ("model", "input (frames x pixels)", "weights", "GFLOPs", "clips/s here"):
        table.add_column(name, justify="left" if name == "model" else "right", overflow="fold")
    wanted = names or ["faces", *list_models()]
    for name in wanted:
        try:
            with foreign_code("it cannot be measured"):
                network, shown, told = _built(name, frames, size)
                cost = cost_of(network, (shown.channels, shown.frames, shown.size, shown.size))
        except DferError as error:
            if names:
                raise DferError(f"model {name}: {error}") from error
            errors.print(f"{name}: {error}", markup=False, highlight=False)
            continue
        colour = "grey" if shown.grey else "RGB"
        taken = f"{shown.frames} x {shown.size} x {shown.size} {colour}"
        numbers = (f"{cost.weights / 1e6:.2f} M", f"{cost.flops / 1e9:.3g}", f"{cost.clips_per_second:.3g}")
        table.add_row(escape(told), taken, *numbers)
    console.print(table)


def _built(name: str, frames: int, size: int) -> tuple[nn.Module, Preprocessing, str]:
    """A network by its name or its checkpoint, what it is shown, and what it is called in the table."""
    from dfer.models import create_model, load_checkpoint
    from dfer.models.places import SHIPPED
    from dfer.video.preprocessing import Preprocessing

    if name in SHIPPED or Path(name).is_dir():
        network, card = load_checkpoint(name)
        return network, Preprocessing.from_card(card.preprocessing), f"{name} (trained {card.model})"
    built: Any = create_model(name, 7)
    if getattr(built, "fixed_size", False):
        frames, size = built.frames, built.size
    return built, Preprocessing(frames=frames, size=size), name


@app.command()
def recipes() -> None:
    """Show the recipes that come with dfer, for `dfer train`."""
    from dfer.training.described import recipe_sentences

    table = Table(show_header=False, box=None, padding=(0, 2, 0, 0))
    for name, sentence in recipe_sentences().items():
        table.add_row(name, escape(sentence))
    console.print(table)
