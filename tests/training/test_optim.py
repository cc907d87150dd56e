"""The schedule against hand-worked values, the optimiser's groups, the moving average against its recursion."""

from __future__ import annotations

import copy
import math

import pytest
import torch
from torch import nn

from dfer.training.config import Optim
from dfer.training.optim import learning_rate, make_optimizer, moving_average


def rates(optim: Optim, steps_per_epoch: int) -> list[float]:
    return [learning_rate(optim, step, steps_per_epoch) for step in range(optim.epochs * steps_per_epoch)]


def test_the_schedule_is_a_ramp_and_then_half_a_cosine() -> None:
    # Two steps of warm-up, then a cosine over steps 2 ... 6: at 0, 45, 90, 135 and 180 degrees.
    ours = rates(Optim(lr=0.8, min_lr=0.2, epochs=7, warmup_epochs=2), steps_per_epoch=1)
    half, slope = 0.5, 0.3 * math.sqrt(0.5)
    assert ours == pytest.approx([0.4, 0.8, 0.8, half + slope, half, half - slope, 0.2])


def test_the_schedule_is_torchs_cosine_when_there_is_no_warm_up() -> None:
    optim = Optim(lr=0.1, min_lr=0.01, epochs=3, warmup_epochs=0)
    reference = torch.optim.SGD([nn.Parameter(torch.zeros(1))], lr=0.1)
    cosine = torch.optim.lr_scheduler.CosineAnnealingLR(reference, T_max=11, eta_min=0.01)
    expected = []
    for _ in range(12):
        expected.append(reference.param_groups[0]["lr"])
        reference.step()
        cosine.step()
    assert rates(optim, steps_per_epoch=4) == pytest.approx(expected)


def test_a_warm_up_of_part_of_an_epoch_counts_steps() -> None:
    assert rates(Optim(lr=1.0, min_lr=0, epochs=1, warmup_epochs=0.5), steps_per_epoch=8)[:4] == [0.25, 0.5, 0.75, 1.0]


@pytest.mark.parametrize(("epochs", "steps"), [(0.3, 5), (0.5, 3), (1.1, 7), (0.01, 10)])
def test_a_warm_up_that_ends_within_a_step_never_exceeds_the_full_rate(epochs: float, steps: int) -> None:
    ours = rates(Optim(lr=0.8, min_lr=0, epochs=3, warmup_epochs=epochs), steps)
    assert max(ours) == pytest.approx(0.8) and ours[0] == pytest.approx(0.8 * min(1, 1 / (epochs * steps)))


def test_a_warm_up_longer_than_the_run_only_ramps() -> None:
    assert rates(Optim(lr=1.0, epochs=2, warmup_epochs=4), steps_per_epoch=2) == [1 / 8, 2 / 8, 3 / 8, 4 / 8]


def test_a_run_of_one_step_trains_at_the_full_rate() -> None:
    assert rates(Optim(lr=0.3, epochs=1, warmup_epochs=0), steps_per_epoch=1) == [pytest.approx(0.3)]


@pytest.mark.parametrize(("name", "kind"), [("adamw", torch.optim.AdamW), ("sgd", torch.optim.SGD)])
def test_only_weights_of_more_than_one_dimension_decay_and_frozen_ones_stay_out(name: str, kind: type) -> None:
    network = nn.Sequential(nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2), nn.Linear(2, 3))
    network[2].weight.requires_grad_(False)
    optimizer = make_optimizer(network, Optim.model_validate({"name": name, "weight_decay": 0.3}))
    assert isinstance(optimizer, kind)
    decayed, plain = optimizer.param_groups
    assert [id(weight) for weight in decayed["params"]] == [id(network[0].weight)] and decayed["weight_decay"] == 0.3
    expected = [network[0].bias, network[1].weight, network[1].bias, network[2].bias]
    assert [id(weight) for weight in plain["params"]] == [id(weight) for weight in expected]
    assert plain["weight_decay"] == 0


def test_the_moving_average_follows_weights_and_buffers_as_its_recursion_says() -> None:
    network, decay = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4)), 0.9
    average = moving_average(network, decay)
    generator = torch.Generator().manual_seed(0)
    expected: dict[str, torch.Tensor] = {}
    for step in range(6):
        for value in (*network.parameters(), network[1].running_mean, network[1].running_var):
            value.data.add_(torch.randn(value.shape, generator=generator))
        average.update_parameters(network)
        now = {key: value.clone().double() for key, value in network.state_dict().items() if value.is_floating_point()}
        expected = now if step == 0 else {key: decay * expected[key] + (1 - decay) * now[key] for key in now}
    ours = average.module.state_dict()
    for key, value in expected.items():
        assert torch.allclose(ours[key].double(), value, atol=1e-6), key


def test_the_moving_average_is_a_copy() -> None:
    network = nn.Linear(2, 2)
    average = moving_average(network, 0.5)
    before = copy.deepcopy(network.state_dict())
    average.module.weight.data.fill_(7.0)
    assert all(torch.equal(value, before[key]) for key, value in network.state_dict().items())
