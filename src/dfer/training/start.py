"""The network that a run begins with: built, tried on a few clips, started from trained weights, with adapters."""

from __future__ import annotations

import logging

import torch
from torch import nn

from dfer.errors import DferError, listed
from dfer.labels import EmotionSet
from dfer.models import Card, create_model, require_network
from dfer.models.registry import BUILT_IN
from dfer.models.transfer import Target, head_of, read_source, start_from
from dfer.training.adapters import adapt, require_called
from dfer.training.config import Recipe
from dfer.training.randomness import Purpose, stream
from dfer.video.preprocessing import Preprocessing

logger = logging.getLogger(__name__)


def make_network(recipe: Recipe, emotions: EmotionSet, *, fresh: bool = True) -> nn.Module:
    """The network of a recipe, on the CPU, at the weights that training begins with.

    Args:
        recipe: its seed, model, input and init.
        emotions: K.
        fresh: read `init.weights`; a run that goes on has its weights from its state.

    Raises:
        DferError: it cannot be built, or does not answer as a network must; weights to start from that cannot be read
            or do not fit; or adapters where they cannot be.
    """
    torch.manual_seed(stream(recipe.seed, Purpose.WEIGHTS))
    network, shown = _build(recipe, len(emotions)), recipe.input
    clip = (shown.channels, shown.frames, shown.size, shown.size)
    require_network(network, recipe.model.name, clip=clip, emotions=len(emotions))
    if recipe.midas and recipe.midas.layer == "hidden" and not callable(getattr(network, "stages", None)):
        raise DferError(
            f'midas.layer = "hidden" mixes before one of the network\'s stages, and {recipe.model.name} has no method '
            "stages() that lists them; add one, or leave midas.layer out"
        )
    afresh = _start(network, recipe, emotions) if recipe.init.weights and fresh else frozenset[str]()
    if recipe.lora:
        _require_trained(recipe)
        adapt(network, recipe.lora, afresh=afresh)
        require_called(network, clip)
    return network


def _require_trained(recipe: Recipe) -> None:
    """Refuse to adapt weights that were never trained; a network of somebody's own may have read its own."""
    name = recipe.model.name
    if name in BUILT_IN and not (recipe.init.weights or recipe.model.options.get("weights")):
        raise DferError(
            f"lora adapts a trained network, and {name} would start from random weights, which stay as they are; name "
            "trained ones with --init, or leave [lora] out"
        )


def _build(recipe: Recipe, emotions: int) -> nn.Module:
    return create_model(recipe.model.name, emotions, in_channels=recipe.input.channels, **recipe.model.options)


def _start(network: nn.Module, recipe: Recipe, emotions: EmotionSet) -> frozenset[str]:
    """Take trained weights over; returns the names of those that start afresh."""
    source = read_source(recipe.init.weights)
    if source.card:
        _compare_input(source.card, recipe.input, source.place)
    with torch.random.fork_rng():
        head = head_of(network, _build(recipe, len(emotions) + 1))
    options = {"in_channels": recipe.input.channels, **recipe.model.options}
    target = Target(recipe.model.name, options, emotions, head)
    started = start_from(network, source, target, partial=recipe.init.partial)
    complete = "afresh" not in started.told and not recipe.init.partial
    logger.log(logging.INFO if complete else logging.WARNING, "%s", started.told)
    return started.afresh


def _compare_input(card: Card, ours: Preprocessing, place: str) -> None:
    """Refuse pictures of other channels than the weights were trained on; tell of other sizes and scales."""
    its = Preprocessing.from_card(card.preprocessing)
    if its.grey != ours.grey:
        raise DferError(
            f"{place} was trained on {'grey' if its.grey else 'colour'} clips and the recipe has "
            f"input.grey = {str(ours.grey).lower()}; set input.grey={str(its.grey).lower()}"
        )
    pairs = {"size": ([ours.size], [its.size])} | {
        name: ([*getattr(ours, name)] * (ours.channels // len(getattr(ours, name))),
               [*getattr(its, name)] * (its.channels // len(getattr(its, name))))
        for name in ("mean", "std")
    }  # fmt: skip
    differing = [name for name, (mine, theirs) in pairs.items() if mine != theirs]
    if differing:
        told = ", ".join(f"input.{name} = {_shown(getattr(its, name))}" for name in differing)
        logger.warning("%s was trained with %s; the recipe shows it other clips, which it reads less well", place, told)


def _shown(value: object) -> str:
    return f"[{listed(value, 3)}]" if isinstance(value, tuple) else str(value)
