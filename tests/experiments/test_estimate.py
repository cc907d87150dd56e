"""Estimated soft labels: by models that never saw the clip, never of a test clip, and never passing for votes."""

from __future__ import annotations

import json
import re
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from scipy.optimize import minimize_scalar
from scipy.special import log_softmax, softmax

from dfer import DferError, Manifest, Predictions, load_checkpoint
from dfer.experiments import estimate, evaluate_runs, held_out, runs, train_folds
from dfer.experiments.estimate import Estimation, estimate_labels
from dfer.metrics import calibration, fit_temperature
from dfer.training import Recipe, load_recipe, loop
from dfer.training.choosing import choose_clips
from dfer.training.predict import predict_fold
from tests.forked import Killer, exit_code
from tests.training.toy import EMOTIONS, toy_manifest, toy_recipe

PLAN = Estimation("toy", folds=3, models=2, weight=0.25, fold=1)


def quick(**sections: dict[str, Any]) -> Recipe:
    """One epoch; the rule is soft, for the estimate to make it hard."""
    return toy_recipe(optim={"epochs": 1, "batch": 4, "warmup_epochs": 0, "ema": 0.0}, **sections)


@pytest.fixture(scope="module")
def toy(tmp_path_factory: pytest.TempPathFactory) -> Manifest:
    """36 clips in 12 groups and 3 folds, some without a single label."""
    manifest = Manifest.read(toy_manifest(tmp_path_factory.mktemp("toy"), clips=36))
    assert 0 < (manifest.labels < 0).sum() < 12
    return manifest


@pytest.fixture(scope="module", autouse=True)
def few_will_do() -> Iterator[None]:
    """A toy's validation part is a handful of clips."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(calibration, "FEWEST_FOR_TEMPERATURE", 1)
        yield


def test_too_few_clips_for_a_temperature_are_refused_before_anything_is_trained(
    toy: Manifest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(calibration, "FEWEST_FOR_TEMPERATURE", 100)
    with pytest.raises(
        DferError, match=r"expected 100 validation clips or more to fit a temperature on, got \d;.*data.validation"
    ):
        estimate_labels(quick(), toy, tmp_path / "runs", plan=PLAN)
    assert not (tmp_path / "runs").exists()


class Seen:
    """What was trained on and towards which targets, noted step by step: run's folder -> id -> target."""

    def __init__(self) -> None:
        self.targets: dict[Path, dict[str, list[float]]] = {}

    def watch(self, patch: pytest.MonkeyPatch) -> None:
        step = loop._Run._step

        def noted(run: Any, batch: Any, number: int) -> float:
            rows = batch.rows.tolist()
            ids = run.manifest.table["id"].iloc[rows]
            told = dict(zip(ids, run.targets[batch.rows].tolist(), strict=True))
            self.targets.setdefault(run.folder, {}).update(told)
            return float(step(run, batch, number))

        patch.setattr(loop._Run, "_step", noted)


@pytest.fixture(scope="module")
def made(toy: Manifest, tmp_path_factory: pytest.TempPathFactory) -> tuple[Manifest, Path, Seen]:
    """The estimate of fold 1's training part, where its models lie, and what they were trained on."""
    folder, seen = tmp_path_factory.mktemp("made") / "runs", Seen()
    with pytest.MonkeyPatch.context() as patch:
        seen.watch(patch)
        return estimate_labels(quick(), toy, folder, plan=PLAN), folder, seen


# -- who saw what -------------------------------------------------------------------------------------------------


def test_no_model_saw_the_clips_that_it_estimates(made: tuple[Manifest, Path, Seen]) -> None:
    estimated, folder, seen = made
    clips = Manifest.read(folder / "clips.csv")
    told = []
    for model in ("model1", "model2"):
        for fold in (1, 2, 3):
            run = folder / model / f"fold{fold}"
            answered = set(Predictions.read(run / "predictions.csv").ids)
            validated = set(Predictions.read(run / "validation.csv").ids)
            recorded = choose_clips(load_recipe(run / "recipe.toml"), clips, fold)
            assert recorded.fingerprint(clips.table["id"]) == json.loads((run / "train.json").read_text())["data"]
            trained = set(clips.table["id"].iloc[recorded.train])
            assert set(seen.targets[run]) <= trained and validated == set(clips.table["id"].iloc[recorded.validation])
            assert not answered & (trained | validated) and not trained & validated
            groups = clips.table.set_index("id")["group"]
            assert not set(groups[list(answered)]) & set(groups[list(trained | validated)])
            told += sorted(answered)
    assert sorted(told) == sorted([*estimated.table["id"][estimated.estimated]] * 2)


