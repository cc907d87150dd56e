"""Soft-target losses against PyTorch's own and scipy's."""

from __future__ import annotations

import doctest
from functools import partial
from typing import get_args

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.distance import jensenshannon
from scipy.stats import dirichlet_multinomial as reference_likelihood

from dfer.training import losses as module
from dfer.training.config import Loss
from dfer.training.losses import (
    dirichlet_multinomial,
    focal,
    js,
    logit_adjusted,
    make_loss,
)

cross_entropy = partial(F.cross_entropy, reduction="none")
NAMES = get_args(Loss.model_fields["name"].annotation)


def pair(seed: int, size: int = 6, emotions: int = 7) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    logits = 3 * torch.randn(size, emotions, generator=generator, dtype=torch.float64)
    targets = torch.softmax(3 * torch.randn(size, emotions, generator=generator, dtype=torch.float64), dim=1)
    targets[0] = F.one_hot(torch.tensor(2), emotions)
    return logits, targets


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 10_000))
def test_losses_equal_the_reference_implementations(seed: int) -> None:
    logits, targets = pair(seed)
    probs = torch.softmax(logits, dim=1)
    reference = jensenshannon(targets.numpy(), probs.numpy(), axis=1) ** 2
    assert np.allclose(js(logits, targets).numpy(), reference, atol=1e-9)


def test_js_is_the_hand_worked_one_and_its_gradient_that_of_finite_differences() -> None:
    # y = (1, 0), p = (1/2, 1/2), middle (3/4, 1/4): (log 4/3 + (log 2/3 + log 2) / 2) / 2
    even, one_hot = torch.zeros(1, 2, dtype=torch.float64), torch.tensor([[1.0, 0.0]], dtype=torch.float64)
    by_hand = (np.log(4 / 3) + (np.log(2 / 3) + np.log(2)) / 2) / 2
    assert float(js(even, one_hot)) == pytest.approx(by_hand)
    logits, targets = pair(6)
    assert torch.autograd.gradcheck(lambda values: js(values, targets), logits.requires_grad_())
    apart = js(torch.tensor([[500.0, -500.0]]), torch.tensor([[0.0, 1.0]]))
    assert float(apart) == pytest.approx(np.log(2))


@pytest.mark.parametrize("weight", [None, torch.linspace(0.5, 2, 7, dtype=torch.float64)])
def test_kl_is_no_loss_of_its_own_for_cross_entropy_has_its_gradients(weight: torch.Tensor | None) -> None:
    logits, targets = pair(0)

    def kl(logits: torch.Tensor) -> torch.Tensor:
        terms = F.kl_div(F.log_softmax(logits, dim=1), targets, reduction="none")
        return terms.sum() if weight is None else (terms * weight).sum()

    leaf, other = logits.clone().requires_grad_(), logits.clone().requires_grad_()
    make_loss(Loss(), torch.ones(7), weight)(leaf, targets, torch.ones(6)).sum().backward()
    kl(other).backward()
    assert leaf.grad is not None and other.grad is not None and torch.allclose(leaf.grad, other.grad)


def test_losses_stay_finite_on_extreme_logits() -> None:
    logits = torch.tensor([[200.0, -200.0, 0.0]], requires_grad=True)
    for name in NAMES:
        loss = make_loss(Loss(name=name), torch.full((3,), 1 / 3))
        value = loss(logits, torch.tensor([[0.0, 1.0, 0.0]]), torch.tensor([10.0])).sum()
        (gradient,) = torch.autograd.grad(value, logits)
        assert torch.isfinite(value) and torch.isfinite(gradient).all(), name


WEIGHTS = torch.linspace(0.5, 2, 7, dtype=torch.float64)


def test_class_weights_are_those_of_torch_for_soft_and_for_one_hot_rows() -> None:
    logits, targets = pair(3)
    for rows in (targets, F.one_hot(torch.tensor([0, 1, 2, 3, 4, 5]), 7).double()):
        ours = make_loss(Loss(), torch.ones(7), WEIGHTS)(logits, rows, torch.ones(6))
        assert torch.allclose(ours.mean(), F.cross_entropy(logits, rows, weight=WEIGHTS))
        assert torch.allclose(ours, -(WEIGHTS * rows * F.log_softmax(logits, dim=1)).sum(dim=1))


