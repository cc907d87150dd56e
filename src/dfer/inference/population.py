"""One network, several populations: probabilities for people among whom emotions are as frequent as one says.

A network learns how frequent each emotion is in its training part, and answers for clips drawn like those. Where
emotions are drawn otherwise - in another data set, or as often each - its probabilities p(k | x) become

    q(k | x) ∝ p(k | x) · q(k) / p(k),

with p(k) the frequencies ("prior") of the training part, which the card tells, and q(k) those of the other population.
Nothing is trained anew, and what was calibrated for the one population is so for the other, as far as faces that show
an emotion look alike in both.

References:
    Saerens, Latinne, Decaestecker: "Adjusting the Outputs of a Classifier to New a Priori Probabilities", Neural
    Computation 14, 2002, equation 2.4. Menon et al.: "Long-tail Learning via Logit Adjustment", ICLR 2021, section 4,
    where p(k) is taken to a power tau; a power between 0 and 1 lies between the two populations.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from dfer.documents import checked, read_json
from dfer.errors import DferError, listed, nearest, shortened
from dfer.labels import EmotionSet

Floats = npt.NDArray[np.float64]

TRAINED, UNIFORM = "trained", "uniform"
LARGEST_POWER = 2.0
SMALLEST = 1e-4
"""A share that counts as this at least: what was never seen cannot be divided by."""
LARGEST = 1e9
"""Of a number in a file of shares, which may be counts of people."""
LEAST_LIKELY = 1e-12
"""A probability that counts as this at least, so that a row never sums to zero: not all shares are 0."""


def ratio_of(prior: Sequence[float], emotions: EmotionSet, wanted: str) -> Floats:
    """(K,) what probabilities are multiplied with for another population, before they are made to sum to one.

    Args:
        prior: (K,) of the population that the network answers for, as the card has it; empty in earlier cards.
        emotions: K.
        wanted: "trained" (the training part's own), "uniform" (each emotion as often as any other), a number from 0
            (trained) over 1 (uniform) to 2, or a JSON file {emotion: share} of the other population.

    Raises:
        DferError: none of these; a file whose emotions are not the model's; or a card without a prior.
    """
    if wanted == TRAINED:
        return np.ones(len(emotions))
    if not len(prior):
        raise DferError(
            f"--prior {shortened(wanted)} needs the prior of the training part, which the card of this model lacks: "
            "an earlier version wrote it; use --prior trained, or train it again"
        )
    power = 1.0 if wanted == UNIFORM else _number(wanted)
    if power is None:
        return _read_shares(wanted, emotions) / np.maximum(prior, SMALLEST)
    if not 0 <= power <= LARGEST_POWER:
        raise DferError(f"expected --prior to be a number from 0 to {LARGEST_POWER:g}, got {shortened(wanted)}")
    return np.asarray(np.maximum(prior, SMALLEST) ** -power)


def adapted(probs: Floats, ratio: Floats) -> Floats:
    """Probs (N, K) for another population; a row of NaN stays one.

    >>> adapted(np.array([[0.8, 0.2]]), np.array([1 / 0.8, 1 / 0.2])).round(3).tolist()
    [[0.5, 0.5]]
    """
    weighted = np.asarray(np.maximum(probs, LEAST_LIKELY) * ratio)  # NaN stays NaN
    return np.asarray(weighted / weighted.sum(axis=-1, keepdims=True))


def _number(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None


def _read_shares(wanted: str, emotions: EmotionSet) -> Floats:
    """(K,) shares that sum to one."""
    path = Path(wanted)
    if not path.exists() or path.is_dir():
        raise DferError(
            f"expected --prior {TRAINED}, {UNIFORM}, a number from 0 to {LARGEST_POWER:g} or a JSON file with the "
            f"share of each emotion, got {shortened(wanted)!r}, which is no file{nearest(wanted, (TRAINED, UNIFORM))}"
        )
    found = checked(dict[str, float], read_json(path, finite=True), str(path))
    faults = {
        "missing": [name for name in emotions if name not in found],
        "unknown": sorted(set(found) - set(emotions)),
    }
    if any(faults.values()):
        told = "; ".join(f"{what}: {listed(names, 12)}" for what, names in faults.items() if names)
        raise DferError(f"{path}: expected the share of each of {listed(emotions, 12)}; {told}")
    shares: Floats = np.array([found[name] for name in emotions])
    if not ((shares >= 0) & (shares <= LARGEST)).all() or not shares.any():
        raise DferError(
            f"{path}: expected shares from 0 to {LARGEST:g}, of which one is above 0, got {listed(shares.tolist(), 12)}"
        )
    return np.asarray(shares / shares.sum())
