"""Watch in a real browser: drop, wait, play, hover, name, merge back, download; two sizes of screen."""

from __future__ import annotations

import json
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
        place = browser.run(MIDDLE)
        browser.call("Input.dispatchMouseEvent", type="mouseMoved", **place)
        browser.wait("!document.querySelector('.tip').hidden")
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
