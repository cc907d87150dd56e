"""What a run says of its validation parts, kept clip by clip, and what can be mended with it after training.

    runs/NAME/fold1/validation.csv    as predictions.csv, of the validation part, by the same model

It is written when the run is evaluated, so that runs of any age get it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from dfer.comparison.remedies import Fold, Posthoc, Unfitted, posthoc
from dfer.datasets import Manifest
from dfer.errors import DferError
from dfer.experiments.attributes import groups_of
from dfer.metrics import Predictions
from dfer.training.choosing import Rows, choose_clips
from dfer.training.config import Recipe, load_recipe
from dfer.training.predict import predict_rows

VALIDATION = "validation.csv"


def mended(
    folders: Sequence[Path], manifest: Manifest, folds: Sequence[int | None], test: Predictions
) -> Posthoc | Unfitted:
    """What scaling, logit adjustment and a reject rule, fitted on the validation parts, do to the test parts.

    Args:
        folders: of the run's folds.
        manifest: that of the training.
        folds: which one each folder is.
        test: what the run says of the test parts of these folds.

    Returns:
        The scores of the test parts after each remedy, or why there is nothing to fit on.
    """
    recipes = [load_recipe(folder / "recipe.toml") for folder in folders]
    parts = []
    for folder, recipe, fold in zip(folders, recipes, folds, strict=True):
        chosen = choose_clips(recipe, manifest, fold)
        if not len(chosen.validation):
            return Unfitted("no clip was held out of training for validation (data.validation = 0)")
        try:
            validation = saved_validation(folder, manifest, fold, chosen.validation)
        except DferError as error:  # the test predictions may be all that is left of a run
            return Unfitted(f"the validation part could not be predicted: {error}")
        tested = test.select(test.fold == (fold or 0))
        parts.append(Fold(validation, tested, None if _balanced(recipe) else chosen.prior))
    try:
        return replace(posthoc(parts, groups=groups_of(manifest)), balanced=any(map(_balanced, recipes)))
    except DferError as error:
        return Unfitted(str(error))


def saved_validation(folder: Path, manifest: Manifest, fold: int | None, rows: Rows) -> Predictions:
    """The kept predictions of a fold's validation part; made now if there are none."""
    path = folder / VALIDATION
    if not path.exists():
        predict_rows(folder, manifest, rows, fold=fold).write(path)
    return Predictions.read(path)


def _balanced(recipe: Recipe) -> bool:
    """Whether the network was told to expect each emotion as often as any other."""
    loss = recipe.loss
    return (
        (loss.name == "logit_adjusted" and loss.tau > 0)
        or loss.class_weights == "balanced"
        or loss.sampler == "balanced"
    )
