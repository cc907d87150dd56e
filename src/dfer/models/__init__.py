"""Networks behind one door: clips (B, C, T, H, W) in, logits (B, K) out.

    model = create_model("m3dfel", num_classes=7)
    model, card = load_checkpoint("faces")

What a network expects of clips beyond the shape (size, scaling) travels in the checkpoint's card, see `checkpoint`.
Networks of one's own: see `registry`, and docs/your_network.md.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

import torch
from torch import nn
from torch.overrides import TorchFunctionMode

from dfer.documents import checked_options
from dfer.errors import DferError, require_known, shortened
from dfer.labels.emotions import MOST_EMOTIONS
from dfer.models.checkpoint import Card, load_checkpoint, require_emotions, save_checkpoint
from dfer.models.clips import answer, to_floats, to_network
from dfer.models.contract import require_layers, require_network
from dfer.models.manifold import mixed_inside
from dfer.models.options import MOST_WEIGHTS
from dfer.models.places import model_folder
from dfer.models.pretrained import from_pretrained, save_pretrained
from dfer.models.registry import BUILT_IN, allow_models, builder_of, foreign_code, name_model, names, register_model

__all__ = [
    "Card", "allow_models", "answer", "create_model", "from_pretrained", "list_models", "load_checkpoint",
    "mixed_inside", "model_folder", "name_model", "register_model", "require_emotions", "require_network",
    "save_checkpoint", "save_pretrained", "to_floats", "to_network",
]  # fmt: skip


def list_models() -> list[str]:
    """The names that `create_model` knows: dfer's own, registered ones, and those of installed packages.

    >>> [name for name in list_models() if name in ("frame_gru", "m3dfel", "r3d18", "tiny3d")]
    ['frame_gru', 'm3dfel', 'r3d18', 'tiny3d']
    """
    return names()


def create_model(name: str, num_classes: int, *, in_channels: int = 3, **options: Any) -> nn.Module:
    """Build a network, freshly initialised.

    Args:
        name: one of `list_models()`, or a class or function of your own as `my_package.my_module:Net`, which has that
            module imported. It is called with the number of emotions and the options.
        num_classes: K, the number of emotions.
        in_channels: C, 3 for RGB or 1 for grey; told to a network of your own if it has such a parameter.
        **options: the network's own, as its class documents them.

    Returns:
        A module from clips (B, C, T, H, W) to logits (B, K).

    Raises:
        DferError: an unknown name or option, the nearest one is named; a module that cannot be imported; or a value
            that no network can be built with.
    """
    name_model(name)
    if name in BUILT_IN:
        options = getattr(BUILT_IN[name], "completed", dict)(options)
        outline_model(name, num_classes, in_channels=in_channels, **options)
        return BUILT_IN[name](num_classes, in_channels=in_channels, **options)
    _require_sizes(name, num_classes, in_channels)
    return _build_own(name, num_classes, in_channels, options)


def outline_model(name: str, num_classes: int, *, in_channels: int = 3, **options: Any) -> nn.Module:
    """A network of dfer as `create_model` would build it, without memory for its weights, and with the same errors."""
    checked_options(BUILT_IN[name], options, f"model {name}", besides=("in_channels",))
    _require_sizes(name, num_classes, in_channels)
    options.pop("weights", None)  # a file, which says nothing of the size
    with torch.device("meta"), _Undrawn():
        network = BUILT_IN[name](num_classes, in_channels=in_channels, **options)
    if (weights := sum(value.numel() for value in network.parameters())) > MOST_WEIGHTS:
        raise DferError(f"model {name}: expected at most {MOST_WEIGHTS} weights, got {weights}; lower its widths")
    return network


class _Undrawn(TorchFunctionMode):
    """Draws no normal values: where there is no memory for them, torch would load its compiler, which takes one s."""

    def __torch_function__(
        self, func: Callable[..., Any], types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        return args[0] if func is torch.Tensor.normal_ else func(*args, **(kwargs or {}))


def _require_sizes(name: str, num_classes: int, in_channels: int) -> None:
    for what, number, least, most in (("emotions", num_classes, 2, MOST_EMOTIONS), ("in_channels", in_channels, 1, 64)):
        if not isinstance(number, int) or not least <= number <= most:
            raise DferError(f"model {name}: expected from {least} to {most} {what}, got {number!r}")


def _build_own(name: str, num_classes: int, in_channels: int, options: dict[str, Any]) -> nn.Module:
    """A network that is none of dfer's."""
    builder, parameters = builder_of(name), _parameters(name)
    known = [each.name for each in parameters if each.kind is not each.VAR_KEYWORD]
    for option in options:
        if len(known) == len(parameters):
            require_known(f"model {name} has no option", option, known)
    told = f"model {name} with {shortened(str(options), 300)}"
    if "in_channels" in inspect.signature(builder).parameters:
        options = {**options, "in_channels": in_channels}
    with foreign_code(f"{told} cannot be built"):
        network = builder(num_classes, **options)
    if not isinstance(network, nn.Module):
        raise DferError(f"model {name}: expected a torch.nn.Module, got {type(network).__name__}")
    require_layers(network, told)
    return network


def default_options(name: str) -> dict[str, Any]:
    """The options of a network and their defaults, without the number of emotions and `in_channels`.

    Raises:
        DferError: an unknown name; the nearest one is named.

    >>> default_options("tiny3d")
    {'width': 16, 'dropout': 0.2}
    """
    return {each.name: each.default for each in _parameters(name) if each.default is not each.empty}


def _parameters(name: str) -> list[inspect.Parameter]:
    """The options of a network: all that it is called with, but the number of emotions and that of channels."""
    found = list(inspect.signature(builder_of(name)).parameters.values())
    if not found or found[0].kind in (inspect.Parameter.KEYWORD_ONLY, inspect.Parameter.VAR_KEYWORD):
        raise DferError(f"model {name}: expected the number of emotions as its first parameter, as in Net(emotions)")
    return [each for each in found[1:] if each.name != "in_channels" and each.kind is not each.VAR_POSITIONAL]
