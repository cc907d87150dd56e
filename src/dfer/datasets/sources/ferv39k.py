"""FERV39k: 38,935 clips in 22 scenes, seven emotions, one label each, no votes.

    2_ClipsforFaceCrop/Action/Happy/0267/*.jpg          Scene/Emotion/clip; clips are numbered anew in every folder
    4_setups/All_scenes/train_All.csv, test_All.csv     `Action/Happy/0267 Happy`, no header
    4_setups/22_scenes/...                              further set-ups; each folder, or pair of lists in it, is one

Lists of other projects are read too (S2D's `path,id` with numbers), in the place of the official ones: the emotion in
the path is the truth, and a label must agree with it, a number as the same number for the same emotion throughout.

References: Wang et al., "FERV39k: A Large-Scale Multi-Scene Dataset for Facial Expression Recognition in Videos",
CVPR 2022.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator
from pathlib import Path

import pandas as pd

from dfer.datasets.manifest import Manifest
from dfer.datasets.published import PUBLISHED
from dfer.datasets.sources.label_orders import name_labels
from dfer.datasets.sources.list_files import ListFile, find_lists, part_words, read_list
from dfer.datasets.sources.list_parts import settle_parts
from dfer.datasets.sources.on_disk import CROWD, NOWHERE, ClipOnDisk, Disk, clip_id, clip_key, keep_found
from dfer.errors import DferError, listed, not_known
from dfer.labels import FERV39K
from dfer.video.folders import walk

logger = logging.getLogger(__name__)

EXPECTED = "2_ClipsforFaceCrop/Scene/Emotion/clip and 4_setups/All_scenes/train_All.csv and test_All.csv"
SCENES = tuple(PUBLISHED["ferv39k"].per_scene)
SETUPS = "4_setups"
DEFAULT_SETUP = "All_scenes"
FACES = "face"
"""What the name of the folder of face clips has in it, unlike that of whole pictures."""
DEPTH = 4
"""How many folders deep the clips are searched."""


def recognise(root: Path) -> bool:
    """Whether `root` looks like FERV39k."""
    return root.is_dir() and any(_clip_folders(root))


def read(root: Path, *, setup: str = "", clips: str = "") -> Manifest:
    """Read FERV39k.

    Args:
        root: the folder that holds the clips and the lists, at any depth.
        setup: which lists: a set-up by its path below 4_setups or a part of it, such as "22_scenes/Action"; a folder
            of several means all of them together. By default All_scenes, or the only one there is.
        clips: a part of the name of the folder of clips, where there are several; by default "face".

    Returns:
        A manifest with splits and a column `scene`. Left out and counted: clips of the lists that are not on disk,
        folders without a frame, clips on disk that the lists do not name, second copies of a clip.

    Raises:
        DferError: no such set-up, lists that overlap, or labels that contradict the emotions in their paths.
    """
    found = _clip_folders(root)
    files = _choose_setup(_setups(root, found), setup)
    rows = pd.concat([_read(file) for file in files], ignore_index=True)
    labels, _ = name_labels(rows)
    rows, doubles = settle_parts(rows.assign(label=labels.map(FERV39K.canonical)))
    rows = rows.rename(columns={"part": "split"}).reset_index(drop=True)
    places, unlisted = _locate(rows["id"].tolist(), _choose_clips(found, clips), root)
    table, missing = keep_found(rows.join(places), root, "unpack them there")
    left_out = {reason: count for reason, count in (missing | unlisted | doubles).items() if count}
    table = table.drop(columns=["clip", "fold"])
    return Manifest.build(table, emotions=FERV39K, root=root, source="ferv39k", left_out=left_out)


def _clip_folders(root: Path) -> list[Path]:
    """The folders that hold scenes with emotions in them (a set-up has scenes too, with lists in them)."""
    found = []
    for folder, folders, _ in walk(root, depth=DEPTH, crowd=CROWD):
        scenes = (folder / name for name in folders if name in SCENES)
        if any(entry.is_dir() and entry.name in FERV39K for scene in scenes for entry in scene.iterdir()):
            found.append(folder)
            folders.clear()  # what is in it is not walked through
    return found


def _choose_clips(found: list[Path], wanted: str) -> list[Path]:
    """The folders of clips to take; archives in parts unpack to several."""
    several = len({folder.name for folder in found}) > 1
    fitting = [folder for folder in found if (wanted or FACES).lower() in folder.name.lower()]
    fitting = fitting if wanted or several else found
    if not fitting:
        names = listed(dict.fromkeys(folder.name for folder in found))
        raise DferError(f"expected a folder of clips '{wanted or FACES}', found {names}; say which: -O clips=NAME")
    return fitting


def _setups(root: Path, clips: list[Path]) -> dict[str, list[ListFile]]:
    """Set-up -> its lists: those of a folder, or of a name in it where a folder has several pairs."""
    folders: dict[str, dict[str, list[ListFile]]] = {}
    for file in find_lists(root, skip=clips):
        parts = file.path.relative_to(root).parent.parts
        below = parts[parts.index(SETUPS) + 1 :] if SETUPS in parts else parts
        folder = "/".join(part for part in below if not part_words(part)) or "."
        rest = re.sub("|".join(part_words(file.path.stem)) or "$", "", file.path.stem).strip("_- ")
        folders.setdefault(folder, {}).setdefault(rest, []).append(file)
    return {
        f"{folder}/{rest}" if len(pairs) > 1 else folder: files
        for folder, pairs in folders.items()
        for rest, files in pairs.items()
    }


def _choose_setup(setups: dict[str, list[ListFile]], wanted: str) -> list[ListFile]:
    """The lists of the set-up that is wanted."""
    name = (wanted or (DEFAULT_SETUP if len(setups) > 1 else next(iter(setups), ""))).lower().strip("/")
    files = [file for key, own in setups.items() if f"/{name}/" in f"/{key.lower()}/" for file in own]
    if not files:
        raise not_known("-O setup=NAME: no lists of", wanted or DEFAULT_SETUP, setups)
    return files


def _read(file: ListFile) -> pd.DataFrame:
    """The rows of a list: columns clip, label, part, fold, id (Scene/Emotion/clip) and scene."""
    rows = read_list(file.path)
    parts = rows["clip"].str.replace("\\", "/", regex=False).str.strip("/").str.split("/").str[-3:]
    wrong = [not (len(row) == 3 and row[0] in SCENES and row[1] in FERV39K) for row in parts]
    if any(wrong):
        raise DferError(
            f"{file.path}: expected clips as Scene/Emotion/number, for the numbers repeat; in {sum(wrong)} of "
            f"{len(rows)} lines found {listed(rows['clip'][wrong])}"
        )
    ids = parts.str.join("/").map(clip_id)
    return rows.assign(part=file.part, fold=None, id=ids, clip=ids, scene=parts.str[0])


def _locate(ids: list[str], folders: list[Path], root: Path) -> tuple[pd.DataFrame, dict[str, int]]:
    """Columns path, kind and frames of each clip; reason -> how many clips on disk are not taken."""
    there: dict[str, tuple[Disk, str]] = {}
    copies = 0
    for folder in folders:
        disk = Disk(folder)
        for name in _clips_in(disk):
            copies += _key(name) in there
            there.setdefault(_key(name), (disk, name))
    rows = [_place(*there[_key(name)], root) if _key(name) in there else NOWHERE for name in ids]
    listed_keys = {_key(name) for name in ids}
    unlisted = [name for key, (_, name) in there.items() if key not in listed_keys]
    if unlisted:
        logger.warning("left out %d clips on disk that the lists do not name: %s", len(unlisted), listed(unlisted))
    return pd.DataFrame(rows, columns=list(ClipOnDisk._fields)), {
        "clip on disk that the lists do not name": len(unlisted),
        "second copy of a clip": copies,
    }


def _clips_in(disk: Disk) -> Iterator[str]:
    """What lies in the folders of emotions, as Scene/Emotion/name, a name for each clip."""
    for scene in SCENES:
        for emotion in (name for names in disk.names(scene).values() for name in names if name in FERV39K):
            clips = disk.names(f"{scene}/{emotion}").items()
            yield from (f"{scene}/{emotion}/{names[0]}" for key, names in clips if "." not in key)


def _key(name: str) -> str:
    """What a clip is known by in lists and on disk."""
    folder, _, last = name.rpartition("/")
    return f"{folder}/{clip_key(last)}"


def _place(disk: Disk, name: str, root: Path) -> ClipOnDisk:
    """A clip on disk, relative to the root."""
    clip = disk.find(name) or NOWHERE
    return clip._replace(path=(disk.root / clip.path).relative_to(root).as_posix())
