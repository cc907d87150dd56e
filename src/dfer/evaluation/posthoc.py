"""What is done to predictions after training, and what it mends: scaling, logit adjustment, a rule to reject by.

Conventions: everything is fitted on the validation part of a fold, with what that fold's own model says of it, and
applied to that fold's test part; the test parts are pooled then. Logarithms of probabilities serve as logits. Scaling
is fitted towards what people said: the shares of votes of the clips that have some, the labels of the others. People
are less sure than their majority, so a temperature that is right for the votes is wrong for labels, and the other way
round: where there are both, both are given. Where every test clip has a label, only validation clips with one are used:
the others, which nobody will test (DFEW's without a single label), are less clear and would mislead.

References:
    Guo, Pleiss, Sun and Weinberger, "On calibration of modern neural networks", ICML 2017: temperature and vector
    scaling.
    Menon et al., "Long-tail learning via logit adjustment", ICLR 2021: dividing by the training part's shares to the
    power τ; Saerens, Latinne and Decaestecker, Neural Computation 2002, for τ = 1.
    Geifman and El-Yaniv, "Selective classification for deep neural networks", NeurIPS 2017: rejecting by a threshold
    that is fitted for a wanted risk (without their guarantee for few clips).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import softmax

from dfer.errors import DferError, listed
from dfer.evaluation.calibration import apply_temperature, fit_temperature, fit_vector_scaling
from dfer.evaluation.metrics import EPSILON, uar
from dfer.evaluation.predictions import Predictions, concatenate
from dfer.evaluation.protocol import measure
from dfer.evaluation.selective import fit_threshold
from dfer.labels import one_hot

Floats = NDArray[np.float64]

MENDED = ("war", "uar", "kl", "ece", "vote_ece")
"""The scores that are given before and after."""
TAUS = np.linspace(0.0, 2.0, 21)
"""Strengths of the logit adjustment that validation chooses among; 0 changes nothing."""
RISKS = (0.05, 0.1, 0.2)
"""Shares of wrong answers that the reject rule is fitted for."""


@dataclass(frozen=True, eq=False)
class Fold:
    """One fold, or the split, of a run.

    Attributes:
        validation: what its model says of its validation part.
        test: what its model says of its test part.
        prior: (K,) the mean target of its training part; None where nothing is to be adjusted.
    """

    validation: Predictions
    test: Predictions
    prior: Floats | None = None


def adjust(probs: ArrayLike, prior: ArrayLike, tau: float = 1.0) -> Floats:
    """Post-hoc logit adjustment: p_k / prior_k^τ, made to sum to one, (N, K).

    Args:
        probs: (N, K) predictions of a network that was trained on emotions of unequal share.
        prior: (K,) those shares, above 0.
        tau: 1 gives what a balanced data set would have taught, if the network is calibrated; 0 changes nothing.

    Raises:
        DferError: a prior that is none, or of other emotions.

    >>> adjust([[0.6, 0.4]], [0.75, 0.25]).round(3).tolist()
    [[0.333, 0.667]]
    """
    rows, shares = np.asarray(probs, dtype=np.float64), np.asarray(prior, dtype=np.float64)
    if rows.ndim != 2 or shares.shape != rows.shape[1:] or not (shares > 0).all():
        raise DferError(f"expected a prior above 0 for each of {rows.shape[-1]} emotions, got {listed(shares, 12)}")
    return np.asarray(softmax(_logits(rows) - tau * np.log(shares), axis=1))


def choose_tau(validation: Predictions, prior: ArrayLike) -> float:
    """The strength of `adjust` with the highest UAR on the validation part; the least of equals.

    Raises:
        DferError: no validation clip with a label.
    """
    rows = validation.labelled
    if not rows.any():
        raise DferError("expected validation clips with a label to choose tau on, got none")
    reached = [uar(adjust(validation.probs[rows], prior, tau), validation.labels[rows]) for tau in TAUS]
    return float(TAUS[int(np.argmax(np.round(reached, 12)))])


def posthoc(folds: Sequence[Fold]) -> dict[str, Any]:
    """The scores of the test parts before and after each remedy.

    Args:
        folds: of one run, at least one.

    Returns:
        "clips" (of validation, all folds together), "rows": of each remedy "method" ("none", "temperature",
        "temperature_labels", "vector", "prior", "prior_chosen"), "setting" (one number a fold: the temperature or τ;
        none of the others) and the scores `MENDED`; "reject": see `_rejected`.

    Raises:
        DferError: a fold whose validation clips nobody judged.
    """
    folds = [_alike(fold) for fold in folds]
    voiced = [_said(fold.validation) for fold in folds]
    labelled = all(fold.validation.labelled.any() for fold in folds)
    if not all(rows.any() for rows, _ in voiced):
        raise DferError("expected validation clips with votes or a label in every fold, found a fold without")
    fitted = [
        (_logits(fold.validation.probs[rows]), wanted) for fold, (rows, wanted) in zip(folds, voiced, strict=True)
    ]
    temperatures = [fit_temperature(*part) for part in fitted]
    vectors = [fit_vector_scaling(*part) for part in fitted]
    rows = [
        _row("none", folds, [lambda probs: probs for _ in folds]),
        _row("temperature", folds, [_temperature(value) for value in temperatures], temperatures),
    ]
    if labelled and any(fold.validation.voted.any() for fold in folds):
        temperatures = [fit_temperature(*_labels(fold.validation)) for fold in folds]
        rows.append(_row("temperature_labels", folds, [_temperature(value) for value in temperatures], temperatures))
    rows.append(_row("vector", folds, [_on_probs(vector.apply) for vector in vectors]))
    priors = [fold.prior for fold in folds if fold.prior is not None]
    if len(priors) == len(folds):
        taus = {"prior": [1.0 for _ in folds]}
        if labelled:
            parts = zip(folds, priors, strict=True)
            taus["prior_chosen"] = [choose_tau(fold.validation, prior) for fold, prior in parts]
        rows += [_row(method, folds, list(map(_adjustment, priors, chosen)), chosen) for method, chosen in taus.items()]
    return {
        "clips": sum(len(fold.validation) for fold in folds), "rows": rows,
        "reject": [found for risk in RISKS if (found := _rejected(folds, risk))],
    }  # fmt: skip


Remedy = Callable[[Floats], Floats]
"""Probabilities (N, K) to probabilities (N, K)."""


def _row(
    method: str, folds: Sequence[Fold], remedies: Sequence[Remedy], setting: Sequence[float] = ()
) -> dict[str, Any]:
    tests = [replace(fold.test, probs=remedy(fold.test.probs)) for fold, remedy in zip(folds, remedies, strict=True)]
    return {"method": method, "setting": list(setting), **measure(concatenate(tests), MENDED)}


def _rejected(folds: Sequence[Fold], risk: float) -> dict[str, Any] | None:
    """What becomes of test clips if the surest are answered, as few as keep validation's wrong ones at `risk`.

    Returns:
        "risk" (wanted at most), "thresholds" (of each fold, infinite: nothing is answered), "validation" and "test":
        "coverage" (share of labelled clips that are answered) and "risk" (share of wrong answers among them). None
        where a fold has no labelled validation clip.
    """
    validation = [_sure_and_wrong(fold.validation) for fold in folds]
    if not all(len(sure) for sure, _ in validation):
        return None
    thresholds = [fit_threshold(sure, wrong, risk=risk) for sure, wrong in validation]
    test = [_sure_and_wrong(fold.test) for fold in folds]
    return {
        "risk": risk, "thresholds": thresholds, "validation": _answered(validation, thresholds),
        "test": _answered(test, thresholds),
    }  # fmt: skip


def _answered(parts: Sequence[tuple[Floats, Floats]], thresholds: Sequence[float]) -> dict[str, float]:
    kept = [wrong[sure >= least] for (sure, wrong), least in zip(parts, thresholds, strict=True)]
    answered, clips = np.concatenate(kept), sum(len(sure) for sure, _ in parts)
    return {
        "coverage": len(answered) / clips if clips else np.nan,
        "risk": float(answered.mean()) if len(answered) else np.nan,
    }


def _sure_and_wrong(predictions: Predictions) -> tuple[Floats, Floats]:
    """Confidence and mistake (0 or 1) of the labelled clips."""
    judged = predictions.select(predictions.labelled)
    return judged.probs.max(axis=1), (judged.probs.argmax(axis=1) != judged.labels).astype(np.float64)


def _alike(fold: Fold) -> Fold:
    """The fold with those validation clips that are of the kind that is tested."""
    if not fold.test.labelled.all():
        return fold
    return replace(fold, validation=fold.validation.select(fold.validation.labelled))


def _said(validation: Predictions) -> tuple[NDArray[np.bool_], Floats]:
    """Which clips (N,) people said something of, and what, a row for each of those."""
    labels = one_hot(validation.labels, len(validation.emotions))
    wanted = np.where(validation.voted[:, None], validation.shares, labels)
    rows = validation.voted | validation.labelled
    return rows, wanted[rows]


def _labels(validation: Predictions) -> tuple[Floats, Floats]:
    """Logits and one-hot labels of the labelled clips."""
    judged = validation.select(validation.labelled)
    return _logits(judged.probs), one_hot(judged.labels, len(judged.emotions))


def _logits(probs: Floats) -> Floats:
    """Logarithms, of probabilities from `EPSILON` up, as in KL."""
    return np.asarray(np.log(probs.clip(EPSILON)))


def _on_probs(of_logits: Remedy) -> Remedy:
    return lambda probs: of_logits(_logits(probs))


def _temperature(value: float) -> Remedy:
    return _on_probs(lambda logits: apply_temperature(logits, value))


def _adjustment(prior: Floats, tau: float) -> Remedy:
    return lambda probs: adjust(probs, prior, tau)
