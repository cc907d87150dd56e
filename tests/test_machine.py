"""What may be used of a machine, where Linux, a container and other programs set limits."""

from __future__ import annotations

import os
from pathlib import Path
from types import SimpleNamespace

import pytest

from dfer import machine

GIB = 2**30


@pytest.fixture(autouse=True)
def _machine(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """8 GiB are free, 6 cores may be used, and no container sets a limit."""
    monkeypatch.setattr(machine.psutil, "virtual_memory", lambda: SimpleNamespace(available=8 * GIB))
    monkeypatch.setattr(machine, "cpu_count", lambda **_: 6)
    monkeypatch.setattr(machine, "CGROUP", tmp_path)


def limit(tmp_path: Path, version: int, most: object, used: int, files: int) -> None:
    """As Linux writes the files of version 1 or 2."""
    if version == 2:
        names, held = ("memory.max", "memory.current", "memory.stat"), "inactive_file"
    else:
        names, held = ("memory.limit_in_bytes", "memory.usage_in_bytes", "memory.stat"), "total_inactive_file"
        names = tuple(f"memory/{name}" for name in names)
    (tmp_path / "memory").mkdir(exist_ok=True)
    for name, text in zip(names, (most, used, f"anon 4096\n{held} {files}\nslab 1"), strict=True):
        (tmp_path / name).write_text(f"{text}\n")


def test_without_a_container_what_the_system_has_left_is_free() -> None:
    assert machine.free_memory() == 8 * GIB


@pytest.mark.parametrize("version", [1, 2])
def test_a_container_has_its_limit_less_what_is_used_and_not_only_kept_of_files(version: int, tmp_path: Path) -> None:
    limit(tmp_path, version, 4 * GIB, 3 * GIB, GIB)
    assert machine.free_memory() == 2 * GIB
    limit(tmp_path, version, 4 * GIB, 5 * GIB, 0)
    assert machine.free_memory() == 0
    limit(tmp_path, version, 2**63 - 4096, 3 * GIB, 0)  # version 1 has no other word for "no limit"
    assert machine.free_memory() == 8 * GIB


def test_a_container_without_a_limit_or_with_files_that_tell_nothing(tmp_path: Path) -> None:
    limit(tmp_path, 2, "max", GIB, 0)
    assert machine.free_memory() == 8 * GIB
    (tmp_path / "memory.stat").write_text("a line of three words")
    assert machine.free_memory() == 8 * GIB


@pytest.mark.parametrize(
    ("jobs", "room", "expected"), [(100, GIB, 6), (4, GIB, 4), (100, 3 * GIB, 2), (100, 9 * GIB, 1), (0, GIB, 1)]
)
def test_no_more_processes_than_jobs_cores_and_memory(jobs: int, room: int, expected: int) -> None:
    assert machine.side_by_side(jobs, room=room) == expected
    assert machine.side_by_side(jobs, room=room, cores=3) == min(expected, 2)


@pytest.mark.skipif(not hasattr(os, "sched_getaffinity"), reason="Linux alone says so")
def test_cores_of_this_process(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()
    assert 1 <= machine.usable_cores() <= len(os.sched_getaffinity(0)) and machine.free_memory() > 0
