"""What a program has in memory becomes frames, in every layout and kind of number; what is refused is one sentence."""

from __future__ import annotations

import io
import itertools
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import torch
from PIL import Image

from dfer.errors import DferError
from dfer.video import Span, TimedFrame
from dfer.video.sources import name_of, open_source, picture
from dfer.video.stream import stream

from .films import noise, write_video

FRAMES = noise(3, 20, 30)
ONE = FRAMES[0]


def pixels(source: Any, **options: Any) -> np.ndarray:
    return np.stack([frame.pixels for frame in open_source(source, **options)])


def times(source: Any, **options: Any) -> list[float]:
    return [frame.time_s for frame in open_source(source, **options)]


LAYOUTS = {
    "uint8": ONE,
    "channels first": ONE.transpose(2, 0, 1),
    "with alpha": np.dstack([ONE, np.full((20, 30), 7, np.uint8)]),
    "float": ONE / 255,
    "float32": (ONE / 255).astype(np.float32),
    "not contiguous": np.asfortranarray(ONE),
    "read only": np.frombuffer(ONE.tobytes(), np.uint8).reshape(ONE.shape),
    "PIL": Image.fromarray(ONE),
    "PIL with alpha": Image.fromarray(ONE).convert("RGBA"),
    "tensor": torch.from_numpy(ONE),
    "tensor, channels first": torch.from_numpy(ONE).permute(2, 0, 1),
    "tensor with a gradient": (torch.from_numpy(ONE) / 255).requires_grad_(),
    "a timed frame": TimedFrame(0.0, ONE),
}


@pytest.mark.parametrize("layout", LAYOUTS)
def test_a_picture_is_the_same_in_every_layout(layout: str) -> None:
    assert np.array_equal(pixels(LAYOUTS[layout]), ONE[None]) and times(LAYOUTS[layout]) == [0.0]


def test_half_precision_is_as_near_as_it_can_be() -> None:
    for tensor in (torch.from_numpy(ONE).half() / 255, torch.from_numpy(ONE).bfloat16() / 255):
        assert np.abs(pixels(tensor)[0].astype(int) - ONE).max() <= 1


@pytest.mark.parametrize(
    "grey", [ONE[..., 0], ONE[..., :1], ONE[..., 0] / 255, Image.fromarray(ONE[..., 0]), torch.from_numpy(ONE[..., 0])]
)
def test_grey_becomes_three_equal_channels(grey: Any) -> None:
    assert np.array_equal(pixels(grey)[0], np.repeat(ONE[..., :1], 3, axis=2))


SEVERAL = {
    "an array": FRAMES,
    "channels first": FRAMES.transpose(0, 3, 1, 2),
    "floats": FRAMES / 255,
    "a tensor": torch.from_numpy(FRAMES).permute(0, 3, 1, 2),
    "a list": list(FRAMES),
    "a list of images": [Image.fromarray(frame) for frame in FRAMES],
    "a tuple of tensors": tuple(torch.from_numpy(FRAMES)),
    "an iterator": iter(FRAMES),
}


@pytest.mark.parametrize("kind", SEVERAL)
def test_frames_are_the_same_in_every_container(kind: str) -> None:
    assert np.array_equal(pixels(SEVERAL[kind]), FRAMES)


def test_times_come_from_a_rate_from_a_list_from_the_frames_or_are_assumed() -> None:
    assert times(FRAMES) == pytest.approx([0, 0.04, 0.08])
    assert times(FRAMES, fps=10) == pytest.approx([0, 0.1, 0.2])
    assert times(FRAMES, times=[1, 2.5, 7]) == [1, 2.5, 7]
    assert times([TimedFrame(3.0, ONE), TimedFrame(4.5, ONE)]) == [3, 4.5]
    assert times(FRAMES, fps=10, span=Span(0.1, 0.2)) == pytest.approx([0.1])


def test_an_iterator_that_never_ends_is_read_frame_by_frame() -> None:
    asked = []

    def endless() -> Iterator[np.ndarray]:
        buffer = ONE.copy()
        for index in itertools.count():
            asked.append(index)
            buffer[:] = index % 256  # a program that uses one buffer
            yield buffer

    frames = open_source(endless(), times=itertools.count(0, 0.5))
    first, second = next(frames), next(frames)
    assert asked == [0, 1] and (first.time_s, second.time_s) == (0, 0.5)
    assert first.pixels.max() == 0 and second.pixels.min() == 1


