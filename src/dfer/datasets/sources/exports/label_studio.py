"""Label Studio: JSON with its tasks and annotations, JSON-MIN and CSV with a row an annotation.

An annotation that was skipped holds no answer. One whose last review did not accept it is rejected. Predictions of
models are nobody's answers and are passed over.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import pandas as pd

from dfer.datasets.sources.exports import Answer, as_frame, choose_clip, choose_question, single
from dfer.datasets.sources.grids import Grid
from dfer.datasets.sources.label_space import Vocabulary
from dfer.datasets.spelling import file_of
from dfer.documents import parse_json
from dfer.errors import DferError

ROW_FIELDS = frozenset(("annotation_id", "annotator", "lead_time"))
"""Columns of its CSV and JSON-MIN."""
OWN_FIELDS = ROW_FIELDS | {"id", "created_at", "updated_at", "agreement", "task_id", "comments"}
"""Fields of its own: neither the clip nor an answer."""
UPLOADED = re.compile(r"^(?:/?data/)?upload/(?:\d+/)?(?:[0-9a-f]{8}-)?")
"""What it puts before the name of a file that was uploaded."""


def recognise(rows: Sequence[Sequence[str]]) -> int:
    """The position of the header in a grid of cells, -1 where it is another's."""
    return next((place for place, row in enumerate(rows[:5]) if set(row) >= ROW_FIELDS), -1)


def read(grid: Grid, words: Vocabulary) -> pd.DataFrame:
    """The answers in its CSV."""
    start = recognise(grid.rows)
    header = grid.rows[start]
    rows = [dict(zip(header, row, strict=False)) for row in grid.rows[start + 1 :] if any(row)]
    return _read_rows(rows, words, grid.place)


def recognise_json(data: Any) -> bool:
    """Whether a JSON document is one of its exports."""
    first = data[0] if isinstance(data, list) and data else data
    if not isinstance(first, dict):
        return False
    return ("data" in first and ("annotations" in first or "completions" in first)) or "annotation_id" in first


def read_json(data: Any, words: Vocabulary, place: str) -> pd.DataFrame:
    """The answers in its JSON or JSON-MIN."""
    tasks = data if isinstance(data, list) else [data]
    for number, task in enumerate(tasks, 1):
        if not isinstance(task, dict):
            raise DferError(f"{place}: entry {number} is no task, but {type(task).__name__}; export it anew as JSON")
    if "annotation_id" in tasks[0]:
        return _read_rows(tasks, words, place)
    annotations = list(_annotations(tasks, place))
    said: dict[str, list[str]] = {}
    for *_, answers in annotations:
        for question, texts in answers.items():
            said.setdefault(question, []).extend(texts)
    question = choose_question(said, words, place)
    fields = sorted({name for task in tasks for name in task["data"]})
    clip = choose_clip({name: [_text(task["data"].get(name, "")) for task in tasks] for name in fields}, place)
    rows = []
    for task, rater, status, times, answers in annotations:
        emotion, reason = single(answers.get(question, []), words)
        if status == "skipped":
            emotion, reason, status = "", "skipped by the rater", ""
        name = clip_name(_text(task["data"].get(clip, "")))
        rows.append(Answer(name, rater, emotion, status, reason, *times))
    return as_frame(rows)


def clip_name(text: str) -> str:
    """The file that an address in a task means, as it was called before it was uploaded.

    >>> clip_name("/data/upload/3/0a1b2c3d-001.mp4"), clip_name("s3://bucket/v/001.mp4")
    ('001.mp4', 'v/001.mp4')
    """
    return UPLOADED.sub("", file_of(text))


Times = tuple[str, str]
"""When an annotation was made, and the seconds that it took."""


def _annotations(tasks: Sequence[Any], place: str) -> Iterator[tuple[Any, str, str, Times, dict[str, list[str]]]]:
    """Task, rater, status, times and question -> answers of every annotation."""
    for number, task in enumerate(tasks, 1):
        if not isinstance(task, dict) or not isinstance(task.get("data"), dict):
            raise DferError(f"{place}: task {number} has no data; export it anew as JSON")
        given = task.get("annotations") or task.get("completions") or []
        if not isinstance(given, list) or not all(_is_annotation(each) for each in given):
            raise DferError(f"{place}: task {number} has annotations that are none; export it anew as JSON")
        for annotation in given:
            reviews = annotation.get("reviews") or []
            rejected = bool(reviews) and reviews[-1].get("accepted") is False
            status = "skipped" if annotation.get("was_cancelled") else "rejected" if rejected else ""
            answers: dict[str, list[str]] = {}
            for result in annotation.get("result") or []:
                answers.setdefault(str(result.get("from_name", "")), []).extend(_chosen(result.get("value") or {}))
            yield task, _rater(annotation), status, _times(annotation), answers


def _is_annotation(given: Any) -> bool:
    """Whether it has the parts of an annotation that are read, each of the kind that it is read as."""
    if not isinstance(given, dict):
        return False
    parts = {name: given.get(name) or [] for name in ("reviews", "result")}
    return all(
        isinstance(part, list) and all(isinstance(each, dict) for each in part) for part in parts.values()
    ) and all(isinstance(result.get("value") or {}, dict) for result in parts["result"])


def _chosen(value: Mapping[str, Any]) -> list[str]:
    """The words that a result chose, whatever its kind."""
    lists = [words for words in value.values() if isinstance(words, list)]
    return [word for words in lists for word in words if isinstance(word, str)]


def _rater(annotation: Mapping[str, Any]) -> str:
    """Who annotated: the e-mail address where there is one, else the number."""
    by = annotation.get("completed_by", annotation.get("created_username", ""))
    return _text(by.get("email") or by.get("id") if isinstance(by, dict) else by)


def _times(annotation: Mapping[str, Any]) -> Times:
    return _text(annotation.get("created_at")), _text(annotation.get("lead_time"))


def _read_rows(rows: Sequence[Mapping[str, Any]], words: Vocabulary, place: str) -> pd.DataFrame:
    """A row an annotation, with a field for each question."""
    names = [name for name in dict.fromkeys(name for row in rows for name in row) if name not in OWN_FIELDS]
    texts = {name: [_choices(row.get(name)) for row in rows] for name in names}
    clip = choose_clip({name: [" ".join(words_) for words_ in texts[name]] for name in names}, place)
    questions = {name: [word for given in texts[name] for word in given] for name in names if name != clip}
    question = choose_question(questions, words, place)
    answers = []
    for row, film, given in zip(rows, texts[clip], texts[question], strict=True):
        emotion, reason = single(given, words)
        rater = _text(row.get("annotator", ""))
        answers.append(Answer(clip_name(" ".join(film)), rater, emotion, "", reason, *_times(row)))
    return as_frame(answers)


def _choices(cell: Any) -> list[str]:
    """The words of a cell: plain text, or choices as JSON."""
    if isinstance(cell, str) and cell[:1] in ("{", "["):
        try:
            cell = parse_json(cell, "a cell")
        except ValueError:
            return [cell]
    if isinstance(cell, dict):
        cell = cell.get("choices", [])
    return [_text(word) for word in cell] if isinstance(cell, list) else [_text(cell)]


def _text(value: Any) -> str:
    return "" if value is None else str(value).strip()
