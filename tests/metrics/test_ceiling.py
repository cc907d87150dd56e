"""The annotators' own scores against every way to part every panel, voter by voter."""

from __future__ import annotations

from itertools import combinations
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from dfer.errors import DferError
from dfer.metrics.ceiling import STRENGTH, annotators_ceiling


def smoothed(votes: np.ndarray) -> np.ndarray:
    return (votes + STRENGTH / len(votes)) / (votes.sum() + STRENGTH)


def by_hand(panels: np.ndarray, size: Any) -> dict[str, float]:
    """The definition: each choice of `size(n)` named voters is as likely as any other."""
    size_k = panels.shape[1]
    met, said, surprise, square = np.zeros(size_k), np.zeros(size_k), [], []
    for panel in panels:
        answers = np.repeat(np.arange(size_k), panel)
        shares = panel / panel.sum()
        ways = list(combinations(range(len(answers)), size(len(answers))))
        of_panel = []
        for way in ways:
            chosen = np.bincount(answers[list(way)], minlength=size_k)
            others = panel - chosen
            top, judge = np.flatnonzero(chosen == chosen.max()), np.flatnonzero(others == others.max())
            if len(judge) == 1:
                said[judge[0]] += 1 / len(ways)
                met[judge[0]] += (judge[0] in top) / len(top) / len(ways)
            probs, wanted = smoothed(chosen), others / others.sum()
            # the squared distance to the judges, less what the whole panel's shares have over theirs
            extra = (shares**2).sum() - (wanted**2).sum()
            of_panel.append((-(wanted * np.log(probs)).sum(), ((probs - wanted) ** 2).sum() + extra))
        surprise.append(np.mean([row[0] for row in of_panel]))
        square.append(np.mean([row[1] for row in of_panel]))
    entropies = [-sum(p * np.log(p) for p in panel / panel.sum() if p) for panel in panels]
    shown = said > 0
    return {
        "war": met.sum() / said.sum() if shown.any() else None,
        "uar": (met[shown] / said[shown]).mean() if shown.any() else None,
        "cross_entropy": float(np.mean(surprise)),
        "kl": float(np.mean(surprise) - np.mean(entropies)),
        "brier": float(np.mean(square)),
    }


