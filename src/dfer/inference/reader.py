"""From frames with faces to windows for the network, and from its answers about them to moments.

A network of stills may see each face twice, as it is and mirrored, and give the mean. Where frames follow each other
closely it sees each face once at a time, as it is and mirrored in turns, and not in every frame.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace

import numpy as np

from dfer.inference.flaws import flaws_of
from dfer.inference.recording import Moment, Reading
from dfer.inference.windows import Answers, Glances, Window, Windows
from dfer.video.faces import TrackedFace
from dfer.video.legibility import cannot_tell
from dfer.video.preprocessing import Preprocessing

NEAR = 0.6
"""Where the frames before and after are within this share of the standard deviation of smoothing, the network sees each
face at least once in so much time, as it is and mirrored in turns. Smoothing over time takes the mean of the two, and
nothing is left of their difference. Elsewhere it sees both in each frame."""


@dataclass(frozen=True, eq=False)
class Crops:
    """A frame without its pixels; `once` as in `Moment`."""

    index: int
    time_s: float
    faces: tuple[TrackedFace, ...]
    end_s: float
    name: str
    cut: bool = False
    renamed: Mapping[int, int] = field(default_factory=dict)
    once: bool = False


class Reader:
    """Frames with faces in, windows out; answers about windows in, moments out.

    Args:
        preprocessing: of the network.
        near_s: faces are shown in turns where the frames before and after are so near; None: never.
    """

    def __init__(self, preprocessing: Preprocessing, near_s: float | None = None) -> None:
        self.preprocessing, self.near_s = preprocessing, near_s
        self.answers = Answers()
        self._windows: dict[int, Windows] = {}
        self._frames: deque[Crops] = deque()
        self._former_s = -np.inf

    def push(self, frame: Crops) -> Iterator[Window]:
        """The windows that are complete with a frame."""
        once = self._is_once(frame)
        self._former_s = frame.time_s
        self._frames.append(replace(frame, once=once))
        for face in frame.faces:
            if face.id not in self._windows:
                self._windows[face.id] = self._anew(face.id)
            picture = self.preprocessing.shown(face.crop[None])[0]
            next_s = frame.end_s if once else np.inf
            yield from self._windows[face.id].push(frame.index, frame.time_s, picture, next_s)
        for windows in self._windows.values():
            yield from windows.idle(frame.time_s)
        self._windows = {id_: windows for id_, windows in self._windows.items() if windows.waiting is not None}

    def finish(self) -> Iterator[Window]:
        """The last windows of everybody."""
        for windows in self._windows.values():
            yield from windows.finish()
        self._windows = {}

    def moments(self) -> Iterator[Moment]:
        """The frames of which everything is said."""
        waiting = [windows.waiting for windows in self._windows.values() if windows.waiting is not None]
        until = min(waiting, default=np.inf)
        while self._frames and self._frames[0].index < until:
            frame = self._frames.popleft()
            readings = tuple(self._reading(face, frame.index) for face in frame.faces)
            yield Moment(frame.time_s, readings, frame.end_s, frame.name, frame.cut, frame.renamed, frame.once)

    def _anew(self, person: int) -> Windows:
        if self.near_s is None:
            return Windows(person, self.preprocessing.frames, self.preprocessing.short)
        return Glances(person, self.near_s)

    def _is_once(self, frame: Crops) -> bool:
        """Whether the network sees the faces of the next frame in turns."""
        if self.near_s is None:
            return False
        return frame.time_s - self._former_s <= self.near_s and frame.end_s - frame.time_s <= self.near_s

    def _reading(self, face: TrackedFace, index: int) -> Reading:
        *probs, mixed, sure = self.answers.take(face.id, index)
        return Reading(
            face.id, face.box, np.array(probs), flaws_of(face.quality),
            mixed=float(mixed), cannot_tell=cannot_tell(face.crop), confidence=float(sure),
        )  # fmt: skip
