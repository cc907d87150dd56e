"""Where a network's numbers first go wrong: for the error that names the layer."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import partial

import torch
from torch import Tensor, nn

from dfer.errors import DferError
from dfer.training.precision import Precision


class NotFiniteError(DferError):
    """A loss that is NaN or infinite."""


def not_finite(said: str, network: nn.Module, clips: Tensor) -> NotFiniteError:
    """What is known of a loss that is NaN or infinite.

    Args:
        said: the loss and the step.
        network: on the device of the clips.
        clips: of the batch, as the network was shown them.
    """
    where = first_not_finite(network, clips)
    told = f"the first output that is not finite is that of {where}" if where else "in fp32 all outputs are finite"
    return NotFiniteError(f"{said}; {told}")


def advice(precision: Precision) -> str:
    """What to do about numbers that are not finite."""
    reduced = ', or set optim.precision to "fp32"' if precision == "bf16" else ""
    return f"lower optim.lr or set optim.clip_norm{reduced}"


def first_not_finite(network: nn.Module, clips: Tensor) -> str | None:
    """The first of its layers whose output has a NaN or an infinity for these clips, such as "stem.0 (Conv3d)".

    The network is asked once more, in the mode that it is in and without gradients. Its weights, its buffers and the
    global random generators stay as they are.

    Args:
        network: clips to logits.
        clips: (B, C, T, H, W), as the network is shown them.

    Returns:
        "the clips" where they are not finite themselves; None where the outputs of all layers are finite.
    """
    if not _is_finite(clips):
        return "the clips"
    found: list[str] = []

    def look(name: str, layer: nn.Module, _: object, output: object) -> None:
        if not found and not _is_finite(output):
            found.append(f"{name or 'the network itself'} ({type(layer).__name__})")

    hooks = [layer.register_forward_hook(partial(look, name)) for name, layer in network.named_modules()]
    buffers = [(buffer, buffer.clone()) for buffer in network.buffers()]
    try:
        with torch.no_grad(), torch.random.fork_rng():
            network(clips)
    finally:
        for hook in hooks:
            hook.remove()
        with torch.no_grad():
            for buffer, former in buffers:
                buffer.copy_(former)
    return found[0] if found else None


def _is_finite(output: object) -> bool:
    return all(bool(tensor.isfinite().all()) for tensor in _tensors(output))


def _tensors(output: object) -> Iterator[Tensor]:
    """The tensors in what a layer gives: one, or several in tuples, lists or mappings."""
    if isinstance(output, Tensor):
        yield output
    elif isinstance(output, Mapping):
        yield from _tensors(list(output.values()))
    elif isinstance(output, list | tuple):
        for part in output:
            yield from _tensors(part)
