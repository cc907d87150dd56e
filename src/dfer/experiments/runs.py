"""A run's folder: one sub-folder a fold, trained, read on its test part, and put side by side with other runs.

runs/NAME/fold1/{recipe.toml, metrics.jsonl, train.json, model/, predictions.csv, constant.json, validation.csv}
runs/NAME/split/...   where the manifest has splits instead of folds
runs/NAME/data.json   which manifest the run was trained on
"""

from __future__ import annotations

import contextlib
import json
import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from dfer.comparison.constant import CONSTANT, Constant, constants_of, write_constant
from dfer.datasets import Manifest
from dfer.documents import checked, read_json
from dfer.errors import DferError, listed
from dfer.experiments.attributes import groups_of, require_columns, scores_by_group
from dfer.experiments.held_out import mended
from dfer.files import sole_owner, write_text
from dfer.metrics import Predictions, cell, concatenate, gallery
from dfer.training.choosing import choose_clips
from dfer.training.config import Recipe, load_recipe
from dfer.training.fit import fit
from dfer.training.predict import predict_fold
from dfer.training.progress import Progress
from dfer.training.record import SUMMARY, read_log, read_summary
from dfer.video.frames import open_clip
from dfer.video.preprocessing import resize_square
from dfer.video.sampling import uniform

GALLERY_CLIPS = 12
THUMBNAILS = 5
"""Frames shown of each clip of the report's gallery."""
THUMBNAIL_SIZE = 96
"""Pixels."""

DATA = "data.json"


@dataclass(frozen=True)
class TrainedOn:
    """data.json: the file of the manifest that a run was trained on."""

    manifest: str

    __pydantic_config__ = {"extra": "forbid"}  # noqa: RUF012 (pydantic reads it; it is no field)


def fold_name(fold: int | None) -> str:
    """The sub-folder of a fold, or of the split."""
    return "split" if fold is None else f"fold{fold}"


def train_folds(
    recipe: Recipe, manifest: Manifest, folder: Path, *, folds: Sequence[int | None], resume: bool = False,
    progress: Progress | None = None,
) -> None:  # fmt: skip
    """Train one model a fold, one after the other.

    Args:
        recipe: what to do.
        manifest: the clips, as read from a file, which the run remembers.
        folder: the run's folder.
        folds: which; (None,) for a manifest with splits.
        resume: leave finished folds as they are and go on with the one that was broken off.
        progress: told of every step and epoch.

    Raises:
        DferError: the manifest is in no file, the folder holds a run on another one, another process trains in it, or
            as `fit` does.
    """
    if manifest.file is None:
        raise DferError("expected a manifest as `Manifest.read` gives it, for a run remembers its file; write it first")
    data = manifest.file
    if os.path.lexists(folder / DATA) and manifest_of([folder]) != data.resolve():
        raise DferError(f"{folder} holds a run on {manifest_of([folder])}, not on {data}; choose another folder")
    writes = os.environ.get("RANK", "0") == "0"  # of several processes of torchrun, one writes
    for fold in folds:
        home = folder / fold_name(fold)
        with sole_owner(home) if writes else contextlib.nullcontext():
            fit(recipe, manifest, home, fold=fold, resume=resume, progress=progress)
        if writes:
            write_text(folder / DATA, json.dumps(asdict(TrainedOn(str(data.resolve())))) + "\n")


def evaluate_runs(
    runs: Mapping[str, Path],
    out: Path,
    *,
    manifest: Manifest | None = None,
    folds: Sequence[int | None] | None = None,
    note: str = "",
    by: Sequence[str] = (),
) -> dict[str, Any]:
    """Read each run's test parts, score them and write `report.json` and `report.html`.

    A test part that was predicted before is not read again: the saved predictions are what every figure comes from.
    The validation parts are predicted, too, for what is fitted after training.

    Args:
        runs: name of the cell -> folder of the run.
        out: the folder of the report.
        manifest: the clips; None reads those that the runs were trained on.
        folds: which; None takes all that the runs have.
        note: what a reader must know before the numbers, shown first on the page.
        by: columns of the manifest, such as "age": the scores are given for each group of clips, too. The clips'
            lengths are looked at in any case.

    Returns:
        The report, see `dfer.reports.report`.

    Raises:
        DferError: a run without a trained model, runs on different data or with different folds, folds that are not
            there, a column that the manifest lacks, a report that cannot be written.
    """
    # training does not wait for what draws the page
    from dfer.comparison.evidence import evidence
    from dfer.reports.report import build_report, write_report

    manifest = manifest or Manifest.read(manifest_of(list(runs.values())))
    require_columns(manifest, by)
    chosen_folds = tested_folds(runs, folds)
    predictions = {name: saved_predictions(folder, manifest, chosen_folds) for name, folder in runs.items()}
    by_group = scores_by_group(manifest, by, predictions)
    told = evidence(
        {name: [part] for name, part in predictions.items()}, groups=groups_of(manifest),
        constants=training_constants(manifest, chosen_folds),
    )  # fmt: skip
    cells = [
        _cell(name, folder, predictions[name])
        | {"posthoc": _mended(folder, manifest, chosen_folds, predictions[name]), "subgroups": by_group[name]}
        | told["cells"][name]
        for name, folder in runs.items()
    ]
    chosen = gallery(predictions, count=GALLERY_CLIPS)
    notes = " ".join(filter(None, [note, _estimated_note(cells)]))
    described = _describe(manifest) | ({"note": notes} if notes else {})
    report = build_report(cells, data=described, protocol=_protocol(cells, runs), gallery=chosen, evidence=told)
    write_report(report, out, thumbnails=_thumbnails(manifest, [clip["id"] for clip in chosen]))
    return report


