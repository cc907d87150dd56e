"""Rare emotions: how often clips are drawn, or how much emotions weigh, so that each emotion has the same share.

Conventions: `targets (N, K)` are the training part's rows that sum to one. An emotion without mass gets no share.

References:
    Jaynes, "Information theory and statistical mechanics", Physical Review 106, 1957: of all weights that meet the
    constraints, those of greatest entropy. Where targets are one-hot, these are the inverse class frequencies.
"""

from __future__ import annotations

import logging

import numpy as np
import numpy.typing as npt
from scipy.optimize import minimize
from scipy.special import logsumexp, softmax

from dfer.errors import listed
from dfer.training.config import Loss

logger = logging.getLogger(__name__)

Floats = npt.NDArray[np.float64]

PRICE = 1e-7
"""Of one unit of entropy, in squared distance from equal shares: shares are equal to 1e-5 wherever they can be."""
UNEQUAL = 0.01
"""A share that is further than this from equal is worth a warning."""
SELDOM = 100
"""A clip that is drawn less than once in so many epochs is as good as left out."""


def class_weights(targets: npt.ArrayLike) -> Floats:
    """(K,) N / (K mass), as scikit-learn's "balanced": the mean weight of a clip is 1; 0 for an emotion without mass.

    >>> class_weights([[1, 0], [1, 0], [0.5, 0.5], [0.5, 0.5]]).round(3).tolist()
    [0.667, 2.0]
    """
    mass = np.asarray(targets, dtype=np.float64).sum(axis=0)
    shown = mass > 0
    return np.asarray(np.divide(mass.sum() / shown.sum(), mass, out=np.zeros_like(mass), where=shown))


def answered_prior(loss: Loss, prior: Floats) -> Floats:
    """(K,) how frequent each emotion is in the population that a trained network answers for.

    Args:
        loss: of the recipe; what balances the emotions makes the network answer for a balanced population.
        prior: (K,) the mean target of the training part.

    >>> answered_prior(Loss(name="logit_adjusted", tau=1.0), np.array([0.75, 0.25])).tolist()
    [0.5, 0.5]
    """
    balanced = loss.class_weights == "balanced" or loss.sampler == "balanced"
    power = 1.0 if balanced else loss.tau if loss.name == "logit_adjusted" else 0.0
    shown = np.where(prior > 0, np.maximum(prior, 1e-12) ** (1 - power), 0.0)
    return np.asarray(shown / shown.sum())


def clip_shares(targets: npt.ArrayLike) -> Floats:
    """(N,) how often each clip is to be drawn, sum 1, so that the mean target of what is drawn is equal shares.

    Of all shares that do so, those of greatest entropy: as many different clips as possible. Where no shares do so
    (each clip shows an emotion by more than its share, such as .6 and .4), the nearest mean target is taken, in squared
    distance, and a warning says which. A warning also says when clips are hardly ever drawn.

    >>> clip_shares([[1, 0], [1, 0], [1, 0], [0, 1]]).round(3).tolist()
    [0.167, 0.167, 0.167, 0.5]
    """
    table = np.asarray(targets, dtype=np.float64)
    shown = table.sum(axis=0) > 0
    wanted = shown / shown.sum()

    def weighted(theta: Floats) -> Floats:
        return np.asarray(softmax(table @ theta))

    # The dual of: minimise KL(shares || even) + |mean target - wanted|^2 / (2 PRICE). Smooth and strictly convex.
    def value(theta: Floats) -> float:
        return float(logsumexp(table @ theta) - wanted @ theta + PRICE / 2 * theta @ theta)

    def slope(theta: Floats) -> Floats:
        return np.asarray(weighted(theta) @ table - wanted + PRICE * theta)

    def curvature(theta: Floats) -> Floats:
        shares = weighted(theta)
        centred = table - shares @ table
        return centred.T @ (shares[:, None] * centred) + PRICE * np.eye(len(theta))

    start = np.zeros(table.shape[1])
    options = {"gtol": 1e-9, "maxiter": 1000, "max_trust_radius": 1e9}
    shares = weighted(minimize(value, start, jac=slope, hess=curvature, method="trust-exact", options=options).x)
    _warn(shares, shares @ table, wanted)
    return shares


def _warn(shares: Floats, reached: Floats, wanted: Floats) -> None:
    if np.abs(reached - wanted).max() > UNEQUAL:
        logger.warning(
            'loss.sampler = "balanced": no choice of clips shows all emotions equally often; the nearest shows them '
            'with the shares %s, in order; loss.class_weights = "balanced" weighs them equally',
            listed(reached.round(2).tolist(), 12),
        )
    seldom = int((shares * len(shares) * SELDOM < 1).sum())
    if seldom:
        logger.warning(
            'loss.sampler = "balanced": %d of %d clips are drawn less than once in %d epochs, as they show frequent '
            'emotions only; loss.class_weights = "balanced" leaves no clip out',
            seldom, len(shares), SELDOM,
        )  # fmt: skip
