"""Processes that are killed while they train, forked by a server that has loaded torch: each starts at once."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from multiprocessing import get_context

LONGEST_S = 300


def exit_code(function: Callable[..., None], *given: object) -> int | None:
    """How a process ended that called this function; minus the signal that ended it."""
    context = get_context("forkserver")
    context.set_forkserver_preload(["dfer.training.loop"])
    process = context.Process(target=function, args=given)
    process.start()
    process.join(LONGEST_S)
    process.kill()
    process.join()
    return process.exitcode


class Killer:
    """Progress of a training that ends its process after so many steps, and never where that is negative."""

    def __init__(self, steps: int) -> None:
        self.left = steps

    def begin(self, _: object) -> None:
        """A run begins."""

    def step(self, _: object) -> None:
        """A step was made."""
        self.left -= 1
        if self.left == 0:
            os.kill(os.getpid(), signal.SIGKILL)

    def epoch(self, _: object) -> None:
        """An epoch was made."""
