"""Streams: the same frames and times as clips have, and what is done with files that no clip can be made of."""

from __future__ import annotations

import logging
import os
import tracemalloc
from pathlib import Path

import av
import cv2
import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from PIL import Image

from dfer.errors import DferError
from dfer.video import stream as module
from dfer.video.frames import open_clip
from dfer.video.stream import Span, TimedFrame, stream

from .films import noise, write_video


def times_of(path: Path, span: Span | None = None) -> list[float]:
    return [round(frame.time_s, 6) for frame in stream(path, span=span)]


def test_a_stream_has_the_frames_and_times_of_the_clip(tmp_path: Path) -> None:
    path = write_video(tmp_path / "a.mkv", noise(9), [0, 0.04, 0.5, 0.52, 1.7, 1.8, 2, 2.1, 3])
    clip, frames = open_clip(path, "video"), list(stream(path))
    assert [frame.time_s for frame in frames] == pytest.approx(clip.times)
    assert np.array_equal([frame.pixels for frame in frames], clip.read(np.arange(9)))


def test_a_span_is_cut_out_by_time(tmp_path: Path) -> None:
    path = write_video(tmp_path / "a.mkv", noise(50))
    assert times_of(path, Span(start_s=0.4, end_s=0.6)) == pytest.approx([0.4, 0.44, 0.48, 0.52, 0.56])
    assert times_of(path, Span(every_s=0.5)) == pytest.approx([0, 0.52, 1.0, 1.52])
    assert times_of(path, Span(start_s=1.9, every_s=0.04)) == pytest.approx([1.92, 1.96])


@pytest.mark.parametrize("name", ["a.mp4", "a.mkv", "a.avi"])
def test_a_late_start_gives_the_same_frames_as_decoding_from_the_beginning(tmp_path: Path, name: str) -> None:
    written = noise(400)
    path = write_video(tmp_path / name, written)
    frames = list(stream(path, span=Span(start_s=13.0)))
    assert [frame.time_s for frame in frames] == pytest.approx(np.arange(325, 400) / 25)
    assert np.array_equal([frame.pixels for frame in frames], written[325:])


def test_a_late_start_in_flash_video_whose_jumps_land_too_late_loses_no_frame(tmp_path: Path) -> None:
    path = write_video(tmp_path / "a.flv", noise(120))
    wanted = [frame for frame in stream(path) if frame.time_s >= 2.999]
    frames = list(stream(path, span=Span(start_s=3.0)))
    assert len(wanted) == 45 and [frame.time_s for frame in frames] == [frame.time_s for frame in wanted]
    assert all(np.array_equal(one.pixels, other.pixels) for one, other in zip(frames, wanted, strict=True))


def test_a_late_start_in_a_real_clip_loses_no_frame(shared_data: Path) -> None:
    path = shared_data / "crema_d" / "VideoFlash" / "1001_DFA_HAP_XX.flv"
    assert times_of(path, Span(start_s=1.0)) == [time for time in times_of(path) if time >= 0.999]


@given(st.lists(st.integers(1, 400), min_size=1, max_size=40), st.integers(0, 3000), st.integers(1, 900))
@example([1, 223, 400, 400, 1], 0, 1)
def test_frames_of_a_span_are_the_first_ones_of_their_steps(steps: list[int], start: int, every: int) -> None:
    times = np.cumsum([0, *steps])  # whole milliseconds: nothing is rounded here
    frames = [TimedFrame(time / 1000, np.empty((1, 1, 3), np.uint8)) for time in times.tolist()]
    kept = [frame.time_s for frame in module._thinned(iter(frames), Span(start / 1000, None, every / 1000))]
    bins, valid = (times + 1 - start) // every, times >= start - 1
    first = [k for k in range(len(times)) if valid[k] and not (valid[:k] & (bins[:k] == bins[k])).any()]
    assert kept == [time / 1000 for time in times[first].tolist()]


@pytest.mark.parametrize("span", [(-1, None, 0), (2, 1, 0), (1, 1, 0), (0, None, -1), (float("nan"), None, 0)])
def test_a_span_that_cannot_be_is_refused(span: tuple[float, float | None, float]) -> None:
    with pytest.raises(DferError, match=r"expected 0 <= start < end|expected one frame every"):
        Span(*span)


def test_a_span_beyond_the_end_is_told(tmp_path: Path) -> None:
    path = write_video(tmp_path / "a.mkv", noise(5))
    with pytest.raises(DferError, match=r"a\.mkv: the video has no frame from 7 s on and before 9 s"):
        list(stream(path, span=Span(7, 9)))


def test_memory_does_not_grow_with_the_length(tmp_path: Path) -> None:
    path = write_video(tmp_path / "a.mkv", noise(120, 96, 128))
    frames = stream(path)
    for _ in range(5):
        next(frames)
    tracemalloc.start()
    for _ in frames:
        pass
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 10 * 96 * 128 * 3


