"""Excel files as people have them: which sheet is read, merged cells, formulas.

A file of a few thousand bytes may say that it has 17 billion cells. So it is read row by row, what its XML holds is
counted before, and no cell is made that is not there.
"""

from __future__ import annotations

import contextlib
import logging
import re
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

from dfer.archives import FAULTS, open_archive
from dfer.datasets.sources.grids import DEEPEST, USUAL, Grid, Merged, find_header
from dfer.errors import DferError, listed, not_known, shortened
from dfer.tables import bounded, unquoted

logger = logging.getLogger(__name__)

MEGABYTE = 2**20
LARGEST = 512 * MEGABYTE
"""Bytes of all XML in a workbook."""
LARGEST_OTHER = 16 * MEGABYTE
"""Bytes of XML that is neither a sheet nor its text, such as styles."""
MOST_TAGS = 30_000_000
"""In all XML; a cell has about four."""
MOST_IN_ROW = 1_000_000
"""Tags of a row, which is held in memory."""
MOST_ROWS = 1_048_576
"""Of a sheet; no program makes more."""
MOST_CELLS = 20_000_000
"""Of the rectangle around all cells, and of those that are merged."""
CHUNK = 4 * MEGABYTE
"""Bytes of XML that are counted at once."""
ROW = re.compile(rb"<(?:\w+:)?row[\s/>]")


@dataclass(frozen=True)
class _Sheet:
    """What a sheet says beside its cells."""

    merged: list[Merged]
    hidden_rows: int
    hidden_columns: list[str]


def read_workbook(path: Path, *, sheet: str = "", own: Mapping[str, str] = USUAL) -> Grid:
    """The cells of one sheet; a merged cell's text is in all the cells that it covers.

    Args:
        path: .xlsx or .xlsm.
        sheet: its name; "" for the visible sheet on which the file was saved, or, if that holds no table, the only
            visible one that does. What is not read is said.
        own: what -> the user's own name of its column.

    Raises:
        DferError: it cannot be read, goes beyond the limits, has no such sheet or several that may be meant, or has a
            formula without a value.
    """
    _look(path)
    try:
        return _read(path, sheet, own)
    except DferError:
        raise
    except Exception as error:  # openpyxl raises whatever a damaged archive makes it stumble over
        told = shortened(" ".join((str(error) or repr(error)).split()), 200)
        raise DferError(f"{path} cannot be read as a table ({told}); save it as .xlsx or .csv") from error


def _look(path: Path) -> None:
    """Raises where the XML of a workbook is more than is read."""
    with open_archive(path, "a table") as archive:
        members = [member for member in archive.infolist() if member.filename.lower().endswith((".xml", ".rels"))]
        size = sum(member.file_size for member in members)
        told = f"{path}: expected a workbook of at most"
        if size > LARGEST:
            raise DferError(f"{told} {LARGEST // MEGABYTE} MB of XML, got {size // MEGABYTE} MB; save it as .csv")
        tags = 0
        for member in members:
            is_table = "sheet" in member.filename.lower() or "sharedstrings" in member.filename.lower()
            if member.file_size > LARGEST_OTHER and not is_table:
                name = shortened(member.filename)
                raise DferError(
                    f"{told} {LARGEST_OTHER // MEGABYTE} MB in {name}, got {member.file_size // MEGABYTE} MB"
                )
            tags += _count(archive, member, path)
            if tags > MOST_TAGS:
                raise DferError(f"{told} {MOST_TAGS:,} tags (some {MOST_TAGS // 4:,} cells); save it as .csv")


