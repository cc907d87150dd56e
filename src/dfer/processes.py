"""Processes that work side by side, and end with the one that started them."""

from __future__ import annotations

import contextlib
import logging
import multiprocessing
import os
import signal
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Generator, Iterator, Sequence
from concurrent.futures import Executor, Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextvars import ContextVar
from functools import partial
from multiprocessing.process import BaseProcess
from types import FrameType
from typing import Any, ParamSpec, Protocol, TypeVar

from dfer.errors import DferError, OneLine

DIED = (
    "a worker process died: it was killed, the memory was not enough, or the main module of the program cannot be "
    "imported; run it again, from Python with workers=1"
)
GRACE_S = 5.0
"""In which a worker that is asked to end must have ended, before it is killed."""
AGAIN_S = 0.05
"""After which a process is asked again to end, where a finaliser swallowed the first time."""
_busy = threading.Event()
"""Whether this process, a worker, is in a call."""
Given = ParamSpec("Given")
Result = TypeVar("Result")


class WorkerPool(ProcessPoolExecutor):
    """Processes that end at once, and remove what they have not finished, when the block of the pool fails.

    Raises:
        DferError: at the end of the block, when one of them died.
    """

    def submit(self, fn: Callable[Given, Result], /, *args: Given.args, **kwargs: Given.kwargs) -> Future[Result]:
        """As that of `ProcessPoolExecutor`."""
        return super().submit(_work, fn, *args, **kwargs)

    def __exit__(self, kind: Any, error: Any, trace: Any) -> None:
        if kind is not None:  # nobody wants what they still do
            _end(list((self._processes or {}).values()))
        super().__exit__(kind, error, trace)
        if isinstance(error, BrokenProcessPool):
            raise DferError(DIED) from error


class MakePool(Protocol):
    """Makes the pools of another place than this machine."""

    def __call__(self, *, gpu: bool) -> Executor:
        """A pool whose calls take a GPU each, where there are some."""


_elsewhere: ContextVar[MakePool | None] = ContextVar("elsewhere", default=None)


@contextlib.contextmanager
def pools_by(make: MakePool) -> Iterator[None]:
    """Within the block, `worker_pool` gives the pools that `make` makes."""
    token = _elsewhere.set(make)
    try:
        yield
    finally:
        _elsewhere.reset(token)


def works_elsewhere() -> bool:
    """Whether `worker_pool` has more than this machine's processes; see `dfer.cluster`."""
    return _elsewhere.get() is not None


def worker_pool(workers: int | None, *, gpu: bool = False, threads: int | None = None) -> Executor:
    """A pool of processes that end with their parent.

    Within `dfer.cluster.on_cluster` it is one of the cluster.

    Args:
        workers: how many processes; None: one a core.
        gpu: whether each call takes a GPU of the cluster.
        threads: on which each process computes; None: OpenCV on one, torch as it likes.
    """
    make = _elsewhere.get()
    if make is not None:
        return make(gpu=gpu)
    start = partial(_start_worker, threads)
    return WorkerPool(workers, multiprocessing.get_context("spawn"), initializer=start)


def finished(
    calls: Sequence[Callable[[], Result]], workers: int | None, *, gpu: bool = False, threads: int | None = None
) -> Generator[Future[Result], None, None]:
    """The futures of calls that a `worker_pool` makes side by side, in order, each when it is done.

    Where a process of this machine dies, what was not done is done in one process, call by call. The call whose process
    dies then has a `BrokenProcessPool` for its error, and the others are not harmed.
    """
    alone, place = workers == 1, 0
    while place < len(calls):
        with worker_pool(1 if alone else workers, gpu=gpu, threads=threads) as pool:
            futures = deque(pool.submit(call) for call in calls[place:])
            died = False
            while futures and not died:
                died = isinstance(futures[0].exception(), BrokenProcessPool)
                if alone or not died:
                    place += 1
                    yield futures.popleft()  # so that no result is kept
        alone = True


def _end(workers: list[BaseProcess]) -> None:
    for worker in workers:
        worker.terminate()
    until = time.monotonic() + GRACE_S
    for worker in workers:
        worker.join(max(0.0, until - time.monotonic()))
        if worker.is_alive():  # it hangs in the code of a decoder
            worker.kill()


def end_when_asked(number: int, _frame: object) -> None:
    """A handler of a signal: the process ends as after an error, so that unfinished files are removed.

    The exit code is the shell's for that signal. While they are removed no other signal disturbs.
    """
    for other in ENDING:
        signal.signal(other, signal.SIG_IGN)
    sys.unraisablehook = partial(_ask_again, number)
    sys.exit(128 + number)


def _ask_again(number: int, error: Any) -> None:
    """Python goes on where a finaliser (`__del__`, say) was running, which swallows errors: an alarm asks again."""
    if not issubclass(error.exc_type, SystemExit):
        sys.__unraisablehook__(error)
        return
    signal.signal(signal.SIGALRM, partial(_end_after_all, number))
    signal.setitimer(signal.ITIMER_REAL, AGAIN_S, AGAIN_S)


def _end_after_all(number: int, _alarm: int, frame: FrameType | None) -> None:
    """A handler of that alarm; it waits for the next one where the first came too early."""
    while frame is not None:
        if frame.f_code is _ask_again.__code__:
            return
        frame = frame.f_back
    signal.setitimer(signal.ITIMER_REAL, 0)
    sys.exit(128 + number)


ENDING = tuple(getattr(signal, name) for name in ("SIGTERM", "SIGHUP") if hasattr(signal, name))
"""The signals that ask a process to end."""


def begin_work(threads: int | None = None) -> None:
    """To be called once in a worker: its threads, see `worker_pool`, and warnings on stderr."""
    import cv2  # here: the command line starts faster without

    cv2.setNumThreads(threads or 1)  # the processes share the processors already
    if threads:
        set_outside = os.environ.get("OMP_NUM_THREADS", "")
        threads = min(threads, int(set_outside)) if set_outside.isdecimal() and int(set_outside) else threads
        os.environ["OMP_NUM_THREADS"] = str(threads)  # torch reads it when it is loaded
    handler = logging.StreamHandler()
    handler.setFormatter(OneLine("%(message)s"))
    logging.basicConfig(level=logging.WARNING, handlers=[handler])


def _start_worker(threads: int | None) -> None:
    begin_work(threads)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the one that started it, which ends it
    for number in ENDING:
        signal.signal(number, _end_worker)
    end_with_parent()


def _end_worker(number: int, frame: object) -> None:
    """As `end_when_asked`; between two calls there is nothing to remove, and the pool's own code would go on."""
    if not _busy.is_set():
        os._exit(128 + number)
    end_when_asked(number, frame)


def _work(function: Callable[..., Result], /, *given: Any, **named: Any) -> Result:
    """What a worker was given to do; it ends when it is asked to, instead of handing that on as an error."""
    try:
        try:
            _busy.set()
            return function(*given, **named)
        finally:
            _busy.clear()
    except SystemExit as asked:
        os._exit(asked.code if isinstance(asked.code, int) else 1)


def end_with_parent(_worker: int = 0) -> None:
    """To be called in a worker: it ends when its parent was killed, and does not wait for work for ever."""
    threading.Thread(target=_wait_for_parent, daemon=True).start()


def _wait_for_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)
