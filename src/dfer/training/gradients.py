"""Are the gradients of a network right on this machine?

A wrong kernel may read memory that nobody wrote, so its gradient depends on what lay there: it can be right a hundred
times and NaN, or finite and wrong, the next time. The proof therefore fills memory with garbage and frees it before
each gradient is computed. It looks at each convolution and linear layer of the network by itself, with the shapes that
training gives it, and compares its gradients with those of torch's own plain kernels in fp32. The numbers are rounded
to bf16 beforehand, so that what is left between the two is the rounding of the result.
"""

from __future__ import annotations

import copy
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import cache
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from dfer.errors import DferError, listed
from dfer.training.precision import CONVOLUTIONS, TRANSPOSED, Precision, autocast, has_bf16

TOLERANCES: dict[Precision, float] = {"bf16": 0.02, "fp32": 1e-3}
"""Relative error (in the norm) that a right gradient stays below: rounding it to bf16 costs 0.002 to 0.004, and fast
algorithms for fp32 on a GPU up to some 1e-4."""
POISONS = (float("nan"), 1e4)
"""What freed memory holds: garbage that spreads, and garbage that stays finite."""
POISONED_SIZES = tuple(2**power for power in range(6, 23))
"""Elements of the freed blocks, 256 bytes to 16 MB."""
SEED = 0
OPTIONS: dict[Callable[..., Any], tuple[str, ...]] = {
    F.linear: (),
    **dict.fromkeys(CONVOLUTIONS, ("stride", "padding", "dilation", "groups")),
    **dict.fromkeys(TRANSPOSED, ("stride", "padding", "output_padding", "groups", "dilation")),
}
"""The functions that are looked at, and the options that follow input, weight and bias."""


class Layer(NamedTuple):
    """A convolution or linear layer as a network called it: the shapes of input, weight and bias, and its options."""

    function: Callable[..., Tensor]
    shapes: tuple[tuple[int, ...] | None, ...]
    options: tuple[tuple[str, Any], ...]

    def __str__(self) -> str:
        clips, weight = (" x ".join(map(str, shape)) for shape in self.shapes[:2] if shape)
        return f"{self.function.__name__} (input {clips}, weight {weight})"


def choose_precision(wanted: str, network: nn.Module, clips: Tensor) -> tuple[Precision, list[str]]:
    """The precision to train a network in, whose gradients are proved.

    Args:
        wanted: "fp32"; "bf16"; or "auto", which is bf16 where the hardware computes in it and the proof holds.
        network: on its device; it is left as it is.
        clips: (B, C, T, H, W) on the same device, as training shows them: the shape matters, the values do not.

    Returns:
        The precision, and the layers whose bf16 gradients are wrong here, for which "auto" takes fp32.

    Raises:
        DferError: "bf16" on hardware that lacks it, or gradients that are wrong in the precision that was asked for.
    """
    able = has_bf16(clips.device)
    if wanted == "bf16" and not able:
        raise DferError(
            f'optim.precision is "bf16", which this machine\'s {clips.device.type} does not compute in; '
            'set it to "auto" or "fp32"'
        )
    layers = layers_called(network, clips)
    wrong = wrong_gradients(layers, clips.device, "bf16") if able and wanted != "fp32" else []
    if wrong and wanted == "bf16":
        raise DferError(
            f'the bf16 gradients of {listed(wrong)} are wrong on this machine; set optim.precision to "auto" or "fp32"'
        )
    if able and wanted != "fp32" and not wrong:
        return "bf16", []
    if hopeless := wrong_gradients(layers, clips.device, "fp32"):
        raise DferError(
            f"the gradients of {listed(hopeless)} are wrong on this machine, in fp32 too; use another size or kernel, "
            "or another version of torch"
        )
    return "fp32", wrong


def wrong_gradients(layers: Sequence[Layer], device: torch.device, precision: Precision) -> list[str]:
    """The layers whose gradients are wrong in this precision on this machine; empty when all are proved."""
    return [str(layer) for layer in layers if not gradient_error(layer, device, precision) < TOLERANCES[precision]]


