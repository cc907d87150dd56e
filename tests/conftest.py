"""Fixtures that more than one test file uses."""

from __future__ import annotations

import signal
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from hypothesis import settings

from tests import forked

# A test on a busy machine is slow, not wrong.
settings.register_profile("dfer", deadline=None)
settings.load_profile("dfer")

SHARED_DATA = Path(__file__).resolve().parents[2] / "shared" / "data"


def pytest_configure() -> None:
    """Whoever starts the server of forked processes, it has loaded torch; Ctrl-C reaches what the tests start.

    A shell that starts the tests in the background lets them, and all that they start, ignore it.
    """
    signal.signal(signal.SIGINT, signal.default_int_handler)
    forked.context()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Files with slow tests come first, so that no process is left with one at the end while the others are done."""
    slow = {item.path for item in items if item.get_closest_marker("slow")}
    items.sort(key=lambda item: item.path not in slow)


@pytest.fixture
def shared_data() -> Path:
    """Real votes, faces and clips that may lie beside the checkout; tests that need them skip where they don't."""
    if not SHARED_DATA.is_dir():
        pytest.skip("no shared/data folder beside the checkout")
    return SHARED_DATA


@pytest.fixture
def in_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    """Clips are drawn and packed by a thread of this process, which is quicker and can be interfered with."""
    for module in ("pack", "synthetic.write"):
        monkeypatch.setattr(f"dfer.datasets.{module}.worker_pool", lambda _: ThreadPoolExecutor(1))
