"""docs/performance.md says what the benchmarks measured, and every benchmark of `make bench` still runs."""

from __future__ import annotations

import importlib
import re
import runpy
import sys
from pathlib import Path
from typing import Any

import pytest

from .test_readme import ROOT


def test_the_page_is_what_the_numbers_say() -> None:
    page = runpy.run_path(str(ROOT / "tools" / "performance.py"))["render"]()
    assert (ROOT / "docs" / "performance.md").read_text(encoding="utf-8") == page, "run python tools/performance.py"


def test_the_picture_of_growth_is_what_the_numbers_say(tmp_path: Path) -> None:
    program = runpy.run_path(str(ROOT / "tools" / "performance.py"))
    told = program["read"]("growth")["growth"]
    program["draw_growth"]({"growth": told}, tmp_path / "growth.svg")
    for picture in (tmp_path / "growth.svg", program["DRAWN"]):
        shown = re.findall(r">([^<>]+: -?\d\.\d\d)</text>", picture.read_text(encoding="utf-8"))
        assert shown == [f"{each['work']}, by {each['grows']}: {each['exponent']:.2f}" for each in told]


SMALL: dict[str, dict[str, Any]] = {
    "start": {"ROUNDS": 1},
    "prepare": {"CLIPS": 40},
    "input": {"CLIPS": 8, "ROUNDS": 1, "STEPS": 1},
    "store": {"CLIPS": 8, "ROUNDS": 1},
    "jpeg": {"SIZE": 48, "QUALITIES": (0, 90), "COPIES": 1, "ROUNDS": 1},
    "midas": {"SHAPE": (4, 3, 2, 16, 16), "ROUNDS": 4},
    "step": {"ROUNDS": 1, "COMPILES": (), "NETWORKS": {"small": ("tiny3d", {}, (2, 3, 4, 24, 24))}},
    "memory": {"CLIPS": 40, "EPOCHS": 13},
    "growth": {"ROWS": 100, "COMPARED": 50, "CLASSES": 3, "SECONDS": 1, "STEPS": (1, 2), "PEOPLE": (1, 2), "ROUNDS": 1},
    "decoding": {"FRAMES": 3, "SIZES": ((112, 112), (64, 48)), "ROUNDS": 1},
    "doctor": {"CLIPS": 60, "TWICE": 5, "LARGE": 2**20},
}
"""What each benchmark of `make bench` measures so little with that it takes seconds."""
LARGE_ONLY = {"scale", "level"}
"""These work in processes that know their own sizes, for minutes."""


def test_each_benchmark_is_tried() -> None:
    named = re.search(r"^BENCHMARKS := (.*)$", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE)
    assert named and set(named[1].split()) == {*SMALL, *LARGE_ONLY}


@pytest.mark.slow
@pytest.mark.usefixtures("in_threads")
@pytest.mark.parametrize("name", SMALL)
def test_a_benchmark_runs_at_a_small_size(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(ROOT / "benchmarks"))
    monkeypatch.setattr(sys, "argv", [name])
    with monkeypatch.context() as patch:
        patch.delitem(sys.modules, name, raising=False)
        module = importlib.import_module(name)
        patch.delitem(sys.modules, "results")
        written: dict[str, Any] = {}
        for constant, value in SMALL[name].items():
            assert hasattr(module, constant)
            patch.setattr(module, constant, value)
        patch.setattr(module, "write_result", lambda key, values: written.update({key: values}))
        module.main()
    assert list(written) == [name] and Path(ROOT / "benchmarks/results" / f"{name}.json").exists()
