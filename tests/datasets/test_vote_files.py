"""Votes as files: what is written is what other readers, and our own, find in it."""

from __future__ import annotations

import json
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pandas as pd
import pytest

from dfer.datasets.answers import read_answers
from dfer.datasets.vote_files import Clip, Vote, counted, votes_table, write_elan, write_label_studio, write_votes
from dfer.errors import DferError
from dfer.labels import EmotionSet

EMOTIONS = EmotionSet("three", ("happy", "sad", "fear"))
CLIPS = [Clip("=a.mp4", "a.mp4", "video"), Clip("b.mp4", "b.mp4", "video"), Clip("c.mp4", "c.mp4", "video")]
PLAIN = [
    Vote("Ann", "=a.mp4", {"happy": None}, "2026-01-01T00:00:00+00:00", 1.5),
    Vote("Bo", "=a.mp4", {"sad": None}),
    Vote("Ann", "b.mp4", {"fear": None}, seconds=2.0),
    Vote("Bo", "b.mp4", {}),
]


def test_a_manifest_counts_people_and_keeps_strengths_apart() -> None:
    votes = [
        Vote("Ann", "b.mp4", {"happy": 0.2, "sad": 0.8}),
        Vote("Bo", "b.mp4", {"sad": 0.4}),
        Vote("Cy", "b.mp4", {}),
        Vote("Cy", "c.mp4", {}),
    ]
    manifest = counted(votes, CLIPS, emotions=EMOTIONS, root=Path("/films"))
    assert manifest.table["id"].tolist() == ["b.mp4"]
    assert manifest.votes.tolist() == [[1, 2, 0]]
    assert manifest.weights[0, :2].tolist() == pytest.approx([0.2, 0.6]) and np.isnan(manifest.weights[0, 2])
    assert manifest.table["other_unknown"].tolist() == [1]
    assert manifest.left_out == {"clip without a vote": 1, "clip that nobody could tell": 1}


def test_a_manifest_is_read_again_as_it_was_written(tmp_path: Path) -> None:
    from dfer.datasets import Manifest

    counted(PLAIN, CLIPS, emotions=EMOTIONS, root=tmp_path).write(tmp_path / "votes.csv")
    again = Manifest.read(tmp_path / "votes.csv")
    assert again.votes.tolist() == [[1, 1, 0], [0, 0, 1]] and again.resolve("a.mp4") == tmp_path / "a.mp4"


def test_votes_on_clips_that_are_not_there_are_refused() -> None:
    with pytest.raises(DferError, match=r"not there: x\.mp4"):
        counted([Vote("Ann", "x.mp4", {"sad": None})], CLIPS, emotions=EMOTIONS, root=Path())


def test_the_strongest_of_several_emotions_comes_last() -> None:
    table = votes_table([Vote("Ann", "b.mp4", {"sad": 0.9, "happy": 0.1, "fear": 0.5})])
    assert table["emotion"].tolist() == ["happy", "fear", "sad"]
    assert table["strength"].tolist() == [0.1, 0.5, 0.9]


@pytest.mark.parametrize("form", ["table", "label_studio", "elan"])
def test_every_file_of_answers_is_read_back_to_the_same_votes(form: str, tmp_path: Path) -> None:
    path = tmp_path / {"table": "votes.csv", "label_studio": "tasks.json", "elan": "eaf"}[form]
    if form == "table":
        write_votes(PLAIN, path)
    elif form == "label_studio":
        write_label_studio(PLAIN, path)
    else:
        write_elan(PLAIN, path, lengths_s={"b.mp4": 2.5})
    answers = read_answers(path)
    said = {
        (answers.clips[clip], answers.raters[rater], answers.emotions[emotion])
        for clip, rater, emotion in zip(answers.clip, answers.rater, answers.emotion, strict=True)
    }
    assert said == {("=a.mp4", "Ann", "happy"), ("=a.mp4", "Bo", "sad"), ("b.mp4", "Ann", "fear")}


def test_label_studio_gets_its_own_fields(tmp_path: Path) -> None:
    write_label_studio(PLAIN[:1], tmp_path / "tasks.json")
    (task,) = json.loads((tmp_path / "tasks.json").read_text())
    (annotation,) = task["annotations"]
    assert task["data"] == {"video": "=a.mp4"} and annotation["lead_time"] == 1.5
    assert annotation["result"][0]["value"] == {"choices": ["happy"]}


def test_elan_divides_the_time_of_a_clip_among_several_emotions(tmp_path: Path) -> None:
    vote = Vote("Ann\x01", "b.mp4", {"happy": 0.25, "sad": 0.75})
    write_elan([vote], tmp_path / "eaf", lengths_s={"b.mp4": 2.0})
    (path,) = (tmp_path / "eaf").iterdir()
    root = ElementTree.parse(path).getroot()
    times = {slot.get("TIME_SLOT_ID"): int(slot.get("TIME_VALUE", "")) for slot in root.iter("TIME_SLOT")}
    spans = [
        (mark.findtext("ANNOTATION_VALUE"), times[mark.get("TIME_SLOT_REF1")], times[mark.get("TIME_SLOT_REF2")])
        for mark in root.iter("ALIGNABLE_ANNOTATION")
    ]
    assert spans == [("happy", 0, 500), ("sad", 500, 2000)]
    assert root.find("TIER").get("ANNOTATOR") == "Ann"  # type: ignore[union-attr]


def test_a_table_opens_in_a_spreadsheet_without_running_anything(tmp_path: Path) -> None:
    write_votes([Vote("=1+1", "b.mp4", {"sad": None})], tmp_path / "votes.csv")
    assert pd.read_csv(tmp_path / "votes.csv")["rater"].tolist() == ["'=1+1"]
