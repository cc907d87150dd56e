"""How long does `dfer prepare dfew` take on a tree as large as DFEW's? 16,000 clips, votes, five folds, no decoding.

The bound to hold: 20 s for 16,000 clips of 16 (empty) frames each. Beside it, side by side in one run, what just
walking that tree with `os.walk` costs: the floor for anything that looks at every folder.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import pandas as pd
from results import write_result

from dfer.labels import DFEW

CLIPS, FRAMES, FOLDS = 16_000, 16, 5


def make_tree(root: Path) -> None:
    """DFEW's layout, with empty frames."""
    generator = np.random.default_rng(0)
    votes = generator.multinomial(10, generator.dirichlet(np.full(7, 0.25), CLIPS))
    labels = np.where(votes.max(axis=1) >= 6, votes.argmax(axis=1) + 1, 0)
    numbers = np.arange(1, CLIPS + 1)
    table = pd.DataFrame(votes, columns=[f"{k}{name}" for k, name in enumerate(DFEW, 1)])
    (root / "Annotation").mkdir(parents=True)
    table.assign(order=numbers, label=labels).to_excel(root / "Annotation" / "annotation.xlsx", index=False)
    folds = generator.integers(1, FOLDS + 1, CLIPS)
    for fold in range(1, FOLDS + 1):
        for part, mine in (("train", folds != fold), ("test", folds == fold)):
            folder = root / "EmoLabel_DataSplit" / f"{part}(single-labeled)"
            folder.mkdir(parents=True, exist_ok=True)
            chosen = mine & (labels > 0)
            rows = pd.DataFrame({"video_name": numbers[chosen], "label": labels[chosen]})
            rows.to_csv(folder / f"set_{fold}.csv", index=False)
    clips = root / "Clip" / "clip_224x224"
    for number in numbers:
        folder = clips / f"{number:05d}"
        folder.mkdir(parents=True)
        for frame in range(1, FRAMES + 1):
            (folder / f"{number:05d}_{frame:05d}.jpg").touch()


def main() -> None:
    with tempfile.TemporaryDirectory() as temporary:
        root = Path(temporary) / "DFEW"
        make_tree(root)
        begin = time.perf_counter()
        files = sum(len(names) for _, _, names in os.walk(root))
        walked = time.perf_counter() - begin
        begin = time.perf_counter()
        command = [sys.executable, "-m", "dfer", "prepare", "dfew", str(root), "-o", str(Path(temporary) / "dfew.csv")]
        subprocess.run(command, check=True, capture_output=True)
        prepared = time.perf_counter() - begin
    print(f"os.walk over {files:,} files   {walked:6.1f} s")
    print(f"dfer prepare dfew           {prepared:6.1f} s   {prepared / walked:.1f} x the walk")
    seconds = {"os.walk": round(walked, 2), "dfer prepare": round(prepared, 2)}
    write_result("prepare", {"clips": CLIPS, "frames_a_clip": FRAMES, "seconds": seconds})


if __name__ == "__main__":
    main()
