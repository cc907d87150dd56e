"""The report: what is in the JSON is what is on the page, whatever the runs and the clips are called."""

from __future__ import annotations

import base64
import json
import re
import subprocess
import sys
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from scipy import stats

from dfer.comparison.remedies import MENDED
from dfer.documents import jsonable
from dfer.errors import DferError
from dfer.labels import MAFW
from dfer.metrics import concatenate
from dfer.reports import build_report, write_report
from dfer.reports.contents import ClipMap, DataSet, Report, clip_maps
from dfer.reports.report import render_page
from tests.metrics.toy import FOUR, looked_into, noise, toy_cell, toy_predictions, toy_report
from tests.training.full_disk import full_disk

SECTIONS = ["scores", "recall", "confusion", "calibration", "ambiguity", "curves", "gallery", "protocol", "limits"]
LIMIT = 3_000_000
"""Bytes of a page that one can still mail."""


class Page(HTMLParser):
    """The parts of a page that the tests look at."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.tables: list[list[list[str]]] = []
        self.marked: set[tuple[int, int, int]] = set()
        self.text = ""
        self.open = ""
        self.in_cell = False
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        self.open = tag
        if tag == "table":
            self.tables.append([])
        elif tag == "tr":
            self.tables[-1].append([])
        elif tag in ("td", "th"):
            self.in_cell = True
            self.tables[-1][-1].append("")
            if "best" in (dict(attrs).get("class") or "").split():
                self.marked.add((len(self.tables) - 1, len(self.tables[-1]) - 1, len(self.tables[-1][-1]) - 1))

    def handle_endtag(self, tag: str) -> None:
        self.open = ""
        self.in_cell = self.in_cell and tag not in ("td", "th")

    def handle_data(self, data: str) -> None:
        if self.open not in ("style", "title"):
            self.text += data
            if self.in_cell:
                self.tables[-1][-1][-1] += data

    def table(self, *heads: str) -> list[list[str]]:
        """The body of the table whose head has these columns."""
        for table in self.tables:
            if all(any(text.startswith(head) for text in table[0]) for head in heads):
                return table[1:]
        raise AssertionError(f"no table with {heads}")


def percent(value: float | None) -> str:
    return "–" if value is None else f"{100 * value:.1f}"


def plain(value: float | None) -> str:
    return "–" if value is None else f"{value:.3f}".replace("-", "−")


def page_of(report: Report, **thumbnails: Any) -> Page:
    return Page(render_page(report, thumbnails))


def strict_json(text: str) -> Any:
    def refuse(constant: str) -> None:
        raise AssertionError(f"{constant} is not JSON")

    return json.loads(text, parse_constant=refuse)


def test_json_round_trips_without_nan(tmp_path: Path) -> None:
    report = toy_report()
    write_report(report, tmp_path / "deep" / "report", {})
    told = strict_json((tmp_path / "deep" / "report" / "report.json").read_text(encoding="utf-8"))
    assert told == jsonable(report) and told["format"] == "dfer.report/1"
    assert told["data"] == {"source": "toy", "clips": 300, "left_out": {"no frames on disk": 3}}
    assert told["cells"][0]["curves"][0]["epochs"][1]["val_kl"] is None
    assert told["emotions"] == list(told["cells"][0]["recall"])
    assert set(told["cells"][0]) == {
        "name", "labels", "mix", "run", "n", "n_votes", "war", "uar", "recall", "absent", "top2", "confusion",
        "kl", "js", "cross_entropy", "brier", "entropy_correlation", "ece", "reliability", "strata", "folds",
        "mean", "sd", "curves", "training", "ece_mass", "classwise_ece", "vote_ece", "aurc", "risk90", "risk80",
        "chebyshev", "clark", "canberra", "cosine", "intersection", "dirichlet_multinomial", "no_majority_auroc",
        "vote_reliability", "risk_coverage", "ceiling", "kl_by_label", "intervals", "beyond_constant", "answers",
    }  # fmt: skip
    assert told["cells"][0]["strata"][0]["war"] == report.cells[0].strata[0]["war"]
    assert sorted(path.name for path in (tmp_path / "deep" / "report").iterdir()) == ["report.html", "report.json"]


def test_all_sections_are_there_in_order_and_nothing_is_loaded() -> None:
    html = render_page(toy_report(), {})
    page = Page(html)
    assert [attrs["id"] for tag, attrs in page.tags if tag == "section"] == SECTIONS
    assert sum(tag == "h1" for tag, _ in page.tags) == 1
    assert not {tag for tag, _ in page.tags} & {"script", "link", "iframe", "object", "embed", "base"}
    links = [attrs.get(key) for _, attrs in page.tags for key in ("src", "href", "srcset") if key in attrs]
    assert all(link and link.startswith(("#", "data:")) for link in links)
    assert "url(" not in html and "@import" not in html and "://" not in html
    policy = next(attrs["content"] for tag, attrs in page.tags if "http-equiv" in attrs)
    assert policy and policy.startswith("default-src 'none'")


def test_every_score_on_the_page_is_the_one_in_the_json() -> None:
    report = toy_report()
    page = page_of(report)
    rows = [
        row
        for row in page.table("run", "n", "WAR", "top-2", "Brier")
        if not row[0].startswith(("people: ", "constant: "))
    ]
    for cell, row in zip(report.cells, rows, strict=True):
        numbers = [text.removesuffix(" (best)") for text in row]
        assert numbers[0] == cell.name
        assert numbers[1] == f"{cell.n} ({cell.n_votes})"
        assert [numbers[2], *numbers[4:6]] == [percent(cell[key]) for key in ("war", "uar", "top2")]
        keys = ("cross_entropy", "kl", "js", "brier", "entropy_correlation", "ece")
        assert numbers[6:] == [plain(cell[key]) for key in keys]
    recalls = page.table("recall", *report.emotions)
    assert [row[1:] for row in recalls] == [[percent(x) for x in cell.recall.values()] for cell in report.cells]
    strata = page.table("run", "stratum")
    wanted = [
        [cell.name, part.name, str(part.n), str(part.n_votes), percent(part["war"])]
        for cell in report.cells
        for part in cell.strata
    ]
    assert [row[:5] for row in strata] == wanted


def test_annotators_own_scores_stand_under_the_models() -> None:
    report = toy_report()
    ceiling = report.cells[0].ceiling
    rows = page_of(report).table("run", "n", "WAR", "top-2", "Brier")[-2:]
    assert [row[0] for row in rows] == [
        "people: one voter and the others",
        "people: half of the voters and the other half",
    ]
    for row, key in zip(rows, ("one_out", "halves"), strict=True):
        assert (row[2], row[4], row[5]) == (percent(ceiling[key].war), percent(ceiling[key].uar), "–")
        assert (row[7], row[8], row[9]) == (plain(ceiling[key].kl), "–", plain(ceiling[key].brier))


def test_annotators_of_other_clips_are_not_put_under_all_runs() -> None:
    part = toy_predictions(1)
    page = page_of(toy_report({"a": part, "b": part.select(np.arange(len(part)) < 50)}))
    assert "people: " not in page.text


def test_more_distances_and_calibration_have_their_tables() -> None:
    report = toy_report()
    page = page_of(report)
    more = page.table("run", "Chebyshev", "DM-NLL")
    keys = ("chebyshev", "clark", "canberra", "cosine", "intersection", "dirichlet_multinomial", "no_majority_auroc")
    assert [row[1:] for row in more] == [[plain(cell[key]) for key in keys] for cell in report.cells]
    errors = page.table("run", "ECE", "AURC")
    keys = ("ece", "ece_mass", "classwise_ece", "vote_ece", "aurc")
    assert [row[1:6] for row in errors] == [[plain(cell[key]) for key in keys] for cell in report.cells]
    assert [row[6:] for row in errors] == [[percent(cell[k]) for k in ("risk90", "risk80")] for cell in report.cells]


def test_remedies_and_the_reject_rule_are_the_ones_in_the_json() -> None:
    runs = {name: toy_predictions(seed, clips=1200) for seed, name in enumerate(("a", "b"))}
    report = looked_into(toy_report(runs), runs)
    page = page_of(report)
    rows = page.table("run", "remedy", "set to", "WAR", "ECE, votes")
    wanted = [row for cell in report.cells for row in cell.posthoc.rows]
    assert [row[1] for row in rows[:3]] == ["as trained", "temperature", "temperature, by labels"]
    for row, told in zip(rows, wanted, strict=True):
        assert row[3:] == [percent(told["war"]), percent(told["uar"]), *(plain(told[k]) for k in MENDED[2:])]
    assert rows[1][2] == f"T = {wanted[1].setting[0]:.2f}" and rows[4][2] == "τ = 1.00"
    rules = page.table("run", "wrong at most", "confidence from")
    wanted = [rule for cell in report.cells for rule in cell.posthoc.reject]
    for row, rule in zip(rules, wanted, strict=True):
        (least,) = rule.thresholds
        assert row[1:3] == [f"{100 * rule.risk:.0f}", "rejects all" if least is None else plain(least)]
        assert row[4:] == [percent(rule.test.coverage), percent(rule.test.risk)]


def test_groups_and_gaps_are_the_ones_in_the_json() -> None:
    runs = {name: toy_predictions(seed, clips=150) for seed, name in enumerate(("a", "b"))}
    report = looked_into(toy_report(runs), runs)
    page = page_of(report)
    rows = page.table("run", "clip length, frames", "n", "95 %")
    wanted = [group for cell in report.cells for group in cell.subgroups[0].groups]
    for row, group in zip(rows, wanted, strict=True):
        assert row[1:5] == [
            group.name,
            f"{group.n} ({group.n_votes})",
            str(group.persons),
            percent(group["war"]),
        ]
    gaps = [part.gap for cell in report.cells for part in cell.subgroups if part.gap]
    shown = page.table("run", "by", "between", "gap")
    assert [row[3] for row in shown] == [percent(gap.difference) for gap in gaps]
    assert "groups of people that the data do not name" in page.text and "#groups" in render_page(report, {})
    assert "i" not in {tag for tag, attrs in page.tags if not attrs} and "Genève <b>& Co</b>" in page.text
    assert "By group of clips" not in page_of(toy_report()).text


def test_divergence_by_label_stands_beside_recall() -> None:
    report = toy_report()
    rows = page_of(report).table("KL to the votes", "happy")
    assert [row[1:] for row in rows] == [[plain(v) for v in cell.kl_by_label.values()] for cell in report.cells]


def test_confusion_counts_are_the_ones_in_the_json() -> None:
    report = toy_report()
    tables = [table for table in page_of(report).tables if table[0][0].startswith("true emotion")]
    counts = [[[int(text) for text in row[1:]] for row in table[1:]] for table in tables]
    assert counts == [cell.confusion for cell in report.cells]


def test_two_by_two_puts_labels_in_rows_and_mixing_in_columns() -> None:
    report = toy_report({name: toy_predictions(seed) for seed, name in enumerate(reversed(FOUR))})
    numbers = {(cell.labels, cell.mix): percent(cell["war"]) for cell in report.cells}
    grid = page_of(report).tables[0]
    assert grid[0] == ["", "plain", "MIDAS"]
    for row, labels in zip(grid[1:], ("hard", "soft"), strict=True):
        assert row[0] == f"{labels} labels"
        found = [re.search(r"WAR ↑\s*([\d.]+)", text) for text in row[1:]]
        assert [match and match[1] for match in found] == [numbers[labels, "none"], numbers[labels, "midas"]]


def test_steps_of_the_two_by_two_are_differences() -> None:
    report = toy_report()
    by_name = {cell.name: cell for cell in report.cells}
    step = page_of(report).table("step", "with")[0]
    more = by_name["hard labels + MIDAS"]["war"] - by_name["hard labels"]["war"]
    assert step[:3] == ["MIDAS instead of plain", "hard labels", f"{100 * more:+.1f}".replace("-", "−")]


def test_the_best_is_marked_where_a_test_tells_it_from_the_others() -> None:
    good, bad = toy_predictions(0, clips=300), toy_predictions(1, clips=300)
    runs = {"bad": replace(bad, probs=np.roll(bad.probs, 1, axis=1)), "good": good}
    report = toy_report(runs)
    page = page_of(report)
    table = page.tables.index([page.tables[0][0], *page.table("run", "n", "WAR", "top-2")])
    assert {(row, column) for where, row, column in page.marked if where == table} == {(2, 2), (2, 4), (2, 7), (2, 11)}
    assert "good has the highest WAR" in page.text and "the lowest KL to the votes" in page.text


def test_nothing_is_marked_or_called_best_where_the_clips_tell_nothing() -> None:
    page = page_of(toy_report())
    assert not page.marked
    assert "WAR, UAR, KL and ECE do not tell the runs apart." in page.text
    assert not re.search("has the (highest|lowest)", page.text)


def test_constant_answers_stand_below_the_runs_and_a_blind_run_is_said_to_be_one() -> None:
    run = toy_predictions(1)
    page = page_of(toy_report({"sees": run, "blind": replace(run, probs=np.tile([0.4, *[0.1] * 6], (90, 1)))}))
    rows = page.table("run", "n", "WAR", "top-2")
    assert [row[0] for row in rows[2:4]] == [
        "constant: this test part's own mean vote", "constant: this test part's own most frequent label",
    ]  # fmt: skip
    shares = run.shares.mean(axis=0)
    assert rows[2][7] == plain(float(np.mean([stats.entropy(row, shares) for row in run.shares])))
    assert rows[3][2] == percent(np.bincount(run.labels[run.labelled]).max() / run.labelled.sum()) and rows[3][7] == "–"
    assert "blind is not shown to be better than a constant answer: the mean vote in KL" in page.text
    assert "blind gives the same emotion to every clip." in page.text and "sees is not" not in page.text


def test_folds_show_mean_and_deviation_beside_the_pooled_number() -> None:
    report = toy_report({"soft labels": toy_predictions(1, folds=5)})
    folds = [fold["war"] for fold in report.cells[0].folds]
    row = page_of(report).table("run", "folds")[0]
    shown = f"{percent(float(np.mean(folds)))} ± {percent(float(np.std(folds, ddof=1)))}"
    assert row[1:3] == ["5", f"{shown} pooled {percent(report.cells[0]['war'])}"]
    assert len(page_of(report).table("run", "fold", "n", "WAR")) == 5
    with pytest.raises(AssertionError):
        page_of(toy_report()).table("run", "folds")  # one fold has no deviation


def test_hostile_names_stay_text() -> None:
    evil = "<script>alert(1)</script>\"'><img src=x onerror=alert(2)> &amp; 顔 é"
    predictions = {evil: toy_predictions(1, ids=evil + " {}")}
    report = toy_report(predictions, source=evil, note=evil, left_out={evil: 2})
    page = page_of(report, **noise(report))
    assert "script" not in {tag for tag, _ in page.tags}
    assert not any(name.startswith("on") for _, attrs in page.tags for name in attrs)
    assert all((attrs["src"] or "").startswith("data:") for tag, attrs in page.tags if tag == "img")
    assert page.text.count(evil) > 12


def test_note_on_the_data_is_shown_before_the_numbers() -> None:
    text = page_of(toy_report(note="The faces are drawn.")).text
    assert text.index("The faces are drawn.") < text.index("WAR")


def test_one_run_is_not_called_the_best_of_anything() -> None:
    report = toy_report({"soft labels": toy_predictions(1)})
    page = page_of(report)
    assert "One run, judged on" in page.text
    assert not page.marked and not re.search("highest|lowest|best", page.text)
    assert "another seed" in page.text


def test_runs_that_are_no_two_by_two_get_the_table_alone() -> None:
    report = toy_report({name: toy_predictions(seed) for seed, name in enumerate(list(FOUR)[:3])})
    page = page_of(report)
    rows = page.table("run", "n", "WAR", "top-2")
    assert [row[0] for row in rows if not row[0].startswith(("people: ", "constant: "))] == list(FOUR)[:3]
    with pytest.raises(AssertionError):
        page.table("step", "with")


def test_without_votes_distances_are_dashes() -> None:
    part = toy_predictions(1)
    part.votes[:] = np.nan
    report = toy_report({"soft labels": part})
    assert report.cells[0]["kl"] is None
    page = page_of(report)
    assert page.table("run", "n", "WAR", "top-2")[0][6:11] == ["–"] * 5
    assert "nothing can be said about disagreement" in page.text
    assert "No test clip has votes" in page.text


def test_without_labels_accuracy_is_a_dash() -> None:
    part = toy_predictions(1)
    part.labels[:] = -1
    page = page_of(toy_report({"soft labels": part}))
    assert page.table("run", "n", "WAR", "top-2")[0][2] == "–"
    assert "No test clip has a single label" in page.text


def test_a_run_without_any_clip_still_makes_a_page() -> None:
    part = toy_predictions(1)
    empty = part.select(np.zeros(len(part), dtype=bool))
    page = page_of(toy_report({"empty": empty, "full": toy_predictions(2, folds=2)}))
    assert "not scored on the same clips" in page.text


def test_an_absent_emotion_is_named() -> None:
    part = toy_predictions(1)
    without = part.select(part.labels != 5)
    said = "no labelled test clip shows disgust"
    assert said.capitalize() in page_of(toy_report({"a": without, "b": without})).text
    assert f"b: {said}" in page_of(toy_report({"a": part, "b": without})).text


def test_twelve_runs_of_eleven_emotions_stay_small(tmp_path: Path) -> None:
    runs = {
        f"run {n} " + "that says much " * 5: toy_predictions(n, clips=400, folds=5, emotions=tuple(MAFW))
        for n in range(12)
    }
    report = toy_report(runs)
    write_report(report, tmp_path, noise(report))
    assert (tmp_path / "report.html").stat().st_size < LIMIT
    tables = Page((tmp_path / "report.html").read_text(encoding="utf-8")).tables
    assert sum(table[0][0].startswith("true emotion") for table in tables) == 12


def strip_of(report: Report, frames: Any) -> Any:
    """The filmstrip of the gallery's first clip, decoded, (H, W, 3) RGB."""
    html = render_page(report, {report.gallery[0].id: frames})
    data = re.search(r"data:image/jpeg;base64,([\w+/=]+)", html)
    assert data
    picture = cv2.imdecode(np.frombuffer(base64.b64decode(data[1]), dtype=np.uint8), cv2.IMREAD_COLOR)
    return picture[:, :, ::-1]


