"""What does a clip cost? Processor time of decoding, packing, reading and training, and the bytes that it takes.

One thread, in time of the processor, which other programs change little. A clip is 16 frames: a folder of JPEGs of
224 x 224 as DFEW has them, and the same frames as a film (H.264). Finding faces and reading films are measured by
`faces.py` and `predict.py`.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import av
import cv2
import numpy as np
import torch
from results import write_result
from torch.nn.functional import cross_entropy

from dfer.labels import DFEW
from dfer.models import create_model
from dfer.video.frames import open_clip
from dfer.video.preprocessing import resize_square

FRAMES, WIDE, SIZE, SECONDS = 16, 224, 112, 4.0


def draw_frames() -> list[np.ndarray]:
    """A picture with the detail of a face, that moves: smooth noise."""
    generator = np.random.default_rng(0)
    noise = cv2.GaussianBlur(generator.integers(0, 255, (WIDE + FRAMES, WIDE + FRAMES, 3), np.uint8), (0, 0), 3)
    picture = cv2.normalize(noise, None, 0, 255, cv2.NORM_MINMAX)
    return [np.ascontiguousarray(picture[frame : frame + WIDE, frame : frame + WIDE]) for frame in range(FRAMES)]


def write_film(path: Path, frames: list[np.ndarray]) -> None:
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=25)
        stream.width = stream.height = WIDE
        stream.pix_fmt = "yuv420p"
        for frame in frames:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(frame, format="rgb24")))
        container.mux(stream.encode())


def milliseconds(call: Callable[[], object]) -> float:
    """Of the processor for one call, the mean of some seconds."""
    call()
    count, begin, wall = 0, time.process_time(), time.monotonic()
    while time.monotonic() - wall < SECONDS:
        call()
        count += 1
    return round((time.process_time() - begin) / count * 1000, 3)


def train_step(name: str, batch: int) -> Callable[[], object]:
    """Forward, loss and backward of a batch in fp32."""
    torch.manual_seed(0)
    network = create_model(name, len(DFEW)).train()
    clips, targets = torch.rand(batch, 3, FRAMES, SIZE, SIZE), torch.full((batch, len(DFEW)), 1 / len(DFEW))
    return lambda: cross_entropy(network(clips), targets).backward()


def main() -> None:
    torch.set_num_threads(1)
    cv2.setNumThreads(1)
    frames = draw_frames()
    with tempfile.TemporaryDirectory() as temporary:
        folder, film, packed = Path(temporary) / "clip", Path(temporary) / "clip.mp4", Path(temporary) / "clip.npy"
        folder.mkdir()
        for number, frame in enumerate(frames):
            cv2.imwrite(str(folder / f"{number:02d}.jpg"), frame)
        write_film(film, frames)
        everything = np.arange(FRAMES)

        def read(path: Path, kind: str) -> np.ndarray:
            return open_clip(path, kind).read(everything)

        def pack() -> None:
            np.save(packed, resize_square(read(folder, "frames"), SIZE))

        cost = {
            "decode_jpeg_ms": milliseconds(lambda: read(folder, "frames")),
            "decode_film_ms": milliseconds(lambda: read(film, "video")),
            "pack_ms": milliseconds(pack),
            "read_packed_ms": milliseconds(lambda: read(packed, "array")),
            "train_tiny3d_ms": round(milliseconds(train_step("tiny3d", 4)) / 4, 3),
            "train_m3dfel_ms": round(milliseconds(train_step("m3dfel", 1)), 3),
            "jpeg_bytes": sum(path.stat().st_size for path in folder.iterdir()),
            "film_bytes": film.stat().st_size,
            "packed_bytes": packed.stat().st_size,
        }
    print(cost)
    write_result("scale_costs", {"frames": FRAMES, "size": SIZE} | cost)


if __name__ == "__main__":
    main()
