"""Does training eat memory as it goes on? Resident memory after every epoch of a run on made-up clips.

The bound to hold: no growth over epochs; the first two, in which buffers are made, do not count.
"""

from __future__ import annotations

import tempfile
from pathlib import Path

import psutil
from results import write_result

from dfer.datasets import Manifest, read_source
from dfer.datasets.pack import pack
from dfer.datasets.synthetic import synthesise
from dfer.training import Progress, fit, load_recipe
from dfer.training.record import Epoch

CLIPS, EPOCHS, WARM = 200, 20, 2


class Watch(Progress):
    """Notes the memory after each epoch."""

    def __init__(self) -> None:
        self.megabytes: list[float] = []

    def epoch(self, row: Epoch) -> None:
        """Note the memory."""
        self.megabytes.append(psutil.Process().memory_info().rss / 2**20)
        print(f"epoch {row.epoch:3}   {self.megabytes[-1]:7.1f} MB", flush=True)


def main() -> None:
    watch = Watch()
    with tempfile.TemporaryDirectory() as temporary:
        root = Path(temporary)
        synthesise(root / "dfew", clips=CLIPS, size=64)
        manifest, _ = pack(read_source("dfew", root / "dfew"), root / "frames", size=64)
        manifest.write(root / "clips.csv")
        recipe = load_recipe(Path("demo"), [f"optim.epochs={EPOCHS}", "midas.alpha=0.8"])
        fit(recipe, Manifest.read(root / "clips.csv"), root / "run", fold=1, progress=watch)
    growth = watch.megabytes[-1] - watch.megabytes[WARM]
    print(f"growth from epoch {WARM + 1} to {EPOCHS}: {growth:+.1f} MB")
    write_result("memory", {"megabytes": [round(value, 1) for value in watch.megabytes], "growth": round(growth, 1)})


if __name__ == "__main__":
    main()
