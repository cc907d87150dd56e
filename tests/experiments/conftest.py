"""Fixtures that several tests of experiments use; each file says what its `data` is."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from dfer.datasets import Manifest
from dfer.experiments import train_folds
from tests.training.toy import QUICK


@pytest.fixture(scope="module")
def trained(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of folds 1 and 2, never evaluated; copy it to do so."""
    folder = tmp_path_factory.mktemp("trained") / "run"
    train_folds(QUICK, Manifest.read(data), folder, folds=[1, 2])
    return folder


@pytest.fixture
def run(trained: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(trained, tmp_path / "run"))
