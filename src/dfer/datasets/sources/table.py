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
from collections import Counter
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from dfer.datasets.manifest import Manifest
from dfer.datasets.sources.answer_rows import clean, keep_where, one_clip, rejected_rows
from dfer.datasets.sources.clip_places import locate, lying_at
from dfer.datasets.sources.column_names import NAMES, find_column
from dfer.datasets.sources.count_rows import (
    OWN_SHARES,
    as_counts,
    choose_columns,
    number,
    numeric,
    other_columns,
    spelt,
    warn_of_columns,
)
from dfer.datasets.sources.folder import SPLIT_NAMES
from dfer.datasets.sources.grids import rows_named
from dfer.datasets.sources.label_space import Vocabulary, known, parse_map
from dfer.datasets.sources.options import check_option
from dfer.datasets.sources.sheets import SUFFIXES, cell_text, open_table
from dfer.datasets.spelling import joined, told
from dfer.errors import DferError, listed
from dfer.labels import EmotionSet, single_label

logger = logging.getLogger(__name__)

EXPECTED = (
    "a .csv or .xlsx with a row a clip (counts of votes) or a row an answer (clip, rater, emotion), or an export of "
    "Label Studio, Qualtrics, Mechanical Turk, CVAT or ELAN"
)
ABOUT = ("path", "group", "fold", "split", "label")
"""What the rows of one clip must agree on."""
UNVOTED = "clip without a vote for an emotion"
Found = dict[str, Any]


def recognise(root: Path) -> bool:
    """Whether `root` is a table."""
    return root.is_file() and root.suffix.lower() in SUFFIXES


