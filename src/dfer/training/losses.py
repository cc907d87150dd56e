"""Losses for soft targets: (B, K) logits against (B, K) rows that sum to one, each a mean over the batch in nats.

Cross-entropy and KL differ by the entropy of the targets, which no weight can change: their gradients are the
same, and KL reads better in a log since its least value is 0.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

Loss = Callable[[Tensor, Tensor], Tensor]


def cross_entropy(logits: Tensor, targets: Tensor) -> Tensor:
    """-Σ_k y_k log p_k for each clip, (B,)."""
    losses: Tensor = -(targets * F.log_softmax(logits, dim=1)).sum(dim=1)
    return losses


def kl(logits: Tensor, targets: Tensor) -> Tensor:
    """KL(y ‖ p) for each clip, (B,), >= 0."""
    entropy: Tensor = -torch.special.xlogy(targets, targets).sum(dim=1)
    return cross_entropy(logits, targets) - entropy


def js(logits: Tensor, targets: Tensor) -> Tensor:
    """Jensen-Shannon divergence of y and p for each clip, (B,), in [0, log 2]."""
    log_probs = F.log_softmax(logits, dim=1)
    probs = log_probs.exp()
    log_middle = torch.log(((probs + targets) / 2).clamp(min=torch.finfo(probs.dtype).tiny))
    from_targets = (torch.special.xlogy(targets, targets) - targets * log_middle).sum(dim=1)
    from_probs = (probs * (log_probs - log_middle)).sum(dim=1)
    divergences: Tensor = (from_targets + from_probs) / 2
    return divergences


LOSSES: dict[str, Loss] = {"cross_entropy": cross_entropy, "kl": kl, "js": js}


def weighted_mean(losses: Tensor, targets: Tensor, class_weights: Tensor | None = None) -> Tensor:
    """The mean of (B,) losses, each clip weighing as its soft label says: Σ_k y_k w_k."""
    if class_weights is None:
        return losses.mean()
    weights = targets @ class_weights
    return (losses * weights).sum() / weights.sum()


def balanced_weights(targets: Tensor) -> Tensor:
    """(N, K) targets -> (K,) weights inverse to each emotion's mass, mean 1 over the emotions that occur."""
    mass = targets.sum(dim=0)
    weights = torch.where(mass > 0, 1 / mass.clamp(min=1e-12), torch.zeros(()))
    return weights / weights[mass > 0].mean()
