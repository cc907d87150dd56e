"""FER+: stills of FER2013 with the votes of ten people each. A still is a clip of one frame.

    FER2013Train/fer0000000.png ...   28,709 images; FER2013Valid and FER2013Test 3,589 each
    FER2013Train/label.csv            file, box, ten counts
    fer2013new.csv                    Usage, Image name, ten counts: instead of label.csv

The parts may be folders or archives of the same names (`FER2013Train.zip`), or all images may lie in one folder beside
fer2013new.csv. Boxes are not read: every one is the whole image of 48 x 48 pixels. The published
tables are not the same: they differ for 1,073 images of FER2013Train, and fer2013new.csv names four images twice.

Many images stand in FER2013 more than once, byte for byte, also across its parts: of the 3,579 of FER2013Valid 279 lie
in FER2013Train as well. An image of the test part is not trained on: its doubles elsewhere are left out and counted, as
are those of the validation part in the training part. `group` is the image's content, so that no validation part that
is cut later holds a double of what is trained on.

The last two counts, "unknown" and "NF" (not a face), name no emotion: they become `other_unknown` and `other_not_face`,
which the rule `ferplus` needs. `label` follows the published majority rule: answers of one person alone are dropped as
outliers, then an emotion needs more than half of what is left.

References: Barsoum, Zhang, Canton Ferrer and Zhang, "Training deep networks for facial expression recognition with
crowd-sourced label distribution", ICMI 2016.
"""

from __future__ import annotations

import contextlib
import hashlib
import logging
import zipfile
from pathlib import Path
from typing import Literal, NamedTuple

import numpy as np
import pandas as pd

from dfer.archives import open_archive, read_member
from dfer.datasets.manifest import Manifest
from dfer.datasets.published import DOUBLE
from dfer.datasets.sources.delimited import decoded, parse_delimited
from dfer.datasets.sources.sheets import published_table, read_table
from dfer.errors import DferError, listed, require_known
from dfer.files import read_bytes
from dfer.labels import FERPLUS, check_votes, single_label, without_lone_votes
from dfer.labels.votes import MOST_VOTES

logger = logging.getLogger(__name__)

EXPECTED = "FER2013Train, FER2013Valid, FER2013Test as folders or .zip, or fer2013new.csv beside a folder of images"
USAGE = {"FER2013Train": "Training", "FER2013Valid": "PublicTest", "FER2013Test": "PrivateTest"}
"""Part -> its name in fer2013new.csv."""
EMOTIONS = [f"votes_{name}" for name in FERPLUS]
VOTES = [*EMOTIONS, "other_unknown", "other_not_face"]
COLUMNS = {"usage": "usage", "image name": "name", "unknown": "other_unknown", "nf": "other_not_face"}
"""Columns of fer2013new.csv that are no emotions, in lower case -> ours."""
ALL_VOTES = "fer2013new.csv"
LARGEST = 2**20
"""Bytes of an image of 48 x 48 pixels."""
LARGEST_TABLE = 64 * 2**20
"""Bytes of label.csv."""
UNREADABLE = "image cannot be read"


class Images(NamedTuple):
    """Where the images of a part lie: their names, what goes before them in a path, and their label.csv if there."""

    names: set[str]
    prefix: str
    label: bytes | None


def recognise(root: Path) -> bool:
    """Whether `root` looks like FER+."""
    return root.is_dir() and (bool(_parts(root)) or (root / ALL_VOTES).is_file())


