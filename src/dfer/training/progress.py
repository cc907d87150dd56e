"""How a run goes, for whoever wants to watch it: a bar, a log, a tracker."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from dfer.training.config import Recipe
    from dfer.training.record import Epoch


@dataclass(frozen=True)
class Begun:
    """A run that begins, or goes on.

    Attributes:
        folder: of the run.
        fold: None for a split.
        recipe: what is done.
        step: steps done before, 0 unless it goes on.
        trained, weights: how many weights are trained, and how many there are.
    """

    folder: Path
    fold: int | None
    recipe: Recipe
    step: int
    trained: int = 0
    weights: int = 0


@dataclass(frozen=True)
class Step:
    """A step that was done.

    Attributes:
        number: how many are done, from 1.
        total: of the whole run.
        epoch: in which it lies, from 1.
        epochs: of the whole run.
        loss: of the step, nats.
        clips_per_second: of the step.
        seconds_left: of training, at the mean speed so far.
    """

    number: int
    total: int
    epoch: int
    epochs: int
    loss: float
    clips_per_second: float
    seconds_left: float


class Progress(Protocol):
    """Who watches a run; called by `fit` in every process."""

    def begin(self, run: Begun) -> None:
        """Before the first step."""

    def step(self, step: Step) -> None:
        """After each step."""

    def epoch(self, row: Epoch) -> None:
        """After each epoch: its line of metrics.jsonl."""
