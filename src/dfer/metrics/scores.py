"""The scores that pages and tables show: how each is called, printed and read.

Conventions: a number is compared as it is printed, so that what looks equal is called equal; an undefined one (None or
NaN) is printed as "–".
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from dfer.pages import SPACE, UNDEFINED


@dataclass(frozen=True)
class Score:
    """A score of the report: its key in the JSON, how it is called, printed and read."""

    key: str
    name: str
    meaning: str
    higher_is_better: bool = True
    percent: bool = False

    @property
    def digits(self) -> int:
        """Behind the point, as printed."""
        return 1 if self.percent else 3

    @property
    def arrow(self) -> str:
        """The direction that is better."""
        return "↑" if self.higher_is_better else "↓"

    @property
    def unit(self) -> str:
        """What follows the number in running text."""
        return f"{SPACE}%" if self.percent else ""

    def text(self, value: float | None) -> str:
        """The number without its unit: percent with one digit, all else with three.

        >>> SCORES[0].text(0.71349), SCORES[0].text(None)
        ('71.3', '–')
        """
        printed = self.printed(value)
        return UNDEFINED if printed is None else f"{printed:.{self.digits}f}".replace("-", "−")

    def printed(self, value: float | None) -> float | None:
        """The number as far as it is printed, so that what looks equal is equal."""
        if value is None or math.isnan(value):
            return None
        return round(100 * value if self.percent else value, self.digits) + 0.0  # no -0.0

    def difference(self, value: float | None, other: float | None) -> str:
        """`value` less `other`, with its sign."""
        printed = None if value is None or other is None else self.printed(value - other)
        if printed is None:
            return UNDEFINED
        return f"{printed:{'+' if printed else ''}.{self.digits}f}".replace("-", "−")


SCORES = (
    Score("war", "WAR", "share of labelled clips that are right", percent=True),
    Score("uar", "UAR", "mean of the emotions' recalls", percent=True),
    Score("top2", "top-2", "the label is among the two most probable emotions", percent=True),
    Score("cross_entropy", "cross-entropy", "of the prediction against the votes, nats", higher_is_better=False),
    Score("kl", "KL", "divergence of the prediction from the votes, nats", higher_is_better=False),
    Score("js", "JS", "Jensen-Shannon divergence from the votes, 0 to 0.69 nats", higher_is_better=False),
    Score("brier", "Brier", "squared distance to the votes, 0 to 2", higher_is_better=False),
    Score("entropy_correlation", "entropy corr.", "is the model in doubt where people disagree, −1 to 1"),
    Score("ece", "ECE", "gap between confidence and accuracy, 0 to 1", higher_is_better=False),
)
MORE_DISTANCES = (
    Score("chebyshev", "Chebyshev", "largest difference to the votes' shares, 0 to 1", higher_is_better=False),
    Score("clark", "Clark", "relative differences to the shares, squared; 0/0 is 0", higher_is_better=False),
    Score("canberra", "Canberra", "relative differences to the shares; 0/0 is 0", higher_is_better=False),
    Score("cosine", "cosine", "of the angle between prediction and votes, 0 to 1"),
    Score("intersection", "intersection", "what prediction and votes have in common, 0 to 1"),
    Score(
        "dirichlet_multinomial", "DM-NLL", "of the counts, if a prediction weighed ten votes, nats",
        higher_is_better=False,
    ),
    Score("no_majority_auroc", "AUROC", "does the model's entropy tell the clips without a majority"),
)  # fmt: skip
"""Beside those of `SCORES`."""
CALIBRATION = (
    Score("ece", "ECE", "gap between confidence and accuracy, bins of equal width", higher_is_better=False),
    Score("ece_mass", "ECE, equal mass", "the same, bins of equally many clips", higher_is_better=False),
    Score(
        "classwise_ece", "classwise ECE", "the same for each emotion's probability, their mean", higher_is_better=False
    ),
    Score("vote_ece", "ECE, votes", "gap between confidence and a random voter's agreement", higher_is_better=False),
    Score("aurc", "AURC", "mean share of wrong answers over all coverages", higher_is_better=False),
    Score("risk90", "wrong at 90 %", "of the surest 90 % of the clips", higher_is_better=False, percent=True),
    Score("risk80", "wrong at 80 %", "of the surest 80 % of the clips", higher_is_better=False, percent=True),
)
ALL_SCORES = (*SCORES, *MORE_DISTANCES, *CALIBRATION[1:])
BY_KEY = {score.key: score for score in ALL_SCORES}
CEILINGS = {
    "one_out": "one voter and the others",
    "halves": "half of the voters and the other half",
}
"""How the annotators' rows are called, see `dfer.metrics.ceiling`."""
METHODS = {
    "none": "as trained",
    "temperature": "temperature",
    "temperature_labels": "temperature, by labels",
    "vector": "vector scaling",
    "prior": "logit adjustment",
    "prior_chosen": "logit adjustment, τ chosen",
}
"""What is done after training, see `dfer.comparison.remedies`."""
IN_GRID = tuple(BY_KEY[key] for key in ("war", "uar", "kl", "ece"))