def read(root: Path, *, test: Literal["", "FER2013Test", "FER2013Valid"] = "") -> Manifest:
    """Read FER+.

    Args:
        root: its folder.
        test: the part that is tested on, FER2013Test or FER2013Valid. By default FER2013Test; where its images are
            absent FER2013Valid, and a warning says so: then no part is left for validation, and training cuts one
            from FER2013Train.

    Returns:
        A manifest with splits. Left out and counted: rows without a name, without an image, without a vote for an
        emotion (all votes "unknown" or "not a face"), and rows of an image that has several.

    Raises:
        DferError: a part that is missing or cannot be read.
    """
    images = _images(root)
    tables = {part: _part(root, part, found) for part, found in images.items()}
    tested = _choose_test(test, [part for part, table in tables.items() if table["reason"].eq("").any()])
    rows = pd.concat([table.assign(split=_split(part, tested)) for part, table in tables.items()], ignore_index=True)
    reasons = rows["reason"][rows["reason"] != ""].value_counts()
    left_out = {str(reason): int(count) for reason, count in reasons.items()}
    rows = rows[rows["reason"] == ""].drop(columns="reason")
    rows = rows.assign(group=_contents(root, rows["path"]))
    if (rows["group"] == "").any():
        left_out[UNREADABLE] = int((rows["group"] == "").sum())
    rows, doubles = _without_doubles(rows[rows["group"] != ""])
    left_out |= doubles
    check_votes(rows[VOTES], rows["id"].tolist())
    votes, other = without_lone_votes(rows[EMOTIONS], rows[VOTES[len(EMOTIONS) :]])
    labels = single_label(votes, share=0.5, inclusive=False, other=other)
    rows = rows.assign(kind="image", label=["" if position < 0 else FERPLUS[position] for position in labels])
    return Manifest.build(rows, emotions=FERPLUS, root=root, source="ferplus", left_out=left_out)


def _contents(root: Path, paths: pd.Series[str]) -> list[str]:
    """What each image is, as a short hash of its file; "" for one that cannot be read."""
    archives: dict[str, zipfile.ZipFile] = {}
    hashes: list[str] = []
    damaged: list[tuple[str, str]] = []
    with contextlib.ExitStack() as opened:
        for path in paths:
            archive, inside, member = path.partition(".zip/")
            if inside and archive not in archives:
                archives[archive] = opened.enter_context(open_archive(root / f"{archive}.zip"))
            try:
                content = (
                    read_member(archives[archive], member, largest=LARGEST)
                    if inside
                    else read_bytes(root / path, LARGEST)
                )
                hashes.append(hashlib.sha256(content).hexdigest()[:16])
            except DferError as error:
                hashes.append("")
                damaged.append((str(path), str(error)))
    if damaged:
        told = damaged[0][1]
        logger.warning(
            "left out %d clips, %s: %s; the first: %s",
            len(damaged),
            UNREADABLE,
            listed(path for path, _ in damaged),
            told,
        )
    return hashes


def _without_doubles(rows: pd.DataFrame) -> tuple[pd.DataFrame, dict[str, int]]:
    """Without images of the training or validation part that the test part has too, and so on; how many they were."""
    counts = {}
    for kept, others, told in (("test", ("train", "val"), "test"), ("val", ("train",), "validation")):
        held = rows["group"].isin(rows["group"][rows["split"] == kept])
        double = held & rows["split"].isin(others)
        if double.any():
            counts[f"{DOUBLE}an image of the {told} part"] = int(double.sum())
        rows = rows[~double]
    return rows, counts


def _choose_test(wanted: str, there: list[str]) -> str:
    """The part to test on."""
    choices = [part for part in ("FER2013Test", "FER2013Valid") if part in there]
    if "FER2013Train" not in there or not choices:
        raise DferError(f"expected images of FER2013Train and of FER2013Test or FER2013Valid; found {listed(there)}")
    require_known("test cannot be", wanted, ["", *choices])
    if not wanted and choices[0] != "FER2013Test":
        logger.warning("no images of FER2013Test: FER2013Valid is the test part, validation is cut from FER2013Train")
    return wanted or choices[0]


def _split(part: str, tested: str) -> str:
    """The split of a part: FER2013Test is in none when FER2013Valid is tested on."""
    return "test" if part == tested else {"FER2013Train": "train", "FER2013Valid": "val"}.get(part, "")


def _parts(root: Path) -> list[str]:
    return [part for part in USAGE if (root / part).is_dir() or (root / f"{part}.zip").is_file()]


def _images(root: Path) -> dict[str, Images]:
    """The images of each part that is there."""
    parts = _parts(root)
    if parts:
        folders = {part: root / part for part in parts if (root / part).is_dir()}
        return {part: _in_folder(folders[part], root) if part in folders else _in_archive(root, part) for part in parts}
    for folder in [root, *sorted(path for path in root.iterdir() if path.is_dir())]:
        found = _in_folder(folder, root)
        if found.names:
            return dict.fromkeys(USAGE, found)
    raise DferError(f"{root} has {ALL_VOTES} but no folder of images fer0000000.png ...; expected {EXPECTED}")


