"""DFEW's tables: votes from annotation.xlsx, folds from the lists; the one place that knows their traps.

    annotation.xlsx   1happy ... 7fear, order, label    counts, clip number, 0 = no single label, 1..7
                      (also vote_happy ... vote_fear, clip_name, annotation)
    set_1.csv         video_name, label                 label 1..7; some copies count from 0
    set_1_train.txt   /faces/00001 144 1                path, frames of somebody else's extraction, label from 0

Clips are known by number: "2522", "02522" and "02522.mp4" are one clip. A row's position means nothing.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from dfer.datasets.sources.list_files import read_list
from dfer.datasets.sources.list_parts import check_folds
from dfer.datasets.sources.numbered_clips import clip_numbers
from dfer.datasets.sources.sheets import read_table
from dfer.errors import DferError, listed, refuse
from dfer.labels import DFEW, check_votes

logger = logging.getLogger(__name__)

VOTES = [f"votes_{name}" for name in DFEW]
NUMBER_NAMES = ("order", "clip_name", "video_name", "clip")
LABEL_NAMES = ("label", "annotation")


def read_annotation(path: Path) -> pd.DataFrame:
    """Votes, and the single label by name ("" = none), by clip number.

    Raises:
        DferError: not such a table, a clip twice, votes that cannot be or that contradict the label.
    """
    table = read_table(path)
    columns: dict[Any, str] = {}
    for name in table:
        lower = str(name).strip().lower()
        emotion = re.sub(r"^vote_?", "", lower)
        if lower in NUMBER_NAMES:
            columns[name] = "number"
        elif lower in LABEL_NAMES:
            columns[name] = "label"
        elif emotion in DFEW:
            columns[name] = f"votes_{DFEW.canonical(emotion)}"
    table = table[list(columns)].rename(columns=columns)
    missing = sorted({*VOTES, "number", "label"} - set(table))
    if missing or table.columns.has_duplicates:
        raise DferError(
            f"{path}: expected the columns 1happy ... 7fear, order and label, each once; missing: {listed(missing)}, "
            f"twice: {listed(table.columns[table.columns.duplicated()])}"
        )
    table.index = clip_numbers(table["number"], path)
    labels = pd.to_numeric(table["label"], errors="coerce")
    told = f"of {path} have a label that is none of 0 to 7 (0 = no single label)"
    refuse(~labels.isin(range(8)), table["label"], told, of="rows")
    votes = check_votes(table[VOTES].apply(pd.to_numeric, errors="coerce"), [f"{n:05d}" for n in table.index])
    positions = labels.to_numpy(dtype=int) - 1
    _check_label_has_most_votes(votes, positions, table.index, path)
    names = ["" if position < 0 else DFEW[position] for position in positions]
    return pd.DataFrame(votes, columns=VOTES, index=table.index).assign(label=names)


def read_lists(lists: Sequence[tuple[str, int, Path]]) -> pd.DataFrame:
    """Columns part ("train" or "test"), fold, number and label (a name) of all lists together.

    Whether labels count from 1, as the official ones do, or from 0 is found out from all lists at once.

    Raises:
        DferError: two lists of one part and fold, a list that is none, bases mixed, folds that overlap.
    """
    files: dict[tuple[str, int], Path] = {}
    for part, fold, path in lists:
        if (part, fold) in files:
            raise DferError(f"two {part} lists of fold {fold}: {files[part, fold]} and {path}; keep one of them")
        files[part, fold] = path
    tables = [_read_list(path).assign(part=part, fold=fold) for (part, fold), path in sorted(files.items())]
    rows = pd.concat(tables, ignore_index=True)
    base = int(rows["label"].min())
    if base == 0:
        if rows["label"].max() == 7:
            raise DferError(
                "the lists hold labels from 0 to 7: some count from 0, others from 1; use those of one source"
            )
        logger.warning("the lists count labels from 0, unlike the official ones, which count from 1; read as such")
    rows["label"] = rows["label"].map(dict(enumerate(DFEW, start=min(base, 1))))
    check_folds(rows, "number")
    return rows


def _read_list(path: Path) -> pd.DataFrame:
    """Columns number and label, from whichever base."""
    table = read_list(path)
    labels = pd.to_numeric(table["label"], errors="coerce")
    told = f"of {path} have a label that is none of 1 to 7 (or of 0 to 6)"
    refuse(~labels.isin(range(8)), table["label"], told, of="rows")
    return pd.DataFrame({"number": clip_numbers(table["clip"], path), "label": labels.to_numpy(dtype=int)})


def _check_label_has_most_votes(votes: np.ndarray, positions: np.ndarray, numbers: pd.Index[Any], path: Path) -> None:
    single = positions >= 0
    own = votes[np.arange(len(votes)), positions]
    wrong = single & (own < votes.max(axis=1))
    if not wrong.any():
        return
    cause = "the columns may not be in the order of their names"
    if wrong.sum() < 0.1 * single.sum():
        cause = "these rows may have been edited"
    elif (votes[single].argmax(axis=1) == positions[single] + 1).mean() > 0.9:
        cause = "the labels seem to count from 0"
    raise DferError(
        f"{path}: the label of {wrong.sum()} of {single.sum()} single-labelled clips is not the emotion with most "
        f"votes ({listed(numbers[wrong])}); {cause}"
    )
