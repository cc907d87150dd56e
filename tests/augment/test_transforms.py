"""Augmentation: the same for every frame of a clip, in range, and each part does what its name says."""

from __future__ import annotations

from dataclasses import fields

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from dfer import Augment, DferError
from dfer.augment.transforms import disc_kernels, line_kernels

EVERYTHING = Augment(
    crop=(0.5, 1.0), flip=0.5, rotation=10, colour=0.3, grey=0.3, erase=0.5, motion_blur=0.4, defocus=0.4
)


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def still_clips(size: int, frames: int = 4) -> torch.Tensor:
    """Clips whose frames are all the same picture."""
    picture = torch.rand(size, 3, 1, 24, 24, generator=generator(1))
    return picture.expand(-1, -1, frames, -1, -1).contiguous()


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 10_000), size=st.sampled_from([16, 24, 40]))
def test_all_frames_of_a_clip_are_treated_alike_and_stay_in_range(seed: int, size: int) -> None:
    clips = still_clips(6)
    before = clips.clone()
    moved = EVERYTHING(clips, size=size, generator=generator(seed))
    assert moved.shape == (6, 3, 4, size, size)
    assert torch.allclose(moved, moved[:, :, :1].expand_as(moved), atol=1e-5)
    assert moved.min() >= 0 and moved.max() <= 1 + 1e-5
    assert torch.equal(clips, before)


def test_clips_are_treated_each_in_its_own_way() -> None:
    clips = still_clips(1).expand(8, -1, -1, -1, -1)
    moved = Augment(crop=(0.5, 0.9))(clips, generator=generator())
    assert len({round(float(clip.sum()), 3) for clip in moved}) == 8


def test_nothing_switched_on_changes_nothing() -> None:
    clips = still_clips(3)
    assert torch.equal(Augment()(clips), clips)


def test_the_same_generator_gives_the_same_clips() -> None:
    clips = still_clips(5)
    first, again, other = (EVERYTHING(clips, generator=generator(seed)) for seed in (1, 1, 2))
    assert torch.equal(first, again) and not torch.equal(first, other)


def test_switching_one_part_off_leaves_the_others_draws_alone() -> None:
    clips = still_clips(6)
    with_erasing = Augment(crop=(0.5, 0.9), flip=0.5, erase=1.0)(clips, generator=generator())
    without = Augment(crop=(0.5, 0.9), flip=0.5)(clips, generator=generator())
    same = (with_erasing == without).float().mean()
    assert 0.6 < same < 1


def test_a_flip_mirrors_left_and_right() -> None:
    clips = still_clips(4)
    assert torch.allclose(Augment(flip=1.0)(clips), clips.flip(-1), atol=1e-5)


def test_a_crop_of_a_ramp_is_a_shorter_ramp() -> None:
    ramp = torch.linspace(0, 1, 64).expand(16, 1, 2, 64, 64)
    spans = [
        float(clip.max() - clip.min()) for clip in Augment(crop=(0.25, 0.25), aspect=1.0)(ramp, generator=generator())
    ]
    assert all(abs(span - 0.5) < 0.03 for span in spans)  # a quarter of the area is half of the width


def test_resizing_alone_keeps_the_picture() -> None:
    ramp = torch.linspace(0, 1, 64).expand(1, 3, 2, 64, 64)
    small = Augment()(ramp, size=32)
    assert torch.allclose(small[0, 0, 0, 0], ramp[0, 0, 0, 0].view(32, 2).mean(dim=1), atol=1e-3)


def test_grey_clips_have_one_colour_and_the_luma_of_the_clip() -> None:
    clips = still_clips(3)
    grey = Augment(grey=1.0)(clips)
    assert torch.allclose(grey[:, :1].expand_as(grey), grey)
    luma = 0.299 * clips[:, 0] + 0.587 * clips[:, 1] + 0.114 * clips[:, 2]
    assert torch.allclose(grey[:, 0], luma, atol=1e-6)


def test_blur_takes_detail_away_and_keeps_the_mean() -> None:
    clips = still_clips(4)
    for blur in (Augment(motion_blur=1.0), Augment(defocus=1.0)):
        blurred = blur(clips, generator=generator())
        kept = blurred.std(dim=(1, 2, 3, 4)) / clips.std(dim=(1, 2, 3, 4))
        assert (kept < 1.001).all() and kept.mean() < 0.8  # a disc smaller than a pixel takes nothing
        assert torch.allclose(blurred.mean(dim=(1, 2, 3, 4)), clips.mean(dim=(1, 2, 3, 4)), atol=0.03)


def test_motion_blur_runs_along_its_line_only() -> None:
    kernel = line_kernels(torch.tensor([7.0]), torch.tensor([0.0]), 64)[0]
    middle = kernel.shape[0] // 2
    assert kernel[middle].sum() > 0.999 and (kernel[middle] > 0).sum() >= 7
    upright = line_kernels(torch.tensor([7.0]), torch.tensor([torch.pi / 2]), 64)[0]
    assert torch.allclose(upright, kernel.T, atol=1e-6)


@settings(max_examples=25, deadline=None)
@given(extent=st.floats(0.1, 20), angle=st.floats(0, 3.14))
def test_kernels_sum_to_one_and_are_symmetric(extent: float, angle: float) -> None:
    for kernels in (
        line_kernels(torch.tensor([extent]), torch.tensor([angle]), 64),
        disc_kernels(torch.tensor([extent]), 64),
    ):
        assert abs(float(kernels.sum()) - 1) < 1e-5 and (kernels >= 0).all()
        assert torch.allclose(kernels, kernels.flip(1, 2), atol=1e-5)


def test_erasing_fills_one_rectangle_with_the_clips_mean() -> None:
    clips = still_clips(12)
    erased = Augment(erase=1.0)(clips, generator=generator())
    hole = (erased != clips).any(dim=1)
    assert torch.equal(hole, hole[:, :1].expand_as(hole))
    share = hole[:, 0].float().mean(dim=(1, 2))
    assert (share > 0).all() and (share < 0.3).all()


def test_settings_out_of_range_are_refused() -> None:
    for wrong in (
        {"crop": (0.0, 1.0)},
        {"crop": (0.9, 0.5)},
        {"flip": 1.5},
        {"colour": 1.0},
        {"aspect": 0.5},
    ):
        with pytest.raises(DferError, match="augment"):
            Augment(**wrong)
    with pytest.raises(DferError, match="float clips"):
        Augment()(torch.zeros(1, 3, 2, 8, 8, dtype=torch.uint8))


def test_every_part_is_off_by_default() -> None:
    switches = {field.name: field.default for field in fields(Augment)} | {
        "crop": 0,
        "aspect": 0,
        "blur_size": 0,
    }
    assert set(switches.values()) <= {0.0}
