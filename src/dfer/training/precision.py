"""The precision of training, and convolutions whose gradients are right in it.

bf16 trains a network on a processor that computes in it 1.2 to 2 times as fast as fp32. But oneDNN 3.12, which torch
2.13 calls on a CPU, computes the weight gradient of some convolutions from memory that is not theirs: in bf16 where the
kernel is longer than its input along an axis (3 frames on 2, say), and in both precisions for some kernels that are
padded by more than half their length. That gradient is NaN, or finite and wrong, depending on what lay in that memory;
it can also crash the process. The outputs and the gradients of the inputs are right.

Two things keep training away from that. `autocast` writes the padding of such convolutions out as zeros of their
inputs, which makes the kernel fit. `dfer.training.gradients` proves the gradients of a network on the machine at hand
before training starts.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any, Literal

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.overrides import TorchFunctionMode

Precision = Literal["fp32", "bf16"]

CONVOLUTIONS = (torch.conv1d, torch.conv2d, torch.conv3d)
TRANSPOSED = (torch.conv_transpose1d, torch.conv_transpose2d, torch.conv_transpose3d)


def has_bf16(device: torch.device) -> bool:
    """Whether the hardware computes in bf16, and does not only imitate it."""
    if device.type == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    # Older torch cannot ask the processor.
    ask = getattr(torch.cpu, "get_capabilities", None)
    capabilities = ask() if device.type == "cpu" and ask else {}
    return any(capabilities.get(name, False) for name in ("avx512_bf16", "amx_bf16"))


@contextmanager
def autocast(device: torch.device, precision: Precision) -> Iterator[None]:
    """Compute in the given precision, on a CPU with convolutions whose gradients are right."""
    with ExitStack() as stack:
        if precision == "bf16":
            stack.enter_context(torch.autocast(device.type, torch.bfloat16))
        if device.type == "cpu":
            stack.enter_context(_SafeConvolutions())
        yield


class _SafeConvolutions(TorchFunctionMode):
    """Convolutions that are called inside are changed to ones with right gradients, or computed in fp32."""

    def __torch_function__(
        self, func: Callable[..., Any], types: Any, args: Sequence[Any] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        kwargs = kwargs or {}
        if func in CONVOLUTIONS:
            return func(*with_padding_written_out(*args, **kwargs))
        if func in TRANSPOSED:  # rare in this field: one rule for all of them
            with torch.autocast("cpu", enabled=False):
                return func(*map(_in_fp32, args), **{key: _in_fp32(value) for key, value in kwargs.items()})
        return func(*args, **kwargs)


def _in_fp32(value: Any) -> Any:
    return value.float() if isinstance(value, Tensor) else value


def with_padding_written_out(
    clips: Tensor, weight: Tensor, bias: Tensor | None = None, stride: Any = 1, padding: Any = 0, dilation: Any = 1,
    groups: int = 1,
) -> tuple[Any, ...]:  # fmt: skip
    """The arguments of the same convolution, such that its weight gradient is right.

    Where the kernel is longer than its input along an axis, or padded by more than half its length, the padding becomes
    zeros of the input, and elements of the kernel that would only ever meet these zeros are left out. All other
    convolutions come back as they are.

    Args:
        clips: (B, C, ...) or (C, ...).
        weight: the kernel.
        bias: as the other arguments, what `torch.conv3d` and its like take.
        stride: see `bias`.
        padding: see `bias`.
        dilation: see `bias`.
        groups: see `bias`.
    """
    axes = weight.ndim - 2
    sizes, kernels = clips.shape[-axes:], weight.shape[2:]
    strides, steps = _each(stride, axes), _each(dilation, axes)
    zeros = _padding(padding, kernels, steps)
    reaches = [(kernel - 1) * step for kernel, step in zip(kernels, steps, strict=True)]
    long = [axis for axis in range(axes) if reaches[axis] >= sizes[axis]]
    if not long and all(2 * max(pad) <= reach for pad, reach in zip(zeros, reaches, strict=True)):
        return clips, weight, bias, stride, padding, dilation, groups
    for axis in long:
        before, after = zeros[axis]
        if strides[axis] == steps[axis] == 1 and max(before, after) < kernels[axis]:
            # Element j of the kernel meets the positions j - before ... j + after - kernel + size of the input.
            first, end = max(0, kernels[axis] - sizes[axis] - after), min(kernels[axis], sizes[axis] + before)
            weight = weight.narrow(2 + axis, first, end - first)
            zeros[axis] = (before - first, after - kernels[axis] + end)
    padded = F.pad(clips, [count for pair in reversed(zeros) for count in pair])
    return padded, weight, bias, stride, 0, dilation, groups


def _each(value: Any, axes: int) -> tuple[int, ...]:
    """One number for each axis, from what torch takes: a number, or one or several in a sequence."""
    given = (value,) if isinstance(value, int) else tuple(value)
    return given * axes if len(given) == 1 else given


def _padding(padding: Any, kernels: Sequence[int], steps: Sequence[int]) -> list[tuple[int, int]]:
    """Zeros before and after the input along each axis; "same" and "valid" in numbers."""
    if padding == "same":
        spread = [(kernel - 1) * step for kernel, step in zip(kernels, steps, strict=True)]
        return [(total // 2, total - total // 2) for total in spread]
    return [(zeros, zeros) for zeros in _each(0 if padding == "valid" else padding, len(kernels))]
