"""A report: the numbers of some runs side by side, as JSON and as one self-contained page.

`report.json` holds every number, `report.html` shows them. What the page says is put together in `verdict`, where its
marks lie is computed in `figures`, and how it looks is in `templates` and `dfer.pages`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from dfer.comparison.remedies import MENDED, Posthoc
from dfer.comparison.subgroups import FEWEST_CLIPS, FEWEST_PERSONS, LENGTH
from dfer.comparison.support import Evidence
from dfer.errors import DferError, listed
from dfer.metrics import scores
from dfer.metrics.ceiling import Panel
from dfer.metrics.protocol import AVERAGED, GalleryClip
from dfer.pages import Frame, emotion_colours, filmstrip, render, write_page
from dfer.reports import figures, findings, verdict
from dfer.reports.contents import Cell, DataSet, Report


def build_report(
    cells: Sequence[Cell],
    *,
    data: DataSet,
    protocol: Sequence[str],
    gallery: Sequence[GalleryClip],
    evidence: Evidence | None = None,
) -> Report:
    """Everything that the page shows.

    Args:
        cells: one a run.
        data: the data set.
        protocol: how the numbers came about, in sentences.
        gallery: clips, as `dfer.metrics.gallery` gives them.
        evidence: which differences the clips support; without it nothing is called the best.

    Raises:
        DferError: no cells, a name twice, or cells with different emotions.
    """
    if not cells:
        raise DferError("expected at least one cell to report on, got none")
    names = [cell.name for cell in cells]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise DferError(f"expected cells with different names, got more than one called {listed(twice)}")
    emotions = list(cells[0].recall)
    other = [cell.name for cell in cells if list(cell.recall) != emotions]
    if other:
        raise DferError(
            f"expected cells with the emotions {listed(emotions, 12)}, in this order; not so: {listed(other)}"
        )
    found = (evidence.standings, evidence.constants, evidence.groups) if evidence else ()
    return Report(protocol, data, emotions, list(cells), gallery, *found)


def write_report(report: Report, out: Path, thumbnails: Mapping[str, Sequence[Frame]]) -> None:
    """Write `report.json` and `report.html`; a broken-off write leaves what was there before.

    Args:
        report: of `build_report`.
        out: folder, made if need be.
        thumbnails: id of a clip of the gallery -> frames (H, W, C) uint8 RGB, C = 3, or 1 for grey.

    Raises:
        DferError: the folder cannot be written, or frames that are no pictures.
    """
    write_page(out, "report", report, render_page(report, thumbnails))


def render_page(report: Report, thumbnails: Mapping[str, Sequence[Frame]]) -> str:
    """The page as HTML; arguments and errors as `write_report`."""
    shown = {clip.id for clip in report.gallery}
    strips = {name: filmstrip(name, frames) for name, frames in thumbnails.items() if name in shown and len(frames)}
    values = _words(report) | _drawings(report.cells, report.emotions) | {"strips": strips}
    values |= {key: getattr(report, key) for key in ("protocol", "data", "emotions", "cells", "gallery")}
    title, source = verdict.title(report.cells), report.data.source
    return render("dfer.reports", "report.html.jinja", kind="report", title=title, source=source, **values)


def _words(report: Report) -> dict[str, Any]:
    """What the page says beside the report's own numbers."""
    cells, by_attribute = report.cells, report.cells[0].subgroups or []
    remedies = [(cell.name, cell.posthoc) for cell in cells if isinstance(cell.posthoc, Posthoc)]
    return {
        "leads": verdict.leads(cells, report.standings),
        "untold": verdict.untold(cells, report.standings),
        "warnings": findings.warnings(cells),
        "constants": report.constants or [],
        "caveats": verdict.caveats(cells, report.groups),
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
        "best": {score.key: verdict.leading(report.standings, score) for score in scores.SCORES},
        "intervals": [verdict.war_interval(cell) for cell in cells],
        "spans": {
            "n": verdict.span([cell.n for cell in cells]), "n_votes": verdict.span([cell.n_votes for cell in cells]),
        },
        "methods": scores.METHODS,
        "mended": [scores.BY_KEY[key] for key in MENDED],
        "remedies": [(name, found, _best_remedies(found)) for name, found in remedies],
        "rejects": any(found.reject for _, found in remedies),
        "setting": verdict.setting,
        "unmended": verdict.unmended(cells),
        "attributes": [verdict.attribute_name(part.attribute) for part in by_attribute],
        "of_people": any(part.attribute != LENGTH for part in by_attribute),
        "of_persons": any(group.persons is not None for part in by_attribute for group in part.groups),
        "fewest": {"clips": FEWEST_CLIPS, "persons": FEWEST_PERSONS},
        "gaps": verdict.gaps(cells),
        "of_gaps": verdict.of_gaps(cells),
        "findings": findings,
        "folds": _folds(cells),
        "trained": any(cell.training for cell in cells),
        "many_folds": any(len(cell.folds) > 1 for cell in cells),
    }  # fmt: skip


def _drawings(cells: Sequence[Cell], emotions: Sequence[str]) -> dict[str, Any]:
    """Where the marks of the charts lie."""
    return {
        "marks": figures.marks(cells),
        "colours": emotion_colours(emotions),
        "recall": figures.recall_rows(cells, emotions),
        "diagrams": [figures.reliability_diagram(cell.reliability) for cell in cells],
        "vote_diagrams": [figures.reliability_diagram(cell.vote_reliability) for cell in cells],
        "risk": figures.risk_panels(cells, figures.marks(cells)),
        "groups": [figures.group_rows(cells, place) for place, _ in enumerate(cells[0].subgroups or [])],
        "strata_panels": figures.strata_panels(cells),
        "curves": figures.curve_panels(cells),
        "maps": figures.map_panels(cells, emotions),
    }


def _best_remedies(found: Posthoc) -> dict[str, list[str]]:
    """The methods that lead in each score."""
    return {key: verdict.leading(found.standings, scores.BY_KEY[key]) for key in MENDED}


def _ceiling(cells: Sequence[Cell]) -> Mapping[str, Panel] | None:
    """The annotators' scores, where all cells were judged by the same votes."""
    first = cells[0].ceiling
    return first if all(cell.ceiling == first for cell in cells) else None


def _folds(cells: Sequence[Cell]) -> str:
    """Which parts were tested; fold 0 stands for the test part of a split."""
    folds = sorted({part.fold for cell in cells for part in cell.folds})
    if folds in ([], [0]):
        return "the split's test part"
    return f"the test part of fold{'s' * (len(folds) > 1)} {listed(folds, 12)}"
