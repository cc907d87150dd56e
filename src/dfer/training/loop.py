"""The training loop, top to bottom.

One step: read clips → augment (the same for all frames of a clip) → MIDAS → normalise → network → soft-target
loss. It runs on whatever `accelerate` finds: a CPU, a GPU, several processes (each takes its share of a batch).

A run can be killed at any step and resumed: `state.safetensors` holds weights, optimiser and place, and every
random draw is a function of the seed and the place, so on a CPU the final weights are the uninterrupted run's,
bit for bit.
"""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Iterator
from contextlib import nullcontext
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from accelerate import Accelerator
from torch import Tensor

from dfer.datasets import Manifest
from dfer.errors import DferError, listed, shortened
from dfer.models import Card, save_checkpoint
from dfer.models.encoded import recalled
from dfer.training.balance import answered_prior, class_weights, clip_shares
from dfer.training.cached import CachedFeatures
from dfer.training.checks import require_even_batches, require_selection
from dfer.training.choosing import Chosen, Rows, choose_clips
from dfer.training.clips import Batch, ClipDataset, Clips, batches, stacked
from dfer.training.config import Recipe
from dfer.training.faults import NotFiniteError, advice
from dfer.training.layers import count_weights
from dfer.training.learner import Learner
from dfer.training.losses import make_loss
from dfer.training.memory import memory_kept
from dfer.training.optim import learning_rate
from dfer.training.predict import scores_of, validation_scores
from dfer.training.progress import Begun, Progress, Step
from dfer.training.randomness import Purpose, stream
from dfer.training.record import Epoch, Record, Summary, read_log
from dfer.training.start import make_network
from dfer.training.state import Place, load_state, save_state
from dfer.training.threads import Threads, threads_kept
from dfer.version import __version__

logger = logging.getLogger(__name__)

CHECKPOINT_SECONDS = 60.0
"""A killed run repeats at most about this much work."""


def fit(
    recipe: Recipe, manifest: Manifest, folder: Path, *, fold: int | None = None, resume: bool = False,
    progress: Progress | None = None,
) -> None:  # fmt: skip
    """Train one model on the training part of one fold.

    Args:
        recipe: what to do.
        manifest: the clips.
        folder: where `recipe.toml`, `metrics.jsonl`, `state.safetensors`, `train.json` and, at the end, `model/`
            are written.
        fold: the fold whose test part is kept away; None where the manifest has splits instead of folds.
        resume: go on from `state.safetensors` if it is there; a finished run is left as it is.
        progress: told of every step and epoch.

    Raises:
        DferError: a folder in use, no clips to train on, an unreadable clip, a loss that is not finite.
    """
    # The caller's global generator is put back afterwards: the network's initialisation and dropout use it.
    with torch.random.fork_rng(), threads_kept(), memory_kept():
        run = _Run(recipe, manifest, folder, fold, resume=resume)
        if run.begin(resume):
            run.train(progress)


