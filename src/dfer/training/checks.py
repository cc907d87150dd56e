"""What is refused or decided before the first step of a run."""

from __future__ import annotations

import logging

import torch
from torch import nn

from dfer.datasets import Manifest
from dfer.errors import DferError, listed
from dfer.training.choosing import Rows
from dfer.training.config import Recipe
from dfer.training.gradients import choose_precision
from dfer.training.precision import Precision

logger = logging.getLogger(__name__)

PROVED_CLIPS = 2
"""Clips on which gradients are proved: whether they are right depends on the sizes within a clip."""


def require_selection(recipe: Recipe, manifest: Manifest, validation: Rows) -> None:
    """Refuse, before an epoch is trained, to choose by a score that the validation part cannot give."""
    wanted = recipe.selection
    voted, labelled = manifest.votes[validation].sum(axis=1) > 0, manifest.labels[validation] >= 0
    if wanted != "last" and not (voted if wanted == "val_kl" else labelled).any():
        needed = "votes" if wanted == "val_kl" else "single labels"
        raise DferError(
            f'selection = "{wanted}" needs a validation part with {needed}; set data.validation or use "last"'
        )


def require_even_batches(recipe: Recipe, clips: int, processes: int) -> None:
    """Each process must get an equal share of each batch, or its clips would weigh more than others'."""
    batch = min(recipe.optim.batch, clips)
    if batch % processes:
        raise DferError(
            f"a batch of {batch} clips cannot be shared evenly by {processes} processes; set optim.batch to a "
            f"multiple of {processes}, of at most the {clips} clips of the training part"
        )


def proved_precision(recipe: Recipe, network: nn.Module, *, batch: int, device: torch.device) -> Precision:
    """The precision of the recipe, or fp32 where the gradients in that would be wrong.

    Args:
        recipe: what it asks for.
        network: on the device.
        batch: the most clips that it is shown at once.
        device: of the training.
    """
    shown = recipe.input
    shape = (min(batch, PROVED_CLIPS), shown.channels, shown.frames, shown.size, shown.size)
    precision, wrong = choose_precision(recipe.optim.precision, network, torch.zeros(shape, device=device))
    if wrong:
        logger.warning("training in fp32: the bf16 gradients of %s are wrong on this machine", listed(wrong))
    return precision