def test_filmstrip_keeps_colour_and_order() -> None:
    red = np.zeros((48, 48, 3), dtype=np.uint8)
    red[:, :, 0] = 250
    strip = strip_of(toy_report(), [red, np.zeros_like(red), red[:, :, ::-1]])
    assert strip.shape == (48, 144, 3)
    assert strip[24, 24].tolist() == pytest.approx([250, 0, 0], abs=8)
    assert strip[24, 120].tolist() == pytest.approx([0, 0, 250], abs=8)


def test_filmstrip_takes_grey_frames_shrinks_large_ones_and_thins_many_out() -> None:
    strip = strip_of(toy_report(), np.full((40, 192, 288, 1), 90, dtype=np.uint8))
    assert strip.shape == (96, 6 * 144, 3)
    assert np.abs(strip.astype(int) - 90).max() < 4


@pytest.mark.parametrize("frame", [np.zeros((8, 8, 3)), np.zeros((8, 8), np.uint8), np.zeros((8, 8, 4), np.uint8)])
def test_frames_that_are_no_pictures_are_refused(frame: Any) -> None:
    report = toy_report()
    with pytest.raises(DferError, match=r"clip \d"):
        render_page(report, {report.gallery[0].id: [frame]})


def test_a_place_that_cannot_be_written_is_said_in_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(DferError, match=r"cannot write .*report\.json") as caught:
        write_report(toy_report(), tmp_path / "file" / "report", {})
    assert "\n" not in str(caught.value)


