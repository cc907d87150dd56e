"""Grids of cells as a file holds them, and where in a grid the table begins.

Above the header there may be titles, comments and blank lines: the header is the row that has most of the names that a
reader knows, one for the clip among them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import NamedTuple

import pandas as pd

from dfer.datasets.sources.column_names import NAMES, WORDS, plain
from dfer.datasets.sources.label_space import known
from dfer.errors import DferError, listed

DEEPEST = 40
"""Rows in which the header is looked for."""
FAMILIES = ("votes_", "vote_", "soft_", "other_", "weight_")
"""How columns of numbers may begin."""

USUAL: Mapping[str, str] = MappingProxyType({})
"""No columns with names of the user's own."""


class Merged(NamedTuple):
    """Cells that are one: first and last row as the file counts, and first and last column from 0."""

    name: str
    rows: tuple[int, int]
    columns: tuple[int, int]


@dataclass(frozen=True)
class Grid:
    """Cells as text, a row a line of the file.

    Attributes:
        place: the file, and the sheet, for messages.
        rows: the cells, "" for an empty one; rows may differ in length.
        numbers: of each row, as the file counts from 1.
        merged: cells that are one; their text is in all of them.
    """

    place: str
    rows: Sequence[Sequence[str]]
    numbers: Sequence[int]
    merged: Sequence[Merged] = field(default_factory=tuple)


def header_score(cells: Sequence[str], own: Mapping[str, str] = USUAL) -> int:
    """How many different cells are names of columns that a reader knows; 0 unless one of them may name the clip."""
    names = [plain(cell) for cell in cells if cell]
    clip = {plain(own["clip"])} if "clip" in own else set(NAMES["id"])
    if len(names) < 2 or not clip & set(names):
        return 0
    read = {*WORDS, *map(plain, own.values())}
    return sum(name in read or name.startswith(FAMILIES) or known(name) for name in set(names))


def find_header(rows: Sequence[Sequence[str]], own: Mapping[str, str] = USUAL) -> int:
    """The position of the header, -1 where no row looks like one; the first of equals.

    Args:
        rows: of a grid.
        own: what -> the user's own name of its column.
    """
    scores = [header_score(row, own) for row in rows[:DEEPEST]]
    most = max(scores, default=0)
    return scores.index(most) if most else -1


def as_table(grid: Grid, expected: str, own: Mapping[str, str] = USUAL) -> tuple[pd.DataFrame, list[str]]:
    """The table in a grid, and the rows above it that say something.

    Returns:
        A row a line, cells as text and NaN where they are empty, the file's number of each line as its index; and the
        text of titles.

    Raises:
        DferError: no row, a header without rows, rows that are longer than it, or one name on two columns.
    """
    filled = [position for position, row in enumerate(grid.rows) if any(row)]
    if not filled:
        raise DferError(f"{grid.place} is empty; expected {expected}")
    start = find_header(grid.rows, own)
    if start < 0:
        start = next((p for p in filled if sum(map(bool, grid.rows[p])) > 1), filled[0])
    header = _trimmed(grid.rows[start])
    body = [position for position in filled if position > start]
    if not body:
        raise DferError(f"{grid.place} has a header and no row; expected {expected}")
    wrong = [grid.numbers[p] for p in body if len(_trimmed(grid.rows[p])) > len(header)]
    if wrong:
        raise DferError(
            f"{grid.place} has more cells in its rows than names in its header, in {rows_named(wrong)}; is there a "
            "delimiter too many, or a name missing?"
        )
    _check_names(header, grid.place)
    cells = [[cell or None for cell in padded(grid.rows[p], len(header))] for p in body]
    table = pd.DataFrame(cells, columns=header, index=[grid.numbers[p] for p in body], dtype=object)
    unnamed = [name for name in header if not name]
    if unnamed:
        table.columns = [name or f"column {number}" for number, name in enumerate(header, 1)]
        table = table.dropna(axis=1, how="all")
    titles = [" ".join(filter(None, dict.fromkeys(grid.rows[p]))) for p in filled if p < start]
    return table, titles


def rows_named(numbers: Sequence[int]) -> str:
    """Rows for a message.

    >>> rows_named([3, 4, 5, 9]), rows_named([2])
    ('rows 3-5, 9', 'row 2')
    """
    runs: list[list[int]] = []
    for number in sorted(set(numbers)):
        if runs and runs[-1][1] == number - 1:
            runs[-1][1] = number
        else:
            runs.append([number, number])
    texts = [str(first) if first == last else f"{first}-{last}" for first, last in runs]
    return f"row{'s' * (len(numbers) > 1)} {listed(texts)}"


def padded(row: Sequence[str], length: int) -> list[str]:
    """The first cells of a row, with empty ones where it is shorter."""
    return [*row[:length], *[""] * (length - len(row))]


def _trimmed(row: Sequence[str]) -> list[str]:
    """A row without the empty cells at its end."""
    cells = list(row)
    while cells and not cells[-1]:
        cells.pop()
    return cells


def _check_names(header: Sequence[str], place: str) -> None:
    names = [name for name in header if name]
    twice = [name for name in dict.fromkeys(names) if names.count(name) > 1]
    if twice:
        raise DferError(f"{place} has columns of one name: {listed(twice)}; rename all but one of each")
