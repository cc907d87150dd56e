"""The verb that serves the local page: `dfer studio`."""

from __future__ import annotations

import os
import secrets
import socket
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from dfer.cli.app import app
from dfer.cli.terminal import say
from dfer.errors import DferError

if TYPE_CHECKING:
    from dfer.studio.workspace import Workspace

PASSWORD = "DFER_STUDIO_PASSWORD"
"""The variable of the environment that holds the owner's password."""


@app.command()
def studio(
    folder: Annotated[Path, typer.Argument(help="The folder with your clips, films and runs.")] = Path(),
    port: Annotated[int, typer.Option(min=0, max=65535, help="The port; 0 takes any that is free.")] = 8765,
    host: Annotated[
        str,
        typer.Option(
            help="Serve other machines under this address, such as 0.0.0.0; the owner then needs a password, which "
            f"{PASSWORD} holds, or is made up and shown."
        ),
    ] = "127.0.0.1",
    model: Annotated[
        str, typer.Option(help="The folder of a checkpoint or of a run that reads films; by default the one of dfer.")
    ] = "default",
    browser: Annotated[bool, typer.Option("--browser/--no-browser", help="Open the page in the browser.")] = True,
) -> None:
    """Open a local page in the browser: watch films, collect votes from people, review results."""
    try:
        import uvicorn

        from dfer.studio.app import create_app
        from dfer.studio.security import is_loopback
        from dfer.studio.workspace import Workspace
    except ImportError as error:
        raise DferError(f"dfer studio needs {error.name}: pip install 'dfer[studio]'") from error
    workspace = Workspace(folder)
    config = uvicorn.Config(
        create_app(workspace, host=host, model=model), host=host, port=port, log_level="warning", server_header=False,
        timeout_keep_alive=30,
    )  # fmt: skip
    try:
        listening = socket.create_server((host, port), family=socket.AF_INET6 if ":" in host else socket.AF_INET)
    except OSError as error:
        reason = (error.strerror or str(error)).partition(" (")[0]  # Python repeats the address in brackets
        raise DferError(
            f"{host} port {port} cannot be served: {reason}; choose another --port, or 0 for any"
        ) from error
    if not is_loopback(host):
        _let_in(workspace)
    shown = "127.0.0.1" if host in ("0.0.0.0", "::") else host
    address = f"http://{f'[{shown}]' if ':' in shown else shown}:{listening.getsockname()[1]}/"
    say(f"dfer studio: {address}  (Ctrl-C ends it)")
    if browser and is_loopback(host):
        import webbrowser

        webbrowser.open(address)
    uvicorn.Server(config).run(sockets=[listening])


def _let_in(workspace: Workspace) -> None:
    """Set the owner's password, and say what programs send instead."""
    given = os.environ.get(PASSWORD, "")
    password = given or secrets.token_urlsafe(12)
    workspace.keys.set_password(password)
    if not given:
        say(f"password of the owner: {password}")
    say(f"key of the API: {workspace.keys.api_key}")
    say("the connection is not encrypted; beyond a network that you trust, put a proxy with HTTPS in front")
