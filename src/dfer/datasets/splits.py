"""Parts that share no person and no film: folds, a test part, a validation part.

Conventions: `groups (N,)` are names of persons or films, "" = unknown; a clip of unknown group is a group of its own.
`strata (N,)` are what each part should have its share of, such as the label. The same clips and seed give the same
parts on every machine and in whatever order the clips stand. Copies of one clip in two groups are not looked for here.
"""

from __future__ import annotations

import logging
import warnings
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from sklearn.model_selection import GroupShuffleSplit, StratifiedGroupKFold, StratifiedKFold

from dfer.datasets.columns import texts
from dfer.datasets.manifest import Manifest
from dfer.datasets.spelling import joined, near, told
from dfer.errors import DferError, listed, require_known
from dfer.labels.blocks import by_blocks

logger = logging.getLogger(__name__)

Mask = NDArray[np.bool_]
Positions = NDArray[np.int64]
Names = NDArray[np.object_]

DRAWS = 64
"""Cuts by group that are drawn; the one whose strata come nearest to the share wanted is taken."""
FORMER_GROUP = "group_before"
"""Where a manifest's groups are kept when it is split by another column."""


@dataclass(frozen=True)
class Plan:
    """How to split a manifest: `folds`, or `test` and perhaps `val`.

    Attributes:
        folds: how many, 2 or more; 0: no folds but a split.
        test: the share of the test part, of the groups, or of the clips where no group is known; 0: folds.
        val: the share of the validation part, likewise; with folds each training run cuts its own.
        by: the column of groups.
        stratify: the column whose values each part gets its share of; a clip without a label counts for the emotion
            with most votes.
        seed: of the draw, 0 or more.
    """

    folds: int = 0
    test: float = 0.0
    val: float = 0.0
    by: str = "group"
    stratify: str = "label"
    seed: int = 0

    def __post_init__(self) -> None:
        if bool(self.folds) == bool(self.test):
            raise DferError("expected either a number of folds or the share of a test part, such as 5 or 0.2")
        if self.folds and self.val:
            raise DferError("a validation part goes with a test part; with folds, each training run cuts its own")
        if self.val and not (0 < self.val < 1 and self.test + self.val < 1):
            raise DferError(f"expected test and validation shares below 1 together, got {self.test} and {self.val}")
        if self.seed < 0:
            raise DferError(f"expected a seed of 0 or more, got {self.seed}")


def split_manifest(manifest: Manifest, plan: Plan) -> Manifest:
    """The manifest with new folds or a new split, every clip in one part; those it had are replaced.

    Clips without a single label are in a part, too: left out, they would be trained on beside the same person's test
    clips. The column of groups becomes `group`, so that validation is cut by it as well.

    Raises:
        DferError: no such column, or fewer groups than parts.
    """
    table = manifest.table.copy(deep=False)
    names, several = joined(_groups(table, plan.by).tolist())
    if several:
        logger.warning("groups whose names are nearly the same are taken for one: %s", told(several))
    groups, strata = np.array(names, dtype=object), stratum_names(manifest, plan.stratify)
    order = table["id"].array.argsort()
    fold, split = np.zeros(len(table), dtype=np.int64), np.full(len(table), "", dtype=object)
    if plan.folds:
        fold[order] = cut_folds(groups[order], strata[order], plan.folds, seed=plan.seed)
    else:
        split[order] = _cut_parts(groups[order], strata[order], plan)
    if plan.by != "group" and (table["group"] != "").any():
        table[FORMER_GROUP] = table["group"]
        _warn_of_divided(table["group"], fold if plan.folds else split)
    table["group"] = groups
    table["fold"] = pd.arrays.IntegerArray(fold, fold == 0)
    table["split"] = split
    return Manifest.build(
        table, emotions=manifest.emotions, root=manifest.root, source=manifest.source, left_out=manifest.left_out
    )


