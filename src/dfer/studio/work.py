"""Verbs of the command line that are started from a page: one after the other, each a process that can be stopped.

The arguments are put together here from things that the folder holds and from names that are checked; no page sends a
command. What a verb says goes to a log, of which pages show the end.
"""

from __future__ import annotations

import contextlib
import re
import secrets
import subprocess
import sys
import threading
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dfer.errors import DferError, printable
from dfer.studio.security import RefusedError
from dfer.studio.workspace import Workspace

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,59}")
"""Of what a verb writes, in the folder `runs` or `data`."""
READERS = ("afew", "crema_d", "dfew", "ferplus", "ferv39k", "folder", "mafw", "ravdess")
"""Readers of `dfer prepare` that take a folder."""
SHOWN = 4000
"""Characters of the end of a log that a page gets."""
MOST = 50
"""Jobs that are remembered."""
GRACE_S = 10.0
"""In which a verb that is asked to end must have ended."""


@dataclass
class Job:
    """A verb at work.

    Attributes:
        id: 8 hexadecimal digits.
        title: for people to read.
        words: arguments of dfer.
        log: what it says.
        state: waiting, running, done, failed or stopped.
        result: a file or folder that it writes.
    """

    id: str
    title: str
    words: list[str]
    log: Path
    result: Path
    state: str = "waiting"
    process: subprocess.Popen[bytes] | None = None


class Work:
    """The verbs that were started from pages. Safe to use from several threads."""

    def __init__(self, workspace: Workspace) -> None:
        self.workspace = workspace
        self._lock = threading.RLock()
        self._jobs: deque[Job] = deque(maxlen=MOST)
        self._ending = False

    def jobs(self) -> list[Job]:
        """Newest first."""
        with self._lock:
            return list(reversed(self._jobs))

    def get(self, id_: str) -> Job:
        """A job.

        Raises:
            RefusedError: there is none.
        """
        for job in self.jobs():
            if job.id == id_:
                return job
        raise RefusedError("there is no such job", 404)

    def begin(self, title: str, words: Sequence[str], result: Path) -> Job:
        """Start a verb as soon as those before it have ended."""
        id_ = secrets.token_hex(4)
        log = self.workspace.home / "work" / f"{id_}.log"
        log.parent.mkdir(exist_ok=True)
        job = Job(id_, title, list(words), log, result)
        with self._lock:
            self._jobs.append(job)
        self._go_on()
        return job

    def stop(self, job: Job) -> None:
        """Ask a verb to end; what it saved stays, and training can be resumed."""
        with self._lock:
            if job.state == "waiting":
                job.state = "stopped"
            elif job.process is not None and job.state == "running":
                job.state = "stopped"
                job.process.terminate()

    def end(self) -> None:
        """End all verbs, as when the studio ends."""
        self._ending = True
        for job in self.jobs():
            self.stop(job)
            if job.process is not None:
                with contextlib.suppress(subprocess.TimeoutExpired):
                    job.process.wait(GRACE_S)
                if job.process.poll() is None:
                    job.process.kill()

    def told(self, job: Job) -> dict[str, Any]:
        """A job as plain values."""
        text = ""
        if job.log.exists():
            with job.log.open("rb") as file:
                file.seek(max(0, job.log.stat().st_size - SHOWN))
                text = file.read().decode("utf-8", "replace")
        text = text.replace(f"{self.workspace.folder}/", "")
        return {"id": job.id, "title": job.title, "state": job.state, "log": printable(text, lines=True)}

    def _go_on(self) -> None:
        with self._lock:
            if self._ending or any(job.state == "running" for job in self._jobs):
                return
            job = next((job for job in self._jobs if job.state == "waiting"), None)
            if job is None:
                return
            with job.log.open("wb") as file:
                command = [sys.executable, "-m", "dfer", *job.words]
                job.process = subprocess.Popen(
                    command, cwd=self.workspace.folder, stdin=subprocess.DEVNULL, stdout=file, stderr=subprocess.STDOUT
                )
            job.state = "running"
            threading.Thread(target=self._wait, args=(job,), daemon=True).start()

    def _wait(self, job: Job) -> None:
        assert job.process is not None
        code = job.process.wait()
        with self._lock:
            if job.state == "running":
                # the doctor ends with 1 where the data is not sound, and has done its work
                job.state = "done" if code == 0 or (code == 1 and job.words[0] == "doctor") else "failed"
        self._go_on()


def checked_name(name: str) -> str:
    """A name for what a verb writes.

    Raises:
        DferError: it is none.
    """
    if not NAME.fullmatch(name):
        raise DferError("expected a name of letters, digits, - and _, of at most 60")
    return name
