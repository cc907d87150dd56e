"""What decoding shows of each clip: whether it can be read, what it looks like, and whether there is a face in it.

Conventions: three frames stand for a clip, the middles of its thirds; where only readability is asked, the first frame
does. A perceptual hash is a difference hash of each of the three: the frame is shrunk to 9 x 9 grey pixels, and each
bit says whether a pixel is brighter than its neighbour to the left or above, 128 bits a frame. It does not see
brightness, contrast or size, and in front of one wall it sees little else than the wall: so each clip keeps a small
picture of the three frames, too, 16 x 16 grey pixels of mean 0 and standard deviation 1, to compare spot by spot.

References: difference hash as described by Krawetz, "Kind of like that", The Hacker Factor Blog, 2013.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Collection
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import cv2
import numpy as np
from numpy.typing import NDArray

from dfer.datasets import Manifest
from dfer.doctor.disk import Progress
from dfer.errors import DferError
from dfer.video.decoding import Film
from dfer.video.frames import open_clip
from dfer.video.sampling import uniform

if TYPE_CHECKING:
    from dfer.video.detection import Detector

Frames = NDArray[np.uint8]
Bits = NDArray[np.bool_]

LOOKS = ("decode", "near", "faces")
"""What one may ask for: one frame of each clip is decoded; near-duplicates are sought; faces are."""
FRAMES = 3
SIDE = 8
"""Of the hash: SIDE x SIDE bits for each of two directions."""
SMALL = 16
"""Pixels of a side of the small picture."""
PLAIN = 8
"""A frame whose grey levels span less than this, shrunk, is plain: its bits are noise."""
CROP = 112
"""Pixels to which a smaller picture is enlarged before faces are sought."""
BORDER = 0.25
"""Share of the side that is added around it: a detector misses faces that fill the picture."""


@dataclass(frozen=True)
class Look:
    """What one clip looks like.

    Attributes:
        fault: why it cannot be read, "" for nothing.
        frames: how many it has, 0 where only the first was decoded.
        bits: (384,) its hash; None where nobody asked, or the frames are plain.
        small: (768,) its small picture, where there is a hash.
        faces: how many of the three frames have a face.
    """

    fault: str = ""
    frames: int = 0
    bits: Bits | None = None
    small: NDArray[np.float16] | None = None
    faces: int = 0


@dataclass(frozen=True)
class Pictures:
    """What all N clips look like, and what was asked for, of `LOOKS`."""

    looks: tuple[Look, ...]
    asked: frozenset[str]

    def hashed(self) -> tuple[NDArray[np.int64], Bits, NDArray[np.float16]]:
        """Rows (M,) of the clips that have a hash, their bits (M, 384) and small pictures (M, 768)."""
        there = [(row, look.bits, look.small) for row, look in enumerate(self.looks)]
        kept = [(row, bits, small) for row, bits, small in there if bits is not None and small is not None]
        rows = np.array([row for row, _, _ in kept], dtype=np.int64)
        bits = np.array([bits for _, bits, _ in kept], dtype=np.bool_).reshape(len(kept), FRAMES * 2 * SIDE**2)
        small = np.array([small for _, _, small in kept], dtype=np.float16).reshape(len(kept), FRAMES * SMALL**2)
        return rows, bits, small


def view(
    manifest: Manifest, asked: Collection[str], *, detector: Detector | None = None, progress: Progress | None = None
) -> Pictures:
    """Decode all clips.

    Args:
        manifest: N clips.
        asked: of `LOOKS`.
        detector: finds faces, where they are asked for; None: `dfer.video.mtcnn.Mtcnn`.
        progress: called with the clips that are done and their number.

    Raises:
        DferError: something else is asked for, or there is no detector.
    """
    strange = set(asked) - set(LOOKS)
    if strange:
        raise DferError(f"expected to look at {', '.join(LOOKS)}; asked for {', '.join(sorted(strange))}")
    if "faces" in asked and detector is None:
        from dfer.video.mtcnn import Mtcnn

        detector = Mtcnn()
    count_faces = _counter(detector) if detector is not None and "faces" in asked else None
    jobs = [(manifest.resolve(path), kind) for path, kind in manifest.table[["path", "kind"]].itertuples(index=False)]
    looks = []
    # a detector's network is not to be shared by threads
    with ThreadPoolExecutor(1 if count_faces else os.cpu_count()) as pool:
        for look in pool.map(lambda job: look_at(job[0], job[1], asked, count_faces), jobs):
            looks.append(look)
            if progress is not None:
                progress(len(looks), len(jobs))
    return Pictures(tuple(looks), frozenset(asked))


def look_at(path: Path, kind: str, asked: Collection[str], count_faces: Callable[[Frames], int] | None = None) -> Look:
    """Decode one clip."""
    try:
        if set(asked) <= {"decode"}:
            first_frame(path, kind)
            return Look()
        clip = open_clip(path, kind)
        frames = clip.read(uniform(len(clip), FRAMES))
    except (DferError, cv2.error) as error:
        return Look(fault=str(error).removeprefix(f"{path}: "))
    bits = difference_hash(frames) if "near" in asked else None
    small = small_picture(frames) if bits is not None else None
    faces = count_faces(frames) if count_faces else 0
    return Look(frames=len(clip), bits=bits, small=small, faces=faces)


def first_frame(path: Path, kind: str) -> Frames:
    """(H, W, C) uint8; no more of a video is decoded.

    Raises:
        DferError: it cannot be read.
    """
    if kind == "video":
        shown = next(iter(Film(path)), None)
        if shown is None:
            raise DferError(f"{path}: the video has no frame")
        return shown.pixels
    return np.asarray(open_clip(path, kind).read(np.zeros(1, dtype=np.int64))[0])


def difference_hash(frames: Frames) -> Bits | None:
    """The bits of `FRAMES` frames (t, H, W, C), (t * 128,); None where they are all plain.

    >>> ramp = np.tile(np.arange(0, 180, 20, dtype=np.uint8), (9, 1))[None, :, :, None]
    >>> int(difference_hash(ramp).sum()), difference_hash(ramp // 100)
    (64, None)
    """
    bits, span = [], 0
    for frame in frames:
        small = _grey(frame, SIDE + 1).astype(np.int16)
        bits += [small[:SIDE, 1:] > small[:SIDE, :-1], small[1:, :SIDE] > small[:-1, :SIDE]]
        span = max(span, int(np.ptp(small)))
    return np.concatenate([part.ravel() for part in bits]) if span >= PLAIN else None


def small_picture(frames: Frames) -> NDArray[np.float16]:
    """The frames (t, H, W, C) as t * 256 grey pixels of mean 0 and standard deviation 1."""
    small = np.stack([_grey(frame, SMALL).astype(np.float32) for frame in frames])
    return np.asarray((small - small.mean()) / max(float(small.std()), 1.0), dtype=np.float16).ravel()


def _grey(frame: Frames, side: int) -> Frames:
    """(side, side) grey."""
    colour = frame.shape[2] == 3
    grey = cv2.cvtColor(np.ascontiguousarray(frame), cv2.COLOR_RGB2GRAY) if colour else frame[:, :, 0]
    return np.asarray(cv2.resize(grey, (side, side), interpolation=cv2.INTER_AREA), dtype=np.uint8)


def _counter(detector: Detector) -> Callable[[Frames], int]:
    """Counts the frames that have a face."""

    def count_faces(frames: Frames) -> int:
        return sum(bool(detector(_bordered(frame))) for frame in frames)

    return count_faces


def _bordered(frame: Frames) -> Frames:
    """(H, W, 3) of at least `CROP` pixels, with a border."""
    colour = np.ascontiguousarray(np.broadcast_to(frame, (*frame.shape[:2], 3)))
    scale = max(1.0, CROP / min(frame.shape[:2]))
    large = cv2.resize(colour, None, fx=scale, fy=scale, interpolation=cv2.INTER_LINEAR)
    border = round(BORDER * min(large.shape[:2]))
    return cv2.copyMakeBorder(large, border, border, border, border, cv2.BORDER_REPLICATE).astype(np.uint8, copy=False)
