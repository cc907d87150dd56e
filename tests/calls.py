"""What tests let the workers of a cluster do; this module imports little, for each worker imports it."""

from __future__ import annotations

import os
import time
from pathlib import Path

from dfer.errors import DferError
from dfer.files import replacing


def write_once(path: Path) -> int:
    """Writes a file, slowly; which process did so is logged beside it."""
    if path.exists():
        return 0
    with replacing(path) as partial:
        partial.write_text("half")
        time.sleep(0.08)
        partial.write_text("whole")
    with path.with_suffix(".log").open("a") as log:
        log.write(f"{os.getpid()}\n")
    return os.getpid()


def write_chunk(paths: list[Path]) -> list[int]:
    return [write_once(path) for path in paths]


def fail(number: int) -> int:
    if number == 1:
        raise DferError("the second is bad")
    time.sleep(0.1)
    return number


def sleep(_number: int) -> None:
    time.sleep(600)
