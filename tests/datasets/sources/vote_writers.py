"""The same votes written as people write them, with openpyxl and plain text: writers of tables, by name."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import openpyxl

Votes = Mapping[str, Mapping[str, int]]
"""Clip (a number as text) -> emotion -> how many people chose it."""
Writer = Callable[[Path, Votes], Path]


def emotions_of(votes: Votes) -> list[str]:
    return sorted({emotion for counts in votes.values() for emotion in counts})


def answers_of(votes: Votes) -> list[tuple[str, str, str]]:
    """Clip, rater and emotion, a row an answer; raters are called r1, r2 ..."""
    rows = []
    for clip, counts in votes.items():
        said = [emotion for emotion, count in counts.items() for _ in range(count)]
        rows += [(clip, f"r{number}", emotion) for number, emotion in enumerate(said, 1)]
    return rows


def wide_rows(votes: Votes, spelling: str = "{}.mp4") -> list[list[object]]:
    emotions = emotions_of(votes)
    rows: list[list[object]] = [["clip", *emotions]]
    return rows + [[spelling.format(clip), *(counts.get(e, 0) for e in emotions)] for clip, counts in votes.items()]


def long_rows(votes: Votes, spellings: tuple[str, ...] = ("{}.mp4",)) -> list[list[object]]:
    rows: list[list[object]] = [["clip", "rater", "emotion"]]
    for number, (clip, rater, emotion) in enumerate(answers_of(votes)):
        rows.append([spellings[number % len(spellings)].format(clip, short=clip.lstrip("0") or "0"), rater, emotion])
    return rows


def write_csv(
    path: Path, rows: list[list[object]], *, before: str = "", sep: str = ",", encoding: str = "utf-8"
) -> Path:
    text = io.StringIO()
    csv.writer(text, delimiter=sep).writerows(rows)
    path.write_bytes((before + text.getvalue()).encode(encoding))
    return path


def write_xlsx(path: Path, *sheets: list[list[object]], active: int = 0, hidden: tuple[int, ...] = ()) -> Path:
    book = openpyxl.Workbook()
    for number, rows in enumerate(sheets):
        sheet = book.active if number == 0 else book.create_sheet(f"batch{number + 1}")
        for row in rows:
            sheet.append(row)
        if number in hidden:
            sheet.sheet_state = "hidden"
    book.active = active
    book.save(path)
    return path


def _tally(path: Path, votes: Votes) -> Path:
    rows: list[list[object]] = [["Video", "Emotion", "Count"]]
    rows += [[clip, emotion, n] for clip, counts in votes.items() for emotion, n in counts.items()]
    return write_csv(path / "t.csv", rows, sep="\t")


def _merged(path: Path, votes: Votes) -> Path:
    """The clip once, in a cell merged over the rows of its raters."""
    book = openpyxl.Workbook()
    sheet = book.active
    sheet.append(["clip", "rater", "emotion"])
    start, last = 2, ""
    for number, (clip, rater, emotion) in enumerate(answers_of(votes), 2):
        sheet.append([clip if clip != last else None, rater, emotion])
        if clip != last and number > 2:
            sheet.merge_cells(start_row=start, end_row=number - 1, start_column=1, end_column=1)
        start, last = (number, clip) if clip != last else (start, last)
    sheet.merge_cells(start_row=start, end_row=sheet.max_row, start_column=1, end_column=1)
    book.save(path / "t.xlsx")
    return path / "t.xlsx"


def _title(path: Path, votes: Votes) -> Path:
    """A title in merged cells, a blank row, and a row of a group of columns above the header."""
    book = openpyxl.Workbook()
    sheet = book.active
    sheet["A1"] = "Votes of the pilot study, all clips"
    sheet.merge_cells("A1:C1")
    for number, row in enumerate(wide_rows(votes, "./{}.mp4"), 4):
        for column, cell in enumerate(row, 1):
            sheet.cell(number, column, cell)
    book.save(path / "t.xlsx")
    return path / "t.xlsx"


def _label_studio(path: Path, votes: Votes) -> Path:
    tasks: dict[str, dict[str, Any]] = {}
    for number, (clip, rater, emotion) in enumerate(answers_of(votes)):
        task = tasks.setdefault(clip, {"id": number, "data": {"video": f"/data/upload/1/0a1b2c3d-{clip}.mp4"}})
        result = [{"from_name": "feeling", "to_name": "v", "type": "choices", "value": {"choices": [emotion.title()]}}]
        done = {"completed_by": {"id": 1, "email": f"{rater}@x.org"}, "was_cancelled": False, "result": result}
        task.setdefault("annotations", []).append(done)
    (path / "t.json").write_text(json.dumps(list(tasks.values())), encoding="utf-8")
    return path / "t.json"


def _mturk(path: Path, votes: Votes) -> Path:
    rows: list[list[object]] = [
        ["HITId", "AssignmentId", "WorkerId", "AssignmentStatus", "Input.url", "Answer.emotion"]
    ]
    for number, (clip, rater, emotion) in enumerate(answers_of(votes)):
        rows.append([f"H{clip}", f"A{number}", rater, "Approved", f"https://x.org/films/{clip}.mp4", emotion])
    return write_csv(path / "t.csv", rows)


def _qualtrics(path: Path, votes: Votes) -> Path:
    clips = list(votes)
    said: dict[str, dict[str, str]] = {}
    for clip, rater, emotion in answers_of(votes):
        said.setdefault(rater, {})[clip] = emotion
    columns = [f"{number}_Q3" for number, _ in enumerate(clips, 1)]
    rows: list[list[object]] = [["StartDate", "Status", "Finished", "ResponseId", *columns]]
    rows.append(
        ["Start Date", "Response Type", "Finished", "Response ID", *(f"What is felt in {c}.mp4?" for c in clips)]
    )
    rows.append([json.dumps({"ImportId": name}) for name in ("startDate", "status", "finished", "_recordId", *columns)])
    for rater, answers in said.items():
        rows.append(["2026-01-02", "IP Address", "True", f"R_{rater}", *(answers.get(clip, "") for clip in clips)])
    return write_csv(path / "t.csv", rows)


def _elan(path: Path, votes: Votes) -> Path:
    folder = path / "tiers"
    folder.mkdir()
    for clip in votes:
        tiers = "".join(
            f'<TIER TIER_ID="emotion {rater}" ANNOTATOR="{rater}" LINGUISTIC_TYPE_REF="d"><ANNOTATION>'
            f'<ALIGNABLE_ANNOTATION ANNOTATION_ID="{rater}" TIME_SLOT_REF1="ts1" TIME_SLOT_REF2="ts2">'
            f"<ANNOTATION_VALUE>{emotion}</ANNOTATION_VALUE></ALIGNABLE_ANNOTATION></ANNOTATION></TIER>"
            for film, rater, emotion in answers_of(votes)
            if film == clip
        )
        (folder / f"{clip}.eaf").write_text(
            '<?xml version="1.0" encoding="UTF-8"?><ANNOTATION_DOCUMENT FORMAT="3.0" VERSION="3.0"><HEADER '
            f'TIME_UNITS="milliseconds"><MEDIA_DESCRIPTOR MEDIA_URL="file:///C:/x/{clip}.mp4" MIME_TYPE="video/mp4" '
            f'RELATIVE_MEDIA_URL="./{clip}.mp4"/></HEADER><TIME_ORDER><TIME_SLOT TIME_SLOT_ID="ts1" TIME_VALUE="0"/>'
            f'<TIME_SLOT TIME_SLOT_ID="ts2" TIME_VALUE="900"/></TIME_ORDER>{tiers}</ANNOTATION_DOCUMENT>',
            encoding="utf-8",
        )
    return folder


def _cvat(path: Path, votes: Votes) -> Path:
    """A file a rater: the films' tracks with an attribute."""
    folder = path / "tracks"
    folder.mkdir()
    raters: dict[str, str] = {}
    sources = {clip: number for number, clip in enumerate(votes)}
    for clip, rater, emotion in answers_of(votes):
        boxes = "".join(
            f'<box frame="{f}" outside="0" xtl="1" ytl="1" xbr="9" ybr="9"><attribute name="emotion">{emotion}'
            "</attribute></box>"
            for f in range(3)
        )
        track = f'<track id="0" label="face" task_id="{sources[clip]}">{boxes}</track>'
        raters[rater] = raters.get(rater, "") + track
    tasks = "".join(f"<task><id>{n}</id><source>{clip}.mp4</source></task>" for clip, n in sources.items())
    for rater, tracks in raters.items():
        (folder / f"{rater}.xml").write_text(
            f"<annotations><version>1.1</version><meta><project><tasks>{tasks}</tasks></project></meta>{tracks}"
            "</annotations>",
            encoding="utf-8",
        )
    return folder


