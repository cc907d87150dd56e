"""The columns of a Manifest: their order and types, and what cannot be in them. `manifest` says what each one means."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from dfer.errors import DferError, listed, refuse, shortened
from dfer.labels import EmotionSet, check_votes
from dfer.labels.blocks import chosen
from dfer.labels.emotions import MOST_EMOTIONS
from dfer.tables import is_text

KINDS = ("video", "frames", "image", "array")
SPLITS = ("train", "val", "test", "")
COLUMNS = ("id", "path", "kind", "group", "fold", "split", "label", "frames")
TEXT = ("id", "path", "kind", "group", "split", "label")
STRING = pd.StringDtype("pyarrow", na_value=np.nan)
"""What pandas 3 calls "str"; pandas 2 takes that word for Python's strings, in which an empty cell would be "nan"."""
WHOLE = ("fold", "frames")
MOST = {"fold": 10**6, "frames": 10**9}
"""The largest numbers of the columns in `WHOLE`."""
MOST_WEIGHT = 10**9
ESTIMATED = "estimated: "
"""How `soft_from` begins where models made the distribution: nobody voted for it."""
TOLERANCE = 1e-6
"""How far a distribution may sum from one."""


def completed(rows: pd.DataFrame, emotions: EmotionSet) -> pd.DataFrame:
    """All columns, in order, each of its type: text, Int64, or float64 for counts, distributions and weights.

    Args:
        rows: at least `id`, `path` and `kind`.
        emotions: the K emotions of votes_*, soft_* and weight_*.

    Raises:
        DferError: columns that are missing, twice there or of another emotion, cells that are no number, or too many
            emotions.
    """
    if len(emotions) > MOST_EMOTIONS:
        raise DferError(f"expected at most {MOST_EMOTIONS:,} emotions, got {len(emotions):,}")
    table = rows.reset_index(drop=True)
    missing = [name for name in ("id", "path", "kind") if name not in table]
    if missing or table.columns.has_duplicates:
        twice = listed(table.columns[table.columns.duplicated()])
        raise DferError(f"expected columns id, path and kind, each once; missing: {listed(missing)}, twice: {twice}")
    votes, soft, weights = (_family(table, name, emotions) for name in ("votes", "soft", "weight"))
    origin = ["soft_from"] if soft else []
    wanted = [*COLUMNS, *votes, *soft, *origin, *weights]
    table = table.reindex(columns=[*wanted, *(name for name in table if name not in wanted)])
    for name in [*TEXT, *origin]:  # "" for an empty cell
        cells = table[name]
        if not isinstance(cells.dtype, pd.StringDtype):
            cells = cells.astype(object).where(cells.notna(), "")
        table[name] = _text(table, name, cells).fillna("")
    for name in WHOLE:
        numbers = _numbers(table, name)
        refuse(numbers.notna() & (numbers % 1 != 0), table["id"], f"have a {name} that is not a whole number")
        refuse((numbers.abs() > MOST[name]).fillna(False), table["id"], f"have a {name} beyond {MOST[name]:,}")
        table[name] = numbers.astype("Int64")
    others = table.filter(regex="^other_").columns
    for name in [*votes, *soft, *weights, *others]:
        table[name] = _numbers(table, name).astype(np.float64)
    for name in table.columns.difference([*wanted, *others], sort=False):
        if table[name].dtype == object:  # Parquet has no column of numbers and text
            table[name] = _text(table, name, table[name].map(str, na_action="ignore"))
    return table


def family(table: pd.DataFrame, prefix: str, emotions: EmotionSet) -> NDArray[np.float64]:
    """(N, K) the columns prefix_X in the order of the emotions; all NaN where the table has no such columns."""
    return table.reindex(columns=[f"{prefix}_{name}" for name in emotions]).to_numpy(dtype=np.float64)


def texts(column: pd.Series[Any]) -> NDArray[np.object_]:
    """(N,) the cells of a column as Python's texts, each different one once in memory; "" for an empty cell."""
    codes, different = pd.factorize(column)
    return np.array([*map(str, different.astype(object)), ""], dtype=object)[codes]


