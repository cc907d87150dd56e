"""Workers: they end with their parent, at once, and leave nothing unfinished."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures.process import BrokenProcessPool
from functools import partial
from pathlib import Path

import psutil
import pytest

from dfer.errors import DferError
from dfer.files import is_unfinished, replacing
from dfer.processes import finished, worker_pool

PARENT = """
import sys, time
from pathlib import Path
from dfer.processes import ENDING, end_when_asked, worker_pool
from tests.test_processes import write_slowly
import signal
if __name__ == "__main__":
    for number in ENDING:
        signal.signal(number, end_when_asked)
    with worker_pool(2) as pool:
        for job in [pool.submit(write_slowly, Path(sys.argv[1]) / str(number)) for number in range(6)]:
            job.result()
"""


def write_slowly(path: Path) -> None:
    """A minute of writing."""
    with replacing(path) as partial:
        partial.write_text("half")
        time.sleep(60)


def die(_number: int) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def fail(number: int) -> int:
    if number == 0:
        raise DferError("the first is bad")
    time.sleep(3600)
    return number


def warn(name: str) -> None:
    import logging

    logging.getLogger("dfer.video").warning("%s has no sound", name)


def with_tests() -> dict[str, str]:
    """An environment in which programs find these tests."""
    return os.environ | {"PYTHONPATH": os.pathsep.join([str(Path(__file__).parents[1]), *sys.path])}


@pytest.fixture
def parent(tmp_path: Path) -> Iterator[subprocess.Popen[bytes]]:
    """A process whose two workers are in the middle of writing."""
    (tmp_path / "parent.py").write_text(PARENT)
    (tmp_path / "out").mkdir()
    process = subprocess.Popen(
        [sys.executable, str(tmp_path / "parent.py"), str(tmp_path / "out")], env=with_tests(), stderr=subprocess.PIPE,
        start_new_session=True,
    )  # fmt: skip
    until = time.monotonic() + 60
    while sum(is_unfinished(path.name) for path in (tmp_path / "out").iterdir()) < 2:
        assert process.poll() is None and time.monotonic() < until
        time.sleep(0.05)
    yield process
    process.kill()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP, signal.SIGKILL])
def test_workers_end_with_their_parent(parent: subprocess.Popen[bytes], number: signal.Signals, tmp_path: Path) -> None:
    workers = psutil.Process(parent.pid).children(recursive=True)
    assert len(workers) >= 2
    parent.send_signal(number)
    assert parent.wait(timeout=30) == (-number if number == signal.SIGKILL else 128 + number)
    assert psutil.wait_procs(workers, timeout=30)[1] == []
    if number != signal.SIGKILL:
        assert list((tmp_path / "out").iterdir()) == []


def test_a_key_that_interrupts_all_of_them_is_told_by_the_parent_alone(
    parent: subprocess.Popen[bytes], tmp_path: Path
) -> None:
    workers = psutil.Process(parent.pid).children(recursive=True)
    os.killpg(parent.pid, signal.SIGINT)
    told = parent.communicate(timeout=30)[1].decode()
    assert told.count("Traceback") == told.count("KeyboardInterrupt") == 1
    assert psutil.wait_procs(workers, timeout=30)[1] == [] and list((tmp_path / "out").iterdir()) == []


def test_the_first_error_ends_the_work_of_the_others() -> None:
    for _ in range(3):  # at a moment that differs
        with pytest.raises(DferError, match="the first is bad"), worker_pool(2) as pool:
            list(pool.map(fail, range(4)))


def test_a_worker_that_dies_is_one_sentence() -> None:
    with pytest.raises(DferError, match="a worker process died: it was killed"), worker_pool(1) as pool:
        list(pool.map(die, range(2)))


def own_threads() -> tuple[int, int]:
    import cv2
    import torch

    return cv2.getNumThreads(), torch.get_num_threads()


def double(number: int) -> int:
    if number < 0:
        os.kill(os.getpid(), signal.SIGKILL)
    if number == 0:
        raise DferError("nothing to double")
    return 2 * number


@pytest.mark.parametrize("workers", [1, 2])
def test_a_call_whose_process_dies_harms_no_other_and_the_order_stays(workers: int) -> None:
    told = []
    for future in finished([partial(double, number) for number in (3, 0, -1, 5, -1, 7)], workers):
        error = future.exception()
        told.append(type(error) if error else future.result())
    assert told == [6, DferError, BrokenProcessPool, 10, BrokenProcessPool, 14]


def test_calls_that_nobody_waits_for_any_more_are_dropped() -> None:
    begin = time.monotonic()
    futures = finished([partial(double, 1), *(partial(fail, 1) for _ in range(3))], 2)
    assert next(futures).result() == 2
    futures.close()
    assert time.monotonic() - begin < 600, "the others take an hour"
    assert list(finished([], 2)) == []


def test_a_worker_computes_on_as_many_threads_as_it_is_given(monkeypatch: pytest.MonkeyPatch) -> None:
    # more than the machine has torch does not take
    for set_outside, given, expected in (("", 1, (1, 1)), ("2", 1, (1, 1)), ("1", 2, (2, 1)), ("none", 1, (1, 1))):
        monkeypatch.setenv("OMP_NUM_THREADS", set_outside)
        with worker_pool(1, threads=given) as pool:
            assert pool.submit(own_threads).result() == expected


def test_a_name_in_a_warning_of_a_worker_is_shown(capfd: pytest.CaptureFixture[str]) -> None:
    with worker_pool(1) as pool:
        pool.submit(warn, "a\x1b[31m\nerror: forged").result()
    assert capfd.readouterr().err == "a␛[31m␊error: forged has no sound\n"


SWALLOWS = """
import os, signal, sys, time
from dfer.processes import ENDING, end_when_asked

class Finalised:
    def __del__(self):
        os.kill(os.getpid(), int(sys.argv[1]))
        for _ in range(1000):
            pass

for number in ENDING:
    signal.signal(number, end_when_asked)
try:
    Finalised()
    time.sleep(60)
    print("went on")
finally:
    print("tidied up")
"""


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_a_process_that_is_asked_to_end_within_a_finaliser_ends(number: signal.Signals) -> None:
    done = subprocess.run(
        [sys.executable, "-c", SWALLOWS, str(int(number))], capture_output=True, text=True, timeout=50
    )
    assert (done.returncode, done.stdout, done.stderr) == (128 + number, "tidied up\n", "")


STARTS = """
import sys, time
from pathlib import Path
from dfer.processes import finished, worker_pool
from tests.test_processes import write_slowly
if __name__ == "__main__":
    folder = Path(sys.argv[1])
    with worker_pool(2) as pool:
        jobs = [pool.submit(write_slowly, folder / str(number)) for number in range(40)]
        while len(list(folder.iterdir())) < 2:
            time.sleep(0.05)
        raise RuntimeError("something else")
"""


def test_work_that_waits_is_dropped_when_the_block_fails(tmp_path: Path) -> None:
    (tmp_path / "program.py").write_text(STARTS)
    (tmp_path / "out").mkdir()
    command = [sys.executable, str(tmp_path / "program.py"), str(tmp_path / "out")]
    done = subprocess.run(command, env=with_tests(), capture_output=True, text=True, timeout=120)
    assert done.returncode == 1 and done.stderr.splitlines()[-1] == "RuntimeError: something else"
    assert list((tmp_path / "out").iterdir()) == []
