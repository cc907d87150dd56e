"""Clips for a network: `ClipDataset`, for anybody's loop, and the batches of ours.

Conventions: rows are positions in the Manifest. Which frames of a clip are read depends on (seed, epoch, row) alone, so
that a resumed run reads what the uninterrupted one would have read, whoever reads it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from multiprocessing import get_context
from multiprocessing.context import BaseContext
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from dfer.datasets import Manifest
from dfer.errors import DferError, listed, require_known, shortened
from dfer.models import to_floats
from dfer.processes import end_with_parent
from dfer.training.choosing import Rows, choose_clips
from dfer.training.config import recipe_from
from dfer.training.randomness import Purpose, stream
from dfer.training.targets import make_targets
from dfer.video.frames import open_clip
from dfer.video.preprocessing import Preprocessing
from dfer.video.sampling import jittered, uniform

PARTS = ("train", "validation", "test")
DTYPES = (torch.float32, torch.uint8)

Frames = npt.NDArray[np.uint8]
Indices = npt.NDArray[np.int64]
Clips = Sequence[Tensor] | Tensor
"""B clips of (C, T, H, W), each where it lies, or one tensor (B, C, T, H, W)."""
Change = Callable[[Frames, int], Frames]
"""(frames (T, H, W, C) as they were read, row) -> the frames that are shown instead."""


class Sample(NamedTuple):
    """One clip; a `DataLoader` makes batches of the same fields, with B in front.

    Attributes:
        clip: (C, T, H, W), float32 in [0, 1] or uint8; in a batch (B, C, T, H, W).
        target: (K,) float32 that sums to one, all NaN where the rule gives the clip none; in a batch (B, K).
        id: the name of the clip; in a batch a tuple of B names.
        votes: (K,) float32 counts, all NaN where nobody voted; in a batch (B, K).
    """

    clip: Tensor
    target: Tensor
    id: str
    votes: Tensor


class ClipDataset(Dataset[Sample]):
    """The clips of one part of a data set, for any loop: a PyTorch dataset of `Sample`s.

    It works with the default `DataLoader`, with and without workers, and with samplers and `Subset`s. The frames are
    in [0, 1], not yet normalised: augment and mix them first, then pass them through `dfer.training.to_network` where
    `preprocessing` has a mean and a standard deviation.

    The parts are those of `dfer train`: "test" is the fold's (or the split's) test part; "validation" is the
    manifest's own, or else cut from the training part, by group where groups are known; "train" is what remains, less
    the clips that are no example of anything (`left_out` counts them by reason). The training part is read with
    jitter: each epoch other frames, a function of seed, epoch and clip. Tell the epoch by `set_epoch`, or every epoch
    reads the same frames. The other parts are read without randomness.

    Args:
        manifest: the clips.
        preprocessing: how many frames, how large, in which colours; by default 16 RGB frames of 112 pixels.
        fold: whose parts are meant; None where the manifest has a split instead of folds.
        part: "train", "validation", "test", or None for every clip of the manifest.
        rule: how votes become targets: a rule of `dfer.soft_labels`, or "hard" for the source's own label; None makes
            no targets (all NaN), for prediction.
        subset: train on the clips with a "single" label, on "all" that have a target, or on the "ambiguous" ones.
        validation: the share of the training part that is cut off where the manifest has no validation part.
        seed: of that cut and of the jitter.
        jitter: whether other frames are read each epoch; None: in the training part only.
        size: height and width of the frames if they are not to be those of `preprocessing`, such as for a random crop.
        change: called with the frames (T, H, W, C) uint8 and the clip's row in the manifest; returns those to be seen.
        dtype: torch.float32, in [0, 1], or torch.uint8, in 0..255: a quarter of the memory to pass on from workers.
        **options: `smoothing` (label smoothing), and the rule's own options, such as `strength` of "dirichlet".

    Attributes:
        rows: (n,) which rows of the manifest these are.
        ids: their n names.
        targets: (n, K) float64, their targets.
        votes: (n, K) float64, their counts; NaN where nobody voted.
        labels: (n,) int64, positions of their single labels in the manifest's emotions; -1 where there is none.
        left_out: reason -> how many clips of the training part were left out.

    Raises:
        DferError: a part, fold, rule or option that does not exist; a part without clips; an emotion that is in no
            training clip's target. Reading a sample raises it where a clip cannot be read, and names the clip.

    Example:
        >>> train = ClipDataset(manifest, fold=1, part="train", rule="frequency", subset="all")  # doctest: +SKIP
        >>> loader = DataLoader(train, batch_size=8, shuffle=True, num_workers=2)  # doctest: +SKIP
        >>> for epoch in range(20):  # doctest: +SKIP
        ...     train.set_epoch(epoch)
        ...     for clips, targets, ids, votes in loader:
        ...         ...
    """

    def __init__(
        self,
        manifest: Manifest,
        preprocessing: Preprocessing | None = None,
        *,
        fold: int | None = None,
        part: str | None = None,
        rule: str | None = "frequency",
        subset: str = "single",
        validation: float = 0.1,
        seed: int = 0,
        jitter: bool | None = None,
        size: int | None = None,
        change: Change | None = None,
        dtype: torch.dtype = torch.float32,
        **options: Any,
    ) -> None:
        if not isinstance(manifest, Manifest):
            raise DferError(f"expected a Manifest, got {shortened(repr(manifest), 80)}; Manifest.read(PATH) reads one")
        require_known("dtype cannot be", dtype, DTYPES)
        self.left_out: dict[str, int] = {}
        if part in ("train", "validation"):
            self.rows, targets = self._chosen(manifest, fold, part, {
                "seed": seed, "data": {"subset": subset, "validation": validation}, "labels": {"rule": rule, **options},
            })  # fmt: skip
        else:
            self.rows, targets = _as_they_are(manifest, fold, part, rule, options)
        table = manifest.table.iloc[self.rows]
        self.targets, self.votes, self.labels = (each[self.rows] for each in (targets, manifest.votes, manifest.labels))
        self.ids, self.kinds = table["id"].tolist(), table["kind"].tolist()
        self.paths = [manifest.resolve(path) for path in table["path"]]
        self.preprocessing = preprocessing or Preprocessing()
        self.size = size or self.preprocessing.size
        self.seed, self.jitter = seed, part == "train" if jitter is None else jitter
        self.change, self.dtype = change, dtype
        self._epoch = torch.zeros((), dtype=torch.int64)
        self._share()

    def _chosen(
        self, manifest: Manifest, fold: int | None, part: str, recipe: dict[str, Any]
    ) -> tuple[Rows, npt.NDArray[np.float64]]:
        """Rows and targets (N, K) of the training or the validation part."""
        if recipe["labels"]["rule"] is None:
            raise DferError(f'part = "{part}" needs a rule for its targets, such as rule = "frequency"')
        chosen = choose_clips(recipe_from(recipe, "ClipDataset"), manifest, fold)
        self.left_out = chosen.left_out if part == "train" else {}
        rows = chosen.train if part == "train" else chosen.validation
        if not len(rows):
            raise DferError("there is no validation clip; set validation to a share above 0, such as 0.1")
        return rows, chosen.targets

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, position: int) -> Sample:
        frames, _ = self.read(position)
        clip = torch.from_numpy(frames.transpose(3, 0, 1, 2).copy())
        return Sample(
            clip if self.dtype == torch.uint8 else to_floats(clip),
            torch.tensor(self.targets[position], dtype=torch.float32),
            self.ids[position],
            torch.tensor(self.votes[position], dtype=torch.float32),
        )

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._share()  # a plain pickle has only the value

    def _share(self) -> None:
        """Put the epoch where workers that are not started anew see it change."""
        self._epoch.share_memory_()  # type: ignore[no-untyped-call]

    def set_epoch(self, epoch: int) -> None:
        """Read the frames of this epoch from now on, in workers too; call it before each pass over the loader.

        Args:
            epoch: 0, 1, 2, ...

        Raises:
            DferError: a negative epoch.
        """
        if epoch < 0:
            raise DferError(f"expected an epoch of 0 or more, got {epoch}")
        self._epoch.fill_(epoch)

    def read(self, position: int) -> tuple[Frames, Indices]:
        """The frames (T, H, W, C) uint8 of one clip and their indices (T,) in it.

        Raises:
            DferError: the clip cannot be read, or is grey where colours are wanted.
        """
        name, row = self.ids[position], int(self.rows[position])
        try:
            clip = open_clip(self.paths[position], self.kinds[position])
            indices = self._indices(len(clip), row)
            frames = self.preprocessing.read(clip, indices, size=self.size)
        except DferError as error:
            told = (
                "" if "dfer prepare" in str(error) else "; `dfer prepare --pack` leaves such clips out and counts them"
            )
            raise DferError(f"clip {name}: {error}{told}") from error
        if frames.shape[-1] != self.preprocessing.channels:
            raise DferError(
                f"clip {name} is grey, the recipe wants colours; pack without --grey or set input.grey = true"
            )
        return self.change(frames, row) if self.change else frames, indices

    def _indices(self, length: int, row: int) -> Indices:
        wanted, short = self.preprocessing.frames, self.preprocessing.short
        if not self.jitter:
            return uniform(length, wanted, short=short)
        generator = np.random.default_rng(stream(self.seed, Purpose.JITTER, int(self._epoch), row))
        return jittered(length, wanted, generator, short=short)


def spread(manifest: Manifest, preprocessing: Preprocessing, *, most: int) -> Frames:
    """Up to so many clips of a manifest, from its first to its last, as (N, T, H, W, C) uint8.

    Raises:
        DferError: a clip that cannot be read.
    """
    clips = ClipDataset(manifest, preprocessing=preprocessing, part=None, rule=None)
    positions = np.linspace(0, len(clips) - 1, min(most, len(clips))).astype(int)
    return np.stack([clips.read(position)[0] for position in positions.tolist()])


def _as_they_are(
    manifest: Manifest, fold: int | None, part: str | None, rule: str | None, options: dict[str, Any]
) -> tuple[Rows, npt.NDArray[np.float64]]:
    """Rows and targets (N, K) of the test part, or of all clips: no clip is left out."""
    require_known("part cannot be", part, (*PARTS, None))
    if part is None and fold is not None:
        raise DferError(f"fold {fold} was named without a part of it; set part to one of {listed(PARTS)}")
    everything = np.ones(len(manifest), dtype=bool)
    learned_from, wanted = manifest.partition(fold) if part else (everything, everything)
    if rule is None:
        if options:
            raise DferError(f"rule = None makes no targets, so {listed(options)} does nothing; leave it out")
        return np.flatnonzero(wanted), np.full((len(manifest), len(manifest.emotions)), np.nan)
    return np.flatnonzero(wanted), make_targets(manifest, rule, train=learned_from, **options)


class Batch(NamedTuple):
    """B clips of (C, T, H, W) uint8, their positions (B,) and the indices of their frames (B, T), int64.

    The clips are one tensor where workers read them, and else lie where each was read.
    """

    clips: Clips
    rows: Tensor
    indices: Tensor


class _Told(Dataset[tuple[Frames, int, Indices] | DferError]):
    """What `ClipDataset.read` gives, or its error as a value: raised in a worker, it would come with a traceback."""

    def __init__(self, clips: ClipDataset) -> None:
        self.clips = clips

    def __getitem__(self, position: int) -> tuple[Frames, int, Indices] | DferError:
        try:
            frames, indices = self.clips.read(position)
        except DferError as error:
            return DferError(str(error))
        return frames, position, indices


def batches(clips: ClipDataset, positions: Sequence[Sequence[int]], *, workers: int = 0) -> Iterator[Batch]:
    """Read batches of the clips at the given positions, in this order.

    Raises:
        DferError: a clip cannot be read.
    """
    loader = DataLoader(
        _Told(clips),
        batch_sampler=positions,  # type: ignore[arg-type]
        num_workers=workers,
        collate_fn=_stack if workers else _collate,
        generator=torch.Generator(),  # else the loader draws a seed from the global generator
        multiprocessing_context=_forkserver() if workers else None,
        worker_init_fn=end_with_parent if workers else None,
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


def _collate(told: list[tuple[Frames, int, Indices] | DferError]) -> Batch | DferError:
    read = []
    for each in told:
        if isinstance(each, DferError):
            return each
        read.append(each)
    frames, positions, indices = zip(*read, strict=True)
    clips = [torch.from_numpy(clip).permute(3, 0, 1, 2) for clip in frames]
    return Batch(clips, torch.tensor(positions), torch.from_numpy(np.stack(indices)))


def _stack(told: list[tuple[Frames, int, Indices] | DferError]) -> Batch | DferError:
    """One tensor is passed on from a worker faster than many."""
    batch = _collate(told)
    return batch._replace(clips=stacked(batch.clips)) if isinstance(batch, Batch) else batch


def stacked(clips: Clips) -> Tensor:
    """Clips as one tensor (B, C, T, H, W), whose colours lie side by side as they do in frames."""
    if isinstance(clips, Tensor):
        return clips
    return torch.stack([clip.permute(1, 2, 3, 0) for clip in clips]).permute(0, 4, 1, 2, 3)
