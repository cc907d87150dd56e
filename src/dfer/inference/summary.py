"""What many videos show, in short: a row a video and person, and totals over all of them.

Time is counted in seconds for which rows hold, from one to the next, so that a film of few frames weighs no less.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from dfer.errors import DferError
from dfer.files import replacing
from dfer.inference import flaws as quality_flaws
from dfer.inference.doubts import KINDS
from dfer.inference.timeline import Person, Timeline
from dfer.inference.writers import CsvStyle
from dfer.tables import as_unicode, quoted, write_csv

if TYPE_CHECKING:
    import pandas as pd

Floats = npt.NDArray[np.float64]

SUFFIXES = (".csv", ".xlsx")
"""Of the files that a summary can be written as."""
DOUBTED = ("mixed", "cannot_tell")
"""Columns: of the time seen, the shares in which no emotion is named."""
NOBODY = "no face was found"


@dataclass(frozen=True, eq=False)
class PersonSummary:
    """One person of one video.

    Attributes:
        id: the person's.
        seen_s: for how long the face is seen, seconds.
        mean: (K,) the mean distribution, `Person.overall`.
        shares: (K,) of the time seen, where each emotion is the strongest; sums to one.
        events: (K,) how many segments each emotion has.
        usable: share of the frames with the face that have no flaw.
        flaws: the share of those frames for each of `dfer.inference.flaws.FLAWS`.
        doubts: (2,) of the time seen, the shares in which no emotion is named: "mixed" and "cannot tell"; NaN: not
            known.
    """

    id: int
    seen_s: float
    mean: Floats
    shares: Floats
    events: npt.NDArray[np.int64]
    usable: float
    flaws: Floats
    doubts: Floats


def summarise(person: Person, timeline: Timeline) -> PersonSummary:
    """What one person of a timeline shows, in short; shares are NaN for one who is never seen."""
    seen, emotions = person.seen, timeline.emotions
    lasting_s = np.diff(person.times, append=max(timeline.duration_s, *person.times[-1:]))[seen]
    # a single picture lasts for no time
    weights = lasting_s if lasting_s.any() else np.ones(len(lasting_s))
    strongest = person.probs[seen].argmax(axis=1) if seen.any() else np.zeros(0, np.int64)
    flawed = np.unpackbits(person.flaws[seen, None], axis=1, bitorder="little")[:, : len(quality_flaws.FLAWS)]
    with np.errstate(invalid="ignore"):
        shares = np.bincount(strongest, weights, len(emotions)) / weights.sum()
    return PersonSummary(
        id=person.id,
        seen_s=float(lasting_s.sum()),
        mean=person.overall,
        shares=shares,
        events=np.array([sum(segment.emotion == name for segment in person.segments) for name in emotions]),
        usable=float((person.flaws[seen] == 0).mean()) if seen.any() else np.nan,
        flaws=flawed.mean(axis=0) if seen.any() else np.full(len(quality_flaws.FLAWS), np.nan),
        doubts=_doubts(person, weights),
    )


def _doubts(person: Person, weights: Floats) -> Floats:
    """(2,) the shares of the rows with a face for each verdict but the first, by their weights."""
    if person.doubts is None or not person.seen.any():
        return np.full(2, np.nan)
    shares = np.bincount(person.doubts.kinds[person.seen], weights, len(KINDS)) / weights.sum()
    return np.asarray(shares[1:])


def strongest(timeline: Timeline, most: int = 3) -> str:
    """The strongest emotion of each person, those who are seen longest first, in a few words.

    For example "happy 47%", or "person 0 neutral 74%, person 1 neutral 81%".
    """
    known = [person for person in timeline.people if not np.isnan(person.overall).any()]
    longest = sorted(known, key=lambda person: -summarise(person, timeline).seen_s)[:most]
    said = []
    for person in sorted(longest, key=lambda person: person.id):
        top = int(person.overall.argmax())
        who = f"{person.label} " if len(timeline.people) > 1 else ""
        said.append(f"{who}{timeline.emotions[top]} {person.overall[top]:.0%}")
    more = len(timeline.people) - len(said)
    return ", ".join(said) + (f" and {more} more" if more and said else "")


class Summary:
    """Gathers the timelines of many videos; what could not be read has a row, too."""

    def __init__(self) -> None:
        self.emotions: tuple[str, ...] = ()
        self._rows: list[dict[str, object]] = []
        self._people: list[PersonSummary] = []
        self.videos = self.empty = self.failed = 0

    def add(self, timeline: Timeline) -> None:
        """The next video."""
        self.videos += 1
        self.emotions = timeline.emotions.emotions
        film = {"video": as_unicode(timeline.video), "duration_s": round(timeline.duration_s, 3)}
        for person in timeline.people:
            found = summarise(person, timeline)
            self._people.append(found)
            self._rows.append(film | self._row(person, found))
        if not timeline.people:
            self.empty += 1
            self._rows.append(film | {"seen_s": 0.0, "note": NOBODY})

    def fail(self, video: Path, error: DferError) -> None:
        """A video that could not be read."""
        self.failed += 1
        self._rows.append({"video": as_unicode(str(video)), "note": as_unicode(" ".join(str(error).split()))})

    def _row(self, person: Person, found: PersonSummary) -> dict[str, object]:
        known = not np.isnan(found.mean).any()
        row: dict[str, object] = {
            "person": person.id,
            "name": as_unicode(person.name),
            "seen_s": round(found.seen_s, 3),
        }
        row["strongest"] = self.emotions[int(found.mean.argmax())] if known else ""
        for prefix, values in (("mean", found.mean), ("share", found.shares)):
            row |= {f"{prefix}_{name}": value for name, value in zip(self.emotions, values.round(4), strict=True)}
        row |= {f"events_{name}": int(count) for name, count in zip(self.emotions, found.events, strict=True)}
        row["usable"] = round(found.usable, 4)
        if person.doubts is not None:
            row |= dict(zip(DOUBTED, found.doubts.round(4), strict=True))
        return row | dict(zip(quality_flaws.FLAWS, found.flaws.round(4), strict=True))

    def to_dataframe(self) -> pd.DataFrame:
        """A row a video and person.

        Columns: video, duration_s, person, seen_s (seconds); strongest (emotion); for each emotion mean_, share_ and
        events_, see `PersonSummary`; usable and a share for each flaw; note (what is wrong with the video, "" for
        nothing).
        """
        import pandas as pd

        each = [f"{prefix}_{name}" for prefix in ("mean", "share", "events") for name in self.emotions]
        columns = [
            "video",
            "duration_s",
            "person",
            *(["name"] if any(row.get("name") for row in self._rows) else []),
            "seen_s",
            "strongest",
            *each,
            "usable",
            *quality_flaws.FLAWS,
            *(DOUBTED if any(DOUBTED[0] in row for row in self._rows) else []),
            "note",
        ]
        table = pd.DataFrame(self._rows, columns=columns)
        whole = ["person", *(name for name in each if name.startswith("events_"))]
        table[whole] = table[whole].astype("Int64")
        for name in ("strongest", "note"):
            table[name] = [str(row.get(name, "")) for row in self._rows]
        return table

    def totals(self) -> list[str]:
        """What is said at the end: how many videos and people, for how long, and what they show."""
        found = [
            f"{self.videos + self.failed} videos",
            *([f"{self.failed} could not be read"] if self.failed else []),
            *([f"{self.empty} without a face"] if self.empty else []),
        ]
        seen_s = sum(person.seen_s for person in self._people)
        count = len(self._people)
        said = [f"{', '.join(found)}; {count} {'person' if count == 1 else 'people'} seen for {seen_s:.1f} s"]
        weights = [person.seen_s or 1e-9 for person in self._people]
        if self._people:
            shares = np.average([np.nan_to_num(person.shares) for person in self._people], axis=0, weights=weights)
            events = np.sum([person.events for person in self._people], axis=0)
            order = [k for k in np.argsort(-shares, kind="stable") if shares[k] or events[k]]
            each = [f"{self.emotions[k]} {shares[k]:.0%} ({events[k]})" for k in order]
            said.append(f"share of time (segments): {', '.join(each)}")
        return said


def write_summary(summary: Summary, path: Path, *, style: CsvStyle = CsvStyle()) -> None:
    """Write the table as .csv or .xlsx.

    Raises:
        UnwritableError: the system refuses.
    """
    table = summary.to_dataframe()
    with replacing(path) as partial:
        if path.suffix.lower() == ".xlsx":
            _write_sheet(table, partial)
        else:
            write_csv(table, partial, sep=style.sep, decimal=style.decimal, encoding=style.encoding)


def _write_sheet(table: pd.DataFrame, path: Path) -> None:
    """A workbook whose texts are texts, written as `dfer.tables.quoted` says: a name that begins with "=" is none."""
    from openpyxl import Workbook
    from openpyxl.cell.cell import ILLEGAL_CHARACTERS_RE
    from openpyxl.styles import Font
    from openpyxl.utils import get_column_letter

    book = Workbook()
    sheet = book.active
    sheet.title = "summary"
    rows = [list(table.columns), *table.astype(object).where(table.notna(), None).to_numpy().tolist()]
    for number, row in enumerate(rows, 1):
        for column, value in enumerate(row, 1):
            cell = sheet.cell(number, column)
            if isinstance(value, str):
                cell.value = ILLEGAL_CHARACTERS_RE.sub("\N{REPLACEMENT CHARACTER}", quoted(value))
                cell.data_type = "s"
            elif value is not None:
                cell.value = value
            cell.font = Font(bold=number == 1)
    sheet.freeze_panes = "A2"
    for column, name in enumerate(table.columns, 1):
        sheet.column_dimensions[get_column_letter(column)].width = 32 if name in ("video", "note") else len(name) + 3
    book.save(path)