def test_a_broken_off_write_leaves_the_old_page(tmp_path: Path) -> None:
    write_report(toy_report(), tmp_path, {})
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    with full_disk(after=len(before["report.json"]) + 1000), pytest.raises(DferError, match="cannot write"):
        write_report(toy_report(note="new"), tmp_path, {})
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir() if path.is_file()} == before


def test_a_name_that_is_no_unicode_is_written_and_read_back(tmp_path: Path) -> None:
    odd = b"clip \xff".decode("utf-8", "surrogateescape")
    report = toy_report({"soft labels": toy_predictions(1, ids=odd + " {}")})
    write_report(report, tmp_path, {})
    assert strict_json((tmp_path / "report.json").read_text(encoding="utf-8")) == jsonable(report)


def test_cells_that_do_not_belong_together_are_refused() -> None:
    one, other = toy_cell("a", toy_predictions(1)), toy_cell("b", toy_predictions(1, emotions=tuple(MAFW)))
    for cells, fault in (([], "at least one cell"), ([one, one], "called a"), ([one, other], "not so: b")):
        with pytest.raises(DferError, match=fault):
            build_report(cells, data=DataSet("toy", 90), protocol=[], gallery=[])


def test_pooling_folds_by_hand_gives_the_same_page_as_one_table() -> None:
    whole = toy_predictions(1, folds=2)
    parts = concatenate([whole.select(whole.fold == fold) for fold in (1, 2)])
    assert page_of(toy_report({"a": parts})).table("run", "n", "WAR") == page_of(toy_report({"a": whole})).table(
        "run", "n", "WAR"
    )


