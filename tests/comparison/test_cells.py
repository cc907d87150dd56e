"""A comparison: numbers that scikit-learn and scipy give, too, careful words, and a page that holds them all."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy import stats
from sklearn.metrics import accuracy_score

from dfer.comparison import compare
from dfer.comparison.cells import TESTED, Comparison, Cost
from dfer.documents import json_text, jsonable
from dfer.errors import DferError
from dfer.metrics import Predictions, score
from dfer.metrics.scores import ALL_SCORES, BY_KEY
from dfer.reports import findings, write_comparison
from dfer.reports.comparison_page import _differences, render_comparison
from dfer.reports.figures import own_marks
from tests.metrics.toy import toy_predictions
from tests.reports.test_report import Page, percent, plain, strict_json

DRAWS = 500
EVIL = "<script>alert(1)</script>\"'><img src=x onerror=alert(2)> &amp; 顔"


def better(run: Predictions, share: float = 0.5) -> Predictions:
    """The run's probabilities moved towards the votes."""
    return Predictions(
        run.ids, run.fold, run.labels, (1 - share) * run.probs + share * run.shares, run.votes, run.frames, run.emotions
    )


def two(**options: Any) -> Comparison:
    """A run and a better one on 300 clips."""
    run = toy_predictions(1, clips=300)
    return compare({"plain": [run], "mixed": [better(run)]}, draws=DRAWS, **options)


def with_tests(told: Comparison, numbers: dict[str, dict[str, Any]]) -> Comparison:
    """The comparison with other numbers in the tests of its one pair."""
    (pair,) = told.comparisons
    scores = pair.scores | {key: replace(pair.scores[key], **values) for key, values in numbers.items()}
    return replace(told, comparisons=[replace(pair, scores=scores)])


def test_scores_differences_and_mcnemar_are_those_of_the_tables() -> None:
    one, other = toy_predictions(1), toy_predictions(2)
    told = compare({"a": [one], "b": [other]}, draws=DRAWS)
    wars = [accuracy_score(one.labels[one.labelled], run.probs[one.labelled].argmax(axis=1)) for run in (one, other)]
    assert [cell.scores["war"].value for cell in told.cells] == pytest.approx(wars)
    (pair,) = told.comparisons
    assert (pair.name, pair.against, told.baseline) == ("b", "a", "a")
    assert pair.scores["war"].difference == pytest.approx(wars[1] - wars[0])
    right = [run.probs[one.labelled].argmax(axis=1) == one.labels[one.labelled] for run in (one, other)]
    alone, against = (right[0] & ~right[1]).sum(), (right[1] & ~right[0]).sum()
    assert (pair.mcnemar.first, pair.mcnemar.second) == (alone, against)
    assert pair.mcnemar.p == pytest.approx(stats.binomtest(int(alone), int(alone + against)).pvalue)
    full = score(other)
    assert all(told.cells[1].scores[key.key].value == pytest.approx(full[key.key]) for key in ALL_SCORES)


def test_the_paired_interval_of_a_mean_difference_is_scipys() -> None:
    one, other = toy_predictions(1, clips=200), toy_predictions(2, clips=200)
    pair = compare({"a": [one], "b": [other]}, draws=5000).comparisons[0].scores["kl"]
    kl = [stats.entropy(run.shares, run.probs, axis=1) for run in (one, other)]
    wanted = stats.bootstrap((kl[1] - kl[0],), np.mean, n_resamples=5000, method="BCa", rng=1)
    assert pair.interval == pytest.approx(list(wanted.confidence_interval), abs=0.01)


def test_the_same_seed_gives_the_same_comparison_and_it_is_ready_for_json() -> None:
    told = two()
    assert told == two() and told != two(seed=1)
    kept = strict_json(json_text(told))
    assert set(kept["comparisons"][0]["scores"]["war"]) == {"difference", "interval", "p", "holm", "welch"}
    assert set(kept["comparisons"][0]["scores"]["js"]) == {"difference", "interval"}
    assert set(kept["comparisons"][0]["scores"]["top2"]) == {"difference"}
    assert kept["cells"][1]["scores"]["war"]["value"] == told.cells[1].scores["war"].value
    assert "cost" not in kept["cells"][0] and set(kept["comparisons"][0]["mcnemar"]) == {"first", "second", "p"}
    assert told.format == "dfer.compare/1" and told.left_out == {}
    assert told.clips.all == told.clips.voted == 300 and told.clips.groups is None


