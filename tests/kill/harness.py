"""Kills verbs at random moments and runs them again: `python -m tests.kill.harness --kills 8 --seed 0`.

Each verb is run once undisturbed. Then it is killed (SIGKILL and SIGTERM in turn) at a moment drawn from its run's
length, and run again as a user would; what it leaves in the end must be the same bytes, without unfinished files, and
none of its processes may live on.
"""

from __future__ import annotations

import argparse
import csv
import hashlib
import json
import os
import random
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil

from dfer.files import is_unfinished
from tests import forked

EXAMPLE = Path(__file__).parents[2] / "examples" / "crema_d" / "1001_DFA_HAP_XX.flv"
GRACE_S = 10
"""In which processes of a killed one must end."""
TIMES = ("seconds", "clips_per_second", "cost")
"""Keys of JSON that say how long something took."""
DIFFER = ("report.html", "compare.html")
"""Pages that print how long something took."""


def settings(**values: object) -> list[str]:
    """Options of the command line that set keys of a recipe; `__` stands for the dot."""
    return [part for key, value in values.items() for part in ("--set", f"{key.replace('__', '.')}={value}")]


QUICK = settings(
    optim__epochs=2, optim__unmixed_epochs=0, optim__batch=8, optim__precision="fp32", optim__threads=1,
    input__frames=2, input__size=16, data__validation=0,
)  # fmt: skip
TRAIN = ["train", "demo", "--data", "clips.csv", "--fold", "1", *QUICK]
ESTIMATE = [
    *("estimate", "demo", "--data", "clips.csv", "--fold", "1", "--folds", "2", "-o", "soft.csv", "--runs", "held"),
    *QUICK, *settings(data__validation=0.5),
]  # fmt: skip
CLIPS = ("synth", "prepare --pack")


def small_demo(*words: str) -> None:
    """`dfer` whose demo has few clips and epochs."""
    from dfer import demo

    recipe = demo.load_recipe(Path("demo"))
    quick = recipe.optim.model_copy(update={"epochs": 2, "unmixed_epochs": 0, "precision": "fp32"})
    demo.CLIPS, demo.load_recipe = 420, lambda _: recipe.model_copy(update={"optim": quick})
    forked.as_dfer(*words)


def write_answers() -> None:
    """What nine raters say of 300 clips."""
    rng = random.Random(0)
    with Path("answers.csv").open("w", newline="") as file:
        table = csv.writer(file)
        table.writerow(["clip", "rater", "emotion"])
        table.writerows(
            [clip, rater, rng.choice(["happy", "sad", "angry"])] for clip in range(300) for rater in range(9)
        )


@dataclass(frozen=True)
class Verb:
    """A command line of `dfer`, what it is run after, and what it makes.

    Attributes:
        command: its arguments.
        makes: files and folders, in the working folder.
        needs: other verbs, run before.
        again: its arguments when it was killed; the same where there are none.
        program: what is called with its arguments.
    """

    command: Sequence[str]
    makes: Sequence[str]
    needs: Sequence[str] = ()
    again: Sequence[str] = ()
    program: Callable[..., None] = forked.as_dfer

    def arguments(self, *, again: bool) -> Sequence[str]:
        """What its program is called with, for the first time or after it was killed."""
        return self.again if again and self.again else self.command


