"""Steps of a long job that work at the same time: each runs ahead of the next one in a thread of its own.

Threads are enough, for decoding, OpenCV and torch all let go of Python's lock while they compute.
"""

from __future__ import annotations

import atexit
import threading
from collections.abc import Iterable, Iterator
from queue import Empty, Full, Queue
from typing import Generic, TypeVar

Item = TypeVar("Item")

THREAD = "dfer-ahead"
"""Name of the threads."""
PATIENCE_S = 0.05
"""How soon a thread that waits for room notices that nobody wants the rest."""

LEAVE_S = 2.0
"""A thread that is kept waiting for an item is not waited for any longer than this, seconds."""


class Ahead(Generic[Item]):
    """Makes the items of an iterable in a thread, at most `depth` of them in advance.

    Iterating gives lists of items, in order. An error of the iterable comes where its next item would have come. To be
    used as a context: at its end the thread has ended, too, unless the iterable keeps it waiting for an item that does
    not come; then it ends with the process at the latest.

    Args:
        items: what is made.
        depth: items that wait at most, and the longest list.
        steady: lists of 1, 2, 4, ... `depth`, `depth`, ... items and the rest, whatever the speed of both sides: what
            is computed of each list is then the same every time. Otherwise a list has what is ready, one item or more.
    """

    def __init__(self, items: Iterable[Item], depth: int, *, steady: bool = False) -> None:
        self._items, self._steady = items, steady
        self._queue: Queue[Item | _End] = Queue(maxsize=depth)
        self._unwanted = threading.Event()
        self._thread = threading.Thread(target=self._work, name=THREAD, daemon=True)

    def __enter__(self) -> Ahead[Item]:
        atexit.register(self.__exit__)  # where Python ends meanwhile, a thread within OpenCV or torch would abort it
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        atexit.unregister(self.__exit__)
        self._unwanted.set()
        self._thread.join(LEAVE_S)

    def __iter__(self) -> Iterator[list[Item]]:
        most = self._queue.maxsize
        size = 1 if self._steady else most
        while True:
            found, end = self._gather(size)
            if found:
                yield found
            if end is not None:
                break
            size = min(2 * size, most)
        if end.error is not None:
            raise end.error

    def _gather(self, size: int) -> tuple[list[Item], _End | None]:
        """The next items, at most `size`, and the end where it came."""
        found: list[Item] = []
        while len(found) < size:
            item = self._next() if self._steady or not found else self._ready()
            if isinstance(item, _End):
                return found, item
            if item is None:
                return found, _End(None) if self._unwanted.is_set() else None
            found.append(item)
        return found, None

    def _ready(self) -> Item | _End | None:
        """The next one where it is there; None where it is not."""
        try:
            return self._queue.get_nowait()
        except Empty:
            return None

    def _next(self) -> Item | _End | None:
        """The next one as soon as it is there; None when nobody wants it any more."""
        while not self._unwanted.is_set():
            try:
                return self._queue.get(timeout=PATIENCE_S)
            except Empty:
                continue
        return None

    def _work(self) -> None:
        error: BaseException | None = None
        try:
            for item in self._items:
                if not self._put(item):
                    break
        except BaseException as raised:  # it is raised again, where the items are used
            error = raised
        self._put(_End(error))

    def _put(self, item: Item | _End) -> bool:
        """Whether the item found room before nobody wanted it any more."""
        while not self._unwanted.is_set():
            try:
                self._queue.put(item, timeout=PATIENCE_S)
            except Full:
                continue
            return True
        return False


class _End:
    """After the last item."""

    def __init__(self, error: BaseException | None) -> None:
        self.error = error