def test_a_run_compared_with_itself_differs_in_nothing() -> None:
    run = toy_predictions(3)
    told = compare({"a": [run], "b": [run], "c": [run, run], "d": [run]}, draws=DRAWS)
    for pair in told.comparisons:
        assert {pair.scores[key].difference for key in TESTED} == {0}
        assert {pair.scores[key].p for key in TESTED} == {pair.scores["war"].holm} == {1}
    assert "ahead" not in findings.conclusion(told) and "behind" not in findings.conclusion(told)
    assert told.comparisons[1].mcnemar is None  # two runs have no one list of right clips


def test_the_sentence_says_who_is_ahead_in_what_and_by_how_much() -> None:
    told = two()
    said = findings.conclusion(told)
    assert said.startswith("On 300 test clips, mixed is ahead of plain in ") and said.endswith(".")
    test = told.comparisons[0].scores["kl"]
    low, high = (f"{end:+.3f}".replace("-", "−") for end in test.interval)
    assert f"KL ({test.difference:+.3f}".replace("-", "−") in said and f"{low} to {high}" in said
    mirrored = compare({"mixed": [better(toy_predictions(1, clips=300))], "plain": [toy_predictions(1, clips=300)]})
    assert "plain is ahead of mixed in ECE (" in findings.conclusion(mirrored)  # the better one is now too unsure
    assert " and behind mixed in WAR (" in findings.conclusion(mirrored)


def test_what_the_clips_cannot_tell_apart_is_not_called_equal() -> None:
    told = compare({"a": [toy_predictions(1, clips=40)], "b": [toy_predictions(2, clips=40)]}, draws=DRAWS)
    assert findings.conclusion(told).startswith("On 40 test clips, WAR, UAR, KL and ECE do not tell b and a apart.")


def test_all_tests_of_a_page_are_one_family() -> None:
    runs = {name: [toy_predictions(seed, clips=200)] for seed, name in enumerate("abcd")}
    told = compare(runs, draws=DRAWS)
    tests = [pair.scores[key] for pair in told.comparisons for key in TESTED]
    assert len(tests) == 12
    smallest = min(tests, key=lambda test: test.p)
    assert smallest.holm == pytest.approx(min(1, 12 * smallest.p))


def test_seeds_are_averaged_and_their_spread_stands_beside_the_interval() -> None:
    seeds = [toy_predictions(seed) for seed in (1, 2, 3)]
    told = compare({"a": seeds[:1], "b": seeds, "c": seeds[:2]}, draws=DRAWS)
    wars = [score(run)["war"] for run in seeds]
    found = told.cells[1].scores["war"]
    assert (found.value, found.deviation) == (pytest.approx(np.mean(wars)), pytest.approx(np.std(wars, ddof=1)))
    assert [cell.seeds for cell in told.cells] == [1, 3, 2]
    assert told.cells[0].scores["war"].deviation is None  # one seed has none
    assert told.comparisons[0].scores["war"].welch is None
    assert "unknown where there is one run" in " ".join(findings.caveats(told))
    both = compare({"b": seeds, "c": [better(run) for run in seeds]}, draws=DRAWS)
    kl = [[score(run)["kl"] for run in part] for part in (seeds, [better(run) for run in seeds])]
    assert both.comparisons[0].scores["kl"].welch == pytest.approx(stats.ttest_ind(*kl, equal_var=False).pvalue)
    test = both.comparisons[0].scores["kl"]
    assert findings.supported(test) and test.welch < 0.05 and findings.told(test)
    assert re.search(r"c is ahead of b in .*KL \([^)]*p = 0.008, over seeds p [<=] 0.0\d+\)", findings.conclusion(both))


