"""How many threads a run on a CPU computes on.

Two threads train a network 1.5 to 1.8 times as fast as one on two idle cores. Where other programs want the cores too,
they are 1.4 to 100 times slower than one thread, since each step waits many times for the thread that does not run
(`benchmarks/threads.py` measures both). "auto" therefore takes as many threads as other programs leave cores idle, and
looks again before each epoch.

The number of threads changes the last bits of a sum. A run that shall be the same to the last bit needs a fixed number.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Literal

import psutil
import torch

from dfer.machine import usable_cores

FIRST_LOOK = 0.2
"""Seconds for which the machine is watched before the first epoch; later it is the time of an epoch."""


class Threads:
    """The number of threads of a run.

    Args:
        wanted: a number; or "auto", which is the value of OMP_NUM_THREADS where that is set.
    """

    def __init__(self, wanted: int | Literal["auto"]) -> None:
        set_outside = os.environ.get("OMP_NUM_THREADS", "")
        self.fixed = int(set_outside) if wanted == "auto" and set_outside.isdigit() else wanted
        self._own = psutil.Process()
        self._watched = False

    def choose(self) -> int:
        """The number of threads from now on, which torch is told: at least 1, at most the cores of this process."""
        threads = self.fixed if isinstance(self.fixed, int) else self._idle_cores()
        torch.set_num_threads(threads)
        return threads

    def _idle_cores(self) -> int:
        """Cores of this process less what other programs used of them since the last call."""
        if not self._watched:  # the first answers are of the time since psutil was imported, our own start in it
            self._own.cpu_percent()
            psutil.cpu_percent(percpu=True)
            time.sleep(FIRST_LOOK)
            self._watched = True
        busy = psutil.cpu_percent(percpu=True)
        allowed = os.sched_getaffinity(0) if hasattr(os, "sched_getaffinity") else range(len(busy))
        others: float = max(0.0, sum(busy[core] for core in allowed) - self._own.cpu_percent()) / 100
        return max(1, min(usable_cores(), round(len(allowed) - others)))


@contextmanager
def threads_kept() -> Iterator[None]:
    """Put torch's number of threads back at the end."""
    before = torch.get_num_threads()
    try:
        yield
    finally:
        torch.set_num_threads(before)
