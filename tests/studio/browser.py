"""A real browser under control, through the pipe of Chromium's own protocol: no driver and no package is needed."""

from __future__ import annotations

import base64
import contextlib
import json
import os
import select
import shutil
import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

BROWSER = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
needs_browser = pytest.mark.skipif(
    BROWSER is None, reason="no chromium or google-chrome on the path to open pages with"
)
LONGEST_S = 60.0
"""Anything in a page takes less, also on a busy machine."""


class Browser:
    """One page in a headless browser."""

    def __init__(self, profile: Path) -> None:
        ours, theirs = os.pipe(), os.pipe()  # what it reads, what it writes

        def hand_over() -> None:
            """File 3 is what it reads, file 4 what it writes."""
            reads, writes = os.dup(ours[0]), os.dup(theirs[1])
            os.dup2(reads, 3)
            os.dup2(writes, 4)

        command = [
            str(BROWSER), "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage",
            "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1", f"--user-data-dir={profile}",
            "--autoplay-policy=no-user-gesture-required", "--no-first-run", "--remote-debugging-pipe", "about:blank",
        ]  # fmt: skip
        self._process = subprocess.Popen(
            command, preexec_fn=hand_over, close_fds=False, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        os.close(ours[0])
        os.close(theirs[1])
        self._write, self._read, self._left, self._count = ours[1], theirs[0], b"", 0
        self._session: str | None = None
        self.messages: list[dict[str, Any]] = []
        target = next(each for each in self.call("Target.getTargets")["targetInfos"] if each["type"] == "page")
        attached = self.call("Target.attachToTarget", targetId=target["targetId"], flatten=True)
        self._session = attached["sessionId"]
        for domain in ("Page", "Runtime", "DOM", "Log"):
            self.call(f"{domain}.enable")
        self.call("Emulation.setFocusEmulationEnabled", enabled=True)

    def call(self, method: str, **values: Any) -> Any:
        """Call a method of the protocol."""
        self._count += 1
        message = {"id": self._count, "method": method, "params": values}
        if self._session:
            message["sessionId"] = self._session
        os.write(self._write, json.dumps(message).encode() + b"\0")
        until = time.monotonic() + LONGEST_S
        while time.monotonic() < until:
            while b"\0" in self._left:
                text, _, self._left = self._left.partition(b"\0")
                answer = json.loads(text)
                if answer.get("id") == self._count:
                    assert "error" not in answer, answer["error"]
                    return answer["result"]
                self.messages.append(answer)
            if select.select([self._read], [], [], 1.0)[0]:
                self._left += os.read(self._read, 2**20)
        raise AssertionError(f"the browser did not answer {method}")

    def size(self, width: int, height: int = 900, *, touch: bool = False, dark: bool = False) -> None:
        """The size of the window, pixels."""
        self.call("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=touch)
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self.call("Emulation.setEmulatedMedia", features=[scheme])

    def open(self, address: str) -> None:
        """Go to an address, until it is loaded."""
        self.call("Page.navigate", url=address)
        self.wait(f"location.href === {json.dumps(address)} && document.readyState === 'complete'")

    def run(self, script: str) -> Any:
        """The value of an expression in the page, also of a promise."""
        found = self.call(
            "Runtime.evaluate", expression=script, awaitPromise=True, returnByValue=True, userGesture=True
        )
        assert "exceptionDetails" not in found, found["exceptionDetails"]
        return found["result"].get("value")

    def wait(self, condition: str, seconds: float = LONGEST_S) -> None:
        """Wait until an expression is true."""
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            with contextlib.suppress(AssertionError):  # the page is on its way to another one
                if self.run(f"Boolean({condition})"):
                    return
            time.sleep(0.05)
        raise AssertionError(f"never became true: {condition}\n{self.run('document.body.innerText')[:2000]}")

    def _place(self, selector: str, share: float = 0.5) -> dict[str, float]:
        """Where an element is, after scrolling to it: at half its height, a share of its width from its left."""
        found: dict[str, float] = self.run(
            f"(() => {{ const e = document.querySelector({json.dumps(selector)}); "
            "e.scrollIntoView({block: 'center'}); const b = e.getBoundingClientRect(); "
            f"return {{x: b.x + {share} * b.width, y: b.y + b.height / 2}}; }})()"
        )
        return found

    def hover(self, selector: str, share: float, condition: str) -> None:
        """Point at an element, a share of its width from its left, until an expression is true.

        The element is looked up anew each time, for a picture or film that is loaded late moves what is below it.
        """
        until = time.monotonic() + LONGEST_S
        while time.monotonic() < until:
            self.call("Input.dispatchMouseEvent", type="mouseMoved", **self._place(selector, share))
            with contextlib.suppress(AssertionError):
                return self.wait(condition, 1.0)
        return self.wait(condition, 0.1)

    def press(self, key: str, code: str = "") -> None:
        """Press a key."""
        text = {"text": key} if len(key) == 1 else {"text": "\r"} if key == "Enter" else {}
        number = {"Enter": 13, "Backspace": 8, "Tab": 9, " ": 32}.get(key, ord(key[0].upper()))
        values = {"key": key, "code": code, "windowsVirtualKeyCode": number}
        self.call("Input.dispatchKeyEvent", type="keyDown", **values, **text)
        self.call("Input.dispatchKeyEvent", type="keyUp", **values)

    def choose_files(self, selector: str, *paths: Path) -> None:
        """Choose files in an input."""
        root = self.call("DOM.getDocument")["root"]["nodeId"]
        node = self.call("DOM.querySelector", nodeId=root, selector=selector)["nodeId"]
        self.call("DOM.setFileInputFiles", nodeId=node, files=[str(path) for path in paths])

    def drop_files(self, selector: str, *paths: Path) -> None:
        """Drop files from the desktop onto an element."""
        place = self._place(selector)
        data = {"items": [], "files": [str(path) for path in paths], "dragOperationsMask": 1}
        for kind in ("dragEnter", "dragOver", "drop"):
            self.call("Input.dispatchDragEvent", type=kind, data=data, **place)

    def picture(self, path: Path, *, whole: bool = True) -> None:
        """Save a picture of the page, .png."""
        data = self.call("Page.captureScreenshot", format="png", captureBeyondViewport=whole)
        path.write_bytes(base64.b64decode(data["data"]))

    def faults(self) -> list[str]:
        """What the browser complained of: errors of scripts, refused requests."""
        self.run("1")
        told = []
        for message in self.messages:
            values = message.get("params", {})
            if message.get("method") == "Runtime.exceptionThrown":
                told.append(json.dumps(values["exceptionDetails"])[:500])
            elif message.get("method") == "Log.entryAdded" and values["entry"]["level"] == "error":
                told.append(f"{values['entry']['text']} {values['entry'].get('url', '')}")
        return told

    def close(self) -> None:
        """End the browser."""
        with contextlib.suppress(AssertionError, OSError):
            os.write(self._write, b'{"id":0,"method":"Browser.close"}\0')
        try:
            self._process.wait(10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        os.close(self._write)
        os.close(self._read)


@contextlib.contextmanager
def opened(profile: Path) -> Iterator[Browser]:
    """A browser until the block ends."""
    browser = Browser(profile)
    try:
        yield browser
    finally:
        browser.close()


@contextlib.contextmanager
def served(app: Any) -> Iterator[str]:
    """The address of an application that a thread serves on loopback until the block ends."""
    import uvicorn

    config = uvicorn.Config(app, host="127.0.0.1", port=0, log_level="warning", timeout_graceful_shutdown=2)
    server = uvicorn.Server(config)
    socket = config.bind_socket()
    thread = threading.Thread(target=server.run, kwargs={"sockets": [socket]}, daemon=True)
    thread.start()
    until = time.monotonic() + LONGEST_S
    while not server.started and time.monotonic() < until:
        time.sleep(0.02)
    try:
        yield f"http://127.0.0.1:{socket.getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join(15)
