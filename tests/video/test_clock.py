"""Times of films: those at which the frames were written, in every container; and files whose clocks are odd."""

from __future__ import annotations

import logging
from fractions import Fraction
from itertools import pairwise
from pathlib import Path

import av
import numpy as np
import pytest

from dfer.errors import DferError
from dfer.video.decoding import Film, is_video
from dfer.video.stream import Span, stream

from .containers import CONTAINERS, write, write_webp
from .films import noise, write_video

EVEN = [Fraction(index, 25) for index in range(40)]
STAYING = [Fraction(hundredths, 100) for hundredths in (0, 4, 50, 54, 62, 1062, 1066, 2066)]
"""With stills of ten seconds."""


def read(path: Path) -> tuple[list[float], float]:
    """The times of all frames, and the end of the last one."""
    film = Film(path, tolerant=True)
    return [shown.time_s for shown in film], film.end_s


@pytest.mark.parametrize("name", CONTAINERS)
def test_the_same_film_has_the_same_times_in_every_container(
    tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    write(tmp_path, name, EVEN, Fraction(40, 25))
    monkeypatch.chdir(tmp_path)
    times, end_s = read(Path(name))
    assert times == pytest.approx([float(time) for time in EVEN], abs=0.0011), "rounded to milliseconds by some"
    assert end_s == pytest.approx(1.6, abs=0.0011) and all(later > earlier for earlier, later in pairwise(times))
    assert is_video(Path(name)) and not caplog.records


@pytest.mark.parametrize("name", [name for name, made in CONTAINERS.items() if made.varies])
def test_frames_that_stay_for_ten_seconds_have_their_times_in_every_container(tmp_path: Path, name: str) -> None:
    times, end_s = read(write(tmp_path, name, STAYING, Fraction(2074, 100)))
    assert times == pytest.approx([float(time) for time in STAYING], abs=0.0011)
    assert end_s > times[-1]
    if name in ("a.mp4", "a.MOV", "a.gif"):  # they say how long each frame stays
        assert end_s == pytest.approx(20.74)


def test_a_moving_webp_is_read_whole_under_any_name(tmp_path: Path) -> None:
    for name in ("a.webp", "a.mp4", "a"):
        path = write_webp(tmp_path / name, [100, 500, 200, 300])
        assert read(path) == ([0, 0.1, pytest.approx(0.6), pytest.approx(0.8)], pytest.approx(1.1))
        assert len(list(stream(path))) == 4


@pytest.mark.parametrize(("name", "codec"), [("a.h264", "libx264"), ("a.m2v", "mpeg2video"), ("a.mjpeg", "mjpeg"),
                                             ("a.hevc", "libx265"), ("a", "libx264")])  # fmt: skip
def test_a_film_without_a_clock_has_the_rate_of_its_stream_or_the_one_that_is_given(
    tmp_path: Path, name: str, codec: str, caplog: pytest.LogCaptureFixture
) -> None:
    if codec not in av.codecs_available:
        pytest.skip(f"no {codec}")
    format_ = {"libx264": "h264", "libx265": "hevc"}.get(codec, codec)
    with av.open(str(tmp_path / name), "w", format=format_) as container:
        video = container.add_stream(codec, rate=30)
        video.height, video.width = 96, 128
        video.pix_fmt = "yuvj420p" if codec == "mjpeg" else "yuv420p"
        for picture in noise(20, 96, 128):
            container.mux(video.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        container.mux(video.encode())
    rate = 25 if codec == "mjpeg" else 30
    times, end_s = read(tmp_path / name)
    assert times == pytest.approx(np.arange(20) / rate) and end_s == pytest.approx(20 / rate)
    assert f"the file has no clock; {rate} frames a second are assumed" in caplog.text
    caplog.clear()
    assert [frame.time_s for frame in stream(tmp_path / name, fps=50)] == pytest.approx(np.arange(20) / 50)
    assert not caplog.records


@pytest.mark.parametrize("name", ["a.ts", "a.mpg", "a.flv"])
def test_files_that_were_joined_go_on_where_the_first_one_ends(
    tmp_path: Path, name: str, caplog: pytest.LogCaptureFixture
) -> None:
    path = write(tmp_path, name, EVEN, Fraction(40, 25))
    data = path.read_bytes()
    path.write_bytes(data + (data[13:] if name == "a.flv" else data))  # the second one without the head
    times, end_s = read(path)
    assert times == pytest.approx(np.arange(80) / 25, abs=0.003)
    assert end_s == pytest.approx(3.2, abs=0.003 if name != "a.flv" else 0.04), "Flash video stores no durations"
    assert "its clock jumps in 1 place" in caplog.text
    late = [frame.time_s for frame in stream(path, span=Span(start_s=2.4))]
    assert late == pytest.approx(np.arange(60, 80) / 25, abs=0.003), "a jump to there would land in the first part"


def test_frames_before_the_first_time_are_left_out_and_counted(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    source = write(tmp_path, "a.mp4", EVEN, Fraction(40, 25))
    path = tmp_path / "b.mkv"
    with av.open(str(source)) as one, av.open(str(path), "w", options={"avoid_negative_ts": "disabled"}) as other:
        film = one.streams.video[0]
        copy = other.add_stream_from_template(film)
        begin = int(Fraction(10, 25) / film.time_base)
        for packet in one.demux(film):
            if packet.dts is not None:
                packet.pts, packet.dts, packet.stream = packet.pts - begin, packet.dts - begin, copy
                other.mux(packet)
    times, end_s = read(path)
    assert times == pytest.approx(np.arange(30) / 25, abs=0.0011) and end_s == pytest.approx(1.2, abs=0.0011)
    assert "left out 10 frames without a time before the film's start" in caplog.text


def test_two_frames_at_one_time_come_one_after_the_other(tmp_path: Path) -> None:
    path = write_video(tmp_path / "a.mkv", noise(5), [0, 0.04, 0.08, 0.12, 0.16])
    data = path.read_bytes()
    block = b"\x81" + (120).to_bytes(2, "big")  # of track 1, at 120 ms of its cluster
    assert data.count(block) == 1
    path.write_bytes(data.replace(block, b"\x81" + (80).to_bytes(2, "big")))
    times, _ = read(path)
    assert times == pytest.approx([0, 0.04, 0.08, 0.08, 0.16], abs=0.001)
    assert len({round(time, 4) for time in times}) == 5


def test_a_picture_that_begins_later_than_the_sound_keeps_its_time(tmp_path: Path) -> None:
    path = tmp_path / "a.mkv"
    with av.open(str(path), "w") as container:
        video, sound = container.add_stream("mpeg4", rate=25), container.add_stream("pcm_s16le", rate=8000)
        video.height, video.width, video.pix_fmt = 24, 32, "yuv420p"
        silence = av.AudioFrame.from_ndarray(np.zeros((1, 8000), np.int16), format="s16", layout="mono")
        silence.sample_rate, silence.pts = 8000, 0
        container.mux(sound.encode(silence))
        for index, picture in enumerate(noise(10)):
            frame = av.VideoFrame.from_ndarray(picture, format="rgb24")
            frame.pts, frame.time_base = index + 5, Fraction(1, 25)
            container.mux(video.encode(frame))
        container.mux(video.encode())
    times, end_s = read(path)
    assert times == pytest.approx(np.arange(5, 15) / 25, abs=0.0011) and end_s == pytest.approx(0.6, abs=0.0011)


# --- spans


def test_looking_seldom_does_not_make_a_film_longer(tmp_path: Path) -> None:
    path = write(tmp_path, "a.mp4", EVEN, Fraction(40, 25))
    frames = list(stream(path, span=Span(every_s=0.5)))
    assert [(frame.time_s, frame.end_s) for frame in frames] == [
        (0, pytest.approx(0.52)), (pytest.approx(0.52), 1), (1, pytest.approx(1.52)),
        (pytest.approx(1.52), pytest.approx(1.6)),
    ]  # fmt: skip
    assert [frame.end_s for frame in stream(path, span=Span(0.4, 0.6, 0.1))][-1] == pytest.approx(0.6)


def test_a_still_that_is_shown_when_a_span_begins_is_looked_at(tmp_path: Path) -> None:
    path = write(tmp_path, "a.mp4", STAYING, Fraction(2074, 100))
    frames = list(stream(path, span=Span(5, 8)))
    assert [(frame.time_s, frame.end_s) for frame in frames] == [(5, 8)]
    (before,) = (frame for frame in stream(path) if frame.time_s == pytest.approx(0.62))
    assert np.array_equal(frames[0].pixels, before.pixels)
    assert [(frame.time_s, frame.end_s) for frame in stream(path, span=Span(start_s=20.7))] == [(20.7, 20.74)]
    assert [frame.time_s for frame in stream(path, span=Span(0.52, 1))] == pytest.approx([0.54, 0.62])


# --- what is said


def test_a_whole_film_whose_last_frame_stays_is_not_called_cut_off(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    times = [*EVEN, Fraction(12)]
    for name in ("a.mkv", "a.mp4"):
        _, end_s = read(write(tmp_path, name, times[:-1], times[-1]))
        assert end_s == pytest.approx(12, abs=0.05) and not caplog.records, name


def test_a_film_trimmed_without_encoding_is_not_called_cut_off(
    shared_data: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING):
        times, end_s = read(shared_data / "cases" / "18-trimmed-clip-called-cut-off" / "clip.mp4")
    assert len(times) == 42 and end_s == pytest.approx(1.4) and not caplog.records


def test_a_film_without_a_key_frame_says_so(tmp_path: Path) -> None:
    source = write(tmp_path, "a.ts", EVEN, Fraction(40, 25))
    path = tmp_path / "b.mkv"
    with av.open(str(source)) as one, av.open(str(path), "w") as other:
        film = one.streams.video[0]
        copy = other.add_stream_from_template(film)
        for packet in one.demux(film):
            if packet.dts is not None and not packet.is_keyframe:
                packet.stream = copy
                other.mux(packet)
    with pytest.raises(DferError, match=r"b\.mkv: the video has no frame: none of its 39 packets is a key frame"):
        list(stream(path))
