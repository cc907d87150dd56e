"""From a Manifest to targets, by the recipe's rule: which columns a rule reads, and what it learns from which part.

A target (N, K) is a row that sums to one; a clip that the rule gives none (no votes, no label, discarded) has NaN.
"""

from __future__ import annotations

import inspect
from collections.abc import Iterable
from typing import Any

import numpy as np
import numpy.typing as npt

from dfer.datasets import Manifest
from dfer.errors import DferError, require_known
from dfer.labels import RULES, one_hot, smooth_labels, soft_labels
from dfer.training.config import Labels

Floats = npt.NDArray[np.float64]
Mask = npt.NDArray[np.bool_]

HANDED_OVER = {"votes", "ids", "other", "weights", "soft", "learned_from"}
"""What rules are given from the Manifest; never a key of a recipe."""


def make_targets(
    manifest: Manifest, rule: str = "frequency", *, train: Mask | None = None, smoothing: float = 0.0, **options: Any
) -> Floats:
    """Targets of all clips by a named rule.

    Args:
        manifest: the clips.
        rule: a rule of `dfer.soft_labels`. "hard" reads the labels, "given" the soft labels, all others the votes.
        train: (N,) which clips a rule may learn from (`dirichlet` with a prior that is learned); None: all of them.
            Leave out the clips that you test on.
        smoothing: this share of each target, in [0, 1), is spread evenly over the emotions.
        **options: the rule's own, such as `strength` and `prior` of "dirichlet".

    Returns:
        (N, K) float64. Rows sum to one; a clip that the rule gives no target (no votes, no label, discarded) has NaN.

    Raises:
        DferError: a rule or an option that does not exist, or a manifest without what the rule goes by.

    Example:
        >>> targets = make_targets(manifest, "dirichlet", strength=2.0)  # doctest: +SKIP
    """
    _check_options(rule, options)
    if not 0 <= smoothing < 1:
        raise DferError(f"expected smoothing in [0, 1), got {smoothing!r}")
    if rule == "hard":
        return smooth_labels(one_hot(manifest.labels, len(manifest.emotions)), smoothing)
    evidence = _distributions(manifest) if rule == "given" else manifest.votes
    rows = np.asarray(~np.isnan(evidence).any(axis=1))
    if not rows.any():
        raise DferError(
            f"this manifest has no {'soft labels' if rule == 'given' else 'votes'}, "
            f'so labels.rule = "{rule}" has nothing to go by; use "hard"'
        )
    targets = np.full(evidence.shape, np.nan)
    options |= _handed_over(rule, manifest, rows, rows if train is None else train)
    ids = manifest.table["id"].to_numpy()[rows]
    targets[rows] = soft_labels(evidence[rows], rule, ids=ids, allow_fractional=rule == "given", **options)
    return smooth_labels(targets, smoothing)


def targets_of(labels: Labels, manifest: Manifest, train: Mask) -> Floats:
    """(N, K) targets by the recipe's rule, see `make_targets`."""
    return make_targets(manifest, labels.rule, train=train, smoothing=labels.smoothing, **labels.options)


def shown_emotions(labels: Labels, manifest: Manifest, kept: Mask) -> Mask:
    """(K,) whether the kept clips show an emotion; a prior or smoothing, which favours all, is no evidence."""
    if labels.rule == "hard":
        return np.isin(np.arange(len(manifest.emotions)), manifest.labels[kept])
    evidence = manifest.soft if labels.rule == "given" else manifest.votes
    return np.asarray(np.nansum(evidence[kept], axis=0) > 0)


def _distributions(manifest: Manifest) -> Floats:
    """(N, K) what "given" may mix a clip's soft label with: its votes, else its label, else that soft label itself.

    NaN where there is no soft label.
    """
    soft, labels = manifest.soft, one_hot(manifest.labels, len(manifest.emotions))
    evidence = np.where(np.isnan(manifest.votes), labels, manifest.votes)
    return np.where(np.isnan(evidence) | np.isnan(soft), soft, evidence)


def _handed_over(rule: str, manifest: Manifest, rows: Mask, train: Mask) -> dict[str, Any]:
    """The columns and the part of the votes that a rule reads beside a clip's own votes."""
    if rule == "ferplus":
        return {"other": manifest.table.filter(regex="^other_").to_numpy(dtype=float)[rows]}
    if rule == "weighted":
        if np.isnan(manifest.weights).all():
            raise DferError('this manifest has no weights of votes (weight_X), which labels.rule = "weighted" goes by')
        return {"weights": manifest.weights[rows]}
    if rule == "given":
        return {"soft": manifest.soft[rows]}
    if rule == "dirichlet":
        return {"learned_from": manifest.votes[rows & train]}
    return {}


def _check_options(rule: str, options: Iterable[str]) -> None:
    """Refuse a key that the rule would pass over: "hard" has none, and what is handed over is none of a recipe."""
    known = {"rule", "smoothing"}.union(*(inspect.signature(each).parameters for each in RULES.values())) - HANDED_OVER
    for option in options:
        require_known("[labels] has no key", option, sorted(known))
        if rule == "hard":
            raise DferError(
                f'labels.{option} does nothing where labels.rule = "hard", which reads the labels; leave it out'
            )
