"""Columns of the manifest by which test clips are put into groups, so that runs can be judged on each."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from dfer.comparison.subgroups import LENGTH, Subgroups, by_groups
from dfer.datasets import Manifest
from dfer.errors import require_known
from dfer.metrics import Predictions


def require_columns(manifest: Manifest, names: Sequence[str]) -> None:
    """Refuse a column that is not there, before anything is predicted."""
    for name in names:
        require_known("the manifest has no column", name, manifest.table.columns)


def groups_of(manifest: Manifest) -> dict[str, str]:
    """Clip -> person or film, "" unknown."""
    return dict(zip(manifest.table["id"].astype(str), manifest.table["group"].fillna("").astype(str), strict=True))


def scores_by_group(
    manifest: Manifest, names: Sequence[str], predictions: Mapping[str, Predictions]
) -> dict[str, list[Subgroups]]:
    """Scores of each run by clip length, where lengths are known and differ, and by the named columns.

    Returns:
        See `dfer.comparison.subgroups.by_groups`.
    """
    tested = {clip for part in predictions.values() for clip in part.ids}
    table = manifest.table[manifest.table["id"].isin(tested)]
    ids = table["id"].tolist()
    lengths = [LENGTH] if table[LENGTH].nunique() > 1 else []
    chosen = {name: dict(zip(ids, table[name].tolist(), strict=True)) for name in dict.fromkeys([*lengths, *names])}
    persons = groups_of(manifest)
    return by_groups(predictions, chosen, persons=persons if any(persons[clip] for clip in ids) else None)
