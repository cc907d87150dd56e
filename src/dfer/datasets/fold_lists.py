"""Folds or a split as list files, in the source's own format, so that other people's code trains on the same parts.

    dfew      EmoLabel_DataSplit/train(single-labeled)/set_1.csv   video_name,label    labels from 1
    ferv39k   4_setups/All_scenes/train_All.csv                    Action/Sad/0010 Sad
    mafw      Train & Test Set/single/no_caption/set_1/train.txt   00025.mp4 anger
    others    set_1_train.csv, or train.csv of a split             path,label          names; paths of the manifest

FERV39k has no folds: each becomes a set-up of its own, 4_setups/fold_1. The published formats know no validation list;
one is written beside theirs where the manifest has the part, and code that does not know of it does not train on it.
Lists hold the clips with a single label, for that is what they can say of a clip.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd

from dfer.datasets.manifest import Manifest, Mask
from dfer.errors import DferError, listed
from dfer.files import write_text
from dfer.tables import quoted

MAFW_NOUNS = {"angry": "anger", "happy": "happiness", "sad": "sadness"}
"""Where MAFW's files call an emotion otherwise than we do."""

Writer = Callable[[pd.DataFrame, str, int], tuple[str, str]]
"""(clips, part, fold or 0 for a split) -> the list's path and text."""


def write_fold_lists(manifest: Manifest, folder: Path) -> tuple[list[Path], int]:
    """Write the lists of every fold, or of the split.

    Args:
        manifest: with folds or a split.
        folder: what their paths begin in; lists that are there already are not written over.

    Returns:
        The files, and how many clips of the parts are in none of them because they have no single label.

    Raises:
        DferError: neither folds nor a split, a list in the way, or a place that cannot be written.
    """
    write, single = _writer(manifest), manifest.labels >= 0
    written: dict[Path, str] = {}
    unnamed = np.zeros(len(manifest), dtype=bool)
    for fold, part, mask in _parts(manifest):
        unnamed |= mask & ~single
        clips = manifest.table[mask & single]
        if len(clips):
            name, text = write(clips, part, fold)
            written[folder / name] = text
    there = [path for path in written if path.exists()]
    if there:
        raise DferError(f"{len(there)} lists are there already: {listed(there)}; choose a folder without lists")
    for path, text in written.items():
        write_text(path, text)
    return list(written), int(unnamed.sum())


def _parts(manifest: Manifest) -> Iterator[tuple[int, str, Mask]]:
    """Fold (0: a split), part and its clips."""
    if manifest.folds:
        for fold in manifest.folds:
            train, test = manifest.partition(fold)
            own = (manifest.table["split"] == "val").to_numpy() & train
            yield from ((fold, "train", train & ~own), (fold, "val", own), (fold, "test", test))
    else:
        train, test = manifest.partition()
        val = (manifest.table["split"] == "val").to_numpy()
        yield from ((0, "train", train), (0, "val", val), (0, "test", test))


def _writer(manifest: Manifest) -> Writer:
    """How the lists of the manifest's source are written."""
    emotions = list(manifest.emotions)
    own: dict[str, Writer] = {"dfew": partial(_dfew, emotions), "ferv39k": _ferv39k, "mafw": _mafw}
    return own.get(manifest.source, _plain)


def _dfew(emotions: list[str], clips: pd.DataFrame, part: str, fold: int) -> tuple[str, str]:
    labels = [emotions.index(label) + 1 for label in clips["label"]]
    text = _table(["video_name", "label"], [*zip(clips["id"], labels, strict=True)])
    return f"EmoLabel_DataSplit/{part}(single-labeled)/set_{fold or 1}.csv", text


def _ferv39k(clips: pd.DataFrame, part: str, fold: int) -> tuple[str, str]:
    setup = f"fold_{fold}" if fold else "All_scenes"
    lines = [f"{name} {label.capitalize()}" for name, label in zip(clips["id"], clips["label"], strict=True)]
    return f"4_setups/{setup}/{part}_All.csv", _lines(lines)


def _mafw(clips: pd.DataFrame, part: str, fold: int) -> tuple[str, str]:
    labels = clips["label"].replace(MAFW_NOUNS)
    lines = [f"{name}.mp4 {label}" for name, label in zip(clips["id"], labels, strict=True)]
    return f"Train & Test Set/single/no_caption/set_{fold or 1}/{part}.txt", _lines(lines)


def _plain(clips: pd.DataFrame, part: str, fold: int) -> tuple[str, str]:
    name = f"set_{fold}_{part}.csv" if fold else f"{part}.csv"
    return name, _table(["path", "label"], [*zip(clips["path"], clips["label"], strict=True)])


def _lines(lines: list[str]) -> str:
    return "\n".join(lines) + "\n"


def _table(header: list[str], rows: list[tuple[object, ...]]) -> str:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(header)
    writer.writerows([quoted(cell) if isinstance(cell, str) else cell for cell in row] for row in rows)
    return text.getvalue()
