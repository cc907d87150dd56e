"""The validation cut: no group on both sides, each label's share, the same from the same generator."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dfer.errors import DferError
from dfer.evaluation import cut_validation


@given(st.integers(0, 2**32 - 1), st.integers(2, 200), st.floats(0.05, 0.9), st.integers(2, 30), st.booleans())
def test_no_group_is_split_and_both_sides_have_clips(
    seed: int, clips: int, share: float, groups: int, some_unknown: bool
) -> None:
    generator = np.random.default_rng(seed)
    names = np.array([f"film {number}" for number in generator.integers(0, groups, clips)], dtype=object)
    names[:2] = ["film a", "film b"]
    if some_unknown:
        names[generator.random(clips) < 0.3] = ""
        names[:2] = ["film a", ""]
    mask = cut_validation(names, generator.integers(-1, 7, clips), share, generator)
    assert mask.dtype == bool and mask.shape == (clips,) and 0 < mask.sum() < clips
    assert not set(names[mask]) & set(names[~mask]) - {""}


@given(st.integers(0, 2**32 - 1), st.integers(2, 300), st.floats(0.01, 0.99), st.integers(1, 8))
def test_without_groups_every_label_gives_its_share_to_within_one_clip(
    seed: int, clips: int, share: float, labels: int
) -> None:
    generator = np.random.default_rng(seed)
    positions = generator.integers(-1, labels, clips)
    mask = cut_validation([""] * clips, positions, share, generator)
    assert mask.sum() == np.clip(round(share * clips), 1, clips - 1)
    for label in np.unique(positions):
        of_label = positions == label
        assert abs(mask[of_label].sum() - of_label.sum() * mask.mean()) < 1 + 1e-9


@pytest.mark.parametrize("groups", [[""] * 60, [f"person {row % 20}" for row in range(60)]])
def test_the_cut_depends_on_the_generator_alone(groups: list[str]) -> None:
    labels = np.arange(60) % 7

    def cut(seed: int) -> list[bool]:
        return cut_validation(groups, labels, 0.2, np.random.default_rng(seed)).tolist()

    assert cut(5) == cut(5)
    assert len({tuple(cut(seed)) for seed in range(10)}) > 5


def test_groups_of_very_different_size_still_give_about_the_share_of_each_label() -> None:
    generator = np.random.default_rng(0)
    sizes = generator.integers(1, 40, 100)
    groups = np.repeat([f"film {number}" for number in range(100)], sizes)
    labels = generator.choice(7, len(groups), p=[0.2, 0.15, 0.22, 0.18, 0.13, 0.02, 0.1])
    mask = cut_validation(groups, labels, 0.2, generator)
    assert mask.mean() == pytest.approx(0.2, abs=0.02)
    shares = np.bincount(labels[mask], minlength=7) / np.bincount(labels)
    assert np.abs(shares - 0.2).max() < 0.12


def test_one_group_or_one_clip_cannot_be_cut() -> None:
    generator = np.random.default_rng(0)
    with pytest.raises(DferError, match=r"one group \('film a'\)"):
        cut_validation(["film a"] * 5, [0, 1, 2, 0, 1], 0.2, generator)
    with pytest.raises(DferError, match=r"from 1 clip\(s\)"):
        cut_validation([""], [0], 0.2, generator)
    with pytest.raises(DferError, match=r"from 0 clip\(s\)"):
        cut_validation([], [], 0.2, generator)


@pytest.mark.parametrize("share", [0, 1, -0.1, np.nan])
def test_a_share_that_leaves_nothing_is_refused(share: float) -> None:
    with pytest.raises(DferError, match="share above 0 and below 1"):
        cut_validation(["a", "b"], [0, 1], share, np.random.default_rng(0))


def test_groups_and_labels_must_belong_together() -> None:
    with pytest.raises(DferError, match="expected a label for each"):
        cut_validation(["a", "b"], [0], 0.5, np.random.default_rng(0))
