"""The list files of the field's own code, one of them or a folder of them, and clips wherever they lie.

    set_1_train.txt, set_1_test.txt ...     folds; also set_1/train.csv and train/set_1.csv
    train.csv, val.csv, test.csv            splits

`list_files` knows how a line is written, `label_orders` what a number means, `on_disk` how a clip is found. A
validation list that is the test list once more, as is the habit, is dropped, and validation is cut from the training
part; where there is no test list, the validation list is what is tested on.
"""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any, Literal

import pandas as pd

from dfer.datasets.manifest import Manifest
from dfer.datasets.sources.label_orders import name_labels
from dfer.datasets.sources.label_space import Vocabulary, parse_map
from dfer.datasets.sources.list_files import (
    ListFile,
    find_lists,
    is_list,
    part_and_fold,
    read_list,
)
from dfer.datasets.sources.list_parts import passed_over, settle_parts
from dfer.datasets.sources.on_disk import Disk, clip_id, keep_found
from dfer.errors import DferError, listed

logger = logging.getLogger(__name__)

ADVICE = "say in which folder their paths, or the last parts of them, begin: -O clips=FOLDER"
EXPECTED = "a list (.csv or .txt) of clips and labels, or a folder of lists that are named after train, val and test"


def recognise(root: Path) -> bool:
    """Whether `root` is a list or has lists in it."""
    return is_list(root.name) if root.is_file() else bool(find_lists(root))


def read(
    root: Path, *, clips: str = "", emotions: str = "", base: Literal["", "0", "1"] = "", only: str = "",
    map: str = "",
) -> Manifest:  # fmt: skip
    """Read lists.

    Args:
        root: a list, or the folder that holds them.
        clips: the folder that the clips are in; a path in a list is found there by its trailing parts. By default the
            lists' own.
        emotions: what the numbers of the labels mean: a known set ("dfew") or names in order ("angry,disgust,..."). Not
            needed where labels are names, or where folders in the paths are called after emotions.
        base: the number of the first emotion, "0" or "1"; found out where it is plain.
        only: a part of the names of the lists to take, such as "DFEW_", where several data sets' are there.
        map: what labels stand for: "ntr=neutral,sup=surprise".

    Returns:
        A manifest with labels and no votes, with folds or splits as the lists are named. Left out and counted: clips
        that are not on disk, folders without a frame, second rows of a clip, and a validation list that is the test
        list. The frame counts in the lists are of their authors' extraction; those on disk are taken.

    Raises:
        DferError: a list that is none, numbers whose meaning cannot be told, lists that overlap or contradict each
            other or the paths, no clip on disk, or two clips of the lists that would be one.
    """
    files = _files(root, only)
    folder = Path(clips) if clips else root if root.is_dir() else root.parent
    if not folder.is_dir():
        raise DferError(f"expected clips to be the folder that the clips are in; there is no folder {folder}")
    rows = pd.concat([_read(file, folder) for file in files], ignore_index=True)
    _check_apart(rows, folder)
    rows["label"] = rows["label"].map(Vocabulary(own=parse_map(map)).translate)
    labels, chosen = name_labels(rows, emotions=emotions, base=base)
    rows, doubles = settle_parts(rows.assign(label=labels))
    table, missing = keep_found(_a_row_a_clip(rows), folder, ADVICE)
    notes = passed_over(table.set_index("id")["label"], rows, "id")
    left_out = {reason: count for reason, count in (missing | doubles | notes).items() if count}
    table = table.drop(columns=["part", "clip"])
    return Manifest.build(table, emotions=chosen, root=folder, source="lists", left_out=left_out)


def _files(root: Path, only: str) -> list[ListFile]:
    """The lists to read, one of each part and fold; folds that count from 0 are moved up by one."""
    found = [part_and_fold(root, root.parent)] if root.is_file() else find_lists(root)
    top = root.parent if root.is_file() else root
    found = [file for file in found if only.lower() in file.path.relative_to(top).as_posix().lower()]
    if not found:
        raise DferError(
            f"{root} has no list whose name says train, val or test" + (f" and has '{only}'" if only else "")
        )
    advice = "say which by a part of their names, -O only=..., or keep one of them"
    folds = {file.fold for file in found}
    if None in folds and len(folds) > 1:
        odd = [file.path.name for file in found if file.fold is None]
        raise DferError(f"lists with folds beside lists without, {listed(odd)}, in {root}; {advice}")
    files: dict[tuple[str, int | None], ListFile] = {}
    for file in found:
        other = files.setdefault((file.part, file.fold), file)
        if other is not file:
            of_fold = "" if file.fold is None else f" of fold {file.fold}"
            raise DferError(f"two {file.part} lists{of_fold}: {other.path} and {file.path}; {advice}")
    if 0 in folds:
        logger.warning("folds are counted from 0 in %s: set_0 becomes fold 1, and so on", root)
    return [file._replace(fold=None if file.fold is None else file.fold + (0 in folds)) for file in found]


def _read(file: ListFile, folder: Path) -> pd.DataFrame:
    """The rows of a list with part and fold, and where their clips are: columns id, path, kind, frames."""
    rows = read_list(file.path)
    places = Disk(folder).find_all(rows["clip"].tolist())
    ids = [clip_id(path or clip) for path, clip in zip(places["path"], rows["clip"], strict=True)]
    return rows.join(places).assign(id=ids, part=file.part, fold=file.fold)


def _check_apart(rows: pd.DataFrame, folder: Path) -> None:
    """Raises when clips of different folders of the lists would be one clip on disk, as their numbers are the same."""
    folders = rows["clip"].str.replace("\\", "/", regex=False).str.rpartition("/")[0].groupby(rows["id"]).nunique()
    wrong = folders.index[folders > 1]
    if len(wrong):
        several = listed(rows["clip"][rows["id"] == wrong[0]].unique())
        raise DferError(
            f"{len(wrong)} clips in {folder} stand for several of the lists, such as {wrong[0]} for {several}; let "
            "clips be the folder further up"
        )


def _a_row_a_clip(rows: pd.DataFrame) -> pd.DataFrame:
    """Columns fold (in whose test list a clip is) and split, one row a clip, in the order of the lists."""
    table: pd.DataFrame = rows.drop_duplicates("id")
    if rows["fold"].isna().all():
        return table.assign(split=table["part"])
    tested: pd.Series[Any] = rows[rows["part"] == "test"].set_index("id")["fold"]
    return table.assign(fold=table["id"].map(tested).astype("Int64"))
