"""Constant answers: the mean vote and the most frequent label, of the training part where it is known."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from scipy import stats

from dfer.comparison.constant import (
    Constant,
    constant_of,
    constants_of,
    is_beyond,
    read_constants,
    references,
    write_constant,
)
from dfer.comparison.paired import Difference
from dfer.comparison.support import evidence
from dfer.errors import DferError
from tests.metrics.toy import toy_predictions


def test_the_mean_vote_is_of_shares_and_of_labels_where_there_are_no_votes() -> None:
    votes = np.array([[10, 0], [1, 1], [np.nan, np.nan], [0, 0], [np.nan, np.nan]])
    found = constant_of(votes, [0, -1, 1, 1, -1])
    assert found is not None
    assert found.mean_vote == pytest.approx(((1 + 0.5 + 0 + 0) / 4, (0 + 0.5 + 1 + 1) / 4))
    assert found.labels == pytest.approx((1 / 3, 2 / 3))
    assert constant_of(votes[-1:], [-1]) is None


def test_each_fold_has_its_own_constant_and_its_scores_are_those_of_the_table() -> None:
    run = toy_predictions(1, folds=2)
    constants = {
        1: Constant((1.0, *[0.0] * 6), (0.0, 1.0, *[0.0] * 5)),
        2: Constant((1 / 7,) * 7, (0.0, 0.0, 1.0, *[0.0] * 4)),
    }
    mean, frequent = references(run, constants)
    assert mean.name == "constant: the training part's mean vote" and mean.predictions.probs[1] == pytest.approx(1 / 7)
    assert mean.predictions.probs[0].tolist() == [1.0, *[0.0] * 6]
    row = frequent.row()
    right = [(run.labels == 1) & (run.fold == 1), (run.labels == 2) & (run.fold == 2)]
    assert row["war"] == pytest.approx(sum(part.sum() for part in right) / run.labelled.sum())
    assert row["kl"] is None and row.name == "constant: the training part's most frequent label"


def test_where_no_training_part_is_known_the_test_parts_own_stands_in() -> None:
    run = toy_predictions(1, folds=2)
    for known in (None, {}, {1: Constant((1 / 7,) * 7, (1.0, *[0.0] * 6))}):  # fold 2 is missing in the last
        mean, _ = references(run, known)
        assert mean.name == "constant: this test part's own mean vote"
        assert mean.predictions.probs[0] == pytest.approx(run.shares.mean(axis=0))
    run.labels[:], run.votes[:] = -1, np.nan
    assert references(run, None) == []


def test_constants_are_kept_beside_the_predictions(tmp_path: Path) -> None:
    manifest = np.array([[8.0, 2.0], [6.0, 4.0], [0.0, 10.0]])
    found = constants_of(manifest, [0, 0, 1], {1: np.array([True, True, False]), 2: np.array([False, True, True])})
    for fold, constant in found.items():
        (tmp_path / f"fold{fold}").mkdir()
        write_constant(tmp_path / f"fold{fold}" / "constant.json", constant, fold=fold, emotions=("a", "b"))
    assert read_constants(tmp_path, ("a", "b")) == found
    assert found[1].mean_vote == pytest.approx((0.7, 0.3)) and found[2].labels == (0.5, 0.5)
    assert read_constants(tmp_path / "fold1" / "predictions.csv", ("a", "b")) == {1: found[1]}
    assert read_constants(tmp_path, ("b", "a")) == {} == read_constants(tmp_path / "nowhere", ("a", "b"))


WHOLE = '{"emotions": ["a", "b"], "fold": 1, "mean_vote": [0.5, 0.5], "labels": [1, 0]}'
ODD = [
    ("1, 0", "1"), ("1, 0", "1, 1"), ("0.5, 0.5", "0, 0"), ("0.5", "NaN"), ("[1, 0]", "[2, -1]"), ("labels", "label"),
    ('"fold": 1', '"fold": 1000001'), ('"fold": 1', '"fold": "1"'), ('"b"', "3"), ("1, 0", "true, false"),
]  # fmt: skip


@pytest.mark.parametrize(
    "text",
    ["", "{", "[]", '{"fold": 1}', '{"emotions": ["a", "b"], "fold": 1, "mean_vote": 3}',
     *(WHOLE.replace(*pair) for pair in ODD)],
)  # fmt: skip
def test_a_damaged_file_is_named(tmp_path: Path, text: str) -> None:
    (tmp_path / "constant.json").write_text(text)
    with pytest.raises(DferError, match=r"cannot read the constant answers: .*constant\.json.*; remove the file"):
        read_constants(tmp_path, ("a", "b"))


def test_a_run_is_beyond_a_constant_if_it_is_better_by_more_than_chance() -> None:
    good = Difference(-0.2, None, 0.01)
    assert is_beyond("kl", good) and not is_beyond("war", good)
    assert not is_beyond("kl", replace(good, p=0.06)) and is_beyond("kl", Difference(None, None, None))


def test_the_difference_to_the_constant_is_tested_clip_by_clip() -> None:
    run = toy_predictions(1, clips=9)
    told = evidence({"a": [run]})
    test = told.cells["a"].beyond_constant["kl"]
    shares = run.shares.mean(axis=0)
    gaps = stats.entropy(run.shares, run.probs, axis=1) - np.array([stats.entropy(row, shares) for row in run.shares])
    wanted = stats.permutation_test(
        (gaps, np.zeros(9)), lambda x, y: np.sum(x - y), permutation_type="samples", n_resamples=np.inf
    )
    assert (test.difference, test.p) == (pytest.approx(gaps.mean()), pytest.approx(wanted.pvalue))
    assert told.standings is None and told.groups is None
