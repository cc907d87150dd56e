"""The room Watch through HTTP: films in, progress, timelines, corrections kept apart, downloads; what is no film."""

from __future__ import annotations

import io
import json
import struct
import time
import zlib
from pathlib import Path
from typing import Any

import av
import numpy as np
import openpyxl
import pandas as pd
import pytest

pytest.importorskip("fastapi")

from dfer.inference.doubts import CANNOT_TELL, MIXED
from dfer.studio import films as films_module
from dfer.studio.films import Film, Films
from dfer.studio.workspace import Workspace
from tests.studio.conftest import ROOT, define, links

CLIP = ROOT / "examples" / "crema_d" / "1001_DFA_HAP_XX.flv"
API = "/api/v1/films"


def upload(client: Any, data: bytes, name: str = "clip.flv") -> Any:
    return client.post(API, params={"name": name}, content=data, headers={"content-type": "application/octet-stream"})


def finished(client: Any, id_: str) -> Any:
    """The film when nothing more happens to it."""
    until = time.monotonic() + 120
    while time.monotonic() < until:
        told = client.get(f"{API}/{id_}").json()
        if told["state"] not in ("waiting", "reading"):
            return told
        time.sleep(0.1)
    raise AssertionError(told)


@pytest.fixture
def film(client: Any) -> str:
    """A film that is read."""
    id_: str = upload(client, CLIP.read_bytes()).json()["id"]
    assert finished(client, id_)["state"] == "done"
    return id_


