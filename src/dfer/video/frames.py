"""A clip as frames with their times, whatever it is on disk: video file, folder of frames, still image, packed array.

Conventions: frames are (n, H, W, 3) uint8 RGB (a packed grey array has one channel); times are seconds from the start
of the film, as a player shows them, never index / average frame rate.
"""

from __future__ import annotations

import os
import re
import zipfile
from functools import lru_cache
from pathlib import Path
from typing import Protocol

import cv2
import numpy as np
import numpy.typing as npt

from dfer.archives import open_archive, read_member
from dfer.arrays import open_array
from dfer.errors import DferError
from dfer.files import read_bytes
from dfer.shards import Jpegs
from dfer.video.decoding import Film
from dfer.video.jpegs import decode
from dfer.video.limits import JPEG, LARGEST_FILE, require_decodable
from dfer.video.listing import SUFFIXES as LISTS
from dfer.video.listing import find_list, is_list, lists_beside, times_by_number

Frames = npt.NDArray[np.uint8]
IMAGE_SUFFIXES = (".jpg", ".jpeg", ".png", ".bmp", ".webp", ".tif", ".tiff")
VIDEO_SUFFIXES = (
    *(".mp4", ".avi", ".mov", ".mkv", ".webm", ".flv", ".gif", ".m4v", ".mpg", ".mpeg", ".wmv", ".ts", ".mts", ".m2ts"),
    *(".3gp", ".3g2", ".ogv", ".ogg", ".vob", ".asf", ".mxf", ".f4v", ".divx", ".dv", ".mod", ".tod", ".m2t", ".mpe"),
    *(".m3u8", ".h264", ".264", ".hevc", ".h265", ".265", ".m1v", ".m2v", ".mpv", ".mjpeg", ".mjpg", ".ivf", ".nut"),
    *(".y4m", ".rm", ".rmvb", ".qt", ".apng", ".avif"),
)
"""Names that say that a file is a film. Files of other names are looked into."""
REDUCED = {
    1: 0, 2: cv2.IMREAD_REDUCED_GRAYSCALE_2, 4: cv2.IMREAD_REDUCED_GRAYSCALE_4, 8: cv2.IMREAD_REDUCED_GRAYSCALE_8,
}  # fmt: skip
"""Flags of OpenCV that reduce; with the flag for RGB they give colours, those named after colours give BGR."""
KEPT_BYTES = 256 * 2**20
"""A decoded video is kept in memory up to this size; a longer one is decoded again when frames are read."""


class Clip(Protocol):
    """What `open_clip` returns."""

    @property
    def times(self) -> npt.NDArray[np.float64]:
        """(T,) seconds, increasing; NaN where the source has no clock."""

    def __len__(self) -> int:
        """T, the number of frames."""

    def read(self, indices: npt.NDArray[np.int64], *, least: int | None = None) -> Frames:
        """The frames at `indices`, in any order and with repeats, (n, H, W, C) uint8.

        With `least`, they may come smaller than they are where that is faster, neither side below so many pixels.
        """


def files_read(source: Path) -> list[Path]:
    """The files that a source is read from: itself, or the pictures of a folder and lists of their times."""
    if not os.path.isdir(source):  # noqa: PTH112 - which knows that a name is too long or holds a null character
        return [source]
    try:
        inside = [path for path in source.iterdir() if path.is_file()]
    except OSError:  # it may not be read, which is told when it is
        return [source]
    pictures = [path for path in inside if path.suffix.lower() in IMAGE_SUFFIXES]
    texts = [path for path in inside if path.suffix.lower() in LISTS]
    texts += lists_beside(source)
    names = {path.name for path in pictures}
    return pictures + [path for path in texts if is_list(path, names)]


def open_clip(path: Path, kind: str, *, fps: float | None = None) -> Clip:
    """Open a clip.

    Args:
        path: a file or folder; an image may be a member of a zip archive, `faces.zip/dir/0001.png`.
        kind: "video", "frames" (a folder of images, read in natural order: 2.jpg before 10.jpg), "image" or "array"
            (a packed clip, (T, H, W, C) uint8, memory-mapped: a .npy file, or a place in a shard, `a.arrow#name`).
        fps: frames a second of sources without a clock; None leaves their times NaN.

    Raises:
        DferError: nothing there, nothing in it, damaged, or of another kind; the message names the file.
    """
    if kind == "video":
        return VideoClip(path)
    if kind == "frames":
        return FolderClip(path, fps)
    if kind == "image":
        return FolderClip(path, fps, (path,))
    if kind == "array":
        return ArrayClip(path, fps)
    raise DferError(f"{path}: expected the kind video, frames, image or array, got {kind!r}")


def images_in(folder: Path | str) -> list[os.DirEntry[str]]:
    """The images in a folder, the frames of a clip, in no order; hidden files are none."""
    with os.scandir(folder) as scan:
        return [entry for entry in scan if entry.name.lower().endswith(IMAGE_SUFFIXES) and entry.name[0] != "."]


def natural_key(name: str) -> list[tuple[int, int, str]]:
    """Sorts 2.jpg before 10.jpg."""
    parts = re.findall(r"\d+|\D+", name)
    return [(0, int(part), "") if part.isdecimal() else (1, 0, part.lower()) for part in parts]


