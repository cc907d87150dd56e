"""The first layer whose output is not finite is named, and the network is left as it was."""

from __future__ import annotations

from collections import OrderedDict
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from dfer import DferError, Manifest, create_model
from dfer.training import fit, loop
from dfer.training.faults import first_not_finite

from .toy import toy_manifest, toy_recipe

CLIPS = torch.rand(2, 3, 4, 16, 16, generator=torch.Generator().manual_seed(0))


class Spoil(nn.Module):
    """Gives what it got, with one value replaced, packed in some way."""

    def __init__(self, value: float, pack: Any = lambda output: output) -> None:
        super().__init__()
        self.value, self.pack = value, pack

    def forward(self, clips: Tensor) -> Any:
        spoilt = clips.clone()
        spoilt.flatten()[3] = self.value
        return self.pack(spoilt)


class Unpack(nn.Module):
    """The tensor of a packed output."""

    def forward(self, packed: Any) -> Tensor:
        while not isinstance(packed, Tensor):
            packed = next(iter(packed.values())) if isinstance(packed, dict) else packed[0]
        return packed


class Own(nn.Module):
    """Divides by nought between its layers."""

    def __init__(self) -> None:
        super().__init__()
        self.before, self.after = nn.Flatten(), nn.Linear(3 * 4 * 16 * 16, 3)

    def forward(self, clips: Tensor) -> Tensor:
        return self.after(self.before(clips)) / 0


@pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf")])
@pytest.mark.parametrize(
    "pack",
    [lambda o: o, lambda o: (o, None), lambda o: [None, o], lambda o: {"x": o}, lambda o: OrderedDict(x=(o, [o]))],
)
def test_a_layer_is_named_whatever_it_packs_its_output_into(value: float, pack: Any) -> None:
    network = nn.Sequential(nn.Identity(), nn.Sequential(nn.ReLU(), Spoil(value, pack)))
    assert first_not_finite(network, CLIPS) == "1.1 (Spoil)"


def test_the_first_of_several_is_named_in_the_order_in_which_they_run() -> None:
    network = nn.Sequential(nn.Identity(), Spoil(float("nan")), nn.ReLU(), Spoil(float("inf")))
    assert first_not_finite(network, CLIPS) == "1 (Spoil)"
    packed = nn.Sequential(Spoil(float("nan"), lambda output: {"x": output}), Unpack())
    assert first_not_finite(packed, CLIPS) == "0 (Spoil)"


@pytest.mark.parametrize("name", ["tiny3d", "frame_gru", "r3d18"])
def test_in_a_network_of_ours_the_layer_with_a_ruined_weight_is_named(name: str) -> None:
    network = create_model(name, 3)
    assert first_not_finite(network, CLIPS) is None
    layers = [(path, layer) for path, layer in network.named_modules() if isinstance(layer, nn.Conv2d | nn.Conv3d)]
    path, layer = layers[len(layers) // 2]
    with torch.no_grad():
        layer.weight.fill_(float("nan"))
    assert first_not_finite(network, CLIPS) == f"{path} ({type(layer).__name__})"


def test_arithmetic_between_layers_is_the_networks_own_and_clips_may_be_at_fault() -> None:
    assert first_not_finite(Own(), CLIPS) == "the network itself (Own)"
    assert first_not_finite(Own(), torch.full((1, 3, 4, 16, 16), float("nan"))) == "the clips"


def test_the_network_and_the_random_generator_are_left_as_they_were() -> None:
    network = create_model("tiny3d", 3).train()
    before = {key: value.clone() for key, value in network.state_dict().items()}
    state = torch.get_rng_state()
    assert first_not_finite(network, CLIPS) is None
    assert all(torch.equal(value, before[key]) for key, value in network.state_dict().items())
    assert torch.equal(torch.get_rng_state(), state) and network.training
    assert not any(layer._forward_hooks for layer in network.modules())


def test_a_run_that_is_nan_at_its_first_step_names_the_layer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*given: Any, **options: Any) -> nn.Module:
        network = make(*given, **options)
        with torch.no_grad():
            network.blocks[1].conv2[0].weight.fill_(float("nan"))
        return network

    make = loop.make_network
    monkeypatch.setattr(loop, "make_network", broken)
    manifest = Manifest.read(toy_manifest(tmp_path / "toy", clips=24))
    with pytest.raises(
        DferError, match=r"the loss is nan at step 0, in fp32; .*that of blocks\.1\.conv2\.0 \(Conv3d\); clips"
    ):
        fit(toy_recipe(data={"subset": "all"}), manifest, tmp_path / "run", fold=1)
