"""From moments to a timeline: what is said of each frame is written down in little room, and made whole in the end."""

from __future__ import annotations

from array import array
from collections import defaultdict
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from dfer.inference import flaws as quality_flaws
from dfer.inference.segments import SMOOTHING_S, find_segments, overall, smooth
from dfer.inference.timeline import Person, Timeline
from dfer.labels import EmotionSet, entropy

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Reading:
    """What is read in one face in one frame.

    Attributes:
        id: the person.
        box: (4,) x, y, width, height, pixels.
        probs: (K,) as the network says; not smoothed.
        flaws: bits of `dfer.inference.flaws.FLAWS`.
    """

    id: int
    box: Floats
    probs: Floats
    flaws: int

    @property
    def entropy(self) -> float:
        """How undecided the distribution is, 0..1."""
        return float(entropy(self.probs[None])[0])


@dataclass(frozen=True, eq=False)
class Moment:
    """One frame of a video.

    Attributes:
        time_s: seconds, as the decoder gives them.
        faces: in the order of their ids; nobody where no face is seen.
    """

    time_s: float
    faces: tuple[Reading, ...]


class Recording:
    """Gathers the moments of a video, in order.

    Args:
        video: what the timeline calls it.
        emotions: of the probabilities.
        smoothing_s: see `dfer.inference.segments.smooth`; 0: none.
    """

    def __init__(self, video: str, emotions: EmotionSet, *, smoothing_s: float = SMOOTHING_S) -> None:
        self.video, self.emotions, self.smoothing_s = video, emotions, smoothing_s
        self._times = array("d")
        self._rows: defaultdict[int, array[float]] = defaultdict(lambda: array("d"))

    def add(self, moment: Moment) -> None:
        """The next frame."""
        for face in moment.faces:
            self._rows[face.id].extend([len(self._times), face.flaws, *face.box.tolist(), *face.probs.tolist()])
        self._times.append(moment.time_s)

    def timeline(self) -> Timeline:
        """Everything so far."""
        times = np.array(self._times)
        steps = np.diff(times)
        duration_s = float(times[-1] + np.median(steps)) if len(steps) else float(times.sum())
        people = tuple(self._person(id_, times) for id_ in sorted(self._rows))
        return Timeline(self.video, duration_s, self.emotions, people)

    def _person(self, id_: int, times: Floats) -> Person:
        table = np.array(self._rows[id_]).reshape(-1, 6 + len(self.emotions))
        frames = table[:, 0].astype(np.int64)
        kept = with_absences(frames, len(times))
        rows = np.full((len(kept), table.shape[1] - 1), np.nan)
        rows[np.searchsorted(kept, frames)] = table[:, 1:]
        flaws = np.nan_to_num(rows[:, 0]).astype(np.uint8)
        probs = smooth(times[kept], rows[:, 5:], self.smoothing_s)
        return Person(
            id=id_,
            times=times[kept],
            probs=probs,
            boxes=rows[:, 1:5],
            flaws=flaws,
            segments=find_segments(times[kept], probs, self.emotions.emotions),
            overall=overall(times[kept], probs, quality_flaws.weights(flaws)),
        )


def with_absences(frames: npt.NDArray[np.int64], count: int) -> npt.NDArray[np.int64]:
    """Of `count` frames, those with the face, and the first and the last of each stretch without it.

    >>> with_absences(np.array([3, 4, 6]), 10).tolist()
    [0, 2, 3, 4, 5, 6, 7, 9]
    """
    edges = np.concatenate([[-1], frames, [count]])
    away = np.flatnonzero(np.diff(edges) > 1)
    return np.unique(np.concatenate([frames, edges[away] + 1, edges[away + 1] - 1]))
