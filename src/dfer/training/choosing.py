"""Which clips a run is trained on and validated on, towards which targets, and what was left out and why.

Conventions: rows are positions in the Manifest.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from dfer.datasets import Manifest
from dfer.datasets.splits import hold_out
from dfer.errors import DferError, listed
from dfer.labels import STRATA, strata
from dfer.training.config import Data, Recipe
from dfer.training.randomness import Purpose, stream
from dfer.training.targets import shown_emotions, targets_of

Rows = npt.NDArray[np.int64]


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


def choose_clips(recipe: Recipe, manifest: Manifest, fold: int | None) -> Chosen:
    """Training and validation rows of one fold (or of the split) and targets by the recipe's rule.

    The validation part is the source's own where it has one, else cut from the training part, by group where
    groups are known; it depends on the seed and the fold only, so runs that differ in labels or mixing share it.

    Raises:
        DferError: no clip is left to train on, or an emotion is in no training clip's target.
    """
    train, test = manifest.partition(fold)
    targets = targets_of(recipe.labels, manifest, train)
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
