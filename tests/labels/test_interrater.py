"""Agreement between raters: published worked examples, a count over pairs, and what it must not depend on."""

from __future__ import annotations

from collections import Counter
from itertools import permutations
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as nps

from dfer.errors import DferError
from dfer.labels import fleiss_kappa, krippendorff_alpha

# Ten subjects, fourteen raters, five categories: the worked example of Fleiss' kappa in Wikipedia; kappa = 0.210.
FOURTEEN_RATERS = [
    [0, 0, 0, 0, 14], [0, 2, 6, 4, 2], [0, 0, 3, 5, 6], [0, 3, 9, 2, 0], [2, 2, 8, 1, 1],
    [7, 7, 0, 0, 0], [3, 2, 6, 3, 0], [2, 5, 3, 2, 2], [6, 5, 2, 1, 0], [0, 2, 2, 3, 7],
]  # fmt: skip
# Krippendorff (2011), example C: four observers, twelve units, values 1 to 5, missing ones "."; nominal alpha = 0.743.
FOUR_OBSERVERS = ["123321412...", "1233224125.3", ".3332342251.", "12332441251."]
TWO_OBSERVERS = ["0100000010", "1110010000"]  # the same paper, example A; alpha = 0.095


def counts_of(observers: list[str], values: str) -> np.ndarray:
    return np.array([[unit.count(value) for value in values] for unit in zip(*observers, strict=True)])


def over_pairs(votes: np.ndarray) -> float:
    """Krippendorff's alpha from its matrix of coincidences, one pair of answers after the other."""
    coincidences: Counter[tuple[int, int]] = Counter()
    for row in votes:
        answers = [k for k, number in enumerate(row) for _ in range(int(number))]
        for first, second in permutations(range(len(answers)), 2):
            coincidences[answers[first], answers[second]] += 1 / (len(answers) - 1)
    total = sum(coincidences.values())
    of_value = [sum(weight for pair, weight in coincidences.items() if pair[0] == k) for k in range(votes.shape[1])]
    expected = sum(of_value[a] * of_value[b] for a, b in permutations(range(votes.shape[1]), 2)) / (total - 1)
    observed = sum(weight for (a, b), weight in coincidences.items() if a != b)
    return 1 - observed / expected


def test_fleiss_kappa_is_that_of_the_worked_example() -> None:
    assert fleiss_kappa(FOURTEEN_RATERS) == pytest.approx(0.210, abs=5e-4)


def test_fleiss_kappa_of_panels_that_differ_in_size_is_worked_by_hand() -> None:
    # agreeing pairs 1, 0 and 1 of 3: mean 4/9; mean shares (1 + 1/2 + 2/3 + 0) / 4 = 13/24 and 11/24, squared 290/576
    votes = [[2, 0], [1, 1], [2, 1], [0, 1]]
    assert fleiss_kappa(votes) == pytest.approx((4 / 9 - 290 / 576) / (1 - 290 / 576))


def test_krippendorff_alpha_is_that_of_the_published_examples() -> None:
    assert krippendorff_alpha(counts_of(TWO_OBSERVERS, "01")) == pytest.approx(0.095, abs=5e-4)
    assert krippendorff_alpha(counts_of(FOUR_OBSERVERS, "12345")) == pytest.approx(0.743, abs=5e-4)


@given(nps.arrays(int, (8, 3), elements=st.integers(0, 4)))
def test_krippendorff_alpha_is_that_of_its_coincidences(votes: np.ndarray) -> None:
    votes[0] = [2, 1, 0]  # so that something is left to disagree on
    assert krippendorff_alpha(votes) == pytest.approx(over_pairs(votes))


def test_perfect_agreement_is_one_and_a_single_emotion_is_undefined() -> None:
    assert fleiss_kappa([[5, 0], [0, 3]]) == krippendorff_alpha([[5, 0], [0, 3]]) == 1.0
    for measure in (fleiss_kappa, krippendorff_alpha):
        assert np.isnan(measure([[5, 0], [3, 0]]))
        assert np.isnan(measure([[1, 0], [0, 1]])), "single votes say nothing"
        assert np.isnan(measure(np.empty((0, 2))))


def test_clips_without_votes_are_passed_over() -> None:
    votes = np.array(FOURTEEN_RATERS, dtype=float)
    holes = np.vstack([votes, np.full((1, 5), np.nan), np.zeros((1, 5))])
    assert fleiss_kappa(holes) == fleiss_kappa(votes)
    assert krippendorff_alpha(holes) == krippendorff_alpha(votes)


def test_votes_that_are_no_counts_are_refused() -> None:
    for measure in (fleiss_kappa, krippendorff_alpha):
        with pytest.raises(DferError, match="fractional"):
            measure([[0.5, 1.5]])


def test_crema_d_has_the_agreement_that_other_packages_give(shared_data: Path) -> None:
    table = pd.read_csv(shared_data / "crema_d/processedResults/tabulatedVotes.csv", index_col=0)
    # irrCAC 0.4.4 and krippendorff 0.9.0
    for modality, kappa, alpha in ((1, 0.278586, 0.281103), (2, 0.455865, 0.458247), (3, 0.494268, 0.496669)):
        votes = table[table.index // 100000 == modality][list("ADFHNS")].to_numpy()
        assert fleiss_kappa(votes) == pytest.approx(kappa, abs=1e-6)
        assert krippendorff_alpha(votes) == pytest.approx(alpha, abs=1e-6)
