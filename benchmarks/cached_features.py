"""What do cached features of a frozen encoder save? Seconds an epoch with and without `init.cache`, in one run.

A frozen network of faces (`frame_encoder`, dlib's) on 8 frames of 112 x 112, and what stands behind it is trained; 199
clips to train on and 40 to validate. One thread; seconds are those of the processor, for reading, training, validation
and saving. The first epoch with a cache computes the features.

The bound to hold: later epochs are at least 10 times as fast.
"""

from __future__ import annotations

import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from results import write_result

from dfer.datasets import Manifest
from dfer.labels import EmotionSet
from dfer.training import Begun, Step, fit, recipe_from
from dfer.training.record import Epoch

CLIPS, FRAMES, SIZE = 240, 8, 112
EPOCHS = {0: 2, 1: 4}
"""With so many views in the cache -> how many epochs."""
EMOTIONS = EmotionSet("two", ("happy", "sad"))


class Clock:
    """Notes when each epoch ends."""

    def __init__(self) -> None:
        self.times: list[float] = []

    def begin(self, _: Begun) -> None:
        self.times.append(time.process_time())

    def step(self, _: Step) -> None:
        pass

    def epoch(self, _: Epoch) -> None:
        self.times.append(time.process_time())


def split(number: int) -> str:
    return "test" if not number else "train" if number % 6 else "val"


def noise(folder: Path) -> Manifest:
    """Packed clips of noise with votes."""
    generator, rows = np.random.default_rng(0), []
    for number in range(CLIPS):
        np.save(folder / f"{number}.npy", generator.integers(0, 256, (FRAMES, SIZE, SIZE, 3), np.uint8))
        rows.append(
            {"id": str(number), "path": f"{number}.npy", "kind": "array", "frames": FRAMES, "votes_happy": 7.0,
             "votes_sad": 3.0, "label": ("happy", "sad")[number % 2], "split": split(number)}
        )  # fmt: skip
    return Manifest.build(pd.DataFrame(rows), emotions=EMOTIONS, root=folder, source="noise")


def seconds(manifest: Manifest, folder: Path, *, temporal: str, views: int) -> list[float]:
    """Of each epoch."""
    clock = Clock()
    recipe = recipe_from({
        "input": {"frames": FRAMES, "size": SIZE}, "midas": {"alpha": 0.8},
        "model": {"name": "frame_encoder", "temporal": temporal}, "init": {"freeze": ["encoder"], "cache": views},
        "optim": {"epochs": EPOCHS[views], "batch": 8, "threads": 1, "precision": "fp32"},
    })  # fmt: skip
    fit(recipe, manifest, folder / f"{temporal}{views}", progress=clock)
    return np.diff(clock.times).tolist()


def main() -> None:
    found: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as name:
        manifest = noise(Path(name))
        for temporal in ("mean", "gru"):
            plain, (first, *later) = (seconds(manifest, Path(name), temporal=temporal, views=views) for views in EPOCHS)
            without, cached = statistics.median(plain), statistics.median(later)
            found[temporal] = {
                "without": round(without, 3), "first": round(first, 3), "later": round(cached, 3),
                "times_as_fast": round(without / cached, 1),
            }  # fmt: skip
            print(f"{temporal}: without a cache {without:.2f} s an epoch; with it {first:.2f} s, then {cached:.3f} s")
    clips = {"clips": CLIPS, "frames": FRAMES, "size": SIZE, "torch": torch.__version__}
    write_result("cached_features", clips | {"seconds_an_epoch": found})


if __name__ == "__main__":
    main()
