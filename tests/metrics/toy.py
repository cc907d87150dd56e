"""Reports of made-up predictions, for the tests of the page."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from dfer.comparison import by_groups
from dfer.comparison.remedies import Fold, posthoc
from dfer.comparison.support import evidence
from dfer.labels import DFEW
from dfer.metrics import Predictions, gallery, score
from dfer.reports import build_report
from dfer.reports.contents import Cell, Curve, DataSet, Report, Training

FOUR = {
    "hard labels": ("hard", "none"),
    "hard labels + MIDAS": ("hard", "midas"),
    "soft labels": ("soft", "none"),
    "soft labels + MIDAS": ("soft", "midas"),
}


def toy_predictions(
    seed: int, *, clips: int = 90, folds: int = 1, emotions: Sequence[str] = tuple(DFEW), ids: str = "clip {}"
) -> Predictions:
    """Ten votes a clip that do not depend on the seed, a label from 6 votes on, and noisy probabilities that do."""
    people, model, size = np.random.default_rng(5), np.random.default_rng(seed), len(emotions)
    truth = people.dirichlet(np.full(size, 0.3), size=clips) + 0.01
    truth /= truth.sum(axis=1, keepdims=True)
    votes = np.array([people.multinomial(10, row) for row in truth], dtype=float)
    logits = np.log(truth) + model.normal(0, 1.2, truth.shape)
    probs = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    return Predictions(
        ids=np.array([ids.format(number) for number in range(clips)], dtype=object),
        fold=np.arange(clips) % folds + 1,
        labels=np.where(votes.max(axis=1) >= 6, votes.argmax(axis=1), -1),
        probs=probs,
        votes=votes,
        frames=["0 4"] * clips,
        emotions=emotions,  # type: ignore[arg-type]
    )


def toy_cell(
    name: str, predictions: Predictions, *, labels: str = "soft", mix: str = "none", seed: int = 0, **more: Any
) -> Cell:
    """A cell with two epochs of training a fold; the second one has no validation KL."""
    first = {"epoch": 1, "train_loss": 1.9, "lr": 0.002, "val_war": 0.4, "val_uar": 0.3, "val_kl": 0.9}
    epochs = [first, first | {"epoch": 2, "train_loss": 1.5, "val_kl": None}]
    training = Training(
        epochs=2, clips=432, estimated=0, left_out={"no single label": 57}, validation=48, frames=16, seconds=200.0,
        parameters=123456, model="tiny3d", seed=seed, selection="last",
    )  # fmt: skip
    known = {
        "run": name.replace(" ", "_"), "training": training,
        "curves": [Curve(fold, epochs) for fold in np.unique(predictions.fold).tolist()],
    }  # fmt: skip
    return Cell(**vars(score(predictions)), name=name, labels=labels, mix=mix, **(known | more))


def toy_report(
    predictions: Mapping[str, Predictions] | None = None,
    *,
    cells: Mapping[str, tuple[str, str]] | None = None,
    **data: Any,
) -> Report:
    """A report on `predictions`, {hard, soft} × {plain, MIDAS} unless told otherwise; `data` adds to its "data"."""
    known = cells or FOUR
    table = predictions or {name: toy_predictions(seed) for seed, name in enumerate(known)}
    told = evidence({name: [part] for name, part in table.items()}, draws=500)
    parts = [
        toy_cell(
            name,
            part,
            labels=known.get(name, ("soft", ""))[0],
            mix=known.get(name, ("", "none"))[1],
            **vars(told.cells[name]),
        )
        for name, part in table.items()
    ]
    return build_report(
        parts,
        data=replace(DataSet("toy", 300, {"no frames on disk": 3}), **data),
        protocol=["Tested once.", "No choice was made on the test part."],
        gallery=gallery(table, count=12),
        evidence=told,
    )


def noise(report: Report) -> dict[str, list[Any]]:
    """Frames that compress badly, for every clip of the gallery."""
    generator = np.random.default_rng(0)
    return {
        clip.id: [generator.integers(0, 256, (96, 96, 3)).astype(np.uint8) for _ in range(5)] for clip in report.gallery
    }


def looked_into(report: Report, runs: Mapping[str, Predictions]) -> Report:
    """The report with what is fitted after training and with scores by group: ages, and hostile texts."""
    clips = list(dict.fromkeys(clip for run in runs.values() for clip in run.ids))
    ages = {clip: 20 + number % 50 for number, clip in enumerate(clips)}
    towns = {clip: ["Genève <b>& Co</b>", "x" * 40, None][number % 3] for number, clip in enumerate(clips)}
    persons = {clip: f"p{number % 30}" for number, clip in enumerate(clips)}
    groups = by_groups(runs, {"frames": ages, "town & <i>country</i>": towns}, persons=persons, draws=200)
    cells = []
    for cell in report.cells:
        run = runs[cell.name]
        prior = np.full(len(run.emotions), 1 / len(run.emotions))
        cells.append(replace(cell, subgroups=groups[cell.name], posthoc=posthoc([Fold(run, run, prior)])))
    return replace(report, cells=cells)
