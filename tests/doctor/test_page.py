"""The page and the JSON: what they say, hostile names, and how they fit a screen."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import pytest

from dfer.datasets import Manifest
from dfer.doctor import Case, Examination, Finding, examine
from dfer.doctor.page import histogram, ordered, render_page, verdict, write_page
from dfer.doctor.report import as_json, report
from dfer.doctor.statistics import statistics
from dfer.errors import DferError
from dfer.labels import MAFW

from ..reports.test_report_in_browser import BROWSER, WIDTHS, browse, measure
from .toy import toy

EVIL = "<script>window.ran=true</script><img src=x onerror='ran=true'> " + "averyveryverylongname" * 6


def made(root: Path, clips: int = 6, **columns: object) -> Manifest:
    """Clips of MAFW's eleven emotions with votes, the first of which can be shown."""
    generator = np.random.default_rng(0)
    np.save(root / "0.npy", generator.integers(0, 256, (20, 32, 32, 3), dtype=np.uint8))
    votes = generator.multinomial(10, generator.dirichlet(np.ones(11), clips))
    columns = {
        "path": [f"{k}.npy" for k in range(clips)],
        "acted": [MAFW[k % 11] for k in range(clips)],
        "fold": [1 + k % 2 for k in range(clips)],
    } | columns
    return toy(MAFW, root=root, kind=["array"] * clips, votes=votes, **columns)


def page_of(manifest: Manifest) -> str:
    return render_page(examine(manifest), statistics(manifest))


def test_every_finding_is_on_the_page_faults_first(tmp_path: Path) -> None:
    manifest = made(tmp_path)
    examination = examine(manifest)
    page = render_page(examination, statistics(manifest))
    signs = re.findall(r'<li class="is-(\w+)">', page)
    assert signs == [finding.verdict for finding in ordered(examination.findings)]
    assert signs[0] == "fault" and signs[-1] == "unchecked"
    assert verdict(examination) in page and page.count("data:image/jpeg;base64,") == 1
    assert page.count("no frames to show") == 5


def test_the_verdict_counts_faults_and_what_is_to_be_known() -> None:
    def told(*verdicts: str) -> str:
        return verdict(Examination(Case(toy(label=["happy"])), tuple(Finding(name, "") for name in verdicts)))

    assert told("fault", "note", "note", "ok") == "Not sound: 1 fault, 2 things to know"
    assert told("fault", "fault", "unchecked") == "Not sound: 2 faults, nothing to note"
    assert told("ok", "note") == "Sound, with 1 thing to know"
    assert told("ok", "unchecked") == "Sound, with nothing to note"


def test_bars_of_the_histogram_stand_on_its_floor() -> None:
    drawn = histogram([4, 0, 2, 1])
    assert [bar["height"] for bar in drawn["bars"]] == [174.0, 87.0, 43.5]
    assert {bar["y"] + bar["height"] for bar in drawn["bars"]} == {drawn["floor"]}
    assert histogram([])["bars"] == histogram([0, 0])["bars"] == []


def test_the_page_of_labels_alone_says_that_there_are_no_votes(tmp_path: Path) -> None:
    page = page_of(toy(label=["happy", "sad"]))
    assert "There are no votes, so nothing can be said" in page and "Only one source" in page


def test_names_are_text_on_the_page_and_in_the_json(tmp_path: Path) -> None:
    manifest = made(tmp_path, id=[f"{EVIL}{k}" for k in range(6)], path=["0.npy", *(f"{EVIL}{k}" for k in range(5))])
    examination, figures = examine(manifest), statistics(manifest)
    assert "<script>" not in render_page(examination, figures)
    assert json.loads(as_json(examination, figures))["figures"]["ambiguous"][0]["id"].startswith("<script>")


def test_the_json_holds_all_culprits(tmp_path: Path) -> None:
    manifest = made(tmp_path, 20)
    told = report(examine(manifest), statistics(manifest))
    (files,) = [finding for finding in told["findings"] if finding["check"] == "files"]
    assert files["clips"] == [f"c{k}" for k in range(1, 20)] and "and 14 more" in files["found"]
    assert told["sound"] is False and told["format"] == "dfer.doctor/1"


def test_a_place_that_cannot_be_written_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    manifest = made(tmp_path)
    with pytest.raises(DferError, match="cannot write"):
        write_page(tmp_path / "file" / "page.html", examine(manifest), statistics(manifest))


@pytest.mark.slow
@pytest.mark.skipif(BROWSER is None, reason="no chromium or google-chrome on the path to open the page with")
@pytest.mark.parametrize("name", ["plain", "evil", "bare"])
def test_the_page_fits_every_width_and_loads_nothing(name: str, tmp_path: Path) -> None:
    evil = {"id": [f"{EVIL}{k}" for k in range(30)], "group": [EVIL] * 30}
    clips = {"plain": made(tmp_path, 12), "evil": made(tmp_path, 30, **evil), "bare": toy(label=["happy"])}[name]
    for found, width in zip(measure(tmp_path, page_of(clips)), WIDTHS, strict=True):
        assert found["width"] == width
        assert found["scrolls"] <= width, found["wide"]
        assert found["wide"] == []
        assert (found["flat"], found["broken"], found["loaded"], found["ran"]) == (0, 0, [], False)


@pytest.mark.slow
@pytest.mark.skipif(BROWSER is None, reason="no chromium or google-chrome on the path to open the page with")
def test_the_browser_reads_the_sections_that_were_written(tmp_path: Path) -> None:
    (tmp_path / "page.html").write_text(page_of(made(tmp_path)), encoding="utf-8")
    dom = browse(tmp_path / "page.html")
    assert dom.count("<section") == dom.count("</section>") == 8
    assert dom.count('class="confusion"') == 2 and not re.search(r"https?://", dom)
