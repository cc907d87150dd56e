"""Rows of answers, one a rater's answer to a clip, cleaned: which clip is meant, which emotion, and what is no vote.

An answer that names no emotion ("other", "unknown", "not a face") and one that the source rejected are people's answers
all the same: they are counted apart, never as votes for an emotion. An empty cell is no answer.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from dfer.datasets.sources.column_names import NAMES, find_column
from dfer.datasets.sources.exports import NOTHING, YES
from dfer.datasets.sources.grids import rows_named
from dfer.datasets.sources.label_space import REJECTED, Vocabulary
from dfer.datasets.sources.sheets import cell_text
from dfer.datasets.spelling import near_names, one_name, respelt, told
from dfer.errors import DferError, listed, nearest, not_known
from dfer.labels import EmotionSet

logger = logging.getLogger(__name__)

REFUSED = ("rejected", "reject", "invalid", "excluded", "discarded", "spam", "failed")
"""What the status of a row says when the source does not accept it."""
NO = ("false", "0", "no", "off", "rejected")


@dataclass(frozen=True)
class AnswerRows:
    """Answers of one table.

    Attributes:
        rows: a row an answer: clip, rater, emotion ("" where it names none), other (which kind of answer without an
            emotion, or ""); its index is the table's.
        emotions: that the answers name.
        left_out: reason -> rows that hold no answer.
    """

    rows: pd.DataFrame
    emotions: EmotionSet
    left_out: Mapping[str, int]


def clean(
    table: pd.DataFrame, columns: Mapping[str, Any], words: Vocabulary, lies_at: Callable[[str], str] = lambda _: "",
    *, unnamed: bool = False,
) -> AnswerRows:  # fmt: skip
    """The answers in a table.

    Args:
        table: a row an answer, its index the rows of the file.
        columns: "id", "rater" (or None) and "emotion" -> the table's columns.
        words: what the answers mean.
        lies_at: the file under exactly a clip's name, "" for none.
        unnamed: take a table whose answers name no emotion, too.

    Raises:
        DferError: no answers, answers without a clip, a clip that cannot be told, an unknown emotion, or no emotion at
            all.
    """
    rows = pd.DataFrame({"clip": table[columns["id"]].map(cell_text), "said": table[columns["emotion"]].map(cell_text)})
    rows["rater"] = table[columns["rater"]].map(cell_text) if columns.get("rater") is not None else ""
    reasons = table["left_out"].map(cell_text) if "left_out" in table else pd.Series("", index=table.index)
    reasons = reasons.mask((reasons == "") & (rows["said"] == ""), NOTHING)
    left_out, rows = Counter(reasons[reasons != ""]), rows[reasons == ""]
    _refuse_without_clip(rows)
    rows["clip"] = one_clip(rows["clip"], lies_at)
    _warn_of_raters(rows["rater"])
    rejected = rejected_rows(table).reindex(rows.index)
    others = {word: words.other(word) for word in rows["said"].unique()}
    rows["other"] = rows["said"].map(others).mask(rejected, REJECTED)
    named = rows["other"] == ""
    if not (named.any() or (unnamed and len(rows))):
        what = "".join(f"; {count}: {reason}" for reason, count in (left_out + Counter(rows["other"])).items())
        raise DferError(f"no answer names an emotion{what}")
    chosen = words.space(sorted(rows["said"][named].unique()))
    canonical = _canonical(rows["said"][named], words, chosen)
    rows["emotion"] = rows["said"].map(canonical).where(named, "")
    return AnswerRows(rows.drop(columns="said"), chosen, dict(left_out))


def keep_where(table: pd.DataFrame, where: Mapping[str, str], place: object) -> tuple[pd.DataFrame, int]:
    """The rows with these values in these columns, and how many others there are.

    Raises:
        DferError: no such column, or no such row.
    """
    rows = np.ones(len(table), dtype=bool)
    for name, value in where.items():
        column = find_column(table, (name,))
        if column is None:
            raise not_known(f"{place} has no column", name, table)
        rows &= (table[column].map(cell_text) == value).to_numpy()
    if not rows.any():
        told_ = ", ".join(f"{name}={value}" for name, value in where.items())
        raise DferError(f"{place} has no row{f' with {told_}' if told_ else ''}")
    return table[rows], int((~rows).sum())


def one_clip(names: pd.Series[str], lies_at: Callable[[str], str]) -> pd.Series[str]:
    """Clips in one spelling each; says which had several."""
    stands = one_name(names.tolist(), lies_at)
    several = respelt(stands)
    if several:
        logger.warning("clips that are spelt in several ways are taken for one: %s", told(several))
    return names.map(stands)


def rejected_rows(table: pd.DataFrame) -> pd.Series[bool]:
    """Which rows the source marks as rejected."""
    rejected = pd.Series(False, index=table.index)
    for what, refused in (("status", REFUSED), ("rejected", (*YES, *REFUSED)), ("accepted", NO)):
        column = find_column(table, NAMES[what])
        if column is not None:
            rejected |= table[column].map(cell_text).str.lower().isin(refused)
    return rejected


def _refuse_without_clip(rows: pd.DataFrame) -> None:
    lacking = rows.index[rows["clip"] == ""].tolist()
    if lacking:
        raise DferError(
            f"{len(lacking)} answers without a clip: {rows_named(lacking)}; if cells were merged, read the .xlsx "
            "itself, else write the clip into each row"
        )


def _warn_of_raters(raters: pd.Series[str]) -> None:
    groups = near_names(raters)
    if groups:
        logger.warning("raters whose names are nearly the same count as different ones: %s", told(groups))


def _canonical(said: pd.Series[str], words: Vocabulary, chosen: EmotionSet) -> dict[str, str]:
    """Answer -> the emotion's own name; raises where one is none of the emotions."""
    counted = said.value_counts()
    full = {str(word): words.translate(str(word)) for word in counted.index}
    unknown = [f"'{word}'{nearest(word, chosen)} ({counted[word]})" for word in full if full[word] not in chosen]
    if unknown:
        raise DferError(
            f"answers that are none of the emotions {listed(chosen, 12)}: {listed(unknown)}; say what they stand for, "
            "--map word=emotion"
        )
    return {word: chosen.canonical(name) for word, name in full.items()}
