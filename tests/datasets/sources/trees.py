"""Writers of tiny trees in the exact layouts of published data sets, with the spellings that are in the wild."""

from __future__ import annotations

import csv
import io
import zipfile
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import cv2
import numpy as np
import pandas as pd

# Clip number -> votes (happy sad neutral angry surprise disgust fear) and label; clip 1 is DFEW's published example.
DFEW_CLIPS: dict[int, tuple[tuple[int, ...], int]] = {
    1: ((0, 6, 4, 0, 0, 0, 0), 2),
    2: ((10, 0, 0, 0, 0, 0, 0), 1),
    3: ((1, 1, 7, 1, 0, 0, 0), 3),
    4: ((0, 0, 0, 8, 1, 1, 0), 4),
    5: ((1, 0, 0, 0, 9, 0, 0), 5),
    8: ((5, 5, 0, 0, 0, 0, 0), 0),
    9: ((3, 3, 2, 1, 1, 0, 0), 0),
    12: ((0, 0, 1, 0, 2, 0, 7), 7),
    2522: ((0, 1, 1, 1, 0, 6, 1), 6),
    16372: ((7, 0, 3, 0, 0, 0, 0), 1),
}
DFEW_NAMES = ("", "happy", "sad", "neutral", "angry", "surprise", "disgust", "fear")
DFEW_TESTED = {1: (1, 2, 3, 4), 2: (5, 12, 2522, 16372)}
OFFICIAL_HEADER = ("1happy", "2sad", "3neutral", "4angry", "5surprise", "6disgust", "7fear", "order", "label")
README_HEADER = (
    *("vote_happy", "vote_sad", "vote_neutral", "vote_angry", "vote_surprise", "vote_disgust", "vote_fear"),
    *("clip_name", "annotation"),
)
Rows = Mapping[int, tuple[Sequence[object], object]]


def write_annotation(
    root: Path, clips: Rows = DFEW_CLIPS, *, header: Sequence[str] = OFFICIAL_HEADER, order: Iterable[int] = ()
) -> Path:
    """Annotation/annotation.xlsx, its rows in any order."""
    rows = [(*clips[number][0], number, clips[number][1]) for number in order or clips]
    path = root / "Annotation" / "annotation.xlsx"
    path.parent.mkdir(parents=True, exist_ok=True)
    pd.DataFrame(rows, columns=list(header)).to_excel(path, index=False)
    return path


def fold_rows(fold: int, part: str, tested: Mapping[int, Sequence[int]] = DFEW_TESTED) -> list[tuple[int, int]]:
    """Clip number and official label (from 1) of the clips in a list; one trains on what the other folds test."""
    numbers = [n for other, clips in tested.items() if (other == fold) == (part == "test") for n in clips]
    return [(number, DFEW_CLIPS[number][1]) for number in numbers]


def write_lists(
    root: Path,
    *,
    pattern: str = "EmoLabel_DataSplit/{part}(single-labeled)/set_{fold}.csv",
    name: str = "{0}",
    base: int = 1,
    tested: Mapping[int, Sequence[int]] = DFEW_TESTED,
    line: str = "{name},{label}",
    header: str = "video_name,label",
) -> None:
    """Train and test lists of every fold, in a spelling of one's choice."""
    for fold in tested:
        for part in ("train", "test"):
            path = root / pattern.format(part=part, fold=fold)
            path.parent.mkdir(parents=True, exist_ok=True)
            rows = [(name.format(number), label - 1 + base) for number, label in fold_rows(fold, part, tested)]
            lines = [line.format(name=clip, label=label) for clip, label in rows]
            path.write_text("\n".join([header, *lines] if header else lines) + "\n", encoding="utf-8")


def write_frames(folder: Path, names: Sequence[str], *, size: int = 8, step: int = 10) -> None:
    """Uniformly grey images; the k-th name, from 1, is as bright as k * step."""
    folder.mkdir(parents=True, exist_ok=True)
    for k, name in enumerate(names, 1):
        assert cv2.imwrite(str(folder / name), np.full((size, size, 3), min(k * step, 255), np.uint8))


