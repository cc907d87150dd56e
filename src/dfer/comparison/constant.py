"""What an answer scores that never looks at a clip: the mean vote, or the most frequent label, of the training part.

A network that is no better has learnt nothing of faces, whatever its WAR. The mean vote is judged by all scores; the
most frequent label is a name without probabilities, and is judged by WAR and UAR alone. Both are of all clips of a
fold's training part, whatever a recipe chooses among them, so that runs on the same data stand beside the same rows.

They are kept as `constant.json` beside a fold's predictions. Where saved predictions come without, the mean vote and
the most frequent label of the test part itself stand in, and are called so: no constant can do better than these.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike, NDArray
from pydantic import BaseModel, Field, model_validator

from dfer.comparison.paired import Difference, Judged
from dfer.comparison.significance import CONFIDENCE
from dfer.documents import checked, read_json
from dfer.errors import DferError
from dfer.files import write_text
from dfer.labels import one_hot
from dfer.metrics.functional import SUM_TOLERANCE
from dfer.metrics.predictions import MOST_FOLDS, Predictions
from dfer.metrics.protocol import Scores, measure
from dfer.metrics.scores import BY_KEY, SCORES

Floats = NDArray[np.float64]

CONSTANT = "constant.json"
MEAN_VOTE, FREQUENT = "mean vote", "most frequent label"


@dataclass(frozen=True)
class Constant:
    """What the clips of a training part have in common.

    Attributes:
        mean_vote: (K,) the mean share of votes; of clips without votes, their label counts.
        labels: (K,) the share of each emotion among the single labels; 0 for all where there is none.
    """

    mean_vote: tuple[float, ...]
    labels: tuple[float, ...]


class _Told(BaseModel):
    """A file of constants."""

    fold: int = Field(ge=0, le=MOST_FOLDS)
    emotions: list[str]
    mean_vote: tuple[float, ...]
    labels: tuple[float, ...]

    @model_validator(mode="after")
    def _shares(self) -> _Told:
        for shares, sums in ((self.mean_vote, (1,)), (self.labels, (0, 1))):
            near = any(abs(sum(shares) - total) <= SUM_TOLERANCE for total in sums)
            if len(shares) != len(self.emotions) or min(shares, default=-1) < 0 or not near:
                raise ValueError(f"expected shares of {len(self.emotions)} emotions that sum to one")
        return self


@dataclass(frozen=True)
class ConstantScores(Scores):
    """The scores of a constant answer, which is called `name`; None where it has none."""

    name: str


@dataclass(frozen=True, eq=False)
class Reference:
    """A constant answer as if a run had given it: its name, and the score that runs are tested against it in."""

    name: str
    key: str
    predictions: Predictions

    def row(self) -> ConstantScores:
        """Its scores `SCORES`; without probabilities it has WAR and UAR alone."""
        keys = [score.key for score in SCORES]
        found = measure(self.predictions, keys if self.key == "kl" else ["war", "uar"])
        values = {key: found.values.get(key) for key in keys}
        return ConstantScores(found.n, found.n_votes, values, found.absent, self.name)


def constant_of(votes: ArrayLike, labels: ArrayLike) -> Constant | None:
    """The constants of some clips; None where nobody judged any of them.

    Args:
        votes: (N, K) counts, NaN where a clip has none.
        labels: (N,) positions, -1 = none.

    >>> constant_of([[3, 1], [1, 1]], [0, -1])
    Constant(mean_vote=(0.625, 0.375), labels=(1.0, 0.0))
    """
    counts, positions = np.nan_to_num(np.asarray(votes, dtype=np.float64)), np.asarray(labels, dtype=np.int64)
    total = counts.sum(axis=1, keepdims=True)
    shares = np.where(total > 0, counts / np.where(total > 0, total, 1.0), one_hot(positions, counts.shape[1]))
    told = shares[(total[:, 0] > 0) | (positions >= 0)]
    if not len(told):
        return None
    shown = np.bincount(positions[positions >= 0], minlength=counts.shape[1])
    return Constant(tuple(told.mean(axis=0).tolist()), tuple((shown / max(shown.sum(), 1)).tolist()))


def constants_of(votes: ArrayLike, labels: ArrayLike, training: Mapping[int, NDArray[np.bool_]]) -> dict[int, Constant]:
    """The constants of each fold whose training part (N,) somebody judged; arguments as `constant_of`."""
    counts, positions = np.asarray(votes), np.asarray(labels)
    found = {fold: constant_of(counts[rows], positions[rows]) for fold, rows in training.items()}
    return {fold: constant for fold, constant in found.items() if constant}


def write_constant(path: Path, constant: Constant, *, fold: int, emotions: Iterable[str]) -> None:
    """Keep a fold's constants as JSON."""
    told = _Told(fold=fold, emotions=list(emotions), mean_vote=constant.mean_vote, labels=constant.labels)
    write_text(path, json.dumps(told.model_dump()) + "\n")


