"""Which clips are trained on, towards which targets, and how they become batches.

Conventions: rows are positions in the Manifest; `frames` leave here as (B, C, T, H, W) uint8 and are scaled to
[0, 1] on the device. Which frame of a clip is read when depends on (seed, epoch, row) alone, so that a resumed
run reads what the uninterrupted one would have read.
"""

from __future__ import annotations

import hashlib
import inspect
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from multiprocessing import get_context
from multiprocessing.context import BaseContext
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from dfer.datasets import Manifest
from dfer.errors import DferError, listed
from dfer.evaluation import cut_validation
from dfer.labels import one_hot, smooth_labels, soft_labels
from dfer.labels.emotions import nearest
from dfer.labels.votes import RULES
from dfer.training.config import Labels, Recipe
from dfer.training.randomness import Purpose, stream
from dfer.video.frames import open_clip
from dfer.video.preprocessing import Preprocessing
from dfer.video.sampling import jittered, uniform

Rows = npt.NDArray[np.int64]
Sampler = Callable[[int, int], npt.NDArray[np.int64]]
"""(number of frames in the clip, row) -> the indices of the T frames to read."""


@dataclass(frozen=True)
class Chosen:
    """The clips of a run: rows of the manifest, targets for all its rows, and what was left out and why."""

    train: Rows
    validation: Rows
    targets: npt.NDArray[np.float64]
    left_out: dict[str, int]

    def fingerprint(self, ids: Iterable[str]) -> str:
        """Differs when the clips, their order or their targets do; `ids` are of all rows of the manifest.

        Targets count to six digits: other machines differ in the last ones.
        """
        text = repr([*ids, self.train.tolist(), self.validation.tolist()]).encode(errors="backslashreplace")
        return hashlib.sha256(text + (self.targets.round(6) + 0.0).tobytes()).hexdigest()


class Sample(NamedTuple):
    """One clip: frames (T, H, W, C) uint8, its row, and the indices of its frames."""

    frames: npt.NDArray[np.uint8]
    row: int
    indices: npt.NDArray[np.int64]


class Batch(NamedTuple):
    """Clips (B, C, T, H, W) uint8, their rows (B,) and the indices of their frames (B, T), int64."""

    clips: Tensor
    rows: Tensor
    indices: Tensor


def choose_clips(recipe: Recipe, manifest: Manifest, fold: int | None) -> Chosen:
    """Training and validation rows of one fold (or of the split) and targets by the recipe's rule.

    The validation part is the source's own where it has one, else cut from the training part, by group where
    groups are known; it depends on the seed and the fold only, so runs that differ in labels or mixing share it.

    Raises:
        DferError: no clip is left to train on, or an emotion is in no training clip's target.
    """
    train, test = manifest.partition(fold)
    targets = make_targets(recipe.labels, manifest, train)
    usable = ~np.isnan(targets).any(axis=1)
    single = manifest.labels >= 0
    own = (manifest.table["split"] == "val").to_numpy() & ~test
    validation = own if own.any() else np.zeros_like(train)
    if recipe.data.validation and not own.any():
        rows = np.flatnonzero(train)
        generator = np.random.default_rng(stream(recipe.seed, Purpose.VALIDATION, fold or 0))
        groups = manifest.table["group"].to_numpy()[rows]
        cut = cut_validation(groups, manifest.labels[rows], recipe.data.validation, generator)
        validation[rows[cut]] = True
    kept = train & ~validation
    left_out = {}
    if recipe.data.subset == "single":
        left_out["no single label"] = int((kept & ~single).sum())
        kept &= single
    left_out["no target by the rule"] = int((kept & ~usable).sum())
    kept &= usable
    if not kept.any():
        raise DferError(f"no clip is left to train on: {left_out}; look at data.subset and labels.rule")
    shown = _shown(recipe.labels, manifest, kept) & (targets[kept].sum(axis=0) > 0)
    absent = [name for name, there in zip(manifest.emotions, shown, strict=True) if not there]
    if absent:
        part = "the split" if fold is None else f"fold {fold}"
        raise DferError(
            f"no training clip of {part} shows {listed(absent)}; expected every emotion at least once; where the data "
            "know fewer, say so to `dfer prepare`: --option emotions=happy,sad,..."
        )
    reasons = {reason: count for reason, count in left_out.items() if count}
    return Chosen(np.flatnonzero(kept), np.flatnonzero(validation), targets, reasons)


def _shown(labels: Labels, manifest: Manifest, kept: npt.NDArray[np.bool_]) -> npt.NDArray[np.bool_]:
    """(K,) whether the kept clips show an emotion; a prior or smoothing, which favours all, is no evidence."""
    if labels.rule == "hard":
        return np.isin(np.arange(len(manifest.emotions)), manifest.labels[kept])
    return np.asarray(np.nansum(manifest.votes[kept], axis=0) > 0)


