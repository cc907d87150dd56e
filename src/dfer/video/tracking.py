"""Who is who from frame to frame: people keep their numbers while they move, cross, and are hidden for a moment.

Detection is costly and trembles, flow is cheap and drifts: faces are detected a few times a second, followed by flow
in between, and drawn towards what was detected in small steps until the next detection. A face that is not detected
again is lost, remembered for a while, and found again by place, size and colours. A cut of the scene ends everything.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import cv2
import numpy as np

from dfer.video import flow
from dfer.video.alignment import align, landmarks_in, moved
from dfer.video.detection import Detector, Face, Frames, Points

DETECT_EVERY_S = 0.2
"""Faces are detected this often, and in every frame where flow is unsure, someone is new or was just lost."""
CORRECTION = 0.5
"""The part of the way to what was detected that a followed face is drawn until the next detection."""
FAR_OFF = 0.25
"""A followed face further from what was detected than this, shares of its side, goes there at once."""
HOLD_S = 0.5
"""A face that flow follows but that is not detected is lost after so long: it has turned away."""
FORGET_S = 5.0
"""A person who is lost is remembered for so long."""
NEW_SCORE = 0.9
"""How sure the detector must be of a person who is new, 0..1."""
SURE_SCORE = 0.95
"""Below it a new person is shown only when detected a second time, but for the very first frame; 0..1."""
OVERLAP = 0.3
"""The smallest intersection over union of a followed face and its detection."""
ALIKE = 0.8
"""How alike the colours must be to find a lost person in the same place, 0..1 ..."""
DISTANCE_COST = 0.03
"""... and how much more for every side of the face that lies between the two places."""


NEVER = 1e3
"""The cost of a pair that cannot be; larger than that of all others together."""


@dataclass(eq=False)
class Person:
    """Someone who is followed; places are pixels of the frame.

    Attributes:
        id: 0, 1, ... in the order of appearance.
        box: (4,) x, y, width, height.
        landmarks: (5, 2).
        score: of the last detection, 0..1.
        colours: of the face when it was last detected, see `colours`.
        seen_s: when it was last detected, seconds.
        detected: found by the detector in this frame.
        confirmed: found surely, or more than once.
        behind: landmarks (5, 2) and box (4,) of the last detection minus the followed ones.
    """

    id: int
    box: Points
    landmarks: Points
    score: float
    colours: Points
    seen_s: float
    detected: bool
    confirmed: bool
    behind: tuple[Points, Points]


@dataclass(frozen=True, eq=False)
class Sighting:
    """A detected face with its landmarks and colours."""

    box: Points
    landmarks: Points
    score: float
    colours: Points


class Tracker:
    """Follows the faces of frames that are handed in one after the other.

    Args:
        detector: finds faces in a picture.
        people: how many people are followed at most: whoever is there first keeps a place until forgotten, the larger
            face first where there are more faces than places. None: all.
    """

    def __init__(self, detector: Detector, *, people: int | None = None) -> None:
        self.detector, self.people = detector, people
        self.followed: list[Person] = []
        self.lost: list[Person] = []
        self._count = 0
        self._former: flow.Grey | None = None
        self._time_s = self._detected_s = -np.inf

    def step(self, frame: Frames, time_s: float) -> list[Person]:
        """Those whose faces are seen in the next frame (H, W, 3) uint8 RGB, `time_s` seconds; in the order of ids."""
        grey = flow.Grey.of(frame)
        if self._former is not None and flow.is_cut(self._former, grey):
            self.followed, self.lost, self._detected_s = [], [], -np.inf
        self.lost = [person for person in self.lost if time_s - person.seen_s < FORGET_S]
        elapsed_s = time_s - self._time_s
        gone = self._follow(grey, elapsed_s)
        missed = any(time_s - person.seen_s < HOLD_S for person in self.lost)
        pressing = gone or missed or not all(person.confirmed for person in self.followed)
        if pressing or time_s - self._detected_s > DETECT_EVERY_S - 0.001:
            sightings = [sighting(frame, face) for face in self.detector(frame)]
            self._recognise(sightings, gone, time_s, smoothly=elapsed_s < DETECT_EVERY_S)
            self._detected_s = time_s
        self._former, self._time_s = grey, time_s
        return sorted((person for person in self.followed if person.confirmed), key=lambda person: person.id)

    def _follow(self, grey: flow.Grey, elapsed_s: float) -> set[int]:
        """Move all by flow and a step towards their last detection; returns the ids of those whom flow lost."""
        boxes = [person.box for person in self.followed]
        motions = [] if self._former is None else flow.motions(self._former, grey, boxes)
        part = CORRECTION * min(1.0, elapsed_s / DETECT_EVERY_S)
        gone = set()
        for person, motion in zip(self.followed, motions, strict=True):
            person.detected = False
            if motion is None:
                gone.add(person.id)
            else:
                person.landmarks = moved(motion, person.landmarks) + part * person.behind[0]
                person.box = flow.moved_box(motion, person.box) + part * person.behind[1]
        return gone

    def _recognise(self, sightings: list[Sighting], gone: set[int], time_s: float, *, smoothly: bool) -> None:
        """Tell who is who, who is lost, and who is new."""
        free = self._assign(self.followed, sightings, _overlap_costs, time_s, smoothly)
        away = [person for person in self.followed if not person.detected] + self.lost
        free = self._assign(away, free, _memory_costs, time_s, False)
        known = self.followed + self.lost
        seen = [person for person in known if person.detected]
        held = [
            person
            for person in self.followed
            if not person.detected and person.confirmed and person.id not in gone
            if time_s - person.seen_s < HOLD_S and all(overlap(person.box, other.box) < OVERLAP for other in seen)
        ]
        self.followed = seen + held
        self.lost = [person for person in known if person.confirmed and person not in self.followed]
        for new in sorted(free, key=lambda one: -one.box[2] * one.box[3]):
            if new.score >= NEW_SCORE and (self.people is None or len(self.followed + self.lost) < self.people):
                self._welcome(new, time_s)

    def _assign(
        self, people: list[Person], sightings: list[Sighting], costs: Costs, time_s: float, smoothly: bool
    ) -> list[Sighting]:
        """Give people the sightings that cost least in all; returns the sightings that are nobody's."""
        if not people or not sightings:
            return sightings
        table = np.array([[costs(person, one) for one in sightings] for person in people])
        free = dict(enumerate(sightings))
        for row, column in _cheapest_pairs(table):
            if table[row, column] < NEVER:
                _update(people[row], free.pop(column), time_s, smoothly)
        return list(free.values())

    def _welcome(self, new: Sighting, time_s: float) -> None:
        confirmed = new.score >= SURE_SCORE or self._former is None
        behind = (np.zeros((5, 2)), np.zeros(4))
        person = Person(
            self._count, new.box, new.landmarks, new.score, new.colours, time_s,
            detected=True, confirmed=confirmed, behind=behind,
        )  # fmt: skip
        self.followed.append(person)
        self._count += 1


