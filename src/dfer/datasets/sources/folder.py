"""A folder per class: `happy/clip1.mp4`, or with splits above, `train/happy/clip1.mp4`.

A clip is a video file, a still image, or a folder of frames. Class names are mapped to emotions by name.
"""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from dfer.datasets.manifest import SPLITS, Manifest
from dfer.errors import DferError, listed
from dfer.labels import KNOWN, EmotionSet, emotion_set
from dfer.video.frames import IMAGE_SUFFIXES, VIDEO_SUFFIXES, natural_key

EXPECTED = "a folder for each emotion with videos, images or folders of frames in it"
SPLIT_NAMES = {
    "train": "train",
    "training": "train",
    "val": "val",
    "valid": "val",
    "validation": "val",
    "test": "test",
}


def recognise(root: Path) -> bool:
    """Whether `root` has folders named after emotions."""
    return root.is_dir() and any(_known(folder.name) for top in _tops(root).values() for folder in _folders(top))


def read(root: Path, *, emotions: str = "") -> Manifest:
    """Read a folder per class.

    Args:
        root: the folder.
        emotions: a known set ("dfew") or names in order ("happy,sad,other"); by default the smallest known set that has
            all of the folders' names.

    Returns:
        A manifest with labels and no votes; with splits where there are folders train and test.
    """
    tops = _tops(root)
    names = sorted({folder.name for top in tops.values() for folder in _folders(top)})
    chosen = choose_emotions(emotions, names)
    rows = []
    for split, top in tops.items():
        for folder in _folders(top):
            label = chosen.canonical(folder.name)
            for clip in sorted(folder.iterdir(), key=lambda path: natural_key(path.name)):
                kind = kind_of(clip)
                if kind and clip.name[0] != ".":
                    path = clip.relative_to(root).as_posix()
                    rows.append({"id": path, "path": path, "kind": kind, "split": split, "label": label})
    if not rows:
        raise DferError(f"no clip in {root}: expected {EXPECTED}")
    return Manifest.build(pd.DataFrame(rows), emotions=chosen, root=root, source="folder")


def kind_of(path: Path) -> str:
    """The kind of clip that a path is, "" for none."""
    if path.is_dir():
        return "frames" if any(entry.suffix.lower() in IMAGE_SUFFIXES for entry in path.iterdir()) else ""
    suffix = path.suffix.lower()
    if suffix in VIDEO_SUFFIXES:
        return "video"
    return "image" if suffix in IMAGE_SUFFIXES else "array" if suffix == ".npy" else ""


def choose_emotions(wanted: str, names: list[str]) -> EmotionSet:
    """The set that is asked for, or the smallest known one that has all the names."""
    if wanted:
        parts = [part.strip() for part in wanted.split(",") if part.strip()]
        return emotion_set(wanted) if len(parts) == 1 else EmotionSet("own", tuple(parts))
    fitting = sorted((known for known in KNOWN.values() if all(name in known for name in names)), key=len)
    if not fitting:
        unknown = [name for name in names if not _known(name)]
        raise DferError(
            f"no known set of emotions has all of {listed(names, 12)}"
            + (f" ({listed(unknown)} unknown to all)" if unknown else "")
            + "; name them in order: --option emotions=happy,sad,..."
        )
    return fitting[0]


def _known(name: str) -> bool:
    return any(name in known for known in KNOWN.values())


def _folders(top: Path) -> list[Path]:
    return sorted(path for path in top.iterdir() if path.is_dir() and path.name[0] != ".")


def _tops(root: Path) -> dict[str, Path]:
    """Split -> the folder that holds the classes; "" where there are no splits."""
    splits = {SPLIT_NAMES[path.name.lower()]: path for path in _folders(root) if path.name.lower() in SPLIT_NAMES}
    return {name: splits[name] for name in SPLITS if name in splits} or {"": root}
