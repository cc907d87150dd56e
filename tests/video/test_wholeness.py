"""Files that are cut off or damaged where a reader passes over it in silence."""

from __future__ import annotations

import logging
from pathlib import Path

import av
import numpy as np
import pytest

from dfer.video.frames import open_clip
from dfer.video.stream import stream
from dfer.video.wholeness import fault_of, is_whole_matroska

from .films import noise

FILMS = {
    "a.webm": ("libvpx", "yuv420p", {}),
    "a.mkv": ("libx264", "yuv420p", {}),
    "live.webm": ("libvpx", "yuv420p", {"live": "1"}),
    "a.gif": ("gif", "rgb8", {}),
    "a.flv": ("flv", "yuv420p", {}),
    "a.mpg": ("mpeg2video", "yuv420p", {}),
    "a.ts": ("mpeg2video", "yuv420p", {}),
}
FRAMES = 60


def write(path: Path) -> bytes:
    codec, pixels, options = FILMS[path.name]
    with av.open(str(path), "w", options=options) as container:
        film = container.add_stream(codec, rate=25)
        film.width, film.height, film.pix_fmt = 64, 48, pixels
        for frame in noise(FRAMES, 48, 64):
            container.mux(film.encode(av.VideoFrame.from_ndarray(frame, format="rgb24")))
        container.mux(film.encode())
    return path.read_bytes()


def overwritten(data: bytes, seed: int) -> bytes:
    """Random bytes in the middle, 4 % of the file."""
    middle, width = len(data) // 2, len(data) // 25
    return data[:middle] + np.random.default_rng(seed).bytes(width) + data[middle + width :]


@pytest.mark.parametrize("name", FILMS)
def test_a_whole_film_is_read_without_a_word(tmp_path: Path, caplog: pytest.LogCaptureFixture, name: str) -> None:
    write(tmp_path / name)
    assert len(open_clip(tmp_path / name, "video")) == FRAMES and not caplog.text
    assert not fault_of(tmp_path / name)


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("name", FILMS)
def test_frames_that_damage_took_out_of_the_middle_are_told(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, name: str, seed: int
) -> None:
    film = tmp_path / name
    film.write_bytes(overwritten(write(film), seed))
    with caplog.at_level(logging.WARNING):
        found = list(stream(film))
    assert 0 < len(found) <= FRAMES
    assert "damaged" in caplog.text
    assert max(each.end_s - each.time_s for each in found[-1:]) < 1, "no frame stays where others are missing"


@pytest.mark.parametrize("part", [0.4, 0.613, 0.9])
@pytest.mark.parametrize("name", ["a.webm", "a.mkv", "live.webm", "a.gif", "a.flv"])
def test_a_film_that_lost_its_end_is_told(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, name: str, part: float
) -> None:
    film, data = tmp_path / name, write(tmp_path / name)
    film.write_bytes(data[: int(len(data) * part)])
    with caplog.at_level(logging.WARNING):
        assert 0 < len(list(stream(film))) < FRAMES
    assert fault_of(film).startswith("it is cut off or damaged at byte ")
    assert "damaged" in caplog.text


def test_what_lies_behind_the_end_is_no_fault(tmp_path: Path) -> None:
    for name in ("a.webm", "a.gif"):
        film, data = tmp_path / name, write(tmp_path / name)
        film.write_bytes(data + b"more")
        assert not fault_of(film)


def test_matroska_without_a_film_is_not_whole(tmp_path: Path) -> None:
    film, data = tmp_path / "a.mkv", write(tmp_path / "a.mkv")
    film.write_bytes(data[: data.index(b"\x18S\x80g")])
    assert fault_of(film) and not is_whole_matroska(film)


def test_zeros_between_the_pictures_of_a_gif_cost_the_pictures_behind_them(tmp_path: Path) -> None:
    film, data = tmp_path / "a.gif", write(tmp_path / "a.gif")
    place = data.index(b"!\xf9\x04", len(data) // 2)  # the extension before a picture
    film.write_bytes(data[:place] + b"\0\0" + data[place:])
    assert len(list(stream(film))) < FRAMES
    assert fault_of(film).startswith(f"it is cut off or damaged at byte {place:,} of ")


def test_a_film_that_goes_away_while_it_is_read_is_read(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    for name in FILMS:
        film = tmp_path / name
        write(film)
        frames = stream(film)
        next(frames)
        film.unlink()
        assert sum(1 for _ in frames) == FRAMES - 1, name
    assert not caplog.text


def test_only_matroska_that_states_its_length_is_known_to_be_whole(tmp_path: Path) -> None:
    known = {name: is_whole_matroska(tmp_path / name) for name in FILMS if write(tmp_path / name)}
    assert {name for name, whole in known.items() if whole} == {"a.webm", "a.mkv"}
    (tmp_path / "a.mkv").write_bytes((tmp_path / "a.mkv").read_bytes()[:-1])
    assert not is_whole_matroska(tmp_path / "a.mkv")


@pytest.mark.parametrize("size", [0, 3, 4, 5, 12, 40, 60])
@pytest.mark.parametrize("name", ["a.webm", "a.gif", "a.flv"])
def test_a_file_that_ends_in_its_head_is_cut_off(tmp_path: Path, name: str, size: int) -> None:
    film = tmp_path / name
    film.write_bytes(write(film)[:size])
    assert bool(fault_of(film)) == (size >= 4)
    assert not is_whole_matroska(film)


@pytest.mark.parametrize("start", [b"\x1aE\xdf\xa3", b"GIF89a", b"FLV\x01"])
def test_any_bytes_come_to_an_end(tmp_path: Path, start: bytes) -> None:
    for seed in range(50):
        film = tmp_path / f"{seed}.bin"
        film.write_bytes(start + np.random.default_rng(seed).bytes(300))
        assert fault_of(film)
        is_whole_matroska(film)
