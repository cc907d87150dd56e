"""Damaged films: what can be read is read, and the rest is one sentence; no damage of the sound costs the pictures."""

from __future__ import annotations

import logging
import struct
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from PIL import Image

from dfer.errors import DferError
from dfer.video.browsers import played_type, small_copy
from dfer.video.decoding import is_video, length_s
from dfer.video.folders import survey
from dfer.video.frames import open_clip
from dfer.video.opening import packets_of
from dfer.video.picture import Display
from dfer.video.sound import open_sound
from dfer.video.stream import stream
from dfer.video.writing import write_video

from . import films
from .containers import write_webp
from .films import noise
from .test_sound import beep


def write_raw(path: Path, sizes: list[int]) -> Path:
    """A film of pictures 8 x 8 that are not compressed, of which only so many bytes are stored."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream("rawvideo", rate=25)
        stream.width = stream.height = 8
        stream.pix_fmt = "rgb24"
        container.start_encoding()
        for number, size in enumerate(sizes):
            packet = av.Packet(bytes(size))
            packet.stream, packet.pts, packet.dts, packet.time_base = stream, number, number, Fraction(1, 25)
            packet.is_keyframe = True
            container.mux(packet)
    return path


def times(path: Path) -> list[float]:
    return [frame.time_s for frame in stream(path)]


def test_a_frame_that_cannot_be_decoded_for_whatever_reason_is_left_out(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    film = write_raw(tmp_path / "a.nut", [192, 192, 50, 192, 192])
    assert times(film) == pytest.approx([0, 0.04, 0.12, 0.16])
    assert "left out 1 damaged piece between its 4 frames" in caplog.text
    with pytest.raises(DferError, match=r"a\.nut: decoding failed, after 2 frames: "):
        open_clip(film, "video")
    with pytest.raises(DferError, match=r"b\.nut: decoding failed, not a video that can be opened: "):
        times(write_raw(tmp_path / "b.nut", [50, 50]))


@pytest.mark.parametrize("damage", [-1_736_207_847_599_968_202, 2**62, -(2**40)])
@pytest.mark.parametrize("frame", [0, 5])
def test_a_time_that_cannot_be_meant_moves_no_other_frame(tmp_path: Path, damage: int, frame: int) -> None:
    film = tmp_path / "a.ivf"
    with av.open(str(film), "w") as container:
        out = container.add_stream("libvpx", rate=25)
        out.width, out.height, out.options = 32, 24, {"lag-in-frames": "0"}
        for number, pixels in enumerate(noise(8)):
            picture = av.VideoFrame.from_ndarray(pixels, format="rgb24")
            picture.pts, picture.time_base = number, Fraction(1, 25)
            container.mux(out.encode(picture))
        container.mux(out.encode())
    data, place = bytearray(film.read_bytes()), 32  # the head; before each frame its size and its time
    for _ in range(frame):
        place += 12 + struct.unpack_from("<I", data, place)[0]
    struct.pack_into("<q", data, place + 4, damage)
    film.write_bytes(data)
    found = [(each.time_s, each.end_s) for each in stream(film)]
    assert len(found) >= 7 and (np.diff(found, axis=1) >= 0).all()
    assert 0 <= found[0][0] < 0.5 and found[-1][1] < 1 and (np.diff([time_s for time_s, _ in found]) > 0).all()


def test_what_a_film_says_of_a_length_that_cannot_be_meant_is_not_believed(tmp_path: Path) -> None:
    film = films.write_video(tmp_path / "a.mkv", noise(2))
    data = film.read_bytes()
    place = data.index(b"\x44\x89\x88") + 3  # the length of a Matroska file, a double, ms
    film.write_bytes(data[:place] + struct.pack(">d", 1e18) + data[place + 8 :])
    assert length_s(film) is None
    assert [frame.end_s for frame in stream(film)] == pytest.approx([0.04, 0.08])


def test_a_stream_that_begins_late_in_a_file_costs_no_packet() -> None:
    class Late:
        def demux(self, _: object) -> Any:
            yield from "abc"
            raise IndexError("list index out of range")

    assert list(packets_of(Late(), None)) == ["a", "b", "c"]


@pytest.mark.parametrize("fault", [OSError(95, "Operation not supported"), MemoryError(), IndexError("none")])
def test_a_frame_without_known_colours_is_one_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fault: Exception
) -> None:
    def fail(*_: object) -> None:
        raise fault

    film = write_raw(tmp_path / "a.nut", [192, 192])
    monkeypatch.setattr(Display, "pixels", fail)
    with pytest.raises(DferError, match=r"a\.nut: decoding failed, the frame at 0 s has no colours that are known: "):
        next(stream(film))


@pytest.mark.parametrize("size", range(13, 21))
def test_a_webp_that_ends_in_its_head_is_no_film(tmp_path: Path, size: int) -> None:
    film = write_webp(tmp_path / "a.webp", [40, 40])
    film.write_bytes(film.read_bytes()[:size])
    assert not is_video(film)
    assert [found.path for found in survey(tmp_path)] == [film]
    with pytest.raises(DferError, match=r"a\.webp: "):
        times(film)


def test_what_comes_before_the_damage_of_an_animated_webp_is_read(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    film = write_webp(tmp_path / "a.webp", [40] * 5)
    data = bytearray(film.read_bytes())
    place = [at for at in range(len(data)) if data[at : at + 4] == b"ANMF"][3]
    data[place + 60 : place + 400] = bytes(340)
    film.write_bytes(data)
    with Image.open(film) as image, pytest.raises(Exception, match=r".+"):
        image.seek(3)
        image.load()
    assert times(film) == pytest.approx([0, 0.04, 0.08])
    assert "after 3 frames" in caplog.text and "the rest is left out" in caplog.text
    with pytest.raises(DferError, match="after 3 frames"):
        open_clip(film, "video")


def grey(count: int) -> Any:
    return ((np.full((16, 16, 3), 99, np.uint8), number / 25, (number + 1) / 25) for number in range(count))


def test_sound_of_an_unknown_codec_is_left_out(tmp_path: Path) -> None:
    film = beep("flac", tmp_path / "a.mkv")
    film.write_bytes(film.read_bytes().replace(b"A_FLAC", b"A_XXXX"))
    with av.open(str(film)) as container:
        assert container.streams.audio[0].codec_context is None
    assert open_sound(film) is None and played_type(film) is None
    write_video(tmp_path / "out.mp4", lambda: grey(50), sound=(film, 0.0, np.inf))
    assert len(times(tmp_path / "out.mp4")) == 50
    assert small_copy(film, 1.0)


def test_a_film_whose_sound_no_new_file_takes_is_written_without_it(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    film, damaged = beep("aac", tmp_path / "a.mp4"), tmp_path / "b.mp4"
    with av.open(str(film)) as whole, av.open(str(damaged), "w", options={"movflags": "empty_moov"}) as out:
        new = {each.index: out.add_stream_from_template(each) for each in whole.streams}
        for packet in whole.demux():
            if packet.dts is not None:
                packet.stream = new[packet.stream.index]
                out.mux(packet)
    # 1024 samples a packet become 2^31 and more
    damaged.write_bytes(damaged.read_bytes().replace(b"\0\0\4\0", b"\x81\x0c\x04\x03"))
    with caplog.at_level(logging.WARNING):
        write_video(tmp_path / "out.mp4", lambda: grey(50), sound=(damaged, 0.0, np.inf))
    assert "b.mp4: its sound is not kept: " in caplog.text
    with av.open(str(tmp_path / "out.mp4")) as container:
        assert not container.streams.audio and sum(1 for _ in container.decode(video=0)) == 50
