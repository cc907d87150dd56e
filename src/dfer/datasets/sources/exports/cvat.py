"""CVAT's XML, for images and for video: tags, and the labels and attributes of shapes and tracks.

A film's answer is the emotion that is marked in most frames. The rater is the user to whom the task was given, else the
name of the file.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import PurePath
from xml.etree.ElementTree import Element

import pandas as pd

from dfer.datasets.sources.exports import Answer, as_frame, choose_question, longest, single
from dfer.datasets.sources.label_space import Vocabulary
from dfer.errors import DferError


def recognise(root: Element) -> bool:
    """Whether an XML document is one of its exports."""
    return root.tag == "annotations" and root.find("meta") is not None


def read(root: Element, words: Vocabulary, place: str) -> pd.DataFrame:
    """The answers, a clip after the other.

    Raises:
        DferError: nothing is marked, or neither labels nor an attribute are emotions.
    """
    marks = [*_of_images(root), *_of_tracks(root)]
    if not marks:
        raise DferError(f"{place}: nothing is marked in this export of CVAT")
    said: dict[str, list[str]] = {}
    for _, question, word, _ in marks:
        said.setdefault(question, []).append(word)
    wanted = choose_question(said, words, place)
    rater = root.findtext("meta//assignee/username") or root.findtext("meta//assignee") or PurePath(place).stem
    frames: dict[str, dict[str, float]] = {}
    stills: dict[str, list[str]] = {}
    for clip, question, word, is_frame in marks:
        if question == wanted and is_frame:
            spans = frames.setdefault(clip, {})
            spans[word] = spans.get(word, 0) + 1
        elif question == wanted:
            stills.setdefault(clip, []).append(word)
    answers = [Answer(clip, rater.strip(), *_end(longest(spans))) for clip, spans in frames.items()]
    answers += [Answer(clip, rater.strip(), *_end(single(given, words))) for clip, given in stills.items()]
    return as_frame(answers)


def _end(found: tuple[str, str]) -> tuple[str, str, str]:
    emotion, reason = found
    return emotion, "", reason


def _of_images(root: Element) -> Iterator[tuple[str, str, str, bool]]:
    """Clip, what is asked, the answer, and whether the image is a frame of a film."""
    for image in root.iter("image"):
        name = image.get("name", "")
        film = _source(root, image.get("task_id", ""))
        is_frame = bool(film) and PurePath(name).stem.startswith("frame_")
        for mark in image:
            for question, word in _words(mark):
                yield film if is_frame else name, question, word, is_frame


def _of_tracks(root: Element) -> Iterator[tuple[str, str, str, bool]]:
    for track in root.iter("track"):
        film = _source(root, track.get("task_id", ""))
        for shape in track:
            if shape.get("outside") != "1":
                yield film, "label", track.get("label", ""), True
                for question, word in _words(shape):
                    yield film, question, word, True


def _words(mark: Element) -> Iterator[tuple[str, str]]:
    """The label of a tag or shape, and its attributes."""
    if mark.get("label"):
        yield "label", str(mark.get("label"))
    for attribute in mark.iter("attribute"):
        yield str(attribute.get("name", "")), (attribute.text or "").strip()


def _source(root: Element, task: str) -> str:
    """The film of a task, "" where it has none."""
    for part in root.iterfind("meta//task"):
        if task and part.findtext("id") == task:
            return (part.findtext("source") or part.findtext("name") or "").strip()
    return (root.findtext("meta/source") or root.findtext("meta//source") or "").strip()
