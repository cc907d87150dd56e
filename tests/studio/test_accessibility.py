"""The studio for whoever cannot see well or has no mouse: contrast, focus, names of controls, rules of axe-core."""

from __future__ import annotations

import itertools
import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("fastapi")

from fastapi.testclient import TestClient

from dfer.pages import style_sheet
from tests.studio.browser import Browser, needs_browser, opened, served
from tests.studio.conftest import ROOT, define, links

AXE = next(
    filter(Path.is_file, (Path(os.environ.get("DFER_AXE", "")), ROOT / "node_modules/axe-core/axe.min.js")), None
)
"""axe-core, which is not part of dfer: `npm install axe-core`, or DFER_AXE names the file axe.min.js."""
TEXTS = {
    "paper": ("ink", "soft", "c0", "c1"),
    "panel": ("ink", "soft", "c0", "c1"),
    "best": ("ink", "soft", "c1"),
    "note": ("ink",),
    "ink": ("paper",),
    "c1": ("paper",),
}
"""Background -> colours of the text on it."""
VOTES = "clip,rater,emotion\n" + "".join(
    f"{clip}.flv,{rater},{emotion}\n"
    for clip in range(1, 4)
    for rater, emotion in (("Bo", "happy"), ("Cy", "sad"), ("Di", "neutral"))
)
PAGES = {
    "/": "document.querySelector('#review-count').textContent",
    "/login": "true",
    "/watch": "document.querySelector('#choose input')",
    "/votes": "document.querySelector('#studies a')",
    "/votes/pilot": "document.querySelector('#disagreed video')",
    "/review": "document.querySelector('#data a')",
    "/review/clips": "document.querySelector('#clips video')",
}
"""Page -> what is true when it shows what it has to show."""
FOCUSED = """
[...document.querySelectorAll('a, button, input, select, textarea, summary, video, [tabindex]')]
  .filter((each) => !each.disabled && each.checkVisibility())
  .filter((each) => {
    each.focus({focusVisible: true});
    const ring = each.matches('.hidden') ? each.previousElementSibling : each, style = getComputedStyle(ring);
    return document.activeElement === each && !(style.outlineStyle !== 'none' && parseFloat(style.outlineWidth) >= 2);
  }).map((each) => each.outerHTML)
"""
NAMELESS = """
[...document.querySelectorAll('a, button, input, select, textarea, video, [role=img], [role=slider]')]
  .filter((each) => !(each.textContent.trim() || each.ariaLabel || each.labels?.length))
  .concat([...document.querySelectorAll('img')].filter((each) => !each.alt)).map((each) => each.outerHTML)
"""


def luminance(colour: str) -> float:
    """Relative luminance of #rrggbb or #rgb (WCAG 2.2)."""
    digits = colour.lstrip("#")
    digits = digits if len(digits) == 6 else "".join(digit * 2 for digit in digits)
    shares = [int(digits[place : place + 2], 16) / 255 for place in (0, 2, 4)]
    linear = [share / 12.92 if share <= 0.04045 else ((share + 0.055) / 1.055) ** 2.4 for share in shares]
    return sum(weight * share for weight, share in zip((0.2126, 0.7152, 0.0722), linear, strict=True))


def contrast(one: str, other: str) -> float:
    low, high = sorted((luminance(one), luminance(other)))
    return (high + 0.05) / (low + 0.05)


def themes() -> dict[str, dict[str, str]]:
    """Light and dark: name -> colour, as the style sheet says."""
    blocks = re.findall(r":root\s*{(.*?)}", style_sheet(), re.DOTALL)
    light, dark = (dict(re.findall(r"--(\w+):\s*(#[0-9a-f]{3,6})\b", block)) for block in blocks[:2])
    return {"light": light, "dark": light | dark}


def test_contrast_is_computed_as_the_standard_says() -> None:
    assert contrast("#fff", "#000000") == pytest.approx(21)
    assert contrast("#777777", "#ffffff") == pytest.approx(4.48, abs=0.005)  # the well-known grey that just fails


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_texts_stand_out_from_what_is_behind_them(theme: str) -> None:
    colours = themes()[theme]
    pairs = [(text, behind) for behind, texts in TEXTS.items() for text in texts]
    weak = {pair: contrast(*(colours[name] for name in pair)) for pair in pairs}
    assert {pair: value for pair, value in weak.items() if value < 4.5} == {}
    assert contrast(colours["soft"], colours["paper"]) >= 3, "borders of inputs"


def test_every_colour_of_a_text_is_one_that_was_checked() -> None:
    sheet = (ROOT / "src" / "dfer" / "studio" / "static" / "studio.css").read_text()
    used = set(re.findall(r"(?<![\w-])color:\s*([^;}]+)", sheet))
    checked = {f"var(--{name})" for name in set(itertools.chain(*TEXTS.values()))} | {"inherit"}
    assert used <= checked


@pytest.mark.slow
@needs_browser
def test_every_control_has_a_name_and_shows_its_focus(app: Any, tmp_path: Path) -> None:
    def look(browser: Browser, page: str) -> None:
        assert browser.run(NAMELESS) == [], page
        assert browser.run(FOCUSED) == [], page
        assert browser.run("document.querySelectorAll('h1').length") == 1, page

    visit(app, tmp_path, look)


@pytest.mark.slow
@needs_browser
@pytest.mark.skipif(AXE is None, reason="axe-core is not here: npm install axe-core, or DFER_AXE=.../axe.min.js")
@pytest.mark.parametrize("dark", [False, True])
def test_axe_finds_nothing(app: Any, tmp_path: Path, dark: bool) -> None:
    script = AXE.read_text(encoding="utf-8") if AXE else ""
    broken = "found.violations.map((rule) => [rule.id, rule.help, rule.nodes.map((node) => node.html)])"

    def look(browser: Browser, page: str) -> None:
        browser.run(f"{script};1")
        assert browser.run(f"axe.run().then((found) => {broken})") == [], page

    visit(app, tmp_path, look, dark=dark)


def visit(app: Any, tmp_path: Path, look: Callable[[Browser, str], None], *, dark: bool = False) -> None:
    """Look at every page of a studio in which there is something to see."""
    client = TestClient(app, base_url="http://127.0.0.1")
    practice = [{"clip": "0.flv", "emotions": ["sad"], "feedback": "Look."}]
    define(client, several=True, strength=True, practice=practice)
    (link,) = links(client, "Ann")
    client.post("/api/v1/studies/pilot/answers", params={"name": "a.csv"}, content=VOTES.encode())
    client.post("/api/v1/studies/pilot/manifest")
    with served(app) as address, opened(tmp_path / "profile") as browser:
        browser.size(1280, 900, dark=dark)
        for page, ready in PAGES.items():
            browser.open(address + page)
            browser.wait(ready)
            browser.run("document.querySelectorAll('details').forEach((each) => { each.open = true; })")
            look(browser, page)
        browser.open(address + link)
        browser.wait("document.querySelector('#begin')")
        look(browser, "the rater's first page")
        for kind in ("practice", "vote"):
            browser.run("document.querySelector('#begin').click()")
            browser.wait("document.querySelector('.choice')")
            browser.run("document.querySelector('.choice').click()")
            look(browser, kind)
            browser.run("document.querySelector('#next').click()")
            browser.wait("!document.querySelector('.choice') || document.querySelector('#next').disabled")
            look(browser, f"after {kind}")