def make_targets(labels: Labels, manifest: Manifest, train: npt.NDArray[np.bool_]) -> npt.NDArray[np.float64]:
    """(N, K) targets by the recipe's rule; a row without one (no votes, no label, discarded) is NaN.

    What a rule learns from the table (`dirichlet` with `prior = "class"`) it learns from the training part.
    """
    size = len(manifest.emotions)
    _check_options(labels)
    if labels.rule == "hard":
        return smooth_labels(one_hot(manifest.labels, size), labels.smoothing)
    given = ~np.isnan(manifest.votes).any(axis=1)
    if not given.any():
        raise DferError(
            f'this manifest has no votes, so labels.rule = "{labels.rule}" has nothing to go by; use "hard"'
        )
    options = labels.options
    if labels.rule == "ferplus":
        options["other"] = manifest.table.filter(regex="^other_").to_numpy(dtype=float)[given]
    if options.get("prior") == "class":
        pooled = manifest.votes[given & train].sum(axis=0)
        options["prior"] = pooled / pooled.sum()
    targets = np.full((len(manifest), size), np.nan)
    ids = manifest.table["id"].to_numpy()[given]
    targets[given] = soft_labels(manifest.votes[given], labels.rule, ids=ids, **options)
    return smooth_labels(targets, labels.smoothing)


def _check_options(labels: Labels) -> None:
    """Refuse a key that no rule has: "hard" and the rule's own check would pass over a misspelt `smoothing`."""
    known = {"rule", "smoothing"}.union(*(inspect.signature(rule).parameters for rule in RULES.values()))
    for option in labels.options:
        if option not in known - {"votes", "ids", "other"}:
            raise DferError(f"unknown key labels.{option}{nearest(option, known)}")


class ClipDataset(Dataset[Sample | DferError]):
    """Clips by row. A clip that cannot be read comes back as its error, which names it; `batches` raises it."""

    def __init__(
        self,
        manifest: Manifest,
        preprocessing: Preprocessing,
        *,
        size: int | None = None,
        sample: Sampler | None = None,
    ) -> None:
        self.paths = [manifest.resolve(path) for path in manifest.table["path"]]
        self.kinds = manifest.table["kind"].tolist()
        self.ids = manifest.table["id"].tolist()
        self.preprocessing, self.size = preprocessing, size or preprocessing.size
        self.sample = sample or partial(_uniform_frames, preprocessing.frames, preprocessing.short)

    def __len__(self) -> int:
        return len(self.paths)

    def __getitem__(self, row: int) -> Sample | DferError:
        try:
            clip = open_clip(self.paths[row], self.kinds[row])
            indices = self.sample(len(clip), row)
            frames = self.preprocessing.read(clip, indices, size=self.size)
        except DferError as error:
            return DferError(
                f"clip {self.ids[row]}: {error}; `dfer prepare --pack` leaves such clips out and counts them"
            )
        if frames.shape[-1] != self.preprocessing.channels:
            return DferError(
                f"clip {self.ids[row]} is grey, the recipe wants colours; pack without --grey or set input.grey = true"
            )
        return Sample(frames, row, indices)


def jittered_sampler(preprocessing: Preprocessing, seed: int, epoch: int) -> Sampler:
    """The sampler of one training epoch."""
    return partial(_jittered_frames, preprocessing.frames, preprocessing.short, seed, epoch)


def _uniform_frames(frames: int, short: str, length: int, _row: int) -> npt.NDArray[np.int64]:
    return uniform(length, frames, short=short)


def _jittered_frames(frames: int, short: str, seed: int, epoch: int, length: int, row: int) -> npt.NDArray[np.int64]:
    generator = np.random.default_rng(stream(seed, Purpose.JITTER, epoch, row))
    return jittered(length, frames, generator, short=short)


def batches(dataset: ClipDataset, rows: Sequence[Sequence[int]], *, workers: int = 0) -> Iterator[Batch]:
    """Read batches of the given rows, in this order.

    Raises:
        DferError: a clip cannot be read.
    """
    loader = DataLoader(
        dataset,
        batch_sampler=rows,  # type: ignore[arg-type]
        num_workers=workers,
        collate_fn=_collate,
        generator=torch.Generator(),  # else the loader draws a seed from the global generator
        multiprocessing_context=_forkserver() if workers else None,
    )
    for batch in loader:
        if isinstance(batch, DferError):
            raise batch
        yield batch


def _forkserver() -> BaseContext:
    """Workers start anew each epoch: a server that has loaded torch once forks them in no time, not in seconds."""
    context = get_context("forkserver")
    context.set_forkserver_preload([__name__])
    return context


def _collate(samples: list[Sample | DferError]) -> Batch | DferError:
    for sample in samples:
        if isinstance(sample, DferError):
            return sample
    read = [sample for sample in samples if isinstance(sample, Sample)]
    frames = torch.from_numpy(np.stack([sample.frames for sample in read]))
    return Batch(
        frames.permute(0, 4, 1, 2, 3),
        torch.tensor([sample.row for sample in read]),
        torch.from_numpy(np.stack([sample.indices for sample in read])),
    )
