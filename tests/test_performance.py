"""docs/performance.md says what the benchmarks measured, and the benchmarks of the input and the store still run."""

from __future__ import annotations

import runpy
import sys
from pathlib import Path
from typing import Any

import pytest

from .test_readme import ROOT


def test_the_page_is_what_the_numbers_say() -> None:
    page = runpy.run_path(str(ROOT / "tools" / "performance.py"))["render"]()
    assert (ROOT / "docs" / "performance.md").read_text(encoding="utf-8") == page, "run python tools/performance.py"


@pytest.mark.slow
@pytest.mark.usefixtures("in_threads")
@pytest.mark.parametrize("name", ["input", "store"])
def test_a_benchmark_runs_on_a_few_clips(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(ROOT / "benchmarks"))
    monkeypatch.setattr(sys, "argv", [name])
    found = runpy.run_path(str(ROOT / "benchmarks" / f"{name}.py"))
    written: dict[str, Any] = {}
    names = found["main"].__globals__
    names.update(CLIPS=8, ROUNDS=1, STEPS=1, write_result=lambda key, values: written.update({key: values}))
    found["main"]()
    assert list(written) == [name] and Path(ROOT / "benchmarks/results" / f"{name}.json").exists()
