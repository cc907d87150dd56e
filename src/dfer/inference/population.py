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

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from dfer.documents import checked, jsonable, parse_json, read_json
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


Population: TypeAlias = str | Path | Mapping[str, float]
"""Of the four ways to name one see `ratio_of`."""


def ratio_of(prior: Sequence[float], emotions: EmotionSet, wanted: Population) -> Floats:
    """(K,) what probabilities are multiplied with for another population, before they are made to sum to one.

    Args:
        prior: (K,) of the population that the network answers for, as the card has it; empty in earlier cards.
        emotions: K.
        wanted: "trained" (the training part's own) or the name of the model's list of emotions, such as "ferplus";
            "uniform" (each emotion as often as any other); a number from 0 (trained) over 1 (uniform) to 2; or the
            other population's {emotion: share}, as a mapping, as JSON text, or as a JSON file.

    Raises:
        DferError: none of these; shares whose emotions are not the model's; or a card without a prior.
    """
    if wanted in (TRAINED, emotions.name):
        return np.ones(len(emotions))
    if not len(prior):
        raise DferError(
            f"--prior {shortened(str(wanted))} needs the prior of the training part, which its card lacks: "
            "an earlier version wrote it; use --prior trained, or train it again"
        )
    power = 1.0 if wanted == UNIFORM else _number(wanted)
    if power is None:
        return _shares(wanted, emotions) / np.maximum(prior, SMALLEST)
    if not 0 <= power <= LARGEST_POWER:
        raise DferError(f"expected --prior to be a number from 0 to {LARGEST_POWER:g}, got {shortened(str(wanted))}")
    return np.asarray(np.maximum(prior, SMALLEST) ** -power)


def stated(wanted: Population, emotions: EmotionSet) -> str:
    """A population as a timeline keeps it: shares are written out as JSON text, so that their file is not needed again.

    Args:
        wanted: see `ratio_of`.
        emotions: of the model.

    Raises:
        DferError: as `ratio_of`.

    >>> stated({"no": 1, "yes": 3}, EmotionSet("two", ("yes", "no")))
    '{"yes": 0.75, "no": 0.25}'
    """
    if wanted in (TRAINED, emotions.name):
        return TRAINED
    if wanted == UNIFORM or _number(wanted) is not None:
        return str(wanted)
    return json.dumps(dict(zip(emotions, _shares(wanted, emotions).round(6).tolist(), strict=True)))


def adapted(probs: Floats, ratio: Floats) -> Floats:
    """Probs (N, K) for another population; a row of NaN stays one.

    >>> adapted(np.array([[0.8, 0.2]]), np.array([1 / 0.8, 1 / 0.2])).round(3).tolist()
    [[0.5, 0.5]]
    """
    weighted = np.asarray(np.maximum(probs, LEAST_LIKELY) * ratio)  # NaN stays NaN
    return np.asarray(weighted / weighted.sum(axis=-1, keepdims=True))


def _number(wanted: object) -> float | None:
    try:
        return float(str(wanted))
    except ValueError:
        return None


def _shares(wanted: Population, emotions: EmotionSet) -> Floats:
    """(K,) shares that sum to one."""
    source, values = "--prior", wanted
    if not isinstance(wanted, Mapping):
        if str(wanted).lstrip().startswith("{"):
            values = parse_json(str(wanted), source, finite=True)
        else:
            source, values = str(wanted), read_json(_file(wanted), finite=True)
    found = checked(dict[str, float], jsonable(values), source)
    faults = {
        "missing": [name for name in emotions if name not in found],
        "unknown": sorted(set(found) - set(emotions)),
    }
    if any(faults.values()):
        told = "; ".join(f"{what}: {listed(names, 12)}" for what, names in faults.items() if names)
        raise DferError(f"{source}: expected the share of each of {listed(emotions, 12)}; {told}")
    shares: Floats = np.array([found[name] for name in emotions])
    if not ((shares >= 0) & (shares <= LARGEST)).all() or not shares.any():
        raise DferError(
            f"{source}: expected shares from 0 to {LARGEST:g}, of which one is above 0, got "
            f"{listed(shares.tolist(), 12)}"
        )
    return np.asarray(shares / shares.sum())


def _file(wanted: str | Path) -> Path:
    path, text = Path(wanted), str(wanted)
    if not path.exists() or path.is_dir():
        raise DferError(
            f"expected --prior {TRAINED}, {UNIFORM}, a number from 0 to {LARGEST_POWER:g} or a JSON file with the "
            f"share of each emotion, got {shortened(text)!r}, which is no file{nearest(text, (TRAINED, UNIFORM))}"
        )
    return path