WRITERS: dict[str, Writer] = {
    "counts": lambda path, votes: write_csv(path / "t.csv", wide_rows(votes)),
    "counts without a suffix": lambda path, votes: write_csv(path / "t.csv", wide_rows(votes, "{}")),
    "counts with ./": lambda path, votes: write_csv(path / "t.csv", wide_rows(votes, "./{}.mp4")),
    "counts in Excel": lambda path, votes: write_xlsx(path / "t.xlsx", wide_rows(votes)),
    "sep=;": lambda path, votes: write_csv(path / "t.csv", wide_rows(votes), before="sep=;\r\n", sep=";"),
    "sep=,": lambda path, votes: write_csv(path / "t.csv", long_rows(votes), before="sep=,\n"),
    "UTF-16 with tabs": lambda path, votes: write_csv(path / "t.csv", wide_rows(votes), sep="\t", encoding="utf-16"),
    "bars": lambda path, votes: write_csv(path / "t.csv", wide_rows(votes), sep="|"),
    "comments": lambda path, votes: write_csv(path / "t.csv", long_rows(votes), before="# of anna, in May\n#\n\n"),
    "title lines": lambda path, votes: write_csv(
        path / "t.csv", wide_rows(votes), before="Pilot study;2026\n\n", sep=";"
    ),
    "answers": lambda path, votes: write_csv(path / "t.csv", long_rows(votes)),
    "answers with clips in three spellings": lambda path, votes: write_csv(
        path / "t.csv", long_rows(votes, ("{}", "{}.mp4", "{short}", "./{}.MP4"))
    ),
    "answers in Excel": lambda path, votes: write_xlsx(path / "t.xlsx", long_rows(votes)),
    "second sheet": lambda path, votes: write_xlsx(path / "t.xlsx", [["notes"], ["read me"]], wide_rows(votes)),
    "active sheet, first hidden": lambda path, votes: write_xlsx(
        path / "t.xlsx", [["clip", "happy"], ["x", 1]], wide_rows(votes), active=1, hidden=(0,)
    ),
    "tally": _tally,
    "merged cells": _merged,
    "title in merged cells": _title,
    "Label Studio": _label_studio,
    "Mechanical Turk": _mturk,
    "Qualtrics": _qualtrics,
    "ELAN": _elan,
    "CVAT": _cvat,
}
"""How the votes are written -> the writer; a new way is one more line."""
