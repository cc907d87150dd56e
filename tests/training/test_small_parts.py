"""One test clip, a test part without an emotion, no validation clip: pages and tables all the same, without a claim."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from dfer import Manifest
from dfer.cli import terminal
from dfer.experiments import train_folds

from ..test_cli import here
from .toy import EMOTIONS, toy_manifest, toy_recipe


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two runs on a split whose test part is one clip of the first emotion, nothing held out for validation."""
    folder = tmp_path_factory.mktemp("small")
    manifest = Manifest.read(toy_manifest(folder / "clips", clips=24))
    test = int(np.flatnonzero(manifest.labels == 0)[0])
    split = np.where(np.arange(24) == test, "test", "train")
    table = manifest.table.assign(fold=None, split=split, group="")
    Manifest.build(table, emotions=manifest.emotions, root=manifest.root, source="toy").write(folder / "one.csv")
    for seed, name in enumerate(("a", "b")):
        recipe = toy_recipe(optim={"epochs": 1, "batch": 8, "precision": "fp32"}, data={"validation": 0.0})
        clips = Manifest.read(folder / "one.csv")
        train_folds(recipe.model_copy(update={"seed": seed}), clips, folder / name, folds=[None])
    return folder


def test_one_test_clip_is_reported_compared_and_spoilt_without_a_claim(
    runs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(terminal.console, "_width", 200)
    done = here("evaluate", runs / "a", runs / "b", "-o", runs / "out")
    assert done.code == 0, done.err
    said = " ".join(done.out.split())
    assert "constant: the training part's mean vote" in said and "most frequent label" in said
    assert "do not tell the runs apart" in said
    assert "a and b are not shown to be better than a constant answer: the mean vote in KL" in said
    report = json.loads((runs / "out" / "report.json").read_text(encoding="utf-8"))
    assert {test["p"] for told in report["standings"].values() for test in told["tests"]} == {1}
    assert report["cells"][0]["absent"] == list(EMOTIONS)[1:]
    assert "no clip was held out of training for validation" in report["cells"][0]["posthoc"]["why_not"]
    done = here("compare", runs / "a", runs / "b", "-o", runs / "out")
    assert done.code == 0 and "ahead" not in done.out, done.err
    assert "constant: the training part's mean vote" in " ".join(done.out.split())
    done = here("robustness", runs / "a", runs / "b", "-o", runs / "out", "--only", "noise")
    assert done.code == 0, done.err
    assert "best" not in done.out and "do not tell the runs apart" in " ".join(done.out.split())
    assert "constant: the training part's most frequent label" in " ".join(done.out.split())


def test_the_constant_is_that_of_the_training_part_whatever_the_recipe(runs: Path) -> None:
    manifest = Manifest.read(runs / "one.csv")
    train, _ = manifest.partition()
    votes = manifest.votes[train]
    wanted = (votes / votes.sum(axis=1, keepdims=True)).mean(axis=0)
    here("evaluate", runs / "a", "-o", runs / "alone")
    kept = json.loads((runs / "a" / "split" / "constant.json").read_text(encoding="utf-8"))
    assert kept["mean_vote"] == pytest.approx(wanted) and kept["fold"] == 0
    shown = np.bincount(manifest.labels[train & (manifest.labels >= 0)], minlength=3)
    assert kept["labels"] == pytest.approx(shown / shown.sum())
