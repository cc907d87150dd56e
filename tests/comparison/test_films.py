"""Groups of films against scipy's permutation test, and the level of the test on groups that do not differ."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import permutation_test

from dfer.comparison.films import compare_films
from dfer.errors import DferError


def apart(one: np.ndarray, other: np.ndarray) -> float:
    return float(((one.mean(axis=0) - other.mean(axis=0)) ** 2).sum())


def test_p_is_that_of_scipy_over_all_groupings() -> None:
    generator = np.random.default_rng(2)
    one, other = generator.dirichlet(np.ones(3), 5), generator.dirichlet([3.0, 1, 1], 4)
    wanted = permutation_test(
        (np.arange(5), np.arange(5, 9)),
        lambda a, b: apart(np.vstack([one, other])[a.astype(int)], np.vstack([one, other])[b.astype(int)]),
        n_resamples=np.inf, vectorized=False, alternative="greater",
    )  # fmt: skip
    found = compare_films(one, other)
    assert found.exact and found.p == pytest.approx(wanted.pvalue)
    assert found.means[0] == pytest.approx(one.mean(axis=0))


def test_groups_that_do_not_differ_are_told_apart_no_more_often_than_the_level_says() -> None:
    generator = np.random.default_rng(3)
    ps = [compare_films(*generator.dirichlet(np.ones(4), (2, 4)), seed=n).p for n in range(300)]
    # of 300, at 5 %, 24 or fewer are rejected with probability .99 and more
    assert sum(p <= 0.05 for p in ps) <= 24


def test_three_films_cannot_be_told_apart_and_equal_ones_are_equal() -> None:
    assert compare_films([[1.0, 0.0]], [[0.0, 1.0], [0.0, 1.0]]).p == pytest.approx(1 / 3)
    assert compare_films([[0.5, 0.5]] * 4, [[0.5, 0.5]] * 4).p == 1.0


def test_many_films_are_drawn_the_same_way_each_time_and_a_real_difference_is_found() -> None:
    generator = np.random.default_rng(5)
    one, other = generator.dirichlet([5.0, 1, 1], 20), generator.dirichlet([1.0, 1, 5], 20)
    first, second = (compare_films(one, other, seed=1) for _ in range(2))
    assert first.p == second.p == pytest.approx(1e-4) and not first.exact
    inside = (first.intervals[..., 0] <= first.means) & (first.means <= first.intervals[..., 1])
    assert inside.all()


def test_one_film_has_no_interval() -> None:
    assert np.isnan(compare_films([[1.0, 0.0]], [[0.0, 1.0], [0.2, 0.8]]).intervals[0]).all()


@pytest.mark.parametrize(("one", "other"), [([], [[1.0]]), ([[1.0]], [[0.5, 0.5]]), ([1.0], [[1.0]])])
def test_groups_that_cannot_be_compared_are_refused(one: list[object], other: list[object]) -> None:
    with pytest.raises(DferError, match="two groups of films"):
        compare_films(one, other)  # type: ignore[arg-type]
