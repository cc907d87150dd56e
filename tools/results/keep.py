"""Makes saved predictions small: `python tools/results/keep.py docs/results/NAME RUN...`.

RUN is a folder of `dfer evaluate`, or a table; NAME=RUN gives the kept table another name. Each becomes
docs/results/NAME/RUN.parquet, which `dfer.Predictions.read` and `dfer compare` read. The constants of the training part
are copied from the folder of the first run.

Kept are id, fold, label, votes, and probabilities to 15 binary digits after the point, those below 1/64 to 9
significant ones: as far as this page prints scores, they stay what they are. Fewer digits would not do: a probability
of 0.000004 that is kept as 0 adds 15 nats to the KL of its clip. Where two emotions would become equally probable, the
clip's row is left as it is. The frames that the model saw are not kept.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from pyarrow import parquet

from dfer import Predictions
from dfer.cli.naming import run_names
from dfer.comparison import read_run
from dfer.comparison.constant import CONSTANT, read_constants, write_constant

ABSOLUTE, RELATIVE = 15, 9
"""Binary digits after the point, and significant ones: whichever says more of a probability."""


def rounded(probs: NDArray[np.float64]) -> NDArray[np.float32]:
    """The probabilities (N, K) to fewer digits, each row with the most probable emotion that it had."""
    _, exponent = np.frexp(probs)  # probs < 2 ** exponent
    step = np.exp2(np.minimum(-ABSOLUTE, exponent - RELATIVE))
    near = np.rint(probs / step) * step
    moved = near.argmax(axis=1) != probs.argmax(axis=1)
    return np.where(moved[:, None], probs, near).astype(np.float32)


def whole(counts: NDArray[np.float64]) -> pa.Array:
    """Votes as the smallest whole numbers that hold them, empty where there are none; fractions stay as they are."""
    known = counts[~np.isnan(counts)]
    if (known % 1 != 0).any():
        return pa.array(counts, from_pandas=True)
    kind = np.min_scalar_type(int(known.max(initial=0)))
    return pa.array(np.nan_to_num(counts).astype(kind), mask=np.isnan(counts))


def keep(run: Predictions, path: Path) -> None:
    """Write the table of a run."""
    names = [*run.emotions, ""]
    probs = {f"prob_{name}": pa.array(column) for name, column in zip(run.emotions, rounded(run.probs).T, strict=True)}
    votes = {f"votes_{name}": whole(column) for name, column in zip(run.emotions, run.votes.T, strict=True)}
    clips = {"id": pa.array(run.ids.tolist()), "fold": whole(run.fold.astype(float))}
    label = {"label": pa.array([names[place] for place in run.labels])}
    path.parent.mkdir(parents=True, exist_ok=True)
    encoding = {"id": "DELTA_BYTE_ARRAY"} | dict.fromkeys(probs, "BYTE_STREAM_SPLIT")
    parquet.write_table(
        pa.table(clips | label | probs | votes), path, compression="zstd", compression_level=22, store_schema=False,
        use_dictionary=["fold", "label", *votes], column_encoding=encoding, write_statistics=False,
    )  # fmt: skip


def main(folder: Path, arguments: list[str]) -> None:
    """Keep the runs in the folder, and the constants of the first."""
    bare = iter(run_names([Path(text) for text in arguments if "=" not in text or Path(text).exists()]))
    named = [
        (next(bare), text) if "=" not in text or Path(text).exists() else tuple(text.split("=", 1))
        for text in arguments
    ]
    for number, (name, text) in enumerate(named):
        run = read_run(Path(text))
        keep(run, folder / f"{name.replace('/', '_')}.parquet")
        for fold, constant in ({} if number else read_constants(Path(text), run.emotions)).items():
            place = folder / f"fold{fold}" if fold else folder
            place.mkdir(exist_ok=True)
            write_constant(place / CONSTANT, constant, fold=fold, emotions=run.emotions)


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2:])
