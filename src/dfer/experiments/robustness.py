"""Test parts seen through blur, noise, darkness and so on: how far a trained network's answers hold.

Every corruption and severity is predicted once and kept, clip by clip, as
`runs/NAME/fold1/corrupted/motion_blur3.parquet`; what is there is not predicted again. Which way a clip is blurred or
covered depends on the clip and the corruption alone, so all runs see the same pictures.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path

import numpy as np
import numpy.typing as npt

from dfer.datasets import Manifest
from dfer.experiments.attributes import groups_of
from dfer.experiments.runs import fold_name, manifest_of, saved_predictions, tested_folds, training_constants
from dfer.metrics import Predictions, concatenate
from dfer.reports.robustness_page import Robustness, robustness, write_robustness
from dfer.training.predict import predict_fold
from dfer.video.corruptions import CORRUPTIONS, SEVERITIES, corrupt


def corrupted_runs(
    runs: Mapping[str, Path], out: Path, *, manifest: Manifest | None = None, folds: Sequence[int | None] | None = None,
    names: Sequence[str] = tuple(CORRUPTIONS), progress: Callable[[int, int], None] | None = None,
) -> Robustness:  # fmt: skip
    """Predict the test parts of runs under corruptions, and write `robustness.json` and `robustness.html`.

    Args:
        runs: name -> folder of the run; the first is what the others are compared with.
        out: the folder of the page.
        manifest: the clips; None reads those that the runs were trained on.
        folds: which; None takes all that the runs have.
        names: keys of `dfer.video.corruptions.CORRUPTIONS`.
        progress: called with (tables predicted, of how many).

    Raises:
        DferError: as `evaluate_runs`.
    """
    manifest = manifest or Manifest.read(manifest_of(list(runs.values())))
    chosen = tested_folds(runs, folds)
    clean = {name: saved_predictions(folder, manifest, chosen) for name, folder in runs.items()}
    total = len(runs) * len(names) * len(SEVERITIES)
    corrupted: dict[str, dict[tuple[str, int], Predictions]] = {name: {} for name in runs}
    for done, (run, name, severity) in enumerate(_every(runs, names), 1):
        corrupted[run][name, severity] = concatenate(
            [_predicted(runs[run] / fold_name(fold), manifest, fold, name, severity) for fold in chosen]
        )
        if progress:
            progress(done, total)
    result = robustness(clean, corrupted, groups=groups_of(manifest), constants=training_constants(manifest, chosen))
    write_robustness(result, out)
    return result


def _every(runs: Mapping[str, Path], names: Sequence[str]) -> Iterator[tuple[str, str, int]]:
    return ((run, name, severity) for run in runs for name in names for severity in SEVERITIES)


def _predicted(folder: Path, manifest: Manifest, fold: int | None, name: str, severity: int) -> Predictions:
    path = folder / "corrupted" / f"{name}{severity}.parquet"
    if not path.exists():
        ids = manifest.table["id"].tolist()
        predict_fold(folder, manifest, fold, change=partial(_change, ids, name, severity)).write(path)
    return Predictions.read(path)


def _change(
    ids: Sequence[str], name: str, severity: int, frames: npt.NDArray[np.uint8], row: int
) -> npt.NDArray[np.uint8]:
    place = [zlib.crc32(text.encode(errors="backslashreplace")) for text in (name, ids[row])]
    return corrupt(frames, name, severity, np.random.default_rng(place))
