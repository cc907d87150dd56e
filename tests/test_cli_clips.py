"""`dfer clips`: films become clips of one length, or one for each segment of a timeline."""

from __future__ import annotations

import shutil
from pathlib import Path

import av
import numpy as np
import pytest
from PIL import Image

from dfer.inference import Segment
from tests.video.films import write_video

from .inference.toy import toy_person, toy_timeline
from .test_cli import here

SEGMENTS = [(0.0, 1.4, ""), (1.5, 2.0, ""), (2.0, 3.2, "cannot tell")]
"""Onset and offset, seconds, and why no emotion is named."""


@pytest.fixture
def film(tmp_path: Path) -> Path:
    """Four and a half seconds, ten pictures a second, each brighter than the one before."""
    pictures = np.stack([np.full((32, 48, 3), 5 * number, np.uint8) for number in range(45)])
    (tmp_path / "films").mkdir()
    return write_video(tmp_path / "films" / "Ä film.mp4", pictures, [number / 10 for number in range(45)])


def run(*words: object) -> tuple[int, str]:
    """The exit code, and what is said."""
    done = here("clips", *words)
    return done.code, done.out + done.err


def brightness(path: Path) -> list[int]:
    """Of each picture, as numbers of the film's pictures."""
    with av.open(str(path)) as container:
        return [round(frame.to_ndarray(format="gray").mean() / 5) for frame in container.decode(video=0)]


def test_a_film_is_cut_into_clips_of_one_length_and_its_end_is_left_out(film: Path, tmp_path: Path) -> None:
    code, told = run(film.parent, "-o", tmp_path / "clips", "--length", 2)
    clips = sorted((tmp_path / "clips").iterdir())
    assert code == 0 and "2 clips cut" in told, told
    assert [path.name.rsplit("_", 1)[1] for path in clips] == ["0.00-2.00.mp4", "2.00-4.00.mp4"]
    assert [brightness(path) for path in clips] == [list(range(20)), list(range(20, 40))]


def test_clips_overlap_and_what_is_there_is_not_cut_again(film: Path, tmp_path: Path) -> None:
    words = (film, "-o", tmp_path / "clips", "--length", 2, "--every", 1, "--shortest", 0.4)
    assert run(*words)[0] == 0
    times = {path.name.rsplit("_", 1)[1]: path.stat().st_mtime_ns for path in (tmp_path / "clips").iterdir()}
    assert sorted(name.split("-")[0] for name in times) == ["0.00", "1.00", "2.00", "3.00", "4.00"]
    next((tmp_path / "clips").glob("*_1.00-3.00.mp4")).unlink()
    code, told = run(*words)
    assert code == 0 and "1 clip cut, 4 were there" in told, told
    for path in (tmp_path / "clips").iterdir():
        assert path.name.endswith("1.00-3.00.mp4") or path.stat().st_mtime_ns == times[path.name.rsplit("_", 1)[1]]


def test_a_timeline_gives_a_clip_for_each_segment_that_is_named_and_long_enough(film: Path, tmp_path: Path) -> None:
    segments = tuple(Segment(start, start, end, "angry", 0.9, doubt=doubt) for start, end, doubt in SEGMENTS)
    toy_timeline(toy_person(segments=segments), video=str(film)).save(tmp_path / "film.json")
    code, told = run(tmp_path / "film.json", "-o", tmp_path / "clips")
    assert code == 0, told
    assert [path.name.rsplit("_", 1)[1] for path in (tmp_path / "clips").iterdir()] == ["0.00-1.40.mp4"]
    film.unlink()
    code, told = run(tmp_path / "film.json", "-o", tmp_path / "clips")
    assert code == 2 and "is not there" in str(told)


def test_films_whose_names_become_alike_do_not_hide_each_other(film: Path, tmp_path: Path) -> None:
    other = film.with_name("_ film.mp4")
    other.write_bytes(film.read_bytes())
    code, told = run(film.parent, "-o", tmp_path / "clips")
    assert code == 0 and len(list((tmp_path / "clips").iterdir())) == 2, told