def tested_folds(runs: Mapping[str, Path], folds: Sequence[int | None] | None) -> list[int | None]:
    """The folds to judge runs on: those that are named, else those that all of them have trained.

    Raises:
        DferError: none is named, and the runs have different ones.
    """
    if folds is not None:
        return list(folds)
    trained = {name: trained_folds(folder) for name, folder in runs.items()}
    if len(set(map(tuple, trained.values()))) > 1:
        told = "; ".join(f"{name}: {listed(map(fold_name, there)) or 'none'}" for name, there in trained.items())
        raise DferError(f"expected runs with the same folds, found {told}; name the fold to compare with --fold")
    return next(iter(trained.values()))


def trained_folds(folder: Path) -> list[int | None]:
    """The folds of a run that are trained to the end, in order."""
    names = {path.parent.name for path in folder.glob(f"*/{SUMMARY}")}
    folds = [int(name.removeprefix("fold")) for name in names if re.fullmatch("fold(0|[1-9][0-9]{0,6})", name)]
    return [None] * ("split" in names) + sorted(folds)


def manifest_of(folders: Sequence[Path]) -> Path:
    """The manifest that all of the runs were trained on.

    Raises:
        DferError: a folder that is no run, or runs on different manifests.
    """
    try:
        paths = {checked(TrainedOn, read_json(folder / DATA), str(folder / DATA)).manifest for folder in folders}
    except DferError as error:
        raise DferError(f"expected runs of `dfer train`, got {listed(folders)}: {error}") from error
    if len(paths) > 1:
        raise DferError(f"the runs were trained on different manifests: {listed(sorted(paths))}; name one with --data")
    return Path(paths.pop())


def saved_predictions(folder: Path, manifest: Manifest, folds: Sequence[int | None]) -> Predictions:
    """What a run says of its test parts; a part that was not predicted yet is read now, once.

    Raises:
        DferError: as `evaluate_runs`.
    """
    there, wanted = trained_folds(folder), list(folds)
    missing = [fold_name(fold) for fold in wanted if fold not in there]
    if missing or not wanted:
        raise DferError(
            f"{folder} has no fully trained model for {listed(missing) or 'any fold'}; "
            f"there are: {listed(map(fold_name, there)) or 'none'}; go on with `dfer train ... --resume`"
        )
    parts = []
    for fold in wanted:
        _require_same_data(folder, manifest, fold)
        path = folder / fold_name(fold) / "predictions.csv"
        if not path.exists():
            predict_fold(folder / fold_name(fold), manifest, fold).write(path)
        if not path.with_name(CONSTANT).exists():  # for those who have the table alone
            for number, constant in training_constants(manifest, [fold]).items():
                write_constant(path.with_name(CONSTANT), constant, fold=number, emotions=manifest.emotions)
        parts.append(Predictions.read(path))
    return concatenate(parts)


def training_constants(manifest: Manifest, folds: Sequence[int | None]) -> dict[int, Constant]:
    """The constant answers of each fold's training part, whatever a recipe chooses of it; 0 stands for the split."""
    training = {fold or 0: manifest.partition(fold)[0] for fold in folds}
    return constants_of(manifest.votes, manifest.labels, training)


def _require_same_data(folder: Path, manifest: Manifest, fold: int | None) -> None:
    """Refuse a manifest that is not the one of training: its test clips may have been trained on."""
    run = folder / fold_name(fold)
    trained = read_summary(run)
    if trained.emotions != tuple(manifest.emotions):
        raise DferError(
            f"the model of {run} knows {listed(trained.emotions, 12)}; the data have "
            f"{listed(manifest.emotions, 12)}, in this order; evaluate it on data of its own emotions"
        )
    chosen = choose_clips(load_recipe(run / "recipe.toml"), manifest, fold)
    if chosen.fingerprint(manifest.table["id"]) != trained.data:
        raise DferError(
            f"{run} was trained on other clips, votes or folds than this manifest of {len(manifest)} clips has, so its "
            "test part may have been trained on; give the manifest of the training with --data, or train anew"
        )


