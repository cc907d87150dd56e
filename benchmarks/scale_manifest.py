"""How large may a Manifest grow? Time and largest memory of reading, splitting and examining a Parquet file.

The bounds to hold: 10^7 clips with votes in 8 GB. Times are of the processor. The clips are not on disk. Each command
runs in a process of its own, which may take at most 12 GB of addresses; what does not fit is written down as such.
"""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
import tempfile
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
from results import write_result

from dfer.datasets import Manifest
from dfer.datasets.manifest import FORMAT
from dfer.labels import DFEW

PART = 100_000
"""Rows that are drawn and written at once."""
LARGEST_GB = 12
READ = "import sys; from dfer.datasets import Manifest; Manifest.read(sys.argv[1])"
VERB = "from dfer.cli import main; main()"


def write_manifest(path: Path, clips: int) -> int:
    """Write a manifest of clips that are not there, with ten votes each, of 5,000 people; returns its bytes."""
    writer = None
    for first in range(0, clips, PART):
        generator = np.random.default_rng(first)
        names = [f"clip_{clip:08d}" for clip in range(first, first + PART)]
        votes = generator.multinomial(10, generator.dirichlet(np.full(7, 0.25), PART))
        rows = pd.DataFrame({"id": names, "path": [f"{name}.mp4" for name in names], "kind": "video"})
        rows["group"] = [f"person {person}" for person in generator.integers(0, 5000, PART)]
        rows = rows.join(pd.DataFrame(votes, columns=[f"votes_{name}" for name in DFEW]))
        part = path.with_name("part.parquet")
        Manifest.build(rows, emotions=DFEW, root=path.parent).write(part)
        table = pq.read_table(part)
        writer = writer or pq.ParquetWriter(path, table.schema.with_metadata(_head(table.schema.metadata, clips)))
        writer.write_table(table.cast(writer.schema))
    assert writer is not None
    writer.close()
    return path.stat().st_size


def _head(metadata: dict[bytes, bytes], clips: int) -> dict[bytes, bytes]:
    """The metadata of a part, with the number of all clips."""
    head = json.loads(metadata[FORMAT.encode()])
    return {FORMAT.encode(): json.dumps(head | {"clips": clips}).encode()}


def limit() -> None:
    """In the command's process: more than this is refused by the system, before the machine swaps."""
    resource.setrlimit(resource.RLIMIT_AS, (LARGEST_GB * 10**9, LARGEST_GB * 10**9))


def measure(*arguments: object) -> dict[str, float | bool]:
    """Seconds of the processor, the largest memory in MB, and whether a program came to its end."""
    command = [sys.executable, "-c", *map(str, arguments)]
    done = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, preexec_fn=limit)
    told = done.stderr.read().decode() if done.stderr else ""
    _, status, usage = os.wait4(done.pid, 0)
    fits = status == 0 or (status == 256 and not told)  # the doctor says 1 of clips that are not there
    row = {
        "seconds": round(usage.ru_utime + usage.ru_stime, 1),
        "megabytes": round(usage.ru_maxrss / 1024),
        "fits": fits,
    }
    print(arguments[1:3], row, "" if fits else told.strip().splitlines()[-1:], flush=True)
    return row


def main() -> None:
    rows: list[dict[str, object]] = []
    for clips in map(int, sys.argv[1:] or ("100000", "1000000", "10000000")):
        with tempfile.TemporaryDirectory() as temporary:
            path = Path(temporary) / "clips.parquet"
            # in another process: the largest memory of a command begins with that of the process which starts it
            with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
                size = pool.submit(write_manifest, path, clips).result()
            found = {
                "read": measure(READ, path),
                "split": measure(VERB, "split", path, "-o", path.with_name("split.parquet"), "--folds", "5"),
                "doctor": measure(VERB, "doctor", path),
            }
        rows.append({"clips": clips, "bytes": size} | found)
        write_result("scale_manifest", {"largest_gb": LARGEST_GB, "rows": rows})


if __name__ == "__main__":
    main()