@pytest.mark.parametrize("suffix", [".mkv", ".mp4", ".png"])
def test_the_contents_of_a_file_are_what_the_file_is(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"a{suffix}"
    if suffix == ".png":
        cv2.imwrite(str(path), ONE)
    else:
        write_video(path, FRAMES)
    expected = np.stack([frame.pixels for frame in stream(path)])
    data = path.read_bytes()
    for source in (data, bytearray(data), memoryview(data), io.BytesIO(data), str(path), path):
        assert np.array_equal(pixels(source), expected)
    with path.open("rb") as file:
        assert np.array_equal(pixels(file), expected) and name_of(file) == str(path)


def test_sources_have_names() -> None:
    assert [name_of(one) for one in (2, "a.mp4", Path("a.mp4"), b"", io.BytesIO(), ONE, iter(FRAMES))] == [
        "camera 2", "a.mp4", "a.mp4", "bytes", "bytes", "frames", "frames",
    ]  # fmt: skip


REFUSED: dict[str, tuple[Any, dict[str, Any], str]] = {
    "a truth": (True, {}, "a path, the number of a camera, bytes.*got bool"),
    "nothing": (None, {}, "got NoneType"),
    "a float": (1.5, {}, "got float"),
    "a dict": ({"frames": ONE}, {}, "got dict"),
    "a list of paths": (["a.mp4", "b.mp4"], {}, "frame 0: expected a picture .*, got str"),
    "a batch of videos": (FRAMES[None], {}, r"got an array \(1, 3, 20, 30, 3\)"),
    "grey frames without a channel": (FRAMES[..., 0].repeat(2, axis=0), {}, r"\(T, H, W, 3 or 1\), got an array"),
    "two channels": (FRAMES[..., :2], {}, r"frame 0: expected \(H, W, 3\)"),
    "an empty picture": (np.zeros((0, 5, 3), np.uint8), {}, r"got \(0, 5, 3\)"),
    "other integers": (ONE.astype(np.int64), {}, "expected uint8, or floats from 0 to 1, got int64"),
    "16 bits": (ONE.astype(np.uint16), {}, "got uint16"),
    "bits": (ONE > 9, {}, "got bool"),
    "floats up to 255": (ONE.astype(float), {}, "expected floats from 0 to 1, got 0 to 255; give uint8"),
    "a number that is none": (np.full((9, 9, 3), np.nan), {}, "got nan to nan"),
    "text": (io.StringIO("hello"), {}, "expected a file opened in binary mode"),
    "no bytes": (b"", {}, "bytes: .*empty"),
    "bytes of nothing": (b"hello" * 100, {}, "bytes: decoding failed"),
    "too few times": (FRAMES, {"times": [0, 1]}, "expected a time for every frame, got 2 times"),
    "times that go back": (FRAMES, {"times": [0, 2, 1]}, "times that increase, got 1.0 s for frame 2 after 2.0 s"),
    "a rate and times": (FRAMES, {"times": [0, 2, 1], "fps": 5}, "expected fps or times, got both"),
    "a rate of nothing": (FRAMES, {"fps": 0}, "expected fps from 0.001 to 10000, got 0"),
    "a rate that is no number": (FRAMES, {"fps": "x"}, "expected fps from 0.001 to 10000, got 'x'"),
    "so low a rate that times have no end": (FRAMES, {"fps": 1e-99}, "expected fps from 0.001 to 10000, got 1e-99"),
    "times for a file": ("a.mp4", {"times": [0]}, "times are for pictures in memory"),
}


@pytest.mark.parametrize("what", REFUSED)
def test_what_is_not_taken_is_one_sentence(what: str) -> None:
    source, options, told = REFUSED[what]
    with pytest.raises(DferError, match=told) as raised:
        list(open_source(source, **options))
    assert len(str(raised.value).splitlines()) == 1 and "/tmp" not in str(raised.value)


def test_floats_that_were_rounded_are_taken() -> None:
    assert picture(np.array([[[1.0005, -0.0005, 0.5]]]), "it").tolist() == [[[255, 0, 128]]]