def check(table: pd.DataFrame, emotions: EmotionSet) -> None:
    """Raises a DferError that says what is wrong in a `completed` table and in which clips, or does nothing."""
    ids, known = table["id"], ", ".join(emotions)
    refuse(ids == "", ids, "have no id", advice="give each clip a name")
    if ids.nunique() < len(ids):
        refuse(ids.duplicated(keep=False), ids, "have an id that is not unique", advice="keep one row of each clip")
    refuse(table["path"] == "", ids, "have no path")
    texts = [name for name in table.columns if pd.api.types.is_string_dtype(table[name].dtype)]  # as pandas 2 and 3 do
    for name in texts:
        refuse(table[name].str.contains("\0", regex=False).eq(True), ids, f"have a null character in {name}")
    refuse(~table["kind"].isin(KINDS), ids, f"are of a kind that is none of {', '.join(KINDS)}")
    refuse(~table["split"].isin(SPLITS), ids, "are in a split that is none of train, val, test")
    refuse((table["fold"] < 1).fillna(False), ids, "are in a fold below 1", advice="folds are counted from 1")
    refuse((table["frames"] < 1).fillna(False), ids, "have no frames", advice="leave them out")
    refuse(~table["label"].isin(["", *emotions]), ids, f"have a label that is none of {known}")
    voted, distributed = _check_votes(table, emotions), _check_soft(table, emotions)
    if "weight_" + emotions[0] in table:
        weights = family(table, "weight", emotions)
        wrong = ((weights < 0) | (weights > MOST_WEIGHT)).any(axis=1)
        refuse(wrong, ids, f"have a weight below 0 or above {MOST_WEIGHT:,}")
    nothing = ~voted & ~distributed & (table["label"] == "").to_numpy()
    refuse(nothing, ids, "have neither a label nor votes nor a soft label")


def _check_votes(table: pd.DataFrame, emotions: EmotionSet) -> NDArray[np.bool_]:
    """(N,) which clips have votes; raises when they cannot be."""
    votes = family(table, "votes", emotions)
    given: NDArray[np.bool_] = ~np.asarray(np.isnan(votes).all(axis=1))
    named = table["id"][given]
    if len(named):
        counts = check_votes(chosen(votes, given), named)
        fault = f"have not one vote for any of {', '.join(emotions)}"
        refuse(counts.sum(axis=1) == 0, named, fault, advice="leave them out")
        others = table.filter(regex="^other_").to_numpy(dtype=np.float64)[given]
        if others.shape[1]:
            check_votes(others, named)
    return given


def _check_soft(table: pd.DataFrame, emotions: EmotionSet) -> NDArray[np.bool_]:
    """(N,) which clips have a distribution; raises when it is none or nothing says where it comes from."""
    if "soft_from" not in table:  # it comes with the columns soft_X
        return np.zeros(len(table), dtype=np.bool_)
    ids, soft = table["id"], family(table, "soft", emotions)
    given: NDArray[np.bool_] = ~np.asarray(np.isnan(soft).all(axis=1))
    refuse(given & np.isnan(soft).any(axis=1), ids, "have a soft label for some emotions only")
    refuse((soft < 0).any(axis=1), ids, "have a soft label below 0")
    wrong = given & ~(np.abs(soft.sum(axis=1) - 1) <= TOLERANCE)
    refuse(wrong, ids, "have a soft label that does not sum to one", advice="divide it by its sum")
    told = (table["soft_from"].str.strip() != "").to_numpy()
    refuse(given & ~told, ids, "have a soft label of unknown origin", advice="say in soft_from where it comes from")
    refuse(told & ~given, ids, "have something in soft_from but no soft label")
    return given


def _family(table: pd.DataFrame, prefix: str, emotions: EmotionSet) -> list[str]:
    """The columns prefix_X of the emotions, none where the table has none at all; votes are always there."""
    wanted = [f"{prefix}_{name}" for name in emotions]
    allowed = [*wanted, "soft_from"] if prefix == "soft" else wanted
    found = [name for name in table if str(name).startswith(f"{prefix}_")]
    strangers = [name for name in found if name not in allowed]
    if strangers:
        raise DferError(f"expected {prefix} for {', '.join(emotions)}; found the columns {listed(strangers)}")
    lacking = [name for name in allowed if name not in found]
    if prefix != "votes" and found and lacking:
        raise DferError(f"expected the {prefix}_ columns of all emotions or of none; missing: {listed(lacking)}")
    return wanted if found or prefix == "votes" else []


def _text(table: pd.DataFrame, name: Any, cells: pd.Series[Any]) -> pd.Series[Any]:
    """A column as text; empty cells stay so."""
    try:
        return cells.astype(STRING)
    except UnicodeEncodeError:
        wrong = [isinstance(cell, str) and not is_text(cell) for cell in cells]
        ids = [ascii(clip) for clip in table["id"]]
        raise DferError(
            f"{sum(wrong)} clips have what is no valid Unicode in {name}: {listed(np.array(ids)[wrong])}; rename them"
        ) from None


def _numbers(table: pd.DataFrame, name: Any) -> pd.Series[Any]:
    """A column as numbers, empty cells as NaN."""
    given = table[name]
    if not pd.api.types.is_numeric_dtype(given):
        given = given.mask(given.astype(str).str.strip() == "")
    numbers: pd.Series[Any] = pd.to_numeric(given, errors="coerce")
    strange = numbers.isna() & given.notna()
    example = f", such as {shortened(repr(given[strange].iloc[0]), 80)}" if strange.any() else ""
    refuse(strange, table["id"], f"have something in {name} that is not a number{example}")
    return numbers
