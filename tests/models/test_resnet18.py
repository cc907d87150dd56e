"""ResNet-18 against torchvision's published network, and the two networks for clips that it carries."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from dfer import create_model
from dfer.models.cost import cost_of
from dfer.models.resnet18 import Resnet18


def published() -> dict[str, tuple[int, ...]]:
    """Name -> shape of the state dict in torchvision's `resnet18` file, in its order."""
    shapes: dict[str, tuple[int, ...]] = {"conv1.weight": (64, 3, 7, 7)} | _norm("bn1", 64)
    channels = 64
    for stage, width in enumerate((64, 128, 256, 512), 1):
        for block in (0, 1):
            name = f"layer{stage}.{block}"
            shapes |= {f"{name}.conv1.weight": (width, channels, 3, 3)} | _norm(f"{name}.bn1", width)
            shapes |= {f"{name}.conv2.weight": (width, width, 3, 3)} | _norm(f"{name}.bn2", width)
            if channels != width:
                shapes |= {f"{name}.downsample.0.weight": (width, channels, 1, 1)}
                shapes |= _norm(f"{name}.downsample.1", width)
            channels = width
    return shapes | {"fc.weight": (1000, 512), "fc.bias": (1000,)}


def _norm(name: str, width: int) -> dict[str, tuple[int, ...]]:
    parts = ("weight", "bias", "running_mean", "running_var")
    return {f"{name}.{part}": (width,) for part in parts} | {f"{name}.num_batches_tracked": ()}


def by_the_paper(state: dict[str, Tensor], pictures: Tensor) -> Tensor:
    """The network of the published names, written out with functions only."""

    def conv(x: Tensor, weights: str, norm: str, stride: int = 1) -> Tensor:
        kernel = state[f"{weights}.weight"]
        x = F.conv2d(x, kernel, stride=stride, padding=kernel.shape[2] // 2)
        mean, var = state[f"{norm}.running_mean"], state[f"{norm}.running_var"]
        return F.batch_norm(x, mean, var, state[f"{norm}.weight"], state[f"{norm}.bias"])

    x = F.max_pool2d(F.relu(conv(pictures, "conv1", "bn1", 2)), 3, 2, 1)
    for stage in (1, 2, 3, 4):
        for block in (0, 1):
            name, stride = f"layer{stage}.{block}", 2 if stage > 1 and block == 0 else 1
            shortcut = conv(x, f"{name}.downsample.0", f"{name}.downsample.1", 2) if stride == 2 else x
            inner = F.relu(conv(x, f"{name}.conv1", f"{name}.bn1", stride))
            x = F.relu(conv(inner, f"{name}.conv2", f"{name}.bn2") + shortcut)
    return F.linear(F.adaptive_avg_pool2d(x, 1).flatten(1), state["fc.weight"], state["fc.bias"])


def alive(network: torch.nn.Module) -> torch.nn.Module:
    """Norms that do something."""
    for value in network.state_dict().values():
        if value.is_floating_point() and value.ndim == 1:
            value.copy_(torch.rand(value.shape) + 0.5)
    return network.eval()


def test_names_order_shapes_and_count_are_torchvisions() -> None:
    network = Resnet18(1000)
    assert {key: tuple(value.shape) for key, value in network.state_dict().items()} == published()
    assert list(network.state_dict()) == list(published())
    assert sum(value.numel() for value in network.parameters()) == 11_689_512


def test_it_computes_what_the_published_network_computes() -> None:
    torch.manual_seed(0)
    network, pictures = alive(Resnet18(6, width=8)), torch.rand(3, 3, 50, 70)
    with torch.no_grad():
        assert torch.allclose(network(pictures), by_the_paper(network.state_dict(), pictures), rtol=1e-4, atol=1e-4)


@pytest.mark.slow
def test_on_sixteen_frames_it_costs_what_the_field_counts_for_it() -> None:
    # 7.78 G multiplications and additions, counted as one, in the table of M3DFEL (CVPR 2023).
    cost = cost_of(create_model("resnet18_lstm", 7), (3, 16, 112, 112))
    assert cost.flops / 2e9 == pytest.approx(7.78, abs=0.05)


def test_the_lstm_reads_the_frames_from_the_first_to_the_last() -> None:
    torch.manual_seed(0)
    network, clips = create_model("resnet18_lstm", 5, width=4, hidden=6).eval(), torch.rand(2, 3, 3, 32, 32)
    state = network.state_dict()
    with torch.no_grad():
        hidden, cell = torch.zeros(2, 6), torch.zeros(2, 6)
        for frame in range(3):
            gates = network.get_submodule("encoder")(clips[:, :, frame]) @ state["lstm.weight_ih_l0"].T
            gates = gates + state["lstm.bias_ih_l0"] + hidden @ state["lstm.weight_hh_l0"].T + state["lstm.bias_hh_l0"]
            enter, forget, new, out = gates.chunk(4, dim=1)
            cell = forget.sigmoid() * cell + enter.sigmoid() * new.tanh()
            hidden = out.sigmoid() * cell.tanh()
        expected = hidden @ state["fc.weight"].T + state["fc.bias"]
        assert torch.allclose(network(clips), expected, atol=1e-5)


def test_frame_transformer_without_layers_is_the_mean_of_the_frames_in_any_order() -> None:
    torch.manual_seed(0)
    network, clips = create_model("frame_transformer", 5, width=4, layers=0).eval(), torch.rand(2, 3, 4, 32, 32)
    with torch.no_grad():
        assert torch.allclose(network(clips), network(clips[:, :, [2, 0, 3, 1]]), atol=1e-6)
        rows = torch.stack([network.get_submodule("encoder")(clips[:, :, frame]) for frame in range(4)], dim=1)
        expected = network.get_submodule("fc")(F.layer_norm(rows.mean(dim=1), (32,)))
    assert torch.allclose(network(clips), expected, atol=1e-5)
