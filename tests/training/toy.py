"""A toy data set for tests of training: bright, dark and striped clips with votes, as packed arrays."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
from safetensors.torch import load_file
from torch import Tensor, nn

from dfer.datasets import Manifest
from dfer.labels import EmotionSet
from dfer.training import Recipe, recipe_from

EMOTIONS = EmotionSet("toy", ("happy", "sad", "neutral"))


class Linear(nn.Module):
    """Of clips of 4 frames of 16 pixels; without batch norm, whose statistics are those of a process's share."""

    def __init__(self, num_classes: int, *, in_channels: int = 3) -> None:
        super().__init__()
        self.linear = nn.Linear(in_channels * 4 * 16 * 16, num_classes)

    def forward(self, clips: Tensor) -> Tensor:
        answer: Tensor = self.linear(clips.flatten(1))
        return answer


def toy_manifest(folder: Path, clips: int = 48, folds: int = 3) -> Path:
    """Write `clips` packed clips of 6 to 9 frames of 16 pixels and their manifest; returns the manifest's path."""
    generator = np.random.default_rng(0)
    frames = folder / "frames"
    frames.mkdir(parents=True)
    rows = []
    for index in range(clips):
        kind = index % 3
        length = 6 + index % 4
        picture = generator.integers(0, 90, (length, 16, 16, 3))
        picture += np.array([130, 0, 60])[kind]
        if kind == 2:
            picture[:, ::2] = 20
        np.save(frames / f"{index:03d}.npy", picture.clip(0, 255).astype(np.uint8))
        votes = generator.multinomial(10, np.full(3, 0.15) + 0.55 * np.eye(3)[kind])
        label = EMOTIONS.emotions[int(votes.argmax())] if votes.max() >= 6 else ""
        rows.append(
            {"id": f"{index:03d}", "path": f"frames/{index:03d}.npy", "kind": "array", "group": f"p{index // 3}",
             "fold": index // 3 % folds + 1, "label": label, "frames": length}
            | {f"votes_{name}": float(count) for name, count in zip(EMOTIONS, votes, strict=True)}
        )  # fmt: skip
    path = folder / "clips.csv"
    Manifest.build(pd.DataFrame(rows), emotions=EMOTIONS, root=folder, source="toy").write(path)
    return path


def toy_recipe(**sections: dict[str, object]) -> Recipe:
    """A recipe that uses every random part and takes seconds; `sections` replace keys of its tables."""
    values: dict[str, dict[str, object]] = {
        "data": {"validation": 0.2},
        "input": {"frames": 4, "size": 16},
        "augment": {"crop": [0.7, 1.0], "flip": 0.5, "colour": 0.2, "erase": 0.3, "motion_blur": 0.3},
        "midas": {"alpha": 0.8},
        "model": {"name": "tiny3d"},
        "optim": {"epochs": 3, "batch": 4, "lr": 1e-2, "ema": 0.5, "precision": "fp32"},
    }
    for name, keys in sections.items():
        values.setdefault(name, {}).update(keys)
    return recipe_from(values)


def weights(folder: Path) -> dict[str, Tensor]:
    """The trained weights of a fold's folder."""
    return load_file(folder / "model" / "model.safetensors")


QUICK = toy_recipe(optim={"epochs": 1, "batch": 8})
"""One epoch."""
