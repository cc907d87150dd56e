"""Five scripted raters on forty clips in a real browser, a server that is killed, and an owner beside a rater's phone.

What the studio says of their votes is compared with what the script knows, and with Fleiss' kappa worked out by hand.
"""

from __future__ import annotations

import csv
import io
import json
import re
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("fastapi")

import httpx
from fastapi.testclient import TestClient

from tests.studio.browser import needs_browser, opened, served
from tests.studio.conftest import EMOTIONS, define, links
from tests.studio.test_votes import fleiss
from tests.video.films import write_video

pytestmark = [pytest.mark.slow, needs_browser]
CLIPS, RATERS = 40, ("Ann", "Bo", "Cy", "Dee", "Eli")
VOTING = """
(async (said, most) => {
  const until = async (true_) => {
    for (const end = Date.now() + 50000; !true_(); await new Promise((done) => setTimeout(done, 4)))
      if (Date.now() > end) throw new Error("nothing happens");
  };
  const shown = () => document.querySelector(".shown video")?.dataset.clip;
  await until(() => document.querySelector("#begin, .choice"));
  document.querySelector("#begin")?.click();
  const clips = [];
  while (clips.length < most && shown()) {
    const clip = shown();
    clips.push(Number(clip));
    document.querySelector(`[data-name=${said[clip]}]`).click();
    await until(() => shown() !== clip);
  }
  return clips;
})
"""
"""Votes on clip after clip as a table says, on so many at most; gives the clips in their order."""

LISTENING = """
window.told = "";
new MutationObserver((changes) => { for (const {target} of changes) told += target.textContent; })
  .observe(document.querySelector("#toast"), {childList: true});
"""
"""Notes what the page tells, which it does not show for long."""


@contextmanager
def server(folder: Path, port: int) -> Iterator[tuple[str, subprocess.Popen[bytes]]]:
    """The address and the process of `dfer studio` on a folder; it is killed in the end."""
    command = [sys.executable, "-m", "dfer", "studio", str(folder), "--no-browser", "--port", str(port)]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
        try:
            assert process.stdout is not None
            found = re.search(rb"http://\S+", process.stdout.readline())
            assert found is not None
            yield found[0].decode().rstrip("/"), process
        finally:
            process.kill()


@pytest.fixture
def world(tmp_path: Path) -> Path:
    """A folder with forty clips that browsers play as they are."""
    made = tmp_path / "world"
    (made / "clips").mkdir(parents=True)
    first = write_video(made / "clips" / "0.mp4", np.full((10, 48, 64, 3), 90, np.uint8))
    for number in range(1, CLIPS):
        shutil.copy(first, made / "clips" / f"{number}.mp4")
    return made


