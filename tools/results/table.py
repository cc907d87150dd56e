"""The tables of docs/results: `python tools/results/table.py docs/results/NAME/compare.json`.

The JSON is a report, a comparison, or what `dfer robustness` wrote; the tables are those of `dfer tables`. Where a
`cells.json` beside it keeps "before", the intervals and p values of an earlier test, they stand below the new ones.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

from dfer.reports.tables import markdown, of_comparison, tables_of


def main(path: Path) -> None:
    """Print the tables as Markdown."""
    tables, cells = tables_of([path]), path.with_name("cells.json")
    if path.stem == "compare" and cells.exists():
        known = json.loads(cells.read_text(encoding="utf-8"))
        tables = of_comparison(json.loads(path.read_text(encoding="utf-8")), known.get("before"))
    print("\n\n".join("\n".join(markdown(table)) for table in tables))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
