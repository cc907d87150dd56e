"""MAFW's tables: distributions, single and compound labels, official folds; the one place that knows their traps.

    annotation.xlsx    clip, invalid, anger ... disappointment       eleven numbers a clip
    single-set.xlsx    clip or name, anger ..., single_label         1..11; a title may stand above the header
    multi-set.xlsx     clip or name, anger ..., multi_label          "1,2"
    train.txt          00025.mp4 anger                               also anger_disgust; captions behind it, or none

Class numbers are those of the official order, the order of the columns: `EmotionSet` MAFW. Lists with captions are
tab-separated and in GB 18030; clip and label are ASCII in front of them, and captions are not read. Whether the eleven
numbers are counts or shares is in no description: whole numbers that sum to at most eleven, the number of annotators,
are votes; all else is a distribution, and kept apart from votes.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from dfer.datasets.sources.list_parts import check_folds
from dfer.datasets.sources.numbered_clips import clip_numbers
from dfer.datasets.sources.sheets import read_table
from dfer.errors import DferError, listed
from dfer.files import read_bytes
from dfer.labels import MAFW

logger = logging.getLogger(__name__)

CLIP_NAMES = ("clip", "name", "clip_name", "video_name", "video")
ANNOTATORS = 11
LARGEST = 64 * 2**20
"""Bytes of a list."""
HEADER_ROWS = 5
"""How far down the header of a table is looked for."""
PUBLISHED = "published distribution"


def read_distributions(path: Path) -> pd.DataFrame:
    """Columns votes_*, or soft_* and soft_from, and invalid, by clip number; clips whose numbers are all 0 are empty.

    Raises:
        DferError: not such a table, a clip twice, or cells that are negative or no numbers.
    """
    table = _read_sheet(path, ())
    missing = [name for name in MAFW if name not in table]
    if missing:
        raise DferError(f"{path}: expected a column for each of {listed(MAFW, 12)}; missing: {listed(missing)}")
    cells = table[list(MAFW)].apply(pd.to_numeric, errors="coerce")
    wrong = (cells.isna() & (table[list(MAFW)] != "")) | (cells < 0) | np.isinf(cells)
    if wrong.any(axis=None):
        culprits = table.index[wrong.any(axis=1)]
        raise DferError(
            f"{path}: cells below 0 or no numbers in {len(culprits)} clips: {listed(culprits)}; get it again"
        )
    numbers = cells.fillna(0.0).to_numpy(dtype=np.float64)
    sums = numbers.sum(axis=1, keepdims=True)
    numbers = np.where(sums > 0, numbers, np.nan)
    counted = bool((cells.fillna(0) % 1 == 0).all(axis=None)) and 1 < sums.max(initial=0) <= ANNOTATORS
    prefix, numbers = ("votes", numbers) if counted else ("soft", numbers / np.where(sums > 0, sums, 1))
    rows = pd.DataFrame(numbers, columns=[f"{prefix}_{name}" for name in MAFW], index=table.index)
    if not counted:
        logger.warning("%s holds shares, not counts: read as a distribution (soft_*), not as votes", path)
        rows["soft_from"] = np.where(sums[:, 0] > 0, PUBLISHED, "")
    return rows.join(table["invalid"]) if "invalid" in table else rows


def read_labels(path: Path) -> pd.Series[Any]:
    """The emotions of each clip, joined by "_" where there are several, by clip number, of an .xlsx or a text file.

    Raises:
        DferError: not such a table, a clip twice, or labels that are neither of the eleven names nor numbers 1 to 11.
    """
    if path.suffix.lower() == ".txt":
        return read_list(path)
    table = _read_sheet(path, ("single_label", "multi_label", "label"))
    name = next((name for name in table if str(name).endswith("label")), None)
    if name is None:
        raise DferError(f"{path}: expected a column single_label or multi_label; found {listed(table, 14)}")
    parts = [re.split(r"[,，、;_\s]+", cell) for cell in table[name]]
    numbers = [int(part) for row in parts for part in row if part.isdecimal()]
    base = min(numbers, default=1)
    if base == 0:
        if max(numbers) == len(MAFW):
            raise DferError(f"{path}: labels from 0 to 11: some count from 0, others from 1; get it again")
        logger.warning("%s counts labels from 0, unlike the official table, which counts from 1; read as such", path)
    known = {str(number): emotion for number, emotion in enumerate(MAFW, start=min(base, 1))}
    return pd.Series(_joined(parts, known, path), index=table.index, name="label")


def read_lists(lists: Sequence[tuple[str, int, Path]]) -> pd.DataFrame:
    """Columns part ("train" or "test"), fold, number and label of all lists together.

    Raises:
        DferError: a list that is none, or folds that overlap.
    """
    tables = []
    for part, fold, path in lists:
        table = read_list(path).reset_index().set_axis(["number", "label"], axis=1)
        tables.append(table.assign(part=part, fold=fold))
    rows = pd.concat(tables, ignore_index=True)
    check_folds(rows, "number")
    return rows


def read_list(path: Path) -> pd.Series[Any]:
    """The emotions by clip number of lines `00025.mp4 anger`, whatever stands behind them, in whatever encoding."""
    text = read_bytes(path, LARGEST).decode("utf-8-sig", errors="replace")  # clip and label are ASCII
    lines = [line.split(maxsplit=2) for line in text.split("\n") if line.strip()]
    wrong = [" ".join(line)[:40] for line in lines if len(line) < 2]
    if wrong or not lines:
        raise DferError(
            f"{path}: expected lines such as '00025.mp4 anger'; found {listed(map(repr, wrong)) or 'nothing'}"
        )
    if all(line[1].isdecimal() for line in lines):
        raise DferError(
            f"{path}: expected labels by name, as in the official lists; these are numbers, for which four orders are "
            "in use: read such lists with `dfer prepare lists`"
        )
    names = _joined([line[1].split("_") for line in lines], {}, path)
    return pd.Series(names, index=clip_numbers(pd.Series([line[0] for line in lines]), path), name="label")


def _joined(parts: list[list[str]], numbers: dict[str, str], path: Path) -> list[str]:
    """Canonical names in the order of the set, joined by "_", of names or numbers."""
    known = {part: numbers.get(part) or (MAFW.canonical(part) if part in MAFW else "") for row in parts for part in row}
    wrong = [part for part, name in known.items() if not name]
    if wrong:
        raise DferError(
            f"{path}: expected labels of {listed(MAFW, 12)}, or class numbers from 1 to {len(MAFW)}; "
            f"found {listed(map(repr, wrong))}"
        )
    return ["_".join(sorted({known[part] for part in row}, key=MAFW.index)) for row in parts]


def _read_sheet(path: Path, also: Sequence[str]) -> pd.DataFrame:
    """A sheet by clip number, its columns in lower case, emotions under their canonical names.

    Args:
        path: the file; its header may stand below a title.
        also: columns of which one suffices to tell the header.
    """
    whole = read_table(path, header=False)
    for k in range(min(HEADER_ROWS, len(whole))):
        names = [str(cell).strip().lower() for cell in whole.iloc[k]]
        clip = next((names.index(name) for name in CLIP_NAMES if name in names), None)
        if clip is not None and (set(names) & set(also) or any(name in MAFW for name in names)):
            break
    else:
        raise DferError(f"{path}: no header with a column clip or name in its first {HEADER_ROWS} rows; get it again")
    columns = [MAFW.canonical(name) if name in MAFW else name for name in names]
    if len(set(columns)) < len(columns):
        raise DferError(f"{path} names a column twice: {listed(columns, 14)}")
    table = whole.iloc[k + 1 :].set_axis(columns, axis=1)
    table = table[table[columns[clip]] != ""]
    return table.set_index(clip_numbers(table[columns[clip]], path))
