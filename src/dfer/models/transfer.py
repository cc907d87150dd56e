"""Starting from trained weights: those of a checkpoint, or of a file of tensors from anywhere.

What fits by name and shape is taken over. The last layer is made anew, for positions mean nothing without names: from a
checkpoint, whose card names its emotions, each emotion's row is taken over by name; from a file, none is.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from dfer.errors import DferError, listed, shortened
from dfer.labels import EmotionSet
from dfer.models.checkpoint import WEIGHTS, Card, read_card
from dfer.models.places import SHIPPED, model_folder
from dfer.models.published import published_form, renamed
from dfer.models.weights import fit_weights, read_weights

logger = logging.getLogger(__name__)

SUFFIXES = (".safetensors", ".pth", ".pt", ".bin", ".ckpt")
"""Of files of weights: a name that ends so and leads nowhere is a file that is missing."""
COUNTER = "num_batches_tracked"
"""Batch norm's counter of batches: nothing is computed from it, and converters drop it."""


@dataclass(frozen=True)
class Source:
    """Trained weights.

    Attributes:
        place: where they come from, for messages.
        state: the tensors by name.
        card: of a checkpoint; None for a file of tensors.
    """

    place: str
    state: dict[str, Tensor]
    card: Card | None = None


@dataclass(frozen=True)
class Started:
    """What a network took over.

    Attributes:
        told: it in a sentence.
        afresh: the names of weights that stay as they were initialised.
    """

    told: str
    afresh: frozenset[str]


@dataclass(frozen=True)
class Target:
    """A network that is to start from them.

    Attributes:
        model: its name.
        options: of `create_model`.
        emotions: of its logits.
        head: the names of the weights that depend on the number of emotions, and the axis along which, see `head_of`.
    """

    model: str
    options: Mapping[str, Any]
    emotions: EmotionSet
    head: Mapping[str, int]


def read_source(place: str | Path) -> Source:
    """Read trained weights; nothing in them is executed, and no module that a card names is imported.

    Args:
        place: "faces", the folder of a checkpoint or of a run, or a file of tensors: .safetensors, or one that
            `torch.load(weights_only=True)` reads.

    Raises:
        DferError: nothing is there, or it is damaged or holds other things than tensors.
    """
    path = Path(place)
    if "://" in str(place):
        raise DferError(f"{shortened(str(place))} is an address; nothing is fetched from a network, download it first")
    if str(place) not in SHIPPED and not path.is_dir() and (path.exists() or path.suffix in SUFFIXES):
        return Source(str(place), read_weights(path))
    folder = model_folder(place)
    card = read_card(folder)
    return Source(str(place), read_weights(folder / WEIGHTS), card)


def head_of(network: nn.Module, other: nn.Module) -> dict[str, int]:
    """The weights whose shape depends on the number of emotions, and the axis.

    Args:
        network: for K emotions.
        other: the same for K + 1.

    Raises:
        DferError: a weight depends on it along several axes.
    """
    wider, found = dict(other.named_parameters()), {}
    for key, value in network.named_parameters():
        axes = [axis for axis, (ours, its) in enumerate(zip(value.shape, wider[key].shape, strict=True)) if ours != its]
        if len(axes) > 1:
            raise DferError(f"weight {key} grows along several axes with the emotions, so it cannot be mapped by name")
        if axes:
            found[key] = axes[0]
    return found


def start_from(network: nn.Module, source: Source, target: Target, *, partial: bool = False) -> Started:
    """Copy trained weights into a freshly initialised network.

    Args:
        network: changed in place.
        source: the weights.
        target: what the network is.
        partial: leave weights of the network that the source lacks, or has in another shape, as they are initialised,
            and leave out those that the network lacks.

    Returns:
        What was taken over.

    Raises:
        DferError: another architecture; or, unless `partial`, weights that are not the network's: lists which match,
            and which are missing, unexpected or of another shape; or weights that are not finite.
    """
    if source.card and source.card.model != target.model:
        raise DferError(
            f"{source.place} is a {source.card.model}, and the recipe's network a {target.model}; set model.name to "
            f'"{source.card.model}", or start from a {target.model}'
        )
    own = _counted(network.state_dict())
    form = None if source.card else published_form(source.state, target.model)
    state, left = renamed(form, source.state, own, source.place) if form else (source.state, {})
    state = unprefixed(state, own, source.place)
    body = [key for key in own if key not in target.head]
    fits = [key for key in body if key in state and state[key].shape == own[key].shape]
    afresh = [key for key in body if form and key not in state and re.fullmatch(form.fresh, key)]
    others = {
        "missing": [key for key in body if key not in state and key not in afresh],
        "unexpected": [key for key in _counted(state) if key not in own],
        "of another shape": [
            f"{key} {tuple(state[key].shape)} instead of {tuple(own[key].shape)}"
            for key in body
            if key in state and key not in fits
        ],
    }
    told = "; ".join(f"{len(keys)} {what}: {listed(keys, 4)}" for what, keys in others.items() if keys)
    if not fits or (told and not partial):
        raise _misfit(source, target, fits=fits, weights=len(body), told=told)
    mapped, head = _head(network, state, source.card, target)
    given = {key: state[key] for key in fits} | mapped
    fit_weights(network, network.state_dict() | given, source=source.place)
    known = f" ({form.what})" if form else ""
    sentence = "; ".join(filter(None, [
        f"started from {source.place}{known}: {len(fits)} of {len(body)} weights", head, told,
        f"{len(afresh)} start afresh, for the file has none: {listed(afresh, 4)}" if afresh else "",
        f"{len(_counted(left))} of the file are left out: {listed(_counted(left), 4)}" if left else "",
    ]))  # fmt: skip
    return Started(sentence, frozenset(own.keys() - given.keys()))


