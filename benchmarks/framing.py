"""Where do eyes, nose and mouth lie in FER+'s pictures? The template of `dfer.video.alignment`, measured.

Faces of FER2013's training part (python benchmarks/framing.py FER2013Train.zip) are enlarged four times, given a
border, and shown to the default detector; the medians of its landmarks, made symmetric, are the template.
"""

from __future__ import annotations

import sys
import zipfile
from pathlib import Path

import cv2
import numpy as np
from results import write_result

from dfer.video.alignment import TEMPLATE, TEMPLATE_IN_BOX
from dfer.video.mtcnn import Mtcnn

FACES, ENLARGED, BORDER = 3000, 4, 64
MIRRORED = [1, 0, 2, 4, 3]


def symmetric(points: np.ndarray) -> np.ndarray:
    """The mean of five points and their mirror image in a unit square."""
    return (points + np.array([1, 0]) + points[MIRRORED] * np.array([-1, 1])) / 2


def main() -> None:
    archive = zipfile.ZipFile(Path(sys.argv[1]))
    names = sorted(name for name in archive.namelist() if name.endswith(".png"))
    names = np.random.default_rng(0).choice(names, FACES, replace=False).tolist()
    detector, in_picture, in_box = Mtcnn(), [], []
    for name in names:
        face = cv2.imdecode(np.frombuffer(archive.read(name), np.uint8), cv2.IMREAD_COLOR_RGB)
        large = cv2.resize(face, None, fx=ENLARGED, fy=ENLARGED, interpolation=cv2.INTER_CUBIC)
        side = len(large)
        large = cv2.copyMakeBorder(large, BORDER, BORDER, BORDER, BORDER, cv2.BORDER_REPLICATE)
        found = detector(large)
        if len(found) == 1:
            in_picture.append((found[0].landmarks - BORDER) / side)
            in_box.append((found[0].landmarks - found[0].box[:2]) / found[0].box[2:])
    medians = {"picture": symmetric(np.median(in_picture, axis=0)), "box": symmetric(np.median(in_box, axis=0))}
    for name, constant in (("picture", TEMPLATE), ("box", TEMPLATE_IN_BOX)):
        off = abs(medians[name] - constant).max()
        print(f"{name:8} {medians[name].round(3).tolist()}   off the constant by {off:.3f}")
    print(f"{len(in_picture)} of {FACES} pictures in which one face is found")
    spread = np.std(in_picture, axis=0).round(3).tolist()
    shares = {name: points.round(4).tolist() for name, points in medians.items()}
    write_result("framing", {"pictures": FACES, "found": len(in_picture), "median": shares, "spread": spread})


if __name__ == "__main__":
    main()
