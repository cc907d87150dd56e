"""The store of votes: nothing lost, nothing doubled, nothing of another study or version mixed in."""

from __future__ import annotations

import multiprocessing
import os
import sqlite3
import threading
import time
from dataclasses import replace
from pathlib import Path

import pytest

from dfer.datasets.vote_files import Clip, Vote
from dfer.errors import DferError, UnwritableError
from dfer.labels.allocation import ByNeed
from dfer.studio.store import PRACTISED, REPEATED, Cast, Store
from dfer.studio.study import Choice, Practice, Study, from_dict

STUDY = Study("Faces", (Choice("happy", "glücklich"), Choice("sad", "traurig"), Choice("fear")))
CLIPS = [Clip(f"{name}.mp4", f"films/{name}.mp4", "video") for name in "abcd"]


@pytest.fixture
def store(tmp_path: Path) -> Store:
    made = Store(tmp_path / "votes.sqlite")
    made.add_clips(CLIPS)
    made.define(STUDY)
    return made


def cast(clip: int, emotion: str = "happy", key: str = "", **rest: object) -> Cast:
    return Cast(key or os.urandom(8).hex(), clip, {emotion: None} if emotion else {}, 1, **rest)  # type: ignore[arg-type]


def said(store: Store) -> list[tuple[str, str, list[str]]]:
    return [(vote.rater, vote.clip, list(vote.emotions)) for vote in store.votes()]


def test_votes_are_there_when_the_file_is_opened_again(store: Store) -> None:
    ann = store.add_rater("Ann")
    store.add(ann.number, cast(1, "sad", seconds=2.25))
    store.add(ann.number, cast(2, ""))
    store.close()
    again = Store(store.path)
    assert said(again) == [("Ann", "a.mp4", ["sad"]), ("Ann", "b.mp4", [])]
    assert again.votes()[0].seconds == 2.25 and again.votes()[0].voted_at.startswith("20")
    assert again.study() == STUDY and again.clips[4] == CLIPS[3] and again.raters == [ann]


def test_a_vote_that_is_sent_twice_is_stored_once(store: Store) -> None:
    ann = store.add_rater("Ann").number
    vote = cast(1)
    first = store.add(ann, vote)
    assert first > 0 and store.add(ann, vote) == 0
    assert len(store.votes()) == 1


def test_a_later_vote_on_a_clip_corrects_the_former_one(store: Store) -> None:
    ann = store.add_rater("Ann").number
    for emotion in ("happy", "sad"):
        store.add(ann, cast(1, emotion))
    assert said(store) == [("Ann", "a.mp4", ["sad"])]
    assert sqlite3.connect(store.path).execute("SELECT count(*) FROM votes").fetchone() == (2,)


def test_checks_and_practice_do_not_count_as_votes(store: Store) -> None:
    ann = store.add_rater("Ann").number
    for occasion in (0, REPEATED, PRACTISED):
        store.add(ann, cast(1, "sad" if occasion else "fear", occasion=occasion))
    assert said(store) == [("Ann", "a.mp4", ["fear"])]
    assert list(store.voted(ann, REPEATED)[1]) == ["sad"]


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        (cast(99), "no clip 99"),
        (cast(1, "joyless"), "no emotion 'joyless'"),
        (replace(cast(1), emotions={"happy": None, "sad": None}), "expected one emotion, got happy, sad"),
        (replace(cast(1), emotions={"happy": 0.5}), "no strength for happy"),
        (replace(cast(1), version=7), "the study has changed"),
        (replace(cast(1), key="short"), "a key of 8"),
    ],
)
def test_a_vote_that_does_not_fit_is_refused(store: Store, wrong: Cast, told: str) -> None:
    ann = store.add_rater("Ann").number
    with pytest.raises(DferError, match=told):
        store.add(ann, wrong)
    assert store.votes() == []


@pytest.mark.parametrize("seconds", [-1.0, 1e9, float("nan")])
def test_seconds_of_a_clock_that_is_wrong_are_not_kept_and_the_vote_is(store: Store, seconds: float) -> None:
    ann = store.add_rater("Ann").number
    store.add(ann, cast(1, seconds=seconds))
    assert [vote.seconds for vote in store.votes()] == [None]


def test_emotions_cannot_change_once_somebody_voted_and_texts_can(store: Store) -> None:
    other = replace(STUDY, choices=(*STUDY.choices, Choice("anger")))
    assert store.define(other) == 2
    assert store.define(STUDY) == 3
    ann = store.add_rater("Ann").number
    store.add(ann, replace(cast(1), version=3))
    with pytest.raises(DferError, match=r"1 votes were cast for happy, sad, fear.*make a new study"):
        store.define(other)
    assert store.define(replace(STUDY, title="Other", plan=ByNeed(0.2))) == 4
    assert store.define(replace(STUDY, title="Other", plan=ByNeed(0.2))) == 4
    assert (store.study().title, store.study(3).title) == ("Other", "Faces")


def test_a_definition_comes_back_as_it_was_and_unknown_keys_are_refused() -> None:
    study = replace(
        STUDY, plan=ByNeed(0.2, 2, 5), practice=(Practice("a.mp4", ("sad",), "Look again."),), language="de"
    )
    assert from_dict(study.to_dict()) == study
    with pytest.raises(DferError, match="unknown key"):
        from_dict(study.to_dict() | {"colour": "x"})
    with pytest.raises(DferError, match="names an emotion twice"):
        from_dict(study.to_dict() | {"choices": [{"name": "sad"}, {"name": "Sad"}]})


def test_practice_clips_must_be_there(store: Store) -> None:
    with pytest.raises(DferError, match=r"not in the study: x\.mp4"):
        store.define(replace(STUDY, practice=(Practice("x.mp4"),)))


