"""Whom a clip is mixed with."""

from __future__ import annotations

import pytest
import torch

from dfer import Midas
from dfer.augment.pairing import PAIRINGS

TARGETS = torch.tensor([[1.0, 0.0, 0.0], [0.9, 0.1, 0.0], [0.5, 0.5, 0.0], [0.0, 0.0, 1.0]])


def partners(name: str, targets: torch.Tensor = TARGETS, draws: int = 400) -> torch.Tensor:
    """(draws, B) partners."""
    generator = torch.Generator().manual_seed(0)
    return torch.stack([PAIRINGS[name](targets, generator) for _ in range(draws)])


def shares(name: str, row: int) -> list[float]:
    chosen = partners(name, draws=3000)[:, row]
    return [round(float((chosen == other).float().mean()), 2) for other in range(4)]


@pytest.mark.parametrize("name", sorted(set(PAIRINGS) - {"random"}))
def test_nobody_is_their_own_partner_and_a_lone_clip_has_nobody_else(name: str) -> None:
    assert (partners(name) != torch.arange(4)).all()
    assert PAIRINGS[name](TARGETS[:1], torch.Generator()).tolist() == [0]


def test_similar_and_different_follow_the_overlap_of_the_labels() -> None:
    # row 0 shares 0.9 with row 1, 0.5 with row 2, nothing with row 3
    assert shares("similar", 0) == pytest.approx([0, 0.9 / 1.4, 0.5 / 1.4, 0], abs=0.03)
    assert shares("different", 0) == pytest.approx([0, 0.1 / 1.6, 0.5 / 1.6, 1.0 / 1.6], abs=0.03)


def test_ambiguous_prefers_the_clip_that_people_disagree_on() -> None:
    entropies = torch.tensor([0.0, 0.325, 0.693, 0.0])  # of rows 1 and 2: by hand
    expected = entropies / entropies.sum()
    assert shares("ambiguous", 3) == pytest.approx(expected.tolist(), abs=0.03)


def test_rare_prefers_emotions_that_the_batch_has_little_of() -> None:
    # masses 2.4, 0.6 and 1.0: weights 1/2.4, .9/2.4 + .1/.6, .5/2.4 + .5/.6, 1
    weights = torch.tensor([0.4167, 0.5417, 1.0417, 1.0])
    assert shares("rare", 0) == pytest.approx([0, *(weights[1:] / weights[1:].sum()).tolist()], abs=0.03)


def test_equal_labels_leave_it_to_chance() -> None:
    same = torch.eye(3)[[0, 0, 0]]
    for name in PAIRINGS:
        assert set(partners(name, same).flatten().tolist()) == {0, 1, 2}


@pytest.mark.parametrize("name", sorted(PAIRINGS))
def test_the_label_is_mixed_with_that_of_the_partner(name: str) -> None:
    clips = torch.arange(4.0).view(4, 1, 1, 1, 1)
    mixed = Midas(pairing=name)(clips, TARGETS, generator=torch.Generator().manual_seed(1))  # type: ignore[arg-type]
    expected = mixed.lam * clips.flatten() + (1 - mixed.lam) * clips.flatten()[mixed.partner]
    assert torch.allclose(mixed.clips.flatten(), expected)
