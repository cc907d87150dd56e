"""A folder with clips, the application that serves it, and a client."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]
EMOTIONS = ("happy", "sad", "neutral")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with six clips; what is in them is not looked at."""
    made = tmp_path / "world"
    (made / "clips").mkdir(parents=True)
    for number in range(6):
        shutil.copy(ROOT / "examples" / "crema_d" / "1001_DFA_HAP_XX.flv", made / "clips" / f"{number}.flv")
    return made


@pytest.fixture
def app(folder: Path) -> Any:
    pytest.importorskip("fastapi")
    from dfer.studio.app import create_app
    from dfer.studio.workspace import Workspace

    return create_app(Workspace(folder))


@pytest.fixture
def client(app: Any) -> Iterator[Any]:
    from fastapi.testclient import TestClient

    with TestClient(app, base_url="http://127.0.0.1", raise_server_exceptions=False) as made:
        yield made


def define(client: Any, **rest: Any) -> None:
    """Make the study "pilot" about the clips."""
    sources = client.get("/api/v1/studies").json()["sources"]
    key = next(source["key"] for source in sources if source["name"] == "clips")
    definition = {"title": "Faces", "choices": [{"name": name} for name in EMOTIONS], "plan": {"votes": 5}} | rest
    answer = client.post("/api/v1/studies", json={"name": "pilot", "source": key, "definition": definition})
    assert answer.status_code == 200, answer.text


def links(client: Any, *names: str) -> list[str]:
    """Links of new raters."""
    answer = client.post("/api/v1/studies/pilot/raters", json={"names": list(names)})
    assert answer.status_code == 200, answer.text
    return [rater["link"] for rater in answer.json()]
