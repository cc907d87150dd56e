"""Processes forked by a server that has loaded torch, so that each starts at once."""

from __future__ import annotations

import os
import signal
import socket
import sys
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from multiprocessing import connection, get_context
from multiprocessing.connection import Connection
from multiprocessing.context import ForkServerContext, ForkServerProcess
from pathlib import Path
from subprocess import CompletedProcess

LONGEST_S = 300


def exit_code(function: Callable[..., object], *given: object) -> int | None:
    """How a process ended that called this function; minus the signal that ended it."""
    (code,) = exit_codes(function, *given)
    return code


def exit_codes(function: Callable[..., object], *given: object, processes: int = 1) -> list[int | None]:
    """How each of some processes ended that called this function together; when one fails, the others are ended."""
    port = _free_port()
    started = [
        context().Process(target=_as_rank, args=(rank, processes, port, function, *given)) for rank in range(processes)
    ]
    for process in started:
        process.start()
    return _ended(started)


def run(function: Callable[..., object], *given: object, folder: Path, **environment: str) -> CompletedProcess[str]:
    """What a process said, and how it ended, that called this function in a folder, from which it imports first.

    Args:
        environment: variables that it has besides ours; an empty one is taken away.
    """
    (out, says), (errors, complains) = context().Pipe(duplex=False), context().Pipe(duplex=False)
    process = context().Process(target=_as_program, args=(says, complains, folder, environment, function, *given))
    process.start()
    says.close()
    complains.close()
    with ThreadPoolExecutor(2) as readers:
        told = readers.map(_read, (out, errors))
        (code,) = _ended([process])
    assert code is not None
    return CompletedProcess((function.__name__, *given), code, *told)


def dfer(*words: object, folder: Path, **environment: str) -> CompletedProcess[str]:
    """What `python -m dfer WORDS` says in a folder."""
    return run(as_dfer, *map(str, words), folder=folder, **environment)


def warm() -> None:
    """Have the server, so that no start that is timed waits for it."""
    exit_code(int)


def begin(function: Callable[..., object], *given: object, folder: Path) -> ForkServerProcess:
    """A process that calls this function in a folder, not waited for; what it says is lost."""
    process = context().Process(target=_unheard, args=(folder, function, *given))
    process.start()
    return process


def as_dfer(*words: str) -> None:
    """What `python -m dfer WORDS` does."""
    from dfer.cli import main

    sys.argv = ["dfer", *words]
    main()


def context() -> ForkServerContext:
    """How processes start; the first call has to come before anyone else starts the server, as conftest.py does."""
    forks = get_context("forkserver")
    forks.set_forkserver_preload(["dfer.training.loop"])
    return forks


def _ended(started: list[ForkServerProcess]) -> list[int | None]:
    """How they ended: all by themselves, or, when one failed or after a long time, killed."""
    running = {process.sentinel: process for process in started}
    while running:
        ended = [running.pop(sentinel) for sentinel in connection.wait(list(running), LONGEST_S)]  # type: ignore[arg-type]
        for process in ended:
            process.join()
        if not ended or any(process.exitcode for process in ended):
            break
    for process in started:
        process.kill()
        process.join()
    return [process.exitcode for process in started]


def _free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port: int = free.getsockname()[1]
    return port


def _as_rank(rank: int, count: int, port: int, function: Callable[..., object], *given: object) -> None:
    """Call a function with what torchrun says to one of its processes, where there are several."""
    if count > 1:
        told = {"RANK": rank, "LOCAL_RANK": rank, "WORLD_SIZE": count, "LOCAL_WORLD_SIZE": count, "MASTER_PORT": port}
        os.environ.update({name: str(value) for name, value in told.items()}, MASTER_ADDR="127.0.0.1")
    function(*given)


def _as_program(
    says: Connection, complains: Connection, folder: Path, environment: Mapping[str, str],
    function: Callable[..., object], *given: object,
) -> None:  # fmt: skip
    """Call a function as a program that was started in a folder."""
    for number, end in ((1, says), (2, complains)):
        os.dup2(end.fileno(), number)
        end.close()
    sys.stdout, sys.stderr = open(1, "w", closefd=False), open(2, "w", closefd=False, buffering=1)  # noqa: SIM115
    os.chdir(folder)
    sys.path.insert(0, str(folder))
    sys.argv = [function.__name__]
    os.environ.update(environment)
    for name in [name for name, value in environment.items() if not value]:
        del os.environ[name]
    function(*given)


def _unheard(folder: Path, function: Callable[..., object], *given: object) -> None:
    with Path(os.devnull).open("w") as nobody:
        os.dup2(nobody.fileno(), 1)
        os.dup2(nobody.fileno(), 2)
    os.chdir(folder)
    function(*given)


def _read(end: Connection) -> str:
    """All that comes until the other side is closed."""
    parts = []
    while part := os.read(end.fileno(), 2**16):
        parts.append(part)
    return b"".join(parts).decode()


class Killer:
    """Progress of a training that ends its process after so many steps, and never where that is negative."""

    def __init__(self, steps: int) -> None:
        self.left = steps

    def begin(self, _: object) -> None:
        """A run begins."""

    def step(self, _: object) -> None:
        """A step was made."""
        self.left -= 1
        if self.left == 0:
            os.kill(os.getpid(), signal.SIGKILL)

    def epoch(self, _: object) -> None:
        """An epoch was made."""
