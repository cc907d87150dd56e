"""Are two workers of a Ray cluster twice as fast as one? Packing clips of drawn frames, in pairs of runs.

    python benchmarks/cluster.py

Needs the extra `ray` and two idle cores. Each cluster is started anew and warmed up by a small packing, which is not
timed; the first pair is not counted, for it reads the frames from the disk for the first time.
"""

from __future__ import annotations

import shutil
import statistics
import tempfile
import time
from pathlib import Path

import numpy as np
import ray
from results import write_result

from dfer.cluster import on_cluster
from dfer.datasets import Manifest, read_source
from dfer.datasets.pack import pack
from dfer.datasets.synthetic.write import synthesise

CLIPS, WARM, PAIRS, SIZE = 1000, 64, 3, 112


def seconds(manifest: Manifest, folder: Path, workers: int) -> float:
    """How long a cluster of so many workers takes."""
    ray.init(num_cpus=workers, include_dashboard=False, log_to_driver=False, object_store_memory=256 * 2**20)
    try:
        with on_cluster("auto"):
            pack(manifest.select(np.arange(len(manifest)) < WARM), folder / "warm", size=SIZE)
            begin = time.perf_counter()
            pack(manifest, folder / "all", size=SIZE)
            return time.perf_counter() - begin
    finally:
        ray.shutdown()
        shutil.rmtree(folder, ignore_errors=True)


def main() -> None:
    with tempfile.TemporaryDirectory() as temporary:
        synthesise(Path(temporary) / "dfew", clips=CLIPS, seed=0, size=112)
        manifest = read_source("dfew", Path(temporary) / "dfew")
        pairs = []
        for pair in range(PAIRS + 1):
            found = [seconds(manifest, Path(temporary) / f"{pair}_{workers}", workers) for workers in (1, 2)]
            print(f"one worker {found[0]:.1f} s, two {found[1]:.1f} s: {found[0] / found[1]:.2f} times as fast")
            pairs.append(found)
    one, two = (statistics.median(column) for column in zip(*pairs[1:], strict=True))
    write_result("cluster", {
        "clips": len(manifest), "size": SIZE, "pairs": PAIRS, "seconds": {"one": round(one, 2), "two": round(two, 2)},
        "speedup": [round(first / second, 2) for first, second in pairs[1:]],
    })  # fmt: skip


if __name__ == "__main__":
    main()
