"""A report: the numbers of some runs side by side, as JSON and as one self-contained page.

`report.json` holds every number, `report.html` shows them. What the page says is put together in `verdict`, where its
marks lie is computed in `figures`, and how it looks is in `templates` and `dfer.pages`.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from dfer.comparison.posthoc import MENDED
from dfer.comparison.subgroups import FEWEST_CLIPS, FEWEST_PERSONS, LENGTH
from dfer.errors import DferError, listed
from dfer.files import replacing
from dfer.metrics import scores
from dfer.metrics.protocol import AVERAGED, jsonable
from dfer.pages import Frame, emotion_colours, filmstrip, render
from dfer.reports import figures, findings, verdict
from dfer.version import __version__

FORMAT = "dfer.report/1"


def build_report(
    cells: Sequence[Mapping[str, Any]],
    *,
    data: Mapping[str, Any],
    protocol: Sequence[str],
    gallery: Sequence[Mapping[str, Any]],
    evidence: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """Everything that the page shows, ready for JSON: what is undefined is None, never NaN.

    Args:
        cells: one a run, as `dfer.metrics.cell` gives them.
        data: of the data set: "source", "clips", "left_out" {reason: count}, and, if the reader must know something
            before the numbers (that the faces are drawn, say), "note".
        protocol: how the numbers came about, in sentences.
        gallery: clips, as `dfer.metrics.gallery` gives them.
        evidence: which differences the clips support, as `dfer.comparison.evidence` gives it; without it nothing is
            called the best.

    Returns:
        "format", "version", "protocol", "data", "emotions" (in order), "cells", "gallery", "standings", "constants",
        "groups".

    Raises:
        DferError: no cells, a name twice, or cells with different emotions.
    """
    if not cells:
        raise DferError("expected at least one cell to report on, got none")
    names = [str(cell["name"]) for cell in cells]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise DferError(f"expected cells with different names, got more than one called {listed(twice)}")
    emotions = list(cells[0]["recall"])
    other = [cell["name"] for cell in cells if list(cell["recall"]) != emotions]
    if other:
        raise DferError(
            f"expected cells with the emotions {listed(emotions, 12)}, in this order; not so: {listed(other)}"
        )
    report: dict[str, Any] = jsonable(
        {
            "format": FORMAT, "version": __version__, "protocol": protocol, "data": data, "emotions": emotions,
            "cells": cells, "gallery": gallery,
            **{key: (evidence or {}).get(key) for key in ("standings", "constants", "groups")},
        }
    )  # fmt: skip
    return report


def write_report(report: Mapping[str, Any], out: Path, thumbnails: Mapping[str, Sequence[Frame]]) -> None:
    """Write `report.json` and `report.html`; a broken-off write leaves what was there before.

    Args:
        report: of `build_report`.
        out: folder, made if need be.
        thumbnails: id of a clip of the gallery -> frames (H, W, C) uint8 RGB, C = 3, or 1 for grey.

    Raises:
        DferError: the folder cannot be written, or frames that are no pictures.
    """
    numbers = json.dumps(report, indent=1, ensure_ascii=False, allow_nan=False) + "\n"
    page = render_page(report, thumbnails)
    with replacing(out / "report.json") as json_file, replacing(out / "report.html") as html_file:
        for file, text in ((json_file, numbers), (html_file, page)):
            # a name that is not valid Unicode (of a file, say) becomes an escape, which JSON reads back
            file.write_text(text, encoding="utf-8", errors="backslashreplace")


def render_page(report: Mapping[str, Any], thumbnails: Mapping[str, Sequence[Frame]]) -> str:
    """The page as HTML; arguments and errors as `write_report`."""
    cells, emotions = report["cells"], report["emotions"]
    shown = {clip["id"] for clip in report["gallery"]}
    strips = {name: filmstrip(name, frames) for name, frames in thumbnails.items() if name in shown and len(frames)}
    numbers = {key: report[key] for key in ("protocol", "data", "emotions", "cells", "gallery")}
    values = numbers | _words(report) | _drawings(cells, emotions) | {"strips": strips}
    source = report["data"].get("source") or ""
    title = verdict.title(report)
    return render("dfer.reports", "report.html.jinja", kind="report", title=title, source=source, **values)


def _words(report: Mapping[str, Any]) -> dict[str, Any]:
    """What the page says beside the report's own numbers."""
    cells = report["cells"]
    return {
        "leads": verdict.leads(cells, report.get("standings")),
        "untold": verdict.untold(cells, report.get("standings")),
        "warnings": findings.warnings(cells),
        "constants": report.get("constants") or [],
        "caveats": verdict.caveats(cells, report.get("groups")),
        "absences": verdict.absences(cells),
        "grid": verdict.grid(cells),
        "scores": scores.SCORES,
        "by_key": scores.BY_KEY,
        "in_grid": scores.IN_GRID,
        "more": scores.MORE_DISTANCES,
        "calibration": scores.CALIBRATION,
        "ceilings": scores.CEILINGS,
        "ceiling": _ceiling(cells),
        "averaged": [scores.BY_KEY[key] for key in AVERAGED],
        "best": {score.key: verdict.leading(report.get("standings"), score) for score in scores.SCORES},
        "intervals": [verdict.war_interval(cell) for cell in cells],
        "spans": {key: verdict.span([cell[key] for cell in cells]) for key in ("n", "n_votes")},
        "methods": scores.METHODS,
        "mended": [scores.BY_KEY[key] for key in MENDED],
        "remedies": [_remedies(cell) for cell in cells if "rows" in cell.get("posthoc", {})],
        "unmended": verdict.unmended(cells),
        "attributes": [verdict.attribute_name(part["attribute"]) for part in cells[0].get("subgroups", [])],
        "of_people": any(part["attribute"] != LENGTH for part in cells[0].get("subgroups", [])),
        "of_persons": any(
            group["persons"] is not None for part in cells[0].get("subgroups", []) for group in part["groups"]
        ),
        "fewest": {"clips": FEWEST_CLIPS, "persons": FEWEST_PERSONS},
        "gaps": verdict.gaps(cells),
        "of_gaps": verdict.of_gaps(cells),
        "findings": findings,
        "folds": _folds(cells),
        "trained": any(cell["training"] for cell in cells),
        "many_folds": any(len(cell["folds"]) > 1 for cell in cells),
    }