def _count(archive: zipfile.ZipFile, member: zipfile.ZipInfo, path: Path) -> int:
    """The tags of a member; raises where one of its rows has more than is held in memory."""
    total, in_row, rows = 0, 0, False
    try:
        with archive.open(member) as file:
            while chunk := file.read(CHUNK):
                first, *further = ROW.split(chunk)
                for number, part in enumerate((first, *further)):
                    rows, in_row = rows or bool(number), part.count(b"<") + (0 if number else in_row)
                    total += part.count(b"<")
                    if rows and in_row > MOST_IN_ROW:
                        raise DferError(f"{path}: a row of {shortened(member.filename)} has more than {in_row:,} tags")
    except FAULTS as error:
        if isinstance(error, DferError):
            raise
        raise DferError(f"{path} cannot be read as a table ({error}); save it as .xlsx or .csv") from error
    return total


def _read(path: Path, wanted: str, own: Mapping[str, str]) -> Grid:
    with _book(path) as book:
        chosen = _choose(book, wanted, path, own)
        place = f"{path}, sheet '{chosen.title}'"
        about = _about(chosen, place)
        rows, formulas = _cells(chosen, place)
    if formulas:
        with _book(path, data_only=True) as values:
            rows, _ = _cells(values[chosen.title], place)
        _check_formulas(formulas, rows, place)
    if about.hidden_rows:
        logger.warning("%s: %d hidden or filtered rows are read like the others", path.name, about.hidden_rows)
    if about.hidden_columns:
        logger.warning("%s: hidden columns are read like the others: %s", path.name, listed(about.hidden_columns))
    grid = _filled(rows, about.merged, place)
    return Grid(place, grid, range(1, len(grid) + 1), about.merged)


@contextlib.contextmanager
def _book(path: Path, *, data_only: bool = False) -> Iterator[Any]:
    """A workbook, whatever its file is called; `data_only` gives the values of formulas in place of the formulas."""
    import openpyxl

    with path.open("rb") as file:
        book = openpyxl.load_workbook(file, read_only=True, keep_links=False, data_only=data_only)
        try:
            yield book
        finally:
            book.close()


def _choose(book: Any, wanted: str, path: Path, own: Mapping[str, str]) -> Any:
    """The sheet to read; says which it is where there are several with something in them."""
    for sheet in book.worksheets:
        sheet.reset_dimensions()  # what a file says of its size may be anything
    sheets = [sheet for sheet in book.worksheets if any(any(row) for row in _rows(sheet, f"{path}"))]
    names = [sheet.title for sheet in sheets]
    advice = "say which to read: -O sheet=NAME"
    if wanted:
        fitting = [sheet for sheet in book.worksheets if sheet.title.strip().casefold() == wanted.strip().casefold()]
        if not fitting:
            raise not_known(f"{path} has no sheet", wanted, names)
        return fitting[0]
    visible = [sheet for sheet in sheets if sheet.sheet_state == "visible"]
    if not visible:
        found = f"only hidden sheets, {listed(names)}; {advice}" if names else "nothing in its sheets"
        raise DferError(f"{path} has {found}")
    tables = [sheet for sheet in visible if find_header(_top(sheet), own) >= 0]
    first = book.active if book.active in visible else visible[0]
    chosen = first if first in tables or not tables else tables[0]
    if chosen is not first and len(tables) > 1:
        told = listed(sheet.title for sheet in tables)
        raise DferError(f"{path}: sheet '{first.title}' holds no table, and {told} may be meant; {advice}")
    if len(sheets) > 1:
        others = [f"'{s.title}'{' (hidden)' * (s.sheet_state != 'visible')}" for s in sheets if s is not chosen]
        logger.warning(
            "%s: read sheet '%s', %d of %d; not read: %s; -O sheet=NAME reads another",
            path.name, chosen.title, names.index(chosen.title) + 1, len(sheets), listed(others),
        )  # fmt: skip
    return chosen


def _rows(sheet: Any, place: str) -> Iterator[Sequence[Any]]:
    """The values of a sheet, row by row."""
    for number, row in enumerate(sheet.iter_rows(values_only=True), 1):
        if number > MOST_ROWS:
            raise DferError(f"{place}: expected at most {MOST_ROWS:,} rows, got more")
        yield row


