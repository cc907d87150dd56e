"""Features of a frozen encoder, computed once and kept in memory: what `init.cache` asks for.

Each clip has `init.cache` views. The frames and the augmentation of a view are drawn once, and epoch e shows view
e mod `init.cache` of every clip. What the encoder makes of a view is computed in the first epoch that shows it, in the
precision of the training, and kept; the rest of the network is trained on that. A view depends on the recipe and the
clips alone, so a run that goes on computes the same features again.

MIDAS then mixes features, row by row: mixing inside the network, behind the encoder (Verma et al., "Manifold Mixup",
ICML 2019). That is not MIDAS on clips: what an encoder makes of a mixed frame is not the mixture of what it makes of
the two.

Validation and test clips pass through the whole network. Validation reads the same clips in every epoch, so there the
encoder's answers of the first one are given again, see `dfer.models.encoded.recalled`.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence

import numpy as np
import psutil
import torch
from torch import Tensor

from dfer.datasets import Manifest
from dfer.errors import DferError
from dfer.training.choosing import Rows
from dfer.training.clips import Batch, ClipDataset, Clips, batches
from dfer.training.config import Recipe
from dfer.training.randomness import Purpose, stream

logger = logging.getLogger(__name__)

ROOM = 0.5
"""The share of the free memory that the features of all views may take."""

Encode = Callable[[Clips, torch.Generator], Tensor]
"""(B clips as they are read, where the draws of augmentation come from) -> features (B, n, ...)."""


class CachedFeatures:
    """What the encoder makes of the training clips.

    Args:
        recipe: views, frames, augmentation and seed.
        manifest: the clips.
        rows: those of the training part.
        encode: asks the network.
    """

    def __init__(self, recipe: Recipe, manifest: Manifest, rows: Rows, encode: Encode) -> None:
        self.recipe, self.manifest, self.rows, self.encode = recipe, manifest, np.sort(rows), encode
        self._kept: dict[int, Tensor] = {}
        self.validation: list[Tensor] = []
        """The encoder's answers to the validation part, in its order; empty before the first epoch is judged."""

    def batches(self, parts: Sequence[Rows], epoch: int) -> Iterator[Batch]:
        """Batches of the given rows, with features (B, n, ...) in place of clips.

        Raises:
            DferError: a clip cannot be read, or the features need more memory than there is.
        """
        view = epoch % self.recipe.init.cache
        if view not in self._kept:
            self._kept[view] = self._computed(view)
        for rows in parts:
            places = torch.from_numpy(np.searchsorted(self.rows, rows))
            yield Batch(self._kept[view][places], torch.from_numpy(rows), torch.empty(len(rows), 0, dtype=torch.int64))

    def _computed(self, view: int) -> Tensor:
        """(N, n, ...) the features of a view of all clips, batch by batch in their order."""
        recipe, size = self.recipe, self.recipe.optim.batch
        clips = ClipDataset(
            self.manifest, recipe.input, rule=None, seed=recipe.seed, jitter=True, size=recipe.data.load_size
        )
        clips.set_epoch(view)
        parts = [self.rows[start : start + size].tolist() for start in range(0, len(self.rows), size)]
        kept = torch.empty(0)
        for number, batch in enumerate(batches(clips, parts, workers=recipe.data.workers)):
            augmenting = torch.Generator().manual_seed(stream(recipe.seed, Purpose.AUGMENT, view, number))
            features = self.encode(batch.clips, augmenting).cpu()
            if not number:
                self._require_room(features[0].nbytes)
                kept = features.new_empty(len(self.rows), *features.shape[1:])
            kept[number * size : number * size + len(features)] = features
        views = f"view {view + 1} of {recipe.init.cache}"
        logger.info("%s: the features of %d clips take %.0f MB", views, len(kept), kept.nbytes / 1e6)
        return kept

    def _require_room(self, of_a_clip: int) -> None:
        """Refuse views that would take more memory than there is."""
        views = min(self.recipe.init.cache, self.recipe.optim.epochs)
        needed = (views - len(self._kept)) * len(self.rows) * of_a_clip
        free = psutil.virtual_memory().available
        if needed > ROOM * free:
            raise DferError(
                f"the features of {views} views of {len(self.rows)} clips need {needed / 1e9:.3g} GB more, above half "
                f"of the {free / 1e9:.3g} GB of memory that are free; lower init.cache, or set it to 0"
            )
