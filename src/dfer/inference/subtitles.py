"""A timeline as subtitles (SubRip, .srt), for any player: one emotion of one person a cue."""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np
import numpy.typing as npt

from dfer.inference.doubts import said
from dfer.inference.spans import SHORTEST_S
from dfer.inference.timeline import Person, Timeline

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Cue:
    """What is shown from one time to another, seconds; the emotion by its column, or after these a verdict's number."""

    start_s: float
    end_s: float
    emotion: int

    @property
    def lasts(self) -> bool:
        """Whether it can be read: at least `SHORTEST_S` in the thousandths that are written."""
        return _thousandths(self.end_s) - _thousandths(self.start_s) >= _thousandths(SHORTEST_S)


def to_srt(timeline: Timeline) -> str:
    """The cues of all people in the order of time; those of two people may overlap, and players show both.

    People are told apart by name or number where there is more than one.
    """
    several = len(timeline.people) > 1 or any(person.name for person in timeline.people)
    found = []
    for person in timeline.people:
        for cue in cues(person, timeline):
            text = f"{person.label}: " * several + _words(person, cue, timeline)
            found.append((cue.start_s, person.id, cue.end_s, text))
    lines = (
        f"{number}\n{_clock(start_s)} --> {_clock(end_s)}\n{text}\n"
        for number, (start_s, _, end_s, text) in enumerate(sorted(found), 1)
    )
    return "\n".join(lines)


def _words(person: Person, cue: Cue, timeline: Timeline) -> str:
    emotions = timeline.emotions.emotions
    means = [mean_between(person, replace(cue, emotion=k), timeline.duration_s) for k in range(len(emotions))]
    if cue.emotion < len(emotions):
        return f"{emotions[cue.emotion]} {means[cue.emotion]:.0%}"
    return said(cue.emotion - len(emotions), np.array(means), emotions)


def cues(person: Person, timeline: Timeline) -> list[Cue]:
    """When which emotion of a person is shown: of the segments at each time, the one with the strongest emotion.

    In a stretch in which none is named, the verdict is shown: the number of the emotions and its place in `KINDS`.

    What would be shown for less than `SHORTEST_S` goes to the longer one of the cues that it touches; if it touches
    none, it is left out.
    """
    names, doubted = list(timeline.emotions), timeline.stretches(person)
    edges = [time for segment in person.segments for time in (segment.start_s, segment.end_s)]
    edges += [time for stretch in doubted for time in (stretch.start_s, stretch.end_s)]
    starts = np.union1d(person.times, edges)
    if not edges or not person.seen.any():
        return []
    # where the face is out of sight for a moment, what it showed before holds
    known = np.maximum.accumulate(np.where(person.seen, np.arange(len(person.times)), 0))
    rows = known[np.maximum(np.searchsorted(person.times, starts, side="right") - 1, 0)]
    shown = np.zeros((len(starts), len(names)), bool)
    for segment in person.segments:
        first, last = np.searchsorted(starts, [segment.start_s, segment.end_s])
        shown[first:last, names.index(segment.emotion)] = True
    strongest = np.where(shown, person.probs[rows], -1.0).argmax(axis=1)
    labels = np.where(shown.any(axis=1), strongest, -1)
    for stretch in doubted:
        first, last = np.searchsorted(starts, [stretch.start_s, stretch.end_s])
        labels[first:last] = len(names) + stretch.kind
    changes = np.flatnonzero(np.diff(labels, prepend=-2, append=-2))
    found = [
        Cue(float(starts[first]), float(starts[last]), int(labels[first]))
        for first, last in pairwise(changes.tolist())
        if last < len(starts) and labels[first] >= 0
    ]
    return [cue for cue in _readable(found) if cue.lasts]


def _readable(found: list[Cue]) -> list[Cue]:
    """The cues, each too short one of which belongs to a neighbour that it touches, the shortest first."""
    found = list(found)
    while True:
        short = [place for place, cue in enumerate(found) if not cue.lasts and _touched(found, place)]
        if not short:
            return found
        place = min(short, key=lambda each: found[each].end_s - found[each].start_s)
        other = max(_touched(found, place), key=lambda each: found[each].end_s - found[each].start_s)
        first, last = sorted((place, other))
        found[first : last + 1] = [Cue(found[first].start_s, found[last].end_s, found[other].emotion)]
        for left in (first, first - 1):  # two cues of one emotion may touch now
            if 0 <= left < len(found) - 1 and left + 1 in _touched(found, left):
                former, latter = found[left : left + 2]
                if former.emotion == latter.emotion:
                    found[left : left + 2] = [Cue(former.start_s, latter.end_s, former.emotion)]


def _touched(found: list[Cue], place: int) -> list[int]:
    """The places of the cues that end where one begins, or begin where it ends."""
    before = [place - 1] if place and found[place - 1].end_s == found[place].start_s else []
    after = [place + 1] if place + 1 < len(found) and found[place + 1].start_s == found[place].end_s else []
    return before + after


def mean_between(person: Person, cue: Cue, duration_s: float) -> float:
    """The mean probability of a cue's emotion while it is shown, over time; at least one row must be seen."""
    ends = np.append(person.times[1:], max(duration_s, cue.end_s))
    lasting_s = np.minimum(ends, cue.end_s) - np.maximum(person.times, cue.start_s)
    weights = np.where(person.seen, np.maximum(lasting_s, 0.0), 0.0)
    values = np.nan_to_num(person.probs[:, cue.emotion])
    return float(np.average(values, weights=weights)) if weights.any() else float(values.max())


def _thousandths(seconds: float) -> int:
    return round(seconds * 1000)


def _clock(seconds: float) -> str:
    """Hours, minutes, seconds and thousandths.

    >>> _clock(3661.5)
    '01:01:01,500'
    """
    whole, thousandths = divmod(_thousandths(seconds), 1000)
    return f"{whole // 3600:02}:{whole // 60 % 60:02}:{whole % 60:02},{thousandths:03}"
