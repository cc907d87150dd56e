"""Figures of a data set: classes of its parts, how far its voters agree, what they confuse, what two sources say.

Conventions: the most voted emotion is the one with most votes; where several have as many, there is none, and the clip
is a tie. Entropy is over log K, 0 to 1. Distances between distributions are in nats; an emotion that a distribution
rules out counts as `EPSILON` there.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import rel_entr

from dfer.datasets import Manifest
from dfer.doctor.answers import cross_table, kappa
from dfer.labels import (
    STRATA,
    EmotionSet,
    agreement,
    entropy,
    fleiss_kappa,
    hard_labels,
    krippendorff_alpha,
    strata,
)
from dfer.labels.blocks import chosen

Floats = NDArray[np.float64]
Labels = NDArray[np.int64]

EPSILON = 1e-12
BINS = 20
"""Of the histogram of entropy."""
MOST_AMBIGUOUS = 12
"""Clips that are shown as those that people disagree on most."""


def statistics(manifest: Manifest) -> dict[str, Any]:
    """All figures, ready for JSON.

    Returns:
        "clips", "emotions"; "parts", of `part_counts`; "votes", of `vote_figures`, None where there are none;
        "confused", of `co_votes`; "sources", of `compared`; "ambiguous", of `most_ambiguous`.
    """
    voted = ~np.isnan(manifest.votes).any(axis=1)
    votes = chosen(manifest.votes, voted)
    other = manifest.table.filter(regex="^other_").to_numpy(na_value=0, dtype=np.float64).sum(axis=1)
    return {
        "clips": len(manifest),
        "emotions": list(manifest.emotions),
        "parts": part_counts(manifest),
        "votes": vote_figures(votes, manifest.emotions, other[voted]) if len(votes) else None,
        "confused": co_votes(votes),
        "sources": compared(manifest),
        "ambiguous": most_ambiguous(manifest),
    }


def part_counts(manifest: Manifest) -> list[dict[str, Any]]:
    """Name, clips, clips of each class and clips without a label, of all and of every fold's or split's part."""
    fold, split = manifest.table["fold"], manifest.table["split"]
    masks = {"all": np.ones(len(manifest), dtype=np.bool_)}
    masks |= {f"tested in fold {number}": (fold == number).fillna(False).to_numpy(bool) for number in manifest.folds}
    if manifest.folds and fold.isna().any():
        masks["never tested"] = fold.isna().to_numpy()
    masks |= {name: (split == name).to_numpy() for name in ("train", "val", "test") if (split == name).any()}
    rows, all_labels = [], manifest.labels
    for name, mask in masks.items():
        labels = all_labels[mask]
        counts = np.bincount(labels[labels >= 0], minlength=len(manifest.emotions)).tolist()
        classes = dict(zip(manifest.emotions, counts, strict=True))
        rows.append({"name": name, "clips": len(labels), "classes": classes, "none": int((labels < 0).sum())})
    return rows


def vote_figures(votes: Floats, emotions: EmotionSet, other: Floats | float = 0.0) -> dict[str, Any]:
    """How many people answered, and how far they agree.

    Args:
        votes: (N, K) counts, N > 0, each row with a vote.
        emotions: of the columns.
        other: (N,) how many more voters of each clip named no emotion.

    Returns:
        "clips", "responses"; "least", "mean", "most" votes of a clip; "agreement", the mean share of the most voted
        emotion, and "entropy", the mean; how many clips are "unanimous", have a "majority" of more than half of all
        voters, or are "ties"; "top", emotion -> clips whose most voted it is; "histogram" of the entropy; "strata";
        "kappa" (Fleiss), "alpha" (Krippendorff), None where undefined.
    """
    panel, agreed, top = votes.sum(axis=1), agreement(votes), hard_labels(votes, "drop")
    counts, _ = np.histogram(entropy(votes), bins=BINS, range=(0.0, 1.0))
    places = strata(votes)
    return {
        "clips": len(votes), "responses": int(panel.sum()),
        "least": int(panel.min()), "mean": float(panel.mean()), "most": int(panel.max()),
        "agreement": float(agreed.mean()), "entropy": float(entropy(votes).mean()),
        "unanimous": int((agreed == 1).sum()), "majority": int((votes.max(axis=1) > (panel + other) / 2).sum()),
        "ties": int((top < 0).sum()),
        "top": {name: int((top == k).sum()) for k, name in enumerate(emotions)},
        "histogram": counts.tolist(),
        "strata": [stratum._asdict() | {"clips": int((places == k).sum())} for k, stratum in enumerate(STRATA)],
        "kappa": _defined(fleiss_kappa(votes)), "alpha": _defined(krippendorff_alpha(votes)),
    }  # fmt: skip


def co_votes(votes: Floats) -> list[list[float | None]]:
    """(K, K) where most people say X (row), the share of all votes that says Y (column); None where X is never it."""
    top = hard_labels(votes, "drop")
    rows: list[list[float | None]] = []
    for k in range(votes.shape[1]):
        total = votes[top == k].sum(axis=0)
        rows.append((total / total.sum()).tolist() if total.any() else [None] * votes.shape[1])
    return rows


def compared(manifest: Manifest) -> list[dict[str, Any]]:
    """What others say of the same clips as the votes: label, acted emotion (column `acted`), distribution."""
    voted = ~np.isnan(manifest.votes).any(axis=1)
    found = []
    acted = manifest.table["acted"].tolist() if "acted" in manifest.table else []
    given = {"label": manifest.labels, "acted": _positions(acted, manifest.emotions)}
    for name, labels in given.items():
        both = np.asarray(voted & (labels >= 0)) if len(labels) else np.zeros(len(manifest), dtype=np.bool_)
        if both.any():
            found.append({"name": name, **_labels_beside(labels[both], manifest.votes[both], manifest.emotions)})
    both = np.asarray(voted & ~np.isnan(manifest.soft).any(axis=1))
    if both.any():
        origins = sorted(set(manifest.table["soft_from"][both]))
        told = {"name": ", ".join(origins), **_rows_beside(manifest.soft[both], manifest.votes[both])}
        found.append(told)
    return found


def most_ambiguous(manifest: Manifest, number: int = MOST_AMBIGUOUS) -> list[dict[str, Any]]:
    """Id, entropy and votes of the clips with most disagreement; of equals those with more votes, then the first."""
    votes = manifest.votes
    spread, panel = entropy(votes), np.nansum(votes, axis=1)
    # rounded, lest the last digit of equal entropies decide
    order = np.lexsort((-panel, -spread.round(9)))
    return [
        {
            "id": manifest.table["id"][row], "entropy": float(spread[row]),
            "votes": dict(zip(manifest.emotions, votes[row].tolist(), strict=True)),
        }
        for row in order[~np.isnan(spread[order])][:number]
    ]  # fmt: skip


def _labels_beside(labels: Labels, votes: Floats, emotions: EmotionSet) -> dict[str, Any]:
    """Clips, how many have the label as their one most voted emotion, how many are ties, kappa and cross table."""
    top = hard_labels(votes, "drop")
    table = cross_table(labels, top, len(emotions))
    same = int((labels == top).sum())
    return {
        "clips": len(labels), "same": same, "share": same / len(labels), "ties": int((top < 0).sum()),
        "kappa": _defined(kappa(table)) if table.any() else None, "table": table.tolist(),
    }  # fmt: skip


def _rows_beside(soft: Floats, votes: Floats) -> dict[str, Any]:
    """Clips, how many have the same one most likely emotion, and the mean KL(votes || soft), JS and cosine."""
    shares = votes / votes.sum(axis=1, keepdims=True)
    middle = (shares + soft) / 2
    lengths = np.linalg.norm(shares, axis=1) * np.linalg.norm(soft, axis=1)
    top = hard_labels(votes, "drop")
    same = int((hard_labels(soft, "first") == top).sum())
    return {
        "clips": len(votes), "same": same, "share": same / len(votes), "ties": int((top < 0).sum()),
        "kl": float(rel_entr(shares, soft.clip(EPSILON)).sum(axis=1).mean()),
        "js": float((rel_entr(shares, middle) + rel_entr(soft, middle)).sum(axis=1).mean() / 2),
        "cosine": float(((shares * soft).sum(axis=1) / lengths).mean()),
    }  # fmt: skip


def _positions(names: Sequence[Any], emotions: EmotionSet) -> Labels:
    """Positions of names, -1 for what is no emotion of the set."""
    known: Mapping[Any, int] = {name: emotions.index(name) for name in set(names) if name in emotions}
    return np.array([known.get(name, -1) for name in names], dtype=np.int64)


def _defined(value: float) -> float | None:
    return None if np.isnan(value) else value