def test_models_are_trained_on_labels_alone_and_votes_are_out_of_reach(made: tuple[Manifest, Path, Seen]) -> None:
    _, folder, seen = made
    clips = Manifest.read(folder / "clips.csv")
    assert np.isnan(clips.votes).all()
    labels = dict(zip(clips.table["id"], clips.table["label"], strict=True))
    for targets in seen.targets.values():
        assert all(EMOTIONS[int(np.argmax(row))] == labels[clip] and max(row) == 1 for clip, row in targets.items())


def test_clips_of_the_test_part_and_clips_without_a_label_get_no_estimate(
    toy: Manifest, made: tuple[Manifest, Path, Seen]
) -> None:
    estimated, _, _ = made
    _, test = toy.partition(1)
    assert estimated.estimated.tolist() == (~test & (toy.labels >= 0)).tolist()
    assert np.isnan(estimated.soft[~estimated.estimated]).all()
    assert estimated.table["soft_from"][~estimated.estimated].eq("").all()
    everything = {clip for targets in made[2].targets.values() for clip in targets}
    assert not everything & set(toy.table["id"][test])


def test_the_folds_become_the_split_that_the_estimates_are_good_for(
    toy: Manifest, made: tuple[Manifest, Path, Seen]
) -> None:
    estimated, _, _ = made
    train, test = toy.partition(1)
    assert estimated.folds == [] and [part.tolist() for part in estimated.partition()] == [
        train.tolist(),
        test.tolist(),
    ]
    assert np.array_equal(estimated.votes, toy.votes) and estimated.table["id"].tolist() == toy.table["id"].tolist()


def test_the_sources_own_validation_part_gets_no_estimate_either(toy: Manifest, tmp_path: Path) -> None:
    splits = ["test" if row < 9 else "val" if row < 12 else "train" for row in range(36)]
    table = toy.table.assign(fold=None, split=splits)
    manifest = Manifest.build(table, emotions=EMOTIONS, root=toy.root)
    estimated = estimate_labels(quick(), manifest, tmp_path / "runs", plan=Estimation("toy", folds=2))
    assert set(estimated.table["split"][estimated.estimated]) == {"train"}
    assert estimated.table["split"].tolist() == splits


# -- what is written ----------------------------------------------------------------------------------------------


def test_a_soft_label_is_the_label_and_the_mean_answer_at_the_folds_temperature(
    toy: Manifest, made: tuple[Manifest, Path, Seen]
) -> None:
    estimated, folder, _ = made
    table = estimated.table.set_index("id")
    for fold in (1, 2, 3):
        folders = [folder / model / f"fold{fold}" for model in ("model1", "model2")]
        validated, answers = (
            [Predictions.read(run / f"{name}.csv") for run in folders] for name in ("validation", "predictions")
        )
        logs = np.log(np.concatenate([part.probs for part in validated]))
        truth = np.concatenate([part.labels for part in validated])

        def loss(temperature: float, logs: Any = logs, truth: Any = truth) -> float:
            return float(-log_softmax(logs / temperature, axis=1)[np.arange(len(truth)), truth].mean())

        temperature = minimize_scalar(loss, bounds=(0.05, 20.0), method="bounded").x
        mean = np.mean([softmax(np.log(part.probs) / temperature, axis=1) for part in answers], axis=0)
        for clip, probs, label in zip(answers[0].ids, mean, answers[0].labels, strict=True):
            wanted = 0.75 * probs + 0.25 * (np.arange(3) == label)
            found = table.loc[clip, [f"soft_{name}" for name in EMOTIONS]].to_numpy(dtype=float)
            assert found == pytest.approx(wanted, abs=2e-3)
        stated = float(re.findall(r"[\d.]+$", table.loc[answers[0].ids[0], "soft_from"])[0])
        assert stated == pytest.approx(fit_temperature(logs, np.eye(3)[truth]), abs=0.006)


def test_every_estimate_says_that_it_is_one_and_how_it_came_about(
    made: tuple[Manifest, Path, Seen], tmp_path: Path
) -> None:
    estimated, _, _ = made
    pattern = (r"estimated: 3-fold cross-fitted toy, 2 models a fold, weight 0\.25 on the given label, "
               r"temperature \d+\.\d\d")  # fmt: skip
    assert all(re.fullmatch(pattern, origin) for origin in estimated.table["soft_from"][estimated.estimated])
    for suffix in ("csv", "parquet"):
        estimated.write(tmp_path / f"out.{suffix}")
        again = Manifest.read(tmp_path / f"out.{suffix}")
        assert again.estimated.tolist() == estimated.estimated.tolist()
        assert np.allclose(again.soft, estimated.soft, equal_nan=True)


