"""Tables that somebody else may have written, CSV and Parquet: read within limits, each column as text or as numbers.

What is too large, has nested columns or text that is not valid Unicode is refused in one sentence that names the file.

A spreadsheet runs a cell that begins with "=", "+", "-" or "@". So text that begins with one of these, with a tab or
with the end of a line is written to CSV with an apostrophe in front, and so is such text with apostrophes already in
front of it. Reading takes one apostrophe away again: every text comes back as it was. Numbers are written as they are.
"""

from __future__ import annotations

import codecs
import contextlib
import csv
import io
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

from dfer.errors import DferError, listed, shortened
from dfer.files import require_file

if TYPE_CHECKING:
    import pandas as pd

MEGABYTE = 2**20
LARGEST = 4096 * MEGABYTE
"""Bytes of a file."""
MOST_ROWS = 20_000_000
MOST_COLUMNS = 4096
MOST_CELLS = 200_000_000
"""Of a table that is read column by column: 1.6 GB of numbers."""
MOST_GRID_CELLS = 100_000_000
"""Of a grid, whose cells are Python's texts."""
LONGEST = 10_000_000
"""Characters of a cell; exports keep whole answers as JSON in one."""
MOST_TEXT = 1024 * MEGABYTE
"""Bytes of all text of a table, or characters of all cells of a grid: a small file may repeat one long text."""
HEADER = MEGABYTE
"""Bytes of the row of names of a CSV file."""
BLOCK = 16 * MEGABYTE
"""Bytes of a CSV file that are read at once; a row is shorter."""

RISKY = "[=+\\-@\t\r\n\uff0b\uff0d\uff1d\uff20]"
"""How text begins that a spreadsheet may run; the last four are the wide signs of East Asian scripts."""
_WRITTEN = re.compile(f"'*{RISKY}")
_SURROGATE = re.compile("[\ud800-\udfff]")
_READ = re.compile(f"'+{RISKY}")

Kinds = Callable[[str], str]
"""Name of a column -> "text", "number", "any" (in CSV text, in Parquet as it is), or "" to leave it out."""


def quoted(text: str) -> str:
    """A text as it is written to CSV, so that no spreadsheet runs it.

    >>> quoted("=1+1"), quoted("'=1+1"), quoted("'tis"), quoted("a-b")
    ("'=1+1", "''=1+1", "'tis", 'a-b')
    """
    return f"'{text}" if _WRITTEN.match(text) else text


def unquoted(text: str) -> str:
    """The inverse of `quoted`.

    >>> unquoted("'=1+1"), unquoted("''=1+1"), unquoted("'tis"), unquoted("=1+1")
    ('=1+1', "'=1+1", "'tis", '=1+1')
    """
    return text[1:] if _READ.match(text) else text


def is_text(text: str) -> bool:
    """Whether a text can be written: it is valid Unicode and has no null character."""
    return "\0" not in text and (text.isascii() or not _SURROGATE.search(text))


def as_unicode(text: str) -> str:
    """A text with escapes for what is no Unicode, such as half a character of a file's name."""
    return text if text.isascii() else text.encode("utf-8", errors="backslashreplace").decode()


def read_csv(path: Path, kinds: Kinds, *, begins: str = "") -> tuple[str, Any]:
    """A CSV file in UTF-8 whose first row names the columns.

    Args:
        path: the file.
        kinds: of its columns. A column of numbers that holds something else is given as text.
        begins: how a line of comment above the names begins; "" for none.

    Returns:
        The comment ("" where the first line does not begin so; then no table is read), and an Arrow table. Empty cells
        are null.

    Raises:
        DferError: it is no file, is damaged, in another encoding, or goes beyond the limits.
    """
    require(path)
    with told(path), path.open("rb") as file:
        start = 3 if file.read(3) == codecs.BOM_UTF8 else 0
        file.seek(start)
        comment = ""
        if begins:
            if file.read(len(begins)) != begins.encode():
                return "", None
            file.seek(start)
            comment = _line(file, path)
        start = file.tell()
        names = _names(file, path)
        try:
            table = _read_csv(path, start, names, kinds)
        except _NoNumberError:
            table = _read_csv(path, start, names, lambda name: "any" if kinds(name) else "")
        return comment, _unquoted(table)