def test_two_films_of_one_name_are_told_apart_by_their_folders(film: Path, tmp_path: Path) -> None:
    other = tmp_path / "elsewhere" / film.name
    other.parent.mkdir()
    other.write_bytes(film.read_bytes())
    code, told = run(film, other, "-o", tmp_path / "clips")
    assert code == 0, told
    names = sorted(str(path.relative_to(tmp_path / "clips")) for path in (tmp_path / "clips").rglob("*.*"))
    assert len(names) == 2 and names[0].startswith("elsewhere") and names[1].startswith(film.parent.name), names


def test_timelines_of_two_films_of_one_name_are_refused_before_anything_is_cut(film: Path, tmp_path: Path) -> None:
    other = tmp_path / "elsewhere" / film.name
    other.parent.mkdir()
    other.write_bytes(film.read_bytes())
    for name, each in (("one", film), ("two", other)):
        segments = (Segment(0.0, 0.5, 1.4, "angry", 0.9),)
        people = [toy_person(number, segments=segments) for number in range(2)]
        toy_timeline(*people, video=str(each)).save(tmp_path / f"{name}.json")
    code, told = run(tmp_path / "one.json", tmp_path / "two.json", "-o", tmp_path / "clips")
    assert code == 2 and f"the clips of {film} and {other} have one name" in " ".join(told.split())
    assert not (tmp_path / "clips").exists()
    code, told = run(tmp_path / "one.json", "-o", tmp_path / "clips")
    assert code == 0 and "1 clip cut" in told, told


def test_what_cannot_be_cut_is_named_and_the_rest_goes_on(film: Path, tmp_path: Path) -> None:
    (film.parent / "broken.mp4").write_bytes(b"\0" * 5000)
    code, told = run(film.parent, "-o", tmp_path / "clips")
    assert code == 1 and "broken.mp4" in told and len(list((tmp_path / "clips").iterdir())) == 1


@pytest.mark.parametrize("words", [("--length", "0"), ("--every", "-1"), ("--shortest", "nan")])
def test_values_that_cannot_be_are_refused(film: Path, tmp_path: Path, words: tuple[str, str]) -> None:
    code, _ = run(film, "-o", tmp_path / "clips", *words)
    assert code == 2 and not (tmp_path / "clips").exists()


def test_a_film_that_is_too_short_is_one_sentence(film: Path, tmp_path: Path) -> None:
    code, told = run(film, "-o", tmp_path / "clips", "--shortest", 9)
    assert code != 0 and "nothing lasts for 9 s; lower --shortest" in str(told)


def test_clips_of_another_film_of_the_same_name_are_not_taken_for_its_own(film: Path, tmp_path: Path) -> None:
    out = tmp_path / "clips"
    assert run(film, "-o", out, "--length", 2)[0] == 0
    before = {path: path.read_bytes() for path in out.iterdir()}
    other = tmp_path / "others" / film.name
    other.parent.mkdir()
    write_video(other, np.full((45, 32, 48, 3), 90, np.uint8), [number / 10 for number in range(45)])
    code, told = run(other, "-o", out, "--length", 2)
    assert code == 2 and len(told.splitlines()) == 1, told
    assert "was cut from another film than" in told and "others" in told and "--out" in told
    assert {path: path.read_bytes() for path in out.iterdir()} == before
    assert run(other, "-o", tmp_path / "other clips", "--length", 2)[0] == 0
    film.rename(tmp_path / film.name)  # the film itself may lie elsewhere by now
    code, told = run(tmp_path / film.name, "-o", out, "--length", 2)
    assert code == 0 and "2 were there" in told, told


def test_a_folder_of_frames_is_known_again_whatever_else_lies_in_it(tmp_path: Path) -> None:
    frames, out = tmp_path / "one" / "frames", tmp_path / "clips"
    (frames / "0 notes").mkdir(parents=True)
    for number in range(60):
        Image.fromarray(np.full((32, 48, 3), 4 * number, np.uint8)).save(frames / f"{number:03d}.png")
    words = (frames, "-o", out, "--length", 2)
    assert run(*words)[0] == 0
    code, told = run(*words)
    assert code == 0 and "1 were there" in told, told
    other = shutil.copytree(frames, tmp_path / "two" / "frames")
    Image.fromarray(np.full((32, 48, 3), 9, np.uint8)).save(other / "000.png")
    code, told = run(other, *words[1:])
    assert code == 2 and "was cut from another film than" in told, told