def test_a_weight_of_one_is_the_given_label(toy: Manifest, made: tuple[Manifest, Path, Seen]) -> None:
    plan = Estimation("toy", folds=3, models=2, weight=1.0, fold=1)
    estimated = estimate_labels(quick(), toy, made[1], plan=plan, resume=True)  # nothing is left to train
    rows = estimated.estimated
    assert estimated.soft[rows].tolist() == np.eye(3)[toy.labels[rows]].tolist()


def test_former_estimates_are_replaced(toy: Manifest, made: tuple[Manifest, Path, Seen], tmp_path: Path) -> None:
    plan = Estimation("toy", folds=2, weight=0.5)
    again = estimate_labels(quick(), made[0], tmp_path / "runs", plan=plan)
    assert again.table["soft_from"][again.estimated].str.startswith("estimated: 2-fold").all()
    assert [name for name in again.table if name.startswith("soft_")] == [*(f"soft_{n}" for n in EMOTIONS), "soft_from"]


# -- it cannot pass for votes -------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def trained(made: tuple[Manifest, Path, Seen], tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """The manifest's file and a run of rule "given" on it."""
    folder = tmp_path_factory.mktemp("trained")
    made[0].write(folder / "estimated.csv")
    recipe = quick(labels={"rule": "given"})
    train_folds(recipe, Manifest.read(folder / "estimated.csv"), folder / "run", folds=[None])
    return folder / "estimated.csv", folder / "run"


def test_training_takes_the_estimates_as_targets_and_writes_down_that_it_does(
    made: tuple[Manifest, Path, Seen], trained: tuple[Path, Path]
) -> None:
    manifest, run = Manifest.read(trained[0]), trained[1] / "split"
    chosen = choose_clips(load_recipe(run / "recipe.toml"), manifest, None)
    assert np.array_equal(chosen.targets[chosen.train], manifest.soft[chosen.train])
    assert json.loads((run / "train.json").read_text())["estimated"] == len(chosen.train)
    assert load_checkpoint(run / "model")[1].data["estimated"] == len(chosen.train)


def test_every_report_says_that_models_made_the_targets(trained: tuple[Path, Path], tmp_path: Path) -> None:
    data, run = trained
    hard = tmp_path / "hard"
    train_folds(quick(labels={"rule": "hard"}), Manifest.read(data), hard, folds=[None])
    report = evaluate_runs({"hard": hard, "from estimates": run}, tmp_path / "report", note="Drawn faces.")
    count = json.loads((run / "split" / "train.json").read_text())["estimated"]
    said = f"estimated by models, not voted by people: from estimates ({count} of {count} training clips). No score"
    assert report.data.note.startswith("Drawn faces. ") and said in report.data.note
    assert any(said in sentence for sentence in report.protocol)
    assert (tmp_path / "report" / "report.html").read_text(encoding="utf-8").count(said) == 2
    alone = evaluate_runs({"hard": hard}, tmp_path / "alone")
    assert "estimated" not in json.dumps(alone.protocol) and not alone.data.note


def test_no_score_is_taken_against_a_soft_label(trained: tuple[Path, Path], tmp_path: Path) -> None:
    data, run = trained
    report = evaluate_runs({"run": run}, tmp_path / "one")
    manifest = Manifest.read(data)
    _, test = manifest.partition()
    table = manifest.table.copy()
    columns = [f"soft_{name}" for name in EMOTIONS]
    table.loc[test, columns] = [1.0, 0.0, 0.0]
    table.loc[test, "soft_from"] = "estimated: by somebody"
    for copy in (run / "split").glob("predictions.csv"):
        copy.unlink()
    other = Manifest.build(table, emotions=EMOTIONS, root=manifest.root)
    predictions = predict_fold(run / "split", other, None)
    assert np.array_equal(predictions.votes, manifest.votes[test])
    (cell,) = report.cells
    assert cell.n_votes == test.sum()


# -- killed, used, impossible -------------------------------------------------------------------------------------


