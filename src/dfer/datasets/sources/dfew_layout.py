"""What of DFEW is on disk, and where: layouts of the clips, the annotation, the lists of the folds.

Folder names vary in the wild (`train(single-labeled)`, `train(single_labeled)`, `Clip/Clip`, part folders), so files
are found by what they are called and hold, not by one fixed path.
"""

from __future__ import annotations

import logging
import os
import re
from collections.abc import Iterator
from pathlib import Path

from dfer.errors import DferError, listed
from dfer.video.frames import IMAGE_SUFFIXES, VIDEO_SUFFIXES

logger = logging.getLogger(__name__)

LAYOUTS = {
    "clip_224x224": ("clip_224x224", "jpg_256", "data"),
    "clip_224x224_16f": ("clip_224x224_16f", "clip_224x16f"),
    "clip_224x224_avi": ("clip_224x224_avi",),
    "original": ("original",),
}
"""Layout -> names of its folder; in the order in which "auto" takes them, faces before whole frames."""
DEPTH = 6


def _folders(root: Path, depth: int = DEPTH) -> Iterator[tuple[Path, list[str]]]:
    """Folders below root with the names of their files, not descending into folders of clips."""
    entries = list(os.scandir(root))
    yield root, [entry.name for entry in entries if not entry.is_dir()]
    for entry in sorted(entries, key=lambda entry: entry.name):
        if depth and entry.is_dir() and not _holds_clips(Path(entry.path)):
            yield from _folders(Path(entry.path), depth - 1)


def _holds_clips(folder: Path) -> bool:
    """A folder of a layout's name whose first entries are numbered clips (and not once more a folder of that name)."""
    if not any(folder.name.lower() in names for names in LAYOUTS.values()):
        return False
    with os.scandir(folder) as entries:
        first = [entry.name for entry, _ in zip(entries, range(20), strict=False)]
    return any(Path(name).stem.isdigit() for name in first)


def clip_files(root: Path, wanted: str) -> dict[int, tuple[str, str, int]]:
    """Clip number -> path relative to root, kind, number of frames (0 for a video: unknown)."""
    if wanted != "auto" and wanted not in LAYOUTS:
        raise DferError(f"expected clips to be auto or one of {', '.join(LAYOUTS)}, got {wanted}")
    places = [Path(entry.path) for folder, _ in _folders(root) for entry in os.scandir(folder) if entry.is_dir()]
    places = [place for place in places if _holds_clips(place)]
    found = {layout: [place for place in places if place.name.lower() in names] for layout, names in LAYOUTS.items()}
    layouts = [layout for layout, folders in found.items() if folders]
    if not layouts or (wanted != "auto" and wanted not in layouts):
        name = "a folder of clips" if wanted == "auto" else wanted
        raise DferError(f"expected {name} under {root}, found {listed(layouts) or 'none of ' + ', '.join(LAYOUTS)}")
    layout = layouts[0] if wanted == "auto" else wanted
    if wanted == "auto" and len(layouts) > 1:
        logger.info("taking the clips of %s; also there: %s", layout, listed(layouts[1:]))
    files: dict[int, tuple[str, str, int]] = {}
    for place in found[layout]:
        prefix = place.relative_to(root).as_posix()
        with os.scandir(place) as entries:
            for entry in entries:
                stem, _, suffix = entry.name.partition(".")
                if stem.isdigit() and f".{suffix.lower()}" in VIDEO_SUFFIXES:
                    files[int(stem)] = f"{prefix}/{entry.name}", "video", 0
                elif stem.isdigit() and entry.is_dir():
                    files[int(stem)] = f"{prefix}/{entry.name}", "frames", _count_frames(entry.path)
    return files


def _count_frames(folder: str) -> int:
    with os.scandir(folder) as entries:
        return sum(entry.name.lower().endswith(IMAGE_SUFFIXES) and entry.name[0] != "." for entry in entries)


def annotation_file(root: Path) -> Path | None:
    for folder, names in _folders(root):
        for name in sorted(names):
            if re.fullmatch(r"annotation\.(xlsx|csv)", name.lower()):
                return folder / name
    return None


def fold_lists(root: Path) -> dict[tuple[str, int], Path]:
    """("train" | "test", fold) -> its list."""
    lists = {}
    for folder, names in _folders(root):
        for name in names:
            number = re.fullmatch(r".*?(\d)\.csv", name.lower())
            part = re.search(r"train|test", name.lower()) or re.search(r"train|test", folder.name.lower())
            if number and part:
                lists[part.group(), int(number.group(1))] = folder / name
    return lists
