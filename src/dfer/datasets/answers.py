"""Files of answers, CSV or XLSX with a row an answer, and the way from what raters agree on into a Manifest.

Columns are found by the names that the reader `table` knows (clip, rater, emotion and their like), or as they are told.
Clips are joined by their ids. Where those are not the same to the letter, both are reduced to one spelling: "/" between
folders, no suffix of a film or a picture, no leading zeros of a number ("00017.mp4" is "17").
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from dfer.datasets.columns import completed
from dfer.datasets.manifest import Manifest
from dfer.datasets.sources.folder import choose_emotions
from dfer.datasets.sources.sheets import cell_text, find_column, open_table
from dfer.datasets.sources.table import NAMES
from dfer.errors import DferError, listed, nearest
from dfer.labels import map_columns
from dfer.labels.annotators import Consensus
from dfer.labels.answers import Answers
from dfer.video.frames import IMAGE_SUFFIXES, VIDEO_SUFFIXES

WANTED = {"clip": "id", "rater": "rater", "emotion": "emotion"}
"""What an answer consists of -> its key in `NAMES`."""
EXPECTED = "a .csv or .xlsx with a row an answer: clip, rater, emotion"
FROM = "raters: "
"""How `soft_from` begins where raters' answers made the distribution."""


@dataclass(frozen=True)
class Joined:
    """A manifest with the raters' distributions, and which clips of either side have no counterpart."""

    manifest: Manifest
    without_answers: Sequence[str]
    unknown: Sequence[str]


def read_answers(
    path: Path,
    *,
    emotions: str = "",
    columns: Mapping[str, str] | None = None,
    where: Mapping[str, str] | None = None,
) -> Answers:
    """Read a file of answers.

    Args:
        path: .csv or .xlsx.
        emotions: a known set ("dfew") or names in order; by default the smallest known set that has all answers.
        columns: what -> the file's name of it, for "clip", "rater" or "emotion" that are called otherwise.
        where: column -> value: the rows to read, such as those of one modality; the others are left out and counted.

    Raises:
        DferError: a file that cannot be read, a column that is not there, or answers that `Answers.build` refuses.
    """
    if not path.is_file():
        raise DferError(f"no table of answers at {path}")
    table = open_table(path, EXPECTED)
    own = {what: _column(table, what, (columns or {}).get(what, ""), path) for what in WANTED}
    _refuse_unknown(columns or {}, WANTED, "an answer has a clip, a rater and an emotion")
    _refuse_unknown(where or {}, [str(name) for name in table], f"columns of {path}")
    rows = np.ones(len(table), dtype=bool)
    for name, value in (where or {}).items():
        rows &= (table[name].map(cell_text) == value).to_numpy()
    if not rows.any():
        told = ", ".join(f"{name}={value}" for name, value in (where or {}).items())
        raise DferError(f"{path} has no row{f' with {told}' if told else ''}")
    clips, raters, said = (table[own[what]][rows].map(cell_text) for what in WANTED)
    try:
        chosen = choose_emotions(emotions, sorted(set(said) - {""}))
        answers = Answers.build(clips, raters, said, chosen)
    except DferError as error:
        raise DferError(f"{path}: {error}") from error
    others = {"row of another kind": int((~rows).sum())} if not rows.all() else {}
    return replace(answers, left_out=others | dict(answers.left_out))


def join(manifest: Manifest, consensus: Consensus) -> Joined:
    """A copy of the manifest with the raters' distributions in soft_X, and their model in soft_from.

    Raises:
        DferError: soft labels of another origin, answers with emotions that the manifest lacks, ids that cannot be told
            apart, or no clip in common.
    """
    table = manifest.table.copy()
    origins = [text for text in table.get("soft_from", []) if text and not text.startswith(FROM)]
    if origins:
        raise DferError(
            f"{len(origins)} clips have a soft label already ({listed(dict.fromkeys(origins))}), and the raters' would "
            "take its place; take the soft_ columns out of the manifest"
        )
    rows, unknown = _rows(table["id"].tolist(), consensus.clips)
    probs, _ = map_columns(consensus.probs, consensus.emotions, manifest.emotions)
    soft = np.full((len(table), len(manifest.emotions)), np.nan)
    soft[rows[rows >= 0]] = probs[rows >= 0]
    drawn = "" if consensus.seed is None else f", seed {consensus.seed}"
    voted = ~np.isnan(soft).any(axis=1)
    table[[f"soft_{name}" for name in manifest.emotions]] = soft
    table["soft_from"] = np.where(voted, f"{FROM}{consensus.model}{drawn}", "")
    without = table["id"][~voted].tolist()
    return Joined(replace(manifest, table=completed(table, manifest.emotions)), without, unknown)


def _rows(ids: Sequence[str], clips: Sequence[str]) -> tuple[NDArray[np.int64], list[str]]:
    """(N,) the row of each clip of the answers, -1 for none, and the names of those."""
    exact, spelt = {name: row for row, name in enumerate(ids)}, _by_spelling(ids)
    rows, doubtful = [], []
    for clip in clips:
        candidates = [exact[clip]] if clip in exact else spelt.get(spelling(clip), [])
        doubtful += [clip] if len(candidates) > 1 else []
        rows.append(candidates[0] if len(candidates) == 1 else -1)
    if doubtful:
        raise DferError(f"clips of the answers that may be one of several of the manifest: {listed(doubtful)}")
    taken = [row for row in rows if row >= 0]
    twice = sorted({row for row in taken if taken.count(row) > 1}) if len(set(taken)) < len(taken) else []
    if twice:
        names = [clip for clip, row in zip(clips, rows, strict=True) if row in twice]
        raise DferError(f"answers name a clip of the manifest in two ways: {listed(names)}; choose one of them")
    if not taken:
        raise DferError(
            f"no clip in common: the answers are about {listed(clips, 3)}, the manifest has {listed(ids, 3)}"
        )
    return np.array(rows), [clip for clip, row in zip(clips, rows, strict=True) if row < 0]


def _by_spelling(ids: Sequence[str]) -> dict[str, list[int]]:
    """Spelling -> rows of the ids that are so spelt."""
    found: dict[str, list[int]] = {}
    for row, name in enumerate(ids):
        found.setdefault(spelling(name), []).append(row)
    return found


def spelling(clip: str) -> str:
    r"""The one spelling of a clip's id, as the module's text states it.

    >>> spelling("00017.mp4"), spelling(r"happy\a.b.avi"), spelling("000")
    ('17', 'happy/a.b', '0')
    """
    path = PurePosixPath(clip.replace("\\", "/"))
    if path.suffix.lower() in (*VIDEO_SUFFIXES, *IMAGE_SUFFIXES):
        path = path.with_suffix("")
    name = path.name.lstrip("0") or "0" if path.name.isdecimal() else path.name
    return str(path.with_name(name)) if path.name else clip


def _column(table: pd.DataFrame, what: str, told: str, path: Path) -> Any:
    """The file's own name of the column, as told or by the usual names."""
    names = (told.lower(),) if told else NAMES[WANTED[what]]
    found = find_column(table, names)
    if found is None:
        raise DferError(
            f"{path}: expected a column with the {what} ({listed(names, 12)}); it has {listed(table, 20)}; "
            f"say which: --column {what}=NAME"
        )
    return found


def _refuse_unknown(given: Iterable[str], known: Iterable[str], told: str) -> None:
    known = list(known)
    for name in given:
        if name not in known:
            raise DferError(f"there is no '{name}'{nearest(name, known)}: {told}, {listed(known, 20)}")
