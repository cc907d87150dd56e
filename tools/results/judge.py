"""Compares kept predictions anew: `python tools/results/judge.py data/fer.csv docs/results/NAME...`.

It reads docs/results/NAME/cells.json: "cells" in order, the baseline first, each with "name", "tables" (one a seed) and
"cost" where it is known; "also", {file: names of cells}, for questions with another baseline; "before", what an
earlier test said. What `dfer compare` says of the cells goes to docs/results/NAME/compare.json and FILE.json beside it.
Pictures that are doubles of each other are swapped together, by the manifest's groups.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from dfer import Manifest, Predictions
from dfer.comparison import compare
from dfer.comparison.cells import Comparison, Cost
from dfer.comparison.constant import read_constants
from dfer.documents import json_text, jsonable
from dfer.experiments.attributes import groups_of
from dfer.reports.comparison_page import comparison_values
from dfer.reports.findings import conclusion


def compared(folder: Path, cells: Sequence[Mapping[str, Any]], groups: Mapping[str, str] | None) -> Comparison:
    """The comparison of some cells of a folder with the first of them."""
    runs = {cell["name"]: [Predictions.read(folder / table) for table in cell["tables"]] for cell in cells}
    constants = read_constants(folder, next(iter(runs.values()))[0].emotions)
    told = compare(runs, groups=groups, constants=constants)
    costs = [Cost(**cell["cost"]) if "cost" in cell else None for cell in cells]
    return replace(told, cells=[replace(cell, cost=cost) for cell, cost in zip(told.cells, costs, strict=True)])


def main(data: Path, folders: Sequence[Path]) -> None:
    """Write the comparisons of each folder."""
    groups = groups_of(Manifest.read(data))
    for folder in folders:
        known = json.loads((folder / "cells.json").read_text(encoding="utf-8"))
        cells = {cell["name"]: cell for cell in known["cells"]}
        for name, chosen in ({"compare": list(cells)} | known.get("also", {})).items():
            told = compared(folder, [cells[cell] for cell in chosen], groups if any(groups.values()) else None)
            values = jsonable(comparison_values(told))
            for row in values["cells"]:
                del row["risk_coverage"]  # long, and no page of this folder draws it
            (folder / f"{name}.json").write_text(json_text(values), encoding="utf-8")
            print(f"{folder.name}/{name}: {conclusion(told)}")


if __name__ == "__main__":
    main(Path(sys.argv[1]), [Path(argument) for argument in sys.argv[2:]])