def _cells(sheet: Any, place: str) -> tuple[list[Sequence[str]], dict[str, tuple[int, int]]]:
    """The texts of each row up to its last one, and name -> row and column, from 0, of the formulas."""
    formulas = {}
    rows: list[Sequence[str]] = []

    def texts() -> Iterator[list[str]]:
        for number, row in enumerate(sheet.iter_rows()):
            if number >= MOST_ROWS:
                raise DferError(f"{place}: expected at most {MOST_ROWS:,} rows, got more")
            formulas.update({cell.coordinate: (number, k) for k, cell in enumerate(row) if cell.data_type == "f"})
            cells = [_text(cell.value) for cell in row]
            while cells and not cells[-1]:
                cells.pop()
            yield cells

    rows.extend(bounded(texts(), place))
    while rows and not rows[-1]:
        rows.pop()
    return rows, formulas


def _check_formulas(formulas: Mapping[str, tuple[int, int]], rows: Sequence[Sequence[str]], place: str) -> None:
    """Raises when a formula has no value: the program that wrote the file did not calculate."""
    wrong = [
        name
        for name, (row, column) in formulas.items()
        if row >= len(rows) or column >= len(rows[row]) or not rows[row][column]
    ]
    if wrong:
        raise DferError(
            f"{place}: {listed(wrong)} are formulas without a value, as no program has calculated them; open the file "
            "in a spreadsheet program and save it, or put numbers there"
        )


def _about(sheet: Any, place: str) -> _Sheet:
    """Merged cells, and what is hidden."""
    from openpyxl.utils import get_column_letter, range_boundaries

    merged, rows, columns = [], 0, []
    with sheet._get_source() as source:
        for _, element in ElementTree.iterparse(source):
            tag, hidden = element.tag.rpartition("}")[2], element.get("hidden") in ("1", "true")
            if tag == "mergeCell":
                left, top, right, bottom = range_boundaries(element.get("ref", ""))
                merged.append(Merged(element.get("ref", ""), (top, bottom), (left - 1, right - 1)))
            rows += tag == "row" and hidden
            columns += [get_column_letter(int(element.get("min", "1")))] if tag == "col" and hidden else []
            if tag in ("row", "col"):
                element.clear()
    size = sum((area.rows[1] - area.rows[0] + 1) * (area.columns[1] - area.columns[0] + 1) for area in merged)
    if size > MOST_CELLS:
        raise DferError(f"{place}: expected at most {MOST_CELLS:,} merged cells, got {size:,}; part them")
    return _Sheet(merged, rows, columns)


def _filled(rows: Sequence[Sequence[str]], merged: Sequence[Merged], place: str) -> list[list[str]]:
    """The rows, all of one length, with the text of merged cells in all that they cover."""
    height = max([len(rows), *(area.rows[1] for area in merged)])
    width = max([0, *map(len, rows), *(area.columns[1] + 1 for area in merged)])
    if height * width > MOST_CELLS:
        raise DferError(
            f"{place} reaches over {height:,} rows and {width:,} columns; expected at most {MOST_CELLS:,} cells: "
            "delete what stands far from the table, or save it as .csv"
        )
    filled = [[*row, *[""] * (width - len(row))] for row in rows]
    filled += [[""] * width for _ in range(height - len(rows))]
    for area in merged:
        text = filled[area.rows[0] - 1][area.columns[0]]
        for row in range(area.rows[0] - 1, area.rows[1]):
            filled[row][area.columns[0] : area.columns[1] + 1] = [text] * (area.columns[1] - area.columns[0] + 1)
    return filled


def _top(sheet: Any) -> Sequence[Sequence[str]]:
    return [[_text(value) for value in row] for row in sheet.iter_rows(max_row=DEEPEST, values_only=True)]


def _text(value: object) -> str:
    """A cell as text; whole numbers without a fraction, as spreadsheet programs show them."""
    if value is None:
        return ""
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    return unquoted(str(value).strip())
