"""How far a picture allows a face to be read: blur, distance, noise, compression, darkness and cover in one score.

A face is measured in numbers that do not depend on the expression: how strong details are at four sizes, how even the
quietest parts are, how bright, how symmetric (`traits`). A network of one hidden layer makes of them how strongly the
picture is corrupted, 0 (not at all) to 1 (`dfer.video.corruptions` at its severity 5). `tools/legibility.py` fits it on
the training part of FER+ and writes the numbers, `legibility.json`; `benchmarks/uncertainty.py` says how good it is.
The pose and the detector's score are left out: they hardly go with errors (measured there).

References: the variance of the Laplacian is that of Pech-Pacheco et al., ICPR 2000; that noise shows in the quietest
parts of a picture is how Liu, Freeman, Szeliski and Kang estimate it, CVPR 2006.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from importlib.resources import files
from typing import Annotated

import cv2
import numpy as np
import numpy.typing as npt
from pydantic import Field

from dfer.documents import checked, parse_json

Frames = npt.NDArray[np.uint8]
Floats = npt.NDArray[np.float64]
Picture = npt.NDArray[np.float32]

SIDE = 96
"""Crops are brought to this size, pixels; what is finer does not count."""
LEVELS = 4
"""Sizes at which details are measured: 96, 48, 24 and 12 pixels."""
NUMBERS = "legibility.json"
TRAITS = 23

Column = Annotated[list[float], Field(min_length=TRAITS, max_length=TRAITS)]


@dataclass(frozen=True)
class Numbers:
    """What was fitted.

    Attributes:
        mean, deviation: of each trait over the pictures it was fitted on.
        limit: so many deviations from the mean, what is beyond counts as this.
        hidden: a row a hidden unit, a weight a trait.
        offsets: of the hidden units.
        out: the weights of the hidden units.
        offset: of the answer.
    """

    mean: Column
    deviation: Column
    limit: float
    hidden: list[Column]
    offsets: list[float]
    out: list[float]
    offset: float


def cannot_tell(crop: Frames) -> float:
    """How strongly the picture of a face is corrupted, 0 (not at all) to 1 (nobody can tell what the face shows).

    Args:
        crop: an upright, aligned face, (S, S, 3) RGB or (S, S) or (S, S, 1) grey, uint8.
    """
    return float(scored(traits(crop)[None], _numbers())[0])


def scored(rows: Floats, numbers: Numbers) -> Floats:
    """Scores (N,) of traits (N, `TRAITS`)."""
    mean, deviation = np.array(numbers.mean), np.array(numbers.deviation)
    shown = np.clip((rows - mean) / deviation, -numbers.limit, numbers.limit)
    hidden = np.tanh(shown @ np.array(numbers.hidden).T + np.array(numbers.offsets))
    return np.asarray(1 / (1 + np.exp(-(hidden @ np.array(numbers.out) + numbers.offset))))


def traits(crop: Frames) -> Floats:
    """What is measured of a face, (`TRAITS`,); see `cannot_tell` for the crop."""
    levels = _levels(crop)
    found = [value for level in levels for value in _details(level)]
    found += [value for level in levels[:2] for value in _quietest(level)]
    face = levels[1]
    standard = (face - face.mean()) / (face.std() + 1)
    found.append(float((standard * standard[:, ::-1]).mean()))  # how alike the two sides are
    dark, middle, bright = np.percentile(face, [5, 50, 95])
    found += np.log(np.array([dark, middle, bright, bright - dark]) + 4).tolist()
    across, down = np.abs(np.diff(face, axis=1)), np.abs(np.diff(face, axis=0))
    found.append(abs(float(np.log((across**2).mean() + 1) - np.log((down**2).mean() + 1))))  # motion has a direction
    found.append(float(((across[:-1] < 1) & (down[:, :-1] < 1)).mean()))  # what is covered, or lost, is even
    return np.array(found)


def _levels(crop: Frames) -> list[Picture]:
    """The luma at `SIDE` pixels, half of it, ..."""
    luma = np.asarray(
        cv2.cvtColor(crop, cv2.COLOR_RGB2GRAY) if crop.shape[2:] == (3,) else crop.reshape(crop.shape[:2])
    )
    how = cv2.INTER_AREA if luma.shape[0] > SIDE else cv2.INTER_LINEAR
    levels = [np.asarray(cv2.resize(luma, (SIDE, SIDE), interpolation=how), dtype=np.float32)]
    for _ in range(LEVELS - 1):
        side = levels[-1].shape[0] // 2
        smaller = cv2.resize(levels[-1], (side, side), interpolation=cv2.INTER_AREA)
        levels.append(np.asarray(smaller, dtype=np.float32))
    return levels


def _details(face: Picture) -> list[float]:
    """How strong details are, and how rare the strong ones: those of a face are, those of noise are not."""
    edges = np.asarray(cv2.Laplacian(face, cv2.CV_32F), dtype=np.float64)
    spread = float(edges.std())
    fourth = float(np.square(np.square(edges)).mean())  # a power of 4 takes seventy times as long
    return [float(np.log(spread + 0.3)), float(np.log(fourth / (spread**4 + 0.01) + 1))]


def _quietest(face: Picture) -> list[float]:
    """How much pixels differ from their neighbours in the quietest, the quieter and the middle parts, and how much
    of the face is even."""
    mean = cv2.blur(face, (5, 5))
    spread = np.sqrt(np.maximum(cv2.blur(face * face, (5, 5)) - mean * mean, 0))
    quiet = np.log(np.percentile(spread, [5, 25, 50]) + 0.3).tolist()
    return [*quiet, float((spread < 1).mean())]


@lru_cache(maxsize=1)
def _numbers() -> Numbers:
    text = files("dfer.video").joinpath(NUMBERS).read_text(encoding="utf-8")
    return checked(Numbers, parse_json(text, NUMBERS, finite=True), NUMBERS)
