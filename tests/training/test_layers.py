"""Layers in order, their learning rates, and frozen weights."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from dfer import DferError, create_model
from dfer.training.config import Optim
from dfer.training.layers import freeze, layers_behind
from dfer.training.optim import make_optimizer, set_rate


class Own(nn.Module):
    """Four layers: two convolutions, each with its norm, a list of one, and a head."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Sequential(nn.Conv2d(4, 4, 3)))
        self.norm = nn.BatchNorm2d(4)
        self.parts = nn.ModuleList([nn.Linear(4, 4)])
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.head = nn.Linear(4, 2)


def test_the_layers_of_any_network_are_its_children_in_order_and_norms_belong_to_the_one_before() -> None:
    assert layers_behind(Own()) == {
        "first.0.weight": 3, "first.0.bias": 3, "first.1.weight": 3, "first.1.bias": 3,
        "first.3.0.weight": 2, "first.3.0.bias": 2, "norm.weight": 2, "norm.bias": 2,
        "parts.0.weight": 1, "parts.0.bias": 1, "head.weight": 0, "head.bias": 0,
    }  # fmt: skip


def test_a_network_with_stages_has_these_as_layers_and_what_comes_before_as_one() -> None:
    behind = layers_behind(create_model("frame_gru", 8, widths=[8, 8, 8, 8], hidden=0))  # blocks encoder.3 to encoder.6
    assert behind["encoder.0.weight"] == behind["encoder.1.bias"] == 5
    assert [behind[f"encoder.{block}.conv1.weight"] for block in (3, 4, 5, 6)] == [4, 3, 2, 1]
    assert behind["attention.weight"] == 1 and behind["head.weight"] == 0
    others = {"r3d18": "fc", "m3dfel": "fc", "tiny3d": "head"}
    for name, head in others.items():
        found = layers_behind(create_model(name, 7, width=8))
        assert found[f"{head}.bias"] == 0 and next(iter(found.values())) == max(found.values()) > 2


@pytest.mark.parametrize("name", ["adamw", "sgd"])
def test_a_layer_learns_at_its_share_of_the_rate_of_the_layer_behind_it(name: str) -> None:
    network = Own()
    optimizer = make_optimizer(network, Optim.model_validate({"name": name, "layer_decay": 0.5, "weight_decay": 0.1}))
    set_rate(optimizer, 0.8)
    rates = {id(weight): group["lr"] for group in optimizer.param_groups for weight in group["params"]}
    decays = {id(weight): group["weight_decay"] for group in optimizer.param_groups for weight in group["params"]}
    expected = {"first.0": 0.1, "first.1": 0.1, "first.3": 0.2, "norm": 0.2, "parts": 0.4, "head": 0.8}
    for key, weight in network.named_parameters():
        assert rates[id(weight)] == pytest.approx(next(v for k, v in expected.items() if key.startswith(k)))
        assert decays[id(weight)] == (0.1 if weight.ndim > 1 else 0)
    assert optimizer.param_groups[0]["lr"] == 0.8, "the log tells the rate of the last layer"


def test_one_step_of_sgd_moves_each_layer_by_its_share() -> None:
    torch.manual_seed(0)
    network = nn.Sequential(nn.Linear(3, 4), nn.Linear(4, 2)).double()
    optimizer = make_optimizer(network, Optim(name="sgd", momentum=0, weight_decay=0, layer_decay=0.25))
    before = [weight.clone() for weight in network.parameters()]
    network(torch.ones(1, 3).double()).square().sum().backward()
    set_rate(optimizer, 0.1)
    optimizer.step()
    for weight, former, rate in zip(network.parameters(), before, (0.025, 0.025, 0.1, 0.1), strict=True):
        assert weight.grad is not None and torch.allclose(weight, former - rate * weight.grad)


@pytest.mark.parametrize(
    ("patterns", "kept"),
    [
        (("first.*", "norm.*"), {"parts.0.weight", "parts.0.bias", "head.weight", "head.bias"}),
        (("first", "norm", "parts"), {"head.weight", "head.bias"}),
        (("*.bias", "first.?.weight", "first.3.0.*", "norm"), {"parts.0.weight", "head.weight"}),
        ((), None),
    ],
)
def test_weights_are_frozen_by_pattern(patterns: tuple[str, ...], kept: set[str] | None) -> None:
    network = Own()
    freeze(network, patterns)
    trained = {name for name, weight in network.named_parameters() if weight.requires_grad}
    assert trained == (kept if kept is not None else {name for name, _ in network.named_parameters()})


def test_weights_that_a_network_froze_itself_stay_frozen() -> None:
    network = create_model("mae_dfer", 3, features=8, heads=2, depth=1, frames=4)
    freeze(network, ("patch_embed",))
    frozen = {name for name, weight in network.named_parameters() if not weight.requires_grad}
    assert (
        frozen == {name for name in frozen if name.startswith(("blocks.0.third_attn", "patch_embed"))}
        and len(frozen) > 8
    )


def test_layers_that_are_frozen_whole_come_back() -> None:
    network = Own()
    frozen = freeze(network, ("first.*", "norm.weight"))
    assert network.first in frozen and network.first[1] in frozen
    assert network.norm not in frozen and network.head not in frozen and network not in frozen


@pytest.mark.parametrize(
    ("patterns", "said"),
    [(("frst.*",), "no weight is called frst"), (("first.*", "heat"), r"is called heat \(did you mean 'head'"),
     (("*",), "leaves no weight to train"), (("first", "norm", "parts", "head"), "leaves no weight to train")],
)  # fmt: skip
def test_a_pattern_that_is_wrong_is_one_sentence(patterns: tuple[str, ...], said: str) -> None:
    with pytest.raises(DferError, match=said) as caught:
        freeze(Own(), patterns)
    assert "\n" not in str(caught.value)
