"""What a trained network says of clips: the one way from frames to probabilities, for validation and test.

Frames are sampled uniformly, by construction without randomness, and the network computes in fp32; the indices that
were read are returned.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from dfer.datasets import Manifest
from dfer.metrics import Predictions, kl_divergence, uar, war
from dfer.models import answer, load_checkpoint, require_emotions
from dfer.training.choosing import Rows
from dfer.training.clips import Change, ClipDataset, batches, stacked
from dfer.training.config import Recipe
from dfer.training.features import watched
from dfer.video.preprocessing import Preprocessing

BATCH = 64
"""Clips a batch when a test part is predicted; the numbers do not depend on it beyond rounding."""


@torch.inference_mode()
def predict_probs(
    model: nn.Module, dataset: ClipDataset, rows: Rows, *, batch: int = BATCH, workers: int = 0
) -> tuple[npt.NDArray[np.float64], list[str]]:
    """Probabilities (n, K) of the given rows, and for each the indices of its frames ("0 4 9 ...").

    Raises:
        DferError: a clip cannot be read.
    """
    model.eval()
    device = next(model.parameters()).device
    probs, frames = [], []
    parts = [rows[start : start + batch].tolist() for start in range(0, len(rows), batch)]
    for read in batches(dataset, parts, workers=workers):
        logits = answer(model, stacked(read.clips).to(device), dataset.preprocessing)
        probs.append(torch.softmax(logits.float().cpu().double(), dim=1).numpy())
        frames += [" ".join(map(str, indices)) for indices in read.indices.tolist()]
    return np.concatenate(probs), frames


def validation_scores(model: nn.Module, manifest: Manifest, rows: Rows, recipe: Recipe) -> dict[str, float]:
    """What an epoch is judged by: val_war and val_uar of the clips with a label, val_kl (nats) of those with votes."""
    probs, _ = predict_probs(
        model,
        ClipDataset(manifest, recipe.input, rule=None),
        rows,
        batch=recipe.optim.batch,
        workers=recipe.data.workers,
    )
    return scores_of(probs, manifest.labels[rows], manifest.votes[rows])


def scores_of(
    probs: npt.NDArray[np.float64], labels: npt.NDArray[np.int64], votes: npt.NDArray[np.float64]
) -> dict[str, float]:
    """As `validation_scores`, of probs (N, K), labels (N,), -1 for none, and votes (N, K), NaN for none."""
    scores: dict[str, float] = {}
    if (labelled := labels >= 0).any():
        scores |= {"val_war": war(probs[labelled], labels[labelled]), "val_uar": uar(probs[labelled], labels[labelled])}
    if (voted := votes.sum(axis=1) > 0).any():  # NaN (no votes) is not above 0
        shares = votes[voted] / votes[voted].sum(axis=1, keepdims=True)
        scores["val_kl"] = float(kl_divergence(probs[voted], shares).mean())
    return scores


def predict_fold(folder: Path, manifest: Manifest, fold: int | None, *, change: Change | None = None) -> Predictions:
    """Read the test part of a fold once, with the model in `folder`/model; see `predict_rows`."""
    _, test = manifest.partition(fold)
    return predict_rows(folder, manifest, np.flatnonzero(test), fold=fold, change=change)


def predict_rows(
    folder: Path, manifest: Manifest, rows: Rows, *, fold: int | None, change: Change | None = None
) -> Predictions:
    """Read some clips once, with the model in `folder`/model.

    Args:
        folder: of the fold.
        manifest: the clips.
        rows: which of them.
        fold: the fold that they are said to be tested in.
        change: what is done to their frames first, such as a corruption.

    Returns:
        One row a clip, in the order of `rows`, with its votes and label beside the probabilities.

    Raises:
        DferError: no model, a model of other emotions, an unreadable clip.
    """
    model, card = load_checkpoint(folder / "model")
    require_emotions(card, manifest.emotions)
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    dataset = ClipDataset(manifest, Preprocessing.from_card(card.preprocessing), rule=None, change=change)
    with watched(model, len(manifest.emotions)) as features:
        probs, frames = predict_probs(model.to(device), dataset, rows)
    return Predictions(
        ids=manifest.table["id"].to_numpy()[rows],
        fold=np.full(len(rows), fold or 0),
        labels=manifest.labels[rows],
        probs=probs,
        votes=manifest.votes[rows],
        frames=frames,
        emotions=manifest.emotions,
        places=features.places(every=2 if dataset.preprocessing.mirror else 1),
    )
