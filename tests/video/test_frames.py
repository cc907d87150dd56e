"""Clips of every kind: pixels and times against what was written, and against OpenCV and Pillow on real files."""

from __future__ import annotations

import logging
import math
import struct
import wave
import zipfile
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from dfer.errors import DferError
from dfer.video import frames as module
from dfer.video import open_clip
from dfer.video.frames import natural_key

from .films import noise, write_video

SIX = [f"1001_DFA_{emotion}_XX.flv" for emotion in ("ANG", "DIS", "FEA", "HAP", "NEU", "SAD")]


def everything(path: Path, kind: str = "video") -> np.ndarray:
    clip = open_clip(path, kind)
    return clip.read(np.arange(len(clip)))


# --- videos


@pytest.mark.parametrize("name", ["a.mp4", "a.mov", "a.mkv", "a.avi"])
def test_a_video_gives_its_frames_in_red_green_blue_with_their_times(tmp_path: Path, name: str) -> None:
    written = noise(7)
    clip = open_clip(write_video(tmp_path / name, written), "video")
    assert len(clip) == 7 and np.array_equal(everything(tmp_path / name), written)
    assert clip.times == pytest.approx(np.arange(7) / 25)


def test_a_video_of_variable_frame_rate_has_the_times_of_its_frames(tmp_path: Path) -> None:
    times = [0, 0.04, 0.5, 0.52, 1.7]
    clip = open_clip(write_video(tmp_path / "a.mkv", noise(5), times), "video")
    assert clip.times == pytest.approx(times), "not index / average rate"


def test_frames_that_are_stored_out_of_order_come_in_the_order_of_time(tmp_path: Path) -> None:
    ramp = np.broadcast_to(np.arange(0, 240, 8, dtype=np.uint8)[:, None, None, None], (30, 24, 32, 3))
    clip = open_clip(write_video(tmp_path / "a.mp4", ramp), "video")
    assert (np.diff(clip.times) > 0).all() and np.array_equal(clip.read(np.arange(30)), ramp)


@pytest.mark.parametrize(("side", "least", "part"), [(224, 112, 2), (224, 113, 1), (225, 100, 2), (448, 57, 4)])
def test_a_jpeg_that_may_come_smaller_is_decoded_so_and_looks_the_same(
    tmp_path: Path, side: int, least: int, part: int
) -> None:
    coarse = np.random.default_rng(0).integers(64, 192, (12, 14, 3), np.uint8)
    written = Image.fromarray(coarse).resize((side + 30, side), Image.Resampling.BICUBIC)
    turned = Image.Exif()
    turned[0x0112] = 6  # EXIF's orientation: a quarter to the right
    written.save(tmp_path / "1.jpg", quality=95, exif=turned)
    small = open_clip(tmp_path, "frames").read(np.array([0, 0]), least=least)
    assert small.shape == (2, math.ceil((side + 30) / part), math.ceil(side / part), 3)
    whole = Image.open(tmp_path / "1.jpg").transpose(Image.Transpose.ROTATE_270)
    expected = np.asarray(whole.resize((small.shape[2], small.shape[1]), Image.Resampling.BOX), np.float64)
    assert np.abs(small[0] - expected).mean() < 2


def test_frames_are_read_in_any_order_and_repeatedly(tmp_path: Path) -> None:
    written = noise(6)
    clip = open_clip(write_video(tmp_path / "a.mkv", written), "video")
    assert np.array_equal(clip.read(np.array([4, 0, 4, 5])), written[[4, 0, 4, 5]])


def test_a_video_too_large_to_keep_is_decoded_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    written = noise(6)
    path = write_video(tmp_path / "a.mkv", written)
    monkeypatch.setattr(module, "KEPT_BYTES", written[:2].nbytes)
    clip = open_clip(path, "video")
    assert np.array_equal(clip.read(np.array([5, 1, 1])), written[[5, 1, 1]])
    path.unlink()
    with pytest.raises(DferError, match=r"a\.mkv"):
        clip.read(np.array([0]))


