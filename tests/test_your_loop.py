"""The page on loops of one's own: its snippets run from top to bottom, and leave predictions that can be reported."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.metrics import accuracy_score, confusion_matrix, recall_score
from typer.testing import CliRunner

from dfer import Predictions
from dfer.cli import app

from .test_readme import ROOT, blocks, commands

PAGE = ROOT / "docs" / "your_loop.md"


def test_the_snippets_run_from_top_to_bottom(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    names: dict[str, Any] = {}
    for number, code in enumerate(blocks(PAGE, "python"), 1):
        exec(compile(code, f"{PAGE.name}, snippet {number}", "exec"), names)
    said = dict(
        line.split() for line in capsys.readouterr().out.splitlines() if line[:3] in ("WAR", "UAR", "KL ", "JS ")
    )
    validation = names["validation"]
    labels, found = validation.labels[names["labelled"]], names["probs"][names["labelled"]].argmax(dim=1).numpy()
    assert float(said["WAR"]) == pytest.approx(accuracy_score(labels, found))
    assert float(said["UAR"]) == pytest.approx(recall_score(labels, found, average="macro", labels=np.unique(labels)))
    assert np.array_equal(
        names["confusion"](names["probs"][names["labelled"]], labels),
        confusion_matrix(labels, found, labels=range(len(names["manifest"].emotions))),
    )
    table = Predictions.read(tmp_path / "predictions.csv")
    assert table.ids.tolist() == names["test"].ids and np.allclose(table.votes.sum(axis=1), 10)
    report = next(words for words in commands(PAGE) if words[1] == "report")
    done = CliRunner().invoke(app, report[1:])
    assert done.exit_code == 0 and (tmp_path / "report.html").exists(), done.output
