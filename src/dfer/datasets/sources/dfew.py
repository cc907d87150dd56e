"""DFEW: 16,372 clips, ten votes each, seven emotions, five folds.

Accepted, since all of it is in the wild: official and 0-based lists, padded and unpadded clip numbers, folder names
spelt with hyphen or underscore, nested and part folders, and the clips as `original` videos, `clip_224x224` and
`clip_224x224_16f` frame folders or `clip_224x224_avi`. Votes are joined on the clip number, never on the row. Clips
without a single label are kept: they have votes.

Files (see the data set's own README):
    Annotation/annotation.xlsx                      1happy ... 7fear, order, label (0: no single label, 1..7)
    EmoLabel_DataSplit/{train,test}(single-labeled)/set_1..5.csv       video_name, label (1..7)
    Clip/clip_224x224/00001/00001_00001.jpg ...     faces; Clip/original/1.mp4 ... whole frames
    groups.csv                                      video_name, group: ours, optional

References: Jiang et al.: "DFEW: A Large-Scale Database for Recognizing Dynamic Facial Expressions in the Wild", ACM MM
2020.
"""

from __future__ import annotations

import logging
import re
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from dfer.datasets.manifest import Manifest
from dfer.datasets.sources.dfew_layout import annotation_file, clip_files, fold_lists
from dfer.errors import DferError, listed
from dfer.labels import DFEW

logger = logging.getLogger(__name__)

EXPECTED = "Annotation/annotation.xlsx or EmoLabel_DataSplit/ with train and test lists, and Clip/"
VOTES = [f"votes_{name}" for name in DFEW]


def recognise(root: Path) -> bool:
    """Whether `root` looks like DFEW."""
    return root.is_dir() and (annotation_file(root) is not None or bool(fold_lists(root)))


def read(root: Path, *, clips: str = "auto", groups: str = "") -> Manifest:
    """Read DFEW.

    Args:
        root: the folder that holds Annotation, EmoLabel_DataSplit and Clip, at any depth.
        clips: "auto", or which layout to take: original, clip_224x224, clip_224x224_16f, clip_224x224_avi.
        groups: a CSV with a clip's number and its film or person, in whose validation part and folds it shall stay
            together; by default groups.csv in the root, if it is there.

    Returns:
        A manifest with folds; clips on disk that nobody labelled, and labelled ones that are not on disk, are counted.
    """
    files = clip_files(root, clips)
    lists = _read_lists(fold_lists(root))
    table = _read_annotation(annotation_file(root))
    table = _with_lists(table, lists) if len(lists) else table
    table["path"] = table.index.map(lambda number: files.get(number, ("", "", 0))[0])
    table["kind"] = table.index.map(lambda number: files.get(number, ("", "", 0))[1])
    table["frames"] = table.index.map(lambda number: files.get(number, ("", "", 0))[2]).astype("Int64")
    reasons = {
        "no face clip on disk": table["path"] == "",
        "frame folder without frames": table["kind"].eq("frames") & table["frames"].eq(0).fillna(False),
    }
    left_out = {reason: int(wrong.sum()) for reason, wrong in reasons.items() if wrong.any()}
    strangers = len(set(files) - set(table.index))
    if strangers:
        left_out["clip on disk without votes or label"] = strangers
    rows = table[~np.logical_or.reduce(list(reasons.values()))].sort_index()
    if not len(rows):
        raise DferError(
            f"none of the {len(table)} clips of the lists is on disk under {root}; clips there: {listed(sorted(files))}"
        )
    rows = rows.assign(
        id=[f"{number:05d}" for number in rows.index], frames=rows["frames"].mask(rows["kind"] == "video")
    )
    rows["group"] = _groups(root, groups, rows.index)
    return Manifest.build(rows, emotions=DFEW, root=root, source="dfew", left_out=left_out)


