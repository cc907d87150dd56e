"""Columns of counts, a row a clip: which columns count votes, shares, or answers that name no emotion."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd

from dfer.datasets.columns import COLUMNS
from dfer.datasets.sources.about_clips import ABOUT, Found, about_clips, canonical_labels
from dfer.datasets.sources.answer_rows import one_clip, rejected_rows
from dfer.datasets.sources.grids import rows_named
from dfer.datasets.sources.label_space import Vocabulary, known
from dfer.datasets.sources.shares import OWN_SHARES, number, numeric
from dfer.datasets.sources.sheets import cell_text
from dfer.errors import DferError, listed, nearest
from dfer.labels import KNOWN, EmotionSet

logger = logging.getLogger(__name__)

EXPECTED = (
    "a .csv or .xlsx with a row a clip (counts of votes) or a row an answer (clip, rater, emotion), or an export of "
    "Label Studio, Qualtrics, Mechanical Turk, CVAT or ELAN"
)
PREFIXES = ("votes_", "vote_", "soft_")
FAMILIES = ("soft_", "weight_", "other_")
"""How columns begin that the manifest knows beside the votes."""


def spelt(name: object, words: Vocabulary) -> str:
    """The emotion that a column is called after, as it is spelt there."""
    plain = str(name).strip().lower()
    for prefix in PREFIXES:
        plain = plain.removeprefix(prefix)
    return words.translate(plain)


def choose_columns(
    rest: list[Any], labels: list[str], words: Vocabulary
) -> tuple[EmotionSet, list[Any], list[Any]] | None:
    """The emotions, the columns that count votes for one of them, and those that hold its share; None for neither.

    Args:
        rest: the columns that are not of the clip itself.
        labels: the labels in the table.
        words: of the user.

    Raises:
        DferError: columns of single letters of which a set of emotions has more.
    """
    shared = [name for name in rest if _lower(name).startswith("soft_") and _lower(name) != "soft_from"]
    others = [name for name in rest if name not in shared]
    if words.emotions:
        chosen = words.space([])
        return chosen, [name for name in others if spelt(name, words) in chosen], shared
    own = set(words.own.values())
    counted = [n for n in others if known(spelt(n, words)) or spelt(n, words) in own or _is_votes(n, words)]
    full = [name for name in counted if len(spelt(name, words)) > 1]
    if full or shared or labels:  # then an "n" beside "happy" is no "neutral"
        counted = full
    if not (counted or shared or labels):
        return None
    if not (full or shared or labels):
        letters = [spelt(name, words) for name in counted]
        space = min((s for s in KNOWN.values() if all(letter in s for letter in letters)), key=len, default=())
        if len(counted) < len(space):
            raise DferError(
                f"the columns {listed(counted)} may be letters of emotions ({listed(space, 12)}), of which some are "
                "missing; say what they stand for: --map a=angry,n=neutral"
            )
    chosen = words.space([*(spelt(name, words) for name in (*counted, *shared)), *labels])
    return chosen, counted, shared


def other_columns(rest: list[Any], table: pd.DataFrame, words: Vocabulary) -> dict[Any, str]:
    """Columns that count answers without an emotion -> their name in the manifest."""
    found = {}
    for name in rest:
        kind = words.other(spelt(name, words))
        numbers = numeric(table[name])
        if kind and bool((numbers.notna() | table[name].isna()).all()):
            found[name] = f"other_{kind}"
    return found


def warn_of_columns(rest: list[Any], table: pd.DataFrame, chosen: EmotionSet, words: Vocabulary) -> None:
    """Say which columns may have been meant as votes: emotions that are not in the set, near names, whole numbers.

    Raises:
        DferError: there are such columns, and a single emotion without them: all clips would have its label.
    """
    found = []
    for name in rest:
        numbers = numeric(table[name])
        hint = nearest(spelt(name, words), [*chosen, *(() if words.emotions else known_emotions())])
        reserved = _lower(name) in COLUMNS or _lower(name).startswith(FAMILIES)
        if not reserved and (hint or known(spelt(name, words)) or bool((numbers % 1 == 0).all())):
            found.append(f"'{name}'{hint}")
    if found and len(chosen) == 1:
        raise DferError(
            f"a single emotion is counted, {chosen[0]}; columns that may be emotions too: {listed(found)}; say what "
            "they stand for, --map word=emotion"
        )
    if found:
        logger.warning("columns that are not counted as votes: %s", listed(found))


def known_emotions() -> set[str]:
    return {emotion for space in KNOWN.values() for emotion in space}


def _is_votes(name: object, words: Vocabulary) -> bool:
    return _lower(name).startswith("votes_") and not words.other(spelt(name, words))


def _lower(name: object) -> str:
    return str(name).strip().lower()


def read_counts(
    table: pd.DataFrame, found: Found, words: Vocabulary, lies_at: Callable[[str], str]
) -> tuple[pd.DataFrame, EmotionSet, dict[str, int]]:
    """One row a clip as it stands, counts and distributions under their emotions' names, and what was left out."""
    rejected = rejected_rows(table)
    table = table.loc[~rejected]
    ids = pd.Series(table[found["id"]]).map(cell_text)
    _refuse_two_spellings(ids, one_clip(ids, lies_at))
    rest = [name for name in table if name not in [found[what] for what in ("id", *ABOUT)]]
    rows = about_clips(table, ids, found)
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
    return canonical_labels(rows, words, chosen), chosen, {"rejected by the source": int(rejected.sum())}


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
