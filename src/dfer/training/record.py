"""What a run of `fit` writes beside weights: its recipe, a line an epoch and a summary.

Files appear in one go, so that a killed process leaves the former one or none; of several processes one writes for all.
"""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated, Any

from pydantic import Field

from dfer.documents import MEGABYTE, checked, parse_json, read_json
from dfer.errors import DferError, listed, shortened
from dfer.files import read_bytes, write_text
from dfer.training.config import Recipe, load_recipe
from dfer.training.state import GO_ON

RECIPE, LOG, STATE, SUMMARY = "recipe.toml", "metrics.jsonl", "state.safetensors", "train.json"

LARGEST_LOG = 256 * MEGABYTE
"""Bytes of metrics.jsonl: those of a million epochs."""

Number = Annotated[int, Field(ge=0, le=10**12)]
Score = Annotated[float, Field(allow_inf_nan=False)] | None
Share = Annotated[float, Field(ge=0, le=1)]


@dataclass(frozen=True)
class Epoch:
    """A line of metrics.jsonl.

    Attributes:
        epoch: from 1.
        step: steps done at its end.
        train_loss: mean over its clips, nats.
        lr: of its last step.
        seconds: of training since the run began.
        threads: on a CPU.
        val_war, val_uar, val_kl: scores of the validation part; None where it gives none.
    """

    epoch: Annotated[int, Field(ge=1, le=1_000_000)]
    step: Number
    train_loss: Score
    lr: Score
    seconds: Annotated[float, Field(ge=0, allow_inf_nan=False)]
    threads: Number | None = None
    val_war: Share | None = None
    val_uar: Share | None = None
    val_kl: Score = None

    __pydantic_config__ = {"extra": "forbid"}  # noqa: RUF012 (pydantic reads it; it is no field)


@dataclass(frozen=True)
class Summary:
    """train.json: what a run was, written at its end.

    Attributes:
        fold: None for a split.
        clips, validation: trained on, and held out.
        estimated: clips whose soft label models made.
        left_out: how many clips, by reason.
        epochs: trained.
        kept_epoch: the one whose weights are kept.
        seconds: of training.
        parameters: weights of the network.
        trained: how many were trained, those of adapters too; None in files of earlier versions.
        model: its name.
        emotions: the K names in order.
        data: a fingerprint of the clips and targets.
        prior: (K,) shares of the emotions in training.
        precision, processes, device, version: how it was trained.
    """

    clips: Number
    validation: Number
    left_out: dict[str, Number]
    epochs: Annotated[int, Field(ge=1, le=1_000_000)]
    kept_epoch: Annotated[int, Field(ge=1, le=1_000_000)]
    seconds: Annotated[float, Field(ge=0, allow_inf_nan=False)]
    parameters: Number
    model: str
    emotions: Annotated[tuple[str, ...], Field(min_length=2, max_length=1_000)]
    data: str
    fold: Annotated[int, Field(ge=0, le=1_000_000)] | None = None
    estimated: Number = 0
    prior: tuple[Share, ...] = ()
    precision: str = ""
    processes: Number = 1
    device: str = ""
    version: str = ""
    trained: Number | None = None

    __pydantic_config__ = {"extra": "forbid"}  # noqa: RUF012 (pydantic reads it; it is no field)


def read_summary(folder: Path) -> Summary:
    """What a run of `fit` wrote at its end.

    Raises:
        DferError: there is none, or it is damaged.
    """
    path = folder / SUMMARY
    return checked(Summary, read_json(path, finite=True), str(path))


def read_log(folder: Path) -> list[Epoch]:
    """The epochs of a run, in order; earlier ones may be lacking.

    Raises:
        DferError: there is no log, or a line of it is damaged.
    """
    epochs = [_epoch(line, folder, number) for number, line in enumerate(_lines(folder), 1)]
    _require_order(epochs, folder)
    return epochs


def _require_order(epochs: Sequence[Epoch], folder: Path) -> None:
    numbers = [epoch.epoch for epoch in epochs]
    if numbers != sorted(set(numbers)):
        raise DferError(f"{folder / LOG}: expected epochs in order, each once, got {listed(numbers)}")


