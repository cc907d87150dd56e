"""JSON and TOML that somebody else may have written: read within limits, and checked against a type; results as JSON.

Each function that reads answers with values that can be used as they are, or with one sentence that names the file and
the key.
What is too large, nested too deeply, has numbers of thousands of digits or text that is not valid Unicode is refused.
"""

from __future__ import annotations

import inspect
import json
import math
import re
import sys
from collections.abc import Callable, Collection, Mapping
from dataclasses import is_dataclass
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from pydantic import ConfigDict, TypeAdapter, ValidationError, create_model

from dfer.errors import DferError, listed, nearest, shortened
from dfer.files import read_bytes

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

MEGABYTE = 2**20
LARGEST = 16 * MEGABYTE
"""Bytes of a document, unless its reader says otherwise."""
DEEPEST = 32
"""Lists and tables inside each other; every format of ours has fewer than ten."""

T = TypeVar("T")
_NO_BRACKETS = bytes(set(range(256)) - set(b"[]{}"))
_STRING = re.compile(rb'"(?:[^"\\]|\\.)*"', re.DOTALL)


def read_json(path: Path, *, largest: int = LARGEST, finite: bool = False) -> Any:
    """The values of a JSON file.

    Args:
        path: a file; a device, a pipe or a folder is refused.
        largest: the bytes that it may have.
        finite: refuse NaN and infinite numbers, which JSON itself does not know.

    Raises:
        DferError: it cannot be read, is not JSON, or goes beyond the limits.
    """
    return parse_json(read_bytes(path, largest), str(path), finite=finite)


def parse_json(data: bytes | str, source: str, *, finite: bool = False) -> Any:
    """As `read_json`, for what is in memory already; `source` is what an error calls it."""
    data = data.encode("utf-8", errors="surrogatepass") if isinstance(data, str) else data
    check_depth(data, source)
    options: dict[str, Any] = {"parse_constant": _refuse if finite else None, "object_pairs_hook": _once}
    return _parsed(lambda text: json.loads(text, **options), data, source, "JSON")


def read_toml(path: Path, *, largest: int = MEGABYTE) -> dict[str, Any]:
    """The tables of a TOML file; limits and errors as for `read_json`."""
    return parse_toml(read_bytes(path, largest), str(path))


def parse_toml(data: bytes | str, source: str) -> dict[str, Any]:
    """As `read_toml`, for what is in memory already."""
    data = data.encode("utf-8", errors="surrogatepass") if isinstance(data, str) else data
    values: dict[str, Any] = _parsed(tomllib.loads, data, source, "TOML")
    return values


def checked_options(
    function: Callable[..., object], options: Mapping[str, object], source: str, *, strict: bool = True,
    besides: Collection[str] = (),
) -> dict[str, Any]:  # fmt: skip
    """Keyword options of a function, as its annotations and defaults say; errors as for `checked`.

    Args:
        function: the parameters that have a default are its options.
        options: those that are given.
        source: what an error calls them.
        strict: as for `checked`.
        besides: parameters that are none of its options.

    Returns:
        Those that are given; a text is what it stands for, unless it is strict.
    """
    parameters = inspect.signature(function, eval_str=True).parameters.values()
    own = [each for each in parameters if each.default is not each.empty and each.name not in besides]
    fields: Any = {each.name: (each.annotation, each.default) for each in own}
    kind = create_model("Options", __config__=ConfigDict(extra="forbid"), **fields)
    given: dict[str, Any] = checked(kind, options, source, strict=strict).model_dump(exclude_unset=True)
    return given


def checked(kind: type[T] | TypeAdapter[T], values: object, source: str, *, strict: bool = True) -> T:
    """The values as an instance of a type, or a sentence on the first key that does not fit it.

    Values count as JSON has them: a list does for a tuple and a whole number for a float, but no text and no truth
    value does for a number, unless it is not `strict`: then "true" does for True and "3" for 3.

    Raises:
        DferError: names the source, the key, what was expected and what came; of an unknown key the nearest known one.
    """
    adapter = kind if isinstance(kind, TypeAdapter) else TypeAdapter(kind)
    try:
        return adapter.validate_json(json.dumps(values, default=str), strict=strict)
    except ValidationError as error:
        first = error.errors(include_url=False, include_context=False)[0]
        raise DferError(f"{shortened(source, 200)}: {_explained(first, adapter)}") from error


