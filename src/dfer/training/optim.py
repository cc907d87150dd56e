"""The optimiser, its schedule and the moving average of the weights."""

from __future__ import annotations

import math

import torch
from torch import nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from dfer.training.config import Optim
from dfer.training.layers import layers_behind


def learning_rate(optim: Optim, step: int, steps_per_epoch: int) -> float:
    """Linear warm-up from `lr` / steps to `lr`, then half a cosine down to `min_lr` at the last step."""
    warmup, total = optim.warmup_epochs * steps_per_epoch, optim.epochs * steps_per_epoch
    if step < warmup:
        return optim.lr * min(1.0, (step + 1) / warmup)  # a warm-up need not be of whole steps
    progress = (step - warmup) / max(1, total - 1 - warmup)
    return optim.min_lr + (optim.lr - optim.min_lr) * (1 + math.cos(math.pi * min(1.0, progress))) / 2


def make_optimizer(network: nn.Module, optim: Optim) -> torch.optim.Optimizer:
    """AdamW or SGD with momentum; weights of one dimension (biases, norms) are not decayed, frozen ones are left out.

    A group has "share", its part of the learning rate: `layer_decay` to the power of the layers behind it, see
    `dfer.training.layers`. `set_rate` sets the rates.
    """
    behind = layers_behind(network) if optim.layer_decay < 1 else {}
    grouped: dict[tuple[int, bool], list[nn.Parameter]] = {(0, True): [], (0, False): []}
    for name, weight in network.named_parameters():
        if weight.requires_grad:
            grouped.setdefault((behind.get(name, 0), weight.ndim > 1), []).append(weight)
    groups = [
        {"params": weights, "weight_decay": optim.weight_decay if decays else 0.0, "share": optim.layer_decay**layers}
        for (layers, decays), weights in grouped.items()
    ]
    if optim.name == "sgd":
        return torch.optim.SGD(groups, lr=optim.lr, momentum=optim.momentum)
    return torch.optim.AdamW(groups, lr=optim.lr)


def set_rate(optimizer: torch.optim.Optimizer, rate: float) -> None:
    """Set the learning rate of a step; a group of `make_optimizer` gets its share of it."""
    for group in optimizer.param_groups:
        group["lr"] = rate * group["share"]


def moving_average(network: nn.Module, decay: float) -> AveragedModel:
    """A copy of the network whose weights and buffers follow it with the given decay."""
    average = get_ema_multi_avg_fn(decay)  # type: ignore[no-untyped-call]
    return AveragedModel(network, multi_avg_fn=average, use_buffers=True)
