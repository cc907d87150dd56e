"""Quality against faces whose turn, blur and light are known."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from scipy.ndimage import laplace

from dfer.video.alignment import TEMPLATE, moved
from dfer.video.quality import MEASURED_AT, measure, pose, sharpness

from .people import smooth

HEAD = np.array([[-32, -35, 0], [32, -35, 0], [0, 0, 28], [-26, 32, -2], [26, 32, -2]], dtype=float)
"""A head's five landmarks, mm, x to the picture's right, y down, z to the camera."""


def seen(yaw: float = 0, roll: float = 0) -> np.ndarray:
    """The landmarks of a head turned to the picture's right and tilted clockwise, degrees."""
    turn, tilt = np.radians([yaw, roll])
    x = HEAD[:, 0] * np.cos(turn) + HEAD[:, 2] * np.sin(turn)
    flat = np.stack([x, HEAD[:, 1]], axis=1) @ np.array([[np.cos(tilt), np.sin(tilt)], [-np.sin(tilt), np.cos(tilt)]])
    return flat * 1.7 + [300, 200]


@pytest.mark.parametrize("roll", [-170, -90, -30, 0, 15, 80, 179])
def test_roll_is_the_angle_by_which_a_head_is_tilted(roll: float) -> None:
    assert pose(seen(roll=roll)) == pytest.approx((0, roll), abs=1e-6)


def test_yaw_grows_with_the_turn_whatever_the_tilt_and_has_its_sign() -> None:
    for roll in (0, 40, -120):
        turns = [pose(seen(yaw, roll))[0] for yaw in range(-60, 61, 5)]
        assert (np.diff(turns) > -1e-12).all() and turns[12] == pytest.approx(0, abs=1e-9)
        assert turns == pytest.approx([-turn for turn in turns[::-1]], abs=1e-9)
        assert turns[-1] > 0.9 and 0.3 < turns[-7] < 0.7


def test_a_profile_is_one_not_more() -> None:
    assert pose(seen(85))[0] == 1 and pose(seen(-89))[0] == -1


def test_sharpness_is_the_variance_of_the_laplacian() -> None:
    luma = smooth(MEASURED_AT, MEASURED_AT, 0)
    assert sharpness(luma) == pytest.approx(laplace(luma.astype(float), mode="mirror").var(), rel=1e-5)


def test_blur_and_enlargement_lower_sharpness() -> None:
    luma = smooth(112, 112, 0)
    blurred = [sharpness(cv2.GaussianBlur(luma, (0, 0), sigma)) for sigma in (0.5, 1, 2, 4)]
    assert sharpness(luma) > blurred[0] and (np.diff(blurred) < 0).all()
    assert sharpness(cv2.resize(cv2.resize(luma, (28, 28)), (112, 112))) < sharpness(luma) / 2
    assert sharpness(np.full((112, 112), 99, np.uint8)) == 0


@pytest.mark.parametrize("size", [24, 96, 224])
def test_a_crop_of_any_size_has_its_brightness_and_the_size_of_its_box(size: int) -> None:
    crop = np.full((size, size, 3), (255, 0, 0), np.uint8)
    found = measure(crop, np.array([0, 0, 30.0, 120.0]), moved(np.array([[9, 0, 5], [0, 9, 5]]), TEMPLATE))
    assert found.size == 60 and found.brightness == pytest.approx(0.299 * 255, abs=0.5)
    assert (found.yaw, found.roll, found.sharpness) == pytest.approx((0, 0, 0), abs=1e-6)