def _lines(folder: Path) -> list[bytes]:
    return read_bytes(folder / LOG, LARGEST_LOG).splitlines()


def _epoch(line: bytes, folder: Path, number: int) -> Epoch:
    source = f"{folder / LOG}, line {number}"
    return checked(Epoch, parse_json(line, source, finite=True), source)


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

    @property
    def begun(self) -> bool:
        """Whether there is something to go on with, or nothing left to do."""
        return self.finished or self.state.exists()

    def require_unused(self) -> None:
        """Refuse a folder in which a run was begun."""
        if any((self.folder / name).exists() for name in (LOG, STATE, SUMMARY)):
            raise DferError(
                f"{self.folder} holds a run already; go on with --resume or choose another folder with --out"
            )

    def require_recipe(self, recipe: Recipe) -> None:
        """Refuse to go on with what another recipe began."""
        path = self.folder / RECIPE
        if not (path.exists() or self.begun):
            return
        former, ours = (flat(each.model_dump(mode="json")) for each in (load_recipe(path), recipe))
        if former != ours:
            other = [
                f"{key} ({shortened(str(former.get(key)), 40)} there, {shortened(str(ours.get(key)), 40)} here)"
                for key in former.keys() | ours.keys()
                if former.get(key) != ours.get(key)
            ]
            raise DferError(
                f"{path} is another recipe than the one to resume with; other: {listed(sorted(other))}; use another "
                "folder"
            )

    def write_recipe(self, recipe: Recipe) -> None:
        """The resolved recipe."""
        self._write(RECIPE, recipe.toml())

    def finish(self, summary: Summary) -> None:
        """The run is at its end: keep its summary, drop its state."""
        self._write(SUMMARY, json.dumps(asdict(summary), indent=1) + "\n")
        if self.writes:
            self.state.unlink(missing_ok=True)

    def log(self, row: dict[str, Any]) -> dict[str, Any]:
        """Add an epoch's numbers, and return them as they are written; a state of that epoch is saved after them.

        What is not finite is null: JSON knows no infinity.
        """
        row = {key: value if value is None or math.isfinite(value) else None for key, value in row.items()}
        if not self.writes:
            return row
        try:
            with (self.folder / LOG).open("a", encoding="utf-8") as file:
                file.write(json.dumps(row, allow_nan=False) + "\n")
        except OSError as error:
            raise DferError(f"cannot write the log of {self.folder}: {error.strerror or error}; {GO_ON}") from error
        return row

    def forget_after(self, epoch: int) -> None:
        """Drop the epochs that a killed run logged after its last state: they will be run again.

        Raises:
            DferError: the log is damaged, or lacks the epoch that the state is after.
        """
        if not (self.folder / LOG).exists():
            return
        *lines, last = _lines(self.folder) or [b""]
        whole = [*lines, last] if last.endswith(b"}") else lines  # a kill may have cut the last one off
        rows = [(_epoch(line, self.folder, number), line) for number, line in enumerate(whole, 1)]
        _require_order([row for row, _ in rows], self.folder)
        kept = [line for row, line in rows if row.epoch <= epoch]
        if epoch not in (0, *(row.epoch for row, _ in rows)):
            raise DferError(
                f"cannot resume in {self.folder}: its state is after {epoch} epochs, and {LOG} has "
                f"{listed(row.epoch for row, _ in rows) or 'none'}; start again in another folder"
            )
        self._write(LOG, "".join(f"{line.decode()}\n" for line in kept))

    def summary(self) -> Summary:
        """See `read_summary`."""
        return read_summary(self.folder)

    def _write(self, name: str, text: str) -> None:
        if self.writes:
            write_text(self.folder / name, text, advice=GO_ON)


def flat(tables: dict[str, Any]) -> dict[str, Any]:
    """The keys of a recipe as `--set` has them."""
    return {
        f"{name}.{key}" if isinstance(value, dict) else name: inner
        for name, value in tables.items()
        for key, inner in (value.items() if isinstance(value, dict) else [("", value)])
    }
