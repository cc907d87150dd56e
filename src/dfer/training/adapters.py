"""Adapters of low rank in a trained network, by peft: what `[lora]` asks for.

A layer with an adapter computes W x + (alpha / rank) B A x: A (rank, inputs) and B (outputs, rank) are trained, W is
not. B begins at nought, so training begins with the network as it was. What is judged and kept is the network with
W + (alpha / rank) B A in place of W: an ordinary one, without adapters.

The parts of a network are its children, in the order in which they were made. Those up to the last one with an adapter
keep their weights, but for the adapters. Those behind it (a temporal part, the last layer) are trained whole, and so
are weights that the network holds itself, outside its parts.

Reference: Hu et al., "LoRA: Low-Rank Adaptation of Large Language Models", ICLR 2022.
"""

from __future__ import annotations

import copy
import importlib
import logging
import math
import re
from collections.abc import Collection
from typing import Any

import torch
from torch import Tensor, nn

from dfer.errors import DferError, listed, nearest
from dfer.training.config import Lora
from dfer.training.layers import matches

logger = logging.getLogger(__name__)

ATTENTION = "*att*"
"""Which layers have adapters unless a recipe says so: those of the attention of transformers."""
ADAPTABLE = (nn.Linear, nn.Conv1d, nn.Conv2d, nn.Conv3d)


def adapt(network: nn.Module, lora: Lora, *, afresh: Collection[str] = ()) -> None:
    """Put adapters into a network, and keep all other weights of the adapted parts from being trained.

    Args:
        network: changed in place.
        lora: which layers, and how.
        afresh: the names of weights that were not taken over from trained ones: to be trained, all of them.

    Raises:
        DferError: peft is not installed; a pattern that matches no layer; a rank above that of a layer; or weights that
            start afresh in a part that is not trained.
    """
    peft = _peft()
    chosen, still = _chosen(network, lora)
    if lost := [name for name in sorted(afresh) if name in still]:
        raise DferError(
            f"lora keeps the weights of parts with adapters, and {len(lost)} of them start afresh: {listed(lost, 4)}; "
            "start from weights that have them, choose lora.layers in front of them, or leave [lora] out"
        )
    trained = {name: weight.requires_grad for name, weight in network.named_parameters()}
    names = "|".join(map(re.escape, chosen))  # one expression: peft looks for ends of names in a list
    peft.inject_adapter_in_model(
        peft.LoraConfig(r=lora.rank, lora_alpha=lora.alpha, lora_dropout=lora.dropout, target_modules=names), network
    )
    for name, weight in network.named_parameters():
        if name in trained and name not in still:
            weight.requires_grad_(trained[name])
    logger.info("lora: adapters of rank %d in %d layers: %s", lora.rank, len(chosen), listed(chosen, 4))


def merged(network: nn.Module) -> nn.Module:
    """A copy of a network with each adapter added to the weights of its layer; without adapters the network itself."""
    if not hasattr(network, "peft_config"):
        return network
    copied = copy.deepcopy(network)
    del copied.peft_config
    for name, layer in list(copied.named_modules()):
        if hasattr(layer, "lora_A"):
            adapted: Any = layer
            adapted.merge()
            copied.set_submodule(name, adapted.get_base_layer())
    return copied


def require_called(network: nn.Module, clip: tuple[int, ...]) -> None:
    """Refuse adapters that the network would pass by, as it reads the weights of their layers without calling these.

    Args:
        network: with adapters, on the CPU; it is not changed.
        clip: (C, T, H, W).

    Raises:
        DferError: names the layers.
    """
    copied = copy.deepcopy(network).train()
    adapted = {layer: name for name, layer in copied.named_modules() if hasattr(layer, "lora_A")}

    def note(layer: nn.Module, *_: object) -> None:
        adapted.pop(layer, None)

    for layer in list(adapted):
        layer.register_forward_hook(note)
    with torch.random.fork_rng(), torch.no_grad():
        copied(torch.randn(2, *clip))
    if adapted:
        raise DferError(
            f"lora.layers: {listed(list(adapted.values()), 4)} cannot have adapters, for the network reads their "
            "weights without calling them; name other layers"
        )


def _peft() -> Any:
    try:
        return importlib.import_module("peft")
    except ImportError as error:
        raise DferError("lora needs peft: pip install 'dfer[peft]'") from error


def _parts(network: nn.Module) -> list[tuple[str, nn.Module]]:
    """The children of a network that have weights; where it has a single one, the children of that."""
    parts = [("", network)]
    while len(parts) == 1:
        (name, whole), *_ = parts
        parts = [
            (f"{name}.{child}".lstrip("."), module)
            for child, module in whole.named_children()
            if any(True for _ in module.parameters())
        ]
    return parts


def _chosen(network: nn.Module, lora: Lora) -> tuple[list[str], set[str]]:
    """The layers with an adapter, and the weights of the parts that are not trained."""
    *parts, _ = _parts(network) or [("", network)]  # the last part gives the answer, and is trained whole
    able = {
        name: layer
        for part, whole in parts
        for name, layer in whole.named_modules(prefix=part)
        if isinstance(layer, ADAPTABLE) and getattr(layer, "groups", 1) == 1
    }
    patterns = lora.layers or (ATTENTION,)
    for pattern in patterns:
        if not any(matches(name, pattern) for name in able):
            raise DferError(
                f"lora.layers: no layer in front of the last one is called {pattern}{nearest(pattern, able)}; linear "
                f"layers and convolutions without groups are {listed(able, 8) or 'not there'}"
            )
    chosen = [name for name in able if any(matches(name, pattern) for pattern in patterns)]
    if not lora.layers:
        chosen = [name for name in chosen if name.startswith("encoder.")] or chosen
    for name in chosen:
        if lora.rank > (most := _rank(able[name])):
            raise DferError(
                f"lora.rank is {lora.rank}, and the weights of {name} have a rank of {most} at most; lower lora.rank, "
                "or leave the layer out of lora.layers"
            )
    last = max(number for number, (part, _) in enumerate(parts) if any(matches(name, part) for name in chosen))
    return chosen, {name for part, whole in parts[: last + 1] for name, _ in whole.named_parameters(prefix=part)}


def _rank(layer: nn.Module) -> int:
    """The greatest that the weights of a layer can have, as a matrix from its inputs to its outputs."""
    weight: Tensor = layer.weight  # type: ignore[assignment]
    return min(len(weight), math.prod(weight.shape[1:]))
