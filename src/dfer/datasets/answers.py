"""Files of answers, CSV or XLSX with a row an answer, and the way from what raters agree on into a Manifest.

Columns are found by the names that the reader `table` knows (clip, rater, emotion and their like), or as they are told.
Clips are joined by their ids. Where those are not the same to the letter, near spellings are the same clip
("00017.mp4" is "17"), as `dfer.datasets.spelling` says.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from dfer.datasets.columns import completed
from dfer.datasets.manifest import Manifest
from dfer.datasets.sources.answer_rows import clean, keep_where
from dfer.datasets.sources.column_names import NAMES, find_column
from dfer.datasets.sources.label_space import Vocabulary
from dfer.datasets.sources.sheets import cell_text, open_table
from dfer.datasets.spelling import clip_parts
from dfer.datasets.vote_files import Vote
from dfer.errors import DferError, listed, require_known
from dfer.labels import map_columns
from dfer.labels.annotators import Consensus
from dfer.labels.answers import EARLIER, Answers

WANTED = {"clip": "id", "rater": "rater", "emotion": "emotion"}
"""What an answer consists of -> its key in `NAMES`."""
EXTRAS = {"strength": ("strength",), "voted_at": ("voted_at", "created_at"), "seconds": ("seconds", "lead_time")}
"""What a table may say besides -> names of its column."""
UNKNOWN = "unknown"
"""The kind of an answer that says that it cannot be told."""
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
    words: Vocabulary | None = None,
    sheet: str = "",
    columns: Mapping[str, str] | None = None,
    where: Mapping[str, str] | None = None,
    repeats: str = "",
) -> Answers:
    """Read a file of answers.

    Args:
        path: a table, an export of a tool, or a folder of exports.
        words: the emotions that could be answered, and abbreviations; by default the emotions that are answered.
        sheet: of an Excel file; "" for the visible one on which it was saved.
        columns: what -> the file's name of it, for "clip", "rater" or "emotion" that are called otherwise.
        where: column -> value: the rows to read, such as those of one modality; the others are left out and counted.
        repeats: what counts of a rater's several answers to one clip, "last" or "all"; "" for all where most raters
            answer a clip several times, else the last.

    Raises:
        DferError: a file that cannot be read, a column that is not there, or answers that `Answers.build` refuses.
    """
    own, words = columns or {}, words or Vocabulary()
    for what in own:
        require_known("answers have no", what, WANTED)
    table = _opened(path, words, sheet, own)
    found = {key: _column(table, what, own.get(what, ""), path) for what, key in WANTED.items()}
    table, others = keep_where(table, where or {}, path)
    try:
        answers = clean(table, found, words)
        rows = answers.rows[answers.rows["other"] == ""]
        built = Answers.build(rows["clip"], rows["rater"], rows["emotion"], answers.emotions, repeats=repeats)
    except DferError as error:
        raise DferError(f"{path}: {error}") from error
    unnamed = Counter(f"answer that names no emotion: {kind}" for kind in answers.rows["other"] if kind)
    left_out = Counter({"row of another kind": others}) + Counter(answers.left_out) + unnamed + Counter(built.left_out)
    return replace(built, left_out=dict(left_out))


def read_votes(path: Path, *, words: Vocabulary, several: bool = False) -> tuple[list[Vote], dict[str, int]]:
    """Read a file of answers as votes: with those that cannot tell, with strengths, times and seconds.

    The columns strength, voted_at and seconds need not be there. Label Studio's files have the times, but no strengths;
    ELAN's have neither. Answers of a rater to one clip at one time are one vote; of several times the last one counts.

    Args:
        path: as for `read_answers`.
        words: the emotions that could be answered.
        several: a vote may name several emotions; otherwise a rater's last answer to a clip is the vote.

    Returns:
        The votes, with "" for a time that is not known, and reason -> how many answers are none of them.

    Raises:
        DferError: a file that cannot be read or has no answers, or an answer that is none of the emotions.
    """
    table = _opened(path, words, "", {})
    found = {key: _column(table, what, "", path) for what, key in WANTED.items()}
    try:
        answers = clean(table, found, words, unnamed=True)
    except DferError as error:
        raise DferError(f"{path}: {error}") from error
    left_out = Counter(answers.left_out)
    given: dict[tuple[str, str], dict[object, Vote]] = {}
    for number, clip, rater, other, emotion in answers.rows[["clip", "rater", "other", "emotion"]].itertuples():
        if other not in ("", UNKNOWN) or not rater:
            left_out[f"answer that names no emotion: {other}" if rater else "answer without a rater"] += 1
            continue
        strength, voted_at, seconds = (_extra(table, what, number) for what in EXTRAS)
        said = {emotion: _number(strength)} if emotion else {}
        vote = Vote(rater, clip, said, _time(voted_at), _number(seconds))
        votes = given.setdefault((clip, rater), {})
        moment = vote.voted_at if several else len(votes)
        former = votes.get(moment, vote)
        votes[moment] = replace(former, emotions={**former.emotions, **said})
    left_out[EARLIER] = sum(len(votes) - 1 for votes in given.values())
    # of votes of the same time the last one: max takes the first of equals
    last = [max(reversed(votes.values()), key=lambda vote: vote.voted_at) for votes in given.values()]
    return last, {reason: count for reason, count in left_out.items() if count}


def _opened(path: Path, words: Vocabulary, sheet: str, own: Mapping[str, str]) -> pd.DataFrame:
    if not path.exists():
        raise DferError(f"no table of answers at {path}")
    return open_table(path, EXPECTED, words=words, sheet=sheet, own=own)


def _extra(table: pd.DataFrame, what: str, number: object) -> str:
    """A cell beside an answer, "" where there is no such column."""
    column = find_column(table, EXTRAS[what])
    return "" if column is None else cell_text(table.at[number, column])


def _number(text: str) -> float | None:
    try:
        value = float(text)
    except ValueError:
        return None
    return value if math.isfinite(value) else None


def _time(text: str) -> str:
    """A time in ISO 8601, UTC; "" where it is none. One without a zone is taken for UTC."""
    try:
        found = datetime.fromisoformat(re.sub("[Zz]$", "+00:00", text))
        return (
            found.replace(tzinfo=found.tzinfo or timezone.utc).astimezone(timezone.utc).isoformat("T", "milliseconds")
        )
    except (ValueError, OverflowError):
        return ""


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
    return Joined(manifest.with_table(completed(table, manifest.emotions)), without, unknown)


def _rows(ids: Sequence[str], clips: Sequence[str]) -> tuple[NDArray[np.int64], list[str]]:
    """(N,) the row of each clip of the answers, -1 for none, and the names of those."""
    exact = {name: row for row, name in enumerate(ids)}
    spelt = _by_spelling(ids)
    rows, doubtful = [], []
    for clip in clips:
        candidates = [exact[clip]] if clip in exact else spelt.get(clip_parts(clip), [])
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


def _by_spelling(ids: Sequence[str]) -> dict[tuple[str, ...], list[int]]:
    """Spelling -> rows of the ids that are so spelt."""
    found: dict[tuple[str, ...], list[int]] = {}
    for row, name in enumerate(ids):
        found.setdefault(clip_parts(name), []).append(row)
    return found


def _column(table: pd.DataFrame, what: str, told: str, path: Path) -> Any:
    """The file's own name of the column, as told or by the usual names."""
    names = (told,) if told else NAMES[WANTED[what]]
    found = find_column(table, names)
    if found is None:
        raise DferError(
            f"{path}: expected a column with the {what} ({listed(names, 12)}); it has {listed(table, 20)}; "
            f"say which: --column {what}=NAME"
        )
    return found
