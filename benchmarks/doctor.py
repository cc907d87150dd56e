"""How long does `dfer doctor` take on a data set as large as DFEW? 16,000 folders of 16 frames each, without decoding.

The bound to hold: 30 s. The frames begin and end as JPEGs do and hold random bytes between, 300 to 2,000 of them; a
hundred clips are there twice, and the files of half of the clips have one size, so that sizes alone tell them from
nobody. Beside it, side by side in one run, what asking the system for the size of every file costs: the floor for
anything that looks at every file. And the memory that reading two equal files of 1 GiB takes.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import pandas as pd
from results import write_result

from dfer.datasets import Manifest
from dfer.labels import DFEW

CLIPS, FRAMES, TWICE = 16_000, 16, 100
LARGE = 2**30

MEMORY = """
import resource, sys
from pathlib import Path
from dfer.doctor.duplicates import digest
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
digest(Path(sys.argv[1]), "video")
print((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024)
"""


def make_tree(root: Path) -> Manifest:
    """Folders of frames, and their manifest with ten votes a clip and five folds."""
    generator = np.random.default_rng(0)
    noise = generator.bytes(2**20)
    for clip in range(CLIPS - TWICE):
        folder = root / f"{clip:05d}"
        folder.mkdir()
        for frame in range(1, FRAMES + 1):
            size = 1000 if clip % 2 else int(generator.integers(300, 2000))
            start = int(generator.integers(0, 2**20 - 2000))
            data = b"\xff\xd8\xff" + noise[start : start + size] + b"\xff\xd9"
            (folder / f"{clip:05d}_{frame:05d}.jpg").write_bytes(data)
    for clip in range(TWICE):
        shutil.copytree(root / f"{clip:05d}", root / f"{CLIPS - TWICE + clip:05d}")
    votes = generator.multinomial(10, generator.dirichlet(np.full(7, 0.25), CLIPS))
    names = [f"{clip:05d}" for clip in range(CLIPS)]
    rows = pd.DataFrame({"id": names, "path": names, "kind": "frames", "frames": FRAMES})
    rows["fold"] = generator.integers(1, 6, CLIPS)
    rows = rows.join(pd.DataFrame(votes, columns=[f"votes_{name}" for name in DFEW]))
    return Manifest.build(rows, emotions=DFEW, root=root, source="dfew")


def statted(root: Path) -> float:
    """Seconds to ask for the size of every file."""
    begin = time.perf_counter()
    for folder in os.scandir(root):
        for entry in os.scandir(folder.path):
            entry.stat()
    return time.perf_counter() - begin


def main() -> None:
    with tempfile.TemporaryDirectory() as temporary:
        root = Path(temporary) / "clips"
        root.mkdir()
        make_tree(root).write(Path(temporary) / "data.csv")
        floor = statted(root)
        begin = time.perf_counter()
        command = [sys.executable, "-m", "dfer", "doctor", str(Path(temporary) / "data.csv"), "--json", "-"]
        done = subprocess.run(command, capture_output=True, check=False)
        seconds = time.perf_counter() - begin
        (doubles,) = [f for f in json.loads(done.stdout)["findings"] if f["check"] == "doubles"]
        large = Path(temporary) / "large.avi"
        with large.open("wb") as file:
            file.truncate(LARGE)
        used = subprocess.run([sys.executable, "-c", MEMORY, str(large)], capture_output=True, check=True, text=True)
    print(f"size of every file     {floor:6.1f} s")
    print(f"dfer doctor            {seconds:6.1f} s   {seconds / floor:.1f} x the sizes; {doubles['found'][:40]} ...")
    print(f"reading 1 GiB          {float(used.stdout):6.1f} MiB")
    values = {"size of every file": round(floor, 2), "dfer doctor": round(seconds, 2)}
    memory = {"file_mib": LARGE // 2**20, "used_mib": round(float(used.stdout), 1)}
    write_result("doctor", {"clips": CLIPS, "frames_a_clip": FRAMES, "seconds": values, "memory": memory})


if __name__ == "__main__":
    main()
