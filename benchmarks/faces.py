"""How fast are faces found, followed and cut out of a video, and does memory stay flat? On one core.

    python benchmarks/faces.py VIDEO [MINUTES]

VIDEO is brought to 640 x 360 at 30 frames a second and looped to MINUTES (1 by default; 60 shows that an hour needs no
more memory). Printed are the shares of decoding, detecting, and the rest (flow, matching, aligning, quality) of
processor time, the ratio to real time, and beside it the ratio with detection in every frame. Bound to hold: 3 x.
"""

from __future__ import annotations

import sys
import tempfile
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
import psutil
from results import write_result

from dfer.video import Face, TimedFrame, find_faces
from dfer.video.mtcnn import Mtcnn
from dfer.video.stream import stream

WIDTH, HEIGHT, FPS = 640, 360, 30


class TimedDetector:
    """The default detector, and the processor time that it takes."""

    def __init__(self) -> None:
        self.detector, self.seconds, self.calls = Mtcnn(), 0.0, 0

    def __call__(self, frame: np.ndarray) -> list[Face]:
        begin = time.process_time()
        faces = self.detector(frame)
        self.seconds, self.calls = self.seconds + time.process_time() - begin, self.calls + 1
        return faces


def shrink(source: Path, target: Path) -> None:
    """The video at 640 x 360, H.264."""
    with av.open(str(target), "w") as container:
        video = container.add_stream("libx264", rate=FPS)
        video.width, video.height, video.pix_fmt = WIDTH, HEIGHT, "yuv420p"
        for shown in stream(source):
            pixels = cv2.resize(shown.pixels, (WIDTH, HEIGHT), interpolation=cv2.INTER_AREA)
            container.mux(video.encode(av.VideoFrame.from_ndarray(pixels, format="rgb24")))
        container.mux(video.encode())


def looped(path: Path, frames: int, *, step_s: float = 1 / FPS) -> Iterator[TimedFrame]:
    """The frames of a video again and again, forwards in time."""
    count = 0
    while count < frames:
        for shown in stream(path):
            yield TimedFrame(count * step_s, shown.pixels)
            count += 1
            if count == frames:
                return


def processor_s(frames: Iterable[Any]) -> tuple[float, list[float]]:
    """Processor time to go through all, and the memory on the way, MB, every 300 frames."""
    memory, begin, process = [], time.process_time(), psutil.Process()
    for index, _ in enumerate(frames):
        if index % 300 == 299:
            memory.append(process.memory_info().rss / 2**20)
    return time.process_time() - begin, memory


def main() -> None:
    cv2.setNumThreads(1)
    seconds = 60 * float(sys.argv[2]) if len(sys.argv) > 2 else 60.0
    frames = round(seconds * FPS)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "video.mp4"
        shrink(Path(sys.argv[1]), path)
        decode_s, _ = processor_s(looped(path, frames))
        detector = TimedDetector()
        whole_s, memory = processor_s(find_faces(looped(path, frames), detector=detector))
        few = min(frames, 300)
        every_s, _ = processor_s(find_faces(looped(path, few, step_s=1.0)))
    shares = {"decode": decode_s, "detect": detector.seconds, "rest": whole_s - decode_s - detector.seconds}
    for name, taken in shares.items():
        print(f"{name:8} {taken:7.1f} s {taken / whole_s:6.0%}   {1000 * taken / frames:5.2f} ms a frame")
    print(f"{detector.calls} detections in {frames} frames, {1000 * detector.seconds / detector.calls:.1f} ms each")
    times_real = seconds / whole_s
    print(f"{times_real:.1f} x real time; detecting in every frame {few / FPS / every_s:.1f} x")
    growth = memory[-1] - memory[len(memory) // 10]
    print(f"memory {memory[-1]:.0f} MB, growth over the last nine tenths {growth:+.1f} MB")
    values = {"seconds": seconds, "shares_s": shares, "times_real": times_real, "detections": detector.calls}
    write_result("faces", values | {"every_frame": few / FPS / every_s, "memory_mb": memory[-1], "growth_mb": growth})


if __name__ == "__main__":
    main()
