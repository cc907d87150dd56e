"""The application that the verbs are hung on, and how it ends: bad input is one line on stderr and exit code 2."""

from __future__ import annotations

import io
import logging
import os
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated, Any

import typer
from rich.logging import RichHandler
from rich.text import Text
from typer.core import TyperGroup

from dfer.cli.terminal import console, errors
from dfer.errors import DferError, OneLine, not_known, printable, shortened
from dfer.processes import ENDING, end_when_asked
from dfer.version import __version__

_UsageError: Any = typer.BadParameter.__mro__[1]
"""Of typer's own click, or of click where typer is older."""


class _Verbs(TyperGroup):
    """The verbs; wrong usage is one sentence, Ctrl-C in any of them is exit code 130 and a line on what to do."""

    def make_context(self, info_name: Any, args: list[str], *rest: Any, **extra: Any) -> Any:
        if not args:  # the help is shown
            return super().make_context(info_name, args, *rest, **extra)
        with _in_a_sentence():
            return super().make_context(info_name, args, *rest, **extra)

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        if self.get_command(ctx, args[0]) is None:
            raise not_known("no verb", args[0], self.list_commands(ctx))
        return super().resolve_command(ctx, args)

    def invoke(self, ctx: Any) -> Any:
        try:
            with _in_a_sentence():
                return super().invoke(ctx)
        except KeyboardInterrupt as interrupt:
            goes_on = ctx.invoked_subcommand in ("train", "estimate")
            errors.print("interrupted" + ("; --resume goes on from the last saved state" if goes_on else ""))
            raise typer.Exit(130) from interrupt


@contextmanager
def _in_a_sentence() -> Iterator[None]:
    """Raise what typer says of wrong usage as the error that `main` shows."""
    try:
        yield
    except _UsageError as error:
        wrong = getattr(error, "option_name", None)
        if wrong and hasattr(error, "possibilities"):
            options = [name for option in error.ctx.command.params for name in option.opts if name.startswith("-")]
            raise not_known("no option", wrong, [*options, "--help"]) from error
        said = " ".join(error.format_message().split()).rstrip(".").replace("Input should", "it should")
        if hasattr(error.__cause__, "errors"):  # pydantic's, of a number that is out of range or none
            said += f", got {shortened(str(error.__cause__.errors()[0]['input']), 80) or 'nothing'}"
        raise DferError(f"{said}; see {error.ctx.command_path} --help" if error.ctx else said) from error


class _Once(logging.Filter):
    """A film is read again for its overlay and its thumbnails: what is said of it is said once."""

    def __init__(self) -> None:
        super().__init__()
        self._said: set[str] = set()

    def filter(self, record: logging.LogRecord) -> bool:
        message = record.getMessage()
        new = message not in self._said
        self._said.add(message)
        return new


app = typer.Typer(
    cls=_Verbs,
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def main() -> None:
    """Run the command line; exit code 0, 1 (a bug), 2 (bad input, or a disk that fails) or 130 (interrupted)."""
    # Read when torch loads. Its threads spin while they wait for each other; for this short a time it costs nothing on
    # an idle machine, and where another process wants a core training is several times as fast as by default.
    os.environ.setdefault("GOMP_SPINCOUNT", "10000")
    debug = "--debug" in sys.argv
    sys.argv = [argument for argument in sys.argv if argument != "--debug"]
    if isinstance(sys.stdout, io.TextIOWrapper):  # None where it is closed
        sys.stdout.reconfigure(errors="backslashreplace")  # arrows and names that its encoding lacks
    console.quiet = os.environ.get("RANK", "0") != "0"  # of several processes of torchrun, one speaks
    start_logging(logging.DEBUG if debug else logging.WARNING)
    for number in ENDING:
        signal.signal(number, end_when_asked)
    try:
        app()
    except (DferError, OSError) as error:
        if debug:
            raise
        errors.print(Text.assemble(("error:", "bold red"), f" {_one_line(error)}"), soft_wrap=True)
        sys.exit(2)


def start_logging(level: int = logging.WARNING, *, anew: bool = False) -> None:
    """Show what the library says on stderr, each message once; `anew` in place of whatever showed it before."""
    handler = RichHandler(console=errors, show_time=False, show_path=False, markup=False)
    handler.addFilter(_Once())
    handler.setFormatter(OneLine("%(message)s"))
    logging.basicConfig(level=level, handlers=[handler], force=anew)
    for noisy in ("matplotlib", "PIL", "libav"):
        logging.getLogger(noisy).setLevel(logging.ERROR)


def _one_line(error: DferError | OSError) -> str:
    text = str(error)
    if isinstance(error, OSError) and error.strerror:
        text = error.strerror if error.filename is None else f"{error.filename}: {error.strerror}"
    return printable(" ".join(text.splitlines()))


def _show_version(wanted: bool) -> None:
    if wanted:
        console.print(f"dfer {__version__}", highlight=False)
        raise typer.Exit


@app.callback()
def options(
    _version: Annotated[
        bool,
        typer.Option("--version", help="Show the version and exit.", is_eager=True, callback=_show_version),
    ] = False,
    _debug: Annotated[bool, typer.Option("--debug", help="Show the traceback of an error, and more messages.")] = False,
) -> None:
    """Dynamic facial expression recognition when people do not agree.

    To read a video, use predict. To train on your own data, use prepare, train and evaluate. Without data, try demo.
    """