VERBS: dict[str, Verb] = {
    "synth": Verb(["synth", "dfew", "--clips", "35", "--size", "32"], ["dfew"]),
    "synth many": Verb(["synth", "dfew", "--clips", "800", "--size", "32"], ["dfew"]),
    "prepare --pack": Verb(
        ["prepare", "dfew", "dfew", "-o", "clips.csv", "--pack", "24"], ["clips.csv", "clips"], ["synth"]
    ),
    "split": Verb(["split", "clips.csv", "--folds", "3", "-o", "cut.csv"], ["cut.csv"], CLIPS),
    "split in place": Verb(["split", "clips.csv", "--folds", "3", "-o", "clips.csv"], ["clips.csv"], CLIPS),
    "doctor": Verb(
        ["doctor", "clips.csv", "-o", "doctor.html", "--json", "doctor.json"], ["doctor.html", "doctor.json"], CLIPS
    ),
    "answers": Verb([], ["answers.csv"], program=write_answers),
    "raters": Verb(["raters", "answers.csv", "--page", "raters.html"], ["raters.html"], ["answers"]),
    "train": Verb([*TRAIN, "-o", "run"], ["run"], CLIPS, [*TRAIN, "-o", "run", "--resume"]),
    "evaluate": Verb(["evaluate", "run", "-o", "report"], ["report", "run"], [*CLIPS, "train"]),
    "train other": Verb([*TRAIN, "-o", "other", "--set", "seed=1"], ["other"], CLIPS),
    "compare": Verb(
        ["compare", "run", "other", "-o", "page"], ["page"],
        [*CLIPS, "train", "evaluate", "train other", "evaluate other"],
    ),
    "evaluate other": Verb(["evaluate", "other"], ["other"], [*CLIPS, "train other"]),
    "robustness": Verb(
        ["robustness", "run", "--only", "motion_blur", "-o", "page"], ["page", "run"], [*CLIPS, "train"]
    ),
    "figures": Verb(["figures", "report", "-o", "figures"], ["figures"], [*CLIPS, "train", "evaluate"]),
    "report": Verb(
        ["report", "run/fold1/predictions.csv", "-o", "page"], ["page"], [*CLIPS, "train", "evaluate"]
    ),
    "export": Verb(["export", "run/fold1/model"], ["run"], [*CLIPS, "train"]),
    "ablate": Verb(
        ["ablate", "demo", "--data", "clips.csv", "-g", "optim.lr=0.001,0.01", "--seeds", "0", "--fold", "1",
         "-o", "grid", *QUICK],
        ["grid"], CLIPS,
    ),
    "estimate": Verb(ESTIMATE, ["soft.csv", "held"], ["synth many", "prepare --pack"], [*ESTIMATE, "--resume"]),
    **{
        f"predict {suffix}": Verb(
            ["predict", str(EXAMPLE), "--every", "0.2", "-o", f"out{suffix}"], [f"out{suffix}"]
        )
        for suffix in (".json", ".csv", ".parquet", ".srt", ".html", ".png", ".svg", ".pdf", ".mp4")
    },
    "people": Verb(
        ["people", "out.json", "--name", "0=Anna", "-o", "named.json", "-o", "named.csv"],
        ["named.json", "named.csv"], ["predict .json"],
    ),
    "predict FOLDER": Verb(
        ["predict", str(EXAMPLE.parent), "--every", "0.2", "-o", "outs", "--format", "json", "-o", "all.csv"],
        ["outs", "all.csv"],
    ),
    "demo": Verb(["demo", "-o", "demo"], ["demo"], program=small_demo),
}  # fmt: skip
TRIED = [name for name in VERBS if name not in ("synth many", "answers", "train other", "evaluate other")]
"""Those that are killed; the others are needed by them."""


def finish(verb: Verb, folder: Path, *, again: bool = False) -> float:
    """Run a verb to its end; its seconds."""
    begin = time.perf_counter()
    done = forked.run(verb.program, *verb.arguments(again=again), folder=folder)
    if done.returncode not in (0, 1):  # doctor's 1: it found something
        raise AssertionError(f"dfer {' '.join(verb.command)} ended with {done.returncode}: {done.stderr[-400:]}")
    return time.perf_counter() - begin


