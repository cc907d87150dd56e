"""How often are two pictures of one person taken for two people, and two people for one, by their faces?

    python benchmarks/identity.py PEOPLE

PEOPLE is a folder with a folder for each person, and in it videos or images in which this person is the only one, or
the one whose face is largest. A face is taken from each video every half second. Printed are the distances of all
pairs, and the two error rates at several thresholds: of single pictures, and of a picture against what the tracker
knows of a person, the nearest of up to eight; as they are, and made so small that the face has 32 pixels.
"""

from __future__ import annotations

import sys
from itertools import combinations
from pathlib import Path

import cv2
import numpy as np
from results import write_result

from dfer.video import Face, Span
from dfer.video.identity import MOST_LOOKS, OTHER, SAME, Embedder
from dfer.video.mtcnn import Mtcnn
from dfer.video.stream import stream

EVERY_S = 0.5
SMALL = 32
THRESHOLDS = (0.4, 0.45, SAME, 0.55, OTHER)


class Looks:
    """The looks of all people; `of[k]` is whose the k-th is, `film[k]` from which file."""

    def __init__(self) -> None:
        self.detector, self.embed = Mtcnn(), Embedder()
        self.rows: list[np.ndarray] = []
        self.of: list[str] = []
        self.film: list[str] = []

    def read(self, path: Path, who: str, pixels: int | None) -> None:
        for shown in stream(path, span=Span(every_s=EVERY_S)):
            faces = self.detector(shown.pixels)
            if faces:
                self.add(shown.pixels, max(faces, key=side), who, path.name, pixels)

    def add(self, frame: np.ndarray, face: Face, who: str, film: str, pixels: int | None) -> None:
        points = face.landmarks
        assert points is not None
        if pixels is not None:
            scale = min(1.0, pixels / side(face))
            frame = cv2.resize(frame, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
            points = (points + 0.5) * scale - 0.5
        (look,) = self.embed(frame, [points])
        if look is not None:
            self.rows.append(look)
            self.of.append(who)
            self.film.append(film)


def side(face: Face) -> float:
    return float(np.sqrt(face.box[2] * face.box[3]))


def gallery_distances(looks: Looks) -> tuple[list[float], list[float]]:
    """Of every picture to the nearest of up to eight others of its person from another film, and of every other one."""
    table, of, film = np.stack(looks.rows), np.array(looks.of), np.array(looks.film)
    same, other = [], []
    for name in dict.fromkeys(looks.film):
        rows = np.flatnonzero(film == name)
        chosen = rows[np.linspace(0, len(rows) - 1, min(MOST_LOOKS, len(rows))).round().astype(int)]
        nearest = np.linalg.norm(table[:, None] - table[chosen], axis=2).min(axis=1)
        same += nearest[(of == of[rows[0]]) & (film != name)].tolist()
        other += nearest[of != of[rows[0]]].tolist()
    return same, other


def rates(same: list[float], other: list[float]) -> dict[str, object]:
    """Pairs, and the shares of those of one person that lie too far apart, and of those of two that lie too near."""
    one, two = np.array(same), np.array(other)
    return {
        "pairs_of_one": len(one),
        "pairs_of_two": len(two),
        "quantiles_of_one": np.quantile(one, [0.5, 0.95, 0.99, 1]).round(3).tolist(),
        "quantiles_of_two": np.quantile(two, [0, 0.01, 0.05, 0.5]).round(3).tolist(),
        "missed": {str(threshold): round(float((one >= threshold).mean()), 5) for threshold in THRESHOLDS},
        "mistaken": {str(threshold): round(float((two < threshold).mean()), 5) for threshold in THRESHOLDS},
    }


def measured(people: dict[str, list[Path]], pixels: int | None) -> dict[str, object]:
    looks = Looks()
    for who, paths in people.items():
        for path in paths:
            looks.read(path, who, pixels)
    distances = [(looks.of[a] == looks.of[b], float(np.linalg.norm(looks.rows[a] - looks.rows[b])))
                 for a, b in combinations(range(len(looks.rows)), 2)]  # fmt: skip
    single = rates([x for same, x in distances if same], [x for same, x in distances if not same])
    return {"pictures": len(looks.rows), "single": single, "known": rates(*gallery_distances(looks))}


def main() -> None:
    folders = sorted(path for path in Path(sys.argv[1]).iterdir() if path.is_dir())
    people = {folder.name: sorted(folder.iterdir()) for folder in folders}
    found = {name: measured(people, pixels) for name, pixels in (("as they are", None), (f"{SMALL} pixels", SMALL))}
    for name, values in found.items():
        print(f"{name}: {len(people)} people, {values['pictures']} pictures")
        for kind in ("single", "known"):
            part = values[kind]
            print(f"  {kind}: of one person {part['quantiles_of_one']}, of two {part['quantiles_of_two']}")
            for threshold in map(str, THRESHOLDS):
                missed, mistaken = part["missed"][threshold], part["mistaken"][threshold]
                print(f"    {threshold:>5}  one taken for two {missed:7.3%}   two taken for one {mistaken:7.3%}")
    write_result("identity", {"people": len(people), "threshold": SAME, "measured": found})


if __name__ == "__main__":
    main()
