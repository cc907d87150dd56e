"""Test parts under corruptions: every table once, the same pictures for every run."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from dfer import DferError, Manifest, Predictions
from dfer.experiments import robustness, train_folds
from dfer.experiments.robustness import corrupted_runs
from tests.training.toy import toy_manifest, toy_recipe


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("runs")
    data = toy_manifest(folder / "clips")
    for name in ("a", "b"):
        recipe = toy_recipe(labels={"rule": "hard" if name == "a" else "frequency"})
        train_folds(recipe, Manifest.read(data), folder / name, folds=[1, 2])
    return {name: folder / name for name in ("a", "b")}


def test_every_corruption_is_predicted_once_and_kept(runs: dict[str, Path], tmp_path: Path) -> None:
    told: list[tuple[int, int]] = []
    result = corrupted_runs(runs, tmp_path, names=["noise", "darkness"], progress=lambda *at: told.append(at))
    assert told == [(done, 20) for done in range(1, 21)]
    tables = sorted(path.name for path in (runs["a"] / "fold2" / "corrupted").iterdir())
    assert tables == [f"{name}{severity}.parquet" for name in ("darkness", "noise") for severity in range(1, 6)]
    clean = Predictions.read(runs["a"] / "fold2" / "predictions.csv")
    spoilt = Predictions.read(runs["a"] / "fold2" / "corrupted" / "darkness5.parquet")
    assert spoilt.ids.tolist() == clean.ids.tolist() and not np.allclose(spoilt.probs, clean.probs)
    before = {path: path.stat().st_mtime_ns for run in runs.values() for path in run.rglob("*.parquet")}
    assert corrupted_runs(runs, tmp_path, names=["noise", "darkness"]) == result
    assert {path: path.stat().st_mtime_ns for path in before} == before
    assert [run.name for run in result.runs] == ["a", "b"] and (tmp_path / "robustness.html").exists()


def test_all_runs_see_the_same_pictures_and_each_severity_the_same_draw() -> None:
    frames = np.random.default_rng(0).integers(0, 255, (3, 20, 20, 3)).astype(np.uint8)
    seen = robustness._change(["x", "y"], "occlusion", 3, frames, 0)
    assert np.array_equal(seen, robustness._change(["y", "x"], "occlusion", 3, frames, 1))
    assert not np.array_equal(seen, robustness._change(["x", "y"], "occlusion", 3, frames, 1))


def test_an_unknown_corruption_is_refused(runs: dict[str, Path], tmp_path: Path) -> None:
    with pytest.raises(DferError, match="no corruption 'fog'"):
        corrupted_runs(runs, tmp_path, names=["fog"])
