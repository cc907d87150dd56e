"""Clips of a data set with what people and a model said of each, side by side, filtered and sorted."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from dfer.comparison.alignment import read_run
from dfer.datasets.manifest import Manifest
from dfer.doctor.findings import Finding
from dfer.documents import checked, read_json
from dfer.errors import DferError, require_known
from dfer.labels import entropy, map_columns
from dfer.labels.dirichlet import Floats
from dfer.shards import holding_file

logger = logging.getLogger(__name__)

ORDERS = ("name", "disagreement", "surprise")
"""By name; by the entropy of the votes; by how improbable the model finds what people chose."""
MOST = 24
"""Clips in one answer."""


@dataclass(frozen=True)
class Wanted:
    """Which clips are shown.

    Attributes:
        emotion: that most people chose, or the label; "" any.
        predicted: emotion that the model finds most probable; "" any.
        error: only clips whose prediction differs from what most people chose.
        least, most: of the entropy of the votes, 0..1.
        group: "" any.
        flaw: a check of the doctor that names the clip; "" any clip.
        missing: only clips whose file is not there.
        text: in the name.
        order: one of `ORDERS`.
    """

    emotion: str = ""
    predicted: str = ""
    error: bool = False
    least: float = 0.0
    most: float = 1.0
    group: str = ""
    flaw: str = ""
    missing: bool = False
    text: str = ""
    order: str = "name"


class Beside:
    """A manifest, and the predictions of a run for its clips.

    Args:
        manifest: read from a file.
        run: a run's folder or a table of predictions; None: none.
        flaws: what the doctor found: check -> ids of the clips that it names.

    Raises:
        DferError: predictions that cannot be read, of other emotions, or of none of the clips.
    """

    def __init__(self, manifest: Manifest, run: Path | None, flaws: Mapping[str, frozenset[str]]) -> None:
        self.manifest, self.flaws = manifest, flaws
        self.emotions = list(manifest.emotions)
        votes = manifest.votes
        total = np.nansum(votes, axis=1)
        with np.errstate(invalid="ignore", divide="ignore"):
            self.shares: Floats = np.where(total[:, None] > 0, votes / total[:, None], np.nan)
        self.people = total.astype(int)
        self.entropy = np.full(len(manifest), np.nan)
        self.entropy[total > 0] = entropy(votes[total > 0]) if (total > 0).any() else []
        labels = manifest.labels
        self.said = np.where(total > 0, np.nan_to_num(self.shares, nan=-1.0).argmax(axis=1), labels)
        self.probs = np.full(votes.shape, np.nan) if run is None else self._probs(run)
        self.predicted = np.where(np.isnan(self.probs[:, 0]), -1, np.nan_to_num(self.probs, nan=-1.0).argmax(axis=1))

    def _probs(self, run: Path) -> Floats:
        predictions = read_run(run)
        probs, _ = map_columns(predictions.probs, predictions.emotions, self.manifest.emotions)
        rows = pd.Series(np.arange(len(predictions)), index=predictions.ids)
        places = rows[~rows.index.duplicated()].reindex(self.manifest.table["id"]).to_numpy(dtype=np.float64)
        if np.isnan(places).all():
            raise DferError("this run predicted none of these clips; choose the data set that it was tested on")
        found = np.full((len(self.manifest), probs.shape[1]), np.nan)
        known = ~np.isnan(places)
        found[known] = probs[places[known].astype(int)]
        return found

    @property
    def groups(self) -> list[str]:
        """The groups of the clips, the largest first, at most 200."""
        counts = self.manifest.table["group"].value_counts()
        return [str(name) for name in counts.index[:200] if name]

    def rows(self, wanted: Wanted) -> list[int]:
        """Positions of the clips that are wanted, in the order that is wanted.

        Raises:
            DferError: an emotion that the data set lacks, or a flaw that the doctor did not find.
        """
        table, keep = self.manifest.table, np.ones(len(self.manifest), dtype=bool)
        for name, values in ((wanted.emotion, self.said), (wanted.predicted, self.predicted)):
            if name:
                keep &= values == self.manifest.emotions.index(name)
        if wanted.error:
            keep &= (self.predicted >= 0) & (self.said >= 0) & (self.predicted != self.said)
        if wanted.least > 0 or wanted.most < 1:
            keep &= (self.entropy >= wanted.least) & (self.entropy <= wanted.most)
        if wanted.group:
            keep &= (table["group"] == wanted.group).to_numpy(dtype=bool)
        if wanted.flaw:
            require_known("the doctor found no", wanted.flaw, self.flaws)
            keep &= table["id"].isin(self.flaws[wanted.flaw]).to_numpy(dtype=bool)
        if wanted.text:
            keep &= table["id"].str.contains(wanted.text, case=False, regex=False).to_numpy(dtype=bool)
        found = np.flatnonzero(keep)
        if wanted.missing:
            paths = table["path"]
            found = np.array(
                [row for row in found if not holding_file(self.manifest.resolve(paths[row])).exists()], dtype=np.int64
            )
        if wanted.order == "disagreement":
            found = found[np.argsort(-np.nan_to_num(self.entropy[found], nan=-1.0), kind="stable")]
        elif wanted.order == "surprise":
            chance = self.probs[found, np.maximum(self.said[found], 0)]
            chance = np.where((self.said[found] < 0) | np.isnan(chance), 2.0, chance)
            found = found[np.argsort(chance, kind="stable")]
        return [int(row) for row in found]

    def clip(self, row: int) -> dict[str, Any]:
        """One clip as plain values."""
        record = self.manifest.table.iloc[row]
        said, predicted = int(self.said[row]), int(self.predicted[row])
        votes = self.manifest.votes[row]
        return {
            "row": row, "id": record["id"], "group": record["group"], "kind": record["kind"],
            "label": record["label"],
            "votes": {} if np.isnan(votes).any() else dict(zip(self.emotions, votes.tolist(), strict=True)),
            "probs": {} if predicted < 0 else dict(zip(self.emotions, self.probs[row].round(4).tolist(), strict=True)),
            "entropy": None if np.isnan(self.entropy[row]) else round(float(self.entropy[row]), 3),
            "said": self.emotions[said] if said >= 0 else "",
            "predicted": self.emotions[predicted] if predicted >= 0 else "",
            "flaws": [check for check, clips in self.flaws.items() if record["id"] in clips],
        }  # fmt: skip


def doctor_report(data: Path) -> Path:
    """Where the doctor's findings about a manifest lie when it was asked from Review."""
    return data.with_name(f"{data.stem}_doctor.json")


def read_flaws(data: Path) -> dict[str, frozenset[str]]:
    """What the doctor found in a manifest: check -> ids of the clips that it names.

    Nothing where the doctor was not asked since the manifest was written, or where its report cannot be read.
    """
    path = doctor_report(data)
    if not path.exists() or path.stat().st_mtime < data.stat().st_mtime:
        return {}
    try:
        findings = checked(_Report, read_json(path), str(path)).findings
    except DferError as error:
        logger.warning("%s; ask the doctor again", error)
        return {}
    return {each.check: frozenset(each.clips) for each in findings if each.clips and each.verdict in ("fault", "note")}


@dataclass(frozen=True)
class _Report:
    """The part of `dfer.doctor.report` that is used here."""

    findings: tuple[Finding, ...]


@lru_cache(maxsize=4)
def read_beside(data: Path, run: Path | None, _changed: tuple[float, ...]) -> Beside:
    """A data set with a run; read anew when `_changed`, the times at which the files were written, are others."""
    return Beside(Manifest.read(data), run, read_flaws(data))
