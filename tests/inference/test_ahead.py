"""Work ahead in a thread: everything in order, errors in their place, and no thread stays behind."""

from __future__ import annotations

import subprocess
import sys
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


@pytest.mark.parametrize("count", [0, 1, 6, 7, 26, 40])
@pytest.mark.parametrize("slow", ["maker", "taker"])
def test_steady_lists_are_the_same_whoever_waits(slow: str, count: int) -> None:
    def items() -> Iterator[int]:
        for item in range(count):
            time.sleep(0.003 * (slow == "maker"))
            yield item

    sizes = []
    with Ahead(items(), 8, steady=True) as ahead:
        for part in ahead:
            sizes.append(len(part))
            time.sleep(0.02 * (slow == "taker"))
    full = [1, 2, 4, 8, 8, 8, 8, 8]
    whole = max(number for number in range(len(full) + 1) if sum(full[:number]) <= count)
    rest = count - sum(full[:whole])
    assert sizes == full[:whole] + [rest] * (rest > 0)


def test_an_error_comes_after_a_steady_list_that_is_cut_short() -> None:
    def items() -> Iterator[int]:
        yield from range(5)
        raise ValueError("the sixth one")

    seen = []
    with Ahead(items(), 8, steady=True) as ahead, pytest.raises(ValueError, match="the sixth one"):
        for part in ahead:
            seen.append(part)
    assert seen == [[0], [1, 2], [3, 4]]


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


LEFT = """
import cv2, numpy, itertools
from dfer.inference.ahead import Ahead

picture = numpy.zeros((1500, 1500, 3), numpy.uint8)
ahead = Ahead((cv2.GaussianBlur(picture, (0, 0), 3) for _ in itertools.count()), 1).__enter__()
print(len(next(iter(ahead))))
"""


def test_a_program_may_end_in_the_middle() -> None:
    done = subprocess.run([sys.executable, "-c", LEFT], capture_output=True, text=True, timeout=120)
    assert (done.returncode, done.stdout, done.stderr) == (0, "1\n", "")
