"""Probabilities for another population: Bayes' rule by hand, and bad requests."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dfer.errors import DferError
from dfer.inference.population import adapted, ratio_of, stated
from dfer.labels import EmotionSet

THREE = EmotionSet("three", ("calm", "glad", "cross"))
PRIOR = (0.7, 0.2, 0.1)


def test_probabilities_for_another_population_are_those_of_bayes_rule() -> None:
    # Two kinds of faces; how often each emotion looks like the first kind, and the answers of a network that knows it.
    likelihood = np.array([[0.1, 0.5, 0.9], [0.9, 0.5, 0.1]])
    for wanted in ([0.2, 0.3, 0.5], [1 / 3] * 3):
        learned, right = (likelihood * p / (likelihood * p).sum(axis=1, keepdims=True) for p in (PRIOR, wanted))
        np.testing.assert_allclose(adapted(learned, np.array(wanted) / PRIOR), right)
        assert not np.allclose(learned, right)


@given(st.lists(st.floats(1e-6, 1), min_size=3, max_size=3), st.floats(0, 2))
def test_a_view_keeps_rows_that_sum_to_one_and_those_without_a_face(weights: list[float], power: float) -> None:
    probs = np.array([np.array(weights) / sum(weights), [np.nan] * 3])
    found = adapted(probs, ratio_of(PRIOR, THREE, f"{power:.4f}"))
    assert found[0].sum() == pytest.approx(1)
    assert np.isnan(found[1]).all()


def test_views_lie_between_the_training_part_and_equal_shares(tmp_path: Path) -> None:
    shares = tmp_path / "shares.json"
    shares.write_text(json.dumps({"cross": 1, "calm": 1, "glad": 1}))
    np.testing.assert_array_equal(ratio_of(PRIOR, THREE, "trained"), ratio_of(PRIOR, THREE, "0"))
    for same in ("1", str(shares)):
        rows = [adapted(np.array([PRIOR]), ratio_of(PRIOR, THREE, each)) for each in ("uniform", same)]
        np.testing.assert_allclose(rows, 1 / 3)
    half = adapted(np.array([PRIOR]), ratio_of(PRIOR, THREE, "0.5"))[0]
    np.testing.assert_allclose(half, np.sqrt(PRIOR) / np.sqrt(PRIOR).sum())


def test_shares_come_as_a_mapping_a_text_or_a_file_and_are_kept_as_text(tmp_path: Path) -> None:
    shares, file = {"cross": 1, "calm": 2, "glad": 5}, tmp_path / "shares.json"
    file.write_text(json.dumps(shares))
    ways = (shares, json.dumps(shares), str(file), file)
    np.testing.assert_allclose([ratio_of(PRIOR, THREE, way) for way in ways], [np.array([2, 5, 1]) / 8 / PRIOR] * 4)
    kept = {stated(way, THREE) for way in ways}
    assert kept == {'{"calm": 0.25, "glad": 0.625, "cross": 0.125}'}
    np.testing.assert_allclose(ratio_of(PRIOR, THREE, kept.pop()), ratio_of(PRIOR, THREE, shares))


def test_the_training_part_has_the_name_of_its_emotions_too() -> None:
    np.testing.assert_array_equal(ratio_of(PRIOR, THREE, "three"), 1)
    assert [stated(each, THREE) for each in ("three", "trained", "uniform", "0.5")] == [
        "trained", "trained", "uniform", "0.5"
    ]  # fmt: skip


def test_an_emotion_that_is_there_twice_is_refused() -> None:
    with pytest.raises(DferError, match="it has 'calm' twice"):
        ratio_of(PRIOR, THREE, '{"calm": 1, "glad": 1, "cross": 1, "calm": 5}')


@pytest.mark.parametrize(
    ("wanted", "told"),
    [
        ("uniformm", "did you mean .uniform"),
        ("gone.json", "got 'gone.json', which is no file"),
        ("-1", "from 0 to 2"),
        ("nan", "from 0 to 2"),
        ("inf", "from 0 to 2"),
    ],
)
def test_what_is_no_population_is_refused_in_a_sentence(wanted: str, told: str) -> None:
    with pytest.raises(DferError, match=told):
        ratio_of(PRIOR, THREE, wanted)


@pytest.mark.parametrize(
    ("values", "told"),
    [
        ({"calm": 1, "glad": 1}, "missing: cross$"),
        ({"calm": 1, "glad": 1, "cross": 1, "sad": 1}, "unknown: sad$"),
        ({"calm": -1, "glad": 1, "cross": 1}, "from 0 to"), ({"calm": 1e308, "glad": 1e308, "cross": 1}, "from 0 to"),
        ({"calm": 0, "glad": 0, "cross": 0}, "above 0"),
        ({"calm": "many", "glad": 1, "cross": 1}, "calm"), ([1, 2, 3], "object"),
    ],
)  # fmt: skip
def test_a_file_of_shares_names_the_emotions_of_the_model(values: object, told: str, tmp_path: Path) -> None:
    path = tmp_path / "shares.json"
    path.write_text(json.dumps(values))
    with pytest.raises(DferError, match=told):
        ratio_of(PRIOR, THREE, str(path))


def test_a_population_without_an_emotion_gives_rows_that_sum_to_one_whatever_the_network_says(tmp_path: Path) -> None:
    path = tmp_path / "shares.json"
    path.write_text(json.dumps({"calm": 0, "glad": 0, "cross": 3}))
    np.testing.assert_allclose(
        adapted(np.array([[1.0, 0, 0], [0, 0, 1]]), ratio_of(PRIOR, THREE, str(path))), [[0, 0, 1]] * 2
    )


@pytest.mark.parametrize("wanted", ["", ".", "/nowhere/shares.json"])
def test_what_is_no_file_is_told_as_it_was_given(wanted: str) -> None:
    with pytest.raises(DferError, match=f"expected --prior trained, uniform, .* got '{wanted}'"):
        ratio_of(PRIOR, THREE, wanted)


def test_a_model_whose_card_has_no_prior_answers_for_its_training_part_only() -> None:
    np.testing.assert_array_equal(ratio_of((), THREE, "trained"), np.ones(3))
    with pytest.raises(DferError, match="which its card lacks"):
        ratio_of((), THREE, "uniform")
