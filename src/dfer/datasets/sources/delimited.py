"""CSV files as people have them: any of four delimiters, Excel's `sep=` line, byte-order marks, lines of comment."""

from __future__ import annotations

import codecs
import csv
import re
from collections.abc import Iterator, Mapping
from pathlib import Path

from dfer.datasets.sources.grids import DEEPEST, USUAL, Grid, find_header, header_score
from dfer.errors import DferError
from dfer.files import read_bytes
from dfer.tables import bounded, split, unquoted

DELIMITERS = (",", ";", "\t", "|")
SEPARATOR = re.compile(r'^"?sep=(.)"?\s*$')
"""Excel's own first line: it names the delimiter and belongs to no table."""
LARGEST = 512 * 2**20
"""Bytes of a file."""
MOST_CELLS = 50_000_000
"""Delimiters and ends of lines in a file."""
TOP = 2**20
"""Characters in which the delimiter is looked for."""


def read_text(path: Path) -> str:
    """A text file in UTF-8, or in UTF-16 with a byte-order mark.

    Raises:
        DferError: it is no file, too large, or in another encoding.
    """
    return decoded(read_bytes(path, LARGEST), str(path))


def decoded(data: bytes, place: str) -> str:
    """As `read_text`, for what is in memory already."""
    encoding = "utf-16" if data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)) else "utf-8-sig"
    try:
        return data.decode(encoding)
    except UnicodeDecodeError as error:
        raise DferError(f"{place} is not in UTF-8; save it anew as CSV in UTF-8") from error


def read_delimited(path: Path, own: Mapping[str, str] = USUAL) -> Grid:
    """The cells of a CSV file. Lines above the header that begin with "#" or are Excel's `sep=` are left out.

    Args:
        path: the file.
        own: what -> the user's own name of its column; the delimiter is the one that shows most names of columns.

    Raises:
        DferError: as `read_text`, more cells than a table may have, or quotation marks that do not close.
    """
    return parse_delimited(read_text(path), str(path), own)


def parse_delimited(text: str, place: str, own: Mapping[str, str] = USUAL) -> Grid:
    """As `read_delimited`, for what is in memory already; `place` is what an error calls it."""
    first, _, _ = text[:TOP].partition("\n")
    named = SEPARATOR.match(first)
    skipped = 1 if named else 0
    delimiter = named.group(1) if named else _delimiter(text[:TOP], own)
    if text.count(delimiter) + text.count("\n") > MOST_CELLS:
        raise DferError(f"{place}: expected at most {MOST_CELLS:,} cells, got more")
    numbers: list[int] = []

    def lines() -> Iterator[list[str]]:
        before = 0
        reader = split(text[len(first) + 1 :] if named else text, delimiter, strict=True)
        try:
            for row in reader:
                numbers.append(before + 1 + skipped)
                yield [unquoted(cell.strip()) for cell in row]
                before = reader.line_num
        except csv.Error as error:
            told = f"row {before + 1 + skipped}: {error}"
            raise DferError(f"{place} cannot be read as a table ({told}); are quotation marks closed?") from error

    rows = list(bounded(lines(), place))
    start = find_header(rows, own)
    comments = {k for k, row in enumerate(rows[: max(start, 0)]) if row and row[0].startswith("#")}
    kept = [k for k in range(len(rows)) if k not in comments]
    return Grid(place, [rows[k] for k in kept], [numbers[k] for k in kept])


def _delimiter(text: str, own: Mapping[str, str]) -> str:
    """The delimiter that shows most names of columns; of equals the one with most cells in the first rows."""
    lines = text.replace("\0", "").splitlines()[:DEEPEST]  # csv of Python 3.10 refuses it with an error of its own

    def judged(delimiter: str) -> tuple[int, int]:
        rows: list[list[str]] = [next(split(line, delimiter), []) for line in lines]
        cells = [[cell.strip() for cell in row] for row in rows]
        return max((header_score(row, own) for row in cells), default=0), max(map(len, rows), default=0)

    return max(DELIMITERS, key=judged)
