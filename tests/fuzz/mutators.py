"""Ways to damage a file: bytes of any, and the structure of JSON, TOML, CSV, archives and packed clips.

A mutator takes bytes and a generator of random numbers and gives other bytes; one that does not fit the bytes gives
None, and another is tried.
"""

from __future__ import annotations

import io
import json
import random
import struct
import zipfile
from collections.abc import Callable, Sequence
from typing import Any

Mutator = Callable[[bytes, random.Random], bytes | None]

ODD: Sequence[Any] = (
    None, True, False, 0, -1, 1, 2**31, 2**63, 10**300, 1e308, -1e308, 0.5, float("nan"), float("inf"), "", "x", "\0",
    "\ud800", "a" * 5000, "=1+1", "\x1b[31m", "../../etc/passwd", "NaN", "1e999", "\u202egnp", "ä\nb", [], {}, [[]],
    [1, 2], {"a": 1}, [None] * 50, "9" * 5000, "-0", " ", "$x^2$", "<b>",
)  # fmt: skip
NUMBERS = (b"0", b"-1", b"1e300", b"1e999", b"NaN", b"-inf", b"99999999999999999999", b"9" * 5000, b"", b"0x1", b"1,5")


def flip(data: bytes, rng: random.Random) -> bytes:
    """Some bits."""
    changed = bytearray(data)
    for _ in range(rng.choice([1, 1, 2, 8, 64])):
        if changed:
            changed[rng.randrange(len(changed))] ^= 1 << rng.randrange(8)
    return bytes(changed)


def cut(data: bytes, rng: random.Random) -> bytes:
    """The end is missing."""
    return data[: rng.randrange(len(data) + 1)]


def behead(data: bytes, rng: random.Random) -> bytes:
    """The beginning is missing."""
    return data[rng.randrange(len(data) + 1) :]


def drop(data: bytes, rng: random.Random) -> bytes:
    """A piece is missing."""
    start = rng.randrange(len(data) + 1)
    return data[:start] + data[start + rng.choice([1, 4, 100, 5000]) :]


def double(data: bytes, rng: random.Random) -> bytes:
    """A piece is there twice."""
    start = rng.randrange(len(data) + 1)
    piece = data[start : start + rng.choice([1, 16, 500])]
    return data[:start] + piece * rng.choice([2, 3, 50]) + data[start + len(piece) :]


def overwrite(data: bytes, rng: random.Random) -> bytes:
    """A piece is zeros, ones or noise."""
    size = rng.choice([1, 2, 4, 8, 64])
    piece = rng.choice([bytes(size), b"\xff" * size, rng.randbytes(size), struct.pack("<Q", 2**40)[:size]])
    start = rng.randrange(len(data) + 1)
    return data[:start] + piece + data[start + len(piece) :]


def insert(data: bytes, rng: random.Random) -> bytes:
    """Something that does not belong there."""
    start = rng.randrange(len(data) + 1)
    return (
        data[:start] + rng.choice([b"\0", b"\xff\xfe", b'"', b"\n", b",", b"[" * 100, rng.randbytes(9)]) + data[start:]
    )


def number(data: bytes, rng: random.Random) -> bytes | None:
    """A number in a text is another."""
    places = [place for place, byte in enumerate(data[:20_000]) if 48 <= byte < 58]
    if not places:
        return None
    place = rng.choice(places)
    end = place
    while end < len(data) and 48 <= data[end] < 58:
        end += 1
    return data[:place] + rng.choice(NUMBERS) + data[end:]


def word(data: bytes, rng: random.Random) -> bytes | None:
    """A line is missing, doubled, or two change places."""
    lines = data.split(b"\n")
    if len(lines) < 3:
        return None
    one, other = rng.randrange(len(lines)), rng.randrange(len(lines))
    how = rng.randrange(3)
    if how == 0:
        del lines[one]
    elif how == 1:
        lines.insert(one, lines[other])
    else:
        lines[one], lines[other] = lines[other], lines[one]
    return b"\n".join(lines)


def as_json(data: bytes, rng: random.Random) -> bytes | None:
    """A value of a JSON text is of another kind, is missing, or is somewhere else."""
    try:
        values = json.loads(data)
    except (ValueError, RecursionError):
        return None
    for _ in range(rng.choice([1, 1, 2])):
        values = _changed(values, rng)
    try:
        return json.dumps(values).encode("utf-8", errors="surrogatepass")
    except (ValueError, RecursionError):
        return None


def json_lines(data: bytes, rng: random.Random) -> bytes | None:
    """As `as_json`, in one line of several."""
    lines = data.split(b"\n")
    place = rng.randrange(len(lines))
    changed = as_json(lines[place], rng)
    if changed is None or len(lines) < 2:
        return None
    return b"\n".join([*lines[:place], changed, *lines[place + 1 :]])


