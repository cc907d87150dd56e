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

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TypeVar

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import softmax

from dfer.comparison.paired import Standing, standings
from dfer.comparison.support import known_groups
from dfer.errors import DferError, listed
from dfer.labels import one_hot
from dfer.metrics.calibration import apply_temperature, fit_temperature, fit_vector_scaling, require_clips
from dfer.metrics.functional import EPSILON, uar
from dfer.metrics.predictions import Predictions, concatenate
from dfer.metrics.protocol import Coverage, Scores, measure
from dfer.metrics.selective import fit_threshold

Floats = NDArray[np.float64]
Remedy = Callable[[Floats], Floats]
"""Probabilities (N, K) to probabilities (N, K)."""
Fitted = dict[str, tuple[Sequence[float], list[Remedy]]]
"""Method -> its setting and its remedy, one a fold."""
Result = TypeVar("Result")

MENDED = ("war", "uar", "kl", "ece", "vote_ece")
"""The scores that are given before and after."""
TAUS = np.linspace(0.0, 2.0, 21)
"""Strengths of the logit adjustment that validation chooses among; 0 changes nothing."""
FEWEST_FOR_TAU, FEWEST_FOR_REJECT = 50, 500
"""Validation clips with a label. On fewer, τ loses two points of UAR and more, and a rule for 10 % wrong answers gives
more than 25 % in one run of twenty (benchmarks/temperature.py)."""
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


@dataclass(frozen=True)
class Remedied(Scores):
    """The test scores `MENDED` after a remedy.

    Attributes:
        method: "none", "temperature", "temperature_labels", "vector", "prior" or "prior_chosen".
        setting: of each fold the temperature or τ; empty for the other methods.
    """

    method: str
    setting: list[float]


@dataclass(frozen=True)
class Rejection:
    """What becomes of the clips if only the surest are answered.

    Attributes:
        risk: the share of wrong answers that validation clips may have, 0 to 1.
        thresholds: of each fold the lowest confidence that is answered; None: nothing is.
        validation, test: the share of labelled clips that are answered, and of wrong answers among them; NaN where
            there are none.
    """

    risk: float
    thresholds: list[float | None]
    validation: Coverage
    test: Coverage


@dataclass(frozen=True)
class Posthoc:
    """What remedies after training do to a run.

    Attributes:
        clips: of validation, all folds together.
        rows: the test scores after each remedy, the first as trained.
        standings: {score: which remedy is first}; None where nothing could be fitted.
        reject: one rule for each of `RISKS`; none with too few validation clips.
        refused: sentences on what so few validation clips cannot fit.
        balanced: whether training balanced the emotions already, so that nothing was adjusted.
    """

    clips: int
    rows: list[Remedied]
    standings: dict[str, Standing] | None
    reject: list[Rejection]
    refused: list[str]
    balanced: bool = False


@dataclass(frozen=True)
class Unfitted:
    """Why nothing was fitted after training, in a sentence."""

    why_not: str


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
    return np.asarray(softmax(logits_of(rows) - tau * np.log(shares), axis=1))


def choose_tau(validation: Predictions, prior: ArrayLike) -> float:
    """The strength of `adjust` with the highest UAR on the validation part; the least of equals.

    Raises:
        DferError: fewer validation clips with a label than `FEWEST_FOR_TAU`.
    """
    judged = validation.select(validation.labelled)
    require_clips("the strength of logit adjustment", len(judged), FEWEST_FOR_TAU)
    return best_tau(judged.probs, judged.labels, np.asarray(prior, dtype=np.float64))


def best_tau(probs: Floats, labels: NDArray[np.int64], prior: Floats) -> float:
    """`choose_tau` on however few clips."""
    reached = [uar(adjust(probs, prior, tau), labels) for tau in TAUS]
    return float(TAUS[int(np.argmax(np.round(reached, 12)))])


def posthoc(folds: Sequence[Fold], *, groups: Mapping[str, str] | None = None) -> Posthoc:
    """The scores of the test parts before and after each remedy.

    Args:
        folds: of one run, at least one.
        groups: clip -> person or film, for the tests between remedies.

    Raises:
        DferError: a fold whose validation clips nobody judged, or no test clip.
    """
    folds = [_alike(fold) for fold in folds]
    if not all(_said(fold.validation).any() for fold in folds):
        raise DferError("expected validation clips with votes or a label in every fold, found a fold without")
    if not any(len(fold.test) for fold in folds):
        raise DferError("expected test clips to judge by, got none")
    fitted, refused = _fitted(folds)
    tests = {
        method: concatenate(
            [replace(fold.test, probs=apply(fold.test.probs)) for fold, apply in zip(folds, remedies, strict=True)]
        )
        for method, (_, remedies) in fitted.items()
    }
    rows = [
        Remedied(**vars(measure(test, MENDED)), method=method, setting=list(fitted[method][0]))
        for method, test in tests.items()
    ]
    rules, refused_rules = _tried(lambda: _rules(folds))
    runs = {method: [test] for method, test in tests.items()}
    drawn = known_groups(concatenate([fold.test for fold in folds]).ids, groups)
    ranked = standings(runs, groups=drawn) if len(runs) > 1 else None
    return Posthoc(sum(len(fold.validation) for fold in folds), rows, ranked, rules or [], refused + refused_rules)


