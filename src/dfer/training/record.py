"""What a run of `fit` writes beside weights: its recipe, a line an epoch, TensorBoard's events and a summary.

Files appear in one go, so that a killed process leaves the former one or none; of several processes one writes for all.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from dfer.errors import DferError
from dfer.files import write_text
from dfer.training.config import Recipe, load_recipe
from dfer.training.state import GO_ON

RECIPE, LOG, STATE, SUMMARY = "recipe.toml", "metrics.jsonl", "state.safetensors", "train.json"


class Record:
    """A run's folder.

    Args:
        folder: made when something is written.
        writes: whether this process is the one that writes.
    """

    def __init__(self, folder: Path, *, writes: bool) -> None:
        self.folder, self.writes = folder, writes

    @property
    def state(self) -> Path:
        """Where the state of an unfinished run lies."""
        return self.folder / STATE

    @property
    def finished(self) -> bool:
        """Whether the run was trained to its end."""
        return (self.folder / SUMMARY).exists()

    def require_unused(self) -> None:
        """Refuse a folder in which a run was begun."""
        if any((self.folder / name).exists() for name in (LOG, STATE, SUMMARY)):
            raise DferError(
                f"{self.folder} holds a run already; go on with --resume or choose another folder with --out"
            )

    def require_recipe(self, recipe: Recipe) -> None:
        """Refuse to go on with what another recipe began."""
        path = self.folder / RECIPE
        if not (path.exists() or self.state.exists() or self.finished):
            return
        former, ours = (each.model_dump(mode="json") for each in (load_recipe(path), recipe))
        if former != ours:
            raise DferError(f"{path} is another recipe than the one to resume with; use another folder")

    def write_recipe(self, recipe: Recipe) -> None:
        """The resolved recipe."""
        self._write(RECIPE, recipe.toml())

    def finish(self, summary: dict[str, Any]) -> None:
        """The run is at its end: keep its summary, drop its state."""
        self._write(SUMMARY, json.dumps(summary, indent=1) + "\n")
        if self.writes:
            self.state.unlink(missing_ok=True)

    def log(self, row: dict[str, Any]) -> None:
        """Add an epoch's numbers; a state of that epoch is saved after them."""
        if not self.writes:
            return
        try:
            with (self.folder / LOG).open("a", encoding="utf-8") as file:
                file.write(json.dumps(row) + "\n")
            _write_tensorboard(self.folder / "tensorboard", row)
        except OSError as error:
            raise DferError(f"cannot write the log of {self.folder}: {error.strerror or error}; {GO_ON}") from error

    def forget_after(self, step: int) -> None:
        """Drop the epochs that a killed run logged after its last state: they will be run again."""
        path = self.folder / LOG
        if path.exists():
            lines = path.read_text(encoding="utf-8").splitlines()
            kept = [line for line in lines if line.endswith("}") and json.loads(line)["step"] <= step]
            self._write(LOG, "".join(f"{line}\n" for line in kept))

    def _write(self, name: str, text: str) -> None:
        if self.writes:
            write_text(self.folder / name, text, advice=GO_ON)


def _write_tensorboard(folder: Path, row: dict[str, Any]) -> None:
    """One epoch's numbers for TensorBoard, where it is installed (`pip install dfer[tensorboard]`)."""
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError:
        return
    with SummaryWriter(str(folder)) as writer:
        for name, value in row.items():
            if name not in ("epoch", "step"):
                writer.add_scalar(name, value, row["step"])
