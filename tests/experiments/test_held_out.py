"""Validation parts are predicted when a run is evaluated, kept, and mend what they can; runs are judged by group."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import accuracy_score

from dfer import DferError, Manifest, Predictions
from dfer.comparison import adjust
from dfer.comparison.remedies import Unfitted
from dfer.experiments import evaluate_runs, train_folds
from dfer.metrics import calibration
from dfer.reports import Cell
from dfer.training.choosing import choose_clips
from tests.training.toy import QUICK, toy_manifest, toy_recipe

from ..test_cli import here


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """90 clips of 30 persons, with columns that say something of the persons."""
    path = toy_manifest(tmp_path_factory.mktemp("toy"), clips=90)
    manifest = Manifest.read(path)
    person = manifest.table["group"].str[1:].astype(int)
    table = manifest.table.assign(age=20 + person, sex=np.where(person % 2, "m", "f"))
    Manifest.build(table, emotions=manifest.emotions, root=manifest.root, source="toy").write(path)
    return path


@pytest.fixture
def few_will_do(monkeypatch: pytest.MonkeyPatch) -> None:
    """A toy's validation part is a handful of clips."""
    monkeypatch.setattr(calibration, "FEWEST_FOR_TEMPERATURE", 1)
    monkeypatch.setattr(calibration, "FEWEST_FOR_VECTOR", 1)


def cell_of(run: Path, out: Path, **options: Any) -> Cell:
    (cell,) = evaluate_runs({"run": run}, out, **options).cells
    return cell


def test_the_validation_part_of_each_fold_is_predicted_once_and_kept(run: Path, data: Path, tmp_path: Path) -> None:
    first = cell_of(run, tmp_path / "out")
    manifest = Manifest.read(data)
    for fold in (1, 2):
        kept = Predictions.read(run / f"fold{fold}" / "validation.csv")
        rows = choose_clips(QUICK, manifest, fold).validation
        assert kept.ids.tolist() == manifest.table["id"][rows].tolist() and set(kept.fold) == {fold}
        _, test = manifest.partition(fold)
        assert not set(kept.ids) & set(manifest.table["id"][test])
        labelled = kept.labelled
        war = accuracy_score(kept.labels[labelled], kept.probs[labelled].argmax(axis=1))
        last = json.loads((run / f"fold{fold}" / "metrics.jsonl").read_text().splitlines()[-1])
        assert war == pytest.approx(last["val_war"])  # the same weights on the same clips
        before = (run / f"fold{fold}" / "validation.csv").stat().st_mtime_ns
    assert cell_of(run, tmp_path / "out").posthoc == first.posthoc
    assert (run / "fold2" / "validation.csv").stat().st_mtime_ns == before


def test_the_training_parts_shares_are_written_down_and_adjusted_by(run: Path, data: Path, tmp_path: Path) -> None:
    manifest = Manifest.read(data)
    posthoc = cell_of(run, tmp_path / "out").posthoc
    right = clips = 0
    for fold in (1, 2):
        rows = choose_clips(QUICK, manifest, fold).train
        votes = manifest.votes[rows]
        prior = (votes / votes.sum(axis=1, keepdims=True)).mean(axis=0)
        written = json.loads((run / f"fold{fold}" / "train.json").read_text())["prior"]
        assert written == pytest.approx(prior.tolist(), abs=1e-6) and sum(written) == pytest.approx(1, abs=1e-5)
        test = Predictions.read(run / f"fold{fold}" / "predictions.csv")
        answers = adjust(test.probs, prior).argmax(axis=1)
        right += int((answers == test.labels).sum())
        clips += int(test.labelled.sum())
    row = next(row for row in posthoc.rows if row.method == "prior")
    assert row["war"] == pytest.approx(right / clips) and row.n == clips and posthoc.balanced is False


def test_without_a_validation_part_the_report_says_so(data: Path, tmp_path: Path) -> None:
    recipe = toy_recipe(optim={"epochs": 1, "batch": 8}, data={"validation": 0.0})
    train_folds(recipe, Manifest.read(data), tmp_path / "run", folds=[1])
    posthoc = cell_of(tmp_path / "run", tmp_path / "out").posthoc
    assert posthoc == Unfitted("no clip was held out of training for validation (data.validation = 0)")
    assert "Nothing was fitted after training: no clip was held out" in (tmp_path / "out" / "report.html").read_text()
    assert not (tmp_path / "run" / "fold1" / "validation.csv").exists()


