"""The raters' page: every number and name that it must show, hostile names, nothing to show; and in a real browser."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from dfer import DferError
from dfer.doctor.raters_page import ROWS, reliability_chart, render_raters_page, write_raters_page
from dfer.labels import EmotionSet
from dfer.labels.annotators import Consensus, consensus
from dfer.labels.answers import Answers

from ..reports.test_report_in_browser import BROWSER, measure

NAMES = EmotionSet("three", ("happy", "sad", "neutral"))
EVIL = "<script>window.ran=true</script><img src=x onerror='ran=true'> " + "averyveryverylongname" * 6


def panel(raters: list[str], clips: int = 60, careless: int = 0) -> Consensus:
    """Raters who mostly agree; the last `careless` guess."""
    generator = np.random.default_rng(0)
    truth = generator.integers(0, 3, (clips, 1))
    said = np.where(generator.random((clips, len(raters))) < 0.8, truth, generator.integers(0, 3, (clips, len(raters))))
    said[:, len(raters) - careless :] = generator.integers(0, 3, (clips, careless))
    rows = [(f"{c:03d}", raters[r], NAMES[int(said[c, r])]) for c, r in np.ndindex(*said.shape)]
    return consensus(Answers.build(*zip(*rows, strict=True), NAMES), "majority")


def test_the_page_names_the_careless_and_shows_every_rater_and_what_was_left_out() -> None:
    found = panel([f"rater{k}" for k in range(8)], careless=2)
    object.__setattr__(found, "left_out", {"answer without an emotion": 1234})
    page = render_raters_page(found, source="answers.csv")
    assert "8 raters, 2 of them careless" in page and "480 answers about 60 clips" in page
    assert "1,234: answer without an emotion" in page and "answers.csv" in page
    assert all(f'<th scope="row">rater{k}</th>' in page for k in range(8))
    assert len(re.findall(r"<li><b>rater[67]</b>: no better than chance", page)) == 2
    assert page.count('<circle class="rater') == 8 and page.count("rater careless") == 2


def test_a_page_where_nobody_is_careless_or_can_be_compared_says_so() -> None:
    assert "none of them careless" in render_raters_page(panel(["a", "b", "c"]))
    alone = consensus(Answers.build(["x"], ["a"], ["sad"], NAMES), "majority")
    page = render_raters_page(alone)
    assert "1 rater, too few answers to judge them" in page and '<circle class="rater' not in page
    assert "nobody could be judged. 1 of 1 raters has fewer than 20 answers" in page and "none of them" not in page


def test_who_has_too_few_answers_is_not_called_careful() -> None:
    few = render_raters_page(panel([f"r{k}" for k in range(60)], clips=19))
    assert "60 raters, too few answers to judge any of them" in few and "Nobody could be judged." in few
    assert "nobody answers carelessly" not in few and "none of them careless" not in few
    enough = [(f"{clip:02d}", rater, "happy" if clip % 2 else "sad") for clip in range(30) for rater in "abc"]
    both = [*enough, *((f"{clip:02d}", "d", "happy" if clip % 2 else "sad") for clip in range(19))]
    page = render_raters_page(consensus(Answers.build(*zip(*both, strict=True), NAMES), "majority"))
    assert "4 raters, none of the 3 that could be judged careless" in page
    assert "1 of 4 raters has fewer than 20 answers to clips that others answered too" in page


def test_hostile_names_are_text_and_nothing_is_loaded() -> None:
    page = render_raters_page(panel([f"{EVIL} {k}" for k in range(5)], careless=1), source=EVIL)
    assert "<script" not in page and "<img" not in page and "http" not in page.replace("http-equiv", "")


def test_of_many_raters_the_worst_are_in_the_table_and_all_on_the_chart() -> None:
    found = panel([f"r{k:04d}" for k in range(ROWS + 50)], clips=30)
    page = render_raters_page(found)
    assert f"The {ROWS} worst of {ROWS + 50} raters" in page and page.count("<circle") == ROWS + 50


def test_points_lie_within_the_chart_higher_for_more_agreement_and_further_right_for_more_answers() -> None:
    raters = pd.DataFrame(
        {"rater": list("abc"), "compared": [1, 30, 900], "kappa": [-0.9, 0.4, 1.0], "careless": [""] * 3}
    )
    chart = reliability_chart(raters)
    across, down = ([point[axis] for point in chart["points"]] for axis in ("x", "y"))
    assert across == sorted(across) and down == sorted(down, reverse=True)
    assert chart["left"] < across[0] and across[-1] < chart["right"] and down[-1] > 0 and down[0] <= chart["bottom"]
    assert [text for _, text in chart["across"]] == ["1", "2", "5", "10", "20", "50", "100", "200", "500", "1,000"]


def test_a_place_that_cannot_be_written_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(DferError, match="cannot write"):
        write_raters_page(tmp_path / "file" / "raters.html", panel(["a", "b"]))


@pytest.mark.slow
@pytest.mark.skipif(BROWSER is None, reason="no chromium or google-chrome on the path to open the page with")
def test_in_a_browser_the_page_fits_a_phone_and_runs_nothing(tmp_path: Path) -> None:
    found = panel([f"{EVIL} {k}" for k in range(12)], careless=3)
    for width in measure(tmp_path, render_raters_page(found, source=EVIL)):
        assert width["scrolls"] <= width["width"] and width["wide"] == [] and not width["loaded"] and not width["ran"]
        assert width["flat"] == 0