@pytest.mark.parametrize(
    ("matrix", "quarters"),
    [((1, 0, 0, 1), 0), ((0, 1, -1, 0), -1), ((-1, 0, 0, -1), 2), ((0, -1, 1, 0), 1)],
    ids=["upright", "quarter clockwise", "upside down", "quarter anticlockwise"],
)
def test_a_rotation_tag_is_honoured(tmp_path: Path, matrix: tuple[int, int, int, int], quarters: int) -> None:
    written = noise(3)
    path = write_video(tmp_path / "a.mp4", written)
    data = bytearray(path.read_bytes())
    a, b, c, d = (65536 * value for value in matrix)  # x' = a x + c y, y' = b x + d y, in 16.16 fixed point
    struct.pack_into(">9i", data, data.index(b"tkhd") + 44, a, b, 0, c, d, 0, 0, 0, 1 << 30)
    path.write_bytes(data)
    assert np.array_equal(everything(path), np.rot90(written, quarters, axes=(1, 2)))


def test_the_contents_decide_not_the_suffix(tmp_path: Path) -> None:
    written = noise(3)
    path = write_video(tmp_path / "a.mkv", written).rename(tmp_path / "a.mp4")
    assert np.array_equal(everything(path), written)


def test_a_video_of_one_frame_is_a_clip_of_one_frame(tmp_path: Path) -> None:
    written = noise(1)
    clip = open_clip(write_video(tmp_path / "a.mp4", written), "video")
    assert (
        len(clip) == 1 and clip.times.tolist() == [0] and np.array_equal(clip.read(np.array([0, 0])), written[[0, 0]])
    )


def test_a_gif_has_the_times_that_its_delays_add_up_to(tmp_path: Path) -> None:
    grey = [Image.new("L", (32, 24), 40 * k) for k in range(4)]
    grey[0].save(tmp_path / "a.gif", save_all=True, append_images=grey[1:], duration=[100, 500, 200, 300])
    clip = open_clip(tmp_path / "a.gif", "video")
    assert clip.times == pytest.approx([0, 0.1, 0.6, 0.8])
    assert clip.read(np.arange(4)).mean(axis=(1, 2, 3)) == pytest.approx([0, 40, 80, 120], abs=1)


@pytest.mark.parametrize(("part", "told"), [(0.8, r"after \d+ frames"), (0.05, "not a video that can be opened")])
def test_a_truncated_video_says_how_far_it_went(tmp_path: Path, part: float, told: str) -> None:
    path = write_video(tmp_path / "a.mp4", noise(30), movflags="faststart")
    path.write_bytes(path.read_bytes()[: int(path.stat().st_size * part)])
    with pytest.raises(DferError, match=rf"a\.mp4: decoding failed, {told}: "):
        open_clip(path, "video")