def digest(folder: Path, made: Sequence[str]) -> dict[str, str]:
    """What a verb made: name of each file -> a hash of its bytes, without times that it took."""
    files = [path for name in made for path in [folder / name, *sorted((folder / name).rglob("*"))] if path.is_file()]
    return {
        str(path.relative_to(folder)): hashlib.sha256(_timeless(path)).hexdigest()
        for path in files
        if path.name not in DIFFER
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
    faults: list[str] = field(default_factory=list)


def prepared(needs: Sequence[str], home: Path) -> Path:
    """A folder in which these verbs were run, one after the other; made once."""
    place = home / hashlib.sha256(" ".join(needs).encode()).hexdigest()[:16]
    if not place.exists() and needs:
        shutil.copytree(prepared(needs[:-1], home), place)
        finish(VERBS[needs[-1]], place)
    place.mkdir(exist_ok=True)
    return place


def tried(name: str, kills: int, seed: int, home: Path) -> Told:
    """Kill one verb so many times, each time from the beginning; `home` is for folders of `prepared`."""
    verb, rng, told = VERBS[name], random.Random(f"{seed} {name}"), Told()
    forked.warm()
    before = prepared(verb.needs, home)
    with tempfile.TemporaryDirectory(dir=home) as work:
        whole = Path(work) / "work"
        shutil.copytree(before, whole)
        took = finish(verb, whole)
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
                finish(verb, whole, again=True)
            except AssertionError as error:
                told.faults.append(f"{at}: {error}")
                continue
            made = digest(whole, verb.makes)
            other = sorted(each for each in made.keys() | wanted.keys() if made.get(each) != wanted.get(each))
            if other:
                told.faults.append(f"{at}: other bytes: {other[:3]}")
            left = [path.name for path in whole.rglob("*") if is_unfinished(path.name)]
            if left:
                told.faults.append(f"{at}: unfinished files are left: {left[:3]}")
    return told


def _killed(verb: Verb, folder: Path, number: signal.Signals, moment: float) -> list[str] | None:
    """Faults of a kill; None where the verb was over before."""
    process = forked.begin(verb.program, *verb.command, folder=folder)
    process.join(moment)
    if process.exitcode is not None:
        return None
    assert process.pid is not None
    children = psutil.Process(process.pid).children(recursive=True)
    os.kill(process.pid, number)
    process.join(60)
    alive = psutil.wait_procs(children, timeout=GRACE_S)[1]
    faults = [f"{len(alive)} processes live on"] if alive else []
    for each in alive:
        each.kill()
    if number == signal.SIGTERM:
        if process.exitcode not in (143, -signal.SIGTERM, 0):  # -15: before dfer listens
            faults.append(f"exit code {process.exitcode}")
        left = [path.name for path in folder.rglob("*") if is_unfinished(path.name)]
        if left and process.exitcode == 143:
            faults.append(f"unfinished files after SIGTERM: {left[:3]}")
    return faults


def markdown(told: dict[str, Told]) -> Iterator[str]:
    """The lines of the table in the docs."""
    yield "| verb | kills | same bytes in the end | unfinished files left | processes left | other faults |"
    yield "|---|---|---|---|---|---|"
    for name, one in told.items():
        counts = [sum(word in fault for fault in one.faults) for word in ("other bytes", "unfinished", "live on")]
        rest = len(one.faults) - sum(counts)
        yield f"| `{name}` | {one.kills} | {one.kills - counts[0]} | {counts[1]} | {counts[2]} | {rest} |"


def main() -> None:
    """Try all verbs and print the table; exit code 1 if there were faults."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=8)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--verbs", nargs="*", default=TRIED)
    given = parser.parse_args()
    told: dict[str, Told] = {}
    with tempfile.TemporaryDirectory(prefix="dfer-kill-") as home:
        for name in given.verbs:
            told[name] = tried(name, given.kills, given.seed, Path(home))
            print(f"{name}: {told[name].kills} kills", *told[name].faults, sep="\n  ", file=sys.stderr, flush=True)
    print("\n".join(markdown(told)))
    sys.exit(any(one.faults for one in told.values()))


if __name__ == "__main__":
    main()
