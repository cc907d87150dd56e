"""Every kind of file on a disk that is full: one sentence, the former file, and nothing unfinished."""

from __future__ import annotations

import gc
from collections.abc import Callable
from pathlib import Path

import pytest

from dfer.errors import DferError
from dfer.inference.summary import Summary, write_summary
from dfer.inference.writers import SUFFIXES, write
from dfer.reports.drawings import FORMS, write_figures
from dfer.reports.report import write_report

from .inference.toy import toy_timeline
from .metrics.toy import noise, toy_predictions, toy_report
from .training.full_disk import full_disk

SMALL = 20
"""Bytes that still fit."""
LONGER = [suffix for suffix in SUFFIXES if suffix not in (".mp4", ".srt")]
"""Those that need more, and no film."""


def assert_refused(path: Path, writes: Callable[[], object]) -> None:
    """Nothing is written, and one sentence says so."""
    path.parent.mkdir(exist_ok=True)
    path.write_text("former")
    with full_disk(after=SMALL), pytest.raises(DferError, match=r"^cannot write .*: .*File too large") as caught:
        writes()
    assert path.stem in str(caught.value) and len(str(caught.value).splitlines()) == 1
    assert path.read_text() == "former" and [each.name for each in path.parent.iterdir()] == [path.name]


@pytest.mark.parametrize("suffix", LONGER)
def test_a_timeline(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"out{suffix}"
    assert_refused(path, lambda: write(toy_timeline(), path))


@pytest.mark.parametrize("suffix", [".csv", ".xlsx"])
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # openpyxl leaves its archive open
def test_a_summary(tmp_path: Path, suffix: str) -> None:
    path, summary = tmp_path / f"all{suffix}", Summary()
    summary.add(toy_timeline())
    assert_refused(path, lambda: write_summary(summary, path))
    gc.collect()  # here, and not in another test


@pytest.mark.parametrize("suffix", [".csv", ".parquet"])
def test_predictions(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"predictions{suffix}"
    assert_refused(path, lambda: toy_predictions(1).write(path))


@pytest.mark.parametrize("form", FORMS)
def test_figures_of_a_report(tmp_path: Path, form: str) -> None:
    write_report(toy_report({"a": toy_predictions(1)}), tmp_path, {})
    report = tmp_path / "report.json"
    first = write_figures(report, tmp_path / "whole", form=form)[0].name
    path = tmp_path / "full" / first
    assert_refused(path, lambda: write_figures(report, path.parent, form=form))


def test_a_report(tmp_path: Path) -> None:
    report = toy_report({"a": toy_predictions(1)})
    path = tmp_path / "out" / "report.json"
    assert_refused(path, lambda: write_report(report, path.parent, noise(report)))
