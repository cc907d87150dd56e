"""How does the time grow with the work? Ten times the rows, clips, classes and length of film, four times the people.

The bound to hold: linear or better. Each kind of work is done at three sizes in this process, the best of `ROUNDS` runs
counts, in processor time. The exponent is the slope of the line that fits the logarithms best: 1 is linear, 2 is
quadratic.
"""

from __future__ import annotations

import itertools
import logging
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import av
import cv2
import numpy as np
import numpy.typing as npt
import pandas as pd
import torch
from predict import CLIP
from results import write_result

from dfer.comparison import compare
from dfer.datasets import Manifest
from dfer.datasets.splits import Plan, split_manifest
from dfer.doctor import examine
from dfer.doctor.statistics import statistics
from dfer.experiments.estimate import Estimation, estimate_labels
from dfer.inference import Predictor
from dfer.labels import EmotionSet
from dfer.metrics import Predictions, score
from dfer.training import load_recipe
from dfer.video.stream import stream

ROUNDS = 2
STEPS = (1, 3, 10)
"""How many times the smallest size."""
ROWS, CLIPS, CLASSES, COMPARED, SECONDS = 20_000, 480, 7, 5_000, 2
"""The smallest sizes: rows of a table, clips that are estimated, classes, clips that are compared, length of film."""
PEOPLE = (1, 2, 4)
"""In a picture that is as large for each."""
FPS, STILL = 25, (360, 480)
"""Frames a second of the films that are made, and the height and width of one face in them."""

Work = Callable[[], object]


@dataclass(frozen=True)
class Growth:
    """A kind of work, what grows, its sizes, and what makes work of a size in a folder."""

    work: str
    grows: str
    sizes: Sequence[int]
    make: Callable[[int, Path], Work]


def emotions_of(classes: int) -> EmotionSet:
    return EmotionSet("drawn", tuple(f"emotion {number}" for number in range(classes)))


def drawn_votes(count: int, classes: int) -> npt.NDArray[np.float64]:
    """Ten votes a clip."""
    generator = np.random.default_rng(0)
    votes = generator.multinomial(10, generator.dirichlet(np.full(classes, 0.25), count))
    return votes.astype(np.float64)


def table_of(count: int, folder: Path, classes: int = CLASSES) -> Manifest:
    """Clips that are not there, of fifty people."""
    emotions = emotions_of(classes)
    rows = pd.DataFrame(drawn_votes(count, classes), columns=[f"votes_{name}" for name in emotions])
    rows["id"] = [f"clip {clip}" for clip in range(count)]
    rows["path"], rows["kind"] = rows["id"] + ".mp4", "video"
    rows["group"] = [f"person {person}" for person in np.random.default_rng(1).integers(0, 50, count)]
    return Manifest.build(rows, emotions=emotions, root=folder)


def splitting(count: int, folder: Path) -> Work:
    manifest = table_of(count, folder)
    return lambda: split_manifest(manifest, Plan(folds=5))


def examining(count: int, folder: Path) -> Work:
    manifest = split_manifest(table_of(count, folder), Plan(folds=5))
    return lambda: (examine(manifest), statistics(manifest))


def run_of(count: int, classes: int, seed: int) -> Predictions:
    votes = drawn_votes(count, classes)
    return Predictions(
        ids=np.array([f"clip {clip}" for clip in range(count)], dtype=object),
        fold=np.zeros(count, dtype=np.int64), labels=votes.argmax(axis=1),
        probs=np.random.default_rng(seed).dirichlet(np.full(classes, 0.5), count), votes=votes,
        frames=["0 4 9 13"] * count, emotions=emotions_of(classes),
    )  # fmt: skip


def measuring(count: int, _: Path, classes: int = CLASSES) -> Work:
    run = run_of(count, classes, 2)
    return lambda: score(run)


def comparing(count: int, _: Path, classes: int = CLASSES) -> Work:
    runs = {"one": [run_of(count, classes, 2)], "other": [run_of(count, classes, 3)]}
    return lambda: compare(runs)


