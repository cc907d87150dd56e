"""How long does it take to save and to load the timeline of many people over hours, and how large is the file?

The bound to hold: ten people who are seen in every frame of three hours at 30 frames a second load in some seconds.
Processor time is what one idle core needs; the memory is that of a process that does nothing else.

    python benchmarks/timeline.py [--people 10] [--hours 3]
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from results import write_result

from dfer.inference import Person, Segment, Timeline
from dfer.labels import EmotionSet

EMOTIONS = EmotionSet("seven", ("happy", "sad", "neutral", "angry", "surprise", "disgust", "fear"))
FPS = 30
LOAD = """
import resource, sys, time
from dfer.inference import Timeline
begin = time.process_time()
Timeline.load(sys.argv[1])
print(time.process_time() - begin, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)
"""


def made_up(people: int, hours: float, seed: int = 0) -> Timeline:
    """A timeline of people who are always seen, with other numbers in every row."""
    generator = np.random.default_rng(seed)
    count = round(hours * 3600 * FPS)
    times = np.arange(count) / FPS

    def person(id_: int) -> Person:
        probs = generator.dirichlet(np.ones(len(EMOTIONS)), count)
        flaws = np.where(generator.random(count) < 0.1, generator.integers(1, 16, count), 0).astype(np.uint8)
        starts = np.arange(0, hours * 3600, 20.0)
        segments = tuple(Segment(start, start + 1, start + 2, "happy", 0.7) for start in starts.tolist())
        boxes = generator.uniform(0, 1000, (count, 4))
        return Person(id_, times, probs, boxes, flaws, segments, probs.mean(axis=0))

    return Timeline("film.mp4", hours * 3600, EMOTIONS, tuple(person(id_) for id_ in range(people)))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--people", type=int, default=10)
    parser.add_argument("--hours", type=float, default=3.0)
    arguments = parser.parse_args()
    timeline = made_up(arguments.people, arguments.hours)
    rows = sum(len(person.times) for person in timeline.people)
    measured = {}
    print(f"{arguments.people} people, {arguments.hours:g} h, {rows:,} rows")
    print(f"{'':8} {'MB':>8} {'save, s':>8} {'load, s':>8} {'MB of memory':>13}   (seconds of processor time)")
    with tempfile.TemporaryDirectory() as folder:
        for kind in ("json", "parquet"):
            path = Path(folder) / f"film.{kind}"
            begin = time.process_time()
            timeline.save(path)
            save_s = time.process_time() - begin
            command = [sys.executable, "-c", LOAD, str(path)]
            said = subprocess.run(command, capture_output=True, text=True, check=True).stdout
            load_s, memory = map(float, said.split())
            megabytes = path.stat().st_size / 1e6
            print(f"{kind:8} {megabytes:8.1f} {save_s:8.1f} {load_s:8.1f} {memory:13.0f}")
            measured[kind] = {
                "megabytes": round(megabytes, 1), "save_s": round(save_s, 1), "load_s": round(load_s, 1),
                "load_memory_mb": round(memory),
            }  # fmt: skip
    setting = {"people": arguments.people, "hours": arguments.hours, "fps": FPS, "rows": rows}
    write_result("timeline", setting | measured)


if __name__ == "__main__":
    main()
