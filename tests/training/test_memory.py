"""Freed memory stays with the process while a network is trained."""

from __future__ import annotations

import platform

import numpy as np
import pytest

from dfer.training.memory import memory_kept

resource = pytest.importorskip("resource")
PAGES = 64 * 2**20 // resource.getpagesize()


def faults() -> int:
    """Pages that are written for the first time when 64 MB are taken, filled and given back."""
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    np.full(64 * 2**20, 1, np.uint8)
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="of the GNU C library")
def test_memory_that_was_freed_is_taken_again_without_faults() -> None:
    with memory_kept():
        faults()
        assert faults() < PAGES / 50
