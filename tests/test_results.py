"""The tables of docs/results are those that `table.py` prints from the numbers beside them, and these are of the
predictions beside them."""

from __future__ import annotations

import json
import runpy
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from dfer import Predictions
from dfer.metrics import functional as metrics
from dfer.metrics import kl_divergence

RESULTS = Path(__file__).parents[1] / "docs/results"
TOOLS = Path(__file__).parents[1] / "tools/results"
TABLES = sorted(RESULTS.glob("*/*.json"))
NO_TABLES = {"cells", "constant", "model_card"}


def lines_of(page: str) -> set[str]:
    return set(page.splitlines())


def of_cells(folder: Path) -> dict[str, list[Predictions]]:
    cells = json.loads((folder / "cells.json").read_text(encoding="utf-8"))["cells"]
    return {cell["name"]: [Predictions.read(folder / table) for table in cell["tables"]] for cell in cells}


@pytest.mark.parametrize(
    "path", [path for path in TABLES if path.stem not in NO_TABLES], ids=lambda p: f"{p.parent.name}/{p.stem}"
)
def test_a_table_is_what_its_numbers_say(path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    runpy.run_path(str(TOOLS / "table.py"))["main"](path)
    printed = [line for line in capsys.readouterr().out.splitlines() if line]
    assert len(printed) >= 4
    assert set(printed) <= lines_of((RESULTS / "README.md").read_text(encoding="utf-8"))


@pytest.mark.parametrize("folder", [path.parent for path in RESULTS.glob("*/cells.json")], ids=lambda p: p.name)
def test_a_comparison_is_that_of_the_saved_predictions(folder: Path) -> None:
    saved = of_cells(folder)
    for path in folder.glob("*.json"):
        if path.stem in NO_TABLES:
            continue
        for cell in json.loads(path.read_text(encoding="utf-8"))["cells"]:
            runs, scores = saved[cell["name"]], cell["scores"]
            wars = [metrics.war(run.probs[run.labelled], run.labels[run.labelled]) for run in runs]
            assert scores["war"]["runs"] == pytest.approx(wars)
            divergences = [kl_divergence(run.probs[run.voted], run.shares[run.voted]).mean() for run in runs]
            assert scores["kl"]["runs"] == pytest.approx(divergences)


@pytest.mark.parametrize("folder", [path.parent for path in RESULTS.glob("*/cells.json")], ids=lambda p: p.name)
def test_the_constant_rows_are_those_of_the_training_part(folder: Path) -> None:
    run = next(iter(of_cells(folder).values()))[0]
    (path,) = [*folder.glob("constant.json"), *folder.glob("fold*/constant.json")]
    constant = json.loads(path.read_text(encoding="utf-8"))
    mean, frequent = json.loads((folder / "compare.json").read_text(encoding="utf-8"))["constants"]
    voted = run.shares[run.voted]
    information = np.where(voted > 0, voted * np.log(np.where(voted > 0, voted, 1) / constant["mean_vote"]), 0)
    assert mean["kl"] == pytest.approx(information.sum(axis=1).mean())
    most = int(np.argmax(constant["labels"]))
    assert frequent["war"] == pytest.approx((run.labels[run.labelled] == most).mean())
    assert "training part" in mean["name"] and frequent["kl"] is None


@pytest.mark.slow
def test_judging_the_saved_predictions_anew_gives_the_comparison(tmp_path: Path, shared_data: Path) -> None:
    from dfer.datasets import read_source

    read_source("ferplus", shared_data / "ferplus").write(tmp_path / "fer.csv")
    shutil.copytree(RESULTS / "again", tmp_path / "again")
    (tmp_path / "again" / "compare.json").unlink()
    runpy.run_path(str(TOOLS / "judge.py"))["main"](tmp_path / "fer.csv", [tmp_path / "again"])
    old, new = (
        json.loads((place / "again" / "compare.json").read_text(encoding="utf-8")) for place in (RESULTS, tmp_path)
    )
    assert new["clips"] == old["clips"]
    for one, other in zip(new["comparisons"], old["comparisons"], strict=True):
        for key in ("war", "uar", "kl", "ece"):
            assert one["scores"][key]["p"] == pytest.approx(other["scores"][key]["p"], abs=2e-4)
            assert one["scores"][key]["interval"] == pytest.approx(other["scores"][key]["interval"], abs=1e-5)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("folder", "runs"),
    [
        ("sim", ("soft", "soft_midas")),
        ("sim_grid", ("soft_midas", "hard", "hard_midas", "soft")),
    ],
)
def test_the_table_against_the_truth_is_that_of_the_saved_predictions(
    folder: str,
    runs: tuple[str, ...],
    shared_data: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    tables = [RESULTS / folder / f"{run}.parquet" for run in runs]
    runpy.run_path(str(TOOLS / "truth.py"))["main"](shared_data / "sim_dfew" / "truth.csv", tables)
    printed = [line for line in capsys.readouterr().out.splitlines() if line]
    assert len(printed) == 5 + 2 * len(runs)
    assert set(printed) <= lines_of((RESULTS / "README.md").read_text(encoding="utf-8"))


def some_run(**columns: Any) -> Predictions:
    """200 clips of a network that is very sure: probabilities down to 1e-12."""
    generator = np.random.default_rng(5)
    size = (200, 8)
    logits = generator.normal(0, 6, size)
    probs = np.exp(logits - logits.max(axis=1, keepdims=True))
    names = ("neutral", "happy", "surprise", "sad", "angry", "disgust", "fear", "contempt")
    given = {
        "ids": np.array([f"clip{number:04}" for number in range(200)]), "fold": np.repeat([1, 2], 100),
        "labels": generator.integers(-1, 8, 200), "probs": probs / probs.sum(axis=1, keepdims=True),
        "votes": generator.integers(0, 5, size).astype(float), "frames": ["0 1 2 3"] * 200,
    }  # fmt: skip
    return Predictions(**given | columns, emotions=names)  # type: ignore[arg-type]


def kept(run: Predictions, folder: Path, monkeypatch: pytest.MonkeyPatch) -> Predictions:
    monkeypatch.chdir(folder)
    run.write(folder / "run.parquet")
    runpy.run_path(str(TOOLS / "keep.py"))["main"](folder / "out", [f"small={folder / 'run.parquet'}"])
    return Predictions.read(folder / "out" / "small.parquet")


def test_kept_predictions_are_small_and_score_as_before(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = some_run()
    found = kept(run, tmp_path, monkeypatch)
    for name in ("ids", "fold", "labels", "votes"):
        np.testing.assert_array_equal(getattr(found, name), getattr(run, name))
    assert found.emotions == run.emotions and set(found.frames) == {""}
    np.testing.assert_array_equal(found.probs.argmax(axis=1), run.probs.argmax(axis=1))
    assert (np.abs(found.probs - run.probs) <= 2.0**-16).all()
    np.testing.assert_allclose(found.probs, run.probs, rtol=2.0**-9)
    one, other = (kl_divergence(each.probs[run.voted], each.shares[run.voted]) for each in (run, found))
    np.testing.assert_allclose(one, other, rtol=2e-3, atol=1e-4)
    sizes = [path.stat().st_size for path in (tmp_path / "out/small.parquet", tmp_path / "run.parquet")]
    assert sizes[0] < sizes[1] / 2


def test_a_row_whose_two_first_emotions_nearly_tie_stays_as_it_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    probs = some_run().probs.copy()
    probs[3] = [0.4, 0.4 + 2.0**-18, *[(0.2 - 2.0**-18) / 6] * 6]
    found = kept(some_run(probs=probs), tmp_path, monkeypatch)
    assert found.probs[3].argmax() == 1
    np.testing.assert_allclose(found.probs[3], probs[3], rtol=2.0**-24)


def test_missing_and_fractional_votes_and_many_voters_are_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    votes = some_run().votes.copy()
    votes[7], votes[8, 0], votes[9, 1] = np.nan, 70_000, 0.5
    np.testing.assert_array_equal(kept(some_run(votes=votes), tmp_path, monkeypatch).votes, votes)


def test_the_constants_of_a_run_are_kept_beside_its_predictions(tmp_path: Path) -> None:
    told = {"emotions": list(some_run().emotions), "mean_vote": [0.125] * 8, "labels": [1.0] + [0.0] * 7}
    for fold in (1, 2):
        place = tmp_path / "run" / f"fold{fold}"
        place.mkdir(parents=True)
        run = some_run()
        run.select(run.fold == fold).write(place / "predictions.csv")
        (place / "constant.json").write_text(json.dumps(told | {"fold": fold}), encoding="utf-8")
    runpy.run_path(str(TOOLS / "keep.py"))["main"](tmp_path / "out", [str(tmp_path / "run")])
    assert len(Predictions.read(tmp_path / "out" / "run.parquet")) == 200
    for fold in (1, 2):
        found = json.loads((tmp_path / "out" / f"fold{fold}" / "constant.json").read_text(encoding="utf-8"))
        assert found == told | {"fold": fold}
