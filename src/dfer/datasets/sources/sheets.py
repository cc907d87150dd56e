"""Tables on disk, opened as they stand: CSV, Excel, and the exports of tools that people answer with."""

from __future__ import annotations

import logging
import unicodedata
from collections.abc import Mapping
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pandas as pd

from dfer.archives import open_archive, read_member
from dfer.datasets.sources.delimited import read_delimited, read_text
from dfer.datasets.sources.exports import cvat, elan, label_studio, mturk, qualtrics
from dfer.datasets.sources.grids import USUAL, Grid, as_table, find_header, padded, rows_named
from dfer.datasets.sources.label_space import Vocabulary
from dfer.datasets.sources.merged_cells import check_merged
from dfer.datasets.sources.workbooks import read_workbook
from dfer.documents import parse_json
from dfer.errors import DferError, listed
from dfer.files import read_bytes, require_file

logger = logging.getLogger(__name__)

GRIDS = {"Label Studio": label_studio, "Mechanical Turk": mturk, "Qualtrics": qualtrics}
"""Exports that are a grid of cells, by the tool's name."""
SUFFIXES = (".csv", ".tsv", ".xlsx", ".xlsm", ".json", ".xml", ".eaf")
"""Names that tables have; what is in them is found out."""
MANY = (".json", ".xml", ".eaf")
"""Names of the files in a folder of exports, one a clip or a rater."""
LARGEST_XML = 256 * 2**20
"""Bytes of an export in XML."""
MOST_TAGS = 10_000_000
"""Of an export in XML."""
NO_TEXT = {
    b"\xd0\xcf\x11\xe0": "an Excel file of the old kind (.xls)", b"PAR1": "a Parquet file",
    b"\x1f\x8b": "compressed with gzip", b"%PDF": "a PDF", b"SQLite format 3": "a database of SQLite",
    b"$FL2@(#)": "a file of SPSS", b"<stata_dta>": "a file of Stata",
}  # fmt: skip
"""How files begin that hold tables in a form that is not read here."""


def read_table(path: Path, *, header: bool = True) -> pd.DataFrame:
    """A published CSV or Excel table as it stands, its cells as text, "" for an empty one; without empty rows.

    Args:
        path: the file.
        header: whether its first row names the columns; else they are 0, 1, ...

    Raises:
        DferError: it cannot be read.
    """
    grid = read_workbook(path) if path.suffix.lower() == ".xlsx" else read_delimited(path)
    return published_table(grid, header=header)


def published_table(grid: Grid, *, header: bool = True) -> pd.DataFrame:
    """As `read_table`, for a grid of cells."""
    rows = [row for row in grid.rows if any(row)]
    if not rows:
        raise DferError(f"{grid.place} cannot be read as a table (it is empty); get it again")
    width = len(rows[0]) if header else max(map(len, rows))
    wrong = [number for number, row in zip(grid.numbers, grid.rows, strict=True) if any(row[width:])]
    if wrong:
        raise DferError(
            f"{grid.place}: expected rows of {width} cells, found more in {rows_named(wrong)}; get it again"
        )
    cells = [padded(row, width) for row in (rows[1:] if header else rows)]
    return pd.DataFrame(cells, columns=list(rows[0]) if header else None, dtype=object)


def open_table(
    path: Path, expected: str, *, words: Vocabulary | None = None, sheet: str = "", own: Mapping[str, str] = USUAL
) -> pd.DataFrame:
    """A user's own table, every cell as it was typed, its index the number of each row in the file.

    Args:
        path: a table, an export, or a folder of exports.
        expected: what it should hold, for messages.
        words: what the words of answers mean, to find the question that asks for the emotion.
        sheet: of an Excel file; "" for the visible one on which it was saved.
        own: what -> the user's own name of its column.

    Raises:
        DferError: it cannot be read, or which part of it is meant is not plain.
    """
    words = words or Vocabulary()
    if path.is_dir():
        files = sorted(entry for entry in path.iterdir() if entry.suffix.lower() in MANY)
        if not files:
            raise DferError(f"expected {expected}; got the folder {path}, in which no file is an export")
        return pd.concat([open_table(file, expected, words=words) for file in files], ignore_index=True)
    grid = _open(path, words, sheet, own)
    if isinstance(grid, pd.DataFrame):
        return grid
    for tool, module in GRIDS.items():
        if module.recognise(grid.rows) >= 0:
            logger.warning("%s is read as an export of %s", path.name, tool)
            answers: pd.DataFrame = module.read(grid, words)
            return answers
    start = find_header(grid.rows, own)
    if start >= 0:
        check_merged(grid, start, own)
    table, titles = as_table(grid, expected, own)
    if titles:
        logger.warning("%s: the lines above the header are not read: %s", path.name, listed(map(repr, titles), 3))
    return table


def cell_text(value: object) -> str:
    """A cell as text, "" if it is empty."""
    if value is None or value is pd.NA or (isinstance(value, float) and np.isnan(value)):
        return ""
    return unicodedata.normalize("NFC", str(value)).strip()


def _open(path: Path, words: Vocabulary, sheet: str, own: Mapping[str, str]) -> Grid | pd.DataFrame:
    """A grid of cells, or the answers of an export, by the first bytes of the file."""
    require_file(path)
    with path.open("rb") as file:
        start = file.read(512)
    if start.startswith(b"PK"):
        exported = _member(path, "annotations.xml")
        return _read_xml(exported, words, path) if exported else read_workbook(path, sheet=sheet, own=own)
    for begins, kind in NO_TEXT.items():
        if start.startswith(begins):
            raise DferError(f"{path} is {kind}; save the table in it as .xlsx or .csv")
    if sheet:
        raise DferError(f"{path} has no sheets; leave out -O sheet={sheet}")
    shown = start.lstrip(b"\xef\xbb\xbf \t\r\n")
    if shown.startswith(b"<"):
        return _read_xml(read_bytes(path, LARGEST_XML), words, path)
    if shown.startswith((b"[", b"{")):
        return _read_json(path, words)
    return read_delimited(path, own)


def _member(path: Path, name: str) -> bytes:
    """A file of an archive, empty where it has none of this name."""
    with open_archive(path, "a table") as archive:
        return read_member(archive, name, largest=LARGEST_XML) if name in archive.namelist() else b""


def _read_xml(text: bytes, words: Vocabulary, path: Path) -> pd.DataFrame:
    if text.count(b"<") > MOST_TAGS:
        raise DferError(f"{path}: expected at most {MOST_TAGS:,} tags in XML, got more; export fewer tasks at once")
    if b"<!ENTITY" in text:
        raise DferError(f"{path} defines entities, as no tool does that is read here; it is not opened")
    try:
        root = ElementTree.fromstring(text)
    except (ElementTree.ParseError, ValueError, LookupError) as error:  # also of an unknown encoding
        raise DferError(f"{path} is damaged XML ({error}); export it anew") from error
    for tool, module in (("ELAN", elan), ("CVAT", cvat)):
        if module.recognise(root):
            logger.warning("%s is read as an export of %s", path.name, tool)
            answers: pd.DataFrame = module.read(root, words, str(path))
            return answers
    raise DferError(f"{path} is XML, and neither ELAN's nor CVAT's (its first element is <{root.tag}>)")


def _read_json(path: Path, words: Vocabulary) -> pd.DataFrame:
    data = parse_json(read_text(path), str(path))
    if not label_studio.recognise_json(data):
        raise DferError(f"{path} is JSON, and not an export of Label Studio; save it as CSV: clip, rater, emotion")
    logger.warning("%s is read as an export of Label Studio", path.name)
    return label_studio.read_json(data, words, str(path))
