"""DFEW: 16,372 clips of films, ten votes each, seven emotions, five folds.

    Annotation/annotation.xlsx                                       votes and labels
    EmoLabel_DataSplit/{train,test}(single-labeled)/set_1..5.csv     folds of the single-labelled clips
    Clip/clip_224x224/00001/00001_00001.jpg ...                     see `dfew_layout`
    groups.csv                                                       video_name, group: ours, optional

Everything that is in the wild is accepted: spellings, nesting, part folders, padded and unpadded numbers, lists that
count from 0 or from 1; annotation or lists alone suffice. Votes are joined on the clip number, never on the row, and
must agree with the lists' labels. Clips without a single label are kept, for they have votes; they are in no test part.

References: Jiang et al., "DFEW: A Large-Scale Database for Recognizing Dynamic Facial Expressions in the Wild",
ACM MM 2020.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Literal

import pandas as pd

from dfer.datasets.manifest import Manifest
from dfer.datasets.sources.column_names import find_column
from dfer.datasets.sources.dfew_layout import LAYOUTS, Survey, survey
from dfer.datasets.sources.dfew_lists import VOTES, read_annotation, read_lists
from dfer.datasets.sources.list_parts import passed_over
from dfer.datasets.sources.numbered_clips import clip_numbers, find_layout
from dfer.datasets.sources.sheets import read_table
from dfer.errors import DferError, listed
from dfer.labels import DFEW

logger = logging.getLogger(__name__)

EXPECTED = "Annotation/annotation.xlsx or EmoLabel_DataSplit/ with train and test lists, and Clip/"
CLIP_COLUMNS = ("video_name", "clip", "id", "order", "clip_name")
GROUP_COLUMNS = ("group", "identity", "person", "film", "movie")


def recognise(root: Path) -> bool:
    """Whether `root` looks like DFEW."""
    if not root.is_dir():
        return False
    found = survey(root)
    return bool(found.annotations or found.lists)


def read(
    root: Path,
    *,
    clips: Literal["auto", "clip_224x224", "clip_224x224_16f", "clip_224x224_avi", "original"] = "auto",
    groups: str = "",
) -> Manifest:
    """Read DFEW.

    Args:
        root: the folder that holds Annotation, EmoLabel_DataSplit and Clip, at any depth.
        clips: which layout to take: clip_224x224, clip_224x224_16f, clip_224x224_avi or original; "auto" takes the
            first of them that is there.
        groups: a CSV with clip numbers (video_name) and their film or person (group), which the validation part must
            not split; by default groups.csv, if there is one.

    Returns:
        A manifest with folds (without, if there are no lists). Counted in `left_out`: labelled clips that are not on
        disk, clips on disk that nobody labelled, empty folders; and single-labelled clips that a fold's lists pass
        over although they are trained on.

    Raises:
        DferError: see `dfew_layout` and `dfew_lists`; or lists and annotation contradict each other.
    """
    found = survey(root)
    layout, files, copies = find_layout(root, found.clips, LAYOUTS, clips)
    table, lists = _labelled(root, found)
    left_out = {
        "no clip on disk" if layout == "original" else "no face clip on disk": table.index.difference(files.index),
        "folder without a frame": files.index[files["frames"] == 0].intersection(table.index),
        "clip on disk without votes or label": files.index.difference(table.index),
    }
    for reason, numbers in left_out.items():
        if len(numbers):
            logger.warning("left out %d clips, %s: %s", len(numbers), reason, listed(numbers))
    counts = {reason: len(numbers) for reason, numbers in left_out.items()} | {"second copy of a clip": copies}
    rows = table.join(files[files["frames"].fillna(1) > 0], how="inner").sort_index()
    if not len(rows):
        raise DferError(
            f"none of the {len(table)} labelled clips is on disk under {root}; labelled: {listed(table.index)}; "
            f"on disk: {listed(files.index)}"
        )
    counts |= passed_over(rows["label"], lists, "number")
    rows = rows.assign(id=[f"{number:05d}" for number in rows.index], group=_groups(root, found, groups, rows.index))
    left = {reason: count for reason, count in counts.items() if count}
    return Manifest.build(rows, emotions=DFEW, root=root, source="dfew", left_out=left)


def _labelled(root: Path, found: Survey) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Columns votes_*, label and fold by clip number, of all labelled clips; and the rows of the lists."""
    if len(found.annotations) > 1:
        raise DferError(f"more than one annotation under {root}: {listed(found.annotations)}; keep one of them")
    table = read_annotation(found.annotations[0]) if found.annotations else None
    if not found.lists:
        if table is None:
            raise DferError(f"neither annotation nor lists under {root}: expected {EXPECTED}")
        return table, pd.DataFrame(columns=["part", "fold", "number", "label"])
    lists = read_lists(found.lists)
    given = lists.drop_duplicates("number").set_index("number")["label"]
    if table is None:
        table = pd.DataFrame({"label": given}).reindex(columns=[*VOTES, "label"])
    else:
        _check_against(given, table)
    tested = lists[lists["part"] == "test"].set_index("number")["fold"]
    return table.assign(fold=tested.reindex(table.index).astype("Int64")), lists


