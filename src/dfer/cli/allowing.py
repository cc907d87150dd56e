"""The option `--allow` of the verbs that load checkpoints."""

from __future__ import annotations

from typing import Annotated

import typer


def _allow(modules: list[str] | None) -> list[str] | None:
    if modules:
        from dfer.models import allow_models

        allow_models(*modules)
    return modules


Allow = Annotated[
    list[str] | None,
    typer.Option(
        "--allow",
        metavar="MODULE",
        callback=_allow,
        help="Run this module of yours, such as my_package.my_module, if the model was built with it; may be repeated.",
    ),
]
"""For a parameter `_allow` of a verb; what it says is set when it is read."""
