"""Writers of tiny trees in MAFW's exact layout, with the spellings that are in the wild."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import pandas as pd

from .trees import write_frames

NAMES = (
    *("anger", "disgust", "fear", "happiness", "neutral", "sadness", "surprise"),
    *("contempt", "anxiety", "helplessness", "disappointment"),
)
"""The columns of its tables and the order of its class numbers, 1 to 11."""
Row = tuple[Mapping[str, float], str, str]
# Clip number -> answers of eleven annotators, single label and compound label ("" = none).
MAFW_CLIPS: dict[int, Row] = {
    1: ({"anger": 9, "disgust": 2}, "anger", "anger"),
    25: ({"anger": 6, "disgust": 5}, "anger", "anger_disgust"),
    151: ({"happiness": 11}, "happiness", "happiness"),
    2000: ({"sadness": 5, "helplessness": 4, "anxiety": 2}, "sadness", "sadness_helplessness"),
    3747: ({"fear": 4, "surprise": 4, "anxiety": 3}, "", "fear_surprise"),
    5000: ({"contempt": 8, "neutral": 3}, "contempt", "contempt"),
    7001: ({"disappointment": 7, "sadness": 4}, "disappointment", "disappointment"),
    10045: ({"surprise": 10, "neutral": 1}, "surprise", "surprise"),
}
SINGLE_TESTED = {1: (1, 25, 151), 2: (2000, 5000, 7001, 10045)}
COMPOUND_TESTED = {1: (1, 25, 151, 3747), 2: (2000, 5000, 7001, 10045)}
CAPTIONS = "他皱着眉头，怒视前方。\tA man frowns and stares ahead."


def write_annotation(root: Path, *, shares: bool = False, clips: Mapping[int, Row] = MAFW_CLIPS) -> Path:
    """annotation.xlsx: counts, or shares of them, with the column invalid."""
    rows = [
        [f"{number:05d}.mp4", 0, *(row[0].get(name, 0) / (11 if shares else 1) for name in NAMES)]
        for number, row in clips.items()
    ]
    return write_sheet(root / "Labels/annotation.xlsx", ["clip", "invalid", *NAMES], rows)


def write_single_set(root: Path, *, first: str = "clip", title: str = "", base: int = 1) -> Path:
    """single-set.xlsx, with a title above its header or not."""
    rows = [
        [f"{number:05d}.mp4", *(row[0].get(name, 0) for name in NAMES), NAMES.index(row[1]) + base]
        for number, row in MAFW_CLIPS.items()
        if row[1]
    ]
    return write_sheet(root / "Labels/single-set.xlsx", [first, *NAMES, "single_label"], rows, title=title)


def write_multi_set(root: Path) -> Path:
    """multi-set.xlsx: class numbers with commas between, of the clips that have several."""
    rows = [
        [f"{number:05d}.mp4", *(row[0].get(name, 0) for name in NAMES),
         ",".join(str(NAMES.index(part) + 1) for part in row[2].split("_"))]
        for number, row in MAFW_CLIPS.items()
        if "_" in row[2]
    ]  # fmt: skip
    return write_sheet(root / "Labels/multi-set.xlsx", ["name", *NAMES, "multi_label"], rows)


def write_sheet(path: Path, header: Sequence[str], rows: Sequence[Sequence[object]], *, title: str = "") -> Path:
    """An Excel table whose header stands below a title, if there is one."""
    path.parent.mkdir(parents=True, exist_ok=True)
    above = [[title, *[None] * (len(header) - 1)]] if title else []
    pd.DataFrame([*above, list(header), *map(list, rows)]).to_excel(path, index=False, header=False)
    return path


def write_mafw_lists(
    root: Path,
    kind: str = "single",
    *,
    captions: bool = False,
    place: str = "Train & Test Set",
    tested: Mapping[int, Sequence[int]] | None = None,
) -> None:
    """Lists of two folds, without a last line break; those with captions tab-separated and in GB 18030."""
    tested = tested or (SINGLE_TESTED if kind == "single" else COMPOUND_TESTED)
    for fold in tested:
        for part in ("train", "test"):
            numbers = [n for other, clips in tested.items() if (other == fold) == (part == "test") for n in clips]
            labels = [MAFW_CLIPS[n][1 if kind == "single" else 2] for n in numbers]
            pairs = zip(numbers, labels, strict=True)
            lines = [f"{n:05d}.mp4\t{label}\t{CAPTIONS}" if captions else f"{n:05d}.mp4 {label}" for n, label in pairs]
            path = root / place / kind / ("with_caption" if captions else "no_caption") / f"set_{fold}" / f"{part}.txt"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes("\n".join(lines).encode("gb18030"))


def write_mafw_frames(place: Path, numbers: Iterable[int] = MAFW_CLIPS, *, suffix: str = "png") -> None:
    """A folder of frames for each clip: frames/03747/1.png ..."""
    for number in numbers:
        write_frames(place / f"{number:05d}", [f"{k}.{suffix}" for k in (1, 2)])


def write_mafw(root: Path) -> Path:
    """MAFW as its authors describe it: all tables, all lists, and faces as frames."""
    write_annotation(root)
    write_single_set(root)
    write_multi_set(root)
    for kind in ("single", "compound"):
        write_mafw_lists(root, kind)
        write_mafw_lists(root, kind, captions=True)
    write_mafw_frames(root / "data/frames")
    return root
