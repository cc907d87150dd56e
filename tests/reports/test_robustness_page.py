"""Scores under corruptions: curves, the mean corruption error by hand, the sentence, the page."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from scipy import stats

from dfer import DferError, Predictions
from dfer.documents import jsonable
from dfer.reports.robustness_page import conclusion, render_robustness, robustness, write_robustness
from tests.metrics.toy import toy_predictions

NAMES = ("noise", "darkness")


def with_errors(errors: int, clips: int = 100) -> Predictions:
    """A table whose first `errors` clips are wrong."""
    table = toy_predictions(0, clips=clips)
    labels = np.arange(clips) % len(table.emotions)
    given = (labels + (np.arange(clips) < errors)) % len(table.emotions)
    probs = 0.02 + (1 - 0.02 * len(table.emotions)) * np.eye(len(table.emotions))[given]
    return replace(table, labels=labels, probs=probs)


def curves(noise: list[int], darkness: list[int]) -> dict[tuple[str, int], Predictions]:
    return {
        (name, severity): with_errors(count)
        for name, counts in zip(NAMES, (noise, darkness), strict=True)
        for severity, count in enumerate(counts, 1)
    }


CLEAN = {"a": with_errors(10), "b": with_errors(5)}
CORRUPTED = {"a": curves([10, 20, 30, 40, 50], [10] * 5), "b": curves([10, 20, 30, 20, 20], [20] * 5)}


def test_curves_means_and_the_corruption_error_worked_by_hand() -> None:
    first, second = robustness(CLEAN, CORRUPTED).runs
    assert first.clean["war"] == pytest.approx(0.9)
    assert first.curves["noise"]["war"] == pytest.approx([0.9, 0.8, 0.7, 0.6, 0.5])
    assert first.mean["war"] == pytest.approx(0.8) and second.mean["war"] == pytest.approx(0.8)
    assert first.kept == pytest.approx(0.8 / 0.9)
    assert first.corruption_error == 1
    assert second.corruption_error == pytest.approx((100 / 150 + 100 / 50) / 2)


def test_the_sentence_names_what_costs_most_and_who_holds_best() -> None:
    said = conclusion(robustness(CLEAN, CORRUPTED | {"b": curves([10, 20, 30, 40, 90], [20] * 5)}))
    assert said.startswith("Noise costs most (26.5 points of WAR on average), darkness least (7.5)")
    assert "a 80.0 %, b 71.0 %; a holds best." in said
    assert "darkness least (0.0)." in conclusion(robustness({"a": CLEAN["a"]}, {"a": CORRUPTED["a"]}))
    noise = {"a": {key: part for key, part in CORRUPTED["a"].items() if key[0] == "noise"}}
    assert conclusion(robustness({"a": CLEAN["a"]}, noise)).startswith("Noise costs 20.0 points of WAR on average.")


def test_what_the_clips_do_not_tell_apart_is_not_ranked() -> None:
    nearly = {"a": curves([30, 30, 30, 30, 30], [29] * 5), "b": curves([30, 30, 30, 30, 29], [29] * 5)}
    result = robustness(CLEAN, nearly)
    said = conclusion(result)
    assert "best" not in said and "these clips do not tell the runs apart" in said
    assert said.startswith("These clips do not tell which corruption costs most (points of WAR on average: noise 22.4")
    (test,) = result.standings["war"].tests
    # the runs differ in one clip under one corruption of ten: one unit of a hundred, so nothing
    assert test.p == 1 and result.standings["war"].first == "b"
    assert test.difference == pytest.approx(-0.01 / 10)


def test_the_test_of_the_mean_accuracy_is_over_clips() -> None:
    result = robustness(CLEAN, CORRUPTED)
    gaps = np.mean(
        [b.right.astype(float) - a.right for a, b in zip(*(c.values() for c in CORRUPTED.values()), strict=True)],
        axis=0,
    )
    sign = 1 if result.standings["war"].first == "a" else -1
    (test,) = result.standings["war"].tests
    wanted = stats.permutation_test(
        (gaps, np.zeros(100)), lambda x, y: np.mean(x - y), permutation_type="samples", n_resamples=20_000, rng=1
    )
    assert test.difference == pytest.approx(sign * gaps.mean())
    assert test.p == pytest.approx(wanted.pvalue, abs=0.02)


def test_persons_are_the_units_where_they_are_known_and_a_constant_stands_below() -> None:
    groups = dict.fromkeys(CLEAN["a"].ids, "one")
    result = robustness(CLEAN, CORRUPTED, groups=groups)
    assert result.groups == 1 and result.standings["war"].tests[0].p == 1
    assert [row.name for row in result.constants] == [
        "constant: this test part's own mean vote", "constant: this test part's own most frequent label",
    ]  # fmt: skip
    blind = {"a": {key: replace(part, probs=np.full_like(part.probs, 1 / 7)) for key, part in CORRUPTED["a"].items()}}
    said = conclusion(robustness({"a": CLEAN["a"]}, blind))
    assert "Under corruption, a is not shown to be better than a constant answer: the mean vote in KL" in said
    assert "Under corruption, a gives the same emotion to every clip." in said


def test_without_labels_there_is_no_accuracy_and_the_page_shows_the_distances() -> None:
    bare = {key: replace(part, labels=np.full(len(part), -1)) for key, part in CORRUPTED["a"].items()}
    result = robustness({"a": replace(CLEAN["a"], labels=np.full(100, -1))}, {"a": bare})
    assert result.runs[0].clean["war"] is None and result.runs[0].mean["kl"] > 0
    page = render_robustness(result)
    assert "no accuracy to lose" in page and 'id="kl"' in page and 'id="war"' not in page


def test_page_and_numbers_are_written_and_agree(tmp_path: Path) -> None:
    result = robustness(CLEAN, CORRUPTED)
    write_robustness(result, tmp_path)
    assert json.loads((tmp_path / "robustness.json").read_text()) == jsonable(result)
    page = (tmp_path / "robustness.html").read_text()
    assert conclusion(result) in page and page.count("<figure") >= 4


def test_runs_that_do_not_belong_together_are_refused() -> None:
    fewer = {key: part for key, part in CORRUPTED["b"].items() if key[0] == "noise"}
    with pytest.raises(DferError, match="same clips and corruptions; b differs from a"):
        robustness(CLEAN, CORRUPTED | {"b": fewer})
    with pytest.raises(DferError, match="b differs from a"):
        robustness(CLEAN | {"b": with_errors(1, clips=50)}, CORRUPTED)
