"""A report: the numbers of some runs side by side, as JSON and as one self-contained page.

`report.json` holds every number, `report.html` shows them. The page loads nothing: style, charts (SVG) and
filmstrips (JPEG) lie in the file, there is no script, and a content security policy says so to the browser. What
it says is put together in `verdict`, where its marks lie is computed in `figures`, and how it looks is in
`templates`.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from jinja2 import Environment, PackageLoader, StrictUndefined
from numpy.typing import NDArray

from dfer.errors import DferError, listed
from dfer.evaluation import figures, verdict
from dfer.evaluation.protocol import AVERAGED, jsonable
from dfer.version import __version__

Frame = NDArray[np.uint8]

FORMAT = "dfer.report/1"
STRIP_FRAMES = 6
"""Most frames of a filmstrip; of more, as many are taken at even distances."""
STRIP_HEIGHT = 96
"""Pixels; twelve strips of six frames stay well below a megabyte."""
STRIP_QUALITY = 82
"""Of the JPEG, 0 to 100."""


def build_report(
    cells: Sequence[Mapping[str, Any]],
    *,
    data: Mapping[str, Any],
    protocol: Sequence[str],
    gallery: Sequence[Mapping[str, Any]],
) -> dict[str, Any]:
    """Everything that the page shows, ready for JSON: what is undefined is None, never NaN.

    Args:
        cells: one a run, as `dfer.evaluation.cell` gives them.
        data: of the data set: "source", "clips", "left_out" {reason: count}, and, if the reader must know something
            before the numbers (that the faces are drawn, say), "note".
        protocol: how the numbers came about, in sentences.
        gallery: clips, as `dfer.evaluation.gallery` gives them.

    Returns:
        "format", "version", "protocol", "data", "emotions" (in order), "cells", "gallery".

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
    parts = {out / f"{name}.part": out / name for name in ("report.json", "report.html")}
    try:
        out.mkdir(parents=True, exist_ok=True)
        for part, text in zip(parts, (numbers, page), strict=True):
            # a name that is not valid Unicode (of a file, say) becomes an escape, which JSON reads back
            part.write_text(text, encoding="utf-8", errors="backslashreplace")
        for part, place in parts.items():
            part.replace(place)
    except OSError as error:
        for part in parts:
            if part.is_file():
                part.unlink()
        raise DferError(f"cannot write the report into {out}: {error.strerror or error}") from error


def render_page(report: Mapping[str, Any], thumbnails: Mapping[str, Sequence[Frame]]) -> str:
    """The page as HTML; arguments and errors as `write_report`."""
    cells, emotions = report["cells"], report["emotions"]
    shown = {clip["id"] for clip in report["gallery"]}
    strips = {name: _filmstrip(name, frames) for name, frames in thumbnails.items() if name in shown and len(frames)}
    template = _environment().get_template("report.html.jinja")
    return template.render(report, **_words(report), **_drawings(cells, emotions), strips=strips)


def _words(report: Mapping[str, Any]) -> dict[str, Any]:
    """What the page says beside the report's own numbers."""
    cells = report["cells"]
    return {
        "title": verdict.title(report),
        "leads": verdict.leads(cells),
        "caveats": verdict.caveats(cells),
        "absences": verdict.absences(cells),
        "grid": verdict.grid(cells),
        "scores": verdict.SCORES,
        "by_key": verdict.BY_KEY,
        "in_grid": verdict.IN_GRID,
        "averaged": [verdict.BY_KEY[key] for key in AVERAGED],
        "best": {score.key: [cells[k]["name"] for k in verdict.best(cells, score)] for score in verdict.SCORES},
        "intervals": [verdict.war_interval(cell) for cell in cells],
        "spans": {key: verdict.span([cell[key] for cell in cells]) for key in ("n", "n_votes")},
        "folds": _folds(cells),
        "many_folds": any(len(cell["folds"]) > 1 for cell in cells),
    }


def _drawings(cells: Sequence[Mapping[str, Any]], emotions: Sequence[str]) -> dict[str, Any]:
    """Where the marks of the charts lie."""
    return {
        "marks": figures.marks(cells),
        "colours": figures.emotion_colours(emotions),
        "recall": figures.recall_rows(cells, emotions),
        "diagrams": [figures.reliability_diagram(cell) for cell in cells],
        "strata_panels": figures.strata_panels(cells),
        "curves": figures.curve_panels(cells),
    }


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("dfer.evaluation"), autoescape=True, undefined=StrictUndefined, trim_blocks=True
    )
    environment.filters |= {"known": _known, "duration": _duration}
    return environment


def _known(value: Any) -> str:
    """A value that a run may not have recorded."""
    if value is None:
        return verdict.UNDEFINED
    return f"{value:,}" if isinstance(value, int | float) else str(value)


def _duration(seconds: Any) -> str:
    """Seconds, minutes or hours, whichever reads best."""
    if seconds is None:
        return verdict.UNDEFINED
    for unit, size in (("s", 1), ("min", 60), ("h", 3600)):
        if seconds < 120 * size or unit == "h":
            return f"{seconds / size:.{0 if unit == 's' else 1}f}{verdict.SPACE}{unit}"
    raise AssertionError("unreachable")


def _folds(cells: Sequence[Mapping[str, Any]]) -> str:
    """Which parts were tested; fold 0 stands for the test part of a split."""
    folds = sorted({part["fold"] for cell in cells for part in cell["folds"]})
    if folds in ([], [0]):
        return "the split's test part"
    return f"the test part of fold{'s' * (len(folds) > 1)} {listed(folds, 12)}"


def _filmstrip(name: str, frames: Sequence[Frame]) -> dict[str, Any]:
    """Frames side by side as one JPEG in a data URI, no higher than `STRIP_HEIGHT`."""
    chosen = [frames[k] for k in np.linspace(0, len(frames) - 1, min(len(frames), STRIP_FRAMES)).round().astype(int)]
    wrong = [frame.shape for frame in chosen if frame.ndim != 3 or frame.shape[2] not in (1, 3) or not frame.size]
    if wrong or any(frame.dtype != np.uint8 for frame in chosen):
        raise DferError(f"expected frames (H, W, 3) or (H, W, 1) of uint8 for clip {name}, got {listed(wrong)}")
    height = min(STRIP_HEIGHT, *(frame.shape[0] for frame in chosen))
    strip = np.hstack([_resized(frame, height) for frame in chosen])
    _, jpeg = cv2.imencode(".jpg", cv2.cvtColor(strip, cv2.COLOR_RGB2BGR), [cv2.IMWRITE_JPEG_QUALITY, STRIP_QUALITY])
    uri = f"data:image/jpeg;base64,{base64.b64encode(jpeg.tobytes()).decode()}"
    return {"uri": uri, "width": strip.shape[1], "height": height, "frames": len(chosen)}


def _resized(frame: Frame, height: int) -> Frame:
    """(height, w, 3) with the frame's proportions; grey becomes three equal channels."""
    width = max(1, round(frame.shape[1] * height / frame.shape[0]))
    size = (width, height)
    colour = np.ascontiguousarray(np.broadcast_to(frame, (*frame.shape[:2], 3)))
    return np.asarray(cv2.resize(colour, size, interpolation=cv2.INTER_AREA), dtype=np.uint8)
