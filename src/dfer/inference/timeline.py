"""Emotions over time, person by person: what a video was seen to show, as a value and as a file.

Conventions: `times (T,)` seconds from the start of the film; `probs (T, K)` in the order of `emotions`; `boxes (T, 4)`
x, y, width, height, pixels of the picture as it is displayed. A row holds until the next one. A person's rows are the
frames in which the face is seen, and the first and the last frame of every stretch without it, whose probs and boxes
are NaN (null in JSON): no face is not neutral. So a line drawn through the rows breaks where it must, and a film of
many people takes no more room than its faces.
The format of the JSON file is described in docs/timeline.md.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import numpy.typing as npt
from pydantic import BaseModel, Field, ValidationError

from dfer.errors import DferError, listed
from dfer.files import write_text
from dfer.inference import flaws as quality_flaws
from dfer.inference.segments import Segment
from dfer.labels import EmotionSet, entropy

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

Floats = npt.NDArray[np.float64]

FORMAT = "dfer.timeline/1"
TEXTS, PICTURES, VIDEOS = (".json", ".csv", ".srt"), (".png", ".svg", ".pdf"), (".mp4",)
SUFFIXES = TEXTS + PICTURES + VIDEOS
"""Of the files that a timeline can be saved as."""
BOX = ("x", "y", "width", "height")


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
    """

    video: str
    duration_s: float
    emotions: EmotionSet
    people: tuple[Person, ...]
    fps: float | None = None
    rotate: int = 0
    cuts_s: tuple[float, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """Plain values of the format `dfer.timeline/1`; probabilities to 4 decimals, boxes to a tenth of a pixel."""
        return {
            "format": FORMAT,
            "video": self.video,
            "duration_s": round(self.duration_s, 4),
            **({"fps": self.fps} if self.fps else {}),
            **({"rotate": self.rotate} if self.rotate else {}),
            "cuts_s": [round(cut_s, 4) for cut_s in self.cuts_s],
            "emotions": list(self.emotions),
            "people": [_to_plain(person) for person in self.people],
        }

    @classmethod
    def from_dict(cls, values: Any, *, source: str = "the timeline") -> Timeline:
        """The inverse of `to_dict`.

        Args:
            values: plain values, as `json.loads` gives them.
            source: what they come from, for messages.

        Raises:
            DferError: another format or version, or values that do not fit together; says which.
        """
        found = values.get("format") if isinstance(values, dict) else None
        if found != FORMAT:
            raise DferError(f"{source}: expected the format {FORMAT}, got {found}; use the version of dfer it is from")
        try:
            plain = _PlainTimeline.model_validate(values)
        except ValidationError as error:
            first = error.errors()[0]
            raise DferError(f"{source} is damaged: {'.'.join(map(str, first['loc']))}: {first['msg']}") from error
        emotions = EmotionSet("timeline", tuple(plain.emotions))
        people = tuple(_from_plain(person, emotions, source) for person in plain.people)
        return cls(
            plain.video, plain.duration_s, emotions, people,
            fps=plain.fps, rotate=plain.rotate, cuts_s=tuple(plain.cuts_s),
        )  # fmt: skip

    @classmethod
    def load(cls, path: str | Path) -> Timeline:
        """Read a JSON file; raises as `from_dict`, or where there is none."""
        try:
            values = json.loads(Path(path).read_text(encoding="utf-8-sig"))
        except (OSError, UnicodeDecodeError, json.JSONDecodeError) as error:
            raise DferError(f"{path}: not a timeline that can be read: {error}") from error
        return cls.from_dict(values, source=str(path))

    def save(self, path: str | Path) -> None:
        """Write it as the suffix says: values (.json, .csv), subtitles (.srt), plot (.png, .svg, .pdf), video (.mp4).

        The video is read again for the thumbnails of a plot and for the frames of a video.

        Raises:
            DferError: another suffix, a file that cannot be written, or, for .mp4, a video that cannot be read again.
        """
        path = Path(path)
        suffix = path.suffix.lower()
        if suffix not in SUFFIXES:
            raise DferError(f"expected a file {', '.join(SUFFIXES)}, got {path}")
        if suffix in VIDEOS:
            from dfer.inference.overlay import write_overlay

            write_overlay(self, path)
        elif suffix in PICTURES:
            from dfer.inference.draw import write_plot

            write_plot(self, path)
        else:
            write_text(path, self._text(suffix))

    def _text(self, suffix: str) -> str:
        if suffix == ".json":
            return json.dumps(self.to_dict(), separators=(",", ":"), ensure_ascii=False, allow_nan=False) + "\n"
        if suffix == ".csv":
            return str(self.to_dataframe().to_csv(index=False, lineterminator="\n"))
        from dfer.inference.subtitles import to_srt

        return to_srt(self)

    def to_dataframe(self) -> pd.DataFrame:
        """One row a person and time: person, time_s, the K emotions, entropy, x, y, width, height, flaws (names), shot.

        A shot is what lies between two cuts: 0, 1, ... Of a folder of frames there is also the column file, and the
        column name if anybody has one.
        """
        import pandas as pd

        tables, named = [], any(person.name for person in self.people)
        for person in self.people:
            table = pd.DataFrame({"person": person.id, "time_s": person.times.round(4)})
            table[list(self.emotions)] = person.probs.round(4)
            table["entropy"] = person.entropy.round(4)
            table[list(BOX)] = person.boxes.round(1)
            table["flaws"] = [quality_flaws.names(flaw) for flaw in person.flaws.tolist()]
            table["shot"] = np.searchsorted(self.cuts_s, person.times, side="right")
            if person.files:
                table["file"] = person.files
            if named:
                table["name"] = person.name
            tables.append(table)
        columns = ["person", "time_s", *self.emotions, "entropy", *BOX, "flaws", "shot"]
        return pd.concat(tables, ignore_index=True) if tables else pd.DataFrame(columns=columns)

    def plot(self) -> Figure:
        """The emotions as stacked bands over time, a row a person, with the face at the peaks of the segments."""
        from dfer.inference.draw import plot

        return plot(self)

    def _repr_html_(self) -> str:
        from dfer.inference.draw import to_html

        return to_html(self)


class _PlainPerson(BaseModel):
    id: int
    times_s: list[float]
    probs: list[list[float] | None]
    boxes: list[list[float] | None]
    flaws: list[str | None] | None = None
    segments: list[Segment]
    overall: list[float] | None
    files: list[str] = []
    name: str = ""


class _PlainTimeline(BaseModel):
    video: str
    duration_s: float
    cuts_s: list[float] = []
    emotions: list[str]
    people: list[_PlainPerson]
    fps: float | None = Field(None, gt=0, allow_inf_nan=False)
    rotate: Literal[0, 90, 180, 270] = 0


def _to_plain(person: Person) -> dict[str, Any]:
    seen = person.seen.tolist()
    flags = [quality_flaws.names(flaw) for flaw in person.flaws.tolist()]
    overall = person.overall.round(4).tolist()
    return {
        "id": person.id,
        **({"name": person.name} if person.name else {}),
        "times_s": person.times.round(4).tolist(),
        "probs": _rows(person.probs.round(4), seen),
        "boxes": _rows(person.boxes.round(1), seen),
        "flaws": [flag if is_seen else None for flag, is_seen in zip(flags, seen, strict=True)],
        "segments": [_rounded(segment) for segment in person.segments],
        "overall": None if np.isnan(person.overall).any() else overall,
        **({"files": list(person.files)} if person.files else {}),
    }


def _rows(table: Floats, seen: list[bool]) -> list[list[float] | None]:
    return [row if is_seen else None for row, is_seen in zip(table.tolist(), seen, strict=True)]


def _rounded(segment: Segment) -> dict[str, Any]:
    return {key: round(value, 4) if isinstance(value, float) else value for key, value in asdict(segment).items()}


def _from_plain(plain: _PlainPerson, emotions: EmotionSet, source: str) -> Person:
    where = f"{source}: person {plain.id}"
    count, size = len(plain.times_s), len(emotions)
    flags = plain.flaws if plain.flaws is not None else [None] * count
    lengths = {"probs": len(plain.probs), "boxes": len(plain.boxes), "flaws": len(flags)}
    if plain.files:
        lengths["files"] = len(plain.files)
    if set(lengths.values()) != {count}:
        raise DferError(f"{where} has {count} times but {listed(f'{n} {name}' for name, n in lengths.items())}")
    probs = _table(plain.probs, size, f"{where}, probs")
    boxes = _table(plain.boxes, 4, f"{where}, boxes")
    times = np.array(plain.times_s, dtype=np.float64)
    if (np.isnan(probs[:, 0]) != np.isnan(boxes[:, 0])).any():
        raise DferError(f"{where}: expected null in probs and boxes at the same times")
    if not np.isfinite(times).all() or (np.diff(times) <= 0).any():
        raise DferError(f"{where}: expected times that increase")
    overall = _table([plain.overall], size, f"{where}, overall")[0]
    for name, rows in (("probabilities", probs), ("overall", overall[None])):
        told = rows[~np.isnan(rows).all(axis=1)]
        totals = told.sum(axis=1)
        if not ((told >= 0).all() and (np.abs(totals - 1) <= 0.01).all()):
            raise DferError(f"{where}: expected {name} of 0 or more that sum to one, got {listed(totals.round(3))}")
    unknown = {segment.emotion for segment in plain.segments} - set(emotions)
    if unknown:
        raise DferError(f"{where}: its segments name {listed(sorted(unknown))}, not among {listed(emotions, 12)}")
    try:
        bits = np.array([quality_flaws.bits(flag or "") for flag in flags], dtype=np.uint8)
    except KeyError as error:
        raise DferError(f"{where}: unknown flaw {error}; known: {listed(quality_flaws.FLAWS)}") from error
    return Person(plain.id, times, probs, boxes, bits, tuple(plain.segments), overall, tuple(plain.files), plain.name)


def _table(rows: list[list[float] | None], width: int, where: str) -> Floats:
    """(n, width), NaN for null."""
    wrong = [len(row) for row in rows if row is not None and len(row) != width]
    if wrong:
        raise DferError(f"{where}: expected rows of {width} numbers, got {listed(wrong)}")
    table = np.array([row if row is not None else [np.nan] * width for row in rows], dtype=np.float64)
    return table.reshape(len(rows), width)
