"""How close networks trained on ten votes come to the long-run distribution of the panel, on the made-up set.

`python tools/results/truth.py SIM_DFEW/truth.csv docs/results/sim/*.parquet` prints the tables of docs/results. The
true distributions stand where the votes stood, and everything else is `dfer compare`, by identity. The constant answers
are those of each fold's training part, beside the tables. soft_0.parquet and soft_1.parquet are two seeds of one cell.
"""

from __future__ import annotations

import re
import sys
from collections import defaultdict
from dataclasses import replace
from pathlib import Path

import pandas as pd

from dfer import Predictions
from dfer.comparison import compare
from dfer.comparison.constant import read_constants
from dfer.documents import jsonable
from dfer.reports.tables import markdown, of_comparison

RATERS = 2000
"""Who voted on each clip in the long run."""


def judged_by_truth(predictions: Predictions, truth: pd.DataFrame) -> Predictions:
    """The same predictions, with what all raters said in place of what ten said."""
    columns = [f"p_{emotion}" for emotion in predictions.emotions]
    return replace(predictions, votes=RATERS * truth.loc[predictions.ids, columns].to_numpy(dtype=float))


def main(truth: Path, tables: list[Path]) -> None:
    """Print the scores against the truth, then what each run differs by from the first."""
    known = pd.read_csv(truth)
    known.index = pd.Index([f"{clip:05d}" for clip in known["clip"]])
    runs: dict[str, list[Predictions]] = defaultdict(list)
    for path in tables:
        runs[re.sub(r"_\d+$", "", path.stem)].append(judged_by_truth(Predictions.read(path), known))
    persons = dict(zip(known.index, known["identity"].astype(str), strict=True))
    constants = read_constants(tables[0].parent, next(iter(runs.values()))[0].emotions)
    told = compare(runs, groups=persons, constants=constants)
    print("\n\n".join("\n".join(markdown(table)) for table in of_comparison(jsonable(told))))


if __name__ == "__main__":
    main(Path(sys.argv[1]), [Path(argument) for argument in sys.argv[2:]])
