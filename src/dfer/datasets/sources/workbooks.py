"""Excel files as people have them: which sheet is read, merged cells, formulas."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from dfer.datasets.sources.grids import DEEPEST, USUAL, Grid, Merged, find_header
from dfer.errors import DferError, listed, nearest

logger = logging.getLogger(__name__)


def read_workbook(path: Path, *, sheet: str = "", own: Mapping[str, str] = USUAL) -> Grid:
    """The cells of one sheet; a merged cell's text is in all the cells that it covers.

    Args:
        path: .xlsx or .xlsm.
        sheet: its name; "" for the visible sheet on which the file was saved, or, if that holds no table, the only
            visible one that does. What is not read is said.
        own: what -> the user's own name of its column.

    Raises:
        DferError: it cannot be read, no such sheet, several that may be meant, or a formula without a value.
    """
    import openpyxl

    try:
        book = openpyxl.load_workbook(path)
    except Exception as error:  # openpyxl raises whatever a damaged archive makes it stumble over
        raise DferError(
            f"{path} cannot be read as a table ({str(error) or repr(error):.200}); save it as .xlsx or .csv"
        ) from error
    chosen = _choose(book, sheet, path, own)
    if any(cell.data_type == "f" for cell in _cells(chosen)):
        values = openpyxl.load_workbook(path, data_only=True)[chosen.title]
        _check_formulas(chosen, values, path)
        chosen = values
    hidden = [number for number, row in chosen.row_dimensions.items() if row.hidden]
    if hidden:
        logger.warning("%s: %d hidden or filtered rows are read like the others", path.name, len(hidden))
    columns = [letter for letter, column in chosen.column_dimensions.items() if column.hidden]
    if columns:
        logger.warning("%s: hidden columns are read like the others: %s", path.name, listed(columns))
    rows = [[_text(cell.value) for cell in row] for row in chosen.iter_rows()]
    merged = [_merged(area) for area in chosen.merged_cells.ranges]
    for area in merged:
        for row in range(area.rows[0], area.rows[1] + 1):
            for column in range(area.columns[0], area.columns[1] + 1):
                rows[row - 1][column] = rows[area.rows[0] - 1][area.columns[0]]
    return Grid(f"{path}, sheet '{chosen.title}'", rows, range(1, len(rows) + 1), merged)


def _choose(book: Any, wanted: str, path: Path, own: Mapping[str, str]) -> Any:
    """The sheet to read; says which it is where there are several with something in them."""
    sheets = [sheet for sheet in book.worksheets if any(cell.value is not None for cell in _cells(sheet))]
    names = [sheet.title for sheet in sheets]
    advice = "say which to read: -O sheet=NAME"
    if wanted:
        fitting = [sheet for sheet in book.worksheets if sheet.title.strip().casefold() == wanted.strip().casefold()]
        if not fitting:
            raise DferError(f"{path} has no sheet '{wanted}'{nearest(wanted, names)}; it has {listed(names, 12)}")
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


def _check_formulas(formulas: Any, values: Any, path: Path) -> None:
    """Raises when a formula has no value: the program that wrote the file did not calculate."""
    wrong = [
        cell.coordinate for cell in _cells(formulas) if cell.data_type == "f" and values[cell.coordinate].value is None
    ]
    if wrong:
        raise DferError(
            f"{path}, sheet '{formulas.title}': {listed(wrong)} are formulas without a value, as no program has "
            "calculated them; open the file in a spreadsheet program and save it, or put numbers there"
        )


def _cells(sheet: Any) -> Iterator[Any]:
    return (cell for row in sheet.iter_rows() for cell in row)


def _top(sheet: Any) -> Sequence[Sequence[str]]:
    return [[_text(value) for value in row] for row in sheet.iter_rows(max_row=DEEPEST, values_only=True)]


def _merged(area: Any) -> Merged:
    return Merged(area.coord, (area.min_row, area.max_row), (area.min_col - 1, area.max_col - 1))


def _text(value: object) -> str:
    """A cell as text; whole numbers without a fraction, as spreadsheet programs show them."""
    if value is None:
        return ""
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    return str(value).strip()
