"""Networks behind one door: clips (B, C, T, H, W) in, logits (B, K) out.

    model = create_model("m3dfel", num_classes=7)

What a network expects of clips beyond the shape (size, scaling) travels in the checkpoint's card, see `checkpoint`.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

from torch import nn

from dfer.errors import DferError, listed, nearest
from dfer.models.checkpoint import Card, load_checkpoint, require_emotions, save_checkpoint
from dfer.models.clips import answer
from dfer.models.frame_gru import FrameGru
from dfer.models.m3dfel import M3dfel
from dfer.models.manifold import mixed_inside
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
    known = default_options(name)
    if num_classes < 2:
        raise DferError(f"expected at least 2 emotions, got {num_classes}")
    for option in options:
        if option not in known:
            raise DferError(
                f"model {name} has no option '{option}'{nearest(option, known)}; it has {listed(known, limit=12)}"
            )
    try:
        network = BUILDERS[name](num_classes, in_channels=in_channels, **options)
        empty = [key for key, value in network.named_parameters() if not value.numel()]
    except DferError:
        raise
    except (TypeError, ValueError, RuntimeError, IndexError) as error:
        raise DferError(f"model {name} cannot be built with {options}: {error}") from error
    if empty:
        raise DferError(f"model {name} with {options} and {in_channels} channels has empty layers: {listed(empty)}")
    return network


def default_options(name: str) -> dict[str, Any]:
    """The options of a network and their defaults, without `num_classes` and `in_channels`.

    Raises:
        DferError: an unknown name; the nearest one is named.

    >>> default_options("tiny3d")
    {'width': 16, 'dropout': 0.2}
    """
    if name not in BUILDERS:
        raise DferError(f"no model '{name}'{nearest(name, BUILDERS)}; there are {', '.join(list_models())}")
    parameters = inspect.signature(BUILDERS[name]).parameters.values()
    return {each.name: each.default for each in parameters if each.name not in ("num_classes", "in_channels")}