def _warn_of_divided(groups: pd.Series[str], parts: NDArray[Any]) -> None:
    """Says which groups, such as persons, a cut by another column has put into several parts."""
    known = (groups != "").to_numpy()
    counts = pd.Series(parts[known]).groupby(groups[known].to_numpy(dtype=object)).nunique()
    divided = sorted(counts.index[counts > 1])
    if divided:
        logger.warning(
            "%d of %d groups that the manifest had, such as persons, are in several parts now: %s",
            len(divided), len(counts), listed(divided),
        )  # fmt: skip


def cut_folds(groups: ArrayLike, strata: ArrayLike, folds: int, *, seed: int) -> Positions:
    """Which fold tests each clip, (N,) from 1, no group in two folds, each stratum shared out evenly.

    Where no group is known every stratum gives each fold its share to within one clip.

    Raises:
        DferError: fewer than two folds, or fewer groups or clips than folds.
    """
    names, positions = _checked(groups, strata)
    members = members_of(names)
    count = len(np.unique(members))
    if folds < 2:
        raise DferError(f"expected 2 folds or more, got {folds}")
    if count < folds:
        kind = "groups" if (names != "").any() else "clips"
        raise DferError(f"{folds} folds need as many {kind}, and there are {count}; ask for fewer folds")
    if np.bincount(positions).max() < folds:  # every stratum is too small to be shared out, and refused
        positions = np.zeros_like(positions)
    state = int(np.random.default_rng(seed).integers(2**32))
    if (names != "").any():
        parts = StratifiedGroupKFold(folds, shuffle=True, random_state=state).split(positions, positions, members)
    else:
        parts = StratifiedKFold(folds, shuffle=True, random_state=state).split(positions, positions)
    result = np.zeros(len(names), dtype=np.int64)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="The least populated class")  # `parts.missing` says what is
        for number, (_, rows) in enumerate(parts, 1):
            result[rows] = number
    empty = sorted(set(range(1, folds + 1)) - set(result.tolist()))
    if empty:
        raise DferError(
            f"the groups are too few or too unlike in size to fill fold {listed(empty)}; ask for fewer folds"
        )
    return result


def hold_out(groups: ArrayLike, strata: ArrayLike, share: float, generator: np.random.Generator) -> Mask:
    """Which clips are held out of training, for validation or for test.

    Where groups are known no group is split. Where none is known the cut is stratified: each stratum gives its share,
    to within one clip. The same state of the generator gives the same cut.

    Args:
        groups: (N,) names, "" = unknown.
        strata: (N,) names or positions.
        share: of the groups, or of the clips where no group is known; above 0 and below 1. Each side gets one
            at least.
        generator: draws the cut.

    Returns:
        (N,) true for what is held out.

    Raises:
        DferError: a share outside that range, lengths that differ, or fewer than two groups or clips.
    """
    names, positions = _checked(groups, strata)
    if not 0 < share < 1:
        raise DferError(f"expected a validation or test share above 0 and below 1, got {share}")
    known, members = names != "", members_of(names)
    count = len(np.unique(members))
    if count < 2:
        kind = f"one group ('{names[0]}')" if known.any() else f"{len(names)} clip(s)"
        raise DferError(
            f"cannot hold out a part of {kind}: training would have none left; "
            "expected at least two groups, or set the validation share to 0 (data.validation in a recipe)"
        )
    wanted = int(np.clip(round(share * count), 1, count - 1))
    if known.any():
        return _by_group(members, positions, wanted, generator)
    return _by_stratum(positions, wanted, generator)


def stratum_names(manifest: Manifest, column: str = "label") -> Names:
    """(N,) the values of a column; of `label`, where there is none, the emotion with most votes or of most weight."""
    if column != "label":
        return _column(manifest.table, column)
    shares, labels = manifest.votes, manifest.labels
    if "soft_from" in manifest.table:
        shares = np.where(np.isnan(shares), manifest.soft, shares)
    most = by_blocks(lambda rows: np.nan_to_num(rows).argmax(axis=1), shares)
    return np.array(manifest.emotions.emotions, dtype=object)[np.where(labels >= 0, labels, most)]


