"""Damages files of every format and looks at what happens: `python -m tests.fuzz.harness --inputs 50000 --seed 0`.

Each input is a function of the seed and its number. It is read in a process with a limit of memory and of time, which
is started anew after a crash. What is neither accepted and sane nor refused in one sentence is kept, made smaller, and
written to `tests/fuzz/found/`, where a test reads it from then on.
"""

from __future__ import annotations

import argparse
import contextlib
import faulthandler
import hashlib
import json
import logging
import os
import random
import resource
import signal
import subprocess
import sys
import tempfile
import time
import traceback
import warnings
from collections import Counter, defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from dfer.errors import DferError
from tests.fuzz.doors import DOORS, Door
from tests.fuzz.mutators import mutated

FOUND = Path(__file__).parent / "found"
SECONDS = 20
"""That an input may take; a film on a slow machine needs a second."""
MEMORY_GB = 6
"""Of address space, with torch loaded."""
LONGEST = 500
"""Characters of a sentence."""
MOST_STEPS = 200
"""Tries to make a finding smaller."""


class Slow(Exception):
    """An input took too long."""


class Seeds:
    """The seeds of each door, written once; each input gets the files anew."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.files: dict[str, list[Path]] = {}

    def of(self, name: str) -> tuple[Path, list[Path]]:
        """The folder of a door's seeds, and the files in it that may be damaged."""
        place = self.home / hashlib.sha1(name.encode()).hexdigest()[:8]
        if name not in self.files:
            place.mkdir(parents=True, exist_ok=True)
            self.files[name] = DOORS[name].seed(place)
        return place, self.files[name]


def input_of(seeds: Seeds, seed: int, number: int, names: list[str]) -> tuple[str, Path, bytes]:
    """The door, the file and the damaged bytes of one input."""
    rng = random.Random(f"{seed} {number}")
    name = names[number % len(names)]
    _, files = seeds.of(name)
    file = rng.choice(files)
    return name, file, mutated(file.read_bytes(), rng)


def outcome(door: Door, folder: Path, file: Path, data: bytes) -> tuple[str, str]:
    """("accepted" or "refused" or "finding", what was said)."""
    whole = file.read_bytes()
    file.write_bytes(data)
    before = {path for path in folder.rglob("*") if path.is_file()}
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", RuntimeWarning)
            with _watched():
                door.read(folder, file)
        said = ("accepted", "")
    except DferError as error:
        text = str(error)
        fine = text and "\n" not in text and len(text) <= LONGEST
        said = ("refused", text) if fine else ("finding", f"a sentence of {len(text)} characters: {text[:200]!r}")
    except BaseException as error:
        if isinstance(error, KeyboardInterrupt):
            raise
        said = ("finding", _told(error))
    finally:
        file.write_bytes(whole)
        for path in {path for path in folder.rglob("*") if path.is_file()} - before:
            if ".partial" in path.name:
                said = ("finding", f"an unfinished file was left: {path.name}")
            path.unlink()
    return said


def _told(error: BaseException) -> str:
    """The error and where it was raised: the same for all inputs that find the same fault."""
    frames = [frame for frame in traceback.extract_tb(error.__traceback__) if "/dfer/" in frame.filename]
    place = f"{Path(frames[-1].filename).name}:{frames[-1].name}" if frames else "outside"
    return f"{type(error).__name__} in {place}: {str(error)[:200]}"


@contextlib.contextmanager
def _watched() -> Iterator[None]:
    def stop(*_: object) -> None:
        raise Slow(f"more than {SECONDS} s")

    former = signal.signal(signal.SIGALRM, stop)
    signal.alarm(SECONDS)
    faulthandler.dump_traceback_later(3 * SECONDS, exit=True)  # where Python is not asked any more
    try:
        yield
    finally:
        signal.alarm(0)
        faulthandler.cancel_dump_traceback_later()
        signal.signal(signal.SIGALRM, former)


def work(seed: int, start: int, stop: int, names: list[str], until: float) -> None:
    """Read inputs one after the other, and print a line of JSON on each; the number of an input goes first."""
    logging.disable(logging.CRITICAL)
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY_GB * 2**30, MEMORY_GB * 2**30))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    with tempfile.TemporaryDirectory(prefix="dfer-fuzz-") as home:
        seeds = Seeds(Path(home))
        for number in range(start, stop):
            if time.time() > until:
                break
            print(json.dumps({"begins": number}), flush=True)
            name, file, data = input_of(seeds, seed, number, names)
            _forget_peak()
            begin = time.perf_counter()
            kind, told = outcome(DOORS[name], seeds.of(name)[0], file, data)
            took = time.perf_counter() - begin
            row = {"number": number, "door": name, "kind": kind, "told": told, "s": took, "mb": _peak_mb()}
            print(json.dumps(row), flush=True)


def _forget_peak() -> None:
    """Let the peak of memory begin anew, where the system can: on Linux."""
    with contextlib.suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5")


def _peak_mb() -> int:
    """The peak of this process's memory since then, torch and all; elsewhere since the process began."""
    try:
        lines = Path("/proc/self/status").read_text().splitlines()
        return int(next(line.split()[1] for line in lines if line.startswith("VmHWM"))) // 1024
    except OSError:
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024


