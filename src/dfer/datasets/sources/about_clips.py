"""What a table says of a clip beside its votes: where it lies, who is in it, which part it is in, its label."""

from __future__ import annotations

import logging
from typing import Any

import pandas as pd

from dfer.datasets.sources.folder import SPLIT_NAMES
from dfer.datasets.sources.label_space import Vocabulary
from dfer.datasets.sources.sheets import cell_text
from dfer.datasets.spelling import joined, told
from dfer.errors import DferError, listed
from dfer.labels import EmotionSet

logger = logging.getLogger(__name__)

ABOUT = ("path", "group", "fold", "split", "label")
"""What the rows of one clip must agree on."""
Found = dict[str, Any]


def about_clips(table: pd.DataFrame, ids: pd.Series[str], found: Found) -> pd.DataFrame:
    """The columns id, path, group, fold, split and label, as far as they are there; rows of one clip must agree."""
    rows = pd.DataFrame({"id": ids})
    for what in ABOUT:
        if found[what] is not None and not (what == "path" and found["path"] == found["id"]):
            rows[what] = table[found[what]].map(cell_text)
    if "split" in rows:
        rows["split"] = rows["split"].map(lambda name: SPLIT_NAMES.get(name.lower(), name))
    differing = rows.groupby("id", sort=False).nunique().gt(1)
    for what in differing.columns[differing.any()]:
        wrong = differing.index[differing[what]]
        raise DferError(f"rows of one clip differ in their {what}, in {len(wrong)} clips: {listed(wrong)}")
    return rows


def one_group(rows: pd.DataFrame) -> pd.DataFrame:
    """With groups in one spelling each, lest one person be in two parts."""
    if "group" not in rows:
        return rows
    names, groups = joined(rows["group"].tolist())
    if groups:
        logger.warning("groups whose names are nearly the same are taken for one: %s", told(groups))
    return rows.assign(group=names)


def canonical_labels(rows: pd.DataFrame, words: Vocabulary, chosen: EmotionSet) -> pd.DataFrame:
    """With labels under the set's own names; a label that names no emotion is none."""
    if "label" in rows:
        full = (words.translate(label) if label and not words.other(label) else "" for label in rows["label"])
        rows["label"] = [chosen.canonical(label) if label else "" for label in full]
    return rows