def test_five_raters_on_forty_clips_while_the_server_is_killed(world: Path, tmp_path: Path) -> None:
    generator = np.random.default_rng(11)
    likely = generator.dirichlet([0.6] * len(EMOTIONS), CLIPS)
    said = {
        rater: {clip: EMOTIONS[generator.choice(len(EMOTIONS), p=likely[clip - 1])] for clip in range(1, CLIPS + 1)}
        for rater in RATERS
    }
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    orders = {}
    with opened(tmp_path / "profile") as browser:
        with server(world, port) as (address, process):
            client = httpx.Client(base_url=address)
            define(client)
            people = links(client, *RATERS)
            for rater, link in zip(RATERS[:2], people[:2], strict=True):
                browser.open(address + link)
                orders[rater] = browser.run(f"{VOTING}({json.dumps(said[rater])}, 99)")
            browser.open(address + people[2])
            orders["Cy"] = browser.run(f"{VOTING}({json.dumps(said['Cy'])}, 17)")
            process.kill()
            process.wait()
            clip = browser.run("Number(document.querySelector('.shown video').dataset.clip)")
            browser.run(LISTENING)
            browser.run(f"document.querySelector('[data-name={said['Cy'][clip]}]').click()")
            browser.wait("told.includes('kept here')")
        with server(world, port) as (address, _):
            browser.wait(f"document.querySelector('.shown video')?.dataset.clip !== '{clip}'")
            orders["Cy"] += [clip, *browser.run(f"{VOTING}({json.dumps(said['Cy'])}, 99)")]
            for rater, link in zip(RATERS[3:], people[3:], strict=True):
                browser.open(address + link)
                orders[rater] = browser.run(f"{VOTING}({json.dumps(said[rater])}, 99)")
            told = client.get("/api/v1/studies/pilot").json()
            exported = client.get("/api/v1/studies/pilot/export/votes.csv").text
    assert all(sorted(order) == list(range(1, CLIPS + 1)) for order in orders.values())
    assert len({tuple(order) for order in orders.values()}) == len(RATERS), "each has an order of their own"
    table = np.array([[sum(said[r][clip] == e for r in RATERS) for e in EMOTIONS] for clip in range(1, CLIPS + 1)])
    assert (told["votes"], told["clips_done"], told["cannot_tell"]) == (CLIPS * len(RATERS), CLIPS, 0)
    assert told["chosen"] == dict(zip(EMOTIONS, table.sum(axis=0).tolist(), strict=True))
    assert told["fleiss_kappa"] == pytest.approx(fleiss(table), abs=1e-4)
    names = sorted((f"{number}.mp4" for number in range(CLIPS)), key=lambda name: int(name[:-4]))
    found = sorted((row["rater"], row["clip"], row["emotion"]) for row in csv.DictReader(io.StringIO(exported)))
    assert found == sorted((rater, names[clip - 1], said[rater][clip]) for rater in RATERS for clip in said[rater])


def test_the_owner_looks_on_while_a_rater_votes_on_a_phone(app: Any, tmp_path: Path) -> None:
    client = TestClient(app, base_url="http://127.0.0.1")
    define(client)
    count = "document.querySelector('#overview dd')?.textContent"
    with served(app) as address, opened(tmp_path / "owner") as owner, opened(tmp_path / "rater") as phone:
        owner.size(1280)
        owner.open(f"{address}/votes/pilot")
        owner.wait("document.querySelector('#raters')")
        owner.run("document.querySelector('#raters input').value = 'Ann'")
        owner.run("document.querySelector('#raters').requestSubmit()")
        owner.wait("document.querySelector('#people a')")
        phone.size(390, 844, touch=True)
        phone.call("Emulation.setTouchEmulationEnabled", enabled=True)
        phone.open(owner.run("document.querySelector('#people a').href"))
        phone.wait("document.querySelector('#begin')")
        tap(phone, "#begin")
        for number, emotion in enumerate(("sad", "sad", "happy"), 1):
            phone.wait("document.querySelector('.choice')")
            clip = phone.run("document.querySelector('.shown video').dataset.clip")
            assert phone.run("document.documentElement.scrollWidth") <= 390
            low = "Math.max(...[...document.querySelectorAll('.choice')].map((e) => e.getBoundingClientRect().bottom))"
            assert phone.run(low) <= 844, "all choices are seen without scrolling"
            tap(phone, f"[data-name={emotion}]")
            phone.wait(f"document.querySelector('.shown video').dataset.clip !== '{clip}'")
            owner.open(f"{address}/votes/pilot?{number}")
            owner.wait(f"{count} === '{number}'")
        assert "sad 2" in owner.run("document.querySelector('#overview').textContent")
        owner.run("window.confirm = () => true; document.querySelector('#people .danger').click()")
        owner.wait(f"{count} === '0'")
        tap(phone, "[data-name=sad]")
        phone.wait("document.querySelector('.note')")
        assert "no longer in use" in phone.run("document.body.innerText")
        assert owner.faults() == []


def tap(browser: Any, selector: str) -> None:
    """Touch an element with a finger."""
    place = browser.run(
        f"(() => {{ const box = document.querySelector({json.dumps(selector)}).getBoundingClientRect(); "
        "return {x: box.x + box.width / 2, y: box.y + box.height / 2}; })()"
    )
    browser.call("Input.dispatchTouchEvent", type="touchStart", touchPoints=[place])
    browser.call("Input.dispatchTouchEvent", type="touchEnd", touchPoints=[])
