"""As many threads as other programs leave cores idle."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch

from dfer.training import threads as module
from dfer.training.threads import Threads, threads_kept


@pytest.fixture(autouse=True)
def torchs_own() -> Iterator[None]:
    with threads_kept():
        yield


def machine(monkeypatch: pytest.MonkeyPatch, *, cores: int, usable: int, busy: list[float], own: float) -> Threads:
    """A machine of which this process may use `usable` cores; `busy` in percent a core, `own` percent in all."""

    class Own:
        def cpu_percent(self) -> float:
            return own

    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    monkeypatch.setattr(module.psutil, "Process", Own)
    answers = iter([[100.0] * cores])  # the first is of the time since psutil was imported

    def cpu_percent(*, percpu: bool) -> list[float]:
        assert percpu
        return next(answers, busy)

    monkeypatch.setattr(module.psutil, "cpu_percent", cpu_percent)
    monkeypatch.setattr(module, "FIRST_LOOK", 0)
    monkeypatch.setattr(module, "usable_cores", lambda: usable)
    monkeypatch.setattr(module.os, "sched_getaffinity", lambda _: set(range(cores)), raising=False)
    return Threads("auto")


@pytest.mark.parametrize(
    ("busy", "own", "expected"),
    [
        ([0.0] * 4, 0.0, 4),  # idle
        ([100.0] * 4, 400.0, 4),  # busy with our own work
        ([100.0, 90.0, 0.0, 0.0], 0.0, 2),  # two cores of others
        ([100.0] * 4, 200.0, 2),  # another program as large as ours
        ([100.0] * 4, 30.0, 1),  # no core is left, and one thread must run
    ],
)
def test_auto_takes_the_cores_that_others_leave(
    monkeypatch: pytest.MonkeyPatch, busy: list[float], own: float, expected: int
) -> None:
    assert machine(monkeypatch, cores=4, usable=4, busy=busy, own=own).choose() == expected
    assert torch.get_num_threads() == expected


def test_never_more_than_a_containers_quota(monkeypatch: pytest.MonkeyPatch) -> None:
    assert machine(monkeypatch, cores=64, usable=8, busy=[50.0] * 64, own=0.0).choose() == 8


def test_only_the_cores_of_this_process_count(monkeypatch: pytest.MonkeyPatch) -> None:
    assert machine(monkeypatch, cores=2, usable=2, busy=[0.0, 0.0, 100.0, 100.0], own=0.0).choose() == 2


def test_a_number_is_a_number_and_the_environment_speaks_for_auto(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "3")
    assert Threads("auto").choose() == 3
    assert Threads(2).choose() == 2


def test_on_this_machine_auto_is_between_one_and_the_usable_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    chosen = Threads("auto")
    assert all(1 <= chosen.choose() <= module.usable_cores() for _ in range(2))


def test_torchs_number_is_put_back() -> None:
    before = torch.get_num_threads()
    with threads_kept():
        torch.set_num_threads(before + 1)
    assert torch.get_num_threads() == before
