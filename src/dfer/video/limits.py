"""How large a picture may be, looked up in the head of a file before anything is decoded.

A file of some kilobytes can claim to be a picture of a gigapixel, which takes as many gigabytes when it is decoded. The
limit is for each frame as it is stored, and again as it is displayed.
"""

from __future__ import annotations

import io
import os
import re
import warnings
from pathlib import Path

from dfer.errors import DferError

VARIABLE = "DFER_MAX_MEGAPIXELS"
"""The variable of the environment that changes the limit."""
MEGAPIXELS = 100.0
"""A picture of so many takes 300 MB; 8K film has 33, a large camera 60."""
PNG = b"\x89PNG\r\n\x1a\n"
"""How a PNG begins; chunks follow."""
JPEG = b"\xff\xd8\xff"
"""How a JPEG begins; segments follow, of a marker and a length."""
FRAMES = {*range(0xC0, 0xD0)} - {0xC4, 0xC8, 0xCC}
"""Markers of the segment that holds height and width."""
LENGTHY = {*range(0xC0, 0xD0), *range(0xDB, 0xDE), *range(0xE0, 0xF0), 0xFE}
"""Markers of the segments that stand in front of it, and its own."""
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
    _require_pixels(width * height, f"{width} x {height}", source)


def _require_pixels(pixels: int, told: str, source: object) -> None:
    most = most_pixels()
    if pixels > most:
        raise DferError(
            f"{source}: a picture of {told or pixels} pixels; expected at most {most / 1e6:g} megapixels "
            f"({VARIABLE} changes this limit)"
        )


def require_decodable(data: bytes, source: object) -> tuple[int, int]:
    """Width and height of a picture; a file that would decode to more than the limit, or is no picture, is refused.

    Raises:
        DferError: as `require_size`; or Pillow finds no picture.
    """
    size = _jpeg_size(data)
    if size:
        require_size(*size, source)
        return size
    size = _checked(io.BytesIO(data), source)
    if not size or not _chunks_fit(data):
        raise DferError(f"{source}: not an image that can be decoded (damaged or another format)")
    return size


def _jpeg_size(data: bytes) -> tuple[int, int] | None:
    """Width and height by the head of a JPEG, faster than Pillow; None where it is not laid out as usual."""
    if not data.startswith(JPEG):
        return None
    place = 2
    while place + 9 <= len(data) and data[place] == 0xFF and data[place + 1] in LENGTHY:
        if data[place + 1] in FRAMES:
            height, width = (int.from_bytes(data[place + at : place + at + 2], "big") for at in (5, 7))
            return (width, height) if width and height else None
        place += 2 + int.from_bytes(data[place + 2 : place + 4], "big")
    return None


def _chunks_fit(data: bytes) -> bool:
    """Whether no chunk of a PNG claims to be longer than the file: OpenCV takes memory for all that a chunk claims."""
    place, kind = len(PNG), b""
    while data.startswith(PNG) and place < len(data) and kind != b"IEND":
        kind = data[place + 4 : place + 8]
        place += 12 + int.from_bytes(data[place : place + 4], "big")  # its length, its kind and its check sum
    return place <= len(data)


def refuse_large_picture(path: Path) -> None:
    """Refuse a file that is a picture of more than the limit; what is no picture is somebody else's to judge.

    Raises:
        DferError: as `require_size`.
    """
    _checked(path, path)


def _checked(file: Path | io.BytesIO, source: object) -> tuple[int, int] | None:
    """The size of the picture that Pillow finds, which is within the limit then; None: it finds none."""
    from PIL import Image

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of pictures that are large, and within our limit
            with Image.open(file) as image:
                width, height = image.size
    except Image.DecompressionBombError as error:  # Pillow has a limit of its own, and says the pixels in words only
        pixels = int(re.findall(r"\d+", str(error))[0])
        _require_pixels(pixels, "", source)
        return pixels, 1
    except Exception:  # Pillow's readers raise whatever a damaged head makes them raise
        return None
    require_size(width, height, source)
    return width, height
