"""What a timeline that was read from anywhere must be: its head, and the rows of its people, checked.

`dfer.inference.timeline_reading` reads them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any, Literal

import numpy as np
import numpy.typing as npt
from pydantic import AfterValidator, BaseModel, Field, model_validator

from dfer.documents import checked
from dfer.errors import DferError, listed, shortened
from dfer.inference.doubts import Doubts
from dfer.inference.population import TRAINED
from dfer.inference.segments import Segment
from dfer.inference.timeline import FORMAT, Person, Timeline
from dfer.labels import EmotionSet
from dfer.labels.emotions import MOST_EMOTIONS
from dfer.tables import is_text

Floats = npt.NDArray[np.float64]

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


class PersonHead(BaseModel):
    """All but the rows of a person."""

    id: int = Field(ge=0, le=2**31 - 1)
    segments: list[_Segment]
    overall: list[float] | None = None
    name: Text = ""


class Head(BaseModel):
    """All but the rows of the people."""

    video: Text
    start_s: Seconds | None = None
    duration_s: Seconds
    cuts_s: list[Seconds] = []
    emotions: list[Text] = Field(max_length=MOST_EMOTIONS)
    people: list[PersonHead] = Field(max_length=MOST_PEOPLE)
    fps: float | None = Field(None, gt=0, allow_inf_nan=False)
    rotate: Literal[0, 90, 180, 270] = 0
    prior: Text = TRAINED
    abstain: float | None = Field(None, gt=0, lt=1)
    one_view_s: list[tuple[Seconds, Seconds]] = []


@dataclass(frozen=True, eq=False)
class Rows:
    """The rows of a person as arrays; NaN where there is no face."""

    times: Floats
    probs: Floats
    boxes: Floats
    flaws: npt.NDArray[np.uint8]
    files: tuple[str, ...]
    doubts: Doubts | None


def read_head(values: Any, source: str) -> Head:
    """The head of a document of our format.

    Raises:
        DferError: it is of another format, or a value cannot be.
    """
    found = values.get("format") if isinstance(values, dict) else None
    if found != FORMAT:
        told = shortened(str(found))
        raise DferError(f"{source}: expected the format {FORMAT}, got {told}; use the version of dfer it is from")
    return checked(Head, values, source)


# --- whatever it came from


def checked_timeline(head: Head, rows: list[Rows], source: str) -> Timeline:
    """The timeline of a head and the rows of each person.

    Raises:
        DferError: they do not fit together; says what does not.
    """
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
    first_s = min((float(person.times[0]) for person in people if len(person.times)), default=0.0)
    return Timeline(
        head.video, head.duration_s, emotions, people, start_s=first_s if head.start_s is None else head.start_s,
        fps=head.fps, rotate=head.rotate, cuts_s=tuple(head.cuts_s), prior=head.prior, abstain=head.abstain,
        one_view_s=tuple(head.one_view_s),
    )  # fmt: skip


def _person(head: PersonHead, rows: Rows, emotions: EmotionSet, where: str) -> Person:
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
    overall = as_table([head.overall], len(emotions), f"{where}, overall")[0]
    _check_sums(rows.probs, f"{where}: expected probabilities")
    _check_sums(overall[None], f"{where}: expected overall")
    unknown = {segment.emotion for segment in head.segments} - set(emotions)
    if unknown:
        raise DferError(f"{where}: its segments name {listed(sorted(unknown))}, not among {listed(emotions, 12)}")
    segments = tuple(Segment(**segment.model_dump(exclude_none=True)) for segment in head.segments)
    return Person(
        head.id, rows.times, rows.probs, rows.boxes, rows.flaws, segments, overall, rows.files, head.name, rows.doubts
    )


def _check_rows(rows: Rows, where: str) -> None:
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


def as_table(rows: list[list[float] | None], width: int, where: str) -> Floats:
    """(n, width), NaN for null."""
    wrong = [len(row) for row in rows if row is not None and len(row) != width]
    if wrong:
        raise DferError(f"{where}: expected rows of {width} numbers, got {listed(wrong)}")
    table = np.array([row if row is not None else [np.nan] * width for row in rows], dtype=np.float64)
    return table.reshape(len(rows), width)