def _clock(length: int, fps: float | None) -> npt.NDArray[np.float64]:
    return np.arange(length) / fps if fps else np.full(length, np.nan)


class FolderClip:
    """A folder of images, or one image.

    Its clock is a list beside the images (`dfer.video.listing`), else the numbers in their names and a rate.
    """

    def __init__(self, path: Path, fps: float | None, files: tuple[Path, ...] | None = None) -> None:
        self.path = path
        self.files = files or self._list()
        names = [file.name for file in self.files]
        self.listed = find_list(path, names) if files is None and fps is None else None
        if self.listed is not None:
            self.files = tuple(path / name for name in self.listed.names)
            self.times = self.listed.times
        else:
            self.times = times_by_number(names, fps) if fps else np.full(len(names), np.nan)

    def _list(self) -> tuple[Path, ...]:
        if not self.path.is_dir():
            raise DferError(
                f"{self.path}: expected a folder of frames, found {'a file' if self.path.exists() else 'nothing'}"
            )
        names = [entry.name for entry in images_in(self.path)]
        if not names:
            raise DferError(f"{self.path}: the folder holds no frame")
        return tuple(self.path / name for name in sorted(sorted(names), key=natural_key))

    def __len__(self) -> int:
        return len(self.files)

    def read(self, indices: npt.NDArray[np.int64], *, least: int | None = None) -> Frames:
        """See `Clip.read`; frames of one folder have one size."""
        images = {index: read_image(self.files[index], least=least) for index in dict.fromkeys(indices.tolist())}
        sizes = {image.shape for image in images.values()}
        if len(sizes) > 1:
            raise DferError(f"{self.path}: expected frames of one size, found {sorted(size[:2] for size in sizes)}")
        return np.stack([images[index] for index in indices.tolist()])


def read_image(path: Path, *, least: int | None = None) -> Frames:
    """One image as (H, W, 3) uint8 RGB; alpha is dropped, 16 bits become 8, grey becomes RGB.

    With `least`, a JPEG is decoded at a half, a quarter or an eighth of its size where neither side falls below that.
    """
    data = _bytes(path)
    side = min(require_decodable(data, path))
    scale = 1
    while least and scale < 8 and side >= 2 * scale * least and data.startswith(JPEG):
        scale *= 2
    try:
        image = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR_RGB | REDUCED[scale])
    except cv2.error:  # it is larger than OpenCV allows, say
        image = None
    if image is None:
        raise DferError(f"{path}: not an image that can be decoded (damaged or another format)")
    return image.astype(np.uint8, copy=False)


def _bytes(path: Path) -> bytes:
    archive = None
    if ".zip" in os.fspath(path).lower():
        archive = next((parent for parent in path.parents if parent.suffix.lower() == ".zip"), None)
    if archive is None:
        data = read_bytes(path, LARGEST_FILE)
    else:
        # Keyed by process: a forked worker must not share its parent's file position.
        data = read_member(_open_zip(archive, os.getpid()), path.relative_to(archive).as_posix(), largest=LARGEST_FILE)
    if not data:
        raise DferError(f"{path}: the file is empty")
    return data


@lru_cache(maxsize=8)
def _open_zip(path: Path, _process: int) -> zipfile.ZipFile:
    return open_archive(path)


class ArrayClip:
    """A packed clip, memory-mapped."""

    def __init__(self, path: Path, fps: float | None) -> None:
        self.array = open_array(path)
        self.times = _clock(len(self.array), fps)

    def __len__(self) -> int:
        return int(self.array.shape[0])

    def read(self, indices: npt.NDArray[np.int64], *, least: int | None = None) -> Frames:  # noqa: ARG002
        """See `Clip.read`."""
        return decode(self.array, indices) if isinstance(self.array, Jpegs) else np.asarray(self.array[indices])


class VideoClip:
    """A video file, decoded from its beginning: seeking is not exact in every format."""

    def __init__(self, path: Path) -> None:
        self.path = path
        kept: list[Frames] | None = []
        seconds: list[float] = []
        size = 0
        first: tuple[int, int] | None = None
        for shown in Film(path):
            first = first or shown.size
            if shown.size != first:
                told = f"found {first} and, in frame {len(seconds)}, another"
                raise DferError(f"{path}: expected frames of one size, {told}")
            seconds.append(shown.time_s)
            size += shown.pixels.nbytes
            kept = None if size > KEPT_BYTES else kept
            if kept is not None:
                kept.append(shown.pixels)
        if not seconds:
            raise DferError(f"{path}: the video has no frame")
        self.times = np.array(seconds)
        self._kept = kept

    def __len__(self) -> int:
        return len(self.times)

    def read(self, indices: npt.NDArray[np.int64], *, least: int | None = None) -> Frames:  # noqa: ARG002
        """See `Clip.read`."""
        if self._kept is not None:
            return np.stack([self._kept[index] for index in indices.tolist()])
        wanted = set(indices.tolist())
        found = {}
        for index, shown in enumerate(Film(self.path)):
            if index in wanted:
                found[index] = shown.pixels
            if index == max(wanted):
                break
        return np.stack([found[index] for index in indices.tolist()])
