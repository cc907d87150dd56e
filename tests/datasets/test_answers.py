"""Files of answers, and the way into a Manifest: columns, spellings of ids, what has no counterpart."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from dfer import DferError, Manifest
from dfer.datasets.answers import join, read_answers, read_votes
from dfer.datasets.sources.label_space import Vocabulary
from dfer.datasets.vote_files import Vote
from dfer.labels import DFEW, EmotionSet, emotion_set
from dfer.labels.annotators import Consensus, consensus
from dfer.labels.answers import Answers

TWO = EmotionSet("two", ("happy", "sad"))


def write(path: Path, text: str, encoding: str = "utf-8") -> Path:
    path.write_bytes(text.encode(encoding))
    return path


def manifest(ids: list[str], emotions: EmotionSet = TWO, **columns: object) -> Manifest:
    rows = pd.DataFrame({"id": ids, "path": ids, "kind": "video", "label": "sad"}).assign(**columns)
    return Manifest.build(rows, emotions=emotions, root=Path())


def agreed(clips: list[str], emotions: EmotionSet = TWO) -> Consensus:
    """All say sad of each clip, by majority."""
    rows = [(clip, rater, "sad") for clip in clips for rater in "xy"]
    return consensus(Answers.build(*zip(*rows, strict=True), emotions), "majority")


@pytest.mark.parametrize(
    ("text", "encoding"),
    [
        ("clip,rater,emotion\n007,x,Sad\n007,y,happy\n", "utf-8"),
        ("Video;Annotator;Response\n007;x;sadness\n007;y;joy\n", "utf-8-sig"),
        ("emotion\tfile\tworker\nsad\t007\tx\nhappy\t007\ty\n", "utf-8"),
    ],
)
def test_a_file_of_answers_is_read_whatever_its_columns_are_called(tmp_path: Path, text: str, encoding: str) -> None:
    answers = read_answers(write(tmp_path / "a.csv", text, encoding), words=Vocabulary("happy,sad"))
    assert (answers.clips, answers.raters, answers.votes.tolist()) == (("007",), ("x", "y"), [[1, 1]])


def test_an_excel_file_and_names_that_are_not_ascii_are_read(tmp_path: Path) -> None:
    table = pd.DataFrame({"clip": ["é.mp4", "é.mp4"], "rater": [1, 2], "emotion": ["sad", None]})
    table.to_excel(tmp_path / "a.xlsx", index=False)
    answers = read_answers(tmp_path / "a.xlsx", words=Vocabulary("dfew"))
    assert answers.clips == ("é.mp4",) and answers.emotions == DFEW
    assert answers.left_out == {"answer without an emotion": 1}


def test_columns_may_be_named_and_rows_chosen_and_the_others_are_counted(tmp_path: Path) -> None:
    path = write(tmp_path / "a.csv", "clipName,session,queryType,resp\na,1,2,H\na,2,2,S\na,1,1,N\nb,3,3,H\n")
    columns = {"clip": "clipName", "rater": "session", "emotion": "resp"}
    answers = read_answers(path, words=Vocabulary("crema_d"), columns=columns, where={"queryType": "2"})
    assert answers.votes[:, [3, 5]].tolist() == [[1, 1]] and answers.emotions == emotion_set("crema_d")
    assert answers.left_out == {"row of another kind": 2}


@pytest.mark.parametrize(
    ("text", "options", "message"),
    [
        ("clip,rater\na,x\n", {}, "expected a column with the emotion .*it has clip, rater; say which"),
        ("clip,rater,emotion\na,x,sad\n", {"columns": {"rater": "who"}}, r"column with the rater \(who\)"),
        ("clip,rater,emotion\na,x,sad\n", {"columns": {"ratr": "who"}}, r"no 'ratr' \(did you mean 'rater'\?\)"),
        ("clip,rater,emotion\na,x,sad\n", {"where": {"kind": "1"}}, "no column 'kind'"),
        ("clip,rater,emotion\na,x,sad\n", {"where": {"clip": "b"}}, "has no row with clip=b"),
        (
            "clip,rater,emotion\na,x,bored\n",
            {"words": Vocabulary("dfew")},
            r"a\.csv: answers that are none of .*'bored' \(1\)",
        ),
        ("clip,rater,emotion\n", {"words": Vocabulary("dfew")}, "a header and no row"),
        ("", {}, r"a\.csv is empty; expected .* clip, rater, emotion"),
    ],
)
def test_a_file_that_holds_no_answers_is_refused(tmp_path: Path, text: str, options: dict, message: str) -> None:
    with pytest.raises(DferError, match=message):
        read_answers(write(tmp_path / "a.csv", text), **options)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(DferError, match=r"no table of answers at .*gone\.csv"):
        read_answers(tmp_path / "gone.csv")


def test_soft_labels_go_to_their_clips_by_id_and_say_where_they_come_from(tmp_path: Path) -> None:
    joined = join(manifest(["a", "b", "c"]), agreed(["c", "a", "zz"]))
    soft = joined.manifest.soft
    assert soft[[0, 2]].tolist() == [[0, 1], [0, 1]] and np.isnan(soft[1]).all()
    assert joined.manifest.table["soft_from"].tolist() == ["raters: majority", "", "raters: majority"]
    assert (joined.without_answers, joined.unknown) == (["b"], ["zz"])
    joined.manifest.write(tmp_path / "soft.csv")
    assert np.array_equal(Manifest.read(tmp_path / "soft.csv").soft, soft, equal_nan=True)


def test_ids_with_suffixes_padding_or_other_slashes_are_the_same_clip() -> None:
    joined = join(manifest(["00017", "happy/a.mp4", "x.y"]), agreed(["17.mp4", r"happy\a", "x.y"]))
    assert joined.without_answers == [] and joined.unknown == []


def test_an_exact_id_wins_over_another_spelling_and_doubt_is_refused() -> None:
    joined = join(manifest(["1", "01"]), agreed(["1"]))
    assert joined.without_answers == ["01"]
    with pytest.raises(DferError, match="may be one of several of the manifest: 001"):
        join(manifest(["1", "01"]), agreed(["001"]))
    with pytest.raises(DferError, match=r"name a clip of the manifest in two ways: 1, 1\.mp4"):
        join(manifest(["1"]), agreed(["1", "1.mp4"]))
    with pytest.raises(DferError, match="no clip in common: the answers are about q, the manifest has a"):
        join(manifest(["a"]), agreed(["q"]))


def test_emotions_are_joined_by_name_and_those_that_the_manifest_lacks_refused() -> None:
    joined = join(manifest(["a"], DFEW), agreed(["a"]))
    assert joined.manifest.soft[0].tolist() == [0, 1, 0, 0, 0, 0, 0]
    with pytest.raises(DferError, match="lacks"):
        join(manifest(["a"]), agreed(["a"], DFEW))


def test_soft_labels_of_another_origin_stay_and_those_of_raters_are_replaced() -> None:
    there = {"soft_happy": [0.5], "soft_sad": [0.5]}
    with pytest.raises(DferError, match=r"have a soft label already .published"):
        join(manifest(["a"], **there, soft_from=["published"]), agreed(["a"]))
    again = join(manifest(["a"], **there, soft_from=["raters: mace, seed 3"]), agreed(["a"]))
    assert again.manifest.soft.tolist() == [[0, 1]]


def test_votes_are_read_with_times_strengths_and_those_that_cannot_tell(tmp_path: Path) -> None:
    text = """clip,rater,emotion,strength,voted_at,seconds
