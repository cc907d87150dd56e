"""What does mixing cost? MIDAS against a plain copy of the batch, side by side in one run.

The bound to hold: within 2x of `clips.clone()` on a (32, 3, 16, 112, 112) float batch. Both write one new batch;
mixing also reads a second one.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable

import torch
from results import write_result

from dfer import Midas, midas

SHAPE = (32, 3, 16, 112, 112)
ROUNDS = 15


def seconds(work: Callable[[], object]) -> float:
    begin = time.perf_counter()
    work()
    return time.perf_counter() - begin


def main() -> None:
    torch.set_num_threads(1)
    generator = torch.Generator().manual_seed(0)
    clips, targets = torch.rand(SHAPE), torch.eye(7)[torch.arange(SHAPE[0]) % 7]
    small = (clips * 255).to(torch.uint8)
    lam, partner = torch.rand(SHAPE[0]), torch.randperm(SHAPE[0])
    weight = lam.view(-1, 1, 1, 1, 1)
    candidates: dict[str, Callable[[], object]] = {
        "plain copy (clips.clone())": lambda: clips.clone(),
        "midas, float": lambda: midas(clips, targets, lam, partner),
        "Midas()(…), float, with its draws": lambda: Midas()(clips, targets, generator=generator),
        "textbook: lam * x + (1 - lam) * x[partner]": lambda: weight * clips + (1 - weight) * clips[partner],
        "plain copy, uint8": lambda: small.clone(),
        "midas, uint8": lambda: midas(small, targets, lam, partner),
    }
    times: dict[str, list[float]] = {name: [] for name in candidates}
    for _ in range(ROUNDS):
        for name, work in candidates.items():
            times[name].append(seconds(work))
    medians = {name: statistics.median(values[3:]) for name, values in times.items()}
    base = medians["plain copy (clips.clone())"]
    print(f"{'':44}{'ms':>8}{'x copy':>8}")
    for name, value in medians.items():
        print(f"{name:44}{value * 1e3:8.1f}{value / base:8.2f}")
    result = {
        "shape": SHAPE, "threads": 1, "torch": torch.__version__,
        "milliseconds": {name: round(value * 1e3, 2) for name, value in medians.items()},
        "ratio_to_copy": {name: round(value / base, 3) for name, value in medians.items()},
    }  # fmt: skip
    write_result("midas", result)


if __name__ == "__main__":
    main()