def read_parquet(path: Path, kinds: Kinds) -> Any:
    """A Parquet file as an Arrow table, its columns of the kinds that are wanted, its metadata with it.

    Raises:
        DferError: as `read_csv`; a column of lists, of structures or of bytes.
    """
    import pyarrow.parquet as pq

    require(path)
    with told(path), pq.ParquetFile(path, thrift_string_size_limit=HEADER * 16, memory_map=False) as plain:
        metadata, schema = plain.metadata, plain.schema_arrow
        _refuse_large(path, metadata.num_rows, len(schema))
        text = sum(metadata.row_group(number).total_byte_size for number in range(metadata.num_row_groups))
        if text > LARGEST:
            raise DferError(f"{path}: expected at most {LARGEST // MEGABYTE} MB of values, got {text // MEGABYTE} MB")
        wanted = {field.name: kinds(field.name) for field in schema if kinds(field.name)}
        _refuse_types(path, schema, wanted)
        texts = [field.name for field in schema if field.name in wanted and _is_text(field.type)]
    with told(path):
        return _as_wanted(_read_parquet(path, list(wanted), texts), wanted)


def _read_parquet(path: Path, columns: list[str], texts: list[str]) -> Any:
    """The columns of a file; text stays as codes until it is known how long it becomes."""
    try:
        table = _read_columns(path, columns, texts)
    except OSError:  # text that is stored as differences cannot be read as codes
        table = _read_columns(path, columns, [])
    table.validate(full=True)
    _refuse_long(path, table)
    return table


def _read_columns(path: Path, columns: list[str], as_codes: list[str]) -> Any:
    import pyarrow.parquet as pq

    with pq.ParquetFile(path, read_dictionary=as_codes, thrift_string_size_limit=HEADER * 16) as file:
        return file.read(columns=columns)


def release() -> None:
    """Give the memory of tables that are not needed any more back to the system."""
    import pyarrow as pa

    pa.default_memory_pool().release_unused()


def write_csv(
    table: pd.DataFrame, place: Path | Any, *, sep: str = ",", decimal: str = ".", encoding: str = "utf-8",
    marked: bool = False,
) -> None:  # fmt: skip
    """Write a table as CSV that no spreadsheet runs; text that is not valid Unicode becomes an escape.

    Args:
        table: text and numbers.
        place: a path, or a file that is open for text.
        sep: between cells.
        decimal: the sign before decimals.
        encoding: of a path.
        marked: all text in quotation marks, not only where they are needed.
    """
    safe = safely(table)
    # Python's writer puts no quotation marks around the end of a line of another system
    marked = marked or any(safe[name].astype(str).str.contains("\r", regex=False).any() for name in _texts(safe))
    marked = marked or any("\r" in str(name) for name in safe)
    safe.to_csv(
        place, index=False, lineterminator="\n", sep=sep, decimal=decimal, encoding=encoding,
        errors="backslashreplace", quoting=csv.QUOTE_NONNUMERIC if marked else csv.QUOTE_MINIMAL,
    )  # fmt: skip


def safely(table: pd.DataFrame) -> pd.DataFrame:
    """The table with names of columns and cells of text as `quoted`, and escapes for what is no Unicode."""
    table = table.copy(deep=False)
    for name in _texts(table):
        if table[name].dtype == object:
            table[name] = table[name].map(lambda cell: as_unicode(cell) if isinstance(cell, str) else cell)
        if table[name].astype(str).str.match(_WRITTEN).any():
            table[name] = table[name].map(lambda cell: quoted(cell) if isinstance(cell, str) else cell)
    return table.rename(columns={name: quoted(as_unicode(str(name))) for name in table})


