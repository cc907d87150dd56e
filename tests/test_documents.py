"""JSON and TOML of strangers: values, or one sentence with the file and the key."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

import pytest

from dfer.documents import DEEPEST, checked, parse_json, parse_toml, read_json, read_toml
from dfer.errors import DferError


@dataclass
class Chair:
    legs: int
    height_m: float = 1.0


@pytest.mark.parametrize(
    "text",
    ["[" * 100_000, "[" * 100 + "]" * 100, '{"a":' * 50 + "1" + "}" * 50, "1" * 5_000, "", "{", '{"a": "\\ud800"}',
     '["\\uD800x"]', "\x00", '{"a" 1}'],
)  # fmt: skip
def test_json_beyond_the_limits_is_one_sentence(text: str) -> None:
    with pytest.raises(DferError, match=r"^strange\.json") as told:
        parse_json(text, "strange.json")
    assert len(str(told.value)) < 500


@pytest.mark.parametrize(
    "text",
    ["a = " + "[" * 5_000, "a = " + "9" * 5_000, ".".join("a" * 60) + " = 1", "a = ", "a = 1\na = 2", "a = \x01"],
)
def test_toml_beyond_the_limits_is_one_sentence(text: str) -> None:
    with pytest.raises(DferError, match=r"^strange\.toml") as told:
        parse_toml(text, "strange.toml")
    assert len(str(told.value)) < 500


def test_brackets_and_quotes_inside_text_are_no_nesting() -> None:
    text = "[{" * DEEPEST + '\\"' * 3
    assert parse_json(f'["{text}"]', "x") == [text.replace('\\"', '"')]


def test_pairs_of_surrogates_and_a_byte_order_mark_are_fine() -> None:
    assert parse_json(b'\xef\xbb\xbf["\\ud83d\\ude00"]', "x") == ["\N{GRINNING FACE}"]


def test_not_a_number_is_refused_where_it_means_nothing() -> None:
    with pytest.raises(DferError, match="finite numbers, got NaN"):
        parse_json("[NaN]", "x", finite=True)
    assert str(parse_json("[NaN]", "x")) == "[nan]"


def test_bytes_that_are_not_utf8_are_refused() -> None:
    with pytest.raises(DferError, match="cannot be read as TOML"):
        parse_toml(b"a = '\xff'", "x.toml")


def test_what_is_no_file_is_refused_at_once(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    for place, kind in [(tmp_path, "a folder"), (tmp_path / "pipe", "a named pipe"), (Path("/dev/zero"), "a device")]:
        with pytest.raises(DferError, match=f"expected a file, got {kind}"):
            read_json(place)
    for place in (tmp_path / "missing", Path("nul\0l")):
        with pytest.raises(DferError, match="cannot be read"):
            read_toml(place)


def test_a_file_that_is_too_large_is_not_read(tmp_path: Path) -> None:
    with (tmp_path / "large.json").open("wb") as file:
        file.truncate(2**34)  # no bytes on the disk
    with pytest.raises(DferError, match="expected at most 16 MB, got 16384 MB"):
        read_json(tmp_path / "large.json")


def test_an_error_names_source_and_key() -> None:
    with pytest.raises(DferError, match=r"^shop\.json: legs: .*valid integer.*, got 'four'$"):
        checked(Chair, {"legs": "four"}, "shop.json")
    assert checked(Chair, {"legs": 4}, "shop.json") == Chair(4)