def _groups(root: Path, option: str, numbers: pd.Index[int]) -> list[str]:
    path = Path(option) if option else root / "groups.csv"
    if not option and not path.is_file():
        return [""] * len(numbers)
    try:
        table = pd.read_csv(path, dtype=str)
    except (OSError, ValueError) as error:
        raise DferError(f"the groups in {path} cannot be read: {error}") from error
    clip = next(
        (name for name in map(str, table) if name.lower() in ("video_name", "clip", "id", "order", "clip_name")), None
    )
    group = next(
        (name for name in map(str, table) if name.lower() in ("group", "identity", "person", "film", "movie")), None
    )
    if clip is None or group is None:
        raise DferError(f"expected the columns video_name and group in {path}, found {listed(table)}")
    known = dict(zip(table[clip].astype(int), table[group], strict=True))
    missing = [number for number in numbers if number not in known]
    if missing:
        raise DferError(f"{path} names no group for {len(missing)} clips: {listed(missing)}")
    return [known[number] for number in numbers]


# -- what people said ------------------------------------------------------------------------------------------------


def _read_annotation(path: Path | None) -> pd.DataFrame:
    """Votes, and the label by name, indexed by clip number; empty where there is no annotation."""
    if path is None:
        return pd.DataFrame(columns=[*VOTES, "label"], index=pd.Index([], dtype=int))
    try:
        table = pd.read_excel(path) if path.suffix == ".xlsx" else pd.read_csv(path)
    except Exception as error:  # openpyxl raises whatever a damaged archive makes it stumble over
        raise DferError(f"{path} cannot be read: {error}") from error
    emotions = {name: re.sub(r"^(vote_?)?\d*[_ ]?", "", str(name).strip().lower()) for name in table}
    columns = {name: f"votes_{DFEW.canonical(text)}" for name, text in emotions.items() if text in DFEW}
    columns |= {name: "number" for name in table if str(name).lower() in ("order", "clip_name", "video_name", "clip")}
    columns |= {name: "given" for name in table if str(name).lower() in ("label", "annotation")}
    table = table.rename(columns=columns)
    missing = sorted({*VOTES, "number", "given"} - set(table))
    if missing:
        raise DferError(
            f"expected {path} to have the columns 1happy ... 7fear, order, label; not found: {listed(missing)}"
        )
    table = table.set_index(pd.Index(_numbers(table["number"], path)))
    twice = table.index[table.index.duplicated()]
    if len(twice):
        raise DferError(f"{path} names {len(twice)} clips twice: {listed(twice)}")
    given = table["given"].to_numpy()
    if not np.isin(given, range(8)).all():
        raise DferError(f"expected labels 0 to 7 in {path}, found {listed(sorted(set(given) - set(range(8))))}")
    votes = table[VOTES].to_numpy(dtype=float)
    position = given.astype(int) - 1
    contradicted = (position >= 0) & (votes[np.arange(len(votes)), position] < votes.max(axis=1))
    if contradicted.any():
        raise DferError(
            f"the votes contradict the label of {contradicted.sum()} clips in {path}: "
            f"{listed(table.index[contradicted])}; "
            "the columns may be in another order than their names say, or rows may be shifted"
        )
    return table[VOTES].assign(label=["" if index < 0 else DFEW[index] for index in position])


def _numbers(values: pd.Series[Any], path: Path) -> list[int]:
    """Clip numbers, padded or not, with or without a suffix such as .mp4."""
    stems = values.astype(str).str.strip().str.replace(r"\.(0|mp4|avi|jpg)$", "", regex=True)
    wrong = stems[~stems.str.fullmatch(r"\d+")]
    if len(wrong):
        raise DferError(f"expected clip numbers in {path}, found {listed(wrong.map(repr))}")
    return stems.astype(int).tolist()


# -- folds -----------------------------------------------------------------------------------------------------------