def layers_called(network: nn.Module, clips: Tensor) -> list[Layer]:
    """The distinct convolutions and linear layers that a network calls in training, in their order."""
    trained = copy.deepcopy(network).train()
    devices = [clips.device] if clips.device.type == "cuda" else []
    with torch.random.fork_rng(devices), torch.no_grad(), _Recorder() as recorder:
        trained(clips)
    return list(dict.fromkeys(recorder.layers))


def gradient_error(layer: Layer, device: torch.device, precision: Precision) -> float:
    """The largest relative error of a layer's output and gradients, with memory poisoned; infinite for NaN.

    Folds, seeds and cells of a grid call the same layers: a process looks at each once for a number of threads.
    """
    return _gradient_error(layer, device, precision, torch.get_num_threads())


@cache
def _gradient_error(layer: Layer, device: torch.device, precision: Precision, _threads: int) -> float:
    with _plain_kernels():
        right = _computed(layer, device, "fp32")
    errors = [
        (found - wanted).norm() / wanted.norm().clamp(min=1e-12)
        for poison in POISONS
        for found, wanted in zip(_computed(layer, device, precision, poison=poison), right, strict=True)
    ]
    return float(torch.stack(errors).nan_to_num(nan=torch.inf).max())


@contextmanager
def _plain_kernels() -> Iterator[None]:
    """Torch's own kernels, without oneDNN and cuDNN."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that oneDNN's TF32, which is set on the way, needs an Intel GPU
        with torch.backends.mkldnn.flags(enabled=False), torch.backends.cudnn.flags(enabled=False):
            yield


def poison_memory(value: float, device: torch.device) -> None:
    """Leave a value behind in freed memory of many sizes, where what is allocated next may find it."""
    for _ in range(2):  # after the first time, glibc keeps freed blocks of these sizes instead of giving them back
        blocks = [torch.full((size,), value, device=device) for size in POISONED_SIZES]
        del blocks


def _computed(layer: Layer, device: torch.device, precision: Precision, *, poison: float | None = None) -> list[Tensor]:
    """A layer's output and the gradients of its input, weight and bias, on random numbers that bf16 can hold."""
    generator = torch.Generator().manual_seed(SEED)
    tensors = [None if shape is None else _drawn(shape, generator, device).requires_grad_() for shape in layer.shapes]
    with autocast(device, precision):
        output = layer.function(*tensors, **dict(layer.options))
    upstream = _drawn(output.shape, generator, device).to(output.dtype)
    if poison is not None:
        poison_memory(poison, device)
    given = [tensor for tensor in tensors if tensor is not None]
    return [part.detach().float() for part in (output, *torch.autograd.grad(output, given, upstream))]


def _drawn(shape: Sequence[int], generator: torch.Generator, device: torch.device) -> Tensor:
    return torch.randn(tuple(shape), generator=generator).bfloat16().float().to(device)


class _Recorder(TorchFunctionMode):
    """Keeps the layers that are called inside."""

    def __init__(self) -> None:
        super().__init__()
        self.layers: list[Layer] = []

    def __torch_function__(
        self, func: Callable[..., Any], types: Any, args: Sequence[Any] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        kwargs = kwargs or {}
        if func in OPTIONS:
            self.layers.append(_layer(func, args, kwargs))
        return func(*args, **kwargs)


def _layer(function: Callable[..., Tensor], args: Sequence[Any], kwargs: dict[str, Any]) -> Layer:
    given = dict(zip(("input", "weight", "bias", *OPTIONS[function]), args, strict=False)) | kwargs
    shapes = [given.pop(name, None) for name in ("input", "weight", "bias")]
    return Layer(
        function,
        tuple(None if tensor is None else tuple(tensor.shape) for tensor in shapes),
        tuple((name, tuple(value) if isinstance(value, list) else value) for name, value in given.items()),
    )
