"""What runs lose without the order of frames, against an independent test and losses that are known."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from scipy.stats import binomtest

from dfer.metrics import Predictions
from dfer.reports.temporal_page import conclusion, temporal, write_temporal
from tests.metrics.toy import toy_predictions


def worse(predictions: Predictions, clips: int) -> Predictions:
    """The same answers, but for the first right ones, which name another emotion."""
    probs = predictions.probs.copy()
    rows = np.flatnonzero(predictions.right)[:clips]
    probs[rows] = np.roll(probs[rows], 1, axis=1)
    return replace(predictions, probs=probs)


def test_a_loss_is_the_difference_of_the_scores_and_its_test_mcnemars() -> None:
    clean = toy_predictions(1)
    result = temporal({"a": clean}, {"a": {"shuffled": worse(clean, 9), "reversed": clean}})
    (run,) = result.runs
    shuffled, reversed_ = run.losses
    labelled = int(clean.labelled.sum())
    assert shuffled.losses["war"].difference == pytest.approx(9 / labelled)
    assert shuffled.scores["war"] == pytest.approx(clean.right.sum() / labelled - 9 / labelled)
    p = binomtest(9, 9, 0.5).pvalue
    assert shuffled.losses["war"].p == pytest.approx(p) and shuffled.holm == pytest.approx(2 * p)
    assert shuffled.losses["kl"].difference == pytest.approx(shuffled.scores["kl"] - run.scores["kl"])
    assert reversed_.losses["war"].difference == 0 and reversed_.holm == 1
    assert run.worse_by(["shuffled", "reversed"]) == pytest.approx(9 / labelled) and run.worse_by(["reversed"]) is None
    assert conclusion(result) == f"Worse with the frames in another order: a ({900 / labelled:.1f} points of WAR)."


def test_a_run_that_loses_nothing_is_said_so_and_the_order_of_clips_does_not_matter() -> None:
    clean = toy_predictions(1)
    turned = clean.select(np.arange(len(clean))[::-1])
    result = temporal({"a": clean, "b": turned}, {"a": {"shuffled": worse(clean, 20)}, "b": {"shuffled": clean}})
    assert [run.worse_by(["shuffled"]) is None for run in result.runs] == [False, True]
    assert result.runs[1].losses[0].losses["kl"].difference == pytest.approx(0, abs=1e-12)
    assert conclusion(result).endswith("; of b these clips do not show it.")


def test_one_frame_alone_is_told_apart_from_another_order() -> None:
    clean = toy_predictions(1)
    changed = {"shuffled": clean, "peak repeated": worse(clean, 20)}
    said = conclusion(temporal({"a": clean}, {"a": changed}))
    assert said.startswith(
        "These clips do not show that any run is worse with the frames in another order. Worse with one"
    )


def test_clips_of_one_person_are_one_unit() -> None:
    clean = toy_predictions(1)
    groups = {clip: f"p{number % 4}" for number, clip in enumerate(clean.ids)}
    (run,) = temporal({"a": clean}, {"a": {"shuffled": worse(clean, 20)}}, groups=groups).runs
    assert run.losses[0].holm is not None and run.losses[0].holm >= 0.05, "four people can say no more"


def test_without_labels_there_is_no_accuracy_to_lose() -> None:
    clean = replace(toy_predictions(1), labels=np.full(90, -1))
    result = temporal({"a": clean}, {"a": {"shuffled": clean}})
    assert result.runs[0].worse_by(["shuffled"]) is None and "no accuracy to lose" in conclusion(result)


def test_the_page_and_the_file_have_the_losses(tmp_path: Path) -> None:
    clean = toy_predictions(1)
    result = temporal({"a<b": clean}, {"a<b": {"shuffled": worse(clean, 9), "reversed": clean}})
    write_temporal(result, tmp_path)
    page, values = (tmp_path / "temporal.html").read_text(), json.loads((tmp_path / "temporal.json").read_text())
    assert "a&lt;b" in page and "a<b" not in page and "Does the run use time?" in page
    lost = values["runs"][0]["losses"][0]
    assert lost["order"] == "shuffled" and f"+{100 * lost['losses']['war']['difference']:.1f}" in page