def estimating(count: int, folder: Path) -> Work:
    """Two small networks, each trained for an epoch on one half of the clips and asked about the other."""
    generator, emotions = np.random.default_rng(0), emotions_of(3)
    for clip in range(count):
        np.save(folder / f"{clip}.npy", generator.integers(0, 256, (2, 16, 16, 1), np.uint8))
    rows = pd.DataFrame({"id": [str(clip) for clip in range(count)], "kind": "array", "split": "train"})
    rows["path"], rows["label"] = rows["id"] + ".npy", [emotions[clip % 3] for clip in range(count)]
    rows.loc[rows.index % 10 == 0, "split"] = "test"
    manifest = Manifest.build(rows, emotions=emotions, root=folder)
    changes = ["input.frames=2", "input.size=16", "data.validation=0.5", "optim.epochs=1", "optim.unmixed_epochs=0"]
    recipe = load_recipe(Path("demo"), [*changes, "optim.warmup_epochs=0"])

    def work() -> Manifest:
        with tempfile.TemporaryDirectory(dir=folder) as place:
            return estimate_labels(recipe, manifest, Path(place) / "models", plan=Estimation("demo", folds=2))

    return work


def filming(people: int, seconds: int, folder: Path) -> Path:
    """A film of so many copies of one face beside each other, on a picture that has room for four."""
    path, room = folder / "film.mp4", np.full((2 * STILL[0], 2 * STILL[1], 3), 90, np.uint8)
    with av.open(str(path), "w") as container:
        out = container.add_stream("libx264", rate=FPS, options={"preset": "ultrafast"})
        out.width, out.height, out.pix_fmt = room.shape[1], room.shape[0], "yuv420p"
        for shown in itertools.islice(itertools.cycle(list(stream(CLIP))), seconds * FPS):
            face = cv2.resize(shown.pixels, STILL[::-1], interpolation=cv2.INTER_AREA)
            for person in range(people):
                row, column = divmod(person, 2)
                room[row * STILL[0] : (row + 1) * STILL[0], column * STILL[1] : (column + 1) * STILL[1]] = face
            container.mux(out.encode(av.VideoFrame.from_ndarray(room, format="rgb24")))
        container.mux(out.encode())
    return path


def predicting(people: int, seconds: int, folder: Path) -> Work:
    film, predictor = filming(people, seconds, folder), Predictor.from_pretrained("default")
    return lambda: predictor(film)


def growths() -> Iterator[Growth]:
    """All that is measured."""
    rows, clips, classes, compared, lengths = (
        [size * step for step in STEPS] for size in (ROWS, CLIPS, CLASSES, COMPARED, SECONDS)
    )
    yield Growth("split", "rows", rows, splitting)
    yield Growth("doctor", "rows", rows, examining)
    yield Growth("metrics", "clips", compared, measuring)
    yield Growth("metrics", "classes", classes, lambda size, folder: measuring(COMPARED, folder, size))
    yield Growth("compare", "clips", compared, comparing)
    yield Growth("compare", "classes", classes, lambda size, folder: comparing(COMPARED, folder, size))
    yield Growth("estimate", "clips", clips, estimating)
    yield Growth("predict", "seconds of film", lengths, lambda size, folder: predicting(1, size, folder))
    yield Growth("predict", "people", PEOPLE, lambda size, folder: predicting(size, SECONDS, folder))


def spent(work: Work) -> float:
    """Seconds of the processor, the best of some runs."""
    found = []
    for _ in range(ROUNDS):
        begin = time.process_time()
        work()
        found.append(time.process_time() - begin)
    return min(found)


def measured(growth: Growth) -> dict[str, object]:
    seconds = []
    for size in growth.sizes:
        with tempfile.TemporaryDirectory() as temporary:
            seconds.append(spent(growth.make(size, Path(temporary))))
    exponent = float(np.polyfit(np.log(growth.sizes), np.log(seconds), 1)[0])
    print(f"{growth.work:9}{growth.grows:16}{'  '.join(f'{second:7.3f} s' for second in seconds)}   n^{exponent:.2f}")
    return {
        "work": growth.work, "grows": growth.grows, "sizes": list(growth.sizes),
        "seconds": [round(second, 4) for second in seconds], "exponent": round(exponent, 2),
    }  # fmt: skip


def main() -> None:
    write_result("growth", {"growth": [measured(growth) for growth in growths()]})


if __name__ == "__main__":
    torch.set_num_threads(1)
    logging.getLogger("dfer").setLevel(logging.ERROR)
    main()
