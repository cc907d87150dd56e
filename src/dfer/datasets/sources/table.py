"""A user's own table, CSV, Excel or the export of a tool, in one of three shapes:

    wide    a row a clip: clip, [path, group, fold, split, label], and a column of counts for each emotion; or
            a column of shares, soft_happy ..., of a distribution that is no count of votes (and soft_from: whose)
    long    a row an answer: clip, rater, emotion; the answers are counted
    tally   a row a clip and an emotion: clip, emotion, count

Columns are found by the names in `NAMES`, whatever their case; emotions by name. Paths are relative to the table's
folder. Where there is no path the clip's name is the path, with a suffix or without.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pandas as pd

from dfer.datasets.manifest import Manifest
from dfer.datasets.sources.about_clips import Found, about_clips, canonical_labels, one_group
from dfer.datasets.sources.answer_rows import clean, keep_where
from dfer.datasets.sources.clip_places import keep_on_disk, lying_at
from dfer.datasets.sources.column_names import NAMES, find_column
from dfer.datasets.sources.count_rows import EXPECTED, read_counts, spelt
from dfer.datasets.sources.grids import rows_named
from dfer.datasets.sources.label_space import Vocabulary, known, parse_map
from dfer.datasets.sources.shares import as_counts, numeric, refuse_grouped
from dfer.datasets.sources.sheets import SUFFIXES, cell_text, open_table
from dfer.errors import DferError, listed
from dfer.labels import EmotionSet, single_label

logger = logging.getLogger(__name__)

UNVOTED = "clip without a vote for an emotion"


def recognise(root: Path) -> bool:
    """Whether `root` is a table."""
    return root.is_file() and root.suffix.lower() in SUFFIXES


def read(
    root: Path,
    *,
    emotions: str = "",
    clips: str = "",
    label: Literal["majority", "none"] = "majority",
    sheet: str = "",
    map: str = "",
    values: Literal["", "counts", "shares"] = "",
    voters: str = "",
    where: str = "",
) -> Manifest:
    """Read a table.

    Args:
        root: the file, or a folder of exports, one a clip or a rater.
        emotions: a known set ("dfew") or names in order ("happy,sad,bored"); by default those that are in the table.
        clips: the folder that paths are relative to; by default the table's own.
        label: where the table has no column of labels: "majority" gives a clip the emotion that more than half of all
            its voters chose, those who named no emotion among them; "none" none.
        sheet: of an Excel file; by default the visible one on which it was saved.
        map: what abbreviations stand for: "ntr=neutral,sup=surprise".
        values: "counts" or "shares", where the numbers could be either; by default shares are found out and refused.
        voters: how many people voted on each clip, a number or the name of a column, where the table has their shares.
        where: "COLUMN=VALUE": the rows to read; the others are left out and counted.

    Returns:
        A manifest; columns that mean nothing here are kept behind the others. Answers that name no emotion, and those
        that the source rejected, are counted in columns other_.... Clips that are not on disk and rows without an
        answer are left out and counted.

    Raises:
        DferError: a table that cannot be read or has neither shape, an unknown emotion, rows of one clip that
            contradict each other, or no clip on disk.
    """
    words = Vocabulary(emotions, parse_map(map))
    folder = Path(clips) if clips else root if root.is_dir() else root.parent
    if not folder.exists():
        raise DferError(f"expected clips to be the folder that paths are relative to; there is no folder {folder}")
    table, left_out = open_table(root, EXPECTED, words=words, sheet=sheet), {}
    if where:
        table, left_out["row of another kind"] = keep_where(table, dict([_pair(where)]), root)
    found = {what: find_column(table, names) for what, names in NAMES.items()}
    if found["id"] is None:
        names = listed(NAMES["id"], 12)
        raise DferError(
            f"{root}: expected a column that names the clip ({names}); found {listed(table, 12)}; rename the column"
        )
    lies_at = lying_at(folder) if found["path"] in (None, found["id"]) else lambda _: ""
    shape = _shape(table, found, words)
    if shape == "wide":
        rows, chosen, fewer = read_counts(table, found, words, lies_at)
    else:
        rows, chosen, fewer = _from_answers(table, found, words, lies_at, tally=shape == "tally")
    rows = as_counts(one_group(rows), table, values, voters)
    rows, unvoted = _with_votes(_labelled(rows, chosen, label))
    rows, lost = keep_on_disk(rows, folder, root)
    left_out = {reason: count for reason, count in (left_out | fewer | unvoted | lost).items() if count}
    return Manifest.build(rows, emotions=chosen, root=folder, source="table", left_out=left_out)


def _shape(table: pd.DataFrame, found: Found, words: Vocabulary) -> str:
    """Whether rows are clips with counts, single answers, or clips and emotions with a count."""
    if found["emotion"] is None or any(len(spelt(name, words)) > 1 and known(spelt(name, words)) for name in table):
        return "wide"
    repeated = bool(table[found["id"]].map(cell_text).duplicated().any())
    is_label = "label" in str(found["emotion"]).lower()
    counted = found["count"] is not None and bool(numeric(table[found["count"]]).notna().any())
    if counted and (repeated or not is_label):
        return "tally"
    return "long" if found["rater"] is not None or (repeated and not is_label) else "wide"


def _from_answers(
    table: pd.DataFrame, found: Found, words: Vocabulary, lies_at: Callable[[str], str], *, tally: bool
) -> tuple[pd.DataFrame, EmotionSet, dict[str, int]]:
    """One row a clip with its answers counted, their emotions, and what was left out."""
    answers = clean(table, found, words, lies_at)
    rows = answers.rows
    if not tally:
        _warn_of_second_answers(rows)
    weight = pd.Series(1.0, index=rows.index)
    if tally:
        _warn_of_repeated_counts(rows)
        weight = _tallied(table, found).reindex(rows.index)
    kinds = [
        *(f"votes_{name}" for name in answers.emotions),
        *sorted(f"other_{kind}" for kind in set(rows["other"]) - {""}),
    ]
    kind = rows["emotion"].radd("votes_").where(rows["other"] == "", rows["other"].radd("other_"))
    votes = pd.crosstab(rows["clip"], kind, values=weight, aggfunc="sum").reindex(columns=kinds).fillna(0.0)
    found = found | {"label": None} if found["label"] == found["emotion"] else found
    about = about_clips(table.loc[rows.index], rows["clip"], found)
    about = about.drop_duplicates("id").set_index("id")
    return (
        canonical_labels(about.join(votes).reset_index(), words, answers.emotions),
        answers.emotions,
        dict(answers.left_out),
    )


def _tallied(table: pd.DataFrame, found: Found) -> pd.Series[float]:
    """How often each row was answered; an empty cell is 0."""
    cells = pd.Series(table[found["count"]])
    refuse_grouped(cells.to_frame())
    numbers = numeric(cells)
    wrong = table.index[(numbers.isna() & cells.notna()) | (numbers < 0)].tolist()
    if wrong:
        raise DferError(f"expected numbers from 0 in the column {found['count']}; see {rows_named(wrong)}")
    return numbers.fillna(0.0)


def _warn_of_repeated_counts(rows: pd.DataFrame) -> None:
    twice = rows[rows.duplicated(["clip", "emotion", "other", "rater"])]
    if len(twice):
        clips = listed(dict.fromkeys(twice["clip"]))
        logger.warning("several rows count the same emotion of the same clip; their counts are added: %s", clips)


def _warn_of_second_answers(rows: pd.DataFrame) -> None:
    twice = rows[(rows["rater"] != "") & rows.duplicated(["clip", "rater"])]
    if len(twice):
        logger.warning(
            "%d answers are a rater's second to a clip; all count: %s", len(twice), listed(dict.fromkeys(twice["clip"]))
        )


def _labelled(rows: pd.DataFrame, emotions: EmotionSet, rule: str) -> pd.DataFrame:
    """With the emotion that more than half of all voters chose as the label, where the table gives none."""
    columns = [f"votes_{emotion}" for emotion in emotions]
    if rule == "none" or "label" in rows or not set(columns) <= set(rows):
        return rows
    votes, other = (_numbers(rows, names) for names in (columns, _others(rows)))
    fine = ~((votes < 0) | np.isinf(votes)).any(axis=1)  # others are refused later
    majority = np.full(len(rows), -1)
    rest = other[fine] if other.shape[1] else None
    majority[fine] = single_label(votes[fine], share=0.5, inclusive=False, other=rest)
    return rows.assign(label=[emotions[k] if k >= 0 else "" for k in majority])


def _with_votes(rows: pd.DataFrame) -> tuple[pd.DataFrame, dict[str, int]]:
    """The rows without those whose voters all named no emotion."""
    others = _others(rows)
    if not others:
        return rows, {}
    votes = [str(name) for name in rows if str(name).startswith(("votes_", "soft_")) and name != "soft_from"]
    label = rows["label"] != "" if "label" in rows else pd.Series(False, index=rows.index)
    silent = (_numbers(rows, votes) == 0).all(axis=1) & (_numbers(rows, others).sum(axis=1) > 0) & ~label
    if silent.any():
        logger.warning("left out %d clips, as nobody named an emotion: %s", silent.sum(), listed(rows["id"][silent]))
    return rows[~silent], {UNVOTED: int(silent.sum())}


def _others(rows: pd.DataFrame) -> list[str]:
    return [str(name) for name in rows if str(name).startswith("other_")]


def _numbers(rows: pd.DataFrame, names: Iterable[str]) -> np.ndarray[Any, np.dtype[np.float64]]:
    """Columns as numbers, 0 for what is none: what cannot be is refused later."""
    columns = rows[list(names)].apply(pd.to_numeric, errors="coerce").fillna(0.0)
    return np.asarray(columns.to_numpy(), dtype=np.float64)


def _pair(text: str) -> tuple[str, str]:
    column, equals, value = (part.strip() for part in text.partition("="))
    if not equals:
        raise DferError(f"expected -O where=COLUMN=VALUE, got '{text}'")
    return column, value
