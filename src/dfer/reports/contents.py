"""What a report holds: the runs, how each was trained and judged, and what the clips support of their differences.

The fields are the keys of `report.json`; the scores of a cell stand there among its other keys. What is undefined is
None, and what is left out of a report is left out of the file.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from dfer.comparison.constant import ConstantScores
from dfer.comparison.paired import Difference, Standing
from dfer.comparison.remedies import Posthoc, Unfitted
from dfer.comparison.sign_flips import Interval
from dfer.comparison.subgroups import Subgroups
from dfer.labels import entropy
from dfer.metrics import Predictions
from dfer.metrics.protocol import GalleryClip, Summary
from dfer.version import __version__

FORMAT = "dfer.report/1"
MOST_SPOTS = 400
"""Clips that are shown on a map."""


@dataclass(frozen=True)
class Curve:
    """The training of a fold, 0 for a split: the lines of its metrics.jsonl, one an epoch, {key: number}."""

    fold: int
    epochs: Sequence[Mapping[str, float | None]]


@dataclass(frozen=True)
class ClipMap:
    """Where a fold's network puts its test clips, on two principal components of its features.

    Attributes:
        fold: 0 for a split.
        clips: how many the fold has; of more than `MOST_SPOTS` some are shown, at even distances in the table.
        x, y: of each that is shown, -1 to 1.
        emotion: the position of its label, or of the emotion that most people voted for.
        entropy: of its votes, 0 to 1; None where nobody voted.
    """

    fold: int
    clips: int
    x: list[float]
    y: list[float]
    emotion: list[int]
    entropy: list[float | None]


@dataclass(frozen=True)
class Training:
    """How a run was trained.

    Attributes:
        epochs, clips, estimated, validation, left_out: of its first fold: epochs, clips that it was trained on, those
            among them whose soft label models made, clips held out, and {reason: clips} left out.
        frames: taken of each clip.
        seconds: of all folds together.
        parameters: weights of the network.
        model: its name.
        seed: of the recipe.
        selection: which epoch's weights were kept.
    """

    epochs: int
    clips: int
    estimated: int
    left_out: dict[str, int]
    validation: int
    frames: int
    seconds: float
    parameters: int
    model: str
    seed: int
    selection: str


@dataclass(frozen=True)
class Cell(Summary):
    """A run of the report: what was done, and the scores of its predictions.

    Attributes:
        name: what the run is called, such as "soft labels + MIDAS".
        labels: "hard" or "soft"; "" where it is not known.
        mix: "midas" or "none"; "" where it is not known.
        run: name of the run's folder.
        curves: one a fold, where logs were kept.
        training: None where it is not known.
        intervals, beyond_constant, answers: see `dfer.comparison.support.Support`; None where nothing was tested.
        posthoc: what remedies after training do, or why there are none; None where nobody asked.
        subgroups: the scores by attributes of clips; None where nobody asked.
        maps: one a fold; None where the features of its network are not known.
    """

    name: str
    labels: str
    mix: str
    run: str
    curves: list[Curve] = field(default_factory=list)
    training: Training | None = None
    intervals: dict[str, Interval | None] | None = None
    beyond_constant: dict[str, Difference] | None = None
    answers: int | None = None
    posthoc: Posthoc | Unfitted | None = None
    subgroups: list[Subgroups] | None = None
    maps: list[ClipMap] | None = None

    def as_dict(self) -> dict[str, Any]:
        """For JSON: without what was not asked for, and an empty training where it is not known."""
        optional = ("intervals", "beyond_constant", "answers", "posthoc", "subgroups", "maps")
        told = {key: value for key, value in super().as_dict().items() if key not in optional or value is not None}
        return told | {"training": self.training or {}}


def clip_maps(predictions: Predictions) -> list[ClipMap] | None:
    """The maps of predictions whose clips have places; clips without a label and without votes are left out."""
    if predictions.places is None:
        return None
    emotion = np.where(predictions.labelled, predictions.labels, np.nan_to_num(predictions.votes).argmax(axis=1))
    known = (predictions.labelled | predictions.voted) & np.isfinite(predictions.places).all(axis=1)
    maps = []
    for fold in np.unique(predictions.fold[known]).tolist():
        rows = np.flatnonzero(known & (predictions.fold == fold))
        shown = rows[np.linspace(0, len(rows) - 1, min(len(rows), MOST_SPOTS)).round().astype(int)]
        x, y = predictions.places[shown].T.tolist()
        votes = np.where(predictions.voted[shown, None], predictions.votes[shown], 1)
        spread = entropy(votes).round(3).tolist()
        told = [each if there else None for each, there in zip(spread, predictions.voted[shown], strict=True)]
        maps.append(ClipMap(fold, len(rows), x, y, emotion[shown].tolist(), told))
    return maps or None


@dataclass(frozen=True)
class DataSet:
    """The data set: where it came from, its clips, {reason: clips} left out of it, and what a reader must know first.

    `emotions` is None where the report's own emotions are all that is known.
    """

    source: str
    clips: int
    left_out: Mapping[str, int] = field(default_factory=dict)
    emotions: list[str] | None = None
    note: str = ""

    def as_dict(self) -> dict[str, Any]:
        """For JSON, without what is not known."""
        return {key: value for key, value in vars(self).items() if key not in ("emotions", "note") or value}


@dataclass(frozen=True)
class Report:
    """A report on some runs.

    Attributes:
        protocol: how the numbers came about, in sentences.
        data: the data set.
        emotions: in order.
        cells: one a run.
        gallery: the clips that people disagree on most.
        standings: {score: which run is first}; None where nothing was tested.
        constants: what constant answers score; None where nothing was tested.
        groups: how many persons or films the tests took for units; None: clips.
        format, version: of the file.
    """

    protocol: Sequence[str]
    data: DataSet
    emotions: list[str]
    cells: list[Cell]
    gallery: Sequence[GalleryClip]
    standings: dict[str, Standing] | None = None
    constants: list[ConstantScores] | None = None
    groups: int | None = None
    format: str = FORMAT
    version: str = __version__
