"""The table of the tests' level in docs/protocol.md is that of the benchmark, which finds nothing out of bounds."""

from __future__ import annotations

import json
import runpy
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy import stats

ROOT = Path(__file__).parents[1]
TOLD = json.loads((ROOT / "benchmarks" / "results" / "level.json").read_text(encoding="utf-8"))["level"]


@pytest.fixture
def script(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    monkeypatch.syspath_prepend(str(ROOT / "benchmarks"))
    return runpy.run_path(str(ROOT / "benchmarks" / "level.py"))


def test_the_table_of_the_docs_is_that_of_the_numbers(script: dict[str, Any]) -> None:
    assert "\n".join(script["table"](TOLD)) in (ROOT / "docs" / "protocol.md").read_text(encoding="utf-8")
    assert list(TOLD) == list(script["KINDS"]) and {len(sizes) for sizes in TOLD.values()} == {len(script["SIZES"])}


def test_no_kind_of_clips_raises_more_false_alarms_than_its_level_allows() -> None:
    for kind, sizes in TOLD.items():
        for count, found in sizes.items():
            most = stats.binom.ppf(0.9999, found["comparisons"], 0.05) / found["comparisons"]
            assert max(found["alarms"].values()) <= most, (kind, count)
    assert {rate for found in TOLD["one group"].values() for rate in found["alarms"].values()} == {0}


@pytest.mark.parametrize("kind", ["ties", "two seeds", "20 groups"])
def test_the_level_holds_when_it_is_measured_anew(kind: str, script: dict[str, Any]) -> None:
    found = script["outcomes"](kind, 60, 200, {"war": 0.5, "kl": 0.6})
    assert max(found["alarms"].values()) <= stats.binom.ppf(0.999, 200, 0.05) / 200
    assert found["held"]["difference in kl"] >= stats.binom.ppf(0.001, 200, 0.95) / 200
    assert np.isfinite(list(found["held"].values())).all()
