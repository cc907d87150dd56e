"""What people said: labels beside votes, panels, votes that name no emotion, distributions that are no votes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from sklearn.metrics import cohen_kappa_score

from dfer.datasets import read_source
from dfer.doctor import Case
from dfer.doctor.answers import (
    cross_table,
    kappa,
    other_votes,
    panels,
    soft_labels,
    swapped,
    votes_and_labels,
)
from dfer.labels import DFEW

from .toy import THREE, toy

FIVE = [[8, 1, 1], [1, 9, 0], [0, 2, 8], [5, 5, 0], [7, 2, 1]]
NAMES = ["happy", "sad", "neutral", "sad", "happy"]


def panel(generator: np.random.Generator, clips: int) -> tuple[np.ndarray, np.ndarray]:
    """True emotion (N,) and ten votes each (N, 7), most of them for it."""
    truth = generator.integers(0, 7, clips)
    return truth, generator.multinomial(10, 0.6 * np.eye(7)[truth] + 0.4 / 7)


def test_labels_that_are_the_most_voted_emotion_are_sound() -> None:
    found = votes_and_labels(Case(toy(votes=FIVE, label=NAMES)))
    assert found.verdict == "ok" and "all 5 clips" in found.found


def test_a_label_with_fewer_votes_than_another_is_named() -> None:
    found = votes_and_labels(Case(toy(votes=FIVE, label=["happy", "sad", "neutral", "neutral", "happy"])))
    assert (found.verdict, found.clips) == ("note", ("c3",))


def test_votes_in_another_order_than_the_labels_are_told_by_name() -> None:
    truth, votes = panel(np.random.default_rng(0), 300)
    names = [DFEW[{0: 3, 3: 0}.get(k, k)] for k in truth]  # happy and angry trade names
    found = votes_and_labels(Case(toy(DFEW, votes=votes, label=names)))
    assert found.verdict == "fault"
    assert found.found.endswith("by the votes, angry is called happy, happy is called angry")


def test_votes_of_the_row_beside_are_told_from_doubt() -> None:
    truth, votes = panel(np.random.default_rng(1), 300)
    found = votes_and_labels(Case(toy(DFEW, votes=np.roll(votes, 1, axis=0), label=[DFEW[k] for k in truth])))
    assert found.verdict == "fault" and "by chance" in found.found


def test_labels_without_votes_and_votes_without_labels_leave_nothing_to_compare() -> None:
    assert votes_and_labels(Case(toy(label=NAMES))).verdict == "unchecked"
    assert votes_and_labels(Case(toy(votes=FIVE))).verdict == "unchecked"


@pytest.mark.parametrize("modality", ["voice", "video", "both"])
def test_actors_that_are_not_understood_are_no_swap_of_labels(shared_data: Path, modality: str) -> None:
    options = {"modality": modality, "votes_only": "true", "label": "acted"}
    found = votes_and_labels(Case(read_source("crema_d", shared_data / "crema_d", **options)))
    assert found.verdict == "note"


def test_a_cycle_must_explain_its_labels() -> None:
    assert swapped(np.array([[9, 1, 0], [2, 8, 0], [0, 0, 9]])) == {}
    assert swapped(np.array([[0, 9, 1], [0, 1, 9], [9, 0, 1]])) == {0: 1, 1: 2, 2: 0}
    assert swapped(np.array([[4, 6, 0], [6, 4, 0], [0, 0, 9]])) == {}, "more doubt than swap"
    assert swapped(np.zeros((3, 3), dtype=int)) == {}


def test_kappa_is_that_of_scikit_learn() -> None:
    generator = np.random.default_rng(2)
    labels, tops = generator.integers(0, 4, 200), generator.integers(0, 4, 200)
    tops[:120] = labels[:120]
    assert kappa(cross_table(labels, tops, 4)) == pytest.approx(cohen_kappa_score(labels, tops))


def test_panels_of_three_and_more_are_sound_smaller_ones_are_named() -> None:
    assert panels(Case(toy(votes=FIVE))).found == "50 votes, 10 to 10 a clip, mean 10.00"
    few = panels(Case(toy(votes=[*FIVE, [1, 1, 0]])))
    assert (few.verdict, few.clips) == ("note", ("c5",))
    assert panels(Case(toy(label=NAMES))).verdict == "unchecked"


def test_clips_without_votes_among_others_are_named() -> None:
    votes = [*FIVE[:4], [np.nan] * 3]
    found = panels(Case(toy(votes=votes, label=NAMES)))
    assert (found.verdict, found.clips) == ("note", ("c4",))


def test_votes_that_name_no_emotion_are_counted_and_where_they_lead_named() -> None:
    led = other_votes(Case(toy(votes=FIVE, other_unknown=[0, 1, 0, 6, 0])))
    assert (led.verdict, led.clips) == ("note", ("c3",)) and led.found.startswith("7 votes")
    assert other_votes(Case(toy(votes=FIVE, other_unknown=[0, 1, 0, 5, 0]))).verdict == "ok"
    assert other_votes(Case(toy(votes=FIVE))).verdict == "unchecked"


def test_distributions_that_are_no_votes_are_called_so() -> None:
    columns = {"soft_happy": [0.5, None], "soft_sad": [0.5, None], "soft_neutral": [0.0, None]}
    found = soft_labels(Case(toy(THREE, label=["happy", "sad"], soft_from=["published distribution", ""], **columns)))
    assert found.verdict == "note" and found.advice == "call results on them by that name"
    assert found.found == "1 clip with a distribution that is no count of votes: published distribution (1)"
    models = toy(THREE, label=["happy", "sad"], soft_from=["estimated: by models", ""], **columns)
    assert "none to people" in soft_labels(Case(models)).advice
    assert soft_labels(Case(toy(votes=FIVE))).verdict == "unchecked"


def test_votes_that_sum_like_percentages_are_told() -> None:
    found = panels(Case(toy(votes=[[60, 0, 40], [10, 80, 10], [33, 33, 33]])))
    assert found.verdict == "note" and "every row sums to 99 to 100, as percentages do" in found.found
    assert "-O voters=10" in found.advice and "-O values=shares" in found.advice
    some = panels(Case(toy(votes=[[20, 0, 20], [50, 0, 0]], other_unknown=[60, 50])))
    assert "every row sums to 100" in some.found
    assert panels(Case(toy(votes=[[60, 0, 40], [10, 30, 10]]))).verdict == "ok"
