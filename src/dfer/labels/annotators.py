"""From answers of known raters to soft labels: rater models, most of them crowd-kit's, and a distribution of our own.

    majority       the most given answer, divided among equals
    dawid_skene    each rater has a confusion matrix (Dawid and Skene 1979)
    one_coin       each rater has one chance to be right (Zhang et al. 2016)
    mace           each rater either knows or guesses after a habit of his own (Hovy et al. 2013); drawn starts
    glad           raters have an ability, clips a difficulty (Whitehill et al. 2009); slow
    distribution   what a panel would answer: answers count by their raters' kappa, under a mixture of Dirichlets

The first five suppose that one emotion is the true one and that who says another is wrong. What they give is how sure
one may be of it: with ten raters nearly always close to 1, whatever the raters' doubt. Where the clip itself is
ambiguous that is no soft label to train on; `distribution` supposes no such truth.

References:
    Dawid and Skene, "Maximum likelihood estimation of observer error-rates using the EM algorithm", Applied Statistics
    28, 1979. Zhang, Chen, Zhou and Jordan, "Spectral methods meet EM", JMLR 17, 2016. Hovy, Berg-Kirkpatrick, Vaswani
    and Hovy, "Learning whom to trust with MACE", NAACL 2013. Whitehill et al., "Whose vote should count more", NIPS
    2009.
    Ustalov, Pavlichenko and Tseitlin, "Learning from crowds with Crowd-Kit", JOSS 9, 2024: the implementations of
    dawid_skene, mace and glad. Its one_coin may stop where single probabilities are 0.5 away from where they tend to.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from dfer.errors import DferError, listed, require_known
from dfer.labels.answers import Answers
from dfer.labels.dirichlet import learn_mixture, most_voted
from dfer.labels.emotions import EmotionSet
from dfer.labels.reliability import agreement_with_others, confusion_tables, rater_table

if TYPE_CHECKING:
    import pandas as pd

Floats = NDArray[np.float64]

MODELS = {
    "majority": "share of the answers that the majority gave",
    "dawid_skene": "share of the answers that are right, by the model",
    "one_coin": "share of the answers that are right, by the model",
    "mace": "chance that an answer is no guess",
    "glad": "ability: 0 is as good as chance, below 0 worse",
    "distribution": "weight of an answer: agreement with the others beyond chance, 0 to 1",
}
"""Name of a model -> what it calls a rater's skill."""
DRAWN = ("mace",)
"""Models that start from drawn numbers."""
ROUNDS = 100
"""Of Dawid-Skene, always: by its own rule it stops a tenth away from where it tends to, in single probabilities."""
COIN_ROUNDS, STILL = 5_000, 1e-7
"""Of one_coin: at most so many, until no probability changes by more."""
BORROWED = 10
"""Answers of an average rater that are added to each rater's own before he is weighed in `distribution`."""


@dataclass(frozen=True)
class Consensus:
    """What a model makes of the answers.

    Attributes:
        model: a key of `MODELS`.
        emotions: the K emotions.
        clips: N names, as in the answers.
        probs: (N, K), rows sum to one; 0 for an emotion that nobody answered, but in "distribution".
        raters: a row a rater, see `dfer.labels.reliability.rater_table`.
        confusions: (R, K, K) clips of each emotion, by the model, to which a rater gave each answer.
        seed: of a model that draws, else None.
        left_out: reason -> how many answers were not read.
    """

    model: str
    emotions: EmotionSet
    clips: tuple[str, ...]
    probs: Floats
    raters: pd.DataFrame
    confusions: Floats
    seed: int | None = None
    left_out: Mapping[str, int] = field(default_factory=dict)


def consensus(answers: Answers, model: str = "dawid_skene", *, seed: int = 0) -> Consensus:
    """Soft labels of clips and a table of raters.

    Args:
        answers: who said what.
        model: a key of `MODELS`.
        seed: of the starts that "mace" draws; the others draw nothing.

    Raises:
        DferError: no such model, crowd-kit is not installed, or a model that comes to no result.
    """
    require_known("no rater model", model, MODELS)
    if model == "distribution":
        probs, skill = _distribution(answers)
    elif model == "majority" or len(np.unique(answers.emotion)) == 1:  # where all agree there is nothing to fit
        probs = most_voted(answers.votes)
        skill = _share_right(answers, probs)
    elif model == "one_coin":
        probs = _one_coin(answers)
        skill = _share_right(answers, probs)
    else:
        probs, skill = _crowd_kit(answers, model, seed)
    confusions = confusion_tables(answers, probs)
    raters = rater_table(answers, confusions, skill)
    drawn = seed if model in DRAWN else None
    return Consensus(model, answers.emotions, answers.clips, probs, raters, confusions, drawn, answers.left_out)


