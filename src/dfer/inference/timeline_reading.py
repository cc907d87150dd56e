"""A timeline from a file or from plain values, checked: the way back of `dfer.inference.timeline_writing`.

JSON is read by Arrow, without a Python object for each number. What Arrow cannot read, because it is damaged or larger
than 2 GB, is read in Python, which can say what is wrong.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
from pydantic import BaseModel, Field, ValidationError

from dfer.errors import DferError, listed
from dfer.inference import flaws as quality_flaws
from dfer.inference.segments import Segment
from dfer.inference.timeline import BOX, FORMAT, Person, Timeline
from dfer.inference.timeline_writing import HEAD, ROWS
from dfer.labels import EmotionSet

Floats = npt.NDArray[np.float64]

MOST_BYTES = 2**31 - 2
"""Arrow reads one JSON value of at most so many bytes; a larger one is read in Python."""


class _PersonHead(BaseModel):
    id: int
    segments: list[Segment]
    overall: list[float] | None = None
    name: str = ""


class _Head(BaseModel):
    video: str
    duration_s: float
    cuts_s: list[float] = []
    emotions: list[str]
    people: list[_PersonHead]
    fps: float | None = Field(None, gt=0, allow_inf_nan=False)
    rotate: Literal[0, 90, 180, 270] = 0


class _ListRows(BaseModel):
    """The rows of a person as JSON has them."""

    times_s: list[float]
    probs: list[list[float] | None]
    boxes: list[list[float] | None]
    flaws: list[str | None] | None = None
    files: list[str] = []


@dataclass(frozen=True, eq=False)
class _Rows:
    """The rows of a person as arrays; NaN where there is no face."""

    times: Floats
    probs: Floats
    boxes: Floats
    flaws: npt.NDArray[np.uint8]
    files: tuple[str, ...]


def from_dict(values: Any, *, source: str) -> Timeline:
    """See `Timeline.from_dict`."""
    head = _read_head(values, source)
    rows = [
        _from_lists(person, len(head.emotions), f"{source}: person {person.get('id')}") for person in values["people"]
    ]
    return _timeline(head, rows, source)


def load(path: Path) -> Timeline:
    """Read a file .json or .parquet, whichever its contents are.

    Raises:
        DferError: there is none, or it holds no timeline, or values that do not fit together; says which.
    """
    try:
        data = path.read_bytes()
        if data[:4] == b"PAR1":
            return _from_parquet(data, source=str(path))
        found = _from_arrow(data, source=str(path))
        values = json.loads(data.decode("utf-8-sig")) if found is None else None
    except (OSError, UnicodeDecodeError, json.JSONDecodeError) as error:
        raise DferError(f"{path}: not a timeline that can be read: {error}") from error
    return found or from_dict(values, source=str(path))


def _read_head(values: Any, source: str) -> _Head:
    found = values.get("format") if isinstance(values, dict) else None
    if found != FORMAT:
        raise DferError(f"{source}: expected the format {FORMAT}, got {found}; use the version of dfer it is from")
    head: _Head = _validated(_Head, values, source)
    return head


def _validated(model: Any, values: Any, source: str) -> Any:
    try:
        return model.model_validate(values)
    except ValidationError as error:
        first = error.errors()[0]
        raise DferError(f"{source} is damaged: {'.'.join(map(str, first['loc']))}: {first['msg']}") from error


def _from_lists(values: Any, size: int, where: str) -> _Rows:
    plain = _validated(_ListRows, values, where)
    flags = plain.flaws if plain.flaws is not None else [None] * len(plain.times_s)
    bits = {flag: _bits(flag, where) for flag in set(flags)}
    return _Rows(
        np.array(plain.times_s, dtype=np.float64),
        _table(plain.probs, size, f"{where}, probs"),
        _table(plain.boxes, len(BOX), f"{where}, boxes"),
        np.array([bits[flag] for flag in flags], dtype=np.uint8),
        tuple(plain.files),
    )


def _table(rows: list[list[float] | None], width: int, where: str) -> Floats:
    """(n, width), NaN for null."""
    wrong = [len(row) for row in rows if row is not None and len(row) != width]
    if wrong:
        raise DferError(f"{where}: expected rows of {width} numbers, got {listed(wrong)}")
    table = np.array([row if row is not None else [np.nan] * width for row in rows], dtype=np.float64)
    return table.reshape(len(rows), width)


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
    person = {
        "times_s": numbers, "probs": pa.list_(numbers), "boxes": pa.list_(numbers), "flaws": texts, "files": texts,
        "segments": pa.list_(pa.struct({"emotion": pa.string()})), "name": pa.string(),
    }  # fmt: skip
    # What is not named here is inferred; of texts, some look like dates.
    film = {"format": pa.string(), "video": pa.string(), "emotions": texts, "people": pa.list_(pa.struct(person))}
    parse = arrow_json.ParseOptions(explicit_schema=pa.schema(film), newlines_in_values=True)
    read = arrow_json.ReadOptions(block_size=min(len(data) + 1, MOST_BYTES))
    try:
        table = arrow_json.read_json(pa.py_buffer(data), read_options=read, parse_options=parse)
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError):
        return None
    people = table["people"].combine_chunks() if len(table) == 1 else None
    if people is None or people.null_count or people.values.null_count:
        return None
    fields = [field.name for field in people.values.type if field.name not in ROWS]
    values = _given(table.drop_columns("people").to_pylist()[0])
    values["people"] = [_given({name: person[name].as_py() for name in fields}) for person in people.values]
    head = _read_head(values, source)
    wheres = [f"{source}: person {person.id}" for person in head.people]
    found = [
        _from_columns(person, len(head.emotions), where) for person, where in zip(people.values, wheres, strict=True)
    ]
    return None if None in found else _timeline(head, [one for one in found if one is not None], source)


def _given(values: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in values.items() if value is not None}


def _from_columns(person: Any, size: int, where: str) -> _Rows | None:
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
    return _Rows(times.to_numpy(), tables[0], tables[1], bits, names)


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
    return np.asarray(known[coded.indices.to_numpy()] if len(known) else np.zeros(0, np.uint8))


def _from_parquet(data: bytes, *, source: str) -> Timeline:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        table = pq.read_table(pa.py_buffer(data))
        values = json.loads((table.schema.metadata or {}).get(HEAD, b"null"))
        head = _read_head(values, source)
        owners = table["person"].to_numpy()
        rows = [
            _of_person(table.filter(owners == person.id), head.emotions, f"{source}: person {person.id}")
            for person in head.people
        ]
    except (pa.ArrowException, KeyError, ValueError) as error:
        raise DferError(f"{source}: not a timeline that can be read: {error}") from error
    return _timeline(head, rows, source)


def _of_person(table: Any, emotions: Iterable[str], where: str) -> _Rows:
    probs, boxes = (
        np.stack([table[name].to_numpy() for name in names], axis=1) for names in (list(emotions), list(BOX))
    )
    flags = table["flaws"].combine_chunks()
    bits = _arrow_bits(flags.dictionary_decode() if hasattr(flags, "dictionary_decode") else flags, where)
    files = tuple(table["file"].to_pylist()) if "file" in table.column_names else ()
    return _Rows(table["time_s"].to_numpy(), probs, boxes, bits, files)


# --- whatever it came from


def _timeline(head: _Head, rows: list[_Rows], source: str) -> Timeline:
    emotions = EmotionSet("timeline", tuple(head.emotions))
    people = tuple(
        _person(person, found, emotions, f"{source}: person {person.id}")
        for person, found in zip(head.people, rows, strict=True)
    )
    return Timeline(
        head.video, head.duration_s, emotions, people,
        fps=head.fps, rotate=head.rotate, cuts_s=tuple(head.cuts_s),
    )  # fmt: skip


def _person(head: _PersonHead, rows: _Rows, emotions: EmotionSet, where: str) -> Person:
    """A person whose rows fit together; says what does not."""
    count = len(rows.times)
    lengths = {"probs": len(rows.probs), "boxes": len(rows.boxes), "flaws": len(rows.flaws)}
    if rows.files:
        lengths["files"] = len(rows.files)
    if set(lengths.values()) != {count}:
        raise DferError(f"{where} has {count} times but {listed(f'{n} {name}' for name, n in lengths.items())}")
    if (np.isnan(rows.probs[:, 0]) != np.isnan(rows.boxes[:, 0])).any():
        raise DferError(f"{where}: expected null in probs and boxes at the same times")
    if not np.isfinite(rows.times).all() or (np.diff(rows.times) <= 0).any():
        raise DferError(f"{where}: expected times that increase")
    overall = _table([head.overall], len(emotions), f"{where}, overall")[0]
    _check_sums(rows.probs, f"{where}: expected probabilities")
    _check_sums(overall[None], f"{where}: expected overall")
    unknown = {segment.emotion for segment in head.segments} - set(emotions)
    if unknown:
        raise DferError(f"{where}: its segments name {listed(sorted(unknown))}, not among {listed(emotions, 12)}")
    return Person(
        head.id, rows.times, rows.probs, rows.boxes, rows.flaws, tuple(head.segments), overall, rows.files, head.name
    )


def _check_sums(rows: Floats, told: str) -> None:
    given = rows[~np.isnan(rows).all(axis=1)]
    totals = given.sum(axis=1)
    if not ((given >= 0).all() and (np.abs(totals - 1) <= 0.01).all()):
        raise DferError(f"{told} of 0 or more that sum to one, got {listed(totals.round(3))}")
