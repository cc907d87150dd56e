"""What clips add to scores sums to the scores, whatever the units, and with the noise that ECE has."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import accuracy_score, recall_score

from dfer.comparison.sums import SUMMED, parts
from dfer.errors import DferError
from dfer.metrics import Predictions, score
from tests.metrics.toy import toy_predictions


def test_the_parts_sum_to_the_scores_and_their_weights_to_one() -> None:
    runs = [toy_predictions(seed, clips=60) for seed in (1, 2, 3)]
    for run in runs:
        run.votes[:7] = np.nan
    for units in (np.arange(60), np.arange(60) // 7, np.zeros(60, dtype=np.int64)):
        found = parts(runs, units)
        wanted = [np.mean([score(run)[key] for run in runs]) for key in SUMMED]
        assert found.values.sum(axis=0) == pytest.approx(wanted) and len(found.values) == units.max() + 1
        assert found.weights.sum(axis=0) == pytest.approx(np.ones(len(SUMMED)))


def test_war_and_uar_are_scikit_learns() -> None:
    run = toy_predictions(4, clips=80)
    judged = run.labels[run.labelled], run.probs[run.labelled].argmax(axis=1)
    found = dict(zip(SUMMED, parts([run], np.arange(80)).values.sum(axis=0), strict=True))
    assert found["war"] == pytest.approx(accuracy_score(*judged))
    assert found["uar"] == pytest.approx(recall_score(*judged, average="macro"))


def test_a_confidence_on_an_edge_is_in_the_bin_of_the_calibration_error() -> None:
    probs = np.array([[0.8, 0.2], [0.85, 0.15], [0.6, 0.4], [0.65, 0.35]])  # .6 and .8 are edges of fifteen bins
    none = np.full(probs.shape, np.nan)
    run = Predictions(np.arange(4), np.ones(4), [1, 0, 1, 0], probs, none, [""] * 4, ("a", "b"))  # type: ignore[arg-type]
    found = parts([run], np.arange(4)).values[:, SUMMED.index("ece")].sum()
    assert found == pytest.approx((0.8 + 0.15 + 0.6 + 0.35) / 4)


def test_the_noise_of_ece_is_what_a_calibrated_model_measures_by_chance() -> None:
    draw, measured, stated = np.random.default_rng(0), [], []
    for _ in range(200):
        probs = draw.dirichlet(np.ones(3), 300)
        labels = (draw.random((300, 1)) > probs.cumsum(axis=1)).sum(axis=1).clip(max=2)
        none = np.full(probs.shape, np.nan)
        run = Predictions(np.arange(300), np.ones(300), labels, probs, none, [""] * 300, ("a", "b", "c"))  # type: ignore[arg-type]
        found = parts([run], np.arange(300))
        measured.append(found.values[:, SUMMED.index("ece")].sum())
        stated.append(found.noise[SUMMED.index("ece")])
        assert not found.noise[: SUMMED.index("ece")].any()
    assert np.mean(stated) == pytest.approx(np.mean(measured), rel=0.1)


def test_without_clips_of_a_kind_its_scores_are_undefined() -> None:
    run = toy_predictions(1, clips=10)
    run.labels[:] = -1
    found = dict(zip(SUMMED, parts([run], np.arange(10)).values.sum(axis=0), strict=True))
    assert np.isnan([found[key] for key in ("war", "uar", "ece")]).all() and np.isfinite(found["kl"])


def test_runs_on_other_clips_have_no_common_sums() -> None:
    with pytest.raises(DferError, match="same clips in the same order"):
        parts([toy_predictions(1), toy_predictions(2, ids="other {}")], np.arange(90))
