"""Which frames of a face a network sees at once, and how its answers about them become one answer a frame.

A network of T frames sees windows of `WINDOW_S` that begin every `HOP_S`, T frames sampled evenly from each as in its
evaluation; what it says of a window holds for all the frames in it, most for those in its middle. A network of stills
is the same with windows of one frame; where frames follow each other closely it need not see a face in each. A face
that was away for longer than `GAP_S` begins anew. Of a video that is read at less than a frame every `GAP_S`, each
frame is a window of its own.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from dfer.inference.spans import GAP_S
from dfer.video.sampling import uniform

Frames = npt.NDArray[np.uint8]
Floats = npt.NDArray[np.float64]

WINDOW_S = 2.8
"""Length of a window of a network of more than one frame, seconds: the median clip of DFEW has 71 frames."""
HOP_S = WINDOW_S / 4
"""From the beginning of a window to that of the next one, seconds."""
EDGE = 0.1
"""The weight of a window's first and last frame; it rises evenly to 1 in the middle."""


@dataclass(frozen=True, eq=False)
class Window:
    """What a network sees at once.

    Attributes:
        person: whose face it is.
        frames: (n,) the numbers of all frames that it covers.
        weights: (n,) how much its answer counts in each.
        pictures: (T, H, W, C) uint8, those of them that are shown to the network.
        once: whether the network sees them without their mirror image.
    """

    person: int
    frames: npt.NDArray[np.int64]
    weights: Floats
    pictures: Frames
    once: bool = False


@dataclass(frozen=True, eq=False)
class _Row:
    frame: int
    time_s: float
    picture: Frames
    next_s: float


class Windows:
    """The windows over one person's face, as its pictures come in.

    Args:
        person: the id.
        size: T, frames that the network sees.
        short: how T frames are taken from fewer, see `dfer.video.sampling`.
    """

    def __init__(self, person: int, size: int, short: str) -> None:
        self.person, self.size, self.short = person, size, short
        self.length_s, self.hop_s = (WINDOW_S, HOP_S) if size > 1 else (0.0, 0.0)
        self._rows: list[_Row] = []
        self._uncovered = False

    def push(self, frame: int, time_s: float, picture: Frames, next_s: float = np.inf) -> Iterator[Window]:
        """The windows that are complete with the picture (H, W, C) of the face in the next frame.

        None spans a gap: a picture that comes more than `GAP_S` after the last one begins anew, also where the frames
        themselves are so far apart. `next_s` is when the frame after it is shown; infinite: not soon.
        """
        yield from self.idle(time_s)
        self._rows.append(_Row(frame, time_s, picture, next_s))
        self._uncovered = True
        start_s = self._rows[0].time_s
        if time_s - start_s >= self.length_s - 0.001:
            yield self._window()
            self._rows = [row for row in self._rows if row.time_s > start_s + self.hop_s]

    def idle(self, time_s: float) -> Iterator[Window]:
        """The last window, in a frame without the face that comes too long after it."""
        if self._rows and time_s - self._rows[-1].time_s > GAP_S:
            yield from self.finish()

    def finish(self) -> Iterator[Window]:
        """The last window, where there are frames that none covers yet; it may be shorter than the others."""
        if self._uncovered:
            yield self._window()
        self._rows = []

    @property
    def waiting(self) -> int | None:
        """The first frame of which more may be said; None when everything is."""
        return self._rows[0].frame if self._rows else None

    def _window(self) -> Window:
        self._uncovered = False
        chosen = uniform(len(self._rows), self.size, short=self.short)
        times = np.array([row.time_s for row in self._rows])
        half = max((times[-1] - times[0]) / 2, 1e-9)
        weights = 1 - (1 - EDGE) * np.abs(times - times[0] - half) / half if len(times) > 1 else np.ones(1)
        return Window(
            self.person,
            np.array([row.frame for row in self._rows], dtype=np.int64),
            weights,
            np.stack([self._rows[index].picture for index in chosen.tolist()]),
        )


class Glances(Windows):
    """The windows over one person's face, of a network of stills that sees it as it is and mirrored in turns.

    Where frames follow each other closely it does not see it in each. A window is a frame that it sees and those around
    it, up to the next ones that it sees: between two of these, what is said goes evenly from the one answer to the
    other.

    Args:
        person: the id.
        near_s: seconds from a frame that is seen to the next one, at most, where frames are nearer to each other.
    """

    def __init__(self, person: int, near_s: float) -> None:
        super().__init__(person, 1, "hold")
        self.near_s = near_s
        self._seen, self._mirrored = 0, True  # the place of the frame that is seen, in the rows

    def push(self, frame: int, time_s: float, picture: Frames, next_s: float = np.inf) -> Iterator[Window]:
        """As `Windows.push`; where the next frame is not shown soon, the picture is seen both ways."""
        yield from self.idle(time_s)
        if not self._rows or next_s - self._rows[self._seen].time_s > self.near_s:
            if self._rows:
                yield self._window()
                self._rows = self._rows[self._seen + 1 :]
            self._seen = len(self._rows)
            self._mirrored ^= math.isfinite(next_s)
        self._rows.append(_Row(frame, time_s, picture, next_s))
        self._uncovered = True

    def _window(self) -> Window:
        self._uncovered = False
        seen = self._rows[self._seen]
        once = math.isfinite(seen.next_s)
        picture = seen.picture[:, ::-1] if once and self._mirrored else seen.picture
        away = np.abs([row.time_s - seen.time_s for row in self._rows])
        frames = np.array([row.frame for row in self._rows], dtype=np.int64)
        return Window(self.person, frames, 1 / np.where(away > 0, away, 1), picture[None], once=once)


class Answers:
    """The answers about windows, gathered by person and frame until they are taken out."""

    def __init__(self) -> None:
        self._sums: defaultdict[tuple[int, int], list[Floats]] = defaultdict(list)

    def add(self, window: Window, probs: Floats) -> None:
        """A network's answer (K,) about a window, and what else is said of it."""
        for frame, weight in zip(window.frames.tolist(), window.weights.tolist(), strict=True):
            self._sums[window.person, frame].append(np.append(probs, 1.0) * weight)

    def take(self, person: int, frame: int) -> Floats:
        """The weighted mean (K,) of the answers about windows that cover the frame; it is forgotten."""
        total = np.sum(self._sums.pop((person, frame)), axis=0)
        return np.asarray(total[:-1] / total[-1])
