"""CSV files as people have them: any of four delimiters, Excel's `sep=` line, byte-order marks, lines of comment."""

from __future__ import annotations

import codecs
import csv
import io
import re
from collections.abc import Mapping
from pathlib import Path

from dfer.datasets.sources.grids import DEEPEST, USUAL, Grid, find_header, header_score
from dfer.errors import DferError

DELIMITERS = (",", ";", "\t", "|")
SEPARATOR = re.compile(r'^"?sep=(.)"?\s*$')
"""Excel's own first line: it names the delimiter and belongs to no table."""
LONGEST = 10_000_000
"""Characters of a cell; exports keep whole answers as JSON in one."""


def read_text(path: Path) -> str:
    """A text file in UTF-8, or in UTF-16 with a byte-order mark.

    Raises:
        DferError: another encoding.
    """
    raw = path.read_bytes()
    encoding = "utf-16" if raw.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)) else "utf-8-sig"
    try:
        return raw.decode(encoding)
    except UnicodeDecodeError as error:
        raise DferError(f"{path} is not in UTF-8; save it anew as CSV in UTF-8") from error


def read_delimited(path: Path, own: Mapping[str, str] = USUAL) -> Grid:
    """The cells of a CSV file. Lines above the header that begin with "#" or are Excel's `sep=` are left out.

    Args:
        path: the file.
        own: what -> the user's own name of its column; the delimiter is the one that shows most names of columns.

    Raises:
        DferError: another encoding, or quotation marks that do not close.
    """
    text = read_text(path)
    first, _, rest = text.partition("\n")
    named = SEPARATOR.match(first)
    skipped = 1 if named else 0
    delimiter = named.group(1) if named else _delimiter(text, own)
    csv.field_size_limit(LONGEST)
    reader = csv.reader(io.StringIO(rest if named else text, newline=""), delimiter=delimiter, strict=True)
    rows: list[list[str]] = []
    numbers: list[int] = []
    before = 0
    try:
        for row in reader:
            rows.append([cell.strip() for cell in row])
            numbers.append(before + 1 + skipped)
            before = reader.line_num
    except csv.Error as error:
        told = f"row {before + 1 + skipped}: {error}"
        raise DferError(f"{path} cannot be read as a table ({told}); are quotation marks closed?") from error
    start = find_header(rows, own)
    comments = {place for place, row in enumerate(rows[: max(start, 0)]) if row and row[0].startswith("#")}
    kept = [place for place in range(len(rows)) if place not in comments]
    return Grid(str(path), [rows[place] for place in kept], [numbers[place] for place in kept])


def _delimiter(text: str, own: Mapping[str, str]) -> str:
    """The delimiter that shows most names of columns; of equals the one with most cells in the first rows."""
    lines = text.splitlines()[:DEEPEST]

    def judged(delimiter: str) -> tuple[int, int]:
        rows = [next(csv.reader([line], delimiter=delimiter), []) for line in lines]
        cells = [[cell.strip() for cell in row] for row in rows]
        return max((header_score(row, own) for row in cells), default=0), max(map(len, rows), default=0)

    return max(DELIMITERS, key=judged)