def read_constants(run: Path, emotions: Iterable[str]) -> dict[int, Constant]:
    """{fold: constants} of a run's folder, or of the folder of a table; those of other emotions are left out.

    Raises:
        DferError: a file that is no such thing.
    """
    folder, names = run if run.is_dir() else run.parent, list(emotions)
    found = {}
    for place in (".", "split", "fold*") if run.is_dir() else (".",):
        for path in sorted(folder.glob(f"{place}/{CONSTANT}")):
            try:
                told = checked(_Told, read_json(path, finite=True), str(path))
            except DferError as error:
                raise DferError(
                    f"cannot read the constant answers: {error}; remove the file, and `dfer evaluate` writes it anew"
                ) from error
            if told.emotions == names:
                found[told.fold] = Constant(told.mean_vote, told.labels)
    return found


def references(run: Predictions, constants: Mapping[int, Constant] | None) -> list[Reference]:
    """The constant answers to a run's clips.

    Args:
        run: its clips, with what people said of them.
        constants: of each fold; where a fold is missing, those of the run's own clips are taken.
    """
    whose = "the training part's"
    if not constants or not set(run.fold.tolist()) <= set(constants):
        own = constant_of(run.votes, run.labels)
        if own is None:
            return []
        whose, constants = "this test part's own", dict.fromkeys(run.fold.tolist(), own)
    size = len(run.emotions)
    votes, names = np.empty((len(run), size)), np.empty((len(run), size))
    for fold in set(run.fold.tolist()):
        votes[run.fold == fold] = constants[fold].mean_vote
        names[run.fold == fold] = np.eye(size)[int(np.argmax(constants[fold].labels))]
    found = []
    if run.voted.any() or run.labelled.any():
        found.append(Reference(f"constant: {whose} {MEAN_VOTE}", "kl", replace(run, probs=votes)))
    if run.labelled.any() and all(sum(constant.labels) for constant in constants.values()):
        found.append(Reference(f"constant: {whose} {FREQUENT}", "war", replace(run, probs=names)))
    return found


def pairs_with(constants: Sequence[Reference], cells: int) -> list[tuple[int, int]]:
    """The pairs to judge where the constants stand behind so many cells."""
    return [(cells + place, cell) for place in range(len(constants)) for cell in range(cells)]


def beyond(constants: Sequence[Reference], judged: Judged, cells: int) -> list[dict[str, Difference]]:
    """For each cell, {score: its difference to the constant that is tested in it}."""
    return [
        {constant.key: judged.differences[place, cell][constant.key] for place, constant in enumerate(constants, cells)}
        for cell in range(cells)
    ]


def is_beyond(key: str, test: Difference) -> bool:
    """Whether a cell is better than the constant, by more than the choice of clips explains; true if undefined."""
    if test.p is None or test.difference is None:
        return True
    return (test.difference > 0) == BY_KEY[key].higher_is_better and test.p < 1 - CONFIDENCE
