"""Watch in a real browser: drop, wait, play, hover, name, merge back, download; two sizes of screen."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("fastapi")

from dfer.pages import EMOTION_COLOURS
from tests.studio.browser import needs_browser, opened, served
from tests.studio.conftest import ROOT

pytestmark = [pytest.mark.slow, needs_browser]
CLIP = ROOT / "examples" / "crema_d" / "1001_DFA_HAP_XX.flv"
MIDDLE = (
    "(() => { const box = document.querySelector('.band').getBoundingClientRect(); "
    "return {x: box.x + box.width / 2, y: box.y + 20}; })()"
)
NAME = "const name = document.querySelector('input.name'); name.value = 'Anna'; name.dispatchEvent(new Event('change'))"
COLOURS = (
    "(() => { const data = document.querySelector('.band canvas').getContext('2d').getImageData(0, 0, 4000, 200).data; "
    "const seen = new Set(); for (let k = 0; k < data.length; k += 4) seen.add([...data.slice(k, k + 3)].join()); "
    "return [...seen].map((each) => each.split(',').map(Number)); })()"
)
SHOWN = (
    "document.querySelector('#tools') ? !document.querySelector('#tools').hidden : "
    "document.querySelector('#table tbody tr')"
)
NAMELESS = (
    "[...document.querySelectorAll('button, a, input, select, textarea, video')].filter((e) => !e.hidden && "
    "!(e.textContent.trim() || e.ariaLabel || e.labels?.length)).map((e) => e.outerHTML)"
)


def test_a_film_is_dropped_watched_named_and_taken_home(app: Any, tmp_path: Path) -> None:
    with served(app) as address, opened(tmp_path / "profile") as browser:
        browser.size(1280, 1400)
        browser.open(f"{address}/watch")
        browser.wait("document.querySelector('#choose input')")
        browser.drop_files("#drop", CLIP)
        browser.wait("document.querySelector('#films a')")
        browser.open(browser.run("document.querySelector('#films a').href"))
        browser.wait("!document.querySelector('#tools').hidden")
        assert "happy" in browser.run("document.querySelector('#said').textContent")
        browser.wait("document.querySelector('#player').readyState > 2")
        browser.run("document.querySelector('#player').play()")
        browser.wait("document.querySelector('#player').currentTime > 0.3")
        browser.run("document.querySelector('#player').pause()")
        drawn = "[...document.querySelector('{}').getContext('2d').getImageData(0, 0, 4000, 4000).data].some((v) => v)"
        browser.wait(drawn.format("#boxes"))
        browser.wait(drawn.format(".band canvas"))
        happy = [int(EMOTION_COLOURS["happy"][0][place : place + 2], 16) for place in (1, 3, 5)]
        assert happy in browser.run(COLOURS), "the band has the colour of the emotion that shows most"
        browser.hover(".band", 0.5, "!document.querySelector('.tip').hidden")
        place = browser.run(MIDDLE)
        assert "%" in browser.run("document.querySelector('.tip').textContent")
        for kind in ("mousePressed", "mouseReleased"):
            browser.call("Input.dispatchMouseEvent", type=kind, button="left", clickCount=1, **place)
        length = browser.run("document.querySelector('#player').duration")
        browser.wait(f"Math.abs(document.querySelector('#player').currentTime - {length / 2}) < 0.1")
        browser.run(NAME)
        browser.wait("document.querySelector('.person h2').textContent === 'Anna'")
        downloads = tmp_path / "downloads"
        browser.call("Page.setDownloadBehavior", behavior="allow", downloadPath=str(downloads))
        browser.run("document.querySelector('#downloads a').click()")
        path = downloads / "1001_DFA_HAP_XX.json"
        for _ in range(200):
            if path.exists():
                break
            browser.run("new Promise((done) => setTimeout(done, 50))")
        assert json.loads(path.read_text())["people"][0]["name"] == "Anna"
        browser.run("document.querySelector('#player').currentTime = 0.5")
        browser.wait("document.querySelector('#player').currentTime === 0.5")
        browser.run("document.querySelector('[data-to=start]').click()")
        browser.run("document.querySelector('#cut').requestSubmit()")
        browser.wait("document.querySelector('#was-cut a')")
        (cut,) = (tmp_path / "world" / "cut").iterdir()
        assert "_0.50-" in cut.name
        assert browser.faults() == []
        browser.size(390, 844, dark=True)
        for page in ("/watch", browser.run("location.pathname")):
            browser.open(address + page)
            browser.wait(SHOWN)
            assert browser.run("document.documentElement.scrollWidth") <= 390
            assert browser.run(NAMELESS) == []


SAD_OR_NOT = "mixed: sad/neutral"
DOUBTED = {
    "format": "dfer.timeline/1", "video": "known.flv", "duration_s": 2.0, "cuts_s": [],
    "emotions": ["happy", "sad", "neutral"],
    "people": [{
        "id": 0,
        "segments": [
            {"start_s": 0.0, "apex_s": 0.0, "end_s": 0.5, "emotion": "happy", "score": 0.8},
            {"start_s": 0.5, "apex_s": 0.5, "end_s": 1.0, "emotion": "sad", "score": 0.51, "doubt": SAD_OR_NOT},
            {"start_s": 1.0, "apex_s": 1.0, "end_s": 1.5, "emotion": "neutral", "score": 0.6, "doubt": "cannot tell"},
        ],
        "overall": [0.35, 0.27, 0.38],
        "times_s": [0.0, 0.5, 1.0, 1.5],
        "probs": [[0.8, 0.1, 0.1], [0.05, 0.51, 0.44], [0.2, 0.2, 0.6], None],
        "boxes": [[10, 10, 50, 50], [10, 10, 50, 50], [10, 10, 50, 50], None],
        "mixed": [0.21, 0.57, 0.32, None], "cannot_tell": [0.03, 0.12, 0.94, None],
        "doubt": ["", "mixed", "cannot tell", None],
    }],
}  # fmt: skip
"""A film in which an emotion is named for half a second, people disagree for another, and the picture tells nothing."""
EDGES = (
    "[...document.querySelectorAll('.doubt')].map((each) => { const band = each.parentElement.getBoundingClientRect(), "
    "box = each.getBoundingClientRect(), at = (place) => Math.round(100 * (place - band.left) / band.width); "
    "return [each.className, at(box.left), at(box.right), getComputedStyle(each).backgroundImage.slice(0, 25)]; })"
)


def test_a_band_says_what_is_not_known(folder: Path, tmp_path: Path) -> None:
    from dfer.studio.app import create_app
    from dfer.studio.workspace import Workspace

    place = folder / "studio" / "films" / f"{7:016x}"
    place.mkdir(parents=True)
    shutil.copy(CLIP, place / "known.flv")
    about = {"name": "known.flv", "path": "known.flv", "uploaded": True, "state": "done"}
    for name, values in (("film", about), ("timeline", DOUBTED)):
        (place / f"{name}.json").write_text(json.dumps(values))
    with served(create_app(Workspace(folder))) as address, opened(tmp_path / "profile") as browser:
        for width in (390, 1280):
            browser.size(width, 900)
            browser.open(f"{address}/watch/{place.name}")
            browser.wait("document.querySelector('.doubt')")
            stripes = "repeating-linear-gradient"
            assert browser.run(EDGES) == [["doubt mixed", 25, 50, stripes], ["doubt cannot-tell", 50, 75, stripes]]
            assert not browser.run("document.querySelector('#hatched').hidden")
            for share, wanted in (
                (0.1, ["happy", "80", "21", "3"]), (0.35, [SAD_OR_NOT, "51", "57", "12"]),
                (0.6, ["cannot tell", "60", "32", "94"]), (0.9, ["not seen"]),
            ):  # fmt: skip
                title = f"{2 * share:.1f} s: {wanted[0]}"
                browser.hover(".band", share, f"document.querySelector('.tip b')?.textContent === '{title}'")
                rows = browser.run("[...document.querySelectorAll('.tip > :not(b)')].map((row) => row.textContent)")
                percents = [re.findall(r"(\d+)\u202f%", row) for row in rows]
                assert [found for each in (*percents[:1], *percents[-2:]) for found in each] == wanted[1:]
            chosen = "[...document.querySelectorAll('.marks select')].map((e) => e.selectedOptions[0].text).slice(0, 3)"
            assert browser.run(chosen) == ["happy", SAD_OR_NOT, "cannot tell"]
        browser.open(f"{address}/watch")
        browser.wait("document.querySelector('#table tbody tr')")
        cells = browser.run("[...document.querySelectorAll('#table tbody td')].map((cell) => cell.textContent)")
        assert cells[5:7] == ["33\u202f%", "33\u202f%"]
        assert browser.faults() == []
