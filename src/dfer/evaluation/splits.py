"""The validation part, cut from the training part of a fold, so that the test part chooses nothing."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.model_selection import GroupShuffleSplit

from dfer.errors import DferError

Mask = NDArray[np.bool_]
Labels = NDArray[np.int64]

DRAWS = 64
"""Cuts by group that are drawn; the one whose labels come nearest to the share wanted is taken."""


def cut_validation(groups: ArrayLike, labels: ArrayLike, share: float, generator: np.random.Generator) -> Mask:
    """Which clips of the training part become the validation part.

    Where groups (person, film) are known no group is split; a clip of unknown group is a group of its own.
    Where none is known the cut is stratified: each label gives its share, to within one clip. The same state
    of the generator gives the same cut.

    Args:
        groups: (N,) names, "" = unknown.
        labels: (N,) positions, -1 = none.
        share: of the groups, or of the clips where no group is known; above 0 and below 1. Each side gets one
            at least.
        generator: draws the cut.

    Returns:
        (N,) true for validation.

    Raises:
        DferError: a share outside that range, lengths that differ, or fewer than two groups or clips.
    """
    names, positions = np.asarray(groups, dtype=object).astype(str), np.asarray(labels)
    if names.ndim != 1 or names.shape != positions.shape:
        raise DferError(f"expected a label for each of {names.shape} groups, got {positions.shape}")
    if not 0 < share < 1:
        raise DferError(f"expected a validation share above 0 and below 1, got {share}")
    known = names != ""
    _, members = np.unique(names, return_inverse=True)
    members = np.where(known, members, len(names) + np.arange(len(names)))
    count = len(np.unique(members))
    if count < 2:
        kind = f"one group ('{names[0]}')" if known.any() else f"{len(names)} clip(s)"
        raise DferError(
            f"cannot cut a validation part from {kind}: training would have none left; "
            "expected at least two groups, or set the validation share to 0 (data.validation in a recipe)"
        )
    wanted = int(np.clip(round(share * count), 1, count - 1))
    if known.any():
        return _by_group(members, positions, wanted, generator)
    return _by_label(positions, wanted, generator)


def _by_group(members: Labels, labels: Labels, wanted: int, generator: np.random.Generator) -> Mask:
    """Of some random cuts with `wanted` groups, the one whose labels are nearest to their share."""
    seed = int(generator.integers(2**32))
    cuts = GroupShuffleSplit(DRAWS, test_size=wanted, random_state=seed).split(labels, groups=members)
    _, strata = np.unique(labels, return_inverse=True)
    target = np.bincount(strata) * wanted / len(np.unique(members))

    def distance(rows: Labels) -> float:
        return float(np.abs(np.bincount(strata[rows], minlength=len(target)) - target).sum())

    mask = np.zeros(len(labels), dtype=bool)
    mask[min((rows for _, rows in cuts), key=distance)] = True
    return mask


def _by_label(labels: Labels, wanted: int, generator: np.random.Generator) -> Mask:
    """Every so-manieth clip of a random order that is sorted by label.

    scikit-learn's stratified splits refuse labels of one clip, and parts smaller than the number of labels.
    """
    order = generator.permutation(len(labels))
    order = order[np.argsort(labels[order], kind="stable")]
    places = np.floor((np.arange(wanted) + generator.random()) * len(labels) / wanted).astype(np.int64)
    mask = np.zeros(len(labels), dtype=bool)
    mask[order[places]] = True
    return mask
