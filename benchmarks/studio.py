"""How fast is dfer studio on loopback? Votes of many raters at once, films, and memory.

Usage: python benchmarks/studio.py [--clips 20000] [--raters 50] [--votes 20]

A server runs in a process of its own on a folder that is made for it. Every rater is a task that votes as soon as it
has an answer, far faster than a person: so the time of a vote here is that of a server that is never idle. A second
pass waits half a second between two votes of a rater, which is still fast for people. After that a film of twenty
seconds is sent, and the time until the first emotion is heard of is taken; then eight films are sent at once.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import psutil
from results import write_result

ROOT = Path(__file__).resolve().parents[1]
CLIP = ROOT / "examples" / "crema_d" / "1001_DFA_HAP_XX.flv"
EMOTIONS = ("happy", "sad", "neutral", "angry", "surprise", "disgust", "fear")


def make_folder(folder: Path, clips: int) -> None:
    """A folder of clips: links to one file, for what is in them is not looked at."""
    (folder / "clips").mkdir(parents=True)
    for number in range(clips):
        (folder / "clips" / f"{number:05}.flv").symlink_to(CLIP)


def long_film(path: Path) -> None:
    """Twenty seconds of the example clip, again and again."""
    again = "loop=loop=-1:size=32767"
    command = ["ffmpeg", "-loglevel", "error", "-i", str(CLIP), "-vf", again, "-an", "-t", "20", str(path)]
    subprocess.run(command, check=True)


def define(client: httpx.Client, plan: dict[str, Any], name: str) -> None:
    source = next(each for each in client.get("/api/v1/studies").json()["sources"] if each["name"] == "clips")
    definition = {"title": "Load", "choices": [{"name": emotion} for emotion in EMOTIONS], "plan": plan}
    study = {"name": name, "source": source["key"], "definition": definition}
    client.post("/api/v1/studies", json=study).raise_for_status()


async def rate(address: str, link: str, votes: int, pause_s: float, seed: int) -> list[float]:
    """The seconds that each vote of a rater took, without the pauses."""
    generator, took = np.random.default_rng(seed), []
    async with httpx.AsyncClient(base_url=address, timeout=60) as client:
        step = (await client.get(f"{link}/state")).json()["step"]
        for number in range(votes):
            await asyncio.sleep(pause_s * generator.uniform(0.5, 1.5))
            emotion = EMOTIONS[int(generator.integers(7))]
            vote = {
                "key": f"{link[-12:]} {pause_s} {number}",
                "clip": step["clip"],
                "version": 1,
                "emotions": {emotion: None},
            }
            begin = time.perf_counter()
            answer = await client.post(f"{link}/votes", json=vote)
            took.append(time.perf_counter() - begin)
            answer.raise_for_status()
            step = answer.json()["step"]
    return took


async def all_at_once(address: str, links: list[str], votes: int, pause_s: float) -> list[float]:
    jobs = (rate(address, link, votes, pause_s, seed) for seed, link in enumerate(links))
    return [second for each in await asyncio.gather(*jobs) for second in each]


def milliseconds(took: list[float]) -> dict[str, float]:
    names = {"median": 50, "p95": 95, "most": 100}
    return {name: round(1000 * float(np.percentile(took, part)), 1) for name, part in names.items()}


def votes(client: httpx.Client, address: str, given: argparse.Namespace) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, plan in (("every", {"votes": 10}), ("need", {"precision": 0.1, "least": 3, "most": 20})):
        define(client, plan, name)
        people = client.post(f"/api/v1/studies/{name}/raters", json={"count": given.raters}).json()
        links = [rater["link"] for rater in people]
        for what, pause_s in (("without a pause", 0.0), ("half a second apart", 0.5)):
            begin = time.perf_counter()
            took = asyncio.run(all_at_once(address, links, given.votes, pause_s))
            rate_ = len(took) / (time.perf_counter() - begin)
            found[f"{name}, {what}"] = {"ms": milliseconds(took), "votes_a_second": round(rate_, 1)}
            print(name, what, found[f"{name}, {what}"], flush=True)
        stored = client.get(f"/api/v1/studies/{name}").json()["votes"]
        # the second pass goes on with the same keys' numbers, so every vote is a new one or a correction
        found[f"{name}, votes stored"] = stored
    return found


def memory_mb(client: httpx.Client) -> int:
    """Of the server, as it says itself."""
    lines = client.get("/api/v1/metrics").text.splitlines()
    return round(float(next(line.split()[1] for line in lines if line.startswith("dfer_memory_bytes"))) / 1e6)


def films(client: httpx.Client, folder: Path) -> dict[str, Any]:
    path = folder / "long.mp4"
    long_film(path)
    data, begin = path.read_bytes(), time.perf_counter()
    film = client.post("/api/v1/films", params={"name": "long.mp4"}, content=data).json()["id"]
    with client.stream("GET", f"/api/v1/films/{film}/events") as answer:
        first = next(line for line in answer.iter_lines() if line.startswith("data: [") and '"probs"' in line)
    first_s = time.perf_counter() - begin
    assert json.loads(first.removeprefix("data: "))
    ids = [
        client.post("/api/v1/films", params={"name": f"{n}.flv"}, content=CLIP.read_bytes()).json()["id"]
        for n in range(8)
    ]
    states: list[str] = []
    while not states or any(state in ("waiting", "reading") for state in states):
        time.sleep(0.5)
        states = [client.get(f"/api/v1/films/{id_}").json()["state"] for id_ in (film, *ids)]
    return {"first_emotion_s": round(first_s, 2), "all_read_s": round(time.perf_counter() - begin, 1), "states": states}


def main() -> None:
    parser = argparse.ArgumentParser()
    for name, value in (("--clips", 20_000), ("--raters", 50), ("--votes", 20)):
        parser.add_argument(name, type=int, default=value)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place) / "world"
        make_folder(folder, given.clips)
        command = [sys.executable, "-m", "dfer", "studio", str(folder), "--port", "0", "--no-browser"]
        server = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        try:
            assert server.stdout is not None
            address = server.stdout.readline().split()[2].rstrip("/")
            client = httpx.Client(base_url=address, timeout=120)
            begin = time.perf_counter()
            client.get("/votes").raise_for_status()
            page_s = time.perf_counter() - begin
            client.get("/watch")  # as whoever drops a film has opened the page: the model is loaded
            time.sleep(10)
            memory = {"idle, with the model": memory_mb(client)}
            found = {"load": psutil.getloadavg()[0], "page_s": round(page_s, 3)}
            found |= {"votes": votes(client, address, given), "films": films(client, Path(place))}
            found["memory_mb"] = memory | {"after all of this": memory_mb(client)}
        finally:
            server.terminate()
            server.wait(30)
        shutil.rmtree(folder)
    print(json.dumps(found, indent=1))
    write_result("studio", found | {"asked": vars(given)})


if __name__ == "__main__":
    main()
