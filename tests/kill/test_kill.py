"""Verbs that are killed can be run again, and leave what an undisturbed run leaves."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import av
import pytest

from tests import forked

from .harness import EXAMPLE, VERBS, tried


@pytest.mark.slow
@pytest.mark.parametrize("name", ["synth", "train", "predict .json"])
def test_a_killed_verb_leaves_the_same_bytes_when_it_is_run_again(name: str, tmp_path: Path) -> None:
    told = tried(name, kills=1, seed=3, home=tmp_path)
    assert told.faults == [] and told.kills


@pytest.mark.slow
def test_several_at_once_write_one_file_and_others(tmp_path: Path) -> None:
    outs = ["same.json", "same.json", "same.mp4", "same.mp4", "other.json"]
    with ThreadPoolExecutor(len(outs)) as threads:
        running = [
            threads.submit(forked.dfer, "predict", EXAMPLE, "--every", 0.5, "-o", out, folder=tmp_path) for out in outs
        ]
    ended = [(process.result().stderr, process.result().returncode) for process in running]
    codes = [code for _, code in ended]
    assert all(
        code == 0 or (code == 2 and f"another process is writing {out}" in told)
        for out, (told, code) in zip(outs, ended, strict=True)
    )
    assert 0 in codes[:2] and 0 in codes[2:4] and codes[4] == 0
    assert (tmp_path / "same.json").read_bytes() == (tmp_path / "other.json").read_bytes()
    with av.open(str(tmp_path / "same.mp4")) as film:
        assert next(film.decode(video=0)).width > 0
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(set(outs))


@pytest.mark.slow
def test_a_demo_that_was_killed_can_be_run_again(tmp_path: Path) -> None:
    """Each is ended while it draws: the first cannot tidy up, the second tidies up after both."""
    for number, code in ((signal.SIGKILL, -signal.SIGKILL), (signal.SIGTERM, 128 + signal.SIGTERM)):
        former = set(tmp_path.glob("demo/.dfew.*"))
        process = forked.begin(forked.as_dfer, "demo", "-o", "demo", folder=tmp_path)
        until = time.monotonic() + 60
        while all(path.parents[2] in former for path in tmp_path.glob("demo/.dfew.*.partial/Clip/*/*")):
            assert process.is_alive() and time.monotonic() < until
            time.sleep(0.1)
        assert process.pid is not None
        os.kill(process.pid, number)
        process.join(60)
        assert process.exitcode == code
    assert not list(tmp_path.glob("demo/.dfew.*"))


def test_every_verb_names_verbs_that_it_needs() -> None:
    assert all(needed in VERBS for verb in VERBS.values() for needed in verb.needs)
    done = subprocess.run([sys.executable, "-m", "tests.kill.harness", "--help"], capture_output=True, check=True)
    assert b"--kills" in done.stdout