def _read_lists(lists: dict[tuple[str, int], Path]) -> pd.DataFrame:
    """Columns part, fold, number, label (1..7), of all lists; which of them are 0-based is found out."""
    parts = []
    for (part, fold), path in sorted(lists.items()):
        try:
            table = pd.read_csv(path, dtype=str, header=None)
        except (OSError, ValueError) as error:
            raise DferError(f"{path} cannot be read: {error}") from error
        if table.shape[1] < 2:
            raise DferError(f"expected video_name,label in {path}, found one column")
        if not str(table.iloc[0, 1]).strip().isdigit():
            table = table.iloc[1:]
        label = pd.to_numeric(table[1], errors="coerce")
        if not label.isin(range(8)).all():
            wrong = sorted(set(table[1][~label.isin(range(8))]))
            raise DferError(f"expected labels 1 to 7 (or 0 to 6) in {path}, found {listed(wrong)}")
        parts.append(
            pd.DataFrame(
                {
                    "part": part,
                    "fold": fold,
                    "number": _numbers(table[0], path),
                    "label": label.astype(int).to_numpy(),
                }
            )
        )
    if not parts:
        return pd.DataFrame(columns=["part", "fold", "number", "label"])
    rows = pd.concat(parts, ignore_index=True)
    if rows["label"].min() == 0:
        if rows["label"].max() == 7:
            raise DferError(
                "the lists hold labels from 0 to 7: 0-based and 1-based lists are mixed, or they are not of DFEW"
            )
        logger.warning("the lists count labels from 0 (not the official ones, which count from 1); read as such")
        rows["label"] += 1
    _check_folds(rows)
    return rows


def _check_folds(rows: pd.DataFrame) -> None:
    labels = rows.groupby("number")["label"].nunique()
    if (labels > 1).any():
        raise DferError(
            f"{(labels > 1).sum()} clips have different labels in different lists: {listed(labels.index[labels > 1])}"
        )
    tested = rows[rows["part"] == "test"]
    twice = tested["number"][tested["number"].duplicated()]
    if len(twice):
        raise DferError(f"{len(twice)} clips are in the test part of two folds (or twice in one): {listed(twice)}")
    everything = set(rows["number"])
    for fold, part in rows.groupby("fold"):
        train, test = (set(part["number"][part["part"] == name]) for name in ("train", "test"))
        if train & test:
            raise DferError(
                f"{len(train & test)} clips are in both parts of fold {fold}: {listed(sorted(train & test))}"
            )
        if train and test and (missing := everything - train - test):
            logger.warning(
                "fold %s: %d clips of other folds are in neither of its lists; they are trained on: %s",
                fold,
                len(missing),
                listed(sorted(missing)),
            )


def _with_lists(table: pd.DataFrame, lists: pd.DataFrame) -> pd.DataFrame:
    """Votes joined with folds and labels of the lists, on the clip number."""
    given = lists.drop_duplicates("number").set_index("number")["label"].map(lambda label: DFEW[label - 1])
    both = table.index.intersection(given.index)
    contradicted = both[(table.loc[both, "label"] != given[both]).to_numpy()]
    if len(contradicted):
        raise DferError(
            f"the lists and the annotation give different labels to {len(contradicted)} of {len(both)} clips: "
            f"{listed(contradicted)}; {_smells_like(table, given, both)}"
        )
    if len(table) and len(both) < len(given):
        raise DferError(
            f"{len(given) - len(both)} clips of the lists are not in the annotation: "
            f"{listed(given.index.difference(both))}"
        )
    table = table.reindex(table.index.union(given.index))
    table["label"] = table["label"].fillna(given)
    tested = lists[lists["part"] == "test"].set_index("number")["fold"]
    return table.assign(fold=tested.reindex(table.index).astype("Int64"))


def _smells_like(table: pd.DataFrame, given: pd.Series[str], both: pd.Index[int]) -> str:
    """What kind of mistake makes lists and annotation differ."""
    positions = {name: index for index, name in enumerate(DFEW)}
    theirs, ours = given[both].map(positions), table.loc[both, "label"].map(positions)
    for shift, told in ((1, "count labels from 0"), (-1, "count labels from 2")):
        if (theirs + shift == ours).mean() > 0.9:
            return f"the lists seem to {told}"
    pairs = pd.crosstab(theirs, ours)
    if len(pairs) > 1 and (pairs.max(axis=1) / pairs.sum(axis=1) > 0.9).all():
        order = pairs.columns[pairs.to_numpy().argmax(axis=1)]
        told = ", ".join(
            f"{number + 1} is {DFEW[position]}" for number, position in zip(pairs.index, order, strict=True)
        )
        return f"the lists seem to use another order of emotions: {told}"
    return "the annotation's rows may be shifted against its clip numbers (joined by row instead of by number)"
