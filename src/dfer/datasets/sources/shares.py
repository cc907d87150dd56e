"""Whether the numbers of a table are counts at all.

Shares and percentages are a distribution and say nothing of how many people voted. They are found out by their sums,
and become counts when the number of voters is known.
"""

from __future__ import annotations

import logging
import re
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from dfer.datasets.sources.column_names import find_column
from dfer.datasets.sources.sheets import cell_text
from dfer.errors import DferError, listed, nearest
from dfer.labels.votes import looks_like_shares

logger = logging.getLogger(__name__)

OWN_SHARES = "distribution in the user's own table"
"""`soft_from` of shares of which the table does not say whose they are."""
NUMBER = re.compile(r"^([+-]?\d*[.,]?\d+|[+-]?\d+[.,])\s*(%?)$")
GROUPED = re.compile(r"^[+-]?[1-9]\d{0,2}[.,]\d{3}$")
"""A thousand and more with a separator, or a number with three decimals."""
ADVICE = (
    "-O voters=10 makes counts of them (10 voters a clip, or the name of a column), -O values=shares a distribution"
)


def number(cell: object) -> object:
    """A cell as a number, also with a decimal comma or a per cent sign; anything else as it is.

    >>> number("33,5 %"), number("6"), number("many")
    (33.5, 6.0, 'many')
    """
    found = NUMBER.match(cell_text(cell))
    return float(found.group(1).replace(",", ".")) if found else cell


def numeric(cells: Any) -> pd.Series[float]:
    """A column's numbers, NaN for what is none."""
    return pd.Series(pd.to_numeric(cells.map(number), errors="coerce"), index=cells.index, dtype=float)


def refuse_grouped(cells: pd.DataFrame) -> None:
    """Raises a DferError if `number` may take thousands for ones: "1,000", where no cell has decimals for certain."""
    texts = cells.select_dtypes(exclude="number")
    found = {cell_text(cell) for cell in set(np.ravel(texts.to_numpy(dtype=object)))}
    grouped = sorted(text for text in found if GROUPED.match(text))
    if grouped and not any(re.search(r"[.,]\d", text) for text in found.difference(grouped)):
        bare = re.sub("[.,]", "", grouped[0])
        raise DferError(
            f"expected whole numbers without a separator of thousands, got '{grouped[0]}'; write {bare} if it is meant"
        )


def as_counts(rows: pd.DataFrame, table: pd.DataFrame, values: str, voters: str) -> pd.DataFrame:
    """Rows whose votes_* are counts, or soft_* where they are shares.

    Args:
        rows: id, votes_* and other_* as they stand in the table.
        table: the user's own, for a column of voters.
        values: "counts", "shares", or "" to find out.
        voters: of each clip, a number or the name of a column, where the table has shares; or "".

    Raises:
        DferError: shares without a number of voters, shares that give no whole number of people, or rows that are no
            shares.
    """
    votes, others = ([str(n) for n in rows if str(n).startswith(prefix)] for prefix in ("votes_", "other_"))
    if not votes:
        return rows
    signs = rows[votes].map(lambda cell: cell_text(cell).endswith("%")).to_numpy().any()
    decimals = rows[votes].map(_decimals).to_numpy().max()
    given = rows[[*votes, *others]]
    rows = rows.assign(**{name: rows[name].map(number) for name in [*votes, *others]})
    numbers = rows[votes].apply(pd.to_numeric, errors="coerce").to_numpy(dtype=np.float64)
    rest = rows[others].apply(pd.to_numeric, errors="coerce").to_numpy(dtype=np.float64)
    if values == "shares" or voters:
        whole = _whole(rows["id"], numbers, rest)
        if values == "shares":
            return _as_shares(rows, votes, numbers)
        people = _voters(voters, table, len(rows))
        parts = np.hstack([numbers, rest])
        counts = _people(rows["id"], parts / whole, people, 0.5 * 10.0**-decimals / whole)
        return rows.assign(**dict(zip([*votes, *others], counts.T, strict=True)))
    refuse_grouped(given)
    found = looks_like_shares(numbers, rest)
    if values == "counts" or not (found or signs or _fractional(numbers).any()):
        return rows  # counts that cannot be are refused later
    if not (signs or _fractional(numbers).any()):
        logger.warning("are these counts? %s; they are read as counts, and %s", found, ADVICE)
        return rows
    wrong = rows["id"][np.asarray(_fractional(numbers).any(axis=1)) | signs]
    reason = f"; {found}" if found else ""
    raise DferError(
        f"{len(wrong)} of {len(rows)} clips have votes that are fractional ({listed(wrong)}){reason}; "
        f"counts are whole; {ADVICE}"
    )