def bounded(rows: Iterable[Sequence[str]], place: object) -> Iterator[Sequence[str]]:
    """The rows of a grid of cells, as long as they are within the limits.

    Raises:
        DferError: more rows, cells or text than a table may have.
    """
    count = cells = text = 0
    for row in rows:
        count, cells, text = count + 1, cells + len(row), text + sum(map(len, row))
        if len(row) > MOST_COLUMNS or count > MOST_ROWS or cells > MOST_GRID_CELLS or text > MOST_TEXT:
            raise DferError(
                f"{place}: row {count} goes beyond the limits of a table: {MOST_ROWS:,} rows, {MOST_COLUMNS:,} "
                f"columns, {MOST_GRID_CELLS:,} cells, {MOST_TEXT // MEGABYTE:,} MB of text"
            )
        yield row


def split(text: str, delimiter: str, *, strict: bool = False) -> Any:
    """Python's reader of CSV, with the limit on the length of a cell that holds everywhere here."""
    csv.field_size_limit(LONGEST)
    return csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=strict)


def require(path: Path) -> int:
    """The bytes of a file that is not too large for a table.

    Raises:
        DferError: it is no file, or too large.
    """
    size = require_file(path)
    if size > LARGEST:
        raise DferError(f"{path}: expected at most {LARGEST // MEGABYTE} MB, got {size // MEGABYTE} MB")
    return size


@contextlib.contextmanager
def told(path: Path) -> Iterator[None]:
    """Errors of readers as one sentence that names the file."""
    import pyarrow as pa

    faults = (pa.ArrowException, OSError, ValueError, KeyError, TypeError, OverflowError, NotImplementedError)
    try:
        yield
    except DferError:
        raise
    except (*faults, MemoryError, csv.Error) as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error) or repr(error)
        raise DferError(
            f"{path} cannot be read as a table: {shortened(' '.join(reason.split()), 200)}; get or write it anew"
        ) from error


class _NoNumberError(Exception):
    """A column of numbers holds something else."""


def _line(file: BinaryIO, path: Path) -> str:
    line = file.readline(HEADER * 16)
    if len(line) == HEADER * 16:
        raise DferError(f"{path}: expected a first line of at most {HEADER * 16 // MEGABYTE} MB, got a longer one")
    return line.decode("utf-8")


def _names(file: BinaryIO, path: Path) -> list[str]:
    """The names of the columns of a CSV file."""
    data = file.read(HEADER)
    if data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        raise DferError(f"{path} is not in UTF-8; save it anew as CSV in UTF-8")
    text = io.StringIO(data.decode("utf-8", errors="replace"), newline="")
    csv.field_size_limit(LONGEST)
    names = next((row for row in csv.reader(text) if row), [])
    if len(data) == HEADER and not text.read(1):
        raise DferError(f"{path}: expected the names of its columns in its first {HEADER // MEGABYTE} MB")
    twice = [name for name, count in _counts(names).items() if count > 1]
    if twice:
        raise DferError(f"{path} names a column twice: {listed(twice)}")
    _refuse_large(path, 0, len(names))
    return names


def _counts(names: Iterable[str]) -> dict[str, int]:
    counts: dict[str, int] = {}
    for name in names:
        counts[name] = counts.get(name, 0) + 1
    return counts


def _read_csv(path: Path, start: int, names: list[str], kinds: Kinds) -> Any:
    import pyarrow as pa
    import pyarrow.csv as arrow_csv

    types = {"text": pa.string(), "any": pa.string(), "number": pa.float64()}
    wanted = {name: types[kinds(unquoted(name))] for name in names if kinds(unquoted(name))}
    if not wanted:
        return pa.table({})
    batches = []
    rows = 0
    with pa.OSFile(str(path)) as file:
        file.seek(start)
        try:
            for batch in arrow_csv.open_csv(
                file,
                read_options=arrow_csv.ReadOptions(block_size=BLOCK, use_threads=False),
                parse_options=arrow_csv.ParseOptions(newlines_in_values=True),
                convert_options=arrow_csv.ConvertOptions(
                    column_types=wanted, include_columns=list(wanted), null_values=[""], strings_can_be_null=True
                ),
            ):
                rows += len(batch)
                _refuse_large(path, rows, len(names))
                _refuse_long(path, batch)
                batches.append(batch)
        except pa.ArrowInvalid as error:
            if "conversion error to double" in str(error):
                raise _NoNumberError from error
            if "Empty CSV file" not in str(error):  # names without a row below
                raise
    return pa.Table.from_batches(batches, schema=pa.schema(wanted) if not batches else None)


