"""What is known of someone who is followed, and of a face that was just found."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from dfer.video.alignment import align, landmarks_in
from dfer.video.detection import Face, Frames, Points
from dfer.video.flow import colours
from dfer.video.identity import Gallery, Look


@dataclass(eq=False)
class Sighting:
    """A detected face with what it is recognised by; the look is None until it is taken, and where it is not clear."""

    box: Points
    landmarks: Points
    score: float
    colours: Points
    look: Look | None = None

    @property
    def middle(self) -> Points:
        """(2,) of the box."""
        return self.box[:2] + self.box[2:] / 2


@dataclass(eq=False)
class Track:
    """Someone who is followed; places are pixels of the frame.

    Attributes:
        box: (4,) x, y, width, height.
        landmarks: (5, 2).
        score: of the last detection, 0..1.
        colours: of the face when it was last detected, see `dfer.video.flow.colours`.
        seen_s: when it was last detected, seconds.
        first_s: when it was first detected.
        confirmed: found surely, or more than once.
        id: 0, 1, ... in the order of appearance, from left to right; -1 until shown.
        detected: found by the detector in this frame.
        certain: followed by flow into this frame, or found again.
        behind: landmarks (5, 2) and box (4,) of the last detection minus the followed ones.
        gallery: looks of the face.
        looked_s: when the last one was taken.
        settled: since the last look that was theirs, flow held, and nobody came so near as to be taken for them.
        doubts: looks since then that were someone else's.
        sighting: the last detection.
    """

    box: Points
    landmarks: Points
    score: float
    colours: Points
    seen_s: float
    first_s: float
    confirmed: bool
    id: int = -1
    detected: bool = True
    certain: bool = True
    behind: tuple[Points, Points] = field(default_factory=lambda: (np.zeros((5, 2)), np.zeros(4)))
    gallery: Gallery = field(default_factory=Gallery)
    looked_s: float = -np.inf
    settled: bool = True
    doubts: int = 0
    sighting: Sighting | None = None

    @classmethod
    def of(cls, one: Sighting, time_s: float, *, confirmed: bool) -> Track:
        """Someone new."""
        person = cls(one.box, one.landmarks, one.score, one.colours, time_s, time_s, confirmed, sighting=one)
        if one.look is not None:
            person.gallery.add(one.look)
            person.looked_s = time_s
        return person

    @property
    def middle(self) -> Points:
        """(2,) of the box."""
        return self.box[:2] + self.box[2:] / 2


def sighting(frame: Frames, face: Face) -> Sighting:
    """A detected face with its landmarks and colours."""
    landmarks = landmarks_in(face.box) if face.landmarks is None else face.landmarks
    return Sighting(face.box, landmarks, face.score, colours(align(frame, landmarks, 48)))
