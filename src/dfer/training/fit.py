"""The training loop, top to bottom.

One step: read clips → augment (the same for all frames of a clip) → MIDAS → normalise → network → soft-target
loss. It runs on whatever `accelerate` finds: a CPU, a GPU, several processes (each takes its share of a batch).

A run can be killed at any step and resumed: `state.safetensors` holds weights, optimiser and place, and every
random draw is a function of the seed and the place, so on a CPU the final weights are the uninterrupted run's,
bit for bit.
"""

from __future__ import annotations

import logging
import math
import os
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, nullcontext
from functools import partial
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch
from accelerate import Accelerator
from torch import Tensor, nn

from dfer.datasets import Manifest
from dfer.errors import DferError, listed, shortened
from dfer.models import Card, create_model, mixed_inside, save_checkpoint
from dfer.training.balance import class_weights, clip_shares
from dfer.training.choosing import Chosen, Rows, choose_clips
from dfer.training.clips import Batch, ClipDataset, batches
from dfer.training.config import Recipe
from dfer.training.faults import first_not_finite
from dfer.training.gradients import choose_precision
from dfer.training.losses import make_loss
from dfer.training.optim import learning_rate, make_optimizer, moving_average
from dfer.training.precision import Precision, autocast
from dfer.training.predict import to_network, validation_scores
from dfer.training.randomness import Purpose, stream
from dfer.training.record import Record, Summary
from dfer.training.state import Place, load_state, save_state
from dfer.training.threads import Threads, threads_kept
from dfer.version import __version__

logger = logging.getLogger(__name__)

CHECKPOINT_SECONDS = 60.0
"""A killed run repeats at most about this much work."""
PROVED_CLIPS = 2
"""Clips on which gradients are proved: whether they are right depends on the sizes within a clip."""


class Progress(Protocol):
    """Who wants to see how a run goes."""

    def step(self, done: int, total: int, loss: float, clips_per_second: float) -> None:
        """After each step: steps done and in all, the step's loss (nats), training speed."""

    def epoch(self, row: dict[str, Any]) -> None:
        """After each epoch: its line of metrics.jsonl."""


def fit(
    recipe: Recipe, manifest: Manifest, folder: Path, *, fold: int | None = None, resume: bool = False,
    progress: Progress | None = None,
) -> None:  # fmt: skip
    """Train one model on the training part of one fold.

    Args:
        recipe: what to do.
        manifest: the clips.
        folder: where `recipe.toml`, `metrics.jsonl`, `state.safetensors`, `train.json`, `tensorboard/` and, at
            the end, `model/` are written.
        fold: the fold whose test part is kept away; None where the manifest has splits instead of folds.
        resume: go on from `state.safetensors` if it is there; a finished run is left as it is.
        progress: told of every step and epoch.

    Raises:
        DferError: a folder in use, no clips to train on, an unreadable clip, a loss that is not finite.
    """
    # The caller's global generator is put back afterwards: the network's initialisation and dropout use it.
    with torch.random.fork_rng(), threads_kept():
        run = _Run(recipe, manifest, folder, fold)
        if run.begin(resume):
            run.train(progress)


