"""A report on predictions alone: of anybody's network, in a table of id, label or votes, and probabilities."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from dfer.comparison.constant import Constant
from dfer.comparison.support import evidence
from dfer.errors import DferError, listed
from dfer.metrics.predictions import Predictions
from dfer.metrics.protocol import gallery, score
from dfer.reports.contents import Cell, DataSet, Report, clip_maps
from dfer.reports.report import build_report, write_report

PROTOCOL = (
    "The scores are of the predictions as they were given; how they came about is not known here.",
    "WAR and UAR are over the clips that have a single label; distances to the votes over all clips that have votes.",
)


def report_on(
    predictions: Mapping[str, Predictions], out: Path, *, data: DataSet, protocol: tuple[str, ...] = PROTOCOL,
    groups: Mapping[str, str] | None = None, constants: Mapping[int, Constant] | None = None,
) -> Report:  # fmt: skip
    """Score predictions, and write `report.json` and `report.html`.

    Args:
        predictions: name of the run -> its predictions; all of the same emotions, in the same order.
        out: folder of the report.
        data: the data set.
        protocol: how the numbers came about, in sentences.
        groups: clip -> person or film; they are the units of the tests.
        constants: of each fold's training part; None takes the clips' own.

    Raises:
        DferError: other emotions, a run without a clip that has a label or votes, or a folder that cannot be written.
    """
    empty = [name for name, part in predictions.items() if not (part.labelled | part.voted).any()]
    if empty:
        raise DferError(f"expected predictions of clips with a label or votes, found none in {listed(empty)}")
    told = evidence({name: [part] for name, part in predictions.items()}, groups=groups, constants=constants)
    cells = [
        Cell(
            **vars(score(part)),
            **vars(told.cells[name]),
            name=name,
            labels="",
            mix="",
            run=name,
            maps=clip_maps(part),
        )
        for name, part in predictions.items()
    ]
    report = build_report(cells, data=data, protocol=protocol, gallery=gallery(predictions), evidence=told)
    write_report(report, out, thumbnails={})
    return report
