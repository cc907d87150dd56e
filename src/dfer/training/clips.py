"""Which clips are trained on, towards which targets, and how they become batches.

Conventions: rows are positions in the Manifest; `frames` leave here as (B, C, T, H, W) uint8 and are scaled to
[0, 1] on the device. Which frame of a clip is read when depends on (seed, epoch, row) alone, so that a resumed
run reads what the uninterrupted one would have read.
"""

from __future__ import annotations

import hashlib
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
from dfer.datasets.splits import hold_out
from dfer.errors import DferError, listed
from dfer.labels import STRATA, strata
from dfer.training.config import Data, Recipe
from dfer.training.randomness import Purpose, stream
from dfer.training.targets import make_targets, shown_emotions
from dfer.video.frames import open_clip
from dfer.video.preprocessing import Preprocessing
from dfer.video.sampling import jittered, uniform

Rows = npt.NDArray[np.int64]
Sampler = Callable[[int, int], npt.NDArray[np.int64]]
"""(number of frames in the clip, row) -> the indices of the T frames to read."""
Change = Callable[[npt.NDArray[np.uint8], int], npt.NDArray[np.uint8]]
"""(frames (T, H, W, C) as they were read, row) -> the frames that are shown instead."""


@dataclass(frozen=True)
class Chosen:
    """The clips of a run: rows of the manifest, targets for all its rows, and what was left out and why."""

    train: Rows
    validation: Rows
    targets: npt.NDArray[np.float64]
    left_out: dict[str, int]

    @property
    def prior(self) -> npt.NDArray[np.float64]:
        """(K,) the training part's mean target: how often each emotion was shown to the network."""
        return np.asarray(self.targets[self.train].mean(axis=0))

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
    own = (manifest.table["split"] == "val").to_numpy() & ~test
    validation = own if own.any() else np.zeros_like(train)
    if recipe.data.validation and not own.any():
        rows = np.flatnonzero(train)
        generator = np.random.default_rng(stream(recipe.seed, Purpose.VALIDATION, fold or 0))
        groups = manifest.table["group"].to_numpy()[rows]
        cut = hold_out(groups, manifest.labels[rows], recipe.data.validation, generator)
        validation[rows[cut]] = True
    kept, left_out = train & ~validation, {}
    for reason, unwanted in {**_unwanted(recipe.data, manifest), "no target by the rule": ~usable}.items():
        left_out[reason] = int((kept & unwanted).sum())
        kept &= ~unwanted
    if not kept.any():
        told = "; ".join(f"{count}: {reason}" for reason, count in left_out.items() if count)
        raise DferError(
            f"no clip is left to train on (left out {told}); look at data.subset, min_votes, stratum and labels.rule"
        )
    shown = shown_emotions(recipe.labels, manifest, kept) & (targets[kept].sum(axis=0) > 0)
    absent = [name for name, there in zip(manifest.emotions, shown, strict=True) if not there]
    if absent:
        part = "the split" if fold is None else f"fold {fold}"
        raise DferError(
            f"no training clip of {part} shows {listed(absent)}; expected every emotion at least once; where the data "
            "know fewer, say so to `dfer prepare`: --option emotions=happy,sad,..."
        )
    reasons = {reason: count for reason, count in left_out.items() if count}
    return Chosen(np.flatnonzero(kept), np.flatnonzero(validation), targets, reasons)


def _unwanted(data: Data, manifest: Manifest) -> dict[str, npt.NDArray[np.bool_]]:
    """Reason -> (N,) the clips that the recipe does not choose for it; a clip counts for the first of its reasons."""
    single, votes = manifest.labels >= 0, manifest.votes
    unwanted: dict[str, npt.NDArray[np.bool_]] = {}
    if data.subset != "all":
        unwanted |= {"no single label": ~single} if data.subset == "single" else {"has a single label": single}
    if data.min_votes:
        unwanted[f"fewer than {data.min_votes} votes for one emotion"] = ~(votes.max(axis=1) >= data.min_votes)
    if data.stratum:
        chosen = [position for position, stratum in enumerate(STRATA) if stratum.name in data.stratum]
        unwanted[f"not in stratum {listed(data.stratum)}"] = ~np.isin(strata(votes), chosen)
    return unwanted


class ClipDataset(Dataset[Sample | DferError]):
    """Clips by row. A clip that cannot be read comes back as its error, which names it; `batches` raises it."""

    def __init__(
        self,
        manifest: Manifest,
        preprocessing: Preprocessing,
        *,
        size: int | None = None,
        sample: Sampler | None = None,
        change: Change | None = None,
    ) -> None:
        self.paths = [manifest.resolve(path) for path in manifest.table["path"]]
        self.kinds = manifest.table["kind"].tolist()
        self.ids = manifest.table["id"].tolist()
        self.preprocessing, self.size = preprocessing, size or preprocessing.size
        self.sample = sample or partial(_uniform_frames, preprocessing.frames, preprocessing.short)
        self.change = change

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
        return Sample(self.change(frames, row) if self.change else frames, row, indices)


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
