"""What lies in folders: everything is a clip, part of one, or named with its reason."""

from __future__ import annotations

import os
import wave
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from dfer.video.folders import NO_FILE, Found, kind_of, survey, walk

from .containers import CONTAINERS, write, write_webp
from .films import noise, write_video

TIMES = [Fraction(0), Fraction(1, 25), Fraction(2, 25)]


def image(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(noise(1)[0]).save(path)
    return path


def film(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    return write_video(path.with_suffix(".mkv"), noise(2)).rename(path)


def told(root: Path, *, stills: bool = False) -> dict[str, str]:
    """Way in the folder -> kind, or reason."""
    return {one.path.relative_to(root).as_posix(): one.kind or one.reason for one in survey(root, stills=stills)}


@pytest.mark.parametrize("name", CONTAINERS)
def test_the_contents_of_a_film_decide_whatever_it_is_called(tmp_path: Path, name: str) -> None:
    path = write(tmp_path, name, TIMES, Fraction(3, 25))
    assert kind_of(path) == "video"
    if not name.endswith(".m3u8"):
        assert [kind_of(path.rename(tmp_path / other)) for other in ("clip", "clip.XYZ")[:1]] == ["video"]


def test_what_is_no_film_is_none_whatever_it_is_called(tmp_path: Path) -> None:
    for name in ("notes.txt", "a.nfo", "a.asc", "a.json", "a.ts", "a.bin", "README"):
        (tmp_path / name).write_text("const a = 1; // not a film\n" * 50)
        assert kind_of(tmp_path / name) == "", name
    with wave.open(str(tmp_path / "a.wav"), "wb") as sound:
        sound.setparams((1, 2, 8000, 0, "NONE", ""))
        sound.writeframes(bytes(1600))
    (tmp_path / "noise").write_bytes(np.random.default_rng(0).bytes(50_000))
    assert kind_of(tmp_path / "a.wav") == "" and kind_of(tmp_path / "noise") == ""
    (tmp_path / "photo").write_bytes(image(tmp_path / "b.jpg").read_bytes())
    assert kind_of(tmp_path / "photo") == "image" and kind_of(tmp_path / "b.jpg") == "image"
    assert kind_of(write_webp(tmp_path / "c.webp", [100, 100])) == "video"
    assert kind_of(image(tmp_path / "d.webp")) == "image" and kind_of(image(tmp_path / "e.png")) == "image"
    assert kind_of(film(tmp_path / "film.jpg")) == "video" and kind_of(tmp_path / "not there.mp4") == "video"


def test_each_file_of_a_folder_is_a_clip_or_part_of_one_or_named_with_its_reason(tmp_path: Path) -> None:
    film(tmp_path / "a.mp4")
    film(tmp_path / "deep/er/B.MOV")
    image(tmp_path / "photo.jpg")
    for number in (1, 2, 3):
        image(tmp_path / f"frames/{number}.png")
    (tmp_path / "frames/times.csv").write_text("file,time\n1.png,0\n2.png,1\n3.png,2\n")
    (tmp_path / "frames/notes.md").write_text("nothing")
    (tmp_path / "notes.txt").write_text("nothing")
    (tmp_path / ".DS_Store").write_text("nothing")
    (tmp_path / ".cache").mkdir()
    (tmp_path / ".cache/c.mp4").write_text("nothing")
    (tmp_path / "empty").mkdir()
    (tmp_path / "gone.mp4").symlink_to(tmp_path / "nowhere")
    os.mkfifo(tmp_path / "pipe")
    np.save(tmp_path / "d.npy", noise(2))
    assert told(tmp_path) == {
        "a.mp4": "video", "photo.jpg": "image", "d.npy": "array", "deep/er/B.MOV": "video", "frames": "frames",
        "frames/times.csv": "list of the frames beside it", "frames/notes.md": "neither video nor image",
        "notes.txt": "neither video nor image", ".DS_Store": "hidden", ".cache": "hidden",
        "empty": "folder without a frame", "gone.mp4": "neither a file nor a folder",
        "pipe": "neither a file nor a folder",
    }  # fmt: skip


def test_linked_folders_are_entered_once_and_circles_end(tmp_path: Path) -> None:
    root, elsewhere = tmp_path / "root", tmp_path / "elsewhere"
    film(elsewhere / "s1.mp4")
    film(root / "a.mp4")
    (root / "session1").symlink_to(elsewhere)
    (root / "session2").symlink_to(elsewhere)
    (elsewhere / "back").symlink_to(root)
    assert told(root) == {
        "a.mp4": "video", "session1/s1.mp4": "video", "session2": "folder that was entered before",
        "session1/back": "folder that was entered before",
    }  # fmt: skip
    assert [folder.name for folder, _, _ in walk(root)] == ["root", "session1"]


def test_images_are_frames_of_one_clip_or_clips_of_their_own(tmp_path: Path) -> None:
    one, several, beside = tmp_path / "one", tmp_path / "several", tmp_path / "beside"
    image(one / "a.jpg")
    for name in ("1.jpg", "2.jpg"):
        image(several / name)
        image(beside / name)
    film(beside / "a.mp4")
    assert told(one) == {"a.jpg": "image"}
    assert list(survey(several)) == [Found(several, "frames")]
    assert told(several, stills=True) == {"1.jpg": "image", "2.jpg": "image"}
    assert told(beside) == {"1.jpg": "image", "2.jpg": "image", "a.mp4": "video"}


def test_the_pieces_of_a_playlist_are_no_films_of_their_own(tmp_path: Path) -> None:
    write(tmp_path, "a.m3u8", [Fraction(index, 25) for index in range(30)], Fraction(30, 25))
    found = told(tmp_path)
    assert found.pop("a.m3u8") == "video"
    assert len(found) > 1 and set(found.values()) == {"piece of a playlist"}


def test_a_walk_may_be_told_how_deep_it_goes_and_what_it_leaves_out(tmp_path: Path) -> None:
    for name in ("a/b/c", "d/e", ".f"):
        (tmp_path / name).mkdir(parents=True)
    (tmp_path / "a/x2.txt").touch()
    (tmp_path / "a/x10.txt").touch()
    names = [(folder.relative_to(tmp_path).as_posix(), folders, files) for folder, folders, files in walk(tmp_path)]
    assert names == [
        (".", ["a", "d"], []), ("a", ["b"], ["x2.txt", "x10.txt"]), ("a/b", ["c"], []), ("a/b/c", [], []),
        ("d", ["e"], []), ("d/e", [], []),
    ]  # fmt: skip
    assert [folder.name for folder, _, _ in walk(tmp_path, depth=1)] == [tmp_path.name, "a", "d"]
    assert [folder.name for folder, _, _ in walk(tmp_path, skip=[tmp_path / "a"])] == [tmp_path.name, "d", "e"]
    assert [folder.name for folder, _, _ in walk(tmp_path, crowd=1)] == [tmp_path.name]
    seen = []
    for folder, folders, _ in walk(tmp_path):
        seen.append(folder.name)
        folders.clear()
    assert seen == [tmp_path.name], "a name that is taken out is not entered"


def test_a_link_that_leads_to_itself_is_named_and_ends_nothing(tmp_path: Path) -> None:
    (tmp_path / "loop").symlink_to("loop")
    (tmp_path / "a.mp4").touch()
    assert [(found.path.name, found.reason) for found in survey(tmp_path)] == [("a.mp4", ""), ("loop", NO_FILE)]


def test_a_folder_that_may_not_be_read_is_named_and_the_rest_is_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "closed").mkdir()
    (tmp_path / "a.mp4").touch()
    monkeypatch.setattr(os, "access", lambda path, _: Path(path).name != "closed")  # root may read everything
    assert [found.path.name for found in survey(tmp_path)] == ["a.mp4"]
    assert f"left out {tmp_path / 'closed'}: the folder may not be read" in caplog.text
