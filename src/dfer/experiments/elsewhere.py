"""A trained model on a data set that it was not trained on, emotions mapped by name.

Only the emotions that both know are judged. What the model says of others is left out of its probabilities, which then
sum to one again; a clip that people gave another label to, or whose votes are all for others, is left out and counted.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch

from dfer.datasets import Manifest
from dfer.errors import DferError, listed
from dfer.experiments.attributes import groups_of
from dfer.labels import EmotionSet, map_columns
from dfer.metrics import Predictions
from dfer.models import Card, load_checkpoint
from dfer.reports.contents import DataSet, Report
from dfer.reports.given import report_on
from dfer.training.clips import ClipDataset
from dfer.training.features import watched
from dfer.training.predict import predict_probs
from dfer.video.preprocessing import Preprocessing


@dataclass(frozen=True)
class Shared:
    """What a model and a data set have in common.

    Attributes:
        emotions: in the order and the names of the data set.
        only_model: emotions that the data set lacks.
        only_data: emotions that the model lacks.
    """

    emotions: EmotionSet
    only_model: tuple[str, ...]
    only_data: tuple[str, ...]


def evaluate_elsewhere(models: Mapping[str, Path], data: Path, out: Path) -> Report:
    """Predict all clips of a data set, score what is comparable, and write the report and a table a model.

    Args:
        models: name -> folder of a checkpoint.
        data: the manifest; none of its clips may have been trained on.
        out: folder of `report.json`, `report.html` and `NAME.csv`, the predictions of each model.

    Raises:
        DferError: fewer than two emotions in common, models that share different ones with the data, no clip left, an
            unreadable clip.
    """
    manifest = Manifest.read(data)
    loaded = {name: load_checkpoint(folder) for name, folder in models.items()}
    shared = {name: shared_emotions(card.emotions, manifest.emotions) for name, (_, card) in loaded.items()}
    first = next(iter(shared.values()))
    for name, part in shared.items():
        if part.emotions != first.emotions:
            raise DferError(
                f"expected models that share the same emotions with the data; {next(iter(shared))} shares "
                f"{listed(first.emotions, 12)}, {name} {listed(part.emotions, 12)}; evaluate them one by one"
            )
    common = first.emotions
    rows = comparable(manifest, common)
    predictions = {name: _predict(model, card, manifest, rows, common) for name, (model, card) in loaded.items()}
    for name, table in predictions.items():
        table.write(out / f"{name.replace('/', '-')}.csv")
    left_out = dict(manifest.left_out)
    if len(rows) < len(manifest):
        left_out["of other emotions, or without votes and label"] = len(manifest) - len(rows)
    described = DataSet(manifest.source, len(rows), left_out, list(common))
    return report_on(predictions, out, data=described, protocol=_protocol(shared, models), groups=groups_of(manifest))


def shared_emotions(model: EmotionSet, data: EmotionSet) -> Shared:
    """What is in both, by name and known spellings.

    Raises:
        DferError: fewer than two emotions.

    >>> one, other = EmotionSet("a", ("sad", "joy", "awe")), EmotionSet("b", ("happy", "sad", "calm"))
    >>> list(shared_emotions(one, other).emotions)
    ['happy', 'sad']
    """
    _, lost_by_data = map_columns(np.eye(len(data)), data, model, missing="drop")
    _, lost_by_model = map_columns(np.eye(len(model)), model, data, missing="drop")
    common = tuple(name for name, lost in zip(data, lost_by_data, strict=True) if not lost)
    if len(common) < 2:
        raise DferError(
            f"the model knows {listed(model, 12)}; the data have {listed(data, 12)}; expected two emotions or more in "
            "both; if names differ, prepare the data again with --map THEIRS=OURS"
        )
    return Shared(
        EmotionSet(data.name, common, {alias: name for alias, name in data.aliases.items() if name in common}),
        tuple(name for name, lost in zip(model, lost_by_model, strict=True) if lost),
        tuple(name for name, lost in zip(data, lost_by_data, strict=True) if lost),
    )


def comparable(manifest: Manifest, emotions: EmotionSet) -> npt.NDArray[np.int64]:
    """The clips whose label, or where there is none some vote, is one of the emotions.

    Raises:
        DferError: there is none.
    """
    kept = [place for place, name in enumerate(manifest.emotions) if name in emotions]
    voted = np.nan_to_num(manifest.votes[:, kept]).sum(axis=1) > 0
    rows = np.flatnonzero(np.isin(manifest.labels, kept) | ((manifest.labels < 0) & voted))
    if not len(rows):
        raise DferError(f"no clip of the data has a label or votes among {listed(emotions, 12)}")
    return rows


def _predict(
    model: torch.nn.Module, card: Card, manifest: Manifest, rows: npt.NDArray[np.int64], emotions: EmotionSet
) -> Predictions:
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    dataset = ClipDataset(manifest, Preprocessing.from_card(card.preprocessing), rule=None)
    with watched(model, len(card.emotions)) as features:
        probs, frames = predict_probs(model.to(device), dataset, rows)
    temperature = card.calibration.get("temperature", 1.0)
    probs = probs ** (1 / temperature)
    known, _ = map_columns(probs, card.emotions, emotions, missing="drop")
    votes, _ = map_columns(manifest.votes[rows], manifest.emotions, emotions, missing="drop")
    places = [emotions.index(name) if name in emotions else -1 for name in manifest.emotions]
    return Predictions(
        ids=manifest.table["id"].to_numpy()[rows],
        fold=np.zeros(len(rows), dtype=np.int64),
        labels=np.array([*places, -1])[manifest.labels[rows]],  # -1, no label, is the last one
        probs=known / known.sum(axis=1, keepdims=True),
        votes=np.where(votes.sum(axis=1, keepdims=True) > 0, votes, np.nan),
        frames=frames,
        emotions=emotions,
        places=features.places(every=2 if dataset.preprocessing.mirror else 1),
    )


def _protocol(shared: Mapping[str, Shared], models: Mapping[str, Path]) -> tuple[str, ...]:
    first = next(iter(shared.values()))
    said = [
        "The models were trained on other data; all comparable clips of this data set are test clips.",
        f"Judged on the emotions that both know: {listed(first.emotions, 12)}. Probabilities of others are left out, "
        "and the rest sums to one again.",
    ]
    if first.only_data:
        said.append(f"Clips of {listed(first.only_data, 12)}, which no model knows, are left out.")
    for name, common in shared.items():
        if common.only_model:
            said.append(f"{name} ({models[name]}) also knows {listed(common.only_model, 12)}.")
    return (*said, "No choice was made on these clips, as far as dfer knows; nothing was trained on them here.")
