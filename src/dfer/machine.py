"""What this machine has to give: cores and memory, as its container and its other programs leave them."""

from __future__ import annotations

from pathlib import Path

import psutil
from joblib import cpu_count

CGROUP = Path("/sys/fs/cgroup")
"""Where Linux tells a container what it may use."""
LIMITS = (
    ("memory.max", "memory.current", "memory.stat", "inactive_file"),
    ("memory/memory.limit_in_bytes", "memory/memory.usage_in_bytes", "memory/memory.stat", "total_inactive_file"),
)
"""Files of version 2 and 1: the limit, what is used, and where it says how much of that only holds files."""


def usable_cores() -> int:
    """Physical cores that this process may use, by its affinity and its container's quota."""
    return int(cpu_count(only_physical_cores=True))


def free_memory() -> int:
    """Bytes that programs may still take without swapping."""
    left = [_left(*names) for names in LIMITS]
    return min([int(psutil.virtual_memory().available), *(value for value in left if value is not None)])


def side_by_side(jobs: int, *, room: int, cores: int = 1) -> int:
    """How many processes may do `jobs` of work side by side, each on so many cores with `room` bytes; at least 1."""
    return max(1, min(jobs, usable_cores() // cores, free_memory() // room))


def _left(limit: str, used: str, stat: str, files: str) -> int | None:
    """What the container may still take; None where it has no such limit."""
    try:
        most, now = (int((CGROUP / name).read_text(encoding="ascii")) for name in (limit, used))
        told = (line.split() for line in (CGROUP / stat).read_text(encoding="ascii").splitlines())
        held = {name: int(value) for name, value in told}
    except (OSError, ValueError):
        return None
    return max(0, most - now + held.get(files, 0))
