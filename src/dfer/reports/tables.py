"""The tables of a report, a comparison or a robustness page, for a paper: Markdown, LaTeX or CSV.

They are made from the JSON that stands beside each page, and say what the page says.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dfer.documents import read_json
from dfer.errors import DferError, listed
from dfer.tables import quoted

FILES = ("report.json", "compare.json", "robustness.json")
"""What a run's folder may hold; the first that is there is read."""
LARGEST = 256 * 2**20
"""Bytes of such a file."""
PERCENT = ("war", "uar")
SCORES = {"war": "WAR ↑", "uar": "UAR ↑", "kl": "KL ↓", "js": "JS ↓", "ece": "ECE ↓"}
LATEX = {
    "\\": r"\textbackslash{}", "&": r"\&", "%": r"\%", "$": r"\$", "#": r"\#", "_": r"\_", "{": r"\{", "}": r"\}",
    "~": r"\textasciitilde{}", "^": r"\textasciicircum{}", "<": r"$<$", ">": r"$>$", "±": r"$\pm$", "×": r"$\times$",
    "↑": r"$\uparrow$", "↓": r"$\downarrow$", "↳": r"$\hookrightarrow$", "–": "--", "α": r"$\alpha$", "τ": r"$\tau$",
}  # fmt: skip


@dataclass(frozen=True)
class Table:
    """Texts in rows, all as long as the head."""

    head: Sequence[str]
    rows: Sequence[Sequence[str]]

    def __post_init__(self) -> None:
        wrong = [cell for row in (self.head, *self.rows) for cell in row if not isinstance(cell, str)]
        if wrong:
            raise TypeError(f"expected text in a cell, got {type(wrong[0]).__name__}")


def tables_of(runs: Sequence[Path]) -> list[Table]:
    """The tables of some pages; reports of several runs become one table.

    Args:
        runs: folders of evaluated runs, or the JSON files themselves.

    Raises:
        DferError: nothing to read, or not the JSON of a page.
    """
    told = [(path, read_json(path, largest=LARGEST)) for path in map(_file, runs)]
    for path, values in told:
        if not isinstance(values, dict) or str(values.get("format")).partition("/")[0] not in KINDS:
            raise DferError(f"{path}: expected the JSON of `dfer evaluate`, `dfer compare` or `dfer robustness`")
    reports = [values for _, values in told if str(values["format"]).startswith("dfer.report/")]
    if len(reports) > 1:
        cells = [cell for report in reports for cell in report.get("cells", [])]
        told = [(path, values) for path, values in told if values not in reports]
        told = [(_file(runs[0]), reports[0] | {"cells": cells}), *told]
    found: list[Table] = []
    for path, values in told:
        try:
            tables = KINDS[str(values["format"]).partition("/")[0]](values)
            if not all(isinstance(text, str) for table in tables for row in (table.head, *table.rows) for text in row):
                raise TypeError("a name that is no text")
            found += tables
        except (KeyError, TypeError, ValueError, IndexError, AttributeError) as error:
            raise DferError(f"{path} is damaged: {type(error).__name__} {error}; write the page anew") from error
    return found


def _file(run: Path) -> Path:
    if not run.is_dir():
        return run
    there = [run / name for name in FILES if (run / name).is_file()]
    if not there:
        raise DferError(f"{run} holds none of {listed(FILES)}; run `dfer evaluate {run}` first")
    return there[0]


def of_report(report: Mapping[str, Any]) -> list[Table]:
    """One row a run: pooled over folds, and in brackets mean ± deviation over folds where there are several."""
    rows = []
    for cell in report["cells"]:
        scores = []
        for key in SCORES:
            folds = f" ({number(key, cell['mean'][key], cell['sd'][key])})" if cell["sd"] else ""
            scores.append(number(key, cell[key], None) + folds)
        training = cell["training"]
        took = (str(training["epochs"]), f"{training['seconds'] / 60:.0f}") if training else ("–", "–")
        rows.append((cell["name"], str(cell["n"]), *scores, *took))
    rows += [
        (row["name"], str(report["cells"][0]["n"]), *constant(row), "–", "–") for row in report.get("constants") or []
    ]
    return [Table(("run", "n", *SCORES.values(), "epochs", "minutes"), rows)]


