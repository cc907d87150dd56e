"""Tables of strangers: what comes back as it was written, what no spreadsheet runs, what is refused."""

from __future__ import annotations

import csv
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dfer import tables
from dfer.errors import DferError
from dfer.tables import quoted, read_csv, read_parquet, unquoted, write_csv

texts = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), min_size=1, max_size=20)
risky = st.builds(lambda marks, sign, rest: marks + sign + rest, st.sampled_from(["", "'", "''"]), st.sampled_from(
    ["=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠"]), texts)  # fmt: skip
names = st.one_of(texts, risky)


def kind(name: str) -> str:
    return "number" if name == "number" else "text"


@given(names)
def test_every_text_comes_back_and_none_begins_as_a_formula(text: str) -> None:
    assert unquoted(quoted(text)) == text
    assert quoted(text)[0] not in "=+-@\t\r\n＝＋－＠"


@settings(deadline=None, max_examples=60)
@given(cells=st.lists(names, min_size=1, max_size=8), title=names, sep=st.sampled_from([",", ";", "\t"]))
def test_a_table_of_hostile_text_comes_back_from_csv(cells: list[str], title: str, sep: str) -> None:
    title = title + "!"
    table = pd.DataFrame({"number": np.arange(len(cells)) / 3 - 1, title: cells})
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "t.csv")
        write_csv(table, path)
        _, found = read_csv(path, kind)
        assert found.to_pydict() == {"number": table["number"].tolist(), title: cells}
        write_csv(table, path, sep=sep)
        with path.open(encoding="utf-8", newline="") as file:
            rows = list(csv.reader(file, delimiter=sep))
        assert [unquoted(row[1]) for row in rows] == [title, *cells]
        assert all(row[1][0] not in "=+-@\t\r\n" for row in rows) and rows[1][0] == "-1.0", "a number is no formula"


def test_half_a_character_of_a_name_becomes_an_escape(tmp_path: Path) -> None:
    table = pd.DataFrame({"a": np.array(["\udcff.mp4"], dtype=object)}, dtype=object)
    write_csv(table, tmp_path / "t.csv")
    assert (tmp_path / "t.csv").read_text() == "a\n\\udcff.mp4\n"


@pytest.mark.parametrize(
    ("data", "told"),
    [
        (b"text,number\na,1\nb\n", "Expected 2 columns, got 1"),
        (b"text,number\na,1,2\n", "Expected 2 columns, got 3"),
        (b'text,number\n"a,1\n', "Expected 2 columns, got 1"),
        (b"text,number\n\xff,1\n", "invalid UTF8"),
        (b"text,number\n\xed\xa0\x80,1\n", "invalid UTF8"),
        ("text,number\na,1\n".encode("utf-16"), "not in UTF-8"),
        (b"text,text\na,1\n", "names a column twice: text"),
        (b",".join(b"%d" % k for k in range(5000)) + b"\n", "at most 4,096 columns"),
        (b"x" * 2**20 + b",y\na,b\n", "names of its columns in its first 1 MB"),
        (b"text\n" + b"x" * 10_000_001 + b"\n", "at most 10,000,000 characters"),
    ],
)  # fmt: skip
def test_csv_that_is_damaged_or_too_large_is_refused(tmp_path: Path, data: bytes, told: str) -> None:
    (tmp_path / "t.csv").write_bytes(data)
    with pytest.raises(DferError, match=rf"t\.csv.*{told}") as raised:
        read_csv(tmp_path / "t.csv", kind)
    assert len(str(raised.value)) <= 500


