"""Small manifests for the checks: what a check needs, and nothing else."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from dfer.datasets import Manifest
from dfer.doctor import Case
from dfer.doctor.disk import OnDisk
from dfer.labels import DFEW, EmotionSet

THREE = EmotionSet("three", ("happy", "sad", "neutral"))


def toy(
    emotions: EmotionSet = THREE, *, root: Path = Path("/nowhere"), source: str = "", votes: Any = None, **columns: Any
) -> Manifest:
    """A manifest of as many clips as the columns are long: c0, c1, ..., happy where nothing else is said."""
    if votes is not None:
        columns |= {f"votes_{name}": np.asarray(votes)[:, k] for k, name in enumerate(emotions)}
    length = len(next(iter(columns.values())))
    names = [f"c{row}" for row in range(length)]
    table = pd.DataFrame({"id": names, "path": [f"{name}.mp4" for name in names], "kind": "video"} | columns)
    if "label" not in table and votes is None:
        table["label"] = emotions[0]
    left_out = {"no clip on disk": 3} if source == "lossy" else {}
    return Manifest.build(table, emotions=emotions, root=root, source=source, left_out=left_out)


def labelled(counts: list[int], emotions: EmotionSet = DFEW, **columns: Any) -> Manifest:
    """Clips with so many labels of each emotion."""
    return toy(emotions, label=np.repeat(list(emotions), counts), **columns)


def lying(manifest: Manifest, **clips: OnDisk) -> Case:
    """A case whose clips are all there, but for those given by id."""
    return Case(
        manifest,
        disk=[clips.get(name, OnDisk(sizes=1)) for name in manifest.table["id"]],
        copies=[-1] * len(manifest),
    )
