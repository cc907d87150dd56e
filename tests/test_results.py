"""The tables of docs/results are those that `table.py` prints from the numbers beside them."""

from __future__ import annotations

import runpy
from pathlib import Path

import pytest

RESULTS = Path(__file__).parents[1] / "docs/results"


@pytest.mark.parametrize("name", ["ferplus", "sim", "m3dfel", "demo"])
def test_a_table_is_what_its_numbers_say(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    runpy.run_path(str(RESULTS / "table.py"))["main"](RESULTS / f"{name}.json")
    printed = [line for line in capsys.readouterr().out.splitlines() if line]
    assert len(printed) >= 4
    assert set(printed) <= set((RESULTS / "README.md").read_text(encoding="utf-8").splitlines())


@pytest.mark.slow
def test_the_table_against_the_truth_is_that_of_the_saved_predictions(
    shared_data: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(str(RESULTS))  # where a script of this folder finds its neighbour
    tables = [RESULTS / f"sim_{run}.parquet" for run in ("soft", "soft_midas")]
    runpy.run_path(str(RESULTS / "truth.py"))["main"](shared_data / "sim_dfew" / "truth.csv", tables)
    printed = [line for line in capsys.readouterr().out.splitlines() if line]
    assert len(printed) == 7
    assert set(printed) <= set((RESULTS / "README.md").read_text(encoding="utf-8").splitlines())
