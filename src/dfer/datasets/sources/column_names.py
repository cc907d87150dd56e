"""How people call the columns of their tables."""

from __future__ import annotations

from typing import Any

import pandas as pd

NAMES = {
    "id": ("id", "clip", "clip_id", "clip_name", "clipname", "video_name", "video", "video_id", "stimulus", "name",
           "filename", "file", "image", "path"),
    "path": ("path", "file", "filename", "video"),
    "rater": ("rater", "annotator", "rater_id", "annotator_id", "worker", "worker_id", "workerid", "participant",
              "participant_id", "coder", "judge"),
    "emotion": ("emotion", "response", "answer", "vote", "label"),
    "count": ("count", "counts", "votes", "n", "number", "frequency", "freq"),
    "label": ("label", "single_label", "emotion"),
    "group": ("group", "person", "actor", "identity", "subject", "film", "movie"),
    "fold": ("fold", "test_fold"),
    "split": ("split", "subset", "usage"),
    "status": ("status", "assignmentstatus", "assignment_status", "review", "verdict"),
    "accepted": ("accepted", "approved", "valid", "include", "included"),
    "rejected": ("rejected", "reject", "excluded", "exclude", "invalid", "discarded"),
}  # fmt: skip
"""What a column is -> names under which it is looked for, in this order."""
WORDS = frozenset(name for names in NAMES.values() for name in names)


def plain(name: object) -> str:
    """A column's name without what plays no part: case, and spaces for underscores.

    >>> plain(" Clip ID")
    'clip_id'
    """
    return "_".join(str(name).strip().lower().split())


def find_column(table: pd.DataFrame, names: tuple[str, ...]) -> Any:
    """The table's own name of the first column that is called one of `names`, or None."""
    own = {plain(name): name for name in reversed(table.columns)}
    return next((own[plain(name)] for name in names if plain(name) in own), None)
