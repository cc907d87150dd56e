"""The picture that a player shows: turned, mirrored, with square pixels, of one size, in plain colours."""

from __future__ import annotations

import struct
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np
import pytest

from dfer.errors import DferError
from dfer.video import open_clip
from dfer.video.decoding import Film
from dfer.video.picture import HLG, PQ, Display, to_plain, turned
from dfer.video.stream import stream

from .films import noise, write_video


def pixels_of(path: Path) -> np.ndarray:
    return np.stack([frame.pixels for frame in stream(path)])


def with_matrix(path: Path, matrix: tuple[int, int, int, int]) -> Path:
    """An MP4 whose track says how it is displayed: x' = a x + c y, y' = b x + d y."""
    data = bytearray(path.read_bytes())
    a, b, c, d = (65536 * value for value in matrix)
    struct.pack_into(">9i", data, data.index(b"tkhd") + 44, a, b, 0, c, d, 0, 0, 0, 1 << 30)
    path.write_bytes(data)
    return path


@pytest.mark.parametrize(
    ("matrix", "shown"),
    [
        ((1, 0, 0, 1), lambda frame: frame),
        ((0, 1, -1, 0), lambda frame: cv2.rotate(frame, cv2.ROTATE_90_CLOCKWISE)),
        ((-1, 0, 0, -1), lambda frame: cv2.rotate(frame, cv2.ROTATE_180)),
        ((0, -1, 1, 0), lambda frame: cv2.rotate(frame, cv2.ROTATE_90_COUNTERCLOCKWISE)),
        ((-1, 0, 0, 1), lambda frame: cv2.flip(frame, 1)),
        ((1, 0, 0, -1), lambda frame: cv2.flip(frame, 0)),
        ((0, 1, 1, 0), cv2.transpose),
        ((0, -1, -1, 0), lambda frame: cv2.rotate(cv2.transpose(frame), cv2.ROTATE_180)),
    ],
    ids=["upright", "90", "180", "270", "mirrored", "upside down mirrored", "transposed", "transversed"],
)
def test_all_eight_ways_of_display_are_honoured(
    tmp_path: Path, matrix: tuple[int, int, int, int], shown: Callable[[np.ndarray], np.ndarray]
) -> None:
    written = noise(3)
    path = with_matrix(write_video(tmp_path / "a.mp4", written), matrix)
    wanted = np.stack([shown(frame) for frame in written])
    assert np.array_equal(pixels_of(path), wanted)
    assert np.array_equal(open_clip(path, "video").read(np.arange(3)), wanted)


