"""Soft-target losses against PyTorch's own and scipy's."""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.distance import jensenshannon

from dfer.training.losses import LOSSES, balanced_weights, cross_entropy, js, kl, weighted_mean


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
    assert torch.allclose(cross_entropy(logits, targets), F.cross_entropy(logits, targets, reduction="none"))
    assert torch.allclose(kl(logits, targets), F.kl_div(probs.log(), targets, reduction="none").sum(dim=1))
    reference = jensenshannon(targets.numpy(), probs.numpy(), axis=1) ** 2
    assert np.allclose(js(logits, targets).numpy(), reference, atol=1e-9)


def test_cross_entropy_and_kl_have_the_same_gradient() -> None:
    logits, targets = pair(0)
    gradients = []
    for loss in (cross_entropy, kl):
        leaf = logits.clone().requires_grad_()
        loss(leaf, targets).sum().backward()
        gradients.append(leaf.grad)
    assert torch.allclose(gradients[0], gradients[1])


def test_losses_stay_finite_on_extreme_logits() -> None:
    logits = torch.tensor([[200.0, -200.0, 0.0]], requires_grad=True)
    for loss in LOSSES.values():
        value = loss(logits, torch.tensor([[0.0, 1.0, 0.0]])).sum()
        (gradient,) = torch.autograd.grad(value, logits)
        assert torch.isfinite(value) and torch.isfinite(gradient).all()


def test_class_weights_on_one_hot_rows_equal_torchs_weighted_cross_entropy() -> None:
    logits, _ = pair(3)
    labels, weights = torch.tensor([0, 1, 2, 3, 4, 5]), torch.linspace(0.5, 2, 7, dtype=torch.float64)
    targets = F.one_hot(labels, 7).double()
    ours = weighted_mean(cross_entropy(logits, targets), targets, weights)
    assert torch.allclose(ours, F.cross_entropy(logits, labels, weight=weights))


def test_balanced_weights_give_each_emotion_the_same_mass() -> None:
    targets = torch.tensor([[1.0, 0.0, 0.0], [1.0, 0.0, 0.0], [0.0, 1.0, 0.0]])
    weights = balanced_weights(targets)
    mass = (targets * weights).sum(dim=0)
    assert torch.allclose(mass[:2], mass[:1].expand(2)) and weights[2] == 0
