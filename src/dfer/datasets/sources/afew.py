"""AFEW: clips of films, seven emotions, one label each, no votes; the challenge's data of EmotiW.

    Train/Angry/000149120.avi ...        773 clips; also Train_AFEW, or inside a folder AFEW
    Val/Angry/000227320.avi ...          383 clips
    Test/000009280.avi ...               653 clips, whose labels were never published: left out

Folders of face frames in place of the videos may have the names that published lists give them, set_label_id:
`train/Disgust/0_5_011756043` is clip 011756043 with label 5 in DFEW's order from 0, which must be its folder's.
Validation is what everybody tests on, so it is the test part here.

References: Dhall, Goecke, Lucey and Gedeon, "Collecting Large, Richly Annotated Facial-Expression Databases from
Movies", IEEE MultiMedia 2012.
"""

from __future__ import annotations

import logging
import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pandas as pd

from dfer.datasets.manifest import Manifest
from dfer.datasets.sources.list_files import part_words
from dfer.datasets.sources.on_disk import CROWD, Disk, clip_id
from dfer.errors import DferError, listed
from dfer.labels import DFEW, EmotionSet
from dfer.video.folders import walk

logger = logging.getLogger(__name__)

EXPECTED = "Train and Val with a folder for each emotion, such as Train/Angry/000149120.avi"
AFEW = EmotionSet("afew", DFEW.emotions)
"""Its folders are called by name; numbers in names of face clips count in this order, from 0."""
NAME = re.compile(r"(?:\d_(?P<label>[0-6])_)?(?P<number>\d{6,})")
"""A clip: nine digits, and before them, in names of face clips, its set and label."""
DEPTH = 3
"""How many folders deep the parts are searched."""
UNLABELLED = "clip of the test part, whose label is not published"
NO_FRAME = "folder without a frame"
NO_CLIP = "neither video nor folder of a clip"
NO_NAME = "clip whose name is none of AFEW's"


def recognise(root: Path) -> bool:
    """Whether `root` has parts with emotions in them, and clips with AFEW's names."""
    return root.is_dir() and any(
        NAME.fullmatch(clip_id(path.name)) for _, part in _parts(root) for _, path in _clips_of(part)
    )


def read(root: Path) -> Manifest:
    """Read AFEW.

    Args:
        root: the folder that holds Train and Val, at any depth.

    Returns:
        A manifest with splits: Train is train, Val is test; Val is val where Test has folders of emotions. Left out
        and counted: clips of a Test without them, folders without a frame, files that are no clip.

    Raises:
        DferError: a clip twice, such as a video and its faces, or one whose name contradicts its folder.
    """
    parts = _parts(root)
    left_out = Counter({UNLABELLED: sum(_without_label(part) for name, part in parts if name == "test")})
    rows = []
    for split, part in parts:
        disk = Disk(part)
        for emotion, path in _clips_of(part):
            clip = disk.find(path.relative_to(part).as_posix())
            found = NAME.fullmatch(clip_id(path.name))
            if found is None or clip is None or clip.frames == 0:
                reason = NO_CLIP if clip is None else NO_NAME if found is None else NO_FRAME
                logger.warning("left out %s: %s", path.relative_to(root), reason)
                left_out[reason] += 1
                continue
            _check_label(found["label"], emotion, path)
            own = {"id": f"{split}/{emotion}/{found['number']}", "split": split, "label": emotion}
            rows.append(own | clip._asdict() | {"path": path.relative_to(root).as_posix()})
    if not rows:
        raise DferError(f"no clip in the folders of {root}: expected {EXPECTED}")
    table = pd.DataFrame(rows)
    twice = table[table["id"].duplicated(keep=False)].sort_values("id", kind="stable")
    if len(twice):
        raise DferError(
            f"{twice['id'].nunique()} clips are there more than once, such as {listed(twice['path'][:2])}; give the "
            "folder of the videos or that of the faces"
        )
    return Manifest.build(_tested(table), emotions=AFEW, root=root, source="afew", left_out=+left_out)


def _parts(root: Path) -> list[tuple[str, Path]]:
    """The folders that are called after one part: train, val or test, and the folder."""
    found = []
    for folder, folders, _ in walk(root, depth=DEPTH, crowd=CROWD):
        spoken = set(part_words(folder.name).values())
        if folder != root and len(spoken) == 1:
            found.append((spoken.pop(), folder))
            if any(name in AFEW for name in folders):
                folders.clear()
    return found


def _clips_of(part: Path) -> Iterator[tuple[str, Path]]:
    """What lies in the folders of emotions of a part: emotion and path."""
    for folder in sorted(path for path in part.iterdir() if path.is_dir() and path.name in AFEW):
        for path in sorted(path for path in folder.iterdir() if path.name[0] != "."):
            yield AFEW.canonical(folder.name), path


def _without_label(part: Path) -> int:
    """How many clips lie in a part outside of folders of emotions."""
    return sum(bool(NAME.fullmatch(clip_id(path.name))) for path in part.iterdir())


def _check_label(label: str | None, emotion: str, path: Path) -> None:
    """Raises when the label in a clip's name is not its folder's."""
    if label is not None and AFEW[int(label)] != emotion:
        raise DferError(
            f"{path}: the folder says {emotion}, label {label} of the name {AFEW[int(label)]} (from 0: "
            f"{listed(AFEW, 7)}); is the clip in the wrong folder, or are the names of another order?"
        )


def _tested(rows: pd.DataFrame) -> pd.DataFrame:
    """With Val as the test part, where there is no other."""
    if (rows["split"] == "test").any() or not (rows["split"] == "val").any():
        return rows
    logger.warning("the test part has no labels: Val is the test part, validation is cut from Train")
    return rows.assign(split=rows["split"].replace("val", "test"))
