"""The room Votes through HTTP: five raters, a server that ends in between, numbers that are worked out elsewhere."""

from __future__ import annotations

import io
import json
import sqlite3
import zipfile
from collections import Counter
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

pytest.importorskip("fastapi")

from dfer.datasets.answers import read_answers
from tests.studio.conftest import EMOTIONS, define, links


def cast(client: Any, link: str, step: dict[str, Any], *emotions: str, key: str = "", **rest: Any) -> Any:
    values = {
        "key": key or f"{link[-10:]} {step['clip']} {step['kind']}", "clip": step["clip"], "version": 1, "seconds": 1.5,
        "kind": step["kind"], "emotions": dict.fromkeys(emotions),
    } | rest  # fmt: skip
    return client.post(f"{link}/votes", json=values)


def state(client: Any, link: str) -> Any:
    return client.get(f"{link}/state").json()


def reopened(folder: Path) -> Any:
    """A client of a new server on the same folder."""
    from fastapi.testclient import TestClient

    from dfer.studio.app import create_app
    from dfer.studio.workspace import Workspace

    return TestClient(create_app(Workspace(folder)), base_url="http://127.0.0.1", raise_server_exceptions=False)


def fleiss(table: np.ndarray) -> float:
    """Fleiss (1971), equations 1 to 7, for panels of one size."""
    clips, raters = len(table), table[0].sum()
    agreed = ((table**2).sum(axis=1) - raters).sum() / (clips * raters * (raters - 1))
    chance = ((table.sum(axis=0) / (clips * raters)) ** 2).sum()
    return float((agreed - chance) / (1 - chance))


def test_five_raters_whose_server_ends_in_between_have_the_votes_that_they_cast(client: Any, folder: Path) -> None:
    define(client)
    people = links(client, "Ann", "Bo", "Cy", "Dee", "Eli")
    generator = np.random.default_rng(4)
    cast_by_hand: dict[tuple[str, int], str] = {}
    orders = []
    for name, link in zip(("Ann", "Bo", "Cy", "Dee", "Eli"), people, strict=True):
        seen = []
        step = state(client, link)["step"]
        while step["kind"] == "vote":
            if len(seen) == 3:
                client = reopened(folder)
                assert len(state(client, link)["votes"]) == 3
                step = state(client, link)["step"]
            seen.append(step["clip"])
            emotion = EMOTIONS[generator.choice(3, p=[0.6, 0.3, 0.1] if step["clip"] % 2 else [0.1, 0.2, 0.7])]
            cast_by_hand[name, step["clip"]] = emotion
            answer = cast(client, link, step, emotion)
            assert cast(client, link, step, emotion).json()["fresh"] is False  # sent twice by a bad connection
            step = answer.json()["step"]
        assert sorted(seen) == [1, 2, 3, 4, 5, 6]
        orders.append(tuple(seen))
    assert len(set(orders)) > 1
    told = client.get("/api/v1/studies/pilot").json()
    counts = Counter((clip, emotion) for (_, clip), emotion in cast_by_hand.items())
    table = np.array([[counts[clip, emotion] for emotion in EMOTIONS] for clip in range(1, 7)])
    assert (told["votes"], told["clips_done"]) == (30, 6)
    assert told["fleiss_kappa"] == pytest.approx(fleiss(table), abs=1e-4)
    assert told["votes_per_clip"] == [0, 0, 0, 0, 0, 6]
    rows = pd.read_csv(io.BytesIO(client.get("/api/v1/studies/pilot/export/votes.csv").content))
    assert {(row.rater, int(row.clip[0]) + 1): row.emotion for row in rows.itertuples()} == cast_by_hand
    manifest = client.get("/api/v1/studies/pilot/export/manifest.csv").content
    exported = pd.read_csv(io.BytesIO(manifest), skiprows=1)
    assert exported[[f"votes_{name}" for name in EMOTIONS]].to_numpy().tolist() == table.tolist()
    head = json.loads(manifest.split(b"\n")[0].removeprefix(b"# dfer.manifest/1 "))
    assert (Path(head["root"]) / exported["path"][0]).exists()


