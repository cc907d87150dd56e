"""Who may do what: other sites, other machines, hostile names."""

from __future__ import annotations

import socket
import stat
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("fastapi")

from fastapi.testclient import TestClient

from dfer.errors import DferError
from dfer.pages import EMOTION_COLOURS
from dfer.studio.app import create_app
from dfer.studio.security import Keys, RefusedError, check_host
from dfer.studio.workspace import Workspace
from tests.studio.conftest import define, links
from tests.test_cli import here

PASSWORD = "correct horse battery"


@pytest.fixture
def guarded(folder: Path) -> TestClient:
    """A server that other machines reach."""
    workspace = Workspace(folder)
    workspace.keys.set_password(PASSWORD)
    return TestClient(create_app(workspace, host="0.0.0.0"), base_url="http://192.168.1.5", follow_redirects=False)


def token_of(client: TestClient, address: str = "/votes") -> str:
    return client.get(address).text.partition('name="dfer-token" content="')[2].partition('"')[0]


def test_others_see_nothing_of_the_owner_without_the_password(guarded: TestClient) -> None:
    assert guarded.get("/votes").headers["location"] == "/login"
    for address in ("/api/v1/studies", "/api/v1/metrics"):
        assert guarded.get(address).status_code == 401
    assert guarded.post("/api/v1/studies/pilot/raters", json={"count": 1}).status_code == 401
    assert guarded.post("/login", json={"password": "wrong password"}).status_code == 401
    assert guarded.get("/api/v1/health").status_code == 200


def test_the_password_gives_a_cookie_and_changes_need_the_token_of_a_page(guarded: TestClient) -> None:
    answer = guarded.post("/login", json={"password": PASSWORD})
    cookie = answer.headers["set-cookie"].lower()
    assert "httponly" in cookie and "samesite=strict" in cookie and "max-age=" in cookie
    assert guarded.get("/api/v1/studies").status_code == 200
    source = guarded.get("/api/v1/studies").json()["sources"][0]["key"]
    study = {"name": "pilot", "source": source, "definition": {"title": "T", "choices": [{"name": "a"}, {"name": "b"}]}}
    assert guarded.post("/api/v1/studies", json=study).status_code == 403
    headers = {"x-dfer-token": token_of(guarded)}
    assert guarded.post("/api/v1/studies", json=study, headers=headers | {"origin": "http://evil"}).status_code == 403
    assert guarded.post("/api/v1/studies", json=study, headers=headers).status_code == 200
    other = TestClient(guarded.app, base_url="http://192.168.1.5")
    other.post("/login", json={"password": PASSWORD})
    assert other.post("/api/v1/studies/pilot/raters", json={"count": 1}, headers=headers).status_code == 403


def test_programs_send_the_key_of_the_api(guarded: TestClient, folder: Path) -> None:
    key = Workspace(folder).keys.api_key
    for given, status in ((key, 200), (key[:-1], 401), ("", 401)):
        assert guarded.get("/api/v1/studies", headers={"authorization": f"Bearer {given}"}).status_code == status


def test_guessing_passwords_is_slow(guarded: TestClient) -> None:
    codes = [guarded.post("/login", json={"password": f"guess number {n}"}).status_code for n in range(11)]
    assert codes == [401] * 10 + [429]
    assert guarded.post("/login", json={"password": PASSWORD}).status_code == 429


def test_a_new_password_ends_all_sessions_and_the_secret_is_private(tmp_path: Path) -> None:
    keys = Keys(tmp_path / "secret.json")
    keys.set_password(PASSWORD)
    session, link = keys.session(), keys.link("pilot", 3)
    again = Keys(tmp_path / "secret.json")
    assert again.holds(session) and again.check_password(PASSWORD) and again.rater("pilot", link) == 3
    assert PASSWORD not in (tmp_path / "secret.json").read_text()
    assert stat.S_IMODE((tmp_path / "secret.json").stat().st_mode) == 0o600
    again.set_password("another password")
    assert not again.holds(session) and not again.check_password(PASSWORD)
    with pytest.raises(DferError, match="10 characters"):
        again.set_password("short")


@pytest.mark.parametrize("text", ["", "x", "a.b.c", "\x00", "🙂"])
def test_a_cookie_that_was_made_up_is_none(tmp_path: Path, text: str) -> None:
    keys = Keys(tmp_path / "secret.json")
    assert not keys.holds(text) and not keys.fits(text, keys.session())


