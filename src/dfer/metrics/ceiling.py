"""How well people do what the model is asked to do: some of a clip's voters are judged by its other voters.

Two ways to part a panel, each the exact mean over all ways to draw it (over seeded draws where there are too many):

- "one out": one voter against the others. WAR and UAR: how often the voter's answer is what most of the others say.
  Distances: the others predict the voter.
- "halves": one half of the voters predicts the other half.

Conventions: `votes (N, K)` are whole counts; a clip whose votes are fractional, fewer than two, or `MOST_VOTES` or more
cannot be parted and is not counted. A panel's answer is its most voted emotion; the answers of a tied panel share the
credit, a tied panel judges nothing, as a clip without a label. A panel's probabilities are its votes with `STRENGTH`
more, spread evenly (the "dirichlet" rule of `dfer.labels`), since no panel is so sure that nobody would say something
else.

The numbers compare with a model's although a part of a panel judges here and all of it there: cross-entropy and
Brier score are averages over the voters that judge, and what the number of voters adds to the Brier score, or takes
off the votes' entropy for KL, is taken from the whole panel. Scores without this property (JS, Chebyshev ...) have
no ceiling here. A model may pass the ceiling: it has seen many clips, a panel is a few people's answers to one.

References:
    Peterson, Battleday, Griffiths and Russakovsky, "Human uncertainty makes classification more robust", ICCV 2019:
    held-out voters as judges of soft labels.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import entr, gammaln

from dfer.errors import DferError
from dfer.labels import check_votes

Floats = NDArray[np.float64]
Counts = NDArray[np.int64]

STRENGTH = 1.0
"""Votes that a panel's probabilities are smoothed with."""
MOST_SPLITS = 20_000
"""Above so many candidate splits of one clip, `DRAWS` random ones stand for all; ten voters have at most 1,024."""
DRAWS = 2_000
MOST_VOTES = 10**9
"""Of one clip: the largest panel that can be drawn from."""


@dataclass(frozen=True)
class Panel:
    """How well a part of the voters does what a model is asked to do; None where no clip can be parted.

    Attributes:
        n: clips behind `war` and `uar`, which are 0 to 1.
        n_votes: clips behind the others.
        cross_entropy, kl: nats.
        brier: 0 to 2.
    """

    n: int
    war: float | None
    uar: float | None
    n_votes: int
    cross_entropy: float | None
    kl: float | None
    brier: float | None


class Splits(NamedTuple):
    """Means over the splits of each panel into voters that predict and the others, who judge.

    Attributes:
        said: (n, K) the chance that the judges' one most voted emotion is this one.
        met: (n, K) the chance that it is, too, the predicting voters' answer.
        surprise: (n,) cross-entropy.
        square: (n,) Σ p² - 2 Σ p y.
    """

    said: Floats
    met: Floats
    surprise: Floats
    square: Floats


