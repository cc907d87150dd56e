"""The room Review: what a folder holds, clips with votes beside predictions, and verbs that are started from a page."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

pytest.importorskip("fastapi")

from dfer.datasets import Manifest
from dfer.labels import EmotionSet
from dfer.metrics import Predictions
from tests.studio.conftest import EMOTIONS, define, links
from tests.training.toy import toy_manifest

API = "/api/v1"
VOTES = [[4, 0, 0], [2, 2, 0], [0, 3, 1], [0, 0, 5], [1, 1, 1], [3, 1, 0]]
PROBS = [[0.8, 0.1, 0.1], [0.3, 0.6, 0.1], [0.1, 0.2, 0.7], [0.2, 0.2, 0.6], [0.4, 0.3, 0.3], [0.05, 0.9, 0.05]]


@pytest.fixture
def reviewed(client: Any, folder: Path) -> Any:
    """The client of a folder with a manifest, a run and a page."""
    rows = pd.DataFrame({
        "id": [f"c{n}" for n in range(6)], "path": [f"clips/{n}.flv" for n in range(6)], "kind": "video",
        "group": ["Ann", "Ann", "Bo", "Bo", "Cy", "Cy"],
    })  # fmt: skip
    rows[[f"votes_{name}" for name in EMOTIONS]] = VOTES
    emotions = EmotionSet("three", EMOTIONS)
    Manifest.build(rows, emotions=emotions, root=folder).write(folder / "votes.csv")
    place = folder / "runs" / "one" / "split"
    place.mkdir(parents=True)
    ids = np.array([f"c{n}" for n in range(6)])[::-1]
    predictions = Predictions(
        ids, np.zeros(6, int), np.full(6, -1), np.array(PROBS)[::-1], np.array(VOTES, float)[::-1], [""] * 6, emotions
    )
    predictions.write(place / "predictions.csv")
    (folder / "report.html").write_text("<script>parent.document.title = 'mine'</script><p>hello")
    client.app.state.workspace.look_again()
    return client


def keys(client: Any) -> dict[str, str]:
    told = client.get(f"{API}/review").json()
    return {item["name"]: item["key"] for kind in ("runs", "pages", "data", "folders") for item in told[kind]}


def shown(client: Any, **filters: Any) -> list[str]:
    found = keys(client)
    answer = client.get(f"{API}/clips", params={"data": found["votes.csv"], "run": found["runs/one"]} | filters)
    assert answer.status_code == 200, answer.text
    return [clip["id"] for clip in answer.json()["clips"]]


@pytest.mark.parametrize(
    ("filters", "wanted"),
    [
        ({}, ["c0", "c1", "c2", "c3", "c4", "c5"]),
        ({"emotion": "happy"}, ["c0", "c1", "c4", "c5"]),
        ({"predicted": "sad"}, ["c1", "c5"]),
        ({"error": True}, ["c1", "c2", "c5"]),
        ({"group": "Bo"}, ["c2", "c3"]),
        ({"text": "C4"}, ["c4"]),
        ({"least": 0.9}, ["c4"]),
        ({"most": 0.0}, ["c0", "c3"]),
        ({"order": "disagreement"}, ["c4", "c1", "c2", "c5", "c0", "c3"]),
        ({"order": "surprise", "error": True}, ["c5", "c2", "c1"]),
        ({"start": 4}, ["c4", "c5"]),
    ],
)
def test_clips_are_filtered_and_ordered(reviewed: Any, filters: dict[str, Any], wanted: list[str]) -> None:
    assert shown(reviewed, **filters) == wanted


def test_a_clip_has_votes_and_the_prediction_of_the_same_clip(reviewed: Any, folder: Path) -> None:
    found = keys(reviewed)
    told = reviewed.get(f"{API}/clips", params={"data": found["votes.csv"], "run": found["runs/one"]}).json()
    assert [list(clip["votes"].values()) for clip in told["clips"]] == VOTES
    assert [list(clip["probs"].values()) for clip in told["clips"]] == PROBS
    assert told["groups"] == ["Ann", "Bo", "Cy"]
    played = reviewed.get(f"{API}/clips/{found['votes.csv']}/2")
    assert played.status_code == 200 and played.headers["content-type"] == "video/mp4"
    (folder / "clips" / "2.flv").unlink()
    assert shown(reviewed, missing=True) == ["c2"]
    assert reviewed.get(f"{API}/clips/{found['votes.csv']}/2").status_code == 404
    assert reviewed.get(f"{API}/clips/{found['votes.csv']}/99").status_code == 404


def test_what_cannot_be_is_a_sentence(reviewed: Any) -> None:
    data = keys(reviewed)["votes.csv"]
    for filters in (
        {"data": "x"},
        {"data": data, "run": "x"},
        {"data": data, "emotion": "joyless"},
        {"data": data, "start": -1},
    ):
        answer = reviewed.get(f"{API}/clips", params=filters)
        assert 400 <= answer.status_code < 500 and answer.json()["error"]


def test_clips_are_filtered_by_what_the_doctor_found(reviewed: Any, folder: Path) -> None:
    for number in (0, 1, 3, 4):  # 2 and 5 stay copies of each other
        path = folder / "clips" / f"{number}.flv"
        path.write_bytes(path.read_bytes() + bytes([number]))
    (folder / "clips" / "1.flv").unlink()
    (folder / "clips" / "4.flv").write_bytes(b"")
    data = keys(reviewed)["votes.csv"]
    assert reviewed.get(f"{API}/clips", params={"data": data}).json()["flaws"] == {}
    job = reviewed.post(f"{API}/work", json={"verb": "doctor", "data": data}).json()
    assert ended(reviewed, job["id"])["state"] == "done"
    told = reviewed.get(f"{API}/clips", params={"data": data}).json()
    assert told["flaws"]["files"] == 2 and told["flaws"]["doubles"] == 2
    assert shown(reviewed, flaw="files") == ["c1", "c4"]
    assert shown(reviewed, flaw="doubles") == ["c2", "c5"]
    assert shown(reviewed, flaw="doubles", group="Bo") == ["c2"]
    assert "files" in told["clips"][1]["flaws"] and "files" not in told["clips"][0]["flaws"]
    answer = reviewed.get(f"{API}/clips", params={"data": data, "flaw": "spots"})
    assert answer.status_code == 400 and "spots" in answer.json()["error"]
    (folder / "votes_doctor.json").write_text('{"findings": 3}')
    assert reviewed.get(f"{API}/clips", params={"data": data}).json()["flaws"] == {}


def test_findings_about_a_former_state_of_the_data_are_not_shown(reviewed: Any, folder: Path) -> None:
    data = keys(reviewed)["votes.csv"]
    finding = {"check": "files", "verdict": "fault", "found": "1 clip (c0)", "advice": "", "clips": ["c0"]}
    (folder / "votes_doctor.json").write_text(json.dumps({"format": "dfer.doctor/1", "findings": [finding]}))
    assert shown(reviewed, flaw="files") == ["c0"]
    later = time.time() + 5
    os.utime(folder / "votes.csv", (later, later))
    assert reviewed.get(f"{API}/clips", params={"data": data}).json()["flaws"] == {}


def test_clips_that_were_found_are_sent_to_votes(reviewed: Any) -> None:
    found = keys(reviewed)
    rows = reviewed.get(f"{API}/clips", params={"data": found["votes.csv"], "group": "Bo"}).json()["rows"]
    definition = {"title": "Again", "choices": [{"name": name} for name in EMOTIONS]}
    study = {"name": "again", "source": found["votes.csv"], "clips": rows, "definition": definition}
    assert reviewed.post(f"{API}/studies", json=study).json() == {"name": "again", "clips": 2}
    assert reviewed.post(f"{API}/studies", json=study | {"name": "other", "clips": [99]}).status_code == 400


def test_a_page_of_the_folder_is_shown_in_a_box_of_its_own(reviewed: Any) -> None:
    answer = reviewed.get(f"/review/pages/{keys(reviewed)['report.html']}")
    policy = answer.headers["content-security-policy"]
    assert policy.startswith("sandbox") and "allow-same-origin" not in policy and "default-src 'none'" in policy
    assert reviewed.get("/review/pages/..%2f..%2fetc%2fpasswd").status_code == 404


def test_runs_are_listed_with_what_is_known_of_them(reviewed: Any) -> None:
    (run,) = reviewed.get(f"{API}/review").json()["runs"]
    assert (run["name"], run["predicted"], run["trained"]) == ("runs/one", True, False)


def ended(client: Any, id_: str) -> Any:
    until = time.monotonic() + 180
    while time.monotonic() < until:
        job = next(job for job in client.get(f"{API}/work").json() if job["id"] == id_)
        if job["state"] not in ("waiting", "running"):
            return job
        time.sleep(0.2)
    raise AssertionError(job)


def test_the_votes_of_a_study_become_a_manifest_that_the_doctor_reads(client: Any, folder: Path) -> None:
    define(client)
    (ann,) = links(client, "Ann")
    step = client.get(f"{ann}/state").json()["step"]
    while step["kind"] == "vote":
        values = {"key": f"key of {step['clip']}", "clip": step["clip"], "version": 1, "emotions": {"sad": None}}
        step = client.post(f"{ann}/votes", json=values).json()["step"]
    assert client.post(f"{API}/studies/pilot/manifest").json() == {"name": "data/pilot.csv"}
    assert Manifest.read(folder / "data" / "pilot.csv").votes[:, 1].tolist() == [1] * 6
    job = client.post(f"{API}/work", json={"verb": "doctor", "data": keys(client)["data/pilot.csv"]}).json()
    told = ended(client, job["id"])
    assert told["state"] == "done" and "pilot_doctor.html" in told["log"] and str(folder) not in told["log"]
    client.app.state.workspace.look_again()
    assert "data/pilot_doctor.html" in keys(client)


def test_verbs_run_one_after_the_other_and_can_be_stopped(client: Any, folder: Path) -> None:
    work = client.app.state.work
    long = work.begin("draw", ["synth", str(folder / "drawn"), "--clips", "100000", "--workers", "1"], folder / "drawn")
    waiting = work.begin("help", ["--version"], folder)
    assert [job["state"] for job in client.get(f"{API}/work").json()] == ["waiting", "running"]
    client.post(f"{API}/work/{long.id}/stop")
    assert ended(client, waiting.id)["state"] == "done"
    assert long.process is not None and long.process.wait(20) != 0
    assert client.post(f"{API}/work/nothing/stop").status_code == 404


@pytest.mark.parametrize(
    "given",
    [
        {"verb": "train", "recipe": "../../etc/passwd", "name": "x"},
        {"verb": "train", "recipe": "demo", "name": "../x"},
        {"verb": "train", "recipe": "demo", "name": "-o"}, {"verb": "prepare", "reader": "table"}, {"verb": "rm"},
        {"verb": "evaluate", "run": "x"}, {"verb": "train", "epochs": -1},
    ],
)  # fmt: skip
def test_no_command_comes_from_a_page(reviewed: Any, given: dict[str, Any]) -> None:
    found = keys(reviewed)
    data = found["clips"] if given["verb"] == "prepare" else found["votes.csv"]
    answer = reviewed.post(f"{API}/work", json={"data": data} | given)
    assert 400 <= answer.status_code < 500 and answer.json()["error"]
    assert reviewed.get(f"{API}/work").json() == []


@pytest.mark.slow
def test_from_votes_to_a_trained_model_and_its_report(client: Any, folder: Path) -> None:
    manifest = Manifest.read(toy_manifest(folder / "toy"))
    manifest.table["fold"] = pd.array([pd.NA] * len(manifest), dtype="Int64")
    manifest.write(folder / "toy.csv")
    client.app.state.workspace.look_again()
    done = client.post(f"{API}/work", json={"verb": "split", "data": keys(client)["toy.csv"]}).json()
    assert ended(client, done["id"])["state"] == "done"
    client.app.state.workspace.look_again()
    train = {
        "verb": "train",
        "data": keys(client)["toy_split.csv"],
        "recipe": "ferplus_frame",
        "name": "mine",
        "epochs": 2,
    }
    told = ended(client, client.post(f"{API}/work", json=train).json()["id"])
    assert told["state"] == "done", told["log"]
    client.app.state.workspace.look_again()
    for verb in ("resume", "evaluate"):
        given = {"verb": verb, "run": keys(client)["runs/mine"]}
        told = ended(client, client.post(f"{API}/work", json=given).json()["id"])
        assert told["state"] == "done", told["log"]
    client.app.state.workspace.look_again()
    (run,) = client.get(f"{API}/review").json()["runs"]
    assert run["predicted"] and run["trained"] and run["epochs"] == 2 and run["scores"][0]["war"] is not None
    assert "runs/mine/report.html" in keys(client)