def _check_against(given: pd.Series[Any], table: pd.DataFrame) -> None:
    """Raises when the lists name clips that the annotation lacks, or give them other labels."""
    strangers = given.index.difference(table.index)
    if len(strangers):
        raise DferError(
            f"{len(strangers)} of {len(given)} clips of the lists are not in the annotation: {listed(strangers)}; "
            "lists and annotation must be of one data set, and its clip numbers not be row numbers"
        )
    labels = table["label"].reindex(given.index)
    wrong = given.index[labels != given]
    if len(wrong):
        raise DferError(
            f"lists and annotation give different labels to {len(wrong)} of {len(given)} clips: {listed(wrong)}; "
            f"{_smells_like(given, table['label'])}"
        )


def _smells_like(given: pd.Series[Any], labels: pd.Series[Any]) -> str:
    """Which known mistake makes lists and annotation differ."""
    positions = {name: position for position, name in enumerate(DFEW)}
    theirs, ours = given.map(positions), labels.reindex(given.index).map(positions)
    if (theirs != ours).mean() < 0.1:
        return "correct these"
    if (theirs + 1 == ours).mean() > 0.9:
        return "the lists seem to count labels from 0"
    for shift in (1, -1):
        if (labels.reindex(given.index + shift).to_numpy() == given.to_numpy()).mean() > 0.9:
            return "the votes seem to be joined by row number: the annotation's clip numbers are shifted by one"
    pairs = pd.crosstab(given, labels.reindex(given.index))
    if len(pairs) > 1 and (pairs.max(axis=1) > 0.9 * pairs.sum(axis=1)).all():
        order = ", ".join(f"what the lists call {a} is {b}" for a, b in pairs.idxmax(axis=1).items() if a != b)
        return f"the lists seem to use another order of emotions: {order}"
    return "the annotation seems to be joined by row instead of by clip number, or to be of other clips"


def _groups(root: Path, found: Survey, option: str, numbers: Iterable[int]) -> list[str]:
    """The group of each clip, "" where none is known."""
    if not option and not found.groups:
        return ["" for _ in numbers]
    path = found.groups[0] if not option else Path(option) if Path(option).is_file() else root / option
    table = read_table(path)
    clip, group = find_column(table, CLIP_COLUMNS), find_column(table, GROUP_COLUMNS)
    if clip is None or group is None:
        raise DferError(f"{path}: expected the columns video_name and group, found {listed(table)}")
    known = dict(zip(clip_numbers(table[clip], path), table[group].fillna(""), strict=True))
    unknown = [number for number in numbers if not known.get(number)]
    if unknown:
        logger.warning("%s names no group for %d clips: %s", path, len(unknown), listed(unknown))
    return [known.get(number, "") for number in numbers]