def go_on(data: Path, folder: Path, kill_after: int) -> None:
    """Go on with an estimate, in a process of its own."""
    torch.set_num_threads(1)
    calibration.FEWEST_FOR_TEMPERATURE = 1
    progress = Killer(kill_after)
    done = estimate_labels(quick(), Manifest.read(data), folder / "runs", plan=PLAN, resume=True, progress=progress)
    done.write(folder / "out.csv")


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="SIGKILL is a POSIX signal")
def test_an_estimate_that_was_killed_and_resumed_is_the_same_to_the_digit(tmp_path: Path) -> None:
    data = toy_manifest(tmp_path / "toy", clips=36)
    assert exit_code(go_on, data, tmp_path / "whole", -1) == 0
    for kill_after in (2, 7):  # in the first run; some runs on
        assert exit_code(go_on, data, tmp_path / "killed", kill_after) == -signal.SIGKILL
    assert not (tmp_path / "killed" / "out.csv").exists()
    assert exit_code(go_on, data, tmp_path / "killed", -1) == 0
    assert (tmp_path / "killed" / "out.csv").read_bytes() == (tmp_path / "whole" / "out.csv").read_bytes()


def test_a_finished_estimate_is_not_trained_or_read_again(
    toy: Manifest, made: tuple[Manifest, Path, Seen], monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: Any, **__: Any) -> None:
        raise AssertionError

    for module, name in ((loop._Run, "train"), (runs, "predict_fold"), (held_out, "predict_rows")):
        monkeypatch.setattr(module, name, refuse)
    again = estimate_labels(quick(), toy, made[1], plan=PLAN, resume=True)
    assert again.table.equals(made[0].table)


def test_a_temperature_at_the_end_of_its_range_is_a_warning(
    toy: Manifest, made: tuple[Manifest, Path, Seen], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    for found in (2.0, 19.99):
        assert "temperature" not in caplog.text
        monkeypatch.setattr(estimate, "fit_temperature", lambda *_, found=found: found)
        estimate_labels(quick(), toy, made[1], plan=PLAN, resume=True)
    assert "fold 1: the temperature is 19.99, at the end of what is looked for" in caplog.text


def test_a_folder_in_use_and_other_clips_than_were_begun_with_are_refused(
    toy: Manifest, made: tuple[Manifest, Path, Seen], tmp_path: Path
) -> None:
    with pytest.raises(DferError, match=r"holds an estimate already; go on with --resume or choose another .*--runs"):
        estimate_labels(quick(), toy, made[1], plan=PLAN)
    for other in (Estimation("toy", folds=4, fold=1), Estimation("toy", folds=3, fold=2)):
        with pytest.raises(DferError, match="was begun on other clips, labels, groups or folds"):
            estimate_labels(quick(), toy, made[1], plan=other, resume=True)
    with pytest.raises(DferError, match="is another recipe"):
        estimate_labels(quick(model={"name": "frame_gru"}), toy, made[1], plan=PLAN, resume=True)


@pytest.mark.parametrize(
    ("recipe", "plan", "message"),
    [
        (quick(data={"validation": 0.0}), PLAN, r"set data\.validation above 0"),
        (quick(), Estimation("toy", folds=3), "one of the folds 1, 2, 3; none was named"),
        (quick(), Estimation("toy", folds=3, fold=7), "fold 7 has no clips"),
        (quick(), Estimation("toy", folds=30, fold=1), "30 folds need as many groups, and there are 8"),
    ],
)
def test_an_estimate_that_cannot_be_is_refused_before_training(
    toy: Manifest, tmp_path: Path, recipe: Recipe, plan: Estimation, message: str
) -> None:
    with pytest.raises(DferError, match=message):
        estimate_labels(recipe, toy, tmp_path / "runs", plan=plan)
    assert not (tmp_path / "runs").exists()


def test_soft_labels_that_somebody_published_are_not_written_over(toy: Manifest, tmp_path: Path) -> None:
    soft = {f"soft_{name}": [1.0 if name == "sad" else 0.0] + [None] * 35 for name in EMOTIONS}
    table = toy.table.assign(**soft, soft_from=["published distribution"] + [""] * 35)
    manifest = Manifest.build(table, emotions=EMOTIONS, root=toy.root)
    with pytest.raises(DferError, match=r'1 clips have a soft label already \(published distribution\).*"given"'):
        estimate_labels(quick(), manifest, tmp_path / "runs", plan=PLAN)


@pytest.mark.parametrize("options", [{"folds": 1}, {"models": 0}, {"weight": 1.5}, {"weight": float("nan")}])
def test_a_plan_out_of_range_is_refused(options: dict[str, Any]) -> None:
    with pytest.raises(DferError, match="expected"):
        Estimation("toy", **options)
