"""Augmentation: the same for every frame of a clip, in range, and each part does what its name says."""

from __future__ import annotations

import math
from dataclasses import fields

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from dfer import Augment, DferError
from dfer.augment.kernels import disc_kernels, line_kernels

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


WIDE, TALL = (24, 60), (60, 24)


def bar(shape: tuple[int, int], angle: float) -> torch.Tensor:
    """A soft bar (standard deviations of 1.5 and 2.5 pixels) in the middle of a dark frame, (1, 1, 1, H, W)."""
    height, width = shape
    y, x = torch.meshgrid(torch.arange(height) - (height - 1) / 2, torch.arange(width) - (width - 1) / 2, indexing="ij")
    along, across = x * math.cos(angle) + y * math.sin(angle), y * math.cos(angle) - x * math.sin(angle)
    return torch.exp(-(along**2) / (2 * 2.5**2) - across**2 / (2 * 1.5**2))[None, None, None]


def spreads(picture: torch.Tensor) -> tuple[list[float], float]:
    """Variances along a blob's own axes, pixels squared, ascending, and the direction of the longer one, degrees."""
    y, x = torch.meshgrid(*(torch.arange(float(side)) for side in picture.shape), indexing="ij")
    places = torch.stack([x.flatten(), y.flatten()])
    covariance = torch.cov(places, aweights=picture.flatten().double(), correction=0)
    values, vectors = torch.linalg.eigh(covariance.double())
    return values.tolist(), math.degrees(math.atan2(float(vectors[1, 1]), float(vectors[0, 1]))) % 180


@pytest.mark.parametrize("shape", [WIDE, TALL, (40, 40)])
@pytest.mark.parametrize("angle", [0.0, 0.7, 2.0])
def test_a_rotation_turns_a_bar_and_neither_shears_nor_stretches_it(shape: tuple[int, int], angle: float) -> None:
    clips = bar(shape, angle).expand(16, -1, -1, -1, -1)
    turned = Augment(rotation=30)(clips, generator=generator())
    assert turned.shape == clips.shape
    turns = []
    for clip in turned:
        variances, direction = spreads(clip[0, 0])
        assert variances == pytest.approx([2.25, 6.25], rel=0.12)  # sampling between pixels blurs a little
        turns.append((direction - math.degrees(angle) + 90) % 180 - 90)
    assert max(map(abs, turns)) <= 31 and max(turns) > 10 and min(turns) < -10


@pytest.mark.parametrize("shape", [WIDE, TALL])
def test_clips_that_are_not_square_stay_so_where_no_size_is_asked_for(shape: tuple[int, int]) -> None:
    clips = torch.rand(5, 3, 2, *shape, generator=generator(1))
    assert torch.equal(Augment()(clips), clips)
    assert torch.allclose(Augment(flip=1.0)(clips), clips.flip(-1), atol=1e-5)
    assert EVERYTHING(clips, generator=generator()).shape == clips.shape


@pytest.mark.parametrize("shape", [WIDE, TALL])
def test_of_clips_that_are_not_square_a_size_takes_the_centre_square(shape: tuple[int, int]) -> None:
    clips = torch.rand(2, 3, 2, *shape, generator=generator(1))
    top, left = (shape[0] - 24) // 2, (shape[1] - 24) // 2
    square = clips[..., top : top + 24, left : left + 24]
    assert torch.allclose(Augment()(clips, size=24), square, atol=1e-5)
    smaller = torch.nn.functional.avg_pool3d(square, (1, 2, 2))  # bilinear halving is the mean of four pixels
    assert torch.allclose(Augment()(clips, size=12), smaller, atol=1e-5)


@pytest.mark.parametrize("shape", [WIDE, TALL])
def test_a_crop_of_a_frame_that_is_not_square_keeps_its_shape(shape: tuple[int, int]) -> None:
    for axis, length in enumerate(shape):
        steps = torch.linspace(0, 1, length)
        ramp = (steps[:, None] if axis == 0 else steps[None, :]).expand(8, 1, 2, *shape)
        for clip in Augment(crop=(0.25, 0.25), aspect=1.0)(ramp, generator=generator()):
            assert float(clip.max() - clip.min()) == pytest.approx(0.5, abs=0.06)  # half of either side


def test_both_kinds_of_blur_come_as_often_as_they_say_and_cannot_come_more_often_than_always() -> None:
    clips = still_clips(1).expand(4000, -1, -1, -1, -1)[..., :1, :, :]
    blurred = Augment(motion_blur=0.3, defocus=0.7, blur_size=0.5)(clips, generator=generator())
    changed = (blurred != clips).flatten(1).any(dim=1).float().mean()
    assert changed == pytest.approx(1, abs=0.01)  # all of them
    with pytest.raises(DferError, match=r"motion_blur \+ augment\.defocus <= 1, .* got 0\.8 and 0\.8"):
        Augment(motion_blur=0.8, defocus=0.8)


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
        {"aspect": float("nan")},
        {"aspect": float("inf")},
        {"rotation": -5.0},
        {"rotation": 181.0},
        {"rotation": float("nan")},
        {"crop": (0.5, 0.8, 1.0)},
        {"motion_blur": 0.6, "defocus": 0.5},
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


@pytest.mark.parametrize("scale", [(255.0, 0.0), (4.0, -2.0), (1.0, float("nan"))])
def test_clips_that_are_not_from_0_to_1_are_refused(scale: tuple[float, float]) -> None:
    clips = torch.rand(2, 3, 2, 8, 8, generator=torch.Generator().manual_seed(0)) * scale[0] + scale[1]
    with pytest.raises(DferError, match=r"expected clips in \[0, 1\], got .*; augment before anything is scaled"):
        Augment(colour=0.2)(clips)
