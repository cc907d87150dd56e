"""What a network is shown in training: the bytes' way and the floats' way draw the same, and mix as the recipe says."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
import pytest
import torch

from dfer.augment import Mixed
from dfer.training import to_network
from dfer.training.config import recipe_from
from dfer.training.showing import Showing

CLIPS = 5
INPUT = {"frames": 3, "size": 24, "mean": [0.4, 0.5, 0.6], "std": [0.2, 0.25, 0.3]}
AUGMENT = {"crop": [0.5, 1.0], "flip": 0.5, "rotation": 10, "colour": 0.2, "grey": 0.2, "erase": 0.5, "defocus": 0.5}
MIXES: list[Any] = [
    "off", {"alpha": 0.8}, {"alpha": 0.8, "softmax": 0.5}, {"keep_real": True}, {"blend": "spatial"},
    {"layer": "hidden"}, {"per": "batch", "prob": 0.5},
]  # fmt: skip


def soft_clips() -> list[torch.Tensor]:
    """CLIPS of (C, T, H, W) uint8, as they are read: colours side by side in memory."""
    coarse = np.random.default_rng(0).uniform(0, 255, (CLIPS, 3, 7, 7, 3))
    frames = np.array(
        [[cv2.resize(frame, (36, 36), interpolation=cv2.INTER_CUBIC) for frame in clip] for clip in coarse]
    )
    return [torch.from_numpy(clip.clip(0, 255).astype(np.uint8)).permute(3, 0, 1, 2) for clip in frames]


def targets() -> torch.Tensor:
    return torch.softmax(torch.randn(CLIPS, 4, generator=torch.Generator().manual_seed(0)), dim=1)


def shown(showing: Showing, midas: Any, clips: Any = None, seed: int = 1) -> Mixed:
    augmenting, mixing = torch.Generator().manual_seed(seed), torch.Generator().manual_seed(seed + 1)
    return showing(soft_clips() if clips is None else clips, targets(), midas, augmenting=augmenting, mixing=mixing)


@pytest.mark.parametrize("mix", MIXES, ids=str)
def test_clips_are_augmented_normalised_and_mixed_as_the_parts_do_it_one_by_one(mix: Any) -> None:
    recipe = recipe_from({"input": INPUT, "augment": AUGMENT, "midas": mix})
    augmenting, mixing = torch.Generator().manual_seed(1), torch.Generator().manual_seed(2)
    floats = torch.stack(soft_clips()).float() / 255
    expected = recipe.augment(floats, size=24, generator=augmenting)
    labels = targets()
    if recipe.midas:
        mixed = recipe.midas(expected, labels, generator=mixing)
        expected, labels = mixed.clips, mixed.targets
    found = shown(Showing(recipe), recipe.midas)
    assert torch.equal(found.targets, labels) and found.clips.shape == expected.shape
    std = torch.tensor(INPUT["std"]).view(-1, 1, 1, 1)
    grey_levels = (found.clips - to_network(expected, recipe.input)).abs() * std * 255
    assert grey_levels.mean() < 1.5


def test_one_tensor_is_shown_as_the_clips_that_it_is_made_of() -> None:
    recipe = recipe_from({"input": INPUT, "augment": AUGMENT})
    together = torch.stack([clip.permute(1, 2, 3, 0) for clip in soft_clips()]).permute(0, 4, 1, 2, 3)
    one, other = shown(Showing(recipe), None).clips, shown(Showing(recipe), None, together).clips
    assert torch.equal(one, other)


def test_what_is_shown_depends_on_the_generators_and_not_on_the_batches_before() -> None:
    recipe = recipe_from({"input": INPUT, "augment": AUGMENT, "midas": {"alpha": 0.8}})
    showing = Showing(recipe)
    shown(showing, recipe.midas, seed=8)
    shown(showing, recipe.midas, soft_clips()[:5], seed=9)
    again = shown(showing, recipe.midas).clips
    assert torch.equal(again, shown(Showing(recipe), recipe.midas).clips)
    assert not torch.equal(again, shown(Showing(recipe), recipe.midas, seed=7).clips)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
@pytest.mark.parametrize("mix", MIXES, ids=str)
def test_a_gpu_shows_the_same(mix: Any) -> None:
    recipe = recipe_from({"input": INPUT, "augment": AUGMENT, "midas": mix})
    augmenting, mixing = torch.Generator().manual_seed(1), torch.Generator().manual_seed(2)
    clips, labels = torch.stack(soft_clips()).cuda(), targets().cuda()
    found = Showing(recipe)(clips, labels, recipe.midas, augmenting=augmenting, mixing=mixing)
    expected = shown(Showing(recipe), recipe.midas)
    assert torch.allclose(found.targets.cpu(), expected.targets, atol=1e-6)
    assert (found.clips.cpu() - expected.clips).abs().mean() < 1.5 / 255 / min(INPUT["std"])
