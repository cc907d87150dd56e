"""How far a rater can be relied upon: agreement with the others, leanings, confusions, and who answers carelessly.

All but the confusions and the skill is told from the answers alone, without a model: each answer is held against the
other raters' answers to the same clip. Chance is what the agreement would be had a rater given the same answers to his
clips in any other order; its mean and spread over all orders are exact (Hoeffding 1951). So a rater is not blamed for
hard clips or for a rare emotion, only for answers that have nothing to do with the clip.

References:
    Hoeffding, "A combinatorial central limit theorem", Annals of Mathematical Statistics 22, 1951, eq. 10.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from dfer.labels.answers import Answers

if TYPE_CHECKING:
    import pandas as pd

Floats = NDArray[np.float64]

FEWEST = 20
"""Answers to clips that others answered too; nobody is called careless on fewer."""
CERTAIN = 1.645
"""Standard deviations above chance that are asked of a rater: of those who guess, one in twenty gets there."""
SAME, CHANCE, FAR = "always the same answer", "no better than chance", "far below the others"
"""Why a rater counts as careless: one answer to all clips, which less than half of the others gave; answers that agree
with the others' no more than the same answers in another order would (one-sided, 5 %); or a kappa of less than half
the median."""


class Agreement(NamedTuple):
    """(R,) each: of how many answers, the mean share of the others who said the same, by chance, and standard scores.

    NaN where nobody else answered a rater's clips.
    """

    compared: NDArray[np.int64]
    observed: Floats
    chance: Floats
    score: Floats

    @property
    def kappa(self) -> Floats:
        """Agreement beyond chance over what there could be, as Cohen's kappa: 1 always, 0 as chance has it."""
        room = np.where(self.chance < 1, 1 - self.chance, np.nan)
        return (self.observed - self.chance) / room


def agreement_with_others(answers: Answers) -> Agreement:
    """Each rater's answers against those of the others to the same clips."""
    others, mine, rater = _comparable(answers)
    raters, size = len(answers.raters), len(answers.emotions)
    compared = np.bincount(rater, minlength=raters)
    many = np.where(compared > 0, compared, np.nan)
    same = others[np.arange(len(mine)), mine]
    rates = _sums(rater, np.eye(size)[mine], raters) / many[:, None]
    expected = (rates[rater] * others).sum(axis=1)
    observed, chance = (np.bincount(rater, values, raters) / many for values in (same, expected))
    centred = (
        others - (_sums(rater, others, raters) / many[:, None])[rater] - expected[:, None] + chance[rater][:, None]
    )
    spread = np.bincount(rater, (compared[rater][:, None] * rates[rater] * centred**2).sum(axis=1), raters)
    deviation = np.sqrt(spread / np.where(compared > 1, compared - 1, np.nan))
    excess = np.bincount(rater, same - expected, raters)
    return Agreement(compared, observed, chance, excess / np.where(deviation > 1e-9, deviation, np.nan))


def rater_table(answers: Answers, confusions: Floats, skill: Floats) -> pd.DataFrame:
    """A row a rater, in the order of `answers.raters`.

    Columns: rater, answers, compared (answers to clips that others answered), agreement (mean share of the others who
    said the same), chance, kappa, skill, leans_to (the emotion answered most beyond what the others say of the same
    clips, and by how many points), takes (the most frequent confusion), careless (why, or "").

    Args:
        answers: of R raters with K emotions.
        confusions: (R, K, K), as `confusion_tables`.
        skill: (R,) of a model.
    """
    import pandas as pd

    agreement = agreement_with_others(answers)
    return pd.DataFrame(
        {
            "rater": answers.raters,
            "answers": np.bincount(answers.rater, minlength=len(answers.raters)),
            "compared": agreement.compared,
            "agreement": agreement.observed,
            "chance": agreement.chance,
            "kappa": agreement.kappa,
            "skill": skill,
            "leans_to": _leanings(answers),
            "takes": [_confusion(table, answers) for table in confusions],
            "careless": careless(answers, agreement),
        }
    )


