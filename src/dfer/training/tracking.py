"""The numbers of each epoch for TensorBoard or Weights & Biases, through accelerate's trackers."""

from __future__ import annotations

import hashlib
import importlib.util
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from dfer.errors import DferError, require_known
from dfer.training.progress import Begun, Step
from dfer.training.record import Epoch, flat

TRACKERS = ("tensorboard", "wandb")
"""Names of trackers, of the packages they need, and of dfer's extras that bring these."""
PROJECT = "dfer"
"""What W&B calls the project; its own variable WANDB_PROJECT takes precedence."""


class Tracking:
    """A `Progress` that writes to trackers: the recipe once, and train_loss, lr and val_* of each epoch by its step.

    TensorBoard's files are in `tensorboard/` of the run's folder. A run that goes on is the same run in the tracker,
    and epochs that are trained again take the place of the former ones there.

    Args:
        names: of `TRACKERS`.

    Raises:
        DferError: an unknown name, or a package that is not installed.
    """

    def __init__(self, names: Sequence[str]) -> None:
        for name in names:
            require_known("no tracker", name, TRACKERS)
            if importlib.util.find_spec(name) is None:
                raise DferError(f"--track {name} needs the package {name}: pip install 'dfer[{name}]'")
        self.names = tuple(dict.fromkeys(names))
        self._open: list[Any] = []

    def begin(self, run: Begun) -> None:
        """Open the trackers of a run, after closing those of the former one."""
        self.close()
        for name in self.names:
            tracker = _tracker(name, run)
            if hasattr(tracker, "start"):  # older versions of accelerate start at once
                tracker.start()
            self._open.append(tracker)
            if name != "tensorboard" or not run.step:  # TensorBoard would make it a run of its own each time
                tracker.store_init_configuration(_plain(run.recipe.model_dump(mode="json", exclude_none=True)))

    def step(self, step: Step) -> None:
        """Nothing: epochs are tracked."""

    def epoch(self, row: Epoch) -> None:
        """An epoch's numbers that are known."""
        values = {key: value for key, value in asdict(row).items() if key != "step" and value is not None}
        for tracker in self._open:
            tracker.log(values, step=row.step)

    def close(self) -> None:
        """Write what is left."""
        while self._open:
            self._open.pop().finish()


def _tracker(name: str, run: Begun) -> Any:
    from accelerate.tracking import TensorBoardTracker, WandBTracker

    if name == "tensorboard":
        return TensorBoardTracker("tensorboard", run.folder, purge_step=run.step + 1 if run.step else None)
    place = str(run.folder.resolve())
    return WandBTracker(
        PROJECT, dir=place, name="/".join(run.folder.parts[-2:]), id=hashlib.sha256(place.encode()).hexdigest()[:16],
        resume="allow",
    )  # fmt: skip


def _plain(tables: dict[str, Any]) -> dict[str, Any]:
    """A recipe as trackers take it: one level, lists as text."""
    return {key: str(value) if isinstance(value, list | dict) else value for key, value in flat(tables).items()}
