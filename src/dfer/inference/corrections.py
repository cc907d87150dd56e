"""What a person corrects in a timeline: names, who is who, and which emotion shows when. The timeline itself stays.

Corrections are kept beside the machine's answer, in the order in which they were made, and applied to a copy of it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import Annotated, Any, Literal

import numpy as np
from pydantic import Field, TypeAdapter

from dfer.documents import checked
from dfer.errors import DferError
from dfer.inference.people import divided, merged, named
from dfer.inference.segments import Segment
from dfer.inference.timeline import Person, Timeline

Id = Annotated[int, Field(ge=0, lt=10**9)]
Seconds = Annotated[float, Field(ge=0, le=10**8, allow_inf_nan=False)]


@dataclass(frozen=True)
class Name:
    """A person's name; "" takes it away."""

    person: Id
    name: Annotated[str, Field(max_length=200)]
    kind: Literal["name"] = "name"


@dataclass(frozen=True)
class Merge:
    """Several ids are one person."""

    people: Annotated[tuple[Id, ...], Field(max_length=1000)]
    kind: Literal["merge"] = "merge"


@dataclass(frozen=True)
class Split:
    """From a time on a person is somebody else."""

    person: Id
    at_s: Seconds
    kind: Literal["split"] = "split"


@dataclass(frozen=True)
class Mark:
    """In a stretch of time a person shows this emotion, or none of those of segments where it is ""."""

    person: Id
    start_s: Seconds
    end_s: Seconds
    emotion: Annotated[str, Field(max_length=200)]
    kind: Literal["mark"] = "mark"


Correction = Annotated[Name | Merge | Split | Mark, Field(discriminator="kind")]
_LIST: TypeAdapter[list[Correction]] = TypeAdapter(list[Correction])


def from_plain(values: object, source: str = "the corrections") -> list[Name | Merge | Split | Mark]:
    """Corrections from a list of plain values, as `to_plain` gives them.

    Raises:
        DferError: an unknown kind, or a value that does not fit.
    """
    found: list[Name | Merge | Split | Mark] = checked(_LIST, values, source)
    return found


def to_plain(corrections: Sequence[Name | Merge | Split | Mark]) -> list[dict[str, Any]]:
    """The inverse of `from_plain`."""
    return [asdict(each) for each in corrections]


def corrected(timeline: Timeline, corrections: Sequence[Name | Merge | Split | Mark]) -> Timeline:
    """A copy of the timeline with the corrections, one after the other.

    Raises:
        DferError: nobody has an id, people who cannot be one or two, an unknown emotion, or a stretch that does not lie
            in the film.
    """
    for each in corrections:
        if isinstance(each, Name):
            timeline = named(timeline, {each.person: each.name})
        elif isinstance(each, Merge):
            timeline = merged(timeline, each.people)
        elif isinstance(each, Split):
            timeline = divided(timeline, each.person, each.at_s)
        else:
            timeline = _marked(timeline, each)
    return timeline


def _marked(timeline: Timeline, mark: Mark) -> Timeline:
    if not 0 <= mark.start_s < mark.end_s <= timeline.duration_s + 1e-3:
        raise DferError(
            f"expected a stretch within the film, 0 to {timeline.duration_s:.2f} s, got {mark.start_s:.2f} to "
            f"{mark.end_s:.2f} s"
        )
    if mark.person not in [person.id for person in timeline.people]:
        named(timeline, {mark.person: ""})  # says who there is
    people = tuple(
        replace(person, segments=_segments(person, mark, timeline)) if person.id == mark.person else person
        for person in timeline.people
    )
    return replace(timeline, people=people)


def _segments(person: Person, mark: Mark, timeline: Timeline) -> tuple[Segment, ...]:
    """The segments outside the stretch, those that reach into it cut off there, and the one that is marked."""
    found = []
    for segment in person.segments:
        before = segment.start_s, min(segment.end_s, mark.start_s)
        after = max(segment.start_s, mark.end_s), segment.end_s
        for start_s, end_s in (before, after):
            if end_s > start_s:
                apex_s = min(max(segment.apex_s, start_s), end_s)
                found.append(replace(segment, start_s=start_s, end_s=end_s, apex_s=apex_s))
    if mark.emotion:
        k = timeline.emotions.index(mark.emotion)
        inside = np.flatnonzero((person.times >= mark.start_s) & (person.times < mark.end_s) & person.seen)
        apex = inside[person.probs[inside, k].argmax()] if len(inside) else None
        apex_s = mark.start_s if apex is None else float(person.times[apex])
        score = 0.0 if apex is None else float(person.probs[apex, k])
        found.append(Segment(mark.start_s, apex_s, mark.end_s, timeline.emotions[k], score))
    return tuple(sorted(found, key=lambda segment: (segment.start_s, segment.end_s)))
