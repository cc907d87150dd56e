"""From moments to a timeline: what is said of each frame is written down in little room, and made whole in the end."""

from __future__ import annotations

import math
from array import array
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from dfer.inference import flaws as quality_flaws
from dfer.inference.doubts import Abstaining, Doubts, judged
from dfer.inference.population import TRAINED
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
        mixed: how much people would disagree, 0..1, see `dfer.inference.doubts`; NaN: not known, and so below.
        cannot_tell: how little the picture allows to tell, 0..1.
        confidence: see `dfer.models.abstention.confidence`.
    """

    id: int
    box: Floats
    probs: Floats
    flaws: int
    mixed: float = math.nan
    cannot_tell: float = math.nan
    confidence: float = math.nan

    @property
    def entropy(self) -> float:
        """How undecided the distribution is, 0..1."""
        return float(entropy(self.probs[None])[0])


@dataclass(frozen=True, eq=False)
class Moment:
    """One frame of a video.

    Attributes:
        time_s: seconds from the start of the film.
        faces: in the order of their ids; nobody where no face is seen.
        end_s: when the next frame that is looked at is shown, or the film ends, seconds; NaN: unknown.
        name: of the file that the frame is from, in a folder of frames.
        cut: whether another scene begins with this frame.
        renamed: new id -> old id, of people of whom it turned out in this frame that they were there before; they have
            the old id from this frame on, and in a recording from the beginning.
        once: whether the network sees faces as they are and mirrored in turns here; see `dfer.inference.reader.NEAR`.
    """

    time_s: float
    faces: tuple[Reading, ...]
    end_s: float = math.nan
    name: str = ""
    cut: bool = False
    renamed: Mapping[int, int] = field(default_factory=dict)
    once: bool = False


class Recording:
    """Gathers the moments of a video, in order.

    Args:
        video: what the timeline calls it.
        emotions: of the probabilities.
        smoothing_s: see `dfer.inference.segments.smooth`; 0: none.
        fps: frames a second, of a source without a clock; see `dfer.inference.timeline.Timeline`.
        rotate: degrees by which pictures are turned clockwise before they are read.
        prior: the population that the probabilities are for.
        abstaining: the risk that naming an emotion is kept to, and the least confidence that does so; None: none.
    """

    def __init__(
        self, video: str, emotions: EmotionSet, *, smoothing_s: float = SMOOTHING_S, fps: float | None = None,
        rotate: int = 0, prior: str = TRAINED, abstaining: Abstaining | None = None,
    ) -> None:  # fmt: skip
        self.video, self.emotions, self.smoothing_s = video, emotions, smoothing_s
        self.fps, self.rotate, self.prior, self.abstaining = fps, rotate, prior, abstaining
        self._times, self._cuts = array("d"), array("d")
        self._end_s = math.nan
        self._once: list[tuple[float, float]] = []
        self._names: list[str] = []
        self._rows: defaultdict[int, array[float]] = defaultdict(lambda: array("d"))

    def add(self, moment: Moment) -> None:
        """The next frame."""
        for new, old in moment.renamed.items():
            self._rows[old].extend(self._rows.pop(new, array("d")))
        if moment.cut:
            self._cuts.append(moment.time_s)
        if moment.once:
            goes_on = self._once and self._once[-1][1] == moment.time_s
            start_s = self._once.pop()[0] if goes_on else moment.time_s
            self._once.append((start_s, moment.end_s))
        for face in moment.faces:
            scores = (face.mixed, face.cannot_tell, face.confidence)
            self._rows[face.id].extend(
                [len(self._times), face.flaws, *face.box.tolist(), *face.probs.tolist(), *scores]
            )
        self._times.append(moment.time_s)
        self._end_s = moment.end_s
        if moment.name:
            self._names.append(moment.name)

    def timeline(self) -> Timeline:
        """Everything so far."""
        times = np.array(self._times)
        end_s = self._end_s
        if math.isnan(end_s) and len(times):
            end_s = float(2 * times[-1] - times[-2]) if len(times) > 1 else float(times[0])
        people = tuple(self._person(id_, times, end_s) for id_ in sorted(self._rows))
        duration_s = end_s if len(times) else 0.0
        cuts_s = tuple(self._cuts)
        return Timeline(
            self.video, duration_s, self.emotions, people,
            fps=self.fps, rotate=self.rotate, cuts_s=cuts_s, prior=self.prior,
            abstain=self.abstaining.risk if self.abstaining else None, one_view_s=tuple(self._once),
            start_s=self._times[0] if self._times else 0.0,
        )  # fmt: skip

    def _person(self, id_: int, times: Floats, end_s: float) -> Person:
        table = np.array(self._rows[id_]).reshape(-1, 9 + len(self.emotions))
        # Someone who was renamed may have been followed under both numbers for a moment.
        frames, first = np.unique(table[:, 0].astype(np.int64), return_index=True)
        table = table[first]
        kept = with_absences(frames, len(times))
        rows = np.full((len(kept), table.shape[1] - 1), np.nan)
        rows[np.searchsorted(kept, frames)] = table[:, 1:]
        flaws = np.nan_to_num(rows[:, 0]).astype(np.uint8)
        smoothed = smooth(times[kept], rows[:, 5:], self.smoothing_s)
        probs, doubts = smoothed[:, :-3], self._doubts(smoothed[:, -3:])
        return Person(
            id=id_,
            times=times[kept],
            probs=probs,
            boxes=rows[:, 1:5],
            flaws=flaws,
            segments=find_segments(times[kept], probs, self.emotions.emotions, end_s=end_s, doubts=doubts),
            overall=overall(times[kept], probs, quality_flaws.weights(flaws), end_s=end_s),
            files=tuple(self._names[index] for index in kept) if self._names else (),
            doubts=doubts,
        )

    def _doubts(self, scores: Floats) -> Doubts | None:
        """Of rows of "mixed", "cannot tell" and the confidence; None where they are not known."""
        mixed, cannot_tell, confidence = scores.T
        if np.isnan(mixed).all():
            return None
        return judged(mixed, cannot_tell, confidence >= self.abstaining.least if self.abstaining else None)


def with_absences(frames: npt.NDArray[np.int64], count: int) -> npt.NDArray[np.int64]:
    """Of `count` frames, those with the face, and the first and the last of each stretch without it.

    >>> with_absences(np.array([3, 4, 6]), 10).tolist()
    [0, 2, 3, 4, 5, 6, 7, 9]
    """
    edges = np.concatenate([[-1], frames, [count]])
    away = np.flatnonzero(np.diff(edges) > 1)
    return np.unique(np.concatenate([frames, edges[away] + 1, edges[away + 1] - 1]))