def test_a_film_is_read_as_from_python_and_its_progress_is_told(
    client: Any, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from dfer.inference import Predictor

    monkeypatch.setattr("dfer.studio.watch.LISTEN_S", 1.0)  # much is read between one look and the next
    id_ = upload(client, CLIP.read_bytes(), "Anna & Bo.flv").json()["id"]
    told: dict[str, list[Any]] = {"moment": [], "state": []}
    with client.stream("GET", f"{API}/{id_}/events") as answer:
        kind = ""
        for line in answer.iter_lines():
            if line.startswith("event: "):
                kind = line.removeprefix("event: ")
            elif line.startswith("data: "):
                values = json.loads(line.removeprefix("data: "))
                told[kind].extend(values if isinstance(values, list) else [values])
    assert told["state"][-1]["state"] == "done" and told["state"][-1]["name"] == "Anna & Bo.flv"
    wanted = Predictor.from_pretrained()(CLIP)
    found = client.get(f"{API}/{id_}/timeline").json()
    assert found["people"][0]["probs"] == wanted.to_dict()["people"][0]["probs"]
    assert found["video"] == "Anna & Bo.flv" and found["size"] == [480, 360]
    times = [moment["time_s"] for moment in told["moment"]]
    assert times == sorted(times) and np.diff(times).max() < 0.15 and times[-1] > 1.75, "none is missing"
    assert all(set(moment) == {"time_s", "faces", "renamed"} for moment in told["moment"])
    faces = [face for moment in told["moment"] for face in moment["faces"]]
    assert all(0 <= face[score] <= 1 for face in faces for score in ("mixed", "cannot_tell"))
    assert all(
        face["doubt"] == "mixed" for face in faces if face["mixed"] > MIXED and face["cannot_tell"] < CANNOT_TELL
    )


def test_corrections_are_kept_beside_the_answer_of_the_machine(client: Any, film: str, folder: Path) -> None:
    machine = (folder / "studio" / "films" / film / "timeline.json").read_bytes()
    before = client.get(f"{API}/{film}/timeline").json()
    for correction in (
        {"kind": "name", "person": 0, "name": "<b>Anna</b>"},
        {"kind": "mark", "person": 0, "start_s": 0.5, "end_s": 1.0, "emotion": "fear"},
    ):
        assert client.post(f"{API}/{film}/corrections", json=correction).status_code == 200
    after = client.get(f"{API}/{film}/timeline").json()
    assert after["people"][0]["name"] == "<b>Anna</b>" and after["corrections"] == 2
    assert ("fear", 0.5, 1.0) in [(s["emotion"], s["start_s"], s["end_s"]) for s in after["people"][0]["segments"]]
    assert client.get(f"{API}/{film}/timeline?corrected=false").json()["people"] == before["people"]
    assert (folder / "studio" / "films" / film / "timeline.json").read_bytes() == machine
    client.delete(f"{API}/{film}/corrections/last")
    assert client.get(f"{API}/{film}/timeline").json()["people"][0]["segments"] == before["people"][0]["segments"]
    for wrong in (
        {"kind": "name", "person": 9, "name": "x"},
        {"kind": "split", "person": 0, "at_s": 99.0},
        {"kind": "mark"},
    ):
        answer = client.post(f"{API}/{film}/corrections", json=wrong)
        assert answer.status_code == 400 and answer.json()["error"]
    assert client.get(f"{API}/{film}/timeline").json()["corrections"] == 1


def test_every_download_is_a_file_of_its_kind(client: Any, film: str) -> None:
    files = {}
    for form in ("json", "csv", "srt", "html", "png", "mp4", "parquet", "xlsx"):
        answer = client.get(f"{API}/{film}/download/{form}")
        assert answer.status_code == 200, (form, answer.text)
        assert f'filename="clip.{form}"' in answer.headers["content-disposition"]
        files[form] = answer.content
    assert json.loads(files["json"])["format"] == "dfer.timeline/1"
    assert {"person", "time_s", "happy"} <= set(pd.read_csv(io.BytesIO(files["csv"])))
    assert openpyxl.load_workbook(io.BytesIO(files["xlsx"])).active["A2"].value == "clip.flv"
    assert b"-->" in files["srt"] and files["png"].startswith(b"\x89PNG") and files["mp4"][4:8] == b"ftyp"
    assert len(pd.read_parquet(io.BytesIO(files["parquet"]))) > 10 and b"</html>" in files["html"]
    for form in ("json", "csv", "srt", "parquet", "xlsx"):
        assert b"studio/films" not in files[form]
    video = client.get(f"{API}/{film}/video", headers={"range": "bytes=0-99"})
    assert video.status_code == 206 and len(video.content) == 100
    assert client.get(f"{API}/{film}/download/exe").status_code == 422


def test_films_of_the_folder_are_read_where_they_lie_and_stay_there(client: Any, folder: Path) -> None:
    listed = client.get(API).json()["in_folder"]
    assert [each["name"] for each in listed] == [f"clips/{number}.flv" for number in range(6)]
    (added,) = client.post(f"{API}/from-folder", json={"keys": [listed[0]["key"]]}).json()
    told = finished(client, added["id"])
    assert told["state"] == "done" and told["people"][0]["strongest"] == "happy"
    assert len(client.get(API).json()["in_folder"]) == 5
    assert client.delete(f"{API}/{added['id']}").json() == {"deleted": True}
    assert (folder / "clips" / "0.flv").exists()
    assert client.get(f"{API}/{added['id']}").status_code == 404
    assert client.post(f"{API}/from-folder", json={"keys": ["../../etc/passwd"]}).status_code == 404


def test_the_two_examples_are_one_click_away_and_groups_of_films_are_compared(client: Any) -> None:
    added = client.post(f"{API}/examples").json()
    assert len(added) == 2
    for film, group in zip(added, ("before", "after"), strict=True):
        assert finished(client, film["id"])["state"] == "done"
        client.put(f"{API}/{film['id']}/group", json={"group": group})
    found = client.get(f"{API}/groups", params={"one": "before", "other": "after"}).json()
    assert found["films"] == [1, 1] and found["p"] == 1.0 and found["intervals"][0][0] == [None, None]
    assert client.get(f"{API}/groups", params={"one": "before", "other": "x"}).status_code == 400
    table = pd.read_csv(io.BytesIO(client.get(f"{API}/table.csv").content))
    assert table["video"].tolist() == [film["name"] for film in added]


def png(width: int, height: int) -> bytes:
    """A picture that claims to be so large."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    head = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + head + chunk(b"IDAT", zlib.compress(bytes(1000))) + chunk(b"IEND", b"")


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("text.mp4", b"no film " * 1000),
        ("half.flv", CLIP.read_bytes()[:200]),
        ("huge.png", png(60_000, 60_000)),
        ("page.html", b"<script>alert(1)</script>"),
        ("../../../etc/passwd", b"root:x:0:0"),
        ("list.m3u8", b"#EXTM3U\n#EXTINF:1,\nfile:///etc/passwd\n"),
    ],
)
def test_what_is_no_film_fails_in_a_sentence_and_the_next_one_is_read(
    client: Any, folder: Path, name: str, data: bytes
) -> None:
    id_ = upload(client, data, name).json()["id"]
    told = finished(client, id_)
    assert told["state"] == "failed" and told["error"] and str(folder) not in told["error"]
    assert "/" not in told["name"]
    assert client.get(f"{API}/{id_}/timeline").status_code == 409
    assert client.get(f"/watch/{id_}").status_code == 200
    good = upload(client, CLIP.read_bytes()).json()["id"]
    assert finished(client, good)["state"] == "done"
    assert not (folder.parent / "etc").exists()


@pytest.mark.parametrize(
    "name", ["", ".", "..", "/", "\\", "a\x00b.mp4", "x" * 299, "<img src=x onerror=alert(1)>.mp4", "‮4pm.exe", "💥.mp4"]
)
def test_any_name_is_a_name(client: Any, folder: Path, name: str) -> None:
    answer = upload(client, b"x", name)
    assert answer.status_code == 201
    (place,) = (folder / "studio" / "films").iterdir()
    assert all(path.resolve().parent == place for path in place.iterdir())
    assert "<img" not in client.get(f"/watch/{answer.json()['id']}").text


def test_uploads_beyond_the_limit_leave_nothing(client: Any, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(films_module, "LARGEST", 1000)
    assert upload(client, bytes(1001)).status_code == 413
    assert client.post(API, content=iter([bytes(600)] * 2)).status_code == 413
    assert upload(client, b"").status_code == 400
    assert client.post(API, headers={"content-length": str(2**40)}).status_code == 413
    assert client.get(API).json()["films"] == []
    assert list((folder / "studio" / "films").glob("*")) == []


def test_a_film_that_is_too_long_is_refused(client: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(films_module, "LONGEST_S", 1.0)
    told = finished(client, upload(client, CLIP.read_bytes()).json()["id"])
    assert told["state"] == "failed" and "dfer predict" in told["error"]


def test_a_film_that_is_cancelled_is_not_read(client: Any) -> None:
    first, second = (upload(client, CLIP.read_bytes()).json()["id"] for _ in range(2))
    assert client.post(f"{API}/{second}/cancel").json()["state"] == "cancelled"
    assert finished(client, first)["state"] == "done"
    assert finished(client, second)["state"] == "cancelled"


def test_nobodys_film_waits_for_all_films_of_somebody_else(folder: Path) -> None:
    films = Films(Workspace(folder), "default")
    item = next(item for item in films.workspace.items("film"))
    for user in ("Ann", "Ann", "Ann", "Ann", "Bo", "Cy"):
        films.add(item, user)
    order = []
    while (film := films._next()) is not None:
        order.append(film.user)
        film.about = film.about.__class__(**{**vars(film.about), "state": "done"})
    assert order == ["Ann", "Bo", "Cy", "Ann", "Ann", "Ann"]


def test_what_was_not_read_to_its_end_is_read_when_the_studio_starts_again(folder: Path) -> None:
    from fastapi.testclient import TestClient

    from dfer.studio.app import create_app

    films = Films(Workspace(folder), "default")
    added = films.add(next(item for item in films.workspace.items("film")), "")
    films._note(added, state="reading")
    with TestClient(create_app(Workspace(folder)), base_url="http://127.0.0.1") as client:
        assert finished(client, added.id)["state"] == "done"
    again = Films(Workspace(folder), "default").get(added.id)
    assert isinstance(again, Film) and again.about.state == "done"


def test_a_record_that_was_damaged_hides_no_other(folder: Path) -> None:
    films = Films(Workspace(folder), "default")
    items = films.workspace.items("film")
    good, bad = films.add(items[0], ""), films.add(items[1], "")
    (films.place(bad) / "film.json").write_text("{")
    assert [film.id for film in Films(Workspace(folder), "default").all()] == [good.id]


def test_one_user_cannot_fill_the_queue(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(films_module, "MOST_WAITING", 2)
    films = Films(Workspace(folder), "default")
    item = films.workspace.items("film")[0]
    for user in ("Ann", "Ann", "Bo"):
        films.add(item, user)
    with pytest.raises(films_module.RefusedError, match="2 of yours wait"):
        films.add(item, "Ann")


@pytest.mark.parametrize("id_", ["0" * 16, "..", "%2e%2e", "x", "/etc/passwd"])
def test_films_that_are_not_there_are_said(client: Any, id_: str) -> None:
    for rest in ("", "/timeline", "/video", "/events", "/download/json"):
        assert client.get(f"{API}/{id_}{rest}").status_code in (404, 405)
    assert client.delete(f"{API}/{id_}").status_code in (404, 405)


def test_a_clip_is_cut_by_hand_and_raters_see_it(client: Any, film: str, folder: Path) -> None:
    define(client)
    (ann,) = links(client, "Ann")
    told = client.post(f"{API}/{film}/clips", json={"start_s": 0.5, "end_s": 1.25, "study": "pilot"})
    assert told.status_code == 201, told.text
    path = folder / told.json()["name"]
    assert path.parent == folder / "cut" / "pilot"
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        assert float(stream.duration * stream.time_base) == pytest.approx(0.75, abs=0.05)
        assert (stream.width, stream.height) == (480, 360)
    again = client.post(f"{API}/{film}/clips", json={"start_s": 0.5, "end_s": 1.25, "study": "pilot"})
    assert again.json() == told.json()
    assert client.get("/api/v1/studies/pilot").json()["clips"] == 7
    assert client.get(f"{ann}/clips/7").headers["content-type"] == "video/mp4"
    answer = client.post(f"{ann}/votes", json={"key": "a long key", "clip": 7, "version": 1, "emotions": {"sad": None}})
    assert answer.status_code == 200, answer.text
    votes = client.get("/api/v1/studies/pilot/export/votes.csv").text
    assert f"{path.name},Ann,sad" in votes


@pytest.mark.parametrize(
    "given",
    [
        {"start_s": 1.0, "end_s": 1.0}, {"start_s": 1.0, "end_s": 0.5}, {"start_s": 50.0, "end_s": 51.0},
        {"start_s": -1.0, "end_s": 1.0}, {"start_s": 0.0, "end_s": "NaN"}, {"start_s": 0.0},
        {"start_s": 0.0, "end_s": 1.0, "study": "../../up"}, {"start_s": 0.0, "end_s": 1.0, "study": "none"},
    ],
)  # fmt: skip
def test_what_cannot_be_cut_is_a_sentence(client: Any, film: str, folder: Path, given: dict[str, Any]) -> None:
    answer = client.post(f"{API}/{film}/clips", json=given)
    assert 400 <= answer.status_code < 500 and answer.json()["error"] and str(folder) not in answer.text
    assert not (folder / "cut").exists()