def _drawings(cells: Sequence[Mapping[str, Any]], emotions: Sequence[str]) -> dict[str, Any]:
    """Where the marks of the charts lie."""
    return {
        "marks": figures.marks(cells),
        "colours": emotion_colours(emotions),
        "recall": figures.recall_rows(cells, emotions),
        "diagrams": [figures.reliability_diagram(cell) for cell in cells],
        "vote_diagrams": [figures.reliability_diagram(cell, "vote_reliability") for cell in cells],
        "risk": figures.risk_panels(cells, figures.marks(cells)),
        "groups": [figures.group_rows(cells, place) for place, _ in enumerate(cells[0].get("subgroups", []))],
        "strata_panels": figures.strata_panels(cells),
        "curves": figures.curve_panels(cells),
    }


def _remedies(cell: Mapping[str, Any]) -> dict[str, Any]:
    """A run's scores before and after what was fitted on its validation part, the best of each marked."""
    found = cell["posthoc"]
    rows = [row | {"setting": verdict.setting(row)} for row in found["rows"]]
    best = {key: verdict.leading(found.get("standings"), scores.BY_KEY[key]) for key in MENDED}
    return {"name": cell["name"], "clips": found["clips"], "rows": rows, "best": best, "reject": found["reject"]}


def _ceiling(cells: Sequence[Mapping[str, Any]]) -> Mapping[str, Any] | None:
    """The annotators' scores, where all cells were judged by the same votes."""
    first: Mapping[str, Any] = cells[0]["ceiling"]
    return first if all(cell["ceiling"] == first for cell in cells) else None


def _folds(cells: Sequence[Mapping[str, Any]]) -> str:
    """Which parts were tested; fold 0 stands for the test part of a split."""
    folds = sorted({part["fold"] for cell in cells for part in cell["folds"]})
    if folds in ([], [0]):
        return "the split's test part"
    return f"the test part of fold{'s' * (len(folds) > 1)} {listed(folds, 12)}"
