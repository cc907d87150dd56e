"""What every network is asked before it is trained: clips (B, C, T, H, W) in, finite logits (B, K) out."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from dfer.errors import DferError, listed
from dfer.models.registry import foreign_code


def require_network(network: nn.Module, name: str, *, clip: tuple[int, int, int, int], emotions: int) -> None:
    """Show a network random clips, as training and as evaluation do, and refuse wrong answers.

    Two clips are shown as in training and one as in evaluation, for a `squeeze` spoils the answer to a single one.
    The network, its buffers and the global random generators stay as they are.

    Args:
        network: on any device.
        name: for the message.
        clip: (C, T, H, W).
        emotions: K.

    Raises:
        DferError: no weights, an error in its code, no tensor, another shape, no floating point, NaN, or logits
            without gradients.
    """
    first = next(network.parameters(), None)
    if first is None:
        raise DferError(f"model {name} has no weights, so there is nothing to train")
    shown = torch.randn(2, *clip, generator=torch.Generator().manual_seed(0)).to(first.device)
    with _unchanged(network):
        for training, clips in ((True, shown), (False, shown[:1])):
            with torch.set_grad_enabled(training):
                _require_logits(network.train(training), name, clips, emotions)


def _require_logits(network: nn.Module, name: str, clips: Tensor, emotions: int) -> None:
    shown = f"clips {tuple(clips.shape)} (batch, channels, frames, height, width)"
    with foreign_code(f"model {name} fails on {shown}", "; --debug shows where"):
        logits: object = network(clips)
    wanted = (len(clips), emotions)
    if not isinstance(logits, Tensor):
        raise DferError(f"model {name}: expected logits {wanted} for {shown}, got {type(logits).__name__}")
    if tuple(logits.shape) != wanted or not logits.is_floating_point():
        found = f"{tuple(logits.shape)} of {str(logits.dtype).removeprefix('torch.')}"
        raise DferError(f"model {name}: expected logits {wanted}, a row of {emotions} a clip, for {shown}; got {found}")
    if not logits.isfinite().all():
        raise DferError(f"model {name}: its logits for {shown}, random ones, are not finite before it is trained")
    if network.training:
        _require_gradients(network, name, logits)


def _require_gradients(network: nn.Module, name: str, logits: Tensor) -> None:
    """Refuse logits that no weight can learn from: detached ones, or such as were changed in place."""
    trained = [weight for weight in network.parameters() if weight.requires_grad]
    if not trained:
        raise DferError(f"model {name} keeps all its weights from being trained (requires_grad is False)")
    if not logits.requires_grad:
        raise DferError(
            f"model {name}: its logits have no gradient; leave detach(), no_grad() and numpy out of its forward()"
        )
    with foreign_code(f"model {name}: the gradients of its logits cannot be computed", "; --debug shows where"):
        torch.autograd.grad(logits.sum(), trained, allow_unused=True)


@contextmanager
def _unchanged(network: nn.Module) -> Iterator[None]:
    """Within, a network may be asked; afterwards its buffers and modes, and the random generators, are as before."""
    buffers, modes = [(each, each.clone()) for each in network.buffers()], {m: m.training for m in network.modules()}
    try:
        with torch.random.fork_rng():
            yield
    finally:
        with torch.no_grad():
            for buffer, former in buffers:
                buffer.copy_(former)
        for module, training in modes.items():
            module.training = training


def require_layers(network: nn.Module, told: str) -> None:
    """Refuse layers without size: empty ones, and lazy ones, whose size a checkpoint could not be rebuilt with."""
    lazy = [key for key, value in network.named_parameters() if nn.parameter.is_lazy(value)]
    if lazy:
        raise DferError(f"{told} has lazy layers ({listed(lazy)}); give them the number of their inputs")
    empty = [key for key, value in network.named_parameters() if not value.numel()]
    if empty:
        raise DferError(f"{told} has empty layers: {listed(empty)}")