def run(seed: int, inputs: int, names: list[str], minutes: float) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """All inputs, in as many processes one after the other as crashes need.

    Returns:
        The counts of each door, and the findings.
    """
    table: dict[str, Any] = defaultdict(lambda: Counter(inputs=0, accepted=0, refused=0, finding=0))
    slowest: dict[str, float] = defaultdict(float)
    peak: dict[str, int] = defaultdict(int)
    findings: list[dict[str, Any]] = []
    until, number = time.time() + 60 * minutes, 0
    while number < inputs and time.time() < until:
        command = [sys.executable, "-m", "tests.fuzz.harness", "--work", str(number), "--seed", str(seed)]
        command += ["--inputs", str(inputs), "--until", str(until), "--doors", *names]
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        assert process.stdout
        begun = None
        for line in process.stdout:
            told = json.loads(line)
            if "begins" in told:
                begun = told["begins"]
                continue
            begun, number, name = None, told["number"] + 1, told["door"]
            table[name].update({"inputs": 1, told["kind"]: 1})
            slowest[name], peak[name] = max(slowest[name], told["s"]), max(peak[name], told["mb"])
            if told["kind"] == "finding":
                findings.append(told)
        code = process.wait()
        if begun is not None:  # it died at this input
            name = names[begun % len(names)]
            table[name].update({"inputs": 1, "finding": 1})
            findings.append({"number": begun, "door": name, "told": f"the process ended with {code}"})
            number = begun + 1
        elif code:
            raise RuntimeError(f"a worker ended with {code} before its first input")
        else:
            break
    return {name: {**table[name], "s": slowest[name], "mb": peak[name]} for name in names}, findings


def kept(seed: int, names: list[str], findings: list[dict[str, Any]]) -> list[Path]:
    """Write one input for each different finding, as small as it gets, with its door and its file's name."""
    written, seen = [], set()
    with tempfile.TemporaryDirectory(prefix="dfer-fuzz-") as home:
        seeds = Seeds(Path(home))
        for found in findings:
            key = (found["door"], found["told"].partition(":")[0])
            if key in seen:
                continue
            seen.add(key)
            name, file, data = input_of(seeds, seed, found["number"], names)
            if not found["told"].startswith("the process ended"):
                data = smaller(seeds, name, file, data, found["told"].partition(":")[0])
            place = FOUND / hashlib.sha1(data).hexdigest()[:12]
            place.mkdir(parents=True, exist_ok=True)
            (place / "data").write_bytes(data)
            told = {"door": name, "file": str(file.relative_to(seeds.of(name)[0])), "told": found["told"]}
            (place / "about.json").write_text(json.dumps(told, indent=1) + "\n", encoding="utf-8")
            written.append(place)
    return written


def smaller(seeds: Seeds, name: str, file: Path, data: bytes, wanted: str) -> bytes:
    """The shortest bytes found that still say the same: pieces are left out, halves first."""
    folder, _ = seeds.of(name)
    steps, size = 0, max(1, len(data) // 2)
    while size and steps < MOST_STEPS:
        for start in range(0, len(data), size):
            steps += 1
            shorter = data[:start] + data[start + size :]
            kind, told = outcome(DOORS[name], folder, file, shorter)
            if kind == "finding" and told.partition(":")[0] == wanted:
                data = shorter
                break
            if steps >= MOST_STEPS:
                break
        else:
            size //= 2
    return data


def markdown(table: dict[str, Any]) -> Iterator[str]:
    """The lines of the table in the docs."""
    yield "| format | inputs | accepted | refused | findings | slowest, s | peak, MB |"
    yield "|---|---|---|---|---|---|---|"
    total: Counter[str] = Counter()
    for name, row in table.items():
        total.update({key: row.get(key, 0) for key in ("inputs", "accepted", "refused", "finding")})
        numbers = [str(row.get(key, 0)) for key in ("inputs", "accepted", "refused", "finding")]
        yield f"| {' | '.join([name, *numbers, format(row['s'], '.1f'), str(row['mb'])])} |"
    worst = (max(row["s"] for row in table.values()), max(row["mb"] for row in table.values()))
    numbers = [str(total[key]) for key in ("inputs", "accepted", "refused", "finding")]
    yield f"| {' | '.join(['**all**', *numbers, format(worst[0], '.1f'), str(worst[1])])} |"


def main() -> None:
    """Run, print the table, keep what was found; exit code 1 if something was."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--inputs", type=int, default=50_000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--minutes", type=float, default=60)
    parser.add_argument("--doors", nargs="*", default=list(DOORS), help="formats; by default all")
    parser.add_argument("--work", type=int, help=argparse.SUPPRESS)
    parser.add_argument("--until", type=float, help=argparse.SUPPRESS)
    given = parser.parse_args()
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    if given.work is not None:
        work(given.seed, given.work, given.inputs, given.doors, given.until)
        return
    table, findings = run(given.seed, given.inputs, given.doors, given.minutes)
    print("\n".join(markdown(table)))
    places = kept(given.seed, given.doors, findings)
    for found in findings[:50]:
        print(f"input {found['number']}, {found['door']}: {found['told']}", file=sys.stderr)
    if places:
        print(f"{len(findings)} findings, {len(places)} different ones kept in {FOUND}", file=sys.stderr)
        sys.exit(1)


if __name__ == "__main__":
    main()
