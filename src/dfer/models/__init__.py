"""Networks behind one door: clips (B, C, T, H, W) in, logits (B, K) out.

    model = create_model("m3dfel", num_classes=7)

What a network expects of clips beyond the shape (size, scaling) travels in the checkpoint's card, see `checkpoint`.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

import pydantic
import torch
from torch import nn

from dfer.documents import checked
from dfer.errors import DferError, nearest, shortened
from dfer.labels.emotions import MOST_EMOTIONS
from dfer.models.checkpoint import Card, load_checkpoint, require_emotions, save_checkpoint
from dfer.models.clips import answer
from dfer.models.frame_gru import FrameGru
from dfer.models.m3dfel import M3dfel
from dfer.models.manifold import mixed_inside
from dfer.models.options import MOST_WEIGHTS
from dfer.models.r3d18 import r3d18
from dfer.models.tiny3d import Tiny3d

BUILDERS: dict[str, Callable[..., nn.Module]] = {
    "frame_gru": FrameGru,
    "m3dfel": M3dfel,
    "r3d18": r3d18,
    "tiny3d": Tiny3d,
}

__all__ = [
    "Card", "answer", "create_model", "list_models", "load_checkpoint", "mixed_inside", "require_emotions",
    "save_checkpoint",
]  # fmt: skip


def list_models() -> list[str]:
    """The names that `create_model` knows.

    >>> list_models()
    ['frame_gru', 'm3dfel', 'r3d18', 'tiny3d']
    """
    return sorted(BUILDERS)


def create_model(name: str, num_classes: int, *, in_channels: int = 3, **options: Any) -> nn.Module:
    """Build a network, freshly initialised.

    Args:
        name: one of `list_models()`.
        num_classes: K, the number of emotions.
        in_channels: C, 3 for RGB or 1 for grey.
        **options: the network's own, as its class documents them.

    Returns:
        A module from clips (B, C, T, H, W) to logits (B, K).

    Raises:
        DferError: an unknown name or option, the nearest one is named; or a value that no network can be built with.
    """
    outline_model(name, num_classes, in_channels=in_channels, **options)
    return BUILDERS[name](num_classes, in_channels=in_channels, **options)


def outline_model(name: str, num_classes: int, *, in_channels: int = 3, **options: Any) -> nn.Module:
    """The network that `create_model` would build, without memory for its weights, and with the same errors."""
    known = default_options(name)
    signature = inspect.signature(BUILDERS[name], eval_str=True).parameters
    fields: Any = {option: (signature[option].annotation, default) for option, default in known.items()}
    record = pydantic.create_model("Options", __config__=pydantic.ConfigDict(extra="forbid"), **fields)
    checked(record, options, f"model {name}")
    for what, number, least, most in (("emotions", num_classes, 2, MOST_EMOTIONS), ("in_channels", in_channels, 1, 64)):
        if not isinstance(number, int) or not least <= number <= most:
            raise DferError(f"model {name}: expected from {least} to {most} {what}, got {number!r}")
    options.pop("weights", None)  # a file, which says nothing of the size
    with torch.device("meta"):
        network = BUILDERS[name](num_classes, in_channels=in_channels, **options)
    if (weights := sum(value.numel() for value in network.parameters())) > MOST_WEIGHTS:
        raise DferError(f"model {name}: expected at most {MOST_WEIGHTS} weights, got {weights}; lower its widths")
    return network


def default_options(name: str) -> dict[str, Any]:
    """The options of a network and their defaults, without `num_classes` and `in_channels`.

    Raises:
        DferError: an unknown name; the nearest one is named.

    >>> default_options("tiny3d")
    {'width': 16, 'dropout': 0.2}
    """
    if name not in BUILDERS:
        raise DferError(
            f"no model '{shortened(name, 80)}'{nearest(name, BUILDERS)}; there are {', '.join(list_models())}"
        )
    parameters = inspect.signature(BUILDERS[name]).parameters.values()
    return {each.name: each.default for each in parameters if each.name not in ("num_classes", "in_channels")}