def test_report_works_without_torch() -> None:
    code = "import sys, dfer.reports.report; assert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True, timeout=120)


def test_clips_lie_on_the_map_where_the_network_puts_them() -> None:
    known = toy_predictions(1, clips=3, emotions=("happy", "sad"))
    votes = np.array([[6.0, 0], [2, 2], [np.nan, np.nan]])
    placed = replace(
        known, votes=votes, labels=np.array([0, -1, 1]), places=np.array([[1.0, 0], [-0.5, 0.5], [np.nan, 0]])
    )
    cell = toy_cell("a", placed, maps=clip_maps(placed))
    assert cell.maps == [ClipMap(1, 2, [1.0, -0.5], [0.0, 0.5], [0, 0], [0.0, 1.0])], "no place, not shown"
    report = build_report([cell], data=DataSet("toy", 3), protocol=["Once."], gallery=[])
    page = render_page(report, {})
    circles = re.findall(r'<circle class="spot (e\d+)" cx="([\d.]+)" cy="([\d.]+)" r="([\d.]+)"><title>([^<]*)', page)
    (first, _, _, small, said), (second, x, y, large, _) = circles
    assert first == second and said == "happy, entropy of the votes 0.00" and float(large) > float(small)
    assert float(x) < 160 and float(y) < 160, "left of the middle and above it"
    assert 'id="maps"' in page and 'id="maps"' not in render_page(toy_report(), {})
    assert clip_maps(known) is None


def test_a_map_of_many_clips_shows_some_of_each_fold() -> None:
    many = toy_predictions(1, clips=1001, folds=2)
    maps = clip_maps(replace(many, places=np.zeros((1001, 2))))
    assert maps is not None and [(each.fold, each.clips, len(each.x)) for each in maps] == [
        (1, 501, 400),
        (2, 500, 400),
    ]