def test_a_video_that_lost_its_end_unnoticed_by_the_decoder_is_told(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = write_video(tmp_path / "a.avi", noise(30))
    data = path.read_bytes()
    data = data[: data.rindex(b"00dc", 0, len(data) // 2)]  # where a frame begins
    path.write_bytes(data)
    whole = data.partition(b"movi")[2].count(b"00dc")
    assert len(open_clip(path, "video")) == whole < 30
    assert f"{whole} of its 30 frames are there" in caplog.text


def test_a_cut_off_video_that_does_not_count_its_frames_is_told_by_its_length(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = write_video(tmp_path / "a.mkv", noise(60))
    assert len(open_clip(path, "video")) == 60 and not caplog.text  # 2.4 s
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    clip = open_clip(path, "video")
    assert 0 < len(clip) < 35
    assert f"its frames end at {clip.times[-1]:.1f} s of 2.4; it is cut off or damaged at byte " in caplog.text


def test_a_video_whose_frames_change_their_size_is_refused(tmp_path: Path) -> None:
    small = write_video(tmp_path / "a.ts", noise(3))
    large = write_video(tmp_path / "b.ts", noise(3, 48, 64))
    small.write_bytes(small.read_bytes() + large.read_bytes())
    with pytest.raises(
        DferError, match=r"a\.ts: expected frames of one size, found \(32, 24\) and, in frame 3, another"
    ):
        open_clip(small, "video")


def test_what_is_no_video_is_refused_by_name(tmp_path: Path) -> None:
    (tmp_path / "empty.mp4").touch()
    (tmp_path / "text.mp4").write_text("not a film\n" * 100)
    with wave.open(str(tmp_path / "sound.mp4"), "wb") as sound:
        sound.setparams((1, 2, 8000, 0, "NONE", ""))
        sound.writeframes(bytes(1600))
    for name, fault in {
        "empty.mp4": "the file is empty",
        "text.mp4": "not a video that can be opened",
        "sound.mp4": "the file has no video stream",
        "missing.mp4": "cannot be read: No such file",
        ".": "expected a file, got a folder",
    }.items():
        with pytest.raises(DferError, match=fault) as raised:
            open_clip(tmp_path / name, "video")
        assert str(raised.value).startswith(str(tmp_path / name))


def test_an_unknown_kind_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DferError, match=r"expected the kind video, frames, image or array, got 'film'"):
        open_clip(tmp_path, "film")


# --- folders of frames and images


def write_images(folder: Path, names: list[str], written: np.ndarray) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for name, image in zip(names, written, strict=True):
        Image.fromarray(image).save(folder / name)
    return folder


def test_a_folder_of_frames_is_read_in_the_order_of_its_numbers(tmp_path: Path) -> None:
    written = noise(16)
    folder = write_images(tmp_path / "a", [f"{k}.png" for k in range(1, 17)], written)
    for litter in (".2.png", "notes.txt", "._3.png"):
        (folder / litter).write_text("no image")
    assert np.array_equal(everything(folder, "frames"), written)
    assert np.array_equal(open_clip(folder, "frames").read(np.array([9, 1, 9])), written[[9, 1, 9]])


def test_frames_without_a_clock_have_the_times_of_the_rate_that_is_given(tmp_path: Path) -> None:
    folder = write_images(tmp_path / "a", ["00001_00001.png", "00001_00002.png"], noise(2))
    assert np.isnan(open_clip(folder, "frames").times).tolist() == [True, True]
    assert open_clip(folder, "frames", fps=25).times == pytest.approx([0, 0.04])


@settings(deadline=None)
@given(st.lists(st.integers(0, 10**12), min_size=2, max_size=6), st.text(max_size=4), st.text(max_size=4))
def test_names_that_differ_in_a_number_are_sorted_by_it(numbers: list[int], before: str, after: str) -> None:
    before, after = before.rstrip("0123456789") + "_", "_" + after
    ordered = sorted((f"{before}{number}{after}" for number in numbers), key=natural_key)
    assert ordered == [f"{before}{number}{after}" for number in sorted(numbers)]


@settings(deadline=None)
@given(st.text(), st.text())
def test_any_two_names_can_be_compared(one: str, other: str) -> None:
    assert sorted([one, other, "²", "7"], key=natural_key)


def test_a_folder_that_is_missing_or_without_frames_is_refused(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "file").touch()
    for name, fault in {
        "empty": "the folder holds no frame",
        "file": "expected a folder of frames, found a file",
        "missing": "expected a folder of frames, found nothing",
    }.items():
        with pytest.raises(DferError, match=fault):
            open_clip(tmp_path / name, "frames")


def test_frames_of_different_sizes_are_refused(tmp_path: Path) -> None:
    write_images(tmp_path / "a", ["1.png"], noise(1))
    write_images(tmp_path / "a", ["2.png"], noise(1, 8, 8))
    with pytest.raises(DferError, match=r"expected frames of one size, found \[\(8, 8\), \(24, 32\)\]"):
        everything(tmp_path / "a", "frames")


def test_an_image_is_a_clip_of_one_frame(tmp_path: Path) -> None:
    written = noise(1)
    write_images(tmp_path, ["a.png"], written)
    assert np.array_equal(everything(tmp_path / "a.png", "image"), written)


def test_grey_alpha_palette_and_sixteen_bits_become_eight_bits_of_red_green_blue(tmp_path: Path) -> None:
    pixels = noise(1)[0]
    one, alpha = pixels[..., 0], pixels[..., 1]
    palette = Image.fromarray(pixels).quantize(16)
    images = {
        "grey": (Image.fromarray(one), np.dstack([one] * 3)),
        "grey and alpha": (Image.merge("LA", [Image.fromarray(one), Image.fromarray(alpha)]), np.dstack([one] * 3)),
        "alpha": (Image.fromarray(np.dstack([pixels, alpha])), pixels),
        "palette": (palette, np.asarray(palette.convert("RGB"))),
        "sixteen bits": (Image.fromarray(one.astype(np.uint16) * 257), np.dstack([one] * 3)),
    }
    for name, (image, expected) in images.items():
        image.save(tmp_path / f"{name}.png")
        read = everything(tmp_path / f"{name}.png", "image")
        assert read.dtype == np.uint8 and np.array_equal(read[0], expected), name


@pytest.mark.parametrize("suffix", ["jpg", "png", "bmp", "webp", "tiff"])
@pytest.mark.parametrize("part", [0.0, 0.5, 0.95])
def test_an_image_that_was_cut_off_is_refused_by_name(tmp_path: Path, suffix: str, part: float) -> None:
    write_images(tmp_path, [f"a.{suffix}"], noise(1, 64, 64))
    path = tmp_path / f"a.{suffix}"
    path.write_bytes(path.read_bytes()[: int(path.stat().st_size * part)])
    with pytest.raises(DferError, match=rf"a\.{suffix}: (the file is empty|not an image that can be decoded)"):
        everything(path, "image")


def test_an_image_that_is_missing_is_refused_by_name(tmp_path: Path) -> None:
    with pytest.raises(DferError, match=r"a\.png cannot be read: No such file"):
        everything(tmp_path / "a.png", "image")


@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
def test_an_image_may_be_a_member_of_an_archive(tmp_path: Path, method: int) -> None:
    written = noise(2)
    folder = write_images(tmp_path / "x", ["1.png", "2.png"], written)
    with zipfile.ZipFile(tmp_path / "Faces.ZIP", "w", method) as archive:
        for path in folder.iterdir():
            archive.write(path, f"dir/{path.name}")
    for index, name in enumerate(("1.png", "2.png")):
        assert np.array_equal(everything(tmp_path / "Faces.ZIP/dir" / name, "image"), written[[index]])
    with pytest.raises(DferError, match=r"3\.png cannot be read: it is not in the archive"):
        everything(tmp_path / "Faces.ZIP/dir/3.png", "image")


def test_an_archive_or_a_member_that_is_damaged_is_refused_by_name(tmp_path: Path) -> None:
    path = tmp_path / "faces.zip"
    path.write_bytes(b"PK\x03\x04 no archive")
    with pytest.raises(DferError, match=r"faces\.zip cannot be read as a zip archive: File is not a zip file"):
        everything(path / "1.png", "image")
    path = tmp_path / "members.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("1.png", bytes(range(256)) * 40)
    data = bytearray(path.read_bytes())
    data[35 : 35 + 20] = b"\xff" * 20
    path.write_bytes(data)
    with pytest.raises(DferError, match=r"members\.zip.1\.png cannot be read"):
        everything(path / "1.png", "image")


# --- packed arrays


@pytest.mark.parametrize("channels", [1, 3])
def test_a_packed_clip_is_what_was_saved(tmp_path: Path, channels: int) -> None:
    written = noise(5)[..., :channels]
    np.save(tmp_path / "a.npy", written)
    clip = open_clip(tmp_path / "a.npy", "array", fps=10)
    assert np.array_equal(clip.read(np.array([3, 3, 0])), written[[3, 3, 0]])
    assert clip.times == pytest.approx([0, 0.1, 0.2, 0.3, 0.4])


@pytest.mark.parametrize(
    "array",
    [
        np.zeros((2, 8, 8, 3)),
        np.zeros((2, 8, 8), np.uint8),
        np.zeros((2, 8, 8, 4), np.uint8),
        np.zeros((0, 8, 8, 3), np.uint8),
        np.array([{"a": 1}]),
    ],
    ids=["floats", "no channels", "four channels", "no frame", "objects"],
)
def test_an_array_that_is_no_clip_is_refused(tmp_path: Path, array: np.ndarray) -> None:
    np.save(tmp_path / "a.npy", array, allow_pickle=True)
    with pytest.raises(DferError, match=r"a\.npy: (expected \(T, H, W, 3 or 1\) uint8, found|not a packed clip)"):
        open_clip(tmp_path / "a.npy", "array")


def test_a_damaged_packed_clip_is_refused_with_advice(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", noise(5))
    np.savez(tmp_path / "b.npz", noise(5))
    whole = (tmp_path / "a.npy").read_bytes()
    for data in (b"", whole[:60], whole[:-100], b"text", (tmp_path / "b.npz").read_bytes()):
        (tmp_path / "a.npy").write_bytes(data)
        with pytest.raises(DferError, match=r"a\.npy: not a packed clip that can be read: .*; pack the clips again"):
            open_clip(tmp_path / "a.npy", "array")
    with pytest.raises(DferError, match=r"missing\.npy cannot be read: No such file"):
        open_clip(tmp_path / "missing.npy", "array")


# --- real files


def opencv_frames_and_times(path: Path) -> tuple[int, list[float]]:
    """The number of frames that OpenCV decodes, and their times in seconds."""
    video, times = cv2.VideoCapture(str(path)), []
    while video.grab():
        times.append(video.get(cv2.CAP_PROP_POS_MSEC) / 1000)
    return len(times), times


def test_a_real_video_of_variable_frame_rate_has_its_own_times_and_a_black_last_frame(shared_data: Path) -> None:
    path = shared_data / "videos/noface_face.mov"
    clip = open_clip(path, "video")
    count, times = opencv_frames_and_times(path)
    assert len(clip) == count and clip.times == pytest.approx(times, abs=1e-3)
    steps = np.diff(clip.times)
    assert (steps > 0).all() and steps.max() > 2 * steps.min()
    average = np.arange(count) * clip.times[-1] / (count - 1)
    assert np.abs(clip.times - average).max() > 0.02, "index / average rate would be wrong"
    frames = clip.read(np.array([count // 2, count - 1]))
    assert frames.shape == (2, 540, 960, 3) and frames[0].mean() > 20 and frames[1].mean() < 2


def test_a_real_video_of_constant_frame_rate_has_even_times(shared_data: Path) -> None:
    clip = open_clip(shared_data / "videos/single_face.mp4", "video")
    assert len(clip) == 72 and clip.times == pytest.approx(np.arange(72) / 30)
    assert clip.read(np.array([0])).shape == (1, 360, 640, 3)


@pytest.mark.parametrize(
    "name",
    [
        "face-demographics-walking-and-pause.gif",
        "head-pose-face-detection-female-and-male.gif",
        "head-pose-face-detection-male.gif",
    ],
)
def test_real_gifs_have_the_times_that_pillow_counts(shared_data: Path, name: str) -> None:
    clip, delays = open_clip(shared_data / "videos" / name, "video"), []
    with Image.open(shared_data / "videos" / name) as image:
        for index in range(image.n_frames):  # type: ignore[attr-defined]
            image.seek(index)
            delays.append(image.info["duration"] / 1000)
        assert clip.times == pytest.approx(np.cumsum([0, *delays[:-1]]))
        shown = np.asarray(image.convert("RGB"))
    assert np.array_equal(clip.read(np.array([len(clip) - 1]))[0], shown)


@pytest.mark.parametrize("name", SIX)
def test_real_flash_clips_decode(shared_data: Path, name: str) -> None:
    path = shared_data / "crema_d/VideoFlash" / name
    clip = open_clip(path, "video")
    assert len(clip) == opencv_frames_and_times(path)[0]
    assert (np.diff(clip.times) > 0).all() and np.diff(clip.times) == pytest.approx(1 / 29.97, abs=1e-3)
    assert clip.read(np.array([0, len(clip) - 1])).shape == (2, 360, 480, 3)


def test_decoding_a_whole_clip_is_quiet(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG, logger="dfer"):
        everything(write_video(tmp_path / "a.mp4", noise(3)))
    assert not caplog.records and [path.name for path in tmp_path.iterdir()] == ["a.mp4"]