def cell(data: bytes, rng: random.Random) -> bytes | None:
    """A cell of a CSV text is another, or the row has one more or less."""
    lines = data.split(b"\n")
    place = rng.randrange(len(lines))
    cells = lines[place].split(b",")
    if len(cells) < 2:
        return None
    chosen = rng.randrange(len(cells))
    how = rng.randrange(4)
    if how == 0:
        del cells[chosen]
    elif how == 1:
        cells.insert(chosen, cells[chosen])
    else:
        odd = rng.choice([str(value).encode("utf-8", "surrogatepass") for value in ODD] + list(NUMBERS))
        cells[chosen] = odd if how == 2 else b'"' + odd + b'"'
    lines[place] = b",".join(cells)
    return b"\n".join(lines)


def member(data: bytes, rng: random.Random) -> bytes | None:
    """A member of a zip archive is damaged and packed again, renamed, or missing."""
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            members = {name: archive.read(name) for name in archive.namelist()}
    except Exception:
        return None
    if not members:
        return None
    name = rng.choice(sorted(members))
    how = rng.randrange(4)
    if how == 0:
        del members[name]
    elif how == 1:
        members[rng.choice(["../evil", "/abs", "a\\b", "ä", "x" * 300, name + "/"])] = members.pop(name)
    else:
        members[name] = any_of(PLAIN)(members[name], rng) or b""
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        for each, content in members.items():
            archive.writestr(each, content)
    return packed.getvalue()


def numpy_head(data: bytes, rng: random.Random) -> bytes | None:
    """The head of a packed clip says something else."""
    if not data.startswith(b"\x93NUMPY"):
        return None
    texts = [
        *(f"{{'descr': '|u1', 'fortran_order': False, 'shape': ({s}), }}" for s in ("9" * 30, "-1, 2", "1, 1, 1, 3")),
        "{'descr': '|O', 'fortran_order': False, 'shape': (2, 2, 2, 3), }",
        "{'descr': [('a', '<f8')], 'fortran_order': True, 'shape': (2,), }",
        "{" * 50, "__import__('os')", "{'descr': '<U9999', 'shape': (1,)}", "\xff",
    ]  # fmt: skip
    head = rng.choice(texts).encode("latin-1")
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(head)) + head + data[128:]


def tensors_head(data: bytes, rng: random.Random) -> bytes | None:
    """The head of a safetensors file says something else."""
    if len(data) < 10:
        return None
    size = struct.unpack("<Q", data[:8])[0]
    if size > len(data) or data[8:9] != b"{":
        return None
    head = as_json(data[8 : 8 + size], rng)
    if head is None:
        return None
    said = rng.choice([len(head), len(head), len(head), 2**40, 0])
    return struct.pack("<Q", said) + head + data[8 + size :]


PLAIN: Sequence[Mutator] = (flip, cut, behead, drop, double, overwrite, insert, number, word)
SHAPED: Sequence[Mutator] = (as_json, json_lines, cell, member, numpy_head, tensors_head)


def any_of(mutators: Sequence[Mutator]) -> Mutator:
    """One of some mutators that fits."""

    def mutate(data: bytes, rng: random.Random) -> bytes | None:
        for mutator in rng.sample(list(mutators), len(mutators)):
            changed = mutator(data, rng)
            if changed is not None:
                return changed
        return None

    return mutate


def mutated(data: bytes, rng: random.Random) -> bytes:
    """Damaged by its structure more often than not, where it has one; now and then twice."""
    for _ in range(rng.choice([1, 1, 1, 2])):
        kinds = SHAPED if rng.random() < 0.6 else PLAIN
        data = any_of(kinds)(data, rng) or any_of(PLAIN)(data, rng) or b""
    return data


def _changed(values: Any, rng: random.Random) -> Any:
    """A copy with something inside replaced, removed or added."""
    if not isinstance(values, dict | list) or not values or rng.random() < 0.15:
        return rng.choice(ODD)
    if isinstance(values, dict):
        key = rng.choice(list(values))
        changed = dict(values)
        how = rng.random()
        if how < 0.15:
            del changed[key]
        elif how < 0.25:
            changed[rng.choice(["", "x", key + "_", "\0", "a" * 900])] = rng.choice(ODD)
        elif how < 0.35:
            deep: Any = 1
            for _ in range(rng.choice([5, 40, 500])):
                deep = [deep]
            changed[key] = deep
        else:
            changed[key] = _changed(values[key], rng)
        return changed
    place = rng.randrange(len(values))
    how = rng.random()
    if how < 0.2:
        return values[:place] + values[place + 1 :]
    if how < 0.35:
        return values[:place] + [rng.choice(ODD)] * rng.choice([1, 3, 200]) + values[place:]
    return [*values[:place], _changed(values[place], rng), *values[place + 1 :]]
