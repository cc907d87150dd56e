"""Soft labels for clips that have one label and no votes: what models that never saw a clip make of it.

The training part is cut into folds that share no person or film. For each fold models are trained on the others, with
the recipe's rule set to "hard"; a temperature is fitted on the validation part that each of them kept aside; then the
fold is read once. A clip's soft label is `weight` x its given label + (1 - weight) x the mean of its models' answers.

It is an estimate, and says so: `soft_from` in the manifest, the card of a model trained on it, and every report. The
temperature makes the models as sure as they are often right about the given label, which is not how much people
disagree. Clips of the test part get none, and no score is ever taken against an estimate.

    FOLDER/clips.csv                              the clips that are estimated, by fold; labels only
    FOLDER/model1/fold1/                          a run as of `dfer train`; predictions.csv: of the fold left out
    FOLDER/model1/fold1/validation.csv            what the model says of its validation part

References:
    Wolpert, "Stacked generalization", Neural Networks 5, 1992: predictions of clips that a model was not fitted on.
    Guo et al., "On calibration of modern neural networks", ICML 2017: the temperature.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from dfer.datasets import Manifest
from dfer.datasets.columns import COLUMNS, ESTIMATED
from dfer.datasets.splits import cut_folds
from dfer.errors import DferError, listed
from dfer.experiments.held_out import saved_validation
from dfer.experiments.runs import fold_name, saved_predictions, train_folds
from dfer.experiments.spread import Job, train_jobs
from dfer.labels import one_hot
from dfer.metrics import Predictions, apply_temperature, calibration, fit_temperature
from dfer.metrics.calibration import TEMPERATURES
from dfer.models import name_model
from dfer.training.choosing import choose_clips
from dfer.training.config import Recipe
from dfer.training.progress import Progress

logger = logging.getLogger(__name__)

CLIPS = "clips.csv"
MOST = 1_000
"""Folds, and models a fold."""
Probs = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Estimation:
    """How to estimate.

    Attributes:
        name: the recipe's name, for `soft_from`.
        folds: of the cross-fitting, 2 or more.
        models: trained for each fold, with seeds one after the other; their answers are averaged.
        weight: of the given label in the soft label, 0 to 1.
        fold: of the manifest, whose training part is estimated; None where it has splits instead of folds.
    """

    name: str
    folds: int = 5
    models: int = 1
    weight: float = 0.5
    fold: int | None = None

    def __post_init__(self) -> None:
        if not 2 <= self.folds <= MOST or not 1 <= self.models <= MOST:
            raise DferError(
                f"expected 2 folds or more and 1 model or more, at most {MOST}, got {self.folds} and {self.models}"
            )
        if not 0 <= self.weight <= 1:
            raise DferError(f"expected the weight of the given label from 0 to 1, got {self.weight}")

    def origin(self, temperature: float) -> str:
        """What `soft_from` says of a clip."""
        several = f", {self.models} models a fold" if self.models > 1 else ""
        return (
            f"{ESTIMATED}{self.folds}-fold cross-fitted {self.name}{several}, weight {self.weight:g} on the given "
            f"label, temperature {temperature:.2f}"
        )


def estimate_labels(
    recipe: Recipe, manifest: Manifest, folder: Path, *, plan: Estimation, resume: bool = False,
    progress: Progress | None = None,
) -> Manifest:  # fmt: skip
    """Train the models and write their answers into the manifest's soft_X and soft_from.

    Args:
        recipe: what to train; its rule becomes "hard".
        manifest: clips with labels. Votes, if there are any, are neither trained on nor looked at.
        folder: where the models lie.
        plan: how.
        resume: go on with what was broken off in the folder.
        progress: told of every step and epoch.

    Returns:
        The manifest with a soft label for each labelled clip of the training part, and for no other. Where it has folds
        it gets the split of `plan.fold` instead: on other folds' training part the estimates come from test clips.

    Raises:
        DferError: too small a validation part to fit a temperature on, soft labels that are not estimated ones in the
            way, a folder in use, fewer groups than folds, or as `fit` does.
    """
    name_model(recipe.model.name)
    _check(recipe, manifest)
    split = _split(manifest, plan.fold)
    rows = np.flatnonzero((split == "train") & (manifest.labels >= 0))
    clips = _clips_by_fold(manifest.select(np.isin(np.arange(len(manifest)), rows)), plan.folds, recipe.seed)
    recipes = [_of_model(recipe, number) for number in range(plan.models)]
    for fold in clips.folds:  # before any training: afterwards it would be too late to hold more out
        held_out = sum(len(choose_clips(each, clips, fold).validation) for each in recipes)
        calibration.require_clips("a temperature", held_out, calibration.FEWEST_FOR_TEMPERATURE)
    clips = _begin(folder, clips, resume)
    runs = [folder / f"model{number}" for number in range(1, plan.models + 1)]
    jobs = [Job(run, each, fold) for each, run in zip(recipes, runs, strict=True) for fold in clips.folds]
    train_jobs(_train, jobs, clips, progress)
    soft, origin = np.full((len(manifest), len(manifest.emotions)), np.nan), np.full(len(manifest), "", dtype=object)
    for fold in clips.folds:
        own = rows[(clips.table["fold"] == fold).to_numpy(dtype=bool)]
        probs, temperature = _read_fold(recipes, runs, clips, fold)
        given = one_hot(manifest.labels[own], len(manifest.emotions))
        soft[own] = plan.weight * given + (1 - plan.weight) * probs
        origin[own] = plan.origin(temperature)
    return _with_soft(manifest, split, soft, origin)


def _train(job: Job, manifest: Manifest, progress: Progress | None) -> None:
    train_folds(job.recipe, manifest, job.folder, folds=[job.fold], resume=True, progress=progress)


def _check(recipe: Recipe, manifest: Manifest) -> None:
    if not recipe.data.validation:
        raise DferError("the temperature is fitted on a validation part: set data.validation above 0, such as 0.1")
    others = ~np.isnan(manifest.soft).all(axis=1) & ~manifest.estimated
    if others.any():
        origins = manifest.table["soft_from"][others].unique()
        raise DferError(
            f"{others.sum()} clips have a soft label already ({listed(origins)}), which an estimate would replace; "
            'train on it with labels.rule = "given", or take the soft_ columns out of the manifest'
        )


def _split(manifest: Manifest, fold: int | None) -> npt.NDArray[np.object_]:
    """(N,) train, val, test or "": the manifest's own split, or what it is for a fold."""
    train, test = manifest.partition(fold)
    own = manifest.table["split"].to_numpy(dtype=object)
    if not manifest.folds:
        return own
    parts = [test, (own == "val") & ~test, train]
    return np.asarray(np.select(parts, ["test", "val", "train"], default=""), dtype=object)


