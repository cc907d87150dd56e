"""The tables of docs/results: `python tools/results/table.py docs/results/NAME/compare.json`.

The JSON is a report, a comparison, or what `dfer robustness` wrote. Where a `cells.json` beside it keeps "before", the
intervals and p values of an earlier test, they stand below the new ones.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

PERCENT = ("war", "uar")
SCORES = {"war": "WAR ↑", "uar": "UAR ↑", "kl": "KL ↓", "js": "JS ↓", "ece": "ECE ↓"}


def number(key: str, value: float, spread: float | None, *, sign: str = "") -> str:
    """A score, or with `sign` a difference; with ± a deviation where there is one."""
    scale, digits = (100, 1) if key in PERCENT else (1, 3)
    text = f"{value * scale:{sign}.{digits}f}"
    return text if spread is None else f"{text} ± {spread * scale:.{digits}f}"


def line(*entries: object) -> str:
    """A row of a table."""
    return f"| {' | '.join(str(entry) for entry in entries)} |"


def head(*names: str) -> Iterator[str]:
    """The first two rows of a table."""
    yield line(*names)
    yield "|---" * len(names) + "|"


def of_report(report: dict[str, Any]) -> Iterator[str]:
    """One row a run: pooled over folds, and in brackets mean ± deviation over folds where there are several."""
    yield from head("run", "n", *SCORES.values(), "epochs", "minutes")
    for cell in report["cells"]:
        scores = []
        for key in SCORES:
            folds = f" ({number(key, cell['mean'][key], cell['sd'][key])})" if cell["sd"] else ""
            scores.append(number(key, cell[key], None) + folds)
        training = cell["training"]
        yield line(cell["name"], cell["n"], *scores, training["epochs"], f"{training['seconds'] / 60:.0f}")
    for row in report.get("constants") or []:
        yield line(row["name"], report["cells"][0]["n"], *constant(row), "–", "–")


def of_comparison(comparison: dict[str, Any], before: dict[str, Any] | None = None) -> Iterator[str]:
    """One row a cell: the mean over seeds, ± their deviation; then what each differs by from the first, and `before`.

    Args:
        comparison: of `dfer.comparison.compare`.
        before: {cell: {score: "interval" and "holm"}} of an earlier test.
    """
    yield from head("cell", "seeds", *SCORES.values(), "minutes a run")
    for cell in comparison["cells"]:
        scores = [number(key, cell["scores"][key]["value"], cell["scores"][key]["deviation"]) for key in SCORES]
        minutes = f"{cell['cost']['seconds'] / 60 / cell['cost']['runs']:.0f}" if "cost" in cell else "–"
        yield line(cell["name"], cell["seeds"], *scores, minutes)
    for row in comparison.get("constants") or []:
        yield line(row["name"], "–", *constant(row), "–")
    yield ""
    tested = [key for key in SCORES if "holm" in comparison["comparisons"][0]["scores"][key]]
    yield from head(f"less {comparison['baseline']}", *(SCORES[key] for key in tested))
    for pair in comparison["comparisons"]:
        yield line(pair["name"], *(difference(key, pair["scores"][key]) for key in tested))
        old = (before or {}).get(pair["name"])
        if old:
            yield line("↳ before", *(certainty(key, old[key]) for key in tested))


def of_robustness(told: dict[str, Any]) -> Iterator[str]:
    """One row a run and score: clean, at each severity (mean over the corruptions), and the mean over severities."""
    yield from head("run", "score", "clean", *map(str, told["severities"]), "mean")
    for run in told["runs"]:
        for key in ("war", "kl"):
            levels = [sum(level) / len(level) for level in zip(*(c[key] for c in run["curves"].values()), strict=True)]
            values = [number(key, value, None) for value in (run["clean"][key], *levels, run["mean"][key])]
            yield line(run["name"], SCORES[key], *values)


def constant(row: dict[str, Any]) -> list[str]:
    """The scores of an answer that looks at no clip."""
    return ["–" if row[key] is None else number(key, row[key], None) for key in SCORES]


def difference(key: str, test: dict[str, Any]) -> str:
    """What a cell gains or loses, and how certain that is."""
    return f"{number(key, test['difference'], None, sign='+')} {certainty(key, test)}"


def certainty(key: str, test: dict[str, Any]) -> str:
    """The interval, the corrected p value, and over the seeds that of Welch's test where there are several."""
    low, high = ("–" if end is None else number(key, end, None, sign="+") for end in test["interval"] or (None, None))
    seeds = "" if test.get("welch") is None else f"; seeds {probability(test['welch'])}"
    return f"({low} to {high}; p {probability(test['holm'])}{seeds})"


def probability(p: float) -> str:
    """A p value to three digits."""
    return "< .001" if p < 0.001 else f"= {p:.3f}".replace("0.", ".")


def main(path: Path) -> None:
    """Print the tables as Markdown."""
    told = json.loads(path.read_text(encoding="utf-8"))
    if "comparisons" in told:
        cells = path.with_name("cells.json")
        known = json.loads(cells.read_text(encoding="utf-8")) if cells.exists() and path.stem == "compare" else {}
        tables = of_comparison(told, known.get("before"))
    else:
        tables = of_robustness(told) if "severities" in told else of_report(told)
    print("\n".join(tables))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
