"""Seeds by purpose and place: what is drawn for one thing never depends on what is drawn for another."""

from __future__ import annotations

import itertools

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from dfer.training.randomness import Purpose, stream

PLACES = st.lists(st.integers(0, 2**31), min_size=0, max_size=3)


@given(seed=st.integers(0, 2**63), purpose=st.sampled_from(list(Purpose)), place=PLACES)
def test_a_seed_is_one_that_torch_and_numpy_take(seed: int, purpose: Purpose, place: list[int]) -> None:
    value = stream(seed, purpose, *place)
    assert 0 <= value < 2**63 and value == stream(seed, purpose, *place)
    np.random.default_rng(value)


def test_no_two_places_of_a_run_share_a_seed() -> None:
    seeds = [
        stream(seed, purpose, step, process)
        for seed, purpose, step, process in itertools.product(range(3), Purpose, range(200), range(4))
    ]
    assert len(set(seeds)) == len(seeds)


def test_the_numbers_of_the_purposes_are_fixed_since_they_are_part_of_what_a_seed_means() -> None:
    assert {purpose.name: purpose.value for purpose in Purpose} == {
        "WEIGHTS": 0, "VALIDATION": 1, "ORDER": 2, "JITTER": 3, "AUGMENT": 4, "MIX": 5, "MODEL": 6,
    }  # fmt: skip


def test_neighbouring_places_give_draws_that_look_independent() -> None:
    draws = np.array([np.random.default_rng(stream(0, Purpose.JITTER, step)).random() for step in range(2000)])
    correlation = float(np.corrcoef(draws[:-1], draws[1:])[0, 1])
    assert abs(correlation) < 0.1 and abs(draws.mean() - 0.5) < 0.03