def _cell(name: str, folder: Path, predictions: Predictions) -> dict[str, Any]:
    folds = [fold for fold in trained_folds(folder) if (fold or 0) in set(predictions.fold.tolist())]
    recipe = load_recipe(folder / fold_name(folds[0]) / "recipe.toml")
    logs = [folder / fold_name(fold) for fold in folds]
    curves = [
        {"fold": fold or 0, "epochs": [asdict(epoch) for epoch in read_log(log)]}
        for fold, log in zip(folds, logs, strict=True)
    ]
    training = [read_summary(log) for log in logs]
    first = training[0]
    return cell(
        name,
        predictions,
        labels="hard" if recipe.labels.rule in ("hard", "smooth") else "soft",
        mix="midas" if recipe.midas else "none",
        run=folder.name,
        curves=curves,
        training={
            "epochs": first.epochs, "clips": first.clips, "estimated": first.estimated,
            "left_out": first.left_out, "validation": first.validation, "frames": recipe.input.frames,
            "seconds": round(sum(part.seconds for part in training), 1), "parameters": first.parameters,
            "model": first.model, "seed": recipe.seed, "selection": recipe.selection,
        },
    )  # fmt: skip


def _mended(folder: Path, manifest: Manifest, folds: Sequence[int | None], test: Predictions) -> dict[str, Any]:
    return mended([folder / fold_name(fold) for fold in folds], manifest, folds, test)


def _describe(manifest: Manifest) -> dict[str, Any]:
    return {
        "source": manifest.source, "emotions": list(manifest.emotions), "clips": len(manifest),
        "left_out": manifest.left_out,
    }  # fmt: skip


def _estimated_note(cells: list[dict[str, Any]]) -> str:
    """What a reader must know when models made the targets; nothing if people did."""
    told = [
        f"{cell['name']} ({cell['training']['estimated']} of {cell['training']['clips']} training clips)"
        for cell in cells
        if cell["training"]["estimated"]
    ]
    if not told:
        return ""
    return (
        f"Trained towards soft labels that were estimated by models, not voted by people: {listed(told, 12)}. "
        "No score on this page is taken against an estimate."
    )


def _protocol(cells: list[dict[str, Any]], runs: Mapping[str, Path]) -> list[str]:
    """The protocol in words, from what the runs recorded."""
    folds = [part["fold"] for part in cells[0]["folds"]]
    tested = "the split's test part" if folds == [0] else f"the test part of fold {listed(folds, limit=10)}"
    training = [cell["training"] for cell in cells]
    held = _each(training, "validation")
    kept = {"last": "the last epoch's weights"}
    words = _each([{"kept": kept.get(part["selection"], f"the best {part['selection']}")} for part in training], "kept")
    return [
        f"Trained on the clips outside {tested}; tested on {tested}, which was read once, after training.",
        f"Held out of training for validation: {held} clips, the source's own part where it has one, else cut by "
        f"person or film where that is known. Kept: {words}. No choice was made on the test part.",
        f"At test, {_each(training, 'frames')} frames of each clip were taken uniformly, without randomness; "
        "their indices are saved with the predictions.",
        "WAR and UAR are taken from one set of weights and over the clips that have a single label; distances to the "
        "votes over all test clips that have votes.",
        *(
            ["Numbers are pooled over folds; mean and standard deviation over folds stand beside them."]
            * (len(folds) > 1)
        ),
        *filter(None, [_estimated_note(cells)]),
        f"Seed {_each(training, 'seed')}, one run a cell, {len(runs)} in all.",
    ]


def _each(rows: list[dict[str, Any]], key: str) -> str:
    """What the rows say under a key: once, if they agree."""
    return listed(dict.fromkeys(row[key] for row in rows), limit=12)


def _thumbnails(manifest: Manifest, ids: list[str]) -> dict[str, list[npt.NDArray[np.uint8]]]:
    """A few frames of each clip of the gallery; a clip that can't be read any more has none."""
    rows = manifest.table.set_index("id").loc[ids]
    frames: dict[str, list[npt.NDArray[np.uint8]]] = {}
    for name, path, kind in zip(ids, rows["path"], rows["kind"], strict=True):
        with contextlib.suppress(DferError):
            clip = open_clip(manifest.resolve(path), kind)
            count = min(THUMBNAILS, len(clip))
            frames[name] = list(resize_square(clip.read(uniform(len(clip), count)), THUMBNAIL_SIZE))
    return frames
