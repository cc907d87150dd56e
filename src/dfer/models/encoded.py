"""A network that is shown what its encoder makes of clips, instead of the clips.

For encoders that do not change: what they make of a clip can be computed once, see `dfer.training.cached`. The encoder
is the network's part of that name. It is called once in a pass, and gives (B n, ...) for B clips: the n rows of a clip
(its frames) one after the other.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from dfer.errors import DferError, listed

TOLERANCE = 1e-3
"""Relative difference of two answers that are taken for the same."""


class FromFeatures(nn.Module):
    """The part of a network that is behind its encoder: features (B, n, ...) -> logits (B, K).

    Args:
        network: with a part called `encoder`; it is not changed.
        clip: (C, T, H, W) of the clips that it takes.

    Raises:
        DferError: no such part, or one that does not decide alone what the network answers.
    """

    def __init__(self, network: nn.Module, *, clip: tuple[int, int, int, int]) -> None:
        super().__init__()
        self.network, self.clip = network, clip
        self._require_alone()

    def forward(self, features: Tensor) -> Tensor:
        """(B, n, ...) -> (B, K)."""
        shape = torch.zeros(1, device=features.device).expand(len(features), *self.clip)  # all that is read of clips
        with standing_in(encoder_of(self.network), lambda *_, **__: features.flatten(0, 1)):
            logits: Tensor = self.network(shape)
        return logits

    def features(self, clips: Tensor) -> Tensor:
        """What the encoder makes of clips (B, C, T, H, W): (B, n, ...); without gradients, in evaluation mode.

        Raises:
            DferError: the encoder is not called once, or does not give rows of the clips.
        """
        found: list[object] = []
        note = encoder_of(self.network).register_forward_hook(lambda _, __, output: found.append(output))
        modes = {module: module.training for module in self.network.modules()}
        try:
            with torch.no_grad():
                self.network.eval()(clips)
        finally:
            note.remove()
            for module, training in modes.items():
                module.training = training
        rows = found[0] if found else None
        if len(found) != 1 or not isinstance(rows, Tensor) or rows.ndim < 2 or len(rows) % len(clips):
            raise DferError(
                f"expected the network's part encoder to be called once, and to give rows (B n, ...) for {len(clips)} "
                f"clips, got {len(found)} calls{f' and {tuple(rows.shape)}' if isinstance(rows, Tensor) else ''}"
            )
        return rows.reshape(len(clips), -1, *rows.shape[1:])

    def _require_alone(self) -> None:
        """Refuse a network that looks at clips past its encoder."""
        first = next(self.network.parameters())
        clips = torch.randn(2, *self.clip, generator=torch.Generator().manual_seed(0)).to(first)
        features, training = self.features(clips), self.network.training
        with torch.no_grad():
            self.network.eval()
            whole, behind = self.network(clips), self(features)
        self.network.train(training)
        if not (whole - behind).norm() <= TOLERANCE * whole.norm():
            raise DferError("the network reads more of a clip than what its part encoder makes of it")


def encoder_of(network: nn.Module) -> nn.Module:
    """The part of a network that is called `encoder`.

    Raises:
        DferError: there is none.
    """
    encoder = getattr(network, "encoder", None)
    if not isinstance(encoder, nn.Module):
        parts = listed([name for name, _ in network.named_children()], 8)
        raise DferError(f"the network has no part called encoder whose features could be kept; it has {parts}")
    return encoder


@contextmanager
def standing_in(part: nn.Module, answer: Callable[..., Tensor]) -> Iterator[None]:
    """Within, a part of a network is not computed: `answer` is called with its inputs instead."""
    former = vars(part).get("forward")  # somebody else's, who stands in too
    part.forward = answer
    try:
        yield
    finally:
        del part.forward
        if former is not None:
            part.forward = former


@contextmanager
def recalled(network: nn.Module, answers: list[Tensor]) -> Iterator[None]:
    """Within, the encoder gives again what it gave when it was called with the same inputs in the same order.

    Args:
        network: whose encoder does not change.
        answers: those that are known, in order; further ones are computed and added, on the CPU.
    """
    encoder = encoder_of(network)
    compute, known = encoder.forward, iter(tuple(answers))

    def answer(*inputs: Any) -> Tensor:
        found: Tensor | None = next(known, None)
        if found is None:
            found = compute(*inputs)
            answers.append(found.cpu())
        return found.to(inputs[0].device)

    with standing_in(encoder, answer):
        yield
