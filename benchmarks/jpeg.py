"""What do packed clips gain and lose as JPEGs? Size, time to read and to write, and how near the pixels stay.

Real faces: those of the two films in examples/, cut to 112 x 112, 16 frames a clip, in colour and grey, in shards as
`dfer prepare --jpeg` writes them. A clip is read when its frames are an array in memory. Processor time, one thread.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt
from predict import CLIP
from results import write_result

from dfer.datasets.face_clips import main_face
from dfer.shards import shard_writer
from dfer.video import open_clip
from dfer.video.jpegs import encode
from dfer.video.mtcnn import Mtcnn
from dfer.video.preprocessing import resize_square

FRAMES, SIZE = 16, 112
QUALITIES = (0, 75, 85, 90, 95, 98)
"""0 keeps the pixels."""
COPIES, ROUNDS = 20, 5
"""How often each clip lies in a shard; how often all are read."""
Frames = npt.NDArray[np.uint8]


def spent(work: Callable[[], object]) -> float:
    """Milliseconds of the processor."""
    begin = time.process_time()
    work()
    return 1000 * (time.process_time() - begin)


def write(path: Path, clips: list[Frames], quality: int) -> None:
    with shard_writer(path, jpeg=quality) as add:
        for number, clip in enumerate(clips):
            add(str(number), str(number), encode(clip, quality) if quality else clip, 0)


def measured(clips: list[Frames], quality: int, folder: Path) -> dict[str, float | None]:
    path, count, wanted = folder / "shard-00000.arrow", len(clips), np.arange(FRAMES)
    written = spent(lambda: write(path, clips, quality))
    opened = [open_clip(path.with_name(f"{path.name}#{number}"), "array") for number in range(count)]
    spent(lambda: [clip.read(wanted) for clip in opened])  # the checksums
    read = min(spent(lambda: [clip.read(wanted) for clip in opened]) for _ in range(ROUNDS))
    error = np.mean([np.square(one.read(wanted) - clip.astype(float)) for one, clip in zip(opened, clips, strict=True)])
    return {
        "KB a clip": round(path.stat().st_size / count / 1000, 1), "ms to write": round(written / count, 2),
        "ms to read": round(read / count, 3),
        "PSNR, dB": round(float(10 * np.log10(255**2 / error)), 1) if error else None,
    }  # fmt: skip


def main() -> None:
    cv2.setNumThreads(1)
    faces = [main_face(path, "video", size=SIZE, detector=Mtcnn()) for path in sorted(CLIP.parent.glob("*.flv"))]
    clips = [face[np.linspace(0, len(face) - 1, FRAMES).astype(int)] for face in faces]
    rows = {}
    for colours, of_colours in (("colour", clips), ("grey", [resize_square(clip, SIZE, grey=True) for clip in clips])):
        for quality in QUALITIES:
            with tempfile.TemporaryDirectory() as folder:
                name = f"{colours}, {f'JPEG {quality}' if quality else 'pixels'}"
                rows[name] = measured(of_colours * COPIES, quality, Path(folder))
                print(f"{name:18}", rows[name], flush=True)
    write_result("jpeg", {"frames": FRAMES, "size": SIZE, "ways": rows})


if __name__ == "__main__":
    main()
