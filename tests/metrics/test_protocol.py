"""From predictions to a cell of the report: two folds worked by hand, gaps in the data, and real votes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats
from sklearn.metrics import accuracy_score, recall_score

from dfer.documents import json_text
from dfer.errors import DferError
from dfer.labels import CREMA_D, DFEW, FERPLUS, EmotionSet, hard_labels
from dfer.metrics import Predictions, concatenate, gallery, score
from dfer.metrics.ceiling import Panel
from dfer.metrics.protocol import AGAINST_LABELS, AGAINST_VOTES

from .toy import toy_predictions

NAMES = ("happy", "sad", "neutral")


def table(probs: Any, labels: Any, votes: Any = None, **columns: Any) -> Predictions:
    """Predictions for clips called c0, c1, ... of fold 1, without votes unless given."""
    rows = np.asarray(probs, dtype=float)
    rest: dict[str, Any] = {
        "ids": [f"c{number}" for number in range(len(rows))],
        "fold": np.ones(len(rows)),
        "frames": ["0"] * len(rows),
        "emotions": NAMES,
    }
    none = np.full(rows.shape, np.nan)
    return Predictions(
        labels=labels,
        probs=rows,
        votes=none if votes is None else np.asarray(votes, dtype=float),
        **(rest | columns),
    )


def two_folds() -> Predictions:
    """Fold 1: three clips, one wrong; fold 2: one right, one wrong, one without a label. None is neutral."""
    first = table([[0.8, 0.1, 0.1], [0.6, 0.2, 0.2], [0.1, 0.8, 0.1]], [0, 1, 1], [[8, 1, 1], [0, 10, 0], [2, 8, 0]])
    second = table(
        [[0.5, 0.5, 0.0], [0.1, 0.6, 0.3], [0.2, 0.2, 0.6]], [0, 0, -1], [[5, 5, 0], [np.nan] * 3, [2, 2, 6]],
        ids=["d0", "d1", "d2"], fold=[2, 2, 2],
    )  # fmt: skip
    return concatenate([first, second])


def test_two_folds_worked_by_hand() -> None:
    numbers = score(two_folds())
    assert (numbers.n, numbers.n_votes) == (5, 5)
    assert numbers["war"] == pytest.approx(3 / 5)  # pooled: c0, c2 and d0 are right
    assert numbers.recall == {"happy": pytest.approx(2 / 3), "sad": 0.5, "neutral": None}
    assert numbers.absent == ["neutral"]
    assert numbers["uar"] == pytest.approx((2 / 3 + 1 / 2) / 2)
    assert numbers.confusion == [[2, 1, 0], [1, 1, 0], [0, 0, 0]]
    assert numbers["top2"] == pytest.approx(4 / 5)  # d1 alone has its label third
    first, second = numbers.folds
    assert (first.fold, first.n, first["war"], first["uar"]) == (1, 3, pytest.approx(2 / 3), 0.75)
    assert (second.fold, second.n, second.n_votes, second["war"]) == (2, 2, 2, 0.5)
    assert second.absent == ["sad", "neutral"] and second["uar"] == 0.5
    assert numbers.mean["war"] == pytest.approx(7 / 12)  # the mean of folds is not the pooled number
    assert numbers.sd["war"] == pytest.approx((1 / 6) / np.sqrt(2))
    # c0, d0 and d2 are right to the vote; c1 gives log(1/.2); c2 .2 log(.2/.1) + .8 log(.8/.8), less nothing
    assert numbers["kl"] == pytest.approx((np.log(5) + 0.2 * np.log(2)) / 5)
    assert second["kl"] == pytest.approx(0, abs=1e-12)
    # Brier: c1 .36 + .64 + .04 = 1.04; c2 .01 + 0 + .01 = .02
    assert numbers["brier"] == pytest.approx((1.04 + 0.02) / 5)


def test_strata_are_cut_by_the_votes_and_count_what_they_judge() -> None:
    numbers = score(two_folds())
    counts = [(part.name, part.n, part.n_votes) for part in numbers.strata]
    # c1 is unanimous; c0 and c2 have eight of ten; d0 five and d2 six; d1 has no votes, d2 no label
    assert counts == [("clear", 1, 1), ("mixed", 2, 2), ("ambiguous", 1, 2)]
    clear, mixed, ambiguous = numbers.strata
    assert (clear["war"], mixed["war"], ambiguous["war"]) == (0, 1, 1)
    assert clear["kl"] == pytest.approx(np.log(5)) and clear.absent == ["happy", "neutral"]
    assert (clear.low, clear.high) == (0.9, 1)


def test_one_fold_has_no_standard_deviation_and_its_mean_is_the_pooled_number() -> None:
    numbers = score(table(np.eye(3), [0, 1, 2], np.eye(3) * 10))
    assert numbers.sd is None
    assert numbers.mean == {key: numbers[key] for key in ("war", "uar", "kl", "js", "ece")}
    assert (numbers["war"], numbers["uar"], numbers["ece"]) == (1, 1, 0)


def test_the_reliability_table_gives_the_error_of_the_cell() -> None:
    numbers = score(two_folds())
    bins = numbers.reliability
    assert len(bins) == 15
    gaps = [part.count * abs(part.accuracy - part.confidence) for part in bins if part.count]
    assert numbers["ece"] == pytest.approx(sum(gaps) / 5)


def test_distances_are_means_over_the_clips_with_votes_and_risks_over_those_with_a_label() -> None:
    numbers = score(two_folds())
    # c0, d0 and d2 are right to the vote; c1 is off by .6, .8, .2 and c2 by .1, 0, .1
    assert numbers["chebyshev"] == pytest.approx((0.8 + 0.1) / 5)
    assert numbers["intersection"] == pytest.approx((3 + 0.2 + 0.9) / 5)
    # by confidence: c0 and c2 (.8, right), c1 and d1 (.6, wrong), d0 (.5, right)
    counts, alpha = ([8, 1, 1], [0, 10, 0], [2, 8, 0], [5, 5, 0], [2, 2, 6]), 10 * two_folds().probs[[0, 1, 2, 3, 5]]
    wanted = [-stats.dirichlet_multinomial.logpmf(c, a.clip(1e-11), 10) for c, a in zip(counts, alpha, strict=True)]
    assert numbers["dirichlet_multinomial"] == pytest.approx(np.mean(wanted))
    assert numbers["aurc"] == pytest.approx((0 + 0 + 1 / 3 + 2 / 4 + 2 / 5) / 5)
    assert (numbers["risk80"], numbers["risk90"]) == (pytest.approx(2 / 4), pytest.approx(2 / 5))
    curve = [(point.coverage, point.risk) for point in numbers.risk_coverage]
    assert curve == [(0.2, 0), (0.4, 0), (0.6, pytest.approx(1 / 3)), (0.8, 0.5), (1, 0.4)]
    # the chance that a random voter agrees, bin by bin: c0 and c2 .8 of .8; c1 .0 and d2 .6 of .6; d0 .5 of .5
    assert numbers["vote_ece"] == pytest.approx(abs(0.0 + 0.6 - 1.2) / 5)


def test_the_curve_of_many_clips_keeps_twenty_points_up_to_all_of_them() -> None:
    generator = np.random.default_rng(0)
    probs, labels = generator.dirichlet(np.ones(3), 333), generator.integers(0, 3, 333)
    curve = score(table(probs, labels)).risk_coverage
    assert len(curve) == 20 and curve[-1].coverage == 1
    assert curve[-1].risk == pytest.approx(1 - accuracy_score(labels, probs.argmax(axis=1)))


def test_without_votes_what_needs_them_is_null() -> None:
    numbers = score(table(np.eye(3), [0, 1, 2]))
    for key in (*AGAINST_VOTES, "dirichlet_multinomial"):
        assert numbers[key] is None
    assert numbers.ceiling == dict.fromkeys(("one_out", "halves"), Panel(0, None, None, 0, None, None, None))
    assert (numbers.n_votes, numbers["war"], numbers.mean["kl"]) == (0, 1, None)
    assert all((part.n, part["war"], part["kl"]) == (0, None, None) for part in numbers.strata)


def test_without_labels_what_needs_them_is_null() -> None:
    numbers = score(table(np.eye(3), [-1] * 3, np.eye(3)))
    for key in AGAINST_LABELS:
        assert numbers[key] is None
    assert numbers.risk_coverage == []
    assert (numbers.n, numbers["kl"], numbers.absent) == (0, 0, list(NAMES))
    assert set(numbers.recall.values()) == {None} and not np.any(numbers.confusion)
    assert np.isnan([part.accuracy for part in numbers.reliability]).all()


def test_a_fold_that_lacks_a_number_leaves_the_mean_undefined() -> None:
    silent = table(np.eye(3), [0, 1, 2], ids=["x", "y", "z"], fold=[3, 3, 3])
    numbers = score(concatenate([two_folds(), silent]))
    assert numbers.mean["kl"] is None and numbers.sd["kl"] is None
    assert numbers.mean["war"] == pytest.approx((2 / 3 + 1 / 2 + 1) / 3)


def test_the_divergence_of_each_label_is_scipys_over_its_clips() -> None:
    run = toy_predictions(1)
    told = score(run).kl_by_label
    for place, emotion in enumerate(run.emotions):
        rows = run.labels == place
        assert told[emotion] == pytest.approx(stats.entropy(run.shares[rows], run.probs[rows], axis=1).mean())
    absent = score(run.select(run.labels != 2)).kl_by_label
    assert [emotion for emotion, value in absent.items() if value is None] == [run.emotions[2]]


@pytest.mark.parametrize("rows", [0, 1])
def test_no_clip_and_one_clip_are_ready_for_json(rows: int) -> None:
    numbers = score(two_folds().select(np.arange(6) < rows))
    assert numbers.n == rows and numbers["war"] == (1 if rows else None)
    assert json.loads(json_text(numbers))["n"] == rows


@given(st.integers(0, 2**32 - 1), st.integers(1, 60), st.integers(1, 5))
def test_any_table_is_scored_in_range_and_ready_for_json(seed: int, rows: int, folds: int) -> None:
    generator = np.random.default_rng(seed)
    votes = generator.multinomial(10, generator.dirichlet(np.full(7, 0.4)), rows).astype(float)
    votes[generator.random(rows) < 0.2] = np.nan
    labels = generator.integers(-1, 7, rows)
    probs = generator.dirichlet(np.full(7, 0.3), rows)
    fold = generator.integers(1, folds + 1, rows)
    predictions = table(probs, labels, votes, emotions=DFEW, fold=fold)
    numbers = score(predictions)
    told = json.loads(json_text(numbers))
    assert told["war"] == numbers["war"] and told["strata"][0]["kl"] == numbers.strata[0]["kl"]
    judged = labels >= 0
    if judged.any():
        guess = probs.argmax(axis=1)[judged]
        assert numbers["war"] == pytest.approx(accuracy_score(labels[judged], guess))
        shown = np.unique(labels[judged])
        expected = recall_score(labels[judged], guess, labels=shown, average="macro", zero_division=0)
        assert numbers["uar"] == pytest.approx(expected)
        assert [DFEW.index(name) for name in numbers.absent] == sorted(set(range(7)) - set(shown))
    assert sum(part.n_votes for part in numbers.strata) == numbers.n_votes
    assert sum(part.n for part in numbers.folds) == numbers.n == np.sum(numbers.confusion)


def test_the_gallery_shows_the_most_ambiguous_clips_equals_by_id() -> None:
    votes = [[10, 0, 0], [4, 3, 3], [3, 3, 4], [5, 5, 0], [np.nan] * 3, [0, 0, 0]]
    ids = ["clear", "b", "a", "half", "none", "zero"]
    one = table(np.full((6, 3), 1 / 3), [0] * 6, votes, ids=ids)
    other = table(np.tile(np.eye(3)[0], (5, 1)), [0] * 5, votes[:5], ids=ids[:5])
    shown = gallery({"one": one, "other": other}, count=3)
    assert [clip.id for clip in shown] == ["a", "b", "half"]
    assert shown[0].votes == {"happy": 3, "sad": 3, "neutral": 4}
    assert shown[0].probs == {"one": [1 / 3] * 3, "other": [1, 0, 0]}
    assert shown[2].entropy == pytest.approx(np.log(2) / np.log(3))
    assert [clip.id for clip in gallery({"one": one, "other": other})] == ["a", "b", "half", "clear"]
    assert gallery({}) == [] and json.loads(json_text(shown))[0]["id"] == "a"


def test_the_gallery_shows_only_clips_that_every_cell_has() -> None:
    votes = [[5, 5, 0], [6, 4, 0]]
    one = table(np.eye(3)[:2], [0, 1], votes)
    other = table(np.eye(3)[:2], [0, 1], votes, ids=["c1", "elsewhere"])
    assert [clip.id for clip in gallery({"one": one, "other": other})] == ["c1"]


def test_the_gallery_refuses_cells_with_other_emotions() -> None:
    one, other = table(np.eye(3), [0, 1, 2]), table(np.eye(3), [0, 1, 2], emotions=NAMES[::-1])
    with pytest.raises(DferError, match="same emotions, got happy, sad, neutral and neutral, sad, happy"):
        gallery({"one": one, "other": other})


def crema_d_faces(folder: Path) -> np.ndarray:
    """Real votes on the face alone, (7442, 6): row numbers that begin with 2."""
    votes = pd.read_csv(folder / "crema_d/processedResults/tabulatedVotes.csv", index_col=0)
    return votes.loc[votes.index // 100000 == 2, list("ADFHNS")].to_numpy(dtype=float)


def ferplus(folder: Path) -> np.ndarray:
    """Real votes of the 35,887 images for the eight emotions; for some nobody named an emotion."""
    return pd.read_csv(folder / "ferplus/fer2013new.csv").iloc[:, 2:10].to_numpy(dtype=float)


@pytest.mark.parametrize(("read", "emotions"), [(crema_d_faces, CREMA_D), (ferplus, FERPLUS)])
def test_real_votes_that_predict_themselves_are_at_no_distance(
    shared_data: Path, read: Any, emotions: EmotionSet, tmp_path: Path
) -> None:
    votes = read(shared_data)
    voted = votes.sum(axis=1) > 0
    labels = np.full(len(votes), -1)
    labels[voted] = hard_labels(votes[voted], "drop")
    probs = np.full(votes.shape, 1 / len(emotions))
    probs[voted] = votes[voted] / votes[voted].sum(axis=1, keepdims=True)
    predictions = table(probs, labels, votes, emotions=emotions, fold=np.arange(len(votes)) % 5 + 1)
    predictions.write(tmp_path / "predictions.csv")
    numbers = score(Predictions.read(tmp_path / "predictions.csv"))
    assert (numbers.n, numbers.n_votes) == ((labels >= 0).sum(), voted.sum())
    assert numbers["war"] == numbers["uar"] == 1 and numbers.absent == []
    assert numbers["kl"] == pytest.approx(0, abs=1e-12) and numbers["js"] == pytest.approx(0, abs=1e-12)
    assert numbers["brier"] == pytest.approx(0, abs=1e-12)
    assert numbers["entropy_correlation"] == pytest.approx(1)
    assert numbers["ece"] > 0.2  # always right, and never sure: people are under-confident about themselves


def test_voters_of_another_modality_are_compared_as_a_model_would_be(shared_data: Path) -> None:
    votes = pd.read_csv(shared_data / "crema_d/processedResults/tabulatedVotes.csv", index_col=0)
    heard, seen = (votes[votes.index // 100000 == kind].sort_values("fileName") for kind in (1, 2))
    assert heard["fileName"].tolist() == seen["fileName"].tolist()
    counts = seen[list("ADFHNS")].to_numpy(dtype=float)
    shares = heard[list("ADFHNS")].to_numpy(dtype=float)
    shares /= shares.sum(axis=1, keepdims=True)
    labels = hard_labels(counts, "drop")
    numbers = score(table(shares, labels, counts, emotions=CREMA_D, ids=seen["fileName"].tolist()))
    right = shares.argmax(axis=1) == labels
    assert numbers.n == 7442 - 470  # ties among voters on the face, counted in the source's own column
    assert numbers["war"] == pytest.approx(right[labels >= 0].mean())
    clear, _, ambiguous = numbers.strata
    assert clear["war"] > ambiguous["war"] and 0 < numbers["js"] < np.log(2)
