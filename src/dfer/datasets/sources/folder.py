"""A folder per class: `happy/clip1.mp4`, or with splits above, `train/happy/clip1.mp4`.

A clip is a video file, a still image, a packed array (.npy) or a folder of frames, at any depth in the folder of its
class. Folders become emotions by name.
"""

from __future__ import annotations

import logging
from collections import Counter
from pathlib import Path

import pandas as pd

from dfer.datasets.manifest import Manifest
from dfer.datasets.sources.label_space import Vocabulary, known, parse_map
from dfer.errors import DferError
from dfer.video.folders import HIDDEN, KINDS, survey

logger = logging.getLogger(__name__)

EXPECTED = "a folder for each emotion, with videos, images or folders of frames in it"
SPLIT_NAMES = {
    **{"train": "train", "training": "train"},
    **{"val": "val", "valid": "val", "validation": "val", "dev": "val"},
    **{"test": "test", "testing": "test"},
}
"""Name of a folder, or in a table -> split of the manifest."""
OF_A_MAC = "__MACOSX"
"""A folder in archives of that system, with a file of its own for each of the others."""
BESIDE = "in no folder of an emotion"


def recognise(root: Path) -> bool:
    """Whether `root` has folders named after emotions."""
    return root.is_dir() and any(known(folder.name) for _, top in _tops(root) for folder in _folders(top))


def read(root: Path, *, emotions: str = "", map: str = "") -> Manifest:
    """Read a folder per class.

    Args:
        root: the folder.
        emotions: a known set ("dfew") or names in order ("happy,sad,bored"); by default those of the folders.
        map: what abbreviations stand for: "ntr=neutral,sup=surprise".

    Returns:
        A manifest with labels and no votes, with splits where there are folders train, val and test. What is no clip
        is left out and counted.

    Raises:
        DferError: a folder whose name is no emotion, or no clip at all.
    """
    if not root.is_dir():
        raise DferError(f"expected {EXPECTED}; got the file {root}")
    tops = _tops(root)
    classes = [(split, folder) for split, top in tops for folder in _folders(top)]
    if not classes:
        raise DferError(f"{root} has no folders: expected {EXPECTED}")
    words = Vocabulary(emotions, parse_map(map))
    chosen = words.space(sorted({folder.name for _, folder in classes}))
    rows, left_out = [], Counter[str]()
    for beside in _beside(root, tops):
        logger.warning("left out %s: %s", beside.relative_to(root).as_posix(), BESIDE)
        left_out[BESIDE] += 1
    for split, folder in classes:
        label = chosen.canonical(words.translate(folder.name))
        for found in survey(folder, stills=True):
            path = found.path.relative_to(root).as_posix()
            if found.kind:
                rows.append({"id": path, "path": path, "kind": found.kind, "split": split, "label": label})
                continue
            logger.warning("left out %s: %s", path, found.reason)
            left_out[found.reason] += found.reason != HIDDEN
    if not rows:
        raise DferError(f"no clip in the folders of {root}: expected {EXPECTED}")
    return Manifest.build(pd.DataFrame(rows), emotions=chosen, root=root, source="folder", left_out=+left_out)


def _folders(top: Path) -> list[Path]:
    return sorted(path for path in top.iterdir() if path.is_dir() and path.name[0] != "." and path.name != OF_A_MAC)


def _beside(root: Path, tops: list[tuple[str, Path]]) -> list[Path]:
    """Clips that are in no folder of a class: files beside these, and all that lies beside the folders of the parts."""
    above = {top for _, top in tops}
    files = [path for top in sorted(above | {root}) for path in sorted(top.iterdir()) if path.is_file()]
    loose = [path for path in files if path.suffix.lower() in KINDS and path.name[0] != "."]
    others = [] if root in above else [folder for folder in _folders(root) if folder not in above]
    return loose + [found.path for folder in others for found in survey(folder, stills=True) if found.kind]


def _tops(root: Path) -> list[tuple[str, Path]]:
    """The folders that hold the classes, with their split; the root itself where there are no splits."""
    splits = [(SPLIT_NAMES[path.name.lower()], path) for path in _folders(root) if path.name.lower() in SPLIT_NAMES]
    return splits or [("", root)]