def members_of(names: NDArray[Any]) -> Positions:
    """(N,) a number for each group, near spellings of one together, and one of its own for each clip of no group."""
    codes, different = pd.factorize(np.asarray(names, dtype=object), use_na_sentinel=False)
    first: dict[str, str] = {}
    for name in sorted(different):  # groups count in the order of their names, near ones or not
        first.setdefault(near(name), name)
    _, members = np.unique(np.array([first[near(name)] for name in different], dtype=object), return_inverse=True)
    unknown = np.isin(codes, np.flatnonzero(different == ""))
    return np.where(unknown, len(names) + np.arange(len(names)), members[codes] if len(names) else codes)


def _cut_parts(groups: Names, strata: Names, plan: Plan) -> Names:
    """(N,) train, val or test."""
    split = np.full(len(groups), "train", dtype=object)
    split[hold_out(groups, strata, plan.test, np.random.default_rng([plan.seed, 0]))] = "test"
    if plan.val:
        rest = np.flatnonzero(split == "train")
        generator = np.random.default_rng([plan.seed, 1])
        split[rest[hold_out(groups[rest], strata[rest], plan.val / (1 - plan.test), generator)]] = "val"
    return split


def _groups(table: pd.DataFrame, column: str) -> Names:
    """(N,) the names of the groups; a column that was asked for must name some."""
    names = _column(table, column)
    if column != "group" and not (names != "").any():
        raise DferError(f"the column '{column}' is empty, so nothing can be split by it")
    return names


def _column(table: pd.DataFrame, column: str) -> Names:
    """A column as text, "" for an empty cell."""
    require_known("no column", column, table.columns)
    return texts(table[column])


def _checked(groups: ArrayLike, strata: ArrayLike) -> tuple[Names, Positions]:
    """(N,) the names of the groups, and a number for each stratum, in the order of their values."""
    names, labels = np.asarray(groups, dtype=object), np.asarray(strata)
    if names.ndim != 1 or names.shape != labels.shape:
        raise DferError(f"expected a label for each of {names.shape} groups, got {labels.shape}")
    if labels.dtype != object:
        return _as_texts(names), np.unique(labels, return_inverse=True)[1]
    codes, different = pd.factorize(labels, use_na_sentinel=False)  # texts are slow to sort
    return _as_texts(names), np.unique(different.astype(str), return_inverse=True)[1][codes]


def _as_texts(names: Names) -> Names:
    codes, different = pd.factorize(names, use_na_sentinel=False)
    return np.array([str(name) for name in different], dtype=object)[codes]


def _by_group(members: Positions, strata: Positions, wanted: int, generator: np.random.Generator) -> Mask:
    """Of some random cuts with `wanted` groups, the one whose strata are nearest to their share."""
    seed = int(generator.integers(2**32))
    cuts = GroupShuffleSplit(DRAWS, test_size=wanted, random_state=seed).split(strata, groups=members)
    target = np.bincount(strata) * wanted / len(np.unique(members))

    def distance(rows: Positions) -> float:
        return float(np.abs(np.bincount(strata[rows], minlength=len(target)) - target).sum())

    mask = np.zeros(len(strata), dtype=bool)
    mask[min((rows for _, rows in cuts), key=distance)] = True
    return mask


def _by_stratum(strata: Positions, wanted: int, generator: np.random.Generator) -> Mask:
    """Every so-manieth clip of a random order that is sorted by stratum.

    scikit-learn's stratified splits refuse strata of one clip, and parts smaller than the number of strata.
    """
    order = generator.permutation(len(strata))
    order = order[np.argsort(strata[order], kind="stable")]
    places = np.floor((np.arange(wanted) + generator.random()) * len(strata) / wanted).astype(np.int64)
    mask = np.zeros(len(strata), dtype=bool)
    mask[order[places]] = True
    return mask
