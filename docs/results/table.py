"""The tables of docs/results, from a report.json: `python docs/results/table.py docs/results/ferplus.json`."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

PERCENT, PLAIN = ("war", "uar"), ("kl", "js", "ece")
HEAD = "| run | n | WAR ↑ | UAR ↑ | KL ↓ | JS ↓ | ECE ↓ | epochs | minutes |"


def number(cell: dict[str, Any], key: str) -> str:
    """A score, with mean ± sd over folds where there are several."""
    scale, digits = (100, 1) if key in PERCENT else (1, 3)
    text = f"{cell[key] * scale:.{digits}f}"
    if cell["sd"] is not None:
        text += f" ({cell['mean'][key] * scale:.{digits}f} ± {cell['sd'][key] * scale:.{digits}f})"
    return text


def main(path: Path) -> None:
    """Print the table as Markdown."""
    cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
    print(HEAD + "\n" + "|---" * HEAD.count(" | ") + "|---|")
    for cell in cells:
        scores = " | ".join(number(cell, key) for key in (*PERCENT, *PLAIN))
        training = cell["training"]
        print(f"| {cell['name']} | {cell['n']} | {scores} | {training['epochs']} | {training['seconds'] / 60:.0f} |")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
