"""Allocation of votes: precision against numbers drawn from the posterior, and who gets the next vote."""

from __future__ import annotations

import numpy as np
import pytest

from dfer.errors import DferError
from dfer.labels.allocation import Board, ByNeed, EveryClip, own_order, uncertainty
from dfer.labels.dirichlet import Prior

MIXED = Prior(np.array([0.7, 0.3]), np.array([[6.0, 0.2, 0.2], [1.0, 2.0, 3.0]]))


@pytest.mark.parametrize("votes", [[0.0, 0.0, 0.0], [3.0, 0.0, 1.0], [0.0, 5.0, 5.0], [12.0, 0.0, 0.0]])
def test_uncertainty_is_the_spread_of_distributions_that_make_such_votes(votes: list[float]) -> None:
    """Distributions are drawn from the prior and kept as often as they would make these votes."""
    generator = np.random.default_rng(5)
    kind = generator.choice(2, 400_000, p=MIXED.weights)
    drawn = np.where(
        kind[:, None] == 0,
        generator.dirichlet(MIXED.alphas[0], len(kind)),
        generator.dirichlet(MIXED.alphas[1], len(kind)),
    )
    weights = (drawn ** np.array(votes)).prod(axis=1)
    mean = np.average(drawn, axis=0, weights=weights)
    spread = np.sqrt(np.average(((drawn - mean) ** 2).sum(axis=1), weights=weights))
    assert uncertainty(np.array([votes]), MIXED)[0] == pytest.approx(spread, rel=0.03)


def test_under_every_clip_each_clip_gets_exactly_so_many_votes_of_different_people() -> None:
    board = Board(np.zeros((7, 2)), np.zeros(7, np.int64), EveryClip(3))
    seen: dict[int, set[int]] = {rater: set() for rater in range(5)}
    for _ in range(7):
        for rater, mine in seen.items():
            clip = board.next_clip(own_order(7, 1, rater), mine)
            if clip is not None:
                mine.add(clip)
                board.add(clip, np.array([1.0, 0.0]))
    assert board.people.tolist() == [3] * 7
    assert sum(map(len, seen.values())) == 21


def test_raters_see_clips_in_orders_of_their_own_that_stay_the_same() -> None:
    orders = [own_order(40, 9, rater).tolist() for rater in range(4)]
    assert [own_order(40, 9, rater).tolist() for rater in range(4)] == orders
    assert len({tuple(order) for order in orders}) == 4
    assert all(sorted(order) == list(range(40)) for order in orders)
    assert own_order(40, 8, 0).tolist() != orders[0]


def test_a_clip_that_others_have_before_them_is_not_given_to_more_people_than_it_needs() -> None:
    board = Board(np.zeros((2, 2)), np.array([1, 0]), EveryClip(2))
    order = np.array([0, 1])
    assert board.next_clip(order, set()) == 0
    assert board.next_clip(order, set(), away=[0]) == 1
    assert board.next_clip(order, set(), away=[0, 1]) == 1
    assert board.next_clip(order, set(), away=[0, 1, 1]) is None


def test_by_need_the_fewest_votes_come_first_then_the_least_certain_clip_until_all_are_precise() -> None:
    votes = np.array([[5.0, 0.0], [3.0, 2.0], [1.0, 0.0]])
    board = Board(votes, np.array([5, 5, 1]), ByNeed(precision=0.2, least=2, most=9))
    order = np.array([0, 1, 2])
    assert board.next_clip(order, set()) == 2
    board.add(2, np.array([1.0, 0.0]))
    # Beta(6, 1): .129 * sqrt 2, Beta(4, 3): .175 * sqrt 2, Beta(3, 1): .194 * sqrt 2
    assert board.uncertainty == pytest.approx(np.sqrt(2) * np.array([0.1237, 0.1750, 0.1936]), abs=1e-4)
    assert board.next_clip(order, set()) == 2
    assert board.next_clip(order, {2}) == 1
    assert board.next_clip(order, {1, 2}) is None
    for _ in range(20):
        clip = board.next_clip(order, set())
        if clip is None:
            break
        board.add(clip, np.array([1.0, 0.0]))
    assert board.next_clip(order, set()) is None
    assert (board.uncertainty <= 0.2).all()


def test_by_need_a_clip_that_nobody_can_tell_is_not_asked_about_for_ever() -> None:
    board = Board(np.zeros((1, 3)), np.zeros(1, np.int64), ByNeed(precision=0.01, least=1, most=4))
    for asked in range(4):
        assert board.next_clip(np.array([0]), set()) == 0, asked
        board.add(0, np.zeros(3))
    assert board.next_clip(np.array([0]), set()) is None


def test_a_vote_that_is_taken_back_leaves_everything_as_before() -> None:
    board = Board(np.array([[2.0, 1.0]]), np.array([3]), ByNeed())
    before = board.uncertainty[0]
    board.add(0, np.array([0.0, 1.0]))
    assert board.uncertainty[0] != before
    board.add(0, np.array([0.0, -1.0]), people=-1)
    assert board.uncertainty[0] == pytest.approx(before) and board.people.tolist() == [3]


def test_a_learned_prior_makes_agreement_count_for_more_where_people_mostly_agree() -> None:
    generator = np.random.default_rng(3)
    sharp = np.eye(4)[generator.integers(0, 4, 60)] * 6
    board = Board(np.vstack([sharp, [[3.0, 0, 0, 0]]]), np.array([6] * 60 + [3]), ByNeed())
    before = board.uncertainty[-1]
    assert board.is_due
    board.learn()
    assert not board.is_due
    assert board.uncertainty[-1] < before / 2


@pytest.mark.parametrize(
    "make",
    [lambda: EveryClip(0), lambda: ByNeed(precision=0), lambda: ByNeed(precision=1.5), lambda: ByNeed(0.1, 5, 4)],
)
def test_a_plan_that_cannot_be_is_refused(make: object) -> None:
    with pytest.raises(DferError, match="expected"):
        make()  # type: ignore[operator]