def test_class_weights_on_labels_are_those_of_torch_but_for_the_mean_weight_of_the_batch() -> None:
    logits, _ = pair(3)
    labels = torch.tensor([0, 1, 2, 3, 4, 5])
    ours = cross_entropy(logits, F.one_hot(labels, 7).double(), weight=WEIGHTS).mean()
    assert torch.allclose(ours / WEIGHTS[labels].mean(), F.cross_entropy(logits, labels, weight=WEIGHTS))


def test_weighted_focal_follows_weighted_cross_entropy() -> None:
    logits, targets = pair(5)
    plain = focal(logits, targets, gamma=0.0, weight=WEIGHTS)
    assert torch.allclose(plain, cross_entropy(logits, targets, weight=WEIGHTS))
    ones = torch.ones(7, dtype=torch.float64)
    for loss in (cross_entropy, focal):
        assert torch.allclose(loss(logits, targets, weight=ones), loss(logits, targets))


def test_focal_without_gamma_is_cross_entropy_and_on_one_hot_rows_the_published_formula() -> None:
    logits, targets = pair(1)
    assert torch.allclose(focal(logits, targets, gamma=0.0), cross_entropy(logits, targets))
    labels = torch.tensor([0, 1, 2, 3, 4, 5])
    right = torch.softmax(logits, dim=1)[torch.arange(6), labels]
    published = -((1 - right) ** 2) * right.log()
    assert torch.allclose(focal(logits, F.one_hot(labels, 7).double(), gamma=2.0), published)


def test_adjusting_by_an_even_prior_changes_nothing_and_by_another_one_moves_the_logits() -> None:
    logits, targets = pair(2)
    even, uneven = torch.full((7,), 1 / 7, dtype=torch.float64), torch.softmax(torch.arange(7.0).double(), dim=0)
    assert torch.allclose(logit_adjusted(logits, targets, prior=even), cross_entropy(logits, targets))
    shifted = F.cross_entropy(logits + 0.5 * uneven.log(), targets, reduction="none")
    assert torch.allclose(logit_adjusted(logits, targets, prior=uneven, tau=0.5), shifted)


@pytest.mark.parametrize(("concentration", "nats"), [((1, 2, 7), 2.8873), ((10, 20, 70), 2.2286)])
def test_the_likelihood_of_votes_is_the_published_one(concentration: tuple[int, ...], nats: float) -> None:
    logits = torch.tensor([concentration], dtype=torch.float64).log()
    shares = torch.tensor([[0.1, 0.2, 0.7]], dtype=torch.float64)
    value = float(dirichlet_multinomial(logits, shares, voters=torch.tensor([10.0], dtype=torch.float64)))
    assert round(value, 4) == nats
    assert np.isclose(value, -reference_likelihood.logpmf([1, 2, 7], concentration, 10))


def test_more_voters_of_the_same_shares_are_more_evidence() -> None:
    logits, shares = torch.zeros(1, 2), torch.tensor([[1.0, 0.0]])
    few, many = (float(dirichlet_multinomial(logits, shares, voters=torch.tensor([n]))) for n in (1.0, 100.0))
    assert many > few
    assert np.isclose(few, np.log(2))


def test_a_recipe_names_its_loss() -> None:
    logits, targets = pair(4)
    prior, voters = torch.softmax(torch.arange(7.0).double(), dim=0), torch.full((6,), 10.0, dtype=torch.float64)
    named = {name: make_loss(Loss(name=name, gamma=1.5, tau=0.7), prior)(logits, targets, voters) for name in NAMES}
    assert torch.equal(named["cross_entropy"], cross_entropy(logits, targets))
    assert torch.equal(named["js"], js(logits, targets))
    assert torch.equal(named["focal"], focal(logits, targets, gamma=1.5))
    assert torch.equal(named["logit_adjusted"], logit_adjusted(logits, targets, prior=prior, tau=0.7))
    assert torch.equal(named["dirichlet_multinomial"], dirichlet_multinomial(logits, targets, voters=voters))


def test_the_examples_of_the_losses_are_right() -> None:
    done = doctest.testmod(module)
    assert done.attempted == 2 and not done.failed
