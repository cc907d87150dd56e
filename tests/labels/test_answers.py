"""Answers: what is kept of a long table, what is left out, and that nothing vanishes uncounted."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from dfer.errors import DferError
from dfer.labels import DFEW, EmotionSet
from dfer.labels.answers import Answers

TWO = EmotionSet("two", ("happy", "sad"))


def test_answers_are_counted_into_votes() -> None:
    told = Answers.build(["b", "a", "b", "b"], ["x", "x", "y", "z"], ["sad", "Happiness", "sad", "happy"], TWO)
    assert (told.clips, told.raters) == (("a", "b"), ("x", "y", "z"))
    assert told.votes.tolist() == [[1, 0], [1, 2]] and len(told) == 4 and told.left_out == {}


def test_of_a_raters_answers_to_one_clip_the_last_counts_and_the_others_are_counted() -> None:
    told = Answers.build(["a"] * 4, ["x", "y", "x", "x"], ["happy", "happy", "happy", "sad"], TWO)
    assert told.votes.tolist() == [[1, 1]]
    assert told.left_out == {"earlier answer of a rater to the same clip": 2}


def test_rows_that_lack_something_are_left_out_with_their_reason() -> None:
    rows = [("a", "x", "sad"), ("", "x", "sad"), ("a", None, "sad"), ("a", "y", np.nan), ("a", "z", "  ")]
    told = Answers.build(*zip(*rows, strict=True), TWO)
    assert told.votes.tolist() == [[0, 1]]
    assert told.left_out == {"answer without a clip": 1, "answer without a rater": 1, "answer without an emotion": 2}


@pytest.mark.parametrize("nothing", [pd.NA, None, np.nan, pd.NaT, float("nan"), ""])
def test_whatever_pandas_holds_to_be_missing_is_left_out(nothing: object) -> None:
    table = pd.DataFrame(
        {"clip": ["a", nothing, "a", "b"], "rater": ["x", "x", nothing, "y"], "emotion": ["sad", "sad", "sad", nothing]}
    )
    for columns in (table, table.astype("string").replace("", pd.NA), table.to_dict("list")):
        told = Answers.build(columns["clip"], columns["rater"], columns["emotion"], TWO)
        assert told.votes.tolist() == [[0, 1]] and len(told.left_out) == 3


def test_answers_that_are_no_emotion_are_refused_by_name_and_count() -> None:
    with pytest.raises(DferError, match=r"'hapy' \(did you mean 'happy'\?\) \(2\), 'bored' \(1\)"):
        Answers.build("abcd", "xyxy", ["hapy", "hapy", "bored", "sad"], DFEW)


def test_no_answer_at_all_is_refused_with_what_was_left_out() -> None:
    with pytest.raises(
        DferError, match=r"no answer with a clip, a rater and an emotion.*left out 1: answer without a rater"
    ):
        Answers.build(["a"], [""], ["sad"], TWO)
    with pytest.raises(DferError, match="no answer"):
        Answers.build([], [], [], TWO)


def test_columns_of_different_length_are_refused() -> None:
    with pytest.raises(DferError, match="got 2, 1, 1"):
        Answers.build(["a", "b"], ["x"], ["sad"], TWO)


def test_the_order_of_the_rows_and_the_types_of_names_play_no_part() -> None:
    table = pd.DataFrame({"clip": [10, 9, 9, 10], "rater": [2, 1, 2, 1], "emotion": ["sad", "happy", "sad", "sad"]})
    here, there = (
        Answers.build(t["clip"], t["rater"], t["emotion"], TWO)
        for t in (table, table.iloc[::-1].reset_index(drop=True))
    )
    assert here.clips == there.clips == ("10", "9")
    assert all(np.array_equal(getattr(here, name), getattr(there, name)) for name in ("clip", "rater", "emotion"))


def test_repeated_answers_are_all_kept_where_most_pairs_have_several() -> None:
    rows = [("a", "x", "happy"), ("a", "x", "sad"), ("a", "y", "sad"), ("a", "y", "sad"), ("b", "x", "sad")]
    kept = Answers.build(*zip(*rows, strict=True), TWO, repeats="")
    assert kept.votes.tolist() == [[1, 3], [0, 1]] and kept.repeated and kept.left_out == {}
    last = Answers.build(*zip(*rows, strict=True), TWO)
    assert last.votes.tolist() == [[0, 2], [0, 1]] and not last.repeated
    assert last.left_out == {"earlier answer of a rater to the same clip": 2}
    few = Answers.build(*zip(*rows[1:], strict=True), TWO, repeats="")
    assert few.votes.tolist() == [[0, 2], [0, 1]], "one of three pairs has two answers: people correct themselves"
