"""How far raters can be relied upon: chance by trying orders, hand-worked tables, and who is called careless."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import cohen_kappa_score

from dfer.labels import EmotionSet
from dfer.labels.annotators import consensus
from dfer.labels.answers import Answers
from dfer.labels.reliability import CHANCE, FAR, FEWEST, SAME, agreement_with_others, worst_first

NAMES = EmotionSet("three", ("happy", "sad", "neutral"))


def from_table(said: np.ndarray) -> Answers:
    """Answers from a table (N, R) of positions, -1 = none."""
    rows = [(f"{clip:03d}", f"r{rater:02d}", NAMES[int(said[clip, rater])]) for clip, rater in np.argwhere(said >= 0)]
    return Answers.build(*zip(*rows, strict=True), NAMES)


def panel(clips: int, raters: int, seed: int, right: float = 0.7) -> np.ndarray:
    generator = np.random.default_rng(seed)
    truth = generator.integers(0, 3, (clips, 1))
    guess = generator.integers(0, 3, (clips, raters))
    return np.where(generator.random((clips, raters)) < right, truth, guess)


def test_agreement_is_the_share_of_the_others_who_said_the_same() -> None:
    found = agreement_with_others(from_table(np.array([[0, 0, 1], [1, 1, 1], [2, -1, -1]])))
    assert found.compared.tolist() == [2, 2, 2]
    assert found.observed.tolist() == [0.75, 0.75, 0.5]


def test_of_two_raters_kappa_is_cohens() -> None:
    said = panel(80, 2, seed=0)
    found = agreement_with_others(from_table(said))
    assert np.allclose(found.kappa, cohen_kappa_score(said[:, 0], said[:, 1]))


def test_chance_and_its_spread_are_those_of_the_answers_in_any_other_order() -> None:
    said, generator = panel(30, 4, seed=1), np.random.default_rng(0)
    found = agreement_with_others(from_table(said))
    others = np.stack([(said[:, 1:] == k).mean(axis=1) for k in range(3)], axis=1)
    orders = np.array([others[np.arange(30), generator.permutation(said[:, 0])].mean() for _ in range(20_000)])
    assert found.chance[0] == pytest.approx(orders.mean(), abs=2e-3)
    assert found.score[0] == pytest.approx((found.observed[0] - orders.mean()) / orders.std(), rel=0.03)


def test_a_rater_whom_nobody_can_be_compared_with_has_no_agreement_and_is_not_careless() -> None:
    found = consensus(from_table(np.array([[0, 0, -1], [1, 1, -1], [-1, -1, 2]])), "majority").raters
    assert found["compared"].tolist() == [2, 2, 0]
    assert np.isnan(found["kappa"][2]) and found["careless"].tolist() == ["", "", ""] and found["leans_to"][2] == ""


def test_the_careless_are_named_with_the_reason_and_nobody_else_is() -> None:
    said = panel(120, 12, seed=2)
    generator = np.random.default_rng(3)
    said[:, 9] = 1
    said[:, 10] = generator.integers(0, 3, 120)
    said[:, 11] = np.where(generator.random(120) < 0.28, said[:, 0], generator.integers(0, 3, 120))
    found = consensus(from_table(said), "majority").raters
    assert found["careless"].tolist() == [""] * 9 + [SAME, CHANCE, FAR]
    ordered = worst_first(found)
    assert set(ordered["rater"][:3]) == {"r09", "r10", "r11"} and ordered["kappa"][3:].is_monotonic_increasing
    assert found["leans_to"][9].startswith("sad +6")


def test_one_who_guesses_goes_unnoticed_once_in_twenty() -> None:
    said = panel(60, 8, seed=4)
    noticed = []
    for seed in range(60):
        guessing = np.hstack([said, np.random.default_rng(seed).integers(0, 3, (60, 4))])
        noticed += [reason == CHANCE for reason in consensus(from_table(guessing), "majority").raters["careless"][8:]]
    assert 0.9 <= np.mean(noticed) <= 0.99


def test_the_same_answer_to_clips_that_all_others_answer_so_too_is_not_careless() -> None:
    found = consensus(from_table(np.zeros((40, 3), dtype=int)), "majority").raters
    assert found["careless"].tolist() == ["", "", ""] and found["agreement"].tolist() == [1, 1, 1]


def test_nobody_is_called_careless_on_a_few_answers() -> None:
    said = panel(100, 6, seed=5)
    said[:, 5] = -1
    said[: FEWEST - 1, 5] = (said[: FEWEST - 1, 0] + 1) % 3
    found = consensus(from_table(said), "majority").raters
    assert found["kappa"][5] < 0 and found["careless"][5] == ""


def test_the_most_frequent_confusion_and_the_leaning_of_a_rater_are_told() -> None:
    said = np.repeat([[0], [1], [2]], 20, axis=0) * np.ones((1, 4), dtype=int)
    said[20:35, 3] = 2  # takes sad for neutral in 15 of 20
    row = consensus(from_table(said), "majority").raters.iloc[3]
    assert (row["takes"], row["leans_to"]) == ("sad for neutral, 15 of 20", "neutral +25")


def test_a_rater_s_own_repeated_answers_are_no_others() -> None:
    """x says happy three times; of the others, y says happy once and sad once: half of them agree."""
    rows = [("a", "x", "happy")] * 3 + [("a", "y", "happy"), ("a", "y", "sad")]
    answers = Answers.build(*zip(*rows, strict=True), EmotionSet("two", ("happy", "sad")), repeats="all")
    observed = agreement_with_others(answers).observed
    assert observed.tolist() == pytest.approx([1 / 2, (1 + 0) / 2])
