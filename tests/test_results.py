"""The tables of docs/results are those that `table.py` prints from the numbers beside them."""

from __future__ import annotations

import json
import runpy
from pathlib import Path

import pytest

from dfer import Predictions
from dfer.evaluation import metrics

RESULTS = Path(__file__).parents[1] / "docs/results"


@pytest.mark.parametrize("name", sorted({path.stem for path in RESULTS.glob("*.json")} - {"model_card"}))
def test_a_table_is_what_its_numbers_say(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    runpy.run_path(str(RESULTS / "table.py"))["main"](RESULTS / f"{name}.json")
    printed = [line for line in capsys.readouterr().out.splitlines() if line]
    assert len(printed) >= 4
    assert set(printed) <= set((RESULTS / "README.md").read_text(encoding="utf-8").splitlines())


@pytest.mark.parametrize("name", ["ferplus", "eighth", "again", "sweep", "sim_grid"])
def test_a_comparison_is_that_of_the_saved_predictions(name: str) -> None:
    cells = json.loads((RESULTS / f"{name}.json").read_text(encoding="utf-8"))["cells"]
    saved = [Predictions.read(path) for path in RESULTS.glob(f"{name}_*.parquet")]
    wars = [metrics.war(run.probs[run.labelled], run.labels[run.labelled]) for run in saved]
    assert sorted(wars) == pytest.approx(sorted(war for cell in cells for war in cell["scores"]["war"]["runs"]))


@pytest.mark.slow
@pytest.mark.parametrize(
    "runs",
    [("sim_soft", "sim_soft_midas"), ("sim_grid_soft_midas", "sim_grid_hard", "sim_grid_hard_midas", "sim_grid_soft")],
)
def test_the_table_against_the_truth_is_that_of_the_saved_predictions(
    runs: tuple[str, ...], shared_data: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(str(RESULTS))  # where a script of this folder finds its neighbour
    tables = [RESULTS / f"{run}.parquet" for run in runs]
    runpy.run_path(str(RESULTS / "truth.py"))["main"](shared_data / "sim_dfew" / "truth.csv", tables)
    printed = [line for line in capsys.readouterr().out.splitlines() if line]
    assert len(printed) == 3 + 2 * len(runs)
    assert set(printed) <= set((RESULTS / "README.md").read_text(encoding="utf-8").splitlines())