def _decimals(cell: object) -> int:
    return len(re.split("[.,]", cell_text(cell).rstrip(" %"))[1]) if re.search(r"\d[.,]\d", cell_text(cell)) else 0


def _fractional(numbers: NDArray[np.float64]) -> NDArray[np.bool_]:
    finite = np.where(np.isfinite(numbers), numbers, 0.0)
    return np.asarray(finite % 1 != 0)


def _whole(ids: pd.Series[str], numbers: NDArray[np.float64], rest: NDArray[np.float64]) -> float:
    """What a row of shares sums to: 1 or 100."""
    totals = np.nansum(np.hstack([numbers, rest]), axis=1)
    given = ~np.isnan(numbers).all(axis=1)
    whole = 100.0 if np.median(totals[given]) > 2 else 1.0
    wrong = given & (np.abs(totals - whole) > 0.02 * whole)
    if wrong.any() or (numbers < 0).any():
        first = int(np.flatnonzero(wrong)[0]) if wrong.any() else 0
        raise DferError(
            f"expected shares that sum to {whole:g}; those of {wrong.sum()} clips do not ({listed(ids[wrong])}), such "
            f"as {totals[first]:g}; leave out -O values and -O voters if these are counts"
        )
    return whole


def _as_shares(rows: pd.DataFrame, votes: list[str], numbers: NDArray[np.float64]) -> pd.DataFrame:
    """With soft_* in place of votes_*, each row divided by its sum."""
    sums = numbers.sum(axis=1, keepdims=True)
    soft = numbers / np.where(sums > 0, sums, np.nan)
    names = [f"soft_{name.removeprefix('votes_')}" for name in votes]
    rows = rows.drop(columns=votes).assign(**dict(zip(names, soft.T, strict=True)))
    if "soft_from" not in rows:
        rows["soft_from"] = np.where(np.isnan(soft).any(axis=1), "", OWN_SHARES)
    return rows


def _voters(voters: str, table: pd.DataFrame, rows: int) -> NDArray[np.float64]:
    """(N,) how many people voted on each clip."""
    if voters.strip().isdecimal() and int(voters) > 0:
        return np.full(rows, float(voters))
    column = find_column(table, (voters,))
    if column is None or len(table) != rows:
        raise DferError(
            f"expected voters to be a number from 1 or a column of the table, got '{voters}'"
            f"{nearest(voters, map(str, table))}"
        )
    people = np.asarray(numeric(table[column]), dtype=np.float64)
    if not ((people > 0) & (people % 1 == 0)).all():
        raise DferError(
            f"expected whole numbers of voters from 1 in the column {column}; found {listed(table[column], 3)}"
        )
    return people


def _people(
    ids: pd.Series[str], shares: NDArray[np.float64], people: NDArray[np.float64], rounding: float
) -> NDArray[np.float64]:
    """Whole numbers of people; shares may be rounded in their last digit."""
    exact = shares * people[:, None]
    counts = np.round(exact)
    off = np.abs(exact - counts) > rounding * people[:, None] + 1e-9
    wrong = off.any(axis=1) | (np.nansum(counts, axis=1) != people) & ~np.isnan(shares).all(axis=1)
    if wrong.any():
        row = int(np.flatnonzero(wrong)[0])
        told = ", ".join(f"{value:g}" for value in exact[row])
        raise DferError(
            f"shares of {wrong.sum()} clips ({listed(ids[wrong])}) give no whole numbers of {people[row]:g} voters, "
            f"such as {told}; give each clip's number in a column, -O voters=COLUMN, or read them with -O values=shares"
        )
    return counts
