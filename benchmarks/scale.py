"""How long do a million clips take? Time and largest memory of reading, splitting, examining and comparing tables.

The bounds to hold: `dfer split` of 1,000,000 clips 10 s, `dfer doctor` 40 s and 1.2 GB, `dfer compare` of two runs on
500,000 clips 30 s and 1 GB. The clips are not on disk. Each command runs in a process of its own.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import pandas as pd
from results import write_result

from dfer.datasets import Manifest
from dfer.labels import DFEW
from dfer.metrics import Predictions

CLIPS, COMPARED = 1_000_000, 500_000


def write_manifest(folder: Path) -> Path:
    """A manifest of clips that are not there, with ten votes each, of 5,000 people."""
    generator = np.random.default_rng(0)
    names = [f"clip_{clip:07d}" for clip in range(CLIPS)]
    votes = generator.multinomial(10, generator.dirichlet(np.full(7, 0.25), CLIPS))
    rows = pd.DataFrame({"id": names, "path": [f"{name}.mp4" for name in names], "kind": "video"})
    rows["group"] = [f"person {person}" for person in generator.integers(0, 5000, CLIPS)]
    rows = rows.join(pd.DataFrame(votes, columns=[f"votes_{name}" for name in DFEW]))
    Manifest.build(rows, emotions=DFEW, root=folder).write(folder / "clips.csv")
    return folder / "clips.csv"


def write_runs(folder: Path) -> list[Path]:
    """The predictions of two runs on the same clips."""
    generator = np.random.default_rng(1)
    votes = generator.multinomial(10, generator.dirichlet(np.full(7, 0.25), COMPARED)).astype(float)
    paths = []
    for name in ("first", "second"):
        run = Predictions(
            ids=np.array([f"clip_{clip:07d}" for clip in range(COMPARED)], dtype=object),
            fold=np.zeros(COMPARED, dtype=np.int64),
            labels=votes.argmax(axis=1),
            probs=generator.dirichlet(np.full(7, 0.5), COMPARED),
            votes=votes,
            frames=["0 4 9 13 18 22 27 31"] * COMPARED,
            emotions=DFEW,
        )
        paths.append(folder / name / "predictions.csv")
        run.write(paths[-1])
    return paths


def measure(*arguments: object) -> dict[str, float]:
    """Seconds, and the largest memory in MB, of a command."""
    start = time.perf_counter()
    done = subprocess.Popen([sys.executable, "-m", "dfer", *map(str, arguments)], stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(done.pid, 0)
    if status not in (0, 256):  # the doctor says 1 of clips that are not there
        raise SystemExit(f"dfer {arguments[0]} ended with {status}")
    row = {"seconds": round(time.perf_counter() - start, 1), "megabytes": round(usage.ru_maxrss / 1024)}
    print(f"{arguments[0]:8}   {row['seconds']:6.1f} s   {row['megabytes']:6} MB", flush=True)
    return row


def main() -> None:
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        # in another process: the largest memory of a command begins with that of the process which starts it
        with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
            manifest, runs = pool.submit(write_manifest, folder).result(), pool.submit(write_runs, folder).result()
        found = {
            "split": measure("split", manifest, "-o", folder / "split.csv", "--folds", "5"),
            "doctor": measure("doctor", manifest),
            "compare": measure("compare", *runs, "-o", folder / "page"),
        }
    write_result("scale", {"clips": CLIPS, "compared": COMPARED} | found)


if __name__ == "__main__":
    main()