def damaged_in_the_middle(path: Path) -> Path:
    data = bytearray(path.read_bytes())
    data[len(data) * 4 // 10 : len(data) * 5 // 10] = bytes(len(data) // 10)
    path.write_bytes(data)
    return path


def test_a_video_that_is_damaged_in_the_middle_goes_on_after_it(tmp_path: Path) -> None:
    path = damaged_in_the_middle(write_video(tmp_path / "a.mkv", noise(60), cluster_time_limit="200"))
    times = times_of(path)
    assert 40 <= len(times) < 60 and times[-1] == pytest.approx(59 / 25)


def test_pieces_that_cannot_be_decoded_are_counted(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = damaged_in_the_middle(write_video(tmp_path / "a.mp4", noise(60), movflags="faststart"))
    whole = len(times_of(path))  # each frame is made from the one before it
    assert 20 <= whole <= 30
    assert f"a.mp4: left out {60 - whole} damaged pieces between its {whole} frames" in caplog.text
    with pytest.raises(DferError, match=r"a\.mp4: decoding failed, after \d+ frames"):
        open_clip(path, "video")


@pytest.mark.parametrize("name", ["a.mp4", "a.mkv", "a.avi"])
def test_what_there_is_of_a_video_that_was_cut_off_is_given(
    tmp_path: Path, name: str, caplog: pytest.LogCaptureFixture
) -> None:
    options = {"movflags": "faststart"} if name == "a.mp4" else {}
    path = write_video(tmp_path / name, noise(60), **options)
    path.write_bytes(path.read_bytes()[: path.stat().st_size * 6 // 10])
    times = times_of(path)
    assert 25 <= len(times) <= 40 and times == pytest.approx(np.arange(len(times)) / 25)
    assert name == "a.mkv" or "a." in caplog.text


def test_a_folder_of_frames_has_the_clock_that_is_given(tmp_path: Path) -> None:
    written = noise(11)
    for index, image in enumerate(written, 1):
        Image.fromarray(image).save(tmp_path / f"{index}.png")
    frames = list(stream(tmp_path, fps=10))
    assert [frame.time_s for frame in frames] == pytest.approx(np.arange(11) / 10)
    assert np.array_equal([frame.pixels for frame in frames], written), "in natural order"


@pytest.mark.parametrize("mode", ["RGB", "RGBA", "L", "LA", "P"])
def test_an_image_is_one_frame_at_zero_under_any_name(tmp_path: Path, mode: str) -> None:
    Image.fromarray(noise(1)[0]).convert(mode).save(tmp_path / "a.png")
    (tmp_path / "a.mp4").write_bytes((tmp_path / "a.png").read_bytes())
    for name in ("a.png", "a.mp4"):
        (frame,) = stream(str(tmp_path / name))
        assert frame.time_s == 0 and frame.pixels.shape == (24, 32, 3) and frame.pixels.dtype == np.uint8


@pytest.mark.parametrize(("suffix", "format_"), [("jpg", "JPEG"), ("webp", "WEBP"), ("bmp", "BMP"), ("tif", "TIFF")])
def test_an_image_under_a_videos_name_is_one_frame(tmp_path: Path, suffix: str, format_: str) -> None:
    Image.fromarray(noise(1)[0]).save(tmp_path / "a.mp4", format=format_)
    assert times_of(tmp_path / "a.mp4") == [0]
    assert times_of((tmp_path / "a.mp4").rename(tmp_path / f"a.{suffix}")) == [0]


@pytest.mark.parametrize("name", ["a.mp4", "a.mkv", "a.avi", "a.flv"])
def test_a_video_under_an_images_name_is_a_video(tmp_path: Path, name: str) -> None:
    path = write_video(tmp_path / name, noise(9))
    times = times_of(path)
    assert times_of(path.rename(tmp_path / "a.jpg")) == times and len(times) == 9


def test_a_moving_gif_under_an_images_name_moves(tmp_path: Path) -> None:
    frames = [Image.fromarray(picture) for picture in noise(3)]
    frames[0].save(tmp_path / "a.png", format="GIF", save_all=True, append_images=frames[1:], duration=40)
    assert times_of(tmp_path / "a.png") == pytest.approx([0, 0.04, 0.08])


def test_moving_pictures_with_alpha_become_colour(tmp_path: Path) -> None:
    frames = [Image.fromarray(picture).convert("RGBA") for picture in noise(3)]
    frames[0].save(tmp_path / "a.gif", save_all=True, append_images=frames[1:], duration=40)
    frames[0].save(tmp_path / "a.apng", format="PNG", save_all=True, append_images=frames[1:], duration=40)
    for name in ("a.gif", "a.apng"):
        assert [frame.pixels.shape for frame in stream(tmp_path / name)] == [(24, 32, 3)] * 3


@pytest.mark.parametrize(
    ("codec", "pixels", "channels"), [("ffv1", "gray", 1), ("qtrle", "argb", 4), ("png", "ya8", 2)]
)
def test_a_grey_video_and_one_with_alpha_become_colour(tmp_path: Path, codec: str, pixels: str, channels: int) -> None:
    path, written = tmp_path / ("a.mkv" if codec == "ffv1" else "a.mov"), noise(3)
    with av.open(str(path), "w") as container:
        video = container.add_stream(codec, rate=25)
        video.height, video.width, video.pix_fmt = 24, 32, pixels
        for frame in written:
            container.mux(video.encode(av.VideoFrame.from_ndarray(frame, format="rgb24").reformat(format=pixels)))
        container.mux(video.encode())
    frames = [frame.pixels for frame in stream(path)]
    assert [frame.shape for frame in frames] == [(24, 32, 3)] * 3
    if channels == 4:
        assert np.array_equal(frames, written)
    else:
        assert all(np.ptp(frame, axis=2).max() == 0 for frame in frames), "grey stays grey"
        luma = np.stack([cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY) for frame in written]).astype(float)
        assert np.abs(np.stack(frames)[..., 0] - luma).mean() < 3


def zero_frames(path: Path) -> None:
    with av.open(str(path), "w") as container:
        video = container.add_stream("ffv1", rate=25)
        video.height, video.width, video.pix_fmt = 24, 32, "bgr0"
        container.start_encoding()


def test_what_cannot_be_read_is_refused_by_name(tmp_path: Path) -> None:
    (tmp_path / "empty.mp4").touch()
    (tmp_path / "text.mp4").write_text("not a film\n" * 100)
    (tmp_path / "folder").mkdir()
    (tmp_path / "text.jpg").write_text("not a picture\n" * 100)
    (tmp_path / "empty.png").touch()
    os.mkfifo(tmp_path / "pipe.mp4")
    zero_frames(tmp_path / "none.avi")
    for name, fault in {
        "empty.mp4": "the file is empty",
        "text.mp4": "not a video that can be opened",
        "missing.mp4": "cannot be read: No such file",
        "pipe.mp4": "expected a file, got a named pipe",
        "folder": "the folder holds no frame",
        "missing.png": "cannot be read",
        "text.jpg": "not an image that can be decoded",
        "empty.png": "the file is empty",
        "none.avi": "the video has no frame",
    }.items():
        with pytest.raises(DferError, match=fault) as raised:
            list(stream(tmp_path / name))
        assert str(raised.value).startswith(str(tmp_path / name))


class FileCamera:
    """OpenCV's camera, whose pictures come from a list."""

    pictures = noise(3)

    def __init__(self, number: int) -> None:
        self.number, self.left, self.released = number, list(self.pictures), False
        FileCamera.last = self

    def isOpened(self) -> bool:
        return self.number == 0

    def read(self) -> tuple[bool, np.ndarray | None]:
        return (True, self.left.pop(0)[..., ::-1]) if self.left else (False, None)

    def release(self) -> None:
        self.released = True


def test_a_camera_gives_frames_with_a_clock_until_it_stops_and_is_released(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cv2, "VideoCapture", FileCamera)
    frames = list(stream(0))
    assert np.array_equal([frame.pixels for frame in frames], FileCamera.pictures)
    times = [frame.time_s for frame in frames]
    assert times[0] == 0 and times == sorted(times) and FileCamera.last.released
    early = stream(0)
    next(early)
    early.close()
    assert FileCamera.last.released
    with pytest.raises(DferError, match="camera 3 cannot be opened"):
        next(stream(3))


def test_a_whole_video_is_streamed_quietly(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = write_video(tmp_path / "a.mp4", noise(30))
    with caplog.at_level(logging.DEBUG, logger="dfer"):
        assert len(times_of(path)) == 30 and len(times_of(path, Span(start_s=0.5))) == 17
    assert not caplog.records


def test_a_damaged_picture_of_a_folder_is_left_out_and_told(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    for number in range(4):
        cv2.imwrite(str(tmp_path / f"{number}.png"), np.full((16, 16, 3), 50 * number, np.uint8))
    (tmp_path / "1.png").write_bytes((tmp_path / "1.png").read_bytes()[:30])
    frames = list(stream(tmp_path, fps=10))
    assert [(frame.name, frame.time_s, round(frame.end_s, 3)) for frame in frames] == [
        ("0.png", 0.0, 0.2), ("2.png", 0.2, 0.3), ("3.png", pytest.approx(0.3), 0.4)
    ]  # fmt: skip
    assert "left out 1 picture that cannot be read" in caplog.text and "1.png" in caplog.text
    for number in (0, 2, 3):
        (tmp_path / f"{number}.png").write_bytes(b"")
    with pytest.raises(DferError, match=r"0\.png"):
        stream(tmp_path, fps=10)
