"""Targets from a Manifest: each rule reads the columns it goes by, and learns from the training part alone."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from dfer import DferError, EmotionSet, Manifest
from dfer.labels.dirichlet import learn_dirichlet
from dfer.training.config import recipe_from
from dfer.training.targets import make_targets, shown_emotions, targets_of

EMOTIONS = EmotionSet("two", ("happy", "sad"))
NAN = float("nan")


def manifest(votes: list[list[float]], labels: list[str], **columns: Any) -> Manifest:
    rows = pd.DataFrame(votes, columns=[f"votes_{name}" for name in EMOTIONS])
    names = [f"c{row}" for row in range(len(rows))]
    rows = rows.assign(id=names, path=names, kind="video", label=labels, **columns)
    return Manifest.build(rows, emotions=EMOTIONS, root=Path())


def targets(data: Manifest, train: list[bool] | None = None, **labels: Any) -> np.ndarray:
    mask = np.ones(len(data), dtype=bool) if train is None else np.array(train)
    return targets_of(recipe_from({"labels": labels}).labels, data, mask)


def test_weights_of_the_manifest_grade_its_votes() -> None:
    data = manifest([[6, 4], [0, 10]], ["", ""], weight_happy=[20.0, NAN], weight_sad=[80.0, 50.0])
    assert np.allclose(targets(data, rule="weighted"), [[120 / 440, 320 / 440], [0, 1]])
    assert np.allclose(targets(data, rule="weighted", smoothing=0.5)[1], [0.25, 0.75])


def test_targets_are_made_by_the_name_of_a_rule_without_a_recipe() -> None:
    data = manifest([[6, 4], [0, 10], [NAN, NAN], [9, 1]], ["happy", "sad", "sad", ""])
    half = [[0.6, 0.4], [0, 1], [NAN, NAN], [0.9, 0.1]]
    assert np.allclose(make_targets(data), half, equal_nan=True)
    assert np.allclose(make_targets(data, smoothing=0.5)[0], [0.55, 0.45])
    assert np.allclose(make_targets(data, "hard"), [[1, 0], [0, 1], [0, 1], [NAN, NAN]], equal_nan=True)
    # a prior of 15 : 15 votes of all clips, of 6 : 14 of the first two
    priors = [make_targets(data, "dirichlet", strength=10.0, prior="class", train=train)
              for train in (None, np.array([True, True, False, False]))]  # fmt: skip
    assert np.allclose(priors[0][3], [14 / 20, 6 / 20]) and np.allclose(priors[1][3], [12 / 20, 8 / 20])
    with pytest.raises(DferError, match=r"expected smoothing in \[0, 1\), got 1"):
        make_targets(data, smoothing=1)


def test_a_manifest_without_weights_or_soft_labels_refuses_the_rules_that_go_by_them() -> None:
    data = manifest([[6, 4]], [""])
    with pytest.raises(DferError, match=r"no weights of votes \(weight_X\)"):
        targets(data, rule="weighted")
    with pytest.raises(DferError, match=r'no soft labels, so labels\.rule = "given" has nothing to go by'):
        targets(data, rule="given")


GIVEN = manifest(
    [[6, 4], [NAN, NAN], [NAN, NAN], [9, 1]], ["happy", "sad", "", "happy"],
    soft_happy=[0.2, 0.5, 0.9, NAN], soft_sad=[0.8, 0.5, 0.1, NAN],
    soft_from=["published"] * 3 + [""],
)  # fmt: skip
"""A clip with votes, one with a label, one with neither, and one without a soft label."""


def test_given_soft_labels_stay_as_they_are_and_clips_without_one_have_no_target() -> None:
    found = targets(GIVEN, rule="given")
    assert np.allclose(found[:3], [[0.2, 0.8], [0.5, 0.5], [0.9, 0.1]]) and np.isnan(found[3]).all()


def test_given_soft_labels_are_mixed_with_votes_or_else_with_the_label_where_there_is_one() -> None:
    found = targets(GIVEN, rule="given", weight=0.5)
    assert np.allclose(found[:3], [[0.4, 0.6], [0.25, 0.75], [0.9, 0.1]])


@pytest.mark.parametrize("prior", ["class", "learned", "per_class", "mixture"])
def test_a_prior_is_learned_from_the_training_part_alone(prior: str) -> None:
    generator = np.random.default_rng(0)
    votes = generator.multinomial(10, generator.dirichlet([1, 2], 60)).astype(float)
    train = [row < 40 for row in range(60)]
    other = votes.copy()
    other[40:] = [0, 900]
    ours, theirs = (
        targets(manifest(v.tolist(), [""] * 60), train, rule="dirichlet", prior=prior) for v in (votes, other)
    )
    assert np.array_equal(ours[:40], theirs[:40])
    if prior == "learned":
        alpha = learn_dirichlet(votes[:40]).alphas[0]
        assert np.allclose(ours[50], (votes[50] + alpha) / (10 + alpha.sum()))


@pytest.mark.parametrize("key", ["learned_from", "weights", "soft", "other", "ids"])
def test_what_the_manifest_hands_over_is_no_key_of_a_recipe(key: str) -> None:
    with pytest.raises(DferError, match=rf"\[labels\] has no key '{key}'"):
        targets(GIVEN, rule="hard", **{key: 1})


@pytest.mark.parametrize(
    "options", [{"ties": "drop"}, {"strength": 2.0}, {"prior": "class"}, {"temperature": 2.0}, {"weight": 0.5},
                {"epsilon": 0.1}, {"kinds": 3}, {"of": "counts"}],
)  # fmt: skip
def test_hard_labels_refuse_the_options_of_other_rules(options: dict[str, Any]) -> None:
    with pytest.raises(DferError, match=f'labels.{next(iter(options))} does nothing where labels.rule = "hard"'):
        targets(GIVEN, rule="hard", **options)


def test_the_hard_labels_of_a_recipe_leave_the_keys_of_its_rule_behind_and_keep_its_smoothing() -> None:
    labels = recipe_from({"labels": {"rule": "dirichlet", "strength": 2.0, "smoothing": 0.2}}).labels.hard()
    assert (labels.rule, labels.smoothing, labels.options) == ("hard", 0.2, {})
    assert np.allclose(targets(GIVEN, **labels.model_dump())[0], [0.9, 0.1])


def test_a_given_soft_label_shows_its_emotions_though_nobody_voted() -> None:
    given = recipe_from({"labels": {"rule": "given"}}).labels
    assert shown_emotions(given, GIVEN, np.array([False, False, True, False])).tolist() == [True, True]
    assert shown_emotions(given, GIVEN, np.array([False, False, False, True])).tolist() == [False, False]