def write_faces(place: Path, numbers: Iterable[int] = DFEW_CLIPS, *, frames: int = 2) -> None:
    """clip_224x224: 00001/00001_00001.jpg ..."""
    for number in numbers:
        names = [f"{number:05d}_{k:05d}.jpg" for k in range(1, frames + 1)]
        write_frames(place / f"{number:05d}", names)


def write_sixteen(place: Path, numbers: Iterable[int] = DFEW_CLIPS) -> None:
    """clip_224x224_16f: 00001/1.jpg ... 16.jpg, not padded."""
    for number in numbers:
        write_frames(place / f"{number:05d}", [f"{k}.jpg" for k in range(1, 17)])


def write_files(place: Path, pattern: str, numbers: Iterable[int] = DFEW_CLIPS) -> None:
    """Files that are there and no more, such as original/1.mp4; readers do not open them."""
    place.mkdir(parents=True, exist_ok=True)
    for number in numbers:
        (place / pattern.format(number)).touch()


def write_dfew(root: Path) -> Path:
    """DFEW as its authors describe it: annotation, official lists and all faces."""
    write_annotation(root)
    write_lists(root)
    write_faces(root / "Clip" / "clip_224x224")
    return root


# Image number -> usage and votes (neutral happiness surprise sadness anger disgust fear contempt unknown NF).
FERPLUS_IMAGES: dict[int, tuple[str, tuple[object, ...]]] = {
    0: ("Training", (4, 0, 0, 1, 3, 2, 0, 0, 0, 0)),
    1: ("Training", (0, 9, 1, 0, 0, 0, 0, 0, 0, 0)),
    2: ("Training", (0, 0, 0, 0, 0, 0, 0, 0, 0, 10)),
    3: ("PublicTest", (6, 0, 0, 4, 0, 0, 0, 0, 0, 0)),
    4: ("PublicTest", (5, 0, 0, 0, 0, 0, 0, 0, 3, 2)),
    5: ("PrivateTest", (0, 0, 0, 0, 0, 0, 2, 8, 0, 0)),
}
FERPLUS_HEADER = "Usage,Image name,neutral,happiness,surprise,sadness,anger,disgust,fear,contempt,unknown,NF"
FERPLUS_PARTS = {"Training": "FER2013Train", "PublicTest": "FER2013Valid", "PrivateTest": "FER2013Test"}
Images = Mapping[int, tuple[str, Sequence[object]]]


def write_ferplus(
    root: Path, images: Images = FERPLUS_IMAGES, *, parts: Iterable[str] = FERPLUS_PARTS, zipped: bool = False
) -> Path:
    """FER2013Train, Valid and Test with their label.csv, as folders or as archives."""
    for usage in parts:
        part = FERPLUS_PARTS[usage]
        own = {number: votes for number, (of, votes) in images.items() if of == usage}
        files = {f"fer{number:07d}.png": _png(number * 10) for number in own} | {"label.csv": _labels(own)}
        root.mkdir(parents=True, exist_ok=True)
        if zipped:
            with zipfile.ZipFile(root / f"{part}.zip", "w") as archive:
                archive.writestr(f"{part}/", b"")
                for name, data in files.items():
                    archive.writestr(f"{part}/{name}", data)
        else:
            (root / part).mkdir()
            for name, data in files.items():
                (root / part / name).write_bytes(data)
    return root


def write_vote_table(root: Path, images: Images = FERPLUS_IMAGES) -> Path:
    """fer2013new.csv, with one of the nameless rows that the published file has."""
    rows = [f"{usage},fer{n:07d}.png,{','.join(map(str, votes))}" for n, (usage, votes) in images.items()]
    path = root / "fer2013new.csv"
    path.write_text("\n".join([FERPLUS_HEADER, *rows, "Training,,0,0,0,0,0,0,0,0,0,10"]) + "\n", encoding="utf-8")
    return path


def _labels(own: Mapping[int, Sequence[object]]) -> bytes:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerows([f"fer{number:07d}.png", "(0, 0, 48, 48)", *votes] for number, votes in own.items())
    return text.getvalue().encode()


def _png(brightness: int) -> bytes:
    return bytes(cv2.imencode(".png", np.full((48, 48), brightness, np.uint8))[1])
