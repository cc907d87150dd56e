"""People are named and merged afterwards, from Python and on the command line."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from dfer import DferError, Timeline
from dfer.inference import Person, Segment
from dfer.inference.people import merged, named
from dfer.inference.recording import Moment, Reading, Recording

from ..test_cli import here
from .toy import EMOTIONS, toy_person, toy_timeline


def seen(id_: int, frames: range, probs: tuple[float, ...], x: float = 10.0) -> dict[int, list[Reading]]:
    """What is read of a person in some frames."""
    return {k: [Reading(id_, np.array([x, 5.0, 30.0, 40.0]), np.array(probs), 0)] for k in frames}


def recorded(*parts: dict[int, list[Reading]], frames: int = 30) -> Timeline:
    """The timeline of a video of ten frames a second."""
    recording = Recording("clip.mp4", EMOTIONS, smoothing_s=0)
    for k in range(frames):
        recording.add(Moment(k / 10, tuple(one for part in parts for one in part.get(k, []))))
    return recording.timeline()


ANGRY, SAD = (0.8, 0.1, 0.1), (0.1, 0.1, 0.8)


def test_two_numbers_of_one_person_become_what_one_number_would_have_been() -> None:
    early, late = range(2, 12), range(18, 29)
    parts = merged(recorded(seen(1, early, ANGRY), seen(4, late, SAD)), [4, 1])
    whole = recorded(seen(1, early, ANGRY), seen(1, late, SAD))
    assert parts.to_dict() == whole.to_dict()
    touching = merged(recorded(seen(1, range(0, 15), ANGRY), seen(2, range(15, 30), SAD)), [1, 2])
    assert touching.to_dict() == recorded(seen(1, range(0, 15), ANGRY), seen(1, range(15, 30), SAD)).to_dict()


def test_three_become_one_and_the_others_stay() -> None:
    parts = [seen(id_, range(5 * id_, 5 * id_ + 4), ANGRY) for id_ in range(4)]
    timeline = merged(recorded(*parts), [0, 3, 2])
    assert [person.id for person in timeline.people] == [0, 1]
    assert timeline.people[0].times[timeline.people[0].seen] == pytest.approx(
        [k / 10 for start in (0, 10, 15) for k in range(start, start + 4)]
    )


def test_one_face_that_was_followed_twice_for_a_moment_is_merged_the_first_ones_rows_count() -> None:
    one = merged(recorded(seen(0, range(0, 12), ANGRY), seen(1, range(10, 20), SAD, x=12)), [0, 1]).people[0]
    assert one.seen.sum() == 20 and one.probs[11].tolist() == list(ANGRY) and one.probs[12].tolist() == list(SAD)


def test_people_in_two_places_at_once_are_two() -> None:
    timeline = named(recorded(seen(0, range(0, 12), ANGRY), seen(1, range(10, 20), SAD, x=200)), {1: "Ben"})
    with pytest.raises(DferError, match=r"person 0 and Ben cannot be merged: at 1\.00 s both are seen, in different"):
        merged(timeline, [0, 1])


def test_names_are_kept_in_every_file(tmp_path: Path) -> None:
    anna = toy_person(3, segments=(Segment(0.0, 0.1, 0.4, "angry", 0.7),))
    timeline = named(toy_timeline(toy_person(0), anna), {3: " Anna "})
    assert [person.label for person in timeline.people] == ["person 0", "Anna"]
    for suffix in ("json", "csv", "parquet", "srt", "html", "png"):
        timeline.save(tmp_path / f"out.{suffix}")
    again = Timeline.load(tmp_path / "out.json")
    assert Timeline.load(tmp_path / "out.parquet").to_dict() == again.to_dict()
    assert again.to_dict() == timeline.to_dict() and again.people[1].name == "Anna"
    assert pd.read_csv(tmp_path / "out.csv", keep_default_na=False)["name"].tolist() == [""] * 4 + ["Anna"] * 4
    assert ">Anna<" in (tmp_path / "out.html").read_text(encoding="utf-8")
    assert "Anna: angry " in (tmp_path / "out.srt").read_text(encoding="utf-8")
    assert named(again, {3: ""}).people[1].name == ""


@pytest.mark.parametrize("name", ["$\\frac", "Ünï 中", "x" * 300])
def test_any_name_can_be_drawn(name: str, tmp_path: Path) -> None:
    named(toy_timeline(), {0: name}).save(tmp_path / "out.png")


def test_the_verb_names_and_merges_in_place_or_elsewhere(tmp_path: Path) -> None:
    path = tmp_path / "out.json"
    recorded(seen(0, range(0, 9), ANGRY), seen(2, range(10, 18), SAD), seen(3, range(20, 28), SAD)).save(path)
    before = path.read_bytes()
    done = here("people", path)
    assert done.code == 0 and done.out.splitlines()[1] == "2: seen from 1.0 to 1.7 s, sad 80%"
    assert path.read_bytes() == before
    done = here(
        "people", path, "--name", "0=Anna", "--merge", "2,3", "--name", "2=Ben = B", "-o", tmp_path / "new.json"
    )
    assert done.code == 0 and path.read_bytes() == before
    assert "2  Ben = B: seen from 1.0 to 2.7 s, sad 80%" in done.out
    assert [person.label for person in Timeline.load(tmp_path / "new.json").people] == ["Anna", "Ben = B"]
    shutil.copy(path, tmp_path / "copy.json")
    assert here("people", tmp_path / "copy.json", "--merge", "2,3").code == 0
    assert [one["id"] for one in json.loads((tmp_path / "copy.json").read_text())["people"]] == [0, 2]


def test_the_verb_splits_before_it_merges_and_names(tmp_path: Path) -> None:
    path = tmp_path / "out.json"
    recorded(seen(0, range(0, 20), ANGRY), seen(1, range(20, 28), SAD)).save(path)
    done = here("people", path, "--split", "0@1.0", "--merge", "1,2", "--name", "1=Ben")
    assert done.code == 0
    # (10 x 0.8 + 8 x 0.1) / 18
    assert done.out.splitlines()[:2] == [
        "0: seen from 0.0 to 0.9 s, angry 80%", "1  Ben: seen from 1.0 to 2.7 s, angry 49%",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["--name", "Anna"], "expected --name as ID=NAME, such as 0=Anna, got 'Anna'"),
        (["--name", "0=Anna", "--name", "0=Ben"], "person 0 is given two names, 'Anna' and 'Ben'"),
        (["--name", "x=Anna"], "expected the number of a person, got 'x' in 'x=Anna'"),
        (["--name", "7=Anna"], "there is no person 7; there are 0, 3"),
        (["--merge", "3"], "expected two people or more to merge, such as 2,3, got 3"),
        (["--merge", "0,8"], "there is no person 8"),
        (["--split", "0"], "expected --split as ID@SECONDS, such as 2@7.5, got '0'"),
        (["--split", "0@soon"], "expected --split as ID@SECONDS, such as 2@7.5, got '0@soon'"),
        (["--split", "x@1"], "expected the number of a person, got 'x' in 'x@1'"),
        (["--split", "8@1"], "there is no person 8"),
        (["--split", "0@99"], "cannot be divided at 99.00 s"),
        (["--split", "0@nan"], "cannot be divided at nan s"),
        (["--merge", "0,three"], "expected the number of a person, got 'three'"),
    ],
)
def test_what_cannot_be_is_one_sentence(arguments: list[str], told: str, tmp_path: Path) -> None:
    path = tmp_path / "out.json"
    toy_timeline(toy_person(0), toy_person(3)).save(path)
    before = path.read_bytes()
    done = here("people", path, *arguments)
    assert done.code == 2 and told in done.err and path.read_bytes() == before


@pytest.mark.parametrize("name", ["film.mp4", "link.mp4", "./film.mp4"])
def test_the_film_itself_is_not_written_over(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("film.mp4").write_bytes(b"what was filmed")
    Path("link.mp4").symlink_to("film.mp4")
    replace(toy_timeline(toy_person(0)), video="film.mp4").save("out.json")
    assert here("people", "out.json", "-o", name).is_refusal("is read, and would be written over")
    assert Path("film.mp4").read_bytes() == b"what was filmed"


def test_a_timeline_without_people_is_told(tmp_path: Path) -> None:
    Timeline("clip.mp4", 1.0, EMOTIONS, ()).save(tmp_path / "out.json")
    assert here("people", tmp_path / "out.json").out.strip() == "nobody is in this timeline"


def test_a_person_who_is_never_seen_is_told(tmp_path: Path) -> None:
    empty = np.full((1, 3), np.nan)
    person = Person(0, np.zeros(1), empty, np.full((1, 4), np.nan), np.zeros(1, np.uint8), (), empty[0])
    toy_timeline(person).save(tmp_path / "out.json")
    assert "0: never seen" in here("people", tmp_path / "out.json").out