def test_something_else_than_numbers_is_given_as_text(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("text,number\na,1\nb,many\nc, 2 \n")
    assert read_csv(tmp_path / "t.csv", kind)[1]["number"].to_pylist() == ["1", "many", " 2 "]
    (tmp_path / "t.csv").write_text("text,number\na,nan\nb,\nc,1e999\nd," + "9" * 5000)
    assert [str(number) for number in read_csv(tmp_path / "t.csv", kind)[1]["number"].to_pylist()] == [
        "nan", "None", "inf", "inf",
    ]  # fmt: skip


def nested(column: Any) -> pa.Table:
    return pa.table({"text": ["a", "b"], "number": column})


@pytest.mark.parametrize(
    ("table", "told"),
    [
        (nested([[1.0], [2.0]]), "expected numbers in the column 'number', got list"),
        (nested([{"x": 1}, {"x": 2}]), "got struct<x: int64>"),
        (nested([b"a", b"b"]), "got binary"),
        (nested([True, False]), "got bool"),
        (pa.table({"text": [1.5, 2.5]}), "expected text in the column 'text', got double"),
        (pa.table({"text": pa.array([["a"]])}), "expected text in the column 'text', got list"),
        (pa.table([["a"], ["b"]], names=["text", "text"]), "names a column twice: text"),
        (pa.table({"text": pa.array([b"\xff"]).view(pa.string())}), "UTF8"),
    ],
)
def test_parquet_of_other_types_is_refused(tmp_path: Path, table: pa.Table, told: str) -> None:
    pq.write_table(table, tmp_path / "t.parquet")
    with pytest.raises(DferError, match=rf"t\.parquet.*{told}"):
        read_parquet(tmp_path / "t.parquet", kind)


def test_parquet_gives_text_and_numbers_of_every_width(tmp_path: Path) -> None:
    columns = {"text": pa.array(["7", None]).dictionary_encode(), "number": pa.array([2**63, 1], pa.uint64())}
    pq.write_table(pa.table(columns), tmp_path / "t.parquet")
    assert read_parquet(tmp_path / "t.parquet", kind).to_pydict() == {"text": ["7", None], "number": [2.0**63, 1.0]}
    pq.write_table(pa.table({"text": [7, 8], "number": ["1.5", "x"]}), tmp_path / "t.parquet")
    assert read_parquet(tmp_path / "t.parquet", kind).to_pydict() == {"text": ["7", "8"], "number": ["1.5", "x"]}


def test_a_small_parquet_file_of_much_text_or_many_rows_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = pa.DictionaryArray.from_arrays(np.zeros(3_000, np.int32), ["x" * 500_000])
    pq.write_table(pa.table({"text": rows}), tmp_path / "t.parquet")
    assert (tmp_path / "t.parquet").stat().st_size < 2_000_000
    with pytest.raises(DferError, match=r"at most 1,024 MB of text, got 1,430 MB"):
        read_parquet(tmp_path / "t.parquet", kind)
    monkeypatch.setattr(tables, "MOST_ROWS", 2_999)
    with pytest.raises(DferError, match=r"at most 2,999 rows, got 3,000"):
        read_parquet(tmp_path / "t.parquet", kind)


def test_limits_can_be_set(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "t.csv").write_text("text,number\na,1\nb,2\nc,3\n")
    assert len(read_csv(tmp_path / "t.csv", kind)[1]) == 3
    for limit, most, told in (("MOST_ROWS", 2, "2 rows"), ("MOST_CELLS", 5, "5 cells"), ("LARGEST", 9, "0 MB")):
        with monkeypatch.context() as patched, pytest.raises(DferError, match=f"at most {told}"):
            patched.setattr(tables, limit, most)
            read_csv(tmp_path / "t.csv", kind)


@pytest.mark.parametrize("read", [read_csv, read_parquet])
def test_what_is_no_file_is_refused_at_once(tmp_path: Path, read: Any) -> None:
    import os

    os.mkfifo(tmp_path / "pipe")
    for place, told in ((tmp_path / "pipe", "a named pipe"), (tmp_path, "a folder"), (Path("/dev/zero"), "a device")):
        with pytest.raises(DferError, match=f"expected a file, got {told}"):
            read(place, kind)


def test_a_damaged_parquet_file_is_one_sentence(tmp_path: Path) -> None:
    pq.write_table(pa.table({"text": ["a"] * 99, "number": np.arange(99.0)}), tmp_path / "t.parquet")
    whole = (tmp_path / "t.parquet").read_bytes()
    generator = np.random.default_rng(0)
    for _ in range(200):
        data = bytearray(whole)
        for place in generator.integers(0, len(data), 3):
            data[place] = generator.integers(0, 256)
        (tmp_path / "t.parquet").write_bytes(data)
        try:
            read_parquet(tmp_path / "t.parquet", kind)
        except DferError as error:
            assert "t.parquet" in str(error) and len(str(error)) <= 500 and "\n" not in str(error)
