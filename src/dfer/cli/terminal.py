"""The terminal: what is said on stdout, what goes wrong on stderr, and bars for long jobs. Only the verbs use it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from rich.console import Console, ConsoleOptions, RenderableType
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.segment import Segment

from dfer.errors import printable


class SafeConsole(Console):
    """A terminal on which names of files and emotions are seen, and cannot act: see `dfer.errors.printable`."""

    def render(self, renderable: RenderableType, options: ConsoleOptions | None = None) -> Iterable[Segment]:
        """As rich's, with unseen characters shown; line ends and rich's own codes stay."""
        for segment in super().render(renderable, options):
            if segment.control:
                yield segment
            else:
                yield segment._replace(text=printable(segment.text, lines=True))


console = SafeConsole()
errors = SafeConsole(stderr=True)


def say(*lines: str) -> None:
    """Lines on stdout as they are; a line end inside one, of a name, is shown as a symbol."""
    for line in lines:
        console.print(printable(line), markup=False, highlight=False, soft_wrap=True)


def cell(name: str) -> str:
    """A name in a table: all its characters are seen, in one line, and none of them is markup."""
    return escape(printable(name))


def progress_bar() -> Progress:
    return Progress(
        TextColumn("{task.description}", markup=False), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn(),
        TextColumn("{task.fields[note]}"),
        console=console, transient=not console.is_terminal, disable=not console.is_terminal,
    )  # fmt: skip


class Counter:
    """A progress bar as the callback `(done, total)` that the library's long jobs call."""

    def __init__(self, what: str) -> None:
        self.bar, self.what = progress_bar(), what
        self.task = self.bar.add_task(what, total=None, note="")

    def __enter__(self) -> Counter:
        self.bar.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.bar.stop()

    def __call__(self, done: int, total: int) -> None:
        self.bar.update(self.task, completed=done, total=total)


class TrainingBar:
    """Steps, loss, clips a second and time left; a line every so many epochs. The `Progress` of `dfer.training.fit`."""

    def __init__(self, what: str, *, every: int = 1) -> None:
        self.bar, self.every = progress_bar(), every
        self.task = self.bar.add_task(what, total=None, note="")

    def __enter__(self) -> TrainingBar:
        self.bar.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.bar.stop()

    def step(self, done: int, total: int, loss: float, clips_per_second: float) -> None:
        """See `dfer.training.fit.Progress`."""
        self.bar.update(self.task, completed=done, total=total, note=f"loss {loss:.3f}  {clips_per_second:.0f} clips/s")

    def epoch(self, row: dict[str, Any]) -> None:
        """See `dfer.training.fit.Progress`."""
        if row["epoch"] % self.every:
            return
        scores = "  ".join(f"{name} {row[name]:.3f}" for name in ("val_war", "val_uar", "val_kl") if name in row)
        self.bar.console.print(
            f"epoch {row['epoch']:>3}  loss {row['train_loss']:.3f}  {scores}  {row['seconds']:.0f} s",
            highlight=False,
        )
