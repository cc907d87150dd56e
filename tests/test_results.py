"""The tables of docs/results that a script beside them prints are what it prints."""

from __future__ import annotations

import runpy
from pathlib import Path

import pytest

RESULTS = Path(__file__).parents[1] / "docs/results"


@pytest.mark.slow
def test_the_scores_on_ferplus_without_doubles_are_those_of_the_saved_predictions(
    shared_data: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    runpy.run_path(str(RESULTS / "ferplus_doubles.py"))["main"](shared_data / "ferplus")
    printed = [line for line in capsys.readouterr().out.splitlines() if "| clean, 3,300 |" in line]
    assert len(printed) == 4
    assert set(printed) <= set((RESULTS / "README.md").read_text(encoding="utf-8").splitlines())
