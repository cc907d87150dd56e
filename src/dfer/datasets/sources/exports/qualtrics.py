"""Qualtrics: CSV or TSV with three header rows (names, questions, ImportId), a row a respondent, a column a question.

The clip of a column is the file that its question names, else what the column is called. Previews of the survey are
nobody's answers; responses that Qualtrics calls spam are rejected.
"""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

from dfer.datasets.sources.exports import FILE_NAME, Answer, as_frame, single
from dfer.datasets.sources.grids import Grid, padded
from dfer.datasets.sources.label_space import REJECTED, Vocabulary
from dfer.datasets.spelling import file_of
from dfer.errors import DferError, listed

ABOUT = frozenset(
    ("startdate", "enddate", "status", "ipaddress", "progress", "duration (in seconds)", "finished", "recordeddate",
     "responseid", "recipientlastname", "recipientfirstname", "recipientemail", "externalreference",
     "externaldatareference",
     "locationlatitude", "locationlongitude", "distributionchannel", "userlanguage")
)  # fmt: skip
"""Columns about the respondent."""
RATERS = ("PROLIFIC_PID", "prolific_pid", "workerId", "participant", "ResponseId", "ResponseID")
"""Columns that say who answers; the first one that is filled."""


def recognise(rows: Sequence[Sequence[str]]) -> int:
    """The position of the first header row in a grid of cells, -1 where it is another's."""
    for place, row in enumerate(rows[:5]):
        names = {cell.lower() for cell in row}
        if {"responseid", "startdate"} <= names or {"responseid", "recordeddate"} <= names:
            return place
    return -1


def read(grid: Grid, words: Vocabulary) -> pd.DataFrame:
    """The answers, a respondent after the other.

    Raises:
        DferError: no column whose answers are emotions.
    """
    start = recognise(grid.rows)
    header = list(grid.rows[start])
    body = [padded(row, len(header)) for row in grid.rows[start + 1 :] if any(row)]
    heads = 0
    while heads < min(2, len(body)) and _is_header(body[heads], header):
        heads += 1
    texts = body[0] if heads else [""] * len(header)
    rows = body[heads:]
    columns = [
        place
        for place, name in enumerate(header)
        if name.lower() not in ABOUT and name not in RATERS and _is_question([row[place] for row in rows], words)
    ]
    if not columns:
        others = listed((name for name in header if name.lower() not in ABOUT), 12)
        raise DferError(
            f"{grid.place}: no question has emotions as its answers among {others}; say what the answers stand for: "
            "--map word=emotion"
        )
    clips = _clips([header[place] for place in columns], [texts[place] for place in columns])
    rater = next(
        header.index(name) for name in RATERS if name in header and any(row[header.index(name)] for row in rows)
    )
    status = next((place for place, name in enumerate(header) if name.lower() == "status"), -1)
    found = []
    for row in rows:
        kind = row[status].lower() if status >= 0 else ""
        for place, clip in zip(columns, clips, strict=True):
            emotion, reason = single([row[place]], words)
            if "preview" in kind or kind == "1":
                emotion, reason = "", "preview of the survey"
            found.append(Answer(clip, row[rater], emotion, REJECTED if "spam" in kind or kind == "8" else "", reason))
    return as_frame(found)


def _is_header(row: Sequence[str], header: Sequence[str]) -> bool:
    """Whether a row is one of the further header rows: the questions' texts, or their ImportIds."""
    about = dict(zip((name.lower() for name in header), row, strict=True))
    return '"ImportId"' in "".join(row) or about.get("responseid", "").lower() in ("response id", "responseid")


def _is_question(cells: Sequence[str], words: Vocabulary) -> bool:
    """Whether most of what a column holds are answers."""
    given = [single([cell], words) for cell in cells if cell]
    good = sum(reason != "" or emotion in words for emotion, reason in given)
    return bool(given) and 2 * good > len(given)


def _clips(names: Sequence[str], texts: Sequence[str]) -> list[str]:
    """The clip of each column."""
    named = [FILE_NAME.search(text) for text in texts]
    ends = {name.rpartition("_")[2] for name in names}
    short = len(names) > 1 and len(ends) == 1 and all("_" in name for name in names)  # 1_Q5, 2_Q5: a loop over clips
    plain = [name.rpartition("_")[0] if short else name for name in names]
    return [file_of(match.group()) if match else name for match, name in zip(named, plain, strict=True)]