def read(
    root: Path,
    *,
    emotions: str = "",
    clips: str = "",
    label: str = "majority",
    sheet: str = "",
    map: str = "",
    values: str = "",
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
    check_option("label", label, ("majority", "none"))
    check_option("values", values, ("", "counts", "shares"))
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
        rows, chosen, fewer = _from_counts(table, found, words, lies_at)
    else:
        rows, chosen, fewer = _from_answers(table, found, words, lies_at, tally=shape == "tally")
    rows = as_counts(_one_group(rows), table, values, voters)
    rows, unvoted = _with_votes(_labelled(rows, chosen, label))
    rows, lost = _on_disk(rows, folder, root)
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
        weight = _tallied(table, found).reindex(rows.index)
    kinds = [
        *(f"votes_{name}" for name in answers.emotions),
        *sorted(f"other_{kind}" for kind in set(rows["other"]) - {""}),
    ]
    kind = rows["emotion"].radd("votes_").where(rows["other"] == "", rows["other"].radd("other_"))
    votes = pd.crosstab(rows["clip"], kind, values=weight, aggfunc="sum").reindex(columns=kinds).fillna(0.0)
    found = found | {"label": None} if found["label"] == found["emotion"] else found
    about = _about(table.loc[rows.index], rows["clip"], found)
    about = about.drop_duplicates("id").set_index("id")
    return (
        _canonical(about.join(votes).reset_index(), words, answers.emotions),
        answers.emotions,
        dict(answers.left_out),
    )


def _tallied(table: pd.DataFrame, found: Found) -> pd.Series[float]:
    """How often each row was answered; an empty cell is 0."""
    cells = pd.Series(table[found["count"]])
    numbers = numeric(cells)
    wrong = table.index[(numbers.isna() & cells.notna()) | (numbers < 0)].tolist()
    if wrong:
        raise DferError(f"expected numbers from 0 in the column {found['count']}; see {rows_named(wrong)}")
    return numbers.fillna(0.0)


def _warn_of_second_answers(rows: pd.DataFrame) -> None:
    twice = rows[(rows["rater"] != "") & rows.duplicated(["clip", "rater"])]
    if len(twice):
        logger.warning(
            "%d answers are a rater's second to a clip; all count: %s", len(twice), listed(dict.fromkeys(twice["clip"]))
        )


def _from_counts(
    table: pd.DataFrame, found: Found, words: Vocabulary, lies_at: Callable[[str], str]
) -> tuple[pd.DataFrame, EmotionSet, dict[str, int]]:
    """One row a clip as it stands, counts and distributions under their emotions' names, and what was left out."""
    rejected = rejected_rows(table)
    table = table.loc[~rejected]
    ids = pd.Series(table[found["id"]]).map(cell_text)
    _refuse_two_spellings(ids, one_clip(ids, lies_at))
    rest = [name for name in table if name not in [found[what] for what in ("id", *ABOUT)]]
    rows = _about(table, ids, found)
    labels = sorted(set(rows["label"]) - {""}) if "label" in rows else []
    columns = choose_columns(rest, [words.translate(label) for label in labels if not words.other(label)], words)
    if columns is None:
        raise DferError(f"expected {EXPECTED}; found neither counts nor labels in the columns {listed(rest, 12)}")
    chosen, counted, shared = columns
    others = other_columns([name for name in rest if name not in [*counted, *shared]], table, words)
    own = {name: str(name) for name in rest} | others
    own |= {name: f"votes_{chosen.canonical(spelt(name, words))}" for name in counted}
    own |= {name: f"soft_{chosen.canonical(spelt(name, words))}" for name in shared}
    taken = [*rows, *own.values()]
    twice = [str(name) for name in rest if taken.count(own[name]) > 1]
    if twice:
        raise DferError(f"columns that mean the same: {listed(twice)}; keep one of them")
    rows = _complete(
        rows.join(table[rest].rename(columns=own)), chosen, [own[n] for n in counted], [own[n] for n in shared]
    )
    if counted:
        warn_of_columns([name for name in rest if name not in [*counted, *shared, *others]], table, chosen, words)
    return _canonical(rows, words, chosen), chosen, {"rejected by the source": int(rejected.sum())}


def _complete(rows: pd.DataFrame, chosen: EmotionSet, counted: list[str], shared: list[str]) -> pd.DataFrame:
    """With columns for emotions that nobody was offered, and with the origin of shares."""
    for prefix, columns in (("votes", counted), ("soft", shared)):
        if columns:  # a clip without any number stays without
            offered = rows[columns].notna().any(axis=1)
            missing = [f"{prefix}_{emotion}" for emotion in chosen if f"{prefix}_{emotion}" not in rows]
            rows = rows.assign(**{name: np.where(offered, 0.0, np.nan) for name in missing})
    if shared:
        rows = rows.assign(**{name: rows[name].map(number) for name in shared})
        if "soft_from" not in rows:
            rows["soft_from"] = np.where(rows[shared].notna().any(axis=1), OWN_SHARES, "")
    return rows


def _refuse_two_spellings(ids: pd.Series[str], stands: pd.Series[str]) -> None:
    """Raises when a table of counts has a clip in several rows under different names."""
    twice = stands.duplicated(keep=False) & (ids.groupby(stands).transform("nunique") > 1)
    if twice.any():
        same = twice & (stands == stands[twice].iloc[0])
        raise DferError(
            f"{listed(map(repr, ids[same]))} are one clip, in {rows_named(ids.index[same].tolist())}; keep one row "
            "of each clip"
        )


def _about(table: pd.DataFrame, ids: pd.Series[str], found: Found) -> pd.DataFrame:
    """The columns id, path, group, fold, split and label, as far as they are there; rows of one clip must agree."""
    rows = pd.DataFrame({"id": ids})
    for what in ABOUT:
        if found[what] is not None and not (what == "path" and found["path"] == found["id"]):
            rows[what] = table[found[what]].map(cell_text)
    if "split" in rows:
        rows["split"] = rows["split"].map(lambda name: SPLIT_NAMES.get(name.lower(), name))
    differing = rows.groupby("id", sort=False).nunique().gt(1)
    for what in differing.columns[differing.any()]:
        wrong = differing.index[differing[what]]
        raise DferError(f"rows of one clip differ in their {what}, in {len(wrong)} clips: {listed(wrong)}")
    return rows


def _one_group(rows: pd.DataFrame) -> pd.DataFrame:
    """With groups in one spelling each, lest one person be in two parts."""
    if "group" not in rows:
        return rows
    names, groups = joined(rows["group"].tolist())
    if groups:
        logger.warning("groups whose names are nearly the same are taken for one: %s", told(groups))
    return rows.assign(group=names)


def _canonical(rows: pd.DataFrame, words: Vocabulary, chosen: EmotionSet) -> pd.DataFrame:
    """With labels under the set's own names; a label that names no emotion is none."""
    if "label" in rows:
        full = (words.translate(label) if label and not words.other(label) else "" for label in rows["label"])
        rows["label"] = [chosen.canonical(label) if label else "" for label in full]
    return rows


def _labelled(rows: pd.DataFrame, emotions: EmotionSet, rule: str) -> pd.DataFrame:
    """With the emotion that more than half of all voters chose as the label, where the table gives none."""
    columns = [f"votes_{emotion}" for emotion in emotions]
    if rule == "none" or "label" in rows or not set(columns) <= set(rows):
        return rows
    votes, other = (_numbers(rows, names) for names in (columns, _others(rows)))
    fine = ~((votes < 0) | np.isinf(votes)).any(axis=1)  # others are refused later
    majority = np.full(len(rows), -1)
    ballots = other[fine] if other.shape[1] else None
    majority[fine] = single_label(votes[fine], share=0.5, inclusive=False, other=ballots)
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


def _on_disk(rows: pd.DataFrame, folder: Path, root: Path) -> tuple[pd.DataFrame, dict[str, int]]:
    """The rows whose clips can be read, with path and kind, and how many others there are of each reason."""
    named = "path" if "path" in rows else "id"
    places = locate(rows[named], folder)
    rows = rows.assign(path=places["path"], kind=places["kind"])
    lost = places["reason"][places["reason"] != ""]
    if len(lost) and len(lost) == len(rows):
        reasons = listed(f"{reason}: {listed(rows[named][lost.index[lost == reason]])}" for reason in lost.unique())
        raise DferError(
            f"none of the {len(rows)} clips of {root} is in {folder} ({reasons}); say where they are: "
            "--option clips=FOLDER"
        )
    for reason in lost.unique():
        names = rows["id"][lost.index[lost == reason]]
        logger.warning("left out %d clips that are not in %s, %s: %s", len(names), folder, reason, listed(names))
    return rows.drop(index=lost.index), dict(Counter(lost.tolist()))


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
