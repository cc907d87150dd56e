"""One run, end to end on soft labels and mixed clips: the recipe, the batches, the loop and its state."""

from dfer.training.config import Recipe, load_recipe, recipe_from
from dfer.training.fit import Progress, fit
from dfer.training.predict import to_network

__all__ = [
    "Progress",
    "Recipe",
    "fit",
    "load_recipe",
    "recipe_from",
    "to_network",
]
