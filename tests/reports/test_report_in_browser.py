"""The page in a real browser, without a network: it stands on its own, fits a phone, and has two colour schemes."""

from __future__ import annotations

import html
import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from dfer.comparison import compare
from dfer.labels import MAFW
from dfer.reports.comparison_page import render_comparison
from dfer.reports.report import render_page
from tests.metrics.toy import looked_into, noise, toy_predictions, toy_report

BROWSER = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
WIDTHS = (320, 375, 768, 1280)
"""Pixels: a small phone, a phone, a tablet, a desk."""

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(BROWSER is None, reason="no chromium or google-chrome on the path to open the page with"),
]

FRAME = """<!doctype html><meta charset="utf-8"><meta name="color-scheme" content="light dark">
<title>waiting</title>%s
<script>
onload = () => {
  document.title = JSON.stringify([...document.querySelectorAll("iframe")].map((frame) => {
    const page = frame.contentDocument, root = page.documentElement;
    page.querySelectorAll("details").forEach((part) => { part.open = true; });
    const wide = [...page.querySelectorAll("body *")].filter((part) =>
      part.getBoundingClientRect().right > root.clientWidth + 1 && !part.closest(".scroll, .hidden"));
    return {
      width: root.clientWidth, scrolls: root.scrollWidth,
      wide: wide.slice(0, 5).map((part) => part.outerHTML.slice(0, 90)),
      paper: getComputedStyle(page.body).backgroundColor,
      flat: [...page.querySelectorAll("svg[role=img]")]
        .filter((chart) => chart.getBoundingClientRect().height < 8).length,
      broken: [...page.images].filter((picture) => !picture.naturalWidth).length,
      loaded: frame.contentWindow.performance.getEntriesByType("resource").map((entry) => entry.name)
        .filter((name) => !name.startsWith("data:")),
      ran: frame.contentWindow.ran === true,
    };
  }));
};
</script>"""
"""Shows the page at several widths and puts what it measures into its own title."""


def browse(path: Path, *flags: str) -> str:
    """The document after it was loaded."""
    command = [
        str(BROWSER), "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run",
        "--hide-scrollbars", "--host-resolver-rules=MAP * ~NOTFOUND", f"--user-data-dir={path.parent / 'profile'}",
        "--virtual-time-budget=5000", "--window-size=1400,1000", *flags, "--dump-dom", path.as_uri(),
    ]  # fmt: skip
    return subprocess.run(command, check=True, capture_output=True, timeout=120).stdout.decode("utf-8")


def measure(folder: Path, page: str, *flags: str) -> list[dict[str, Any]]:
    """What each width of the page measures."""
    frames = "".join(
        f'<iframe style="width:{width}px;height:800px;border:0" srcdoc="{html.escape(page)}"></iframe>'
        for width in WIDTHS
    )
    (folder / "frame.html").write_text(FRAME % frames, encoding="utf-8")
    title = re.search(r"<title>(.*?)</title>", browse(folder / "frame.html", *flags), re.DOTALL)
    assert title
    found: list[dict[str, Any]] = json.loads(html.unescape(title[1]))
    return found


def report_of(name: str) -> dict[str, Any]:
    """A page that is likely to burst: many runs with long and hostile names, many emotions, or nearly nothing."""
    evil = "<script>window.ran=true</script><img src=x onerror='ran=true'> " + "averyveryverylongname" * 6
    if name in ("crowd", "many"):
        many = {f"{evil} {n}": toy_predictions(n, folds=5, emotions=tuple(MAFW), ids=evil + "{}") for n in range(12)}
        crowd = name == "crowd"
        return looked_into(toy_report(many), many) if crowd else toy_report(many, source=evil, left_out={evil: 1})
    if name == "deep":
        pair = {name: toy_predictions(seed, clips=150) for seed, name in enumerate(("hard labels", "soft labels"))}
        return looked_into(toy_report(pair), pair)
    if name == "four":
        return toy_report(note="The faces are drawn.")
    bare = toy_predictions(1)
    bare.votes[:] = np.nan
    return toy_report({"soft labels": bare})


@pytest.mark.parametrize("name", ["deep", "crowd", "four", "many", "bare"])
def test_page_fits_every_width_and_loads_nothing(name: str, tmp_path: Path) -> None:
    report = report_of(name)
    for found, width in zip(measure(tmp_path, render_page(report, noise(report))), WIDTHS, strict=True):
        assert found["width"] == width
        assert found["scrolls"] <= width, found["wide"]
        assert found["wide"] == []
        assert (found["flat"], found["broken"], found["loaded"], found["ran"]) == (0, 0, [], False)


def test_light_and_dark_follow_the_reader(tmp_path: Path) -> None:
    page = render_page(toy_report(), {})
    papers = {
        measure(tmp_path, page, f"--blink-settings=preferredColorScheme={scheme}")[0]["paper"] for scheme in (0, 1)
    }
    assert papers == {"rgb(255, 255, 255)", "rgb(21, 24, 27)"}


def test_browser_reads_the_sections_that_were_written(tmp_path: Path) -> None:
    report = toy_report()
    (tmp_path / "report.html").write_text(render_page(report, noise(report)), encoding="utf-8")
    dom = browse(tmp_path / "report.html")
    assert dom.count("<section") == dom.count("</section>") == 9
    assert dom.count('class="confusion"') == 4
    assert dom.count("data:image/jpeg;base64,") == len(report.gallery) == 12
    assert not re.search(r"https?://", dom)


def comparison_of(name: str) -> Any:
    """A comparison that is likely to burst: many runs with long and hostile names, or nearly nothing."""
    if name == "many":
        evil = "<script>window.ran=true</script><img src=x onerror='ran=true'> " + "averyveryverylongname" * 6
        many = {f"{evil} {n}": [toy_predictions(n, folds=5, emotions=tuple(MAFW), ids=evil + "{}")] for n in range(12)}
        return compare(many, draws=300)
    if name == "pair":
        pair = {"plain": [toy_predictions(1), toy_predictions(2)], "mixed": [toy_predictions(3), toy_predictions(4)]}
        return compare(pair, draws=300)
    bare = [toy_predictions(seed, clips=12) for seed in (1, 2)]
    for run in bare:
        run.votes[:], run.labels[:] = np.nan, -1
    return compare({"a": bare[:1], "b": bare[1:]}, draws=300)


@pytest.mark.parametrize("name", ["pair", "many", "bare"])
def test_comparison_fits_every_width_and_loads_nothing(name: str, tmp_path: Path) -> None:
    for found, width in zip(measure(tmp_path, render_comparison(comparison_of(name))), WIDTHS, strict=True):
        assert found["width"] == width
        assert found["scrolls"] <= width, found["wide"]
        assert found["wide"] == []
        assert (found["flat"], found["broken"], found["loaded"], found["ran"]) == (0, 0, [], False)
