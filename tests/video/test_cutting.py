"""A part of a film: its own pictures at their own times, turned as asked, with the sound of that part."""

from __future__ import annotations

from pathlib import Path

import av
import numpy as np
import pytest

from dfer.errors import DferError
from dfer.video.cutting import cut
from tests.video.films import write_video
from tests.video.test_sound import beep, heard


def shown(path: Path) -> list[tuple[float, np.ndarray]]:
    """Times and pictures, as the decoder alone gives them."""
    with av.open(str(path)) as container:
        return [(frame.time, frame.to_ndarray(format="rgb24")) for frame in container.decode(video=0)]


def lasts(path: Path) -> float:
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        return float(stream.duration * stream.time_base)


def greys(levels: list[int]) -> np.ndarray:
    return np.stack([np.full((32, 48, 3), level, np.uint8) for level in levels])


@pytest.mark.parametrize(
    ("start_s", "end_s", "wanted"),
    [(0.4, 0.8, [10, 11, 12, 13, 14, 15, 16, 17, 18, 19]), (0.0, 0.08, [0, 1]), (0.9, 99.0, [23, 24])],
)
def test_a_part_has_the_pictures_that_were_shown_in_it(
    tmp_path: Path, start_s: float, end_s: float, wanted: list[int]
) -> None:
    film = write_video(tmp_path / "film.mp4", greys([10 * number for number in range(25)]))
    cut(film, tmp_path / "new" / "part.mp4", start_s=start_s, end_s=end_s)
    found = shown(tmp_path / "new" / "part.mp4")
    assert [round(float(pixels.mean()) / 10) for _, pixels in found] == wanted
    times = [0.0, *(number / 25 - start_s for number in wanted[1:])]
    assert [time for time, _ in found] == pytest.approx(times, abs=1e-3)
    assert lasts(tmp_path / "new" / "part.mp4") == pytest.approx(min(end_s, 1.0) - start_s, abs=1e-3)


def test_a_part_begins_with_the_picture_that_stays(tmp_path: Path) -> None:
    film = write_video(tmp_path / "film.mkv", greys([20, 120, 220, 60]), [0.0, 1.0, 3.0, 4.0])
    cut(film, tmp_path / "part.mp4", start_s=1.5, end_s=3.5)
    (first, one), (second, other) = shown(tmp_path / "part.mp4")
    assert (first, second) == pytest.approx((0.0, 1.5), abs=2e-3)
    assert (one.mean(), other.mean()) == pytest.approx((120, 220), abs=3)
    assert lasts(tmp_path / "part.mp4") == pytest.approx(2.0, abs=2e-3)


def test_a_part_is_turned_and_has_its_sound(tmp_path: Path) -> None:
    film = write_video(tmp_path / "film.mp4", np.concatenate([greys([0]), greys([200])], axis=2))
    cut(film, tmp_path / "turned.mp4", start_s=0.0, end_s=1.0, rotate=90)  # what was left is above
    ((_, pixels),) = shown(tmp_path / "turned.mp4")
    assert pixels.shape == (96, 32, 3) and pixels[:40].mean() < 10 and pixels[56:].mean() > 190
    cut(beep("aac", tmp_path / "beep.mp4", beep_s=1.0), tmp_path / "part.mp4", start_s=0.6, end_s=1.4)
    loudness, _ = heard(tmp_path / "part.mp4")
    assert np.flatnonzero(loudness > 0.5 * loudness.max()).mean() / 1000 == pytest.approx(1.05 - 0.6, abs=0.03)


def test_where_nothing_is_shown_there_is_no_part(tmp_path: Path) -> None:
    film = write_video(tmp_path / "film.mp4", greys([10, 20]))
    with pytest.raises(DferError, match="no frame"):
        cut(film, tmp_path / "part.mp4", start_s=5.0, end_s=6.0)
    assert [path.name for path in tmp_path.iterdir()] == ["film.mp4"]
