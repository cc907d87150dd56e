"""Figures for papers, as SVG or PDF files that stand alone: confusion, reliability, curves and maps of a report."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib import rc_context
from matplotlib.figure import Figure

from dfer.documents import read_json
from dfer.errors import DferError, printable, require_known
from dfer.files import replacing
from dfer.pages import bright_colours
from dfer.reports.figures import spot_radius
from dfer.reports.tables import LARGEST

FORMS = ("svg", "pdf", "png")
STYLE: Any = {
    "svg.fonttype": "none", "svg.hashsalt": "dfer", "pdf.fonttype": 42, "font.size": 8, "axes.titlesize": 9,
    "text.parse_math": False,
}  # fmt: skip
"""Text stays text, so that it can be searched and changed; a figure that is drawn again has the same bytes."""
WIDTH = 3.4
"""Inches: a column of a paper of two."""
DOTS = 200
"""An inch, of PNG."""
CURVES = {
    "train_loss": "training loss",
    "val_war": "validation WAR",
    "val_uar": "validation UAR",
    "val_kl": "validation KL",
}


def write_figures(report: Path, out: Path, *, form: str = "svg") -> list[Path]:
    """Write the figures of a report, four a run at most.

    Args:
        report: `report.json`.
        out: folder of RUN-confusion, RUN-reliability, RUN-curves where a log was kept, and RUN-map where features are
            known.
        form: one of `FORMS`.

    Returns:
        The files.

    Raises:
        DferError: another form, no report or one without what a figure needs, a folder that cannot be written.
    """
    require_known("figures cannot be", form, FORMS)
    written = []
    with rc_context(STYLE):
        for name, figure in _figures(read_json(report, largest=LARGEST)):
            path, drawn = out / f"{name}.{form}", io.BytesIO()
            figure.savefig(drawn, format=form, dpi=DOTS, bbox_inches="tight", metadata=_undated(form))
            with replacing(path) as partial:  # of what is drawn: matplotlib makes other errors of a full disk
                partial.write_bytes(drawn.getvalue())
            written.append(path)
    return written


def confusion(cell: Mapping[str, Any], emotions: list[str]) -> Figure:
    """Rows: what people said; columns: what the run said; shares of a row in percent, and the clips of the row."""
    counts = np.asarray(cell["confusion"], dtype=float)
    total = counts.sum(axis=1, keepdims=True)
    shares = np.divide(100 * counts, total, out=np.zeros_like(counts), where=total > 0)
    size = max(WIDTH, 0.45 * len(emotions) + 1)
    figure, axes = _axes(size, size)
    axes.imshow(shares, cmap="Blues", vmin=0, vmax=100)
    places = range(len(emotions))
    axes.set_xticks(places, emotions, rotation=45, ha="right")
    axes.set_yticks(places, [f"{name} ({int(n)})" for name, n in zip(emotions, total[:, 0], strict=True)])
    for row in places:
        for column in places:
            colour = "white" if shares[row, column] > 55 else "black"
            axes.text(column, row, f"{shares[row, column]:.0f}", ha="center", va="center", color=colour)
    axes.set(xlabel="predicted", ylabel="label (clips)", title=f"{cell['name']}: confusion, % of a row")
    return figure


def reliability(cell: Mapping[str, Any]) -> Figure:
    """Accuracy over confidence, a dot a bin as large as its share of the clips; the diagonal is perfect calibration."""
    figure, axes = _axes(WIDTH, WIDTH)
    bins = [part for part in cell["reliability"] if part["count"]]
    most = max((part["count"] for part in bins), default=1)
    axes.plot([0, 1], [0, 1], color="0.6", linewidth=1, linestyle="--")
    axes.plot([part["confidence"] for part in bins], [part["accuracy"] for part in bins], color="tab:blue", linewidth=1)
    axes.scatter(
        [part["confidence"] for part in bins],
        [part["accuracy"] for part in bins],
        s=[10 + 60 * part["count"] / most for part in bins],
        color="tab:blue",
    )
    ece = "–" if cell["ece"] is None else f"{cell['ece']:.3f}"
    axes.set(xlim=(0, 1), ylim=(0, 1), xlabel="confidence", ylabel="accuracy", title=f"{cell['name']}: ECE {ece}")
    axes.set_aspect("equal")
    return figure


def curves(cell: Mapping[str, Any]) -> Figure | None:
    """Loss and validation scores over epochs, a line a fold; None where no log was kept."""
    logs = [(curve["fold"], curve["epochs"]) for curve in cell["curves"] if curve["epochs"]]
    shown = [key for key in CURVES if any(line.get(key) is not None for _, lines in logs for line in lines)]
    if not shown:
        return None
    figure = Figure(figsize=(WIDTH, 1.5 * len(shown)), layout="constrained")
    figure.suptitle(cell["name"])
    for axes, key in zip(np.ravel(figure.subplots(len(shown), 1, sharex=True, squeeze=False)), shown, strict=True):
        for fold, lines in logs:
            values = [np.nan if line.get(key) is None else line[key] for line in lines]
            axes.plot([line["epoch"] for line in lines], values, linewidth=1, label=f"fold {fold}")
        axes.set_ylabel(CURVES[key])
    axes.set_xlabel("epoch")
    if len(logs) > 1:
        axes.legend(fontsize=6)
    return figure


def map_(cell: Mapping[str, Any], emotions: list[str]) -> Figure | None:
    """The test clips of each fold on the map of its network, as on the page; None where there is no map."""
    maps = cell.get("maps") or []
    if not maps:
        return None
    shades = list(bright_colours(emotions).values())
    figure = Figure(figsize=(WIDTH, WIDTH * len(maps) + 0.5), layout="constrained")
    figure.suptitle(cell["name"])
    for axes, part in zip(np.ravel(figure.subplots(len(maps), 1, squeeze=False)), maps, strict=True):
        sizes = [2 * spot_radius(spread) ** 2 for spread in part["entropy"]]
        colours = [shades[emotion] for emotion in part["emotion"]]
        axes.scatter(part["x"], part["y"], s=sizes, c=colours, alpha=0.75, linewidths=0)
        axes.set(xticks=[], yticks=[], xlim=(-1.1, 1.1), ylim=(-1.1, 1.1), aspect="equal")
        axes.set_title(f"fold {part['fold']}" if len(maps) > 1 else "")
    marks = [axes.scatter([], [], c=shade, label=name) for name, shade in zip(emotions, shades, strict=True)]
    figure.legend(handles=marks, loc="outside lower center", ncols=4, fontsize=6)
    return figure


def _figures(report: Mapping[str, Any]) -> Iterator[tuple[str, Figure]]:
    try:
        emotions = [printable(str(name)) for name in report["emotions"]]
        cells = [{**cell, "name": printable(str(cell["name"]))} for cell in report["cells"]]
        made: list[tuple[str, Callable[[Any], Figure | None]]] = [
            ("confusion", lambda cell: confusion(cell, emotions)), ("reliability", reliability), ("curves", curves),
            ("map", lambda cell: map_(cell, emotions)),
        ]  # fmt: skip
        for cell in cells:
            for kind, draw in made:
                figure = draw(cell)
                if figure is not None:
                    yield f"{_file_name(str(cell['name']))}-{kind}", figure
    except (KeyError, TypeError, ValueError, IndexError) as error:
        raise DferError(f"expected the values of report.json, got others: {type(error).__name__} {error}") from error


def _axes(width: float, height: float) -> tuple[Figure, Any]:
    figure = Figure(figsize=(width, height), layout="constrained")
    return figure, figure.subplots()


def _file_name(name: str) -> str:
    """A run's name as a file is called: letters, digits, dashes and dots."""
    kept = "".join(letter if letter.isalnum() or letter in "-_." else "-" for letter in name).strip("-.")
    return kept[:100] or "run"


def _undated(form: str) -> dict[str, None]:
    """The same numbers give the same bytes."""
    return {"svg": {"Date": None}, "pdf": {"CreationDate": None}}.get(form, {})