def test_exports_of_all_kinds_are_read_back_into_another_study(client: Any, tmp_path: Path) -> None:
    define(client)
    (ann,) = links(client, "Ann")
    step = state(client, ann)["step"]
    while step["kind"] == "vote":
        step = cast(client, ann, step, EMOTIONS[step["clip"] % 3]).json()["step"]
    wanted = {(f"{clip - 1}.flv", EMOTIONS[clip % 3]) for clip in range(1, 7)}
    for form in ("votes.csv", "label_studio.json"):
        data = client.get(f"/api/v1/studies/pilot/export/{form}").content
        (tmp_path / form).write_bytes(data)
        found = read_answers(tmp_path / form)
        assert {(found.clips[c], found.emotions[e]) for c, e in zip(found.clip, found.emotion, strict=True)} == wanted
        name = form.partition(".")[0].replace("_", "-")
        source = client.get("/api/v1/studies").json()["sources"]
        key = next(each["key"] for each in source if each["name"] == "clips")
        choices = [{"name": emotion} for emotion in EMOTIONS]
        made = {"name": name, "source": key, "definition": {"title": "Again", "choices": choices}}
        assert client.post("/api/v1/studies", json=made).status_code == 200
        assert client.post(f"/api/v1/studies/{name}/answers?name={form}", content=data).json() == {
            "added": 6,
            "read": 6,
            "left_out": {},
        }
        assert client.get(f"/api/v1/studies/{name}").json()["votes"] == 6
    with zipfile.ZipFile(io.BytesIO(client.get("/api/v1/studies/pilot/export/elan.zip").content)) as archive:
        assert len(archive.namelist()) == 6
        archive.extractall(tmp_path / "eaf")
    found = read_answers(tmp_path / "eaf")
    assert {(found.clips[c], found.emotions[e]) for c, e in zip(found.clip, found.emotion, strict=True)} == wanted


def again(client: Any, name: str, **rest: Any) -> None:
    """Another study about the same clips."""
    source = client.get("/api/v1/studies").json()["sources"]
    key = next(each["key"] for each in source if each["name"] == "clips")
    definition = {"title": "Again", "choices": [{"name": emotion} for emotion in EMOTIONS]} | rest
    answer = client.post("/api/v1/studies", json={"name": name, "source": key, "definition": definition})
    assert answer.status_code == 200, answer.text


def rows_of(folder: Path, name: str) -> list[tuple[Any, ...]]:
    """The rows of the votes in a study's own file."""
    with closing(sqlite3.connect(folder / "studio" / "studies" / f"{name}.sqlite")) as file:
        query = (
            "SELECT c.name, r.name, emotions, voted_at, seconds FROM latest JOIN clips c USING (clip) "
            "JOIN raters r USING (rater) WHERE occasion = 0 ORDER BY 1, 2"
        )
        return file.execute(query).fetchall()


@pytest.mark.parametrize(
    ("form", "rest", "kept"),
    [
        ("votes.csv", {}, 5), ("votes.csv", {"several": True, "strength": True}, 5),
        ("label_studio.json", {}, 5), ("elan.zip", {}, 3),
    ],
)  # fmt: skip
def test_votes_that_cannot_tell_and_times_survive_the_way_out_and_in(
    client: Any, folder: Path, form: str, rest: dict[str, Any], kept: int
) -> None:
    define(client, **rest)
    graded = bool(rest)
    for place, link in enumerate(links(client, "Ann", "Bo")):
        step = state(client, link)["step"]
        while step["kind"] == "vote":
            chosen = [{"happy": 0.25, "sad": 0.75}, {}, {"neutral": 0.5}][(step["clip"] + place) % 3]
            if not graded:
                chosen = dict.fromkeys(list(chosen)[:1])
            values = {"key": f"{place} votes on {step['clip']}", "clip": step["clip"], "version": 1, "emotions": chosen}
            step = client.post(f"{link}/votes", json=values | {"seconds": 1.25 + step["clip"]}).json()["step"]
    again(client, "other", **rest)
    data = client.get(f"/api/v1/studies/pilot/export/{form}").content
    files = {form: data}
    if form.endswith(".zip"):
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            files = {name: archive.read(name) for name in archive.namelist()}
    for study, fresh in (("other", 12), ("other", 0), ("pilot", 0)):
        if form.endswith(".zip") and study == "pilot":
            continue  # these files have no times, so what is in them cannot be told to be old
        told = [
            client.post(f"/api/v1/studies/{study}/answers", params={"name": name}, content=content).json()
            for name, content in files.items()
        ]
        assert sum(each["added"] for each in told) == fresh and all(each["left_out"] == {} for each in told)
        wanted, found = ([row[:kept] for row in rows_of(folder, name)] for name in ("pilot", "other"))
        assert found == wanted and sum(json.loads(row[2]) == {} for row in found) == 4
    told = client.get("/api/v1/studies/other").json()
    assert (told["votes"], told["cannot_tell"]) == (12, 4)


