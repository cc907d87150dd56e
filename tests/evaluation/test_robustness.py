"""Scores under corruptions: curves, the mean corruption error by hand, the sentence, the page."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from dfer import DferError, Predictions
from dfer.evaluation.robustness import conclusion, render_robustness, robustness, write_robustness
from tests.evaluation.toy import toy_predictions

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
    first, second = robustness(CLEAN, CORRUPTED)["runs"]
    assert first["clean"]["war"] == pytest.approx(0.9)
    assert first["curves"]["noise"]["war"] == pytest.approx([0.9, 0.8, 0.7, 0.6, 0.5])
    assert first["mean"]["war"] == pytest.approx(0.8) and second["mean"]["war"] == pytest.approx(0.8)
    assert first["kept"] == pytest.approx(0.8 / 0.9)
    assert first["corruption_error"] == 1
    assert second["corruption_error"] == pytest.approx((100 / 150 + 100 / 50) / 2)


def test_the_sentence_names_what_costs_most_and_who_holds_best() -> None:
    said = conclusion(robustness(CLEAN, CORRUPTED | {"b": curves([10, 20, 30, 20, 15], [20] * 5)}))
    assert said.startswith("Noise costs most (17.0 points of WAR on average), darkness least (7.5)")
    assert said.endswith("a 80.0 %, b 80.5 %; b holds best.")
    assert conclusion(robustness({"a": CLEAN["a"]}, {"a": CORRUPTED["a"]})).endswith("darkness least (0.0).")
    noise = {"a": {key: part for key, part in CORRUPTED["a"].items() if key[0] == "noise"}}
    assert conclusion(robustness({"a": CLEAN["a"]}, noise)) == "Noise costs 20.0 points of WAR on average."


def test_without_labels_there_is_no_accuracy_and_the_page_shows_the_distances() -> None:
    bare = {key: replace(part, labels=np.full(len(part), -1)) for key, part in CORRUPTED["a"].items()}
    result = robustness({"a": replace(CLEAN["a"], labels=np.full(100, -1))}, {"a": bare})
    assert result["runs"][0]["clean"]["war"] is None and result["runs"][0]["mean"]["kl"] > 0
    page = render_robustness(result)
    assert "no accuracy to lose" in page and 'id="kl"' in page and 'id="war"' not in page


def test_page_and_numbers_are_written_and_agree(tmp_path: Path) -> None:
    result = robustness(CLEAN, CORRUPTED)
    write_robustness(result, tmp_path)
    assert json.loads((tmp_path / "robustness.json").read_text()) == result
    page = (tmp_path / "robustness.html").read_text()
    assert conclusion(result) in page and page.count("<figure") >= 4


def test_runs_that_do_not_belong_together_are_refused() -> None:
    fewer = {key: part for key, part in CORRUPTED["b"].items() if key[0] == "noise"}
    with pytest.raises(DferError, match="same clips and corruptions; b differs from a"):
        robustness(CLEAN, CORRUPTED | {"b": fewer})
    with pytest.raises(DferError, match="b differs from a"):
        robustness(CLEAN | {"b": with_errors(1, clips=50)}, CORRUPTED)
