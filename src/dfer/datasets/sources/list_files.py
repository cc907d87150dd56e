"""One list file as the field's own code writes them: a clip and its label a row.

    path frames label      Former-DFER, M3DFEL, DFER-CLIP; the frames are of their authors' own extraction: not kept
    path label             MAE-DFER; FERV39k and MAFW themselves, with names as labels
    path,label             S2D, with the header path,id; DFEW, with the header video_name,label

Cells are parted by commas, semicolons, tabs or spaces; a header may be there or not; a path may hold spaces. Text is
UTF-8, with a byte order mark or not, UTF-16 or, where it is none of these, GB 18030.
"""

from __future__ import annotations

import codecs
import re
from collections.abc import Collection, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import pandas as pd

from dfer.datasets.sources.folder import SPLIT_NAMES
from dfer.datasets.sources.on_disk import CROWD
from dfer.errors import DferError, listed
from dfer.files import read_bytes
from dfer.tables import split, unquoted
from dfer.video.folders import walk

EXPECTED = "lines of path and label, or of path, frames and label"
CLIP_NAMES = (
    *("video_name", "path", "clip", "clip_name", "clip_id", "video", "video_path", "name"),
    *("file", "filename", "file_name", "order", "id"),
)
"""Names of the column of clips, in the order in which they are looked for."""
LABEL_NAMES = ("label", "labels", "id", "emotion", "class", "annotation", "single_label", "target")
"""Names of the column of labels."""
LARGEST = 64 * 2**20
"""Bytes of a list."""
SUFFIXES = (".csv", ".txt")
DEPTH = 4
"""How many folders deep lists are searched; 4_setups/22_scenes in a nested archive needs 4."""


class ListFile(NamedTuple):
    """Where a list lies and what its name says: train, val, test or "", and the fold, None where there are none."""

    part: str
    fold: int | None
    path: Path


def read_list(path: Path) -> pd.DataFrame:
    """The rows of a list: columns clip and label, as text.

    Raises:
        DferError: it cannot be read, holds nothing, or a line that is no row.
    """
    lines = {number: line for number, line in enumerate(_text(path).splitlines(), 1) if line.strip()}
    rows = [[unquoted(cell.strip()) for cell in row] for row in _split(list(lines.values()))]
    header = [cell.lower() for cell in rows[0]] if rows else []
    wrong = [number for number, row in zip(lines, rows, strict=True) if len(row) != len(header)]
    if wrong:
        raise DferError(
            f"{path}: expected {EXPECTED}; {len(wrong)} lines have not the {len(header)} cells of the first one: "
            f"line {listed(wrong)}"
        )
    clip, label, first = _columns(header, rows)
    if clip is None or label is None or len(rows) == first:
        found = f"'{','.join(header):.80}' and {len(rows) - 1} lines more" if rows else "an empty file"
        raise DferError(f"{path}: expected {EXPECTED}; found {found}")
    table = pd.DataFrame([(row[clip], row[label]) for row in rows[first:]], columns=["clip", "label"])
    unnamed = int((table["clip"] == "").sum())
    if unnamed:
        raise DferError(f"{path}: expected {EXPECTED}; {unnamed} lines name no clip")
    return table


def find_lists(root: Path, skip: Collection[Path] = ()) -> list[ListFile]:
    """All lists under a folder whose own or whose folder's name says train, val or test; `skip` is not entered."""
    files = [
        folder / name
        for folder, _, names in walk(root, depth=DEPTH, skip=skip, crowd=CROWD)
        for name in names
        if is_list(name)
    ]
    return [found for found in (part_and_fold(path, root) for path in files) if found.part]


def is_list(name: str) -> bool:
    """Whether a file may be a list, by its name."""
    return name.lower().endswith(SUFFIXES)


def part_words(name: str) -> dict[str, str]:
    """The words of a name that speak of a part -> train, val or test.

    >>> part_words("trainset_1"), part_words("train_Contest"), part_words("Train & Test Set")
    ({'trainset': 'train'}, {'train': 'train'}, {'Train': 'train', 'Test': 'test'})
    """
    words = re.findall(r"[A-Z]?[a-z]+|[A-Z]+", name)
    stems = {word: word.lower().removesuffix("set").removesuffix("list") for word in words}
    return {word: SPLIT_NAMES[stem] for word, stem in stems.items() if stem in SPLIT_NAMES}


def part_and_fold(path: Path, root: Path) -> ListFile:
    """What a list's own name, or else the nearest folder below `root`, says of its part and fold.

    >>> part_and_fold(Path("a/set_1/MAFW_Train.txt"), Path("a"))[:2]
    ('train', 1)
    """
    names = [path.stem, *path.relative_to(root).parent.parts[::-1]]
    spoken = [set(part_words(name).values()) for name in names]
    parts = [found.pop() for found in spoken if len(found) == 1]
    folds = [int(number) for name in names for number in re.findall(r"(?:set|fold|split)[_-]?(\d+)", name.lower())]
    return ListFile(parts[0] if parts else "", folds[0] if folds else None, path)


def _columns(header: list[str], rows: Sequence[Sequence[str]]) -> tuple[int | None, int | None, int]:
    """The places of clip and label, None where they are not to be told, and of the first row."""
    clip, label = (
        next((header.index(name) for name in names if name in header), None) for names in (CLIP_NAMES, LABEL_NAMES)
    )
    if clip is not None and label is not None and clip != label:
        return clip, label, 1
    if len(header) == 2 or (len(header) == 3 and all(row[1].isdecimal() for row in rows)):
        return 0, len(header) - 1, 0
    return None, None, 0


def _text(path: Path) -> str:
    data = read_bytes(path, LARGEST)
    if data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return data.decode("utf-16", errors="replace")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError:
        return data.decode("gb18030", errors="replace")


def _split(lines: Sequence[str]) -> Iterator[list[str]]:
    """The cells of each line, by the first separator that stands in all of them."""
    separator = next((sign for sign in ",;\t" if all(sign in line for line in lines)), "")
    if separator:
        # a reader for each line, lest a stray quotation mark makes one row of many lines
        yield from (next(split(line.replace("\0", ""), separator), []) for line in lines)
        return
    halves = [line.rsplit(maxsplit=1) for line in lines]
    thirds = [half[0].rsplit(maxsplit=1) for half in halves]
    # the first line may be a header
    framed = all(len(third) == 2 and third[1].isdecimal() for third in thirds[1:] or thirds)
    for half, third in zip(halves, thirds, strict=True):
        yield [*third, *half[1:]] if framed else half
