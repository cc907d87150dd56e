"""Flags of a face's picture, one for each thing that may be wrong."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from dfer.inference.flaws import flaws_of, names, weights
from dfer.video.quality import Quality

GOOD = Quality(size=120, sharpness=200, brightness=120, yaw=0.1, roll=20)


@pytest.mark.parametrize(
    ("change", "flag"),
    [({}, ""), ({"size": 20}, "small"), ({"sharpness": 3}, "blurred"), ({"brightness": 12}, "dark"),
     ({"yaw": 0.9}, "turned"), ({"yaw": -0.9}, "turned"), ({"roll": 90}, ""), ({"size": 20, "yaw": 1}, "small turned")],
)  # fmt: skip
def test_each_flaw_has_its_flag(change: dict[str, float], flag: str) -> None:
    assert names(flaws_of(replace(GOOD, **change))) == flag


def test_each_flaw_halves_the_weight() -> None:
    assert weights(np.array([0, 1, 8, 5, 15], dtype=np.uint8)).tolist() == [1, 0.5, 0.5, 0.25, 0.0625]
