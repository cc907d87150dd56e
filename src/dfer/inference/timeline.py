"""Emotions over time, person by person: what a video was seen to show, as a value and as a file.

Conventions: `times (T,)` seconds from the start of the film; `probs (T, K)` in the order of `emotions`; `boxes (T, 4)`
x, y, width, height, pixels of the picture as it is displayed. A row holds until the next one. A person's rows are the
frames in which the face is seen, and the first and the last frame of every stretch without it, whose probs and boxes
are NaN (null in JSON): no face is not neutral. So a line drawn through the rows breaks where it must, and a film of
many people takes no more room than its faces.
The format of the JSON file is described in docs/timeline.md.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from dfer.errors import DferError, listed
from dfer.inference import flaws as quality_flaws
from dfer.inference.doubts import KINDS, Doubts, Stretch, Verdict, stretches, verdict_of
from dfer.inference.population import TRAINED
from dfer.inference.segments import Segment
from dfer.labels import EmotionSet, entropy
from dfer.tables import as_unicode

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

Floats = npt.NDArray[np.float64]

FORMAT = "dfer.timeline/1"
BOX = ("x", "y", "width", "height")
DOUBTS = ("mixed", "cannot_tell", "doubt")
COLUMNS = ("person", "time_s", "entropy", *BOX, "flaws", "shot", "file", "name", *DOUBTS)
"""Of the table, beside the emotions."""


@dataclass(frozen=True, eq=False)
class Person:
    """One person's face over time.

    Attributes:
        id: 0, 1, ... in the order of appearance, from left to right.
        times: (T,) seconds, increasing.
        probs: (T, K) smoothed; rows sum to one, or are NaN where there is no face.
        boxes: (T, 4) x, y, width, height, pixels; NaN likewise.
        flaws: (T,) uint8, bits of `dfer.inference.flaws.FLAWS`; 0 where nothing is wrong, or no face.
        segments: in the order of their onsets.
        overall: (K,) the mean over time, rows with flaws counting for less.
        files: the names of the rows' files, in a folder of frames; else empty.
        name: what a user calls them; "" for none.
        doubts: where no emotion is named, and why; None: not known, in a file of an earlier version.
    """

    id: int
    times: Floats
    probs: Floats
    boxes: Floats
    flaws: npt.NDArray[np.uint8]
    segments: tuple[Segment, ...]
    overall: Floats
    files: tuple[str, ...] = ()
    name: str = ""
    doubts: Doubts | None = None

    @property
    def label(self) -> str:
        """The name, or else the number, for people to read."""
        return self.name or f"person {self.id}"

    @property
    def seen(self) -> npt.NDArray[np.bool_]:
        """(T,) where there is a face."""
        return ~np.isnan(self.probs[:, 0])

    @property
    def entropy(self) -> Floats:
        """(T,) how undecided the distribution is, 0..1; NaN where there is no face."""
        return entropy(self.probs)


@dataclass(frozen=True, eq=False)
class Timeline:
    """What a video shows.

    Attributes:
        video: its path as it was given, or "camera 0".
        duration_s: when the last frame that was looked at ends, seconds.
        emotions: of the columns of probs.
        people: in the order of their ids; nobody where no face was found.
        fps: frames a second that were given for a folder of frames; None: it has a clock, or a rate was assumed.
        rotate: degrees by which the pictures were turned clockwise before they were read.
        cuts_s: when a scene ended and another one began, seconds.
        prior: the population that the probabilities are for: that of the model's training part ("trained"), one in
            which all emotions are as frequent ("uniform"), a number between the two, or the name of a file; see
            `dfer.inference.population`.
        abstain: the risk of naming another emotion than most people would that was asked for; None: none.
        one_view_s: from when to when, seconds, the network saw each face as it is and mirrored in turns, and not in
            every frame; elsewhere it saw both in each frame, if it is one that does.
        start_s: when the first frame that was looked at begins, seconds.
    """

    video: str
    duration_s: float
    emotions: EmotionSet
    people: tuple[Person, ...]
    fps: float | None = None
    rotate: int = 0
    cuts_s: tuple[float, ...] = ()
    prior: str = TRAINED
    abstain: float | None = None
    one_view_s: tuple[tuple[float, float], ...] = ()
    start_s: float = 0.0

    def to_dict(self) -> dict[str, Any]:
        """Plain values of the format `dfer.timeline/1`; probabilities to 4 decimals, boxes to a tenth of a pixel."""
        from dfer.inference.timeline_writing import to_dict

        return to_dict(self)

    @classmethod
    def from_dict(cls, values: Any, *, source: str = "the timeline") -> Timeline:
        """The inverse of `to_dict`.

        Args:
            values: plain values, as `json.loads` gives them.
            source: what they come from, for messages.

        Raises:
            DferError: another format or version, or values that do not fit together; says which.
        """
        from dfer.inference.timeline_reading import from_dict

        return from_dict(values, source=source)

    @classmethod
    def load(cls, path: str | Path) -> Timeline:
        """Read a file .json or .parquet; raises as `from_dict`, or where there is none."""
        from dfer.inference.timeline_reading import load

        return load(Path(path))

    def save(self, path: str | Path) -> None:
        """Write it as its suffix says, see `dfer.inference.writers.WRITERS`.

        The video is read again for the thumbnails of a plot or a page, and for the frames of a video.

        Raises:
            DferError: another suffix, a file that cannot be written, or, for .mp4, a video that cannot be read again.
        """
        from dfer.inference.writers import write

        write(self, Path(path))

    def to_dataframe(self) -> pd.DataFrame:
        """One row a person and time: person, time_s, the K emotions, entropy, x, y, width, height, flaws (names), shot.

        A shot is what lies between two cuts: 0, 1, ... Where doubts are known, there are the scores mixed and
        cannot_tell, and doubt: "mixed" or "cannot tell" where no emotion is named. Of a folder of frames there is also
        the column file, and the column name if anybody has one.
        """
        import pandas as pd

        taken = [name for name in self.emotions if name in COLUMNS]
        if taken:
            raise DferError(f"a column of the table is called as the emotion {listed(taken)}; save it as .json")
        tables, named = [], any(person.name for person in self.people)
        for person in self.people:
            table = pd.DataFrame({"person": person.id, "time_s": person.times.round(4)})
            table[list(self.emotions)] = person.probs.round(4)
            table["entropy"] = person.entropy.round(4)
            table[list(BOX)] = person.boxes.round(1)
            table["flaws"] = quality_flaws.all_names()[person.flaws]
            table["shot"] = np.searchsorted(self.cuts_s, person.times, side="right")
            if person.doubts is not None:
                table["mixed"] = person.doubts.mixed.round(4)
                table["cannot_tell"] = person.doubts.cannot_tell.round(4)
                table["doubt"] = np.array(KINDS, dtype=object)[person.doubts.kinds]
            if person.files:
                table["file"] = [as_unicode(name) for name in person.files]
            if named:
                table["name"] = as_unicode(person.name)
            tables.append(table)
        columns = ["person", "time_s", *self.emotions, "entropy", *BOX, "flaws", "shot"]
        return pd.concat(tables, ignore_index=True) if tables else pd.DataFrame(columns=columns)

    def stretches(self, person: Person) -> tuple[Stretch, ...]:
        """When no emotion of a person is named, and what is said instead, in the order of time."""
        end_s = max(self.duration_s, *person.times[-1:])
        return stretches(person.times, person.probs, person.doubts, self.emotions.emotions, end_s=end_s)

    def verdict(self, person: Person) -> Verdict | None:
        """The doubts about a person over the whole film; None where none are known, or the face is never seen."""
        rows = np.flatnonzero(person.seen)
        if person.doubts is None or not len(rows):
            return None
        lasting_s = np.diff(person.times, append=max(self.duration_s, *person.times[-1:]))
        return verdict_of(person.doubts.at(rows), person.probs[rows], lasting_s[rows], self.emotions.emotions)

    def plot(self) -> Figure:
        """The emotions as stacked bands over time, a row a person, with the face at the peaks of the segments."""
        from dfer.inference.draw import plot

        return plot(self)

    def _repr_html_(self) -> str:
        from dfer.inference.draw import to_html

        return to_html(self)