def test_what_the_seeds_explain_is_not_called_a_difference() -> None:
    seeds = [toy_predictions(seed) for seed in (1, 2, 3)]
    told = compare({"b": seeds, "c": [better(run) for run in seeds]}, draws=DRAWS)
    told = with_tests(told, {key: {"holm": 0.0002, "welch": 0.051} for key in TESTED})
    said = findings.conclusion(told)
    assert "ahead" not in said and "behind" not in said
    assert "another seed may turn what these clips say of c in WAR (" in said and "over seeds p = 0.051" in said
    assert not Page(render_comparison(told)).marked
    for welch in (None, 0.049):  # unknown, or borne out
        assert "c is ahead of b in KL (" in findings.conclusion(with_tests(told, {"kl": {"welch": welch}}))


def test_both_conventions_of_folds_are_given() -> None:
    run = toy_predictions(1, folds=5)
    told = compare({"a": [run], "b": [toy_predictions(2, folds=5)]}, draws=DRAWS)
    wars = [fold["war"] for fold in score(run).folds]
    found = told.cells[0].averaged["war"]
    assert (found.mean, found.deviation) == pytest.approx((np.mean(wars), np.std(wars, ddof=1)))
    assert told.cells[0].scores["war"].value != pytest.approx(np.mean(wars))
    assert told.cells[0].folds == 5
    seeds = compare({"a": [run, run], "b": [run]}, draws=DRAWS).cells[0].averaged["war"]
    assert seeds.mean == pytest.approx(np.mean(wars)) and seeds.deviation is None  # over seeds and folds at once: none
    one_fold = compare({"a": [toy_predictions(1)], "b": [toy_predictions(2)]}, draws=DRAWS)
    assert one_fold.cells[0].averaged["war"].deviation is None


def test_fewer_clips_are_said_and_groups_are_counted() -> None:
    one, other = toy_predictions(1), toy_predictions(2)
    told = compare(
        {"a": [one], "b": [other.select(np.arange(len(other)) < 60)]},
        groups={f"clip {k}": f"person {k % 9}" for k in range(90)},
        draws=DRAWS,
    )
    assert told.clips.all == 60 and told.clips.groups == 9
    said = " ".join(findings.caveats(told))
    assert "Compared on the 60 clips that all runs predicted; left out: 30 of a (clip 60, clip 61" in said
    assert "take the 9 groups (persons, films) as the units" in said
    assert "too narrow" in " ".join(findings.caveats(two()))


def test_constant_predictions_and_an_absent_emotion_are_said() -> None:
    run = toy_predictions(1)
    kept = run.select(run.labels != 5)
    flat = Predictions(
        kept.ids,
        kept.fold,
        kept.labels,
        np.tile([0.4, *[0.1] * 6], (len(kept), 1)),
        kept.votes,
        kept.frames,
        run.emotions,
    )
    told = compare({"a": [kept], "flat": [flat]}, draws=DRAWS)
    said = " ".join(findings.caveats(told))
    assert "flat gives the same emotion to every clip." in findings.conclusion(told)
    assert "flat is not shown to be better than a constant answer: the mean vote in KL" in findings.conclusion(told)
    assert "a is not shown" not in findings.conclusion(told)
    assert "No labelled clip shows disgust; UAR is the mean of the other emotions." in said
    assert told.cells[1].scores["entropy_correlation"].value is None
    assert "flat" in render_comparison(told)


@pytest.mark.parametrize("kind", ["votes", "labels", "both"])
def test_without_votes_or_labels_the_rest_is_compared(kind: str) -> None:
    runs = [toy_predictions(seed, clips=30) for seed in (1, 2)]
    for run in runs:
        if kind != "labels":
            run.votes[:] = np.nan
        if kind != "votes":
            run.labels[:] = -1
    told = compare({"a": [runs[0]], "b": [runs[1]]}, draws=DRAWS)
    tests = told.comparisons[0].scores
    assert (tests["kl"].holm is None) == (kind != "labels") and (tests["war"].holm is None) == (kind != "votes")
    said = " ".join(findings.caveats(told))
    assert ("No clip has votes" in said) == (kind != "labels")
    assert ("No clip has a single label" in said) == (kind != "votes")
    assert ("nothing could be tested between b and a" in findings.conclusion(told)) == (kind == "both")
    assert "NaN" not in render_comparison(told) and strict_json(json_text(told))


