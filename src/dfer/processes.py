"""Processes that work side by side, and end with the one that started them."""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import signal
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from multiprocessing.connection import wait
from multiprocessing.process import BaseProcess

import cv2

ASKED = 50
"""How often a worker is asked to end, every tenth of a second, before it is killed."""


@contextlib.contextmanager
def worker_pool(workers: int | None) -> Iterator[ProcessPoolExecutor]:
    """A pool of so many processes, None: one a core; each keeps to one thread of OpenCV, and ends with its parent.

    When the block fails, or is asked to end, work that has not begun is dropped and work that has begun is broken off.
    """
    others = set(multiprocessing.active_children())
    pool = ProcessPoolExecutor(workers, multiprocessing.get_context("spawn"), initializer=_start_worker)
    try:
        yield pool
    except BaseException:
        pool.shutdown(wait=False, cancel_futures=True)
        _end(set(multiprocessing.active_children()) - others)
        raise
    finally:
        pool.shutdown()


def _end(workers: set[BaseProcess]) -> None:
    """End processes: each time that one is asked it leaves a piece of work, tidying up, and some may wait for it."""
    for _ in range(ASKED):
        workers = {worker for worker in workers if worker.is_alive()}
        if not workers:
            return
        for worker in workers:
            worker.terminate()
        wait([worker.sentinel for worker in workers], timeout=0.1)
    for worker in workers:
        worker.kill()


def _start_worker() -> None:
    cv2.setNumThreads(1)  # the processes share the processors already
    signal.signal(signal.SIGTERM, _leave)
    end_with_parent()


def _leave(*_: object) -> None:
    sys.exit(128 + signal.SIGTERM)


def end_with_parent(_worker: int = 0) -> None:
    """To be called in a worker: it ends when its parent was killed, and does not wait for work for ever."""
    threading.Thread(target=_wait_for_parent, daemon=True).start()


def _wait_for_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)
