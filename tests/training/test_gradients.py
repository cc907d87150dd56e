"""Gradients in the precision that training chooses are those of fp32, whatever memory held before."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from dfer import DferError, create_model
from dfer.training import gradients
from dfer.training.gradients import (
    POISONS,
    TOLERANCES,
    Layer,
    choose_precision,
    gradient_error,
    layers_called,
    poison_memory,
    wrong_gradients,
)
from dfer.training.precision import Precision, autocast, has_bf16
from dfer.training.system import CLIPS

CPU = torch.device("cpu")


def layer(function: Callable[..., Tensor], clips: tuple[int, ...], weight: tuple[int, ...], **options: Any) -> Layer:
    return Layer(function, (clips, weight, weight[:1]), tuple(options.items()))


DANGEROUS = [
    layer(torch.conv3d, (2, 64, 2, 6, 6), (64, 64, 3, 1, 1), padding=(1, 0, 0)),
    layer(torch.conv3d, (2, 96, 2, 3, 3), (96, 96, 3, 1, 1), stride=(2, 1, 1), padding=(1, 0, 0)),
    layer(torch.conv3d, (2, 128, 2, 4, 4), (64, 128, 3, 3, 3), padding=1),
    layer(torch.conv3d, (2, 64, 1, 2, 2), (128, 64, 3, 3, 3), padding=1),
    layer(torch.conv3d, (2, 64, 4, 5, 5), (64, 64, 5, 1, 1), padding=(2, 0, 0)),
    layer(torch.conv3d, (2, 64, 6, 6, 6), (64, 64, 5, 3, 3), stride=(3, 1, 1), padding=(4, 1, 1)),
    layer(torch.conv3d, (1, 64, 3, 4, 4), (64, 64, 3, 3, 3), padding=(2, 1, 1), dilation=(2, 1, 1)),
    layer(torch.conv2d, (4, 64, 1, 1), (64, 64, 3, 3), stride=2, padding=1),
    layer(torch.conv2d, (4, 128, 2, 2), (64, 128, 7, 7), padding=3),
    layer(torch.conv2d, (4, 64, 2, 5), (64, 64, 4, 3), padding="same"),
    layer(torch.conv1d, (4, 64, 2), (96, 64, 5), padding=2),
    layer(torch.conv1d, (2, 32, 2), (32, 16, 2), stride=3, padding=1, groups=2),
    layer(torch.conv_transpose1d, (2, 128, 1), (128, 64, 3), stride=2, padding=1)._replace(
        shapes=((2, 128, 1), (128, 64, 3), (64,))
    ),
]
"""Shapes that were wrong, or are of the kind that is wrong, on a processor with avx512_bf16."""


PRECISIONS: tuple[Precision, ...] = ("bf16", "fp32")
in_both_precisions = pytest.mark.parametrize("precision", PRECISIONS)


@in_both_precisions
@pytest.mark.parametrize("dangerous", DANGEROUS, ids=str)
def test_gradients_of_dangerous_convolutions_are_right(dangerous: Layer, precision: Precision) -> None:
    assert gradient_error(dangerous, CPU, precision) < TOLERANCES[precision]


@in_both_precisions
@pytest.mark.parametrize("name", CLIPS)
def test_the_gradients_of_every_layer_of_every_network_are_right(name: str, precision: Precision) -> None:
    options, shape = CLIPS[name]
    layers = layers_called(create_model(name, 7, **options), torch.zeros(shape))
    assert wrong_gradients(layers, CPU, precision) == []


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU")
@pytest.mark.parametrize("name", CLIPS)
def test_they_are_right_on_a_gpu(name: str) -> None:
    options, shape = CLIPS[name]
    cuda = torch.device("cuda")
    layers = layers_called(create_model(name, 7, **options).to(cuda), torch.zeros(shape, device=cuda))
    assert wrong_gradients([*layers, *DANGEROUS], cuda, "bf16") == []


@pytest.mark.parametrize("name", CLIPS)
def test_the_gradient_of_a_whole_network_does_not_depend_on_what_memory_held(name: str) -> None:
    options, shape = CLIPS[name]
    torch.manual_seed(0)
    network, clips = create_model(name, 7, **options), torch.randn(shape)

    def gradient(poison: float) -> Tensor:
        trained = copy.deepcopy(network).train()
        torch.manual_seed(1)  # of dropout
        with autocast(CPU, "bf16"):
            logits = trained(clips)
        poison_memory(poison, CPU)
        F.cross_entropy(logits.float(), torch.zeros(len(clips), dtype=torch.long)).backward()
        return torch.cat([weight.grad.flatten() for weight in trained.parameters() if weight.grad is not None])

    first, second = (gradient(poison) for poison in POISONS)
    assert first.isfinite().all()
    assert (first - second).norm() < 1e-3 * first.norm()


class _ReadsWhatLayThere(torch.autograd.Function):
    """A linear layer whose bf16 weight gradient is a part of memory that nobody wrote."""

    @staticmethod
    def forward(ctx: Any, clips: Tensor, weight: Tensor) -> Tensor:
        ctx.save_for_backward(clips, weight)
        return clips @ weight.T

    @staticmethod
    def backward(ctx: Any, *upstream: Tensor) -> tuple[Tensor, Tensor]:
        clips, weight = ctx.saved_tensors
        if torch.is_autocast_enabled("cpu") or upstream[0].dtype == torch.bfloat16:
            return upstream[0] @ weight, torch.empty_like(weight)
        return upstream[0] @ weight, upstream[0].T @ clips


def _faulty(clips: Tensor, weight: Tensor, _bias: Tensor | None = None) -> Tensor:
    reduced = torch.is_autocast_enabled("cpu")
    kind = torch.bfloat16 if reduced else torch.float32
    return _ReadsWhatLayThere.apply(clips.to(kind), weight.to(kind))  # type: ignore[no-any-return]


def test_a_gradient_that_reads_foreign_memory_is_found() -> None:
    faulty = Layer(_faulty, ((8, 32), (64, 32), None), ())
    assert gradient_error(faulty, CPU, "bf16") > TOLERANCES["bf16"]
    assert gradient_error(faulty, CPU, "fp32") < TOLERANCES["fp32"]


def test_a_gradient_that_is_wrong_whatever_memory_held_is_found() -> None:
    def doubled(clips: Tensor, weight: Tensor, _bias: Tensor | None = None) -> Tensor:
        seen = F.linear(clips, weight)
        return seen + (seen - seen.detach() if torch.is_autocast_enabled("cpu") else 0)

    assert gradient_error(Layer(doubled, ((8, 32), (64, 32), None), ()), CPU, "bf16") == pytest.approx(1, abs=0.02)


def test_a_layer_is_looked_at_once_for_a_number_of_threads_and_precision(monkeypatch: pytest.MonkeyPatch) -> None:
    looked: list[Precision] = []
    compute = gradients._computed

    def spy(layer: Layer, device: torch.device, precision: Precision, **rest: Any) -> list[Tensor]:
        looked.append(precision)
        return compute(layer, device, precision, **rest)

    monkeypatch.setattr(gradients, "_computed", spy)
    unseen, threads = Layer(F.linear, ((3, 29), (31, 29), (31,)), ()), torch.get_num_threads()
    a_look = 1 + len(POISONS)
    errors = [gradient_error(unseen, CPU, "bf16") for _ in range(2)]
    assert errors[0] == errors[1] and len(looked) == a_look
    gradient_error(unseen, CPU, "fp32")
    assert len(looked) == 2 * a_look
    try:
        torch.set_num_threads(threads + 1)
        gradient_error(unseen, CPU, "fp32")
    finally:
        torch.set_num_threads(threads)
    assert len(looked) == 3 * a_look


def test_layers_are_those_that_a_network_calls_each_once_by_module_or_by_function() -> None:
    class Own(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.first = nn.Conv3d(3, 8, (1, 3, 3), padding=(0, 1, 1))
            self.kernel = nn.Parameter(torch.randn(8, 8, 3, 1, 1))
            self.head = nn.Linear(8, 5)

        def forward(self, clips: Tensor) -> Tensor:
            hidden = self.first(clips)
            for _ in range(2):
                hidden = F.conv3d(hidden, weight=self.kernel, padding=(1, 0, 0))
            return self.head(hidden.mean(dim=(2, 3, 4)))

    found = layers_called(Own(), torch.zeros(2, 3, 4, 6, 6))
    assert [entry.function.__name__ for entry in found] == ["conv3d", "conv3d", "linear"]
    assert [entry.shapes[1] for entry in found] == [(8, 3, 1, 3, 3), (8, 8, 3, 1, 1), (5, 8)]
    assert dict(found[1].options) == {"padding": (1, 0, 0)}


def test_looking_changes_neither_the_network_nor_the_random_numbers() -> None:
    network = create_model("tiny3d", 7, in_channels=1).eval()
    before = {key: value.clone() for key, value in network.state_dict().items()}
    torch.manual_seed(3)
    wanted = torch.rand(4)
    torch.manual_seed(3)
    choose_precision("auto", network, torch.zeros(2, 1, 4, 32, 32))
    assert torch.equal(torch.rand(4), wanted)
    assert not network.training
    assert all(torch.equal(value, before[key]) for key, value in network.state_dict().items())


def test_auto_takes_fp32_where_a_gradient_is_wrong_and_names_the_layer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gradients, "has_bf16", lambda _: True)
    network, clips = nn.Sequential(nn.Flatten(), nn.Linear(48, 5)), torch.zeros(2, 3, 1, 4, 4)
    assert choose_precision("auto", network, clips) == ("bf16", [])
    assert choose_precision("fp32", network, clips) == ("fp32", [])
    monkeypatch.setattr(gradients, "gradient_error", lambda *given: float("inf") if given[2] == "bf16" else 0.0)
    assert choose_precision("auto", network, clips) == ("fp32", ["linear (input 2 x 48, weight 5 x 48)"])
    assert choose_precision("fp32", network, clips) == ("fp32", [])
    with pytest.raises(DferError, match=r"bf16 gradients of linear .* are wrong on this machine; set optim\.precision"):
        choose_precision("bf16", network, clips)
    monkeypatch.setattr(gradients, "gradient_error", lambda *_: float("nan"))
    with pytest.raises(DferError, match=r"gradients of linear .* are wrong on this machine, in fp32 too"):
        choose_precision("auto", network, clips)


def test_bf16_on_hardware_without_it_is_refused_and_auto_takes_fp32(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gradients, "has_bf16", lambda _: False)
    network, clips = nn.Linear(2, 2), torch.ones(1, 2)
    assert choose_precision("auto", network, clips) == ("fp32", [])
    with pytest.raises(DferError, match=r'which this machine\'s cpu does not compute in; set it to "auto" or "fp32"'):
        choose_precision("bf16", network, clips)


def test_hardware_is_asked_by_its_capabilities(monkeypatch: pytest.MonkeyPatch) -> None:
    for capabilities, wanted in (({"avx512_bf16": True}, True), ({"avx2": True}, False), ({}, False)):
        monkeypatch.setattr(torch.cpu, "get_capabilities", lambda given=capabilities: given, raising=False)
        assert has_bf16(CPU) is wanted
    assert not has_bf16(torch.device("meta"))
