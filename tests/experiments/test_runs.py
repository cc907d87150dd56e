"""A run's folder: a fold a sub-folder, finished ones left alone, test parts read once."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sklearn.metrics import accuracy_score, recall_score

from dfer import DferError, Manifest, Predictions
from dfer.comparison.constant import CONSTANT, Constant, read_constants, write_constant
from dfer.documents import jsonable
from dfer.experiments import evaluate_runs, fold_name, train_folds
from dfer.experiments.runs import manifest_of, trained_folds
from dfer.training import Begun, Step
from dfer.training.record import LOG, Epoch, Record, Summary, read_log, read_summary
from tests.training.toy import EMOTIONS, QUICK, toy_manifest


class Count:
    """A `Progress` that counts steps."""

    steps = 0

    def begin(self, run: Begun) -> None:
        pass

    def step(self, step: Step) -> None:
        self.steps += 1

    def epoch(self, row: Epoch) -> None:
        pass


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return toy_manifest(tmp_path_factory.mktemp("toy"), clips=24)


def test_folds_are_sub_folders_and_the_manifest_is_written_down(trained: Path, data: Path) -> None:
    assert sorted(path.name for path in trained.iterdir()) == ["data.json", "fold1", "fold2"]
    assert (fold_name(3), fold_name(None)) == ("fold3", "split")
    assert trained_folds(trained) == [1, 2] and manifest_of([trained]) == data.resolve()


def test_resuming_leaves_finished_folds_and_trains_the_missing_one(run: Path, trained: Path, data: Path) -> None:
    shutil.rmtree(run / "fold2")
    before = (run / "fold1" / "train.json").stat().st_mtime_ns
    progress = Count()
    train_folds(QUICK, Manifest.read(data), run, folds=[1, 2], resume=True, progress=progress)
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
        train_folds(QUICK, Manifest.read(other), run, folds=[3], resume=True)
    assert not (run / "fold3").exists()


def test_a_manifest_that_lies_in_no_file_is_refused(data: Path, tmp_path: Path) -> None:
    manifest = Manifest.read(data)
    assert manifest.file == data and manifest.select(manifest.labels >= 0).file is None
    with pytest.raises(DferError, match=r"expected a manifest as `Manifest.read` gives it"):
        train_folds(QUICK, manifest.select(manifest.labels >= 0), tmp_path / "run", folds=[1])
    assert not (tmp_path / "run").exists()


def test_the_report_holds_what_scikit_learn_says_of_the_saved_predictions(
    run: Path, data: Path, tmp_path: Path
) -> None:
    report = evaluate_runs({"run": run}, tmp_path / "out")
    parts = [Predictions.read(run / fold / "predictions.csv") for fold in ("fold1", "fold2")]
    labels = np.concatenate([part.labels for part in parts])
    guesses = np.concatenate([part.probs for part in parts]).argmax(axis=1)
    single = labels >= 0
    (cell,) = report.cells
    assert cell["war"] == pytest.approx(accuracy_score(labels[single], guesses[single]))
    assert cell["uar"] == pytest.approx(recall_score(labels[single], guesses[single], average="macro"))
    manifest = Manifest.read(data)
    tested = manifest.table["id"][manifest.table["fold"].isin([1, 2])]
    assert sorted(np.concatenate([part.ids for part in parts])) == sorted(tested)
    assert cell.maps is not None and [(each.fold, each.clips) for each in cell.maps] == [
        (fold, len(part)) for fold, part in enumerate(parts, 1)
    ]
    assert report.emotions == list(EMOTIONS) and (tmp_path / "out" / "report.html").stat().st_size > 1000


def test_a_manifest_whose_folds_are_not_those_of_training_is_refused(run: Path, tmp_path: Path) -> None:
    manifest = Manifest.read(manifest_of([run]))
    table = manifest.table.assign(fold=manifest.table["fold"].mod(3) + 1)
    other = Manifest.build(table, emotions=manifest.emotions, root=manifest.root)
    other.write(tmp_path / "other.csv")
    with pytest.raises(DferError, match="was trained on other clips, votes or folds"):
        evaluate_runs({"run": run}, tmp_path / "out", manifest=Manifest.read(tmp_path / "other.csv"))


def test_a_test_part_that_was_predicted_is_not_read_again(run: Path, tmp_path: Path) -> None:
    first = evaluate_runs({"run": run}, tmp_path / "one")
    for fold in ("fold1", "fold2"):
        shutil.rmtree(run / fold / "model")
        (run / fold / "model").mkdir()  # a model that cannot be loaded, if anybody tried to
    again = evaluate_runs({"run": run}, tmp_path / "two")
    assert jsonable(again.cells) == jsonable(first.cells)


# -- folders of strangers -------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def evaluated(trained: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same run with its test parts read."""
    folder = Path(shutil.copytree(trained, tmp_path_factory.mktemp("evaluated") / "run"))
    evaluate_runs({"run": folder}, folder)
    return folder


