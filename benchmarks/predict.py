"""How fast is a video read, what takes the time, and does memory stay flat? One face and many, torch and ONNX.

The bounds to hold on 2 idle cores at 30 frames a second: one face in 640x360 four times real time end to end, nine in
1920x1080 real time; 1 GB, no growth over a long video, 3 s from the start of the process to the first result.

    python benchmarks/predict.py [VIDEO] [--model FOLDER]                 # speed
    python benchmarks/predict.py [VIDEO] [--model FOLDER] --crowd         # 4K, and nine and thirty faces in 1080p
    python benchmarks/predict.py [VIDEO] [--model FOLDER] --minutes 60    # memory over an hour, made by looping
    python benchmarks/predict.py [VIDEO] --minutes 60 --verb              # that of `dfer predict -o timeline.json`
    python benchmarks/predict.py [VIDEO] [--model FOLDER] --many 4        # films side by side, one after the other
    python benchmarks/predict.py --views FOLDER                           # what one view a frame changes, on its films

VIDEO is brought to 640x360 at 30 frames a second first. Shares are of processor time, in passes of which each does one
step more than the one before. Memory is noted after every 20 seconds of video, that of the verb every 3 seconds.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable
from pathlib import Path

import av
import cv2
import numpy as np
import psutil
from faces import FPS, shrink
from joblib import cpu_count
from results import write_result

from dfer.errors import DferError
from dfer.inference import Predictor, Timeline
from dfer.inference.export import export_onnx
from dfer.models import model_folder
from dfer.video.faces import open_faces
from dfer.video.stream import stream

ROOT = Path(__file__).resolve().parents[1]
CLIP = ROOT / "examples" / "crema_d" / "1001_DFA_HAP_XX.flv"
CROWD_S = 5
"""Length of the videos of 4K and of many faces, seconds."""
MANY_S, TURNS = 30, 2
"""Length of each of many films, seconds, and how often they are read."""
NOTED = 600
"""Memory is noted every so many frames."""
EVERY_S = 3
"""Memory of the verb is noted every so many seconds."""
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


def first_result(model: str, video: Path) -> tuple[float, float]:
    """Wall and processor time of a new process until it has read the first frame, seconds."""
    begin, before = time.perf_counter(), os.times()
    subprocess.run([sys.executable, "-c", FIRST_RESULT, model, str(video)], check=True, capture_output=True)
    after = os.times()
    spent = after.children_user + after.children_system - before.children_user - before.children_system
    return time.perf_counter() - begin, spent


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
    """Megabytes on the way through a video, and after it."""
    predictor, process, noted = Predictor.from_pretrained(model), psutil.Process(), []
    recording, begin = predictor.recording(video), time.perf_counter()
    for count, moment in enumerate(predictor.stream(video)):
        recording.add(moment)
        if count % NOTED == 0:
            noted.append(process.memory_info().rss / 2**20)
            print(f"{moment.time_s:8.0f} s  {noted[-1]:7.1f} MB  {time.perf_counter() - begin:7.0f} s", flush=True)
    timeline = recording.timeline()
    noted.append(process.memory_info().rss / 2**20)
    print(f"timeline of {len(timeline.people)} people   {noted[-1]:7.1f} MB")
    return noted


def speed(video: Path, folder: Path, model: str) -> None:
    """What a stranger waits for, and what takes the time; written to predict.json."""
    started, processor = first_result(model, video)
    print(f"start of Python to first result {started:.2f} s, {processor:.2f} s of processor time")
    exported = shutil.copytree(model_folder(model), folder / "model")
    short = looped(shrunk(video, folder), 10, folder / "short.mp4")
    found = {"torch": shares(str(exported), short, "torch")}
    try:
        export_onnx(exported)
        found["onnx"] = shares(str(exported), short, "onnx")
    except DferError as error:  # the extra is not installed
        print(f"onnx: {error}")
    first = {"wall_s": round(started, 2), "processor_s": round(processor, 2)}
    load = round(os.getloadavg()[0], 1)
    write_result("predict", {"video": video.name, "first_result": first, "runtimes": found, "load": load})


def length(video: Path, folder: Path, model: str, minutes: float) -> None:
    """Whether memory stays flat; written to predict_memory.json."""
    noted = memory(model, looped(shrunk(video, folder), minutes * 60, folder / "long.mp4"))
    warm = noted[len(noted) // 5]
    print(f"memory {noted[-1]:.0f} MB, {noted[-1] - warm:+.1f} MB since a fifth of {minutes:g} minutes")
    write_result("predict_memory", {"video": video.name, "minutes": minutes, "megabytes": [round(x) for x in noted]})


def verb(video: Path, folder: Path, model: str, minutes: float) -> None:
    """Whether the memory of `dfer predict` stays flat; written to predict_verb_memory.json."""
    film, timeline = looped(shrunk(video, folder), minutes * 60, folder / "long.mp4"), folder / "timeline.json"
    command = [sys.executable, "-m", "dfer", "predict", str(film), "--model", model, "-o", str(timeline)]
    noted, begin = [], time.perf_counter()
    with subprocess.Popen(command, stdout=subprocess.DEVNULL) as process:
        watched = psutil.Process(process.pid)
        while process.poll() is None:
            time.sleep(EVERY_S)
            with contextlib.suppress(psutil.Error):
                noted.append(watched.memory_info().rss / 2**20)
    wall, read = time.perf_counter() - begin, Timeline.load(timeline)
    frames = len(read.people[0].times)
    noted = [value for value in noted if value > 1]  # a process that has ended has none
    warm = noted[len(noted) // 5]
    print(
        f"{frames} frames, {wall:.0f} s, memory at most {max(noted):.0f} MB, {noted[-1] - warm:+.1f} MB since a fifth"
    )
    told = {"minutes": minutes, "frames": frames, "seconds": round(wall), "megabytes": [round(x) for x in noted]}
    write_result("predict_verb_memory", {"video": video.name, **told})


def many(video: Path, folder: Path, model: str, count: int) -> None:
    """Films in as many processes as cores, and one after the other, in turns; written to predict_many.json."""
    film = looped(shrunk(video, folder), MANY_S, folder / "0.mp4")
    films = [film, *(Path(shutil.copy(film, folder / f"{number}.mp4")) for number in range(1, count))]
    walls: dict[int, list[float]] = {1: [], cpu_count(): []}
    spent: dict[int, list[float]] = {workers: [] for workers in walls}
    for _ in range(TURNS):
        for workers in walls:
            command = [sys.executable, "-m", "dfer", "predict", *map(str, films), "--model", model, "--device", "cpu"]
            command += ["-o", str(folder / f"out{workers}"), "--workers", str(workers)]
            begin, before = time.perf_counter(), os.times()
            subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
            after = os.times()
            walls[workers].append(time.perf_counter() - begin)
            spent[workers].append(
                after.children_user + after.children_system - before.children_user - before.children_system
            )
            print(
                f"{workers} at a time: {walls[workers][-1]:.1f} s, {spent[workers][-1]:.1f} s of processors", flush=True
            )
    same = len({tuple(file.read_bytes() for file in sorted((folder / f"out{number}").iterdir())) for number in walls})
    found = {
        str(workers): {"wall_s": round(min(walls[workers]), 1), "processor_s": round(min(spent[workers]), 1)}
        for workers in walls
    }
    told = {"films": count, "seconds_each": MANY_S, "same_bytes": same == 1, "at_a_time": found}
    write_result("predict_many", {"video": video.name, **told, "load": round(os.getloadavg()[0], 1)})


def views(folder: Path, model: str) -> None:
    """How much timelines change where each face is seen once in a frame, and, for comparison, without any mirror image;
    written to predict_views.json.
    """
    both, turns, alone = (Predictor.from_pretrained(model, runtime="torch", both_views=asked) for asked in (1, 0, 0))
    alone.network = alone.network.once
    films, found = sorted(path for path in folder.iterdir() if path.suffix == ".mp4"), {}
    whole = [both(path) for path in films]
    for name, way in (("in_turns", turns), ("no_mirror_image", alone)):
        found[name] = changes(whole, [way(path) for path in films])
        print(name, found[name], flush=True)
    write_result("predict_views", {"films": len(films), **found})


def changes(some: list[Timeline], others: list[Timeline]) -> dict[str, float]:
    """By how much the probabilities of timelines of the same films differ, and how often the strongest emotion does."""
    pairs = [
        (person.probs[person.seen], again.probs[person.seen])
        for one, other in zip(some, others, strict=True)
        for person, again in zip(one.people, other.people, strict=True)
    ]
    one, other = (np.concatenate(rows) for rows in zip(*pairs, strict=True))
    return {
        "faces": len(one),
        "mean_difference": round(float(np.abs(one - other).mean()), 5),
        "largest_difference": round(float(np.abs(one - other).max()), 3),
        "top_changes": round(float((one.argmax(1) != other.argmax(1)).mean()), 4),
    }


def scenes() -> dict[str, Callable[[np.ndarray], np.ndarray]]:
    """What a frame of 640x360 is made into: the same face in a large picture, and many faces."""

    def alone(frame: np.ndarray) -> np.ndarray:
        large = np.full((2160, 3840, 3), 90, np.uint8)
        large[900:1260, 1500:2140] = frame
        return large

    def thirty(frame: np.ndarray) -> np.ndarray:
        return np.tile(cv2.resize(frame, (320, 216), interpolation=cv2.INTER_AREA), (5, 6, 1))

    return {"1 face in 4K": alone, "9 faces in 1080p": lambda frame: np.tile(frame, (3, 3, 1)), "30 in 1080p": thirty}


def crowd(video: Path, folder: Path, model: str) -> None:
    """The speed with large pictures and many faces; written to predict_crowd.json."""
    found = {}
    for name, made in scenes().items():
        with av.open(str(folder / "scene.mp4"), "w") as container:
            out = None
            for shown in stream(looped(shrunk(video, folder), CROWD_S, folder / "short.mp4")):
                frame = av.VideoFrame.from_ndarray(made(shown.pixels), format="rgb24")
                if out is None:
                    out = container.add_stream("libx264", rate=FPS, options={"preset": "veryfast"})
                    out.width, out.height, out.pix_fmt = frame.width, frame.height, "yuv420p"
                container.mux(out.encode(frame))
            container.mux(out.encode())
        print(f"{name}: ", end="")
        found[name] = shares(model, folder / "scene.mp4", "torch")
    write_result("predict_crowd", {"video": video.name, "scenes": found, "load": round(os.getloadavg()[0], 1)})


def shrunk(video: Path, folder: Path) -> Path:
    """The video at 640x360 and 30 frames a second."""
    shrink(video, folder / "video.mp4")
    return folder / "video.mp4"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("video", nargs="?", type=Path, default=CLIP)
    parser.add_argument("--model", default="default")
    parser.add_argument("--minutes", type=float, default=0)
    parser.add_argument("--crowd", action="store_true")
    parser.add_argument("--verb", action="store_true")
    parser.add_argument("--many", type=int, default=0)
    parser.add_argument("--views", type=Path)
    given = parser.parse_args()
    print(f"{given.video.name}, {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}")
    with tempfile.TemporaryDirectory() as temporary:
        if given.views:
            views(given.views, given.model)
        elif given.minutes:
            (verb if given.verb else length)(given.video, Path(temporary), given.model, given.minutes)
        elif given.many:
            many(given.video, Path(temporary), given.model, given.many)
        elif given.crowd:
            crowd(given.video, Path(temporary), given.model)
        else:
            speed(given.video, Path(temporary), given.model)


if __name__ == "__main__":
    main()