@pytest.mark.parametrize("word", ["cannot tell", "unsure", "?"])
def test_a_file_in_which_nobody_can_tell_is_taken_and_one_without_answers_is_refused(client: Any, word: str) -> None:
    define(client)
    send = partial(client.post, "/api/v1/studies/pilot/answers", params={"name": "answers.csv"})
    told = send(content=f"clip,rater,emotion\n1.flv,Ann,{word}\n2.flv,Ann,{word}\n1.flv,Bo,{word}\n".encode()).json()
    assert told == {"added": 3, "read": 3, "left_out": {}}
    study = client.get("/api/v1/studies/pilot").json()
    assert (study["votes"], study["cannot_tell"]) == (3, 3)
    empty = send(content=b"clip,rater,emotion\n1.flv,Ann,\n")
    assert empty.status_code == 400 and "no answer" in empty.json()["error"]


def test_practice_comes_first_has_feedback_and_does_not_count(client: Any) -> None:
    define(client, practice=[{"clip": "2.flv", "emotions": ["happy"], "feedback": "The mouth."}])
    (ann,) = links(client, "Ann")
    step = state(client, ann)["step"]
    assert (step["kind"], step["clip"]) == ("practice", 3)
    answer = cast(client, ann, step, "sad").json()
    assert answer["feedback"] == {"text": "The mouth.", "expected": ["happy"], "fits": False}
    assert answer["step"]["kind"] == "vote" and answer["step"]["clip"] != 3
    told = client.get("/api/v1/studies/pilot").json()
    assert (told["votes"], told["clips"]) == (0, 5)


def test_clips_are_shown_again_as_checks_and_breaks_are_proposed(client: Any) -> None:
    define(client, repeat_every=2, break_every=3)
    (ann,) = links(client, "Ann")
    step, kinds, breaks, repeated = state(client, ann)["step"], [], [], []
    while step["kind"] != "done":
        kinds.append(step["kind"])
        if step["kind"] == "repeat":
            repeated.append(step["clip"])
        differs = step["kind"] == "repeat" and len(repeated) == 2
        step = cast(client, ann, step, "sad" if differs else "happy").json()["step"]
        if step["break"]:
            breaks.append(step["done"])
    assert kinds.count("vote") == 6 and kinds.count("repeat") == 3
    assert len(set(repeated)) == 3 and breaks == [3]
    (rater,) = client.get("/api/v1/studies/pilot").json()["raters"]
    assert (rater["repeated"], rater["same_again"], rater["votes"]) == (3, 2, 6)


def test_two_tabs_of_a_rater_show_one_clip_and_the_later_vote_counts(client: Any) -> None:
    define(client)
    (ann,) = links(client, "Ann")
    one, other = (state(client, ann)["step"] for _ in range(2))
    assert one == other
    cast(client, ann, one, "happy", key="first tab")
    cast(client, ann, other, "sad", key="second tab")
    told = client.get("/api/v1/studies/pilot").json()
    assert told["votes"] == 1 and told["chosen"]["sad"] == 1 and told["chosen"]["happy"] == 0


def test_raters_at_work_at_once_are_not_all_given_the_clip_that_needs_one_more(client: Any) -> None:
    define(client, plan={"votes": 1})
    people = links(client, *(f"r{number}" for number in range(6)))
    assert len({state(client, link)["step"]["clip"] for link in people}) == 6


