"""Names for the people of a timeline, two numbers of one person made one, and one number of two people divided."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from dfer.errors import DferError, listed
from dfer.inference import flaws as quality_flaws
from dfer.inference.segments import find_segments, overall
from dfer.inference.timeline import Person, Timeline
from dfer.video.detection import one_face

Floats = npt.NDArray[np.float64]
APART_S = 5e-5
"""Times that differ by less are one time: they are written to four decimals."""
TWICE = 0.3
"""Boxes of one time that share more of their union than this show one face, which was followed twice."""


def named(timeline: Timeline, names: Mapping[int, str]) -> Timeline:
    """The timeline with names for some of its people, by id; "" takes a name away.

    Raises:
        DferError: nobody has such an id.
    """
    for id_ in names:
        _find(timeline, id_)
    people = tuple(replace(person, name=names.get(person.id, person.name).strip()) for person in timeline.people)
    return replace(timeline, people=people)


def merged(timeline: Timeline, ids: Sequence[int]) -> Timeline:
    """The timeline in which several people are one, under the lowest of their ids.

    Segments and the answer for the whole are found anew. The name is that of the one who has any.

    Raises:
        DferError: nobody has such an id, or they are seen in different places at the same time.
    """
    if len(set(ids)) < 2:
        raise DferError(f"expected two people or more to merge, such as 2,3, got {listed(ids)}")
    chosen = [_find(timeline, id_) for id_ in sorted(set(ids))]
    one = chosen[0]
    for other in chosen[1:]:
        one = _joined(one, other, timeline)
    people = [one if person is chosen[0] else person for person in timeline.people if person not in chosen[1:]]
    return replace(timeline, people=tuple(people))


def divided(timeline: Timeline, id_: int, at_s: float) -> Timeline:
    """The timeline in which a person is two: from a time on it is somebody else, under a new id after all others.

    Segments and the answers for the whole are found anew. The first keeps the name.

    Raises:
        DferError: nobody has such an id, or the person is not seen both before and after that time.
    """
    person = _find(timeline, id_)
    later = person.times >= at_s - APART_S
    if not (person.seen & ~later).any() or not (person.seen & later).any():
        raise DferError(
            f"{person.label} cannot be divided at {at_s:.2f} s: expected a time between two at which they are seen"
        )
    one = _only(person, ~later, timeline)
    other = replace(_only(person, later, timeline), id=max(each.id for each in timeline.people) + 1, name="")
    people = (*(one if each is person else each for each in timeline.people), other)
    return replace(timeline, people=people)


def _only(person: Person, kept: npt.NDArray[np.bool_], timeline: Timeline) -> Person:
    """A person in some of their rows; in the others they are not seen."""
    seen = person.seen & kept
    rows = np.flatnonzero(_told(seen))
    absent = ~seen[rows]
    probs, boxes, flaws = person.probs[rows].copy(), person.boxes[rows].copy(), person.flaws[rows].copy()
    probs[absent], boxes[absent], flaws[absent] = np.nan, np.nan, 0
    doubts = None if person.doubts is None else person.doubts.at(rows, absent)
    times, end_s = person.times[rows], timeline.duration_s
    return replace(
        person, times=times, probs=probs, boxes=boxes, flaws=flaws,
        segments=find_segments(times, probs, timeline.emotions.emotions, end_s=end_s, doubts=doubts),
        overall=overall(times, probs, quality_flaws.weights(flaws), end_s=end_s),
        files=tuple(person.files[row] for row in rows) if person.files else (),
        doubts=doubts,
    )  # fmt: skip


def _find(timeline: Timeline, id_: int) -> Person:
    for person in timeline.people:
        if person.id == id_:
            return person
    known = listed((person.id for person in timeline.people), 12) or "nobody"
    raise DferError(f"{timeline.video}: there is no person {id_}; there are {known}")


def _joined(one: Person, other: Person, timeline: Timeline) -> Person:
    """Two people as one, under the first one's id; where both are seen in one place, the first one's rows count."""
    _check_places(one, other)
    times = np.concatenate([one.times, other.times])
    seen = np.concatenate([one.seen, other.seen])
    # By time; at one time a row with a face before a row without, and the first person's before the other one's.
    order = np.lexsort((np.arange(len(times)), ~seen, np.rint(times / APART_S)))
    order = order[np.diff(times[order], prepend=-np.inf) > APART_S]
    order = order[_told(seen[order])]
    probs = np.concatenate([one.probs, other.probs])[order]
    flaws = np.concatenate([one.flaws, other.flaws])[order]
    both = None if one.doubts is None or other.doubts is None else one.doubts.followed_by(other.doubts)
    doubts = None if both is None else both.at(order)
    names = one.files + other.files
    return Person(
        id=one.id,
        times=times[order],
        probs=probs,
        boxes=np.concatenate([one.boxes, other.boxes])[order],
        flaws=flaws,
        segments=find_segments(
            times[order], probs, timeline.emotions.emotions, end_s=timeline.duration_s, doubts=doubts
        ),
        overall=overall(times[order], probs, quality_flaws.weights(flaws), end_s=timeline.duration_s),
        files=tuple(names[row] for row in order) if len(names) == len(times) else (),
        name=one.name or other.name,
        doubts=doubts,
    )


def _told(seen: npt.NDArray[np.bool_]) -> npt.NDArray[np.bool_]:
    """Which rows are kept: those with a face, and the first and the last of each stretch without.

    >>> _told(np.array([True, False, False, False, True, False])).tolist()
    [True, True, False, True, True, True]
    """
    before, after = np.append(True, seen[:-1]), np.append(seen[1:], True)
    return np.asarray(seen | before | after)


def _check_places(one: Person, other: Person) -> None:
    """Nobody is in two places at once."""
    for row in np.flatnonzero(other.seen):
        match = int(np.searchsorted(one.times, other.times[row] - APART_S))
        if match == len(one.times) or abs(one.times[match] - other.times[row]) > APART_S or not one.seen[match]:
            continue
        if not one_face([one.boxes[match]], [other.boxes[row]], most=TWICE).any():
            raise DferError(
                f"{one.label} and {other.label} cannot be merged: at {other.times[row]:.2f} s both are seen, in "
                "different places"
            )