def jsonable(value: Any) -> Any:
    """A result as dicts, lists, numbers and texts that JSON knows; NaN and infinity become None.

    A dataclass becomes a dict of its fields, or what its method `as_dict` gives; arrays and numbers of numpy become
    lists and numbers.
    """
    if is_dataclass(value):
        return jsonable(value.as_dict() if hasattr(value, "as_dict") else vars(value))
    if isinstance(value, Mapping):
        return {str(key): jsonable(item) for key, item in value.items()}
    if isinstance(value, np.ndarray | np.generic):
        return jsonable(value.tolist())
    if isinstance(value, list | tuple):
        return [jsonable(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def json_text(value: Any) -> str:
    """The text of a JSON file that holds a result."""
    return json.dumps(jsonable(value), indent=1, ensure_ascii=False, allow_nan=False) + "\n"


def _explained(fault: Any, adapter: TypeAdapter[Any]) -> str:
    """One of pydantic's faults in words."""
    place = fault["loc"]
    key = shortened(".".join(map(str, place)), 80)
    if fault["type"] in ("extra_forbidden", "unexpected_keyword_argument"):
        schema = adapter.json_schema()
        known = _keys_at(schema, place[:-1])
        deeper = [f"{each}.{place[-1]}" for each in known if place[-1] in _keys_at(schema, (*place[:-1], each))]
        meant = f" (did you mean '{deeper[0]}'?)" if len(deeper) == 1 else nearest(str(place[-1]), known)
        return f"unknown key {key}{meant}; known here: {listed(known, 12)}"
    told = shortened(fault["msg"].removeprefix("Value error, ").replace("Input should", "it should"), 200)
    hint = nearest(str(fault["input"]), re.findall(r"'([\w.-]+)'", told)) if fault["type"] == "literal_error" else ""
    if fault["type"] == "value_error" and isinstance(fault["input"], dict):  # of several keys: the sentence says which
        return f"{key}: {told}" if key else told
    return f"{key or 'the whole'}: {told}, got {shortened(repr(fault['input']), 80)}{hint}"


def _keys_at(schema: dict[str, Any], place: tuple[int | str, ...]) -> list[str]:
    """The keys that the JSON schema of a type knows at a place in it."""

    def resolved(node: dict[str, Any]) -> dict[str, Any]:
        node = next((part for part in node.get("anyOf", [node]) if "$ref" in part or "properties" in part), node)
        return schema["$defs"][node["$ref"].rpartition("/")[2]] if "$ref" in node else node

    node = resolved(schema)
    for part in place:
        node = resolved(node.get("properties", {}).get(part) or node.get("items", {}))
    return list(node.get("properties", {}))


def _parsed(parse: Callable[[str], Any], data: bytes, source: str, language: str) -> Any:
    try:
        values = parse(data.decode("utf-8-sig"))
    except RecursionError:
        raise DferError(f"{source}: its lists and tables are nested too deeply to be read as {language}") from None
    except ValueError as error:  # also of text that is not UTF-8, and of numbers with thousands of digits
        raise DferError(f"{source} cannot be read as {language}: {shortened(_reason(error), 200)}") from error
    if language == "TOML" or rb"\ud" in data.lower():
        _walk(values, source)
    return values


def _reason(error: ValueError) -> str:
    return str(error).partition("; use sys.")[0]  # Python's advice to itself


def _walk(values: object, source: str) -> None:
    """Refuse text with half of a surrogate pair, which cannot be written, and nesting that dots in a key can make."""
    waiting: list[tuple[object, int]] = [(values, 0)]
    while waiting:
        value, depth = waiting.pop()
        if depth > DEEPEST:
            raise DferError(f"{source}: expected tables inside each other up to {DEEPEST} times; it has more")
        if isinstance(value, dict):
            waiting += [(each, depth + 1) for pair in value.items() for each in pair]
        elif isinstance(value, list):
            waiting += [(each, depth + 1) for each in value]
        elif isinstance(value, str) and re.search("[\ud800-\udfff]", value):
            raise DferError(f"{source}: {shortened(ascii(value), 80)} is not valid Unicode text")


def check_depth(data: bytes, source: str) -> None:
    """Raises when the brackets of JSON go deeper than `DEEPEST`; does not read it."""
    brackets = np.frombuffer(_STRING.sub(b"", data).translate(None, _NO_BRACKETS), np.uint8)
    steps = np.where((brackets == ord("[")) | (brackets == ord("{")), 1, -1)
    if steps.cumsum(dtype=np.int64).max(initial=0) > DEEPEST:
        raise DferError(f"{source}: expected lists and objects inside each other up to {DEEPEST} times; it has more")


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """An object, in which a key that is there twice would hide the first of its values."""
    found: dict[str, Any] = {}
    for key, value in pairs:
        if key in found:
            raise ValueError(f"it has {shortened(key, 80)!r} twice")
        found[key] = value
    return found


def _refuse(constant: str) -> float:
    raise ValueError(f"expected finite numbers, got {constant}")
