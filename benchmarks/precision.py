"""What does the safety of gradients cost? A training step of each network in every right precision, in one run.

Right are: fp32; bf16 with dangerous convolutions in fp32; bf16 with their padding written out as zeros; and that with
the parts of kernels left out that only meet zeros, which is what training does. bf16 as torch computes it is faster or
slower by some percent and wrong, and may crash, so it is not run.

The bound to hold: what training does is within 10 % of the fastest of the right choices.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any

import torch
import torch.nn.functional as F
from results import write_result
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from dfer import create_model
from dfer.training.precision import CONVOLUTIONS, autocast, has_bf16, with_padding_written_out

CPU = torch.device("cpu")
ROUNDS = 9
NETWORKS: dict[str, tuple[str, dict[str, Any], tuple[int, ...]]] = {
    "tiny3d, 6 x 48 x 48": ("tiny3d", {"in_channels": 1}, (16, 1, 6, 48, 48)),
    "frame_gru, 6 x 56 x 56": ("frame_gru", {"in_channels": 1, "stem_stride": 2, "hidden": 64}, (16, 1, 6, 56, 56)),
    "r3d18, 16 x 112 x 112": ("r3d18", {}, (1, 3, 16, 112, 112)),
    "m3dfel, 16 x 112 x 112": ("m3dfel", {}, (1, 3, 16, 112, 112)),
    "m3dfel of width 16, 16 x 56 x 56": ("m3dfel", {"width": 16}, (8, 3, 16, 56, 56)),
}
OURS = "bf16, as training does"


class Changed(TorchFunctionMode):
    """Dangerous convolutions are computed in another way."""

    def __init__(self, way: Callable[..., Tensor]) -> None:
        super().__init__()
        self.way = way

    def __torch_function__(
        self, func: Callable[..., Any], types: Any, args: Sequence[Any] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        if func in CONVOLUTIONS and with_padding_written_out(*args, **(kwargs or {}))[0] is not args[0]:
            return self.way(func, *args)
        return func(*args, **(kwargs or {}))


def in_fp32(func: Callable[..., Tensor], clips: Tensor, weight: Tensor, *options: Any) -> Tensor:
    with torch.autocast("cpu", enabled=False):
        return func(clips.float(), weight.float(), *options)


def padded(
    func: Callable[..., Tensor], clips: Tensor, weight: Tensor, bias: Any, stride: Any, padding: Any, *options: Any
) -> Tensor:
    zeros = [count for pad in reversed(padding) for count in (pad, pad)]
    return func(F.pad(clips, zeros), weight, bias, stride, 0, *options)


@contextmanager
def bf16(way: Callable[..., Tensor]) -> Iterator[None]:
    with torch.autocast("cpu", torch.bfloat16), Changed(way):
        yield


CHOICES: dict[str, Callable[[], AbstractContextManager[object]]] = {
    "fp32": nullcontext,
    "bf16, dangerous layers in fp32": lambda: bf16(in_fp32),
    "bf16, padding written out": lambda: bf16(padded),
    OURS: lambda: autocast(CPU, "bf16"),
}


def step(network: nn.Module, clips: Tensor, choice: Callable[[], AbstractContextManager[object]]) -> float:
    """Processor seconds of a step: other programs do not count."""
    begin = time.process_time()
    with choice():
        logits = network(clips)
    F.cross_entropy(logits.float(), torch.zeros(len(clips), dtype=torch.long)).backward()
    return time.process_time() - begin


def main() -> None:
    if not has_bf16(CPU):
        print("this processor does not compute in bf16: training takes fp32, and there is nothing to compare")
        return
    torch.set_num_threads(1)
    result: dict[str, Any] = {"threads": 1, "torch": torch.__version__, "speed_to_fp32": {}, "of_the_fastest": {}}
    print(f"{'speed, fp32 = 1':36}" + "".join(f"{name:>32}" for name in CHOICES))
    for title, (name, options, shape) in NETWORKS.items():
        network, clips = create_model(name, 7, **options).train(), torch.randn(shape)
        times: dict[str, list[float]] = {choice: [] for choice in CHOICES}
        for _ in range(ROUNDS):
            for choice, context in CHOICES.items():
                times[choice].append(step(network, clips, context))
        medians = {choice: statistics.median(values[1:]) for choice, values in times.items()}
        speeds = {choice: round(medians["fp32"] / value, 2) for choice, value in medians.items()}
        result["speed_to_fp32"][title] = speeds
        result["of_the_fastest"][title] = round(min(medians.values()) / medians[OURS], 3)
        print(f"{title:36}" + "".join(f"{speed:32.2f}" for speed in speeds.values()), flush=True)
    print("what training does, of the fastest:", result["of_the_fastest"])
    write_result("precision", result)


if __name__ == "__main__":
    main()
