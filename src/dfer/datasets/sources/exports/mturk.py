"""Amazon Mechanical Turk: the CSV of a batch, a row an assignment, with Input.*, Answer.*, WorkerId and the status."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

import pandas as pd

from dfer.datasets.sources.exports import YES, Answer, as_frame, choose_clip, choose_question, single
from dfer.datasets.sources.grids import Grid, padded
from dfer.datasets.sources.label_space import REJECTED, Vocabulary
from dfer.datasets.spelling import file_of
from dfer.documents import parse_json
from dfer.errors import DferError

TICKS = (*YES, "false", "0", "no", "off", "")
"""What stands in the column of one choice: whether it was ticked."""


def recognise(rows: Sequence[Sequence[str]]) -> int:
    """The position of the header in a grid of cells, -1 where it is another's."""
    return next(
        (
            place
            for place, row in enumerate(rows[:5])
            if {"HITId", "WorkerId"} <= set(row) and any(cell.startswith("Answer.") for cell in row)
        ),
        -1,
    )


def read(grid: Grid, words: Vocabulary) -> pd.DataFrame:
    """The answers, an assignment after the other."""
    start = recognise(grid.rows)
    header = grid.rows[start]
    rows = [dict(zip(header, padded(row, len(header)), strict=True)) for row in grid.rows[start + 1 :] if any(row)]
    inputs = {
        name.removeprefix("Input."): [row.get(name, "") for row in rows] for name in header if _is(name, "Input.")
    }
    if not inputs:
        raise DferError(f"{grid.place}: expected a column Input. that names the clip of each assignment")
    answers = _answers(rows, [name for name in header if _is(name, "Answer.")])
    pairs = _pairs(inputs, answers, words, grid.place)
    found = []
    for number, row in enumerate(rows):
        rejected = row.get("AssignmentStatus", "").lower() == "rejected" or row.get("Reject", "") != ""
        for clip, question in pairs:
            emotion, reason = single(answers[question][number], words)
            status = REJECTED if rejected else ""
            found.append(Answer(file_of(inputs[clip][number]), row["WorkerId"], emotion, status, reason))
    return as_frame(found)


def _is(name: str, prefix: str) -> bool:
    return name.startswith(prefix)


def _answers(rows: Sequence[Mapping[str, str]], columns: Sequence[str]) -> dict[str, list[list[str]]]:
    """Question -> what each row chose: from text, from columns of ticks (Answer.emotion.happy), or from JSON."""
    found: dict[str, list[list[str]]] = {}

    def put(question: str, number: int, texts: Sequence[str]) -> None:
        found.setdefault(question, [[] for _ in rows])[number].extend(texts)

    for name in columns:
        cells = [row.get(name, "") for row in rows]
        question, _, choice = name.removeprefix("Answer.").rpartition(".")
        ticks = bool(question) and all(cell.lower() in TICKS for cell in cells)
        for number, cell in enumerate(cells):
            if ticks:
                put(question, number, [choice] if cell.lower() in YES else [])
            elif cell.startswith(("[", "{")):
                for key, texts in _from_json(cell):
                    put(key, number, texts)
            else:
                put(name.removeprefix("Answer."), number, [cell])
    return found


def _from_json(cell: str) -> list[tuple[str, list[str]]]:
    """Question and choices in Answer.taskAnswers."""
    try:
        data = parse_json(cell, "a cell")
    except ValueError:
        return []
    found = []
    for part in data if isinstance(data, list) else [data]:
        for question, value in part.items() if isinstance(part, dict) else ():
            if isinstance(value, dict) and isinstance(value.get("label"), str):
                value = value["label"]
            ticked = [k for k, on in value.items() if on is True] if isinstance(value, dict) else [str(value)]
            found.append((str(question), ticked))
    return found


def _pairs(
    inputs: Mapping[str, Sequence[str]], answers: Mapping[str, Sequence[Sequence[str]]], words: Vocabulary, place: str
) -> list[tuple[str, str]]:
    """Which answer belongs to which input: those with the same number, where an assignment shows several clips."""
    said = {name: [text for texts in rows for text in texts] for name, rows in answers.items()}
    numbered = {_number(name): name for name in answers if any(text in words for text in said[name])}
    films = {_number(name): name for name in inputs if _number(name)}
    if len(numbered) > 1 and set(numbered) <= set(films):
        return [(films[number], question) for number, question in numbered.items()]
    return [(choose_clip(inputs, place), choose_question(said, words, place))]


def _number(name: str) -> str:
    found = re.search(r"\d+", name)
    return found.group().lstrip("0") if found else ""