def of_comparison(comparison: Mapping[str, Any], before: Mapping[str, Any] | None = None) -> list[Table]:
    """One row a cell: the mean over seeds, ± their deviation; then what each differs by from the first, and `before`.

    Args:
        comparison: of `dfer.comparison.compare`.
        before: {cell: {score: "interval" and "holm"}} of an earlier test.
    """
    cells = []
    for cell in comparison["cells"]:
        scores = [number(key, cell["scores"][key]["value"], cell["scores"][key]["deviation"]) for key in SCORES]
        minutes = f"{cell['cost']['seconds'] / 60 / cell['cost']['runs']:.0f}" if "cost" in cell else "–"
        cells.append((cell["name"], str(cell["seeds"]), *scores, minutes))
    cells += [(row["name"], "–", *constant(row), "–") for row in comparison.get("constants") or []]
    tested = [key for key in SCORES if "holm" in comparison["comparisons"][0]["scores"][key]]
    pairs: list[tuple[str, ...]] = []
    for pair in comparison["comparisons"]:
        pairs.append((pair["name"], *(difference(key, pair["scores"][key]) for key in tested)))
        if old := (before or {}).get(pair["name"]):
            pairs.append(("↳ before", *(certainty(key, old[key]) for key in tested)))
    return [
        Table(("cell", "seeds", *SCORES.values(), "minutes a run"), cells),
        Table((f"less {comparison['baseline']}", *(SCORES[key] for key in tested)), pairs),
    ]


def of_robustness(told: Mapping[str, Any]) -> list[Table]:
    """One row a run and score: clean, at each severity (mean over the corruptions), and the mean over severities."""
    rows = []
    for run in told["runs"]:
        for key in ("war", "kl"):
            levels = [sum(level) / len(level) for level in zip(*(c[key] for c in run["curves"].values()), strict=True)]
            values = [number(key, value, None) for value in (run["clean"][key], *levels, run["mean"][key])]
            rows.append((run["name"], SCORES[key], *values))
    return [Table(("run", "score", "clean", *map(str, told["severities"]), "mean"), rows)]


KINDS: dict[str, Callable[[Mapping[str, Any]], list[Table]]] = {
    "dfer.report": of_report,
    "dfer.compare": of_comparison,
    "dfer.robustness": of_robustness,
}


def number(key: str, value: float | None, spread: float | None, *, sign: str = "") -> str:
    """A score, or with `sign` a difference; with ± a deviation where there is one."""
    if value is None:
        return "–"
    scale, digits = (100, 1) if key in PERCENT else (1, 3)
    text = f"{value * scale:{sign}.{digits}f}"
    return text if spread is None else f"{text} ± {spread * scale:.{digits}f}"


def constant(row: Mapping[str, Any]) -> list[str]:
    """The scores of an answer that looks at no clip."""
    return [number(key, row[key], None) for key in SCORES]


def difference(key: str, test: Mapping[str, Any]) -> str:
    """What a cell gains or loses, and how certain that is."""
    return f"{number(key, test['difference'], None, sign='+')} {certainty(key, test)}"


def certainty(key: str, test: Mapping[str, Any]) -> str:
    """The interval, the corrected p value, and over the seeds that of Welch's test where there are several."""
    low, high = (number(key, end, None, sign="+") for end in test["interval"] or (None, None))
    seeds = "" if test.get("welch") is None else f"; seeds {probability(test['welch'])}"
    return f"({low} to {high}; p {probability(test['holm'])}{seeds})"


def probability(p: float | None) -> str:
    """A p value to three digits."""
    if p is None:
        return "–"
    return "< .001" if p < 0.001 else f"= {p:.3f}".replace("0.", ".")


def markdown(table: Table) -> Iterator[str]:
    """The lines of a table in Markdown."""
    yield f"| {' | '.join(_cell(text) for text in table.head)} |"
    yield "|---" * len(table.head) + "|"
    for row in table.rows:
        yield f"| {' | '.join(_cell(text) for text in row)} |"


def latex(table: Table) -> Iterator[str]:
    """The lines of a table in LaTeX, for the package booktabs."""
    yield rf"\begin{{tabular}}{{l{'r' * (len(table.head) - 1)}}}"
    yield r"\toprule"
    yield _latex_row(table.head)
    yield r"\midrule"
    yield from map(_latex_row, table.rows)
    yield r"\bottomrule"
    yield r"\end{tabular}"


def comma_separated(table: Table) -> Iterator[str]:
    """The lines of a table as CSV."""
    for name, *cells in (table.head, *table.rows):
        text = io.StringIO()
        csv.writer(text, lineterminator="").writerow([quoted(name), *cells])
        yield text.getvalue()


FORMS: dict[str, Callable[[Table], Iterator[str]]] = {
    "markdown": markdown, "latex": latex, "csv": comma_separated,
}  # fmt: skip


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")


def _latex_row(row: Sequence[str]) -> str:
    texts = ("".join(LATEX.get(letter, letter) for letter in " ".join(text.split())) for text in row)
    return " & ".join(texts) + r" \\"
