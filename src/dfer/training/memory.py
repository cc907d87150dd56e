"""Keep memory that was given back, while a network is trained on a CPU.

The GNU C library returns large pieces to the system as soon as they are freed, and each page of the next one costs a
fault when it is first written: in training more than the arithmetic of many layers (`benchmarks/input.py` measures it).
Other libraries are left as they are.
"""

from __future__ import annotations

import ctypes
import platform
from collections.abc import Iterator
from contextlib import contextmanager

TRIM_THRESHOLD, MMAP_THRESHOLD, MMAP_MAX = -1, -3, -4
"""Parameters of `mallopt`, as malloc.h numbers them."""
KEPT = 2**31 - 1
"""Bytes that are kept at the end of the heap, at most."""
AFTERWARDS = {TRIM_THRESHOLD: 2**26, MMAP_THRESHOLD: 2**25, MMAP_MAX: 2**16}
"""What the library itself arrives at when large pieces come and go."""


@contextmanager
def memory_kept() -> Iterator[None]:
    """Freed memory stays with the process within the block, and goes back to the system at its end."""
    if platform.libc_ver()[0] != "glibc":
        yield
        return
    library = ctypes.CDLL(None)
    library.mallopt(MMAP_MAX, 0)
    library.mallopt(TRIM_THRESHOLD, KEPT)
    try:
        yield
    finally:
        for parameter, value in AFTERWARDS.items():
            library.mallopt(parameter, value)
        library.malloc_trim(0)
