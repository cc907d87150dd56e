"""How large a picture may be, looked up in the head of a file before anything is decoded.

A file of some kilobytes can claim to be a picture of a gigapixel, which takes as many gigabytes when it is decoded. The
limit is for each frame as it is stored, and again as it is displayed.
"""

from __future__ import annotations

import io
import os
import warnings
from pathlib import Path

from dfer.errors import DferError

VARIABLE = "DFER_MAX_MEGAPIXELS"
"""The variable of the environment that changes the limit."""
MEGAPIXELS = 100.0
"""A picture of so many takes 300 MB; 8K film has 33, a large camera 60."""
LARGEST_FILE = 512 * 2**20
"""Bytes of a file that holds one picture."""


def most_pixels() -> int:
    """The pixels that a picture or a frame may have."""
    said = os.environ.get(VARIABLE, "")
    try:
        megapixels = float(said) if said else MEGAPIXELS
        return int(megapixels * 1e6)
    except (ValueError, OverflowError):
        raise DferError(f"expected {VARIABLE} as a number of megapixels, got {said!r}") from None


def require_size(width: int, height: int, source: object) -> None:
    """Refuse a picture that is larger than the limit.

    Raises:
        DferError: names the source, its size and the limit.
    """
    most = most_pixels()
    if width * height > most:
        raise DferError(
            f"{source}: a picture of {width} x {height} pixels; expected at most {most / 1e6:g} megapixels "
            f"({VARIABLE} changes this limit)"
        )


def require_decodable(data: bytes, source: Path) -> None:
    """Refuse the contents of a picture's file that would decode to more than the limit, or are no picture.

    Raises:
        DferError: as `require_size`; or Pillow finds no picture.
    """
    if not _checked(io.BytesIO(data), source):
        raise DferError(f"{source}: not an image that can be decoded (damaged or another format)")


def refuse_large_picture(path: Path) -> None:
    """Refuse a file that is a picture of more than the limit; what is no picture is somebody else's to judge.

    Raises:
        DferError: as `require_size`.
    """
    _checked(path, path)


def _checked(file: Path | io.BytesIO, source: Path) -> bool:
    """Whether Pillow finds a picture, which is within the limit then."""
    from PIL import Image

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of pictures that are large, and within our limit
            with Image.open(file) as image:
                width, height = image.size
    except Image.DecompressionBombError as error:
        raise DferError(
            f"{source}: {error}; expected at most {most_pixels() / 1e6:g} megapixels ({VARIABLE} changes this limit)"
        ) from error
    except Exception:  # Pillow's readers raise whatever a damaged head makes them raise
        return False
    require_size(width, height, source)
    return True
