"""A timeline as a file that can be read again: JSON (`dfer.timeline/1`, see docs/timeline.md) and its twin in Parquet.

A file has a head (what is said once, of the video and of each person) and rows (what is said of each time). Films of
hours have millions of rows: they go from arrays to text in Arrow, without a Python object for each number.
`dfer.inference.timeline_reading` is the way back.
"""

from __future__ import annotations

import io
import json
import re
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from dfer.files import replacing
from dfer.inference import flaws as quality_flaws
from dfer.inference.doubts import KINDS, Stretch, Verdict
from dfer.inference.population import TRAINED
from dfer.inference.segments import Segment
from dfer.inference.timeline import DOUBTS, FORMAT, Person, Timeline

Floats = npt.NDArray[np.float64]

ROWS = ("times_s", "probs", "boxes", "flaws", "files", *DOUBTS)
"""The keys of a person that have a value for each time."""
DECIMALS = {"times_s": 4, "probs": 4, "boxes": 1}
HEAD = b"dfer.timeline"
"""The key of a Parquet file's metadata that holds the head, as JSON."""


def to_dict(timeline: Timeline) -> dict[str, Any]:
    """See `Timeline.to_dict`."""
    people = [head | _plain_rows(person) for head, person in zip(_people_heads(timeline), timeline.people, strict=True)]
    return _film_head(timeline) | {"people": people}


def write_json(timeline: Timeline, path: Path) -> None:
    """Write a timeline as JSON, person by person, so that memory holds the text of one of them at most."""
    with replacing(path) as partial, partial.open("wb") as file:
        file.write(_json(_film_head(timeline))[:-1] + b',"people":[')
        for number, (head, person) in enumerate(zip(_people_heads(timeline), timeline.people, strict=True)):
            file.write((b"," if number else b"") + _json(head)[:-1])
            for key, text in _row_texts(person):
                file.write(b',"' + key.encode() + b'":' + text)
            file.write(b"}")
        file.write(b"]}\n")


def write_parquet(timeline: Timeline, path: Path) -> None:
    """Write a timeline as Parquet: the table of `Timeline.to_dataframe`, with the head in the metadata."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    head = _film_head(timeline) | {"people": _people_heads(timeline)}
    table = pa.Table.from_pandas(
        timeline.to_dataframe().drop(columns=["entropy", "shot", "name"], errors="ignore"), preserve_index=False
    )
    for name in ("flaws", "doubt"):
        if (place := table.schema.get_field_index(name)) >= 0:
            table = table.set_column(place, name, table[name].cast(pa.string()).dictionary_encode())
    with replacing(path) as partial:
        pq.write_table(table.replace_schema_metadata({HEAD: _json(head)}), partial, compression="zstd")


def _film_head(timeline: Timeline) -> dict[str, Any]:
    return {
        "format": FORMAT,
        "video": timeline.video,
        "start_s": round(timeline.start_s, 4),
        "duration_s": round(timeline.duration_s, 4),
        **({"fps": timeline.fps} if timeline.fps else {}),
        **({"rotate": timeline.rotate} if timeline.rotate else {}),
        **({"prior": timeline.prior} if timeline.prior != TRAINED else {}),
        **({"abstain": timeline.abstain} if timeline.abstain is not None else {}),
        **({"one_view_s": np.round(timeline.one_view_s, 4).tolist()} if timeline.one_view_s else {}),
        "cuts_s": [round(cut_s, 4) for cut_s in timeline.cuts_s],
        "emotions": list(timeline.emotions),
    }


def _people_heads(timeline: Timeline) -> list[dict[str, Any]]:
    return [
        {
            "id": person.id,
            **({"name": person.name} if person.name else {}),
            "segments": [_rounded(segment) for segment in person.segments],
            "overall": None if np.isnan(person.overall).any() else person.overall.round(4).tolist(),
            **_overall_doubt(person, timeline),
        }
        for person in timeline.people
    ]


def _overall_doubt(person: Person, timeline: Timeline) -> dict[str, Any]:
    """What is said of doubts once for a person: over the whole film, and when no emotion is named."""
    verdict = timeline.verdict(person)
    if verdict is None:
        return {}
    return {
        "overall_doubt": _rounded(verdict),
        "stretches": [_rounded(stretch) for stretch in timeline.stretches(person)],
    }


def _rounded(value: Segment | Verdict | Stretch) -> dict[str, Any]:
    """The fields that are known; no doubt is not told."""
    plain = {key: round(each, 4) if isinstance(each, float) else each for key, each in asdict(value).items()}
    return {key: each for key, each in plain.items() if each not in (None, "") and key != "kind"}


def _plain_rows(person: Person) -> dict[str, Any]:
    seen = person.seen.tolist()
    return {
        "times_s": person.times.round(DECIMALS["times_s"]).tolist(),
        "probs": _lists(person.probs.round(DECIMALS["probs"]), seen),
        "boxes": _lists(person.boxes.round(DECIMALS["boxes"]), seen),
        "flaws": _flaw_names(person),
        **_plain_doubts(person),
        **({"files": list(person.files)} if person.files else {}),
    }


def _plain_doubts(person: Person) -> dict[str, Any]:
    if person.doubts is None:
        return {}
    seen, doubts = person.seen, person.doubts
    scores = {key: getattr(doubts, key).round(4).tolist() for key in ("mixed", "cannot_tell")}
    plain = {
        key: [row if there else None for row, there in zip(rows, seen, strict=True)] for key, rows in scores.items()
    }
    return plain | {"doubt": [KINDS[kind] if there else None for kind, there in zip(doubts.kinds, seen, strict=True)]}


def _lists(table: Floats, seen: list[bool]) -> list[list[float] | None]:
    return [row if is_seen else None for row, is_seen in zip(table.tolist(), seen, strict=True)]


def _flaw_names(person: Person) -> list[str | None]:
    found = quality_flaws.all_names()[person.flaws]
    found[~person.seen] = None
    return list(found)


def _row_texts(person: Person) -> Iterator[tuple[str, bytes]]:
    """The rows of a person as JSON, key by key."""
    times, seen = person.times[:, None].round(DECIMALS["times_s"]), person.seen
    yield "times_s", b"[" + _lines(times).replace(b"\n", b",")[:-1] + b"]"
    for key in ("probs", "boxes"):
        table = getattr(person, key).round(DECIMALS[key])
        lines = _lines(np.where(seen[:, None], table, np.nan))
        rows = b"[[" + lines.replace(b"\n", b"],[")[:-2] if lines else b"["
        empty = b"[" + b"," * (table.shape[1] - 1) + b"]"
        yield key, rows.replace(empty, b"null") + b"]" if not seen.all() else rows + b"]"
    yield "flaws", _json(_flaw_names(person))
    for key, values in _plain_doubts(person).items():
        yield key, _json(values)
    if person.files:
        yield "files", _json(list(person.files))


def _lines(table: Floats) -> bytes:
    """A row a line, its numbers apart by commas, NaN as nothing."""
    import pyarrow as pa
    import pyarrow.csv as csv

    columns = [pa.array(np.ascontiguousarray(column), from_pandas=True) for column in table.T]
    text = io.BytesIO()
    arrow = pa.table(columns, names=[str(number) for number in range(len(columns))])
    csv.write_csv(arrow, text, csv.WriteOptions(include_header=False))
    return text.getvalue()


def _json(values: Any) -> bytes:
    text = json.dumps(values, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
    # a name of a file that is not valid Unicode: an escape that is read again as text
    return re.sub("[\ud800-\udfff]", lambda half: f"\\\\u{ord(half[0]):04x}", text).encode()
