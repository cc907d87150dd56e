"""When the pictures of a folder were taken: a list beside them says it, or their numbers do, at a rate.

A list is a .csv, .tsv or .txt in the folder, or beside it under its name (`day1.csv` for `day1/`): a row a picture,
with the file's name and a time in seconds (or milliseconds, where the column is called so), with a head or without.
"""

from __future__ import annotations

import csv
import itertools
import logging
import math
import os
import re
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from dfer.errors import DferError, listed

logger = logging.getLogger(__name__)

SUFFIXES = (".csv", ".tsv", ".txt")
DELIMITERS = (",", ";", "\t", " ")
LARGEST = 2**26
"""Bytes of a list."""
ABSOLUTE_S = 24 * 3600.0
"""Times that begin later than this, seconds, are a date's: they are counted from the first picture on."""
TIME = re.compile(r"\b(time|times|timestamp|seconds|sec|s|t|pts|ms|msec)(\b|_)|time", re.IGNORECASE)
MILLISECONDS = re.compile(r"(\b|_)(ms|msec|milliseconds?)\b", re.IGNORECASE)


OURS = {"time_s", "person", "x", "y", "width", "height"}
"""Columns of the table that `dfer predict` writes, which is no list of what it reads."""


class Listed(NamedTuple):
    """A list of pictures with their times."""

    path: Path
    names: list[str]
    times: npt.NDArray[np.float64]


def find_list(folder: Path, names: Sequence[str]) -> Listed | None:
    """The list of a folder's pictures, None where there is none.

    Raises:
        DferError: times that are no numbers or go back, or pictures that are not in the list.
    """
    with os.scandir(folder) as scan:
        found = [entry.name for entry in scan if entry.name.lower().endswith(SUFFIXES) and entry.name[0] != "."]
    inside = [folder / name for name in sorted(found)]
    for path in (*inside, *lists_beside(folder)):
        if is_list(path, set(names)):
            return _checked(path, _rows(path, set(names)), names)
    return None


def times_by_number(names: Sequence[str], fps: float) -> npt.NDArray[np.float64]:
    """The times of pictures in their order at a rate; a gap in their numbers is one in time.

    A constant step is no gap: pictures may be every fourth of a film. Names that differ in more than their last number
    are not numbered.

    >>> times_by_number(["a1.jpg", "a2.jpg", "a4.jpg"], 10.0).tolist()
    [0.0, 0.1, 0.3]
    """
    places = np.arange(len(names), dtype=np.float64)
    found = [re.fullmatch(r"(.*?)(\d+)(\D*)", name.rpartition(".")[0] or name) for name in names]
    if all(found) and len({(match[1], match[3]) for match in found if match}) == 1:
        numbers = [int(match[2]) for match in found if match]
        steps = [after - before for before, after in itertools.pairwise(numbers)]
        if steps and min(steps) > 0:
            unit = math.gcd(*steps)
            places = np.array([(number - numbers[0]) // unit for number in numbers], dtype=np.float64)
    return places / fps


def lists_beside(folder: Path) -> list[Path]:
    """Where a list beside a folder, under its name, would lie; "." has a name, too."""
    named = Path(os.path.abspath(folder))  # noqa: PTH100 - a link keeps its own name
    return [named.with_name(named.name + suffix) for suffix in SUFFIXES] if named.name else []


def is_list(path: Path, names: set[str]) -> bool:
    """Whether a file is a list of the times of pictures of these names."""
    return path.is_file() and path.stat().st_size <= LARGEST and bool(_rows(path, names))


def _rows(path: Path, names: set[str]) -> list[tuple[str, str, bool]]:
    """Name, time as it is written and whether it is in milliseconds, of rows that name pictures; empty: no list."""
    lines = path.read_bytes().decode("utf-8-sig", errors="replace").splitlines()
    known = names | {name.rpartition(".")[0] for name in names}
    tables = [_table(lines, delimiter) for delimiter in DELIMITERS]
    named = [[row for row in table if any(_base(cell) in known for cell in row)] for table in tables]
    best = max(range(len(tables)), key=lambda k: len(named[k]))
    if not named[best]:
        return []
    table, first = tables[best], named[best][0]
    head = table[0] if table[0] is not first else []
    if set(head) >= OURS:
        return []
    column = next(k for k, cell in enumerate(first) if _base(cell) in known)
    titled = [k for k, title in enumerate(head) if k != column and TIME.search(title)]
    numbers = [k for k, cell in enumerate(first) if k != column and _number(cell) is not None]
    if not titled and not numbers:
        return []
    place = (titled or numbers)[0]
    small = bool(head and MILLISECONDS.search(head[place]))
    body = (row for row in table[1 if head else 0 :] if len(row) > max(column, place))
    return [(_base(row[column]), row[place], small) for row in body]


def _table(lines: list[str], delimiter: str) -> list[list[str]]:
    """The rows of more than one cell."""
    rows = csv.reader(lines, delimiter=delimiter, skipinitialspace=True)
    table = ([cell.strip() for cell in row] for row in rows)
    return [row for row in table if len(row) > 1 and not row[0].startswith("#")]


def _base(cell: str) -> str:
    return cell.replace("\\", "/").rpartition("/")[2]


def _number(cell: str) -> float | None:
    try:
        number = float(cell.replace(",", "."))
    except ValueError:
        return None
    return number if math.isfinite(number) else None


def _checked(path: Path, rows: list[tuple[str, str, bool]], names: Sequence[str]) -> Listed:
    whole = {name.rpartition(".")[0]: name for name in names} | {name: name for name in names}
    missing = [name for name, _, _ in rows if name not in whole]
    if missing:
        logger.warning("%s: left out %d rows whose pictures are not there: %s", path, len(missing), listed(missing))
    kept: list[str] = []
    times: list[float] = []
    for name, cell, small in rows:
        if name not in whole:
            continue
        number = _number(cell)
        if number is None:
            raise DferError(f"{path}: expected a time in seconds for {name}, found {cell!r}")
        time_s = number / 1000 if small else number
        if times and time_s <= times[-1]:
            raise DferError(
                f"{path}: expected times that increase; at {name} they go back from {times[-1]:g} to {time_s:g} s; "
                "sort the rows by time, or take the list away and give --fps"
            )
        kept.append(whole[name])
        times.append(time_s)
    unlisted = sorted(set(names) - set(kept))
    if unlisted:
        logger.warning("%s: left out %d pictures that are not in the list: %s", path, len(unlisted), listed(unlisted))
    begin_s = times[0] if times[0] > ABSOLUTE_S or times[0] < 0 else 0.0
    return Listed(path, kept, np.array(times) - begin_s)