def annotators_ceiling(votes: ArrayLike, labelled: ArrayLike | None = None, *, seed: int = 0) -> dict[str, Panel]:
    """The annotators' scores, to be read beside a model's on the same clips.

    Args:
        votes: (N, K) counts; rows of NaN where a clip has none.
        labelled: (N,) the clips that WAR and UAR are about; None: all.
        seed: of the draws for clips with very many voters.

    Returns:
        "one_out" and "halves", the two ways to part a panel.

    Raises:
        DferError: shapes that differ, or votes that are negative, infinite or partly NaN.

    >>> annotators_ceiling([[2, 1]])["one_out"].war  # a tie judges the two that agree; the third one is wrong
    0.0
    """
    counts = np.asarray(votes, dtype=np.float64)
    mask = np.ones(len(counts), dtype=bool) if labelled is None else np.asarray(labelled, dtype=bool)
    if counts.ndim != 2 or mask.shape != counts.shape[:1]:
        raise DferError(f"expected votes (N, K) and a mask (N,), got shapes {counts.shape} and {mask.shape}")
    told = np.flatnonzero(~np.isnan(counts).all(axis=1))
    check_votes(counts[told], told, allow_fractional=True)
    fit = (counts % 1 == 0).all(axis=1) & (counts.sum(axis=1) >= 2) & (counts.sum(axis=1) < MOST_VOTES)
    panels, mask = counts[fit].astype(np.int64), mask[fit]
    total = panels.sum(axis=1)
    generator = np.random.default_rng(seed)
    single = _judged(panels[mask], np.ones(int(mask.sum()), dtype=np.int64), generator)
    others = _judged(panels, total - 1, generator)
    halves = _judged(panels, total // 2, generator)
    return {
        "one_out": _panel(single, others, panels),
        "halves": _panel(Splits(*(part[mask] for part in halves)), halves, panels),
    }


def _panel(judged: Splits, compared: Splits, panels: Counts) -> Panel:
    """WAR and UAR of the labelled clips `judged`; the distances of all, as if the whole panel had judged."""
    said, met = judged.said.sum(axis=0), judged.met.sum(axis=0)
    shown, told = said > 0, len(panels) > 0
    shares = panels / panels.sum(axis=1, keepdims=True)
    surprise = float(compared.surprise.mean()) if told else 0.0
    return Panel(
        n=int((judged.said.sum(axis=1) > 0).sum()),
        war=float(met.sum() / said.sum()) if shown.any() else None,
        uar=float((met[shown] / said[shown]).mean()) if shown.any() else None,
        n_votes=len(panels),
        cross_entropy=surprise if told else None,
        kl=surprise - float(entr(shares).sum(axis=1).mean()) if told else None,
        brier=float((compared.square + np.square(shares).sum(axis=1)).mean()) if told else None,
    )


def _judged(panels: Counts, size: Counts, generator: np.random.Generator) -> Splits:
    """Means over the splits of each panel into `size` voters that predict and the others."""
    # the order of the emotions does not matter to a panel, and of ten voters there are but 42 kinds then
    order = np.argsort(-panels, axis=1, kind="stable")
    kinds, kind = np.unique(
        np.column_stack([size, np.take_along_axis(panels, order, axis=1)]), axis=0, return_inverse=True
    )
    if not len(kinds):
        return Splits(np.zeros(panels.shape), np.zeros(panels.shape), np.zeros(0), np.zeros(0))
    means = zip(*(_over_splits(row[1:], int(row[0]), generator) for row in kinds), strict=True)
    said, met, surprise, square = (np.array(values)[kind.ravel()] for values in means)
    back = np.argsort(order, axis=1)
    said, met = (np.take_along_axis(table, back, axis=1) for table in (said, met))
    return Splits(said, met, surprise, square)


def _over_splits(panel: Counts, size: int, generator: np.random.Generator) -> tuple[Floats, Floats, float, float]:
    """The means that `_judged` gives, of one panel (K,)."""
    chosen, weights = _splits(panel, size, generator)
    others = panel - chosen
    answers = chosen == chosen.max(axis=1, keepdims=True)
    judges = others == others.max(axis=1, keepdims=True)
    judges &= judges.sum(axis=1, keepdims=True) == 1
    probs = (chosen + STRENGTH / len(panel)) / (size + STRENGTH)
    wanted = others / others.sum(axis=1, keepdims=True)
    credit = judges * answers / answers.sum(axis=1, keepdims=True)
    surprise = -(wanted * np.log(probs)).sum(axis=1)
    square = np.square(probs).sum(axis=1) - 2 * (probs * wanted).sum(axis=1)
    return weights @ judges, weights @ credit, float(weights @ surprise), float(weights @ square)


def _splits(panel: Counts, size: int, generator: np.random.Generator) -> tuple[Counts, Floats]:
    """Ways (S, K) to choose `size` of the voters, and how likely each is (hypergeometric), (S,)."""
    single = np.eye(len(panel), dtype=np.int64)[panel > 0]
    if size == 1 or size == panel.sum() - 1:
        return (single if size == 1 else panel - single), panel[panel > 0] / panel.sum()
    if np.prod(panel + 1.0) > MOST_SPLITS:
        return generator.multivariate_hypergeometric(panel, size, size=DRAWS), np.full(DRAWS, 1 / DRAWS)
    named = panel[panel > 0]
    ways = np.indices((named + 1).tolist()).reshape(len(named), -1).T
    ways = ways[ways.sum(axis=1) == size]
    # as logarithms: the numbers of ways themselves overflow from some thousand voters on
    chances = _log_choose(named, ways).sum(axis=1) - _log_choose(panel.sum(), np.int64(size))
    every = np.zeros((len(ways), len(panel)), dtype=np.int64)
    every[:, panel > 0] = ways
    return every, np.exp(chances)


def _log_choose(of: Counts | np.int64, chosen: Counts | np.int64) -> Floats:
    """log of the number of ways to choose so many of them."""
    return np.asarray(gammaln(of + 1) - gammaln(chosen + 1) - gammaln(of - chosen + 1))
