"""Kills verbs at random moments and runs them again: `python -m tests.kill.harness --kills 8 --seed 0`.

Each verb is run once undisturbed. Then it is killed (SIGKILL and SIGTERM in turn) at a moment drawn from its run's
length, and run again as a user would; what it leaves in the end must be the same bytes, without unfinished files, and
none of its processes may live on.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

from dfer.files import is_unfinished

EXAMPLE = Path(__file__).parents[2] / "examples" / "crema_d" / "1001_DFA_HAP_XX.flv"
GRACE_S = 10
"""In which processes of a killed one must end."""
TIMES = ("seconds", "clips_per_second")
"""Keys of JSON that say how long something took."""
QUICK = [
    *(
        "--set",
        "optim.epochs=2",
        "--set",
        "optim.unmixed_epochs=0",
        "--set",
        "optim.batch=8",
        "--set",
        "input.frames=2",
        "--set",
        "input.size=16",
    ),
    *("--set", "optim.precision=fp32", "--set", "optim.threads=1", "--set", "data.validation=0"),
]


@dataclass(frozen=True)
class Verb:
    """A command line of `dfer`, what it is run after, and what it makes.

    Attributes:
        command: its arguments.
        makes: files and folders, in the working folder.
        needs: other verbs, run before.
        again: its arguments when it was killed.
    """

    command: Sequence[str]
    makes: Sequence[str]
    needs: Sequence[str] = ()
    again: Sequence[str] = ()


VERBS: dict[str, Verb] = {
    "synth": Verb(["synth", "dfew", "--clips", "60", "--size", "48"], ["dfew"]),
    "prepare --pack": Verb(
        ["prepare", "dfew", "dfew", "-o", "clips.csv", "--pack", "24"], ["clips.csv", "clips"], ["synth"]
    ),
    "split": Verb(
        ["split", "clips.csv", "--folds", "3", "-o", "cut.csv"], ["cut.csv"], ["synth", "prepare --pack"]
    ),
    "doctor": Verb(["doctor", "clips.csv", "-o", "doctor.html"], ["doctor.html"], ["synth", "prepare --pack"]),
    "train": Verb(
        ["train", "demo", "--data", "clips.csv", "-o", "run", "--fold", "1", *QUICK], ["run"],
        ["synth", "prepare --pack"],
        ["train", "demo", "--data", "clips.csv", "-o", "run", "--fold", "1", *QUICK, "--resume"],
    ),
    "evaluate": Verb(["evaluate", "run", "-o", "report"], ["report", "run"], ["synth", "prepare --pack", "train"]),
    "predict .json .csv": Verb(
        ["predict", str(EXAMPLE), "--every", "0.2", "-o", "t.json", "-o", "t.csv"], ["t.json", "t.csv"]
    ),
    "predict .html .mp4": Verb(
        ["predict", str(EXAMPLE), "--every", "0.2", "-o", "t.html", "-o", "t.mp4"], ["t.html", "t.mp4"]
    ),
}  # fmt: skip


def dfer(arguments: Sequence[str], folder: Path) -> subprocess.Popen[bytes]:
    """The verb in a process of its own."""
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    return subprocess.Popen(
        [sys.executable, "-m", "dfer", *arguments], cwd=folder, env=environment,
        stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
    )  # fmt: skip


def finish(arguments: Sequence[str], folder: Path) -> float:
    """Run a verb to its end; its seconds."""
    begin = time.perf_counter()
    process = dfer(arguments, folder)
    _, told = process.communicate(timeout=600)
    if process.returncode not in (0, 1):  # doctor's 1: it found something
        raise AssertionError(f"dfer {' '.join(arguments)} ended with {process.returncode}: {told.decode()[-400:]}")
    return time.perf_counter() - begin


def digest(folder: Path, made: Sequence[str]) -> dict[str, str]:
    """What a verb made: name of each file -> a hash of its bytes, without times that it took."""
    files = [path for name in made for path in [folder / name, *sorted((folder / name).rglob("*"))] if path.is_file()]
    return {
        str(path.relative_to(folder)): hashlib.sha256(_timeless(path)).hexdigest()
        for path in files
        if "tensorboard" not in path.parts and path.name != "report.html"
    }


def _timeless(path: Path) -> bytes:
    if path.suffix not in (".json", ".jsonl"):
        return path.read_bytes()
    rows = [json.loads(line) for line in path.read_text().splitlines()] if path.suffix == ".jsonl" else None
    return json.dumps(_without_times(json.loads(path.read_text()) if rows is None else rows), sort_keys=True).encode()


def _without_times(values: Any) -> Any:
    if isinstance(values, dict):
        return {key: _without_times(value) for key, value in values.items() if key not in TIMES}
    return [_without_times(value) for value in values] if isinstance(values, list) else values


@dataclass
class Told:
    """What became of a verb: kills that met it alive, and faults."""

    kills: int = 0
    faults: list[str] | None = None


def tried(name: str, kills: int, seed: int) -> Told:
    """Kill one verb so many times, each time from the beginning."""
    verb, rng = VERBS[name], random.Random(f"{seed} {name}")
    told = Told(faults=[])
    assert told.faults is not None
    with tempfile.TemporaryDirectory(prefix="dfer-kill-") as home:
        before = Path(home) / "before"
        before.mkdir()
        for needed in verb.needs:
            finish(VERBS[needed].command, before)
        whole = Path(home) / "work"
        shutil.copytree(before, whole)
        took = finish(verb.command, whole)
        wanted = digest(whole, verb.makes)
        for number in range(kills):
            # the same path: some files say where they lie
            shutil.rmtree(whole)
            shutil.copytree(before, whole)
            number_of_signal = (signal.SIGKILL, signal.SIGTERM)[number % 2]
            moment = took * rng.uniform(0.2, 1.0)
            fault = _killed(verb, whole, number_of_signal, moment)
            if fault is None:
                continue
            told.kills += 1
            at = f"{number_of_signal.name} after {moment:.1f} of {took:.1f} s"
            told.faults += [f"{at}: {each}" for each in fault]
            try:
                finish(verb.again or verb.command, whole)
            except AssertionError as error:
                told.faults.append(f"{at}: {error}")
                continue
            if digest(whole, verb.makes) != wanted:
                told.faults.append(f"{at}: other bytes")
            left = [path.name for path in whole.rglob("*") if is_unfinished(path.name)]
            if left:
                told.faults.append(f"{at}: unfinished files are left: {left[:3]}")
    return told


def _killed(verb: Verb, folder: Path, number: signal.Signals, moment: float) -> list[str] | None:
    """Faults of a kill; None where the verb was over before."""
    process = dfer(verb.command, folder)
    try:
        process.wait(timeout=moment)
        return None
    except subprocess.TimeoutExpired:
        pass
    children = psutil.Process(process.pid).children(recursive=True)
    process.send_signal(number)
    process.wait(timeout=60)
    alive = psutil.wait_procs(children, timeout=GRACE_S)[1]
    faults = [f"{len(alive)} processes live on"] if alive else []
    for each in alive:
        each.kill()
    if number == signal.SIGTERM:
        if process.returncode not in (143, -signal.SIGTERM, 0):  # -15: before dfer listens
            faults.append(f"exit code {process.returncode}")
        left = [path.name for path in folder.rglob("*") if is_unfinished(path.name)]
        if left and process.returncode == 143:
            faults.append(f"unfinished files after SIGTERM: {left[:3]}")
    return faults


def markdown(told: dict[str, Told]) -> Iterator[str]:
    """The lines of the table in the docs."""
    yield "| verb | kills | same bytes in the end | faults |"
    yield "|---|---|---|---|"
    for name, one in told.items():
        other = sum("other bytes" in fault for fault in one.faults or [])
        yield f"| `{name}` | {one.kills} | {one.kills - other} | {len(one.faults or [])} |"


def main() -> None:
    """Try all verbs and print the table; exit code 1 if there were faults."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=8)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--verbs", nargs="*", default=list(VERBS))
    given = parser.parse_args()
    told = {name: tried(name, given.kills, given.seed) for name in given.verbs}
    print("\n".join(markdown(told)))
    faults = [f"{name}: {fault}" for name, one in told.items() for fault in one.faults or []]
    print("\n".join(faults), file=sys.stderr)
    sys.exit(bool(faults))


if __name__ == "__main__":
    main()