Costs = Callable[[Person, Sighting], float]


def sighting(frame: Frames, face: Face) -> Sighting:
    """A detected face with all that it is recognised by."""
    landmarks = landmarks_in(face.box) if face.landmarks is None else face.landmarks
    return Sighting(face.box, landmarks, face.score, colours(align(frame, landmarks, 48)))


def colours(crop: Frames) -> Points:
    """The square roots of a crop's distribution over colours, so that their product is a likeness, 0..1.

    Colours are bins of CIE L*a*b*, fine in hue and coarse in lightness; the product is the Bhattacharyya coefficient.
    """
    lab = cv2.cvtColor(crop, cv2.COLOR_RGB2LAB)
    counts = cv2.calcHist([lab], [0, 1, 2], None, [8, 32, 32], [0, 256] * 3).ravel()
    return np.asarray(np.sqrt(counts / max(counts.sum(), 1)), dtype=np.float64)


def overlap(one: Points, other: Points) -> float:
    """Intersection over union of two boxes (x, y, width, height).

    >>> round(overlap(np.array([0, 0, 2, 2]), np.array([1, 0, 2, 2])), 3)
    0.333
    """
    low, high = np.maximum(one[:2], other[:2]), np.minimum(one[:2] + one[2:], other[:2] + other[2:])
    shared = float(np.prod(np.maximum(high - low, 0)))
    return shared / float(one[2] * one[3] + other[2] * other[3] - shared)


def _cheapest_pairs(table: Points) -> list[tuple[int, int]]:
    """Rows and columns of the pairs, each row and column in one at most, that cost least in all; as many as can be."""
    if 1 in table.shape:  # one face in the picture: most often so, and SciPy takes a third of a second to import
        row, column = divmod(int(table.argmin()), table.shape[1])
        return [(row, column)]
    from scipy.optimize import linear_sum_assignment

    rows, columns = linear_sum_assignment(table)
    return list(zip(rows.tolist(), columns.tolist(), strict=True))


def _overlap_costs(person: Person, one: Sighting) -> float:
    """Of someone who was followed to near the place of a sighting."""
    shared = overlap(person.box, one.box)
    return 2 - shared - float(person.colours @ one.colours) if shared >= OVERLAP else NEVER


def _memory_costs(person: Person, one: Sighting) -> float:
    """Of someone who was lost, the more the further away."""
    apart = (person.box[:2] + person.box[2:] / 2) - (one.box[:2] + one.box[2:] / 2)
    sides = float(np.hypot(*apart) / np.sqrt(person.box[2] * person.box[3]))
    likeness = float(person.colours @ one.colours) - DISTANCE_COST * sides
    return 1 - likeness if likeness >= ALIKE else NEVER


def _update(person: Person, one: Sighting, time_s: float, smoothly: bool) -> None:
    behind = (one.landmarks - person.landmarks, one.box - person.box)
    far = np.abs(behind[0]).mean() > FAR_OFF * np.sqrt(one.box[2] * one.box[3])
    if far or not smoothly:
        person.landmarks, person.box = one.landmarks, one.box
        behind = (np.zeros((5, 2)), np.zeros(4))
    person.behind, person.score, person.colours, person.seen_s = behind, one.score, one.colours, time_s
    person.detected = person.confirmed = True
