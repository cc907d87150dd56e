"""What lies in folders: videos, pictures, folders of frames, packed arrays, and what is none of these, with the reason.

Names that are known say what a file is, so that 100,000 of them need not be opened; of all other names the contents say
it. Linked folders are entered, each folder once.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Collection, Iterator
from pathlib import Path
from typing import NamedTuple

from dfer.shards import place_in_shard
from dfer.video.decoding import is_picture, is_video
from dfer.video.frames import IMAGE_SUFFIXES, VIDEO_SUFFIXES, images_in, natural_key
from dfer.video.listing import find_list
from dfer.video.playlists import pieces

logger = logging.getLogger(__name__)

KINDS = dict.fromkeys(VIDEO_SUFFIXES, "video") | dict.fromkeys(IMAGE_SUFFIXES, "image") | {".npy": "array"}
"""Suffix of a file -> kind of clip."""
DOUBTFUL = (".ts", ".ogg", ".mod", ".rm")
"""Suffixes of films and of much else (TypeScript, music, modules): such files are looked into."""
DEEPEST = 50
"""How many folders deep it is looked."""
NEITHER, HIDDEN, NO_FILE = "neither video nor image", "hidden", "neither a file nor a folder"
EMPTY, ENTERED, PIECE = "folder without a frame", "folder that was entered before", "piece of a playlist"
FRAME_LIST = "list of the frames beside it"


class Found(NamedTuple):
    """Something in a folder: its path, its kind of clip, and why it is none ("" where it is one)."""

    path: Path
    kind: str
    reason: str = ""


def kind_of(path: Path) -> str:
    """The kind of clip that a path is, "" for none; a file need not exist to have one, it may be in an archive."""
    if path.is_dir():
        return "frames" if images_in(path) else ""
    if place_in_shard(path):
        return "array"
    suffix = path.suffix.lower()
    kind = KINDS.get(suffix, "")
    if not path.is_file() or (kind and kind != "image" and suffix not in DOUBTFUL):
        return kind
    if kind == "image":
        return "video" if _moves(path) else kind
    if is_video(path):
        return "video"
    return "image" if is_picture(path) else ""


def walk(
    root: Path, *, depth: int = DEEPEST, skip: Collection[Path] = (), crowd: int | None = None, everything: bool = False
) -> Iterator[tuple[Path, list[str], list[str]]]:
    """Folders with the names of the folders and of the files in them, in natural order.

    Args:
        root: where to begin.
        depth: how many folders deep to go.
        skip: folders that are not entered; who takes a name out of the list of folders leaves that one out, too.
        crowd: what is in a folder with more folders than this is passed over.
        everything: name also what is hidden, and, among the files, what is neither a file nor a folder.
    """
    yield from _walk(root, depth, (frozenset(skip), crowd, everything), {_identity(root)})


def _walk(
    root: Path, depth: int, choice: tuple[frozenset[Path], int | None, bool], entered: set[tuple[int, int]]
) -> Iterator[tuple[Path, list[str], list[str]]]:
    skip, crowd, everything = choice
    with os.scandir(root) as scan:
        shown = (entry for entry in scan if everything or entry.name[0] != ".")
        entries = sorted(shown, key=lambda entry: natural_key(entry.name))
    folders = [entry.name for entry in entries if _holds(entry.is_dir)]
    rest = [entry for entry in entries if not _holds(entry.is_dir)]
    yield root, folders, [entry.name for entry in rest if everything or _holds(entry.is_file)]
    if not depth or (crowd is not None and len(folders) > crowd):
        return
    for name in folders:
        path = root / name
        if path in skip or (identity := _identity(path)) in entered:
            continue
        entered.add(identity)
        if os.access(path, os.R_OK | os.X_OK):
            yield from _walk(path, depth - 1, choice, entered)
        else:
            logger.warning("left out %s: the folder may not be read", path)


def _holds(question: Callable[[], bool]) -> bool:
    """Whether something is so of an entry; not where a link leads to itself."""
    try:
        return question()
    except OSError:
        return False


def _identity(folder: Path) -> tuple[int, int]:
    """The same for all names of one folder."""
    status = folder.stat()
    return status.st_dev, status.st_ino


def survey(root: Path, *, stills: bool = False) -> Iterator[Found]:
    """Everything that lies under a folder, once: each file is a clip, part of one, or named with its reason.

    A folder with images and no video is a folder of frames; an image beside a video is a clip of its own, and so is the
    only one in `root`.

    Args:
        root: where to begin.
        stills: images that lie directly in `root` are clips of their own.
    """
    entered = {_identity(root)}
    for folder, folders, files in walk(root, everything=True):
        yield from _left_out(folder, folders, entered)
        yield from _sorted_out(folder, files, fewest=1 if folder != root else None if stills else 2)
        if not folders and not files and folder != root:
            yield Found(folder, "", EMPTY)


def _left_out(folder: Path, folders: list[str], entered: set[tuple[int, int]]) -> Iterator[Found]:
    """The folders in a folder that are not entered; they are taken out of the list."""
    for name in list(folders):
        identity = _identity(folder / name)
        reason = HIDDEN if name[0] == "." else ENTERED if identity in entered else ""
        if reason:
            folders.remove(name)
            yield Found(folder / name, "", reason)
        entered.add(identity)


def _sorted_out(folder: Path, names: list[str], *, fewest: int | None) -> Iterator[Found]:
    """What the files of one folder are; so many images, without a video, are the frames of one clip. None: never."""
    found: list[Found] = []
    for name in names:
        path = folder / name
        if name[0] == ".":
            found.append(Found(path, "", HIDDEN))
        elif not path.is_file():
            found.append(Found(path, "", NO_FILE))
        else:
            kind = kind_of(path)
            found.append(Found(path, kind, "" if kind else NEITHER))
    parts = {piece for one in found if one.path.suffix.lower() == ".m3u8" for piece in pieces(one.path)}
    found = [Found(one.path, "", PIECE) if one.path in parts else one for one in found]
    images = [one.path.name for one in found if one.kind == "image"]
    if fewest is None or len(images) < fewest or any(one.kind == "video" for one in found):
        yield from found
        return
    frames = find_list(folder, images)
    yield Found(folder, "frames")
    for one in found:
        if frames is not None and one.path == frames.path:
            yield Found(one.path, "", FRAME_LIST)
        elif one.kind != "image":
            yield one


def _moves(path: Path) -> bool:
    """Whether a file with an image's name is a film, by its first bytes where these say it."""
    with path.open("rb") as file:
        head = file.read(64)
    if head.startswith((b"\xff\xd8\xff", b"BM", b"II*\0", b"MM\0*")) or not head:
        return False
    if head.startswith(b"\x89PNG"):
        return b"acTL" in head  # an animated one says so before its first picture
    return is_video(path)
