"""Frames in other orders: the same pictures, nothing added, and the peak where it is."""

from __future__ import annotations

import numpy as np
import pytest

from dfer.video.orders import ORDERS


def clip(values: list[int]) -> np.ndarray:
    return np.stack([np.full((4, 5, 3), value, np.uint8) for value in values])


def told(frames: np.ndarray) -> list[int]:
    return frames[:, 0, 0, 0].tolist()


def test_shuffled_frames_are_the_same_frames_in_an_order_that_is_drawn() -> None:
    frames = clip(list(range(20)))
    one, other, again = (ORDERS["shuffled"](frames, np.random.default_rng(seed)) for seed in (1, 2, 1))
    assert sorted(told(one)) == list(range(20)) and told(one) != list(range(20)) and told(one) != told(other)
    assert np.array_equal(one, again)


def test_reversed_twice_is_as_it_was() -> None:
    frames, turn = clip([3, 1, 4, 1, 5]), ORDERS["reversed"]
    assert told(turn(frames, np.random.default_rng(0))) == [5, 1, 4, 1, 3]
    assert np.array_equal(turn(turn(frames, np.random.default_rng(0)), np.random.default_rng(0)), frames)


def test_the_peak_is_the_frame_furthest_from_the_mean() -> None:
    # the mean of 10, 10, 90, 20, 10 is 28, which 90 is furthest from
    assert told(ORDERS["peak repeated"](clip([10, 10, 90, 20, 10]), np.random.default_rng(0))) == [90] * 5
    assert told(ORDERS["peak repeated"](clip([200, 200, 30, 200]), np.random.default_rng(0))) == [30] * 4


@pytest.mark.parametrize("order", ORDERS)
def test_the_input_is_not_touched_and_one_frame_stays(order: str) -> None:
    frames = clip([7, 8, 9])
    before = frames.copy()
    found = ORDERS[order](frames, np.random.default_rng(0))
    found[:] = 0
    assert np.array_equal(frames, before)
    assert told(ORDERS[order](clip([7]), np.random.default_rng(0))) == [7]
