"""Corruptions: five strengths each, stronger as they say, the same from the same generator."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from dfer import DferError
from dfer.video.corruptions import CORRUPTIONS, COVERED, DROPPED, LIGHT, SEVERITIES, corrupt

Frames = NDArray[np.uint8]


def picture(channels: int = 3, size: int = 64, frames: int = 12) -> Frames:
    """Smooth shapes and edges that move a little."""
    rows, columns = np.mgrid[:size, :size]
    clip = np.zeros((frames, size, size, channels), np.uint8)
    for time in range(frames):
        disc = np.hypot(rows - size / 2, columns - size / 2 - time) < size / 4
        for channel in range(channels):
            clip[time, ..., channel] = np.where(disc, 220 - 30 * channel, 60 + 20 * channel + rows // 2)
    return clip


def error(frames: Frames, severity: int, name: str) -> float:
    changed = corrupt(frames, name, severity, np.random.default_rng(3)).astype(float)
    return float(((changed - frames) ** 2).mean())


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("name", sorted(CORRUPTIONS))
def test_each_severity_is_stronger_than_the_one_before_and_shape_and_input_stay(name: str, channels: int) -> None:
    frames = picture(channels, frames=40)
    before = frames.copy()
    errors = [error(frames, severity, name) for severity in SEVERITIES]
    assert errors[0] > 0 and errors == sorted(errors)
    assert np.array_equal(frames, before)
    changed = corrupt(frames, name, 5, np.random.default_rng(0))
    assert changed.shape == frames.shape and changed.dtype == np.uint8
    assert np.array_equal(changed, corrupt(frames, name, 5, np.random.default_rng(0)))


@pytest.mark.parametrize("name", sorted(CORRUPTIONS))
def test_tiny_and_oblong_frames_are_taken(name: str) -> None:
    for shape in ((1, 5, 9, 1), (2, 1, 1, 3), (1, 48, 48, 1)):
        frames = np.full(shape, 100, np.uint8)
        assert corrupt(frames, name, 5, np.random.default_rng(0)).shape == shape


@pytest.mark.parametrize("name", ["motion_blur", "defocus"])
def test_blur_keeps_the_light_and_spreads_a_point_as_far_as_it_says(name: str) -> None:
    frames = np.zeros((1, 101, 101, 1), np.uint8)
    frames[0, 50, 50] = 255
    spread = CORRUPTIONS[name](np.repeat(frames, 1, axis=0), 5, np.random.default_rng(0)) > 0
    rows, columns = np.nonzero(spread[0, ..., 0])
    extent = max(np.hypot(np.ptp(rows), np.ptp(columns)), 1)
    assert 0.15 * 101 <= extent <= 0.45 * 101
    flat = np.full((1, 40, 40, 3), 117, np.uint8)
    assert np.array_equal(corrupt(flat, name, 5, np.random.default_rng(0)), flat)


def test_motion_blur_is_a_line_and_defocus_a_disc() -> None:
    frames = np.zeros((1, 101, 101, 1), np.uint8)
    frames[0, 48:53, 48:53] = 255
    thickness = {}
    for name in ("motion_blur", "defocus"):
        points = np.argwhere(corrupt(frames, name, 5, np.random.default_rng(2))[0, ..., 0] > 3)
        thickness[name] = np.sqrt(np.linalg.eigvalsh(np.cov(points.T)))
    assert thickness["motion_blur"][1] > 2.5 * thickness["motion_blur"][0]
    assert thickness["defocus"][1] < 1.2 * thickness["defocus"][0]


def test_low_resolution_of_a_chequered_picture_is_grey() -> None:
    chequered = (np.indices((60, 60)).sum(axis=0) % 2 * 255).astype(np.uint8)[None, ..., None]
    assert np.ptp(corrupt(chequered, "low_resolution", 5, np.random.default_rng(0))[0, 8:-8, 8:-8]) < 60


def test_noise_has_the_deviation_it_says_and_differs_from_frame_to_frame() -> None:
    noisy = corrupt(np.full((4, 64, 64, 3), 128, np.uint8), "noise", 2, np.random.default_rng(0)).astype(float)
    assert np.isclose(noisy.std(), 0.08 * 255, rtol=0.03) and not np.array_equal(noisy[0], noisy[1])


def test_compression_is_that_of_a_jpeg_and_keeps_red_red() -> None:
    red = np.zeros((1, 32, 32, 3), np.uint8)
    red[..., 0] = 250
    pressed = corrupt(red, "compression", 3, np.random.default_rng(0))
    assert pressed[0, 16, 16, 0] > 200 and pressed[0, 16, 16, 2] < 60
    frames = picture(1, frames=1)
    _, code = cv2.imencode(".jpg", frames[0], [cv2.IMWRITE_JPEG_QUALITY, 15])
    expected = cv2.imdecode(code, cv2.IMREAD_GRAYSCALE)
    assert np.array_equal(corrupt(frames, "compression", 3, np.random.default_rng(0))[0, ..., 0], expected)


@pytest.mark.parametrize("severity", SEVERITIES)
def test_darkness_leaves_the_light_it_says(severity: int) -> None:
    dark = corrupt(np.full((2, 64, 64, 1), 200, np.uint8), "darkness", severity, np.random.default_rng(0))
    assert np.isclose(dark.mean(), 200 * LIGHT[severity - 1], rtol=0.03)


@pytest.mark.parametrize("severity", SEVERITIES)
def test_occlusion_covers_one_rectangle_of_the_share_it_says_in_all_frames(severity: int) -> None:
    covered = corrupt(np.full((3, 80, 80, 3), 7, np.uint8), "occlusion", severity, np.random.default_rng(5)) == 128
    assert (covered == covered[0]).all()
    rows, columns = np.nonzero(covered[0, ..., 0])
    assert covered[0, ..., 0].sum() == (np.ptp(rows) + 1) * (np.ptp(columns) + 1)
    assert np.isclose(covered.mean(), COVERED[severity - 1], atol=0.02)


def test_a_dropped_frame_shows_the_last_one_that_arrived() -> None:
    frames = np.broadcast_to(np.arange(200, dtype=np.uint8)[:, None, None, None], (200, 2, 2, 1))
    for severity in SEVERITIES:
        shown = corrupt(frames, "dropped_frames", severity, np.random.default_rng(0))[:, 0, 0, 0].astype(int)
        assert shown[0] == 0 and (np.diff(shown) >= 0).all() and (shown <= np.arange(200)).all()
        assert np.isclose((shown != np.arange(200)).mean(), DROPPED[severity - 1], atol=0.1)


@pytest.mark.parametrize(
    ("name", "severity", "frames", "said"),
    [
        ("motion_blurr", 1, picture(), "no corruption 'motion_blurr' (did you mean 'motion_blur'?)"),
        ("noise", 6, picture(), "expected a severity from 1 to 5, got 6"),
        ("noise", 1, picture().astype(float), "expected frames (T, H, W, C) of uint8, got float64"),
        ("noise", 1, picture()[:0], "expected frames (T, H, W, C) of uint8"),
    ],
)
def test_what_cannot_be_corrupted_is_one_sentence(name: str, severity: int, frames: Frames, said: str) -> None:
    with pytest.raises(DferError) as caught:
        corrupt(frames, name, severity, np.random.default_rng(0))
    assert said in str(caught.value)
