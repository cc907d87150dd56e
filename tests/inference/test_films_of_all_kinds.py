"""One film of a man who begins to smile, in all the forms in which people have it: the same is read in each of them.

What the plain film shows was seen by eye: neutral until about 0.6 s, then a smile to the end, at 2.4 s.
"""

from __future__ import annotations

import csv
import io
import re
import shutil
from functools import cache
from pathlib import Path

import av
import cv2
import numpy as np
import pytest

from dfer import DferError, Predictor, Timeline
from dfer.inference import Person
from dfer.inference.batch import find_videos
from dfer.inference.subtitles import to_srt
from dfer.video.orientation import upright_turn
from dfer.video.stream import Span, stream

CASES = Path(__file__).resolve().parents[3] / "shared" / "data" / "cases"
pytestmark = pytest.mark.skipif(not CASES.is_dir(), reason="no films of all kinds beside the checkout")


@pytest.fixture(scope="module")
def predictor() -> Predictor:
    return Predictor.from_pretrained()


def only_person(timeline: Timeline) -> Person:
    (person,) = timeline.people
    return person


def share(timeline: Timeline, emotion: str) -> float:
    return float(only_person(timeline).overall[timeline.emotions.index(emotion)])


def segments(timeline: Timeline) -> dict[str, tuple[float, float]]:
    return {one.emotion: (one.start_s, one.end_s) for one in only_person(timeline).segments}


@cache
def whole(name: str) -> Timeline:
    """A film as it is, read once for all tests."""
    return Predictor.from_pretrained()(CASES / name)


@cache
def plain_share() -> float:
    """Of happy, in the plain film that all others were made of."""
    found = share(whole("base.mp4"), "happy")
    assert 0.65 < found < 0.8, "he smiles in three quarters of it"
    return found


def check_smile(timeline: Timeline, *, step_s: float = 1 / 30) -> None:
    """That all 2.4 s are there, and the smile where it is."""
    person = only_person(timeline)
    count = round(2.4 / step_s)
    assert timeline.duration_s == pytest.approx(2.4, abs=0.002)
    assert person.times == pytest.approx(np.arange(count) * step_s, abs=0.002)
    assert share(timeline, "happy") == pytest.approx(plain_share(), abs=0.02)
    found = segments(timeline)
    assert found.keys() == {"neutral", "happy"}
    assert found["neutral"] == pytest.approx((0, 0.65), abs=0.03 + step_s)
    assert found["happy"] == pytest.approx((0.53, 2.4), abs=0.03 + step_s)


@pytest.mark.parametrize(
    "name",
    ["base.mp4", "01-ts-start-offset/clip.mpg", "01-ts-start-offset/clip.ts",
     "04-avi-bframes-times-scrambled/clip.avi", "05-no-timestamps/clip.h264", "06-cover-art-first/clip.mp4",
     "08-mirrored-display-matrix/clip.mp4", "08-mirrored-display-matrix/transposed.mp4",
     "10-size-changes-on-the-way/clip.webm", "12-upside-down/clip.mp4", "14-table-denies-files/00001.MTS",
     "14-table-denies-files/c.3gp"],
)  # fmt: skip
def test_the_same_film_is_read_alike_in_every_form(name: str, tmp_path: Path) -> None:
    timeline = whole(name)
    check_smile(timeline)
    left, top, width, height = np.nanmedian(only_person(timeline).boxes, axis=0)
    assert (left, top, width, height) == pytest.approx((161, 56, 113, 161), abs=5), "pixels as they are displayed"
    timeline.save(tmp_path / "a.json")
    loaded = Timeline.load(tmp_path / "a.json")
    assert loaded.rotate == timeline.rotate == (180 if "upside-down" in name else 0)
    assert only_person(loaded).times == pytest.approx(only_person(timeline).times, abs=1e-4)


@pytest.mark.parametrize("name", ["anim.webp", "anim.avif"])
def test_moving_pictures_of_the_web_are_read_whole(predictor: Predictor, name: str) -> None:
    check_smile(predictor(CASES / "15-animated-webp-avif" / name), step_s=0.1)