def _distribution(answers: Answers) -> tuple[Floats, Floats]:
    """Posterior mean (N, K) of the panel's distribution, and the weight of each rater (R,).

    The prior is learned from the plain counts. A clip's weighed answers are scaled so that they sum to their number.
    """
    votes, weights = answers.votes, _weights(answers)
    if votes.sum(axis=1).max() < 2:
        raise DferError(
            f"none of {len(votes)} clips has two answers, so nothing shows how far raters differ; "
            "choose the model majority"
        )
    weighed = np.zeros_like(votes)
    np.add.at(weighed, (answers.clip, answers.emotion), weights[answers.rater])
    total = weighed.sum(axis=1, keepdims=True)
    scaled = np.where(total > 0, weighed / np.where(total > 0, total, 1.0) * votes.sum(axis=1, keepdims=True), votes)
    prior = learn_mixture(votes, 2 * len(answers.emotions))
    return prior.mean(scaled, prior.kinds(votes)), weights


def _weights(answers: Answers) -> Floats:
    """(R,) kappa of each rater, drawn towards that of all by `BORROWED` answers; from 0."""
    compared, observed, chance, _ = agreement_with_others(answers)
    if not compared.any():
        return np.ones(len(compared))
    excess, room = ((compared * np.nan_to_num(values)) for values in (observed - chance, 1 - chance))
    of_all = [values.sum() / compared.sum() for values in (excess, room)]
    weights = (excess + BORROWED * of_all[0]) / np.maximum(room + BORROWED * of_all[1], 1e-12)
    return weights.clip(0.0, 1.0) if (weights > 0).any() else np.ones(len(compared))


def _one_coin(answers: Answers) -> Floats:
    """(N, K) by expectation-maximisation: a rater who is wrong gives each other answer equally often."""
    given = answers.votes.sum(axis=0) > 0
    probs = answers.votes / answers.votes.sum(axis=1, keepdims=True)
    for _ in range(COIN_ROUNDS):
        right = _share_right(answers, probs).clip(1e-10, 1 - 1e-10)[answers.rater]
        wrong = np.log((1 - right) / (given.sum() - 1))
        logs = np.log(probs.mean(axis=0).clip(1e-300)) + np.bincount(answers.clip, wrong)[:, None]
        np.add.at(logs, (answers.clip, answers.emotion), np.log(right) - wrong)
        before, probs = probs, np.exp(logs - logs.max(axis=1, keepdims=True)) * given
        probs /= probs.sum(axis=1, keepdims=True)
        if np.abs(probs - before).max() <= STILL:
            break
    return np.asarray(probs)


def _crowd_kit(answers: Answers, model: str, seed: int) -> tuple[Floats, Floats]:
    """(N, K) probabilities and (R,) skill by one of crowd-kit's models."""
    import pandas as pd

    # Numbered in the order in which they first come: crowd-kit's MACE mixes up raters and answers in any other order.
    worker, worker_of = pd.factorize(answers.rater)
    label, label_of = pd.factorize(answers.emotion)
    frame = pd.DataFrame({"task": answers.clip, "worker": worker, "label": label})
    fitted = _model(model, seed)
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        found = fitted.fit_predict_proba(frame)
    rows = found.reindex(index=range(len(answers.clips)), columns=range(len(label_of))).to_numpy(dtype=np.float64)
    probs = np.zeros((len(answers.clips), len(answers.emotions)))
    probs[:, label_of] = rows / rows.sum(axis=1, keepdims=True)
    if not np.isfinite(probs).all():
        wrong = [answers.clips[row] for row in np.flatnonzero(~np.isfinite(probs).all(axis=1))]
        raise DferError(f"{model} comes to no result in {len(wrong)} clips ({listed(wrong)}); choose dawid_skene")
    if model not in ("mace", "glad"):
        return probs, _share_right(answers, probs)
    skill = np.empty(len(worker_of))
    knows = fitted.alphas_ if model == "glad" else fitted.spamming_[:, 1] / fitted.spamming_.sum(axis=1)
    skill[worker_of] = knows.reindex(range(len(worker_of))) if model == "glad" else knows
    return probs, skill


def _model(name: str, seed: int) -> Any:
    """One of crowd-kit's models."""
    try:
        from crowdkit.aggregation import GLAD, MACE, DawidSkene
    except ImportError as error:
        raise DferError(
            f"the rater model {name} needs crowd-kit: pip install 'dfer[raters]' (majority, one_coin and distribution "
            "do not)"
        ) from error
    start: Any = np.random.default_rng(seed)
    models: dict[str, Any] = {
        "dawid_skene": partial(DawidSkene, n_iter=ROUNDS, tol=-1.0),
        "mace": partial(MACE, random_state=start),  # with a number all its starts are the same
        "glad": GLAD,
    }
    return models[name]()


def _share_right(answers: Answers, probs: Floats) -> Floats:
    """(R,) the share of each rater's answers that are right, by probs (N, K)."""
    right = probs[answers.clip, answers.emotion]
    counts = np.bincount(answers.rater, minlength=len(answers.raters))
    return np.bincount(answers.rater, right, len(answers.raters)) / counts
