"""A timeline from a file or from plain values, checked: the way back of `dfer.inference.timeline_writing`.

JSON is read by Arrow, without a Python object for each number. What Arrow cannot read because it is damaged is read in
Python, which can say what is wrong.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
import numpy.typing as npt
from pydantic import AfterValidator, BaseModel, Field, model_validator

from dfer.documents import check_depth, checked, parse_json
from dfer.errors import DferError, listed, shortened
from dfer.files import read_bytes, require_file
from dfer.inference import flaws as quality_flaws
from dfer.inference.doubts import KINDS, Doubts
from dfer.inference.population import TRAINED
from dfer.inference.segments import Segment
from dfer.inference.timeline import BOX, DOUBTS, FORMAT, Person, Timeline
from dfer.inference.timeline_writing import HEAD, ROWS
from dfer.labels import EmotionSet
from dfer.labels.emotions import MOST_EMOTIONS
from dfer.tables import is_text, read_parquet

Floats = npt.NDArray[np.float64]

LARGEST = 2**30
"""Bytes of a file; ten hours of ten people in every frame."""
LARGEST_HEAD = 4096
"""Bytes in which a document begins and ends."""
SPACES = b" \t\r\n\xef\xbb\xbf"
"""Around a document, with a byte order mark."""
LARGEST_PLAIN = 64 * 2**20
"""Bytes of JSON that is read in Python, to say what is wrong in it."""
MOST_PEOPLE = 100_000
LONGEST_S = 10**8
"""Seconds of a film, three years."""
WIDEST = 10**6
"""Pixels: the largest number in a box."""


def _printed(text: str) -> str:
    if not is_text(text):
        raise ValueError("expected text without a null character")
    return text


Text = Annotated[str, AfterValidator(_printed)]
Share = Annotated[float, Field(ge=0, le=1)]
Seconds = Annotated[float, Field(ge=0, le=LONGEST_S, allow_inf_nan=False)]


class _Segment(BaseModel):
    start_s: Seconds
    apex_s: Seconds
    end_s: Seconds
    emotion: str
    score: float = Field(ge=0, le=1)
    mixed: Share | None = None
    cannot_tell: Share | None = None
    doubt: Text | None = None

    @model_validator(mode="after")
    def _in_order(self) -> _Segment:
        if not self.start_s <= self.apex_s <= self.end_s:
            raise ValueError("expected start_s, apex_s and end_s in this order")
        return self


class _PersonHead(BaseModel):
    id: int = Field(ge=0, le=2**31 - 1)
    segments: list[_Segment]
    overall: list[float] | None = None
    name: Text = ""


class _Head(BaseModel):
    video: Text
    duration_s: Seconds
    cuts_s: list[Seconds] = []
    emotions: list[Text] = Field(max_length=MOST_EMOTIONS)
    people: list[_PersonHead] = Field(max_length=MOST_PEOPLE)
    fps: float | None = Field(None, gt=0, allow_inf_nan=False)
    rotate: Literal[0, 90, 180, 270] = 0
    prior: Text = TRAINED
    abstain: float | None = Field(None, gt=0, lt=1)
    one_view_s: list[tuple[Seconds, Seconds]] = []


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


@dataclass(frozen=True, eq=False)
class _Rows:
    """The rows of a person as arrays; NaN where there is no face."""

    times: Floats
    probs: Floats
    boxes: Floats
    flaws: npt.NDArray[np.uint8]
    files: tuple[str, ...]
    doubts: Doubts | None


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


def _read_head(values: Any, source: str) -> _Head:
    found = values.get("format") if isinstance(values, dict) else None
    if found != FORMAT:
        told = shortened(str(found))
        raise DferError(f"{source}: expected the format {FORMAT}, got {told}; use the version of dfer it is from")
    return checked(_Head, values, source)


def _from_lists(values: Any, size: int, where: str) -> _Rows:
    plain = checked(_ListRows, values, where)
    flags = plain.flaws if plain.flaws is not None else [None] * len(plain.times_s)
    bits = {flag: _bits(flag, where) for flag in set(flags)}
    return _Rows(
        np.array(plain.times_s, dtype=np.float64),
        _table(plain.probs, size, f"{where}, probs"),
        _table(plain.boxes, len(BOX), f"{where}, boxes"),
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
    segment = dict.fromkeys(("start_s", "apex_s", "end_s", "score", "mixed", "cannot_tell"), pa.float64())
    segment |= {"emotion": pa.string(), "doubt": pa.string()}
    person = {
        "times_s": numbers, "probs": pa.list_(numbers), "boxes": pa.list_(numbers), "flaws": texts, "files": texts,
        "segments": pa.list_(pa.struct(segment)), "name": pa.string(), "id": pa.int64(), "overall": numbers,
        "mixed": numbers, "cannot_tell": numbers, "doubt": texts,
    }  # fmt: skip
    film = {
        "format": pa.string(), "video": pa.string(), "emotions": texts, "people": pa.list_(pa.struct(person)),
        "duration_s": pa.float64(), "cuts_s": numbers, "fps": pa.float64(), "rotate": pa.int64(), "prior": pa.string(),
        "abstain": pa.float64(), "one_view_s": pa.list_(numbers),
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
    found = {name: None if columns[name] is None else columns[name].to_pylist() for name in DOUBTS}
    return _Rows(times.to_numpy(), tables[0], tables[1], bits, names, _doubts(found, where))


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
    head = _read_head(parse_json((table.schema.metadata or {}).get(HEAD, b"null"), f"{source}: its head"), source)
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
    return _timeline(head, rows, source)


def _of_person(table: Any, emotions: Iterable[str], where: str) -> _Rows:
    probs, boxes = (
        np.stack([table[name].to_numpy() for name in names], axis=1) for names in (list(emotions), list(BOX))
    )
    bits = _arrow_bits(table["flaws"].combine_chunks(), where)
    files = tuple(name or "" for name in table["file"].to_pylist()) if "file" in table.column_names else ()
    found = {name: table[name].to_pylist() if name in table.column_names else None for name in DOUBTS}
    return _Rows(table["time_s"].to_numpy(), probs, boxes, bits, files, _doubts(found, where))


# --- whatever it came from


def _timeline(head: _Head, rows: list[_Rows], source: str) -> Timeline:
    try:
        emotions = EmotionSet("timeline", tuple(head.emotions))
    except DferError as error:
        raise DferError(f"{source}: {error}") from error
    ids = [person.id for person in head.people]
    if len(set(ids)) < len(ids):
        raise DferError(f"{source}: expected people with an id each, got {listed(ids)}")
    if (np.diff(head.cuts_s) <= 0).any():
        raise DferError(f"{source}: cuts_s: expected times that increase")
    if (np.diff(np.ravel(head.one_view_s)) < 0).any():
        raise DferError(f"{source}: one_view_s: expected spans one after the other, each from its start to its end")
    people = tuple(
        _person(person, found, emotions, f"{source}: person {person.id}")
        for person, found in zip(head.people, rows, strict=True)
    )
    return Timeline(
        head.video, head.duration_s, emotions, people,
        fps=head.fps, rotate=head.rotate, cuts_s=tuple(head.cuts_s), prior=head.prior, abstain=head.abstain,
        one_view_s=tuple(head.one_view_s),
    )  # fmt: skip


def _person(head: _PersonHead, rows: _Rows, emotions: EmotionSet, where: str) -> Person:
    """A person whose rows fit together; says what does not."""
    count = len(rows.times)
    lengths = {"probs": len(rows.probs), "boxes": len(rows.boxes), "flaws": len(rows.flaws)}
    if rows.files:
        lengths["files"] = len(rows.files)
    if rows.doubts is not None:
        lengths |= {"mixed": len(rows.doubts.mixed), "cannot_tell": len(rows.doubts.cannot_tell)}
        lengths["doubt"] = len(rows.doubts.kinds)
    if set(lengths.values()) != {count}:
        raise DferError(f"{where} has {count} times but {listed(f'{n} {name}' for name, n in lengths.items())}")
    _check_rows(rows, where)
    overall = _table([head.overall], len(emotions), f"{where}, overall")[0]
    _check_sums(rows.probs, f"{where}: expected probabilities")
    _check_sums(overall[None], f"{where}: expected overall")
    unknown = {segment.emotion for segment in head.segments} - set(emotions)
    if unknown:
        raise DferError(f"{where}: its segments name {listed(sorted(unknown))}, not among {listed(emotions, 12)}")
    segments = tuple(Segment(**segment.model_dump(exclude_none=True)) for segment in head.segments)
    return Person(
        head.id, rows.times, rows.probs, rows.boxes, rows.flaws, segments, overall, rows.files, head.name, rows.doubts
    )


def _check_rows(rows: _Rows, where: str) -> None:
    """Raises where times, probs or boxes cannot be."""
    unseen = np.isnan(rows.probs).any(axis=1)
    for table in (rows.probs, rows.boxes):
        if (np.isnan(table).all(axis=1) != unseen).any() or (np.isnan(table).any(axis=1) != unseen).any():
            raise DferError(f"{where}: expected null in probs and boxes at the same times, and in whole rows")
    if rows.doubts is not None:
        scores = np.stack([rows.doubts.mixed, rows.doubts.cannot_tell], axis=1)
        known = ((scores >= 0) & (scores <= 1)).all(axis=1)
        if not (known | unseen).all() or (rows.doubts.kinds[unseen] > 0).any():
            raise DferError(f"{where}: expected mixed and cannot_tell from 0 to 1, and null where probs are")
    times = rows.times
    if not ((times >= 0) & (times <= LONGEST_S)).all() or (np.diff(times) <= 0).any():
        raise DferError(f"{where}: expected times that increase, from 0 to {LONGEST_S:,} seconds")
    boxes = rows.boxes[~unseen]
    wrong = (np.abs(boxes) > WIDEST).any(axis=1) | (boxes[:, 2:] < 0).any(axis=1)
    if wrong.any():
        first = boxes[int(np.flatnonzero(wrong)[0])].tolist()
        raise DferError(f"{where}: expected boxes of pixels up to {WIDEST:,}, width and height from 0, got {first}")


def _check_sums(rows: Floats, told: str) -> None:
    given = rows[~np.isnan(rows).all(axis=1)]
    with np.errstate(over="ignore"):  # of numbers near the largest there are
        totals = given.sum(axis=1)
    if not ((given >= 0).all() and (np.abs(totals - 1) <= 0.01).all()):
        raise DferError(
            f"{told} of 0 or more that sum to one, got {listed(round(total, 3) for total in totals.tolist())}"
        )
