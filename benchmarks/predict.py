"""How fast is a video read, what takes the time, and does memory stay flat? One face, all frames, torch and ONNX.

The bounds to hold on 2 cores for 640x360 at 25 to 30 frames a second: twice real time end to end, 1 GB, no growth over
a long video (`--minutes 60` makes an hour by looping), 3 s from the start of the process to the first result.

    python benchmarks/predict.py [VIDEO] [--model FOLDER] [--minutes 60]

Shares are of processor time, in passes of which each does one step more than the one before.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable
from pathlib import Path

import av
import psutil
from results import write_result

from dfer.errors import DferError
from dfer.inference import Predictor
from dfer.video.faces import open_faces
from dfer.video.stream import stream

ROOT = Path(__file__).resolve().parents[1]
CANDIDATES = (*sorted((ROOT / "examples").rglob("*.mp4")), ROOT.parent / "shared/data/videos/single_face.mp4")
FIRST_RESULT = """
import sys, dfer
print(next(dfer.Predictor.from_pretrained(sys.argv[1]).stream(sys.argv[2])).time_s)
"""


def looped(video: Path, seconds: float, path: Path) -> Path:
    """A long video: the packets of a short one again and again, nothing is encoded anew."""
    with av.open(str(path), "w") as out:
        with av.open(str(video)) as container:
            copy = out.add_stream_from_template(container.streams.video[0])
        begin = 0
        while True:
            with av.open(str(video)) as container:
                source = container.streams.video[0]
                packets = [packet for packet in container.demux(source) if packet.dts is not None]
                first = min(packet.dts for packet in packets)
                length = max(packet.dts + packet.duration for packet in packets) - first
                base = source.time_base
                for packet in packets:
                    packet.pts += begin - first
                    packet.dts += begin - first
                    packet.stream = copy
                    out.mux(packet)
                begin += length
                if begin * base > seconds:
                    return path


def spent(items: Callable[[], Iterable[object]]) -> tuple[float, float]:
    """Processor and wall time of going through all items, seconds."""
    processor, wall = time.process_time(), time.perf_counter()
    for _ in items():
        pass
    return time.process_time() - processor, time.perf_counter() - wall


def first_result(model: str, video: Path) -> float:
    begin = time.perf_counter()
    subprocess.run([sys.executable, "-c", FIRST_RESULT, model, str(video)], check=True, capture_output=True)
    return time.perf_counter() - begin


def shares(model: str, video: Path, runtime: str) -> dict[str, float]:
    predictor = Predictor.from_pretrained(model, runtime=runtime)
    seconds = predictor(video).duration_s
    decode, _ = spent(lambda: stream(video))
    faces, _ = spent(lambda: open_faces(video))
    whole, wall = spent(lambda: predictor.stream(video))
    parts = {"decode": decode, "detect, track": faces - decode, "classify": whole - faces}
    print(f"{runtime:6}  " + "  ".join(f"{name} {value / whole:4.0%}" for name, value in parts.items()), end="")
    print(f"   {seconds / wall:5.2f}x real time, {seconds / whole:5.2f}x by processor time of one core")
    rounded = {name: round(value / whole, 3) for name, value in parts.items()}
    return rounded | {"x_real_time": round(seconds / wall, 2), "x_processor_time": round(seconds / whole, 2)}


def memory(model: str, video: Path) -> list[float]:
    """Megabytes after each tenth of a video."""
    predictor, process, noted = Predictor.from_pretrained(model), psutil.Process(), []
    recording, begin = predictor.recording(video), time.perf_counter()
    for count, moment in enumerate(predictor.stream(video)):
        recording.add(moment)
        if count % 500 == 0:
            noted.append(process.memory_info().rss / 2**20)
            print(f"{moment.time_s:8.0f} s  {noted[-1]:7.1f} MB  {time.perf_counter() - begin:7.0f} s", flush=True)
    timeline = recording.timeline()
    noted.append(process.memory_info().rss / 2**20)
    print(f"timeline of {len(timeline.people)} people   {noted[-1]:7.1f} MB")
    return noted


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("video", nargs="?", type=Path, default=next((p for p in CANDIDATES if p.is_file()), None))
    parser.add_argument("--model", default="default")
    parser.add_argument("--minutes", type=float, default=3)
    given = parser.parse_args()
    if given.video is None:
        raise SystemExit("no video with a face here; name one")
    print(f"{given.video.name}, {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}")
    started = first_result(given.model, given.video)
    print(f"start of Python to first result {started:.2f} s")
    found = {}
    with tempfile.TemporaryDirectory() as temporary:
        short = looped(given.video, 10, Path(temporary) / "short.mp4")
        for runtime in ("torch", "onnx"):
            try:
                found[runtime] = shares(given.model, short, runtime)
            except DferError as error:
                print(f"{runtime}: {error}")
        noted = memory(given.model, looped(given.video, given.minutes * 60, Path(temporary) / "long.mp4"))
    warm = noted[len(noted) // 5]
    print(f"memory {noted[-1]:.0f} MB, {noted[-1] - warm:+.1f} MB since a fifth of {given.minutes:g} minutes")
    values = {"first_result_s": round(started, 2), "runtimes": found, "megabytes": [round(value) for value in noted]}
    write_result("predict", values | {"minutes": given.minutes, "load": round(os.getloadavg()[0], 1)})


if __name__ == "__main__":
    main()
