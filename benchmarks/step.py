"""What makes a step of training on a CPU faster? Each way beside the plain step, in one run, and whether it is right.

A step is forward, loss, backward and AdamW, in fp32 with safe convolutions and freed memory kept, as training does, on
one thread. The ways: AdamW in one kernel (`fused=True`), channels last, `torch.compile` where there is a compiler for
C++, and checkpointing, which keeps no activations within a part of the network and computes them again.

Times are processor time; the median of the ratios to the plain step of the same round is told. The error is that of all
gradients (for AdamW: of the change of the weights) against the plain step in float64, in the norm; a way is right where
its error is the plain step's. That is up to 0.5 %: where rounding moves the input of a ReLU over zero, a gradient comes
or goes. Memory is what the graph keeps for the backward pass.

The bound to hold: a way that is the default saves 5 % of a step of one of these networks, and costs none of them 3 %.
"""

from __future__ import annotations

import copy
import os
import shutil
import statistics
import time
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
import torch._inductor.config
import torch.nn.functional as F
from results import write_result
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from dfer import create_model
from dfer.training.memory import memory_kept
from dfer.training.precision import autocast

CPU = torch.device("cpu")
ROUNDS = 7
COMPILES = ("tiny3d", "frame_gru") if shutil.which("g++") else ()
"""Titles of networks that are compiled, too; of larger ones that takes minutes."""
NETWORKS: dict[str, tuple[str, dict[str, Any], tuple[int, ...]]] = {
    "tiny3d": ("tiny3d", {"in_channels": 1}, (16, 1, 6, 48, 48)),
    "frame_gru": ("frame_gru", {"in_channels": 1, "stem_stride": 2, "hidden": 64}, (16, 1, 6, 56, 56)),
    "frame_encoder, dlib_face": ("frame_encoder", {"encoder": "dlib_face", "temporal": "gru"}, (1, 3, 4, 112, 112)),
    "r3d18": ("r3d18", {}, (1, 3, 8, 56, 56)),
}
"""A title -> a network, its options, and the clips (B, C, T, H, W) of a step."""
PLAIN, FUSED, LAST, COMPILED, CHECKPOINTED = (
    "plain", "AdamW in one kernel", "channels last", "torch.compile", "checkpointing",
)  # fmt: skip


@dataclass
class Way:
    """A network that is trained in one way.

    Attributes:
        network: with the weights.
        call: clips -> logits.
        optimizer: of the weights.
        prepare: what is done to the clips of each step.
    """

    network: nn.Module
    call: Callable[[Tensor], Tensor]
    optimizer: torch.optim.Optimizer
    prepare: Callable[[Tensor], Tensor] = torch.Tensor.contiguous

    def gradients(self, clips: Tensor) -> None:
        """Leave the gradients of a step in the weights; dropout is that of a fixed seed."""
        torch.manual_seed(1)
        self.optimizer.zero_grad()
        with autocast(CPU, "fp32"):
            logits = self.call(self.prepare(clips))
        F.cross_entropy(logits, torch.arange(len(clips)) % logits.shape[1]).backward()

    def step(self, clips: Tensor) -> None:
        self.gradients(clips)
        self.optimizer.step()


def ways(network: nn.Module, *, compiled: bool) -> dict[str, Way]:
    """Each way with a copy of the network."""

    def way(*, fused: bool = False) -> Way:
        own = copy.deepcopy(network).train()
        return Way(own, own, torch.optim.AdamW(own.parameters(), lr=1e-3, fused=fused))

    made = {PLAIN: way(), FUSED: way(fused=True), LAST: channels_last(way()), CHECKPOINTED: checkpointed(way())}
    if compiled:
        made[COMPILED] = way()
        made[COMPILED].call = torch.compile(made[COMPILED].network)
    return made


def channels_last(way: Way) -> Way:
    """Convolutions see the channels of a pixel side by side: of clips in 3-D networks, of frames in the others."""
    deep = any(isinstance(layer, nn.Conv3d) for layer in way.network.modules())
    layout = torch.channels_last_3d if deep else torch.channels_last
    way.network.to(memory_format=layout)
    if deep:
        way.prepare = lambda clips: clips.contiguous(memory_format=layout)
    else:  # (B, C, T, H, W) whose frames, which the network takes out, are channels last
        way.prepare = lambda clips: clips.permute(0, 2, 3, 4, 1).contiguous().permute(0, 4, 1, 2, 3)
    return way


def checkpointed(way: Way) -> Way:
    """Parts of the network keep their inputs alone."""
    # What is computed again needs safe convolutions as well: `autocast` has ended by then.
    again = {"use_reentrant": False, "context_fn": lambda: (nullcontext(), autocast(CPU, "fp32"))}
    for block in blocks(way.network):
        block.forward = partial(checkpoint, block.forward, **again)  # type: ignore[method-assign]
    return way