class _Run:
    """What one run of `fit` holds: the clips, the network and where it stands."""

    def __init__(self, recipe: Recipe, manifest: Manifest, folder: Path, fold: int | None) -> None:
        self.recipe, self.manifest, self.folder, self.fold = recipe, manifest, folder, fold
        self.chosen: Chosen = choose_clips(recipe, manifest, fold)
        self.targets = torch.from_numpy(self.chosen.targets.astype(np.float32))
        given = recipe.labels.rule == "given"
        self.estimated = int(manifest.estimated[self.chosen.train].sum()) if given else 0
        self.accelerator = _accelerator()
        self.record = Record(folder, writes=self.accelerator.is_main_process)
        self._require_selection()
        self._require_even_batches()
        self.mix = recipe.midas
        torch.manual_seed(stream(recipe.seed, Purpose.WEIGHTS))
        network = create_model(
            recipe.model.name,
            len(manifest.emotions),
            in_channels=recipe.input.channels,
            **recipe.model.options,
        )
        self.parameters = sum(weight.numel() for weight in network.parameters())
        optimizer = make_optimizer(network, recipe.optim)
        self.average = moving_average(network, recipe.optim.ema) if recipe.optim.ema else None
        self.model, self.optimizer = self.accelerator.prepare(network, optimizer)
        self.network: nn.Module = self.accelerator.unwrap_model(self.model)
        if self.average:
            self.average.to(self.accelerator.device)
        self.ballots = torch.from_numpy(_ballots(manifest))
        of_training = self.chosen.targets[self.chosen.train]
        self.shares = clip_shares(of_training) if recipe.loss.sampler == "balanced" else None
        on_device = partial(torch.tensor, dtype=torch.float32, device=self.accelerator.device)
        weight = on_device(class_weights(of_training)) if recipe.loss.class_weights == "balanced" else None
        self.loss = make_loss(recipe.loss, on_device(self.chosen.prior), weight)
        self.threads = Threads(recipe.optim.threads)
        self.precision: Precision = "fp32"
        self.batches_per_epoch = max(1, len(self.chosen.train) // recipe.optim.batch)
        self.place = Place(self.chosen.fingerprint(manifest.table["id"]))

    def _require_selection(self) -> None:
        """Refuse, before an epoch is trained, to choose by a score that the validation part cannot give."""
        wanted, rows = self.recipe.selection, self.chosen.validation
        scored = self.manifest.votes[rows].sum(axis=1) > 0 if wanted == "val_kl" else self.manifest.labels[rows] >= 0
        if wanted != "last" and not scored.any():
            needed = "votes" if wanted == "val_kl" else "single labels"
            raise DferError(
                f'selection = "{wanted}" needs a validation part with {needed}; set data.validation or use "last"'
            )

    def _require_even_batches(self) -> None:
        """Each process must get an equal share of each batch, or its clips would weigh more than others'."""
        processes = self.accelerator.num_processes
        batch = min(self.recipe.optim.batch, len(self.chosen.train))
        if batch % processes:
            raise DferError(
                f"a batch of {batch} clips cannot be shared evenly by {processes} processes; set optim.batch to a "
                f"multiple of {processes}, of at most the {len(self.chosen.train)} clips of the training part"
            )

    def _proved_precision(self) -> Precision:
        """The precision of the recipe, or fp32 where the gradients in that would be wrong."""
        recipe, processes = self.recipe, self.accelerator.num_processes
        batch = min(recipe.optim.batch // processes, len(self.chosen.train), PROVED_CLIPS)
        shape = (batch, recipe.input.channels, recipe.input.frames, recipe.input.size, recipe.input.size)
        clips = torch.zeros(shape, device=self.accelerator.device)
        precision, wrong = choose_precision(recipe.optim.precision, self.network, clips)
        if wrong:
            logger.warning("training in fp32: the bf16 gradients of %s are wrong on this machine", listed(wrong))
        return precision

    # -- before and after ---------------------------------------------------------------------------------------

    def begin(self, resume: bool) -> bool:
        """Prepare the folder or pick up the state; False when there is nothing left to do."""
        if resume:
            self.record.require_recipe(self.recipe)
            if self.record.finished:
                self._require_same(self.record.summary().data)
                logger.info("%s is finished", self.folder)
                return False
            if self.record.state.exists():
                self._pick_up()
            self.record.forget_after(self.place.epoch(self.batches_per_epoch))
        else:
            self.record.require_unused()
        self.accelerator.wait_for_everyone()  # all have compared recipes before one writes
        self.record.write_recipe(self.recipe)
        return True

    def _pick_up(self) -> None:
        place = load_state(self.record.state, optimizer=self.optimizer, modules=self._modules())
        self._require_same(place.data)
        steps, closed = self.batches_per_epoch, place.epoch(self.batches_per_epoch)
        total, batch = steps * self.recipe.optim.epochs, min(self.recipe.optim.batch, len(self.chosen.train))
        sound = place.step <= total and place.clips == (place.step - closed * steps) * batch
        if not sound or place.best_epoch > closed or place.row.get("epoch", 0) != closed:
            raise DferError(
                f"cannot resume from {self.record.state}: expected a place within {total} steps of {batch} clips, got "
                f"step {shortened(str(place.step), 30)} with {shortened(str(place.clips), 30)} clips of its epoch and "
                f"the best epoch {shortened(str(place.best_epoch), 30)}; start again in another folder"
            )
        self.place = place

    def _require_same(self, data: str) -> None:
        """Refuse to go on with what was begun on other clips."""
        if data != self.place.data:
            raise DferError(
                f"{self.folder} was begun on other clips or targets than this manifest gives; use another folder"
            )

    def _modules(self) -> dict[str, nn.Module]:
        return {"model": self.network} | ({"average": self.average} if self.average else {})

    def _finish(self, row: dict[str, Any]) -> None:
        if self.recipe.selection == "last":
            self._keep_model(row)
        summary = Summary(
            fold=self.fold, clips=len(self.chosen.train), validation=len(self.chosen.validation),
            estimated=self.estimated,
            left_out={**self.manifest.left_out, **self.chosen.left_out}, epochs=self.recipe.optim.epochs,
            kept_epoch=self.place.best_epoch or self.recipe.optim.epochs,
            seconds=round(self.place.seconds, 1), parameters=self.parameters, model=self.recipe.model.name,
            emotions=tuple(self.manifest.emotions), data=self.place.data,
            prior=tuple(self.chosen.prior.round(6).tolist()),
            precision=self.precision, processes=self.accelerator.num_processes,
            device=str(self.accelerator.device), version=__version__,
        )  # fmt: skip
        self.record.finish(summary)

    def _keep_model(self, row: dict[str, Any]) -> None:
        if not self.accelerator.is_main_process:
            return
        card = Card(
            model=self.recipe.model.name,
            options={"in_channels": self.recipe.input.channels, **self.recipe.model.options},
            emotions=self.manifest.emotions,
            preprocessing=self.recipe.input.to_dict(),
            data={
                "source": self.manifest.source,
                "fold": self.fold,
                "clips": len(self.chosen.train),
                "estimated": self.estimated,
            },
            metrics={"epoch": row["epoch"]} | {name: row[name] for name in row if name.startswith("val_")},
            recipe=self.recipe.model_dump(mode="json", exclude_none=True),
        )
        save_checkpoint(self.folder / "model", self._judged(), card)

    # -- the loop -----------------------------------------------------------------------------------------------

    def train(self, progress: Progress | None) -> None:
        """From where the run stands to its end."""
        self.precision = self._proved_precision()
        row: dict[str, Any] = self.place.row
        for epoch in range(self.place.epoch(self.batches_per_epoch), self.recipe.optim.epochs):
            threads = self.threads.choose()
            self._train_epoch(epoch, progress)
            self._require_finite_weights()
            row = self._epoch_row(epoch) | {"threads": threads}
            self.place.loss, self.place.clips, self.place.row = 0.0, 0, self.record.log(row)
            if self._is_best(row):
                self._keep_model(row)
            self._save_state()
            if progress:
                progress.epoch(row)
        self._finish(row)

    def _train_epoch(self, epoch: int, progress: Progress | None) -> None:
        total = self.batches_per_epoch * self.recipe.optim.epochs
        rows = self._order(epoch)[self.place.step - epoch * self.batches_per_epoch :]
        saved = begin = time.monotonic()
        for batch in self._read(rows, epoch):
            loss = self._step(batch, self.place.step)
            size = len(batch.rows) * self.accelerator.num_processes
            now = time.monotonic()
            self.place.step += 1
            self.place.loss += loss * size
            self.place.clips += size
            self.place.seconds += now - begin
            if progress:
                progress.step(self.place.step, total, loss, size / (now - begin))
            begin = now
            if now - saved > CHECKPOINT_SECONDS:
                self._save_state()
                saved = now

    def _order(self, epoch: int) -> list[Rows]:
        """The rows of each batch of this epoch that this process takes."""
        generator = np.random.default_rng(stream(self.recipe.seed, Purpose.ORDER, epoch))
        rows, size = self.chosen.train, self.recipe.optim.batch
        drawn = self.shares is not None
        order = generator.choice(rows, len(rows), p=self.shares) if drawn else generator.permutation(rows)
        process, processes = self.accelerator.process_index, self.accelerator.num_processes
        starts = range(0, self.batches_per_epoch * size, size)
        return [order[start : start + size][process::processes] for start in starts]

    def _read(self, rows: list[Rows], epoch: int) -> Iterator[Batch]:
        recipe, size = self.recipe, self.recipe.data.load_size
        clips = ClipDataset(self.manifest, recipe.input, rule=None, seed=recipe.seed, jitter=True, size=size)
        clips.set_epoch(epoch)
        return batches(clips, [part.tolist() for part in rows], workers=recipe.data.workers)

    def _step(self, batch: Batch, step: int) -> float:
        """One step of the optimiser; returns the loss."""
        device, process = self.accelerator.device, self.accelerator.process_index
        recipe, seed = self.recipe, self.recipe.seed
        torch.manual_seed(stream(seed, Purpose.MODEL, step, process))
        augmenting = torch.Generator().manual_seed(stream(seed, Purpose.AUGMENT, step, process))
        mixing = torch.Generator().manual_seed(stream(seed, Purpose.MIX, step, process))
        clips = batch.clips.to(device).float().div_(255)
        clips = recipe.augment(clips, size=recipe.input.size, generator=augmenting)
        targets, ballots = self.targets[batch.rows].to(device), self.ballots[batch.rows].to(device)
        inside: AbstractContextManager[object] = nullcontext()
        if self.mix and step < (recipe.optim.epochs - recipe.optim.unmixed_epochs) * self.batches_per_epoch:
            mixed = self.mix(clips, targets, generator=mixing, ballots=ballots)
            clips, targets, ballots = mixed.clips, mixed.targets, mixed.carry(ballots)
            if self.mix.layer == "hidden":
                inside = mixed_inside(self.network, mixed, generator=mixing)

        for group in self.optimizer.param_groups:
            group["lr"] = learning_rate(recipe.optim, step, self.batches_per_epoch)
        self.model.train()
        with autocast(device, self.precision), inside:
            logits = self.model(to_network(clips, recipe.input))
        loss = self.loss(logits.float(), targets, ballots).mean()
        value = float(self.accelerator.reduce(loss.detach(), "mean"))  # of all processes, so that all stop at a NaN
        if not math.isfinite(value):
            raise self._not_finite(value, step, batch, to_network(clips, recipe.input))
        self.optimizer.zero_grad()
        self.accelerator.backward(loss)
        if recipe.optim.clip_norm:
            self.accelerator.clip_grad_norm_(self.model.parameters(), recipe.optim.clip_norm)
        self.optimizer.step()
        if self.average:
            self.average.update_parameters(self.network)
        return value

    def _not_finite(self, value: float, step: int, batch: Batch, clips: Tensor) -> DferError:
        """What is known of a loss that is NaN or infinite."""
        ids = listed(self.manifest.table["id"].iloc[batch.rows.numpy()], limit=len(batch.rows))
        where = first_not_finite(self.network, clips)
        told = f"the first output that is not finite is that of {where}" if where else "in fp32 all outputs are finite"
        return DferError(
            f"the loss is {value} at step {step}, in {self.precision}; {told}; clips of the batch: {ids}; "
            f"{self._advice()}"
        )

    def _require_finite_weights(self) -> None:
        """A step can ruin the weights after a loss that was still finite; no such network is kept."""
        if not all(weight.isfinite().all() for weight in self.network.parameters()):
            raise DferError(
                f"the weights are not finite after step {self.place.step}, in {self.precision}; {self._advice()}"
            )

    def _advice(self) -> str:
        reduced = ', or set optim.precision to "fp32"' if self.precision == "bf16" else ""
        return f"lower optim.lr or set optim.clip_norm{reduced}"

    # -- what an epoch leaves behind ----------------------------------------------------------------------------

    def _judged(self) -> nn.Module:
        """The network that is judged and kept: the moving average where there is one."""
        return self.average.module if self.average else self.network

    def _epoch_row(self, epoch: int) -> dict[str, Any]:
        row = {
            "epoch": epoch + 1, "step": self.place.step, "train_loss": self.place.loss / self.place.clips,
            "lr": learning_rate(self.recipe.optim, self.place.step - 1, self.batches_per_epoch),
            "seconds": round(self.place.seconds, 1),
        }  # fmt: skip
        validation = self.chosen.validation
        if len(validation):
            row |= validation_scores(self._judged(), self.manifest, validation, self.recipe)
        return row

    def _is_best(self, row: dict[str, Any]) -> bool:
        wanted = self.recipe.selection
        if wanted == "last":
            return False
        score = -row[wanted] if wanted == "val_kl" else row[wanted]
        if self.place.best is not None and score <= self.place.best:
            return False
        self.place.best, self.place.best_epoch = score, row["epoch"]
        return True

    def _save_state(self) -> None:
        if self.accelerator.is_main_process:
            save_state(
                self.record.state,
                self.place,
                optimizer=self.optimizer,
                modules=self._modules(),
            )


def _ballots(manifest: Manifest) -> np.ndarray[Any, np.dtype[np.float32]]:
    """(N,) how many people voted on each clip; a label without votes is one person's."""
    ballots: np.ndarray[Any, np.dtype[np.float32]] = np.fmax(manifest.votes.sum(axis=1), 1).astype(np.float32)
    return ballots


def _accelerator() -> Accelerator:
    """Accelerate finds the hardware by itself; that processes on CPUs belong together it must be told."""
    several = int(os.environ.get("WORLD_SIZE", "1")) > 1
    return Accelerator(cpu=several and not (torch.cuda.is_available() or torch.xpu.is_available()))
