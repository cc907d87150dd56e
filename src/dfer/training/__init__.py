"""End-to-end training on soft labels and mixed clips: the recipe, the batches, the loop, the run's folder."""

from dfer.training.config import Recipe, load_recipe, recipe_from
from dfer.training.fit import Progress, fit
from dfer.training.runs import evaluate_runs, fold_name, train_folds

__all__ = [
    "Progress",
    "Recipe",
    "evaluate_runs",
    "fit",
    "fold_name",
    "load_recipe",
    "recipe_from",
    "train_folds",
]