a,Ann,happy,0.25,2026-03-01T10:00:00Z,1.5
a,Ann,Sad,0.75,2026-03-01T10:00:00Z,1.5
a,Ann,happy,1,2026-03-01T09:00:00Z,9
a,Bo,can't tell,,2026-03-01 12:00:00+02:00,soon
b,Bo,not sure,,yesterday,-3
b,Cy,other,,,
b,,happy,,,
"""
    path = write(tmp_path / "votes.csv", text)
    votes, left_out = read_votes(path, words=Vocabulary("happy,sad"), several=True)
    assert votes == [
        Vote("Ann", "a", {"happy": 0.25, "sad": 0.75}, "2026-03-01T10:00:00.000+00:00", 1.5),
        Vote("Bo", "a", {}, "2026-03-01T10:00:00.000+00:00", None),
        Vote("Bo", "b", {}, "", -3.0),
    ]
    unnamed = {"answer that names no emotion: other": 1, "answer without a rater": 1}
    assert left_out == unnamed | {"earlier answer of a rater to the same clip": 1}
    votes, left_out = read_votes(path, words=Vocabulary("happy,sad"))
    assert votes[0].emotions == {"sad": 0.75} and left_out["earlier answer of a rater to the same clip"] == 2
    path = write(tmp_path / "more.csv", "clip,rater,emotion\na,Ann,happy\nb,Ann,fear\n")
    with pytest.raises(DferError, match="'fear'"):
        read_votes(path, words=Vocabulary("happy,sad"))


def test_votes_without_times_are_the_last_ones_or_of_several_emotions(tmp_path: Path) -> None:
    path = write(tmp_path / "votes.csv", "clip,rater,emotion\na,Ann,happy\na,Bo,sad\na,Ann,sad\n")
    words = Vocabulary("happy,sad")
    assert [set(vote.emotions) for vote in read_votes(path, words=words)[0]] == [{"sad"}, {"sad"}]
    assert [set(vote.emotions) for vote in read_votes(path, words=words, several=True)[0]] == [
        {"happy", "sad"},
        {"sad"},
    ]
