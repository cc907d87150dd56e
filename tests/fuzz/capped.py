"""`python -m tests.fuzz.capped`: command lines of dfer, run in one process whose memory is capped.

A line of JSON comes in for each, {"name", "folder", "arguments"}, and one goes out, {"name", "code", "out", "errors",
"seconds", "megabytes"}. `arguments` are those of `dfer`, or ["pack", MANIFEST, FOLDER] for what only Python offers.
"""

from __future__ import annotations

import contextlib
import io
import json
import logging
import os
import resource
import signal
import sys
import time
import traceback
from collections.abc import Sequence
from pathlib import Path

CAP = 8_000_000 * 1024
"""Bytes of address space; a process that wants more gets a MemoryError."""
SECONDS = 60
"""For one command line."""


class TooSlowError(Exception):
    """A command line did not end in time."""


def main() -> None:
    """Read command lines from stdin until it ends."""
    resource.setrlimit(resource.RLIMIT_AS, (CAP, CAP))
    signal.signal(signal.SIGALRM, _stop)
    with os.fdopen(os.dup(1), "w", encoding="utf-8") as told:
        for line in sys.stdin:
            job = json.loads(line)
            os.chdir(job["folder"])
            print(json.dumps({"name": job["name"], **_outcome(job["arguments"])}), file=told, flush=True)


def _outcome(arguments: Sequence[str]) -> dict[str, object]:
    out, errors, code = io.StringIO(), io.StringIO(), 0
    logging.getLogger().handlers.clear()  # the log goes where stderr is now
    with contextlib.suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5")  # the peak of memory is counted from here on
    begin = time.monotonic()
    signal.alarm(SECONDS)
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(errors):
        try:
            _run(arguments)
        except SystemExit as end:
            code = end.code if isinstance(end.code, int) else 0 if end.code is None else 1
        except BaseException:
            code = 1
            traceback.print_exc()
    signal.alarm(0)
    told = {"out": out.getvalue(), "errors": errors.getvalue()}
    return {"code": code, **told, "seconds": time.monotonic() - begin, "megabytes": _peak()}


def _run(arguments: Sequence[str]) -> None:
    from dfer.cli import main as dfer

    if arguments[0] != "pack":
        sys.argv = ["dfer", *arguments]
        dfer()
        return
    from dfer.datasets import Manifest
    from dfer.datasets.pack import pack
    from dfer.errors import DferError

    try:
        pack(Manifest.read(arguments[1]), Path(arguments[2]), size=16, workers=1)
    except DferError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(2)


def _stop(*_: object) -> None:
    raise TooSlowError(f"more than {SECONDS} s")


def _peak() -> float:
    lines = Path("/proc/self/status").read_text(encoding="utf-8").splitlines()
    return next(int(line.split()[1]) / 1024 for line in lines if line.startswith("VmHWM:"))


if __name__ == "__main__":
    main()