def test_a_clip_that_vanished_is_passed_over_and_told(client: Any, folder: Path) -> None:
    define(client)
    (ann,) = links(client, "Ann")
    step = state(client, ann)["step"]
    (folder / "clips" / f"{step['clip'] - 1}.flv").unlink()
    assert client.get(f"{ann}/clips/{step['clip']}").status_code == 404
    other = state(client, ann)["step"]
    assert other["kind"] == "vote" and other["clip"] != step["clip"]
    assert client.get("/api/v1/studies/pilot").json()["vanished"] == [f"{step['clip'] - 1}.flv"]


def test_a_study_that_changed_under_a_rater_is_not_voted_on(client: Any) -> None:
    define(client)
    (ann,) = links(client, "Ann")
    step = state(client, ann)["step"]
    definition = client.get("/api/v1/studies/pilot").json()["definition"]
    definition["choices"].append({"name": "fear", "shown": ""})
    assert client.put("/api/v1/studies/pilot/definition", json=definition).json() == {"version": 2}
    answer = cast(client, ann, step, "happy")
    assert answer.status_code == 409 and "load the page again" in answer.json()["error"]
    assert cast(client, ann, step, "fear", version=2).status_code == 200
    definition["choices"].pop()
    assert "make a new study" in client.put("/api/v1/studies/pilot/definition", json=definition).json()["error"]


def test_who_deletes_their_votes_is_gone_and_the_link_is_dead(client: Any) -> None:
    define(client)
    ann, bo = links(client, "Ann", "Bo")
    for link in (ann, bo):
        cast(client, link, state(client, link)["step"], "happy")
    assert client.post(f"{ann}/forget").json() == {"deleted": 1}
    assert client.get(f"{ann}/state").status_code == 410
    told = client.get("/api/v1/studies/pilot").json()
    assert told["votes"] == 1 and [rater["name"] for rater in told["raters"]] == ["Bo"]


@pytest.mark.parametrize(
    "wrong",
    [
        {"emotions": {"joyless": None}}, {"emotions": {"happy": 2.0}}, {"emotions": {"happy": None, "sad": None}},
        {"clip": 99}, {"clip": -1}, {"clip": 10**30}, {"version": 0}, {"version": 99}, {"key": "x"}, {"kind": "other"},
        {"emotions": []}, {"emotions": {"\ud800": None}}, {"seconds": "long"},
    ],
)  # fmt: skip
def test_a_vote_that_cannot_be_is_refused_in_a_sentence(client: Any, wrong: dict[str, Any]) -> None:
    define(client)
    (ann,) = links(client, "Ann")
    values = {"key": "0123456789", "clip": 1, "version": 1, "emotions": {"happy": None}} | wrong
    answer = client.post(f"{ann}/votes", content=json.dumps(values), headers={"content-type": "application/json"})
    assert 400 <= answer.status_code < 500 and answer.json()["error"]
    assert client.get("/api/v1/studies/pilot").json()["votes"] == 0


@pytest.mark.parametrize("link", ["1.AAAA", "1", "", "x.y", "../../secret", "1.%00", "999999999999999.A", "١.A"])
def test_a_link_that_was_made_up_opens_nothing(client: Any, link: str) -> None:
    define(client)
    links(client, "Ann")
    for rest in ("", "/state", "/clips/1"):
        assert client.get(f"/v/pilot/{link}{rest}").status_code in (404, 405)


def test_a_link_of_one_study_opens_no_other(client: Any) -> None:
    define(client)
    (ann,) = links(client, "Ann")
    assert client.get(ann.replace("/pilot/", "/other/")).status_code == 404


def test_who_opens_a_link_that_leads_nowhere_reads_a_page(client: Any) -> None:
    define(client)
    (ann,) = links(client, "Ann")
    as_browser = {"accept": "text/html,application/xhtml+xml;q=0.9,*/*;q=0.8"}
    for link, status in ((f"{ann}x", 404), ("/v/pilot/<b>", 404), ("/nowhere", 404)):
        answer = client.get(link, headers=as_browser)
        assert answer.status_code == status and answer.headers["content-type"].startswith("text/html")
        assert "<h1>" in answer.text and "<b>" not in answer.text
        assert "script-src" in answer.headers["content-security-policy"]
    client.post(f"{ann}/forget")
    assert "votes were deleted" in client.get(ann, headers=as_browser).text
    assert client.get(f"{ann}x").json()["error"] and client.get("/api/v1/films/x", headers=as_browser).json()["error"]
