"""Clips and films as a browser plays them: as they are where it can, else as a small copy that is made once."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from dfer.errors import DferError
from dfer.files import replacing
from dfer.shards import holding_file
from dfer.video import open_clip
from dfer.video.browsers import played_type, small_copy
from dfer.video.decoding import length_s
from dfer.video.stream import FPS
from dfer.video.writing import Timed, write_video

PICTURES = {
    ".jpg": "image/jpeg",
    ".jpeg": "image/jpeg",
    ".png": "image/png",
    ".gif": "image/gif",
    ".webp": "image/webp",
}
LONGEST_COPY_S = 600.0
"""A longer film that browsers do not play is not copied."""
_copying = threading.Lock()


def playable(path: Path, kind: str, copy: Path, *, rotate: int = 0) -> tuple[Path, str]:
    """A file that browsers show, and its media type.

    Args:
        path: of the clip.
        kind: as in a Manifest.
        copy: where a copy is put where one is needed, .mp4.
        rotate: degrees by which pictures are turned clockwise.

    Raises:
        DferError: it is not there, cannot be read, or is too long to be copied.
    """
    file = holding_file(path)
    if not file.exists():
        raise DferError(f"the clip {path.name} is no longer there")
    known = PICTURES.get(path.suffix.lower()) if kind == "image" else played_type(path) if kind == "video" else None
    if known and not rotate:
        return path, known
    with _copying:  # one at a time: two raters who wait for one clip get one copy, and a core is left for votes
        if not copy.exists() or copy.stat().st_mtime < file.stat().st_mtime:
            _write_copy(path, kind, copy, rotate)
    return copy, "video/mp4"


def _write_copy(path: Path, kind: str, copy: Path, rotate: int) -> None:
    if kind == "array":
        with replacing(copy) as partial:
            write_video(partial, lambda: _packed(path))
        return
    if (length_s(path) or 0.0) > LONGEST_COPY_S:
        raise DferError(f"{path.name} is longer than {LONGEST_COPY_S:.0f} s and of a kind that browsers do not play")
    data = small_copy(path, LONGEST_COPY_S, fps=None if kind == "video" else FPS, rotate=rotate)
    with replacing(copy) as partial:
        partial.write_bytes(data)


def _packed(path: Path) -> Iterator[Timed]:
    """The frames of a packed clip, which has no clock."""
    clip = open_clip(path, "array")
    for index in range(len(clip)):
        frame = clip.read(np.array([index]))[0]
        colour = np.ascontiguousarray(np.broadcast_to(frame, (*frame.shape[:2], 3)))
        yield colour, index / FPS, (index + 1) / FPS
