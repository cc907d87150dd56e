"""One run, end to end on soft labels and mixed clips: the recipe, the batches, the loop and its state."""

from dfer.models import to_network
from dfer.training.config import Recipe, load_recipe, recipe_from
from dfer.training.loop import fit
from dfer.training.progress import Begun, Progress, Step

__all__ = [
    "Begun",
    "Progress",
    "Recipe",
    "Step",
    "fit",
    "load_recipe",
    "recipe_from",
    "to_network",
]
