"""The checks of what dfer needs: `make audit`."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

TOOLS = Path(__file__).parents[1] / "tools"


def tool(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, TOOLS / f"{name}.py")
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize(
    ("said", "fine"),
    [
        ("MIT", True), ("Apache-2.0 AND MIT", True), ("BSD-3-Clause AND CC0-1.0 AND Zlib", True), ("MIT-CMU", True),
        ("Apache-2.0 WITH LLVM-exception", True), ("GPL-2.0-only OR MIT", True), ("BSD License", True),
        ("ISC License (ISCL)", True), ("Apache-2.0 AND CNRI-Python", True), ("PSFL", True),
        ("GPL-3.0-only", False), ("MIT AND AGPL-3.0-only", False), ("GNU General Public License v3 (GPLv3)", False),
        ("Other/Proprietary License", False), ("CC-BY-NC-4.0", False), ("Miscellaneous", False), ("permit", False),
        ("", False),
    ],
)  # fmt: skip
def test_a_licence_is_fine_in_all_of_its_parts_or_not(said: str, fine: bool) -> None:
    assert tool("licences").is_fine(said) is fine


def test_the_licences_of_all_that_is_needed_are_fine(capsys: pytest.CaptureFixture[str]) -> None:
    licences = tool("licences")
    names = licences.needed("dfer", ("", "onnx"))
    assert {"torch", "numpy", "av"} <= names and "codespell" not in names  # a tool of development
    assert licences.main() == 0, capsys.readouterr().out


@pytest.mark.parametrize(
    ("packages", "code", "told"),
    [
        ([{"name": "numpy", "skip_reason": "x"}] * 3, 0, "not checked for known faults: the index knows nothing"),
        ([{"name": "new", "version": "2", "vulns": []}, {"name": "own", "skip_reason": "x"}], 0,
         "2 packages: 0 with known faults, 1 that the index knows nothing of"),
        ([{"name": "old", "version": "1.0", "vulns": [{"id": "PYSEC-1", "fix_versions": ["1.1"]}]}], 1,
         "old 1.0: PYSEC-1, mended in 1.1"),
        (None, 0, "not checked for known faults"),
    ],
)  # fmt: skip
def test_an_index_that_knows_nothing_is_no_clean_result_and_a_fault_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], packages: Any, code: int,
    told: str,
) -> None:  # fmt: skip
    audit = tool("audit")
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "pip-audit").touch()
    answer = "no JSON" if packages is None else json.dumps({"dependencies": packages})
    monkeypatch.setattr(audit.subprocess, "run", lambda *_, **__: SimpleNamespace(stdout=answer))
    assert audit.main(tmp_path) == code
    assert told in capsys.readouterr().out
