"""Test parts under corruptions: every table once, the same pictures for every run."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from dfer import DferError, Manifest, Predictions
from dfer.experiments import robustness, train_folds
from dfer.experiments.robustness import corrupted_runs, reordered_runs
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


def test_a_mean_over_frames_loses_nothing_when_they_are_shuffled_or_reversed(tmp_path: Path) -> None:
    data = toy_manifest(tmp_path / "clips")
    recipe = toy_recipe(model={"name": "frame_gru", "hidden": 0, "widths": [8], "stem_stride": 2})
    train_folds(recipe, Manifest.read(data), tmp_path / "mean", folds=[1])
    result = reordered_runs({"mean": tmp_path / "mean"}, tmp_path / "page")
    assert result.orders == ("shuffled", "reversed", "peak repeated") and result.groups
    assert [loss.losses["war"].difference for loss in result.runs[0].losses[:2]] == [0, 0]
    tables = {path.name: Predictions.read(path) for path in (tmp_path / "mean" / "fold1" / "corrupted").iterdir()}
    assert sorted(tables) == ["peak_repeated.parquet", "reversed.parquet", "shuffled.parquet"]
    clean = Predictions.read(tmp_path / "mean" / "fold1" / "predictions.csv").probs
    assert np.allclose(tables["reversed.parquet"].probs, clean, atol=1e-5)
    assert not np.allclose(tables["peak_repeated.parquet"].probs, clean, atol=1e-5), "other pictures"
    assert (tmp_path / "page" / "temporal.html").exists()


def test_a_shuffled_clip_is_the_same_for_all_runs_and_another_clip_is_shuffled_otherwise() -> None:
    frames = np.arange(12, dtype=np.uint8).reshape(12, 1, 1, 1)
    seen = robustness._in_order(["x", "y"], "shuffled", frames, 0)
    assert np.array_equal(seen, robustness._in_order(["y", "x"], "shuffled", frames, 1))
    assert not np.array_equal(seen, robustness._in_order(["x", "y"], "shuffled", frames, 1))


def test_one_frame_has_no_order(tmp_path: Path) -> None:
    data = toy_manifest(tmp_path / "clips")
    recipe = toy_recipe(input={"frames": 1}, model={"name": "frame_gru", "hidden": 0, "widths": [8]})
    train_folds(recipe, Manifest.read(data), tmp_path / "still", folds=[1])
    with pytest.raises(DferError, match="still sees one frame, which has no order"):
        reordered_runs({"still": tmp_path / "still"}, tmp_path / "page")
