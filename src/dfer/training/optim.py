"""The optimiser, its schedule and the moving average of the weights."""

from __future__ import annotations

import math

import torch
from torch import nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from dfer.training.config import Optim


def learning_rate(optim: Optim, step: int, steps_per_epoch: int) -> float:
    """Linear warm-up from `lr` / steps to `lr`, then half a cosine down to `min_lr` at the last step."""
    warmup, total = optim.warmup_epochs * steps_per_epoch, optim.epochs * steps_per_epoch
    if step < warmup:
        return optim.lr * min(1.0, (step + 1) / warmup)  # a warm-up need not be of whole steps
    progress = (step - warmup) / max(1, total - 1 - warmup)
    return optim.min_lr + (optim.lr - optim.min_lr) * (1 + math.cos(math.pi * min(1.0, progress))) / 2


def make_optimizer(network: nn.Module, optim: Optim) -> torch.optim.Optimizer:
    """AdamW or SGD with momentum; weights of one dimension (biases, norms) are not decayed."""
    weights = [weight for weight in network.parameters() if weight.requires_grad]
    groups = [
        {"params": [weight for weight in weights if weight.ndim > 1], "weight_decay": optim.weight_decay},
        {"params": [weight for weight in weights if weight.ndim <= 1], "weight_decay": 0.0},
    ]
    if optim.name == "sgd":
        return torch.optim.SGD(groups, lr=optim.lr, momentum=optim.momentum)
    return torch.optim.AdamW(groups, lr=optim.lr)


def moving_average(network: nn.Module, decay: float) -> AveragedModel:
    """A copy of the network whose weights and buffers follow it with the given decay."""
    average = get_ema_multi_avg_fn(decay)  # type: ignore[no-untyped-call]
    return AveragedModel(network, multi_avg_fn=average, use_buffers=True)
