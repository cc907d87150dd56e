"""The option `--track` of the verbs that train."""

from __future__ import annotations

from typing import Annotated

import typer

Track = Annotated[
    list[str] | None,
    typer.Option("--track", help="Also write each epoch's numbers to tensorboard or wandb; may be repeated."),
]
