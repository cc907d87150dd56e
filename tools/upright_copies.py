"""Adds to the pictures of FER+ those crops that `dfer predict` would make of them, for the model that ships.

    python tools/upright_copies.py data/ferplus.csv -o data/ferplus_upright.csv

FER+'s pictures were cut around a detector's box, and heads lean in them; `dfer predict` turns each face upright and
cuts it by its landmarks. A copy has the votes of its picture. Only pictures that are trained on have one; the
validation part is the one that the recipe cuts from the pictures alone, so it is written down. The copies lie beside
the packed pictures.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt
import pandas as pd

from dfer import ClipDataset, DferError, Manifest
from dfer.training.choosing import choose_clips
from dfer.training.config import load_recipe
from dfer.video.alignment import align
from dfer.video.mtcnn import Mtcnn
from dfer.video.preprocessing import Preprocessing

RECIPE = Path(__file__).resolve().parents[1] / "configs" / "ferplus_faces_gentle.toml"
SIDE, SIZE = 48, 112
"""Pixels of a picture, and of its copy."""
ENLARGED, BORDER = 3, 24
"""The detector is shown the picture so many times as large, with such a border: faces fill the pictures."""
SMALLEST = 60
"""Width of a found face in the enlarged picture; what is narrower is no face that the picture shows."""

COPY = "_upright"
"""How the names of the rows end that are copies."""

Picture = npt.NDArray[np.uint8]


def upright(picture: Picture, detector: Mtcnn) -> Picture | None:
    """The crop of a grey picture (48, 48) that `dfer predict` would show a network, or None without a face."""
    large = cv2.resize(picture, (ENLARGED * SIDE, ENLARGED * SIDE), interpolation=cv2.INTER_CUBIC)
    large = cv2.copyMakeBorder(large, BORDER, BORDER, BORDER, BORDER, cv2.BORDER_REPLICATE)
    faces = detector(np.repeat(large[:, :, None], 3, axis=2))
    face = max(faces, key=lambda face: float(face.box[2] * face.box[3]), default=None)
    if face is None or face.box[2] <= SMALLEST:
        return None
    return align(np.repeat(picture[:, :, None], 3, axis=2), (face.landmarks - BORDER) / ENLARGED, SIZE)[:, :, 0]


def with_copies(manifest: Manifest, place: Path) -> pd.DataFrame:
    """The manifest's table with its validation part written down, and after it the rows of the copies."""
    chosen = choose_clips(load_recipe(RECIPE), manifest, None)
    pictures = ClipDataset(manifest, Preprocessing(frames=1, size=SIDE, grey=True), rule=None)
    table, detector, found = manifest.table.copy(), Mtcnn(), []
    table["split"] = table["split"].astype(object)
    table.loc[table.index[chosen.validation], "split"] = "val"
    place.mkdir(parents=True, exist_ok=True)
    for row in chosen.train:
        picture = np.rint(np.asarray(pictures[int(row)].clip).squeeze() * 255).astype(np.uint8)
        copy = upright(picture, detector)
        if copy is not None:
            path = place / f"{table['id'].iloc[row]}.png"
            if not cv2.imwrite(str(path), copy):
                raise DferError(f"{path} cannot be written")
            found.append(row)
    copies = table.iloc[found].copy()
    copies["path"] = [f"{place.name}/{name}.png" for name in copies["id"]]
    copies["id"] += COPY
    copies["kind"] = "image"
    print(f"{len(found):,} of {len(chosen.train):,} pictures have an upright copy")
    return pd.concat([table, copies], ignore_index=True)


def main() -> None:
    """Read, find, cut, write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("manifest", type=Path)
    parser.add_argument("-o", "--out", type=Path, default=Path("data/ferplus_upright.csv"))
    arguments = parser.parse_args()
    manifest = Manifest.read(arguments.manifest)
    table = with_copies(manifest, manifest.root / "upright")
    built = Manifest.build(
        table, emotions=manifest.emotions, root=manifest.root, source=manifest.source, left_out=manifest.left_out
    )
    built.write(arguments.out)


if __name__ == "__main__":
    main()