def worst_first(raters: pd.DataFrame) -> pd.DataFrame:
    """The table with careless raters first, then by agreement beyond chance, those with nothing to compare last."""
    keys = raters.assign(fine=raters["careless"] == "")
    return raters.loc[keys.sort_values(["fine", "kappa", "rater"], kind="stable").index]


def judged(compared: ArrayLike) -> NDArray[np.bool_]:
    """(R,) who has enough answers that can be compared to be called careless or not."""
    return np.asarray(compared) >= FEWEST


def careless(answers: Answers, agreement: Agreement) -> list[str]:
    """Why each rater counts as careless, the first of `SAME`, `CHANCE` and `FAR`, or ""; also "" if not `judged`."""
    enough, kappa = judged(agreement.compared), agreement.kappa
    usual = np.median(kappa[enough & ~np.isnan(kappa)]) if (enough & ~np.isnan(kappa)).any() else 0.0
    given = _sums(answers.rater, np.eye(len(answers.emotions))[answers.emotion], len(answers.raters))
    same = enough & ((given > 0).sum(axis=1) == 1) & (agreement.observed < 0.5)
    chance = enough & ((given > 0).sum(axis=1) > 1) & ~(agreement.score >= CERTAIN)
    far = enough & (kappa < usual / 2)
    reasons = [(SAME, same), (CHANCE, chance), (FAR, far)]
    return [next((reason for reason, found in reasons if found[row]), "") for row in range(len(enough))]


def confusion_tables(answers: Answers, probs: Floats) -> Floats:
    """(R, K, K) how many clips of each emotion, by a model's probs (N, K), each rater gave each answer to."""
    size = len(answers.emotions)
    tables = np.zeros((len(answers.raters), size, size))
    for truth in range(size):
        np.add.at(tables[:, truth], (answers.rater, answers.emotion), probs[answers.clip, truth])
    return tables


def _comparable(answers: Answers) -> tuple[Floats, NDArray[np.int64], NDArray[np.int64]]:
    """Of the answers to clips that others answered too: the shares (C, K) of the others, the answer, the rater."""
    pairs, pair = np.unique(answers.clip * len(answers.raters) + answers.rater, return_inverse=True)
    own = np.zeros((len(pairs), len(answers.emotions)))  # a rater's several answers to one clip are no others'
    np.add.at(own, (pair, answers.emotion), 1.0)
    others = answers.votes[answers.clip] - own[pair]
    panel = others.sum(axis=1)
    seen = panel > 0
    return others[seen] / panel[seen, None], answers.emotion[seen], answers.rater[seen]


def _leanings(answers: Answers) -> list[str]:
    """The emotion that each rater names more often than the others do of the same clips: "neutral +18"."""
    others, mine, rater = _comparable(answers)
    more = _sums(rater, np.eye(len(answers.emotions))[mine] - others, len(answers.raters))
    many = np.bincount(rater, minlength=len(answers.raters))
    points = np.round(100 * more / np.maximum(many, 1)[:, None])
    best = points.argmax(axis=1)
    return [f"{answers.emotions[k]} +{row[k]:.0f}" if row[k] > 0 else "" for k, row in zip(best, points, strict=True)]


def _confusion(table: Floats, answers: Answers) -> str:
    """The most frequent confusion of a rater's (K, K): "fear for surprise, 12 of 40"."""
    wrong = table * (1 - np.eye(len(table)))
    truth, said = np.unravel_index(wrong.argmax(), wrong.shape)
    count, of = round(wrong[truth, said]), round(table[truth].sum())
    return f"{answers.emotions[int(truth)]} for {answers.emotions[int(said)]}, {count} of {of}" if count else ""


def _sums(rater: NDArray[np.int64], rows: Floats, raters: int) -> Floats:
    """(R, K) the sum of each rater's rows (C, K)."""
    return np.stack([np.bincount(rater, column, raters) for column in rows.T], axis=1)