@pytest.mark.parametrize(
    ("named", "bound", "fine"),
    [
        ("127.0.0.1:8765", "127.0.0.1", True), ("localhost", "127.0.0.1", True), ("[::1]:80", "127.0.0.1", True),
        ("evil.example", "127.0.0.1", False), ("192.168.1.5", "127.0.0.1", False), ("", "127.0.0.1", False),
        ("192.168.1.5:80", "0.0.0.0", True), ("evil.example", "0.0.0.0", False), ("box.local", "box.local", True),
        ("[", "0.0.0.0", False), ("127.0.0.1.evil.example", "127.0.0.1", False),
    ],
)  # fmt: skip
def test_a_request_must_name_this_machine(named: str, bound: str, fine: bool) -> None:
    if fine:
        check_host(named, bound)
    else:
        with pytest.raises(RefusedError):
            check_host(named, bound)


def test_on_loopback_pages_of_other_sites_can_change_nothing(client: Any) -> None:
    define(client)
    for headers in ({"origin": "http://evil.example"}, {"sec-fetch-site": "cross-site"}, {"origin": "null"}):
        assert client.post("/api/v1/studies/pilot/raters", json={"count": 1}, headers=headers).status_code == 403
    own = {"origin": "http://127.0.0.1", "sec-fetch-site": "same-origin"}
    assert client.post("/api/v1/studies/pilot/raters", json={"count": 1}, headers=own).status_code == 403
    own["x-dfer-token"] = token_of(client)
    assert client.post("/api/v1/studies/pilot/raters", json={"count": 1}, headers=own).status_code == 200


def test_every_answer_forbids_what_pages_do_not_need(client: Any) -> None:
    define(client)
    (link,) = links(client, "Ann")
    for address in ("/", "/votes", link, "/api/v1/health", "/static/page.js", "/nowhere", f"{link}/state"):
        headers = client.get(address).headers
        policy = headers["content-security-policy"]
        assert policy.startswith("default-src 'none'") and "unsafe" not in policy and "http" not in policy
        assert headers["x-content-type-options"] == "nosniff"


def test_pages_hold_no_script_no_style_and_no_address_of_others(client: Any) -> None:
    define(client)
    (link,) = links(client, "Ann")
    for address in ("/", "/votes", "/votes/pilot", "/login", link):
        text = client.get(address).text
        assert "<style" not in text and "style=" not in text and "onclick" not in text and "http" not in text
        assert all("src=" in tag for tag in text.split("<script")[1:])


@pytest.mark.parametrize("name", ["<script>alert(1)</script>", "a\"'><b>", "{{ 7777 * 7777 }}", "‮evil"])
def test_names_are_text_wherever_they_are_shown(client: Any, name: str) -> None:
    define(client, title=name, instructions=name)
    for address in ("/votes/pilot", *links(client, "Ann")):
        text = client.get(address).text
        assert "<script>alert" not in text and "'><b>" not in text and "60481729" not in text


@pytest.mark.parametrize("name", ["../x", "..%2fx", "%2e%2e", "PILOT", "a/b", "x" * 300, "%00"])
def test_no_path_comes_from_a_request(client: Any, folder: Path, name: str) -> None:
    (folder / "x.sqlite").write_bytes(b"")
    for address in (f"/votes/{name}", f"/api/v1/studies/{name}", f"/static/{name}"):
        assert client.get(address).status_code in (404, 405)
    study = {"name": name, "source": "0" * 16, "definition": {}}
    assert client.post("/api/v1/studies", json=study).status_code in (400, 404, 422)


def test_bodies_that_are_too_large_or_do_not_end_are_refused(client: Any) -> None:
    define(client)
    (link,) = links(client, "Ann")
    large = b'{"key": "' + b"x" * 2**21 + b'"}'
    assert client.post(f"{link}/votes", content=large).status_code == 413
    assert client.post(f"{link}/votes", content=iter([b"{"] * 3)).status_code == 413
    for body in (b"", b"{", b"[]", b"null", b"\xff\xfe", b'{"key": NaN}', b"[" * 10_000):
        answer = client.post(f"{link}/votes", content=body, headers={"content-type": "application/json"})
        assert 400 <= answer.status_code < 500, body[:20]


@pytest.mark.parametrize("method", ["PUT", "DELETE", "PATCH", "OPTIONS"])
def test_wrong_methods_are_said(client: Any, method: str) -> None:
    answer = client.request(method, "/votes")
    assert answer.status_code == 405 and answer.json()["error"]


def test_the_style_sheet_of_the_pages_is_served_as_css_with_the_colours_of_emotions(client: Any) -> None:
    sheet = client.get("/static/page.css").text
    assert "{%" not in sheet and "{{" not in sheet
    for place, (bright, dark) in enumerate(EMOTION_COLOURS.values()):
        assert f"--e{place}: {bright};" in sheet and f"--e{place}: {dark};" in sheet


def test_a_port_that_is_taken_is_one_sentence_and_no_password_is_shown(folder: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        for options in ([], ["--host", "0.0.0.0"]):
            ended = here("studio", folder, "--port", port, "--no-browser", *options)
            assert ended.is_refusal(f"port {port} cannot be served: Address already in use; choose another --port")
            assert ended.out == ""
