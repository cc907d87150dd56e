"""The clock of a folder of frames: a list, numbers, or a rate that is told."""

from __future__ import annotations

from pathlib import Path

import pytest
from PIL import Image

from dfer.errors import DferError
from dfer.video import open_clip
from dfer.video.listing import times_by_number
from dfer.video.stream import Span, stream

from .films import noise


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Six frames with gaps in their numbers."""
    (tmp_path / "gaps").mkdir()
    for number, picture in zip((1, 3, 4, 10, 18, 24), noise(6), strict=True):
        Image.fromarray(picture).save(tmp_path / "gaps" / f"frame_{number:04d}.png")
    return tmp_path / "gaps"


def shown(folder: Path, **options: float) -> list[tuple[str, float, float]]:
    return [
        (frame.name, pytest.approx(frame.time_s), pytest.approx(frame.end_s)) for frame in stream(folder, **options)
    ]


def test_a_gap_in_the_numbers_is_a_gap_in_time_and_the_last_frame_lasts_one_step(folder: Path) -> None:
    assert shown(folder, fps=10) == [
        ("frame_0001.png", 0, 0.2), ("frame_0003.png", 0.2, 0.3), ("frame_0004.png", 0.3, 0.9),
        ("frame_0010.png", 0.9, 1.7), ("frame_0018.png", 1.7, 2.3), ("frame_0024.png", 2.3, 2.4),
    ]  # fmt: skip
    assert open_clip(folder, "frames", fps=10).times == pytest.approx([0, 0.2, 0.3, 0.9, 1.7, 2.3])


def test_the_assumed_rate_is_told_and_a_given_one_is_not(folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    assert [time for _, time, _ in shown(folder)] == pytest.approx([0, 0.08, 0.12, 0.36, 0.68, 0.92])
    assert "a folder of frames has no clock; 25 frames a second are assumed; a list of times" in caplog.text
    caplog.clear()
    shown(folder, fps=30)
    assert not caplog.records


@pytest.mark.parametrize(
    ("names", "times"),
    [
        (["1.jpg", "2.jpg", "3.jpg"], [0, 0.1, 0.2]),
        (["a_0005.jpg", "a_0009.jpg", "a_0017.jpg"], [0, 0.1, 0.3]),
        (["00001_00001.jpg", "00001_00002.jpg", "00001_00004.jpg"], [0, 0.1, 0.3]),
        (["f7 crop.jpg", "f8 crop.jpg", "f11 crop.jpg"], [0, 0.1, 0.4]),
        (["a1.jpg", "b5.jpg", "c9.jpg"], [0, 0.1, 0.2]),
        (["a.jpg", "b.jpg", "c.jpg"], [0, 0.1, 0.2]),
        (["1.jpg", "1.png", "2.jpg"], [0, 0.1, 0.2]),
        (["7.jpg"], [0]),
    ],
    ids=["plain", "every fourth", "two numbers", "words behind", "other names", "no numbers", "a number twice", "one"],
)
def test_times_by_number(names: list[str], times: list[float]) -> None:
    assert times_by_number(names, 10) == pytest.approx(times)


@pytest.mark.parametrize(
    ("where", "text"),
    [
        ("gaps/times.csv", "file,time\n{0},0\n{1},0.5\n{2},0.75\n{3},4\n{4},5\n{5},6\n"),
        ("gaps/list.txt", "{0} 0\n{1} 0.5\n{2} 0.75\n{3} 4\n{4} 5\n{5} 6\n"),
        ("gaps/a.tsv", "frame\tid\tt_ms\n{0}\t1\t0\n{1}\t1\t500\n{2}\t1\t750\n"
                       "{3}\t1\t4000\n{4}\t1\t5000\n{5}\t1\t6000\n"),
        ("gaps.csv", "\ufefftime;name\n0;gaps/{0}\n0,5;gaps/{1}\n0,75;gaps/{2}\n4;gaps/{3}\n5;gaps/{4}\n6;gaps/{5}\n"),
        ("gaps/dates.csv", "file,time\n{0},1700000000\n{1},1700000000.5\n{2},1700000000.75\n"
                           "{3},1700000004\n{4},1700000005\n{5},1700000006\n"),
    ],
    ids=["csv", "txt without a head", "milliseconds", "beside it, in German", "dates"],
)  # fmt: skip
def test_a_list_beside_the_frames_is_their_clock(
    folder: Path, where: str, text: str, caplog: pytest.LogCaptureFixture
) -> None:
    names = sorted(path.name for path in folder.glob("*.png"))
    (folder.parent / where).write_text(text.format(*names), encoding="utf-8")
    frames = shown(folder)
    assert [name for name, _, _ in frames] == names and not caplog.records
    assert [time for _, time, _ in frames] == pytest.approx([0, 0.5, 0.75, 4, 5, 6])
    assert frames[-1][2] == 7, "the last frame stays as long as most"
    assert [name for name, _, _ in shown(folder, span=Span(4.5, 5.5))] == [names[3], names[4]]
    assert [time for _, time, _ in shown(folder, fps=10)][1] == 0.2, "a rate that is given counts"


def test_a_list_whose_times_go_back_is_refused(folder: Path) -> None:
    names = sorted(path.name for path in folder.glob("*.png"))
    (folder / "times.csv").write_text(f"{names[0]},0\n{names[1]},2\n{names[2]},1\n")
    with pytest.raises(DferError, match=r"times\.csv: expected times that increase; at frame_0004\.png they go back "
                                        r"from 2 to 1 s"):  # fmt: skip
        shown(folder)
    (folder / "times.csv").write_text(f"file,time\n{names[0]},0\n{names[1]},soon\n")
    with pytest.raises(DferError, match=r"times\.csv: expected a time in seconds for frame_0003\.png, found 'soon'"):
        shown(folder)


def test_frames_that_are_not_listed_and_rows_without_a_frame_are_told(
    folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (folder / "times.csv").write_text("frame_0001.png,0\nframe_0002.png,1\nframe_0003.png,2\n")
    assert [time for _, time, _ in shown(folder)] == [0, 2]
    assert "left out 1 rows whose pictures are not there: frame_0002.png" in caplog.text
    assert "left out 4 pictures that are not in the list: frame_0004.png" in caplog.text


def test_other_text_files_are_no_lists(folder: Path) -> None:
    (folder / "notes.txt").write_text("taken on 3 May\n")
    (folder / "votes.csv").write_text("clip,happy\n00001.mp4,3\n")
    assert len(shown(folder, fps=10)) == 6
