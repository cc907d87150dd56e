"""Anything that holds frames, as frames with their times: a path, a camera, bytes, or what a program has in memory.

A picture is (H, W, 3) or (3, H, W), RGB; one channel is grey, a fourth is alpha and dropped. Its values are uint8, or
floats from 0 to 1. It may be a NumPy array, a PIL image, a torch tensor, or what NumPy makes an array of; several are
an array with one more axis in front, a list, or an iterator, which may never end.
"""

from __future__ import annotations

import math
import os
import shutil
import tempfile
from collections.abc import Iterable, Iterator
from numbers import Integral
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from dfer.errors import DferError
from dfer.video.stream import FPS, Span, TimedFrame, live, require_rate, require_turn, stream, turn

Frames = npt.NDArray[np.uint8]
Source = Any
"""str | Path | int | bytes | file object | picture | array, list or iterator of pictures or `TimedFrame`s."""

CHANNELS = (1, 3, 4)
ROUNDING = 1e-3
"""A float that lies outside 0 to 1 by less than this was rounded, or interpolated."""
TAKEN = (
    "a path, the number of a camera, bytes or a file opened in binary mode, a picture (H, W, 3) or frames (T, H, W, 3) "
    "of uint8 or of floats from 0 to 1, or a list or an iterator of pictures"
)


def open_source(
    source: Source, *, span: Span | None = None, fps: float | None = None, times: Iterable[float] | None = None,
    rotate: int = 0,
) -> Iterator[TimedFrame]:  # fmt: skip
    """The frames of a source, one at a time.

    Args:
        source: see above and `Source`. Bytes and file objects hold a video or an image file.
        span: the part that is wanted; None: all of it.
        fps: frames a second, of sources without a clock; None: 25.
        times: of each frame, seconds, increasing, instead of a rate; for pictures in memory.
        rotate: turn the pictures clockwise by 0, 90, 180 or 270 degrees.

    Raises:
        DferError: at once or on the way: it is nothing that is taken, or cannot be read.
    """
    require_rate(fps)
    require_turn(rotate)
    if fps is not None and times is not None:
        raise DferError("expected fps or times, got both")
    on_disk = _on_disk(source)
    if on_disk is None:
        return turn(live(_timed(source, fps, times), span or Span()), rotate)
    if times is not None:
        raise DferError("times are for pictures in memory: a file has its own, and a folder of frames takes fps")
    if on_disk == "bytes":
        return _spooled(source, span, fps, rotate)
    return stream(on_disk, span=span, fps=fps, rotate=rotate)


def name_of(source: Source) -> str:
    """What a timeline calls a source: its path, or what it is."""
    if isinstance(source, Integral):
        return f"camera {source}"
    if isinstance(source, str | os.PathLike):
        return os.fspath(source)
    name = getattr(source, "name", None)
    return name if isinstance(name, str) and name else "bytes" if _on_disk(source) == "bytes" else "frames"


def is_live(source: Source) -> bool:
    """Whether the next frame may not be there yet: a camera, or an iterator that may wait for a picture."""
    on_disk = _on_disk(source)
    if on_disk is not None:
        return isinstance(on_disk, int)
    return not (hasattr(source, "ndim") or isinstance(source, list | tuple) or _is_image(source))


def _on_disk(source: Source) -> Path | int | str | None:
    """A path or a camera's number; "bytes" for a file's contents; None for pictures."""
    if isinstance(source, Integral) and not isinstance(source, bool | np.bool_):
        return int(source)
    if isinstance(source, str | os.PathLike):
        return Path(source)
    if isinstance(source, bytes | bytearray | memoryview) or hasattr(source, "read"):
        return "bytes"
    return None


def _spooled(source: Source, span: Span | None, fps: float | None, rotate: int) -> Iterator[TimedFrame]:
    """A file's contents, put into a file for the time that it is read: video wants to be jumped about in."""
    with tempfile.TemporaryDirectory(prefix="dfer-") as folder:
        path = Path(folder) / "video"
        with path.open("wb") as file:
            if hasattr(source, "read"):
                _copy(source, file)
            else:
                file.write(source)
        try:
            yield from stream(path, span=span, fps=fps, rotate=rotate)
        except DferError as error:
            raise DferError(str(error).replace(str(path), name_of(source))) from error


