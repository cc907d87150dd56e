"""What the parts of a manifest hold: clips, groups and emotions of each, what a part lacks, where shares are uneven."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd

from dfer.datasets.columns import texts
from dfer.datasets.manifest import Manifest
from dfer.datasets.splits import members_of, stratum_names


class Part(NamedTuple):
    """A fold's test part, or train, val or test: its clips, its groups, and clips by emotion."""

    name: str
    clips: int
    groups: int
    classes: dict[str, int]


class Imbalance(NamedTuple):
    """The emotion and part where shares are furthest apart: of this emotion's clips, and of all clips, in the part."""

    emotion: str
    part: str
    share: float
    expected: float


def overview(manifest: Manifest) -> list[Part]:
    """The parts of a manifest: the test part of each fold, or train, val and test.

    Clips are counted by single label, those without one not at all; where no clip has one, by the emotion with most
    votes. A clip of unknown group counts as a group of its own.
    """
    table, emotions = manifest.table, list(manifest.emotions)
    labels = manifest.labels
    if not (labels >= 0).any():
        labels = pd.Index(emotions).get_indexer(pd.Index(stratum_names(manifest)))
    members = members_of(texts(table["group"]))
    if manifest.folds:
        masks = {f"fold {fold}": (table["fold"] == fold).fillna(False).to_numpy(bool) for fold in manifest.folds}
    else:
        masks = {name: (table["split"] == name).to_numpy() for name in ("train", "val", "test")}
    found = []
    for name, mask in masks.items():
        counts = np.bincount(labels[mask & (labels >= 0)], minlength=len(emotions)).tolist()
        groups = len(np.unique(members[mask]))
        found.append(Part(name, int(mask.sum()), groups, dict(zip(emotions, counts, strict=True))))
    return [part for part in found if part.clips]


def missing(parts: Sequence[Part]) -> dict[str, list[str]]:
    """Part -> emotions that other parts have and it lacks: their recall cannot be told there."""
    there = [emotion for emotion in parts[0].classes if any(part.classes[emotion] for part in parts)]
    lacking = {part.name: [emotion for emotion in there if not part.classes[emotion]] for part in parts}
    return {name: emotions for name, emotions in lacking.items() if emotions}


def worst_imbalance(parts: Sequence[Part]) -> Imbalance:
    """Where an emotion's share in a part is furthest from what the part has of all clips counted."""
    table = np.array([list(part.classes.values()) for part in parts], dtype=np.float64)
    expected = table.sum(axis=1) / table.sum()
    shares = table / np.where(table.sum(axis=0) > 0, table.sum(axis=0), np.nan)
    gaps = np.nan_to_num(np.abs(shares - expected[:, None]).round(9), nan=-1.0)  # equal ones: the first
    row, column = np.unravel_index(int(gaps.argmax()), gaps.shape)
    emotion = list(parts[0].classes)[int(column)]
    return Imbalance(emotion, parts[int(row)].name, float(shares[row, column]), float(expected[row]))
