"""A comparison as `compare.json` and as one self-contained page, `compare.html`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from dfer.comparison.cells import Comparison
from dfer.comparison.paired import TESTED
from dfer.metrics.protocol import AVERAGED
from dfer.metrics.scores import ALL_SCORES, BY_KEY, CALIBRATION, CEILINGS, Score
from dfer.pages import render, write_page
from dfer.reports import findings
from dfer.reports.figures import Axis, Mark, own_marks, risk_panels, ticks

PITCH = 26
"""Pixels from one cell's line to the next in the chart of differences."""
IN_TABLE = tuple(BY_KEY[key] for key in ("war", "uar", "kl", "js", "brier", "entropy_correlation", "ece"))
"""What a page's width holds with intervals; the others are folded away."""


def write_comparison(comparison: Comparison, out: Path) -> None:
    """Write `compare.json` and `compare.html`; a broken-off write leaves what was there before.

    Args:
        comparison: of `dfer.comparison.compare`.
        out: folder, made if need be.

    Raises:
        DferError: the folder cannot be written.
    """
    write_page(out, "compare", comparison_values(comparison), render_comparison(comparison))


def comparison_values(comparison: Comparison) -> dict[str, Any]:
    """What `compare.json` holds: the comparison and what `findings` says of it."""
    said = {"conclusion": findings.conclusion(comparison), "caveats": findings.caveats(comparison)}
    return vars(comparison) | said


def render_comparison(comparison: Comparison) -> str:
    """The page as HTML."""
    cells = comparison.cells
    drawn = own_marks(len(cells))
    clips = comparison.clips
    values: dict[str, Any] = {
        "conclusion": findings.conclusion(comparison), "caveats": findings.caveats(comparison),
        "comparison": comparison, "cells": cells, "pairs": comparison.comparisons, "marks": drawn,
        "tested": [BY_KEY[key] for key in TESTED], "scores": IN_TABLE,
        "more": [score for score in ALL_SCORES if score not in (*IN_TABLE, *CALIBRATION)],
        "calibration": CALIBRATION[1:],
        "averaged": [BY_KEY[key] for key in AVERAGED], "ceilings": CEILINGS,
        "charts_of_differences": [_differences(BY_KEY[key], comparison, drawn[1:]) for key in TESTED],
        "risk": risk_panels(cells, drawn), "findings": findings,
        "costs": any(cell.cost for cell in cells),
        "many_folds": any(cell.folds > 1 for cell in cells), "seeds": max(cell.seeds for cell in cells) > 1,
    }  # fmt: skip
    what = "cells" if values["seeds"] else "runs"
    title = f"{len(cells)} {what} compared on {clips.all:,} test clips"
    return render("dfer.reports", "compare.html.jinja", kind="comparison", title=title, **values)


def _differences(score: Score, comparison: Comparison, drawn: Sequence[Mark]) -> dict[str, Any]:
    """A line for each cell: its difference to the baseline and the interval, x in percent of the width."""
    rows = [(pair.name, mark, pair.scores[score.key]) for pair, mark in zip(comparison.comparisons, drawn, strict=True)]
    factor = 100 if score.percent else 1
    ends = [factor * end for _, _, test in rows for end in (test.interval or ())]
    marks_at = ticks(min([0.0, *ends]), max([0.0, *ends]))
    x = Axis(marks_at[0], marks_at[-1], 0, 100)
    return {
        "score": score,
        "ticks": [(x.at(value), f"{value:+g}".replace("-", "−") if value else "0") for value in marks_at],
        "zero": x.at(0),
        "height": PITCH,
        "rows": [
            {
                "name": name, "mark": mark, "x": x.at(factor * test.difference),
                "low": x.at(factor * test.interval[0]), "high": x.at(factor * test.interval[1]),
                "said": f"{name}: {score.difference(test.difference, 0.0)}, "
                f"interval {findings.between(score, test.interval, signed=True)}",
            }
            for name, mark, test in rows
            if test.interval is not None and test.difference is not None
        ],
    }  # fmt: skip
