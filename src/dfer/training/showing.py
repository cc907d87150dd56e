"""From clips as they were read to what a network is shown in training: augmented, normalised and mixed."""

from __future__ import annotations

import torch
from torch import Tensor

from dfer.augment import Midas, Mixed
from dfer.augment.frames import mixed_floats, on_frames
from dfer.augment.tensors import on_tensors
from dfer.models import to_floats, to_network
from dfer.training.clips import Clips, stacked
from dfer.training.config import Recipe


class Showing:
    """Shows clips by a recipe.

    On a CPU the clips stay uint8 until the last pass, which mixes and normalises them; elsewhere the whole batch is
    worked on as floats. Both use the same draws and differ by rounding. Memory is used again: what one call returns
    is overwritten by the next.
    """

    def __init__(self, recipe: Recipe) -> None:
        self.augment, self.input = recipe.augment, recipe.input
        self._planes, self._floats = torch.empty(0, dtype=torch.uint8), torch.empty(0)

    def __call__(
        self, clips: Clips, targets: Tensor, midas: Midas | None,
        *, augmenting: torch.Generator, mixing: torch.Generator,
    ) -> Mixed:  # fmt: skip
        """Show a batch.

        Args:
            clips: B of (C, T, H, W) uint8, on any device.
            targets: (B, K), on the device of the clips.
            midas: how to mix; None mixes nothing.
            augmenting: where the draws of augmentation come from.
            mixing: where λ and partners come from.
        """
        drawn, size = self.augment.draw(len(clips), augmenting), self.input.size
        if targets.device.type != "cpu":
            floats = on_tensors(to_floats(stacked(clips)), drawn, size)
            return mixed(to_network(floats, self.input), targets, midas, mixing)
        channels, frames = clips[0].shape[:2]
        shape = (len(clips), channels, frames, size, size)
        if self._planes.shape != shape:
            self._planes, self._floats = torch.empty(shape, dtype=torch.uint8), torch.empty(shape)
        on_frames([clip.permute(1, 2, 3, 0).numpy() for clip in clips], drawn, size, out=self._planes)
        if midas is None or not midas.is_plain:
            return mixed(self._blended(*_unmixed(targets)), targets, midas, mixing)
        lam, partner = midas.draw(targets, mixing)
        return Mixed(self._blended(lam, partner), midas.mixed_targets(targets, lam, partner), lam, partner)

    def _blended(self, lam: Tensor, partner: Tensor) -> Tensor:
        """The augmented clips, mixed and normalised."""
        mixed_floats(self._planes, lam, partner, mean=self.input.mean, std=self.input.std, out=self._floats)
        return self._floats


def mixed(clips: Tensor, targets: Tensor, midas: Midas | None, mixing: torch.Generator) -> Mixed:
    """Mix clips, or features of them, (B, ...) floating point, and their targets (B, K); None mixes nothing."""
    if midas is None:
        return Mixed(clips, targets, *_unmixed(targets))
    return midas(clips, targets, generator=mixing)


def _unmixed(targets: Tensor) -> tuple[Tensor, Tensor]:
    """λ and partners that mix nothing."""
    own = torch.arange(len(targets), device=targets.device)
    return torch.ones_like(own, dtype=torch.float32), own
