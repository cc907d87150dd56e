"""The layers of a network from the first to the last, for learning rates by layer and for freezing.

A network with a method `stages` (a list of modules in order, see `dfer.models.manifold`) has these as its layers, and
what comes before the first of them as one more. Of any other network the layers are its children in the order in which
they were made, those of a `Sequential` or `ModuleList` one by one; a child without a weight of more than one dimension,
such as a norm, belongs to the layer before it.
"""

from __future__ import annotations

from collections.abc import Iterator
from fnmatch import fnmatchcase

from torch import nn

from dfer.errors import DferError, listed, nearest


def layers_behind(network: nn.Module) -> dict[str, int]:
    """How many layers stand behind that of each weight, by the weight's name; 0 for the last layer."""
    begins = _beginnings(network)
    depth, depths = 0, {}
    for name, weight in network.named_parameters():
        depth = begins.get(id(weight), depth)
        depths[name] = depth
    last = max(depths.values(), default=0)
    return {name: last - depth for name, depth in depths.items()}


def _beginnings(network: nn.Module) -> dict[int, int]:
    """The depth of each weight of a layer; weights between two layers belong to the one before."""
    stages = getattr(network, "stages", None)
    if callable(stages):
        return {id(weight): depth for depth, stage in enumerate(stages(), 1) for weight in stage.parameters()}
    depth, begins = -1, dict[int, int]()
    for child in _children(network):
        depth += depth < 0 or any(weight.ndim > 1 for weight in child.parameters())
        begins |= {id(weight): depth for weight in child.parameters()}
    return begins


def _children(network: nn.Module) -> Iterator[nn.Module]:
    for child in network.children():
        if isinstance(child, nn.Sequential | nn.ModuleList):
            yield from _children(child)
        elif any(True for _ in child.parameters()):
            yield child


def freeze(network: nn.Module, patterns: tuple[str, ...]) -> list[nn.Module]:
    """Keep the weights whose names match a pattern from being trained; others stay as the network made them.

    Args:
        network: changed in place.
        patterns: such as `encoder.*`, with the wildcards of file names; a layer's own name stands for all below it.

    Returns:
        The layers with weights of which all are frozen: they belong in evaluation mode, so that batch norms keep their
        statistics.

    Raises:
        DferError: a pattern that matches nothing, or patterns that leave nothing to train.
    """
    names = [name for name, _ in network.named_parameters()]
    for pattern in patterns:
        if not any(matches(name, pattern) for name in names):
            layers = [name for name, _ in network.named_modules() if name]
            raise DferError(
                f"init.freeze: no weight is called {pattern}{nearest(pattern, [*layers, *names])}; layers are "
                f"{listed([name for name, _ in network.named_children()], 8)}"
            )
    for name, weight in network.named_parameters():
        if any(matches(name, pattern) for pattern in patterns):
            weight.requires_grad_(False)
    if not any(weight.requires_grad for weight in network.parameters()):
        raise DferError(f"init.freeze = {list(patterns)} leaves no weight to train; leave a pattern out")
    return [layer for layer in network.modules() if _is_frozen(layer)]


def count_weights(network: nn.Module, *, trained: bool = False) -> int:
    """How many weights a network has, or how many of them are trained."""
    return sum(weight.numel() for weight in network.parameters() if weight.requires_grad or not trained)


def matches(name: str, pattern: str) -> bool:
    """Whether a weight or a layer is meant by a pattern: by its own name, or as one below a layer of that name."""
    return fnmatchcase(name, pattern) or name.startswith(f"{pattern}.")


def _is_frozen(layer: nn.Module) -> bool:
    weights = list(layer.parameters())
    return bool(weights) and not any(weight.requires_grad for weight in weights)
