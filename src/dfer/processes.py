"""Processes that work side by side, and end with the one that started them."""

from __future__ import annotations

import multiprocessing
import os
import threading
from concurrent.futures import ProcessPoolExecutor

import cv2


def worker_pool(workers: int | None) -> ProcessPoolExecutor:
    """A pool of so many processes, None: one a core; each keeps to one thread of OpenCV, and ends with its parent."""
    context = multiprocessing.get_context("spawn")
    return ProcessPoolExecutor(workers, context, initializer=_start_worker)


def _start_worker() -> None:
    cv2.setNumThreads(1)  # the processes share the processors already
    end_with_parent()


def end_with_parent(_worker: int = 0) -> None:
    """To be called in a worker: it ends when its parent was killed, and does not wait for work for ever."""
    threading.Thread(target=_wait_for_parent, daemon=True).start()


def _wait_for_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)
