"""Where a benchmark's numbers go: one JSON file a question, in benchmarks/results/."""

from __future__ import annotations

import json
import platform
from pathlib import Path
from typing import Any


def write_result(name: str, values: dict[str, Any]) -> None:
    """Write `values` and what they were measured on."""
    machine = {"python": platform.python_version(), "machine": platform.machine(), "system": platform.system()}
    path = Path(__file__).parent / "results" / f"{name}.json"
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps(values | machine, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
