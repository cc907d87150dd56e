"""What a network sees: the centre square, its size, grey by BT.601, and settings that cannot be."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dfer.errors import DferError
from dfer.video import Preprocessing, open_clip, resize_square

from .films import noise, write_video


@pytest.mark.parametrize(
    ("height", "width", "rows", "columns"),
    [
        (20, 32, slice(0, 20), slice(6, 26)),
        (32, 20, slice(6, 26), slice(0, 20)),
        (21, 32, slice(0, 21), slice(5, 26)),
        (16, 16, slice(0, 16), slice(0, 16)),
    ],
)
def test_the_centre_square_is_cut_out(height: int, width: int, rows: slice, columns: slice) -> None:
    frames = noise(3, height, width)
    assert np.array_equal(resize_square(frames, min(height, width)), frames[:, rows, columns])


@settings(deadline=None)
@given(st.integers(1, 40), st.integers(1, 40), st.integers(8, 64), st.integers(0, 255), st.sampled_from([1, 3]))
def test_a_uniform_picture_stays_uniform_at_any_size(h: int, w: int, size: int, value: int, channels: int) -> None:
    resized = resize_square(np.full((2, h, w, channels), value, np.uint8), size)
    assert resized.shape == (2, size, size, channels) and resized.dtype == np.uint8 and (resized == value).all()


def test_halving_takes_the_mean_of_four_pixels() -> None:
    frames = noise(2, 32, 32)
    means = frames.reshape(2, 16, 2, 16, 2, 3).mean(axis=(2, 4))
    assert np.abs(resize_square(frames, 16) - means).max() <= 0.51


def test_doubling_interpolates_between_neighbours() -> None:
    ramp = np.broadcast_to(np.arange(0, 160, 10, dtype=np.uint8)[:, None], (1, 16, 16, 1))
    middle = resize_square(ramp, 32)[0, 16, 2:-2, 0].astype(int)
    assert set(np.diff(middle)) == {5}


def test_grey_is_the_luma_of_bt_601() -> None:
    frames = noise(3)
    red, green, blue = np.moveaxis(frames.astype(float), -1, 0)
    grey = resize_square(frames, 24, grey=True)
    assert grey.shape == (3, 24, 24, 1) and grey.dtype == np.uint8
    luma = 0.299 * red + 0.587 * green + 0.114 * blue
    assert np.abs(grey[..., 0] - luma[:, :, 4:28]).max() <= 0.51


def test_one_channel_is_grey_already() -> None:
    frames = noise(2)[..., :1]
    for size in (24, 16):
        assert np.array_equal(resize_square(frames, size, grey=True), resize_square(frames, size))


@pytest.mark.parametrize(("grey", "channels"), [(False, 3), (True, 1)])
def test_a_clip_is_read_in_the_size_and_colours_of_the_network(tmp_path: Path, grey: bool, channels: int) -> None:
    written = noise(5, 24, 32)
    clip = open_clip(write_video(tmp_path / "a.mkv", written), "video")
    preprocessing = Preprocessing(frames=3, size=24, grey=grey)
    read = preprocessing.read(clip, np.array([0, 2, 2]))
    square = written[[0, 2, 2], :, 4:28]
    assert preprocessing.channels == channels and read.shape == (3, 24, 24, channels)
    assert np.array_equal(read, resize_square(square, 24, grey=True) if grey else square)
    assert preprocessing.read(clip, np.array([0]), size=40).shape == (1, 40, 40, channels)


def test_the_frames_that_are_handed_in_are_not_touched() -> None:
    frames = noise(2)
    before = frames.copy()
    resize_square(frames, 16, grey=True)
    resize_square(frames, 24, grey=True)[:] = 0
    resize_square(frames[:, :, 4:28], 24)[:] = 0
    assert np.array_equal(frames, before)


def test_settings_survive_a_card_in_json() -> None:
    settings = Preprocessing(8, 48, True, "hold", (0.5,), (0.25,))
    assert Preprocessing(**json.loads(json.dumps(settings.to_dict()))) == settings
    colours = Preprocessing(mean=(0.485, 0.456, 0.406), std=(0.229, 0.224, 0.225))
    assert Preprocessing(**json.loads(json.dumps(colours.to_dict()))) == colours


@pytest.mark.parametrize(
    ("settings", "fault"),
    [
        ({"frames": 0}, "expected 1 to 4096 frames of 8 to 4096 pixels, got 0 of 112"),
        ({"size": 7}, "expected 1 to 4096 frames of 8 to 4096 pixels, got 16 of 7"),
        ({"mean": (0.5, 0.5)}, r"expected 1 or 3 values in mean, got 0.5, 0.5"),
        ({"grey": True, "std": (1.0, 1.0, 1.0)}, "expected one value in std, got 1.0, 1.0, 1.0"),
        ({"std": (0.2, 0.0, 0.2)}, "expected std > 0"),
        ({"std": (float("nan"),)}, "expected std > 0"),
        ({"centre": 0.4}, "expected a centre from 0.5 to 1, got 0.4"),
        ({"centre": float("nan")}, "expected a centre from 0.5 to 1"),
    ],
)
def test_settings_that_cannot_be_are_refused(settings: dict[str, object], fault: str) -> None:
    with pytest.raises(DferError, match=fault):
        Preprocessing(**settings)  # type: ignore[arg-type]


def test_a_card_brings_back_what_it_was_given() -> None:
    given = Preprocessing(frames=8, size=48, grey=True, mean=(0.5,), std=(0.25,), mirror=True, centre=0.9)
    assert Preprocessing.from_card(json.loads(json.dumps(given.to_dict()))) == given


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"syze": 48}, r"preprocessing of the model's card.json: unknown key syze \(did you mean 'size'\?\)"),
        ({"colour_space": "bgr"}, "preprocessing of .*: unknown key colour_space; known here: frames, size"),
        ({"frames": "many"}, "card.json: frames: .* got 'many'"),
        ({"frames": None}, "preprocessing of .*: frames"),
        ({"frames": True}, "preprocessing of .*: frames: .* got True"),
        ({"frames": 4_097}, "1 to 4096 frames of 8"),
        ({"size": 10**9}, "1 to 4096 frames of 8"),
        ({"frames": 1_000, "size": 1_000}, "at most 16777216 pixels"),
        ({"std": [1e-9]}, "std > 0"),
        ({"mean": False}, "preprocessing of .*: mean"),
        ({"mean": [True]}, "preprocessing of .*: mean.0"),
        ({"mean": {"a": 1}}, "preprocessing of .*: mean"),
        ({"size": 0}, "frames of 8 to 4096 pixels"),
        ({"std": [0.0]}, "std > 0"),
        ({"mean": [float("nan")]}, "finite number"),
    ],
)
def test_a_card_that_asks_for_what_is_not_known_is_refused_in_one_sentence(values: dict[str, Any], said: str) -> None:
    with pytest.raises(DferError, match=said) as caught:
        Preprocessing.from_card(values)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", ["frames", "size"])
@pytest.mark.parametrize("value", [4.5, 16.0, "16", None])
def test_numbers_of_frames_and_pixels_are_whole(name: str, value: object) -> None:
    with pytest.raises(DferError, match=rf"expected a whole number of {name}, got {value!r}"):
        Preprocessing(**{name: value})  # type: ignore[arg-type]
    assert json.dumps(Preprocessing(**{name: np.int64(16)}).to_dict())  # type: ignore[arg-type]
