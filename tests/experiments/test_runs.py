"""A run's folder: a fold a sub-folder, finished ones left alone, test parts read once."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.metrics import accuracy_score, recall_score

from dfer import DferError, Manifest, Predictions
from dfer.experiments import evaluate_runs, fold_name, train_folds
from dfer.experiments.runs import manifest_of, trained_folds
from tests.training.toy import EMOTIONS, toy_manifest, toy_recipe

QUICK = toy_recipe(optim={"epochs": 1, "batch": 8})


class Count:
    """A `Progress` that counts steps."""

    steps = 0

    def step(self, done: int, total: int, loss: float, clips_per_second: float) -> None:
        self.steps += 1

    def epoch(self, row: dict[str, Any]) -> None:
        pass


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return toy_manifest(tmp_path_factory.mktemp("toy"), clips=24)


@pytest.fixture(scope="module")
def trained(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of folds 1 and 2, never evaluated; copy it to do so."""
    folder = tmp_path_factory.mktemp("trained") / "run"
    train_folds(QUICK, data, folder, folds=[1, 2])
    return folder


@pytest.fixture
def run(trained: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(trained, tmp_path / "run"))


def test_folds_are_sub_folders_and_the_manifest_is_written_down(trained: Path, data: Path) -> None:
    assert sorted(path.name for path in trained.iterdir()) == ["data.json", "fold1", "fold2"]
    assert (fold_name(3), fold_name(None)) == ("fold3", "split")
    assert trained_folds(trained) == [1, 2] and manifest_of([trained]) == data.resolve()


def test_resuming_leaves_finished_folds_and_trains_the_missing_one(run: Path, trained: Path, data: Path) -> None:
    shutil.rmtree(run / "fold2")
    before = (run / "fold1" / "train.json").stat().st_mtime_ns
    progress = Count()
    train_folds(QUICK, data, run, folds=[1, 2], resume=True, progress=progress)
    assert progress.steps == 1 and (run / "fold1" / "train.json").stat().st_mtime_ns == before
    weights = "fold2/model/model.safetensors"
    assert (run / weights).read_bytes() == (trained / weights).read_bytes()


def test_folds_that_are_not_trained_and_folders_that_are_no_run_are_refused(run: Path, tmp_path: Path) -> None:
    with pytest.raises(DferError, match=r"no fully trained model for fold3; there are: fold1, fold2"):
        evaluate_runs({"a": run}, tmp_path / "out", folds=[1, 3])
    (tmp_path / "empty").mkdir()
    with pytest.raises(DferError, match=r"expected runs of `dfer train`, got .*empty"):
        evaluate_runs({"a": tmp_path / "empty"}, tmp_path / "out")


def test_runs_on_different_manifests_are_refused(run: Path, tmp_path: Path) -> None:
    other = Path(shutil.copytree(run, tmp_path / "other"))
    (other / "data.json").write_text(json.dumps({"manifest": "/somewhere/else.csv"}))
    with pytest.raises(DferError, match=r"trained on different manifests: .*else\.csv.*--data"):
        manifest_of([run, other])


def test_a_run_goes_on_with_the_manifest_that_it_began_with_only(run: Path, tmp_path: Path) -> None:
    other = toy_manifest(tmp_path / "other", clips=24)
    with pytest.raises(DferError, match=r"holds a run on .*toy.*clips\.csv, not on .*other.*; choose another folder"):
        train_folds(QUICK, other, run, folds=[3], resume=True)
    assert not (run / "fold3").exists()


def test_the_report_holds_what_scikit_learn_says_of_the_saved_predictions(
    run: Path, data: Path, tmp_path: Path
) -> None:
    report = evaluate_runs({"run": run}, tmp_path / "out")
    parts = [Predictions.read(run / fold / "predictions.csv") for fold in ("fold1", "fold2")]
    labels = np.concatenate([part.labels for part in parts])
    guesses = np.concatenate([part.probs for part in parts]).argmax(axis=1)
    single = labels >= 0
    (cell,) = report["cells"]
    assert cell["war"] == pytest.approx(accuracy_score(labels[single], guesses[single]))
    assert cell["uar"] == pytest.approx(recall_score(labels[single], guesses[single], average="macro"))
    manifest = Manifest.read(data)
    tested = manifest.table["id"][manifest.table["fold"].isin([1, 2])]
    assert sorted(np.concatenate([part.ids for part in parts])) == sorted(tested)
    assert report["emotions"] == list(EMOTIONS) and (tmp_path / "out" / "report.html").stat().st_size > 1000


def test_a_manifest_whose_folds_are_not_those_of_training_is_refused(run: Path, tmp_path: Path) -> None:
    manifest = Manifest.read(manifest_of([run]))
    table = manifest.table.assign(fold=manifest.table["fold"].mod(3) + 1)
    other = Manifest.build(table, emotions=manifest.emotions, root=manifest.root)
    other.write(tmp_path / "other.csv")
    with pytest.raises(DferError, match="was trained on other clips, votes or folds"):
        evaluate_runs({"run": run}, tmp_path / "out", data=tmp_path / "other.csv")


def test_a_test_part_that_was_predicted_is_not_read_again(run: Path, tmp_path: Path) -> None:
    first = evaluate_runs({"run": run}, tmp_path / "one")
    for fold in ("fold1", "fold2"):
        shutil.rmtree(run / fold / "model")
        (run / fold / "model").mkdir()  # a model that cannot be loaded, if anybody tried to
    assert evaluate_runs({"run": run}, tmp_path / "two")["cells"] == first["cells"]
