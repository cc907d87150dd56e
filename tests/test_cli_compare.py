"""`dfer compare` on saved predictions: folders, tables, seeds, groups, and every kind of bad input as one line."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from scipy.stats import entropy

from dfer.cli import terminal
from dfer.comparison.constant import Constant, write_constant
from dfer.datasets import Manifest, read_source

from .metrics.toy import toy_predictions
from .test_cli import here


@pytest.fixture
def runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Three runs of two folds each, as `dfer evaluate` leaves them."""
    for seed, name in enumerate(("plain", "mixed", "again")):
        run = toy_predictions(seed, folds=2)
        for fold in (1, 2):
            run.select(run.fold == fold).write(tmp_path / name / f"fold{fold}" / "predictions.csv")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_folders_are_compared_and_the_page_lies_in_the_first(runs: Path) -> None:
    done = here("compare", "plain", "mixed")
    assert done.code == 0, done.err
    assert "90 common test clips" in done.out and "One run of each" in done.out
    assert "page: plain/compare.html" in done.out
    told = json.loads((runs / "plain" / "compare.json").read_text(encoding="utf-8"))
    assert [cell["name"] for cell in told["cells"]] == ["plain", "mixed"]
    assert told["conclusion"] in " ".join(done.out.split())
    assert (runs / "plain" / "compare.html").is_file()


def test_tables_and_seeds_are_named_and_put_where_one_says(runs: Path) -> None:
    toy_predictions(3, folds=2).write(runs / "table.parquet")
    done = here("compare", "base=plain,again", "mixed", "table.parquet", "-o", "out", "--seed", "3")
    assert done.code == 0, done.err
    told = json.loads((runs / "out" / "compare.json").read_text(encoding="utf-8"))
    assert [(cell["name"], cell["seeds"]) for cell in told["cells"]] == [("base", 2), ("mixed", 1), ("table", 1)]
    assert told["seed"] == 3


def test_runs_whose_folders_are_called_alike_keep_their_paths(runs: Path) -> None:
    (runs / "other").mkdir()
    (runs / "mixed").rename(runs / "other" / "plain")
    done = here("compare", "plain", "other/plain")
    assert done.code == 0, done.err
    told = json.loads((runs / "plain" / "compare.json").read_text(encoding="utf-8"))
    assert [cell["name"] for cell in told["cells"]] == ["plain", "other/plain"]


def test_names_stand_whole_on_a_narrow_terminal(runs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    names = ["rule=frequency_midas=_alpha=0.4_", "rule=frequency_midas=_alpha=0.8_"]
    for old, new in zip(("plain", "mixed"), names, strict=True):
        (runs / old).rename(runs / new)
    done = here("compare", *names)
    assert done.code == 0, done.err
    first = "".join(line.split("│")[1].strip() for line in done.out.splitlines() if line.startswith("│"))
    assert first.startswith("".join(names)) and "…" not in done.out


def test_a_folder_with_an_equals_sign_is_a_folder(runs: Path) -> None:
    (runs / "mixed").rename(runs / "lr=0.1")
    assert here("compare", "plain", "lr=0.1").code == 0
    told = json.loads((runs / "plain" / "compare.json").read_text(encoding="utf-8"))
    assert [cell["name"] for cell in told["cells"]] == ["plain", "lr=0.1"]


def manifest_of_people(folder: Path, *, groups: bool) -> Manifest:
    """A manifest that lists the toy's clips, ten of each of nine people."""
    rows = [f"clip {k},clip{k}.npy,happy" + (f",person{k % 9}" * groups) for k in range(90)]
    for k in range(90):
        np.save(folder / f"clip{k}.npy", np.zeros((2, 4, 4, 3), np.uint8))
    (folder / "list.csv").write_text("\n".join(["id,path,label" + ",group" * groups, *rows]))
    return read_source("table", folder / "list.csv")


def test_groups_of_the_manifest_are_drawn_whole(runs: Path) -> None:
    manifest_of_people(runs, groups=True).write(runs / "people.csv")
    done = here("compare", "plain", "mixed", "--data", "people.csv")
    assert done.code == 0, done.err
    assert "take the 9 groups (persons, films) as the units" in done.out
    manifest_of_people(runs, groups=False).write(runs / "nobody.csv")
    assert here("compare", "plain", "mixed", "--data", "nobody.csv").is_refusal("knows no group")


def test_constants_of_the_training_part_are_read_from_beside_the_predictions(
    runs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(terminal.console, "_width", 200)
    done = here("compare", "plain", "mixed", "-o", "own")
    assert "this test part's own" in " ".join(done.out.split())  # nothing says what was trained on
    emotions = list(toy_predictions(0).emotions)
    for fold in (1, 2):
        constant = Constant((0.4, *[0.1] * 6), (0.0, 1.0, *[0.0] * 5))
        write_constant(runs / "plain" / f"fold{fold}" / "constant.json", constant, fold=fold, emotions=emotions)
    done = here("compare", "plain", "mixed", "-o", "trained")
    assert done.code == 0, done.err
    mean, frequent = json.loads((runs / "trained" / "compare.json").read_text(encoding="utf-8"))["constants"]
    assert (
        mean["name"] == "constant: the training part's mean vote"
        and "training part&#39;s mean vote" in (runs / "trained" / "compare.html").read_text()
    )
    run = toy_predictions(0)
    assert mean["kl"] == pytest.approx(np.mean([entropy(row, [0.4, *[0.1] * 6]) for row in run.shares]))
    assert frequent["war"] == pytest.approx((run.labels == 1).sum() / (run.labels >= 0).sum())


def test_runs_without_a_common_clip_are_refused_in_one_line(runs: Path) -> None:
    toy_predictions(1, ids="other {}").write(runs / "other.csv")
    assert here("compare", "plain", "other.csv").is_refusal("no clip was predicted by every one of plain, other")


def test_one_common_clip_is_compared_and_tells_nothing(runs: Path) -> None:
    toy_predictions(1).select(np.arange(90) == 5).write(runs / "one.csv")
    done = here("compare", "plain", "one.csv")
    assert done.code == 0, done.err
    assert "1 common test clip" in done.out and "ahead" not in done.out


def test_bad_input_is_one_line(runs: Path) -> None:
    assert here("compare", "plain").is_refusal("two runs or more to compare, got 1")
    assert here("compare", "plain", "nowhere").is_refusal("found nothing at nowhere")
    assert here("compare", "plain", "plain").is_refusal("expected different runs")
    assert here("compare", "a=plain,plain", "mixed").is_refusal("expected different runs, got plain, plain, mixed")
    assert here("compare", "plain", "b=mixed/../plain,mixed").is_refusal("expected different runs")
    assert here("compare", "plain", "b=").is_refusal("runs with different names")
    assert here("compare", "plain", "=mixed").is_refusal("runs with different names")
    assert here("compare", "plain", "mixed", "--data", "nothing.csv").is_refusal("nothing.csv")
    (runs / "empty").mkdir()
    assert here("compare", "plain", "empty").is_refusal("make them with `dfer evaluate empty`")
    table = runs / "mixed" / "fold1" / "predictions.csv"
    table.write_text(table.read_text().replace(",0.", ",-0.", 1))
    assert here("compare", "plain", "mixed").is_refusal(r"fold1/predictions\.csv: 1 of 45 .* negative .*: 'clip 0'")
    table.write_bytes(table.read_bytes()[:-40])
    assert here("compare", "plain", "mixed").is_refusal("predictions")
    (runs / "file").write_text("in the way")
    assert here("compare", "plain", "again", "-o", "file").is_refusal("cannot write")
