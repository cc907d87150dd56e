"""Work ahead in a thread: everything in order, errors in their place, and no thread stays behind."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator

import pytest

from dfer.inference.ahead import THREAD, Ahead


def test_everything_comes_once_and_in_order() -> None:
    with Ahead(range(1000), 7) as ahead:
        ready = list(ahead)
    assert [item for part in ready for item in part] == list(range(1000))
    assert all(1 <= len(part) <= 7 for part in ready)


def test_nothing_comes_of_nothing() -> None:
    with Ahead([], 3) as ahead:
        assert list(ahead) == []


def test_no_more_than_the_depth_is_made_in_advance() -> None:
    made = []

    def items() -> Iterator[int]:
        for item in range(100):
            made.append(item)
            yield item

    with Ahead(items(), 3):
        deadline = time.monotonic() + 5
        while len(made) < 4 and time.monotonic() < deadline:
            time.sleep(0.01)
        time.sleep(0.2)
        assert len(made) == 4, "three that wait and one that finds no room"


def test_an_error_comes_after_what_was_before_it() -> None:
    def items() -> Iterator[int]:
        yield 1
        yield 2
        raise ValueError("the third one")

    seen = []
    with Ahead(items(), 5) as ahead, pytest.raises(ValueError, match="the third one"):
        for part in ahead:
            seen += part
    assert seen == [1, 2]


def test_the_thread_ends_when_nobody_wants_the_rest() -> None:
    with Ahead(iter(int, 1), 2) as ahead:
        next(iter(ahead))
    assert THREAD not in {thread.name for thread in threading.enumerate()}
