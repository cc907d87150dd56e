"""What does the number of threads cost? Training steps of each network with one and with all threads, in one run.

Once on the machine as it is (which should be idle), once while another program keeps one core busy, and once while as
many programs as there are cores are at work. "auto" is what `dfer.training.threads` chooses at that moment.

The bound to hold: "auto" is never slower than the better number by a factor.
"""

from __future__ import annotations

import multiprocessing
import os
import statistics
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
import torch.nn.functional as F
from results import write_result

from dfer import create_model
from dfer.training.precision import Precision, autocast, has_bf16
from dfer.training.threads import Threads, usable_cores

CPU = torch.device("cpu")
PRECISION: Precision = "bf16" if has_bf16(CPU) else "fp32"
SECONDS = 1.5
"""For which each number of threads trains before the next one does."""
ROUNDS = 2
NETWORKS: dict[str, tuple[dict[str, Any], tuple[int, ...]]] = {
    "tiny3d": ({"in_channels": 1}, (16, 1, 6, 48, 48)),
    "frame_gru": ({"in_channels": 1, "stem_stride": 2, "hidden": 64}, (16, 1, 6, 56, 56)),
    "r3d18": ({"width": 32}, (1, 3, 16, 112, 112)),
    "m3dfel": ({"width": 32}, (1, 3, 16, 112, 112)),
}


def _work() -> None:
    while True:
        sum(range(10_000))


@contextmanager
def neighbours(count: int) -> Iterator[None]:
    """Other programs that want a core each."""
    programs = [multiprocessing.get_context("spawn").Process(target=_work, daemon=True) for _ in range(count)]
    for program in programs:
        program.start()
    time.sleep(1.0)
    try:
        yield
    finally:
        for program in programs:
            program.kill()
            program.join()


def clips_per_second(network: torch.nn.Module, clips: torch.Tensor, threads: int) -> float:
    torch.set_num_threads(threads)
    begin, done = time.perf_counter(), 0
    while (passed := time.perf_counter() - begin) < SECONDS or done < 2 * len(clips):
        with autocast(CPU, PRECISION):
            logits = network(clips)
        F.cross_entropy(logits.float(), torch.zeros(len(clips), dtype=torch.long)).backward()
        done += len(clips)
    return done / passed


def main() -> None:
    os.environ.pop("OMP_NUM_THREADS", None)
    cores = usable_cores()
    numbers = sorted({1, cores})
    result: dict[str, Any] = {"cores": cores, "torch": torch.__version__, "clips_per_second": {}, "auto": {}}
    for busy in (0, 1, cores):
        with neighbours(busy):
            chooser = Threads("auto")
            auto = chooser.choose()
            label = f"{busy} other programs"
            result["auto"][label] = auto
            print(f"{label}: auto takes {auto}")
            for name, (options, shape) in NETWORKS.items():
                network, clips = create_model(name, 7, **options).train(), torch.randn(shape)
                clips_per_second(network, clips, 1)
                speeds: dict[int, list[float]] = {number: [] for number in numbers}
                for _ in range(ROUNDS):
                    for number in numbers:
                        speeds[number].append(clips_per_second(network, clips, number))
                medians = {str(number): round(statistics.median(values), 2) for number, values in speeds.items()}
                result["clips_per_second"].setdefault(name, {})[label] = medians
                best = max(medians.values())
                print(f"  {name:10} {medians}  auto is {best / medians[str(auto)]:.2f} times slower than the better")
    write_result("threads", result)


if __name__ == "__main__":
    main()
