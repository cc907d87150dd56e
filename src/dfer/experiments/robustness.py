"""Test parts seen through blur, noise, darkness and so on, or in another order: how far a network's answers hold.

Every corruption and severity is predicted once and kept, clip by clip, as
`runs/NAME/fold1/corrupted/motion_blur3.parquet`; what is there is not predicted again. Which way a clip is blurred,
covered or shuffled depends on the clip and the corruption alone, so all runs see the same pictures.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path

import numpy as np
import numpy.typing as npt

from dfer.datasets import Manifest
from dfer.errors import DferError, listed
from dfer.experiments.attributes import groups_of
from dfer.experiments.runs import fold_name, manifest_of, saved_predictions, tested_folds, training_constants
from dfer.metrics import Predictions, concatenate
from dfer.models.checkpoint import read_card
from dfer.reports.robustness_page import Robustness, robustness, write_robustness
from dfer.reports.temporal_page import Temporal, temporal, write_temporal
from dfer.training.clips import Change
from dfer.training.predict import predict_fold
from dfer.video.corruptions import CORRUPTIONS, SEVERITIES, corrupt
from dfer.video.orders import ORDERS


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
            [_corrupted(runs[run] / fold_name(fold), manifest, fold, name, severity) for fold in chosen]
        )
        if progress:
            progress(done, total)
    result = robustness(clean, corrupted, groups=groups_of(manifest), constants=training_constants(manifest, chosen))
    write_robustness(result, out)
    return result


def reordered_runs(
    runs: Mapping[str, Path], out: Path, *, manifest: Manifest | None = None, folds: Sequence[int | None] | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> Temporal:  # fmt: skip
    """Predict the test parts of runs with their frames in other orders, and write `temporal.json` and `temporal.html`.

    Args:
        runs, out, manifest, folds, progress: as `corrupted_runs`.

    Raises:
        DferError: as `evaluate_runs`; or a run of a network that sees one frame.
    """
    manifest = manifest or Manifest.read(manifest_of(list(runs.values())))
    chosen = tested_folds(runs, folds)
    stills = [
        name for name, folder in runs.items()
        if read_card(folder / fold_name(chosen[0]) / "model").preprocessing["frames"] == 1
    ]  # fmt: skip
    if stills:
        raise DferError(
            f"{listed(stills)} sees one frame, which has no order; leave it out, or train it on more frames"
        )
    clean = {name: saved_predictions(folder, manifest, chosen) for name, folder in runs.items()}
    changed: dict[str, dict[str, Predictions]] = {name: {} for name in runs}
    for done, (run, order) in enumerate(((run, order) for run in runs for order in ORDERS), 1):
        changed[run][order] = concatenate(
            [_reordered(runs[run] / fold_name(fold), manifest, fold, order) for fold in chosen]
        )
        if progress:
            progress(done, len(runs) * len(ORDERS))
    result = temporal(clean, changed, groups=groups_of(manifest))
    write_temporal(result, out)
    return result


def _every(runs: Mapping[str, Path], names: Sequence[str]) -> Iterator[tuple[str, str, int]]:
    return ((run, name, severity) for run in runs for name in names for severity in SEVERITIES)


def _corrupted(folder: Path, manifest: Manifest, fold: int | None, name: str, severity: int) -> Predictions:
    change = partial(_change, manifest.table["id"].tolist(), name, severity)
    return _predicted(folder, manifest, fold, f"{name}{severity}", change)


def _reordered(folder: Path, manifest: Manifest, fold: int | None, order: str) -> Predictions:
    change = partial(_in_order, manifest.table["id"].tolist(), order)
    return _predicted(folder, manifest, fold, order.replace(" ", "_"), change)


def _predicted(folder: Path, manifest: Manifest, fold: int | None, name: str, change: Change) -> Predictions:
    """What the network of a fold says of the changed test part; kept, and read when it is asked again."""
    path = folder / "corrupted" / f"{name}.parquet"
    if not path.exists():
        predict_fold(folder, manifest, fold, change=change).write(path)
    return Predictions.read(path)


def _change(
    ids: Sequence[str], name: str, severity: int, frames: npt.NDArray[np.uint8], row: int
) -> npt.NDArray[np.uint8]:
    return corrupt(frames, name, severity, _generator(name, ids[row]))


def _in_order(ids: Sequence[str], order: str, frames: npt.NDArray[np.uint8], row: int) -> npt.NDArray[np.uint8]:
    return ORDERS[order](frames, _generator(order, ids[row]))


def _generator(change: str, clip: str) -> np.random.Generator:
    """The same for a change and a clip, whatever the run."""
    return np.random.default_rng([zlib.crc32(text.encode(errors="backslashreplace")) for text in (change, clip)])
