"""The tables of docs/scale.md are those of the results."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).parents[1]


@pytest.fixture
def program() -> ModuleType:
    spec = importlib.util.spec_from_file_location("scale_page", ROOT / "benchmarks" / "scale_page.py")
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_page_says_what_was_measured(program: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    page = tmp_path / "scale.md"
    page.write_text(program.PAGE.read_text())
    monkeypatch.setattr(program, "PAGE", page)
    program.main()
    assert page.read_text() == (ROOT / "docs" / "scale.md").read_text()


def test_a_bill_by_hand(program: ModuleType) -> None:
    # 3,840 core hours at 4 cents; 64 cores have 1,536 hours a day
    assert program._cores(3840) == "3,840 core hours, $154; 2 for a day"
    assert program._cores(32) == "32 core hours, $1.28; one for 30 min"