@pytest.mark.parametrize("clips", [1, 2, 3])
def test_so_few_clips_tell_nothing_and_are_no_fault(clips: int) -> None:
    one, other = (toy_predictions(seed).select(np.arange(90) < clips) for seed in (1, 2))
    told = compare({"a": [one], "b": [other], "c": [one, other]}, draws=DRAWS)
    assert "ahead" not in findings.conclusion(told) and "behind" not in findings.conclusion(told)
    assert render_comparison(told) and {pair.scores["kl"].interval for pair in told.comparisons} == {None}
    assert min(pair.scores["kl"].p for pair in told.comparisons) >= 0.25


def test_one_group_is_one_unit_and_tells_nothing() -> None:
    run = toy_predictions(1, clips=300)
    told = compare({"a": [run], "b": [better(run)]}, groups=dict.fromkeys(run.ids, "one"), draws=DRAWS)
    assert {told.comparisons[0].scores[key].p for key in TESTED} == {1}
    assert told.cells[0].scores["war"].interval == (0, 1)
    assert "one group (person, film): nothing can be tested" in " ".join(findings.caveats(told))


@pytest.mark.parametrize(("right", "clips"), [(0, 12), (12, 12), (400, 400)])
def test_intervals_stay_in_range_and_leave_something_open_at_all_or_nothing(right: int, clips: int) -> None:
    run = toy_predictions(1, clips=clips)
    labels = np.arange(clips) % 7
    given = (labels + (np.arange(clips) >= right)) % 7
    sure = replace(run, labels=labels, probs=np.eye(7)[given])
    told = compare({"a": [sure], "b": [replace(run, labels=labels)]}, draws=DRAWS)
    wilson = stats.binomtest(right, clips).proportion_ci(0.95, method="wilson")
    assert told.cells[0].scores["war"].interval == pytest.approx([wilson.low, wilson.high])
    for cell in told.cells:
        for key in ("war", "uar", "ece", "js", "kl"):
            low, high = cell.scores[key].interval
            assert 0 <= low <= high <= (1 if key != "kl" else np.inf)
        assert cell.scores["uar"].interval[0] < cell.scores["uar"].interval[1]
    for key in ("war", "uar", "ece"):
        low, high = told.comparisons[0].scores[key].interval
        assert -1 <= low <= high <= 1


def test_one_clip_more_right_of_four_hundred_is_no_evidence_for_any_seed() -> None:
    run = toy_predictions(1, clips=400)
    labels = run.probs.argmax(axis=1)
    labels[:150] = (labels[:150] + 1) % 7
    one = replace(run, labels=labels)
    probs = one.probs.copy()
    probs[3] = 0.9 * np.eye(7)[labels[3]] + 0.1 / 7
    for seed in range(5):
        test = compare({"a": [one], "b": [replace(one, probs=probs)]}, seed=seed).comparisons[0].scores["war"]
        assert test.difference == pytest.approx(1 / 400) and test.p == 1
        assert test.interval[0] == 0 < test.interval[1]


@pytest.mark.parametrize("cells", [{}, {"a": [toy_predictions(1)]}, {"a": [toy_predictions(1)], "b": []}])
def test_less_than_two_runs_are_refused(cells: dict) -> None:
    with pytest.raises(DferError, match="expected two runs or more"):
        compare(cells)


def test_a_fault_names_the_run_of_the_cell() -> None:
    other = toy_predictions(2)
    other.votes[0] += 1
    with pytest.raises(DferError, match="b, run 2 differs from a in 1 of 90 clips: clip 0"):
        compare({"a": [toy_predictions(1)], "b": [toy_predictions(1), other]})


