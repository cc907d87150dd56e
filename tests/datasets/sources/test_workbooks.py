"""Workbooks that say more than they hold: cells are counted before a grid is made of them."""

from __future__ import annotations

import re
import resource
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path

import openpyxl
import pytest
from openpyxl.styles import Font

from dfer.datasets import read_source
from dfer.datasets.sources import workbooks
from dfer.datasets.sources.workbooks import read_workbook
from dfer.errors import DferError

ROWS = [["clip", "happy", "sad"], ["a.mp4", 3, 1], ["b.mp4", 0, 4]]
SHEET = "xl/worksheets/sheet1.xml"


@pytest.fixture
def book(tmp_path: Path) -> Path:
    workbook = openpyxl.Workbook()
    for row in ROWS:
        workbook.active.append(row)
    workbook.save(tmp_path / "t.xlsx")
    return tmp_path / "t.xlsx"


def rewrite(path: Path, change: Callable[[str], str], member: str = SHEET) -> Path:
    """The workbook with one member changed."""
    with zipfile.ZipFile(path) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    members[member] = change(members.get(member, b"").decode()).encode()
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    return path


def texts(path: Path) -> list[list[str]]:
    return [list(row) for row in read_workbook(path).rows]


def test_whatever_a_sheet_says_of_its_size_its_cells_are_read(book: Path) -> None:
    expected = [[str(cell) for cell in row] for row in ROWS]
    assert texts(book) == expected
    assert texts(rewrite(book, lambda xml: re.sub('ref="A1:C3"', 'ref="A1:XFD1048576"', xml))) == expected
    assert texts(rewrite(book, lambda xml: re.sub('ref="A1:XFD1048576"', 'ref="A1"', xml))) == expected


def test_a_far_cell_without_a_value_is_no_cell(book: Path) -> None:
    workbook = openpyxl.load_workbook(book)
    workbook.active["XFD1048576"].font = Font(bold=True)
    workbook.save(book)
    assert texts(book) == [[str(cell) for cell in row] for row in ROWS]


@pytest.mark.parametrize(
    ("damage", "told"),
    [
        (lambda xml: xml.replace("</sheetData>", '<row r="900000"><c r="CCC900000"><v>1</v></c></row></sheetData>'),
         r"reaches over 900,000 rows and 2,109 columns"),
        (lambda xml: xml.replace("</sheetData>", '<row r="9"><c r="XFD9"><v>1</v></c></row></sheetData>'),
         r"row 9 goes beyond the limits of a table"),
        (lambda xml: xml.replace("</sheetData>", '<row r="99999999"><c><v>1</v></c></row></sheetData>'),
         r"at most 1,048,576 rows, got more"),
        (lambda xml: xml.replace("<pageM", '<mergeCells><mergeCell ref="A2:XFD1048576"/></mergeCells><pageM'),
         r"at most 20,000,000 merged cells, got 17,179,852,800"),
        (lambda xml: xml.replace("</sheetData>", "<row>" + "<c/>" * 1_000_001 + "</row></sheetData>"),
         r"a row of xl/worksheets/sheet1\.xml has more than 1,000,\d\d\d tags"),
        (lambda xml: xml.replace("</sheetData>", "<row>" * 50_000), r"cannot be read as a table"),
        (lambda _: "", r"cannot be read as a table"),
    ],
)  # fmt: skip
def test_more_cells_than_a_table_may_have_are_refused(book: Path, damage: Callable[[str], str], told: str) -> None:
    rewrite(book, damage)
    with pytest.raises(DferError, match=told) as raised:
        read_workbook(book)
    assert "t.xlsx" in str(raised.value) and len(str(raised.value)) <= 500


def test_members_that_would_be_large_are_refused_unread(book: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rewrite(book, lambda xml: xml + " " * 17_000_000, "xl/styles.xml")
    with pytest.raises(DferError, match=r"at most 16 MB in xl/styles\.xml, got 16 MB"):
        read_workbook(book)
    monkeypatch.setattr(workbooks, "LARGEST", 2**20)
    with pytest.raises(DferError, match=r"at most 1 MB of XML, got 16 MB; save it as \.csv"):
        read_workbook(book)


def test_a_row_of_very_many_cells_takes_no_memory(book: Path) -> None:
    """A hundred million cells in 100 KB, in a process that may have little memory."""
    with zipfile.ZipFile(book) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    with zipfile.ZipFile(book, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in members.items():
            if name != SHEET:
                archive.writestr(name, data)
        with archive.open(SHEET, "w") as sheet:
            sheet.write(members[SHEET].partition(b"</sheetData>")[0] + b"<row>")
            for _ in range(100):
                sheet.write(b"<c/>" * 1_000_000)
            sheet.write(b"</row></sheetData></worksheet>")
    assert book.stat().st_size < 2**20
    code = (
        "import sys; from pathlib import Path; from dfer.datasets.sources.workbooks import read_workbook\n"
        "try: read_workbook(Path(sys.argv[1]))\nexcept ValueError as error: print(error)"
    )
    limit = 3 * 2**30
    done = subprocess.run(
        [sys.executable, "-c", code, str(book)], capture_output=True, text=True, timeout=120,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_AS, (limit, limit)),
    )  # fmt: skip
    assert "has more than" in done.stdout, done.stderr


def test_a_text_that_was_written_with_an_apostrophe_is_read_without_it(book: Path) -> None:
    workbook = openpyxl.load_workbook(book)
    workbook.active["A2"].value = "'=a.mp4"
    workbook.save(book)
    for name in ("=a.mp4", "b.mp4"):
        (book.parent / name).write_bytes(b"x")
    assert read_source("table", book).table["id"].tolist() == ["=a.mp4", "b.mp4"]
