"""Losses for soft targets: (B, K) logits against (B, K) rows that sum to one, one number a clip (B,), in nats.

Cross-entropy is PyTorch's own: `torch.nn.functional.cross_entropy(logits, targets)`. KL is less than it by the entropy
of the targets, which no weight of the network can change. Their gradients are the same, so KL is no loss of its own.

`weight (K,)` weighs the term of each emotion, as `weight` of `torch.nn.functional.cross_entropy` does for such targets.
The mean over a batch is the sum over B; torch divides by the sum of the weights only where targets are class indices.

References:
    focal: Lin et al., ICCV 2017; for soft targets each emotion's term has its own factor.
    logit_adjusted: Menon et al., ICLR 2021.
    dirichlet_multinomial: the likelihood of the votes themselves, Minka, "Estimating a Dirichlet distribution", 2000.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

from dfer.training.config import Loss as LossSection

Loss = Callable[[Tensor, Tensor, Tensor], Tensor]


def js(logits: Tensor, targets: Tensor) -> Tensor:
    """Jensen-Shannon divergence of y and p for each clip, (B,), in [0, log 2].

    >>> round(js(torch.zeros(1, 2), torch.tensor([[1.0, 0.0]])).item(), 3)  # log(4/3) / 2 + log(4/3) / 4
    0.216
    """
    log_probs = F.log_softmax(logits, dim=1)
    log_middle = torch.logaddexp(log_probs, targets.log()) - math.log(2)
    from_targets = F.kl_div(log_middle, targets, reduction="none")
    from_probs = F.kl_div(log_middle, log_probs, reduction="none", log_target=True)
    return (from_targets + from_probs).sum(dim=1) / 2


def focal(logits: Tensor, targets: Tensor, *, gamma: float = 2.0, weight: Tensor | None = None) -> Tensor:
    """-Σ_k w_k (1 - p_k)^γ y_k log p_k for each clip, (B,): emotions that are found already weigh less.

    >>> round(focal(torch.zeros(1, 2), torch.tensor([[1.0, 0.0]]), gamma=2.0).item(), 3)  # a quarter of log 2
    0.173
    """
    log_probs = F.log_softmax(logits, dim=1)
    missing = -torch.expm1(log_probs)
    terms = missing.clamp(min=torch.finfo(logits.dtype).tiny) ** gamma * targets * log_probs
    return -(terms.sum(dim=1) if weight is None else terms @ weight)


def logit_adjusted(logits: Tensor, targets: Tensor, *, prior: Tensor, tau: float = 1.0) -> Tensor:
    """Cross-entropy of logits + τ log prior, (B,): the network learns what a balanced data set would show.

    Args:
        logits: (B, K).
        targets: (B, K).
        prior: (K,) each emotion's share of the training targets, above 0.
        tau: 0 is plain cross-entropy, 1 balances.
    """
    return F.cross_entropy(logits + tau * prior.log(), targets, reduction="none")


def dirichlet_multinomial(logits: Tensor, targets: Tensor, *, voters: Tensor) -> Tensor:
    """-log likelihood of the votes n = `voters` x `targets` under Dirichlet(exp(logits)), for each clip, (B,).

    The mean of that Dirichlet is softmax(logits), so a network trained so predicts like any other; the sum of
    exp(logits) says how sure it is of that mean. Votes mixed by MIDAS need not be whole numbers: Γ does not ask it.

    Args:
        logits: (B, K), kept within ±`LARGEST_LOGIT`.
        targets: (B, K).
        voters: (B,) how many people voted; 6 of 10 and 600 of 1000 are not the same evidence.
    """
    concentration = logits.clamp(-LARGEST_LOGIT, LARGEST_LOGIT).exp()
    counts, total = targets * voters[:, None], concentration.sum(dim=1)
    coefficient = torch.lgamma(voters + 1) - torch.lgamma(counts + 1).sum(dim=1)
    evidence = torch.lgamma(total) - torch.lgamma(total + voters)
    return -(coefficient + evidence + (_log_rising(concentration, counts)).sum(dim=1))


def _log_rising(start: Tensor, by: Tensor) -> Tensor:
    """log Γ(start + by) - log Γ(start), exactly 0 where `by` is 0."""
    return torch.where(by > 0, torch.lgamma(start + by) - torch.lgamma(start), torch.zeros(()).to(start))


LARGEST_LOGIT = 10.0
"""A Dirichlet of e^10 = 22,000 imagined votes is as sure as float32 can tell from certainty."""


def make_loss(section: LossSection, prior: Tensor, weight: Tensor | None = None) -> Loss:
    """The loss of a recipe: (logits (B, K), targets (B, K), voters (B,)) -> (B,).

    Args:
        section: `[loss]`.
        prior: (K,) each emotion's share of the training targets, on the device of the logits.
        weight: (K,) of each emotion, likewise; for a loss that is a sum over emotions: cross_entropy, focal.
    """
    if section.name == "cross_entropy":
        return lambda logits, targets, _: F.cross_entropy(logits, targets, weight=weight, reduction="none")
    if section.name == "js":
        return lambda logits, targets, _: js(logits, targets)
    if section.name == "focal":
        return lambda logits, targets, _: focal(logits, targets, gamma=section.gamma, weight=weight)
    if section.name == "logit_adjusted":
        return lambda logits, targets, _: logit_adjusted(logits, targets, prior=prior, tau=section.tau)
    return lambda logits, targets, voters: dirichlet_multinomial(logits, targets, voters=voters)
