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
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from dfer.comparison.constant import CONSTANT, Constant, constants_of, write_constant
from dfer.comparison.support import evidence
from dfer.datasets import Manifest
from dfer.documents import checked, read_json
from dfer.errors import DferError, listed
from dfer.experiments.attributes import groups_of, require_columns, scores_by_group
from dfer.experiments.held_out import mended
from dfer.files import sole_owner, write_text
from dfer.metrics import Predictions, concatenate, gallery, score
from dfer.reports.contents import Cell, Curve, DataSet, Report, Training, clip_maps
from dfer.reports.report import build_report, write_report
from dfer.training.choosing import choose_clips
from dfer.training.config import Recipe, load_recipe
from dfer.training.loop import fit
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
        if writes and not os.path.lexists(folder / DATA):
            write_text(folder / DATA, json.dumps(asdict(TrainedOn(str(data.resolve())))) + "\n")


def evaluate_runs(
    runs: Mapping[str, Path],
    out: Path,
    *,
    manifest: Manifest | None = None,
    folds: Sequence[int | None] | None = None,
    note: str = "",
    by: Sequence[str] = (),
) -> Report:
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

    Raises:
        DferError: a run without a trained model, runs on different data or with different folds, folds that are not
            there, a column that the manifest lacks, a report that cannot be written.
    """
    manifest = manifest or Manifest.read(manifest_of(list(runs.values())))
    require_columns(manifest, by)
    chosen_folds = tested_folds(runs, folds)
    predictions = {name: saved_predictions(folder, manifest, chosen_folds) for name, folder in runs.items()}
    by_group = scores_by_group(manifest, by, predictions)
    told = evidence(
        {name: [part] for name, part in predictions.items()}, groups=groups_of(manifest),
        constants=training_constants(manifest, chosen_folds),
    )  # fmt: skip
    cells = []
    for name, folder in runs.items():
        folders = [folder / fold_name(fold) for fold in chosen_folds]
        labels, mix, training, curves = _trained(folders)
        posthoc = mended(folders, manifest, chosen_folds, predictions[name])
        cells.append(
            Cell(
                **vars(score(predictions[name])), **vars(told.cells[name]), name=name, run=folder.name, labels=labels,
                mix=mix, curves=curves, training=training, posthoc=posthoc, subgroups=by_group[name],
                maps=clip_maps(predictions[name]),
            )
        )  # fmt: skip
    chosen = gallery(predictions, count=GALLERY_CLIPS)
    trained = {cell.name: cell.training for cell in cells if cell.training}
    notes = " ".join(filter(None, [note, _estimated_note(trained)]))
    described = DataSet(manifest.source, len(manifest), manifest.left_out, list(manifest.emotions), notes)
    report = build_report(
        cells, data=described, protocol=_protocol(trained, chosen_folds), gallery=chosen, evidence=told
    )
    write_report(report, out, thumbnails=_thumbnails(manifest, [clip.id for clip in chosen]))
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
        require_same_data(folder, manifest, fold)
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


def require_same_data(folder: Path, manifest: Manifest, fold: int | None) -> None:
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


def _trained(folders: Sequence[Path]) -> tuple[str, str, Training, list[Curve]]:
    """How a run was trained in the folders of its folds: labels, mixing, what it took, and the logs."""
    recipe = load_recipe(folders[0] / "recipe.toml")
    done = [read_summary(folder) for folder in folders]
    first = done[0]
    training = Training(
        epochs=first.epochs, clips=first.clips, estimated=first.estimated, left_out=first.left_out,
        validation=first.validation, frames=recipe.input.frames, seconds=round(sum(part.seconds for part in done), 1),
        parameters=first.parameters, model=first.model, seed=recipe.seed, selection=recipe.selection,
    )  # fmt: skip
    curves = [
        Curve(part.fold or 0, [asdict(epoch) for epoch in read_log(folder)])
        for part, folder in zip(done, folders, strict=True)
    ]
    labels = "hard" if recipe.labels.rule in ("hard", "smooth") else "soft"
    return labels, "midas" if recipe.midas else "none", training, curves


def _estimated_note(trained: Mapping[str, Training]) -> str:
    """What a reader must know when models made the targets; nothing if people did."""
    told = [
        f"{name} ({training.estimated} of {training.clips} training clips)"
        for name, training in trained.items()
        if training.estimated
    ]
    if not told:
        return ""
    return (
        f"Trained towards soft labels that were estimated by models, not voted by people: {listed(told, 12)}. "
        "No score on this page is taken against an estimate."
    )


def _protocol(trained: Mapping[str, Training], folds: Sequence[int | None]) -> list[str]:
    """The protocol in words, from what the runs recorded."""
    tested = "the split's test part" if folds == [None] else f"the test part of fold {listed(folds, limit=10)}"
    runs, kept = trained.values(), {"last": "the last epoch's weights"}
    held = _each(run.validation for run in runs)
    words = _each(kept.get(run.selection, f"the best {run.selection}") for run in runs)
    return [
        f"Trained on the clips outside {tested}; tested on {tested}, which was read once, after training.",
        f"Held out of training for validation: {held} clips, the source's own part where it has one, else cut by "
        f"person or film where that is known. Kept: {words}. No choice was made on the test part.",
        f"At test, {_each(run.frames for run in runs)} frames of each clip were taken uniformly, without randomness; "
        "their indices are saved with the predictions.",
        "WAR and UAR are taken from one set of weights and over the clips that have a single label; distances to the "
        "votes over all test clips that have votes.",
        *(
            ["Numbers are pooled over folds; mean and standard deviation over folds stand beside them."]
            * (len(folds) > 1)
        ),
        *filter(None, [_estimated_note(trained)]),
        f"Seed {_each(run.seed for run in runs)}, one run a cell, {len(runs)} in all.",
    ]


def _each(values: Iterable[object]) -> str:
    """The values; once, if they agree."""
    return listed(dict.fromkeys(values), limit=12)


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