def _clips_by_fold(training: Manifest, folds: int, seed: int) -> Manifest:
    """The clips to estimate, each in the fold whose models do not see it; their labels and nothing else."""
    table = training.table[list(COLUMNS)].assign(split="")
    table["fold"] = cut_folds(table["group"].to_numpy(), table["label"].to_numpy(), folds, seed=seed)
    return Manifest.build(table, emotions=training.emotions, root=training.root, source=training.source)


def _begin(folder: Path, clips: Manifest, resume: bool) -> Manifest:
    """The clips as they are written down; refuses a folder in use, and to go on with others than were begun with."""
    path = folder / CLIPS
    if not resume and (path.exists() or any(folder.glob("model*"))):
        raise DferError(f"{folder} holds an estimate already; go on with --resume or choose another with --runs")
    if path.exists():
        former = Manifest.read(path)
        unmoved = clips.table.drop(columns=["path", "kind"])
        if former.emotions != clips.emotions or not former.table.drop(columns=["path", "kind"]).equals(unmoved):
            raise DferError(f"{folder} was begun on other clips, labels, groups or folds; choose another with --runs")
    clips.write(path)
    return Manifest.read(path)


def _of_model(recipe: Recipe, number: int) -> Recipe:
    """The recipe of one of a fold's models."""
    return recipe.model_copy(update={"labels": recipe.labels.hard(), "seed": recipe.seed + number})


def _read_fold(recipes: Sequence[Recipe], runs: Sequence[Path], clips: Manifest, fold: int) -> tuple[Probs, float]:
    """What the models that never saw a fold say of its clips, (n, K), at their temperature."""
    validated, answers = [], []
    for recipe, run in zip(recipes, runs, strict=True):
        validation = choose_clips(recipe, clips, fold).validation
        validated.append(saved_validation(run / fold_name(fold), clips, fold, validation))
        answers.append(saved_predictions(run, clips, [fold]))
    labels = np.concatenate([part.labels for part in validated])
    logs = np.concatenate([_logits(part) for part in validated])
    temperature = fit_temperature(logs, one_hot(labels, logs.shape[1]))
    if np.isclose(temperature, TEMPERATURES, rtol=0.01).any():
        logger.warning(
            "fold %d: the temperature is %.2f, at the end of what is looked for, on %d validation clips; "
            "set data.validation higher, or train longer", fold, temperature, len(labels),
        )  # fmt: skip
    return np.mean([apply_temperature(_logits(part), temperature) for part in answers], axis=0), temperature


def _logits(predictions: Predictions) -> Probs:
    """Logarithms of the probabilities, which are logits as good as any."""
    return np.asarray(np.log(predictions.probs.clip(np.finfo(np.float64).tiny)))


def _with_soft(
    manifest: Manifest, split: npt.NDArray[np.object_], soft: Probs, origin: npt.NDArray[np.object_]
) -> Manifest:
    """The manifest with these soft labels, and this split where it had folds."""
    former = [name for name in manifest.table if str(name).startswith("soft_")]
    table = manifest.table.drop(columns=former).assign(
        **{f"soft_{name}": soft[:, k] for k, name in enumerate(manifest.emotions)}, soft_from=origin
    )
    if manifest.folds:
        table = table.assign(fold=None, split=split)
    return Manifest.build(
        table, emotions=manifest.emotions, root=manifest.root, source=manifest.source, left_out=manifest.left_out
    )