def _in_folder(folder: Path, root: Path) -> Images:
    names = {path.name for path in folder.iterdir()}
    label = read_bytes(folder / "label.csv", LARGEST_TABLE) if "label.csv" in names else None
    prefix = folder.relative_to(root).as_posix()
    images = {name for name in names if name.startswith("fer") and name.endswith(".png")}
    return Images(images, "" if prefix == "." else f"{prefix}/", label)


def _in_archive(root: Path, part: str) -> Images:
    with open_archive(root / f"{part}.zip") as archive:
        members = [name for name in archive.namelist() if not name.startswith("__MACOSX/")]
        inner = next((name.rpartition("fer")[0] for name in members if name.endswith(".png")), f"{part}/")
        there = f"{inner}label.csv" in members
        label = read_member(archive, f"{inner}label.csv", largest=LARGEST_TABLE) if there else None
    names = {name.removeprefix(inner) for name in members if name.startswith(inner)}
    return Images(names, f"{part}.zip/{inner}", label)


def _part(root: Path, part: str, images: Images) -> pd.DataFrame:
    """Id, path and votes of a part, and the reason for leaving a row out ("" = none)."""
    table = _votes(root, part, images.label)
    again, same = table["name"].duplicated(keep=False), table.duplicated(keep=False)
    second = table.duplicated()
    name = table.pop("name")
    table["reason"] = ""
    table.loc[table[EMOTIONS].sum(axis=1) == 0, "reason"] = "no vote for an emotion"
    table.loc[second, "reason"] = "second row of an image"
    table.loc[again & ~same, "reason"] = "rows of one image that differ"
    table.loc[~name.isin(images.names), "reason"] = "no image on disk"
    table.loc[name == "", "reason"] = "row without an image name"
    return table.assign(id=name.str.removesuffix(".png"), path=images.prefix + name)


def _votes(root: Path, part: str, label: bytes | None) -> pd.DataFrame:
    """Columns name (of the image) and the ten counts, from label.csv or else from fer2013new.csv."""
    place = f"{'label.csv' if label is not None else ALL_VOTES} of {part}"
    if label is not None:
        grid = parse_delimited(decoded(label, place), place)
        table = published_table(grid, header=False)
        names = ["name", "box", *VOTES]
        if table.shape[1] != len(names):
            raise DferError(
                f"{place}: expected a name, a box and ten counts a row, got {table.shape[1]} cells; get it again"
            )
        table.columns = pd.Index(names)
    elif (root / ALL_VOTES).exists():
        table = read_table(root / ALL_VOTES)
        try:
            table = table.rename(columns=_column)
        except DferError as error:
            raise DferError(f"{ALL_VOTES} of {part}: expected a name and ten counts a row: {error}") from error
        table = table[table["usage"] == USAGE[part]] if "usage" in table else table
    else:
        raise DferError(f"{part} has no label.csv, and there is no {ALL_VOTES} in {root}")
    missing = [name for name in ("name", *VOTES) if list(table).count(name) != 1]
    if missing:
        raise DferError(
            f"{place}: expected a name and ten counts a row; not there once: {listed(missing)}; get it again"
        )
    table = table[["name", *VOTES]]
    numbers = table[VOTES].apply(pd.to_numeric, errors="coerce")
    wrong = ~(numbers.notna() & (numbers.abs() <= MOST_VOTES)).to_numpy()
    if wrong.any():
        cells = [f"{table['name'].iloc[row]} '{table[VOTES].iloc[row, column]}'" for row, column in np.argwhere(wrong)]
        raise DferError(f"{place}: expected a name and ten counts a row, up to {MOST_VOTES:,}; got {listed(cells)}")
    return table.assign(**numbers.astype(float))


def _column(name: str) -> str:
    """What a column of fer2013new.csv is called here."""
    return COLUMNS.get(name.strip().lower()) or f"votes_{FERPLUS.canonical(name)}"
