"""FER+ without the test images that lie in the training part as well, from the saved predictions.

python docs/results/ferplus_doubles.py FERPLUS    # the folder that holds FER2013Train.zip and FER2013Valid.zip
"""

from __future__ import annotations

import hashlib
import sys
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from dfer import Predictions
from dfer.evaluation.protocol import measure

RUNS = ("hard", "hard_midas", "soft", "soft_midas")
SCORES = {"war": (100, 1), "uar": (100, 1), "kl": (1, 3), "js": (1, 3), "ece": (1, 3)}
"""Score -> by what it is multiplied, and digits, as in `table.py`."""
HEAD = "| run | test images | n | WAR ↑ | UAR ↑ | KL ↓ | JS ↓ | ECE ↓ |"


def contents(archive: Path) -> dict[str, str]:
    """Image without its suffix -> SHA-256 of its file."""
    with zipfile.ZipFile(archive) as opened:
        names = [name for name in opened.namelist() if name.endswith(".png")]
        return {Path(name).stem: hashlib.sha256(opened.read(name)).hexdigest() for name in names}


def row(name: str, which: str, scores: Mapping[str, Any]) -> str:
    """A line of the table."""
    numbers = (f"{scores[key] * scale:.{digits}f}" for key, (scale, digits) in SCORES.items())
    return f"| {name} | {which} | {scores['n']} | {' | '.join(numbers)} |"


def main(ferplus: Path) -> None:
    """Print the table as Markdown."""
    trained = set(contents(ferplus / "FER2013Train.zip").values())
    doubled = {name for name, content in contents(ferplus / "FER2013Valid.zip").items() if content in trained}
    print(HEAD + "\n" + "|---" * HEAD.count(" | ") + "|---|")
    for name in RUNS:
        saved = Predictions.read(Path(__file__).with_name(f"ferplus_{name}.parquet"))
        seen = np.isin(saved.ids, sorted(doubled))
        for which, mask in (("all", np.ones_like(seen)), ("clean", ~seen), ("doubles", seen)):
            print(row(name, f"{which}, {mask.sum():,}", measure(saved.select(mask), list(SCORES))))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