def test_every_number_of_the_page_is_the_one_in_the_json(tmp_path: Path) -> None:
    told = two()
    write_comparison(told, tmp_path / "deep")
    saved = strict_json((tmp_path / "deep" / "compare.json").read_text(encoding="utf-8"))
    assert {key: saved[key] for key in vars(told)} == jsonable(told)
    assert saved["conclusion"] == findings.conclusion(told) and saved["caveats"] == findings.caveats(told)
    page = Page((tmp_path / "deep" / "compare.html").read_text(encoding="utf-8"))
    assert saved["conclusion"] in page.text
    rows = page.table("run", "score", "difference")
    (pair,) = told.comparisons
    for key, row in zip(TESTED, rows, strict=True):
        test = pair.scores[key]
        digits, factor = (1, 100) if key in ("war", "uar") else (3, 1)
        assert row[2].startswith(f"{factor * test.difference:+.{digits}f}".replace("-", "−"))
        assert ("ahead" in row[2] or "behind" in row[2]) == (test.holm < 0.05)
        assert row[4:] == [findings.p_text(test.p), findings.p_text(test.holm)]
    table = page.table("run", "WAR", "Brier")
    assert [row[0] for row in table] == [
        "plain", "mixed", "constant: this test part's own mean vote",
        "constant: this test part's own most frequent label", "people: one voter and the others",
        "people: half of the voters and the other half",
    ]  # fmt: skip
    for row, cell in zip(table, told.cells, strict=False):
        assert row[1].startswith(percent(cell.scores["war"].value))
        assert row[3].startswith(plain(cell.scores["kl"].value))
    more = page.table("run", "top-2", "Chebyshev")
    assert [row[1] for row in more] == [percent(cell.scores["top2"].value) for cell in told.cells]
    assert page.table("run", "ECE, equal mass", "AURC") and page.table("run", "this run alone")


def test_marks_of_differences_lie_within_their_interval_and_on_one_scale() -> None:
    told = two()
    for key, chart in ((key, _differences(BY_KEY[key], told, own_marks(1))) for key in TESTED):
        ((row,), test) = chart["rows"], told.comparisons[0].scores[key]
        assert {text: x for x, text in chart["ticks"]}["0"] == chart["zero"]
        (low, _), (high, _) = chart["ticks"][0], chart["ticks"][-1]
        assert low == 0 and high == 100 and low <= row["low"] < row["x"] < row["high"] <= high
        assert (row["low"] > chart["zero"]) == (test.interval[0] > 0)
        wanted = (test.difference - test.interval[0]) / (test.interval[1] - test.interval[0])
        assert (row["x"] - row["low"]) / (row["high"] - row["low"]) == pytest.approx(wanted, abs=0.02)


def test_hostile_names_stay_text_and_nothing_is_loaded() -> None:
    run = toy_predictions(1, clips=40, ids=EVIL + " {}")
    told = compare({EVIL: [run], "b": [better(run).select(np.arange(40) < 30)]}, draws=DRAWS)
    html = render_comparison(told)
    page = Page(html)
    assert not {tag for tag, _ in page.tags} & {"script", "link", "iframe", "img", "object", "embed", "base"}
    assert not any(name.startswith("on") for _, attrs in page.tags for name in attrs)
    assert EVIL in page.text and "url(" not in html and "://" not in html


def test_a_place_that_cannot_be_written_is_said_and_leaves_the_old_page(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(DferError, match=r"cannot write .*compare\.json"):
        write_comparison(two(), tmp_path / "file" / "deep")
    write_comparison(two(), tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["compare.html", "compare.json", "file"]


def test_cost_stands_beside_the_scores_where_it_is_known() -> None:
    told = two()
    assert "trainings" not in render_comparison(told)
    cells = [told.cells[0], replace(told.cells[1], cost=Cost(6, 5400.0, 888297))]
    told = replace(told, cells=cells)
    assert strict_json(json_text(told))["cells"][1]["cost"] == {"runs": 6, "seconds": 5400, "parameters": 888297}
    first, second = Page(render_comparison(told)).table("run", "WAR", "trainings", "time", "parameters")[:2]
    assert first[-3:] == ["–"] * 3
    assert second[-3:] == ["6", "90.0\N{NARROW NO-BREAK SPACE}min", "888,297"]