def with_key(**changes: Any) -> Callable[[str], str]:
    """JSON, or each line of it, with other values of some keys."""
    return lambda text: "".join(json.dumps(json.loads(line) | changes) + "\n" for line in text.splitlines())


def of_summary(**changes: Any) -> Callable[[str], str]:
    return lambda text: json.dumps(json.loads(text) | changes)


ANYTHING = ["[]", "{}", "null", "3", '"x"', "{", "x", "", "[" * 100_000,
            '{"a": ' + "9" * 5_000 + "}", '{"a": "\\ud800"}',
            "\x00", '{"manifest": 3}', '{"emotions": 3}', '{"emotions": []}', '{"epoch": 1}', "NaN"]  # fmt: skip


@pytest.mark.parametrize("text", ANYTHING, ids=lambda text: text[:20])
@pytest.mark.parametrize("name", ["data.json", "fold1/train.json", "fold1/metrics.jsonl", "fold2/constant.json"])
def test_a_damaged_file_of_a_run_is_one_sentence_with_its_name(
    evaluated: Path, tmp_path: Path, name: str, text: str
) -> None:
    folder = Path(shutil.copytree(evaluated, tmp_path / "run"))
    (folder / name).write_text(text)
    if name == "fold1/metrics.jsonl" and not text:
        return  # a run without a curve
    with pytest.raises(DferError) as caught:
        told = evaluate_runs({"run": folder}, tmp_path / "out")
        read_constants(folder, told.emotions)
    assert name in str(caught.value) and "\n" not in str(caught.value) and len(str(caught.value)) <= 500


