"""The terminal: what is said on stdout, what goes wrong on stderr, and bars for long jobs. Only the verbs use it."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console, ConsoleOptions, RenderableType
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.segment import Segment

from dfer.errors import printable

if TYPE_CHECKING:
    from dfer.training.progress import Begun, Step
    from dfer.training.record import Epoch

QUIET = 30.0
"""Seconds between two lines of a plain log."""


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
    """How runs go, as the `Progress` of `dfer.training`: a bar and a line an epoch on a terminal, else a plain log.

    The plain log, of a file or a pipe, gets the first and the last epoch of a run; between them an epoch every half
    minute, and a line after half a minute without one. Of several processes only the first speaks.

    Args:
        what: the recipe's name, for the bar.
        root: the folder that all runs are in; a run is called as its folder in it.
        every: on a terminal, a line every so many epochs.
        track: names of trackers, see `dfer.training.tracking`.
        clock: seconds.
    """

    def __init__(
        self, what: str, *, root: Path, every: int = 1, track: Sequence[str] = (),
        clock: Callable[[], float] = time.monotonic,
    ) -> None:  # fmt: skip
        from dfer.training.tracking import Tracking

        self.bar, self.what, self.root, self.every, self.clock = progress_bar(), what, root, every, clock
        self.task = self.bar.add_task(what, total=None, note="")
        self.silent = os.environ.get("RANK", "0") != "0"
        self.tracking = Tracking(track)
        self.run, self.epochs = "", 0
        self.spoke, self.told = 0.0, -QUIET
        """When the last line was written, and the last one of an epoch."""

    def __enter__(self) -> TrainingBar:
        self.bar.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.bar.stop()
        self.tracking.close()

    def begin(self, run: Begun) -> None:
        """See `dfer.training.Progress`."""
        parts = run.folder.parts[len(self.root.parts) :]
        self.run = " ".join(part for part in parts if part != "split")
        self.epochs, self.spoke, self.told = run.recipe.optim.epochs, self.clock(), -QUIET
        self.bar.update(self.task, description=printable(f"{self.what} {self.run}".rstrip()))
        self.tracking.begin(run)
        if run.trained < run.weights:
            self._say(f"trains {run.trained:,} of {run.weights:,} weights")

    def step(self, step: Step) -> None:
        """See `dfer.training.Progress`."""
        note = f"epoch {step.epoch}/{step.epochs}  loss {step.loss:.3f}  {step.clips_per_second:.0f} clips/s"
        self.bar.update(self.task, completed=step.number, total=step.total, note=note)
        ends_epoch = step.number * step.epochs == step.epoch * step.total
        if not console.is_terminal and not ends_epoch and self.clock() - self.spoke >= QUIET:
            self._say(
                f"epoch {step.epoch:>3}  loss {step.loss:.3f}  step {step.number}/{step.total}  "
                f"{step.clips_per_second:.0f} clips/s  {duration(step.seconds_left)} left"
            )

    def epoch(self, row: Epoch) -> None:
        """See `dfer.training.Progress`."""
        self.tracking.epoch(row)
        due = row.epoch == self.epochs or self.clock() - self.told >= QUIET
        if row.epoch % self.every == 0 if console.is_terminal else due:
            self.told = self.clock()
            named = {"val_war": row.val_war, "val_uar": row.val_uar, "val_kl": row.val_kl}
            scores = "  ".join(f"{name} {value:.3f}" for name, value in named.items() if value is not None)
            loss = "–" if row.train_loss is None else f"{row.train_loss:.3f}"
            self._say(f"epoch {row.epoch:>3}  loss {loss}  {scores}  {row.seconds:.0f} s")

    def _say(self, line: str) -> None:
        self.spoke = self.clock()
        if not self.silent:
            run = f"{printable(self.run)}  " if self.run else ""
            self.bar.console.print(f"{run}{line}", markup=False, highlight=False, soft_wrap=True)


def duration(seconds: float) -> str:
    """A time for people.

    >>> duration(40), duration(200), duration(9000)
    ('40 s', '3 min', '2 h 30 min')
    """
    if seconds < 100:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 100 else f"{minutes // 60} h {minutes % 60} min"
