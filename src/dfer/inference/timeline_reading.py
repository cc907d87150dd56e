"""A timeline from a file or from plain values, checked: the way back of `dfer.inference.timeline_writing`.

JSON is read by Arrow, without a Python object for each number. What Arrow cannot read because it is damaged is read in
Python, which can say what is wrong.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from pydantic import BaseModel

from dfer.documents import check_depth, checked, parse_json
from dfer.errors import DferError, listed
from dfer.files import read_bytes, require_file
from dfer.inference import flaws as quality_flaws
from dfer.inference.doubts import KINDS, Doubts
from dfer.inference.timeline import BOX, DOUBTS, Timeline
from dfer.inference.timeline_checks import Rows, Text, as_table, checked_timeline, read_head
from dfer.inference.timeline_writing import HEAD, ROWS
from dfer.tables import read_parquet

Floats = npt.NDArray[np.float64]

LARGEST = 2**30
"""Bytes of a file; ten hours of ten people in every frame."""
LARGEST_HEAD = 4096
"""Bytes in which a document begins and ends."""
SPACES = b" \t\r\n\xef\xbb\xbf"
"""Around a document, with a byte order mark."""
LARGEST_PLAIN = 64 * 2**20
"""Bytes of JSON that is read in Python, to say what is wrong in it."""


class _ListRows(BaseModel):
    """The rows of a person as JSON has them."""

    times_s: list[float]
    probs: list[list[float] | None]
    boxes: list[list[float] | None]
    flaws: list[str | None] | None = None
    files: list[Text] = []
    mixed: list[float | None] | None = None
    cannot_tell: list[float | None] | None = None
    doubt: list[str | None] | None = None


def from_dict(values: Any, *, source: str) -> Timeline:
    """See `Timeline.from_dict`."""
    head = read_head(values, source)
    rows = [
        _from_lists(person, len(head.emotions), f"{source}: person {person.get('id')}") for person in values["people"]
    ]
    return checked_timeline(head, rows, source)


def load(path: Path) -> Timeline:
    """Read a file .json or .parquet, whichever its contents are.

    Raises:
        DferError: there is none, or it holds no timeline, or values that do not fit together; says which.
    """
    if path.suffix.lower() == ".parquet" or _is_parquet(path):
        return _from_parquet(path)
    data, source = read_bytes(path, LARGEST), str(path)
    check_depth(data, source)
    # Arrow's reader crashes on a document that is no object
    object_ = data[:LARGEST_HEAD].lstrip(SPACES)[:1] == b"{" and data[-LARGEST_HEAD:].rstrip(SPACES)[-1:] == b"}"
    found = _from_arrow(data, source=source) if object_ else None
    if found is None and len(data) > LARGEST_PLAIN:
        raise DferError(f"{path}: not a timeline that can be read: its JSON is damaged or of another format")
    return found or from_dict(parse_json(data, source, finite=True), source=source)


def _is_parquet(path: Path) -> bool:
    require_file(path)
    with path.open("rb") as file:
        return file.read(4) == b"PAR1"


def _from_lists(values: Any, size: int, where: str) -> Rows:
    plain = checked(_ListRows, values, where)
    flags = plain.flaws if plain.flaws is not None else [None] * len(plain.times_s)
    bits = {flag: _bits(flag, where) for flag in set(flags)}
    return Rows(
        np.array(plain.times_s, dtype=np.float64),
        as_table(plain.probs, size, f"{where}, probs"),
        as_table(plain.boxes, len(BOX), f"{where}, boxes"),
        np.array([bits[flag] for flag in flags], dtype=np.uint8),
        tuple(plain.files),
        _doubts({name: getattr(plain, name) for name in DOUBTS}, where),
    )


def _doubts(columns: Mapping[str, Any], where: str) -> Doubts | None:
    """What is known of doubts, of the columns `DOUBTS`; None unless all of it is, as in files of earlier versions."""
    mixed, cannot_tell, doubt = (columns[name] for name in DOUBTS)
    if mixed is None or cannot_tell is None or doubt is None:
        return None
    if unknown := {each or "" for each in doubt} - set(KINDS):
        raise DferError(f"{where}: unknown doubt {listed(sorted(unknown))}; known: {listed(KINDS[1:])}")
    place = {kind: number for number, kind in enumerate(KINDS)} | {None: 0}
    kinds = np.array([place[each] for each in doubt], dtype=np.uint8)
    return Doubts(np.array(mixed, dtype=np.float64), np.array(cannot_tell, dtype=np.float64), kinds)


def _bits(flag: str | None, where: str) -> int:
    try:
        return quality_flaws.bits(flag or "")
    except KeyError as error:
        raise DferError(f"{where}: unknown flaw {error}; known: {listed(quality_flaws.FLAWS)}") from error


def _from_arrow(data: bytes, *, source: str) -> Timeline | None:
    """A timeline of JSON, its rows read by Arrow; None where Arrow cannot, so that plain values tell what is wrong."""
    import pyarrow as pa
    import pyarrow.json as arrow_json

    numbers, texts = pa.list_(pa.float64()), pa.list_(pa.string())
    segment = dict.fromkeys(("start_s", "apex_s", "end_s", "score", "mixed", "cannot_tell"), pa.float64())
    segment |= {"emotion": pa.string(), "doubt": pa.string()}
    person = {
        "times_s": numbers, "probs": pa.list_(numbers), "boxes": pa.list_(numbers), "flaws": texts, "files": texts,
        "segments": pa.list_(pa.struct(segment)), "name": pa.string(), "id": pa.int64(), "overall": numbers,
        "mixed": numbers, "cannot_tell": numbers, "doubt": texts,
    }  # fmt: skip
    film = {
        "format": pa.string(), "video": pa.string(), "emotions": texts, "people": pa.list_(pa.struct(person)),
        "start_s": pa.float64(), "duration_s": pa.float64(), "cuts_s": numbers, "fps": pa.float64(),
        "rotate": pa.int64(), "prior": pa.string(), "abstain": pa.float64(), "one_view_s": pa.list_(numbers),
    }  # fmt: skip
    parse = arrow_json.ParseOptions(
        explicit_schema=pa.schema(film), newlines_in_values=True, unexpected_field_behavior="ignore"
    )
    read = arrow_json.ReadOptions(block_size=len(data) + 1)
    try:
        table = arrow_json.read_json(pa.py_buffer(data), read_options=read, parse_options=parse)
        table.validate(full=True)  # text that is no UTF-8
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError):
        return None
    people = table["people"].combine_chunks() if len(table) == 1 else None
    if people is None or people.null_count or people.values.null_count:
        return None
    fields = [field.name for field in people.values.type if field.name not in ROWS]
    values = _given(table.drop_columns("people").to_pylist()[0])
    values["people"] = [_given({name: person[name].as_py() for name in fields}) for person in people.values]
    head = read_head(values, source)
    wheres = [f"{source}: person {person.id}" for person in head.people]
    found = [
        _from_columns(person, len(head.emotions), where) for person, where in zip(people.values, wheres, strict=True)
    ]
    return None if None in found else checked_timeline(head, [one for one in found if one is not None], source)


def _given(values: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in values.items() if value is not None}


def _from_columns(person: Any, size: int, where: str) -> Rows | None:
    """The rows of a person of Arrow; None where a column is missing or holds null in place of a number."""
    columns = {name: person[name].values for name in ROWS}
    times = columns["times_s"]
    if times is None or times.null_count or any(columns[name] is None for name in ("probs", "boxes")):
        return None
    tables = [_arrow_table(columns["probs"], size), _arrow_table(columns["boxes"], len(BOX))]
    if tables[0] is None or tables[1] is None:
        return None
    flags, files = columns["flaws"], columns["files"]
    bits = np.zeros(len(times), np.uint8) if flags is None else _arrow_bits(flags, where)
    names = () if files is None else tuple(files.to_pylist())
    found = {name: None if columns[name] is None else columns[name].to_pylist() for name in DOUBTS}
    return Rows(times.to_numpy(), tables[0], tables[1], bits, names, _doubts(found, where))


def _arrow_table(rows: Any, width: int) -> Floats | None:
    """(n, width), NaN for null; None where rows are of another width or hold null."""
    values, seen = rows.flatten(), rows.is_valid().to_numpy(zero_copy_only=False)
    lengths = rows.value_lengths().drop_null().to_numpy()
    if values.null_count or (lengths != width).any():
        return None
    table = np.full((len(rows), width), np.nan)
    table[seen] = values.to_numpy().reshape(-1, width)
    return table


def _arrow_bits(flags: Any, where: str) -> npt.NDArray[np.uint8]:
    coded = flags.fill_null("").dictionary_encode()
    known = np.array([_bits(name, where) for name in coded.dictionary.to_pylist()], dtype=np.uint8)
    return known[coded.indices.to_numpy()] if len(known) else np.zeros(0, np.uint8)


def _from_parquet(path: Path) -> Timeline:
    source = str(path)
    table = read_parquet(path, lambda name: "text" if name in ("flaws", "file", "doubt") else "number")
    head = read_head(parse_json((table.schema.metadata or {}).get(HEAD, b"null"), f"{source}: its head"), source)
    wanted = ("person", "time_s", "flaws", *head.emotions, *BOX)
    missing = [name for name in wanted if name not in table.column_names]
    scores = [name for name in DOUBTS[:2] if name in table.column_names]
    numbers = [*(name for name in wanted if name != "flaws" and name not in missing), *scores]
    wrong = [name for name in numbers if str(table.schema.field(name).type) != "double"]
    if missing or wrong:
        raise DferError(f"{source}: expected columns of numbers {listed(missing or wrong)}; is this a timeline?")
    owners = table["person"].to_numpy()
    rows = [
        _of_person(table.filter(owners == person.id), head.emotions, f"{source}: person {person.id}")
        for person in head.people
    ]
    return checked_timeline(head, rows, source)


def _of_person(table: Any, emotions: Iterable[str], where: str) -> Rows:
    probs, boxes = (
        np.stack([table[name].to_numpy() for name in names], axis=1) for names in (list(emotions), list(BOX))
    )
    bits = _arrow_bits(table["flaws"].combine_chunks(), where)
    files = tuple(name or "" for name in table["file"].to_pylist()) if "file" in table.column_names else ()
    found = {name: table[name].to_pylist() if name in table.column_names else None for name in DOUBTS}
    return Rows(table["time_s"].to_numpy(), probs, boxes, bits, files, _doubts(found, where))