@settings(max_examples=25)
@given(st.integers(0, 2**32 - 1), st.integers(2, 7), st.integers(2, 4))
def test_every_number_is_the_mean_over_all_ways_to_part_the_panels(seed: int, voters: int, emotions: int) -> None:
    generator = np.random.default_rng(seed)
    panels = generator.multinomial(voters, generator.dirichlet(np.ones(emotions)), 6)
    found = annotators_ceiling(panels)
    halves = by_hand(panels, lambda n: n // 2)
    assert {key: getattr(found["halves"], key) for key in halves} == pytest.approx(halves)
    single, others = by_hand(panels, lambda _: 1), by_hand(panels, lambda n: n - 1)
    wanted = {key: (single if key in ("war", "uar") else others)[key] for key in single}
    assert {key: getattr(found["one_out"], key) for key in wanted} == pytest.approx(wanted)


def test_people_who_all_agree_are_right_and_only_as_surprised_as_smoothing_makes_them() -> None:
    found = annotators_ceiling([[10, 0], [0, 10]])
    for key, voters in (("one_out", 9), ("halves", 5)):
        assert (found[key].war, found[key].uar, found[key].n, found[key].n_votes) == (1, 1, 2, 2)
        sure = (voters + STRENGTH / 2) / (voters + STRENGTH)
        assert found[key].kl == found[key].cross_entropy == pytest.approx(-np.log(sure))
        assert found[key].brier == pytest.approx(2 * (1 - sure) ** 2)


def test_one_voter_against_the_others_by_hand() -> None:
    # of (4, 1), four voters are judged by (3, 1) and are right; the fifth by (4, 0) and is wrong
    assert annotators_ceiling([[4, 1]])["one_out"].war == pytest.approx(4 / 5)


def test_a_large_panel_predicts_itself_nearly_perfectly_and_a_small_one_does_not() -> None:
    shares = np.array([[6, 3, 1], [2, 7, 1]])
    small, large = (annotators_ceiling(shares * times)["halves"].kl for times in (1, 20))
    assert 0 < large < 0.02 < 0.1 < small


def test_very_many_voters_are_drawn_and_the_draw_is_seeded() -> None:
    panel = np.array([[30, 20, 25, 25, 22, 21]])
    first, again, other = (annotators_ceiling(panel, seed=seed)["halves"] for seed in (0, 0, 1))
    assert first == again and first.kl != other.kl
    assert first.kl == pytest.approx(other.kl, abs=0.01)


@pytest.mark.parametrize("panel", [[2000, 0, 0], [1500, 4, 1]])
def test_thousands_who_nearly_all_agree_are_parted_exactly(panel: list[int]) -> None:
    scores = annotators_ceiling([panel])["halves"]
    total, size = sum(panel), sum(panel) // 2
    assert scores.n == 1 and scores.war == pytest.approx(1)  # the few can never be most of a half
    expected = 0.0  # an emotion's part depends on its own voters alone, how many of them are in the half that predicts
    for count in panel:
        chosen = np.arange(count + 1)
        chance = stats.hypergeom(total, count, size).pmf(chosen)
        expected -= (chance * np.log((chosen + 1 / 3) / (size + 1)) * (count - chosen) / (total - size)).sum()
    assert scores.cross_entropy == pytest.approx(expected)


def test_any_number_of_emotions_can_be_judged() -> None:
    few = np.array([[3, 2, 1, 0, 0], [1, 1, 1, 1, 1]])
    many = np.hstack([few, np.zeros((2, 95), dtype=int)])
    for part in ("one_out", "halves"):
        one, other = annotators_ceiling(few)[part], annotators_ceiling(many)[part]
        assert other.war == pytest.approx(one.war) and other.uar == pytest.approx(one.uar)


@pytest.mark.parametrize(
    ("row", "words"), [([-1, 4, 2], "negative"), ([np.inf, 1, 2], "infinite"), ([np.nan, 1, 2], "NaN")]
)
def test_votes_that_cannot_be_are_refused(row: list[float], words: str) -> None:
    with pytest.raises(DferError, match=f"1 of 2 clips have votes that are {words}: .*2"):
        annotators_ceiling([[3, 1, 0], [np.nan] * 3, row])


def test_a_panel_too_large_to_draw_from_is_not_counted() -> None:
    assert annotators_ceiling([[10**9, 10**9], [3, 0]])["halves"].n_votes == 1


def test_drawn_splits_come_near_to_the_exact_mean(monkeypatch: pytest.MonkeyPatch) -> None:
    panels = np.random.default_rng(0).multinomial(10, [0.5, 0.3, 0.2], 40)
    exact = annotators_ceiling(panels)["halves"]
    monkeypatch.setattr("dfer.metrics.ceiling.MOST_SPLITS", 0)
    assert vars(annotators_ceiling(panels)["halves"]) == pytest.approx(vars(exact), abs=0.01)


def test_only_whole_panels_of_two_or_more_are_parted_and_accuracy_is_over_labelled_clips() -> None:
    votes = [[5, 5], [np.nan, np.nan], [0.5, 0.5], [1, 0], [0, 0], [9, 1]]
    found = annotators_ceiling(votes, [False] * 5 + [True])
    assert all((found[key].n, found[key].n_votes) == (1, 2) for key in ("one_out", "halves"))
    assert found["one_out"].war == pytest.approx(9 / 10) and found["halves"].war == 1
    nobody = annotators_ceiling(np.zeros((0, 3)))["halves"]
    assert nobody.n == nobody.n_votes == 0 and nobody.war is nobody.kl is nobody.brier is None


def test_votes_and_labels_that_do_not_belong_together_are_refused() -> None:
    with pytest.raises(DferError, match="shapes"):
        annotators_ceiling([[1, 2]], [True, False])


def test_real_voters_agree_with_most_others_as_often_as_naming_them_one_by_one_says(shared_data: Any) -> None:
    votes = pd.read_csv(shared_data / "ferplus/fer2013new.csv").iloc[:60, 2:10].to_numpy()
    found = annotators_ceiling(votes)["one_out"]
    wanted = by_hand(votes[votes.sum(axis=1) >= 2], lambda _: 1)
    assert (found.war, found.uar) == (pytest.approx(wanted["war"]), pytest.approx(wanted["uar"]))
