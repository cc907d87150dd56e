"""The option `--ray` of the verbs that can work on a cluster."""

from __future__ import annotations

from typing import Annotated

import typer

Ray = Annotated[
    str | None,
    typer.Option(
        "--ray",
        metavar="ADDRESS",
        help="Work on a Ray cluster: HOST:PORT of its head, auto for the one that this machine belongs to, or local "
        "for one of this machine's cores. The machines share the folders.",
    ),
]
"""For a parameter `ray` of a verb; see `dfer.cluster.on_cluster`."""
