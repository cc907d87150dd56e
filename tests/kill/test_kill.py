"""Verbs that are killed can be run again, and leave what an undisturbed run leaves."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

import pytest

from .harness import EXAMPLE, VERBS, dfer, tried


@pytest.mark.slow
@pytest.mark.parametrize("name", ["synth", "train", "predict .json"])
def test_a_killed_verb_leaves_the_same_bytes_when_it_is_run_again(name: str, tmp_path: Path) -> None:
    told = tried(name, kills=2, seed=3, home=tmp_path)
    assert told.faults == [] and told.kills


@pytest.mark.slow
def test_several_at_once_write_one_file_and_others(tmp_path: Path) -> None:
    outs = ["same.json", "same.json", "same.json", "a.json", "b.json"]
    running = [dfer(["predict", str(EXAMPLE), "--every", "0.5", "-o", out], tmp_path) for out in outs]
    ended = [(process.communicate()[1].decode(), process.returncode) for process in running]
    assert all(code == 0 or (code == 2 and "another process is writing same.json" in told) for told, code in ended)
    assert [code for _, code in ended[3:]] == [0, 0] and 0 in [code for _, code in ended[:3]]
    assert (tmp_path / "same.json").read_bytes() == (tmp_path / "a.json").read_bytes()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.json", "b.json", "same.json"]


@pytest.mark.slow
def test_a_demo_that_was_killed_can_be_run_again(tmp_path: Path) -> None:
    for _ in range(2):
        process = dfer(["demo", "-o", "demo"], tmp_path)
        until = time.monotonic() + 60
        while not list(tmp_path.glob("demo/.dfew.*.partial/Clip/*/*")):
            assert process.poll() is None and time.monotonic() < until, process.stderr
            time.sleep(0.1)
        process.kill()
        process.wait()
    assert len(list(tmp_path.glob("demo/.dfew.*"))) == 1


def test_every_verb_names_verbs_that_it_needs() -> None:
    assert all(needed in VERBS for verb in VERBS.values() for needed in verb.needs)
    done = subprocess.run([sys.executable, "-m", "tests.kill.harness", "--help"], capture_output=True, check=True)
    assert b"--kills" in done.stdout