class _Run:
    """What one run of `fit` holds: the clips, the network and where it stands."""

    def __init__(
        self, recipe: Recipe, manifest: Manifest, folder: Path, fold: int | None, *, resume: bool = False
    ) -> None:
        self.recipe, self.manifest, self.folder, self.fold = recipe, manifest, folder, fold
        self.chosen: Chosen = choose_clips(recipe, manifest, fold)
        self.targets = torch.from_numpy(self.chosen.targets.astype(np.float32))
        given = recipe.labels.rule == "given"
        self.estimated = int(manifest.estimated[self.chosen.train].sum()) if given else 0
        self.accelerator = _accelerator()
        self.record = Record(folder, writes=self.accelerator.is_main_process)
        require_selection(recipe, manifest, self.chosen.validation)
        require_even_batches(recipe, len(self.chosen.train), self.accelerator.num_processes)
        network = make_network(recipe, manifest.emotions, fresh=not (resume and self.record.begun))
        self.voters = torch.from_numpy(_voters(manifest))
        of_training = self.chosen.targets[self.chosen.train]
        self.shares = clip_shares(of_training) if recipe.loss.sampler == "balanced" else None
        on_device = partial(torch.tensor, dtype=torch.float32, device=self.accelerator.device)
        weight = on_device(class_weights(of_training)) if recipe.loss.class_weights == "balanced" else None
        self.loss = make_loss(recipe.loss, on_device(self.chosen.prior), weight)
        self.batches_per_epoch = max(1, len(self.chosen.train) // recipe.optim.batch)
        self.learner = Learner(recipe, self.accelerator, network, self.loss, steps_per_epoch=self.batches_per_epoch)
        self.features: CachedFeatures | None = None
        if recipe.init.cache:
            self.features = CachedFeatures(recipe, manifest, self.chosen.train, self._encoded)
        self.threads = Threads(recipe.optim.threads)
        self.place = Place(self.chosen.fingerprint(manifest.table["id"]))

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
        place = load_state(self.record.state, optimizer=self.learner.optimizer, modules=self.learner.modules)
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

    def _warn_if_nothing_was_learnt(self) -> None:
        """Where one answer for all clips scores as well on the validation part as the epoch that is kept."""
        kept = self.place.best_epoch or self.recipe.optim.epochs
        row = next((epoch for epoch in read_log(self.folder) if epoch.epoch == kept), None)
        rows = self.chosen.validation
        answer = np.broadcast_to(self.chosen.prior, (len(rows), len(self.manifest.emotions)))
        scores = scores_of(answer, self.manifest.labels[rows], self.manifest.votes[rows])
        pairs = {
            name: (getattr(row, name), value) for name, value in scores.items() if getattr(row, name, None) is not None
        }
        if pairs and all(
            found >= value if name == "val_kl" else found <= value for name, (found, value) in pairs.items()
        ):
            told = ", ".join(f"{name} {found:.3f} and {value:.3f}" for name, (found, value) in pairs.items())
            logger.warning(
                "%s: on the validation part the network is no better than the mean target (%s): it has learnt nothing; "
                "lower optim.lr, train for more epochs, or look at the clips with `dfer doctor`", self.folder, told,
            )  # fmt: skip

    def _finish(self, row: dict[str, Any]) -> None:
        if self.recipe.selection == "last":
            self._keep_model(row)
        summary = Summary(
            fold=self.fold, clips=len(self.chosen.train), validation=len(self.chosen.validation),
            estimated=self.estimated,
            left_out={**self.manifest.left_out, **self.chosen.left_out}, epochs=self.recipe.optim.epochs,
            kept_epoch=self.place.best_epoch or self.recipe.optim.epochs,
            seconds=round(self.place.seconds, 1), model=self.recipe.model.name,
            parameters=count_weights(self.learner.judged), trained=count_weights(self.learner.network, trained=True),
            emotions=tuple(self.manifest.emotions), data=self.place.data,
            prior=tuple(self.chosen.prior.round(6).tolist()),
            precision=self.learner.precision, processes=self.accelerator.num_processes,
            device=str(self.accelerator.device), version=__version__,
        )  # fmt: skip
        self.record.finish(summary)
        if self.accelerator.is_main_process:
            self._warn_if_nothing_was_learnt()
        # Whoever goes on, or ends, finds the model written. A process that ended right after the last step would now
        # and then be aborted: a thread of torch's that still lets go of gradients needs the interpreter for it.
        self.accelerator.wait_for_everyone()

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
            prior=tuple(answered_prior(self.recipe.loss, self.chosen.prior).round(6).tolist()),
        )
        save_checkpoint(self.folder / "model", self.learner.judged, card)

    # -- the loop -----------------------------------------------------------------------------------------------

    def train(self, progress: Progress | None) -> None:
        """From where the run stands to its end."""
        self.learner.prove(clips=len(self.chosen.train))
        if progress:
            network = self.learner.network
            sizes = {"trained": count_weights(network, trained=True), "weights": count_weights(network)}
            progress.begin(Begun(self.folder, self.fold, self.recipe, self.place.step, **sizes))
        row: dict[str, Any] = self.place.row
        for epoch in range(self.place.epoch(self.batches_per_epoch), self.recipe.optim.epochs):
            threads = self.threads.choose()
            self._train_epoch(epoch, progress)
            self.learner.require_finite_weights(self.place.step)
            row = self._epoch_row(epoch) | {"threads": threads}
            self.place.loss, self.place.clips, self.place.row = 0.0, 0, self.record.log(row)
            if self._is_best(row):
                self._keep_model(row)
            self._save_state()
            if progress:
                written: dict[str, Any] = self.place.row
                progress.epoch(Epoch(**written))
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
                left = self.place.seconds / self.place.step * (total - self.place.step)
                speed = size / (now - begin)
                epochs = self.recipe.optim.epochs
                progress.step(Step(self.place.step, total, epoch + 1, epochs, loss, speed, left))
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
        if self.features:
            return self.features.batches(rows, epoch)
        recipe, size = self.recipe, self.recipe.data.load_size
        clips = ClipDataset(self.manifest, recipe.input, rule=None, seed=recipe.seed, jitter=True, size=size)
        clips.set_epoch(epoch)
        return batches(clips, [part.tolist() for part in rows], workers=recipe.data.workers)

    def _on_device(self, clips: Clips) -> Clips:
        device = self.accelerator.device
        return clips if device.type == "cpu" else stacked(clips).to(device)

    def _encoded(self, clips: Clips, augmenting: torch.Generator) -> Tensor:
        return self.learner.features(self._on_device(clips), augmenting)

    def _step(self, batch: Batch, step: int) -> float:
        device, clips = self.accelerator.device, self._on_device(batch.clips)
        targets, voters = self.targets[batch.rows].to(device), self.voters[batch.rows].to(device)
        try:
            return self.learner.step(clips, targets, voters, number=step)
        except NotFiniteError as error:
            ids = listed(self.manifest.table["id"].iloc[batch.rows.numpy()], limit=len(batch.rows))
            raise DferError(f"{error}; clips of the batch: {ids}; {advice(self.learner.precision)}") from error

    # -- what an epoch leaves behind ----------------------------------------------------------------------------

    def _epoch_row(self, epoch: int) -> dict[str, Any]:
        row = {
            "epoch": epoch + 1, "step": self.place.step, "train_loss": self.place.loss / self.place.clips,
            "lr": learning_rate(self.recipe.optim, self.place.step - 1, self.batches_per_epoch),
            "seconds": round(self.place.seconds, 1),
        }  # fmt: skip
        validation = self.chosen.validation
        if len(validation):
            judged = self.learner.judged
            with recalled(judged, self.features.validation) if self.features else nullcontext():
                row |= validation_scores(judged, self.manifest, validation, self.recipe)
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
            save_state(self.record.state, self.place, optimizer=self.learner.optimizer, modules=self.learner.modules)


def _voters(manifest: Manifest) -> np.ndarray[Any, np.dtype[np.float32]]:
    """(N,) how many people voted on each clip; a label without votes is one person's."""
    voters: np.ndarray[Any, np.dtype[np.float32]] = np.fmax(manifest.votes.sum(axis=1), 1).astype(np.float32)
    return voters


def _accelerator() -> Accelerator:
    """Accelerate finds the hardware by itself; that processes on CPUs belong together it must be told."""
    several = int(os.environ.get("WORLD_SIZE", "1")) > 1
    return Accelerator(cpu=several and not (torch.cuda.is_available() or torch.xpu.is_available()))