@pytest.mark.parametrize("name", ["05-no-timestamps/clip.mkv", "18-trimmed-clip-called-cut-off/clip.mp4"])
def test_a_film_trimmed_to_the_smile_shows_the_smile(predictor: Predictor, name: str) -> None:
    timeline = predictor(CASES / name)
    assert only_person(timeline).times == pytest.approx(np.arange(42) / 30, abs=0.002)
    assert segments(timeline) == {"happy": (0, pytest.approx(1.4, abs=0.002))}


def test_stills_of_ten_seconds_are_segments_of_ten_seconds(predictor: Predictor) -> None:
    timeline = whole("19-frames-that-stay-long/clip.mp4")
    assert timeline.duration_s == pytest.approx(20.04)
    assert [(one.emotion, one.start_s, one.end_s) for one in only_person(timeline).segments] == [
        ("neutral", 0, 10), ("happy", 10, 20),
    ]  # fmt: skip
    assert only_person(timeline).overall[timeline.emotions.index("happy")] == pytest.approx(0.5, abs=0.03)
    assert to_srt(timeline).count("-->") == 2 and "00:00:10,000 --> 00:00:20,000\nhappy" in to_srt(timeline)
    later = predictor(CASES / "19-frames-that-stay-long" / "clip.mp4", span=Span(12))
    assert later.duration_s == pytest.approx(20.04), "the end that the file states is known wherever reading begins"
    seldom = predictor(CASES / "base.mp4", span=Span(every_s=0.5))
    assert seldom.duration_s == pytest.approx(2.4, abs=0.002)
    paused = predictor(CASES / "19-frames-that-stay-long" / "pause.gif")
    assert paused.duration_s == pytest.approx(2.4)


