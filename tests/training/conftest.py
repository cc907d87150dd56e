"""A fixture that several tests of training use."""

from __future__ import annotations

import pytest

from dfer.datasets import Manifest

from .toy import toy_manifest


@pytest.fixture(scope="module")
def toy(tmp_path_factory: pytest.TempPathFactory) -> Manifest:
    """24 clips in 8 groups; fold 1 tests on 9 of them."""
    return Manifest.read(toy_manifest(tmp_path_factory.mktemp("toy"), clips=24))