def _misfit(source: Source, target: Target, *, fits: list[str], weights: int, told: str) -> DferError:
    """Weights that are not the network's, and what to do about it."""
    other = None if fits or source.card else published_form(source.state)
    advice = "set init.partial=true to take over what matches" if fits else "start from another file"
    advice = f'it holds {other.what}, so set model.name to "{other.model}"' if other else advice
    return DferError(
        f"{source.place} does not fit {target.model}: {len(fits)} of its {weights} weights match"
        f"{f' ({listed(fits, 3)})' if fits else ''}; {told}{_differing(source.card, target)}; {advice}"
    )


def _counted(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {key: value for key, value in state.items() if not key.endswith(COUNTER)}


def unprefixed(state: Mapping[str, Tensor], own: Iterable[str], place: str) -> dict[str, Tensor]:
    """The tensors without the prefix, such as `module.` or `model.`, under which most of them are the network's own.

    Raises:
        DferError: as many are under either of two prefixes, such as those of a student and a teacher.
    """
    wanted = set(own)
    counts: dict[str, int] = {}
    for key in state:
        parts = key.split(".")
        for depth in range(len(parts)):
            if ".".join(parts[depth:]) in wanted:
                prefix = "".join(f"{part}." for part in parts[:depth])
                counts[prefix] = counts.get(prefix, 0) + 1
    most = max(counts.values(), default=0)
    best = [prefix for prefix, count in counts.items() if count == most]
    if "" in best or not best:
        return dict(state)
    if len(best) > 1:
        raise DferError(f"{place} holds several networks that fit, under {listed(best)}; save the one that you want")
    (prefix,) = best
    return {key.removeprefix(prefix) if key.startswith(prefix) else key: value for key, value in state.items()}


def _head(
    network: nn.Module, state: Mapping[str, Tensor], card: Card | None, target: Target
) -> tuple[dict[str, Tensor], str]:
    """The last layer, with the rows of the emotions that the source knows too; and what is told of it."""
    own = network.state_dict()
    if card is None:
        return {}, "the last layer starts afresh, for a file of weights does not name its emotions"
    if not all(key in state and _same_but(axis, state[key], own[key]) for key, axis in target.head.items()):
        return {}, "the last layer starts afresh, for its shape is another"
    shared = [name for name in target.emotions if name in card.emotions]
    to = torch.tensor([target.emotions.index(name) for name in shared], dtype=torch.long)
    its = torch.tensor([card.emotions.index(name) for name in shared], dtype=torch.long)
    mapped = {
        key: own[key].index_copy(axis, to, state[key].index_select(axis, its).to(own[key]))
        for key, axis in target.head.items()
    }
    fresh = [name for name in target.emotions if name not in shared]
    if not shared:
        return {}, f"the last layer starts afresh, for it knows none of {listed(fresh, 12)}"
    return mapped, f"the last layer knows {listed(shared, 12)}" + (f", and {listed(fresh, 12)} afresh" if fresh else "")


def _same_but(axis: int, theirs: Tensor, ours: Tensor) -> bool:
    shapes = [list(each.shape) for each in (theirs, ours)]
    return theirs.ndim == ours.ndim and all(a == b for k, (a, b) in enumerate(zip(*shapes, strict=True)) if k != axis)


def _differing(card: Card | None, target: Target) -> str:
    """The options of the two networks that differ, as the recipe would write them."""
    if card is None:
        return ""
    differing = [
        f"{key}={its!r} there and {target.options[key]!r} in the recipe"
        for key, its in card.options.items()
        if key in target.options and _plain(target.options[key]) != _plain(its)
    ]
    return f"; its options differ: {listed(differing)}" if differing else ""


def _plain(value: object) -> object:
    return list(value) if isinstance(value, tuple) else value
