"""Which videos are meant, and where their timelines go."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from dfer import DferError
from dfer.inference.batch import Video, destinations, find_videos
from dfer.video.frames import FolderClip, open_clip


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    for name in ("b10.mp4", "b2.mov", "deep/b2.mp4", "notes.txt", ".hidden.mp4", "frames/1.png", "frames/2.png"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(b"x")
    return tmp_path


def names(videos: list[Video]) -> list[str]:
    return [video.name for video in videos]


def test_a_folder_stands_for_the_videos_in_it_in_natural_order(tree: Path) -> None:
    found = find_videos([tree])
    assert names(found) == ["b2", "b10", "deep/b2", "frames"]
    paths = [tree / "b2.mov", tree / "b10.mp4", tree / "deep" / "b2.mp4", tree / "frames"]
    assert [video.path for video in found] == paths


def test_a_folder_of_images_is_one_clip(tree: Path) -> None:
    assert find_videos([tree / "frames"]) == [Video(tree / "frames", "frames")]


def test_a_pattern_that_the_shell_left_is_filled_in(tree: Path) -> None:
    assert names(find_videos([tree / "**" / "*.mp4"])) == ["b10", "b2"]
    with pytest.raises(DferError, match="nothing fits this pattern"):
        find_videos([tree / "*.avi"])


def test_a_name_with_brackets_is_a_name_where_there_is_such_a_file(tree: Path) -> None:
    path = tree / "a[1].mp4"
    path.write_bytes(b"x")
    assert find_videos([path]) == [Video(path, "a[1]")]


def test_what_is_named_twice_is_read_once_and_what_is_missing_is_kept(tree: Path) -> None:
    assert names(find_videos([tree / "b2.mov", tree / "b2.mov", tree / "gone.mp4"])) == ["b2", "gone"]


def test_names_that_would_meet_keep_their_suffix(tree: Path) -> None:
    (tree / "b2.mp4").write_bytes(b"x")
    assert names(find_videos([tree / "b2.mp4", tree / "b2.mov"])) == ["b2.mp4", "b2.mov"]


def test_films_of_one_name_in_several_folders_keep_the_folders(tree: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("day1/cam/a.mp4", "day2/cam/a.mp4", "day2/cam/b.mp4"):
        (tree / name).parent.mkdir(parents=True, exist_ok=True)
        (tree / name).write_bytes(b"x")
    monkeypatch.chdir(tree)
    named = [Path("day1/cam/a.mp4"), Path("day2/cam/a.mp4"), Path("day2/cam/b.mp4"), tree / "day1" / "cam" / "a.mp4"]
    found = find_videos(named)
    assert names(found) == ["day1/cam/a", "day2/cam/a", "b"]
    assert list(destinations(found, [Path("out")]).values()) == [
        (Path("out/day1/cam/a.json"),), (Path("out/day2/cam/a.json"),), (Path("out/b.json"),)
    ]  # fmt: skip
    assert names(find_videos([Path("day1"), Path("day2")])) == ["day1/cam/a", "day2/cam/a", "cam/b"]


def test_no_way_to_a_film_leads_out_of_the_folder_of_the_outputs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("day1/a.mp4", "day2/a.mp4", "x/1.png", "x/2.png", "x/x/1.png", "x/x/2.png"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(b"x")
    (tmp_path / "link").symlink_to("day2")
    monkeypatch.chdir(tmp_path / "day1")
    ways = ["a.mp4", "../day1/a.mp4", "../link/../day1/a.mp4", "../day2/a.mp4", "../link/a.mp4"]
    assert names(find_videos([Path(way) for way in ways])) == ["day1/a", "day2/a"]
    frames = find_videos([Path("../x/x"), Path("../x/x/../x")])
    assert names(frames) == ["x"] and (tmp_path / "day1" / frames[0].path).samefile(tmp_path / "x" / "x")


def test_folders_of_frames_within_each_other_are_told_apart(tmp_path: Path) -> None:
    inner = tmp_path / "x" / "x"
    inner.mkdir(parents=True)
    for folder in (inner, inner.parent):
        for number in (1, 2):
            (folder / f"{number}.png").write_bytes(b"x")
    assert sorted(names(find_videos([inner.parent, inner]))) == ["x", "x/x"]


def test_an_empty_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DferError, match="holds no video"):
        find_videos([tmp_path])


def test_files_folders_and_patterns_of_outputs(tmp_path: Path) -> None:
    one, two = Video(Path("a.mp4"), "a"), Video(Path("b.mp4"), "deep/b")
    assert destinations([one], [Path("x.csv"), Path("x.png")]) == {one: (Path("x.csv"), Path("x.png"))}
    assert destinations([one, two], [Path("out")]) == {one: (Path("out/a.json"),), two: (Path("out/deep/b.json"),)}
    assert destinations([one], [Path("out")], ["csv", ".MP4"])[one] == (Path("out/a.csv"), Path("out/a.mp4"))
    assert destinations([one, two], [Path("o/{name}_x.srt")])[two] == (Path("o/deep/b_x.srt"),)
    (tmp_path / "v1.2").mkdir()
    assert destinations([one], [tmp_path / "v1.2"])[one] == (tmp_path / "v1.2" / "a.json",)
    assert destinations([one, two], []) == {one: (), two: ()}


@pytest.mark.parametrize(
    ("outs", "formats", "told"),
    [
        (["x.json"], [], r"several outputs would be x\.json"),
        (["x.xml"], [], r"x\.xml: expected a file \.json"),
        (["out"], ["jsn"], r"no format 'jsn' \(did you mean 'json'\?\)"),
        (["{name}.csv"], ["csv"], "--format says what to write into a folder"),
        ([], ["csv"], "name one with -o"),
        (["{name}.mp4"], [], "a.mp4, b.mp4 is read, and would be written over"),
    ],
)
def test_outputs_that_cannot_be_are_refused(outs: list[str], formats: list[str], told: str) -> None:
    videos = [Video(Path("a.mp4"), "a"), Video(Path("b.mp4"), "b")]
    with pytest.raises(DferError, match=told):
        destinations(videos, [Path(out) for out in outs], formats)


def test_a_link_that_leads_to_itself_is_kept_to_be_told_of_in_its_turn(tmp_path: Path) -> None:
    (tmp_path / "loop.mp4").symlink_to("loop.mp4")
    (video,) = find_videos([tmp_path / "loop.mp4"])
    assert destinations([video], [tmp_path / "out"]) == {video: (tmp_path / "out" / "loop.json",)}


def test_the_frames_of_a_folder_and_the_list_of_their_times_are_no_outputs(tmp_path: Path) -> None:
    frames = tmp_path / "frames"
    frames.mkdir()
    for name in ("0.png", "1.png"):
        cv2.imwrite(str(frames / name), np.zeros((16, 16, 3), np.uint8))
    beside = tmp_path / "frames.csv"
    beside.write_text("file,time\n0.png,0\n1.png,0.5\n")
    (frames / "old.json").write_text("{}")
    video = Video(frames, "frames")
    for out in (frames / "1.png", beside):
        with pytest.raises(DferError, match=f"{out.name} is read, and would be written over"):
            destinations([video], [out])
    assert destinations([video], [frames / "old.json"])[video] == (frames / "old.json",)
    beside.write_text("person,time_s,happy,x,y,width,height,file\n0,0.0,1,2,3,4,5,0.png\n")  # our own, not a list
    assert destinations([video], [beside])[video] == (beside,)
    clip = open_clip(frames, "frames")
    assert isinstance(clip, FolderClip) and clip.listed is None


@pytest.mark.parametrize("place", [".", "../frames"])
def test_a_folder_of_frames_may_be_the_one_that_one_is_in(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, place: str
) -> None:
    (tmp_path / "frames").mkdir()
    cv2.imwrite(str(tmp_path / "frames" / "0.png"), np.zeros((16, 16, 3), np.uint8))
    (tmp_path / "frames.csv").write_text("file,time\n0.png,7\n")
    monkeypatch.chdir(tmp_path / "frames")
    assert open_clip(Path(place), "frames").times.tolist() == [7.0], "of the list beside it"
    with pytest.raises(DferError, match=r"frames\.csv is read"):
        destinations([Video(Path(place), "frames")], [Path("../frames.csv")])
