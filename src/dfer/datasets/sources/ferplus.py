"""FER+: stills of FER2013 with the votes of ten people each. A still is a clip of one frame.

Layout: `FER2013Train/fer0000000.png` and `label.csv` (file, box, ten counts), the same for FER2013Valid and
FER2013Test, as folders or as zip archives of the same names; or `fer2013new.csv` beside the images' folders.

The last two counts, "unknown" and "not a face", name no emotion: they become `other_unknown` and `other_not_face`,
which the rule `ferplus` needs. `label` is by the published majority rule: single votes are dropped as outliers, then
an emotion needs more than half of what is left.

References: Barsoum et al.: "Training Deep Networks for Facial Expression Recognition with Crowd-Sourced Label
Distribution", ICMI 2016.
"""

from __future__ import annotations

import io
import logging
import zipfile
from pathlib import Path

import pandas as pd

from dfer.datasets.manifest import Manifest
from dfer.errors import DferError, listed
from dfer.labels import FERPLUS, single_label, without_lone_votes

logger = logging.getLogger(__name__)

EXPECTED = "FER2013Train, FER2013Valid, FER2013Test as folders or .zip"
PARTS = {"FER2013Train": "train", "FER2013Valid": "val", "FER2013Test": "test"}
USAGE = {"FER2013Train": "Training", "FER2013Valid": "PublicTest", "FER2013Test": "PrivateTest"}
BALLOTS = [f"votes_{name}" for name in FERPLUS] + ["other_unknown", "other_not_face"]


def recognise(root: Path) -> bool:
    """Whether `root` looks like FER+."""
    return any((root / part).is_dir() or (root / f"{part}.zip").is_file() for part in PARTS)


def read(root: Path, *, test: str = "") -> Manifest:
    """Read FER+.

    Args:
        root: its folder.
        test: the part that is tested on; by default FER2013Test, or FER2013Valid where the test images are absent
            (then the validation part is cut from the training part, and this is said).

    Returns:
        A manifest with splits; rows without an image or without a vote for an emotion are left out and counted.
    """
    there = [part for part in PARTS if (root / part).is_dir() or (root / f"{part}.zip").is_file()]
    if test and test not in there:
        raise DferError(f"expected test to be one of {listed(there)}, got {test}")
    if "FER2013Train" not in there:
        raise DferError(f"{root} has no FER2013Train, so there is nothing to train on; found {listed(there)}")
    tested = test or there[-1]
    if tested != "FER2013Test":
        logger.warning("%s is the test part; the validation part is cut from FER2013Train", tested)
    left_out: dict[str, int] = {}
    tables = [
        _read_part(root, part, left_out).assign(split="test" if part == tested else PARTS[part]) for part in there
    ]
    rows = pd.concat(tables, ignore_index=True)
    votes, other = rows[BALLOTS[:8]].to_numpy(float), rows[BALLOTS[8:]].to_numpy(float)
    kept_votes, kept_other = without_lone_votes(votes, other)
    labels = single_label(kept_votes, share=0.5, inclusive=False, other=kept_other)
    rows["label"] = ["" if index < 0 else FERPLUS[index] for index in labels]
    return Manifest.build(rows.assign(kind="image"), emotions=FERPLUS, root=root, source="ferplus", left_out=left_out)


def _read_part(root: Path, part: str, left_out: dict[str, int]) -> pd.DataFrame:
    """The rows of one part that have an image and an emotion."""
    archive = root / f"{part}.zip"
    if (root / part).is_dir():
        folder, prefix = root / part, part
        files = {path.name for path in folder.iterdir()}
        label = (folder / "label.csv").read_bytes() if "label.csv" in files else None
    else:
        try:
            with zipfile.ZipFile(archive) as opened:
                members = opened.namelist()
                inner = next((name.rpartition("/")[0] for name in members if name.endswith("label.csv")), part)
                label = (
                    opened.read(f"{inner}/label.csv".lstrip("/"))
                    if f"{inner}/label.csv".lstrip("/") in members
                    else None
                )
        except (OSError, zipfile.BadZipFile) as error:
            raise DferError(f"{archive} cannot be read: {error}; get it again") from error
        files = {name.rpartition("/")[2] for name in members if name.rpartition("/")[0] == inner}
        prefix = f"{part}.zip/{inner}".rstrip("/")
    table = _ballots(root, part, label)
    nameless = table["id"].isna() | (table["id"] == "")
    absent = ~nameless & ~table["id"].isin(files)
    empty = ~nameless & ~absent & (table[BALLOTS[:8]].sum(axis=1) == 0)
    for reason, wrong in (
        ("row without an image name", nameless),
        ("no image on disk", absent),
        ("no vote for an emotion", empty),
    ):
        if wrong.any():
            left_out[reason] = left_out.get(reason, 0) + int(wrong.sum())
    table = table[~(nameless | absent | empty)]
    return table.assign(path=prefix + "/" + table["id"], id=table["id"].str.removesuffix(".png"))


def _ballots(root: Path, part: str, label: bytes | None) -> pd.DataFrame:
    """Columns id (the file's name) and the ten counts, of label.csv or else of fer2013new.csv."""
    try:
        if label is not None:
            return pd.read_csv(io.BytesIO(label), header=None, names=["id", "box", *BALLOTS], dtype={"id": str}).drop(
                columns="box"
            )
        whole = pd.read_csv(root / "fer2013new.csv", dtype={"Image name": str})
    except FileNotFoundError as error:
        raise DferError(f"{root / part} has no label.csv, and there is no fer2013new.csv in {root}") from error
    except (ValueError, pd.errors.ParserError) as error:
        raise DferError(f"the votes of {part} cannot be read: {error}") from error
    whole.columns = pd.Index(["usage", "id", *BALLOTS])
    return whole[whole["usage"] == USAGE[part]].drop(columns="usage")
