"""`dfer split` and `dfer estimate` from the command line."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from dfer import Manifest
from dfer.labels import EmotionSet
from dfer.metrics import calibration

from .test_cli import here
from .training.toy import EMOTIONS, toy_manifest

QUICK = ("--set", "optim.epochs=1", "--set", "optim.warmup_epochs=0", "--set", "optim.unmixed_epochs=0",
         "--set", "optim.batch=4", "--set", "input.size=16", "--set", "input.frames=4", "--set", "input.grey=false",
         "--set", "input.mean=[0.5,0.5,0.5]", "--set", "input.std=[0.25,0.25,0.25]")  # fmt: skip


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return toy_manifest(tmp_path_factory.mktemp("toy"), clips=36)


# -- split --------------------------------------------------------------------------------------------------------


def test_folds_are_written_and_their_clips_groups_and_emotions_told(data: Path, tmp_path: Path) -> None:
    done = here("split", data, "-o", tmp_path / "out.csv", "--folds", 4, "--lists", tmp_path / "lists")
    assert done.code == 0 and done.err == "", done
    manifest = Manifest.read(tmp_path / "out.csv")
    assert manifest.folds == [1, 2, 3, 4] and manifest.root == Manifest.read(data).root
    rows = {line.split("│")[1].strip(): [int(cell) for cell in line.split("│")[2:-1]]
            for line in done.out.splitlines() if line.startswith("│")}  # fmt: skip
    assert sum(rows["clips"]) == 36 and sum(rows["groups"]) == 12
    for name in EMOTIONS:
        assert sum(rows[name]) == (manifest.table["label"] == name).sum()
    assert "worst imbalance: fold" in done.out and "are replaced" in done.out
    unnamed = (manifest.table["label"] == "").sum()
    assert f"8 lists in {tmp_path / 'lists'}; {unnamed} clips without a single label are in none" in done.out


def test_lists_that_are_there_already_are_refused_before_anything_is_written(data: Path, tmp_path: Path) -> None:
    command = ("split", data, "--folds", 4, "--lists", tmp_path / "lists", "-o")
    assert here(*command, tmp_path / "one.csv").code == 0
    done = here(*command, tmp_path / "two.csv")
    assert done.code == 2 and "lists" in done.err and not (tmp_path / "two.csv").exists()


def test_a_name_that_no_manifest_can_have_leaves_no_lists_behind(data: Path, tmp_path: Path) -> None:
    lists = tmp_path / "lists"
    assert here("split", data, "--folds", 4, "--lists", lists, "-o", tmp_path / "a.txt").is_refusal("to end in .csv")
    assert not lists.exists()


def test_a_split_has_the_shares_that_were_asked_for(data: Path, tmp_path: Path) -> None:
    done = here("split", data, "-o", tmp_path / "out.parquet", "--test", 0.25, "--val", 0.25, "--seed", 2)
    assert done.code == 0, done
    # 12 groups of three clips
    counts = Manifest.read(tmp_path / "out.parquet").table["split"].value_counts().to_dict()
    assert counts == {"train": 18, "val": 9, "test": 9}


def test_an_emotion_that_a_fold_lacks_is_a_warning_that_names_both(tmp_path: Path) -> None:
    emotions = EmotionSet("toy", ("happy", "sad"))
    rows = pd.DataFrame({"id": [f"c{n}" for n in range(9)], "label": ["happy"] * 8 + ["sad"], "kind": "video"})
    Manifest.build(rows.assign(path=rows["id"]), emotions=emotions, root=tmp_path).write(tmp_path / "in.csv")
    done = here("split", tmp_path / "in.csv", "-o", tmp_path / "out.csv", "--folds", 3)
    lacking = sorted(line for line in done.err.splitlines() if line)
    sad = int(Manifest.read(tmp_path / "out.csv").table["fold"].iloc[8])
    assert done.code == 0
    assert lacking == [f"warning: fold {fold} has no clip of sad" for fold in (1, 2, 3) if fold != sad]
    assert "no group is known, so the same person may be in two parts" in done.out


def test_clips_of_no_known_group_are_counted(data: Path, tmp_path: Path) -> None:
    manifest = Manifest.read(data)
    table = manifest.table.assign(film=np.where(np.arange(36) < 30, "f" + manifest.table["group"], ""))
    Manifest.build(table, emotions=EMOTIONS, root=manifest.root).write(tmp_path / "in.csv")
    done = here("split", tmp_path / "in.csv", "-o", tmp_path / "out.csv", "--folds", 3, "--by", "film")
    assert done.code == 0 and "6 clips of no known film were each taken as a group of their own" in done.out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((), "expected either a number of folds or the share of a test part"),
        (("--folds", 13), "13 folds need as many groups, and there are 12"),
        (("--folds", 3, "--by", "flim"), "no column 'flim'"),
        (("--folds", 3, "--val", 0.1), "a validation part goes with a test part"),
        (("--test", 1.2), "share above 0 and below 1, got 1.2"),
    ],
)
def test_a_split_that_cannot_be_is_one_line(
    data: Path, tmp_path: Path, arguments: tuple[object, ...], message: str
) -> None:
    assert here("split", data, "-o", tmp_path / "out.csv", *arguments).is_refusal(message)
    assert not (tmp_path / "out.csv").exists()


# -- estimate -----------------------------------------------------------------------------------------------------


def test_labels_become_estimates_that_can_be_trained_on(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(calibration, "FEWEST_FOR_TEMPERATURE", 1)
    out, runs = tmp_path / "out.csv", tmp_path / "runs"
    command = ("estimate", "demo", "--data", data, "-o", out, "--folds", 2, "--fold", 1, "--runs", runs, *QUICK)
    done = here(*command)
    manifest = Manifest.read(out)
    assert done.code == 0 and f"estimated {manifest.estimated.sum()} clips; no estimate for 12 outside" in done.out
    unlabelled = ((manifest.table["split"] == "train") & (manifest.table["label"] == "")).sum()
    assert f"no estimate for {unlabelled} of the training part that have no single label" in done.out
    assert "estimated: 2-fold cross-fitted demo, weight 0.5 on the given label, temperature" in done.out
    assert f"next: dfer train demo --data {out} --set labels.rule=given" in done.out
    assert here(*command).is_refusal("holds an estimate already; go on with --resume")
    assert here(*command, "--resume").code == 0
    trained = here("train", "demo", "--data", out, "-o", tmp_path / "run", "--set", "labels.rule=given", *QUICK)
    assert trained.code == 0, trained
    assert "were estimated by models, not voted by people" in here("evaluate", tmp_path / "run").out
    assert "were estimated by models" in (tmp_path / "run" / "report.html").read_text(encoding="utf-8")


def test_an_estimate_that_cannot_be_is_one_line_and_nothing_is_trained(data: Path, tmp_path: Path) -> None:
    command = ("estimate", "demo", "--data", data, "--runs", tmp_path / "runs")
    assert here(*command, "-o", tmp_path / "out.txt").is_refusal(r"end in \.csv or \.parquet")
    assert here(*command, "-o", tmp_path / "out.csv").is_refusal("one of the folds 1, 2, 3; none was named")
    assert here(*command, "-o", tmp_path / "out.csv", "--fold", 1, "--weight", 2).is_refusal("weight of the given")
    assert not (tmp_path / "runs").exists()
