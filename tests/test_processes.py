"""Pools of processes end at once when their block fails or is asked to end, and tidy up."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

PROGRAM = """
import signal, sys, time
from pathlib import Path
from dfer.files import replacing
from dfer.processes import worker_pool

def work(folder, number):
    with replacing(folder / f"{number}.txt") as partial:
        partial.write_text("x")
        (folder / f"begun {number}").touch()
        time.sleep(600)

if __name__ == "__main__":
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    folder = Path(sys.argv[1])
    with worker_pool(2) as pool:
        jobs = [pool.submit(work, folder, number) for number in range(40)]
        while len(list(folder.glob("begun *"))) < 2:
            time.sleep(0.05)
        if sys.argv[2] == "fails":
            raise RuntimeError("something else")
        (folder / "ready").touch()
        jobs[0].result()
"""


@pytest.mark.slow
@pytest.mark.skipif(os.name == "nt", reason="signals of POSIX")
@pytest.mark.parametrize("how", ["fails", "asked"])
def test_work_that_waits_is_dropped_and_work_that_runs_is_broken_off(tmp_path: Path, how: str) -> None:
    program, folder = tmp_path / "program.py", tmp_path / "folder"
    program.write_text(PROGRAM, encoding="utf-8")
    folder.mkdir()
    process = subprocess.Popen([sys.executable, str(program), str(folder), how], stderr=subprocess.PIPE, text=True)
    until = time.monotonic() + 60
    while not (folder / ("begun 1" if how == "fails" else "ready")).exists():
        assert time.monotonic() < until
        time.sleep(0.05)
    workers = psutil.Process(process.pid).children(recursive=True) if how == "asked" else []
    if how == "asked":
        process.send_signal(signal.SIGTERM)
    told = process.communicate(timeout=60)[1]
    assert process.returncode == (143 if how == "asked" else 1), told
    assert ("something else" in told) == (how == "fails")
    assert psutil.wait_procs(workers, timeout=10)[1] == []
    assert {path.name.split()[0] for path in folder.iterdir()} <= {"begun", "ready"}, "no file, and none unfinished"