def _refuse_large(path: Path, rows: int, columns: int) -> None:
    for what, count, most in (
        ("rows", rows, MOST_ROWS), ("columns", columns, MOST_COLUMNS), ("cells", rows * columns, MOST_CELLS)
    ):  # fmt: skip
        if count > most:
            raise DferError(f"{path}: expected at most {most:,} {what}, got {count:,} or more")


def _refuse_long(path: Path, table: Any) -> None:
    """Raises where a text, or all text together, is longer than it may be."""
    import pyarrow as pa
    import pyarrow.compute as pc

    total = 0
    for name, column in zip(table.schema.names, table.columns, strict=True):
        for chunk in column.chunks if isinstance(column, pa.ChunkedArray) else [column]:
            if pa.types.is_dictionary(chunk.type):
                lengths = pc.binary_length(chunk.dictionary).take(chunk.indices)
            elif _is_text(chunk.type):
                lengths = pc.binary_length(chunk)
            else:
                continue
            if (pc.max(lengths).as_py() or 0) > LONGEST:
                raise DferError(f"{path}: expected cells of at most {LONGEST:,} characters, got more in '{name}'")
            total += pc.sum(lengths).as_py() or 0
    if total > MOST_TEXT:
        raise DferError(f"{path}: expected at most {MOST_TEXT // MEGABYTE:,} MB of text, got {total // MEGABYTE:,} MB")


def _is_text(kind: Any) -> bool:
    import pyarrow as pa

    text = kind.value_type if pa.types.is_dictionary(kind) else kind
    return bool(pa.types.is_string(text) or pa.types.is_large_string(text))


def _refuse_types(path: Path, schema: Any, wanted: dict[str, str]) -> None:
    """Raises where a column cannot be what is wanted, or two have one name."""
    import pyarrow.types as types

    twice = [name for name, count in _counts(schema.names).items() if count > 1]
    if twice:
        raise DferError(f"{path} names a column twice: {listed(twice)}")
    for field in schema:
        kind = wanted.get(field.name, "")
        number = types.is_integer(field.type) or types.is_floating(field.type) or types.is_null(field.type)
        time = types.is_temporal(field.type) or types.is_boolean(field.type) or types.is_decimal(field.type)
        whole = types.is_integer(field.type) or types.is_null(field.type)
        fits = {"text": whole, "number": number, "any": number or time}
        if kind and not (_is_text(field.type) or fits[kind]):
            expected = {"text": "text", "number": "numbers", "any": "text or numbers"}[kind]
            raise DferError(
                f"{path}: expected {expected} in the column '{shortened(field.name, 80)}', got "
                f"{shortened(str(field.type), 80)}"
            )


def _as_wanted(table: Any, wanted: dict[str, str]) -> Any:
    """Text as text, and numbers as float64 where all of them are."""
    import pyarrow as pa

    for place, field in enumerate(table.schema):
        column = table.column(place)
        if _is_text(field.type) or wanted[field.name] == "text":
            column = column.cast(pa.string())
        if wanted[field.name] == "number":
            with contextlib.suppress(pa.ArrowInvalid):  # something else than numbers: whoever asked says where
                column = column.cast(pa.float64(), safe=False)
        table = table.set_column(place, pa.field(field.name, column.type), column)
    return table


def _unquoted(table: Any) -> Any:
    """A table of CSV with its text as it was before it was written."""
    import pyarrow as pa
    import pyarrow.compute as pc

    for place, field in enumerate(table.schema):
        column = table.column(place)
        if pa.types.is_string(field.type):
            risky = pc.match_substring_regex(column, f"^'+{RISKY}")
            if pc.any(risky).as_py():
                table = table.set_column(
                    place, field, pc.if_else(risky, pc.utf8_slice_codeunits(column, 1, None), column)
                )
    return table.rename_columns([unquoted(name) for name in table.schema.names])


def _texts(table: pd.DataFrame) -> list[Any]:
    """The columns that may hold text."""
    import pandas as pd

    return [name for name in table if not pd.api.types.is_numeric_dtype(table[name])]