def blocks(network: nn.Module) -> list[nn.Module]:
    """The largest parts of a network that hold several layers and are no more than a third of all."""
    total = sum(1 for layer in network.modules() if not list(layer.children()))
    found = []
    for child in network.children():
        layers = sum(1 for layer in child.modules() if not list(layer.children()))
        if layers > max(2, total // 3):
            found += blocks(child) or [child]
        elif layers > 1:
            found.append(child)
    return found


def kept_bytes(way: Way, clips: Tensor) -> int:
    """What the graph of a step keeps for the backward pass, each storage once, without the weights."""
    own = {weight.untyped_storage().data_ptr() for weight in way.network.parameters()}
    storages: dict[int, int] = {}

    def keep(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in own:
            storages[storage.data_ptr()] = storage.nbytes()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor), autocast(CPU, "fp32"):
        logits = way.call(way.prepare(clips))
    del logits
    return sum(storages.values())


def error(way: Way, exact: Way, clips: Tensor, *, of_weights: bool) -> float:
    """Of all gradients, or of the change of the weights by three steps, relative to the plain step in float64."""
    found, wanted = copy.deepcopy(way.network.state_dict()), copy.deepcopy(exact.network.state_dict())
    if of_weights:
        for _ in range(3):
            exact.gradients(clips.double())
            for own, right in zip(way.network.parameters(), exact.network.parameters(), strict=True):
                own.grad = right.grad.float()  # the optimisers see the same gradients
            way.optimizer.step()
            exact.optimizer.step()
        pairs = [
            (own.detach() - found[name], right.detach() - wanted[name])
            for (name, own), right in zip(way.network.named_parameters(), exact.network.parameters(), strict=True)
        ]
    else:
        way.gradients(clips)
        exact.gradients(clips.double())
        pairs = [
            (own.grad, right.grad)
            for own, right in zip(way.network.parameters(), exact.network.parameters(), strict=True)
        ]
    difference = sum(float((own.double() - right).square().sum()) for own, right in pairs)
    return (difference / sum(float(right.square().sum()) for _, right in pairs)) ** 0.5


def spent(work: Callable[[], object]) -> float:
    """Processor seconds of this process, and of compilers that it called."""
    before = time.process_time() + sum(os.times()[2:4])
    work()
    return time.process_time() + sum(os.times()[2:4]) - before


def measure(title: str) -> dict[str, Any]:
    """Ratios, errors and memory of each way of one network."""
    name, options, shape = NETWORKS[title]
    torch.manual_seed(0)
    network, clips = create_model(name, 7, **options), torch.randn(shape)
    exact = copy.deepcopy(network).double()
    made, found = ways(network, compiled=title in COMPILES), dict[str, Any]()
    for way, each in made.items():
        right = ways(exact, compiled=False)[PLAIN]
        first_s = spent(partial(each.gradients, clips))
        found[way] = {"error": float(f"{error(each, right, clips, of_weights=way == FUSED):.1e}")}
        if way != COMPILED:  # which keeps what its own compiler decides
            found[way]["megabytes"] = round(kept_bytes(each, clips) / 2**20, 1)
        else:
            found[way]["first_step_s"] = round(first_s, 1)
    times: dict[str, list[float]] = {way: [] for way in made}
    for number in range(ROUNDS + 1):
        for way, each in made.items():
            times[way].append(spent(partial(each.step, clips)))
        if number == 0:
            times = {way: [] for way in made}
    for way, values in times.items():
        ratios = [value / plain for value, plain in zip(values, times[PLAIN], strict=True)]
        found[way] |= {
            "of_plain": round(statistics.median(ratios), 3),
            "ms": round(1000 * statistics.median(values), 1),
        }
    optimiser = [spent(made[PLAIN].optimizer.step) for _ in range(ROUNDS)]
    found["AdamW, share of the step"] = round(statistics.median(optimiser) / statistics.median(times[PLAIN]), 3)
    return found


def order_errors() -> dict[str, float]:
    """How far a weight is from where one step of AdamW should take it, relative, where its gradient lies in memory with
    its channels last and it does not."""
    generator = torch.Generator().manual_seed(0)
    drawn, gradient = (torch.randn(8, 4, 3, 3, generator=generator) for _ in range(2))
    moved = {}
    for name, fused, layout in (
        ("right", False, torch.contiguous_format),
        (PLAIN, False, torch.channels_last),
        (FUSED, True, torch.channels_last),
    ):
        weight = nn.Parameter(drawn.clone())
        weight.grad = gradient.contiguous(memory_format=layout)
        torch.optim.AdamW([weight], lr=0.1, fused=fused).step()
        moved[name] = weight.detach() - drawn
    right = moved.pop("right")
    return {name: round(float((value - right).norm() / right.norm()), 6) for name, value in moved.items()}


def main() -> None:
    torch.set_num_threads(1)
    torch._inductor.config.fallback_random = True  # dropout draws what the plain step draws
    torch._inductor.config.compile_threads = 1  # in this process, so that it is measured
    result: dict[str, Any] = {"threads": 1, "torch": torch.__version__, "networks": {}}
    result["error where a gradient lies in another order"] = order_errors()
    with memory_kept():
        for title in NETWORKS:
            result["networks"][title] = found = measure(title)
            print(title)
            for way, values in found.items():
                print(f"  {way:26}", values, flush=True)
    write_result("step", result)


if __name__ == "__main__":
    main()
