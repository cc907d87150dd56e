"""Runs side by side: their saved predictions, for the same clips, in the same order, of the same emotions.

Only what every run predicted is compared; what a run has and another lacks is counted and named. What people said of
a clip must be the same in every run, or the runs were not judged on the same data.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from dfer.errors import DferError, listed
from dfer.labels import EmotionSet, map_columns
from dfer.metrics.predictions import Predictions, concatenate


def read_run(path: Path) -> Predictions:
    """The predictions of a run: a table, or the folder in which `dfer evaluate` left one for each fold.

    Raises:
        DferError: nothing there, or tables that are no predictions or do not belong together.
    """
    if path.exists() and not path.is_dir():
        return Predictions.read(path, frames=False)
    if not path.is_dir():
        raise DferError(f"expected a run's folder or a table of predictions .csv or .parquet, found nothing at {path}")
    tables = [table for place in (".", "split", "fold*") for table in sorted(path.glob(f"{place}/predictions.*"))]
    tables = [table for table in tables if table.suffix in (".csv", ".parquet")]
    if not tables:
        raise DferError(f"{path} holds no predictions; make them with `dfer evaluate {path}`")
    parts = [Predictions.read(table, frames=False) for table in tables]
    try:
        return concatenate(parts)
    except DferError as error:
        raise DferError(f"{path}: {error}") from error


def aligned(runs: Mapping[str, Predictions]) -> tuple[dict[str, Predictions], dict[str, list[str]]]:
    """The runs on the clips that all of them have, in the order of the first.

    Emotions in another order, or spelt otherwise, are moved by name.

    Args:
        runs: name -> predictions, at least one.

    Returns:
        The runs, and for each run that has clips which another lacks: their ids.

    Raises:
        DferError: other emotions, no clip in common, or a clip whose label or votes differ between runs.
    """
    (first, start), *_ = runs.items()
    renamed = {name: _in_the_emotions_of(start, first, run, name) for name, run in runs.items()}
    common = set(start.ids).intersection(*(run.ids for run in renamed.values()))
    if not common:
        raise DferError(f"no clip was predicted by every one of {listed(runs)}; compare runs on the same test part")
    kept = [clip for clip in start.ids if clip in common]
    same = {name: in_order(run, kept) for name, run in renamed.items()}
    for name, run in same.items():
        _refuse_other_people(same[first], first, run, name)
    alone = {name: [clip for clip in run.ids if clip not in common] for name, run in renamed.items()}
    return same, {name: clips for name, clips in alone.items() if clips}


def require_listed(ids: NDArray[np.object_], groups: Mapping[str, str]) -> None:
    """Refuse the groups of other clips.

    Raises:
        DferError: names the clips that are missing.
    """
    unknown = [clip for clip in ids if clip not in groups]
    if unknown:
        raise DferError(
            f"the manifest lacks {len(unknown)} of {len(ids)} predicted clips: {listed(unknown)}; give the manifest of "
            "these clips with --data"
        )


def group_names(ids: NDArray[np.object_], groups: Mapping[str, str]) -> NDArray[np.object_]:
    """The group of each clip, (N,), "" where none is known (where `groups` has "", None or NaN).

    Raises:
        DferError: a clip that `groups` does not list, or no group at all.
    """
    require_listed(ids, groups)
    names = np.array(["" if pd.isna(groups[clip]) else groups[clip] for clip in ids], dtype=object)
    if not (names != "").any():
        raise DferError("the manifest knows no group (person or film) of these clips; compare without it")
    return names


def _in_the_emotions_of(start: Predictions, first: str, run: Predictions, name: str) -> Predictions:
    """The run with its columns in the order of `start`, by name."""
    if run.emotions == start.emotions:
        return run
    target, source = start.emotions, run.emotions
    if len(source) != len(target) or {target.canonical(emotion) for emotion in source if emotion in target} != set(
        target
    ):
        raise DferError(
            f"expected runs on the same emotions; {first} has {listed(target, 12)}, {name} has {listed(source, 12)}"
        )
    moved, places = EmotionSet(first, target.emotions), source.mapping_to(target)
    return replace(
        run,
        labels=np.append(places, -1)[run.labels],  # -1, no label, is the last one
        probs=map_columns(run.probs, source, moved)[0],
        votes=map_columns(run.votes, source, moved)[0],
        emotions=moved,
    )


def in_order(run: Predictions, ids: Sequence[str]) -> Predictions:
    """The run with its clips in this order."""
    if len(run) == len(ids) and run.ids.tolist() == ids:
        return run
    places = {clip: row for row, clip in enumerate(run.ids)}
    return run.select(np.array([places[clip] for clip in ids], dtype=np.int64))


def _refuse_other_people(start: Predictions, first: str, run: Predictions, name: str) -> None:
    other_votes = ~np.isclose(run.votes, start.votes, equal_nan=True).all(axis=1)
    for what, wrong in (("label", run.labels != start.labels), ("votes", other_votes)):
        if wrong.any():
            raise DferError(
                f"expected the same {what} of a clip in every run; {name} differs from {first} in {int(wrong.sum())} "
                f"of {len(run)} clips: {listed(run.ids[wrong])}; evaluate both on one manifest"
            )