def test_who_wants_their_data_deleted_leaves_no_trace(store: Store) -> None:
    ann, bo = store.add_rater("Annabella"), store.add_rater("Bo")
    for rater in (ann, bo):
        store.add(rater.number, cast(1))
        store.add(rater.number, cast(2))
    assert store.forget(ann.number) == 2
    assert {vote.rater for vote in store.votes()} == {"Bo"}
    with pytest.raises(DferError, match="no such rater"):
        store.add(ann.number, cast(1))
    store.close()
    assert not any(b"Annabella" in path.read_bytes() for path in store.path.parent.iterdir())
    assert Store(store.path).add_rater("Cy").number == 3  # nobody gets the number, and so the link, of another


def test_a_file_of_a_newer_version_or_of_another_program_is_refused(store: Store, tmp_path: Path) -> None:
    store.close()
    with sqlite3.connect(store.path) as db:
        db.execute("PRAGMA user_version = 99")
    with pytest.raises(DferError, match=r"newer dfer \(its tables have version 99"):
        Store(store.path)
    with sqlite3.connect(tmp_path / "other.sqlite") as db:
        db.execute("CREATE TABLE things (x)")
    with pytest.raises(DferError, match="holds no votes of dfer studio"):
        Store(tmp_path / "other.sqlite")
    (tmp_path / "text.sqlite").write_text("no database " * 100)
    with pytest.raises(DferError, match="cannot be used as a file of votes"):
        Store(tmp_path / "text.sqlite")


def test_a_full_disk_is_said_and_what_was_stored_stays(store: Store) -> None:
    ann = store.add_rater("Ann").number
    store.add(ann, cast(1))
    pages = store._db.execute("PRAGMA page_count").fetchone()[0]
    store._db.execute(f"PRAGMA max_page_count = {pages}")
    with pytest.raises(UnwritableError, match="full"):
        for clip in (2, 3, 4) * 400:
            store.add(ann, cast(clip, key=os.urandom(30).hex()))
    store.close()
    assert said(Store(store.path))[0] == ("Ann", "a.mp4", ["happy"])


def test_many_threads_lose_and_double_nothing(store: Store) -> None:
    raters = [store.add_rater(f"r{number}").number for number in range(10)]

    def vote(rater: int) -> None:
        for clip in (1, 2, 3, 4):
            sent = cast(clip, key=f"rater {rater} clip {clip}")
            store.add(rater, sent)
            store.add(rater, sent)

    threads = [threading.Thread(target=vote, args=(rater,)) for rater in raters]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sqlite3.connect(store.path).execute("SELECT count(*) FROM votes").fetchone() == (40,)


def _vote_for_ever(path: Path, told: Path) -> None:
    store = Store(path)
    rater = store.add_rater("Ann").number
    with told.open("ab", buffering=0) as file:
        for number in range(100_000):
            key = f"vote number {number}"
            store.add(rater, Cast(key, 1 + number % 4, {"sad": None}, 1))
            file.write(f"{key}\n".encode())


def test_a_process_that_is_killed_loses_no_vote_that_it_said_was_stored(store: Store, tmp_path: Path) -> None:
    store.close()
    told = tmp_path / "told"
    process = multiprocessing.get_context("spawn").Process(target=_vote_for_ever, args=(store.path, told))
    process.start()
    while process.is_alive() and not (told.exists() and told.read_bytes().count(b"\n") > 30):
        time.sleep(0.02)
    process.kill()
    process.join()
    keys = {key for (key,) in sqlite3.connect(store.path).execute("SELECT key FROM votes")}
    said_so = told.read_text().split("\n")[:-1]
    assert len(said_so) > 30 and set(said_so) <= keys and len(keys) <= len(said_so) + 1
    assert {vote.clip for vote in Store(store.path).votes()} == {"a.mp4", "b.mp4", "c.mp4", "d.mp4"}


def test_answers_of_others_come_in_once_and_are_counted(store: Store) -> None:
    votes = [
        Vote("Ann", "a.mp4", {"sad": None}),
        Vote("Bo", "a.mp4", {"happy": 0.3}),
        Vote("Bo", "b.mp4", {"fear": None}),
    ]
    assert [store.add_votes(votes), store.add_votes(votes)] == [3, 0]
    assert sorted(said(store)) == [
        ("Ann", "a.mp4", ["sad"]), ("Bo", "a.mp4", ["happy"]), ("Bo", "b.mp4", ["fear"]),
    ]  # fmt: skip
    with pytest.raises(DferError, match=r"not in the study: z\.mp4"):
        store.add_votes([Vote("Ann", "z.mp4", {"sad": None})])


def test_a_vote_from_elsewhere_never_takes_the_place_of_a_newer_one(store: Store) -> None:
    def at(hour: int, emotion: str) -> Vote:
        return Vote("Ann", "a.mp4", {emotion: None}, f"2026-01-01T{hour:02}:00:00.000+00:00", 2.5)

    assert store.add_votes([at(12, "sad")]) == 1
    assert store.add_votes([at(12, "sad")]) == store.add_votes([at(11, "happy")]) == 0
    assert said(store) == [("Ann", "a.mp4", ["sad"])]
    assert store.add_votes([at(13, "fear")]) == 1
    (vote,) = store.votes()
    assert (dict(vote.emotions), vote.voted_at, vote.seconds) == ({"fear": None}, at(13, "fear").voted_at, 2.5)
    store.add(store.raters[0].number, Cast("a key of a page", 1, {"happy": None}, 1))  # now, which is later
    assert store.add_votes([at(13, "fear")]) == 0 and said(store) == [("Ann", "a.mp4", ["happy"])]
