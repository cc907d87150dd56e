"""MAFW: 10,045 clips of films and shows, eleven emotions, a distribution over them a clip, five folds.

    Labels/annotation.xlsx, single-set.xlsx, multi-set.xlsx           see `mafw_tables`
    Train & Test Set/single/no_caption/set_1..5/{train,test}.txt      folds of the single-labelled clips
    Train & Test Set/compound/...                                     folds of single and compound labels
    data/faces/00151/..., data/frames/00151/*.png                     faces, a folder a clip
    data/clips/00151.mp4                                              whole pictures

Folders are found by name, at any depth and nested; tables or lists alone suffice. Labels are mapped by name: published
code counts the eleven emotions in four orders.

References: Liu et al., "MAFW: A Large-scale, Multi-modal, Compound Affective Database for Dynamic Facial Expression
Recognition in the Wild", ACM MM 2022.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np
import pandas as pd

from dfer.datasets.manifest import Manifest
from dfer.datasets.sources.list_parts import passed_over
from dfer.datasets.sources.mafw_tables import read_distributions, read_labels, read_lists
from dfer.datasets.sources.numbered_clips import find_layout
from dfer.datasets.sources.on_disk import CROWD
from dfer.errors import DferError, listed
from dfer.labels import MAFW
from dfer.video.folders import walk

logger = logging.getLogger(__name__)

EXPECTED = "Labels/ with single-set.xlsx, or Train & Test Set/ with train and test lists, and data/"
LAYOUTS = {"faces": ("faces",), "frames": ("frames",), "clips": ("clips",)}
"""Folders of clips, in the order in which "auto" takes them: faces before whole pictures."""
DEPTH = 6
"""How many folders deep it is searched."""
TABLES = {"annotation.xlsx": "distributions", "single-set.xlsx": "single", "multi-set.xlsx": "compound",
          "single_label.txt": "single", "multi_label.txt": "compound"}  # fmt: skip
SHARES = r"^(votes|soft)_(?!from$)"
LEAST_AGREEMENT = 0.5
"""Of labels and distributions. How the labels were made of them is not published, so some may differ."""
EVEN = "compound label, even over its parts"


class Survey(NamedTuple):
    """What one walk through the folders finds."""

    tables: dict[str, list[Path]]
    """What a table holds (distributions, single, compound) -> files."""
    lists: dict[str, list[tuple[str, int, Path]]]
    """single or compound -> part, fold, file; without captions where there are both."""
    clips: dict[str, list[Path]]
    """Layout -> folders."""


def recognise(root: Path) -> bool:
    """Whether `root` looks like MAFW; annotation.xlsx alone may be DFEW's."""
    if not root.is_dir():
        return False
    found = _survey(root)
    return bool(found.lists or {"single", "compound"} & set(found.tables))


def read(
    root: Path,
    *,
    classes: Literal["single", "compound"] = "single",
    clips: Literal["auto", "faces", "frames", "clips"] = "auto",
) -> Manifest:
    """Read MAFW.

    Args:
        root: the folder that holds Labels, Train & Test Set and data, at any depth.
        classes: "single" gives the labels and folds of the single-labelled clips; "compound" those of the compound
            set, where a clip of several emotions has no label but a text in the column compound ("angry_disgust").
        clips: faces, frames or clips; "auto" takes the first of them that is there.

    Returns:
        A manifest with folds (without, if there are no lists), votes_* or soft_* as the table holds counts or shares,
        and its column invalid as it stands. A clip without either that has a compound label is given a soft label
        that is even over its parts. Left out and counted: clips that are not on disk, clips that nobody labelled.

    Raises:
        DferError: see `mafw_tables`; or lists and tables contradict each other.
    """
    found = _survey(root)
    _, files, copies = find_layout(root, found.clips, LAYOUTS, clips)
    table, lists = _labelled(root, found, classes)
    known = table["label"].ne("") | _has_shares(table)
    left_out = {
        "no clip on disk": table.index.difference(files.index),
        "folder without a frame": files.index[files["frames"] == 0].intersection(table.index),
        "clip on disk without distribution or label": files.index.difference(table.index[known]),
    }
    for reason, numbers in left_out.items():
        if len(numbers):
            logger.warning("left out %d clips, %s: %s", len(numbers), reason, listed(numbers))
    rows = table[known].join(files[files["frames"].fillna(1) > 0], how="inner").sort_index()
    if rows.empty:
        raise DferError(
            f"none of the {len(table)} labelled clips is on disk under {root}; labelled: {listed(table.index)}; "
            f"on disk: {listed(files.index)}"
        )
    counts = {reason: len(numbers) for reason, numbers in left_out.items()} | {"second copy of a clip": copies}
    counts |= passed_over(rows["label"], lists, "number")
    rows = _with_compounds(rows) if classes == "compound" else rows
    rows = rows.assign(id=[f"{number:05d}" for number in rows.index])
    left = {reason: count for reason, count in counts.items() if count}
    return Manifest.build(rows, emotions=MAFW, root=root, source="mafw", left_out=left)


def _survey(root: Path) -> Survey:
    """Tables by their names, lists by the folders they are in, and folders of clips."""
    found = Survey({}, {}, {})
    captioned: dict[str, list[tuple[str, int, Path]]] = {}
    for folder, folders, files in walk(root, depth=DEPTH, crowd=CROWD):
        if folder.name.lower() in LAYOUTS and any(Path(name).stem.isdecimal() for name in [*folders, *files]):
            found.clips.setdefault(folder.name.lower(), []).append(folder)
        for name in files:
            if name.lower() in TABLES:
                found.tables.setdefault(TABLES[name.lower()], []).append(folder / name)
        for kind, row, with_caption in _lists(folder, files):
            (captioned if with_caption else found.lists).setdefault(kind, []).append(row)
    return found._replace(lists=captioned | found.lists)


