"""Two ways to apply what was drawn, to floats by torch and to uint8 frames by OpenCV, give the same pictures."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from dfer import Augment, midas
from dfer.augment.frames import mixed_floats, on_frames
from dfer.augment.tensors import on_tensors

CLIPS, FRAMES = 6, 3
PARTS: dict[str, dict[str, Any]] = {
    "crop": {"crop": (0.4, 1.0)},
    "flip": {"flip": 0.5},
    "rotation": {"rotation": 20.0},
    "colour": {"colour": 0.4},
    "grey": {"grey": 0.5},
    "erase": {"erase": 0.7},
    "blur": {"motion_blur": 0.5, "defocus": 0.4},
}
PARTS["everything"] = {name: value for part in list(PARTS.values()) for name, value in part.items()}


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def soft_frames(height: int, width: int, channels: int, seed: int = 0) -> np.ndarray[Any, np.dtype[np.uint8]]:
    """(B, T, H, W, C): pictures without detail finer than six pixels, as faces mostly are."""
    coarse = np.random.default_rng(seed).uniform(0, 255, (CLIPS, FRAMES, height // 6 + 2, width // 6 + 2, channels))
    large = [[cv2.resize(frame, (width, height), interpolation=cv2.INTER_CUBIC) for frame in clip] for clip in coarse]
    return np.array(large).reshape(CLIPS, FRAMES, height, width, channels).clip(0, 255).astype(np.uint8)


def both(
    frames: np.ndarray[Any, np.dtype[np.uint8]], augment: Augment, size: int, seed: int = 0
) -> tuple[torch.Tensor, torch.Tensor]:
    """What each way makes of the same draws, (B, C, T, size, size), grey levels."""
    drawn = augment.draw(CLIPS, generator(seed))
    floats = torch.from_numpy(frames).permute(0, 4, 1, 2, 3).float() / 255
    out = torch.empty(CLIPS, frames.shape[-1], FRAMES, size, size, dtype=torch.uint8)
    on_frames(list(frames), drawn, size, out=out)
    return on_tensors(floats, drawn, size) * 255, out.float()


@pytest.mark.parametrize("part", PARTS)
@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize(("height", "width", "size"), [(60, 60, 42), (40, 40, 40), (48, 66, 36), (66, 49, 56)])
def test_the_same_draws_give_the_same_pictures(part: str, channels: int, height: int, width: int, size: int) -> None:
    frames = soft_frames(height, width, channels)
    before = frames.copy()
    floats, bytes_ = both(frames, Augment(**PARTS[part]), size)
    difference = (floats - bytes_).abs()
    assert difference.mean() < 0.75 and difference.flatten(1).mean(dim=1).max() < 1.5
    assert np.array_equal(frames, before)


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 10**6), channels=st.sampled_from([1, 3]), size=st.integers(16, 64))
def test_they_do_whatever_is_drawn(seed: int, channels: int, size: int) -> None:
    floats, bytes_ = both(soft_frames(54, 48, channels, seed), Augment(**PARTS["everything"]), size, seed)
    assert (floats - bytes_).abs().mean() < 1.5


def test_a_mirror_alone_is_exact() -> None:
    frames = soft_frames(30, 30, 3)
    _, bytes_ = both(frames, Augment(flip=1.0), 30)
    assert np.array_equal(bytes_.permute(0, 2, 3, 4, 1).numpy(), frames[:, :, :, ::-1])


def test_contrast_is_around_the_mean_of_the_clip_and_brightness_multiplies() -> None:
    frames = np.zeros((CLIPS, FRAMES, 20, 20, 3), np.uint8)
    frames[:, :, :10], frames[:, :, 10:] = 60, 100
    augment = Augment(colour=0.3)
    drawn = augment.draw(CLIPS, generator())
    _, bytes_ = both(frames, augment, 20)
    for row, (brightness, contrast) in enumerate(zip(drawn.brightness.tolist(), drawn.contrast.tolist(), strict=True)):
        assert bytes_[row, :, :, 0, 0].mean().item() == pytest.approx(brightness * (80 - 20 * contrast), abs=0.6)
        assert bytes_[row, :, :, 15, 0].mean().item() == pytest.approx(brightness * (80 + 20 * contrast), abs=0.6)


@pytest.mark.parametrize(("mean", "std"), [((0.0,), (1.0,)), ((0.45, 0.4, 0.35), (0.2, 0.25, 0.3))])
def test_the_last_pass_mixes_as_midas_and_normalises(mean: tuple[float, ...], std: tuple[float, ...]) -> None:
    planes = torch.randint(0, 256, (CLIPS, 3, FRAMES, 9, 7), generator=generator(), dtype=torch.uint8)
    lam, partner = torch.linspace(0, 1, CLIPS), torch.randperm(CLIPS, generator=generator())
    out = torch.empty(planes.shape)
    mixed_floats(planes, lam, partner, mean=mean, std=std, out=out)
    expected = midas(planes.float() / 255, torch.eye(CLIPS), lam, partner).clips
    expected = (expected - torch.tensor(mean).view(-1, 1, 1, 1)) / torch.tensor(std).view(-1, 1, 1, 1)
    assert torch.allclose(out, expected, atol=1e-5)
