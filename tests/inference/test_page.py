"""The page of a film: it holds all that it shows, escapes what others wrote, and says what is missing."""

from __future__ import annotations

import base64
import dataclasses
import hashlib
import html
import re
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote

import av
import numpy as np
import pytest

from dfer.inference import Segment, Timeline
from dfer.inference import page as module
from dfer.video.browsers import played_type, small_copy

from .toy import film, toy_person, toy_predictor, toy_timeline

RED, BLUE = {"red": (20.0, 60.0)}, {"blue": (200.0, 80.0)}


@pytest.fixture(scope="module")
def filmed(tmp_path_factory: pytest.TempPathFactory) -> Timeline:
    return toy_predictor()(film(tmp_path_factory.mktemp("film") / "a.mkv", [RED | BLUE] * 20))


def played(path: Path) -> Path:
    """A film that browsers play."""
    with av.open(str(path), "w") as out:
        stream = out.add_stream("libx264", rate=25)
        stream.width = stream.height = 64
        stream.pix_fmt = "yuv420p"
        for _ in range(10):
            out.mux(stream.encode(av.VideoFrame.from_ndarray(np.zeros((64, 64, 3), np.uint8), format="rgb24")))
        out.mux(stream.encode())
    return path


class Tags(HTMLParser):
    """All tags of a page with their attributes."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.found if name == tag]


def page_of(timeline: Timeline, path: Path) -> tuple[str, Tags]:
    timeline.save(path)
    text = path.read_text(encoding="utf-8")
    return text, Tags(text)


def test_the_page_shows_film_people_bands_and_segments(filmed: Timeline, tmp_path: Path) -> None:
    text, tags = page_of(filmed, tmp_path / "out.html")
    assert {"person-0", "person-1"} <= {each.get("id") for each in tags.all("section")}
    assert "2 people are seen: person 0 angry" in text
    (video,) = tags.all("video")
    assert str(video["src"]).startswith("data:video/mp4;base64,"), "FFV1 is copied into what browsers play"
    data = base64.b64decode(str(video["src"]).split(",")[1])
    (tmp_path / "copy.mp4").write_bytes(data)
    with av.open(str(tmp_path / "copy.mp4")) as container:
        times = [float(frame.time) for frame in container.decode(video=0)]
    assert times == pytest.approx(np.arange(20) / 25, abs=1e-3)
    seeks = [float(str(each["data-time"])) for each in tags.all("button")]
    assert seeks == [round(one.apex_s, 3) for person in filmed.people for one in person.segments]
    assert len([each for each in tags.all("path") if each.get("class") == "e3"]) == 2, "a band of angry for each"


def test_nothing_is_loaded_and_only_the_one_script_runs(filmed: Timeline, tmp_path: Path) -> None:
    text, tags = page_of(filmed, tmp_path / "out.html")
    addresses = [each.get(name) for _, each in tags.found for name in ("src", "href") if each.get(name)]
    assert all(str(address).startswith(("data:", "#")) for address in addresses)
    assert not tags.all("link") and "url(" not in text
    policy = next(each["content"] for each in tags.all("meta") if each.get("http-equiv"))
    (script,) = re.findall(r"<script>(.*?)</script>", text, flags=re.S)
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    assert f"script-src 'sha256-{digest}'" in str(policy) and "default-src 'none'" in str(policy)


def test_names_of_files_are_text(tmp_path: Path) -> None:
    name = '<img src=x onerror=alert(1)>&".mp4'
    text, tags = page_of(toy_timeline(video=name), tmp_path / "out.html")
    assert name not in text and html.escape(name).replace("&quot;", "&#34;") in text
    assert not [each for each in tags.all("img") if "onerror" in each]


def test_bands_fill_the_height_where_there_is_a_face_and_are_where_the_time_is() -> None:
    timeline = toy_timeline()
    bands = dict(module._bands(timeline.people[0], timeline, {"angry": "a", "disgust": "d", "sad": "s"}))
    numbers = {
        name: [tuple(map(float, pair.split())) for pair in re.findall(r"[\d.]+ [\d.]+", bands[name])] for name in "ads"
    }
    across = {x for x, _ in numbers["a"]}
    assert min(across) == 0 and max(across) == 1000 and not [x for x in across if 500 < x < 750], (
        "no face from 0.2 to 0.3 s"
    )
    assert {y for x, y in numbers["a"] if x == 0} == {100, 50}, "angry 0.5, from the bottom"
    assert {y for x, y in numbers["s"] if x == 1000} == {100, 0}, "sad 1 in the end"


@pytest.mark.parametrize(
    ("timeline", "told"),
    [
        (toy_timeline(), "clip.mp4 was not found"),
        (Timeline("gone.mp4", 3.0, toy_timeline().emotions, ()), "No face was found in this film"),
        (toy_timeline(*[toy_person(id_) for id_ in range(40)]), "10 people who are seen for less long"),
        (
            toy_timeline(toy_person(probs=np.full((4, 3), np.nan), overall=np.full(3, np.nan), segments=())),
            "The face is never seen",
        ),
        (toy_timeline(toy_person(0, segments=(Segment(0, 0.1, 0.2, "sad", 0.7),) * 300)), "And 100 more"),
    ],
    ids=["no film", "nobody", "forty people", "never seen", "many segments"],
)  # fmt: skip
def test_any_timeline_has_a_page(timeline: Timeline, told: str, tmp_path: Path) -> None:
    text, tags = page_of(timeline, tmp_path / "out.html")
    assert told in text and not tags.all("video")


def test_a_large_film_is_played_from_beside_the_page(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = played(tmp_path / "a b#ü%.mp4")
    timeline = toy_timeline(video=str(path))
    _, tags = page_of(timeline, tmp_path / "small.html")
    assert base64.b64decode(str(tags.all("video")[0]["src"]).split(",")[1]) == path.read_bytes()
    monkeypatch.setattr(module, "EMBEDDED", 10)
    text, tags = page_of(timeline, tmp_path / "deep" / "out.html")
    source = str(tags.all("video")[0]["src"])
    assert (tmp_path / "deep" / unquote(source)).resolve() == path.resolve() and "#" not in source
    assert "is not in this page" in text


def test_a_long_film_that_browsers_do_not_play_is_shown_by_pictures(
    filmed: Timeline, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "COPIED_S", 0.1)
    text, tags = page_of(filmed, tmp_path / "out.html")
    assert not tags.all("video") and "Browsers do not play" in text and 'class="strip"' in text


def test_an_image_has_no_player(tmp_path: Path) -> None:
    import cv2

    from ..video.people import picture

    cv2.imwrite(str(tmp_path / "a.png"), cv2.cvtColor(picture(RED), cv2.COLOR_RGB2BGR))
    text, tags = page_of(toy_predictor()(tmp_path / "a.png"), tmp_path / "out.html")
    assert not tags.all("video") and 'class="strip"' in text


def test_what_browsers_play(tmp_path: Path) -> None:
    assert played_type(played(tmp_path / "a.mp4")) == "video/mp4"
    assert played_type(played(tmp_path / "a.avi")) is None and played_type(tmp_path / "gone.mp4") is None
    assert played_type(film(tmp_path / "rgb.mp4", [RED] * 3)) is None, "H.264 of RGB"


def test_a_turned_film_is_copied_turned(filmed: Timeline, tmp_path: Path) -> None:
    (tmp_path / "copy.mp4").write_bytes(small_copy(Path(filmed.video), 0.2, rotate=90))
    with av.open(str(tmp_path / "copy.mp4")) as container:
        stream = container.streams.video[0]
        assert (stream.width, stream.height) == (180, 320) and sum(1 for _ in container.decode(stream)) == 5
    turned = dataclasses.replace(filmed, rotate=90)
    _, tags = page_of(turned, tmp_path / "out.html")
    assert str(tags.all("video")[0]["src"]).startswith("data:video/mp4")


def test_marks_of_time_are_few_and_at_whole_numbers() -> None:
    for duration_s in (0.05, 0.7, 4.66, 11.7, 59, 95, 3599, 10_000, 90_000):
        found = module.ticks(duration_s)
        assert 1 <= len(found) <= 7 and found[0] == (0, "0 s") and all(place <= 95 for place, _ in found)
    assert module.ticks(0) == [] and module.ticks(600)[1] == (20.0, "2:00")


def test_cuts_are_lines_at_their_times(tmp_path: Path) -> None:
    timeline = dataclasses.replace(toy_timeline(), cuts_s=(0.1, 0.3))
    _, tags = page_of(timeline, tmp_path / "out.html")
    assert [each["x1"] for each in tags.all("line") if each.get("class") == "cut"] == ["250.0", "750.0"]
