"""Which of the faces that were found is whose: what each pair of a person and a face costs, and the cheapest pairs."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from dfer.video.detection import Points, overlaps
from dfer.video.identity import OTHER, SAME
from dfer.video.people import Sighting, Track
from dfer.video.quality import pose

Costs = Callable[[list[Track], list[Sighting]], Points]
"""People and sightings -> what it costs, (n, m), that the one is the other."""

FAR_OFF = 0.25
"""A followed face further from what was detected than this, shares of its side, goes there at once."""
OVERLAP = 0.3
"""The smallest intersection over union of a followed face and its detection."""
TURNED = 0.5
"""A face that is turned further, see `dfer.video.quality.pose`, may look like nobody's: it contradicts nothing."""
ALIKE = 0.8
"""How alike the colours must be to find a lost person in the same place, 0..1 ..."""
DISTANCE_COST = 0.03
"""... and how much more for every side of the face that lies between the two places."""
NEVER = 1e3
"""The cost of a pair that cannot be; larger than that of all others together."""


def assign(
    people: list[Track], sightings: list[Sighting], costs: Costs, time_s: float, *, smoothly: bool = False
) -> list[Sighting]:
    """Give people the sightings that cost least in all; returns the sightings that are nobody's."""
    found = pairs(people, sightings, costs)
    for index, person in found:
        update(person, sightings[index], time_s, smoothly=smoothly)
    taken = {index for index, _ in found}
    return [one for index, one in enumerate(sightings) if index not in taken]


def pairs(people: list[Track], sightings: list[Sighting], costs: Costs) -> list[tuple[int, Track]]:
    """Which sighting, by its position, is whose."""
    if not people or not sightings:
        return []
    table = costs(people, sightings)
    return [(column, people[row]) for row, column in cheapest_pairs(table) if table[row, column] < NEVER]


def cheapest_pairs(table: Points) -> list[tuple[int, int]]:
    """Rows and columns of the pairs, each row and column in one at most, that cost least in all."""
    possible = table < NEVER
    if max(possible.sum(axis=0).max(), possible.sum(axis=1).max()) <= 1:  # no choice, most often, and SciPy takes
        return [(row, column) for row, column in np.argwhere(possible).tolist()]  # a third of a second to import
    from scipy.optimize import linear_sum_assignment

    rows, columns = linear_sum_assignment(table)
    return list(zip(rows.tolist(), columns.tolist(), strict=True))


def update(person: Track, one: Sighting, time_s: float, *, smoothly: bool = False) -> None:
    """A person was seen: go there, by steps if the way is short."""
    behind = (one.landmarks - person.landmarks, one.box - person.box)
    far = np.abs(behind[0]).mean() > FAR_OFF * np.sqrt(one.box[2] * one.box[3])
    if far or not smoothly:
        person.landmarks, person.box = one.landmarks, one.box
        behind = (np.zeros((5, 2)), np.zeros(4))
    person.behind, person.score, person.colours, person.seen_s = behind, one.score, one.colours, time_s
    person.sighting = one
    person.detected = person.confirmed = person.certain = True


def overlap_costs(people: list[Track], sightings: list[Sighting]) -> Points:
    """Of people who were followed to near the places of sightings."""
    shared = overlaps([person.box for person in people], [one.box for one in sightings])
    table = np.full(shared.shape, NEVER)
    for row, column in np.argwhere(shared >= OVERLAP).tolist():
        alike = float(people[row].colours @ sightings[column].colours)
        table[row, column] = 2 - shared[row, column] - alike
    return table


def face_costs(people: list[Track], sightings: list[Sighting]) -> Points:
    """Of people who were here before, by the face alone."""
    table = np.array([[person.gallery.distance(one.look) for one in sightings] for person in people])
    return np.where(table < SAME, table, NEVER)


def memory_costs(people: list[Track], sightings: list[Sighting]) -> Points:
    """Of people who were here some seconds ago."""
    return np.array([[memory_cost(person, one) for one in sightings] for person in people])


def memory_cost(person: Track, one: Sighting) -> float:
    """Of someone who was here some seconds ago: by the face if it is clear, else by place and colours."""
    apart = person.gallery.distance(one.look)
    if apart < SAME:
        return apart
    sides = float(np.hypot(*(person.middle - one.middle)) / np.sqrt(person.box[2] * person.box[3]))
    likeness = float(person.colours @ one.colours) - DISTANCE_COST * sides
    return NEVER if likeness < ALIKE or differ(person, one) else 2 - likeness


def differ(person: Track, one: Sighting) -> bool:
    """Whether a face is surely not a person's; False where it cannot be told, or is turned away."""
    return person.gallery.distance(one.look) > OTHER and abs(pose(one.landmarks)[0]) < TURNED