def test_a_run_of_which_test_predictions_alone_are_left_is_still_reported(run: Path, tmp_path: Path) -> None:
    whole = cell_of(run, tmp_path / "out")
    for fold in ("fold1", "fold2"):
        shutil.rmtree(run / fold / "model")
        (run / fold / "validation.csv").unlink()
    rest = cell_of(run, tmp_path / "out")
    assert rest.posthoc.why_not.startswith("the validation part could not be predicted: ")
    assert rest["war"] == whole["war"]


def test_a_handful_of_validation_clips_is_refused_with_the_number_that_would_do(run: Path, tmp_path: Path) -> None:
    posthoc = cell_of(run, tmp_path / "out").posthoc
    assert not [row for row in posthoc.rows if row.method.startswith(("temperature", "vector"))]
    assert any(
        why.startswith("expected 100 validation clips or more to fit a temperature on, got") for why in posthoc.refused
    )
    assert "Not fitted: expected 100 validation clips or more" in (tmp_path / "out" / "report.html").read_text()


@pytest.mark.usefixtures("few_will_do")
@pytest.mark.parametrize("loss", [{"name": "logit_adjusted"}, {"class_weights": "balanced"}, {"sampler": "balanced"}])
def test_what_was_balanced_in_training_is_not_adjusted_again(
    loss: dict[str, object], run: Path, data: Path, tmp_path: Path
) -> None:
    for fold in ("fold1", "fold2"):
        (run / fold / "recipe.toml").write_text(QUICK.model_copy(update={"loss": toy_recipe(loss=loss).loss}).toml())
    posthoc = cell_of(run, tmp_path / "out").posthoc
    assert posthoc.balanced is True
    assert [row.method for row in posthoc.rows] == ["none", "temperature", "temperature_labels", "vector"]
    assert "No logit adjustment: the loss, its weights or the sampler" in (tmp_path / "out" / "report.html").read_text()


def test_scores_are_given_by_length_and_by_the_named_columns(run: Path, data: Path, tmp_path: Path) -> None:
    told = cell_of(run, tmp_path / "out", by=["sex", "age"]).subgroups
    assert [part.attribute for part in told] == ["frames", "sex", "age"]
    assert [len(part.groups) for part in told] == [3, 2, 3]
    table = Manifest.read(data).table.set_index("id")
    test = [Predictions.read(run / fold / "predictions.csv") for fold in ("fold1", "fold2")]
    ids = np.concatenate([part.ids[part.labelled] for part in test])
    right = np.concatenate([(part.probs.argmax(axis=1) == part.labels)[part.labelled] for part in test])
    wanted = pd.Series(right, index=ids).groupby(table["sex"].reindex(ids)).agg(["mean", "size"])
    for group in told[1].groups:
        assert (group["war"], group.n) == (
            pytest.approx(wanted["mean"][group.name]),
            wanted["size"][group.name],
        )
        persons = table.loc[ids][table.loc[ids, "sex"] == group.name]["group"].nunique()
        assert group.persons == persons
    page = (tmp_path / "out" / "report.html").read_text(encoding="utf-8")
    assert 'id="groups"' in page and "clip length, frames" in page


def test_the_command_line_names_columns_and_refuses_others(run: Path, tmp_path: Path) -> None:
    refused = here("evaluate", run, "-o", tmp_path / "out", "--by", "agee")
    assert refused.is_refusal(r"no column 'agee' \(did you mean 'age'\?\); expected one of id, path, ")
    assert not list(run.glob("*/predictions.csv"))  # nothing was read for nothing
    done = here("evaluate", run, "-o", tmp_path / "out", "--by", "age", "--by", "sex")
    assert done.code == 0, done.err
    with patch.object(Manifest, "read", wraps=Manifest.read) as read:
        assert here("evaluate", run, "-o", tmp_path / "one", "--fold", "1").code == 0
    assert read.call_count == 1
    assert "gap" in done.out or "compared" in done.out
    with pytest.raises(DferError, match="no column 'height'"):
        evaluate_runs({"run": run}, tmp_path / "out", by=["height"])