def _copy(source: Source, file: Any) -> None:
    try:
        shutil.copyfileobj(source, file)
    except TypeError as error:
        raise DferError(f"{name_of(source)}: expected a file opened in binary mode ('rb'), got text") from error


def _timed(source: Source, fps: float | None, times: Iterable[float] | None) -> Iterator[TimedFrame]:
    """Pictures with their times."""
    items, one = _items(source)
    given = None if times is None else iter(times)
    former = -math.inf
    for index, item in enumerate(items):
        if isinstance(item, TimedFrame):
            time_s, pixels = float(item.time_s), item.pixels
        else:
            time_s, pixels = _time(index, fps, given), item
        if not former < time_s < math.inf:
            raise DferError(f"expected times that increase, got {time_s} s for frame {index} after {former} s")
        former = time_s
        # A program may put its next frame where this one was.
        yield TimedFrame(time_s, picture(pixels, "the picture" if one else f"frame {index}").copy())


def _time(index: int, fps: float | None, given: Iterator[float] | None) -> float:
    if given is None:
        return index / (fps or FPS)
    time_s = next(given, None)
    if time_s is None:
        raise DferError(f"expected a time for every frame, got {index} times for more frames")
    return float(time_s)


def _items(source: Source) -> tuple[Iterable[Any], bool]:
    """The pictures of a source, and whether it is a single one."""
    if isinstance(source, TimedFrame) or _is_image(source):
        return [source], True
    if hasattr(source, "ndim"):
        shape = tuple(source.shape)
        if len(shape) == 4:
            return source, False
        if len(shape) == 2 or (len(shape) == 3 and (shape[0] in CHANNELS or shape[-1] in CHANNELS)):
            return [source], True
        raise DferError(f"expected a picture (H, W, 3) or frames (T, H, W, 3 or 1), got an array {shape}")
    if isinstance(source, dict | set | bool) or not isinstance(source, Iterable):
        raise DferError(f"expected {TAKEN}, got {type(source).__name__}")
    return source, False


def _is_image(item: Any) -> bool:
    """Whether it is a PIL image."""
    return hasattr(item, "convert") and hasattr(item, "getbands")


def picture(item: Any, what: str) -> Frames:
    """A picture as (H, W, 3) uint8 RGB.

    Args:
        item: see above.
        what: it is called in messages.

    Raises:
        DferError: another shape, other numbers, or no picture at all.
    """
    array = _array(item, what)
    if array.ndim == 2:
        array = array[..., None]
    first = (
        array.ndim == 3 and array.shape[0] in CHANNELS and (hasattr(item, "detach") or array.shape[2] not in CHANNELS)
    )
    if first:
        array = array.transpose(1, 2, 0)
    if array.ndim != 3 or array.shape[2] not in CHANNELS or not array.size:
        raise DferError(f"{what}: expected (H, W, 3), (H, W) or (3, H, W), got {array.shape}")
    values = _bytes(array[..., :3], what)
    return np.ascontiguousarray(np.broadcast_to(values, (*values.shape[:2], 3)))


def _array(item: Any, what: str) -> npt.NDArray[Any]:
    """NumPy's array of a picture."""
    if _is_image(item):
        return np.asarray(item.convert("RGB"))
    if hasattr(item, "detach"):  # torch's, on any device, half precision included
        tensor = item.detach().cpu()
        return np.asarray(tensor.float() if tensor.is_floating_point() else tensor)
    if isinstance(item, str | bytes | os.PathLike | dict) or not (
        hasattr(item, "__array__") or hasattr(item, "__array_interface__")
    ):
        raise DferError(f"{what}: expected a picture (NumPy, PIL or torch), got {type(item).__name__}")
    return np.asarray(item)


def _bytes(array: npt.NDArray[Any], what: str) -> Frames:
    """Values as uint8."""
    if array.dtype == np.uint8:
        return np.asarray(array, np.uint8)
    if not np.issubdtype(array.dtype, np.floating):
        raise DferError(f"{what}: expected uint8, or floats from 0 to 1, got {array.dtype}")
    low, high = float(array.min()), float(array.max())
    if not (low >= -ROUNDING and high <= 1 + ROUNDING):
        raise DferError(f"{what}: expected floats from 0 to 1, got {low:g} to {high:g}; give uint8 for 0 to 255")
    return np.asarray(np.rint(np.clip(array, 0, 1) * 255), np.uint8)
