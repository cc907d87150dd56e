"""Alignment against scipy's least squares, and pictures whose crops are known."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.optimize import least_squares

from dfer.video.alignment import TEMPLATE, TEMPLATE_IN_BOX, align, landmarks_in, moved, similarity

MIRRORED = [1, 0, 2, 4, 3]


def turned(angle: float, scale: float, x: float, y: float) -> np.ndarray:
    """A (2, 3) matrix: turn by degrees, scale, then move."""
    cosine, sine = scale * np.cos(np.radians(angle)), scale * np.sin(np.radians(angle))
    return np.array([[cosine, -sine, x], [sine, cosine, y]])


@given(st.floats(-180, 180), st.floats(0.1, 10), st.floats(-500, 500), st.floats(-500, 500))
def test_a_similarity_is_found_again(angle: float, scale: float, x: float, y: float) -> None:
    matrix = turned(angle, scale, x, y)
    assert similarity(TEMPLATE, moved(matrix, TEMPLATE)) == pytest.approx(matrix, abs=1e-6)


def test_no_other_turn_scale_and_move_brings_the_points_nearer() -> None:
    generator = np.random.default_rng(0)
    for _ in range(20):
        points, targets = generator.normal(size=(2, 5, 2))

        def misses(values: np.ndarray, points: np.ndarray = points, targets: np.ndarray = targets) -> np.ndarray:
            a, b, x, y = values
            return (points @ np.array([[a, b], [-b, a]]) + [x, y] - targets).ravel()

        a, b, x, y = least_squares(misses, [1, 0, 0, 0]).x
        assert similarity(points, targets) == pytest.approx(np.array([[a, -b, x], [b, a, y]]), abs=1e-5)


def test_a_mirrored_face_is_not_mirrored_back() -> None:
    matrix = similarity(TEMPLATE * [-1, 1], TEMPLATE)
    assert np.linalg.det(matrix[:, :2]) > 0


def test_the_templates_are_symmetric_and_lie_inside() -> None:
    for template in (TEMPLATE, TEMPLATE_IN_BOX):
        assert (template > 0).all() and (template < 1).all()
        assert template[MIRRORED] * [-1, 1] + [1, 0] == pytest.approx(template)


def chart(side: int) -> np.ndarray:
    """A smooth colour chart, so that interpolation hardly matters."""
    y, x = np.mgrid[0:side, 0:side] / side
    waves = [np.sin(5 * x + 2 * y), np.cos(4 * y - x), np.sin(3 * x * y + 1)]
    return np.stack([127 + 120 * wave for wave in waves], axis=-1).astype(np.uint8)


@pytest.mark.parametrize("size", [32, 112, 300])
@pytest.mark.parametrize("angle", [0, 30, -75, 180])
@pytest.mark.parametrize("scale", [0.15, 0.4, 1.0, 2.5])
def test_a_turned_face_of_any_size_gives_the_crop_of_the_upright_one(size: int, angle: float, scale: float) -> None:
    upright = chart(200)
    # Around the middle of a large picture, the chart turned and scaled; its landmarks with it.
    side = round(200 * scale * 1.6) + 20
    middle = turned(angle, scale, 0, 0)
    middle[:, 2] = side / 2 - middle[:, :2] @ [100, 100]
    frame = cv2.warpAffine(upright, middle, (side, side), flags=cv2.INTER_AREA, borderMode=cv2.BORDER_REPLICATE)
    crop = align(frame, moved(middle, TEMPLATE * 200), size)
    expected = cv2.resize(upright, (size, size), interpolation=cv2.INTER_AREA)
    inside = slice(size // 6, -size // 6)
    assert crop.shape == (size, size, 3) and crop.dtype == np.uint8
    assert np.abs(crop.astype(int) - expected)[inside, inside].mean() < 5


def test_a_large_face_is_averaged_not_skipped_over() -> None:
    stripes = np.zeros((1200, 1200, 3), np.uint8)
    stripes[:, ::2] = 255
    crop = align(stripes, TEMPLATE * 1200, 60)
    assert np.abs(crop.astype(int) - 128).max() <= 2


def test_beyond_the_edge_the_border_is_drawn_on() -> None:
    frame = np.full((50, 50, 3), 90, np.uint8)
    for corner in (-70, -30, 40, 400):
        for face in (20, 100, 900):
            assert (align(frame, TEMPLATE * face + corner, 48) == 90).all()


def test_landmarks_in_a_box_are_its_shares() -> None:
    assert landmarks_in(np.array([100.0, 50.0, 200.0, 300.0]))[2] == pytest.approx([200, 50 + 0.591 * 300])
