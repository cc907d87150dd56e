"""Flow against motions that were drawn, and cuts against pictures that are and are not of one scene."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from dfer.video.flow import Grey, is_cut, motions, moved_box

from .people import smooth

BOX = np.array([200.0, 120.0, 120.0, 150.0])


def scene(seed: int = 0, height: int = 400, width: int = 600) -> np.ndarray:
    """A colour picture with structures of some pixels."""
    return np.stack([smooth(height, width, 3 * seed + channel) for channel in range(3)], axis=-1)


def warped(frame: np.ndarray, matrix: np.ndarray) -> np.ndarray:
    return cv2.warpAffine(frame, matrix, frame.shape[1::-1], flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)


@pytest.mark.parametrize(
    ("angle", "scale", "x", "y"), [(0, 1, 3, -2), (4, 1, 0, 0), (0, 1.05, 0, 0), (-3, 0.96, -5, 4)]
)
def test_a_motion_is_the_one_that_was_drawn(angle: float, scale: float, x: float, y: float) -> None:
    matrix = np.array([[0, 0, x], [0, 0, y]]) + cv2.getRotationMatrix2D((260, 195), angle, scale)
    one = scene()
    (found,) = motions(Grey(one), Grey(warped(one, matrix)), [BOX])
    corners = np.array([[200, 120], [320, 120], [320, 270], [200, 270], [260, 195]], float)
    assert found is not None
    assert corners @ found[:, :2].T + found[:, 2] == pytest.approx(corners @ matrix[:, :2].T + matrix[:, 2], abs=0.5)


def test_each_face_has_its_own_motion() -> None:
    one = scene()
    other = one.copy()
    other[103:253, 45:165], other[200:350, 395:515] = one[100:250, 40:160], one[200:350, 400:520]
    boxes = [np.array([40.0, 100, 120, 150]), np.array([400.0, 200, 120, 150])]
    first, second = motions(Grey(one), Grey(other), boxes)
    assert first is not None and second is not None
    assert moved_box(first, boxes[0])[:2] == pytest.approx([45, 103], abs=0.5)
    assert moved_box(second, boxes[1])[:2] == pytest.approx([395, 200], abs=0.5)


def test_a_face_that_is_not_there_any_more_is_lost() -> None:
    one, other = scene(), scene(5)
    outside = np.array([590.0, 380.0, 120.0, 150.0])
    assert motions(Grey(one), Grey(other), [BOX]) == [None]
    assert motions(Grey(one), Grey(one), [outside]) == [None]
    assert motions(Grey(one), Grey(one), []) == []


def test_a_face_is_followed_while_most_of_it_is_seen_and_lost_when_most_is_covered() -> None:
    one, cover = scene(), scene(7)
    for covered, followed in ((0.25, True), (0.75, False)):
        other = one.copy()
        other[:, : round(200 + 120 * covered)] = cover[:, : round(200 + 120 * covered)]
        (found,) = motions(Grey(one), Grey(other), [BOX])
        assert (found is not None) == followed


def test_a_box_moves_with_its_middle_and_scales_without_turning() -> None:
    matrix = cv2.getRotationMatrix2D((260, 195), 30, 2.0)
    assert moved_box(matrix, BOX) == pytest.approx([140, 45, 240, 300])


def coarse(seed: int = 0) -> np.ndarray:
    """A picture with structures of a sixth of its side."""
    values = np.random.default_rng(seed).integers(20, 180, (6, 9, 3), dtype=np.uint8)
    return cv2.resize(values, (600, 400), interpolation=cv2.INTER_CUBIC)


def cut(one: np.ndarray, other: np.ndarray) -> bool:
    return is_cut(Grey(one), Grey(other))


def test_another_scene_is_a_cut_in_both_directions() -> None:
    one, other = coarse(), coarse(5)
    assert cut(one, other) and cut(other, one)
    assert cut(one, np.zeros_like(one)) and cut(np.zeros_like(one), one)
    assert cut(one, cv2.resize(one, (320, 320))), "another size"


def test_motion_light_and_noise_are_no_cut() -> None:
    one = coarse()
    assert not cut(one, one) and not cut(one, warped(one, np.array([[1, 0, 9.0], [0, 1, 5]])))
    assert not cut(one, (one * 0.4).astype(np.uint8)) and not cut(one, 60 + one // 2), "a lamp goes off; a flash"
    noise = np.random.default_rng(0).integers(0, 3, one.shape, dtype=np.uint8)
    assert not cut(np.zeros_like(one), noise), "black, with a camera's noise"