def test_a_name_with_a_colon_is_a_name(predictor: Predictor, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(CASES / "17-colon-in-name")
    check_smile(predictor("12:30 call.mp4"))
    assert [video.name for video in find_videos([Path()])] == ["12:30 call"]


def test_a_folder_of_frames_has_the_rate_that_is_given_and_rows_their_files(
    predictor: Predictor, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    for number, frame in enumerate(stream(CASES / "base.mp4", span=Span(every_s=0.1)), 1):
        for folder in ("frames", "gaps")[: 2 if number in (1, 3, 4, 10, 18, 24) else 1]:
            (tmp_path / folder).mkdir(exist_ok=True)
            path = tmp_path / folder / f"frame_{number:04d}.png"
            cv2.imwrite(str(path), cv2.cvtColor(frame.pixels, cv2.COLOR_RGB2BGR))
    every, gaps = (predictor(tmp_path / folder, fps=10) for folder in ("frames", "gaps"))
    assert not caplog.records
    check_smile(every, step_s=0.1)
    assert gaps.duration_s == pytest.approx(2.4)
    assert only_person(gaps).times == pytest.approx([0, 0.2, 0.3, 0.9, 1.7, 2.3])
    gaps.save(tmp_path / "a.csv")
    with (tmp_path / "a.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["file"] for row in rows] == [f"frame_{number:04d}.png" for number in (1, 3, 4, 10, 18, 24)]
    gaps.save(tmp_path / "a.json")
    loaded = Timeline.load(tmp_path / "a.json")
    assert loaded.fps == 10 and only_person(loaded).files == only_person(gaps).files
    loaded.save(tmp_path / "a.mp4")
    with av.open(str(tmp_path / "a.mp4")) as container:
        assert [float(frame.time) for frame in container.decode(video=0)] == pytest.approx([0, 0.2, 0.3, 0.9, 1.7, 2.3])


@pytest.mark.parametrize("name", ["01-ts-start-offset/clip.ts", "19-frames-that-stay-long/clip.mp4"])
def test_json_csv_srt_and_overlay_of_a_film_tell_the_same_times(tmp_path: Path, name: str) -> None:
    timeline = whole(name)
    person = only_person(timeline)
    timeline.save(tmp_path / "a.csv")
    rows = list(csv.DictReader(io.StringIO((tmp_path / "a.csv").read_text())))
    assert [float(row["time_s"]) for row in rows] == pytest.approx(person.times, abs=1e-4)
    cues = re.findall(r"(\d+):(\d+):(\d+),(\d+)", to_srt(timeline))
    told = [int(h) * 3600 + int(m) * 60 + int(s) + int(ms) / 1000 for h, m, s, ms in cues]
    assert told[0] == pytest.approx(person.segments[0].start_s, abs=1e-3)
    assert told[-1] == pytest.approx(person.segments[-1].end_s, abs=1e-3)
    assert all(np.abs(person.times - time_s).min() < 1e-3 for time_s in told[:-1]), "cues change where frames do"
    timeline.save(tmp_path / "a.mp4")
    with av.open(str(tmp_path / "a.mp4")) as container:
        shown = container.streams.video[0]
        assert float(shown.duration * shown.time_base) == pytest.approx(timeline.duration_s, abs=0.002)
        assert [float(frame.time) for frame in container.decode(video=0)] == pytest.approx(person.times, abs=1e-3)


def test_a_folder_of_all_kinds_is_read_or_named(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    for name, source in {
        "a.mp4": "base.mp4", "00001.MTS": "14-table-denies-files/00001.MTS", "b.ts": "01-ts-start-offset/clip.ts",
        "c.3gp": "14-table-denies-files/c.3gp", "f.VOB": "01-ts-start-offset/clip.mpg", "g": "base.mp4",
        "anim.webp": "15-animated-webp-avif/anim.webp", "notes.txt": "01-ts-start-offset/README",
        "votes.csv": "14-table-denies-files/votes.csv", ".hidden.mp4": "base.mp4",
    }.items():  # fmt: skip
        shutil.copy(CASES / source, tmp_path / name)
    cv2.imwrite(str(tmp_path / "photo.jpg"), np.zeros((32, 32, 3), np.uint8))
    (tmp_path / "session1").symlink_to(CASES / "17-colon-in-name")
    read = {video.path.relative_to(tmp_path).as_posix() for video in find_videos([tmp_path])}
    named = {record.getMessage().split(": ")[0].rpartition(f"{tmp_path}/")[2] for record in caplog.records}
    there = {path.relative_to(tmp_path).as_posix() for path in tmp_path.iterdir() if path.is_file()}
    there |= {f"session1/{path.name}" for path in (CASES / "17-colon-in-name").iterdir()}
    assert not read & named and read | named == there | {"session1/README"}
    assert named == {"notes.txt", "votes.csv", ".hidden.mp4", "session1/README"}


# --- which way up


def turned(path: Path, degrees: int) -> Path:
    """The plain film as a camera records it that is turned anticlockwise, without a tag."""
    with av.open(str(path), "w") as container:
        video = container.add_stream("libx264", rate=30)
        pictures = [np.rot90(frame.pixels, degrees // 90) for frame in stream(CASES / "base.mp4")]
        video.height, video.width, video.pix_fmt = *pictures[0].shape[:2], "yuv420p"
        for picture in pictures:
            frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(picture), format="rgb24")
            container.mux(video.encode(frame))
        container.mux(video.encode())
    return path


@pytest.mark.parametrize("degrees", [90, 180, 270])
def test_a_camera_that_hangs_otherwise_is_found_out_and_told(
    predictor: Predictor, tmp_path: Path, degrees: int, caplog: pytest.LogCaptureFixture
) -> None:
    path = turned(tmp_path / "a.mp4", degrees)
    timeline = predictor(path)
    check_smile(timeline)
    assert timeline.rotate == degrees
    assert f"a.mp4: read turned by {degrees} degrees, for then its faces are upright; --rotate 0 reads" in caplog.text
    assert np.nanmedian(only_person(timeline).boxes, axis=0) == pytest.approx((161, 56, 113, 161), abs=5)
    caplog.clear()
    begin = Span(end_s=0.2)
    assert predictor(path, span=begin, rotate=degrees).rotate == degrees and not caplog.records, "who says it knows"
    assert predictor(path, span=begin, rotate=0).rotate == 0


def test_upright_films_stay_as_they_are(shared_data: Path) -> None:
    from dfer.video.mtcnn import Mtcnn

    films = [*(shared_data / "videos").glob("*.[gm]*"), *(shared_data / "annotated_videos").glob("*.mp4")]
    assert len(films) > 5
    detector = Mtcnn()
    assert {path.name: upright_turn(path, detector, span=Span()) for path in films if path.suffix != ".md"} == {
        path.name: 0 for path in films
    }


def test_a_size_that_changes_is_refused_only_where_clips_are_packed() -> None:
    from dfer.video import open_clip

    with pytest.raises(DferError, match=r"clip\.webm: expected frames of one size"):
        open_clip(CASES / "10-size-changes-on-the-way" / "clip.webm", "video")
