"""One run, end to end on soft labels and mixed clips: the recipe, the batches, the loop and its state."""

from dfer.models import to_network
from dfer.training.config import Recipe, load_recipe, recipe_from
from dfer.training.fit import Progress, fit

__all__ = [
    "Progress",
    "Recipe",
    "fit",
    "load_recipe",
    "recipe_from",
    "to_network",
]