@pytest.mark.parametrize(
    ("name", "change", "said"),
    [
        ("data.json", of_summary(manifest=["a"]), "manifest"),
        ("data.json", of_summary(other=1), "unknown key other"),
        ("fold1/train.json", of_summary(emotions=["happy", 3, "sad"]), "emotions.1"),
        ("fold1/train.json", of_summary(seconds="long"), "seconds"),
        ("fold1/train.json", of_summary(seconds=-1), "seconds"),
        ("fold1/train.json", of_summary(seconds=float("nan")), "finite"),
        ("fold1/train.json", of_summary(clips=True), "clips"),
        ("fold1/train.json", of_summary(clips=10**13), "clips"),
        ("fold1/train.json", of_summary(epochs=0), "epochs"),
        ("fold1/train.json", of_summary(fold=10**7), "fold"),
        ("fold1/train.json", of_summary(left_out={"x": "many"}), "left_out.x"),
        ("fold1/train.json", of_summary(left_out=[]), "left_out"),
        ("fold1/train.json", of_summary(model=None), "model"),
        ("fold1/train.json", of_summary(epoch=3), "unknown key epoch (did you mean 'epochs'?)"),
        ("fold1/metrics.jsonl", with_key(epoch="one"), "line 1: epoch"),
        ("fold1/metrics.jsonl", with_key(val_war=float("nan")), "line 1"),
        ("fold1/metrics.jsonl", with_key(val_war=1.5), "line 1: val_war"),
        ("fold1/metrics.jsonl", with_key(train_loss=[1]), "line 1: train_loss"),
        ("fold1/metrics.jsonl", with_key(val_wat=0.5), "unknown key val_wat (did you mean 'val_war'?)"),
        ("fold1/metrics.jsonl", lambda text: text[: len(text) // 2], "line 1"),
        ("fold1/metrics.jsonl", lambda text: text * 2, "epochs in order, each once, got 1, 1"),
    ],
)
def test_a_wrong_value_in_a_file_of_a_run_is_named_by_its_key(
    evaluated: Path, tmp_path: Path, name: str, change: Callable[[str], str], said: str
) -> None:
    folder = Path(shutil.copytree(evaluated, tmp_path / "run"))
    (folder / name).write_text(change((folder / name).read_text()))
    with pytest.raises(DferError) as caught:
        evaluate_runs({"run": folder}, tmp_path / "out")
    assert name in str(caught.value) and said in str(caught.value) and len(str(caught.value)) <= 500


@pytest.mark.parametrize("name", ["data.json", "fold1/train.json", "fold1/metrics.jsonl", "fold1/recipe.toml"])
@pytest.mark.parametrize("instead", ["a named pipe", "a folder", "a device", "nothing"])
def test_what_is_no_file_in_a_run_is_refused_at_once(evaluated: Path, tmp_path: Path, name: str, instead: str) -> None:
    folder = Path(shutil.copytree(evaluated, tmp_path / "run"))
    (folder / name).unlink()
    if instead == "a named pipe":
        os.mkfifo(folder / name)
    elif instead == "a folder":
        (folder / name).mkdir()
    elif instead == "a device":
        (folder / name).symlink_to("/dev/zero")
    with pytest.raises(
        DferError, match=f"got {instead}|no such file|No such file|no fully trained model for fold1|fold"
    ):
        evaluate_runs({"run": folder}, tmp_path / "out", folds=[1, 2])


@pytest.mark.parametrize("name", ["foldx", "fold", "fold-1", "fold01", "fold" + "9" * 200, "fold²"])
def test_folders_that_are_not_named_as_folds_are_are_no_folds(run: Path, name: str) -> None:
    (run / name).mkdir()
    (run / name / "train.json").write_text("{}")
    assert trained_folds(run) == [1, 2]


NAMES = st.text(min_size=1, max_size=50) | st.sampled_from(
    ["\"quotes'", "line\nand\rreturn", "\x00\x1b[31m", "\u202eleft", "\N{GRINNING FACE}", "=1", "x" * 100_000]
)


@given(st.lists(NAMES, min_size=2, max_size=3, unique=True), NAMES, st.floats(0, 1e6))
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_what_a_run_writes_of_any_names_it_reads_back(
    tmp_path: Path, emotions: list[str], name: str, number: float
) -> None:
    whole = Summary(
        clips=1, validation=0, left_out={name: 1}, epochs=1, kept_epoch=1, seconds=number, parameters=1, model=name,
        emotions=tuple(emotions), data=name,
    )  # fmt: skip
    (tmp_path / LOG).unlink(missing_ok=True)
    record = Record(tmp_path, writes=True)
    record.finish(whole)
    record.log({"epoch": 1, "step": 3, "train_loss": number, "lr": float("inf"), "seconds": 1.0, "threads": None})
    assert read_summary(tmp_path) == whole
    assert read_log(tmp_path) == [Epoch(epoch=1, step=3, train_loss=number, lr=None, seconds=1.0)]
    shares = tuple([1.0] + [0.0] * (len(emotions) - 1))
    write_constant(tmp_path / CONSTANT, Constant(shares, shares), fold=1, emotions=emotions)
    assert read_constants(tmp_path, emotions) == {1: Constant(shares, shares)}