def _lists(folder: Path, files: list[str]) -> Iterator[tuple[str, tuple[str, int, Path], bool]]:
    """Lists in a folder such as single/no_caption/set_1: kind, (part, fold, file), whether with captions."""
    fold = re.fullmatch(r"set_?(\d+)", folder.name.lower())
    above = [part.lower() for part in folder.parts[-4:]]
    kind = next((kind for kind in ("single", "compound") if kind in above), None)
    if fold and kind:
        for name in sorted(files):
            if name.lower() in ("train.txt", "test.txt"):
                yield kind, (name.lower()[:-4], int(fold.group(1)), folder / name), "with_caption" in above


def _labelled(root: Path, found: Survey, classes: str) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Distribution, label ("angry_disgust" of several) and fold by clip number; and the rows of the lists."""
    sets = ["single"] if classes == "single" else ["compound", "single"]
    labels = pd.Series(dtype=object)
    for path in (_one_table(found, name) for name in sets):
        labels = labels.combine_first(read_labels(path)) if path else labels
    lists = pd.DataFrame(columns=["part", "fold", "number", "label"])
    if classes in found.lists:
        lists = read_lists(found.lists[classes])
        given = lists.drop_duplicates("number").set_index("number")["label"]
        _check_agreement(given, labels, strict=classes == "single")
        labels = given.combine_first(labels)
    elif classes not in found.tables:
        raise DferError(f"no {classes} labels under {root}: expected {EXPECTED}; for compound ones multi-set.xlsx")
    path = _one_table(found, "distributions")
    table = read_distributions(path) if path else pd.DataFrame()
    _check_most(labels, table)
    table = table.reindex(table.index.union(labels.index))
    if "soft_from" in table:
        table["soft_from"] = table["soft_from"].fillna("")
    tested = lists[lists["part"] == "test"].set_index("number")["fold"]
    fold = tested.reindex(table.index).astype("Int64")
    return table.assign(label=labels.reindex(table.index).fillna(""), fold=fold).rename_axis("number"), lists


def _one_table(found: Survey, what: str) -> Path | None:
    """The file of a table, Excel before text."""
    paths = sorted(found.tables.get(what, []), key=lambda path: path.suffix.lower() != ".xlsx")
    if len({path.name.lower() for path in paths}) < len(paths):
        raise DferError(f"more than one table of a kind: {listed(paths)}; keep one of them")
    return paths[0] if paths else None


def _check_agreement(given: pd.Series[Any], labels: pd.Series[Any], *, strict: bool) -> None:
    """Raises (or, not strict, warns) when the lists give clips other labels than the table."""
    both = given.index.intersection(labels.index)
    wrong = both[(given[both] != labels[both]).to_numpy()]
    if not len(wrong):
        return
    told = f"lists and table give different labels to {len(wrong)} of {len(both)} clips: {listed(wrong)}"
    if not strict:
        logger.warning("%s; those of the lists are taken", told)
        return
    pairs = pd.crosstab(given[wrong], labels[wrong]).idxmax(axis=1)
    order = ", ".join(f"what the lists call {a} is {b} in the table" for a, b in pairs.items())
    hint = "correct these" if len(wrong) < 0.1 * len(both) else f"one of them counts in another order: {order}"
    raise DferError(f"{told}; {hint}")


def _check_most(labels: pd.Series[Any], table: pd.DataFrame) -> None:
    """Raises when few labels are the emotion that the distribution holds most of."""
    shares = table.filter(regex=SHARES)
    single = labels.index[labels.isin(list(MAFW)).to_numpy()].intersection(shares.dropna().index)
    if not len(single):
        return
    numbers = shares.loc[single].to_numpy(dtype=float)
    own = np.take_along_axis(numbers, labels[single].map(MAFW.index).to_numpy()[:, None], axis=1)[:, 0]
    wrong = own < numbers.max(axis=1)
    if wrong.mean() > 1 - LEAST_AGREEMENT:
        raise DferError(
            f"the label of {wrong.sum()} of {len(single)} single-labelled clips has not the greatest share in "
            f"annotation.xlsx ({listed(single[wrong])}); one of them is of other clips, or counts in another order"
        )


def _with_compounds(rows: pd.DataFrame) -> pd.DataFrame:
    """Compound labels as the column compound; where nothing else is known, a soft label even over their parts."""
    several = rows["label"].str.contains("_")
    bare = rows.index[several & ~_has_shares(rows)]
    rows = rows.assign(compound=rows["label"].where(several, ""), label=rows["label"].where(~several, ""))
    if len(bare):
        soft = [f"soft_{name}" for name in MAFW]
        rows = rows.reindex(columns=[*rows, *(name for name in soft if name not in rows)])
        parts = [set(label.split("_")) for label in rows.loc[bare, "compound"]]
        rows.loc[bare, soft] = [[(name in part) / len(part) for name in MAFW] for part in parts]
        origin = rows["soft_from"] if "soft_from" in rows else pd.Series("", index=rows.index)
        rows["soft_from"] = origin.where(~rows.index.isin(bare), EVEN)
    return rows


def _has_shares(table: pd.DataFrame) -> pd.Series[bool]:
    """(N,) whether a clip has votes or a distribution."""
    return table.filter(regex=SHARES).notna().any(axis=1)
