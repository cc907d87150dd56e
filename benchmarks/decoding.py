"""How fast is a film read, beside other decoders and beside decoding alone, and do they give the same frames?

The faces of examples/, in H.264 at three sizes. Every frame becomes an array in RGB; ours comes with its time and as a
player shows it. PyAV's own `to_ndarray` makes a converter of colours for each frame. torchcodec is measured where it is
installed and loads. Processor time, one thread, the smallest of some rounds.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
from faces import looped
from predict import CLIP
from results import write_result

from dfer.video.decoding import Film

SIZES = ((112, 112), (640, 360), (1920, 1080))
FRAMES, ROUNDS = 90, 5


def write_film(path: Path, size: tuple[int, int]) -> Path:
    """The faces again and again, H.264."""
    with av.open(str(path), "w") as container:
        video = container.add_stream("libx264", rate=30)
        video.width, video.height, video.pix_fmt = *size, "yuv420p"
        for shown in looped(CLIP, FRAMES):
            pixels = cv2.resize(shown.pixels, size, interpolation=cv2.INTER_AREA)
            container.mux(video.encode(av.VideoFrame.from_ndarray(pixels, format="rgb24")))
        container.mux(video.encode())
    return path


def ours(path: Path) -> Iterator[Any]:
    return (frame.pixels for frame in Film(path))


def decoded(path: Path) -> Iterator[Any]:
    with av.open(str(path)) as container:
        yield from container.decode(video=0)


def plain(path: Path) -> Iterator[Any]:
    return (frame.to_ndarray(format="rgb24") for frame in decoded(path))


def opencv(path: Path) -> Iterator[Any]:
    film = cv2.VideoCapture(str(path))
    while True:
        given, picture = film.read()
        if not given:
            return
        yield cv2.cvtColor(picture, cv2.COLOR_BGR2RGB)


def torchcodec(path: Path) -> Iterator[Any]:
    from torchcodec.decoders import VideoDecoder

    return (frame.numpy() for frame in VideoDecoder(str(path), dimension_order="NHWC"))


WAYS: dict[str, Callable[[Path], Iterator[Any]]] = {
    "dfer": ours, "PyAV, frame.to_ndarray": plain, "OpenCV": opencv, "torchcodec": torchcodec,
    "PyAV, decoding alone": decoded,
}  # fmt: skip


def milliseconds(way: Callable[[Path], Iterator[Any]], path: Path) -> float:
    """Of the processor, a frame."""
    begin = time.process_time()
    count = sum(1 for _ in way(path))
    return 1000 * (time.process_time() - begin) / count


def known(path: Path) -> dict[str, Callable[[Path], Iterator[Any]]]:
    """The ways in which a film can be read here."""
    try:
        next(torchcodec(path))
    except Exception as error:  # it is not installed, or its libraries do not load
        print(f"torchcodec is left out: {error!r:.200}")
        return {name: way for name, way in WAYS.items() if way is not torchcodec}
    return WAYS


def difference(one: Callable[[Path], Iterator[Any]], path: Path) -> int:
    """The largest difference of a pixel from ours, grey levels."""
    pairs = zip(ours(path), one(path), strict=True)
    return max(int(np.abs(left.astype(np.int16) - right).max()) for left, right in pairs)


def measured(path: Path, ways: dict[str, Callable[[Path], Iterator[Any]]]) -> dict[str, Any]:
    rounds = [{name: milliseconds(way, path) for name, way in ways.items()} for _ in range(ROUNDS)]
    spent = {name: min(each[name] for each in rounds) for name in ways}
    return {
        "milliseconds_a_frame": {name: round(value, 3) for name, value in spent.items()},
        "times_as_fast_as_opencv": {name: round(spent["OpenCV"] / value, 2) for name, value in spent.items()},
        "largest_difference": {name: difference(way, path) for name, way in ways.items() if way not in (ours, decoded)},
    }


def main() -> None:
    cv2.setNumThreads(1)
    with tempfile.TemporaryDirectory() as folder:
        films = {f"{width} x {height}": write_film(Path(folder) / f"{width}.mp4", (width, height))
                 for width, height in SIZES}  # fmt: skip
        ways = known(next(iter(films.values())))
        found = {name: measured(path, ways) for name, path in films.items()}
    for name, values in found.items():
        print(name, values)
    write_result("decoding", {"frames": FRAMES, "films": found})


if __name__ == "__main__":
    main()