@pytest.mark.parametrize("degrees", [0, 90, 180, 270])
def test_a_user_may_turn_films_and_pictures_clockwise(tmp_path: Path, degrees: int) -> None:
    written = noise(2)
    wanted = np.rot90(written, -degrees // 90, axes=(1, 2))
    path = write_video(tmp_path / "a.mkv", written)
    cv2.imwrite(str(tmp_path / "a.png"), written[0][..., ::-1])
    assert np.array_equal([frame.pixels for frame in stream(path, rotate=degrees)], wanted)
    assert np.array_equal(next(stream(tmp_path / "a.png", rotate=degrees)).pixels, wanted[0])
    assert np.array_equal(turned(written[0], degrees), wanted[0])
    with pytest.raises(DferError, match=r"expected to rotate by 0, 90, 180, 270 degrees"):
        stream(path, rotate=45)


@pytest.mark.parametrize(
    ("aspect", "matrix", "size"),
    [
        (Fraction(2), (1, 0, 0, 1), (64, 24)),
        (Fraction(4, 3), (1, 0, 0, 1), (43, 24)),
        (Fraction(1, 2), (1, 0, 0, 1), (32, 48)),
        (Fraction(2), (0, 1, -1, 0), (24, 64)),
        (Fraction(1), (1, 0, 0, 1), (32, 24)),
        (Fraction(226, 225), (1, 0, 0, 1), (32, 24)),
        (Fraction(16, 15), (1, 0, 0, 1), (34, 24)),
        (Fraction(99), (1, 0, 0, 1), (32, 24)),
    ],
    ids=["wide", "wide as on tape", "high", "wide and turned", "square", "nearly square", "as on tape", "a mistake"],
)
def test_pixels_that_are_not_square_become_so(
    tmp_path: Path, aspect: Fraction, matrix: tuple[int, int, int, int], size: tuple[int, int]
) -> None:
    written = np.full((2, 24, 32, 3), 40, np.uint8)
    written[:, :12] = 200
    path = tmp_path / "a.mp4"
    with av.open(str(path), "w") as container:
        video = container.add_stream("libx264rgb", rate=25, options={"crf": "0"})
        video.height, video.width, video.pix_fmt = 24, 32, "rgb24"
        video.codec_context.sample_aspect_ratio = aspect
        for picture in written:
            container.mux(video.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        container.mux(video.encode())
    shown = pixels_of(with_matrix(path, matrix))
    assert (shown.shape[2], shown.shape[1]) == size
    bright = shown[0].mean(axis=2) > 120
    assert bright.mean() == pytest.approx(0.5, abs=0.05) and bright[2, -3], "turned clockwise the top is at the right"


def test_each_frame_of_a_film_is_converted_by_its_own_layout_and_colours() -> None:
    random = np.random.default_rng(3)

    def frame(layout: str, *, side: int = 32, colours: int = 2, full: bool = False) -> av.VideoFrame:
        made = av.VideoFrame(side, side, layout)
        for plane in made.planes:
            plane.update(random.integers(0, 256, plane.buffer_size, np.uint8).tobytes())
        made.colorspace, made.color_range = colours, 2 if full else 1
        return made

    frames = [
        *(frame("yuv420p"), frame("yuv420p", colours=1), frame("yuv420p", colours=5, full=True), frame("yuv444p")),
        *(frame("yuv420p", side=16), frame("gray"), frame("rgb24"), frame("yuv420p", colours=1, full=True)),
    ]
    display = Display(frames[0], None)
    for shown in frames:
        wanted = shown.to_ndarray(format="rgb24", width=32, height=32)  # by a converter of its own
        assert np.array_equal(display.pixels(shown), wanted)
    changed = [display.pixels(frames[0]), display.pixels(frames[0])]
    assert np.array_equal(*changed) and not np.array_equal(changed[0], display.pixels(frames[1]))


def joined_sizes(tmp_path: Path) -> Path:
    """A film whose second part is half as large."""
    large = np.full((3, 48, 64, 3), 60, np.uint8)
    large[:, :, 32:] = 180
    small = large[:, ::2, ::2]
    for name, part in (("large.ts", large), ("small.ts", small)):
        write_video(tmp_path / name, part)
    path = tmp_path / "a.ts"
    path.write_bytes((tmp_path / "large.ts").read_bytes() + (tmp_path / "small.ts").read_bytes())
    return path


def test_a_size_that_changes_is_read_on_in_the_first_size_and_told(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = joined_sizes(tmp_path)
    shown = pixels_of(path)
    assert shown.shape == (6, 48, 64, 3)
    assert (
        np.abs(shown[4, :, :28].astype(int) - 60).max() < 12 and np.abs(shown[4, :, 36:].astype(int) - 180).max() < 12
    )
    assert "the size of its frames changes; all are scaled to that of the first" in caplog.text
    with pytest.raises(DferError, match=r"expected frames of one size, found \(64, 48\) and, in frame 3, another"):
        open_clip(path, "video")


# --- the stream


def two_tracks(path: Path, dispositions: tuple[str, str], sizes: tuple[int, int]) -> Path:
    """A Matroska file of two films, of grey 50 and of grey 200."""
    with av.open(str(path), "w") as container:
        tracks = []
        for size, disposition in zip(sizes, dispositions, strict=True):
            track = container.add_stream("ffv1", rate=25)
            track.height, track.width, track.pix_fmt = size, size, "bgr0"
            if disposition:
                track.disposition = av.stream.Disposition[disposition]
            tracks.append(track)
        for _ in range(5):
            for track, size, grey in zip(tracks, sizes, (50, 200), strict=True):
                frame = av.VideoFrame.from_ndarray(np.full((size, size, 3), grey, np.uint8), format="rgb24")
                container.mux(track.encode(frame))
        for track in tracks:
            container.mux(track.encode())
    return path


@pytest.mark.parametrize(
    ("dispositions", "sizes", "grey"),
    [
        (("default", "dub"), (32, 64), 50),
        (("dub", "default"), (64, 32), 200),
        (("default", "default"), (32, 64), 200),
        (("attached_pic", "dub"), (64, 32), 200),
        (("timed_thumbnails", "dub"), (64, 32), 200),
        (("dub", "still_image"), (32, 64), 50),
    ],
)
def test_the_stream_is_the_one_that_players_choose(
    tmp_path: Path, dispositions: tuple[str, str], sizes: tuple[int, int], grey: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    from dfer.video import decoding

    path = two_tracks(tmp_path / "a.mkv", ("", ""), sizes)
    flags = dict(enumerate(int(av.stream.Disposition[name]) for name in dispositions))
    real = decoding.chosen_stream

    class Marked:  # Matroska does not store all of them
        def __init__(self, stream: object) -> None:
            self.stream = stream
            self.disposition = flags[stream.index]

        def __getattr__(self, name: str) -> object:
            return getattr(self.stream, name)

    class Container:
        def __init__(self, container: object) -> None:
            self.streams = type("Streams", (), {"video": [Marked(stream) for stream in container.streams.video]})

    monkeypatch.setattr(decoding, "chosen_stream", lambda path, container: real(path, Container(container)).stream)
    assert {int(shown.pixels.mean()) for shown in Film(path)} == {grey}


def test_a_cover_in_front_of_the_film_is_passed_over(shared_data: Path) -> None:
    film = [shown.pixels for shown in Film(shared_data / "cases" / "06-cover-art-first" / "clip.mp4")]
    base = [shown.pixels for shown in Film(shared_data / "cases" / "base.mp4")]
    assert np.array_equal(film, base)


# --- high dynamic range


def to_signal(plain: np.ndarray, transfer: int) -> np.ndarray:
    """8-bit BT.709 -> 16 bits in PQ or HLG and BT.2020, white at 203 cd/m2, by the inverse formulas of BT.2100."""
    light = (plain / 255.0) ** 2.2
    wide = np.array([[0.6274, 0.3293, 0.0433], [0.0691, 0.9195, 0.0114], [0.0164, 0.0880, 0.8956]])  # BT.2087
    nits = np.clip(light @ wide.T, 0, None) * 203
    if transfer == PQ:
        power = (nits / 10_000) ** 0.1593017578125
        signal = ((0.8359375 + 18.8515625 * power) / (1 + 18.6875 * power)) ** 78.84375
    else:
        scene = (nits / 1000) ** (1 / 1.2)
        curve = 0.17883277 * np.log(np.maximum(12 * scene - 0.28466892, 1e-9)) + 0.55991073
        signal = np.where(scene <= 1 / 12, np.sqrt(3 * scene), curve)
    return np.round(np.clip(signal, 0, 1) * 65535).astype(np.uint16)


@pytest.mark.parametrize("transfer", [PQ, HLG])
def test_high_dynamic_range_looks_as_the_plain_picture_but_for_its_highlights(transfer: int) -> None:
    plain = np.stack(np.meshgrid(*[np.arange(0, 256, 15)] * 3, indexing="ij"), axis=-1).reshape(18, -1, 3)
    shown = to_plain(to_signal(plain, transfer), transfer).astype(int)
    dark = plain.max(axis=2) < 190  # below the knee
    assert np.abs(shown - plain)[dark].mean() < 2 and np.abs(shown - plain)[dark].max() < 12
    white = shown[(plain == 255).all(axis=2)][0]
    assert white.min() > 225 and np.ptp(white) <= 2, "white is bright and grey"
    ramp = np.repeat(np.linspace(0, 65535, 200).astype(np.uint16)[None, :, None], 3, axis=2)
    assert (np.diff(to_plain(ramp, transfer)[0, :, 0].astype(int)) >= 0).all(), "brighter light is never shown darker"


@pytest.mark.parametrize("transfer", [PQ, HLG])
def test_a_film_of_high_dynamic_range_is_shown_in_plain_colours(tmp_path: Path, transfer: int) -> None:
    plain = np.empty((48, 64, 3), np.uint8)
    plain[:, :32], plain[:, 32:] = (180, 120, 95), (60, 60, 60)  # skin, and grey
    path = tmp_path / "a.mkv"
    with av.open(str(path), "w") as container:
        video = container.add_stream("ffv1", rate=25)
        video.height, video.width, video.pix_fmt = 48, 64, "gbrp10le"
        video.codec_context.color_trc, video.codec_context.color_primaries = transfer, 9
        signal = to_signal(plain, transfer)
        frame = av.VideoFrame.from_ndarray(signal, format="rgb48le").reformat(format="gbrp10le")
        frame.color_trc, frame.color_primaries = transfer, 9
        container.mux(video.encode(frame))
        container.mux(video.encode())
    (shown,) = Film(path)
    assert np.abs(shown.pixels.astype(int) - plain).max() < 8


@pytest.mark.parametrize("transfer", [PQ, HLG])
def test_a_film_of_ten_bits_as_phones_and_cameras_record_it_is_shown_in_plain_colours(
    tmp_path: Path, transfer: int
) -> None:
    if "libx265" not in av.codecs_available:
        pytest.skip("no libx265")
    plain = np.empty((96, 128, 3), np.uint8)
    plain[:, :64], plain[:, 64:] = (180, 120, 95), (60, 60, 60)
    options = f"log-level=error:colorprim=9:transfer={transfer}:colormatrix=9:range=limited:crf=5"
    path = tmp_path / "a.hevc"  # the colours are told in the stream itself
    with av.open(str(path), "w") as container:
        video = container.add_stream("libx265", rate=25, options={"x265-params": options})
        video.height, video.width, video.pix_fmt = 96, 128, "yuv420p10le"
        frame = av.VideoFrame.from_ndarray(to_signal(plain, transfer), format="rgb48le")
        wide = frame.reformat(format="yuv420p10le", dst_colorspace=9)  # BT.2020, which PyAV 17 has no name for
        container.mux(video.encode(wide))
        container.mux(video.encode())
    (shown,) = Film(path)
    wrong = np.abs(shown.pixels.astype(int) - plain)
    assert wrong[:, :60].max() < 12 and wrong[:, 68:].max() < 12