def _fitted(folds: Sequence[Fold]) -> tuple[Fitted, list[str]]:
    """What can be fitted, and sentences on what cannot."""
    voiced = [towards(fold.validation) for fold in folds]
    judged = [fold.validation.select(fold.validation.labelled) for fold in folds]
    labelled = all(len(part) for part in judged)
    found: Fitted = {"none": ((), [lambda probs: probs for _ in folds])}
    refused: list[str] = []
    ways: dict[str, Callable[[], tuple[Sequence[float], list[Remedy]]]] = {"temperature": lambda: _temperatures(voiced)}
    if labelled and any(fold.validation.voted.any() for fold in folds):
        ways["temperature_labels"] = lambda: _temperatures(list(map(_labels, judged)))
    ways["vector"] = lambda: ((), [_on_probs(fit_vector_scaling(*part).apply) for part in voiced])
    priors = [fold.prior for fold in folds if fold.prior is not None]
    if len(priors) == len(folds):
        ways["prior"] = lambda: _adjusted(priors, [1.0] * len(folds))
        if labelled:
            ways["prior_chosen"] = lambda: _adjusted(priors, list(map(choose_tau, judged, priors)))
    for method, fit in ways.items():
        done, why = _tried(fit)
        refused += why
        if done is not None:
            found[method] = done
    return found, list(dict.fromkeys(refused))


def _tried(fit: Callable[[], Result]) -> tuple[Result | None, list[str]]:
    """What was fitted, or the sentence on why not."""
    try:
        return fit(), []
    except DferError as error:
        return None, [str(error)]


def _temperatures(parts: Sequence[tuple[Floats, Floats]]) -> tuple[Sequence[float], list[Remedy]]:
    values = [fit_temperature(*part) for part in parts]
    return values, [_temperature(value) for value in values]


def _adjusted(priors: Sequence[Floats], taus: Sequence[float]) -> tuple[Sequence[float], list[Remedy]]:
    return taus, list(map(_adjustment, priors, taus))


def _rules(folds: Sequence[Fold]) -> list[Rejection]:
    """The reject rules; none where a fold has no labelled validation clip."""
    least = min(int(fold.validation.labelled.sum()) for fold in folds)
    if least:
        require_clips("a reject rule", least, FEWEST_FOR_REJECT)
    return [_rejected(folds, risk) for risk in RISKS] if least else []


def _rejected(folds: Sequence[Fold], risk: float) -> Rejection:
    """What becomes of test clips if the surest are answered, as few as keep validation's wrong ones at `risk`."""
    validation = [_sure_and_wrong(fold.validation) for fold in folds]
    thresholds = [fit_threshold(sure, wrong, risk=risk) for sure, wrong in validation]
    test = [_sure_and_wrong(fold.test) for fold in folds]
    known = [least if np.isfinite(least) else None for least in thresholds]
    return Rejection(risk, known, _answered(validation, thresholds), _answered(test, thresholds))


def _answered(parts: Sequence[tuple[Floats, Floats]], thresholds: Sequence[float]) -> Coverage:
    kept = [wrong[sure >= least] for (sure, wrong), least in zip(parts, thresholds, strict=True)]
    answered, clips = np.concatenate(kept), sum(len(sure) for sure, _ in parts)
    return Coverage(len(answered) / clips if clips else np.nan, float(answered.mean()) if len(answered) else np.nan)


def _sure_and_wrong(predictions: Predictions) -> tuple[Floats, Floats]:
    """Confidence and mistake (0 or 1) of the labelled clips."""
    judged = predictions.select(predictions.labelled)
    return judged.probs.max(axis=1), (judged.probs.argmax(axis=1) != judged.labels).astype(np.float64)


def _alike(fold: Fold) -> Fold:
    """The fold with those validation clips that are of the kind that is tested."""
    if not fold.test.labelled.all():
        return fold
    return replace(fold, validation=fold.validation.select(fold.validation.labelled))


def _said(validation: Predictions) -> NDArray[np.bool_]:
    """Which clips (N,) people said something of."""
    return validation.voted | validation.labelled


def towards(validation: Predictions) -> tuple[Floats, Floats]:
    """Logits (n, K) of the clips that people said something of, and what (n, K): shares of votes, or else the label."""
    judged = validation.select(_said(validation))
    wanted = np.where(judged.voted[:, None], judged.shares, one_hot(judged.labels, len(judged.emotions)))
    return logits_of(judged.probs), wanted


def _labels(judged: Predictions) -> tuple[Floats, Floats]:
    """Logits and one-hot labels of labelled clips."""
    return logits_of(judged.probs), one_hot(judged.labels, len(judged.emotions))


def logits_of(probs: Floats) -> Floats:
    """Logarithms, of probabilities from `EPSILON` up, as in KL."""
    return np.asarray(np.log(probs.clip(EPSILON)))


def _on_probs(of_logits: Remedy) -> Remedy:
    return lambda probs: of_logits(logits_of(probs))


def _temperature(value: float) -> Remedy:
    return _on_probs(lambda logits: apply_temperature(logits, value))


def _adjustment(prior: Floats, tau: float) -> Remedy:
    return lambda probs: adjust(probs, prior, tau)
