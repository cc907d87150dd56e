"""Convolutions whose padding is written out are the same convolutions."""

from __future__ import annotations

from typing import Any

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn

from dfer.training.precision import autocast, with_padding_written_out

CPU = torch.device("cpu")
FUNCTIONS = {1: torch.conv1d, 2: torch.conv2d, 3: torch.conv3d}
numbers = st.integers(1, 3)


@st.composite
def convolutions(draw: st.DrawFn) -> tuple[int, tuple[int, ...], tuple[int, ...], dict[str, Any]]:
    """Axes, sizes, kernel and options of a convolution that has an output."""
    axes = draw(st.sampled_from([1, 2, 3]))
    sizes, kernel = (tuple(draw(st.integers(1, 6)) for _ in range(axes)) for _ in range(2))
    stride, dilation = (tuple(draw(numbers) for _ in range(axes)) for _ in range(2))
    reach = [(size - 1) * step for size, step in zip(kernel, dilation, strict=True)]
    fewest = [max(0, -(-(far + 1 - size) // 2)) for far, size in zip(reach, sizes, strict=True)]
    padding: Any = tuple(few + draw(st.integers(0, 3)) for few in fewest)
    if draw(st.booleans()):
        stride, padding = (1,) * axes, "same"
    return axes, sizes, kernel, {"stride": stride, "padding": padding, "dilation": dilation}


@given(convolutions())
def test_output_and_gradients_stay_and_every_kernel_fits(
    drawn: tuple[int, tuple[int, ...], tuple[int, ...], dict[str, Any]],
) -> None:
    axes, sizes, kernel, options = drawn
    torch.manual_seed(0)
    clips = torch.randn(2, 4, *sizes, dtype=torch.float64, requires_grad=True)
    weight = torch.randn(6, 2, *kernel, dtype=torch.float64, requires_grad=True)
    function = FUNCTIONS[axes]
    plain = function(clips, weight, None, groups=2, **options)
    arguments = with_padding_written_out(clips, weight, None, groups=2, **options)
    written = function(*arguments)
    assert torch.allclose(written, plain)
    upstream = torch.randn_like(plain)
    for found, wanted in zip(
        *(torch.autograd.grad(out, (clips, weight), upstream) for out in (written, plain)), strict=True
    ):
        assert torch.allclose(found, wanted)
    if arguments[0] is not clips:
        reach = [(size - 1) * step + 1 for size, step in zip(arguments[1].shape[2:], options["dilation"], strict=True)]
        assert arguments[4] == 0
        assert all(far <= size for far, size in zip(reach, arguments[0].shape[2:], strict=True))


def test_a_kernel_that_fits_with_usual_padding_is_left_alone() -> None:
    clips, weight = torch.zeros(1, 8, 4, 6, 6), torch.zeros(8, 8, 3, 3, 3)
    found = with_padding_written_out(clips, weight, None, 2, 1, 1, 1)
    assert found[0] is clips
    assert found[1] is weight
    assert found[2:] == (None, 2, 1, 1, 1)


def test_parts_of_the_kernel_that_only_meet_padding_are_left_out() -> None:
    # three frames long, on one frame: the outer two meet zeros alone
    clips, weight, *_ = with_padding_written_out(
        torch.zeros(1, 8, 1, 6, 6), torch.zeros(8, 8, 3, 1, 1), padding=(1, 0, 0)
    )
    assert clips.shape == (1, 8, 1, 6, 6)
    assert weight.shape == (8, 8, 1, 1, 1)


class Seen(nn.Module):
    """Keeps the kind of number that a convolution gave."""

    def __init__(self, layer: nn.Module) -> None:
        super().__init__()
        self.layer = layer
        self.kinds: list[torch.dtype] = []

    def forward(self, clips: Tensor) -> Tensor:
        seen: Tensor = self.layer(clips)
        self.kinds.append(seen.dtype)
        return seen


def test_convolutions_keep_their_precision_and_transposed_ones_take_fp32() -> None:
    for layer, clips, kind in (
        (nn.Conv2d(4, 4, 3, padding=1), torch.zeros(1, 4, 5, 5), torch.bfloat16),
        (nn.Conv2d(4, 4, 3, padding=1), torch.zeros(1, 4, 1, 5), torch.bfloat16),
        (nn.ConvTranspose2d(4, 4, 3, padding=1), torch.zeros(1, 4, 5, 5), torch.float32),
    ):
        seen = Seen(layer)
        with autocast(CPU, "bf16"):
            seen(clips)
        assert seen.kinds == [kind]


def test_fp32_is_fp32_and_the_mode_ends_with_its_block() -> None:
    layer, clips = nn.Conv2d(4, 4, 3, padding=1), torch.zeros(1, 4, 1, 5)
    with autocast(CPU, "fp32"):
        assert layer(clips).dtype == torch.float32
    with autocast(CPU, "bf16"):
        pass
    assert layer(clips).dtype == torch.float32


def test_a_whole_block_computes_the_same_function_in_both_precisions() -> None:
    torch.manual_seed(0)
    block = nn.Sequential(nn.Conv3d(3, 16, 3, padding=1), nn.ReLU(), nn.Conv3d(16, 8, (5, 1, 1), padding=(2, 0, 0)))
    clips = torch.randn(2, 3, 2, 6, 6)
    exact = block(clips)
    with autocast(CPU, "bf16"):
        rough = block(clips).float()
    assert (rough - exact).norm() < 0.01 * exact.norm()
    assert F.mse_loss(rough, exact) > 0


@pytest.mark.parametrize("padding", ["same", "valid", 1, (1,), (1, 1)])
def test_padding_is_understood_in_every_form_that_torch_takes(padding: Any) -> None:
    clips, weight = torch.randn(1, 4, 3, 2), torch.randn(4, 4, 3, 2)
    plain = torch.conv2d(clips, weight, None, 1, padding)
    assert torch.allclose(torch.conv2d(*with_padding_written_out(clips, weight, None, 1, padding)), plain, atol=1e-5)
