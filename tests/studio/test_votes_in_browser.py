"""A rater in a real browser: votes by key and by tap, goes back, goes on after the server was away; a phone fits."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("fastapi")

from fastapi.testclient import TestClient

from tests.studio.browser import needs_browser, opened, served
from tests.studio.conftest import define, links

pytestmark = [pytest.mark.slow, needs_browser]
SHOWN = "document.querySelector('.shown video')?.dataset.clip"


def test_a_rater_votes_by_key_and_by_tap_and_goes_back(app: Any, tmp_path: Path) -> None:
    client = TestClient(app, base_url="http://127.0.0.1")
    define(client)
    (link,) = links(client, "Ann")
    with served(app) as address, opened(tmp_path / "profile") as browser:
        browser.size(390, 844, touch=True)
        browser.open(address + link)
        browser.wait("document.querySelector('#begin')")
        browser.press("Enter")
        clips = []
        for vote in ("1", "2", "0"):
            browser.wait(f"{SHOWN} && !{clips}.includes({SHOWN})")
            clips.append(browser.run(SHOWN))
            browser.press(vote)
        browser.wait(f"{SHOWN} && !{clips}.includes({SHOWN})")
        assert browser.run("document.documentElement.scrollWidth") <= 390
        browser.run("document.querySelector('#back').click()")
        browser.wait(f"{SHOWN} === '{clips[-1]}'")
        assert browser.run("document.querySelector('[aria-pressed=true]').dataset.name") == ""
        browser.run("document.querySelector('[data-name=neutral]').click()")
        browser.wait(f"{SHOWN} !== '{clips[-1]}'")
        while browser.run("Boolean(document.querySelector('.choice'))"):
            before = browser.run(SHOWN)
            browser.press("1")
            browser.wait(f"!document.querySelector('.choice') || {SHOWN} !== '{before}'")
        assert "Thank you" in browser.run("document.body.innerText")
        assert browser.faults() == []
    told = client.get("/api/v1/studies/pilot").json()
    assert (told["votes"], told["cannot_tell"], told["chosen"]) == (6, 0, {"happy": 4, "sad": 1, "neutral": 1})


def test_a_vote_that_could_not_be_sent_is_kept_and_sent_later(app: Any, tmp_path: Path) -> None:
    client = TestClient(app, base_url="http://127.0.0.1")
    define(client)
    (link,) = links(client, "Ann")
    with served(app) as address, opened(tmp_path / "profile") as browser:
        browser.open(address + link)
        browser.wait("document.querySelector('#begin')")
        browser.press("Enter")
        browser.wait(SHOWN)
        before = browser.run(SHOWN)
        browser.call("Network.enable")
        lost = {"latency": 0, "downloadThroughput": -1, "uploadThroughput": -1}
        browser.call("Network.emulateNetworkConditions", offline=True, **lost)
        browser.press("2")
        browser.wait("document.querySelector('#toast').textContent.includes('kept')")
        assert client.get("/api/v1/studies/pilot").json()["votes"] == 0
        browser.call("Network.emulateNetworkConditions", offline=False, **lost)
        browser.wait(f"{SHOWN} && {SHOWN} !== '{before}'")
    assert client.get("/api/v1/studies/pilot").json()["chosen"]["sad"] == 1


@pytest.mark.parametrize(("width", "dark"), [(320, False), (390, True), (1280, False)])
def test_pages_fit_and_every_control_has_a_name(app: Any, tmp_path: Path, width: int, dark: bool) -> None:
    client = TestClient(app, base_url="http://127.0.0.1")
    define(client, several=True, strength=True, title="A very long title of a study " * 6)
    link, _ = links(client, "Ann", "averyverylongname" * 4)
    with served(app) as address, opened(tmp_path / "profile") as browser:
        browser.size(width, 900, dark=dark)
        for place in ("/", "/votes", "/votes/pilot", "/login", link):
            browser.open(address + place)
            browser.wait("!document.querySelector('#overview') || document.querySelector('#people table')")
            if place == link:
                browser.wait("document.querySelector('#begin')")
                browser.press("Enter")
                browser.wait(SHOWN)
                browser.press("1")
            assert browser.run("document.documentElement.scrollWidth") <= width, place
            nameless = browser.run(
                "[...document.querySelectorAll('button, a, input, select, textarea, video, img')].filter((e) => "
                "!(e.textContent.trim() || e.ariaLabel || e.alt || e.labels?.length)).map((e) => e.outerHTML)"
            )
            assert nameless == [], place
            assert browser.run("document.querySelectorAll('h1').length") == 1 or place == link
        paper = browser.run("getComputedStyle(document.body).backgroundColor")
        assert paper == ("rgb(21, 24, 27)" if dark else "rgb(255, 255, 255)")
        assert browser.faults() == []
